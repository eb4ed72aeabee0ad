#include "remediate/plan/planner.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "remediate/base/clock.h"
#include "remediate/base/dos_attributes.h"
#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/plan/compiled_plan.h"
#include "remediate/plan/directory_plan.h"
#include "remediate/plan/guards.h"
#include "remediate/plan/limits.h"
#include "remediate/plan/order.h"
#include "remediate/plan/replacement_plan.h"
#include "remediate/plan/setting_plan.h"
#include "remediate/plan/together.h"
#include "remediate/plan/unknown_needs.h"
#include "remediate/plan/wording.h"

namespace remediate::plan {
namespace {

std::vector<Reason> reasons_of(const match::FileMatch& match) {
  std::vector<Reason> reasons;
  for (const match::Reason& reason : match.reasons)
    reasons.push_back({reason.kind, reason.text, reason.offset, reason.excerpt});
  return reasons;
}

class Planner {
 public:
  Planner(const PlanRequest& request, const Survey& survey)
      : request_(request),
        survey_(survey),
        guards_(request.policy, survey),
        settings_(survey, guards_),
        directory_(survey) {}

  Result<Plan> run() {
    TRY(check_playbooks());
    describe();
    report_exclusions();
    for (const auto& [playbook, step] : working_order(request_.playbooks))
      TRY(plan_step(*playbook, *step));
    exclude_edited_files();
    exclude_needed_files();
    exclude_split_hard_links();
    plan_compiled(request_, survey_, guards_, plan_);
    for (std::size_t index = 0; index < plan_.operations.size(); ++index)
      if (plan_.operations[index].action == Action::quarantine)
        planned_files_.emplace(plan_.operations[index].path, index);
    keep_needed_waits();
    TRY(report_reviews());
    for (const playbook::Playbook& playbook : request_.playbooks)
      for (const playbook::Step& step : playbook.steps)
        if (step.action == playbook::Action::instruct) instruct(playbook, step);
    tell_what_belongs_together(plan_.operations);
    number_operations();
    plan_.limits = limits_of(plan_, request_.policy);
    return std::move(plan_);
  }

 private:
  Result<void> check_playbooks() {
    std::set<std::string> ids;
    for (const playbook::Playbook& playbook : request_.playbooks) {
      if (!ids.insert(playbook.id).second)
        return fail(Code::bad_input, "playbook " + playbook.id + " is given twice",
                    "name each playbook once");
      if (playbook.revoked)
        return fail(Code::bad_input, display(playbook.file) + ": the playbook is revoked",
                    "use a later playbook of its author");
      const auto until = parse_utc(playbook.valid_until);
      if (until && *until <= request_.now)
        return fail(
            Code::bad_input,
            display(playbook.file) + ": the playbook was valid until " + playbook.valid_until,
            "use a later revision");
      const auto& minimum = request_.policy.minimum_revisions;
      if (const auto asked = minimum.find(playbook.id);
          asked != minimum.end() && playbook.revision < asked->second)
        return fail(Code::bad_input,
                    display(playbook.file) + ": it is revision " +
                        std::to_string(playbook.revision) + " of " + playbook.id +
                        ", the policy asks for " + std::to_string(asked->second) + " or later",
                    "use a later revision");
    }
    return {};
  }

  void describe() {
    plan_.nonce = request_.nonce;
    plan_.tool = request_.tool;
    plan_.policy_sha256 = request_.policy_sha256;
    plan_.policy = request_.policy_path;
    plan_.created = {request_.now.seconds, 0};
    plan_.expires = {request_.now.seconds +
                         static_cast<std::int64_t>(request_.policy.plan_lifetime_hours) * 3600,
                     0};
    plan_.host = survey_.host;
    plan_.scopes = survey_.scopes;
    plan_.issues = survey_.issues;
    for (const observe::Issue& notice : survey_.claims.notices)
      plan_.issues.push_back(
          {std::string(observe::issue_name(notice.kind)), notice.where, notice.reason});
    plan_.files_scanned = survey_.files_scanned;
    for (const playbook::Playbook& playbook : request_.playbooks)
      plan_.playbooks.push_back(
          {playbook.id, playbook.name, playbook.revision, playbook.sha256, playbook.signer});
    for (const BaselineComparison& comparison : survey_.known_good)
      plan_.baselines.push_back(comparison.report);
  }

