#include "canary_tree.h"

#include <cerrno>

#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder.h"

namespace property {
namespace {

constexpr const char* settings =
    "<?xml version=\"1.0\"?>\n<!-- inert -->\n<configuration>\n  <system.applicationHost><sites>"
    "<site name=\"a\" id=\"1\"><application path=\"/\">\n"
    "    <virtualDirectory path=\"/\" physicalPath=\"C:\\w\" />\n"
    "    <virtualDirectory path=\"/x\" physicalPath=\"C:\\ProgramData\\COM1\" />\n"
    "    <virtualDirectory path=\"/y\" physicalPath=\"C:\\ProgramData\\WHO\" />\n"
    "  </application></site></sites></system.applicationHost>\n"
    "  <system.webServer><modules><add name=\"Guard\" type=\"Good.Guard\" /></modules>"
    "<handlers><add name=\"php\" path=\"*.php\" verb=\"*\" /></handlers></system.webServer>\n"
    "</configuration>\n";

/// For the providers that edit lines: Apache and PHP would both act on it.
constexpr const char* directives =
    "# inert\nOptions -Indexes\nAddType application/x-httpd-php .jpg\n"
    "php_value auto_prepend_file /tmp/inert.txt\nauto_prepend_file = \"/tmp/inert.txt\"\n";

std::vector<Canary> make_canaries() {
  std::vector<Canary> made;
  const auto add = [&](const std::string& path, Guarded why) {
    made.push_back({path, why, "An inert sample file, " + path + "\n", false});
  };
  for (const char* const path : {"Windows/System32/config/SAM",
                                 "Windows/System32/drivers/disk.sys",
                                 "Windows/WinSxS/manifest.dll",
                                 "Windows/Boot/bootmgr.exe",
                                 "boot/vmlinuz",
                                 "etc/passwd",
                                 "etc/shadow",
                                 "etc/ssh/sshd_config",
                                 "etc/php/index.php",
                                 "bin/sh",
                                 "sbin/init",
                                 "lib/ld.so",
                                 "lib64/ld.so",
                                 "usr/bin/php",
                                 "usr/sbin/nginx",
                                 "usr/lib/systemd/systemd",
                                 "usr/lib/x86_64-linux-gnu/libc.so",
                                 "var/lib/dpkg/alternatives/php",
                                 "var/lib/rpm/.rpm.lock",
                                 "proc/version",
                                 "sys/kernel.php",
                                 "dev/null.php"})
    add(path, Guarded::system);
  for (const char* const path :
       {"ExchangeServer/V15/Mailbox/DB1/db1.edb", "ExchangeServer/V15/Mailbox/DB1/E00.log",
        "ExchangeServer/V15/Mailbox/DB1/E00res00001.jrs", "ExchangeServer/old/priv1.stm",
        "ExchangeServer/V15/TransportRoles/data/Queue/mail.que",
        "ExchangeServer/V15/TransportRoles/data/Queue/trn.log", "inetpub/wwwroot/backup.EDB",
        "srv/www/site/uploads/copy.edb"})
    add(path, Guarded::exchange);
  for (const char* const path : {"srv/www/shop/index.php", "srv/www/shop/uploads/shell-9.php"})
    add(path, Guarded::policy);
  made.push_back({"srv/www/shop/web.config", Guarded::policy, settings, false});
  for (const char* const path : {"srv/www/shop/.htaccess", "srv/www/shop/uploads/.user.ini"})
    made.push_back({path, Guarded::policy, directives, false});
  for (const char* const path : {"etc/apache2/apache2.conf", "etc/php/.user.ini", "boot/.htaccess"})
    made.push_back({path, Guarded::system, directives, false});
  for (const char* const path : {"srv/www/site/.htaccess", "srv/www/site/uploads/.htaccess",
                                 "srv/www/site/.user.ini", "inetpub/wwwroot/.user.ini"})
    made.push_back({path, Guarded::none, directives, false});
  for (const char* const path :
       {"etc/remediate/policy.json", "usr/bin/remediate", "usr/sbin/remediate-run"})
    add(path, Guarded::own);
  add("srv/www/site/.remediate-hold-0123456789abcdef/run-1/op-0001", Guarded::own);
  add("srv/www/site/mnt/outside.php", Guarded::other_mount);
  add("srv/www/site/mnt/uploads/shell-8.php", Guarded::other_mount);
  // Further names of files that are guarded under their first name.
  made.push_back({"srv/www/site/uploads/shadow.php", Guarded::hard_link, "", false});
  made.push_back({"inetpub/wwwroot/aspnet_client/sam.aspx", Guarded::hard_link, "", false});
  for (int number = 1; number <= 24; ++number) {
    add("srv/www/site/page-" + std::to_string(number) + ".php", Guarded::none);
    add("inetpub/wwwroot/page-" + std::to_string(number) + ".aspx", Guarded::none);
  }
  for (int number = 1; number <= 4; ++number) {
    const std::string name = "shell-" + std::to_string(number);
    for (const std::string& path : {"srv/www/site/uploads/" + name + ".php",
                                    "inetpub/wwwroot/aspnet_client/" + name + ".aspx"})
      made.push_back({path, Guarded::none, "inert stand-in for a shell, " + path + "\n", true});
  }
  add("ProgramData/Vendor/agent.dll", Guarded::none);
  add("Program Files/App/app.exe", Guarded::none);
  add("home/user/notes.txt", Guarded::none);
  add("Windows/System32/inetsrv/native.dll", Guarded::none);
  made.push_back({"inetpub/wwwroot/web.config", Guarded::none, settings, false});
  made.push_back(
      {"Windows/System32/inetsrv/config/applicationHost.config", Guarded::none, settings, false});
  made.push_back({"home/user/baseline.config", Guarded::none, settings, false});
  return made;
}

void make_folders(const Folder& root, const std::string& path) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    const Place place(root, path.substr(0, slash));
    if (::mkdirat(place.folder(), place.name(), 0755) != 0 && errno != EEXIST) check(-1, path);
  }
}

