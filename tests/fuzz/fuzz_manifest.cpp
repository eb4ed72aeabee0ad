#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "quarantine/entry.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto manifest = quarantine::read_manifest(bytes);
  if (!manifest) {
    require(!manifest.error().message.empty());
    return 0;
  }
  for (const quarantine::Entry& entry : manifest->entries) {
    require(entry.object.empty() || entry.object.size() == 64);
    require(entry.hold_name.find('/') == std::string::npos && entry.hold_name != "..");
  }
  const std::string written = quarantine::write_manifest(*manifest);
  const auto again = quarantine::read_manifest(written);
  require(again.has_value());
  require(again->entries.size() == manifest->entries.size() && again->root == manifest->root);
  return 0;
}
