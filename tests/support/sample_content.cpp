#include "tests/support/sample_content.h"

#include <initializer_list>
#include <utility>
#include <vector>

namespace sample {
namespace {

std::string join(std::initializer_list<std::string_view> parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

std::string with_crlf(std::string_view text) {
  std::string converted;
  for (const char c : text) {
    if (c == '\n') converted.push_back('\r');
    converted.push_back(c);
  }
  return converted;
}

/// The evaluation that the playbooks look for stands in a comment: nothing is evaluated.
std::string script_block(std::string_view variant) {
  return join({"<scr", "ipt lang", "uage=\"JScr", "ipt\" run", "at=\"ser", "ver\">function Pa",
               "ge_Load(){/* ", variant, ": not run: ev", "al(Req", "uest[\"x\"],\"uns",
               "afe\") */Resp", "onse.Wr", "ite(\"", kMarker, "\");}</scr", "ipt>"});
}

std::string page_directive() {
  return join({"<%", "@ Pa", "ge Lang", "uage=\"JScr", "ipt\" Deb", "ug=\"true\" %", ">"});
}

}  // namespace

std::string settings_dump(const DumpOptions& options) {
  const std::string server = options.server + ".corp.example";
  const std::string name_in_dn =
      "CN=" + options.name + ",CN=HTTP,CN=Protocols,CN=" + options.server +
      ",CN=Servers,CN=Exchange Administrative Group (FYDIBOHF23SPDLT),CN=Administrative Groups,"
      "CN=Example,CN=Microsoft Exchange,CN=Services,CN=Configuration,DC=corp,DC=example";
  const std::string external =
      options.dirty ? join({"http", "://f/", script_block(options.guid.substr(0, 8))}) : "";
  const std::vector<std::pair<std::string, std::string>> fields = {
      {"Name", options.name},
      {"PollInterval", "480"},
      {"OfflineAddressBooks", "\\Default Offline Address Book"},
      {"RequireSSL", "True"},
      {"BasicAuthentication", "False"},
      {"WindowsAuthentication", "True"},
      {"OAuthAuthentication", "True"},
      {"MetabasePath", "IIS://" + server + "/W3SVC/1/ROOT/OAB"},
      {"Path", "C:\\Program Files\\Microsoft\\Exchange Server\\V15\\FrontEnd\\HttpProxy\\OAB"},
      {"ExtendedProtectionTokenChecking", "None"},
      {"ExtendedProtectionFlags", ""},
      {"ExtendedProtectionSPNList", ""},
      {"AdminDisplayVersion", "Version 15.1 (Build 2106.2)"},
      {"Server", options.server},
      {"InternalUrl", "https://" + server + "/OAB"},
      {"InternalAuthenticationMethods", "OAuth"},
      {"", "WindowsIntegrated"},
      {"ExternalUrl", external},
      {"ExternalAuthenticationMethods", "OAuth"},
      {"", "WindowsIntegrated"},
      {"AdminDisplayName", ""},
      {"ExchangeVersion", "0.10 (14.0.100.0)"},
      {"DistinguishedName", name_in_dn},
      {"Identity", options.server + "\\" + options.name},
      {"Guid", options.guid},
      {"ObjectCategory", "corp.example/Configuration/Schema/ms-Exch-OAB-Virtual-Directory"},
      {"ObjectClass", "top"},
      {"", "msExchVirtualDirectory"},
      {"", "msExchOABVirtualDirectory"},
      {"WhenChanged", options.changed},
      {"WhenCreated", options.changed},
      {"WhenChangedUTC", options.changed},
      {"WhenCreatedUTC", options.changed},
      {"OrganizationId", ""},
      {"Id", options.server + "\\" + options.name},
      {"OriginatingServer", "dc01.corp.example"},
      {"IsValid", "True"},
  };
  constexpr std::size_t colon = 32;  // the column of every colon; continuations lie two further
  std::string text = "\n";
  for (const auto& [key, value] : fields) {
    std::string line = key;
    line.resize(colon, ' ');
    line += key.empty() ? "  " : ": ";
    text += line + value + "\n";
  }
  text += "\n\n";
  return options.line_end == LineEnd::crlf ? with_crlf(text) : text;
}

std::string aspx_shell(std::string_view variant) {
  return page_directive() + "\r\n" + script_block(variant) + "\r\n";
}

std::string pst_shell(std::string_view variant) {
  std::string bytes = "!BDN";
  bytes += std::string(
      "\x8c\x1e\x6a\x0b"
      "SM\x17\x00\x13\x00\x01\x01\x00\x00",
      14);
  bytes.resize(512, '\0');
  bytes += page_directive() + script_block(variant);
  bytes.resize(bytes.size() + 700, '\0');
  return bytes;
}

std::string der_shell(std::string_view variant) {
  const std::string body = page_directive() + script_block(variant);
  const std::size_t length = body.size() + 8;
  std::string bytes = "\x30\x82";
  bytes.push_back(static_cast<char>(length >> 8 & 0xff));
  bytes.push_back(static_cast<char>(length & 0xff));
  bytes += std::string("\x02\x01\x00\x30\x0c\x0c\x82\x01", 8);
  return bytes + body;
}

std::string php_shell(std::string_view variant) {
  return join({"<?p", "hp /* ", variant, ": not called: ev", "al(base64_de", "code($_PO",
               "ST['x']));", " */ ec", "ho '", kMarker, "'; ?", ">\n"});
}

std::string product_page(std::string_view name) {
  return join({"<!DOCTYPE html>\r\n<!-- ", name,
               " -->\r\n<html>\r\n<head><title>Mail</title></head>\r\n<body>\r\n"
               "<p>Sample of a page of the product: ",
               name, "</p>\r\n</body>\r\n</html>\r\n"});
}

std::string report_page() {
  return "<html><body><h1>Incident notes</h1><p>The dump named ExternalUrl, the pages were called "
         "shell.aspx and supp0rt.aspx. A script language attribute and runat were seen, and "
         "auto_prepend_file on the other server. Nothing here is executed.</p></body></html>\n";
}

std::string user_ini() {
  return "; limits of the shop\n"
         "upload_max_filesize = 64M\n"
         "post_max_size = 64M\n"
         "auto_prepend"
         "_file = \"/var/www/html/wp-content/uploads/2021/03/thumb.php\"\n"
         "memory_limit = 256M\n";
}

std::string htaccess() {
  return "# permalinks\n"
         "<IfModule mod_rewrite.c>\n"
         "RewriteEngine On\n"
         "RewriteBase /\n"
         "</IfModule>\n"
         "AddType application/x-httpd"
         "-php .jpg\n"
         "php_value auto_prepend"
         "_file /var/www/html/wp-content/uploads/2021/03/thumb.php\n"
         "Options -Indexes\n";
}

std::string web_config(bool dirty) {
  std::string text =
      "\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
      "<configuration>\n"
      "  <system.webServer>\n"
      "    <handlers accessPolicy=\"Read,Script\">\n"
      "      <clear />\n"
      "      <add name=\"HttpProxy\" path=\"*\" verb=\"GET,HEAD\" "
      "type=\"Microsoft.Exchange.HttpProxy.ProxyHandler\" />\n";
  if (dirty)
    text +=
        "      <add name=\"img\" path=\"*.png\" verb=\"*\" modules=\"IsapiModule\" "
        "scriptProcessor=\"%windir%\\system32\\inetsrv\\asp.dll\" requireAccess=\"Write\" />\n";
  text +=
      "    </handlers>\n"
      "  </system.webServer>\n"
      "</configuration>\n";
  return with_crlf(text);
}

}  // namespace sample
