// sample_tree DIR [--large N] [--shells N]: writes an inert tree below DIR, the same on every run:
// the disk of an Exchange server that was broken into, mounted on Linux, with a PHP site beside it.
//   --large N   N further harmless files
//   --shells N  N further settings dumps, each with its own digest
#include <algorithm>
#include <charconv>
#include <exception>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include <unistd.h>

#include "tests/support/sample_content.h"
#include "tests/support/tree_writer.h"

namespace {

using sample::FileOptions;
using sample::LineEnd;
using sample::Owner;
using sample::TreeWriter;

const std::string kExchange = "Program Files/Microsoft/Exchange Server/V15/";
const std::string kProxy = kExchange + "FrontEnd/HttpProxy/";
const std::string kAspnet = "inetpub/wwwroot/aspnet_client/";
const std::string kTemporary =
    "Windows/Microsoft.NET/Framework64/v4.0.30319/Temporary ASP.NET Files/root/e22c2559/92c7e946/";
const std::string kUploads = "var/www/html/wp-content/uploads/";

constexpr Owner kService{1001, 1001};
constexpr Owner kWebUser{33, 33};
constexpr std::int64_t kIncident = 62;  // 2021-03-04

FileOptions dropped(mode_t mode = 0644) {
  return {.mode = mode, .owner = kService, .day = kIncident};
}

void front_end(TreeWriter& tree) {
  for (const char* name :
       {"errorFE.aspx", "expiredpassword.aspx", "GetIdToken.htm", "logoff.aspx", "logon.aspx",
        "OutlookCN.aspx", "RedirSuiteServiceProxy.aspx", "signout.aspx", "frowny.aspx"})
    tree.file(kProxy + "owa/auth/" + name, sample::product_page(name));
  tree.file(kProxy + "ecp/auth/TimeoutLogout.aspx", sample::product_page("TimeoutLogout.aspx"));
  tree.file(kProxy + "ecp/global.asax", sample::product_page("ecp/global.asax"));
  for (const char* folder : {"ecp", "OAB", "EWS", "owa", "Autodiscover", "mapi", "PowerShell"})
    tree.file(kProxy + folder + "/web.config", sample::web_config(false));
  tree.file(kProxy + "OAB/global.asax", sample::product_page("OAB/global.asax"));
  // The pictures, style sheets and scripts that make up most of these folders.
  for (int i = 0; i < 900; ++i) {
    const std::string number = std::to_string(1000 + i);
    const std::string theme = "resources/themes/base/" + std::string(i % 2 == 0 ? "css" : "images");
    tree.file(
        kProxy + "owa/auth/15.1.2106/" + theme + "/f" + number + (i % 2 == 0 ? ".css" : ".gif"),
        "sample asset " + number + "\r\n");
  }
  // Enough pages that what is removed stays far below the limit on the share of a scope.
  for (int i = 0; i < 2100; ++i) {
    const std::string number = std::to_string(1000 + i);
    tree.file(kProxy + "owa/auth/Current/pages/help" + number + ".aspx",
              sample::product_page("help " + number));
    tree.file(kAspnet + "system_web/4_0_30319/page" + number + ".aspx",
              sample::product_page("client " + number));
    if (i >= 400) continue;
    tree.file(kProxy + "owa/auth/Current/scripts/s" + number + ".js", "// " + number + "\n");
    tree.file("var/www/html/wp-includes/part" + number + ".php",
              "<?"
              "php\n// part " +
                  number + "\nreturn " + number + ";\n");
  }
}

void hafnium(TreeWriter& tree) {
  sample::DumpOptions dump;
  tree.file(kAspnet + "supp0rt.aspx", sample::settings_dump(dump), dropped());
  dump.guid = "0b7b6a0e-8f53-4f6b-a2ef-51c9d0a37d12";
  dump.name = "OAB (\xc4\xac\xc8\xcf\xcd\xf8\xd5\xbe)";  // a localised name in code page 936
  dump.changed = "2021/3/4 16:07:21";
  tree.file(kAspnet + "discover.aspx", sample::settings_dump(dump), dropped());
  dump = {.guid = "9d1c1f6e-2a04-41d8-8b43-70c2a1be9f33", .line_end = LineEnd::lf};
  tree.file(kProxy + "owa/auth/OutlookEN.aspx", sample::settings_dump(dump), dropped());
  dump = {.guid = "c5a0f2d8-64a1-4a39-b9d0-2f7d6d1c8e54"};
  tree.file(kProxy + "OAB/log.aspx", sample::settings_dump(dump), dropped(0640));
  // A backup that an administrator made: the same shape, nothing in its URL.
  tree.file(
      kAspnet + "oab-backup.aspx",
      sample::settings_dump({.guid = "1e4d7b90-33c2-4d3a-8f11-9b0a7c5d2e65", .dirty = false}));

  tree.file(kAspnet + "shell.aspx", sample::aspx_shell("one"), dropped());
  tree.file(kProxy + "owa/auth/shell.aspx", sample::aspx_shell("one"), dropped());  // same bytes
  tree.file(kAspnet + "system_web/log.aspx", sample::aspx_shell("two"), dropped(0600));
  tree.file(kProxy + "owa/auth/Current/one1.aspx", sample::aspx_shell("three"), dropped());
  tree.file(kProxy + "owa/auth/8Lw7tAhF9i1pJnRo.aspx", sample::aspx_shell("four"), dropped(0444));
  tree.file(kAspnet + "t.aspx", sample::aspx_shell("five"), dropped());
  // Beside names that are one letter away from the product's own.
  tree.file(kProxy + "owa/auth/errorPage.aspx", sample::aspx_shell("six"), dropped());
  tree.file(kAspnet + "logon.aspx", sample::product_page("logon.aspx of the intranet"));
  tree.file(kAspnet + "incident-notes.aspx", sample::report_page());

  tree.file(kTemporary + "App_Web_k3fz0v1q.dll", "MZ sample of a compiled page, not a program\n",
            dropped());
  tree.file(kTemporary + "supp0rt.aspx.cdcab7d2.compiled",
            "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<preserve resultType=\"3\" "
            "virtualPath=\"/aspnet_client/supp0rt.aspx\" hash=\"1f2ed70a3\" "
            "filehash=\"c0ffee1dea5e5\" flags=\"110000\" assembly=\"App_Web_k3fz0v1q\" "
            "type=\"ASP.aspnet_client_supp0rt_aspx\">\r\n    <filedeps>\r\n        "
            "<filedep name=\"/aspnet_client/supp0rt.aspx\" />\r\n    </filedeps>\r\n"
            "</preserve>\r\n",
            dropped());
}

void proxyshell(TreeWriter& tree) {
  tree.file(kAspnet + "570221043.aspx", sample::pst_shell("mailbox"), dropped());
  tree.file(kProxy + "owa/auth/HWTJQDMFVMPOON.aspx", sample::der_shell("request"), dropped());
  tree.file("ProgramData/COM1/luifdecggoqmansn.aspx", sample::pst_shell("hidden"), dropped());
  tree.file("ProgramData/COM1/readme.txt", "harmless neighbour\n", dropped());
  // The archive of a real mailbox, and a certificate, are no pages.
  tree.file("ProgramData/Export/archive.pst", sample::pst_shell("archive").substr(0, 512));
  tree.file("Windows/System32/inetsrv/config/applicationHost.config", sample::application_host(),
            {.mode = 0640, .owner = Owner{0, 0}, .day = 235});
}

void php(TreeWriter& tree) {
  const FileOptions web{.mode = 0644, .owner = kWebUser, .day = 90};
  tree.file("var/www/html/index.php",
            "<?"
            "php require 'wp-includes/part1000.php';\n",
            web);
  tree.file("var/www/html/.htaccess", sample::htaccess(), web);
  tree.file("var/www/html/.user.ini", sample::user_ini(), web);
  tree.file(kUploads + "2021/03/thumb.php", sample::php_shell("prepended"), web);
  tree.file(kUploads + "2021/03/picture.jpg", "\xff\xd8\xff\xe0 sample picture\n", web);
  tree.file(kUploads + "2021/03/pixel.jpg.php", sample::php_shell("double name"), web);
  tree.file(kUploads + "cache/index.php",
            "<?"
            "php\n// Silence is golden.\n",
            web);
  tree.file("var/www/html/wp-content/plugins/gallery/gallery.php",
            "<?"
            "php\n/* Plugin Name: Gallery */\nfunction gallery_show() { return 1; }\n",
            web);
}

void odd_files(TreeWriter& tree) {
  // Names that break careless scripts; all are shells.
  for (const std::string& name :
       {std::string("new\nline.aspx"), std::string("esc\x1b[31mred.aspx"),
        std::string("two  spaces .aspx"), std::string("-rf.aspx"), std::string("glob[ab]*?.aspx"),
        std::string("quote'\"$(touch x).aspx"), std::string("bad\xff\xfeutf8.aspx"),
        std::string("bidi\xe2\x80\xaexpsa.aspx")})
    tree.file(kAspnet + "odd/" + name, sample::aspx_shell("odd " + std::to_string(name.size())),
              dropped());
  tree.file(kAspnet + "odd/per%cent;semi&colon.txt", "harmless\n");
  tree.sparse_file(kAspnet + "odd/holes.bin", "data at both ends of a hole", 4u << 20);

  // Metadata that a rollback has to bring back.
  const std::string listed = kAspnet + "odd/access-list.aspx";
  tree.file(listed, sample::aspx_shell("access list"), dropped(0660));
  tree.access_list(listed, 1002);
  const std::string labelled = kAspnet + "odd/attributes.aspx";
  tree.file(labelled, sample::aspx_shell("attributes"), dropped(0640));
  tree.attribute(labelled, "user.origin", std::string_view("raw\0bytes\xff", 10));
  tree.attribute(labelled, "user.empty", "");
  tree.file(kAspnet + "odd/kept.txt", "harmless, with an attribute\n");
  tree.attribute(kAspnet + "odd/kept.txt", "user.note", "kept");

  // Hard links: a shell with a second name elsewhere, and one with both names in place.
  tree.file(kAspnet + "odd/linked-out.aspx", sample::aspx_shell("linked out"), dropped());
  tree.hard_link(kAspnet + "odd/linked-out.aspx", "ProgramData/backup/linked-out.bak");
  tree.file(kAspnet + "odd/pair-a.aspx", sample::aspx_shell("pair"), dropped());
  tree.hard_link(kAspnet + "odd/pair-a.aspx", kAspnet + "odd/pair-b.aspx");
  tree.symlink("../supp0rt.aspx", kAspnet + "odd/link.aspx");
  tree.symlink("/etc/passwd", kAspnet + "odd/outside.aspx");

  const std::string fixed = kAspnet + "odd/immutable.aspx";
  tree.file(fixed, sample::aspx_shell("immutable"), dropped(0444));
  if (::geteuid() == 0) tree.immutable(fixed);
  tree.folder("inetpub/history", 0700, Owner{0, 0});
  tree.folder(kAspnet + "odd/sticky", 01777, kWebUser);
}

void further(TreeWriter& tree, unsigned long files, unsigned long shells) {
  for (unsigned long i = 0; i < files; ++i)
    tree.file(kAspnet + "many/" + std::to_string(i / 1000) + "/page" + std::to_string(i) + ".aspx",
              sample::product_page("page " + std::to_string(i)));
  for (unsigned long i = 0; i < shells; ++i) {
    std::string digits = std::to_string(i);
    digits.insert(0, 8 - std::min<std::size_t>(8, digits.size()), '0');
    const std::string guid = digits + "-0000-4000-8000-000000000000";
    tree.file(kAspnet + "drops/" + std::to_string(i) + ".aspx",
              sample::settings_dump({.guid = guid}), dropped());
  }
}

unsigned long number(std::string_view text) {
  unsigned long value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > 10'000'000)
    throw std::runtime_error(std::string(text) + " is no number up to 10000000");
  return value;
}

int run(std::span<char*> arguments) {
  if (arguments.empty() || arguments.size() % 2 == 0) {
    std::cerr << "usage: sample_tree DIR [--large N] [--shells N]\n";
    return 64;
  }
  unsigned long files = 0;
  unsigned long shells = 0;
  for (std::size_t i = 1; i < arguments.size(); i += 2) {
    const std::string_view option = arguments[i];
    if (option != "--large" && option != "--shells")
      throw std::runtime_error(std::string(option) + " is no option of sample_tree");
    (option == "--large" ? files : shells) = number(arguments[i + 1]);
  }
  TreeWriter tree(arguments[0]);
  front_end(tree);
  hafnium(tree);
  proxyshell(tree);
  php(tree);
  odd_files(tree);
  further(tree, files, shells);
  tree.finish();
  for (const std::string& what : tree.left_out()) std::cerr << "left out: " << what << "\n";
  std::cout << tree.files() << " files\n";
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(std::span<char*>(argv, static_cast<std::size_t>(argc)).subspan(1));
  } catch (const std::exception& error) {
    std::cerr << "sample_tree: " << error.what() << "\n";
    return 1;
  }
}
