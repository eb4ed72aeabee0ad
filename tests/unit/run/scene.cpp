#include "scene.h"

#include <algorithm>
#include <iostream>
#include <set>

namespace remediate::run::test {
namespace {

enum class Mode { look, change, refusal, end };
constexpr const char* mode_names[] = {"look fails", "change fails", "change is refused",
                                      "process ends"};

/// What a scene came to.
struct Ending {
  Snapshot target;
  bool verified = false;
  bool acted = false;  // others did, within the act
  bool theirs = false;
  std::string errors;
  std::set<std::string> lost, degraded;
};

struct Call {
  bool looks = false;
  std::string call, name;
};

/// Plays the act of a scene; the call number `at` fails.
class Play {
 public:
  Play(const Scene& scene, RichWorld& rich) : scene_(scene), rich_(rich) {}
  std::vector<Call> calls;
  Result<RunReport> act(Mode mode, std::size_t at) {
    const auto hook = [&](bool looks) {
      return [this, looks, mode, at](std::string_view call,
                                     std::string_view name) -> std::optional<Error> {
        if (busy_) return std::nullopt;
        const std::size_t number = calls.size();
        calls.push_back({looks, std::string(call), std::string(name)});
        if (scene_.others && number < at) {
          busy_ = true;
          auto error = scene_.others(rich_, call, name);
          busy_ = false;
          if (error) return error;
        }
        if (number == at || (mode == Mode::end && number > at && !looks))
          return Error{mode == Mode::refusal ? Code::permission : Code::io, "injected fault", ""};
        return std::nullopt;
      };
    };
    rich_.host.set_fault_hook(hook(false));
    rich_.host.set_look_hook(hook(true));
    auto report = scene_.act(rich_);
    rich_.host.set_fault_hook({});
    rich_.host.set_look_hook({});
    return report;
  }

