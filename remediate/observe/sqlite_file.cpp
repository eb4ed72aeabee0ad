#include "remediate/observe/sqlite_file.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>

#include <sqlite3.h>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"

namespace remediate::observe {
namespace {

constexpr int max_row_bytes = 256 << 20;
constexpr int steps_between_looks = 100'000;
constexpr int max_looks = 20'000;
constexpr std::uint64_t format_versions_at = 18;  // two bytes, 2: write-ahead log

struct OpenFile {
  sqlite3_file base;  // the library's own part stands first
  const host::File* file;
  std::uint64_t size;
};

OpenFile& opened(sqlite3_file* file) {
  void* raw = file;
  return *static_cast<OpenFile*>(raw);
}

int read(sqlite3_file* handle, void* into, int length, sqlite3_int64 from) {
  const OpenFile& open = opened(handle);
  char* const bytes = static_cast<char*>(into);
  const auto wanted = static_cast<std::size_t>(length);
  const auto offset = static_cast<std::uint64_t>(from);
  std::size_t filled = 0;
  while (filled < wanted) {
    const auto count = open.file->read_at(offset + filled, {bytes + filled, wanted - filled});
    if (!count) return SQLITE_IOERR_READ;
    if (*count == 0) break;
    filled += *count;
  }
  // Without its log the database is read as one that has none.
  for (std::uint64_t at = format_versions_at; at < format_versions_at + 2; ++at)
    if (at >= offset && at < offset + filled && bytes[at - offset] == 2) bytes[at - offset] = 1;
  if (filled == wanted) return SQLITE_OK;
  std::memset(bytes + filled, 0, wanted - filled);
  return SQLITE_IOERR_SHORT_READ;
}

int file_size(sqlite3_file* handle, sqlite3_int64* size) {
  *size = static_cast<sqlite3_int64>(opened(handle).size);
  return SQLITE_OK;
}

const sqlite3_io_methods& methods() {
  static const sqlite3_io_methods table = [] {
    sqlite3_io_methods made = {};
    made.iVersion = 1;
    made.xClose = [](sqlite3_file*) { return SQLITE_OK; };
    made.xRead = read;
    made.xWrite = [](sqlite3_file*, const void*, int, sqlite3_int64) { return SQLITE_READONLY; };
    made.xTruncate = [](sqlite3_file*, sqlite3_int64) { return SQLITE_READONLY; };
    made.xSync = [](sqlite3_file*, int) { return SQLITE_OK; };
    made.xFileSize = file_size;
    made.xLock = [](sqlite3_file*, int) { return SQLITE_OK; };
    made.xUnlock = [](sqlite3_file*, int) { return SQLITE_OK; };
    made.xCheckReservedLock = [](sqlite3_file*, int* locked) {
      *locked = 0;
      return SQLITE_OK;
    };
    made.xFileControl = [](sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; };
    made.xSectorSize = [](sqlite3_file*) { return 4096; };
    made.xDeviceCharacteristics = [](sqlite3_file*) { return SQLITE_IOCAP_IMMUTABLE; };
    return made;
  }();
  return table;
}

int open_file(sqlite3_vfs* system, const char*, sqlite3_file* handle, int flags, int* out_flags) {
  handle->pMethods = nullptr;
  if ((flags & SQLITE_OPEN_MAIN_DB) == 0) return SQLITE_CANTOPEN;
  OpenFile& open = opened(handle);
  open.file = static_cast<const host::File*>(system->pAppData);
  const auto stat = open.file->stat();
  if (!stat) return SQLITE_IOERR_FSTAT;
  open.size = stat->size;
  open.base.pMethods = &methods();
  if (out_flags != nullptr) *out_flags = SQLITE_OPEN_READONLY;
  return SQLITE_OK;
}

/// The library's way to the one file, known to it by a name as long as this lives.
class FileSystem {
 public:
  explicit FileSystem(const host::File& file) {
    system_.iVersion = 1;
    system_.szOsFile = sizeof(OpenFile);
    system_.mxPathname = 64;
    system_.zName = "remediate-one-file";
    system_.pAppData = const_cast<host::File*>(&file);
    system_.xOpen = open_file;
    system_.xDelete = [](sqlite3_vfs*, const char*, int) { return SQLITE_READONLY; };
    system_.xAccess = [](sqlite3_vfs*, const char*, int, int* result) {
      *result = 0;
      return SQLITE_OK;
    };
    system_.xFullPathname = [](sqlite3_vfs*, const char* name, int size, char* out) {
      sqlite3_snprintf(size, out, "%s", name);
      return SQLITE_OK;
    };
    system_.xRandomness = [](sqlite3_vfs*, int size, char* out) {
      std::memset(out, 0, static_cast<std::size_t>(size));
      return size;
    };
    system_.xSleep = [](sqlite3_vfs*, int) { return 0; };
    system_.xCurrentTime = [](sqlite3_vfs*, double* time) {
      *time = 0;
      return SQLITE_OK;
    };
    registered_ = sqlite3_vfs_register(&system_, 0) == SQLITE_OK;
  }
  ~FileSystem() { sqlite3_vfs_unregister(&system_); }
  FileSystem(const FileSystem&) = delete;
  FileSystem& operator=(const FileSystem&) = delete;
  [[nodiscard]] const char* name() const { return registered_ ? system_.zName : nullptr; }

 private:
  sqlite3_vfs system_ = {};
  bool registered_ = false;
};

std::unexpected<Error> failed(int code, sqlite3* database) {
  const std::string why =
      database == nullptr ? sqlite3_errstr(code) : std::string(sqlite3_errmsg(database));
  return fail(code == SQLITE_INTERRUPT ? Code::limit : Code::corrupt,
              "SQLite cannot read it: " + display(why));
}

}  // namespace

Result<void> query_sqlite(const host::File& database, const char* query,
                          const std::function<bool(std::string_view)>& row) {
  const FileSystem system(database);
  if (system.name() == nullptr) return fail(Code::internal, "SQLite takes no file");
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2("database", &raw, SQLITE_OPEN_READONLY, system.name());
  const std::unique_ptr<sqlite3, int (*)(sqlite3*)> handle(raw, &sqlite3_close);
  if (code != SQLITE_OK) return failed(code, raw);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(raw, SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_limit(raw, SQLITE_LIMIT_LENGTH, max_row_bytes);
  int looks = 0;
  sqlite3_progress_handler(
      raw, steps_between_looks,
      [](void* count) { return ++*static_cast<int*>(count) > max_looks ? 1 : 0; }, &looks);
  sqlite3_stmt* prepared = nullptr;
  if (const int bad = sqlite3_prepare_v2(raw, query, -1, &prepared, nullptr); bad != SQLITE_OK)
    return failed(bad, raw);
  const std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)> statement(prepared,
                                                                        &sqlite3_finalize);
  for (;;) {
    const int stepped = sqlite3_step(prepared);
    if (stepped == SQLITE_DONE) return {};
    if (stepped != SQLITE_ROW) return failed(stepped, raw);
    const void* const bytes = sqlite3_column_blob(prepared, 0);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(prepared, 0));
    if (!row(bytes == nullptr ? std::string_view()
                              : std::string_view(static_cast<const char*>(bytes), size)))
      return {};
  }
}

}  // namespace remediate::observe