  void report_exclusions() {
    for (const match::FileMatch& match : survey_.matches) {
      touched_.insert({match.playbook, match.indicator});
      if (!match.exclusion.empty())
        plan_.exclusions.push_back(
            {match.path.display(), match.playbook, match.indicator, match.exclusion});
    }
  }

  /// What only a person can judge. A file that is removed anyway, and a setting that is changed,
  /// needs no second look.
  Result<void> report_reviews() {
    std::set<std::string> changed;
    for (const Operation& operation : plan_.operations)
      if (operation.action == Action::reset_setting && !operation.setting.directory)
        for (const SettingEdit& edit : operation.setting.edits)
          changed.insert(operation.path.display() + " " + display(edit.address));
    for (const match::FileMatch& match : survey_.matches)
      if (match.exclusion.empty() && match.authorises == playbook::Authorises::review &&
          !planned_files_.contains(match.path))
        plan_.reviews.push_back({match.path.display(), match.playbook, match.indicator,
                                 match.sha256, reasons_of(match)});
    for (const playbook::Playbook& playbook : request_.playbooks)
      for (const playbook::Indicator& indicator : playbook.indicators) {
        if (!indicator.setting || indicator.authorises != playbook::Authorises::review) continue;
        TRY_LET(std::vector<Review> found,
                in_directory(indicator) ? directory_.review(playbook, indicator, plan_.issues)
                                        : settings_.review(playbook, indicator, plan_.issues));
        std::erase_if(found,
                      [&](const Review& review) { return changed.contains(review.address); });
        if (!found.empty()) touched_.insert({playbook.id, indicator.id});
        std::ranges::move(found, std::back_inserter(plan_.reviews));
      }
    for (const BaselineComparison& comparison : survey_.known_good)
      for (const BaselineComparison::Finding& finding : comparison.findings)
        if (!planned_files_.contains(finding.path))
          plan_.reviews.push_back(
              {finding.path.display(),
               "",
               "",
               finding.sha256,
               {{"baseline",
                 std::string(finding.listed ? "it is listed with other content in "
                                            : "it is not listed in ") +
                     "baseline \"" + display(comparison.report.name) + "\"",
                 0, ""}}});
    return {};
  }

  Result<void> plan_step(const playbook::Playbook& playbook, const playbook::Step& step) {
    if (step.action == playbook::Action::instruct) {
      if (step.wait) plan_.operations.push_back(instruction(playbook, step, true));
      return {};
    }
    for (const std::string& id : step.indicators) {
      if (step.action == playbook::Action::quarantine) quarantine(playbook, step, id);
      if (step.action == playbook::Action::reset_setting) TRY(reset(playbook, step, id));
      if (step.action == playbook::Action::replace_file) replace(playbook, step, id);
    }
    return {};
  }

  static bool acts_on(const match::FileMatch& match, const playbook::Playbook& playbook,
                      const std::string& indicator) {
    return match.playbook == playbook.id && match.indicator == indicator &&
           match.exclusion.empty() && match.authorises == playbook::Authorises::remove;
  }

  static void note_also(Operation& first, const playbook::Playbook& playbook,
                        const std::string& indicator) {
    if (first.playbook == playbook.id && first.indicator == indicator) return;
    first.why.push_back(
        {"also", "indicator " + indicator + " of " + playbook.name + " matches too", 0, ""});
  }

  /// Where a file can be replaced that is what is done, whatever else would remove it: the server
  /// needs the file.
  void replace(const playbook::Playbook& playbook, const playbook::Step& step,
               const std::string& indicator) {
    for (const match::FileMatch& match : survey_.matches) {
      if (!acts_on(match, playbook, indicator)) continue;
      const auto planned = planned_files_.find(match.path);
      if (planned != planned_files_.end() &&
          plan_.operations[planned->second].action == Action::replace_file) {
        note_also(plan_.operations[planned->second], playbook, indicator);
        continue;
      }
      auto good = choose_replacement(survey_, playbook, step, match);
      std::optional<std::string> reason;
      if (!good) reason = good.error();
      if (good && !(reason = guards_.against_replacement(match.path, match.facts)) &&
          replaced_bytes_ + good->bytes.size() > max_known_good_total)
        reason = "the plan would hold more than " + std::to_string(max_known_good_total) +
                 " bytes of known good files: split the work";
      if (reason) {
        plan_.exclusions.push_back({match.path.display(), playbook.id, indicator, *reason});
        continue;
      }
      replaced_bytes_ += good->bytes.size();
      Operation operation = replacement(match, step, std::move(*good));
      if (planned == planned_files_.end()) {
        planned_files_.emplace(match.path, plan_.operations.size());
        plan_.operations.push_back(std::move(operation));
        continue;
      }
      Operation& removed = plan_.operations[planned->second];
      operation.why.push_back(
          {"also", "indicator " + removed.indicator + " would remove it; it is replaced instead", 0,
           ""});
      removed = std::move(operation);
    }
  }

