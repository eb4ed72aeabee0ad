#include <array>
#include <optional>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/observe/package_database.h"
#include "remediate/observe/sqlite_file.h"

namespace remediate::observe {
namespace {

constexpr std::uint32_t max_texts = 4u << 20;  // of a tag
constexpr std::array places = {"usr/lib/sysimage/rpm", "var/lib/rpm"};

enum Tag : std::uint32_t {
  tag_name = 1000,
  tag_old_filenames = 1027,
  tag_file_digests = 1035,
  tag_directory_indexes = 1116,
  tag_base_names = 1117,
  tag_directory_names = 1118,
  tag_digest_algorithm = 5011
};

/// A package's header: big-endian, an index of tags, then their data. Nothing in it is trusted.
class Header {
 public:
  explicit Header(std::string_view bytes) : bytes_(bytes) {
    if (bytes.size() < 8) return;
    count_ = number_at(0);
    const std::uint64_t data = 8 + std::uint64_t{count_} * entry_bytes;
    if (data + number_at(4) > bytes.size()) return;
    data_ = bytes.substr(static_cast<std::size_t>(data), number_at(4));
    valid_ = true;
  }
  [[nodiscard]] bool valid() const { return valid_; }

  /// Texts of a tag; none when it is missing, nothing when it is damaged.
  [[nodiscard]] std::optional<std::vector<std::string_view>> texts(Tag tag) const {
    std::vector<std::string_view> found;
    const auto entry = find(tag);
    if (!entry) return found;
    std::string_view rest = data_.substr(std::min<std::size_t>(entry->offset, data_.size()));
    if (entry->count > rest.size() || entry->count > max_texts) return std::nullopt;
    found.reserve(entry->count);
    for (std::uint32_t index = 0; index < entry->count; ++index) {
      const std::size_t end = rest.find('\0');
      if (end == std::string_view::npos) return std::nullopt;
      found.push_back(rest.substr(0, end));
      rest.remove_prefix(end + 1);
    }
    return found;
  }

  [[nodiscard]] std::optional<std::vector<std::uint32_t>> numbers(Tag tag) const {
    std::vector<std::uint32_t> found;
    const auto entry = find(tag);
    if (!entry) return found;
    if (entry->offset + std::uint64_t{entry->count} * 4 > data_.size()) return std::nullopt;
    found.reserve(entry->count);
    const std::size_t start = data_start() + entry->offset;
    for (std::uint32_t index = 0; index < entry->count; ++index)
      found.push_back(number_at(start + index * 4));
    return found;
  }

 private:
  static constexpr std::uint64_t entry_bytes = 16;
  struct Entry {
    std::uint32_t offset = 0;
    std::uint32_t count = 0;
  };

  [[nodiscard]] std::size_t data_start() const { return 8 + count_ * entry_bytes; }

  [[nodiscard]] std::uint32_t number_at(std::size_t at) const {
    std::uint32_t value = 0;
    for (std::size_t index = 0; index < 4; ++index)
      value = value << 8 | static_cast<unsigned char>(bytes_[at + index]);
    return value;
  }

  [[nodiscard]] std::optional<Entry> find(Tag tag) const {
    for (std::uint32_t index = 0; index < count_; ++index) {
      const std::size_t at = 8 + index * entry_bytes;
      if (number_at(at) == tag) return Entry{number_at(at + 8), number_at(at + 12)};
    }
    return std::nullopt;
  }

  std::string_view bytes_, data_;
  std::uint32_t count_ = 0;
  bool valid_ = false;
};

std::optional<crypto::Algorithm> algorithm_of(const std::vector<std::uint32_t>& told) {
  switch (told.empty() ? 1 : told.front()) {
    case 1:
      return crypto::Algorithm::md5;
    case 2:
      return crypto::Algorithm::sha1;
    case 8:
      return crypto::Algorithm::sha256;
    default:
      return std::nullopt;
  }
}

class Rpm {
 public:
  Rpm(const host::Directory& contents, const WantedFiles& wanted, PackageFiles& found)
      : contents_(contents), wanted_(wanted), found_(found) {
    for (const auto& entry : wanted) {
      const std::string& path = entry.first;
      base_names_.emplace(path.substr(path.rfind('/') + 1), true);
    }
  }

