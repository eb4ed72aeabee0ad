#include "remediate/setting/xml_difference.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "remediate/base/try.h"
#include "remediate/setting/redact.h"

namespace remediate::setting {
namespace {

struct RawDifference {
  Difference shown;
  std::string place;  // the address without the numbers of twins
  std::uint64_t before = 0, after = 0;
};

/// The numbers of twins shift when one of them comes or goes.
std::string without_numbers(std::string_view address) {
  std::string out;
  bool quoted = false;
  for (std::size_t i = 0; i < address.size(); ++i) {
    if (quoted && address[i] == '\\' && i + 1 < address.size()) {
      out += address.substr(i++, 2);
      continue;
    }
    if (address[i] == '[') quoted = true;
    if (address[i] == ']') quoted = false;
    if (!quoted && address[i] == '#') {
      while (i + 1 < address.size() && address[i + 1] != '/') ++i;
      continue;
    }
    out.push_back(address[i]);
  }
  return out;
}

/// How much two elements of one identity have in common.
std::size_t likeness(const Model& a, std::uint32_t x, const Model& b, std::uint32_t y) {
  std::size_t common = 0;
  for (const auto& attribute : a.elements[x].attributes)
    common += static_cast<std::size_t>(std::ranges::count(b.elements[y].attributes, attribute));
  std::set<std::uint64_t> inside;
  for (auto i = x + 1; i < a.elements[x].subtree_end; ++i)
    inside.insert(a.elements[i].subtree_hash);
  for (auto i = y + 1; i < b.elements[y].subtree_end; ++i)
    common += inside.contains(b.elements[i].subtree_hash) ? 1 : 0;
  return common;
}

/// Twins that are not equal: the most alike first when they are few, else in order.
void pair_by_likeness(const Model& a, std::span<const std::uint32_t> from, const Model& b,
                      std::vector<std::size_t> left, std::vector<std::uint32_t> right,
                      std::vector<std::uint32_t>& partners) {
  static constexpr std::size_t few = 8;
  if (left.size() > few || right.size() > few) {
    for (std::size_t n = 0; n < std::min(left.size(), right.size()); ++n)
      partners[left[n]] = right[n];
    return;
  }
  while (!left.empty() && !right.empty()) {
    std::size_t best_left = 0, best_right = 0, best = 0;
    for (std::size_t l = 0; l < left.size(); ++l)
      for (std::size_t r = 0; r < right.size(); ++r)
        if (const auto common = likeness(a, from[left[l]], b, right[r]); common > best) {
          best = common;
          best_left = l;
          best_right = r;
        }
    partners[left[best_left]] = right[best_right];
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(best_left));
    right.erase(right.begin() + static_cast<std::ptrdiff_t>(best_right));
  }
}

class Comparison {
 public:
  Comparison(const Model& a, const Model& b) : a_(a), b_(b) {}

  Result<std::vector<RawDifference>> run() {
    TRY(elements(0, 0));
    std::ranges::sort(found_, {}, [](const RawDifference& d) {
      return std::tie(d.shown.address, d.shown.attribute, d.shown.kind, d.shown.before,
                      d.shown.after);
    });
    return std::move(found_);
  }

 private:
  using Kind = Difference::Kind;

  Result<void> add(Kind kind, std::string address, std::string attribute, std::string before,
                   std::string after, std::uint64_t before_hash, std::uint64_t after_hash) {
    static constexpr std::size_t most = 100'000;
    static constexpr std::size_t most_bytes = 64u << 20;
    bytes_ += 2 * address.size() + attribute.size() + before.size() + after.size();
    if (found_.size() >= most || bytes_ > most_bytes)
      return fail(Code::limit,
                  "the two configurations differ in more than " + std::to_string(most) +
                      " settings or 64 MiB of text",
                  "check that these are two versions of one file");
    auto place = without_numbers(address);
    found_.push_back(
        {{kind, std::move(address), std::move(attribute), std::move(before), std::move(after)},
         std::move(place),
         before_hash,
         after_hash});
    return {};
  }

  Result<void> elements(std::uint32_t i, std::uint32_t j) {
    TRY(attributes(i, j));
    const auto& x = a_.elements[i];
    const auto& y = b_.elements[j];
    if (x.text != y.text) {
      const bool secret = is_secret_text(x) || is_secret_text(y);
      TRY(add(Kind::changed, a_.address(i), "@text", secret ? std::string(secret_mark) : x.text,
              secret ? std::string(changed_secret_mark) : y.text, std::hash<std::string>{}(x.text),
              std::hash<std::string>{}(y.text)));
    }
    const auto from = a_.children(i);
    const auto to = b_.children(j);
    const auto partners = pair_siblings(a_, from, b_, to);
    std::vector<std::pair<std::uint32_t, std::uint32_t>> kept;
    std::vector<std::uint32_t> taken;
    for (std::size_t n = 0; n < from.size(); ++n) {
      if (partners[n] == no_element) {
        TRY(add(Kind::removed, a_.address(from[n]), "", describe_element(a_, from[n]), "",
                a_.elements[from[n]].subtree_hash, 0));
        continue;
      }
      kept.emplace_back(from[n], partners[n]);
      taken.push_back(partners[n]);
      TRY(elements(from[n], partners[n]));
    }
    const bool in_order = std::ranges::is_sorted(taken);
    std::ranges::sort(taken);
    for (const auto candidate : to)
      if (!std::ranges::binary_search(taken, candidate))
        TRY(add(Kind::added, b_.address(candidate), "", "", describe_element(b_, candidate), 0,
                b_.elements[candidate].subtree_hash));
    if (!in_order && i != 0) TRY(order(i, kept, taken));
    return {};
  }

