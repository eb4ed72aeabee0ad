#include "remediate/observe/reading.h"

#include <algorithm>

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/observe/scan.h"

namespace remediate::observe {
namespace {

constexpr int tries = 2;

bool same_state(const FileStat& a, const FileStat& b) {
  return a.size == b.size && a.modified == b.modified && a.changed == b.changed;
}

std::unexpected<Error> was_changed(std::string_view shown_name) {
  return fail(Code::changed, std::string(shown_name) + " was written to while it was read",
              "stop what writes to it, or try again");
}

/// How many bytes there are. One more than `expected` is asked for; that nothing came after a short
/// answer is told by the size afterwards.
Result<std::size_t> fill(const host::File& file, std::size_t expected, std::string& buffer) {
  if (buffer.size() < expected + 1) buffer.resize(expected + 1);
  std::size_t filled = 0;
  while (filled < expected + 1) {
    TRY_LET(const std::size_t count,
            file.read_at(filled, std::span(buffer.data() + filled, expected + 1 - filled)));
    filled += count;
    if (count == 0 || filled == expected) break;
  }
  return filled;
}

}  // namespace

Result<Reading> read_unchanged(const host::File& file, const FileStat& seen,
                               std::uint64_t max_bytes, std::string_view shown_name,
                               std::string& buffer) {
  FileStat before = seen;
  for (int attempt = 0; attempt < tries; ++attempt) {
    if (before.size > max_bytes) {
      return fail(Code::limit,
                  std::string(shown_name) + " has " + std::to_string(before.size) +
                      " bytes, more than the " + std::to_string(max_bytes) + " that are read",
                  "raise the size limit if it has to be looked at");
    }
    TRY_LET(const std::size_t filled, fill(file, static_cast<std::size_t>(before.size), buffer));
    TRY_LET(const FileStat after, file.stat());
    if (filled == before.size && same_state(before, after)) {
      return Reading{.stat = after, .bytes = std::string_view(buffer.data(), filled)};
    }
    before = after;
  }
  return was_changed(shown_name);
}

Result<void> OpenContent::read(std::uint64_t offset, std::span<char> into) const {
  while (!into.empty()) {
    TRY_LET(const std::size_t count, file_.read_at(offset, into));
    if (count == 0) return was_changed(shown_name_);
    offset += count;
    into = into.subspan(count);
  }
  return {};
}

Result<void> OpenContent::unchanged() const {
  TRY_LET(const FileStat now, file_.stat());
  if (!same_state(now, seen_)) return was_changed(shown_name_);
  return {};
}

Result<TargetFacts> target_facts(const host::File& file, const host::Directory& parent,
                                 const FileStat& seen, std::string_view shown_name) {
  TargetFacts facts;
  TRY_LET(facts.metadata, file.metadata());
  if (!same_state(facts.metadata.stat, seen)) return was_changed(shown_name);
  TRY_LET(facts.parent, parent.stat());
  TRY_LET(facts.filesystem, parent.filesystem_type());
  return facts;
}

Result<SettingFile> read_setting_file(const host::Directory& root, const RawPath& path,
                                      std::uint64_t max_bytes) {
  if (path.is_root()) return fail(Code::bad_input, "the root is not a configuration file");
  const std::string shown = path.display();
  TRY_LET(const auto parent, root.open_directory(path.parent(), host::Mounts::cross));
  TRY_LET(const auto file, parent->open_file(path.name(), host::Access::read));
  SettingFile setting;
  TRY_LET(const FileStat seen, file->stat());
  TRY_LET(const Reading reading, read_unchanged(*file, seen, max_bytes, shown, setting.bytes));
  TRY_LET(setting.facts, target_facts(*file, *parent, reading.stat, shown));
  setting.bytes.resize(reading.bytes.size());
  setting.sha256 = crypto::sha256_hex(setting.bytes);
  setting.path = path;
  return setting;
}

}  // namespace remediate::observe
