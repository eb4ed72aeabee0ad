// Whose files are: databases of packages, running programs, the tool's own files, in memory.
#include <catch2/catch.hpp>
#include <sqlite3.h>

#include "remediate/crypto/digest.h"
#include "remediate/host/memory/memory_host.h"
#include "remediate/observe/find_claims.h"

using namespace remediate;
using namespace remediate::observe;
using Content = PackageFile::Content;

namespace {

template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

struct World {
  host::MemoryHost host;
  std::string store;
  std::vector<OwnFile> own;

  void file(const std::string& path, const std::string& bytes) {
    const std::size_t slash = path.rfind('/');
    const auto folder = must(host.make_root(path.substr(0, slash == 0 ? 1 : slash)));
    const auto made = must(folder->create_file(path.substr(slash + 1), 0644));
    if (!made->write_at(0, bytes)) FAIL("cannot write " + path);
  }
  void link(const std::string& path, const std::string& name) {
    const std::size_t slash = path.rfind('/'), other = name.rfind('/');
    const auto from = must(host.open_root(path.substr(0, slash)));
    const auto to = must(host.make_root(name.substr(0, other)));
    const auto opened = must(from->open_file(path.substr(slash + 1), host::Access::read));
    if (!to->link_file(*opened, name.substr(other + 1))) FAIL("cannot link " + name);
  }
  /// A package of dpkg: its list, and the digests of what it delivered.
  void package(const std::string& name, const std::vector<std::string>& files,
               const std::string& content = "delivered") {
    std::string list = "/.\n", sums;
    for (const std::string& path : files) {
      list += path + "\n";
      sums += crypto::digest_hex(crypto::Algorithm::md5, content) + "  " + path.substr(1) + "\n";
    }
    file("/var/lib/dpkg/info/" + name + ".list", list);
    file("/var/lib/dpkg/info/" + name + ".md5sums", sums);
    status += "Package: " + name.substr(0, name.find(':')) +
              "\nStatus: install ok installed\nArchitecture: amd64\n\n";
  }
  std::string status;