 private:
  const Scene& scene_;
  RichWorld& rich_;
  bool busy_ = false;
};

/// What a person does next, and what it came to.
Ending ending(RichWorld& rich, const Result<RunReport>& acted) {
  World& world = *rich.world;
  Ending end;
  const auto note = [&](const Result<RunReport>& report) {
    if (!report) return;
    for (const OperationReport& one : report->operations)
      if (one.outcome == "restored_degraded" || one.reason.find("flag") != std::string::npos)
        end.degraded.insert(one.address);  // told
  };
  note(acted);
  end.acted = !rich.acted.empty();
  if (must(world.open_store()->run_names()).empty()) {  // it never began
    end.verified = true;
    end.target = world.snapshot();
    return end;
  }
  const auto resumed = world.resume(rich.run);
  note(resumed);
  if (!resumed) end.errors += "resume: " + resumed.error().text() + "; ";
  const auto verified = world.verify();
  if (!verified) end.errors += "verify: " + verified.error().text() + "; ";
  end.verified = verified && verified->ok();
  RollbackOptions options;
  options.recovery = world.recovery();
  const auto back = world.rollback(rich.run, options);
  note(back);
  if (!back) end.errors += "rollback: " + back.error().text() + "; ";
  end.target = world.snapshot();
  end.theirs = held_somewhere(rich.host, "/base", rich.marker, false);
  for (const auto& [id, bytes] : rich.originals)
    if (!held_somewhere(rich.host, "/base", bytes, false)) end.lost.insert(bytes.substr(0, 20));
  return end;
}

std::string compare(const Scene& scene, const Ending& wanted, Ending now) {
  std::string problems = now.errors;
  for (const std::string& bytes : now.lost)
    if (!wanted.lost.contains(bytes)) problems += bytes + " is lost; ";
  if (scene.same_end && wanted.verified && !now.verified) problems += "it does not verify; ";
  if (wanted.theirs && wanted.acted == now.acted && !now.theirs)
    problems += "what others wrote is lost; ";
  if (!scene.same_end || wanted.acted != now.acted) return problems;
  Snapshot before = wanted.target;
  for (const std::string& address : now.degraded) {  // and whatever else is a name of that file
    const std::uint64_t inode = now.target.contains(address) ? now.target[address].inode : 0;
    before.erase(address);
    std::erase_if(now.target, [&](const auto& one) {
      const bool told = one.second.inode == inode || one.first == address;
      if (told) before.erase(one.first);
      return told;
    });
  }
  return problems + difference(before, now.target, false);
}

std::string name_of(const char* path) {
  const std::string whole = path;
  return whole.substr(whole.rfind('/') + 1);
}

}  // namespace

std::string notices(const RunReport& report) {
  std::string all;
  for (const std::string& notice : report.notices) all += notice + "\n";
  return all;
}

RollbackOptions only(RichWorld& rich, const char* path, bool key) {
  RollbackOptions options;
  options.only = {rich.last_of(path)};
  if (key) options.recovery = rich.world->recovery();
  return options;
}

Act rolls_back(const char* path, bool key) {
  return [=](RichWorld& rich) { return rich.world->rollback(rich.run, only(rich, path, key)); };
}
Result<RunReport> applies(RichWorld& rich) { return rich.world->apply(*rich.approved); }
Result<RunReport> resumes(RichWorld& rich) { return rich.world->resume(rich.run); }

void applied(RichWorld& rich) { must(applies(rich)); }
void finalized(RichWorld& rich) {
  applied(rich);
  must(rich.world->finalize(rich.run));
}

void ended(RichWorld& rich, const Act& act, const std::string& call, const std::string& name) {
  const EndBefore end(rich.host, call, name);
  (void)act(rich);
  REQUIRE(end.ended());
}

void ended_behind(RichWorld& rich, const Act& act, const std::string& call, const std::string& name,
                  const std::function<void()>& others) {
  bool behind = false, busy = false;
  rich.host.set_fault_hook(
      [&](std::string_view called, std::string_view of) -> std::optional<Error> {
        if (busy) return std::nullopt;
        if (behind) return Error{Code::io, "the process ended", ""};
        if (called == call && of == name) {
          busy = true;
          if (others) others();
          busy = false;
          behind = true;
        }
        return std::nullopt;
      });
  (void)act(rich);
  rich.host.set_fault_hook({});
  REQUIRE(behind);
}

void ended_in(RichWorld& rich, const std::string& id, State wanted) {
  const auto dies_at = [](RichWorld& world, std::size_t call) {
    std::size_t count = 0;
    world.host.set_fault_hook([&](std::string_view, std::string_view) {
      return count++ >= call ? std::optional(Error{Code::io, "the process ended", ""})
                             : std::nullopt;
    });
    (void)applies(world);
    world.host.set_fault_hook({});
  };
  const auto came = [&](RichWorld& world) {
    const auto store = world.world->open_store();
    if (must(store->run_names()).empty()) return false;
    const Run run = must(load_run(*store, world.run));
    return std::ranges::any_of(run.operations, [&](const OperationState& one) {
      return one.operation->id == id && one.state == wanted;
    });
  };
  static std::map<std::pair<std::string, State>, std::size_t> known;  // every world is the same
  auto call = known.find({id, wanted});
  for (std::size_t at = 0; call == known.end() && at < 2000; ++at) {
    RichWorld tried;
    dies_at(tried, at);
    if (came(tried)) call = known.emplace(std::pair(id, wanted), at).first;
  }
  REQUIRE(call != known.end());
  dies_at(rich, call->second);
  REQUIRE(came(rich));
}

void change_held_mode(RichWorld& rich, const char* path) {
  const auto held = must(rich.hold()->open_file(rich.first_of(path), host::Access::read_write));
  Metadata metadata = must(held->metadata());
  metadata.stat.mode = 0666;
  must(held->restore_metadata(metadata, host::Privileges::keep));
}

Others before_call(const char* wanted, const char* path, const char* suffix,
                   std::function<std::optional<Error>(RichWorld&)> act) {
  return [=](RichWorld& rich, std::string_view call, std::string_view name) {
    const std::string of =
        *suffix == '\0' ? name_of(path) : rich.first_of(path) + (*suffix == '=' ? "" : suffix);
    if (call != wanted || name != of || !rich.acted.insert(std::string(call) + of).second)
      return std::optional<Error>();
    return act(rich);
  };
}

Others also(Others first, Others second) {
  return [=](RichWorld& rich, std::string_view call, std::string_view name) {
    auto error = first(rich, call, name);
    return error ? error : second(rich, call, name);
  };
}

void play(const Scene& scene) {
  INFO(scene.what);
  std::vector<Call> calls;
  Ending wanted;
  {
    RichWorld rich;
    scene.before(rich);
    const bool sound = must(rich.world->verify()).ok();
    Play plays(scene, rich);
    const auto report = plays.act(Mode::look, SIZE_MAX);
    calls = plays.calls;
    wanted = ending(rich, report);
    wanted.verified = wanted.verified && sound;
    CHECK(wanted.errors == "");
  }
  std::set<std::size_t> near;
  {
    RichWorld rich;
    const std::string id = rich.first_of(scene.victim).substr(0, 7);
    const std::string last = rich.last_of(scene.victim), name = name_of(scene.victim);
    for (std::size_t number = 0; number < calls.size(); ++number)
      if (calls[number].name.starts_with(id) || calls[number].name.starts_with(last) ||
          calls[number].name == name ||
          (scene.other_name != nullptr && calls[number].name == scene.other_name))
        for (std::size_t at = number - std::min<std::size_t>(number, 3);
             at < std::min(calls.size(), number + 6); ++at)
          if (at == number || calls[at].name.empty() || calls[at].name.ends_with(".jsonl"))
            near.insert(at);
  }
  std::size_t tries = 0;
  std::string problems;
  for (const Mode mode : {Mode::look, Mode::change, Mode::refusal, Mode::end})
    for (const std::size_t at : near) {
      if (calls[at].looks != (mode == Mode::look)) continue;
      RichWorld rich;
      scene.before(rich);
      Play plays(scene, rich);
      const auto report = plays.act(mode, at);
      const std::string found = compare(scene, wanted, ending(rich, report));
      ++tries;
      if (found.empty()) continue;
      problems += std::string(mode_names[static_cast<int>(mode)]) + " at " + calls[at].call + " " +
                  calls[at].name + ": " + found + "\n   " +
                  (report ? text(*report) : report.error().text()) + "\n";
    }
  std::cout << scene.what << ": " << tries << " failures within " << calls.size() << " calls\n";
  CHECK(problems == "");
  CHECK(tries > 3);
}

}  // namespace remediate::run::test
