#include <algorithm>
#include <array>
#include <map>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/interchange/foreign.h"
#include "remediate/interchange/items.h"
#include "remediate/interchange/stix_pattern.h"

// Bundles of STIX 2.1 (and 2.0, whose indicators look the same).

namespace remediate::interchange {

namespace {

constexpr int low_confidence = 30;
constexpr int high_confidence = 70;
constexpr std::string_view end_of_time = "~";  // greater than every time

/// The marking definitions that STIX and TLP 2.0 fix by id.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> known_markings = {{
    {"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "clear"},
    {"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "green"},
    {"marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "amber"},
    {"marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "red"},
    {"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", "clear"},
    {"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", "green"},
    {"marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", "amber"},
    {"marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", "amber+strict"},
    {"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", "red"},
}};

struct Marking {
  std::string tlp;
  std::string statement;
};

/// UTC of RFC 3339 with seconds or fractions of them; nothing when it is no such time.
std::optional<std::string> time_of(const std::string& text) {
  std::string plain = text;
  if (const std::size_t dot = plain.find('.'); dot != std::string::npos && plain.ends_with('Z')) {
    const std::string fraction = plain.substr(dot + 1, plain.size() - dot - 2);
    if (fraction.empty() || fraction.find_first_not_of("0123456789") != std::string::npos)
      return std::nullopt;
    plain = plain.substr(0, dot) + "Z";
  }
  if (!parse_utc(plain)) return std::nullopt;
  return plain;
}

/// Greater for a later time, whatever the number of its digits; nothing when it is no UTC time.
std::optional<std::string> version_of(const std::string& time) {
  const auto whole = time_of(time);
  if (!whole) return std::nullopt;
  const std::size_t dot = time.find('.');
  std::string fraction =
      dot == std::string::npos ? "" : time.substr(dot + 1, time.size() - dot - 2);
  while (fraction.ends_with('0')) fraction.pop_back();
  return *whole + fraction;
}

class Bundle {
 public:
  Bundle(const ImportFile& file, const Json& document, const Timestamp& now, Collected& collected)
      : file_(file), document_(document), now_(format_utc(now)), collected_(collected) {}

  Result<void> read() {
    const Json& objects = document_.at("objects");
    note_markings(objects);
    note_versions(objects);
    for (std::size_t i = 0; i < objects.size(); ++i) {
      TRY(collected_.begin());
      read_object(objects[i], display(file_.name) + ":/objects/" + std::to_string(i));
    }
    return {};
  }

 private:
  void note_markings(const Json& objects) {
    for (const auto& [id, tlp] : known_markings) markings_[std::string(id)].tlp = tlp;
    for (const Json& object : objects) {
      if (text_of(object, "type") != "marking-definition") continue;
      const std::string id = text_of(object, "id");
      if (id.empty() || !markings_.try_emplace(id).second) continue;
      Marking& marking = markings_[id];
      if (const Json* definition = member(object, "definition")) {
        marking.tlp = tlp_label(text_of(*definition, "tlp"));
        marking.statement = text_of(*definition, "statement");
      }
      const Json* extensions = member(object, "extensions");
      if (extensions == nullptr || !extensions->is_object()) continue;
      for (const Json& extension : *extensions)
        if (const std::string label = tlp_label(text_of(extension, "tlp_2_0")); !label.empty())
          marking.tlp = label;
    }
  }

  /// Of several versions of one object only the latest counts; after a revoked one there is none.
  void note_versions(const Json& objects) {
    for (const Json& object : objects) {
      const bool revoked = flag_of(object, "revoked");
      const std::string version = version_of(modified_of(object)).value_or("");
      collected_.seen(text_of(object, "id"), revoked ? std::string(end_of_time) : version, revoked);
    }
  }
  static std::string modified_of(const Json& object) {
    return text_of(object, member(object, "modified") != nullptr ? "modified" : "created");
  }

  /// Also beside other words: what somebody calls benign is not removed. 2.0 says it in labels.
  static bool says_benign(const Json& object) {
    const auto benign = [](const Json& word) {
      return word.is_string() && ascii_iequals(word.get_ref<const std::string&>(), "benign");
    };
    return std::ranges::any_of(std::array{"indicator_types", "labels"}, [&](const char* key) {
      const Json* words = member(object, key);
      if (words == nullptr) return false;
      return words->is_array() ? std::ranges::any_of(*words, benign) : benign(*words);
    });
  }

  void read_object(const Json& object, const std::string& place) {
    const std::string id = text_of(object, "id");
    const std::string name = text_of(object, "name");
    const std::string what = name.empty() ? id : id + " " + name;
    const auto leave_out = [&](std::string why) {
      collected_.leave_out(place, what, std::move(why));
    };
    if (text_of(object, "type") != "indicator") return leave_out("it is no indicator");
    if (flag_of(object, "revoked")) return leave_out("it was revoked");
    if (says_benign(object)) return leave_out("it indicates what is benign");
    Item item;
    item.place = place;
    item.name = name.empty() ? id : name;
    item.object = id;
    const auto version = version_of(modified_of(object));
    if (!version && !modified_of(object).empty())
      return leave_out("its modified or created is no UTC time");
    item.version = version.value_or("");
    item.source = {
        "stix", short_text(text_of(document_, "id"), file_.name), short_text(id, "?"), {}, {}, {},
        {}};
    if (const std::string fault = read_times(object, item.source); !fault.empty())
      return leave_out(fault);
    read_confidence(object, item);
    read_markings(object, item);
    const std::string pattern = text_of(object, "pattern");
    const std::string type = text_of(object, "pattern_type");
    if (type == "yara") {
      if (const std::string fault = yara_fault(pattern); !fault.empty()) return leave_out(fault);
      Way way;
      way.yara = pattern;
      item.ways.push_back(std::move(way));
    } else if (type == "stix" || (type.empty() && pattern.starts_with('['))) {
      StixPattern read = read_stix_pattern(pattern);
      if (!read.fault.empty()) return leave_out(read.fault);
      item.ways = std::move(read.ways);
      item.notes.insert(item.notes.end(), read.notes.begin(), read.notes.end());
    } else {
      return leave_out("its pattern is neither STIX nor YARA");
    }
    collected_.take(std::move(item));
  }

  /// Why it does not hold today; empty when it does.
  [[nodiscard]] std::string read_times(const Json& object, Provenance& source) const {
    source.created = time_of(text_of(object, "created")).value_or("");
    if (member(object, "valid_from") != nullptr) {
      const auto from = time_of(text_of(object, "valid_from"));
      if (!from) return "its valid_from is no UTC time";
      if (*from > now_) return "it is not valid yet";
    }
    if (member(object, "valid_until") == nullptr) return {};
    const auto until = time_of(text_of(object, "valid_until"));
    if (!until) return "its valid_until is no UTC time";
    if (*until <= now_) return "it is no longer valid";
    source.valid_until = *until;
    return {};
  }

  static void read_confidence(const Json& object, Item& item) {
    const Json* value = member(object, "confidence");
    if (value == nullptr || !value->is_number_integer()) return;
    const auto confidence = value->get<std::int64_t>();
    item.confidence = confidence >= high_confidence  ? "high"
                      : confidence >= low_confidence ? "medium"
                                                     : "low";
    item.review_only = confidence < low_confidence;
    if (item.review_only)
      item.notes.emplace_back("for review: its source has low confidence in it");
  }

  void read_markings(const Json& object, Item& item) const {
    const Json* refs = member(object, "object_marking_refs");
    if (refs == nullptr || !refs->is_array()) return;
    for (const Json& ref : *refs) {
      const auto found =
          ref.is_string() ? markings_.find(ref.get_ref<const std::string&>()) : markings_.end();
      if (found == markings_.end()) {
        item.notes.emplace_back("it is marked by a definition that the bundle does not hold");
        continue;
      }
      item.source.tlp = stricter_tlp(item.source.tlp, found->second.tlp);
      if (!found->second.statement.empty())
        item.source.licence = short_text(item.source.licence.empty() ? found->second.statement
                                                                     : item.source.licence + "; " +
                                                                           found->second.statement);
    }
  }

  const ImportFile& file_;
  const Json& document_;
  const std::string now_;
  Collected& collected_;
  std::map<std::string, Marking> markings_;
};

}  // namespace

bool is_stix(const Json& document) { return text_of(document, "type") == "bundle"; }

Result<void> read_stix(const ImportFile& file, const Json& document, const Timestamp& now,
                       Collected& collected) {
  const Json* objects = member(document, "objects");
  if (!is_stix(document) || objects == nullptr || !objects->is_array())
    return fail(Code::bad_input,
                display(file.name) + (is_stix(document) ? ":/objects is no list of objects"
                                                        : ":/type is not \"bundle\""),
                "give a STIX 2.1 bundle");
  return Bundle(file, document, now, collected).read();
}

}  // namespace remediate::interchange
