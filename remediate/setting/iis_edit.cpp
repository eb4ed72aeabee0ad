#include "remediate/setting/iis_edit.h"

#include <algorithm>
#include <map>
#include <memory>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/setting/iis_protect.h"

namespace remediate::setting {
namespace {

/// What one edit comes down to, once the baseline has been read.
struct Action {
  enum class Kind : std::uint8_t { remove, set, unset, replace } kind = Kind::remove;
  std::string attribute;
  std::string value;                 // set: decoded
  std::string raw;                   // set: as the baseline writes it; empty: encode `value`
  const Document* source = nullptr;  // replace
  std::uint32_t source_element = 0;
  std::string address;
  bool operator==(const Action& other) const {
    return kind == other.kind && attribute == other.attribute && value == other.value &&
           source == other.source && source_element == other.source_element;
  }
};

class Editor {
 public:
  explicit Editor(const Document& document)
      : tree_(document.tree), model_(document.model), actions_(document.model.elements.size()) {}

  Result<void> take(const Edit& edit) {
    TRY_LET(const auto index, model_.find(edit.address));
    Action action;
    action.address = edit.address;
    action.attribute = edit.change.attribute;
    const auto& element = model_.elements[index];
    switch (edit.change.kind) {
      case ChangeKind::remove_element:
        if (!edit.change.attribute.empty())
          return fail(Code::bad_input, "removing " + edit.address + " takes no attribute",
                      "use remove_attribute for one attribute");
        break;
      case ChangeKind::remove_attribute:
        if (!element.attribute(action.attribute))
          return fail(Code::not_found,
                      edit.address + " has no attribute '" + display(action.attribute, 80) + "'",
                      "nothing to remove; make the plan again");
        action.kind = Action::Kind::unset;
        break;
      case ChangeKind::set_attribute:
        if (!is_xml_name(action.attribute) || !is_xml_text(edit.change.value))
          return fail(Code::bad_input,
                      "'" + display(action.attribute, 80) + "' or its new value for " +
                          edit.address + " cannot stand in XML",
                      "use an XML name, and a value in UTF-8 without control characters");
        action.kind = Action::Kind::set;
        action.value = edit.change.value;
        break;
      case ChangeKind::reset_to_baseline: {
        TRY_LET(const bool differs, from_baseline(index, edit, action));
        if (!differs) return {};
        break;
      }
    }
    return put(index, std::move(action));
  }

  Result<Edited> run(const Document& document) {
    TRY(refuse_roots());
    TRY(settle_removals());
    TRY(refuse_weakening());
    std::vector<Patch> patches;
    for (const auto range : removal_ranges(tree_, removed_)) patches.push_back({range, ""});
    for (std::uint32_t i = 0; i < actions_.size(); ++i)
      for (const auto& action : actions_[i]) patch(i, action, patches);
    TRY_LET(auto bytes, apply_patches(tree_.bytes, std::move(patches)));
    TRY_LET(const auto result, read_document(bytes));
    if (!same_document(expected(), result.model))
      return fail(Code::internal, "the edited configuration is not what was intended",
                  "nothing was changed; change this file by hand and report it");
    return describe_change(document, bytes, result);
  }

