#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include <catch2/catch.hpp>

#include "configurations.h"

namespace remediate::setting::test {
namespace {

constexpr std::array<const char*, 9> kinds{"site",         "application", "virtualDirectory",
                                           "location",     "handler",     "module",
                                           "globalModule", "isapiFilter", "metadataKey"};

/// The settings of some kinds; there is always a location.
std::vector<Setting> some_settings(Generator& random, const std::string& file) {
  std::vector<Setting> out;
  const auto other = kinds[random.below(kinds.size())];
  for (const auto kind : {"location", "virtualDirectory", other}) {
    if (kind == other && !out.empty() && out.back().kind == other) continue;
    auto settings = provider().find(file, query(kind));
    REQUIRE(settings);
    out.insert(out.end(), settings->begin(), settings->end());
  }
  return out;
}

bool has(const Setting& setting_, const std::string& name) {
  return std::ranges::any_of(setting_.attributes, [&](const auto& a) { return a.first == name; });
}

Edit random_edit(Generator& random, const Setting& target) {
  switch (random.below(4)) {
    case 0:
      if (has(target, "note"))
        return {target.address, Change{ChangeKind::remove_attribute, "note", "", ""}};
      return setting(target.address, "enabled", "false");
    case 1:
      return setting(target.address, random.chance(2) ? "note" : "marker",
                     random.chance(2) ? "edited" : "<e> & \"e\"\n'");
    default:
      return removal(target.address);
  }
}

/// Some edits that the provider takes, and its result; empty edits when it took none.
std::pair<std::vector<Edit>, Edited> random_edits(Generator& random, const std::string& file,
                                                  std::size_t most) {
  const auto settings = some_settings(random, file);
  for (int attempt = 0; attempt < 20 && !settings.empty(); ++attempt) {
    std::vector<Edit> edits;
    const auto count = 1 + random.below(most);
    for (std::size_t i = 0; i < count; ++i)
      edits.push_back(random_edit(random, settings[random.below(settings.size())]));
    auto result = provider().edit(file, edits);
    if (result) return {std::move(edits), std::move(*result)};
    INFO(result.error().text());
    REQUIRE((result.error().code == Code::refused || result.error().code == Code::bad_input));
  }
  return {};
}

/// Positions of `note="n<number>"` by number.
std::map<std::string, std::size_t> notes(const std::string& text) {
  std::map<std::string, std::size_t> out;
  for (auto at = text.find("note=\"n"); at != std::string::npos; at = text.find("note=\"n", at + 1))
    out[text.substr(at, text.find('"', at + 6) - at)] = at;
  return out;
}

/// A later edit by somebody else, as plain text replacement.
struct Foreign {
  std::string what, with;
  [[nodiscard]] std::string in(const std::string& text) const {
    return what.empty() ? text + with : replaced(text, what, with);
  }
};

Foreign random_foreign(Generator& random, const std::string& before, const std::string& after) {
  const auto old_notes = notes(before);
  std::vector<std::string> common;
  for (const auto& [name, at] : notes(after))
    if (old_notes.contains(name)) common.push_back(name);
  if (common.empty() || random.chance(10)) return {"", "\r\n<!-- later -->\n"};
  const auto name = common[random.below(common.size())] + "\"";
  switch (random.below(3)) {
    case 0:
      return {name, "note='by somebody else'"};
    case 1:
      return {name, name + "\n\textra" + std::to_string(random.below(1'000'000)) + "=\"1\""};
    default:
      return {name, "late" + std::to_string(random.below(1'000'000)) + "='2' " + name};
  }
}

bool xmllint_accepts(const std::string& bytes) {
  const auto path = std::filesystem::temp_directory_path() /
                    ("remediate-setting-" + std::to_string(std::rand()) + ".config");
  std::ofstream(path, std::ios::binary) << bytes;
  const auto status =
      std::system(("xmllint --noout --nonet '" + path.string() + "' 2>/dev/null").c_str());
  std::filesystem::remove(path);
  return status == 0;
}

/// How many files had each shape that a careless editor loses.
class Shapes {
 public:
  void count(const std::string& file) {
    const bool crlf = file.find("\r\n") != std::string::npos;
    std::string lone = file;
    for (auto at = lone.find("\r\n"); at != std::string::npos; at = lone.find("\r\n", at))
      lone.erase(at, 2);
    const bool lf = lone.find('\n') != std::string::npos;
    add("mark", file.starts_with("\xef\xbb\xbf"));
    add("CRLF", crlf && !lf);
    add("LF", lf && !crlf);
    add("mixed ends", lf && crlf);
    add("tabs", file.find("\n\t") != std::string::npos);
    add("references", file.find("&#x") != std::string::npos);
    add("raw > in a value", raw_greater(file));
    add("tags over lines", tag_over_lines(file));
    add("decoy comments", file.find("<!--") != std::string::npos);
    const auto root_end = file.rfind("</configuration>");
    add("content after the root",
        root_end != std::string::npos && file.find("<!--", root_end) != std::string::npos);
    add("no final end", !file.ends_with('\n'));
    add("no declaration", file.find("<?xml") == std::string::npos);
  }
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const auto& [name, number] : counts_)
      out += (out.empty() ? "" : ", ") + std::to_string(number) + " " + name;
    return out;
  }
  [[nodiscard]] std::size_t rarest() const {
    std::size_t least = SIZE_MAX;
    for (const auto& [name, number] : counts_) least = std::min(least, number);
    return least;
  }

