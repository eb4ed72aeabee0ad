#pragma once

#include <string>
#include <string_view>

#include "remediate/base/error.h"

namespace remediate::setting {

inline constexpr std::size_t max_compiled_bytes = 64u << 10;

/// What ASP.NET keeps of what it compiled, in NAME.compiled: of which page, and which assembly
/// beside that file holds its code.
struct CompiledPage {
  std::string virtual_path;  // "/aspnet_client/x.aspx"; components are plain names
  std::string assembly;      // "App_Web_ab12cd34": a plain name, without ".dll"; may be empty
  /// Code that no page alone has (App_Code, global.asax, resources): resultType says so. The path
  /// may then be empty or a folder's, and the assembly has any plain name.
  bool shared = false;
};

/// Strict: a preserve element with a virtualPath. bad_input for anything else, and for names that
/// lead elsewhere ("..", separators, for a page another assembly than ASP.NET makes for pages).
[[nodiscard]] Result<CompiledPage> parse_compiled_page(std::string_view bytes);

/// Whether the file's name is one that ASP.NET gives an assembly of pages (App_Web_*.dll).
[[nodiscard]] bool is_page_assembly(std::string_view file_name);

}  // namespace remediate::setting
