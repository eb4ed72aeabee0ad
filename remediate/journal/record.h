#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/base/file_facts.h"
#include "remediate/base/json.h"

namespace remediate::journal {

/// The names of record types; a reader refuses others. docs/formats.md tells their members.
namespace type {
inline constexpr std::string_view run_started = "run_started";
inline constexpr std::string_view intent = "intent";
inline constexpr std::string_view captured = "captured";
inline constexpr std::string_view sealed = "sealed";
inline constexpr std::string_view done = "done";
inline constexpr std::string_view not_done = "not_done";
inline constexpr std::string_view restore_intent = "restore_intent";
inline constexpr std::string_view restored = "restored";
inline constexpr std::string_view not_restored = "not_restored";
inline constexpr std::string_view finalize_intent = "finalize_intent";
inline constexpr std::string_view finalized = "finalized";
inline constexpr std::string_view stage = "stage";
inline constexpr std::string_view closed = "closed";
}  // namespace type
[[nodiscard]] bool known_type(std::string_view type);

/// One line of a journal. `prev` is the SHA-256 of the line before it without its line feed;
/// the first record has 64 zeros.
struct Record {
  std::uint64_t sequence = 0;
  std::string prev;
  Timestamp time;
  std::string type;
  std::string operation;  // empty for records of the whole run
  Json data = Json::object();
};

/// What a journal holds. A torn last line (no line feed, or no record after a crash) is not a
/// record: `intact_bytes` ends before it.
struct Contents {
  std::vector<Record> records;
  std::string head;  // SHA-256 of the last record's line
  std::uint64_t intact_bytes = 0;
  bool torn = false;
};

/// corrupt, naming the line, for a bad record anywhere but at the very end, for a broken chain, a
/// wrong sequence number or an unknown type. Never repaired here.
[[nodiscard]] Result<Contents> read_journal(std::string_view bytes);

/// One line with its line feed.
[[nodiscard]] std::string format_record(const Record& record);

}  // namespace remediate::journal
