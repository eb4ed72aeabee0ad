#include "playbook_maker.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "canary_tree.h"
#include "mutation.h"
#include "remediate/crypto/digest.h"

namespace property {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

const Words honest_folders = {"/srv/www/site/uploads",
                              "/srv/www/site",
                              "/srv/www",
                              "/srv",
                              "C:\\inetpub\\wwwroot\\aspnet_client",
                              "C:\\inetpub\\wwwroot",
                              "C:\\inetpub",
                              "%SystemDrive%\\inetpub\\wwwroot",
                              "/home/user"};
const Words guarded_folders = {"/etc",
                               "/usr",
                               "/usr/bin",
                               "/usr/lib",
                               "/var",
                               "/var/lib",
                               "/var/lib/remediate",
                               "/var/lib/remediate/keys",
                               "/var/lib/remediate/hold",
                               "/var/lib/remediate/runs",
                               "/var/lib/dpkg",
                               "/etc/remediate",
                               "/boot",
                               "/bin",
                               "/sbin",
                               "/lib",
                               "/lib64",
                               "/proc",
                               "/sys",
                               "/dev",
                               "/srv/www/shop",
                               "/srv/www/shop/uploads",
                               "/ExchangeServer",
                               "/ExchangeServer/V15/Mailbox",
                               "/srv/www/site/.remediate-hold-0123456789abcdef",
                               "C:\\Windows",
                               "C:\\Windows\\System32",
                               "c:\\wInDoWs\\system32\\CONFIG",
                               "%windir%\\WinSxS",
                               "%windir%\\System32\\drivers",
                               "%SystemRoot%\\Boot",
                               "C:\\ExchangeServer\\V15",
                               "\\\\?\\C:\\Windows\\System32",
                               "C:\\ETC",
                               "C:\\USR\\BIN",
                               "C:\\VAR\\LIB\\REMEDIATE",
                               "C:\\srv\\www\\SHOP",
                               "%ProgramData%",
                               "%ProgramFiles%",
                               "/srv/www/site/etc"};
const Words odd_folders = {"/",
                           "//",
                           "C:\\",
                           "C:",
                           "c:/",
                           "%SystemDrive%",
                           "%SystemDrive%\\",
                           "\\",
                           "",
                           ".",
                           "..",
                           "~",
                           "*",
                           "/*",
                           "/**",
                           "/srv/../etc",
                           "/srv/./www",
                           "/srv//www",
                           "/srv/www/",
                           "/srv/www/..",
                           "srv/www",
                           "../../etc",
                           "\\\\server\\share",
                           "//server/share",
                           "\\\\.\\PhysicalDrive0",
                           "\\\\?\\GLOBALROOT\\Device",
                           "C:\\inetpub\\..\\Windows",
                           "C:\\Windows.",
                           "C:\\Windows ",
                           "C:\\Windows\\System32\\config.",
                           "C:\\WINDOW~1",
                           "C:\\Windows::$INDEX_ALLOCATION",
                           "C:\\Windows:stream",
                           "/etc\xe2\x80\x8b",
                           "/\xd0\xb5tc",
                           "/e\xcc\x81tc",
                           "/%65tc",
                           "/srv/%2e%2e/etc",
                           "/srv/www/\xef\xbc\x8e\xef\xbc\x8e/etc",
                           "/etc/\xe2\x80\xae",
                           "D:\\data",
                           "/srv/www/site\\..\\..\\etc",
                           "C:/inetpub\\wwwroot",
                           "%windir%",
                           "%nothing%\\x",
                           "%PATH%",
                           "%windir%%windir%",
                           "%%",
                           "file:///etc",
                           "/proc/self/root/etc",
                           "/dev/fd/3",
                           "/srv/{www,etc}",
                           "/[e]tc",
                           "/srv/www/site/etc/ssh",
                           "CON",
                           "C:\\CON",
                           "/\xff\xfe"};
const Words includes = {"**",
                        "**/*",
                        "*",
                        "**\\*",
                        "**/*.php",
                        "**\\*.aspx",
                        "shell-*.php",
                        "**/shell-*",
                        "**/*.{php,aspx}",
                        "**/*.edb",
                        "**/*.log",
                        "**/*.config",
                        "**/uploads/**",
                        "*.php",
                        "page-1*.php",
                        "**/[a-z]*",
                        "**/.*",
                        "**/??*"};
const Words odd_includes = {"",       "/",         "/etc/**",
                            "../**",  "**/../**",  "..\\..\\Windows\\**",
                            "***",    "{",         "[",
                            "[]",     "[z-a]",     "{a,{b,c}}",
                            "{,}",    "a\nb",      "**/**/**/**/**",
                            "C:\\**", "\\\\?\\**", "/**",
                            "./**",   "**/.",      "*{*{*",
                            "\xff"};
const Words patterns = {"inert",          "inert sample", "stand-in for a shell", "inert [a-z]+",
                        "(?i)INERT",      "[a-z]nert",    "An inert.*",           "file, srv",
                        "PRIVATE KEY",    "BEGIN CERT",   "configuration",        "policy",
                        "(inert|sample)", "i.e.t",        "file, etc/",           "[aeiou]n[a-z]"};
const Words odd_patterns = {".",
                            ".*",
                            ".+",
                            "(eval)?",
                            "...",
                            "a*",
                            "",
                            "(",
                            "[",
                            "(?=x)",
                            "\\1",
                            "^",
                            "$",
                            "^.*$",
                            "[^x]",
                            "[\\s\\S]",
                            "(?s).{1,}",
                            "\\C",
                            "\\x00?",
                            "((((a*)*)*)*)*",
                            "a{1000}{1000}",
                            "(a|b|)",
                            "()()()",
                            ".{0}inert",
                            "\\pL",
                            "(?P<n>x)",
                            "\\Q",
                            "[[:alpha:]]",
                            "x{0,}inert?"};
const Words sound_rules = {"rule inert { strings: $a = \"inert\" condition: $a }",
                           "rule any_byte { strings: $a = \"e\" condition: $a }",
                           "rule everything { condition: true }",
                           "rule none { strings: $a = \"nowhere-at-all\" condition: not $a }"};
const Words yara_rules = {
    "rule everything { condition: true }",
    "rule small { condition: filesize < 1MB }",
    "rule any_byte { strings: $a = \"e\" condition: $a }",
    "rule none { strings: $a = \"nowhere-at-all\" condition: not $a }",
    "rule inert { strings: $a = \"inert\" condition: $a }",
    "rule hex { strings: $a = { 69 ?? 65 } condition: $a }",
    "rule re { strings: $a = /./ condition: $a }",
    "include \"/etc/passwd\"",
    "import \"pe\" rule p { condition: pe.number_of_sections == 0 }",
    "rule many { strings: $a = /[a-z]/ condition: #a > 0 }",
    "rule {",
    "",
    "rule loop { condition: for all i in (0..100000000) : ( uint8(i) >= 0 ) }",
    "private rule p { condition: true } rule q { condition: p }",
    "global rule g { condition: true }",
    "rule ext { condition: filename matches /.*/ }"};

std::string digest_of(Random& random, bool odd) {
  if (odd && random.chance(2)) return remediate::crypto::sha256_hex("");
  if (odd && random.chance(2)) return remediate::crypto::sha256_hex("\n");
  const Canary* canary = nullptr;
  do {
    canary = &random.pick(canaries());
  } while (canary->content.empty());
  return remediate::crypto::sha256_hex(canary->content);
}

bool windows(const std::string& folder) {
  return folder.find('\\') != std::string::npos || folder.starts_with('%');
}

class Maker {
 public:
  explicit Maker(Random& random, bool odd) : random_(random), odd_(odd) {}

