#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/attribute_test.h"
#include "remediate/setting/diff.h"
#include "remediate/setting/directives.h"
#include "remediate/setting/redact.h"

namespace remediate::setting {
namespace {

constexpr std::size_t longest_shown = 200;

std::string_view kind_name(Directive::Kind kind) {
  return kind == Directive::Kind::section ? "section" : "directive";
}

/// The attributes a query can test, besides a directive's own name.
class Attributes final : public AttributeTests::Values {
 public:
  Attributes(const Grammar& grammar, const Directive& directive) : directive_(directive) {
    all_.emplace_back("name", grammar.ignore_case ? ascii_lower(directive.name) : directive.name);
    if (!directive.arguments.empty()) {
      all_.emplace_back("argument", directive.arguments.front());
      all_.emplace_back("arguments", joined(directive.arguments, " "));
    }
    if (grammar.sections ? directive.arguments.size() > 1 : !directive.arguments.empty())
      all_.emplace_back("value", joined(directive.arguments, " ", grammar.sections ? 1 : 0));
    if (!directive.inside.empty()) all_.emplace_back("inside", joined(directive.inside, " / "));
  }
  [[nodiscard]] const std::string* value(std::string_view name) const override {
    for (const auto& [key, text] : all_)
      if (key == name) return &text;
    return nullptr;
  }
  [[nodiscard]] std::string shown(std::string_view name, const std::string& text) const override {
    const bool of_value = name == "value" || name == "arguments" || name == "argument";
    return of_value && is_secret(directive_) ? std::string(secret_mark) : display(text);
  }
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& all() const { return all_; }

 private:
  const Directive& directive_;
  std::vector<std::pair<std::string, std::string>> all_;
};

/// Directives of which a file may have several, told apart by their first argument.
bool keyed_by_argument(std::string_view name) {
  static constexpr std::array<std::string_view, 12> names{
      "php_value",  "php_flag",   "php_admin_value", "php_admin_flag", "setenv",   "addtype",
      "addhandler", "addcharset", "header",          "setenvif",       "redirect", "errordocument"};
  return std::ranges::any_of(names, [&](auto known) { return ascii_iequals(known, name); });
}

/// What a directive says, for comparison.
std::string meaning(const Directive& directive) {
  std::string text(kind_name(directive.kind));
  const auto add = [&](std::string_view part) {
    text += " " + std::to_string(part.size()) + ":";
    text += part;
  };
  for (const std::string& section : directive.inside) add(section);
  text += " |";
  add(directive.key);
  for (const std::string& argument : directive.arguments) add(argument);
  return text;
}

Result<const Directive*> by_address(const DirectiveFile& file, const std::string& address) {
  const auto found = std::ranges::find(file.directives, address, &Directive::address);
  if (found == file.directives.end())
    return fail(Code::not_found, "the file has no " + display(address, 300),
                "it was changed: make the plan again");
  return &*found;
}

struct Patch {
  std::size_t begin;
  std::size_t end;
  std::string text;
};

class Editor {
 public:
  Editor(const Grammar& grammar, const DirectiveFile& file) : grammar_(grammar), file_(file) {}

  Result<void> take(const Edit& edit) {
    TRY_LET(const Directive* directive, by_address(file_, edit.address));
    const Change& change = edit.change;
    switch (change.kind) {
      case ChangeKind::remove_element:
        if (!change.attribute.empty())
          return fail(Code::bad_input,
                      "removing " + display(edit.address, 300) + " takes no attribute",
                      "leave the attribute out");
        return add({directive->begin, directive->end, ""}, edit.address);
      case ChangeKind::remove_attribute:
        return fail(Code::bad_input, "a directive has no attribute that can go alone",
                    "use remove_element or set_attribute");
      case ChangeKind::set_attribute:
        return set(*directive, change);
      case ChangeKind::reset_to_baseline:
        return reset(*directive, change);
    }
    return fail(Code::internal, "unknown change", "report it");
  }

  Result<Edited> run() {
    std::ranges::sort(patches_, {}, &Patch::begin);
    std::string bytes;
    std::size_t at = 0;
    for (const Patch& patch : patches_) {
      if (patch.end <= at && patch.begin < at) continue;  // inside a section that goes
      if (patch.begin < at)
        return fail(Code::bad_input, "two edits contradict each other", "give one of them");
      bytes += file_.bytes.substr(at, patch.begin - at) + patch.text;
      at = patch.end;
    }
    bytes += file_.bytes.substr(at);
    if (grammar_.skips_mark && bytes.starts_with(byte_order_mark) &&
        !file_.bytes.starts_with(byte_order_mark))
      return fail(Code::bad_input,
                  "the line that would come first begins with a byte order mark, which the server "
                  "would then skip",
                  "correct the file by hand");
    TRY_LET(const DirectiveFile result, grammar_.parse(bytes));
    TRY(check_rest(result));
    return describe_edit(file_, result);
  }

