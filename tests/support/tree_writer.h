#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace sample {

struct Owner {
  uid_t user = 0;
  gid_t group = 0;
};

/// How a file is written; times and what is not given follow from the name alone.
struct FileOptions {
  mode_t mode = 0644;
  std::optional<Owner> owner;       // only taken as root
  std::optional<std::int64_t> day;  // days after 2021-01-01; a hash of the name otherwise
};

/// Writes below one folder, always the same. Paths are raw bytes below that folder, folders on
/// the way are made. Throws std::runtime_error naming the path.
class TreeWriter {
 public:
  explicit TreeWriter(std::string root);

  void folder(std::string_view path, mode_t mode = 0755, std::optional<Owner> owner = {});
  void file(std::string_view path, std::string_view content, const FileOptions& options = {});
  /// Data at the start and at `size` minus the data's length, nothing between.
  void sparse_file(std::string_view path, std::string_view data, std::uint64_t size);
  void hard_link(std::string_view existing, std::string_view path);
  void symlink(std::string_view target, std::string_view path);
  void attribute(std::string_view path, const char* name, std::string_view value);
  /// user::rw-, user:NUMBER:rw-, group::r--, mask::rw-, other::r--
  void access_list(std::string_view path, std::uint32_t user);
  void immutable(std::string_view path);

  /// Sets the folders' times and the flags; nothing may be written after it.
  void finish();

  [[nodiscard]] std::size_t files() const { return files_; }
  /// What this file system or this user could not do.
  [[nodiscard]] const std::vector<std::string>& left_out() const { return left_out_; }

 private:
  [[nodiscard]] std::string full(std::string_view path) const;
  void parents(std::string_view path);
  void times(std::string_view path, std::optional<std::int64_t> day) const;
  void set_attribute(std::string_view path, const char* name, std::string_view value,
                     const char* what);

  std::string root_;
  std::map<std::string, mode_t, std::less<>> folders_;
  std::vector<std::string> immutable_;
  std::vector<std::string> left_out_;
  std::size_t files_ = 0;
};

}  // namespace sample
