#include "remediate/journal/journal.h"

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"

namespace remediate::journal {

Result<Journal> Journal::create(const host::Directory& directory, const std::string& name,
                                std::uint64_t reserve_bytes, host::Host& clock) {
  TRY_LET(auto file, directory.create_file(name, 0600));
  if (auto reserved = file->reserve(reserve_bytes);
      !reserved && reserved.error().code != Code::unsupported) {
    TRY(directory.remove_file(name));
    return std::unexpected(
        std::move(reserved).error().wrapped("cannot reserve space for the journal " + name));
  }
  TRY(file->sync());
  TRY(directory.sync());
  Journal journal(std::move(file), clock);
  journal.contents_.head = std::string(64, '0');
  return journal;
}

Result<Journal> Journal::reopen(const host::Directory& directory, const std::string& name,
                                host::Host& clock) {
  TRY_LET(auto file, directory.open_file(name, host::Access::read_write));
  TRY_LET(const std::string bytes, host::read_whole(*file, max_journal_bytes));
  auto contents = read_journal(bytes);
  if (!contents) return std::unexpected(std::move(contents).error().wrapped("journal " + name));
  if (contents->torn) {
    TRY(file->truncate(contents->intact_bytes));
    contents->torn = false;
  }
  // A process that was killed may have left records in the page cache only: who goes on acts on
  // them and signs them, so they have to be on the disk first.
  TRY(file->sync());
  TRY(directory.sync());
  Journal journal(std::move(file), clock);
  journal.contents_ = std::move(*contents);
  return journal;
}

void Journal::append(std::string_view type, const std::string& operation, Json data) {
  Record record{length() + 1,      contents_.head, {clock_->now().seconds, 0},
                std::string(type), operation,      std::move(data)};
  const std::string line = format_record(record);
  contents_.head = crypto::sha256_hex(std::string_view(line).substr(0, line.size() - 1));
  contents_.records.push_back(std::move(record));
  pending_ += line;
}

Result<void> Journal::flush() {
  if (failed_)
    return fail(Code::io, "the journal could not be written before",
                "start `remediate resume` in a new process");
  if (pending_.empty()) return {};
  failed_ = true;
  TRY(file_->write_at(contents_.intact_bytes, pending_));
  TRY(file_->sync_data());
  failed_ = false;
  contents_.intact_bytes += pending_.size();
  pending_.clear();
  return {};
}

}  // namespace remediate::journal
