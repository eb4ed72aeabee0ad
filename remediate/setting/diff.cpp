#include "remediate/setting/diff.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace remediate::setting {
namespace {

constexpr std::size_t around = 3;
constexpr std::size_t longest_line = 2000;
constexpr std::int64_t most_edits = 1000;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto end = text.find('\n');
    const auto size = end == std::string_view::npos ? text.size() : end + 1;
    out.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return out;
}

struct Step {
  char kind;  // ' ', '-' or '+'
  std::string_view line;
};

using Lines = std::vector<std::string_view>;

/// Myers' greedy algorithm with one saved frontier an edit; false when it needs too many edits.
bool shortest_edit(const Lines& a, const Lines& b, std::vector<Step>& out) {
  const auto n = static_cast<std::int64_t>(a.size());
  const auto m = static_cast<std::int64_t>(b.size());
  const auto limit = std::min(n + m, most_edits);
  const auto line_a = [&](std::int64_t i) { return a[static_cast<std::size_t>(i)]; };
  const auto line_b = [&](std::int64_t i) { return b[static_cast<std::size_t>(i)]; };
  // frontier[d][k + d] is how far in `a` diagonal k gets with d edits.
  std::vector<std::vector<std::int64_t>> frontier;
  const auto reach = [&](std::int64_t d, std::int64_t k) {
    if (d < 0) return std::int64_t{0};
    const auto& row = frontier[static_cast<std::size_t>(d)];
    return k < -d || k > d ? std::int64_t{-1} : row[static_cast<std::size_t>(k + d)];
  };
  const auto goes_down = [&](std::int64_t d, std::int64_t k) {
    return k == -d || (k != d && reach(d - 1, k - 1) < reach(d - 1, k + 1));
  };
  std::int64_t d = 0;
  bool done = false;
  for (; d <= limit && !done; ++d) {
    std::vector<std::int64_t> row(static_cast<std::size_t>(2 * d + 1), -1);
    for (auto k = -d; k <= d; k += 2) {
      auto x = d == 0 ? 0 : goes_down(d, k) ? reach(d - 1, k + 1) : reach(d - 1, k - 1) + 1;
      auto y = x - k;
      while (x < n && y < m && y >= 0 && line_a(x) == line_b(y)) ++x, ++y;
      row[static_cast<std::size_t>(k + d)] = x;
      if (x >= n && y >= m) done = true;
    }
    frontier.push_back(std::move(row));
  }
  if (!done) return false;
  std::vector<Step> back;
  auto x = n;
  auto y = m;
  for (--d; d >= 0; --d) {
    const auto k = x - y;
    const bool down = d > 0 && goes_down(d, k);
    const auto from_k = down ? k + 1 : k - 1;
    const auto from_x = d == 0 ? 0 : reach(d - 1, from_k);
    const auto from_y = d == 0 ? 0 : from_x - from_k;
    const auto turn_x = d == 0 ? 0 : down ? from_x : from_x + 1;
    while (x > turn_x && y > 0 && x - turn_x > 0) back.push_back({' ', line_a(--x)}), --y;
    if (d > 0) back.push_back(down ? Step{'+', line_b(from_y)} : Step{'-', line_a(from_x)});
    x = from_x;
    y = from_y;
  }
  out.insert(out.end(), back.rbegin(), back.rend());
  return true;
}

void print(std::string& out, const Step& step) {
  const bool ended = step.line.ends_with('\n');
  auto line = step.line.substr(0, step.line.size() - (ended ? 1 : 0));
  out.push_back(step.kind);
  if (line.size() > longest_line) {
    auto cut = longest_line;
    while (cut > 0 && (static_cast<unsigned char>(line[cut]) & 0xC0u) == 0x80u) --cut;
    out += line.substr(0, cut);
    out += " ... (" + std::to_string(line.size() - cut) + " more bytes)";
  } else {
    out += line;
  }
  out += ended ? "\n" : "\n\\ No newline at end of file\n";
}

