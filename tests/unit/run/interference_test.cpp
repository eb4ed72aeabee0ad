#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <iostream>
#include <set>

#include "mischief.h"
#include "remediate/crypto/digest.h"

// Others act between any two calls of a command: they replace, remove, write to, link, or protect
// a target, put a folder at its place, exchange its folder, or meddle with the hold. Whatever they
// do, no original and nothing that they wrote may be lost, and no report may say what is not so.

namespace remediate::run::test {
namespace {

/// What a tool with a bug does behind the act of others; nobody is told.
using Bug = std::function<void(RichWorld&, const Place&, const std::string& id)>;

/// One act of others before one call that concerns their victim. After it the host is left alone.
class Others {
 public:
  Others(RichWorld& rich, const std::string& victim, const Mischief& mischief, std::size_t at,
         const Bug& bug = {})
      : rich_(rich), place_(place_of(*rich.world, victim)), mischief_(mischief), at_(at) {
    for (const plan::Operation& one : rich.plan.plan.operations)
      if (one.action != plan::Action::instruct && id_.empty() &&
          rich.world->target() + "/" + one.path.display() == place_.folder + "/" + place_.name)
        id_ = one.id;
    const auto hook = [this, bug](std::string_view operation,
                                  std::string_view name) -> std::optional<Error> {
      if (busy_ || !concerns(name)) return std::nullopt;
      if (acted_ && name == place_.name) {
        opened_ = opened_ || operation == "open_file";
        looked_ = looked_ || operation == "open_file" || operation == "stat_entry";
      }
      if (count_++ != at_) return std::nullopt;
      where_ = std::string(operation) + " " + std::string(name);
      busy_ = true;
      mischief_.act(rich_, place_, id_);
      known_ = inodes(rich_.host, "/base");
      acted_ = true;
      if (bug) bug(rich_, place_, id_);
      busy_ = false;
      return std::nullopt;
    };
    rich_.host.set_fault_hook(hook);
    rich_.host.set_look_hook(hook);
  }
  ~Others() {
    rich_.host.set_fault_hook({});
    rich_.host.set_look_hook({});
  }
  Others(const Others&) = delete;
  Others& operator=(const Others&) = delete;
  [[nodiscard]] bool acted() const { return acted_; }
  [[nodiscard]] const std::string& where() const { return where_; }
  /// Whether the command looked at the victim's place after the act, and whether it opened it: only
  /// then can it tell of the act.
  [[nodiscard]] bool looked() const { return looked_; }
  [[nodiscard]] bool opened() const { return opened_; }
  [[nodiscard]] const std::string& id() const { return id_; }
  /// Every file right after the act.
  [[nodiscard]] const std::map<std::pair<std::uint64_t, std::uint64_t>, std::string>& known()
      const {
    return known_;
  }

