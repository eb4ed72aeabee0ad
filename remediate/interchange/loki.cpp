#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/interchange/items.h"
#include "remediate/interchange/path_pattern.h"

// IOC lists of LOKI and THOR. What a file is follows from its name, as it does there.

namespace remediate::interchange {

namespace {

constexpr std::size_t max_line = 4096;
constexpr int low_score = 60;  // LOKI calls less than that no more than a notice
constexpr int high_score = 80;

/// -1 when it is none.
int score_of(std::string_view text) {
  text = trimmed(text);
  if (text.empty() || text.size() > 3 ||
      text.find_first_not_of("0123456789") != std::string_view::npos)
    return -1;
  int score = 0;
  for (const char c : text) score = score * 10 + (c - '0');
  return score;
}

std::string_view confidence_of(int score) {
  if (score >= high_score) return "high";
  return score >= low_score ? "medium" : "low";
}

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t end = std::min(line.find(';'), line.size());
    fields.push_back(trimmed(line.substr(0, end)));
    if (end == line.size()) return fields;
    line.remove_prefix(end + 1);
  }
}

struct Place {
  const ImportFile& file;
  std::size_t index;
  std::string_view comment;  // the last one above the line
};

void read_digest(const Place& at, std::string_view line, bool harmless, Collected& collected) {
  const std::vector<std::string_view> fields = fields_of(line);
  const std::string place = line_place(at.file, at.index);
  const std::string_view digest = fields.front();
  if (digest_kind(digest).empty()) {
    collected.leave_out(place, line, "there is no MD5, SHA-1 or SHA-256 before the first ';'");
    return;
  }
  if (harmless) {
    collected.known_good(ascii_lower(digest));
    collected.leave_out(place, line, "known good by its list: no indicator holds this digest");
    return;
  }
  Item item;
  item.place = place;
  const int score = fields.size() > 2 ? score_of(fields[1]) : -1;
  std::string_view comment = line.substr(std::min(line.find(';') + 1, line.size()));
  if (line.find(';') == std::string_view::npos) comment = at.comment;
  if (score >= 0) {
    comment = comment.substr(comment.find(';') + 1);
    item.confidence = confidence_of(score);
    item.review_only = score < low_score;
    if (item.review_only)
      item.notes.emplace_back("for review: its score is below " + std::to_string(low_score));
  }
  item.name = comment;
  item.ways.push_back(digest_way(digest));
  item.source = line_source("loki", at.file, at.index);
  collected.take(std::move(item));
}

void read_name(const Place& at, std::string_view line, Collected& collected) {
  const std::string place = line_place(at.file, at.index);
  const std::vector<std::string_view> fields = fields_of(line);
  int score = -1;
  if (fields.size() > 1) {
    score = score_of(fields[1]);
    if (score < 0) {
      collected.leave_out(place, line, "the score is not a number of at most three digits");
      return;
    }
  }
  if (fields.size() > 3) {
    collected.leave_out(place, line, "there are more than the three fields REGEX;SCORE;REGEX");
    return;
  }
  if (fields.size() == 3 && !fields[2].empty()) {
    collected.leave_out(place, line,
                        "it has a false-positive pattern, and without that it would find more");
    return;
  }
  PathPattern pattern = translate_path_regex(fields.front());
  if (!pattern.fault.empty()) {
    collected.leave_out(place, line, "globs cannot say its pattern: " + pattern.fault);
    return;
  }
  Item item;
  item.place = place;
  item.name = at.comment.empty() ? fields.front() : at.comment;
  item.confidence = score >= 0 ? confidence_of(score) : "low";
  item.review_only = true;
  item.notes.emplace_back("for review: a name is no evidence");
  if (pattern.narrower) item.notes.emplace_back("narrower: globs say less than its pattern");
  Way way;
  way.globs = std::move(pattern.globs);
  item.ways.push_back(std::move(way));
  item.source = line_source("loki", at.file, at.index);
  collected.take(std::move(item));
}

enum class Kind : std::uint8_t { digests, harmless, names, network };

Kind kind_of(const ImportFile& file, const std::vector<std::string_view>& lines) {
  const std::string name = ascii_lower(file.name.substr(file.name.rfind('/') + 1));
  const auto has = [&](std::string_view part) { return name.find(part) != std::string::npos; };
  if (has("c2-") || has("keyword")) return Kind::network;
  if (has("filename")) return Kind::names;
  if (has("falsepositive") || has("false-positive")) return Kind::harmless;
  if (has("hash")) return Kind::digests;
  for (const std::string_view line : lines) {
    const std::string_view text = trimmed(line);
    if (text.empty() || text.starts_with('#')) continue;
    return digest_kind(fields_of(text).front()).empty() ? Kind::names : Kind::digests;
  }
  return Kind::digests;
}

}  // namespace

Result<void> read_loki(const ImportFile& file, Collected& collected) {
  const std::vector<std::string_view> lines = lines_of(file.bytes);
  const Kind kind = kind_of(file, lines);
  std::string_view comment;
  for (std::size_t index = 0; index < lines.size(); ++index) {
    const std::string_view line = trimmed(lines[index]);
    if (line.empty()) continue;
    if (line.starts_with('#')) {
      comment = trimmed(line.substr(std::min(line.find_first_not_of('#'), line.size())));
      continue;
    }
    TRY(collected.begin());
    if (line.size() > max_line) {
      collected.leave_out(line_place(file, index), line, "the line is longer than 4096 bytes");
    } else if (kind == Kind::network) {
      collected.leave_out(line_place(file, index), line, "no indicator of files");
    } else if (kind == Kind::names) {
      read_name({file, index, comment}, line, collected);
    } else {
      read_digest({file, index, comment}, line, kind == Kind::harmless, collected);
    }
  }
  return {};
}

}  // namespace remediate::interchange
