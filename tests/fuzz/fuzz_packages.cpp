#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <sqlite3.h>

#include "remediate/host/memory/memory_host.h"
#include "remediate/observe/packages.h"

namespace {

using namespace remediate;

constexpr std::string_view rpm_header = "rpm header\n", rpm_database = "rpm database\n";
constexpr std::string_view between = "\n%%\n";
constexpr std::string_view page = "srv/webmail/index.php";

void require(bool holds) {
  if (!holds) std::abort();
}

void write(host::MemoryHost& host, const std::string& path, std::string_view bytes) {
  const std::size_t slash = path.rfind('/');
  const auto folder = host.make_root(path.substr(0, slash));
  require(folder.has_value());
  const auto file = (*folder)->create_file(path.substr(slash + 1), 0644);
  require(file && (*file)->write_at(0, bytes));
}

/// An honest database with one package.
std::string database_of(std::string_view header) {
  static sqlite3* const open = [] {
    sqlite3* made = nullptr;
    require(sqlite3_open(":memory:", &made) == SQLITE_OK);
    require(sqlite3_exec(made,
                         "CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB NOT NULL)",
                         nullptr, nullptr, nullptr) == SQLITE_OK);
    return made;
  }();
  static sqlite3_stmt* const replace = [] {
    sqlite3_stmt* made = nullptr;
    require(sqlite3_prepare_v2(open, "REPLACE INTO Packages VALUES(1, ?)", -1, &made, nullptr) ==
            SQLITE_OK);
    return made;
  }();
  require(sqlite3_bind_blob(replace, 1, header.empty() ? "" : header.data(),
                            static_cast<int>(header.size()), SQLITE_STATIC) == SQLITE_OK);
  require(sqlite3_step(replace) == SQLITE_DONE);
  sqlite3_reset(replace);
  sqlite3_int64 size = 0;
  unsigned char* const bytes = sqlite3_serialize(open, "main", &size, 0);
  require(bytes != nullptr);
  std::string database(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  sqlite3_free(bytes);
  return database;
}

/// A list of files, the status, diversions and digests, in this order.
void write_dpkg(host::MemoryHost& host, std::string_view bytes) {
  constexpr std::array places = {"info/app.list", "status", "diversions", "info/app.md5sums"};
  for (const char* place : places) {
    const std::size_t end = bytes.find(between);
    write(host, std::string("/var/lib/dpkg/") + place, bytes.substr(0, end));
    if (end == std::string_view::npos) break;
    bytes.remove_prefix(end + between.size());
  }
}

}  // namespace

/// What a server's packages say that they own. The first line tells what follows: the header of one
/// package of rpm, its whole database, or the files of dpkg.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  host::MemoryHost host;
  write(host, "/" + std::string(page), "delivered");
  const std::string rpm = "/var/lib/rpm/rpmdb.sqlite";
  const bool dpkg = !bytes.starts_with(rpm_header) && !bytes.starts_with(rpm_database);
  if (bytes.starts_with(rpm_header))
    write(host, rpm, database_of(bytes.substr(rpm_header.size())));
  else if (bytes.starts_with(rpm_database))
    write(host, rpm, bytes.substr(rpm_database.size()));
  else
    write_dpkg(host, bytes);
  const auto root = host.open_root("/");
  require(root.has_value());
  const std::array files = {*RawPath::parse(page), *RawPath::parse("usr/bin/webmail")};
  const observe::PackageFiles found = observe::find_package_files(**root, "", **root, files);
  require(found.looked_up);
  for (const auto& [path, file] : found.owned) {
    require(path == files[0] || path == files[1]);
    require(file.manager == (dpkg ? "dpkg" : "rpm"));
    // Where the other file is missing nobody can say that it is as delivered.
    require(path == files[0] || file.content == observe::PackageFile::Content::unknown);
  }
  return 0;
}