 private:
  /// False when the setting already is as in the baseline.
  Result<bool> from_baseline(std::uint32_t index, const Edit& edit, Action& action) {
    TRY_LET(const Document* source, baseline(edit.change.baseline));
    const auto found = source->model.find(edit.address);
    if (!found && found.error().code != Code::not_found)
      return std::unexpected(Error(found.error()).wrapped("the baseline is not clear"));
    if (!found && model_.elements[index].copy != 0) {
      auto plain = edit.address.substr(0, edit.address.rfind('#'));
      if (source->model.find(plain))
        return fail(Code::ambiguous, "the file has more than one " + plain + ", the baseline one",
                    "remove the surplus one by its number, then reset the other");
    }
    if (action.attribute.empty()) {
      if (!found) return true;  // a removal
      if (same_meaning(model_, index, source->model, *found)) return false;
      action.kind = Action::Kind::replace;
      action.source = source;
      action.source_element = *found;
      return true;
    }
    if (!found)
      return fail(Code::not_found, "the baseline has no " + edit.address,
                  "reset the whole setting to remove it");
    const auto* now = model_.elements[index].attribute(action.attribute);
    const auto* clean = source->model.elements[*found].attribute(action.attribute);
    if (!clean) {
      action.kind = Action::Kind::unset;
      return now != nullptr;
    }
    action.kind = Action::Kind::set;
    action.value = *clean;
    const auto& from = source->tree.elements[*found];
    for (std::uint32_t a = 0; a < from.attribute_count; ++a) {
      const auto& attribute = source->tree.attributes[from.first_attribute + a];
      if (source->tree.text(attribute.name) == action.attribute)
        action.raw = source->tree.text(attribute.value);
    }
    return !now || *now != *clean;
  }

  Result<const Document*> baseline(const std::string& bytes) {
    for (const auto& known : baselines_)
      if (known->tree.bytes == bytes) return known.get();
    auto document = read_document(bytes);
    if (!document)
      return std::unexpected(std::move(document).error().wrapped("the baseline cannot be read"));
    baselines_.push_back(std::make_unique<Document>(std::move(*document)));
    return baselines_.back().get();
  }

  Result<void> put(std::uint32_t index, Action action) {
    auto& here = actions_[index];
    if (std::ranges::find(here, action) != here.end()) return {};
    const auto whole = [](const Action& a) {
      return a.kind == Action::Kind::remove || a.kind == Action::Kind::replace;
    };
    for (const auto& other : here)
      if (whole(other) || whole(action) || other.attribute == action.attribute)
        return fail(Code::bad_input, "two edits contradict each other at " + action.address,
                    "give one of them");
    here.push_back(std::move(action));
    return {};
  }

  [[nodiscard]] bool goes(std::uint32_t index) const {
    return std::ranges::any_of(actions_[index],
                               [](const Action& a) { return a.kind == Action::Kind::remove; });
  }

  /// Without its root application a site does not start, nor an application without its root
  /// virtual directory; and a file is no configuration without its root element.
  Result<void> refuse_roots() const {
    for (std::uint32_t i = 0; i < actions_.size(); ++i) {
      if (!goes(i)) continue;
      if (i == 0)
        return fail(Code::refused, "the root element cannot be removed",
                    "quarantine the file instead");
      const auto role = model_.elements[i].role;
      if (role != Role::application && role != Role::virtual_directory) continue;
      const auto* path = model_.elements[i].attribute("path");
      if (!path || *path != "/") continue;
      bool inside_removal = false;
      for (auto up = model_.elements[i].parent; up != no_element; up = model_.elements[up].parent)
        inside_removal = inside_removal || goes(up);
      bool twin = false;
      for (const auto other : model_.children(model_.elements[i].parent)) {
        const auto* other_path = model_.elements[other].attribute("path");
        twin = twin || (model_.elements[other].role == role && other_path && *other_path == "/" &&
                        !goes(other));
      }
      if (inside_removal || twin) continue;
      return fail(Code::refused,
                  model_.address(i) + " is the root of " +
                      model_.address(model_.elements[i].parent) +
                      ", which would not start without it",
                  "remove " + model_.address(model_.elements[i].parent) +
                      ", or reset its attributes to a baseline");
    }
    return {};
  }

