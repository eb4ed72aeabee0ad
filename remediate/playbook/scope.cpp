#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/playbook/reader.h"

namespace remediate::playbook {

namespace {

bool is_variable_name(std::string_view name) {
  constexpr std::string_view first = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  return !name.empty() && name.size() <= 64 && first.find(name.front()) != std::string_view::npos &&
         name.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") ==
             std::string_view::npos;
}

}  // namespace

void Reader::read_variables(const Node& node) {
  if (!node.json->is_object()) {
    findings_.error(rule::wrong_type, node.pointer, "this is " + type_name(*node.json),
                    "an object of names with lists of folders");
    return;
  }
  if (node.json->size() > max_listed) {
    findings_.error(rule::too_many_items, node.pointer,
                    "there are " + std::to_string(node.json->size()) + " variables",
                    "at most " + std::to_string(max_listed));
    return;
  }
  for (auto item = node.json->begin(); item != node.json->end(); ++item) {
    Variable variable{item.key(), {}};
    const Node values{&*item, child(node.pointer, item.key())};
    const auto same = [&](const Variable& other) {
      return ascii_iequals(other.name, variable.name);
    };
    if (!is_variable_name(variable.name)) {
      findings_.error(rule::bad_variable_name, values.pointer,
                      quote(variable.name) + " is malformed",
                      "a letter, then letters, digits and '_', at most 64, no percent signs");
    } else if (is_builtin_variable(variable.name)) {
      findings_.error(rule::builtin_variable, values.pointer,
                      "%" + variable.name + "% is defined by the host", "another name");
    } else if (std::ranges::any_of(playbook_.variables, same)) {
      findings_.error(rule::duplicate_id, values.pointer,
                      quote(variable.name) + " differs from another name in case only",
                      "names that differ without regard to case");
    }
    for (const Node& value : read_list(findings_, values, max_listed, rule::empty_list)) {
      const auto text = read_text(findings_, value);
      if (!text) continue;
      if (const auto refusal = check_variable_value(*text)) report(*refusal, value.pointer);
      variable.values.push_back(*text);
    }
    playbook_.variables.push_back(std::move(variable));
    variables_.push_back({values.pointer});
  }
}

/// One path or a list of alternatives, all in one spelling.
std::vector<SpelledPath> Reader::read_paths(const Node& node, bool file, const Rule& when_empty) {
  std::vector<Node> items;
  if (node.json->is_string()) {
    if (node.json->get_ref<const std::string&>().empty()) {
      findings_.error(when_empty, node.pointer, "the path is empty",
                      "an absolute path; an empty one never means everything");
      return {};
    }
    items.push_back(node);
  } else {
    items = read_list(findings_, node, max_listed, when_empty);
  }
  std::vector<SpelledPath> paths;
  for (const Node& item : items) {
    const auto text = read_text(findings_, item);
    if (!text) continue;
    const auto spelling = spelling_of(*text);
    if (!spelling) {
      findings_.error(rule::relative_folder, item.pointer, quote(*text) + " is not absolute",
                      "an absolute path such as C:\\inetpub\\wwwroot, %SystemDrive%\\inetpub or "
                      "/var/www");
      continue;
    }
    if (!paths.empty() && paths.front().spelling != *spelling) {
      findings_.error(rule::mixed_spelling, item.pointer,
                      "Windows and POSIX paths are listed together",
                      "one spelling here, and another scope or indicator for the other");
      continue;
    }
    if (const auto refusal = check_path(*text, *spelling, playbook_.variables, file)) {
      report(*refusal, item.pointer);
    }
    const std::string_view name = variable_of(*text);
    for (std::size_t i = 0; i < variables_.size() && !name.empty(); ++i) {
      if (ascii_iequals(playbook_.variables[i].name, name)) variables_[i].use = Use::used;
    }
    paths.push_back({*text, *spelling});
  }
  return paths;
}

std::vector<std::string> Reader::read_globs(const Node& node, const Rule& when_empty,
                                            Spelling spelling) {
  std::vector<std::string> globs;
  for (const Node& item : read_list(findings_, node, max_listed, when_empty)) {
    auto glob = read_text(findings_, item);
    if (!glob) continue;
    if (const auto refusal = check_glob(*glob, spelling)) report(*refusal, item.pointer);
    globs.push_back(std::move(*glob));
  }
  return globs;
}

void Reader::read_scope(const Node& node) {
  Fields fields(findings_, node, {"id", "folder", "include", "exclude", "case"});
  if (!fields.usable()) return;
  Scope scope;
  scope.id = read_id(fields, scope_ids_, "scope");
  if (const auto folder = fields.required("folder", "an absolute folder or a list of them")) {
    scope.folders = read_paths(*folder, false, rule::empty_scope);
  }
  const Spelling spelling =
      scope.folders.empty() ? Spelling::windows : scope.folders.front().spelling;
  if (const auto include = fields.required("include", "a list of globs such as **/*.aspx")) {
    scope.include = read_globs(*include, rule::empty_include, spelling);
  }
  if (const auto exclude = fields.optional("exclude")) {
    scope.exclude = read_globs(*exclude, rule::empty_list, spelling);
  }
  scope.ignore_case = spelling == Spelling::windows;
  if (const auto letters = fields.optional("case")) {
    const auto word = read_choice(findings_, *letters, {"sensitive", "insensitive"});
    scope.ignore_case = word.value_or("") == "insensitive";
  }
  playbook_.scopes.push_back(std::move(scope));
}

void Reader::read_scopes(const Node& node) {
  for (const Node& item : read_list(findings_, node, max_listed, rule::empty_list)) {
    read_scope(item);
  }
}

}  // namespace remediate::playbook
