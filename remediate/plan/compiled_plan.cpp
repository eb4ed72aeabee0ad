#include "remediate/plan/compiled_plan.h"

#include <algorithm>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/plan/replacement_plan.h"
#include "remediate/plan/wording.h"

namespace remediate::plan {
namespace {

constexpr std::size_t max_named = 5;  // pages that a reason names
constexpr const char* by_hand =
    ": stop IIS (net stop w3svc /y), clear the folder of that application below Temporary ASP.NET "
    "Files and start IIS again; the good pages are compiled anew";

using Record = CompiledPages::Record;

std::size_t depth_of(const std::string& virtual_path) {
  return static_cast<std::size_t>(std::ranges::count(virtual_path, '/'));
}

class CompiledPlanner {
 public:
  CompiledPlanner(const PlanRequest& request, const Survey& survey, const Guards& guards,
                  Plan& plan)
      : request_(request), survey_(survey), guards_(guards), plan_(plan) {}

  void run() {
    for (const Operation& operation : plan_.operations)
      if (operation.action == Action::quarantine) planned_.insert(operation.path);
    const std::vector<Operation> removed = plan_.operations;
    for (const Record& record : survey_.compiled.records) {
      const Operation* page = page_of(record, removed);
      if (page == nullptr)
        leave(record, removed);
      else if (const std::string doubt = doubt_about(record, *page); !doubt.empty())
        review(record, *page, doubt);
      else
        remove_record(record, *page);
    }
    remove_assemblies();
    review_unnamed();
  }

 private:
  /// The removal of the page that the record is of; null where there is none, or where another
  /// record fits that page better.
  [[nodiscard]] const Operation* page_of(const Record& record,
                                         const std::vector<Operation>& removed) const {
    if (!record.problem.empty()) return nullptr;
    for (const Operation& operation : removed) {
      if (!is_removal(operation) || !serves(record.page.virtual_path, operation.path)) continue;
      const bool other_fits_better =
          std::ranges::any_of(survey_.compiled.records, [&](const Record& other) {
            return other.problem.empty() &&
                   depth_of(other.page.virtual_path) > depth_of(record.page.virtual_path) &&
                   serves(other.page.virtual_path, operation.path);
          });
      if (!other_fits_better) return &operation;
    }
    return nullptr;
  }

  /// A page that several steps are after is planned once, by the first of them: so its compiled
  /// form goes whichever of them asked for that.
  static bool is_removal(const Operation& operation) {
    return operation.action == Action::quarantine;
  }

  /// Told only where a page of that name goes.
  void leave(const Record& record, const std::vector<Operation>& removed) {
    const auto named = std::ranges::find_if(removed, [&](const Operation& operation) {
      if (!is_removal(operation)) return false;
      const RawPath& path = operation.path;
      if (!record.problem.empty())
        return same_name(record.path.name().substr(0, path.name().size()), path.name(), true);
      const std::size_t slash = record.page.virtual_path.rfind('/');
      return same_name(record.page.virtual_path.substr(slash + 1), path.name(), true);
    });
    if (named == removed.end() || planned_.contains(record.path)) return;
    if (!record.problem.empty()) {
      exclude(record.path, *named,
              "it should tell of the compiled form of " + named->path.display() +
                  " and does not: " + record.problem);
      return;
    }
    review(record, *named,
           "which has the name of a page that is removed (" + named->path.display() +
               "); whether it is that page cannot be told");
  }

  void review(const Record& record, const Operation& page, const std::string& why) {
    plan_.reviews.push_back(
        {record.path.display(),
         page.playbook,
         page.indicator,
         record.sha256,
         {{"compiled", "the compiled form of " + display(record.page.virtual_path) + ", " + why, 0,
           ""}}});
  }

  /// Why the record may be of a page that stays; empty where no other page fits it.
  [[nodiscard]] std::string doubt_about(const Record& record, const Operation& page) const {
    std::string others;
    std::size_t count = 0;
    for (const RawPath& other : record.pages) {
      if (planned_.contains(other)) continue;
      if (++count <= max_named) others += (others.empty() ? "" : ", ") + other.display();
    }
    if (count > max_named) others += " and " + std::to_string(count - max_named) + " more";
    if (count > 0)
      return "which fits the page that is removed (" + page.path.display() +
             ") and pages that stay (" + others + "): look which of them the server has there" +
             by_hand;
    if (!survey_.compiled.unsearched.empty())
      return "which fits the page that is removed (" + page.path.display() +
             "); whether it fits another page too cannot be told: " + survey_.compiled.unsearched +
             by_hand;
    return {};
  }

  void exclude(const RawPath& path, const Operation& page, std::string reason) {
    plan_.exclusions.push_back({path.display(), page.playbook, page.indicator, std::move(reason)});
  }