  void quarantine(const playbook::Playbook& playbook, const playbook::Step& step,
                  const std::string& indicator) {
    for (const match::FileMatch& match : survey_.matches) {
      if (!acts_on(match, playbook, indicator)) continue;
      if (const auto planned = planned_files_.find(match.path); planned != planned_files_.end()) {
        note_also(plan_.operations[planned->second], playbook, indicator);
        continue;
      }
      auto reason = guards_.against_removal(match.path, match.facts);
      if (const std::string good = known_good_of(match.sha256); !good.empty())
        reason = "its SHA-256 is a known good version that step " + good + " names";
      if (reason) {
        plan_.exclusions.push_back({match.path.display(), playbook.id, indicator, *reason});
        continue;
      }
      planned_files_.emplace(match.path, plan_.operations.size());
      plan_.operations.push_back(removal(match, step));
    }
  }

  /// The step of any playbook that would put these very bytes in place; empty where there is none.
  [[nodiscard]] std::string known_good_of(const std::string& sha256) const {
    for (const playbook::Playbook& playbook : request_.playbooks)
      for (const playbook::Step& step : playbook.steps)
        for (const playbook::KnownGood& good : step.known_good)
          if (std::ranges::find(good.sha256, sha256) != good.sha256.end()) return step.id;
    return {};
  }

  Operation removal(const match::FileMatch& match, const playbook::Step& step) const {
    Operation operation = found(match, step, Action::quarantine);
    for (const match::DumpField& field : match.dump)
      operation.details.emplace_back(field.name, field.value);
    if (auto object = directory_.origin_of(match)) operation.why.push_back(std::move(*object));
    operation.before = before_of(operation);
    const bool sealed = match.facts.metadata.stat.size <= request_.policy.max_sealed_bytes;
    operation.after = after_of(operation, sealed);
    operation.inverse = inverse_of(operation, sealed);
    return operation;
  }

  Operation replacement(const match::FileMatch& match, const playbook::Step& step,
                        Replacement good) const {
    Operation operation = found(match, step, Action::replace_file);
    operation.replacement = std::move(good);
    operation.before = before_of(operation);
    operation.after = after_of(operation, true);
    operation.inverse = inverse_of(operation);
    return operation;
  }

  Operation found(const match::FileMatch& match, const playbook::Step& step, Action action) const {
    Operation operation;
    operation.action = action;
    operation.path = match.path;
    operation.address = address_of(operation);
    operation.playbook = match.playbook;
    operation.indicator = match.indicator;
    operation.scope = match.scope;
    operation.step = step.id;
    operation.why = reasons_of(match);
    if (std::string allowed = guards_.package_allowance(match.path); !allowed.empty())
      operation.why.push_back({"package", std::move(allowed), 0, ""});
    std::string hidden;
    for (const std::string& word : hiding(match.path.name(), match.facts.metadata))
      hidden += (hidden.empty() ? "" : ", ") + word;
    if (!hidden.empty()) operation.details.emplace_back("hidden or protected by", hidden);
    operation.precondition = {match.sha256, match.facts.metadata, match.facts.parent.id,
                              match.facts.parent.modified, match.facts.filesystem};
    operation.not_restorable = guards_.not_restorable(match.facts);
    return operation;
  }

  Result<void> reset(const playbook::Playbook& playbook, const playbook::Step& step,
                     const std::string& id) {
    const auto indicator = std::ranges::find(playbook.indicators, id, &playbook::Indicator::id);
    if (indicator == playbook.indicators.end() || !indicator->setting || !step.change)
      return fail(Code::internal, "step " + step.id + " names no setting indicator",
                  "run `remediate check`");
    TRY_LET(SettingPlan found, in_directory(*indicator)
                                   ? directory_.plan(playbook, step, *indicator)
                                   : settings_.plan(playbook, step, *indicator));
    if (!found.operations.empty() || !found.exclusions.empty()) touched_.insert({playbook.id, id});
    std::ranges::move(found.operations, std::back_inserter(plan_.operations));
    std::ranges::move(found.exclusions, std::back_inserter(plan_.exclusions));
    std::ranges::move(found.issues, std::back_inserter(plan_.issues));
    return {};
  }

