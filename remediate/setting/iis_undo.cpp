#include <algorithm>
#include <map>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/iis_edit.h"
#include "remediate/setting/redact.h"
#include "remediate/setting/xml_difference.h"

namespace remediate::setting {
namespace {

using Indices = std::vector<std::uint32_t>;

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

/// Three-way merge over the three trees: what is the same in `before` and `after` stays as
/// `current` has it; what is the same in `after` and `current` goes back to `before`, as whole
/// byte ranges where possible, else attribute by attribute and child by child.
class Merge {
 public:
  Merge(const Document& before, const Document& after, const Document& current)
      : before_(before), after_(after), current_(current) {}

  Result<std::vector<Patch>> run() {
    const auto outside = [&](bool head) {
      const auto part = [&](const Document& document) {
        const auto root = document.tree.elements.front().range;
        const auto size = static_cast<std::uint32_t>(document.tree.bytes.size());
        return head ? Span{0, root.begin} : Span{root.end, size};
      };
      gap(part(before_), part(after_), part(current_));
    };
    outside(true);
    TRY(element(0, 0, 0));
    outside(false);
    return std::move(patches_);
  }

 private:
  [[nodiscard]] static std::string_view bytes(const Document& document, std::uint32_t i) {
    return document.tree.text(document.tree.elements[i].range);
  }
  [[nodiscard]] static const XmlAttribute* attribute(const Document& document, std::uint32_t i,
                                                     std::string_view name) {
    const auto& element = document.tree.elements[i];
    for (std::uint32_t a = 0; a < element.attribute_count; ++a) {
      const auto& candidate = document.tree.attributes[element.first_attribute + a];
      if (document.tree.text(candidate.name) == name) return &candidate;
    }
    return nullptr;
  }

  [[nodiscard]] static std::unexpected<Error> conflict(std::string what) {
    return fail(Code::conflict, std::move(what),
                "settle this setting by hand; nothing was written");
  }

  /// True when the gap is settled.
  bool gap(Span b, Span a, Span c) {
    const auto old_text = before_.tree.text(b);
    const auto our_text = after_.tree.text(a);
    const auto now = current_.tree.text(c);
    if (our_text != now) return old_text == our_text || old_text == now;
    if (old_text != our_text) patches_.push_back({c, std::string(old_text)});
    return true;
  }

  Result<void> element(std::uint32_t b, std::uint32_t a, std::uint32_t c) {
    const auto old_bytes = bytes(before_, b);
    const auto our_bytes = bytes(after_, a);
    const auto now = bytes(current_, c);
    if (old_bytes == our_bytes || old_bytes == now) return {};
    if (our_bytes == now) {
      patches_.push_back({current_.tree.elements[c].range, std::string(old_bytes)});
      return {};
    }
    TRY(start_tag(b, a, c));
    TRY(text(b, a, c));
    return children(b, a, c);
  }

  Result<void> start_tag(std::uint32_t b, std::uint32_t a, std::uint32_t c) {
    const auto& x = before_.tree.elements[b];
    const auto& y = after_.tree.elements[a];
    const auto& z = current_.tree.elements[c];
    const bool same_form =
        x.self_closing() == y.self_closing() && y.self_closing() == z.self_closing();
    if (same_form && gap(x.start_tag, y.start_tag, z.start_tag)) return {};
    std::vector<std::string> names;
    for (const auto& [name, value] : before_.model.elements[b].attributes) names.push_back(name);
    for (const auto& [name, value] : after_.model.elements[a].attributes)
      if (!before_.model.elements[b].attribute(name)) names.push_back(name);
    for (const auto& name : names) TRY(one_attribute(name, b, a, c));
    return {};
  }