  /// Adds orphans, drops what lies inside another removal, refuses edits inside one.
  Result<void> settle_removals() {
    std::vector<std::uint32_t> named;
    for (std::uint32_t i = 0; i < actions_.size(); ++i)
      if (goes(i)) named.push_back(i);
    for (const auto orphan : orphans_of(model_, named)) {
      if (!actions_[orphan].empty())
        return fail(
            Code::bad_input,
            model_.address(orphan) + " is to be changed, and would go with what it belongs to",
            "give one of the two edits");
      actions_[orphan].push_back(Action{});
      orphans_.push_back(orphan);
    }
    for (std::uint32_t i = 0; i < actions_.size();) {
      const auto end = model_.elements[i].subtree_end;
      const bool removal = goes(i);
      const bool replaced =
          !removal && !actions_[i].empty() && actions_[i].front().kind == Action::Kind::replace;
      if (!removal && !replaced) {
        ++i;
        continue;
      }
      if (removal) removed_.push_back(i);
      for (auto inside = i + 1; inside < end; ++inside) {
        if (actions_[inside].empty()) continue;
        if (!removal || !goes(inside))
          return fail(Code::bad_input,
                      model_.address(inside) + " is to be changed, and lies inside " +
                          model_.address(i) + ", which is to be removed or reset",
                      "give one of the two edits");
        actions_[inside].clear();
      }
      i = end;
    }
    return {};
  }

  /// What holds off attacks stays as it is, unless it goes with the application or the virtual
  /// directory that it was for.
  Result<void> refuse_weakening() const {
    for (std::uint32_t i = 0; i < actions_.size(); ++i) {
      const auto hardening = hardening_of(model_, i);
      if (!hardening || !weakened(i)) continue;
      return fail(
          Code::refused,
          model_.address(i) + " is " + *hardening + ", which no edit may take away or weaken",
          "narrow the indicator so that it does not fit what holds off attacks");
    }
    return {};
  }

  /// Whether an edit gives the attribute another value, or takes it away.
  [[nodiscard]] bool changes(std::uint32_t index, std::string_view attribute) const {
    const std::string* now = model_.elements[index].attribute(attribute);
    return std::ranges::any_of(actions_[index], [&](const Action& action) {
      if (action.attribute != attribute) return false;
      if (action.kind == Action::Kind::unset) return now != nullptr;
      return action.kind == Action::Kind::set && (now == nullptr || *now != action.value);
    });
  }

  /// A location holds for what is served at its path: either of them may be moved away.
  [[nodiscard]] bool moved_away(std::uint32_t hardening) const {
    const auto location = model_.ancestor(hardening, Role::location);
    if (location == no_element) return false;
    if (changes(location, "path")) return true;
    const std::string* path = model_.elements[location].attribute("path");
    if (path == nullptr) return false;
    for (std::uint32_t i = 0; i < actions_.size(); ++i) {
      const Role role = model_.elements[i].role;
      const bool site = role == Role::site && changes(i, "name");
      const bool below =
          (role == Role::application || role == Role::virtual_directory) && changes(i, "path");
      if (!site && !below) continue;
      const std::string served = ascii_lower(model_.virtual_path(i));
      const std::string held = ascii_lower(*path);
      if (held == served || held.starts_with(served + "/")) return true;
    }
    return false;
  }

  [[nodiscard]] bool weakened(std::uint32_t hardening) const {
    const auto& element = model_.elements[hardening];
    if (moved_away(hardening)) return true;
    for (auto up = hardening; up != no_element; up = model_.elements[up].parent) {
      if (goes(up)) return std::ranges::find(orphans_, up) == orphans_.end();
      if (actions_[up].empty() || actions_[up].front().kind != Action::Kind::replace) continue;
      const auto& source = actions_[up].front().source->model;
      const auto from = actions_[up].front().source_element;
      const auto below = model_.address(hardening).substr(model_.address(up).size());
      for (auto at = from; at < source.elements[from].subtree_end; ++at)
        if (source.address(at).substr(source.address(from).size()) == below &&
            keeps_hardening(model_, hardening, source, at))
          return false;
      return true;
    }
    if (element.name == "rule")
      return std::any_of(actions_.begin() + hardening, actions_.begin() + element.subtree_end,
                         [](const auto& actions) { return !actions.empty(); });
    Model changed;
    changed.elements.push_back(element);
    for (const auto& action : actions_[hardening]) {
      auto& attributes = changed.elements.front().attributes;
      std::erase_if(attributes, [&](const auto& a) { return a.first == action.attribute; });
      if (action.kind == Action::Kind::set) attributes.emplace_back(action.attribute, action.value);
    }
    return !keeps_hardening(model_, hardening, changed, 0);
  }

