#include <algorithm>
#include <cstdlib>
#include <iostream>

#include "judge.h"

// Power cuts: what was not flushed is dropped, kept out of order or torn, at every change and
// flush of apply, resume, rollback and finalize, and once more while a new process recovers.
//
// REMEDIATE_LOST_WRITES=full tries all that is bounded below; =N raises the images of a cut N
// times. REMEDIATE_LOST_WRITES_CASE="..." tries one printed case again.

namespace remediate::durability {
namespace {

std::size_t scale() {
  const char* text = std::getenv("REMEDIATE_LOST_WRITES");
  if (text == nullptr) return 1;
  return std::string(text) == "full" ? 64
                                     : std::max<std::size_t>(1, std::strtoul(text, nullptr, 10));
}

std::uint64_t seed() {
  const char* text = std::getenv("REMEDIATE_LOST_WRITES_SEED");
  return text == nullptr ? 20'260'101 : std::strtoull(text, nullptr, 10);
}

Effort effort_of(const Script& script) {
  const std::size_t times = scale();
  if (script.small) return {std::min<std::size_t>(1024, 16 * times), 4 * times, times, false};
  return {std::min<std::size_t>(1024, 4 * times), 2 * times, times, false};
}

void print(const std::string& what, const Count& count) {
  std::cout << "lost writes: " << what << ": " << count.calls << " calls, " << count.cuts
            << " cuts, " << count.images << " images, " << count.again << " cut again, "
            << count.bad << " bad states, " << count.seconds << " s" << std::endl;
}

std::vector<Script> scripts() {
  std::vector<Script> all;
  for (const bool small : {true, false}) {
    const std::string of = small ? "small_" : "";
    all.push_back({of + "apply", small, {{Act::apply}}});
    all.push_back({of + "rollback", small, {{Act::apply}, {Act::rollback}}});
    all.push_back({of + "finalize", small, {{Act::apply}, {Act::finalize}}});
    all.push_back(
        {of + "rollback_of_finalized", small, {{Act::apply}, {Act::finalize}, {Act::rollback}}});
  }
  all.push_back({"first_apply", true, {{Act::make_store}, {Act::apply}}});
  all.push_back({"rollback_loosened", false, {{Act::apply}, {Act::loosen}, {Act::rollback}}});
  all.push_back({"rollback_merged", true, {{Act::apply}, {Act::edit}, {Act::rollback}}});
  return all;
}

/// A process that was killed leaves what it wrote in the page cache: another one reads it, acts on
/// it, and then the power goes.
std::vector<Script> killed_scripts() {
  std::vector<Script> all;
  const auto killed = [&](const std::string& name, std::vector<Step> steps, Act then) {
    const Recording whole = record({name, true, steps});
    std::size_t flushes = 0;
    for (std::size_t at = 1; whole.first_cut + at < whole.events.size(); ++at) {
      // The worst is a kill between writing to the journal and flushing it.
      const bool unflushed = whole.events[whole.first_cut + at].kind == Event::Kind::flush_data;
      if (scale() == 1 && (!unflushed || ++flushes % 2 == 0)) continue;
      steps.back().killed_after = at;
      Script script{name + "_killed_" + std::to_string(at), true, steps};
      script.steps.push_back({then});
      all.push_back(std::move(script));
    }
  };
  killed("apply", {{Act::apply}}, Act::resume);
  killed("rollback", {{Act::apply}, {Act::rollback}}, Act::resume);
  killed("finalize", {{Act::apply}, {Act::finalize}}, Act::resume);
  return all;
}

void sweep_all(const std::string& what, const std::vector<Script>& all,
               const std::vector<Order>& orders) {
  Count sum;
  for (const Script& script : all)
    for (const Order order : orders) {
      const Count count = sweep(script, order, effort_of(script), seed());
      print(script.name + " " + std::string(order_name(order)), count);
      sum.calls += count.calls;
      sum.cuts += count.cuts;
      sum.images += count.images;
      sum.again += count.again;
      sum.bad += count.bad;
      sum.seconds += count.seconds;
      if (count.bad != 0)
        std::cout << "seed " << seed() << ", REMEDIATE_LOST_WRITES_CASE=\"" << count.first << "\n";
      CHECK(count.bad == 0);
    }
  print(what, sum);
}

}  // namespace

TEST_CASE("the harness finds flushes that do nothing", "[planted]") {
  struct Planted {
    const char* what;
    Plant plant;
    Act act;
  };
  const Effort effort{32, 16, 4, true};
  for (const auto& [what, plant, act] :
       {Planted{"no fdatasync", {.file_data = true, .file_suffix = ""}, Act::apply},
        Planted{"no fsync of files", {.file = true, .file_suffix = ""}, Act::apply},
        Planted{"no fsync of folders", {.folder = true, .file_suffix = ""}, Act::apply},
        Planted{"no syncfs", {.filesystem = true, .file_suffix = ""}, Act::apply},
        Planted{"a journal that is not flushed", {.file_suffix = ".jsonl"}, Act::apply},
        Planted{
            "rollback without fsync of files", {.file = true, .file_suffix = ""}, Act::rollback},
        Planted{"rollback without syncfs and fsync of folders",
                {.folder = true, .filesystem = true, .file_suffix = ""},
                Act::rollback},
        Planted{"finalize without fsync of folders",
                {.folder = true, .file_suffix = ""},
                Act::finalize}}) {
    Script script{what, true, {{Act::apply}}};
    if (act != Act::apply) script.steps.push_back({act});
    const Count count = sweep(script, Order::free, effort, seed(), plant);
    print(std::string("planted: ") + what, count);
    CHECK(count.bad > 0);
  }
}

TEST_CASE("the harness accepts an honest machine and loses what was never flushed", "[planted]") {
  const Recording recording = record({"small_apply", true, {{Act::apply}}});
  const Cut end(recording.events, recording.events.size(), Order::free);
  const Cut begin(recording.events, 0, Order::free);
  CHECK(begin.disk(recording.base, {}).digest() == recording.base.digest());
  CHECK(Judge(recording, Order::free, false).judge(recording.base, 1).empty());
  // Without any flush the disk is as it was, and the end of apply was a promise.
  std::vector<Event> unflushed = recording.events;
  std::erase_if(unflushed, [](const Event& event) { return event.flush(); });
  const Cut none(unflushed, unflushed.size(), Order::free);
  const Fates lost(none.pending().size(), Fate{Fate::Kind::lost, 0});
  CHECK(none.disk(recording.base, lost).digest() == recording.base.digest());
  CHECK_FALSE(Judge(recording, Order::free, true).judge(recording.base, 1).empty());
  CHECK(none.pending().size() > end.pending().size());
}

TEST_CASE("one case again", "[.again]") {
  const char* words = std::getenv("REMEDIATE_LOST_WRITES_CASE");
  REQUIRE(words != nullptr);
  const std::string name(words, std::string_view(words).find(' '));
  std::vector<Script> all = scripts();
  for (Script& script : killed_scripts()) all.push_back(std::move(script));
  for (const Script& script : all)
    if (script.name == name) CHECK(try_again(record(script), words) == "");
}

TEST_CASE("a power cut loses nothing", "[power]") {
  sweep_all("all cuts", scripts(), {Order::free, Order::journaled});
}

TEST_CASE("a power cut after a kill loses nothing", "[killed]") {
  sweep_all("all cuts after a kill", killed_scripts(), {Order::free});
}

}  // namespace remediate::durability
