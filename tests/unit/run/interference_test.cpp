#include <array>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <set>

#include "mischief.h"
#include "remediate/crypto/digest.h"

// Others act between any two calls of a command: they replace, remove, write to, link, or protect
// a target, put a folder at its place, exchange its folder, or meddle with the hold. Whatever they
// do, no original and nothing that they wrote may be lost, and no report may say what is not so.

namespace remediate::run::test {
namespace {

/// One act of others before one call that concerns their victim. After it the host is left alone.
class Others {
 public:
  Others(RichWorld& rich, const std::string& victim, const Mischief& mischief, std::size_t at)
      : rich_(rich), place_(place_of(*rich.world, victim)), mischief_(mischief), at_(at) {
    for (const plan::Operation& one : rich.plan.plan.operations)
      if (one.action != plan::Action::instruct && id_.empty() &&
          rich.world->target() + "/" + one.path.display() == place_.folder + "/" + place_.name)
        id_ = one.id;
    const auto hook = [this](std::string_view operation,
                             std::string_view name) -> std::optional<Error> {
      if (busy_ || !concerns(name)) return std::nullopt;
      if (count_++ != at_) return std::nullopt;
      where_ = std::string(operation) + " " + std::string(name);
      busy_ = true;
      mischief_.act(rich_, place_, id_);
      known_ = inodes(rich_.host, "/base");
      acted_ = true;
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
  bool busy_ = false, acted_ = false;
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
          found = judge(rich, command, others);
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
