#include "mutation.h"

#include <limits>

#include <nlohmann/json.hpp>

namespace property {
namespace {

using Json = nlohmann::json;

void collect(Json& node, std::vector<Json*>& nodes) {
  nodes.push_back(&node);
  if (node.is_structured())
    for (Json& child : node) collect(child, nodes);
}

Json odd_value(Random& random) {
  switch (random.below(14)) {
    case 0:
      return nullptr;
    case 1:
      return true;
    case 2:
      return -1;
    case 3:
      return std::numeric_limits<std::uint64_t>::max();
    case 4:
      return std::numeric_limits<std::int64_t>::min();
    case 5:
      return 1.5;
    case 6:
      return "";
    case 7:
      return "/";
    case 8:
      return "**";
    case 9:
      return std::string(5000, 'x');
    case 10:
      return Json::array();
    case 11:
      return Json::object();
    case 12:
      return std::string("a\0b", 3);
    default:
      return "remove";
  }
}

void mutate_once(Random& random, Json& document) {
  std::vector<Json*> nodes;
  collect(document, nodes);
  Json& node = *nodes[random.below(nodes.size())];
  switch (random.below(7)) {
    case 0:
      if (node.is_object() && !node.empty()) {
        node.erase(std::next(node.begin(), static_cast<long>(random.below(node.size()))));
        return;
      }
      break;
    case 1:
      if (node.is_array() && !node.empty()) {
        node.push_back(node[random.below(node.size())]);
        return;
      }
      break;
    case 2:
      if (node.is_object()) {
        node[random.chance(50) ? "guards" : "limits"] = odd_value(random);
        return;
      }
      break;
    case 3: {
      const Json other = *nodes[random.below(nodes.size())];
      if (other.dump(-1, ' ', true, Json::error_handler_t::replace).size() < 20'000) {
        node = other;
        return;
      }
      break;
    }
    case 4:
      if (node.is_string()) {
        auto text = node.get<std::string>();
        if (!text.empty()) text[random.below(text.size())] = static_cast<char>(random.below(127));
        node = text;
        return;
      }
      break;
    case 5:
      if (node.is_array() && node.size() > 1) {
        std::swap(node[0], node[random.below(node.size())]);
        return;
      }
      break;
    default:
      break;
  }
  node = odd_value(random);
}

}  // namespace

std::string mutated_value(Random& random, Json document) {
  for (std::uint64_t more = random.chance(70) ? 1 : random.between(2, 3); more > 0; --more)
    mutate_once(random, document);
  return as_text(random, std::move(document));
}

std::string as_text(Random& /*random*/, Json document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string mutated_text(Random& random, std::string text) {
  const auto place = [&] { return random.below(text.size() + 1); };
  const auto key = [&] {
    const std::size_t found = text.find("\":", place());
    if (found == std::string::npos) return std::string::npos;
    return text.rfind('"', found - 1);
  };
  switch (random.below(12)) {
    case 0:
      for (std::uint64_t more = random.between(1, 8); more > 0 && !text.empty(); --more)
        text[random.below(text.size())] = static_cast<char>(random.next());
      break;
    case 1:
      text.resize(place());
      break;
    case 2:
      if (const std::size_t at = key(); at != std::string::npos) {
        const std::size_t end = text.find("\":", at);
        text.insert(at, text.substr(at, end - at + 2) + "\"/\",");
      }
      break;
    case 3:
      if (const std::size_t at = text.find("1,"); at != std::string::npos)
        text.replace(at, 1, random.chance(50) ? std::string(400, '9') : "1e400");
      break;
    case 4: {
      const std::size_t depth = random.between(10, 200'000);
      text.insert(place(), std::string(depth, random.chance(50) ? '[' : '{'));
      break;
    }
    case 5:
      text.insert(0, "\xef\xbb\xbf");
      break;
    case 6:
      text += random.chance(50) ? text : "\n{}";
      break;
    case 7:
      text.insert(place(), 1, '\0');
      break;
    case 8:
      text.insert(place(), random.chance(50) ? "// comment\n" : "/* */");
      break;
    case 9:
      text.insert(place(), "\\ud800");
      break;
    case 10:
      if (const std::size_t at = key(); at != std::string::npos)
        text.insert(at, "\"" + std::string(random.between(1, 300'000), 'k') + "\":0,");
      break;
    default: {
      std::string list;
      for (std::uint64_t more = random.between(1000, 30'000); more > 0; --more) list += "1,";
      if (const std::size_t at = text.find('['); at != std::string::npos) text.insert(at + 1, list);
    }
  }
  return text;
}

Json widened(Random& random, Json playbook, const std::vector<std::string>& folders,
             const std::vector<std::string>& more_folders) {
  for (Json& scope : playbook["scopes"]) {
    if (random.chance(60))
      scope["folder"] = random.pick(random.chance(50) ? folders : more_folders);
    if (random.chance(50)) scope["include"] = {"**"};
  }
  playbook.erase("variables");
  for (Json& indicator : playbook["indicators"]) {
    if (!indicator.contains("match")) continue;
    if (random.chance(50)) indicator["match"] = {{"regex", {{"pattern", "inert [a-z]"}}}};
  }
  return playbook;
}

}  // namespace property
