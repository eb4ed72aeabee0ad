#include <array>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/interchange/items.h"

// Lists of digests: one a line with whatever follows, the output of md5sum and its kin (both
// forms), of hashdeep, and tables whose first column is the digest.

namespace remediate::interchange {

namespace {

constexpr std::size_t max_line = 4096;

bool is_comment(std::string_view line) {
  return line.empty() || line.starts_with('#') || line.starts_with(';') || line.starts_with("//");
}

/// Whole texts of other digests: told apart from lines that hold none.
bool is_other_digest(std::string_view text) {
  return (text.size() == 56 || text.size() == 96 || text.size() == 128) &&
         text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

struct Line {
  std::string_view digest;
  std::string_view rest;
};

/// "SHA256 (name) = digest"
std::optional<Line> tagged(std::string_view line) {
  const std::size_t open = line.find(" (");
  const std::size_t close = line.rfind(") = ");
  if (open == std::string_view::npos || close == std::string_view::npos || close < open)
    return std::nullopt;
  return Line{trimmed(line.substr(close + 4)), line.substr(open + 2, close - open - 2)};
}

Line leading(std::string_view line) {
  // md5sum marks a name with escapes by a backslash before the digest.
  if (line.starts_with('\\')) line.remove_prefix(1);
  const bool quoted = line.starts_with('"');
  if (quoted) line.remove_prefix(1);
  const std::size_t end = std::min(line.find_first_of(quoted ? "\"" : " \t,;|"), line.size());
  std::string_view rest = line.substr(std::min(end + 1, line.size()));
  rest = trimmed(rest.substr(std::min(rest.find_first_not_of(" \t,;|*\""), rest.size())));
  if (rest.ends_with('"')) rest.remove_suffix(1);
  return {line.substr(0, end), rest};
}

/// The columns of hashdeep's "%%%% size,md5,sha256,filename".
class Columns {
 public:
  explicit Columns(std::string_view header) : names_(split(header)) {}

  [[nodiscard]] std::optional<Item> read(std::string_view line) const {
    const std::vector<std::string_view> values = split(line, names_.size());
    if (values.size() != names_.size()) return std::nullopt;
    Item item;
    Way way;
    for (std::size_t at = 0; at < names_.size(); ++at) {
      if (names_[at] == "filename") item.name = values[at];
      if (names_[at] != "md5" && names_[at] != "sha1" && names_[at] != "sha256") continue;
      if (digest_kind(values[at]) != names_[at]) return std::nullopt;
      const Way one = digest_way(values[at]);
      way.sha256 += one.sha256;
      way.sha1 += one.sha1;
      way.md5 += one.md5;
    }
    if (way.sha256.empty() && way.sha1.empty() && way.md5.empty()) return std::nullopt;
    item.ways.push_back(std::move(way));
    return item;
  }

 private:
  static std::vector<std::string_view> split(std::string_view text, std::size_t most = SIZE_MAX) {
    std::vector<std::string_view> parts;
    while (true) {
      const std::size_t end =
          parts.size() + 1 < most ? std::min(text.find(','), text.size()) : text.size();
      parts.push_back(trimmed(text.substr(0, end)));
      if (end == text.size()) return parts;
      text.remove_prefix(end + 1);
    }
  }
  std::vector<std::string_view> names_;
};

}  // namespace

Result<void> read_hash_list(const ImportFile& file, Collected& collected) {
  std::optional<Columns> columns;
  const std::vector<std::string_view> lines = lines_of(file.bytes);
  for (std::size_t index = 0; index < lines.size(); ++index) {
    const std::string_view line = trimmed(lines[index]);
    if (line.starts_with("%%%%")) {
      if (const std::string_view header = trimmed(line.substr(4)); !header.starts_with("HASHDEEP"))
        columns.emplace(header);
      continue;
    }
    if (is_comment(line)) continue;
    TRY(collected.begin());
    const std::string place = line_place(file, index);
    if (line.size() > max_line) {
      collected.leave_out(place, line, "the line is longer than 4096 bytes");
      continue;
    }
    Item item;
    if (columns) {
      if (auto read = columns->read(line)) {
        item = std::move(*read);
      } else {
        collected.leave_out(place, line, "the line does not fit the columns that hashdeep named");
        continue;
      }
    } else {
      const Line parts = tagged(line).value_or(leading(line));
      if (digest_kind(parts.digest).empty()) {
        collected.leave_out(place, line,
                            is_other_digest(parts.digest)
                                ? "no indicator has digests of this kind: SHA-256, SHA-1 and MD5"
                                : "there is no digest where one should stand");
        continue;
      }
      item.name = parts.rest;
      item.ways.push_back(digest_way(parts.digest));
    }
    item.place = place;
    item.source = line_source("hashes", file, index);
    collected.take(std::move(item));
  }
  return {};
}

}  // namespace remediate::interchange
