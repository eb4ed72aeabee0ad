#include <algorithm>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/diff.h"
#include "remediate/setting/directives.h"
#include "remediate/setting/redact.h"

namespace remediate::setting {
namespace {

using Lines = std::vector<std::string_view>;
using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;

Lines lines_of(const DirectiveFile& file) {
  Lines out;
  const std::string_view bytes = file.bytes;
  for (std::size_t index = 0; index < file.lines.size(); ++index) {
    const std::size_t end = index + 1 < file.lines.size() ? file.lines[index + 1] : bytes.size();
    out.push_back(bytes.substr(file.lines[index], end - file.lines[index]));
  }
  return out;
}

std::unexpected<Error> conflict(const std::string& what) {
  return fail(Code::conflict, what, "settle this setting by hand; nothing was written");
}

Result<Pairs> pairs_of(const Lines& a, const Lines& b) {
  auto pairs = matching_items(a, b);
  if (!pairs) return conflict("the file was changed too much to tell which change is whose");
  return std::move(*pairs);
}

/// A run of lines of `after` that our change put in the place of a run of `before`.
struct Hunk {
  std::size_t before_from, before_to;
  std::size_t after_from, after_to;
};

std::vector<Hunk> hunks_of(const Pairs& pairs, std::size_t before_size, std::size_t after_size) {
  std::vector<Hunk> out;
  std::size_t i = 0;
  std::size_t j = 0;
  const auto close = [&](std::size_t to_i, std::size_t to_j) {
    if (i < to_i || j < to_j) out.push_back({i, to_i, j, to_j});
    i = to_i + 1;
    j = to_j + 1;
  };
  for (const auto& [x, y] : pairs) close(x, y);
  if (i < before_size || j < after_size) out.push_back({i, before_size, j, after_size});
  return out;
}

/// Our change taken back hunk by hunk: its lines must still be there as we left them.
class Merge {
 public:
  Merge(const Lines& before, const Lines& after, const Lines& current)
      : before_(before), after_(after), current_(current) {}

  Result<std::string> run() {
    TRY_LET(const Pairs changes, pairs_of(before_, after_));
    TRY_LET(const Pairs later, pairs_of(after_, current_));
    std::vector<std::size_t> now(after_.size(), nowhere);
    for (const auto& [x, y] : later) now[x] = y;
    std::string out;
    std::size_t done = 0;  // lines of `current` that are written
    for (const Hunk& hunk : hunks_of(changes, before_.size(), after_.size())) {
      TRY_LET(const auto place, place_of(hunk, now));
      if (place.first < done) return conflict("later changes stand in the way");
      for (; done < place.first; ++done) append(out, current_[done]);
      for (std::size_t line = hunk.before_from; line < hunk.before_to; ++line)
        append(out, before_[line]);
      done = place.second;
    }
    for (; done < current_.size(); ++done) append(out, current_[done]);
    return out;
  }

 private:
  static constexpr std::size_t nowhere = SIZE_MAX;

  /// The lines of `current` that stand where the hunk was: they must be exactly ours.
  Result<std::pair<std::size_t, std::size_t>> place_of(const Hunk& hunk,
                                                       const std::vector<std::size_t>& now) const {
    for (std::size_t line = hunk.after_from; line < hunk.after_to; ++line) {
      if (now[line] == nowhere || (line > hunk.after_from && now[line] != now[line - 1] + 1))
        return conflict("what was put in its place was changed since: " +
                        display(after_[line], 200));
    }
    if (hunk.after_from < hunk.after_to)
      return std::pair(now[hunk.after_from], now[hunk.after_to - 1] + 1);
    if (hunk.after_from > 0 && now[hunk.after_from - 1] != nowhere) {
      const std::size_t at = now[hunk.after_from - 1] + 1;
      return std::pair(at, at);
    }
    if (hunk.after_from < after_.size() && now[hunk.after_from] != nowhere)
      return std::pair(now[hunk.after_from], now[hunk.after_from]);
    if (hunk.after_from == 0) return std::pair(std::size_t{0}, std::size_t{0});
    if (after_.empty() || hunk.after_from == after_.size())
      return std::pair(current_.size(), current_.size());
    return conflict("the lines around the removed ones are gone");
  }

