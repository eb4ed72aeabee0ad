#pragma once

#include <string>
#include <string_view>

/// Inert content in the shape of what is found on servers. Every script only writes kMarker, and
/// each is put together at run time, so that no file of the project holds one.
namespace sample {

inline constexpr std::string_view kMarker = "remediate inert sample";

enum class LineEnd { lf, crlf };

/// An Exchange virtual directory settings dump. `dirty`: its ExternalUrl carries a script block.
struct DumpOptions {
  std::string server = "EX01";
  std::string name = "OAB (Default Web Site)";
  std::string guid = "6f2d4a3c-5b1e-4c77-9a05-3d1f0e8b2c41";
  std::string changed = "3/4/2021 8:07:21 AM";
  bool dirty = true;
  LineEnd line_end = LineEnd::crlf;
};
[[nodiscard]] std::string settings_dump(const DumpOptions& options);

/// A page of ASP.NET with a script block on the server; `variant` makes its digest its own.
[[nodiscard]] std::string aspx_shell(std::string_view variant);
/// The same behind the magic of a mailbox export or of a certificate request.
[[nodiscard]] std::string pst_shell(std::string_view variant);
[[nodiscard]] std::string der_shell(std::string_view variant);
[[nodiscard]] std::string php_shell(std::string_view variant);

/// A harmless page of the product with the given name.
[[nodiscard]] std::string product_page(std::string_view name);
/// A harmless page that only writes about such shells.
[[nodiscard]] std::string report_page();

/// applicationHost.config of a front-end server with the virtual directory under /owa that the
/// attackers added. CRLF, no newline at the end.
[[nodiscard]] std::string application_host();
/// web.config with a byte order mark and an upload folder's own handler when `dirty`.
[[nodiscard]] std::string web_config(bool dirty);
/// .user.ini and .htaccess, with lines of their owner around the added one.
[[nodiscard]] std::string user_ini();
[[nodiscard]] std::string htaccess();

}  // namespace sample
