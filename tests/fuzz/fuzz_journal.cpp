#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "remediate/journal/record.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace remediate;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto contents = journal::read_journal(bytes);
  if (!contents) {
    require(contents.error().code == Code::corrupt);
    return 0;
  }
  require(contents->intact_bytes <= size && contents->head.size() == 64);
  require(contents->torn == (contents->intact_bytes < size));
  for (std::size_t index = 0; index < contents->records.size(); ++index) {
    require(contents->records[index].sequence == index + 1);
    require(journal::known_type(contents->records[index].type));
  }
  const auto again = journal::read_journal(bytes.substr(0, contents->intact_bytes));
  require(again && !again->torn && again->head == contents->head &&
          again->records.size() == contents->records.size());
  return 0;
}