  /// A last line without a line end gets one when something follows it.
  static void append(std::string& out, std::string_view line) {
    if (!out.empty() && out.back() != '\n' && out.back() != '\r') out.push_back('\n');
    out += line;
  }

  const Lines& before_;
  const Lines& after_;
  const Lines& current_;
};

std::string place_of(const Directive& directive) {
  return joined(directive.inside, " / ") + " | " + directive.key;
}

/// Where a key is set, for the question whether somebody else set it meanwhile.
std::multiset<std::string> settings_of(const DirectiveFile& file,
                                       const std::set<std::string>& keys) {
  std::multiset<std::string> out;
  for (const Directive& directive : file.directives) {
    const std::string place = place_of(directive);
    if (keys.contains(place)) out.insert(place + " = " + joined(directive.arguments, "\n"));
  }
  return out;
}

/// What is set at one place, for people; a secret is only said to be one.
std::string told_of(const DirectiveFile& file, const std::string& place,
                    std::string_view secret = secret_mark) {
  std::string out;
  for (const Directive& directive : file.directives) {
    if (place_of(directive) != place) continue;
    out += out.empty() ? "" : ", ";
    out += is_secret(directive) ? std::string(secret)
                                : "'" + display(joined(directive.arguments, " "), 200) + "'";
    if (out.size() > 600) return out + " and more";
  }
  return out.empty() ? "absent" : out;
}

/// Of a setting that is neither as it was before our change nor as our change left it.
std::string changed_again(const DirectiveFile& old_file, const DirectiveFile& our_file,
                          const DirectiveFile& now_file, const std::set<std::string>& keys) {
  for (const std::string& key : keys) {
    if (settings_of(our_file, {key}) == settings_of(now_file, {key})) continue;
    const std::size_t bar = key.find(" | ");
    const std::string place = (bar == 0 ? "" : key.substr(0, bar) + " / ") + key.substr(bar + 3);
    return "a setting that was changed was changed again since: " + display(place, 200) + " was " +
           told_of(old_file, key) + ", was changed to " + told_of(our_file, key) + " and is now " +
           told_of(now_file, key, changed_secret_mark);
  }
  return "a setting that was changed was changed again since";
}

std::set<std::string> changed_keys(const DirectiveFile& a, const DirectiveFile& b) {
  std::multiset<std::string> seen;
  std::set<std::string> out;
  const auto full = [](const Directive& directive) {
    return place_of(directive) + " = " + joined(directive.arguments, "\n");
  };
  for (const Directive& directive : a.directives) seen.insert(full(directive));
  for (const Directive& directive : b.directives) {
    const auto twin = seen.find(full(directive));
    if (twin == seen.end())
      out.insert(place_of(directive));
    else
      seen.erase(twin);
  }
  for (const Directive& directive : a.directives)
    if (seen.contains(full(directive))) out.insert(place_of(directive));
  return out;
}

}  // namespace

Result<Edited> undo_directives(const Grammar& grammar, std::string_view before,
                               std::string_view after, std::string_view current) {
  TRY_LET(const DirectiveFile old_file, grammar.parse(before));
  TRY_LET(const DirectiveFile our_file, grammar.parse(after));
  TRY_LET(const DirectiveFile now_file, grammar.parse(current));
  if (current == after) return describe_edit(now_file, old_file);
  if (current == before) return describe_edit(now_file, now_file);

  const std::set<std::string> keys = changed_keys(old_file, our_file);
  if (settings_of(now_file, keys) == settings_of(old_file, keys))
    return describe_edit(now_file, now_file);  // somebody put it back already
  if (settings_of(now_file, keys) != settings_of(our_file, keys))
    return conflict(changed_again(old_file, our_file, now_file, keys));

  TRY_LET(const std::string merged,
          Merge(lines_of(old_file), lines_of(our_file), lines_of(now_file)).run());
  TRY_LET(const DirectiveFile result, grammar.parse(merged));
  if (settings_of(result, keys) != settings_of(old_file, keys))
    return conflict("the setting would not stand where it stood");
  const std::set<std::string> moved = changed_keys(now_file, result);
  if (!std::ranges::includes(keys, moved))
    return conflict("taking the change back would change another setting");
  return describe_edit(now_file, result);
}

}  // namespace remediate::setting
