#include "remediate/journal/record.h"

#include <algorithm>
#include <array>

#include "remediate/base/clock.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"

namespace remediate::journal {
namespace {

constexpr std::size_t max_line = 8u << 20;

Result<Record> read_record(std::string_view line) {
  JsonLimits limits;
  limits.max_bytes = max_line;
  TRY_LET(const Json json, parse_json(line, "the record", limits));
  JsonReader reader(json, "");
  Record record;
  TRY_LET(record.sequence, reader.unsigned_integer("seq"));
  TRY_LET(record.prev, reader.string("prev"));
  TRY_LET(const std::string time, reader.string("time"));
  const auto parsed = parse_utc(time);
  if (!parsed) return fail(Code::bad_input, "its time is not a UTC time");
  record.time = *parsed;
  TRY_LET(record.type, reader.string("type"));
  if (!known_type(record.type))
    return fail(Code::bad_input, "its type is not known to this version");
  TRY_LET(record.operation, reader.string("operation"));
  TRY_LET(const Json* data, reader.object("data"));
  record.data = *data;
  TRY(reader.done());
  return record;
}

/// Whether the bytes from `start` on have their NUL bytes only where a power cut leaves them: in
/// runs that begin and end with a sector, with the last flush or with the file.
bool never_written(std::string_view bytes, std::size_t start) {
  constexpr std::size_t sector = 512;
  for (std::size_t at = bytes.find('\0', start); at < bytes.size();) {
    const std::size_t end = std::min(bytes.find_first_not_of('\0', at), bytes.size());
    const bool whole = end - at >= sector;
    if (!whole && at != start && at % sector != 0) return false;
    if (!whole && end != bytes.size() && end % sector != 0) return false;
    at = std::min(bytes.find('\0', end), bytes.size());
  }
  return true;
}

}  // namespace

bool known_type(std::string_view type) {
  static constexpr std::array known = {type::run_started,     type::intent,    type::captured,
                                       type::sealed,          type::done,      type::not_done,
                                       type::restore_intent,  type::restored,  type::not_restored,
                                       type::finalize_intent, type::finalized, type::stage,
                                       type::closed};
  return std::ranges::find(known, type) != known.end();
}

std::string format_record(const Record& record) {
  const Json json{{"seq", record.sequence},          {"prev", record.prev},
                  {"time", format_utc(record.time)}, {"type", record.type},
                  {"operation", record.operation},   {"data", record.data}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Contents> read_journal(std::string_view bytes) {
  Contents contents;
  contents.head = std::string(64, '0');
  while (contents.intact_bytes < bytes.size()) {
    const std::string_view rest = bytes.substr(contents.intact_bytes);
    const std::size_t end = rest.find('\n');
    const std::string where = "record " + std::to_string(contents.records.size() + 1);
    if (end == std::string_view::npos) {
      contents.torn = true;
      break;
    }
    const std::string_view line = rest.substr(0, end);
    // No record holds a NUL: this is space that was reserved and, at a power cut, only partly
    // written. What was durable before is whole; a signed head tells when more is missing.
    if (line.find('\0') != std::string_view::npos) {
      if (!never_written(bytes, contents.intact_bytes))
        return fail(Code::corrupt, where + " of the journal holds a NUL byte",
                    "the journal was damaged or changed: keep it as it is and compare it with a "
                    "witness or a backup");
      contents.torn = true;
      break;
    }
    auto record = read_record(line);
    if (!record)
      return fail(Code::corrupt, where + " of the journal cannot be read: " + record.error().text(),
                  "the journal was damaged or changed: keep it as it is and compare it with a "
                  "witness or a backup");
    if (record->sequence != contents.records.size() + 1)
      return fail(
          Code::corrupt, where + " of the journal has number " + std::to_string(record->sequence),
          "records were removed, added or moved: compare the journal with a witness or a backup");
    if (record->prev != contents.head)
      return fail(Code::corrupt, where + " of the journal does not follow from the one before it",
                  "records were changed: compare the journal with a witness or a backup");
    contents.records.push_back(std::move(*record));
    contents.head = crypto::sha256_hex(line);
    contents.intact_bytes += end + 1;
  }
  return contents;
}

}  // namespace remediate::journal