  /// The others come at the end: they are for whoever has the result.
  void instruct(const playbook::Playbook& playbook, const playbook::Step& step) {
    const bool wanted =
        step.indicators.empty() || std::ranges::any_of(step.indicators, [&](const std::string& id) {
          return touched_.contains({playbook.id, id});
        });
    const bool waits = std::ranges::any_of(plan_.operations, [&](const Operation& operation) {
      return operation.waits && operation.playbook == playbook.id && operation.step == step.id;
    });
    if (wanted && !waits) plan_.operations.push_back(instruction(playbook, step, false));
  }

  Operation instruction(const playbook::Playbook& playbook, const playbook::Step& step,
                        bool waits) const {
    Operation operation;
    operation.action = Action::instruct;
    operation.step = step.id;
    operation.address = address_of(operation);
    operation.playbook = playbook.id;
    const auto found = std::ranges::find_if(step.indicators, [&](const std::string& id) {
      return touched_.contains({playbook.id, id});
    });
    operation.indicator = found == step.indicators.end() ? "" : *found;
    operation.instruction = step.text;
    operation.waits = waits;
    operation.before = before_of(operation);
    operation.after = after_of(operation, true);
    operation.inverse = inverse_of(operation);
    return operation;
  }

  /// A wait stays between what it is about and what must not come before it. Without either it is
  /// an instruction like the others.
  void keep_needed_waits() {
    std::vector<Operation>& operations = plan_.operations;
    const auto needed = [&](std::size_t at) {
      const Operation& wait = operations[at];
      const auto playbook =
          std::ranges::find(request_.playbooks, wait.playbook, &playbook::Playbook::id);
      const auto step = std::ranges::find(playbook->steps, wait.step, &playbook::Step::id);
      const auto place = operations.begin() + static_cast<std::ptrdiff_t>(at);
      const bool before = std::any_of(operations.begin(), place, [&](const Operation& operation) {
        return operation.action != Action::instruct && operation.playbook == wait.playbook &&
               (step->indicators.empty() ||
                std::ranges::find(step->indicators, operation.indicator) != step->indicators.end());
      });
      return before && std::any_of(place, operations.end(), [](const Operation& operation) {
               return operation.action != Action::instruct;
             });
    };
    for (std::size_t at = 0; at < operations.size();) {
      if (operations[at].waits && !needed(at))
        operations.erase(operations.begin() + static_cast<std::ptrdiff_t>(at));
      else
        ++at;
    }
  }

  /// One plan cannot change a file and remove it: the second step would find another file than the
  /// approved one. Keeping it is the answer that breaks less.
  void exclude_edited_files() {
    std::map<RawPath, std::string> edited;  // and the step that does it
    for (const Operation& operation : plan_.operations)
      if (operation.action == Action::reset_setting) edited.emplace(operation.path, operation.step);
    std::erase_if(plan_.operations, [&](const Operation& operation) {
      if (operation.action != Action::quarantine && operation.action != Action::replace_file)
        return false;
      const auto found = edited.find(operation.path);
      if (found == edited.end()) return false;
      planned_files_.erase(operation.path);
      plan_.exclusions.push_back(
          {operation.address, operation.playbook, operation.indicator,
           "step " + found->second +
               " changes its settings: one plan cannot also remove or replace it"});
      return true;
    });
  }

  /// A line goes before the file that it names: the other way round every page fails in between.
  void exclude_needed_at_first() {
    std::map<RawPath, std::size_t> last_edit;  // by configuration file
    for (std::size_t at = 0; at < plan_.operations.size(); ++at)
      if (plan_.operations[at].action == Action::reset_setting)
        last_edit[plan_.operations[at].path] = at;
    const auto needed = settings_.needed_at_first();
    std::map<RawPath, std::string> too_early;
    for (std::size_t at = 0; at < plan_.operations.size(); ++at) {
      const Operation& operation = plan_.operations[at];
      if (operation.action != Action::quarantine) continue;
      for (const auto& [file, one] : needed) {
        const auto edit = last_edit.find(file);
        if (edit == last_edit.end() || edit->second < at || !setting::may_be(one, operation.path))
          continue;
        too_early.emplace(
            operation.path,
            file.display() + ", line " + std::to_string(one.line) +
                ", has PHP run it with every page, and this plan takes that line out "
                "only behind it: name the playbook of that step first (-p), then make "
                "a new plan");
      }
    }
    std::erase_if(plan_.operations, [&](const Operation& operation) {
      const auto found = too_early.find(operation.path);
      if (operation.action != Action::quarantine || found == too_early.end()) return false;
      planned_files_.erase(operation.path);
      plan_.exclusions.push_back(
          {operation.address, operation.playbook, operation.indicator, found->second});
      return true;
    });
  }

