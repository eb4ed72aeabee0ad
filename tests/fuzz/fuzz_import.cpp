// The first byte picks format and options, the rest is the file. What is accepted is a playbook
// that parses, and every item that was read is taken or left out.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "remediate/base/encoding.h"
#include "remediate/interchange/import.h"
#include "remediate/playbook/parse.h"

namespace {

using namespace remediate;
using namespace remediate::interchange;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const Imported& imported, const ImportOptions& options) {
  const ImportReport& report = imported.report;
  require(report.read == report.items.size() && report.read == report.taken + report.left_out);
  for (const ImportedItem& item : report.items) {
    require(item.taken() == item.reason.empty() && !item.place.empty());
    require(is_utf8(item.what) && item.what.find('\x1b') == std::string::npos);
  }
  const auto parsed = playbook::parse_playbook(imported.playbook, "fuzz.json");
  require(parsed.has_value());
  const playbook::Playbook& playbook = parsed->playbook;
  require(playbook.indicators.size() == report.indicators);
  for (const playbook::Indicator& indicator : playbook.indicators) {
    require(indicator.source && !indicator.source->format.empty());
    const bool removes = indicator.authorises == playbook::Authorises::remove;
    const auto kind = indicator.match->kind;
    const bool weak =
        kind == playbook::Condition::Kind::md5 || kind == playbook::Condition::Kind::sha1;
    require(!removes || kind != playbook::Condition::Kind::path);
    require(!removes || !weak || options.remove_by_weak_digest);
  }
  require(report_text(report).find('\x1b') == std::string::npos);
  require(report_json(report).at("read") == report.read);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  ImportOptions options;
  constexpr std::uint8_t formats = 6;
  if (const std::uint8_t which = data[0] % formats; which != formats - 1)
    options.format = static_cast<ImportFormat>(which);
  options.folders = {data[0] >= 128 ? "/www" : "C:\\inetpub\\wwwroot"};
  options.remove_by_weak_digest = (data[0] & 64) != 0;
  options.now.seconds = 1'770'000'000;
  const std::string bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto imported = import_indicators({{"fuzz", bytes}}, options);
  if (imported)
    check(*imported, options);
  else
    require(!imported.error().message.empty() && imported.error().code != Code::internal);
  return 0;
}
