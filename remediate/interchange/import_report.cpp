#include <map>

#include "remediate/base/encoding.h"
#include "remediate/interchange/import.h"

namespace remediate::interchange {

namespace {

constexpr std::size_t most_places = 3;  // shown of one reason

std::string count(std::uint64_t number, std::string_view one, std::string_view many) {
  return std::to_string(number) + " " + std::string(number == 1 ? one : many);
}

using Groups = std::map<std::string, std::vector<const ImportedItem*>>;

void list(std::string& text, std::string_view heading, const Groups& groups) {
  if (groups.empty()) return;
  text += std::string(heading) + "\n";
  for (const auto& [reason, items] : groups) {
    text += "  " + std::to_string(items.size()) + "  " + reason + "\n";
    for (std::size_t i = 0; i < items.size() && i < most_places; ++i)
      text += "       " + items[i]->place + "  " + items[i]->what + "\n";
    if (items.size() > most_places)
      text += "       and " + std::to_string(items.size() - most_places) +
              " more, all in --format json\n";
  }
}

}  // namespace

std::string report_text(const ImportReport& report) {
  std::string text = "read " + count(report.read, "item", "items") + ": " +
                     std::to_string(report.taken) + " taken, " + std::to_string(report.left_out) +
                     " left out\n" + count(report.indicators, "indicator", "indicators") + ", " +
                     std::to_string(report.removing) + " of them may remove";
  if (report.repeated > 0)
    text += "; " + std::to_string(report.repeated) + " taken items say what others had said";
  text += "\n";
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  Groups left_out;
  Groups noted;
  for (const ImportedItem& item : report.items) {
    if (!item.taken()) left_out[item.reason].push_back(&item);
    for (const std::string& note : item.notes) noted[note].push_back(&item);
  }
  list(text, "left out", left_out);
  list(text, "taken, but", noted);
  return text;
}

Json report_json(const ImportReport& report) {
  Json taken = Json::array();
  Json left_out = Json::array();
  for (const ImportedItem& item : report.items) {
    if (item.taken())
      taken.push_back(Json{{"place", item.place},
                           {"what", item.what},
                           {"indicators", item.indicators},
                           {"notes", item.notes}});
    else
      left_out.push_back(Json{{"place", item.place}, {"what", item.what}, {"reason", item.reason}});
  }
  return Json{{"read", report.read},
              {"taken", report.taken},
              {"left_out", report.left_out},
              {"repeated", report.repeated},
              {"indicators", report.indicators},
              {"removing", report.removing},
              {"notes", report.notes},
              {"taken_items", std::move(taken)},
              {"left_out_items", std::move(left_out)}};
}

}  // namespace remediate::interchange
