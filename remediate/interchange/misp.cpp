#include <algorithm>
#include <array>
#include <charconv>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/interchange/foreign.h"
#include "remediate/interchange/items.h"
#include "remediate/interchange/path_pattern.h"

// Events of MISP as its export, its REST interface and feeds write them.

namespace remediate::interchange {

namespace {

constexpr std::size_t max_value = 4096;

/// What stands around an attribute.
struct Around {
  std::string event;  // uuid
  std::string info;
  std::string tlp;
  std::string object;       // place of the object it belongs to; empty: the event's own
  bool has_sha256 = false;  // the object names the file's SHA-256
};

std::string tlp_of(const Json& tagged) {
  std::string label;
  const Json* tags = member(tagged, "Tag");
  if (tags == nullptr || !tags->is_array()) return label;
  for (const Json& tag : *tags) {
    const std::string name = text_of(tag, "name");
    if (ascii_lower(name).starts_with("tlp:")) label = stricter_tlp(label, tlp_label(name));
  }
  return label;
}

/// Seconds since 1970 as MISP writes them, in a text.
std::string time_of(const Json& object, const char* key) {
  const std::string text = text_of(object, key);
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  constexpr std::int64_t year_3000 = 32'503'680'000;
  if (text.empty() || error != std::errc() || end != text.data() + text.size() || seconds <= 0 ||
      seconds >= year_3000)
    return {};
  Timestamp time;
  time.seconds = seconds;
  return format_utc(time);
}

/// Greater for a later time; empty when the attribute has none.
std::string version_of(const Json& attribute) {
  const std::string text = text_of(attribute, "timestamp");
  constexpr std::size_t digits = 20;
  if (text.empty() || text.size() > digits ||
      text.find_first_not_of("0123456789") != std::string::npos)
    return {};
  return std::string(digits - text.size(), '0') + text;
}

bool seen_as_false_positive(const Json& attribute) {
  const Json* sightings = member(attribute, "Sighting");
  return sightings != nullptr && sightings->is_array() &&
         std::ranges::any_of(*sightings,
                             [](const Json& sighting) { return text_of(sighting, "type") == "1"; });
}

/// Why the attribute is none that a search may use; empty when it is.
std::string unusable(const Json& attribute) {
  if (flag_of(attribute, "deleted")) return "it was deleted";
  if (!flag_of(attribute, "to_ids")) return "it is not meant for detection (to_ids)";
  if (const Json* warnings = member(attribute, "warnings");
      warnings != nullptr && warnings->is_structured() && !warnings->empty())
    return "it stands in one of MISP's warning lists";
  return {};
}

class Reader {
 public:
  Reader(const ImportFile& file, Collected& collected)
      : file_(display(file.name)), collected_(collected) {}

  Result<void> read_event(const Json& event, const std::string& place) {
    Around around;
    around.event = text_of(event, "uuid");
    around.info = text_of(event, "info");
    around.tlp = tlp_of(event);
    TRY(read_attributes(event, place, around));
    const Json* objects = member(event, "Object");
    if (objects == nullptr || !objects->is_array()) return {};
    for (std::size_t i = 0; i < objects->size(); ++i)
      TRY(read_object((*objects)[i], place + "/Object/" + std::to_string(i), around));
    return {};
  }

  Result<void> read_attributes(const Json& holder, const std::string& place, const Around& around) {
    const Json* attributes = member(holder, "Attribute");
    if (attributes == nullptr || !attributes->is_array()) return {};
    for (std::size_t i = 0; i < attributes->size(); ++i) {
      TRY(collected_.begin());
      read_attribute((*attributes)[i], place + "/Attribute/" + std::to_string(i), around);
    }
    return {};
  }

 private:
  Result<void> read_object(const Json& object, const std::string& place, Around around) {
    around.object = place;
    around.tlp = stricter_tlp(around.tlp, tlp_of(object));
    const Json* attributes = member(object, "Attribute");
    if (attributes != nullptr && attributes->is_array())
      around.has_sha256 = std::ranges::any_of(*attributes, [](const Json& attribute) {
        return text_of(attribute, "type") == "sha256" && unusable(attribute).empty() &&
               digest_kind(text_of(attribute, "value")) == "sha256";
      });
    if (!flag_of(object, "deleted")) return read_attributes(object, place, around);
    for (std::size_t i = 0; attributes != nullptr && i < attributes->size(); ++i) {
      TRY(collected_.begin());
      const Json& attribute = (*attributes)[i];
      collected_.seen(text_of(attribute, "uuid"),
                      std::max(version_of(attribute), version_of(object)), true);
      collected_.leave_out(file_ + ":" + place + "/Attribute/" + std::to_string(i),
                           text_of(attribute, "value"), "its object was deleted");
    }
    return {};
  }

