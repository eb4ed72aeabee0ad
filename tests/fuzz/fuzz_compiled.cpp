#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "remediate/base/dos_attributes.h"
#include "remediate/setting/compiled_page.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

/// A record of a compiled page leads to files that are removed with it: only to plain names.
void compiled_page(std::string_view bytes) {
  const auto page = remediate::setting::parse_compiled_page(bytes);
  if (!page) {
    require(!page.error().message.empty());
    return;
  }
  const std::string& path = page->virtual_path;
  require(page->shared || path.size() > 1);
  require(path.empty() || path.front() == '/');
  require(path.find('\\') == std::string::npos && path.find('\0') == std::string::npos);
  for (const char* leads_out : {"/../", "/./", "//"})
    require((path + "/").find(leads_out) == std::string::npos || path == "/" ||
            (path.ends_with('/') && std::string_view(leads_out) == "//" &&
             path.find("//") == std::string::npos));
  const std::string& assembly = page->assembly;
  require(assembly.find_first_of("/\\:") == std::string::npos && !assembly.starts_with('.'));
  require(page->shared || assembly.empty() || assembly.starts_with("App_Web_"));
}

/// user.DOSATTRIB, which everybody may write who may write the file.
void attributes(std::string_view bytes) {
  using namespace remediate;
  Metadata metadata;
  metadata.attributes.push_back({"user.DOSATTRIB", std::string(bytes)});
  metadata.attributes.push_back({"user.other", "kept"});
  constexpr std::uint32_t hides = dos_read_only | dos_hidden | dos_system;
  const bool hidden = (dos_attributes(metadata).value_or(0) & hides) != 0;
  require(hiding("shell.aspx", metadata).empty() == !hidden);
  const Metadata seen = without_hiding(metadata);
  require((dos_attributes(seen).value_or(0) & hides) == 0);
  require(seen.attributes.size() == (hidden ? 1u : 2u));
  require(seen.attributes.back().name == "user.other");
}

}  // namespace

/// Bytes of a NAME.compiled, and of an extended attribute.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  compiled_page(bytes);
  attributes(bytes);
  return 0;
}
