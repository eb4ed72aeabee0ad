#pragma once

#include <memory>
#include <string>

#include "remediate/host/directory.h"
#include "remediate/host/host.h"
#include "remediate/journal/record.h"

namespace remediate::journal {

/// The append-only record of one run. append() only buffers: nothing may act on a record before
/// flush() has returned success. After a failed flush the journal refuses everything: what is on
/// the disk is unknown until it is read again by a new process.
class Journal {
 public:
  /// already_exists when the run has a journal. `reserve_bytes` are allocated ahead, so that a
  /// full disk is met before the first effect.
  [[nodiscard]] static Result<Journal> create(const host::Directory& directory,
                                              const std::string& name, std::uint64_t reserve_bytes,
                                              host::Host& clock);
  /// Reads and continues one. A torn end is cut off first. Durable when it returns: what was read,
  /// also what a process that was killed had written and not flushed.
  [[nodiscard]] static Result<Journal> reopen(const host::Directory& directory,
                                              const std::string& name, host::Host& clock);

  void append(std::string_view type, const std::string& operation, Json data = Json::object());
  /// Durable when it returns: every record appended so far.
  [[nodiscard]] Result<void> flush();

  [[nodiscard]] const Contents& contents() const { return contents_; }
  [[nodiscard]] const std::string& head() const { return contents_.head; }
  [[nodiscard]] std::uint64_t length() const { return contents_.records.size(); }

 private:
  Journal(std::unique_ptr<host::File> file, host::Host& clock)
      : file_(std::move(file)), clock_(&clock) {}
  std::unique_ptr<host::File> file_;
  host::Host* clock_;
  Contents contents_;
  std::string pending_;
  bool failed_ = false;
};

inline constexpr std::uint64_t max_journal_bytes = 4ull << 30;

}  // namespace remediate::journal