 private:
  void add(const std::string& name, bool has_it) { counts_[name] += has_it ? 1 : 0; }

  /// Calls `see(place, in_value)` for each byte of a tag.
  template <class See>
  static void each_in_tags(const std::string& file, See see) {
    for (std::size_t at = 0; at < file.size(); ++at) {
      if (file.compare(at, 4, "<!--") == 0) {
        at = std::min(file.size(), file.find("-->", at));
        continue;
      }
      if (file[at] != '<' || at + 1 >= file.size() || file[at + 1] == '/' || file[at + 1] == '?')
        continue;
      char quote = 0;
      for (; at < file.size() && (quote != 0 || file[at] != '>'); ++at) {
        see(file[at], quote != 0);
        if (quote != 0 ? file[at] == quote : file[at] == '"' || file[at] == '\'')
          quote = quote != 0 ? '\0' : file[at];
      }
    }
  }
  static bool raw_greater(const std::string& file) {
    bool found = false;
    each_in_tags(file, [&](char c, bool in_value) { found = found || (c == '>' && in_value); });
    return found;
  }
  static bool tag_over_lines(const std::string& file) {
    bool found = false;
    each_in_tags(file, [&](char c, bool in_value) { found = found || (c == '\n' && !in_value); });
    return found;
  }

  std::map<std::string, std::size_t> counts_;
};

/// Where two texts differ, from both ends.
std::pair<std::size_t, std::size_t> differing(const std::string& a, const std::string& b) {
  std::size_t head = 0;
  while (head < std::min(a.size(), b.size()) && a[head] == b[head]) ++head;
  std::size_t tail = 0;
  while (tail < std::min(a.size(), b.size()) - head &&
         a[a.size() - 1 - tail] == b[b.size() - 1 - tail])
    ++tail;
  return {head, a.size() - tail};
}

}  // namespace

TEST_CASE("random edits of random files: undone exactly, also under later changes of others") {
  const bool have_xmllint = std::system("xmllint --version >/dev/null 2>&1") == 0;
  std::size_t edited_files = 0;
  std::size_t foreign_kept = 0;
  Shapes shapes;
  for (std::uint32_t seed = 1; seed <= 520; ++seed) {
    Generator random(seed);
    const auto before = random.file();
    INFO("seed " << seed);
    const auto [edits, edited] = random_edits(random, before, 5);
    if (edits.empty()) continue;
    ++edited_files;
    shapes.count(before);
    const auto& after = edited.bytes;
    CHECK((edited.differences.empty() == (before == after)));
    CHECK((edited.diff.empty() == (before == after)));
    const auto undone = provider().undo(before, after, after);
    REQUIRE(undone);
    REQUIRE(undone->bytes == before);

    const auto again = provider().compare(before, after);
    REQUIRE(again);
    CHECK(*again == edited.differences);

    auto current = after;
    auto expected = before;
    for (std::size_t i = 0; i < 1 + random.below(3); ++i) {
      const auto foreign = random_foreign(random, expected, current);
      current = foreign.in(current);
      expected = foreign.in(expected);
    }
    const auto merged = provider().undo(before, after, current);
    INFO((merged ? std::string() : merged.error().text()));
    REQUIRE(merged);
    REQUIRE(merged->bytes == expected);
    ++foreign_kept;
    const auto twice = provider().undo(before, after, merged->bytes);
    INFO((twice ? std::string() : twice.error().text()));
    REQUIRE(twice);
    CHECK(twice->bytes == merged->bytes);

    if (have_xmllint && seed % 50 == 0) {
      CHECK(xmllint_accepts(before));
      CHECK(xmllint_accepts(after));
      CHECK(xmllint_accepts(merged->bytes));
    }
  }
  CHECK(edited_files >= 500);
  CHECK(foreign_kept == edited_files);
  WARN(edited_files << " files edited and undone byte for byte, each also under later changes of "
                    << "others: " << shapes.text());
  CHECK(shapes.rarest() >= 40);
}