 private:
  Result<void> add(Patch patch, const std::string& address) {
    for (const Patch& other : patches_) {
      if (other.begin == patch.begin && other.end == patch.end && other.text == patch.text)
        return {};
      const bool nested = other.text.empty() && patch.text.empty();
      if (!nested && patch.begin < other.end && other.begin < patch.end)
        return fail(Code::bad_input, "two edits contradict each other at " + display(address, 300),
                    "give one of them");
    }
    touched_.insert(address);
    patches_.push_back(std::move(patch));
    return {};
  }

  Result<void> set(const Directive& directive, const Change& change) {
    if (change.attribute != "value" || directive.kind == Directive::Kind::section)
      return fail(Code::bad_input,
                  "only the attribute `value` of a directive can be set, not " +
                      display(change.attribute, 80),
                  "set `value`, or remove the whole setting");
    TRY_LET(std::string text, grammar_.write_argument(change.value));
    if (grammar_.sections) {
      if (directive.arguments.size() < 2)
        return fail(Code::bad_input, display(directive.address, 300) + " has no second argument",
                    "remove the whole setting");
      TRY_LET(const std::string first, grammar_.write_argument(directive.arguments.front()));
      text = first + " " + text;
    }
    if (directive.values_begin == directive.values_end)
      return fail(Code::bad_input, display(directive.address, 300) + " has no value",
                  "remove the whole setting");
    return add({directive.values_begin, directive.values_end, std::move(text)}, directive.address);
  }

  Result<void> reset(const Directive& directive, const Change& change) {
    if (!change.attribute.empty() || directive.kind == Directive::Kind::section)
      return fail(Code::bad_input, "a whole directive is reset to a baseline, nothing else",
                  "leave the attribute out, or remove the section");
    auto baseline = grammar_.parse(change.baseline);
    if (!baseline)
      return std::unexpected(std::move(baseline).error().wrapped("the baseline cannot be read"));
    const Directive* clean = nullptr;
    for (const Directive& candidate : baseline->directives) {
      if (candidate.kind != directive.kind || candidate.key != directive.key ||
          candidate.inside != directive.inside)
        continue;
      if (clean != nullptr)
        return fail(Code::ambiguous,
                    "the baseline has several of " + display(directive.address, 300),
                    "remove the setting instead");
      clean = &candidate;
    }
    if (clean == nullptr) return add({directive.begin, directive.end, ""}, directive.address);
    if (clean->arguments == directive.arguments) return {};
    return add(
        {directive.values_begin, directive.values_end,
         baseline->bytes.substr(clean->values_begin, clean->values_end - clean->values_begin)},
        directive.address);
  }

  /// Nothing but what was named may differ in meaning.
  Result<void> check_rest(const DirectiveFile& result) const {
    std::vector<std::string> expected;
    std::vector<std::string> found;
    const auto gone = [&](const Directive& directive) {
      return std::ranges::any_of(patches_, [&](const Patch& patch) {
        return patch.begin <= directive.begin && directive.end <= patch.end;
      });
    };
    for (const Directive& directive : file_.directives) {
      if (gone(directive)) continue;
      expected.push_back(touched_.contains(directive.address) ? "" : meaning(directive));
    }
    for (const Directive& directive : result.directives) found.push_back(meaning(directive));
    bool same = expected.size() == found.size();
    for (std::size_t index = 0; same && index < found.size(); ++index)
      same = expected[index].empty() || expected[index] == found[index];
    if (same) return {};
    return fail(Code::internal, "the edited file is not what was intended",
                "nothing was changed; change this file by hand and report it");
  }

