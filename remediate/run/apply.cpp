#include "remediate/run/apply.h"

#include <algorithm>
#include <map>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/run/copies.h"
#include "remediate/run/directory_reset.h"
#include "remediate/run/file_removal.h"
#include "remediate/run/line_order.h"
#include "remediate/run/revisions.h"
#include "remediate/run/rollback.h"
#include "remediate/run/setting_reset.h"
#include "remediate/run/setting_version.h"
#include "remediate/run/stages.h"
#include "remediate/run/verify.h"

namespace remediate::run {
namespace {

constexpr std::string_view unstarted_prefix = ".starting-";
constexpr std::uint64_t journal_bytes_per_operation = 16u << 10;

bool works(const OperationState& operation) {
  return operation.operation->action != plan::Action::instruct;
}

/// Once a rollback or a finalize has begun, operations that were not begun stay so.
bool unfinished(const Run& run, const OperationState& operation) {
  return works(operation) &&
         ((operation.state == State::planned && run.phase == "apply") ||
          operation.state == State::intended || operation.state == State::captured ||
          operation.state == State::sealed);
}

/// The operations from `next` to before `end` that can share their flushes.
std::vector<OperationState*> batch_from(Run& run, std::size_t& next, std::size_t end) {
  std::vector<OperationState>& operations = run.operations;
  std::vector<OperationState*> batch;
  std::uint64_t bytes = 0;
  while (next < end && batch.size() < batch_files && bytes < batch_bytes) {
    OperationState& operation = operations[next];
    if (operation.operation->action != plan::Action::quarantine && unfinished(run, operation))
      break;
    ++next;
    if (!unfinished(run, operation)) continue;
    batch.push_back(&operation);
    bytes += operation.operation->precondition.metadata.stat.size;
  }
  return batch;
}

/// What a guard keeps out and was not begun stays undone.
Result<void> refuse(Session& session) {
  for (OperationState& operation : session.run.operations) {
    if (operation.state != State::planned || !works(operation)) continue;
    const auto found = session.refused.find(operation.operation->path);
    if (found != session.refused.end()) TRY(session.not_done(operation, "refused", found->second));
  }
  return session.flush();
}

/// A file stays while a line that names it stands: the line was to go first and did not.
Result<void> keep_needed(Session& session, std::vector<OperationState*>& batch) {
  const StandingLines lines = standing_lines(session);
  std::vector<OperationState*> rest;
  for (OperationState* operation : batch) {
    const bool begun = operation->state != State::planned;
    const std::string why = begun ? "" : needed_by(lines, operation->operation->path);
    if (why.empty())
      rest.push_back(operation);
    else
      TRY(session.not_done(*operation, "refused", why));
  }
  if (rest.size() != batch.size()) TRY(session.flush());
  batch = std::move(rest);
  return {};
}

/// Works through every operation before `end` that is not finished; true when it was stopped.
Result<bool> work_until(Session& session, std::size_t& next, std::size_t end) {
  std::vector<OperationState>& operations = session.run.operations;
  while (next < end) {
    if (session.control.stop) return true;
    session.control.progress.step("apply", next, operations.size(),
                                  operations[next].operation->address);
    std::vector<OperationState*> batch = batch_from(session.run, next, end);
    if (!batch.empty()) {
      TRY(keep_needed(session, batch));
      if (!batch.empty()) TRY(remove_files(session, batch));
    } else if (next < end) {
      OperationState& operation = operations[next];
      TRY(operation.operation->setting.directory ? reset_directory_value(session, operation)
                                                 : exchange_file(session, operation));
      ++next;
    }
  }
  return false;
}

/// Stage by stage; true when it was stopped or stands still.
Result<bool> work(Session& session) {
  std::vector<OperationState>& operations = session.run.operations;
  const std::vector<StageEnd> ends = stage_ends(session);
  std::size_t next = 0;
  for (std::size_t stage = 0; stage < ends.size(); ++stage) {
    TRY_LET(const bool stopped, work_until(session, next, ends[stage].index));
    if (stopped) return true;
    // Where the next stage was worked through before, its own end is the place to ask.
    const bool last = ends[stage].index == operations.size();
    const bool at_next = stage + 1 < ends.size() && ends[stage].wait == nullptr;
    const std::size_t behind = at_next ? ends[stage + 1].index : operations.size();
    const bool begins = std::any_of(
        operations.begin() + static_cast<std::ptrdiff_t>(next),
        operations.begin() + static_cast<std::ptrdiff_t>(behind),
        [&](const OperationState& operation) { return unfinished(session.run, operation); });
    if (!last && !begins) continue;
    TRY_LET(const bool still, stands_still(session, ends[stage]));
    if (still) return true;
  }
  TRY_LET(const bool stopped, work_until(session, next, operations.size()));
  if (stopped) return true;
  session.control.progress.step("apply", operations.size(), operations.size(), "");
  return false;
}

Result<void> check_drift(const host::Directory& root, const plan::Plan& plan, bool same_boot,
                         setting::DirectoryService* directory) {
  std::vector<std::string> failed;
  std::set<RawPath> seen;
  for (const plan::Operation& operation : plan.operations) {
    if (const auto& value = operation.setting.directory) {
      auto drift = directory_drift(*directory, *value);
      if (!drift)
        failed.push_back(operation.id + " " + operation.address + ": " + reason_of(drift.error()));
      else
        for (const std::string& reason : *drift)
          failed.push_back(operation.id + " " + operation.address + ": " + reason);
      continue;
    }
    if (auto same = check_baselines(root, operation); !same)
      failed.push_back(operation.id + " " + operation.address + ": " + reason_of(same.error()));
    if (operation.action == plan::Action::instruct || !seen.insert(operation.path).second) continue;
    auto drift = drift_of(root, operation, same_boot);
    if (!drift) {
      if (drift.error().code == Code::permission) continue;  // its own outcome
      if (drift.error().code == Code::limit)                 // of this process, not of the target
        return std::unexpected(std::move(drift).error().wrapped(
            operation.id + " could not be looked at, so nothing was done"));
      failed.push_back(operation.id + " " + operation.address + ": " + reason_of(drift.error()));
    } else if (!drift->vanished) {
      for (const std::string& reason : drift->reasons)
        failed.push_back(operation.id + " " + operation.address + ": " + reason);
    }
  }
  if (failed.empty()) return {};
  Error error{Code::stale_plan,
              "plan " + plan.plan_id + " is stale: " + std::to_string(failed.size()) +
                  " precondition(s) no longer hold; nothing was done",
              "make a new plan and have it approved"};
  error.causes = std::move(failed);
  return std::unexpected(std::move(error));
}

/// Where the store has no room to seal what is still to be sealed, with a margin that the server
/// keeps, the hold has to do: how much is free and needed. Empty: there is room.
Result<std::string> lack_of_space(const Session& session) {
  TRY_LET(const host::Space space, session.store.root().space());
  std::uint64_t files = 64;
  std::uint64_t used = space_margin;
  for (const OperationState& operation : session.run.operations) {
    const std::uint64_t size = operation.operation->precondition.metadata.stat.size;
    if (!unfinished(session.run, operation) || operation.state == State::sealed ||
        size > session.max_sealed_bytes)
      continue;
    constexpr std::uint64_t endless = UINT64_MAX / 4;
    used += sealed_at_most(std::min(size, endless)) + operation.operation->replacement.bytes.size();
    used = std::min(used, endless);
    ++files;
  }
  if (space.free_bytes >= used && space.free_files >= files) return std::string();
  return "it has room for " + std::to_string(space.free_bytes) + " bytes and " +
         std::to_string(space.free_files) + " files, needed are " + std::to_string(used) +
         " bytes (" + std::to_string(space_margin) + " of them stay free for the server) and " +
         std::to_string(files) + " files";
}

/// A journal whose run never appeared, and the objects that it names: an attempt that failed before
/// it could do anything.
Result<void> remove_stale_journal(const Store& store, const std::string& name) {
  std::vector<std::string> stale;
  TRY(store.journals().each_entry([&](std::string_view entry, FileKind) {
    if (entry == journal_name(name) || entry.starts_with(head_prefix(name)))
      stale.emplace_back(entry);
    return true;
  }));
  if (std::ranges::find(stale, journal_name(name)) != stale.end()) {
    TRY_LET(const std::string bytes,
            host::read_whole(store.journals(), journal_name(name), journal::max_journal_bytes));
    const auto contents = journal::read_journal(bytes);
    if (!contents || contents->records.size() > 1)
      return fail(
          Code::refused,
          "the journal of run " + name + " tells what was done, and the run's folder is gone",
          "`remediate verify` tells more: take the folder from a backup");
    if (!contents->records.empty() && contents->records.front().data.contains("copies")) {
      TRY_LET(const auto copies,
              quarantine::copies_from_json(contents->records.front().data["copies"], "/copies"));
      for (const quarantine::SealedCopy& copy : copies) TRY(store.vault().discard(copy.object));
    }
  }
  for (const std::string& entry : stale) TRY(store.journals().remove_file(entry));
  return {};
}

/// The run appears with its plan, its copies and a journal that has room and says that it started,
/// or not at all: a full disk leaves the plan to be applied again. The journal names the copies
/// before they have their names, so that none is left over.
Result<journal::Journal> start_run(host::Host& host, const Store& store,
                                   const host::Directory& root, const plan::ApprovedPlan& approved,
                                   const std::string& name,
                                   const std::vector<crypto::Certificate>& recipients,
                                   std::vector<std::string>& notices) {
  TRY(store.root().sync());  // whoever made the store may have been killed before it was flushed
  const std::string unfinished_name = std::string(unstarted_prefix) + name;
  TRY_LET(const auto directory, host::ensure_directory(store.runs(), unfinished_name, 0700));
  if (approved.signature().empty()) {
    auto removed = directory->remove_file("plan.json.p7s");  // of an attempt before
    if (!removed && removed.error().code != Code::not_found)
      return std::unexpected(std::move(removed).error());
  } else {
    TRY(host::write_durable(*directory, "plan.json.p7s", approved.signature()));
  }
  TRY(host::write_durable(*directory, "plan.json", approved.bytes()));
  TRY(remove_stale_journal(store, name));
  TRY_LET(const Copies copies,
          copy_old_versions(root, approved.plan(), store.vault(), recipients, notices));
  TRY_LET(auto journal,
          journal::Journal::create(
              store.journals(), journal_name(name),
              (approved.plan().operations.size() + 4) * journal_bytes_per_operation, host));
  Json started{{"plan_id", approved.plan().plan_id},
               {"plan_sha256", crypto::sha256_hex(approved.bytes())},
               {"plan_signature_sha256", signature_digest(approved.signature())},
               {"store_sha256", store.sha256()},
               {"boot", host.identity().boot_id},
               {"approvers", approved.approvers()}};
  if (!copies.files.empty()) started["copies"] = quarantine::to_json(copies.files);
  journal.append(journal::type::run_started, "", std::move(started));
  TRY(journal.flush());
  TRY(store.vault().keep(copies.objects));
  TRY(store.runs().rename(unfinished_name, store.runs(), name));
  TRY(store.runs().sync());
  return journal;
}

void take_options(Session& session, const ApplyOptions& options) {
  session.recipients = options.recipients;
  session.max_sealed_bytes = options.max_sealed_bytes;
  session.tool = options.tool;
  session.refused = options.refused;
  session.stages = options.stages;
  session.active_directory = options.directory;
}

/// How the rollback that is closed left what it could not take back.
std::map<std::string, OperationReport> left_by_rollback(const Run& run) {
  std::map<std::string, OperationReport> left;
  if (run.phase != "rollback") return left;
  for (const OperationState& one : run.operations)
    if (one.selected && one.state != State::restored)
      left[one.operation->id] = {"", "", "", one.outcome, one.reason};
  return left;
}

/// The rollback's own report once more; what was finished since is told beside it.
RunReport after_rollback(RunReport report, const Run& run,
                         const std::map<std::string, OperationReport>& left,
                         std::set<std::string> finished) {
  for (OperationReport& one : report.operations) {
    const auto found = left.find(one.id);
    if (found == left.end()) continue;
    std::string reason = found->second.reason;
    if (finished.contains(one.id)) reason += "; what was begun of it is finished: " + one.outcome;
    one.outcome = found->second.outcome;
    one.reason = std::move(reason);
  }
  return only_selected(std::move(report), run, std::move(finished));
}

Result<RunReport> work_and_close(Session& session) {
  if (!session.refused.empty()) TRY(refuse(session));
  const auto left = left_by_rollback(session.run);
  std::set<std::string> finished;
  for (const OperationState& one : session.run.operations)
    if (unfinished(session.run, one)) finished.insert(one.operation->id);
  TRY_LET(const bool stopped, work(session));
  TRY_LET(RunReport report, close_phase(session, session.run.phase, stopped));
  if (session.run.phase == "rollback")
    report = after_rollback(std::move(report), session.run, left, std::move(finished));
  if (session.run.phase == "rollback" && report.status == "done" &&
      held_unsealed(session.run) != 0) {
    report.status = "partial";
    report.only_unsealed = true;
  }
  const auto never_begun = std::ranges::count_if(
      session.run.operations,
      [](const OperationState& one) { return works(one) && one.state == State::planned; });
  if (!session.begins() && never_begun != 0)
    report.notices.push_back(std::to_string(never_begun) +
                             " operation(s) of the run were not begun before it was taken back, "
                             "and will not be: make a new plan");
  if (session.hold_only())
    report.notices.push_back("the store has too little space to seal (" + session.lack_of_space +
                             "): originals are held only. Free some, then `remediate resume " +
                             session.run.name + "` seals them");
  if (!stopped) std::ranges::move(unprotected_names(session), std::back_inserter(report.notices));
  std::ranges::move(session.notices, std::back_inserter(report.notices));
  if (stopped && session.notices.empty())
    report.notices.push_back("stopped; `remediate resume " + session.run.name +
                             "` continues, `remediate rollback " + session.run.name +
                             "` takes it back");
  return report;
}

}  // namespace

std::string run_name(const plan::Plan& plan) { return "run-" + plan.plan_id.substr(0, 12); }

Result<std::vector<std::string>> discard_unstarted(const Store& store, const std::string& only) {
  std::vector<std::string> names;
  TRY(store.runs().each_entry([&](std::string_view entry, FileKind kind) {
    if (kind == FileKind::directory && entry.starts_with(unstarted_prefix) &&
        (only.empty() || entry.substr(unstarted_prefix.size()) == only))
      names.emplace_back(entry.substr(unstarted_prefix.size()));
    return true;
  }));
  for (const std::string& name : names) {
    TRY(remove_stale_journal(store, name));  // while the folder still tells what it is of
    TRY_LET(const RawPath path, RawPath::parse(std::string(unstarted_prefix) + name));
    TRY_LET(const auto folder, store.runs().open_directory(path, host::Mounts::stay));
    std::vector<std::string> files;
    TRY(folder->each_entry([&](std::string_view entry, FileKind) {
      files.emplace_back(entry);
      return true;
    }));
    for (const std::string& file : files) TRY(folder->remove_file(file));
    TRY(store.runs().remove_directory(path.name()));
  }
  if (!names.empty()) TRY(store.runs().sync());
  return names;
}

Result<Drift> drift_of(const host::Directory& root, const plan::Operation& operation,
                       bool same_boot) {
  Drift drift;
  auto parent = root.open_directory(operation.path.parent(), host::Mounts::cross);
  if (!parent && parent.error().code == Code::not_found) {
    drift.vanished = true;
    return drift;
  }
  if (!parent) return std::unexpected(std::move(parent).error());
  TRY_LET(const FileStat folder, (*parent)->stat());
  if (!same_file(folder.id, operation.precondition.parent, same_boot))
    drift.reasons.emplace_back("its folder is another one");
  auto file = (*parent)->open_file(operation.path.name(), host::Access::read);
  if (!file && file.error().code == Code::not_found) {
    drift.vanished = true;
    drift.reasons.emplace_back("it is gone");
    return drift;
  }
  if (!file) return std::unexpected(std::move(file).error());
  TRY_LET(const Metadata now, (*file)->metadata());
  const Metadata& then = operation.precondition.metadata;
  if (!same_file(now.stat.id, then.stat.id, same_boot))
    drift.reasons.emplace_back("another file has its name");
  if (now.stat.links != then.stat.links)
    drift.reasons.push_back("it now has " + std::to_string(now.stat.links) +
                            " name(s) (hard links), approved were " +
                            std::to_string(then.stat.links));
  std::ranges::move(metadata_differences(then, now), std::back_inserter(drift.reasons));
  TRY_LET(const std::string digest, file_sha256(**file, then.stat.size));
  if (digest != operation.precondition.sha256)
    drift.reasons.push_back("its sha256 is now " + digest + ", approved was " +
                            operation.precondition.sha256);
  return drift;
}

Result<RunReport> apply(host::Host& host, const Store& store, const host::Directory& root,
                        const plan::ApprovedPlan& approved, const ApplyOptions& options,
                        Control control) {
  const plan::Plan& plan = approved.plan();
  const std::string name = run_name(plan);
  const std::string boot = host.identity().boot_id;
  TRY_LET(const std::vector<std::string> runs, store.run_names());
  if (std::ranges::find(runs, name) != runs.end())
    return fail(
        Code::stale_plan, "plan " + plan.plan_id + " was applied before, by run " + name,
        "make a new plan; an interrupted run is continued with `remediate resume " + name + "`");
  const bool in_directory = std::ranges::any_of(
      plan.operations, [](const plan::Operation& o) { return o.setting.directory.has_value(); });
  if (in_directory && options.directory == nullptr)
    return fail(Code::configuration,
                "plan " + plan.plan_id +
                    " changes a directory and no connection was given; nothing "
                    "was done",
                "name the connection file with --directory");
  TRY(check_revisions(store, plan, options.older_revisions_allowed));
  TRY(check_drift(root, plan, plan.host.boot == boot, options.directory));
  TRY(probe_before(options.stages, control));
  std::vector<std::string> notices;
  TRY_LET(auto journal, start_run(host, store, root, approved, name, options.recipients, notices));
  TRY_LET(Run run, load_run(store, name));
  Session session(host, store, root, run, journal, control);
  take_options(session, options);
  TRY(sign_head(session));
  TRY_LET(session.lack_of_space, lack_of_space(session));
  TRY_LET(RunReport report, work_and_close(session));
  report.notices.insert(report.notices.begin(), notices.begin(), notices.end());
  return report;
}

Result<RunReport> resume(host::Host& host, const Store& store, const host::Directory& root,
                         const std::string& name, const ApplyOptions& options, Control control) {
  auto loaded = load_run(store, name);
  if (!loaded) return std::unexpected(std::move(loaded).error());
  Run run = std::move(*loaded);
  if (!run.phase.empty()) TRY(require_resumable(store, run));
  if (undo_pending(run)) return resume_undo(host, store, root, run, options, control);
  if (run.phase.empty()) {
    RunReport report{run.name, run.plan.plan.plan_id, "apply", "nothing_to_do", false, "", {}, {}};
    report.notices.emplace_back(
        "the run was interrupted before its first record: nothing was done; make a new plan");
    return report;
  }
  TRY_LET(auto journal, reopen_journal(store, run.name, host));
  Session session(host, store, root, run, journal, control);
  take_options(session, options);
  TRY_LET(session.lack_of_space, lack_of_space(session));
  if (stands_at(run) != nullptr) {
    TRY_LET(session.untold, ends_unsigned(store, run, journal.length()));
  }
  // The head of a wait says that it was told: not before it is.
  if (!session.untold) TRY(sign_head(session));
  return work_and_close(session);
}

}  // namespace remediate::run