  /// False for a header that cannot be understood.
  bool package(std::string_view bytes) {
    const Header header(bytes);
    if (!header.valid()) return false;
    const auto name = header.texts(tag_name);
    const auto names = header.texts(tag_base_names);
    const auto folders = header.texts(tag_directory_names);
    const auto indexes = header.numbers(tag_directory_indexes);
    const auto whole = header.texts(tag_old_filenames);
    if (!name || name->empty() || !names || !folders || !indexes || !whole) return false;
    if (indexes->size() != names->size()) return false;
    for (std::size_t index = 0; index < names->size(); ++index) {
      if ((*indexes)[index] >= folders->size()) return false;
      if (base_names_.contains((*names)[index]))
        file(header, std::string((*folders)[(*indexes)[index]]) + std::string((*names)[index]),
             index, name->front());
    }
    for (std::size_t index = 0; index < whole->size(); ++index)
      file(header, std::string((*whole)[index]), index, name->front());
    return true;
  }

 private:
  void file(const Header& header, const std::string& path, std::size_t index,
            std::string_view package) {
    const auto wanted = wanted_.find(path);
    if (wanted == wanted_.end()) return;
    const auto [owner, first] = found_.owned.try_emplace(
        wanted->second, PackageFile{"rpm", std::string(package), PackageFile::Content::unknown});
    if (!first) return;
    const auto digests = header.texts(tag_file_digests);
    const auto told = header.numbers(tag_digest_algorithm);
    if (!digests || !told || index >= digests->size() || (*digests)[index].empty()) return;
    if (const auto algorithm = algorithm_of(*told))
      owner->second.content =
          compare_content(contents_, wanted->second, *algorithm, (*digests)[index]);
  }

  const host::Directory& contents_;
  const WantedFiles& wanted_;
  PackageFiles& found_;
  std::map<std::string, bool, std::less<>> base_names_;
};

void notice(PackageFiles& found, const std::string& place, std::string why) {
  found.notices.push_back({.kind = Issue::Kind::not_looked_up,
                           .where = place,
                           .reason = "the rpm database: " + std::move(why) +
                                     "; files of its packages are not recognised"});
}

Result<void> read_database(const host::Directory& folder, Rpm& rpm) {
  TRY_LET(const auto file, folder.open_file("rpmdb.sqlite", host::Access::read));
  bool understood = true;
  TRY(query_sqlite(*file, "SELECT blob FROM Packages", [&](std::string_view bytes) {
    understood = rpm.package(bytes);
    return understood;
  }));
  if (!understood) return fail(Code::corrupt, "a package's header is damaged");
  return {};
}

}  // namespace

void find_rpm_files(const host::Directory& root, const host::Directory& contents,
                    const WantedFiles& wanted, PackageFiles& found) {
  bool linked = false, met = false;
  std::string link;
  for (const char* name : places) {
    const auto place = RawPath::parse(name);
    if (!place) continue;
    const auto folder = root.open_directory(*place, host::Mounts::cross);
    if (!folder) {
      if (folder.error().code == Code::not_found) continue;
      linked = true;  // var/lib/rpm is a link to the other place on newer systems
      link = folder.error().text();
      continue;
    }
    if (const auto entry = (*folder)->stat_entry("rpmdb.sqlite"); entry) {
      met = true;
      Rpm rpm(contents, wanted, found);
      if (const auto read = read_database(**folder, rpm); !read)
        add_unread(found,
                   "the rpm database below " + std::string(name) + ": " + read.error().text());
      if (const auto log = (*folder)->stat_entry("rpmdb.sqlite-wal"); log && log->size > 0)
        notice(found, name, "a transaction in rpmdb.sqlite-wal is not written back yet");
      continue;
    }
    for (const char* older : {"Packages", "Packages.db"})
      if (const auto entry = (*folder)->stat_entry(older); entry && entry->size > 0) {
        met = true;
        notice(found, name, std::string(older) + " has a format that is not read");
      }
  }
  found.looked_up = found.looked_up || met || linked;
  if (linked && !met) notice(found, places.back(), link);
}

}  // namespace remediate::observe