  const Grammar& grammar_;
  const DirectiveFile& file_;
  std::vector<Patch> patches_;
  std::set<std::string> touched_;
};

}  // namespace

std::string joined(const std::vector<std::string>& parts, std::string_view between,
                   std::size_t skip) {
  std::string out;
  for (std::size_t index = skip; index < parts.size(); ++index) {
    if (index > skip) out += between;
    out += parts[index];
  }
  return out;
}

bool is_secret(const Directive& directive) {
  if (sounds_secret(directive.name) || directive.name.ends_with("_pw")) return true;
  const auto& arguments = directive.arguments;
  if (arguments.size() > 1 && keyed_by_argument(directive.name) &&
      (sounds_secret(arguments.front()) || arguments.front().ends_with("_pw")))
    return true;
  return std::ranges::any_of(arguments, [](const std::string& text) { return looks_secret(text); });
}

void name_directives(DirectiveFile& file, const Grammar& grammar) {
  std::map<std::string, std::size_t> copies;
  for (Directive& directive : file.directives) {
    directive.key = grammar.ignore_case ? ascii_lower(directive.name) : directive.name;
    if (keyed_by_argument(directive.name) && !directive.arguments.empty() && grammar.sections)
      directive.key += " " + directive.arguments.front();
    std::string text;
    for (const std::string& section : directive.inside) text += section + "/";
    text += directive.name;
    const std::string values = joined(directive.arguments, " ");
    if (!values.empty()) text += " " + (is_secret(directive) ? std::string(secret_mark) : values);
    directive.address =
        std::string(kind_name(directive.kind)) + "[" + display(text, longest_shown) + "]";
    const std::size_t copy = ++copies[directive.address];
    if (copy > 1) directive.address += "#" + std::to_string(copy);
  }
}

Result<std::vector<Setting>> find_directives(const Grammar& grammar, std::string_view file,
                                             const Query& query) {
  const bool sections = query.kind == "section";
  if (query.kind != "directive" && !(sections && grammar.sections))
    return fail(Code::bad_input,
                "no kind of " + std::string(grammar.provider) + " setting is named '" +
                    display(query.kind, 80) + "'",
                grammar.sections ? "use directive or section" : "use directive");
  if (!query.path.empty())
    return fail(Code::bad_input, "a directive takes no path", "leave the path out");
  TRY_LET(const auto tests, AttributeTests::compile(query.where, true));
  TRY_LET(const DirectiveFile parsed, grammar.parse(file));
  std::vector<Setting> out;
  for (const Directive& directive : parsed.directives) {
    if ((directive.kind == Directive::Kind::section) != sections) continue;
    const Attributes attributes(grammar, directive);
    auto why = tests.reason(attributes, query.kind);
    if (!why) continue;
    Setting setting;
    setting.kind = query.kind;
    setting.address = directive.address;
    setting.offset = directive.begin;
    setting.line = directive.line;
    for (const auto& [name, value] : attributes.all())
      setting.attributes.emplace_back(name, attributes.shown(name, value));
    setting.reason = std::move(*why);
    out.push_back(std::move(setting));
  }
  return out;
}

std::vector<Difference> compare_directives(const DirectiveFile& a, const DirectiveFile& b) {
  std::map<std::string, std::vector<const Directive*>> only_a;
  std::vector<const Directive*> only_b;
  for (const Directive& directive : a.directives) only_a[meaning(directive)].push_back(&directive);
  std::vector<std::string> common_b;
  for (const Directive& directive : b.directives) {
    const auto twin = only_a.find(meaning(directive));
    if (twin == only_a.end() || twin->second.empty()) {
      only_b.push_back(&directive);
      continue;
    }
    twin->second.pop_back();
    common_b.push_back(twin->first);
  }
  std::vector<Difference> out;
  const auto shown = [](const Directive& directive) {
    return is_secret(directive) ? std::string(secret_mark)
                                : display(joined(directive.arguments, " "), 1000);
  };
  std::map<std::string, std::size_t> left;
  for (const auto& [text, directives] : only_a) {
    left[text] = directives.size();
    for (const Directive* directive : directives)
      out.push_back({Difference::Kind::removed, directive->address, "", shown(*directive), ""});
  }
  for (const Directive* directive : only_b)
    out.push_back({Difference::Kind::added, directive->address, "", "", shown(*directive)});
  // What both have must stand in the same order: the last of several wins.
  std::vector<std::string> common_a;
  std::map<std::string, std::size_t> wanted;
  for (const std::string& text : common_b) ++wanted[text];
  for (const Directive& directive : a.directives)
    if (auto one = wanted.find(meaning(directive)); one != wanted.end() && one->second > 0) {
      --one->second;
      common_a.push_back(one->first);
    }
  if (common_a != common_b)
    out.push_back({Difference::Kind::changed, "file", "@order", "one order", "another order"});
  std::ranges::sort(out, [](const Difference& x, const Difference& y) {
    return std::tie(x.address, x.kind) < std::tie(y.address, y.kind);
  });
  return out;
}

std::string redact_directives(const DirectiveFile& file, const DirectiveFile* earlier) {
  std::string out;
  std::size_t at = 0;
  for (const Directive& directive : file.directives) {
    if (!is_secret(directive) || directive.values_begin < at) continue;
    out += mask_loose_text(std::string_view(file.bytes).substr(at, directive.values_begin - at));
    bool changed = false;
    if (earlier != nullptr)
      for (const Directive& old : earlier->directives)
        changed = changed || (old.key == directive.key && old.inside == directive.inside &&
                              old.arguments != directive.arguments);
    if (directive.arguments.size() > 1 && keyed_by_argument(directive.name))
      out += directive.arguments.front() + " ";
    out += changed ? changed_secret_mark : secret_mark;
    at = directive.values_end;
  }
  out += mask_loose_text(std::string_view(file.bytes).substr(at));
  return display_lines(out);
}

Edited describe_edit(const DirectiveFile& before, const DirectiveFile& after) {
  Edited edited;
  edited.bytes = after.bytes;
  edited.differences = compare_directives(before, after);
  edited.diff = unified_diff(redact_directives(before), redact_directives(after, &before));
  return edited;
}

Result<Edited> edit_directives(const Grammar& grammar, std::string_view file,
                               const std::vector<Edit>& edits) {
  TRY_LET(const DirectiveFile parsed, grammar.parse(file));
  Editor editor(grammar, parsed);
  for (const Edit& edit : edits) TRY(editor.take(edit));
  return editor.run();
}

}  // namespace remediate::setting