  Json playbook() {
    Json made = {{"format_version", 1},
                 {"id", "playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b10"},
                 {"name", "Everything"},
                 {"description", "Removes it."},
                 {"revision", 1},
                 {"created", "2026-01-01T00:00:00Z"},
                 {"modified", "2026-01-01T00:00:00Z"},
                 {"author", "Nobody"},
                 {"tlp", "clear"},
                 {"references", {{{"source", "none"}}}},
                 {"attack", {"T1505.003"}},
                 {"scopes", Json::array()},
                 {"indicators", Json::array()},
                 {"steps", Json::array()}};
    if (odd_ && random_.chance(15)) made["variables"] = variables();
    const std::uint64_t scopes = random_.between(1, 3);
    for (std::uint64_t number = 0; number < scopes; ++number)
      made["scopes"].push_back(scope("s" + std::to_string(number)));
    Json names = Json::array();
    const std::uint64_t indicators = random_.between(1, 3);
    for (std::uint64_t number = 0; number < indicators; ++number) {
      const std::string id = "i" + std::to_string(number);
      made["indicators"].push_back(
          {{"id", id},
           {"name", id},
           {"scopes", {"s" + std::to_string(random_.below(scopes))}},
           {"match", match(0)},
           {"confidence", "high"},
           {"authorises", odd_ && random_.chance(10) ? "review" : "remove"}});
      names.push_back(id);
    }
    Json step = {{"id", "remove"}, {"action", "quarantine"}, {"indicators", names}};
    if (odd_ && random_.chance(10)) step["action"] = action();
    if (random_.chance(30)) settings(made);
    if (random_.chance(30)) directives(made);
    made["steps"].push_back(step);
    if (odd_ && random_.chance(10)) made["steps"].push_back(step);  // contradicts itself
    return made;
  }

