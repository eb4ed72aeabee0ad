#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "remediate/host/memory/memory_host.h"
#include "remediate/run/apply.h"
#include "remediate/run/rollback.h"
#include "remediate/run/store.h"
#include "remediate/run/survey.h"
#include "remediate/run/verify.h"
#include "remediate/setting/directory/memory_directory.h"

namespace remediate::run::test {

/// The value of a result that has to be there.
template <class T>
T must(Result<T> result) {
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}
inline void must(const Result<void>& result) {
  if (!result) FAIL(result.error().text());
}

/// What a rollback promises to bring back of one file or folder.
struct Kept {
  FileKind kind = FileKind::unknown;
  std::uint64_t inode = 0;
  std::string bytes;
  std::uint32_t mode = 0;
  std::uint32_t owner = 0;
  Timestamp modified;
  std::uint32_t flags = 0;
  std::vector<ExtendedAttribute> attributes;
  bool operator==(const Kept&) const = default;
};
using Snapshot = std::map<std::string, Kept>;  // by path below the folder

/// Everything below a folder of a host, mounts crossed, but the tool's own holds.
[[nodiscard]] Snapshot snapshot(host::Host& host, const std::string& folder);
/// Bytes by inode of every file below a folder, the holds too.
[[nodiscard]] std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> inodes(
    host::Host& host, const std::string& folder);
[[nodiscard]] std::string difference(const Snapshot& before, const Snapshot& after,
                                     bool same_inodes = true);

class Quiet final : public Progress {
 public:
  void step(const std::string& phase, std::uint64_t done, std::uint64_t total,
            const std::string& what) override;
  void note(const std::string& text) override;
  std::vector<std::string> steps;
  std::atomic<bool>* stop = nullptr;  // set at step number `stop_at`
  std::size_t stop_at = 0;
};

/// Keys made once for all stores of the tests: making them is slow.
struct Keys {
  StoreKeys store;
  std::string recovery_key;
};
[[nodiscard]] const Keys& keys();

/// A host with a target below `base`/target and a store at `base`/store. Every call works as a new
/// process would: with a store and handles of its own.
class World {
 public:
  World(host::Host& the_host, std::string base);

  void folder(const std::string& path);
  void file(const std::string& path, const std::string& bytes, std::uint32_t mode = 0644);
  void remove(const std::string& path);
  void protect(const std::string& path, std::uint32_t flags);
  [[nodiscard]] std::string read(const std::string& path);
  [[nodiscard]] bool exists(const std::string& path);
  [[nodiscard]] std::string sha256(const std::string& path);
  /// The path's folder and last name, opened below the target.
  [[nodiscard]] std::unique_ptr<host::Directory> parent(const std::string& path);

  /// Three shells, a clean file, and a configuration with a virtual directory to be removed.
  void fill();
  /// A version of the configuration that the server kept: an edit makes the tool copy it first.
  void keep_old_version(unsigned number = 1);
  /// A page of the product that was overwritten, and a folder with its known good version. Plans
  /// put it back from then on.
  void overwrite_page();

  [[nodiscard]] Snapshot snapshot();
  [[nodiscard]] plan::PlanFile plan();
  [[nodiscard]] Result<plan::PlanFile> try_plan();
  [[nodiscard]] plan::ApprovedPlan approve(plan::PlanFile file);
  [[nodiscard]] Result<RunReport> apply(const plan::PlanFile& file);
  [[nodiscard]] Result<RunReport> apply(const plan::ApprovedPlan& approved);
  [[nodiscard]] Result<RunReport> resume(const std::string& run);
  [[nodiscard]] Result<RunReport> rollback(const std::string& run, RollbackOptions options = {});
  [[nodiscard]] Result<RunReport> finalize(const std::string& run);
  [[nodiscard]] Result<VerifyReport> verify(const std::string& run = "");
  [[nodiscard]] std::unique_ptr<Store> open_store();
  void make_store(const StoreKeys& given);
  [[nodiscard]] Recovery recovery() const;

  [[nodiscard]] host::Host& host() { return host_; }
  [[nodiscard]] const std::string& target() const { return target_; }
  [[nodiscard]] const std::string& store_path() const { return store_; }

  plan::Policy policy;
  Quiet progress;
  std::atomic<bool> stop{false};
  std::uint64_t max_sealed_bytes = 1u << 20;
  ApplyStages stages;
  std::vector<std::string> older_revisions_allowed;
  std::map<RawPath, std::string> refused;  // what a guard keeps out, and why
  /// Plans are made of these too, before the shells.
  std::vector<playbook::Playbook> first;
  /// What plans are made of and runs work with besides the files, when it is set.
  setting::MemoryDirectory* exchange = nullptr;

 private:
  [[nodiscard]] ApplyOptions options(const Store& store) const;
  host::Host& host_;
  std::string target_, store_, known_good_;
};

/// A world in memory with a further mount at target/data, and its store made.
struct MemoryWorld {
  MemoryWorld();
  host::MemoryHost host;
  std::unique_ptr<World> world;
};

/// A world in a temporary directory of this machine, removed afterwards.
struct NativeWorld {
  NativeWorld();
  ~NativeWorld();
  NativeWorld(const NativeWorld&) = delete;
  NativeWorld& operator=(const NativeWorld&) = delete;
  std::string base;
  std::unique_ptr<host::Host> host;
  std::unique_ptr<World> world;
};

/// In every old version: nothing of it may be stored in clear.
inline constexpr const char* old_secret = "an old password of an application pool";
inline constexpr const char* page = "www/login.php";
inline constexpr const char* bad_page = "overwritten page\n";
inline constexpr const char* good_page = "login page as it was shipped\n";

[[nodiscard]] playbook::Playbook shells_playbook();
/// Replaces `page` where it is bad_page by good_page.
[[nodiscard]] playbook::Playbook pages_playbook();
/// Takes external URLs with a script away.
[[nodiscard]] playbook::Playbook directory_playbook();
[[nodiscard]] std::string findings(const VerifyReport& report);
[[nodiscard]] const OperationReport& operation(const RunReport& report, const std::string& address);
[[nodiscard]] std::string text(const RunReport& report);

}  // namespace remediate::run::test