  Result<void> one_attribute(const std::string& name, std::uint32_t b, std::uint32_t a,
                             std::uint32_t c) {
    const auto* old_value = before_.model.elements[b].attribute(name);
    const auto* our_value = after_.model.elements[a].attribute(name);
    const auto* now = current_.model.elements[c].attribute(name);
    const auto equal = [](const std::string* x, const std::string* y) {
      return x == y || (x && y && *x == *y);
    };
    if (equal(old_value, our_value) || equal(old_value, now)) return {};
    if (!equal(our_value, now))
      return conflict(current_.model.address(c) + ": the attribute " + name + " was " +
                      shown(before_, b, name, old_value, secret_mark) + ", was changed to " +
                      shown(after_, a, name, our_value, secret_mark) + " and is now " +
                      shown(current_, c, name, now, changed_secret_mark));
    const auto* here = attribute(current_, c, name);
    const auto* there = attribute(before_, b, name);
    if (!there) {
      patches_.push_back({here->whole, ""});
      return {};
    }
    if (here) {
      const auto raw = before_.tree.text(there->value);
      patches_.push_back({here->value, raw.contains(here->quote)
                                           ? encode_attribute(*old_value, here->quote)
                                           : std::string(raw)});
      return {};
    }
    auto at = current_.tree.elements[c].name.end;
    for (const auto& [earlier, value] : before_.model.elements[b].attributes) {
      if (earlier == name) break;
      if (const auto* neighbour = attribute(current_, c, earlier)) at = neighbour->whole.end;
    }
    patches_.push_back({{at, at}, std::string(before_.tree.text(there->whole))});
    return {};
  }

  [[nodiscard]] static std::string shown(const Document& document, std::uint32_t i,
                                         std::string_view name, const std::string* value,
                                         std::string_view secret) {
    if (!value) return "absent";
    if (is_secret_attribute(document.model.elements[i], name, *value)) return std::string(secret);
    return "'" + display(*value, 300) + "'";
  }

  Result<void> text(std::uint32_t b, std::uint32_t a, std::uint32_t c) {
    const auto& old_text = before_.model.elements[b].text;
    const auto& our_text = after_.model.elements[a].text;
    const auto& now = current_.model.elements[c].text;
    if (old_text == our_text || old_text == now) return {};
    const auto leaf = [](const Document& document, std::uint32_t i) {
      return document.model.elements[i].subtree_end == i + 1 &&
             !document.tree.elements[i].self_closing();
    };
    if (our_text != now || !leaf(before_, b) || !leaf(after_, a) || !leaf(current_, c)) {
      const bool secret =
          is_secret_text(before_.model.elements[b]) || is_secret_text(current_.model.elements[c]);
      return conflict(current_.model.address(c) + ": the text was " +
                      (secret ? std::string(secret_mark) : "'" + display(old_text, 300) + "'") +
                      " and is now " +
                      (secret ? std::string(changed_secret_mark) : "'" + display(now, 300) + "'"));
    }
    const auto content = [](const Document& document, std::uint32_t i) {
      const auto& element = document.tree.elements[i];
      return Span{element.start_tag.end, element.end_tag.begin};
    };
    patches_.push_back({content(current_, c), std::string(before_.tree.text(content(before_, b)))});
    return {};
  }

  /// The children of one element in the three versions, and who is who.
  struct Family {
    std::uint32_t parent_b, parent_a, parent_c;
    Indices b, a, c;
    std::map<std::uint32_t, std::uint32_t> b_to_a, a_to_c;
    Indices added_since;                          // in `current`, without a counterpart in `after`
    std::map<std::uint32_t, std::uint32_t> back;  // removed by us, there again
  };

