#include "remediate/interchange/items.h"

#include <algorithm>
#include <array>

#include "remediate/base/encoding.h"
#include "remediate/crypto/digest.h"
#include "remediate/playbook/trivial_digest.h"

namespace remediate::interchange {

namespace {

constexpr std::size_t longest_name = 200;
constexpr std::size_t longest_kept = 4096;  // of what an item that is left out says

/// Digests of what says nothing: one byte, once or in a row, byte order marks, empty pages.
std::set<std::string> nothing_digests() {
  using namespace std::string_view_literals;
  std::set<std::string> digests;
  const auto add = [&](std::string_view content) {
    for (const auto algorithm :
         {crypto::Algorithm::sha256, crypto::Algorithm::sha1, crypto::Algorithm::md5})
      digests.insert(crypto::digest_hex(algorithm, content));
  };
  for (const std::string_view content :
       {"\r\n\r\n"sv, "\xEF\xBB\xBF"sv, "\xFF\xFE"sv, "\xFE\xFF"sv, "{}"sv, "{}\n"sv, "[]"sv,
        "[]\n"sv, "null"sv, "true"sv, "false"sv, "0\n"sv, "1\n"sv, "ok"sv, "ok\n"sv, "OK"sv,
        "OK\n"sv, "test"sv, "test\n"sv, "<?php"sv, "<?php\n"sv, "<?php\n?>"sv, "<?php ?>"sv,
        // The index files that applications put into folders so that nothing is listed.
        "<?php\n// Silence is golden."sv, "<?php\n// Silence is golden.\n"sv,
        "<?php\n// Silence is golden.\n?>"sv, "<?php\r\n// Silence is golden.\r\n"sv,
        "<?php // Silence is golden"sv, "<?php //silence is golden"sv, "<html></html>"sv,
        "<html></html>\n"sv, "<html><body></body></html>"sv, "<html><body></body></html>\n"sv,
        "<!DOCTYPE html><title></title>"sv, "<!DOCTYPE html><title></title>\n"sv,
        "<html><body bgcolor=\"#FFFFFF\"></body></html>"sv})
    add(content);
  for (int byte = 0; byte < 256; ++byte) add(std::string(1, static_cast<char>(byte)));
  // One byte again and again: cut off, preallocated or wiped files. Zeros in every number of
  // blocks.
  constexpr std::size_t short_run = 64, long_run = 1u << 20, block = 512, blocks = 128;
  for (const char byte : {'\0', '\xFF', ' ', '\n'}) {
    const std::string run(long_run, byte);
    for (std::size_t size = 2; size <= short_run; ++size)
      add(std::string_view(run).substr(0, size));
    for (std::size_t size = short_run; size <= long_run; size *= 2)
      add(std::string_view(run).substr(0, size));
    for (std::size_t n = 1; byte == '\0' && n <= blocks; ++n)
      add(std::string_view(run).substr(0, n * block));
  }
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

void Collected::seen(const std::string& object, const std::string& version, bool withdrawn) {
  if (object.empty()) return;
  auto& latest = latest_[object];
  latest = std::max(latest, std::pair(version, withdrawn));
}

std::string_view Collected::outdated(const Item& item) const {
  const auto found = latest_.find(item.object);
  if (found == latest_.end() || found->second <= std::pair(item.version, false)) return {};
  return found->second.second ? "it was revoked or deleted, perhaps in another file"
                              : "a later version of it stands in the files";
}

void Collected::take(Item item) { entries_.push_back({std::move(item), {}}); }

void Collected::leave_out(std::string place, std::string_view what, std::string reason) {
  Item item;
  item.place = std::move(place);
  item.name = what.substr(0, longest_kept);
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
  // A path or a regular expression stays what it is: only the backslash is not written twice.
  const std::string safe = display(text, longest_name);
  std::string shown;
  for (std::size_t at = 0; at < safe.size(); ++at) {
    shown += safe[at];
    if (safe[at] == '\\' && at + 1 < safe.size() && safe[at + 1] == '\\') ++at;
  }
  return shown;
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