  /// What a setting that stays has the server run with every page may not go: every page would
  /// fail.
  void exclude_needed_files() {
    exclude_needed_at_first();
    UnknownNeeds(settings_.unread()).exclude(plan_, planned_files_);
    std::multimap<std::string, std::pair<RawPath, setting::NeededFile>> by_name;
    for (auto& one : settings_.still_needed()) {
      const std::string& name = one.second.name;
      const std::size_t slash = name.rfind('/');
      by_name.emplace(slash == std::string::npos ? name : name.substr(slash + 1), std::move(one));
    }
    if (by_name.empty()) return;
    std::erase_if(plan_.operations, [&](const Operation& operation) {
      if (operation.action != Action::quarantine) return false;
      const auto [first, last] = by_name.equal_range(std::string(operation.path.name()));
      const auto found = std::find_if(first, last, [&](const auto& one) {
        return setting::may_be(one.second.second, operation.path);
      });
      if (found == last) return false;
      const auto& [file, needed] = found->second;
      planned_files_.erase(operation.path);
      plan_.exclusions.push_back(
          {operation.address, operation.playbook, operation.indicator,
           file.display() + ", line " + std::to_string(needed.line) +
               ", has PHP run it with every page, and this plan leaves that line: without the file "
               "every page fails. Take the line out first, then make a new plan"});
      return true;
    });
  }

  /// A file with further names is only removed when every one of them is in the plan.
  void exclude_split_hard_links() {
    if (request_.policy.allow_hard_links) return;
    std::map<std::pair<std::uint64_t, std::uint64_t>, std::uint64_t> names;
    const auto key = [](const Operation& operation) {
      const FileId& id = operation.precondition.metadata.stat.id;
      return std::pair(id.device, id.inode);
    };
    for (const Operation& operation : plan_.operations)
      if (operation.action == Action::quarantine) ++names[key(operation)];
    std::erase_if(plan_.operations, [&](const Operation& operation) {
      if (operation.action != Action::quarantine) return false;
      const std::uint64_t links = operation.precondition.metadata.stat.links;
      if (links <= names[key(operation)]) return false;
      planned_files_.erase(operation.path);
      plan_.exclusions.push_back(
          {operation.address, operation.playbook, operation.indicator,
           "the file has " + std::to_string(links) + " names (hard links) and only " +
               std::to_string(names[key(operation)]) +
               " of them match: removing one leaves the others; look at them, then let the "
               "policy say allow_hard_links"});
      return true;
    });
  }

  void number_operations() {
    std::size_t number = 0;
    for (Operation& operation : plan_.operations) operation.id = operation_id(++number);
  }

  const PlanRequest& request_;
  const Survey& survey_;
  Guards guards_;
  SettingPlanner settings_;
  DirectoryPlanner directory_;
  Plan plan_;
  std::map<RawPath, std::size_t> planned_files_;
  std::uint64_t replaced_bytes_ = 0;
  std::set<std::pair<std::string, std::string>> touched_;
};

}  // namespace

void exclude_known_good(std::vector<match::FileMatch>& matches, std::span<const KnownGood> known) {
  for (match::FileMatch& match : matches)
    for (const KnownGood& good : known) {
      if (!match.exclusion.empty()) break;
      const BaselineFile* file = good.file_with(match.sha256);
      if (file == nullptr) continue;
      match.exclusion = "its SHA-256 " + match.sha256 + " is known good: " + good.title() +
                        " lists it as " + file->path.display();
      const std::vector<std::string>& builds = good.baseline().builds;
      if (!file->builds.empty())
        match.exclusion +=
            " of build " + display(builds[file->builds.front()]) +
            (file->builds.size() > 1 ? " and " + std::to_string(file->builds.size() - 1) + " more"
                                     : "");
    }
}

Result<Plan> make_plan(const PlanRequest& request, const Survey& survey) {
  return Planner(request, survey).run();
}

}  // namespace remediate::plan
