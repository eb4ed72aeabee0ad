#include <algorithm>

#include "sweep.h"

namespace remediate::run::test {
namespace {

void leaves(const Json& json, const Json::json_pointer& at, std::vector<Json::json_pointer>& all) {
  all.push_back(at);
  if (json.is_object())
    for (const auto& [key, value] : json.items()) leaves(value, at / key, all);
  if (json.is_array())
    for (std::size_t index = 0; index < json.size(); ++index) leaves(json[index], at / index, all);
}

Json reversed(const Json& json) {
  if (json.is_array()) {
    Json made = Json::array();
    for (const Json& value : json) made.push_back(reversed(value));
    return made;
  }
  if (!json.is_object()) return json;
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  std::ranges::reverse(keys);
  Json made = Json::object();
  for (const std::string& key : keys) made[key] = reversed(json[key]);
  return made;
}

Json other_value(const Json& value) {
  if (value.is_string()) {
    std::string text = value.get<std::string>();
    if (text.empty()) return "x";
    char& last = text.back();
    last = last == '1' ? '2' : '1';
    return text;
  }
  if (value.is_boolean()) return !value.get<bool>();
  if (value.is_number()) return value.get<std::uint64_t>() + 1;
  if (value.is_null()) return 0;
  if (value.is_array()) return value.empty() ? Json::array({1}) : Json::array();
  return value.empty() ? Json{{"more", 1}} : Json::object();
}

}  // namespace

std::vector<std::pair<std::string, std::string>> edits_of(const std::string& text, bool pretty) {
  const auto parsed = parse_json_strict(text);
  REQUIRE(parsed);
  const Json& good = *parsed;
  const auto dump = [&](const Json& json) { return pretty ? json.dump(2) + "\n" : json.dump(); };
  std::vector<std::pair<std::string, std::string>> all;
  const auto add = [&](const std::string& what, std::string changed) {
    if (changed != text) all.emplace_back(what, std::move(changed));
  };
  std::vector<Json::json_pointer> places;
  leaves(good, Json::json_pointer(), places);
  for (const Json::json_pointer& at : places) {
    const std::string name = at.to_string();
    Json copy = good;
    copy[at] = other_value(copy[at]);
    add(name + " another value", dump(copy));
    copy = good;
    if (copy[at].is_object()) {
      copy[at]["more"] = 1;
      add(name + " a member more", dump(copy));
    }
    if (copy[at].is_array() && !copy[at].empty()) {
      copy[at].push_back(copy[at][0]);
      add(name + " an element twice", dump(copy));
      copy = good;
      if (copy[at].size() > 1) {
        std::swap(copy[at][0], copy[at][1]);
        add(name + " elements swapped", dump(copy));
      }
    }
    if (at.empty()) continue;
    copy = good;
    Json& parent = copy[at.parent_pointer()];
    if (parent.is_object())
      parent.erase(at.back());
    else
      parent.erase(static_cast<std::size_t>(std::stoul(at.back())));
    add(name + " taken out", dump(copy));
  }
  add("without white space", good.dump());
  add("other white space", good.dump(1));
  add("members in another order", dump(reversed(good)));
  const std::size_t comma = text.find(',');
  const std::size_t brace = text.find('{');
  add("its first member twice",
      text.substr(0, comma) + "," + text.substr(brace + 1, comma - brace) + text.substr(comma + 1));
  add("a space more", text.substr(0, brace + 1) + " " + text.substr(brace + 1));
  return all;
}

}  // namespace remediate::run::test