std::string place(std::size_t first, std::size_t count) {
  const auto shown = count == 0 ? first : first + 1;
  return std::to_string(shown) + (count == 1 ? "" : "," + std::to_string(count));
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after) {
  if (before == after) return {};
  auto a = lines_of(before);
  auto b = lines_of(after);
  std::size_t head = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) ++head;
  std::size_t tail = 0;
  while (tail < a.size() - head && tail < b.size() - head &&
         a[a.size() - 1 - tail] == b[b.size() - 1 - tail])
    ++tail;
  const auto middle = [&](const Lines& all) {
    return Lines(all.begin() + static_cast<std::ptrdiff_t>(head),
                 all.end() - static_cast<std::ptrdiff_t>(tail));
  };
  std::vector<Step> steps;
  const std::size_t lead = std::min(head, around);
  for (std::size_t i = head - lead; i < head; ++i) steps.push_back({' ', a[i]});
  const auto old_lines = middle(a);
  const auto new_lines = middle(b);
  if (!shortest_edit(old_lines, new_lines, steps)) {
    for (const auto line : old_lines) steps.push_back({'-', line});
    for (const auto line : new_lines) steps.push_back({'+', line});
  }
  for (std::size_t i = 0; i < std::min(tail, around); ++i)
    steps.push_back({' ', a[a.size() - tail + i]});

  std::string out = "--- before\n+++ after\n";
  std::size_t line_a = head - lead;
  std::size_t line_b = line_a;
  for (std::size_t i = 0; i < steps.size();) {
    std::size_t change = i;
    while (change < steps.size() && steps[change].kind == ' ') ++change;
    if (change == steps.size()) break;
    const std::size_t first = change - std::min(around, change - i);
    line_a += first - i;
    line_b += first - i;
    std::size_t end = change;
    for (std::size_t j = change, same = 0; j < steps.size() && same <= 2 * around; ++j) {
      same = steps[j].kind == ' ' ? same + 1 : 0;
      if (same == 0) end = j + 1;
    }
    end = std::min(end + around, steps.size());
    std::string body;
    std::size_t count_a = 0;
    std::size_t count_b = 0;
    for (std::size_t j = first; j < end; ++j) {
      print(body, steps[j]);
      if (steps[j].kind != '+') ++count_a;
      if (steps[j].kind != '-') ++count_b;
    }
    out += "@@ -" + place(line_a, count_a) + " +" + place(line_b, count_b) + " @@\n" + body;
    line_a += count_a;
    line_b += count_b;
    i = end;
  }
  return out;
}

std::optional<std::vector<std::pair<std::size_t, std::size_t>>> matching_items(
    const std::vector<std::string_view>& a, const std::vector<std::string_view>& b) {
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  std::size_t head = 0;
  while (head < a.size() && head < b.size() && a[head] == b[head]) {
    pairs.emplace_back(head, head);
    ++head;
  }
  std::size_t tail = 0;
  while (tail < a.size() - head && tail < b.size() - head &&
         a[a.size() - 1 - tail] == b[b.size() - 1 - tail])
    ++tail;
  const auto middle = [&](const Lines& all) {
    return Lines(all.begin() + static_cast<std::ptrdiff_t>(head),
                 all.end() - static_cast<std::ptrdiff_t>(tail));
  };
  std::vector<Step> steps;
  if (!shortest_edit(middle(a), middle(b), steps)) return std::nullopt;
  std::size_t i = head;
  std::size_t j = head;
  for (const Step& step : steps) {
    if (step.kind == ' ') pairs.emplace_back(i, j);
    if (step.kind != '+') ++i;
    if (step.kind != '-') ++j;
  }
  for (; tail > 0; --tail) pairs.emplace_back(a.size() - tail, b.size() - tail);
  return pairs;
}

}  // namespace remediate::setting
