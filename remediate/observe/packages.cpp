#include "remediate/observe/packages.h"

#include <array>

#include "remediate/base/try.h"
#include "remediate/host/durable.h"
#include "remediate/observe/package_database.h"

namespace remediate::observe {
namespace {

constexpr std::size_t chunk = 1u << 18;
constexpr std::uint64_t max_compared_bytes = 1u << 30;

Result<std::string> digest_of(const host::Directory& contents, const RawPath& path,
                              crypto::Algorithm algorithm) {
  TRY_LET(const auto parent, contents.open_directory(path.parent(), host::Mounts::cross));
  TRY_LET(const auto file, parent->open_file(path.name(), host::Access::read));
  crypto::Digest digest(algorithm);
  std::string buffer(chunk, '\0');
  for (std::uint64_t offset = 0; offset < max_compared_bytes;) {
    TRY_LET(const std::size_t count, file->read_at(offset, buffer));
    if (count == 0) return digest.finish_hex();
    digest.update(std::string_view(buffer).substr(0, count));
    offset += count;
  }
  return fail(Code::limit, path.display() + " is too large to be compared");
}

constexpr std::uint32_t others_write = 022;

/// Whether only root could have written the folder, from `root` down. Who else writes there could
/// plant a database that forbids every removal, or one that hides the true one.
bool only_root_writes(const host::Directory& root, std::string_view place) {
  const auto good = [](const Result<FileStat>& stat) {
    return stat && stat->owner == 0 && (stat->mode & others_write) == 0;
  };
  if (!good(root.stat())) return false;
  auto path = RawPath::parse(place);
  for (bool opened = false; path && !path->is_root(); path = path->parent()) {
    const auto folder = root.open_directory(*path, host::Mounts::cross);
    // What cannot be opened there was put there by whoever writes the folders above it.
    if (!folder && !opened) continue;
    opened = true;
    if (!folder || !good((*folder)->stat())) return false;
  }
  return path.has_value();
}

bool is_there(const host::Directory& root, std::string_view place) {
  const auto path = RawPath::parse(place);
  if (!path) return false;
  const auto opened = root.open_directory(*path, host::Mounts::cross);
  return opened || opened.error().code != Code::not_found;
}

}  // namespace

PackageFile::Content compare_content(const host::Directory& contents, const RawPath& file,
                                     crypto::Algorithm algorithm, std::string_view hexadecimal) {
  const auto digest = digest_of(contents, file, algorithm);
  if (!digest) return PackageFile::Content::unknown;
  return *digest == hexadecimal ? PackageFile::Content::as_delivered
                                : PackageFile::Content::different;
}

void add_unread(PackageFiles& found, const std::string& why) {
  if (!found.unread.empty()) found.unread += "; ";
  found.unread += why;
}

PackageFiles find_package_files(const host::Directory& root, const std::string& prefix,
                                const host::Directory& contents, std::span<const RawPath> files) {
  PackageFiles found;
  if (files.empty()) return found;
  WantedFiles wanted;
  for (const RawPath& file : files) wanted.emplace(prefix + "/" + file.bytes(), file);
  constexpr std::array<std::string_view, 3> databases = {"var/lib/dpkg", "var/lib/rpm",
                                                         "usr/lib/sysimage/rpm"};
  bool believed = true;
  for (const std::string_view place : databases) {
    if (!is_there(root, place) || only_root_writes(root, place)) continue;
    believed = false;
    found.notices.push_back({Issue::Kind::not_looked_up, std::string(place),
                             "others than root can write there, so this database of packages is "
                             "not believed"});
  }
  if (!believed) return found;
  find_dpkg_files(root, contents, wanted, found);
  find_rpm_files(root, contents, wanted, found);
  return found;
}

}  // namespace remediate::observe
