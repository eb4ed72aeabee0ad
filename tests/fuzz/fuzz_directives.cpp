#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "remediate/setting/provider.h"

// The input is a .htaccess or .user.ini file after four bytes that choose which and the edit.
// Whatever the file: no crash; and when an edit succeeds, undo leads back to the same bytes.

namespace {

using namespace remediate::setting;

void expect(bool condition) {
  if (!condition) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 4) return 0;
  const auto* provider = find_provider(data[0] % 2 == 0 ? "apache-htaccess" : "php-user-ini");
  const std::string_view file(reinterpret_cast<const char*>(data) + 4, size - 4);
  const auto redacted = provider->redact(file);
  const auto same = provider->compare(file, file);
  expect(redacted.has_value() == same.has_value());
  if (!same) return 0;
  expect(same->empty());
  const Query query{data[0] % 4 == 2 ? "section" : "directive", "", {}};
  const auto found = provider->find(file, query);
  if (!found || found->empty()) return 0;
  const auto choose = [&](std::uint8_t which) {
    Edit edit{(*found)[which % found->size()].address, {}};
    if (data[2] % 2 == 1) {
      edit.change.kind = ChangeKind::set_attribute;
      edit.change.attribute = "value";
      edit.change.value = "a b'<";
    }
    return edit;
  };
  std::vector<Edit> edits{choose(data[1])};
  if (data[3] % 2 == 1) edits.push_back(choose(data[3]));
  const auto edited = provider->edit(file, edits);
  if (!edited) {
    expect(edited.error().code != remediate::Code::internal);
    return 0;
  }
  const auto undone = provider->undo(file, edited->bytes, edited->bytes);
  expect(undone && undone->bytes == file);
  return 0;
}
