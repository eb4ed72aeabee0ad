#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "remediate/setting/provider.h"

// The input is a configuration file after four bytes that choose the edit. Whatever the file:
// no crash; and when an edit succeeds, undo leads back to the same bytes, alone and after a
// comment was put behind the root element by somebody else.

namespace {

using namespace remediate::setting;

void expect(bool condition) {
  if (!condition) std::abort();
}

Edit choose(const Setting& target, std::uint8_t how) {
  Edit edit{target.address, {}};
  if (how % 3 == 1 && !target.attributes.empty() &&
      !target.attributes.front().first.starts_with('@')) {
    edit.change.kind = ChangeKind::remove_attribute;
    edit.change.attribute = target.attributes.front().first;
  } else if (how % 3 == 2) {
    edit.change.kind = ChangeKind::set_attribute;
    edit.change.attribute = how & 64 ? "path" : "fuzzed";
    edit.change.value = "a<b>&\"'\n";
  }
  return edit;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static constexpr const char* kinds[] = {"site",         "application", "virtualDirectory",
                                          "location",     "handler",     "module",
                                          "globalModule", "isapiFilter", "metadataKey"};
  if (size < 4) return 0;
  const auto* provider = find_provider("iis-xml");
  const std::string_view file(reinterpret_cast<const char*>(data) + 4, size - 4);
  const auto redacted = provider->redact(file);
  const auto same = provider->compare(file, file);
  expect(redacted.has_value() == same.has_value());
  if (!same) return 0;
  expect(same->empty());
  Query query;
  query.kind = kinds[data[0] % std::size(kinds)];
  const auto found = provider->find(file, query);
  expect(found.has_value());
  if (found->empty()) return 0;
  std::vector<Edit> edits{choose((*found)[data[1] % found->size()], data[2])};
  if (data[3] & 1) edits.push_back(choose((*found)[(data[3] >> 1) % found->size()], 0));
  const auto edited = provider->edit(file, edits);
  if (!edited) {
    expect(edited.error().code != remediate::Code::internal);
    return 0;
  }
  const auto undone = provider->undo(file, edited->bytes, edited->bytes);
  expect(undone && undone->bytes == file);
  const std::string later = edited->bytes + "<!-- later -->";
  const auto merged = provider->undo(file, edited->bytes, later);
  expect(merged && merged->bytes == std::string(file) + "<!-- later -->");
  return 0;
}