  Result<void> children(std::uint32_t b, std::uint32_t a, std::uint32_t c) {
    Family family{
        b,  a,  c, before_.tree.children(b), after_.tree.children(a), current_.tree.children(c), {},
        {}, {}, {}};
    TRY(pair(family));
    for (const auto& [x, y] : family.b_to_a) {
      if (bytes(before_, x) == bytes(after_, y)) continue;
      const auto z = family.a_to_c.find(y);
      if (z == family.a_to_c.end())
        return conflict(after_.model.address(y) + " was changed and is gone since");
      TRY(element(x, y, z->second));
    }
    std::size_t from_a = 0;
    std::size_t from_b = 0;
    while (true) {
      auto to_b = from_b;
      while (to_b < family.b.size() && !family.b_to_a.contains(family.b[to_b])) ++to_b;
      const bool last = to_b == family.b.size();
      auto to_a = from_a;
      while (to_a < family.a.size() && (last || family.a[to_a] != family.b_to_a[family.b[to_b]]))
        ++to_a;
      TRY(between(family, {from_b, to_b}, {from_a, to_a}));
      if (last) return {};
      from_b = to_b + 1;
      from_a = to_a + 1;
    }
  }

  Result<void> pair(Family& family) {
    const auto b_to_a = pair_siblings(before_.model, family.b, after_.model, family.a);
    std::uint32_t previous = 0;
    for (std::size_t n = 0; n < family.b.size(); ++n) {
      if (b_to_a[n] == no_element) continue;
      if (b_to_a[n] < previous)
        return conflict(current_.model.address(family.parent_c) +
                        ": the order of what is inside was changed, and more was changed since");
      previous = b_to_a[n];
      family.b_to_a.emplace(family.b[n], b_to_a[n]);
    }
    const auto a_to_c =
        pair_siblings(after_.model, family.a, current_.model, without_returned(family));
    std::set<std::uint32_t> known;
    for (std::size_t n = 0; n < family.a.size(); ++n) {
      if (a_to_c[n] == no_element) continue;
      family.a_to_c.emplace(family.a[n], a_to_c[n]);
      known.insert(a_to_c[n]);
    }
    for (const auto z : family.c)
      if (!known.contains(z)) family.added_since.push_back(z);
    return {};
  }

  /// The present children without those that say what one of ours said that we removed and none
  /// of the remaining ones says: a twin that came back must not pass for one that stayed.
  [[nodiscard]] Indices without_returned(const Family& family) const {
    std::set<std::uint64_t> removed;
    for (const auto x : family.b)
      if (!family.b_to_a.contains(x)) removed.insert(before_.model.elements[x].subtree_hash);
    for (const auto y : family.a) removed.erase(after_.model.elements[y].subtree_hash);
    Indices out;
    for (const auto z : family.c)
      if (!removed.contains(current_.model.elements[z].subtree_hash)) out.push_back(z);
    return out;
  }

  struct Run {
    std::size_t from, to;  // positions among the siblings
  };

  /// What lies between two children that we left in place: `b` went, `a` came by our change.
  Result<void> between(Family& family, Run b, Run a) {
    bool any_back = false;
    for (auto n = b.from; n < b.to; ++n) {
      TRY_LET(const bool is_back, there_again(family, family.b[n]));
      any_back = any_back || is_back;
    }
    if (!any_back && settled_as_bytes(family, b, a)) return {};
    Indices surplus;
    for (auto n = a.from; n < a.to; ++n) {
      const auto y = family.a[n];
      const auto z = family.a_to_c.find(y);
      if (z == family.a_to_c.end()) continue;
      if (!same_meaning(after_.model, y, current_.model, z->second))
        return conflict(current_.model.address(z->second) +
                        " was added and was changed since; it was " +
                        display(describe_element(after_.model, y, 300), 400) + " and is now " +
                        display(describe_element(current_.model, z->second, 300), 400));
      surplus.push_back(z->second);
    }
    for (const auto range : removal_ranges(current_.tree, surplus)) patches_.push_back({range, ""});
    Indices missing;
    std::size_t begin = b.from;
    for (auto n = b.from; n < b.to; ++n) {
      const auto x = family.b[n];
      if (!family.back.contains(x)) {
        if (missing.empty()) begin = n;
        missing.push_back(x);
      } else if (!missing.empty()) {
        insert(family, begin, missing);
        missing.clear();
      }
    }
    if (!missing.empty()) insert(family, begin, missing);
    return {};
  }

