#include "remediate/run/trusted_file.h"

#include <vector>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/durable.h"

namespace remediate::run {
namespace {

Result<void> check_owner(const FileStat& stat, const std::string& what, std::uint32_t user) {
  if (stat.owner != 0 && stat.owner != user)
    return fail(Code::configuration,
                display(what) + " belongs to user " + std::to_string(stat.owner),
                "the policy, what it names and every folder above must belong to root or to the "
                "user who runs the tool");
  const bool sticky_folder = stat.kind == FileKind::directory && (stat.mode & 01000u) != 0;
  if ((stat.mode & 022u) != 0 && !sticky_folder)
    return fail(Code::configuration, display(what) + " can be written by others",
                "chmod go-w it, and look who changed it");
  return {};
}

/// The names from the top down; "." and ".." are taken away, which is exact where no part is a
/// link.
Result<std::vector<std::string>> names_of(host::Host& host, std::string path) {
  if (!path.starts_with('/')) {
    TRY_LET(const auto here, host.open_root("."));
    path = here->location() + "/" + path;
  }
  std::vector<std::string> names;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t end = std::min(path.find('/', at), path.size());
    std::string name = path.substr(at, end - at);
    at = end + 1;
    if (name.empty() || name == ".") continue;
    if (name != "..")
      names.push_back(std::move(name));
    else if (!names.empty())
      names.pop_back();
  }
  if (names.empty())
    return fail(Code::configuration, display(path) + " is not a file", "name a file");
  return names;
}

Result<void> check_no_link(const host::Directory& folder, const std::string& name,
                           const std::string& path) {
  TRY_LET(const FileStat stat, folder.stat_entry(name));
  if (stat.kind != FileKind::symlink) return {};
  return fail(Code::configuration, display(path) + " is a symbolic link",
              "name the real place: whoever can turn a link chooses the policy");
}

}  // namespace

Result<std::string> read_trusted(host::Host& host, const std::string& path,
                                 std::uint64_t max_bytes) {
  TRY_LET(std::vector<std::string> names, names_of(host, path));
  const std::string last = std::move(names.back());
  names.pop_back();
  TRY_LET(auto folder, host.open_root("/"));
  std::string so_far;
  for (const std::string& name : names) {
    TRY_LET(const FileStat stat, folder->stat());
    TRY(check_owner(stat, so_far.empty() ? "/" : so_far, host.user()));
    so_far += "/" + name;
    TRY(check_no_link(*folder, name, so_far));
    TRY_LET(const RawPath below, RawPath::parse(name));
    TRY_LET(folder, folder->open_directory(below, host::Mounts::cross));
  }
  TRY_LET(const FileStat folder_stat, folder->stat());
  TRY(check_owner(folder_stat, so_far.empty() ? "/" : so_far, host.user()));
  TRY(check_no_link(*folder, last, path));
  TRY_LET(const auto file, folder->open_file(last, host::Access::read));
  TRY_LET(const FileStat stat, file->stat());
  TRY(check_owner(stat, path, host.user()));
  return host::read_whole(*file, max_bytes);
}

Result<std::string> trusted_place(host::Host& host, const std::string& path) {
  TRY_LET(const std::vector<std::string> names, names_of(host, path));
  std::string place;
  for (const std::string& name : names) place += "/" + name;
  return place;
}

}  // namespace remediate::run
