#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "remediate/match/engine.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto dump = remediate::match::parse_dump(bytes);
  if (!dump) return 0;
  if (dump->fields.size() < 10) std::abort();
  if (dump->script_in_url) {
    if (dump->script_offset >= size) std::abort();
    const char at = bytes[static_cast<std::size_t>(dump->script_offset)];
    if (at != '<' && at != 'r' && at != 'R') std::abort();
  }
  std::size_t total = 0;
  for (const auto& field : dump->fields) {
    if (field.name.empty()) std::abort();
    total += field.name.size() + field.value.size();
  }
  if (total > size) std::abort();
  return 0;
}