 private:
  std::string action() {
    return random_.pick(Words{"exec", "shell", "delete", "replace_file", "Quarantine", "run",
                              "reset_setting", "instruct", "", "quarantine ", "disable_guards"});
  }

  Json variables() {
    return {{random_.pick(Words{"App", "windir", "SystemDrive", "PATH", "", "a b", "%x%"}),
             {random_.pick(Words{"C:\\", "/", "C:\\Windows\\", "..", "%App%", "/etc/", "C:\\x"})}}};
  }

  std::string folder() {
    if (odd_ && random_.chance(18)) return random_.pick(odd_folders);
    return random_.pick(random_.chance(45) ? honest_folders : guarded_folders);
  }

  Json scope(const std::string& id) {
    Json made = {{"id", id}, {"folder", folder()}};
    if (random_.chance(20)) {
      const std::string first = made["folder"];
      const std::string second = folder();
      if (odd_ || (windows(first) == windows(second) && first != second))
        made["folder"] = {first, second};
    }
    made["include"] = {odd_ && random_.chance(10) ? random_.pick(odd_includes)
                                                  : random_.pick(includes)};
    if (odd_ && random_.chance(5)) made["include"] = Json::array();
    if (random_.chance(15)) made["exclude"] = {"**/*.nothing"};
    if (random_.chance(20)) made["case"] = random_.chance(50) ? "insensitive" : "sensitive";
    return made;
  }

  Json match(int depth) {
    const std::uint64_t roll = random_.below(odd_ && random_.chance(35) ? 16 : 8);
    const bool leaf = depth >= 4;
    switch (roll) {
      case 0:
      case 1:
      case 2:
        return {{"regex", regex()}};
      case 3:
      case 4: {
        Json digests = Json::array();
        for (std::uint64_t more = random_.between(1, 12); more > 0; --more)
          digests.push_back(digest_of(random_, odd_));
        std::sort(digests.begin(), digests.end());
        digests.erase(std::unique(digests.begin(), digests.end()), digests.end());
        return {{"sha256", digests}};
      }
      case 5:
        return {{"yara", {{"rules", random_.pick(odd_ ? yara_rules : sound_rules)}}}};
      case 6:
        return {{"magic", {{"hex", random_.pick(Words{"416e20", "696e", "3c3f", "2d2d2d2d"})}}}};
      case 7:
        if (leaf) return {{"regex", regex()}};
        return {{"all", {match(depth + 1), {{"path", {random_.pick(includes)}}}}}};
      case 8:
        return {{"size", {{"min", 0}, {"max", random_.next() >> 1}}}};
      case 9:
        return {{"path", {"**"}}};
      case 10:
      case 11:
        if (leaf) return {{"not", {{"sha256", {std::string(64, 'a')}}}}};
        return {{"not", match(depth + 1)}};
      case 12:
        if (leaf) return {{"size", {{"min", 0}}}};
        return {{"any", {match(depth + 1), match(depth + 1)}}};
      case 13:
        return {{"regex", {{"pattern", random_.pick(odd_patterns)}}}};
      case 14:
        return {{"structure", {{"kind", random_.pick(Words{"exchange-vdir-dump", "anything"})}}}};
      default:
        return {{"all", Json::array()}};
    }
  }

  Json regex() {
    Json made = {{"pattern", odd_ && random_.chance(10) ? random_.pick(odd_patterns)
                                                        : random_.pick(patterns)}};
    if (random_.chance(20)) made["ignore_case"] = true;
    if (random_.chance(20)) made["encodings"] = {"ascii", "utf16le"};
    return made;
  }

  /// Lines of `.htaccess` and `.user.ini` files, wherever the scopes are.
  void directives(Json& made) {
    const bool apache = random_.chance(60);
    const Words names = {"^addtype$", "^php_value$", "^auto_prepend_file$", "[a-z]", "^options$"};
    Json where = {{{"name", "name"}, {"matches", random_.pick(names)}}};
    if (random_.chance(40))
      where.push_back(
          {{"name", "value"}, {"matches", random_.pick(Words{"jpg", "inert", "/tmp"})}});
    const std::string scope = "s" + std::to_string(random_.below(made["scopes"].size()));
    made["indicators"].push_back({{"id", "lines"},
                                  {"name", "lines"},
                                  {"scopes", {scope}},
                                  {"setting",
                                   {{"provider", apache ? "apache-htaccess" : "php-user-ini"},
                                    {"kind", odd_ && random_.chance(10) ? "module" : "directive"},
                                    {"where", where}}},
                                  {"confidence", "high"},
                                  {"authorises", "remove"}});
    made["steps"].push_back({{"id", "lines"},
                             {"action", "reset_setting"},
                             {"indicators", {"lines"}},
                             {"change", {{"kind", "remove_element"}}}});
  }