  bool settled_as_bytes(const Family& family, Run b, Run a) {
    const auto& x = before_.tree.elements;
    const auto& y = after_.tree.elements;
    const auto& z = current_.tree.elements;
    const auto& parent_b = x[family.parent_b];
    const auto& parent_a = y[family.parent_a];
    const auto& parent_c = z[family.parent_c];
    if (parent_b.self_closing() || parent_a.self_closing() || parent_c.self_closing()) return false;
    Span gap_b{parent_b.start_tag.end, parent_b.end_tag.begin};
    Span gap_a{parent_a.start_tag.end, parent_a.end_tag.begin};
    Span gap_c{parent_c.start_tag.end, parent_c.end_tag.begin};
    if (b.from > 0) {
      const auto left = family.a_to_c.find(family.a[a.from - 1]);
      if (left == family.a_to_c.end()) return false;
      gap_b.begin = x[family.b[b.from - 1]].range.end;
      gap_a.begin = y[family.a[a.from - 1]].range.end;
      gap_c.begin = z[left->second].range.end;
    }
    if (b.to < family.b.size()) {
      const auto right = family.a_to_c.find(family.a[a.to]);
      if (right == family.a_to_c.end()) return false;
      gap_b.end = x[family.b[b.to]].range.begin;
      gap_a.end = y[family.a[a.to]].range.begin;
      gap_c.end = z[right->second].range.begin;
    }
    return gap_c.begin <= gap_c.end && gap(gap_b, gap_a, gap_c);
  }

  /// Whether somebody has put `x`, which we removed, back as it was.
  Result<bool> there_again(Family& family, std::uint32_t x) {
    const auto& segment = before_.model.elements[x].segment;
    std::uint32_t other = no_element;
    for (auto z = family.added_since.begin(); z != family.added_since.end(); ++z) {
      if (current_.model.elements[*z].segment != segment) continue;
      if (same_meaning(before_.model, x, current_.model, *z)) {
        family.back.emplace(x, *z);
        family.added_since.erase(z);
        return true;
      }
      other = *z;
    }
    if (other == no_element) return false;
    return conflict(current_.model.address(other) +
                    " was removed and exists again with other content; it was " +
                    display(describe_element(before_.model, x, 300), 400) + " and is now " +
                    display(describe_element(current_.model, other, 300), 400));
  }

  /// Puts siblings of `before`, the first of them at position `begin`, after the nearest sibling
  /// in front of them that `current` still has, else at the beginning of the parent; after the
  /// same comments and white space as before where these are still there.
  void insert(const Family& family, std::size_t begin, const Indices& missing) {
    const auto& parent = current_.tree.elements[family.parent_c];
    auto at = parent.start_tag.end;
    auto old_at = before_.tree.elements[family.parent_b].start_tag.end;
    for (auto n = begin; n-- > 0;) {
      const auto z = counterpart(family, family.b[n]);
      old_at = n + 1 == begin ? before_.tree.elements[family.b[n]].range.end : old_at;
      if (z == no_element) continue;
      at = current_.tree.elements[z].range.end;
      break;
    }
    const auto ranges = removal_ranges(before_.tree, missing);
    std::string lines;
    std::string bare;
    for (const auto range : ranges) lines += before_.tree.text(range);
    for (const auto x : missing) bare += bytes(before_, x);
    const bool whole_lines = std::ranges::all_of(
        ranges, [&](Span range) { return is_line_end(before_.tree.text(range).back()); });
    if (parent.self_closing()) {
      open_parent(family.parent_c, whole_lines ? lines : bare, whole_lines);
      return;
    }
    if (current_.tree.bytes.substr(at).starts_with(
            before_.tree.text({old_at, ranges.front().begin}))) {
      for (const auto range : ranges) {
        const auto between = before_.tree.text({old_at, range.begin});
        if (current_.tree.bytes.substr(at).starts_with(between))
          at += static_cast<std::uint32_t>(between.size());
        patches_.push_back({{at, at}, std::string(before_.tree.text(range))});
        old_at = range.end;
      }
      return;
    }
    const auto line = whole_lines ? next_line(at) : std::uint32_t{0};
    if (line != 0)
      patches_.push_back({{line, line}, lines});
    else
      patches_.push_back({{at, at}, bare});
  }