  void patch(std::uint32_t index, const Action& action, std::vector<Patch>& patches) const {
    const auto& element = tree_.elements[index];
    if (action.kind == Action::Kind::remove) return;
    if (action.kind == Action::Kind::replace) {
      const auto& source = action.source->tree;
      patches.push_back(
          {element.range, std::string(source.text(source.elements[action.source_element].range))});
      return;
    }
    const XmlAttribute* existing = nullptr;
    const XmlAttribute* last = nullptr;
    for (std::uint32_t a = 0; a < element.attribute_count; ++a) {
      last = &tree_.attributes[element.first_attribute + a];
      if (tree_.text(last->name) == action.attribute) existing = last;
    }
    if (action.kind == Action::Kind::unset) {
      if (existing) patches.push_back({existing->whole, ""});
      return;
    }
    const char quote = existing ? existing->quote : last ? last->quote : '"';
    const auto raw = !action.raw.empty() && !action.raw.contains(quote)
                         ? action.raw
                         : encode_attribute(action.value, quote);
    if (existing) {
      if (decode_attribute(tree_.text(existing->value)) != action.value)
        patches.push_back({existing->value, raw});
      return;
    }
    const auto at = last ? last->whole.end : element.name.end;
    const std::string space(last ? tree_.text({last->whole.begin, last->name.begin}) : " ");
    const std::string equals(last ? tree_.text({last->name.end, last->value.begin - 1})
                                  : std::string_view("="));
    patches.push_back({{at, at}, space + action.attribute + equals + quote + raw + quote});
  }

  /// The edits applied to the meaning instead of the bytes.
  [[nodiscard]] Model expected() const {
    Model out;
    for (std::uint32_t i = 0; i < model_.elements.size();) {
      const auto& actions = actions_[i];
      if (goes(i)) {
        i = model_.elements[i].subtree_end;
        continue;
      }
      if (!actions.empty() && actions.front().kind == Action::Kind::replace) {
        const auto& source = actions.front().source->model;
        const auto from = actions.front().source_element;
        for (auto j = from; j < source.elements[from].subtree_end; ++j) {
          out.elements.push_back(source.elements[j]);
          out.elements.back().depth += model_.elements[i].depth - source.elements[from].depth;
        }
        i = model_.elements[i].subtree_end;
        continue;
      }
      auto element = model_.elements[i];
      for (const auto& action : actions) {
        auto found = std::ranges::find(element.attributes, action.attribute,
                                       &std::pair<std::string, std::string>::first);
        if (action.kind == Action::Kind::unset) {
          if (found != element.attributes.end()) element.attributes.erase(found);
        } else if (found != element.attributes.end()) {
          found->second = action.value;
        } else {
          element.attributes.emplace_back(action.attribute, action.value);
        }
      }
      out.elements.push_back(std::move(element));
      ++i;
    }
    return out;
  }

  const XmlTree& tree_;
  const Model& model_;
  std::vector<std::vector<Action>> actions_;  // by element
  std::vector<std::uint32_t> removed_;
  std::vector<std::uint32_t> orphans_;  // removed because of what was named
  std::vector<std::unique_ptr<Document>> baselines_;
};

}  // namespace

Result<Edited> edit_settings(std::string_view file, const std::vector<Edit>& edits) {
  TRY_LET(const auto document, read_document(file));
  Editor editor(document);
  for (const auto& edit : edits) TRY(editor.take(edit));
  return editor.run(document);
}

}  // namespace remediate::setting
