#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "remediate/base/error.h"
#include "remediate/interchange/import.h"

namespace remediate::interchange {

/// Where an item comes from, as the playbook will say it. All but the format may be empty.
struct Provenance {
  std::string format;
  std::string id;           // of the document: bundle, event, file
  std::string object;       // what in it: an object's id, a line
  std::string created;      // UTC
  std::string valid_until;  // UTC
  std::string tlp;          // as a playbook's
  std::string licence;
};

/// One way in which an item holds: everything that is set must be true of one file.
struct Way {
  std::string sha256;  // lower case
  std::string sha1;
  std::string md5;
  std::vector<std::string> globs;  // below a folder of the playbook; one has to fit
  std::string folder;              // absolute; where the file lies, exactly
  std::optional<std::uint64_t> min_size;
  std::optional<std::uint64_t> max_size;
  std::string yara;
};

/// What one object or line of a source says. It holds when one of the ways does.
struct Item {
  std::string place;
  std::string name;
  std::vector<Way> ways;
  std::string confidence;  // empty: by what the way looks at
  bool review_only = false;
  Provenance source;
  std::vector<std::string> notes;
  std::string object;   // what has versions: an id that is the same in every file; may be empty
  std::string version;  // later ones are greater
};

/// What the readers collect. Each item is begun, and then taken or left out; the sums are compared
/// at the end.
class Collected {
 public:
  /// limit when there are more items than are read.
  [[nodiscard]] Result<void> begin();
  void take(Item item);
  void leave_out(std::string place, std::string_view what, std::string reason);
  /// A digest that its own source calls harmless: no item with it is taken.
  void known_good(const std::string& digest) { known_good_.insert(digest); }
  void note(std::string text) { notes_.insert(std::move(text)); }
  /// One version of an object, in whatever file it stands. Of all of them the latest counts, and
  /// nothing of the object where that one was withdrawn; of two at the same time the withdrawn one.
  void seen(const std::string& object, const std::string& version, bool withdrawn);
  /// Why a later version, perhaps in another file, makes the item void; empty when none does.
  [[nodiscard]] std::string_view outdated(const Item& item) const;

  struct Entry {
    Item item;
    std::string reason;  // not empty: left out
  };
  [[nodiscard]] std::uint64_t read() const { return read_; }
  [[nodiscard]] std::vector<Entry>& entries() { return entries_; }
  [[nodiscard]] bool is_known_good(const std::string& digest) const {
    return known_good_.contains(digest);
  }
  [[nodiscard]] const std::set<std::string>& notes() const { return notes_; }

 private:
  std::uint64_t read_ = 0;
  std::vector<Entry> entries_;
  std::set<std::string> known_good_;
  std::set<std::string> notes_;
  std::map<std::string, std::pair<std::string, bool>> latest_;
};

// The readers: bytes in, items out. An Error is a file that is not of the format at all.
[[nodiscard]] Result<void> read_hash_list(const ImportFile& file, Collected& collected);
[[nodiscard]] Result<void> read_loki(const ImportFile& file, Collected& collected);
[[nodiscard]] Result<void> read_yara(const ImportFile& file, Collected& collected);

/// Why a playbook cannot hold these rules; empty when it can. They are compiled.
[[nodiscard]] std::string yara_fault(const std::string& rules);

/// "sha256", "sha1" or "md5" by the length of `text`, when it is one; empty otherwise.
[[nodiscard]] std::string_view digest_kind(std::string_view text);
/// A way that asks for one digest, which digest_kind() knows.
[[nodiscard]] Way digest_way(std::string_view digest);
/// Why no file may be judged by this digest (lower case); empty when it may.
[[nodiscard]] std::string_view digest_fault(const std::string& digest);
/// One line of printable text, not empty, cut where it is long; a backslash stays one.
[[nodiscard]] std::string short_text(std::string_view text, std::string_view otherwise = {});

/// The lines of a text without their ends; a byte order mark at the start is not part of it.
[[nodiscard]] std::vector<std::string_view> lines_of(std::string_view text);
[[nodiscard]] std::string_view trimmed(std::string_view text);
[[nodiscard]] std::string line_place(const ImportFile& file, std::size_t index);
[[nodiscard]] Provenance line_source(std::string_view format, const ImportFile& file,
                                     std::size_t index);

/// Drafts the playbook and completes the report; the bytes were not parsed yet.
[[nodiscard]] Result<Imported> draft_playbook(Collected& collected,
                                              const std::vector<ImportFile>& files,
                                              const ImportOptions& options);

}  // namespace remediate::interchange