  Claims claims(const std::vector<std::string>& files, const std::string& root = "/") {
    std::vector<RawPath> paths;
    for (const std::string& path : files) paths.push_back(must(RawPath::parse(path)));
    const auto opened = must(host.open_root(root));
    return find_claims(host, {*opened, paths, own, store});
  }
  /// With the database that the packages so far make.
  Claims with_dpkg(const std::vector<std::string>& files, const std::string& root = "/") {
    file("/var/lib/dpkg/status", status);
    return claims(files, root);
  }
};

std::string owner(const Claims& claims, const std::string& path) {
  const auto found = claims.packages.find(must(RawPath::parse(path)));
  return found == claims.packages.end() ? "" : found->second.package;
}

Content content(const Claims& claims, const std::string& path) {
  const auto found = claims.packages.find(must(RawPath::parse(path)));
  return found == claims.packages.end() ? Content::unknown : found->second.content;
}

std::string tool(const Claims& claims, const std::string& path) {
  const auto found = claims.tool.find(must(RawPath::parse(path)));
  return found == claims.tool.end() ? "" : found->second;
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes.push_back(static_cast<char>(static_cast<unsigned char>(value >> shift)));
  return bytes;
}

/// A header as rpm keeps it: an index of tags in front of their data.
struct RpmHeader {
  std::string index, data;
  std::uint32_t count = 0;
  void add(std::uint32_t tag, std::uint32_t type, std::uint32_t number, const std::string& bytes) {
    index += big_endian(tag) + big_endian(type) +
             big_endian(static_cast<std::uint32_t>(data.size())) + big_endian(number);
    data += bytes;
    ++count;
  }
  [[nodiscard]] std::string bytes() const {
    return big_endian(count) + big_endian(static_cast<std::uint32_t>(data.size())) + index + data;
  }
};

RpmHeader rpm_package(const std::string& content) {
  RpmHeader header;
  header.add(1000, 6, 1, std::string("webmail\0", 8));
  header.add(1116, 4, 2, big_endian(0) + big_endian(1));
  header.add(1117, 8, 2, std::string("index.php\0webmail\0", 18));
  header.add(1118, 8, 2, std::string("/srv/webmail/\0/usr/bin/\0", 24));
  header.add(1035, 8, 2, crypto::sha256_hex(content) + std::string("\0\0", 2));
  header.add(5011, 4, 1, big_endian(8));
  return header;
}

std::string rpm_database(const std::string& header, bool write_ahead = true) {
  sqlite3* raw = nullptr;
  REQUIRE(sqlite3_open(":memory:", &raw) == SQLITE_OK);
  REQUIRE(sqlite3_exec(raw, "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)",
                       nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_stmt* insert = nullptr;
  REQUIRE(sqlite3_prepare_v2(raw, "INSERT INTO Packages(blob) VALUES(?)", -1, &insert, nullptr) ==
          SQLITE_OK);
  sqlite3_bind_blob(insert, 1, header.data(), static_cast<int>(header.size()), nullptr);
  REQUIRE(sqlite3_step(insert) == SQLITE_DONE);
  sqlite3_finalize(insert);
  sqlite3_int64 size = 0;
  unsigned char* bytes = sqlite3_serialize(raw, "main", &size, 0);
  std::string database(bytes, bytes + size);
  sqlite3_free(bytes);
  sqlite3_close(raw);
  if (write_ahead) database[18] = database[19] = 2;  // as rpm's own
  return database;
}

}  // namespace

TEST_CASE("dpkg's lists tell whose a file is, and whether it is as delivered", "[claims]") {
  World world;
  world.file("/www/app/same.php", "delivered");
  world.file("/www/app/other.php", "replaced");
  world.file("/www/app/stray.php", "x");
  world.file("/etc/app.conf", "x");
  world.package("app",
                {"/www/app", "/www/app/same.php", "/www/app/other.php", "/www/app/gone.php"});
  world.file("/var/lib/dpkg/info/conf:amd64.list", "/etc/app.conf\n");
  const Claims claims = world.with_dpkg(
      {"www/app/same.php", "www/app/other.php", "www/app/stray.php", "etc/app.conf"});
  CHECK(owner(claims, "www/app/same.php") == "app");
  CHECK(content(claims, "www/app/same.php") == Content::as_delivered);
  CHECK(owner(claims, "www/app/other.php") == "app");
  CHECK(content(claims, "www/app/other.php") == Content::different);
  CHECK(owner(claims, "www/app/stray.php").empty());
  CHECK(owner(claims, "etc/app.conf") == "conf:amd64");
  CHECK(content(claims, "etc/app.conf") == Content::unknown);
  CHECK(claims.packages_unread.empty());
  CHECK(claims.notices.empty());
}

TEST_CASE("a merged folder and a moved file are found under both names", "[claims]") {
  World world;
  world.file("/usr/bin/tool", "x");
  world.file("/run/x", "x");
  world.file("/usr/share/a", "by other");
  world.file("/usr/share/a.moved", "x");
  CHECK(world.host.plant("/bin", FileKind::symlink, "usr/bin"));
  CHECK(world.host.plant("/var/run", FileKind::symlink, "/run").error().code == Code::not_found);
  world.package("tools", {"/bin/tool", "/usr/share/a"});
  CHECK(world.host.plant("/var/run", FileKind::symlink, "/run"));
  world.package("runner", {"/var/run/x"});
  world.package("other", {"/usr/share/b"});
  world.file("/var/lib/dpkg/diversions", "/usr/share/a\n/usr/share/a.moved\nother\n");
  const Claims claims =
      world.with_dpkg({"usr/bin/tool", "run/x", "usr/share/a", "usr/share/a.moved"});
  CHECK(owner(claims, "usr/bin/tool") == "tools");
  CHECK(owner(claims, "run/x") == "runner");
  CHECK(owner(claims, "usr/share/a.moved") == "tools");
  CHECK(owner(claims, "usr/share/a").empty());
}

TEST_CASE("a diversion of nothing makes no line of a list a path", "[claims]") {
  World world;
  world.file("/www/a.php", "x");
  world.package("app", {"/x"});
  world.file("/var/lib/dpkg/info/odd.list", "\nwww/a.php\n/x\n");
  world.file("/var/lib/dpkg/info/odd.md5sums", std::string(40, 'a') + "\n");
  world.file("/var/lib/dpkg/diversions", "\n/www/a.php\nother\n");
  const Claims claims = world.with_dpkg({"www/a.php"});
  CHECK(owner(claims, "www/a.php").empty());
  CHECK(claims.packages_unread.empty());
}

TEST_CASE("without the link /bin and /usr/bin are two folders", "[claims]") {
  World world;
  world.file("/usr/bin/tool", "x");
  world.file("/bin/tool", "x");
  world.package("tools", {"/bin/tool"});
  const Claims claims = world.with_dpkg({"usr/bin/tool", "bin/tool"});
  CHECK(owner(claims, "usr/bin/tool").empty());
  CHECK(owner(claims, "bin/tool") == "tools");
}

TEST_CASE("a database of dpkg that is there and cannot be read is told", "[claims]") {
  World world;
  world.file("/www/a.php", "x");
  SECTION("no lists") { world.file("/var/lib/dpkg/status", "Package: a\n"); }
  SECTION("a package without its list") {
    world.package("app", {"/x"});
    world.status += "Package: lost\nStatus: install ok installed\nArchitecture: all\n";
    world.file("/var/lib/dpkg/status", world.status);
  }
  SECTION("no status") { world.file("/var/lib/dpkg/info/app.list", "/x\n"); }
  SECTION("a link in its place") {
    must(world.host.make_root("/var/lib"));
    must(world.host.make_root("/elsewhere"));
    CHECK(world.host.plant("/var/lib/dpkg", FileKind::symlink, "/elsewhere"));
  }
  SECTION("torn diversions") {
    world.package("app", {"/x"});
    world.file("/var/lib/dpkg/status", world.status);
    world.file("/var/lib/dpkg/diversions", "/usr/share/a\n/usr/share/b\n");
  }
  SECTION("more diversions than any system has") {
    world.package("app", {"/x"});
    world.file("/var/lib/dpkg/status", world.status);
    std::string diversions;
    for (int index = 0; index <= 100'000; ++index)
      diversions += "/" + std::to_string(index) + "\n/x\nother\n";
    world.file("/var/lib/dpkg/diversions", diversions);
    CHECK(world.claims({"www/a.php"}).packages_unread.find("100000 diversions") !=
          std::string::npos);
  }
  SECTION("a status that is no file") {
    world.file("/var/lib/dpkg/info/app.list", "/x\n");
    CHECK(world.host.plant("/var/lib/dpkg/status", FileKind::fifo));
  }
  CHECK(world.claims({"www/a.php"}).packages_unread.starts_with("the dpkg database"));
}

TEST_CASE("a system without databases has no packages, and nothing asked is nothing read",
          "[claims]") {
  World world;
  world.file("/www/a.php", "x");
  must(world.host.make_root("/var/lib/dpkg"));  // empty
  const Claims claims = world.claims({"www/a.php"});
  CHECK(claims.packages.empty());
  CHECK(claims.packages_unread.empty());
  CHECK(claims.notices.empty());
  world.file("/var/lib/dpkg/status", "Package: a\n");
  CHECK(world.claims({}).packages_unread.empty());
}

TEST_CASE("a root that is a part of this system is asked of its packages", "[claims]") {
  World world;
  world.file("/srv/www/a.php", "delivered");
  world.file("/srv/www/b.php", "x");
  world.package("app", {"/srv/www/a.php"});
  const Claims claims = world.with_dpkg({"a.php", "b.php"}, "/srv/www");
  CHECK(owner(claims, "a.php") == "app");
  CHECK(content(claims, "a.php") == Content::as_delivered);
  CHECK(owner(claims, "b.php").empty());
  SECTION("another machine's disk has its own database") {
    world.file("/srv/www/var/lib/dpkg/info/other.list", "/b.php\n");
    world.file("/srv/www/var/lib/dpkg/status", "");
    const Claims disk = world.claims({"a.php", "b.php"}, "/srv/www");
    CHECK(owner(disk, "a.php").empty());
    CHECK(owner(disk, "b.php") == "other");
  }
}

TEST_CASE("rpm's SQLite database is read where it lies", "[claims]") {
  for (const char* place : {"/var/lib/rpm/", "/usr/lib/sysimage/rpm/"})
    for (const bool write_ahead : {false, true}) {
      CAPTURE(place, write_ahead);
      World world;
      world.file("/srv/webmail/index.php", "delivered");
      world.file("/srv/webmail/webmail", "x");
      world.file("/usr/bin/webmail", "x");
      world.file(std::string(place) + "rpmdb.sqlite",
                 rpm_database(rpm_package("delivered").bytes(), write_ahead));
      const Claims claims =
          world.claims({"srv/webmail/index.php", "srv/webmail/webmail", "usr/bin/webmail"});
      CHECK(claims.packages_unread.empty());
      CHECK(claims.notices.empty());
      CHECK(owner(claims, "srv/webmail/index.php") == "webmail");
      CHECK(content(claims, "srv/webmail/index.php") == Content::as_delivered);
      CHECK(owner(claims, "usr/bin/webmail") == "webmail");
      CHECK(owner(claims, "srv/webmail/webmail").empty());
    }
}

TEST_CASE("an rpm database that is not read is told, a damaged one forbids", "[claims]") {
  World world;
  world.file("/srv/webmail/index.php", "replaced");
  const auto asked = [&] { return world.claims({"srv/webmail/index.php"}); };
  SECTION("older formats and a waiting transaction are notices") {
    world.file("/var/lib/rpm/Packages", "berkeley");
    REQUIRE(asked().notices.size() == 1);
    CHECK(asked().notices.front().reason.find("format that is not read") != std::string::npos);
    CHECK(asked().packages_unread.empty());
    world.file("/usr/lib/sysimage/rpm/rpmdb.sqlite",
               rpm_database(rpm_package("delivered").bytes()));
    world.file("/usr/lib/sysimage/rpm/rpmdb.sqlite-wal", "waiting");
    CHECK(asked().notices.size() == 2);
    CHECK(content(asked(), "srv/webmail/index.php") == Content::different);
  }
  SECTION("not a database") {
    world.file("/var/lib/rpm/rpmdb.sqlite", std::string(8192, 'x'));
    CHECK(asked().packages_unread.starts_with("the rpm database"));
  }
  SECTION("a damaged header, cut anywhere") {
    const std::string whole = rpm_package("delivered").bytes();
    for (std::size_t size = 0; size < whole.size(); size += 7) {
      CAPTURE(size);
      World damaged;
      damaged.file("/srv/webmail/index.php", "x");
      damaged.file("/var/lib/rpm/rpmdb.sqlite", rpm_database(whole.substr(0, size)));
      CHECK_FALSE(damaged.claims({"srv/webmail/index.php"}).packages_unread.empty());
    }
  }
  SECTION("more texts than a package has, one byte each") {
    constexpr std::uint32_t many = (4u << 20) + 1;
    RpmHeader header = rpm_package("delivered");
    header.add(1027, 8, many, std::string(many, '\0'));
    world.file("/var/lib/rpm/rpmdb.sqlite", rpm_database(header.bytes()));
    CHECK(asked().packages_unread.starts_with("the rpm database"));
  }
  SECTION("every byte of the database damaged: an answer, never a crash") {
    const std::string whole = rpm_database(rpm_package("delivered").bytes());
    for (std::size_t at = 0; at < whole.size(); at += 13) {
      World damaged;
      damaged.file("/srv/webmail/index.php", "x");
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ 0x5a);
      damaged.file("/var/lib/rpm/rpmdb.sqlite", bytes);
      (void)damaged.claims({"srv/webmail/index.php"});
    }
  }
}

TEST_CASE("a program that runs is told by process, by any name, until it ends", "[claims]") {
  World world;
  world.file("/www/a.php", "x");
  world.file("/www/idle.php", "x");
  world.link("/www/a.php", "/www/other/name.php");
  CHECK(world.host.run_file("/www/a.php", 812, "miner\x1b"));
  Claims claims = world.claims({"www/a.php", "www/idle.php", "www/other/name.php"});
  CHECK(claims.processes.at(must(RawPath::parse("www/a.php"))) == "process 812 (miner\\x1b)");
  CHECK(claims.processes.size() == 2);
  CHECK(claims.processes.contains(must(RawPath::parse("www/other/name.php"))));
  world.host.end_process(812);
  world.host.hide_processes(2);
  claims = world.claims({"www/a.php"});
  CHECK(claims.processes.empty());
  REQUIRE(claims.notices.size() == 1);
  CHECK(claims.notices.front().reason.starts_with("not every running process"));
}

TEST_CASE("the tool's own files are told by identity", "[claims]") {
  World world;
  for (const char* file : {"/opt/tool", "/etc/policy.json", "/var/store/keys/signer.key",
                           "/var/store/runs/r/plan.json", "/var/store/hold/r/op-0001",
                           "/var/store/store.json", "/www/plain.php"})
    world.file(file, "x");
  world.link("/opt/tool", "/www/tool.php");
  world.link("/etc/policy.json", "/www/policy.php");
  world.link("/var/store/keys/signer.key", "/www/key.php");
  world.link("/var/store/runs/r/plan.json", "/www/plan.php");
  world.link("/var/store/hold/r/op-0001", "/www/held.php");
  CHECK(world.host.run_file("/opt/tool", 1, "remediate"));
  world.store = "/var/store";
  world.own = {{"/etc/policy.json", "the policy file"}, {"/etc/none.crt", "a certificate"}};
  const Claims claims =
      world.claims({"www/tool.php", "www/policy.php", "www/key.php", "www/plan.php", "www/held.php",
                    "www/plain.php", "var/store/store.json", "var/store/hold/r/op-0001"});
  CHECK(tool(claims, "www/tool.php").starts_with("it is this tool's own program"));
  CHECK(tool(claims, "www/policy.php") == "it is the policy file");
  CHECK(tool(claims, "www/key.php") == "it is a file of the tool's own store");
  CHECK(tool(claims, "www/plan.php") == "it is a file of the tool's own store");
  CHECK(tool(claims, "var/store/store.json") == "it belongs to the tool's own store");
  CHECK(tool(claims, "var/store/hold/r/op-0001") == "it belongs to the tool's own store");
  CHECK(tool(claims, "www/held.php").empty());
  CHECK(tool(claims, "www/plain.php").empty());
  CHECK(claims.notices.empty());
}