TEST_CASE("one edit changes no byte outside the lines of its setting") {
  std::size_t checked = 0;
  for (std::uint32_t seed = 1001; seed <= 1300; ++seed) {
    Generator random(seed);
    const auto before = random.file();
    const auto settings = some_settings(random, before);
    const auto& target = settings[random.below(settings.size())];
    if (target.kind == "site" || target.kind == "application" || target.kind == "virtualDirectory")
      continue;  // these may take others with them
    INFO("seed " << seed << " " << target.address);
    const auto edited = provider().edit(before, {random_edit(random, target)});
    REQUIRE(edited);
    const auto [begin, end] = differing(before, edited->bytes);
    auto first = before.rfind('\n', target.offset);
    first = first == std::string::npos ? 0 : first + 1;
    const auto name_end = before.find_first_of(" \n\r\t/>", target.offset + 1);
    const auto name = before.substr(target.offset + 1, name_end - target.offset - 1);
    auto last = before.find("</" + name + ">", target.offset);
    const auto closed = before.find("/>", target.offset);
    const auto opened = before.find('<', target.offset + 1);
    if (closed != std::string::npos && closed < opened) last = closed;
    last = before.find('>', last) + 1;
    while (last < before.size() &&
           (before[last] == '\r' || before[last] == '\n' || before[last] == ' '))
      ++last;
    // Equal bytes at both edges can only move the differing part to the right.
    CHECK(begin >= first);
    CHECK(end <= last + (last - first));
    CHECK(edited->bytes.substr(0, first) == before.substr(0, first));
    const auto tail = before.substr(last);
    CHECK(edited->bytes.ends_with(tail));
    ++checked;
  }
  CHECK(checked >= 100);
}

TEST_CASE("removals leave a subsequence of the lines and no new blank line") {
  for (std::uint32_t seed = 2001; seed <= 2100; ++seed) {
    Generator random(seed);
    const auto before = random.file();
    const auto settings = some_settings(random, before);
    std::vector<Edit> edits;
    for (std::size_t i = 0; i < 1 + random.below(6); ++i)
      edits.push_back(removal(settings[random.below(settings.size())].address));
    INFO("seed " << seed);
    const auto edited = provider().edit(before, edits);
    if (!edited) {
      REQUIRE(edited.error().code == Code::refused);
      continue;
    }
    const auto blank = [](const std::string& line) {
      return line.find_first_not_of(" \t\r") == std::string::npos;
    };
    std::istringstream old_lines(before);
    std::istringstream new_lines(edited->bytes);
    std::ptrdiff_t blanks = 0;
    std::string old_line;
    for (std::string line; std::getline(new_lines, line);) {
      if (line.ends_with('\r')) line.pop_back();
      blanks -= blank(line) ? 1 : 0;
      bool found = false;
      while (!found && std::getline(old_lines, old_line)) {
        if (old_line.ends_with('\r')) old_line.pop_back();
        blanks += blank(old_line) ? 1 : 0;
        // A line may keep what stood beside a removed element.
        const auto words = line.substr(std::min(line.size(), line.find_first_not_of(" \t")));
        found = old_line == line || (words.size() < old_line.size() && !blank(words) &&
                                     (old_line.ends_with(words) || old_line.starts_with(line)));
      }
      INFO(line);
      REQUIRE(found);
    }
    while (std::getline(old_lines, old_line)) blanks += blank(old_line) ? 1 : 0;
    CHECK(blanks >= 0);
  }
}

}  // namespace remediate::setting::test