void link(const Folder& root, const std::string& existing, const std::string& path) {
  const Place from(root, existing);
  const Place to(root, path);
  check(::linkat(from.folder(), from.name(), to.folder(), to.name(), 0), path);
}

}  // namespace

const char* guarded_name(Guarded why) {
  switch (why) {
    case Guarded::none:
      return "none";
    case Guarded::system:
      return "system folder";
    case Guarded::exchange:
      return "mail store";
    case Guarded::policy:
      return "protected by policy";
    case Guarded::store:
      return "the tool's store";
    case Guarded::own:
      return "the tool's own";
    case Guarded::hard_link:
      return "hard link to a guarded file";
    case Guarded::other_mount:
      return "other mount";
  }
  return "?";
}

const std::vector<Canary>& canaries() {
  static const std::vector<Canary> all = make_canaries();
  return all;
}

Guarded guarded(const std::string& path) {
  if (path.starts_with(std::string(store_folder) + "/")) return Guarded::store;
  if (path.find(".remediate-hold-") != std::string::npos) return Guarded::own;
  for (const Canary& canary : canaries())
    if (canary.path == path) return canary.why;
  return Guarded::none;
}

bool make_canary_tree(const std::string& root, const std::string& outside) {
  const Folder top(root);
  for (const Canary& canary : canaries()) {
    if (canary.why == Guarded::hard_link || canary.why == Guarded::other_mount) continue;
    make_folders(top, canary.path);
    const Place place(top, canary.path);
    const File file(place, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (::write(file.get(), canary.content.data(), canary.content.size()) !=
        static_cast<ssize_t>(canary.content.size()))
      check(-1, canary.path);
  }
  // A hold is told by who can reach into it.
  const Place hold(top, "srv/www/site/.remediate-hold-0123456789abcdef");
  check(::fchmodat(hold.folder(), hold.name(), 0700, 0), "chmod");
  link(top, "etc/shadow", "srv/www/site/uploads/shadow.php");
  link(top, "Windows/System32/config/SAM", "inetpub/wwwroot/aspnet_client/sam.aspx");
  const Place to_etc(top, "srv/www/site/etc");
  check(::symlinkat("../../../etc", to_etc.folder(), to_etc.name()), "symlink");
  const Place to_passwd(top, "srv/www/site/uploads/passwd.php");
  check(::symlinkat("/etc/passwd", to_passwd.folder(), to_passwd.name()), "symlink");
  make_folders(top, std::string(mounted_folder) + "/");
  const Folder far(outside);
  for (const Canary& canary : canaries()) {
    if (canary.why != Guarded::other_mount) continue;
    const std::string below = canary.path.substr(std::string(mounted_folder).size() + 1);
    make_folders(far, below);
    const File file(Place(far, below), O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (::write(file.get(), canary.content.data(), canary.content.size()) !=
        static_cast<ssize_t>(canary.content.size()))
      check(-1, canary.path);
  }
  return ::mount(outside.c_str(), (root + "/" + mounted_folder).c_str(), nullptr, MS_BIND,
                 nullptr) == 0;
}

void unmount_canary_tree(const std::string& root) {
  ::umount2((root + "/" + mounted_folder).c_str(), MNT_DETACH);
}

}  // namespace property