  Result<void> order(std::uint32_t parent,
                     const std::vector<std::pair<std::uint32_t, std::uint32_t>>& kept,
                     const std::vector<std::uint32_t>& sorted) {
    std::unordered_map<std::uint32_t, std::uint32_t> back;
    for (const auto& [x, y] : kept) back.emplace(y, x);
    std::string before, after;
    for (std::size_t n = 0; n < kept.size(); ++n) {
      if (kept[n].second == sorted[n]) continue;
      if (before.size() > 500) break;
      before += (before.empty() ? "" : ", ") + a_.elements[kept[n].first].segment;
      after += (after.empty() ? "" : ", ") + a_.elements[back.at(sorted[n])].segment;
    }
    return add(Kind::changed, a_.address(parent), "@order", std::move(before), std::move(after), 0,
               0);
  }

  Result<void> attributes(std::uint32_t i, std::uint32_t j) {
    const auto& x = a_.elements[i];
    const auto& y = b_.elements[j];
    if (x.attributes == y.attributes) return {};
    struct Sides {
      const std::string* before = nullptr;
      const std::string* after = nullptr;
    };
    std::map<std::string_view, Sides> sides;
    for (const auto& [name, value] : x.attributes) sides[name].before = &value;
    for (const auto& [name, value] : y.attributes) sides[name].after = &value;
    const auto text = [](const ModelElement& element, std::string_view name,
                         const std::string* value, std::string_view mark) {
      if (!value) return std::string();
      return is_secret_attribute(element, name, *value) ? std::string(mark) : *value;
    };
    const auto hash = [](const std::string* value) {
      return value ? std::hash<std::string>{}(*value) : 0;
    };
    for (const auto& [name, side] : sides) {
      if (side.before && side.after && *side.before == *side.after) continue;
      const auto kind = !side.after ? Kind::removed : !side.before ? Kind::added : Kind::changed;
      TRY(add(kind, a_.address(i), std::string(name), text(x, name, side.before, secret_mark),
              text(y, name, side.after, kind == Kind::changed ? changed_secret_mark : secret_mark),
              hash(side.before), hash(side.after)));
    }
    return {};
  }

  const Model& a_;
  const Model& b_;
  std::vector<RawDifference> found_;
  std::size_t bytes_ = 0;
};

}  // namespace

std::vector<std::uint32_t> pair_siblings(const Model& a, std::span<const std::uint32_t> from,
                                         const Model& b, std::span<const std::uint32_t> to) {
  struct Twins {
    std::vector<std::size_t> left;  // positions in `from`
    std::vector<std::uint32_t> right;
  };
  std::unordered_map<std::string_view, Twins> groups;
  std::vector<std::uint32_t> partners(from.size(), no_element);
  for (std::size_t n = 0; n < from.size(); ++n)
    groups[a.elements[from[n]].segment].left.push_back(n);
  for (const auto candidate : to) {
    const auto group = groups.find(b.elements[candidate].segment);
    if (group != groups.end()) group->second.right.push_back(candidate);
  }
  for (auto& [segment, twins] : groups) {
    if (twins.left.size() == 1 && twins.right.size() == 1) {
      partners[twins.left.front()] = twins.right.front();
      continue;
    }
    std::unordered_map<std::uint64_t, std::deque<std::uint32_t>> equals;
    for (const auto candidate : twins.right)
      equals[b.elements[candidate].subtree_hash].push_back(candidate);
    std::vector<std::size_t> open;
    std::vector<std::uint32_t> taken;
    for (const auto n : twins.left) {
      auto equal = equals.find(a.elements[from[n]].subtree_hash);
      if (equal == equals.end() || equal->second.empty()) {
        open.push_back(n);
        continue;
      }
      partners[n] = equal->second.front();
      taken.push_back(partners[n]);
      equal->second.pop_front();
    }
    std::ranges::sort(taken);
    std::vector<std::uint32_t> free;
    for (const auto candidate : twins.right)
      if (!std::ranges::binary_search(taken, candidate)) free.push_back(candidate);
    pair_by_likeness(a, from, b, open, free, partners);
  }
  return partners;
}

Result<std::vector<Difference>> difference_of(const Model& a, const Model& b) {
  TRY_LET(auto raw, Comparison(a, b).run());
  std::vector<Difference> out;
  for (auto& difference : raw) out.push_back(std::move(difference.shown));
  return out;
}

Result<bool> differs_only_like(const Model& a, const Model& b, const Model& c, const Model& d) {
  TRY_LET(const auto these, Comparison(a, b).run());
  TRY_LET(const auto allowed, Comparison(c, d).run());
  std::map<std::tuple<Difference::Kind, std::string_view, std::string_view, std::uint64_t,
                      std::uint64_t>,
           std::size_t>
      left;
  const auto key = [](const RawDifference& raw) {
    return std::tuple<Difference::Kind, std::string_view, std::string_view, std::uint64_t,
                      std::uint64_t>(raw.shown.kind, raw.place, raw.shown.attribute, raw.before,
                                     raw.after);
  };
  for (const auto& raw : allowed) ++left[key(raw)];
  for (const auto& raw : these) {
    const auto found = left.find(key(raw));
    if (found == left.end() || found->second == 0) return false;
    --found->second;
  }
  return true;
}

}  // namespace remediate::setting
