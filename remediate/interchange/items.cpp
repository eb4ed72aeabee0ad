#include "remediate/interchange/items.h"

#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/crypto/digest.h"
#include "remediate/playbook/trivial_digest.h"

namespace remediate::interchange {

namespace {

constexpr std::size_t longest_name = 200;

/// Digests of what hardly a file says: one byte, byte order marks, line breaks.
std::set<std::string> nothing_digests() {
  using namespace std::string_view_literals;
  std::vector<std::string> contents = {"\r\n\r\n",     "\n\n",     "\n\n\n",
                                       "\xEF\xBB\xBF", "\xFF\xFE", "\xFE\xFF"};
  contents.emplace_back("\0\0"sv);
  contents.emplace_back("\0\0\0\0"sv);
  for (int byte = 0; byte < 256; ++byte) contents.emplace_back(1, static_cast<char>(byte));
  std::set<std::string> digests;
  for (const std::string& content : contents)
    for (const auto algorithm :
         {crypto::Algorithm::sha256, crypto::Algorithm::sha1, crypto::Algorithm::md5})
      digests.insert(crypto::digest_hex(algorithm, content));
  return digests;
}

}  // namespace

Result<void> Collected::begin() {
  if (read_ >= max_import_items)
    return fail(Code::limit,
                "there are more than " + std::to_string(max_import_items) + " items to read",
                "import the files in parts, each into a playbook of its own");
  ++read_;
  return {};
}

void Collected::take(Item item) { entries_.push_back({std::move(item), {}}); }

void Collected::leave_out(std::string place, std::string_view what, std::string reason) {
  Item item;
  item.place = std::move(place);
  item.name = short_text(what);
  entries_.push_back({std::move(item), std::move(reason)});
}

std::string_view digest_kind(std::string_view text) {
  if (text.find_first_not_of("0123456789abcdefABCDEF") != std::string_view::npos) return {};
  if (text.size() == 64) return "sha256";
  if (text.size() == 40) return "sha1";
  if (text.size() == 32) return "md5";
  return {};
}

Way digest_way(std::string_view digest) {
  Way way;
  const std::string_view kind = digest_kind(digest);
  (kind == "sha256" ? way.sha256 : kind == "sha1" ? way.sha1 : way.md5) = ascii_lower(digest);
  return way;
}

std::string_view digest_fault(const std::string& digest) {
  static const std::set<std::string> nothing = nothing_digests();
  if (playbook::is_trivial_digest(digest))
    return "the digest of the empty file or of a line break: it would take every such file";
  if (nothing.contains(digest))
    return "the digest of a file with hardly any content: it would take every such file";
  if (digest.find_first_not_of(digest.front()) == std::string::npos)
    return "a placeholder, not a digest";
  return {};
}

std::string short_text(std::string_view text, std::string_view otherwise) {
  text = trimmed(text);
  if (text.empty()) text = otherwise;
  return display(text, longest_name);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blank = " \t\r\n\f\v";
  const std::size_t first = text.find_first_not_of(blank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blank) - first + 1);
}

std::vector<std::string_view> lines_of(std::string_view text) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

std::string line_place(const ImportFile& file, std::size_t index) {
  return display(file.name) + ":" + std::to_string(index + 1);
}

Provenance line_source(std::string_view format, const ImportFile& file, std::size_t index) {
  Provenance source;
  source.format = format;
  source.id = short_text(file.name, "a list");
  source.object = "line " + std::to_string(index + 1);
  return source;
}

}  // namespace remediate::interchange
