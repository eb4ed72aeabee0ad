#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "remediate/base/directory_value.h"
#include "remediate/base/file_facts.h"
#include "remediate/base/json.h"
#include "remediate/base/raw_path.h"

namespace quarantine {

using remediate::DirectoryValue;
using remediate::FileId;
using remediate::Json;
using remediate::Metadata;
using remediate::RawPath;
using remediate::Result;
using remediate::Timestamp;

/// Where the captured originals of a file system are kept.
enum class HoldPlace : std::uint8_t { store, mount_top };

/// One captured original: enough to put it back exactly and to prove what it was. The same file
/// captured twice, or one digest at two paths, are two entries.
struct Entry {
  std::string id;      // the operation's
  std::string action;  // "quarantine": a file taken away; else a version of it was replaced
  std::string playbook;
  std::string indicator;
  RawPath path;        // below the root
  std::string sha256;  // of the original's bytes
  Metadata metadata;   // of the original before anything was done
  FileId parent;
  Timestamp parent_before;  // the parent's modification time before and after the capture
  Timestamp parent_after;
  HoldPlace hold = HoldPlace::store;
  std::string hold_name;  // below hold/RUN/
  std::string object;     // SHA-256 of the sealed object = its name in objects/; empty: held only
  std::uint64_t object_size = 0;
  bool open_for_writing = false;  // another process had it open when it was captured
  std::string after_sha256;       // of the version put in its place
  std::vector<std::pair<std::string, std::string>> details;  // raw bytes
  /// reset_setting of a directory: the value that was there. Nothing was captured then, and besides
  /// id, action, playbook, indicator and details nothing else is set.
  std::optional<DirectoryValue> directory;
};

/// A file that was copied and left where it was: only its sealed object is kept.
struct SealedCopy {
  RawPath path;  // below the root
  Timestamp modified;
  std::string sha256;  // of its bytes
  std::uint64_t size = 0;
  std::string object;  // as an Entry's
  std::uint64_t object_size = 0;
  bool operator==(const SealedCopy&) const = default;
};

struct Outcome {
  std::string id;
  std::string action;
  std::string address;
  std::string outcome;
  std::string reason;
};

/// What one run took, signed once when it ends. Binds every sealed object by its digest.
struct Manifest {
  std::string run;
  std::string plan_id;
  std::string plan_sha256;
  std::string plan_signature_sha256;  // empty without a signature file
  std::string host_id;
  std::string host_name;
  std::string boot;
  std::string root;
  std::string tool;
  Timestamp created;
  std::vector<std::string> approvers;
  std::string signer;  // SHA-256 fingerprints of certificates
  std::vector<std::string> recovery;
  std::string journal_head;  // when the manifest was written
  std::uint64_t journal_length = 0;
  std::vector<SealedCopy> copies;  // made before the first change
  std::vector<Entry> entries;
  std::vector<Outcome> outcomes;
};

[[nodiscard]] Json to_json(const Entry& entry);
[[nodiscard]] Result<Entry> entry_from_json(const Json& json, const std::string& pointer);
[[nodiscard]] Json to_json(const std::vector<SealedCopy>& copies);
[[nodiscard]] Result<std::vector<SealedCopy>> copies_from_json(const Json& array,
                                                               const std::string& pointer);
[[nodiscard]] std::string write_manifest(const Manifest& manifest);
/// Strict; bad_input naming the pointer. The bytes must have been verified before.
[[nodiscard]] Result<Manifest> read_manifest(std::string_view bytes);

}  // namespace quarantine