  bool add(const RawPath& path, const std::string& sha256, const observe::TargetFacts& facts,
           const Operation& page, Reason why) {
    if (planned_.contains(path)) return true;
    auto reason = guards_.against_removal(path, facts);
    if (!reason && facts.metadata.stat.links > 1 && !request_.policy.allow_hard_links)
      reason = "the file has " + std::to_string(facts.metadata.stat.links) +
               " names (hard links): look at them, then let the policy say allow_hard_links";
    if (reason) {
      exclude(path, page, *reason);
      return false;
    }
    Operation operation;
    operation.action = Action::quarantine;
    operation.path = path;
    operation.address = address_of(operation);
    operation.playbook = page.playbook;
    operation.indicator = page.indicator;
    operation.scope = page.scope;
    operation.step = page.step;
    operation.why.push_back(std::move(why));
    if (std::string allowed = guards_.package_allowance(path); !allowed.empty())
      operation.why.push_back({"package", std::move(allowed), 0, ""});
    operation.details = {{compiled_from, page.path.bytes()}};
    operation.precondition = {sha256, facts.metadata, facts.parent.id, facts.parent.modified,
                              facts.filesystem};
    operation.before = before_of(operation);
    const bool sealed = facts.metadata.stat.size <= request_.policy.max_sealed_bytes;
    operation.after = after_of(operation, sealed);
    operation.inverse = inverse_of(operation, sealed);
    operation.not_restorable = guards_.not_restorable(facts);
    planned_.insert(path);
    plan_.operations.push_back(std::move(operation));
    return true;
  }

  /// What the record does not lead to.
  [[nodiscard]] std::string without_assembly(const Record& record) const {
    if (!record.assembly.is_root()) return {};
    if (!record.page.assembly.empty())
      return "; its assembly " + record.page.assembly + ".dll is not there";
    return survey_.compiled.unnamed.contains(record.path.parent())
               ? "; it names no assembly: those beside it that no record names are for review"
               : "; it names no assembly, and none was found beside it that no record names";
  }

  void remove_record(const Record& record, const Operation& page) {
    if (record.page.assembly.empty()) nameless_.emplace(record.path.parent(), page);
    if (!add(record.path, record.sha256, record.facts, page,
             {"compiled",
              "ASP.NET's record of the compiled page " + page.path.display() + " (" +
                  display(record.page.virtual_path) + ")" + without_assembly(record),
              0, ""}))
      return;
    if (!record.assembly.is_root()) pages_.emplace(record.assembly, page);
  }

  void remove_assemblies() {
    for (const auto& [path, page] : pages_) {
      if (planned_.contains(path)) continue;
      const auto found = survey_.compiled.assemblies.find(path);
      if (found == survey_.compiled.assemblies.end()) continue;  // unreadable: an issue
      if (const auto unread = survey_.compiled.unread_in.find(path.parent());
          unread != survey_.compiled.unread_in.end()) {
        exclude(path, page,
                "it holds the compiled form of " + page.path.display() +
                    "; whether other pages are in it too cannot be told, since " +
                    unread->second.display() + " cannot be read as a record" + by_hand);
        continue;
      }
      if (const std::string others = others_in(path); !others.empty()) {
        exclude(path, page,
                "it holds the compiled form of " + page.path.display() +
                    " and of pages that stay (" + others + ")" + by_hand);
        continue;
      }
      add(path, found->second.sha256, found->second.facts, page,
          {"compiled", "assembly with the compiled form of " + page.path.display(), 0, ""});
    }
  }

  void review_unnamed() {
    for (const auto& [folder, page] : nameless_) {
      const auto found = survey_.compiled.unnamed.find(folder);
      if (found == survey_.compiled.unnamed.end()) continue;
      for (const RawPath& assembly : found->second)
        if (!planned_.contains(assembly))
          plan_.reviews.push_back(
              {assembly.display(),
               page.playbook,
               page.indicator,
               survey_.compiled.assemblies.at(assembly).sha256,
               {{"compiled",
                 "an assembly of compiled pages that no record names; the record of the page that "
                 "is removed (" +
                     page.path.display() +
                     ") names none, so its code may be in this one, which stays" + by_hand,
                 0, ""}}});
    }
  }

  [[nodiscard]] std::string others_in(const RawPath& assembly) const {
    std::string others;
    std::size_t count = 0;
    for (const auto& [record, virtual_path] : survey_.compiled.users.at(assembly)) {
      if (planned_.contains(record)) continue;
      if (++count <= max_named) others += (others.empty() ? "" : ", ") + display(virtual_path);
    }
    if (count > max_named) others += " and " + std::to_string(count - max_named) + " more";
    return others;
  }

  const PlanRequest& request_;
  const Survey& survey_;
  const Guards& guards_;
  Plan& plan_;
  std::set<RawPath> planned_;
  std::map<RawPath, Operation> pages_;     // by assembly: a page that is in it
  std::map<RawPath, Operation> nameless_;  // by folder: a page whose record names no assembly
};

}  // namespace

bool serves(std::string_view virtual_path, const RawPath& page) {
  const auto served =
      RawPath::parse(virtual_path.substr(std::min<std::size_t>(1, virtual_path.size())));
  if (!served || served->is_root()) return false;
  const std::vector<std::string_view> names = served->components();
  const std::vector<std::string_view> path = page.components();
  if (names.size() > path.size()) return false;
  if (names.size() == 1 && !same_name(page.parent().name(), "wwwroot", true)) return false;
  return std::equal(names.rbegin(), names.rend(), path.rbegin(),
                    [](std::string_view a, std::string_view b) { return same_name(a, b, true); });
}

void plan_compiled(const PlanRequest& request, const Survey& survey, const Guards& guards,
                   Plan& plan) {
  CompiledPlanner(request, survey, guards, plan).run();
}

}  // namespace remediate::plan