 private:
  [[nodiscard]] bool concerns(std::string_view name) const {
    return name.ends_with(place_.name) || (!id_.empty() && name.starts_with(id_));
  }
  RichWorld& rich_;
  Place place_;
  const Mischief& mischief_;
  std::size_t at_ = 0, count_ = 0;
  std::string id_, where_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> known_;
  bool busy_ = false, acted_ = false, looked_ = false, opened_ = false;
};

RollbackOptions with_everything(const World& world) {
  RollbackOptions options;
  options.recovery = world.recovery();
  options.outbox = "/base/outbox";
  return options;
}

struct Command {
  const char* name;
  std::function<void(RichWorld&)> before;
  std::function<Result<RunReport>(RichWorld&)> act;
  bool originals_stay = true;
};

void apply_until(RichWorld& rich, std::size_t calls) {
  std::size_t count = 0;
  rich.host.set_fault_hook([&](std::string_view, std::string_view) -> std::optional<Error> {
    if (count++ < calls) return std::nullopt;
    return Error{Code::io, "the process ended", ""};
  });
  (void)rich.world->apply(rich.plan);
  rich.host.set_fault_hook({});
}

const std::vector<Command>& commands() {
  static const auto applied = [](RichWorld& rich) { must(rich.world->apply(rich.plan)); };
  static const auto finalized = [](RichWorld& rich) {
    must(rich.world->apply(rich.plan));
    must(rich.world->finalize(rich.run));
  };
  static const std::vector<Command> all = {
      {"apply", [](RichWorld&) {},
       [](RichWorld& rich) { return rich.world->apply(*rich.approved); }},
      {"resume", [](RichWorld& rich) { apply_until(rich, 75); },
       [](RichWorld& rich) { return rich.world->resume(rich.run); }},
      {"rollback", applied,
       [](RichWorld& rich) {
         return rich.world->rollback(rich.run, with_everything(*rich.world));
       }},
      {"rollback without key or outbox", applied,
       [](RichWorld& rich) { return rich.world->rollback(rich.run); }},
      {"finalize", applied, [](RichWorld& rich) { return rich.world->finalize(rich.run); }, false},
      {"rollback of what was finalized", finalized,
       [](RichWorld& rich) { return rich.world->rollback(rich.run, with_everything(*rich.world)); },
       false},
  };
  return all;
}

/// The originals that can be had from their sealed copies.
std::set<std::string> sealed(RichWorld& rich) {
  const auto store = rich.world->open_store();
  std::set<std::string> digests;
  for (const OperationState& one : must(load_run(*store, rich.run)).operations)
    if (!one.entry.object.empty() &&
        store->vault().open_object(one.entry.object, one.entry.sha256,
                                   rich.world->recovery().certificate, rich.world->recovery().key))
      digests.insert(one.entry.sha256);
  return digests;
}

/// What was lost or told wrongly; `known` is all that was there after others acted.
std::string judge(RichWorld& rich, const Command& command, const Others& others) {
  std::string problems;
  World& world = *rich.world;
  if (must(world.open_store()->run_names()).empty())
    return command.name == std::string_view("apply") ? "" : "the run is gone";
  const auto verified = world.verify();
  if (!verified) problems += "verify: " + verified.error().text() + "; ";
  // Refused because a rollback or finalize was interrupted is resume's to go on.
  (void)world.resume(rich.run);
  const auto back = world.rollback(rich.run, with_everything(world));
  if (!back) problems += "rollback: " + back.error().text() + "; ";
  const auto now = inodes(rich.host, "/base");
  const std::set<std::string> copies =
      command.originals_stay ? std::set<std::string>() : sealed(rich);
  for (const auto& [id, bytes] : rich.originals) {
    const auto then = others.known().find(id);
    const std::string& wanted = then == others.known().end() ? bytes : then->second;
    const auto found = now.find(id);
    const bool there = found != now.end() && found->second == wanted;
    if (there) continue;
    if (command.originals_stay)
      problems += "inode " + std::to_string(id.second) + " (" + bytes.substr(0, 20) + ") is lost; ";
    else if (!copies.contains(crypto::sha256_hex(bytes)) &&
             !held_somewhere(rich.host, "/base", bytes, true))
      problems += "the bytes of inode " + std::to_string(id.second) + " (" + bytes.substr(0, 20) +
                  ") are lost; ";
  }
  bool wrote = false;
  for (const auto& [id, bytes] : others.known())
    wrote = wrote || bytes.find(rich.marker) != bytes.npos;
  // A name is removed, not an inode: whoever may write in the hold can exchange what it is of right
  // before.
  if (others.where().starts_with("remove_file ")) wrote = false;
  if (wrote && !held_somewhere(rich.host, "/base", rich.marker, false))
    problems += "what others wrote is lost; ";
  if (!back) return problems;
  for (const OperationReport& one : back->operations) {
    const auto was = rich.before.find(one.address);
    if (was == rich.before.end() || one.outcome != "restored") continue;
    if (!world.exists(one.address)) problems += one.address + " is told to be restored; ";
  }
  return problems;
}

bool is_one_of(const std::string& outcome, std::initializer_list<const char*> outcomes) {
  return std::ranges::find(outcomes, outcome) != outcomes.end();
}

/// What the command says of the victim and is not so, right after it ended.
std::string false_report(RichWorld& rich, const std::string& victim, const Command& command,
                         const Others& others, const RunReport& report) {
  if (!others.looked()) return {};
  const Snapshot now = rich.world->snapshot();
  const auto there = now.find(victim);
  const std::uint64_t original = rich.before.at(victim).inode;
  const bool in_place = there != now.end() && there->second.inode == original;
  bool in_hold = false, names_in_hold = false;
  for (const auto& [path, kept] : snapshot(rich.host, rich.world->store_path())) {
    if (!path.starts_with("hold/" + rich.run + "/")) continue;
    in_hold = in_hold || kept.inode == original;
    names_in_hold = names_in_hold || path.starts_with("hold/" + rich.run + "/" + others.id());
  }
  std::string problems;
  const auto lie = [&](const OperationReport& one, const char* truth) {
    problems += one.id + " is told to be " + one.outcome + ", and " + truth + "; ";
  };
  // Of several changes of one file only the last one tells of its place.
  const bool single =
      std::ranges::count_if(rich.plan.plan.operations, [&](const plan::Operation& one) {
        return one.action != plan::Action::instruct && one.path.display() == victim;
      }) == 1;
  std::size_t resets = 0, done = 0;
  for (const OperationReport& one : report.operations) {
    const auto planned = std::ranges::find(rich.plan.plan.operations, one.id, &plan::Operation::id);
    if (planned->path.display() != victim || planned->action == plan::Action::instruct) continue;
    const std::string& outcome = one.outcome;
    ++resets;
    done += outcome == "reset" ? 1 : 0;
    if (outcome == "quarantined" && in_place) lie(one, "is at its place");
    if (outcome == "respawned" && there == now.end()) lie(one, "nothing is at its place");
    if (outcome == "vanished" && there != now.end()) lie(one, "something is at its place");
    const bool left_alone = is_one_of(
        outcome, {"changed", "refused", "failed", "vanished", "not_started", "finalized"});
    const bool alone =
        planned->precondition.metadata.stat.links == 1 && single && report.phase == "apply";
    if (left_alone && alone && in_hold) lie(one, "the original is in the hold");
    const bool in_store = !victim.starts_with("www/data/");
    if (outcome == "held" && in_store && !names_in_hold) lie(one, "the hold has nothing of it");
    if (outcome == "in_outbox" &&
        !must(rich.host.open_root("/base/outbox"))->stat_entry(rich.run + "-" + one.id))
      lie(one, "the outbox has nothing of it");
    if (outcome == "replaced" && others.opened() &&
        (there == now.end() || there->second.bytes != good_page))
      lie(one, "another version is at its place");
    if (outcome == "restored" && single && there == now.end()) lie(one, "nothing is at its place");
    // With a reason another file may be there: it says so.
    if (outcome == "restored" && single && one.reason.empty() && command.originals_stay &&
        others.opened() && (!in_place || there->second.bytes != rich.before.at(victim).bytes))
      lie(one, "the original is not at its place");
  }
  if (resets == done && resets > 0 && others.opened() &&
      (there == now.end() || there->second.bytes.find("COM1") != std::string::npos ||
       there->second.bytes.find("WHO") != std::string::npos))
    problems += "all changes are told to be made and are not; ";
  return problems;
}

std::size_t stride() {
  const char* given = std::getenv("SWEEP_STRIDE");
  return given == nullptr ? 61 : std::max<std::size_t>(1, std::strtoul(given, nullptr, 10));
}

}  // namespace

TEST_CASE("what others do between any two calls loses nothing", "[sweep][others]") {
  const Command& command = commands().at(GENERATE(range<std::size_t>(0, 6)));
  INFO(command.name);
  const auto begun = std::chrono::steady_clock::now();
  std::size_t tries = 0, bad = 0, reached = 0, first = 0;
  std::string problems;
  for (const char* victim : {shell, "www/data/shell-d.php", setting_file, page}) {
    std::size_t calls = 1000;  // before the first act they are the same for every act
    for (const Mischief& mischief : mischiefs()) {
      for (std::size_t at = first++ % stride(); at < calls; at += stride()) {
        RichWorld rich;
        command.before(rich);
        std::string found, where;
        {
          const Others others(rich, victim, mischief, at);
          const auto ended = command.act(rich);
          rich.host.set_fault_hook({});
          rich.host.set_look_hook({});
          if (!others.acted()) {
            calls = at;
            break;
          }
          if (ended) found = false_report(rich, victim, command, others, *ended);
          found += judge(rich, command, others);
          where = others.where();
          if (!ended && ended.error().text().empty()) found += "an error without a text; ";
        }
        ++tries;
        reached = std::max(reached, at);
        if (found.empty()) continue;
        if (++bad < 20)
          problems += std::string(victim) + ": somebody " + mischief.name + " before call " +
                      std::to_string(at) + " (" + where + "): " + found + "\n";
      }
    }
  }
  std::cout << "others during " << command.name << ": " << tries << " acts, " << bad
            << " with a loss, "
            << std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count()
            << " s\n";
  CHECK(problems == "");
  CHECK(bad == 0);
  CHECK(tries > 3);
  CHECK(reached > 0);
}

namespace {

/// All names of a file go for good.
void drop(RichWorld& rich, const std::string& folder, std::uint64_t inode) {
  const auto top = must(rich.host.open_root(folder));
  std::vector<std::pair<std::string, FileKind>> entries;
  must(top->each_entry([&](std::string_view name, FileKind kind) {
    entries.emplace_back(name, kind);
    return true;
  }));
  for (const auto& [name, kind] : entries) {
    if (kind == FileKind::directory) drop(rich, folder + "/" + name, inode);
    if (kind != FileKind::regular || must(top->stat_entry(name)).id.inode != inode) continue;
    must(must(top->open_file(name, host::Access::read))->set_protection_flags(0));
    must(top->remove_file(name));
  }
}

}  // namespace

TEST_CASE("a step that drops a file, and a report that is not so, are found", "[sweep][others]") {
  static const Mischief looks_on{"looks on", [](RichWorld&, const Place&, const std::string&) {}};
  const Bug drops_original = [](RichWorld& rich, const Place& place, const std::string&) {
    const std::string victim =
        (place.folder + "/" + place.name).substr(rich.world->target().size() + 1);
    drop(rich, "/base", rich.before.at(victim).inode);
  };
  const Bug drops_theirs = [](RichWorld& rich, const Place&, const std::string&) {
    for (const auto& [id, bytes] : inodes(rich.host, "/base"))
      if (bytes.find(rich.marker) != bytes.npos) drop(rich, "/base", id.second);
  };
  std::size_t planted = 0, lies = 0;
  for (std::size_t number : {0u, 2u}) {  // apply, rollback
    const Command& command = commands().at(number);
    for (const char* victim : {shell, "www/data/shell-d.php", setting_file, page}) {
      for (const bool theirs : {false, true}) {
        // On a mount of its own it cannot be moved aside, so nothing is written in its place.
        if (theirs && std::string_view(victim).starts_with("www/data/")) continue;
        INFO(command.name << ", " << victim << (theirs ? ", what others wrote" : ", original"));
        RichWorld rich;
        command.before(rich);
        const Mischief& mischief = theirs ? mischiefs().front() : looks_on;
        const Others others(rich, victim, mischief, 4, theirs ? drops_theirs : drops_original);
        const auto ended = command.act(rich);
        rich.host.set_fault_hook({});
        rich.host.set_look_hook({});
        REQUIRE(others.acted());
        if (must(rich.world->open_store()->run_names()).empty()) continue;  // nothing began
        CHECK(judge(rich, command, others).find(theirs ? "what others wrote is lost" : "is lost") !=
              std::string::npos);
        ++planted;
      }
      // Each outcome is a lie when the disk says otherwise.
      RichWorld rich;
      command.before(rich);
      const Others others(rich, victim, looks_on, 0);
      const RunReport report = must(command.act(rich));
      rich.host.set_fault_hook({});
      rich.host.set_look_hook({});
      CHECK(false_report(rich, victim, command, others, report) == "");
      const bool applied = number == 0;
      for (const char* outcome : {"quarantined", "respawned", "vanished", "changed", "held",
                                  "replaced", "reset", "restored"}) {
        RunReport lying = report;
        for (OperationReport& one : lying.operations)
          if (one.id == others.id() || one.address.starts_with(victim)) one.outcome = outcome;
        lies += false_report(rich, victim, command, others, lying).empty() ? 0 : 1;
      }
      CHECK(lies > (applied ? 2 : 1));
    }
  }
  CHECK(planted > 12);
  std::cout << "planted in the harness of others: " << planted << " losses and " << lies
            << " false reports, all found\n";
}

namespace {

/// One call fails, of those that change something or of those that look.
class Failure {
 public:
  Failure(host::MemoryHost& host, bool looks, std::size_t at) : host_(host) {
    const auto hook = [this, at](std::string_view operation,
                                 std::string_view name) -> std::optional<Error> {
      if (count_++ != at) return std::nullopt;
      where_ = std::string(operation) + " " + std::string(name);
      return Error{Code::io, "injected fault", ""};
    };
    if (looks)
      host_.set_look_hook(hook);
    else
      host_.set_fault_hook(hook);
  }
  ~Failure() {
    host_.set_fault_hook({});
    host_.set_look_hook({});
  }
  Failure(const Failure&) = delete;
  Failure& operator=(const Failure&) = delete;
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  host::MemoryHost& host_;
  std::size_t count_ = 0;
  std::string where_;
};

/// What is not as it was before everything, once a person has resumed and rolled back. A flag or a
/// link that did not come back is told, and is then no loss.
std::string after_failure(RichWorld& rich, const Command& command, const Result<RunReport>& ended) {
  World& world = *rich.world;
  std::set<std::string> degraded;
  const auto note = [&](const Result<RunReport>& report) {
    if (!report) return;
    for (const OperationReport& one : report->operations)
      if (one.outcome == "restored_degraded") degraded.insert(one.address);
  };
  note(ended);
  std::string problems;
  if (!must(world.open_store()->run_names()).empty()) {
    const auto resumed = world.resume(rich.run);
    note(resumed);
    if (!resumed) problems += "resume: " + resumed.error().text() + "; ";
    const auto verified = world.verify();
    if (!verified)
      problems += "verify: " + verified.error().text() + "; ";
    else if (!verified->ok())
      problems += "verify: " + findings(*verified);
    const auto back = world.rollback(rich.run, with_everything(world));
    note(back);
    if (!back) problems += "rollback: " + back.error().text() + "; ";
  }
  Snapshot before = rich.before, now = world.snapshot();
  for (const std::string& address : degraded) before.erase(address), now.erase(address);
  problems += difference(before, now, command.originals_stay);
  if (rich.directory.objects.front().values("msExchExternalHostName") == nullptr)
    problems += "the directory's value is not back; ";
  return problems;
}

}  // namespace

TEST_CASE("a call that fails where there is one of everything loses nothing", "[sweep][failure]") {
  const Command& command = commands().at(GENERATE(range<std::size_t>(0, 6)));
  const bool looks = GENERATE(false, true);
  INFO(command.name << (looks ? ", looks" : ", changes"));
  const auto begun = std::chrono::steady_clock::now();
  std::size_t tries = 0, bad = 0, at = 0;
  std::string problems;
  for (;; at += stride()) {
    RichWorld rich;
    command.before(rich);
    std::string found, where;
    {
      const Failure failure(rich.host, looks, at);
      const auto ended = command.act(rich);
      rich.host.set_fault_hook({});
      rich.host.set_look_hook({});
      where = failure.where();
      found = after_failure(rich, command, ended);
    }
    if (where.empty() && at > 0) break;
    ++tries;
    if (found.empty()) continue;
    if (++bad < 20) problems += "call " + std::to_string(at) + " (" + where + "): " + found + "\n";
  }
  std::cout << "failures during " << command.name << (looks ? ", looks: " : ", changes: ") << tries
            << " of " << at << " calls, " << bad << " with a loss, "
            << std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count()
            << " s\n";
  CHECK(problems == "");
  CHECK(bad == 0);
  CHECK(at > 20);
}

}  // namespace remediate::run::test
