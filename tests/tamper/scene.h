#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/run/world.h"

namespace remediate::run::test {

/// What a file of the store is; each has its own row in the summary.
enum class Kind : std::uint8_t {
  journal,
  head,
  head_signature,
  manifest,
  manifest_signature,
  plan,
  approval,
  store,
  certificate,
  object,
  held,
  count
};
[[nodiscard]] std::string_view kind_name(Kind kind);

struct Place {
  Kind kind;
  std::string folder;  // absolute
  std::string name;
  [[nodiscard]] std::string shown() const { return folder + "/" + name; }
};

/// All files of a store, by absolute path: an attacker's copy of an earlier state.
using Copy = std::vector<std::pair<Place, std::string>>;

/// A store in memory with the run that is attacked, and a second run to take files from.
struct Scene {
  explicit Scene(const std::string& shape);
  MemoryWorld memory;
  World& world = *memory.world;
  std::string run, other;
  bool stopped = false;            // an apply that was stopped: its manifest is only provisional
  std::string witness;             // the head noted when `run` came to its present state
  Copy begun;                      // what the store held of `run` when only its start was signed
  std::vector<Place> files;        // of `run`, and of the store
  std::vector<Place> other_files;  // of `other`

  [[nodiscard]] std::string read(const Place& place);
  /// The same inode with other bytes and, for a held original, the metadata it had.
  void write(const Place& place, const std::string& bytes);
  void move(const Place& from, const Place& to);
  void remove(const Place& place);
  void create(const Place& place, const std::string& bytes);
  [[nodiscard]] std::unique_ptr<host::Directory> folder(const Place& place);
  /// The files that a run has in the store and in its holds.
  [[nodiscard]] std::vector<Place> list(const std::string& of_run);
};

/// A second certificate of the signer's name, and its key.
struct Namesake {
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};
[[nodiscard]] const Namesake& namesake();

/// Two approvers of the scene's plans.
[[nodiscard]] const std::vector<Namesake>& approvers();
[[nodiscard]] std::string approve(const std::string& plan_bytes);
[[nodiscard]] plan::ApprovalRequest request(World& world, plan::PlanFile file,
                                            std::string signature);

}  // namespace remediate::run::test