  [[nodiscard]] static std::uint32_t counterpart(const Family& family, std::uint32_t x) {
    if (const auto back = family.back.find(x); back != family.back.end()) return back->second;
    const auto y = family.b_to_a.find(x);
    if (y == family.b_to_a.end()) return no_element;
    const auto z = family.a_to_c.find(y->second);
    return z == family.a_to_c.end() ? no_element : z->second;
  }

  /// The beginning of the line after `at` when only blanks and comments are in between, else 0.
  [[nodiscard]] std::uint32_t next_line(std::uint32_t at) const {
    const auto all = current_.tree.bytes;
    std::size_t i = at;
    while (i < all.size()) {
      if (all[i] == ' ' || all[i] == '\t') {
        ++i;
      } else if (is_line_end(all[i])) {
        i += all.substr(i).starts_with("\r\n") ? 2 : 1;
        return static_cast<std::uint32_t>(i);
      } else if (all.substr(i).starts_with("<!--")) {
        i = all.find("-->", i) + 3;
      } else {
        return 0;
      }
    }
    return 0;
  }

  void open_parent(std::uint32_t index, const std::string& content, bool whole_lines) {
    const auto& parent = current_.tree.elements[index];
    const auto all = current_.tree.bytes;
    const auto from =
        parent.attribute_count == 0
            ? parent.name.end
            : current_.tree.attributes[parent.first_attribute + parent.attribute_count - 1]
                  .whole.end;
    std::string text = ">";
    if (whole_lines) {
      std::size_t line = parent.range.begin;
      while (line > 0 && (all[line - 1] == ' ' || all[line - 1] == '\t')) --line;
      text += content.ends_with("\r\n") ? "\r\n" : content.substr(content.size() - 1);
      text += content;
      text += all.substr(line, parent.range.begin - line);
    } else {
      text += content;
    }
    text += "</" + std::string(current_.tree.text(parent.name)) + ">";
    patches_.push_back({{from, parent.range.end}, std::move(text)});
  }

  const Document& before_;
  const Document& after_;
  const Document& current_;
  std::vector<Patch> patches_;
};

}  // namespace

Result<Edited> undo_settings(std::string_view before, std::string_view after,
                             std::string_view current) {
  const auto read = [](std::string_view bytes, std::string_view which) {
    auto document = read_document(bytes);
    if (!document)
      document = std::unexpected(
          std::move(document).error().wrapped("the " + std::string(which) + " cannot be read"));
    return document;
  };
  TRY_LET(const auto old_version, read(before, "version from before the change"));
  TRY_LET(const auto our_version, read(after, "version from after the change"));
  TRY_LET(const auto now, read(current, "present version"));
  if (current == after) return describe_change(now, std::string(before), old_version);
  TRY_LET(auto patches, Merge(old_version, our_version, now).run());
  TRY_LET(auto bytes, apply_patches(current, std::move(patches)));
  TRY_LET(const auto result, read_document(bytes));
  TRY_LET(bool right,
          differs_only_like(old_version.model, result.model, our_version.model, now.model));
  const auto has_twins = [](const Document& document) {
    return std::ranges::any_of(document.model.elements, &ModelElement::copy);
  };
  if (!right && (has_twins(old_version) || has_twins(now))) {
    // Which of two twins others changed can be seen in more than one way from `after`.
    TRY_LET(right,
            differs_only_like(result.model, now.model, old_version.model, our_version.model));
  }
  if (!right)
    return fail(Code::internal, "taking the change back did not lead to what was intended",
                "nothing was changed; take it back by hand and report it");
  return describe_change(now, bytes, result);
}

}  // namespace remediate::setting