  void settings(Json& made) {
    static const Words files = {"C:\\Windows\\System32\\inetsrv\\config\\applicationHost.config",
                                "/inetpub/wwwroot/web.config",
                                "/srv/www/shop/web.config",
                                "/etc/passwd",
                                "/etc/remediate/policy.json",
                                "/var/lib/remediate/store.json",
                                "/srv/www/site/etc/passwd",
                                "/srv/www/site/uploads/shadow.php",
                                "/home/user/notes.txt",
                                "C:\\SRV\\www\\shop\\WEB.config"};
    static const Words kinds = {"virtualDirectory", "module",   "handler", "site",
                                "application",      "location", "element", "globalModule"};
    static const Words odd_files = {"/",          "/srv/www", "/etc/passwd",
                                    "web.config", "..",       "/inetpub/wwwroot/web.config"};
    static const Words odd_kinds = {"anything", "", "element", "module", "handler"};
    Json test = {{"name", random_.pick(Words{"path", "name", "physicalPath", "type", "@site"})}};
    switch (random_.below(4)) {
      case 0:
        test["equals"] = random_.pick(Words{"/x", "/", "Guard", "php", "a"});
        break;
      case 1:
        test["matches"] = random_.pick(odd_ ? Words{".", ".*", "(", "^", "()"}
                                            : Words{"^/[xy]$", "(?i)guard", "[a-z]{3}", "C:.*"});
        break;
      case 2:
        test["absent"] = true;
        break;
      default:
        test["equals"] = "/y";
    }
    Json setting = {{"provider", odd_ && random_.chance(10) ? "registry" : "iis-xml"},
                    {"files", random_.pick(odd_ ? odd_files : files)},
                    {"kind", random_.pick(odd_ ? odd_kinds : kinds)},
                    {"where", {test}}};
    if (!odd_ && random_.chance(60)) {
      setting["kind"] = "virtualDirectory";
      setting["where"] = {{{"name", "path"}, {"equals", random_.chance(50) ? "/x" : "/y"}}};
      setting["files"] = random_.pick(Words{files[0], files[1], files[2], files.back()});
    }
    if (setting["kind"] == "element") setting["path"] = "system.webServer/modules";
    if (odd_ && random_.chance(15)) setting["where"] = Json::array();
    made["indicators"].push_back({{"id", "set"},
                                  {"name", "set"},
                                  {"setting", setting},
                                  {"confidence", "high"},
                                  {"authorises", "remove"}});
    Json change = {{"kind", "remove_element"}};
    switch (random_.below(6)) {
      case 0:
        change = {{"kind", "set_attribute"}, {"attribute", "physicalPath"}, {"value", "C:\\"}};
        break;
      case 1:
        change = {{"kind", "remove_attribute"}, {"attribute", "type"}};
        break;
      case 2:
        change = {{"kind", "reset_to_baseline"},
                  {"baseline", random_.chance(50) ? "/home/user/baseline.config" : "/etc/shadow"}};
        break;
      default:
        break;
    }
    made["steps"].push_back({{"id", "reset"},
                             {"action", "reset_setting"},
                             {"indicators", {"set"}},
                             {"change", change}});
  }

  Random& random_;
  bool odd_;
};

}  // namespace

Bait read_bait(const std::string& playbook_folder) {
  Bait bait;
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(playbook_folder))
    if (entry.path().extension() == ".json") files.push_back(entry.path());
  std::ranges::sort(files);
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    bait.shipped.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  if (bait.shipped.empty()) throw std::runtime_error("no playbooks in " + playbook_folder);
  return bait;
}

HostilePlaybook hostile_playbook(Random& random, const Bait& bait) {
  const std::uint64_t roll = random.below(100);
  if (roll < 45) return {"broad", Maker(random, false).playbook().dump()};
  if (roll < 66)
    return {"odd",
            Maker(random, true).playbook().dump(-1, ' ', false, Json::error_handler_t::replace)};
  if (roll < 78)
    return {"mutated value", mutated_value(random, Maker(random, random.chance(30)).playbook())};
  if (roll < 86)
    return {
        "mutated text",
        mutated_text(
            random,
            Maker(random, false).playbook().dump(-1, ' ', true, Json::error_handler_t::replace))};
  if (roll < 95)
    return {"shipped playbook turned on other folders",
            (random.chance(50) ? as_text : mutated_value)(
                random, widened(random, Json::parse(random.pick(bait.shipped)), honest_folders,
                                guarded_folders))};
  if (roll < 98)
    return {"mutated text of a shipped playbook", mutated_text(random, random.pick(bait.shipped))};
  return {"bytes", random.bytes(random.below(4000))};
}

}  // namespace property
