#pragma once

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "remediate/host/host.h"
#include "remediate/run/apply.h"
#include "remediate/run/rollback.h"
#include "remediate/run/store.h"
#include "remediate/run/survey.h"
#include "remediate/run/verify.h"

namespace property {

using remediate::Result;

/// A failure that no case may have; what() is told with the case's seed.
class Failed : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <class T>
T must(Result<T> result, const std::string& what) {
  if (!result) throw Failed(what + ": " + result.error().text());
  return std::move(*result);
}
inline void must(const Result<void>& result, const std::string& what) {
  if (!result) throw Failed(what + ": " + result.error().text());
}

/// Keys made once for every store: making them is slow.
struct Keys {
  remediate::run::StoreKeys store;
  std::string recovery_key;
};
[[nodiscard]] Keys make_keys();

/// Sets its flag at a step of a run, as an operator who interrupts it does.
class Interrupter final : public remediate::run::Progress {
 public:
  void step(const std::string& phase, std::uint64_t done, std::uint64_t total,
            const std::string& what) override;
  void note(const std::string& text) override;
  void interrupt_after(std::uint64_t steps) { left_ = steps + 1; }
  std::atomic<bool> stop{false};

 private:
  std::uint64_t left_ = 0;
};

/// A root and a store on this machine, used through the libraries as the command uses them; every
/// call opens the store anew, as a new process would.
class Scene {
 public:
  Scene(std::string root, std::string store, const Keys& keys);

  [[nodiscard]] Result<remediate::plan::PlanFile> plan(
      const std::vector<remediate::playbook::Playbook>& playbooks);
  [[nodiscard]] Result<remediate::plan::ApprovedPlan> approve(remediate::plan::PlanFile file);
  [[nodiscard]] Result<remediate::run::RunReport> apply(
      const remediate::plan::ApprovedPlan& approved);
  [[nodiscard]] Result<remediate::run::RunReport> resume(const std::string& run);
  [[nodiscard]] Result<remediate::run::RunReport> rollback(const std::string& run,
                                                           remediate::run::RollbackOptions options);
  [[nodiscard]] Result<remediate::run::RunReport> finalize(const std::string& run);
  [[nodiscard]] Result<remediate::run::VerifyReport> verify(const std::string& run);
  [[nodiscard]] remediate::run::Recovery recovery() const;
  [[nodiscard]] std::string filesystem() const;

  remediate::plan::Policy policy;
  Interrupter progress;
  bool store_known = true;  // false: a planted fault, the store is not kept out of plans

 private:
  [[nodiscard]] std::unique_ptr<remediate::run::Store> open_store();
  [[nodiscard]] std::unique_ptr<remediate::host::Directory> open_root() const;
  [[nodiscard]] remediate::run::ApplyOptions options(const remediate::run::Store& store) const;
  std::unique_ptr<remediate::host::Host> host_;
  std::string root_, store_;
  const Keys& keys_;
};

/// "op-0001 /path: outcome reason" a line.
[[nodiscard]] std::string text(const remediate::run::RunReport& report);

}  // namespace property
