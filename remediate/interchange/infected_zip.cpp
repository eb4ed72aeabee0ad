#include "remediate/interchange/infected_zip.h"

#include <map>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/interchange/zip_file.h"
#include "remediate/plan/plan_file.h"

namespace remediate::interchange {
namespace {

using run::OperationState;
using run::State;

State last_state(const OperationState& operation) {
  return operation.state == State::restoring ? operation.before_restore : operation.state;
}

/// Taken, or perhaps taken: everything that an analyst would miss.
bool wanted(const OperationState& operation) {
  return operation.operation->action != plan::Action::instruct &&
         !operation.operation->setting.directory && last_state(operation) != State::planned &&
         last_state(operation) != State::not_done;
}

/// An original, proven to have its digest.
class Originals {
 public:
  Originals(host::Host& host, const run::Store& store, const run::Run& run,
            const std::optional<run::Recovery>& recovery)
      : store_(store), run_(run), recovery_(recovery) {
    if (auto root = host.open_root(run.plan.plan.host.root)) root_ = std::move(*root);
  }

  [[nodiscard]] Result<std::unique_ptr<host::File>> open(const OperationState& operation) const {
    auto held = from_hold(operation.entry);
    if (held) return held;
    if (!operation.entry.object.empty() && recovery_) return from_object(operation.entry);
    Error error = std::move(held).error();
    if (error.remedy.empty())
      error.remedy = operation.entry.object.empty()
                         ? "it has no sealed copy either"
                         : "--recovery-key takes it from its sealed copy";
    return std::unexpected(std::move(error));
  }

 private:
  [[nodiscard]] Result<std::unique_ptr<host::File>> from_hold(
      const quarantine::Entry& entry) const {
    std::unique_ptr<host::Directory> target;
    if (entry.hold == quarantine::HoldPlace::mount_top) {
      if (!root_)
        return fail(Code::not_found, "the hold is on the target's disk and the root " +
                                         display(run_.plan.plan.host.root) + " cannot be opened");
      TRY_LET(target, root_->open_directory(entry.path.parent(), host::Mounts::cross));
    }
    TRY_LET(const auto hold,
            store_.vault().open_hold(entry.hold, target ? *target : store_.root(), run_.name));
    TRY_LET(auto file, hold->open_file(entry.hold_name, host::Access::read));
    TRY_LET(const std::string digest, run::file_sha256(*file));
    if (digest != entry.sha256)
      return fail(Code::changed,
                  "the held file has sha256 " + digest + ", recorded was " + entry.sha256);
    return file;
  }

  [[nodiscard]] Result<std::unique_ptr<host::File>> from_object(
      const quarantine::Entry& entry) const {
    TRY_LET(auto scratch, store_.vault().objects().create_unnamed(0600));
    TRY(store_.vault().unseal(entry.object, entry.sha256, *scratch, recovery_->certificate,
                              recovery_->key));
    return scratch;
  }

  const run::Store& store_;
  const run::Run& run_;
  const std::optional<run::Recovery>& recovery_;
  std::unique_ptr<host::Directory> root_;
};

using ByDigest = std::map<std::string, std::vector<const OperationState*>>;

Json index_json(const run::Run& run, const ByDigest& entries) {
  Json files = Json::array();
  for (const auto& [digest, operations] : entries) {
    Json instances = Json::array();
    for (const OperationState* operation : operations)
      instances.push_back(Json{{"id", operation->entry.id},
                               {"path", plan::path_to_json(operation->entry.path)},
                               {"action", operation->entry.action},
                               {"playbook", operation->entry.playbook},
                               {"indicator", operation->entry.indicator}});
    files.push_back(Json{{"name", digest},
                         {"sha256", digest},
                         {"size", operations.front()->entry.metadata.stat.size},
                         {"entries", std::move(instances)}});
  }
  return Json{
      {"format_version", 1},
      {"run_id", run.name},
      {"plan_id", run.plan.plan.plan_id},
      {"host", Json{{"id", run.plan.plan.host.id}, {"name", display(run.plan.plan.host.name)}}},
      {"files", std::move(files)}};
}

Error missing_error(const run::Run& run, std::vector<std::string> missing) {
  Error error{Code::not_found,
              std::to_string(missing.size()) + " original(s) of run " + run.name +
                  " cannot be had, so no archive was written",
              "each cause names one; --recovery-key opens sealed copies"};
  error.causes = std::move(missing);
  return error;
}

}  // namespace

Result<std::uint64_t> write_infected_zip(host::Host& host, const run::Store& store,
                                         const run::Run& run, const std::string& file,
                                         const std::optional<run::Recovery>& recovery) {
  const Originals originals(host, store, run, recovery);
  ByDigest entries;
  std::vector<std::string> missing;
  for (const OperationState& operation : run.operations) {
    if (!wanted(operation)) continue;
    const std::string& digest = operation.entry.sha256;
    if (digest.size() != 64 || !hex_decode(digest))
      return fail(Code::corrupt, "entry " + display(operation.entry.id) + " has no SHA-256",
                  "`remediate verify " + run.name + "`");
    entries[digest].push_back(&operation);
  }
  if (entries.empty())
    return fail(Code::not_found, "run " + run.name + " has captured nothing to export",
                "`remediate show " + run.name + "` tells what it did");

  TRY_LET(auto archive, ZipFile::create(host, file, run.started));
  for (const auto& [digest, operations] : entries) {
    Error last;
    std::unique_ptr<host::File> original;
    for (const OperationState* operation : operations) {
      auto opened = originals.open(*operation);
      if (opened) {
        original = std::move(*opened);
        break;
      }
      last = std::move(opened).error();
    }
    if (!original) {
      for (const OperationState* operation : operations)
        missing.push_back(operation->operation->id + " " + operation->operation->address + ": " +
                          run::reason_of(last));
      continue;
    }
    if (!missing.empty()) continue;  // the archive will not be kept
    TRY(archive->add(digest, *original, digest));
  }
  if (!missing.empty()) return std::unexpected(missing_error(run, std::move(missing)));
  TRY(archive->add_text("index.json", write_json(index_json(run, entries))));
  TRY(archive->keep());
  return entries.size();
}

}  // namespace remediate::interchange