  void read_attribute(const Json& attribute, const std::string& pointer, const Around& around) {
    const std::string place = file_ + ":" + pointer;
    const std::string type = text_of(attribute, "type");
    const std::string value = text_of(attribute, "value");
    const auto leave_out = [&](std::string why) {
      collected_.leave_out(place, type + " " + value, std::move(why));
    };
    const std::string version = version_of(attribute);
    collected_.seen(text_of(attribute, "uuid"), version, flag_of(attribute, "deleted"));
    if (std::string why = unusable(attribute); !why.empty()) return leave_out(std::move(why));
    Item item;
    if (std::string why = read_value(type, value, around, item); !why.empty())
      return leave_out(std::move(why));
    item.place = place;
    const std::string comment = text_of(attribute, "comment");
    item.name = comment.empty() ? around.info : comment;
    if (item.name.empty()) item.name = value;
    const std::string uuid = text_of(attribute, "uuid");
    item.object = uuid;
    item.version = version;
    item.source = {"misp",
                   short_text(around.event, file_),
                   short_text(uuid, pointer),
                   time_of(attribute, "timestamp"),
                   {},
                   stricter_tlp(around.tlp, tlp_of(attribute)),
                   {}};
    if (seen_as_false_positive(attribute)) {
      item.review_only = true;
      item.notes.emplace_back("for review: somebody saw it as a false positive");
    }
    collected_.take(std::move(item));
  }

  /// Why it cannot be taken; empty when `item` has it.
  static std::string read_value(const std::string& type, const std::string& value,
                                const Around& around, Item& item) {
    if (value.size() > max_value && type != "yara") return "its value is longer than 4096 bytes";
    Way way;
    if (type == "yara") {
      if (std::string fault = yara_fault(value); !fault.empty()) return fault;
      way.yara = value;
    } else if (type == "md5" || type == "sha1" || type == "sha256") {
      if (digest_kind(value) != type) return "it has a digest of the wrong length";
      if (type != "sha256" && around.has_sha256) return "the SHA-256 of the same object says more";
      way = digest_way(value);
    } else if (type == "filename") {
      way.globs = {name_glob(value)};
    } else if (type == "filename|md5" || type == "filename|sha1" || type == "filename|sha256" ||
               type == "malware-sample") {
      const std::size_t bar = value.rfind('|');
      const std::string digest = bar == std::string::npos ? "" : value.substr(bar + 1);
      if (digest_kind(digest) != (type == "malware-sample" ? "md5" : type.substr(9)))
        return "it has a digest of the wrong length";
      way = digest_way(digest);
      way.globs = {name_glob(value.substr(0, bar))};
    } else {
      return "no indicator of files says what this type says";
    }
    if (!way.globs.empty() && way.globs.front().empty())
      return "it has a name that a glob cannot say";
    item.ways.push_back(std::move(way));
    return {};
  }

  const std::string file_;
  Collected& collected_;
};

struct Found {
  const Json* event;
  std::string place;
};

void find_events(const Json& list, const std::string& place, std::vector<Found>& events) {
  for (std::size_t i = 0; i < list.size(); ++i)
    if (const Json* event = member(list[i], "Event"))
      events.push_back({event, place + "/" + std::to_string(i) + "/Event"});
}

std::vector<Found> events_of(const Json& document) {
  std::vector<Found> events;
  if (const Json* event = member(document, "Event")) events.push_back({event, "/Event"});
  if (document.is_array()) find_events(document, "", events);
  if (const Json* response = member(document, "response"); response && response->is_array())
    find_events(*response, "/response", events);
  return events;
}

/// {"response": {"Attribute": [...]}}, what a search for attributes answers.
const Json* attributes_of(const Json& document) {
  const Json* response = member(document, "response");
  return response != nullptr && member(*response, "Attribute") != nullptr ? response : nullptr;
}

}  // namespace

bool is_misp(const Json& document) {
  return attributes_of(document) != nullptr || !events_of(document).empty();
}

Result<void> read_misp(const ImportFile& file, const Json& document, Collected& collected) {
  Reader reader(file, collected);
  if (const Json* holder = attributes_of(document))
    return reader.read_attributes(*holder, "/response", {});
  const std::vector<Found> events = events_of(document);
  if (events.empty())
    return fail(Code::bad_input, display(file.name) + ": there is no event in it",
                "give an event of MISP: {\"Event\": ...}, {\"response\": [{\"Event\": ...}]}");
  for (const Found& found : events) TRY(reader.read_event(*found.event, found.place));
  return {};
}

}  // namespace remediate::interchange
