#include "judge.h"

#include <algorithm>
#include <chrono>
#include <sstream>

#include "remediate/journal/record.h"

namespace remediate::durability {
namespace {

std::string at_target(const std::string& path) { return std::string(target_folder) + "/" + path; }

bool is_tools_own(const std::string& path) {
  return path.find(".remediate-hold-") != std::string::npos;
}

/// What differs of what a rollback promises to bring back.
std::string difference(const std::string& path, const Inode& was, const Inode& is) {
  std::string text;
  if (was.stat.kind != is.stat.kind) text += path + " is of another kind; ";
  if (was.bytes != is.bytes)
    text += path + " has other bytes (" + std::to_string(is.bytes.size()) + "); ";
  if (was.stat.mode != is.stat.mode || was.stat.owner != is.stat.owner ||
      was.stat.group != is.stat.group)
    text += path + " has another mode or owner; ";
  if (was.stat.kind == FileKind::regular && was.stat.modified != is.stat.modified)
    text += path + " has another time; ";
  if (was.attributes != is.attributes) text += path + " has other attributes; ";
  if (was.flags != is.flags)
    text += path + " has flags " + std::to_string(is.flags) + ", had " + std::to_string(was.flags) +
            "; ";
  return text;
}

std::string unless_good(const std::string& what, const Result<run::VerifyReport>& report) {
  if (!report) return what + ": " + report.error().text() + "; ";
  return report->ok() ? "" : what + ": " + run::test::findings(*report) + "; ";
}

bool good(const Result<run::RunReport>& report) {
  return report && (report->status == "done" || report->status == "nothing_to_do");
}

std::string words_of(const Result<run::RunReport>& report) {
  return report ? run::test::text(*report) : report.error().text();
}

/// What documents allow: nothing is done to a run whose end is unsigned, resume comes first.
bool sends_to_resume(const Result<run::RunReport>& report) {
  return !report &&
         (report.error().code == Code::corrupt || report.error().code == Code::signature ||
          report.error().code == Code::not_found) &&
         report.error().text().find("does not verify") != std::string::npos;
}

}  // namespace

/// Without running anything: no original is lost, nothing else was touched, what is served is
/// whole, and no record that a step reported is gone.
std::string Judge::look(const Disk& disk) const {
  std::string problems;
  for (const auto& [path, was] : recording_.originals) {
    const Inode* is = disk.find(at_target(path));
    if (!recording_.planned.contains(path)) {
      problems += is == nullptr ? path + " is gone; " : difference(path, was, *is);
      continue;
    }
    if (path == settings_path) {
      if (is == nullptr)
        problems += path + " is gone; ";
      else if (!recording_.versions.contains(is->bytes))
        problems += path + " is served with bytes that nobody wrote; ";
    } else if (is != nullptr && is->bytes != was.bytes) {
      problems += path + " is at its place with other bytes; ";
    }
    if (recording_.finalize_began || finalized_) continue;
    const auto found = disk.inodes.find(was.stat.id.inode);
    if (found == disk.inodes.end() || found->second.bytes != was.bytes)
      if (path != settings_path || !recording_.merged) problems += path + " is lost; ";
  }
  for (const auto& [path, number] : disk.paths(target_folder))
    if (!recording_.originals.contains(path) && !is_tools_own(path)) problems += path + " is new; ";

  std::vector<std::string> heads = recording_.heads;
  if (at_end_ && !recording_.last_head.empty()) heads.push_back(recording_.last_head);
  if (heads.empty()) return problems;
  const Inode* file =
      disk.find(std::string(store_folder) + "/journal/" + recording_.run + ".jsonl");
  if (file == nullptr) return problems + "the journal is gone; ";
  const auto journal = journal::read_journal(file->bytes);
  if (!journal) return problems + journal.error().text();
  std::set<std::string> chain{std::to_string(journal->records.size()) + ":" + journal->head};
  for (const journal::Record& record : journal->records)
    chain.insert(std::to_string(record.sequence - 1) + ":" + record.prev);
  for (const std::string& head : heads)
    if (!chain.contains(head)) problems += "the journal has lost the reported head " + head + "; ";
  return problems;
}

/// The last step returned success: what it reported is on the disk.
std::string Judge::promised(const Disk& disk) const {
  std::string problems;
  if (recording_.last == Act::rollback) return not_as_before(disk, !recording_.finalize_began);
  for (const auto& [path, was] : recording_.originals) {
    if (!recording_.planned.contains(path)) continue;
    const Inode* is = disk.find(at_target(path));
    if (path != settings_path) {
      if (is != nullptr) problems += path + " was reported as removed and is there; ";
    } else if (is == nullptr || is->bytes == was.bytes || is->stat.mode != was.stat.mode ||
               is->flags != was.flags) {
      problems += path + " was reported as reset and is not, or its mode or flags are not; ";
    }
    const auto held = disk.inodes.find(was.stat.id.inode);
    if (recording_.last == Act::finalize && held != disk.inodes.end() &&
        held->second.bytes == was.bytes)
      problems += path + " was reported as finalized and is still held; ";
  }
  return problems;
}

std::string Judge::not_as_before(const Disk& disk, bool same_inodes) const {
  std::string problems;
  for (const auto& [path, was] : recording_.originals) {
    const Inode* is = disk.find(at_target(path));
    if (is == nullptr) {
      problems += path + " is missing; ";
      continue;
    }
    Inode wanted = was;
    const bool merged = recording_.merged && path == settings_path;
    if (merged) {
      wanted.bytes = recording_.merged_bytes;
      wanted.stat.modified = is->stat.modified;
    } else if (same_inodes && was.stat.id.inode != is->stat.id.inode) {
      problems += path + " is another inode; ";
    }
    problems += difference(path, wanted, *is);
  }
  for (const auto& [path, number] : disk.paths(target_folder))
    if (!recording_.originals.contains(path) && !is_tools_own(path)) problems += path + " is new; ";
  return problems.empty() ? "" : "not as before: " + problems;
}

std::string Judge::judge(const Disk& disk, std::uint64_t seed) {
  std::string problems = look(disk);
  if (at_end_) problems += promised(disk);
  if (!problems.empty()) return problems;
  std::mt19937_64 chance(seed);
  return recover(disk, chance, 2);
}

std::string Judge::cut_again(const Disk& base, const VolatileHost& host, std::mt19937_64& chance,
                             int boot) {
  ++again_;
  const std::size_t count = chance() % (host.events().size() + 1);
  const Cut cut(host.events(), count, order_);
  const Disk disk = cut.disk(base, random_fates(host.events(), cut.pending(), chance));
  std::string problems = look(disk);
  if (problems.empty()) problems = recover(disk, chance, boot + 1);
  if (problems.empty()) return {};
  return "cut again after " + std::to_string(count) + " changes of the recovery: " + problems;
}

/// The cut came before there was a run: nothing was done, and the plan can still be applied.
std::string Judge::begin_anew(const Disk& disk, VolatileHost& host, Tool& tool) const {
  if (!recording_.heads.empty() || (at_end_ && !recording_.last_head.empty()))
    return "the run is gone; ";
  std::string problems = not_as_before(disk, true);
  if (disk.find(std::string(store_folder) + "/store.json") == nullptr) {
    const auto made = run::Store::create(host, store_folder, run::test::keys().store);
    if (!made) return problems + "a new store: " + made.error().text();
  }
  const auto applied = tool.act(Act::apply);
  if (!good(applied)) problems += "apply anew: " + words_of(applied);
  return problems;
}

std::string Judge::recover(const Disk& disk, std::mt19937_64& chance, int boot) {
  VolatileHost host(disk, boot);
  Tool tool(host, recording_);
  const bool second = boot == 2 && chance() % 2 == 0;
  const bool no_store = disk.find(std::string(store_folder) + "/store.json") == nullptr;
  bool has_run = false;
  if (!no_store) {
    const auto found = tool.has_run();
    if (!found) return "the store: " + found.error().text();
    has_run = *found;
  }
  const bool only_roll_back = chance() % 3 == 0;
  if (!has_run) {
    std::string problems = begin_anew(disk, host, tool);
    if (!problems.empty()) return problems;
    if (second) return cut_again(disk, host, chance, boot);
  } else if (only_roll_back) {
    auto back = tool.act(Act::rollback);
    if (sends_to_resume(back)) {
      if (const auto resumed = tool.act(Act::resume); !resumed)
        return "resume after a refused rollback (" + words_of(back) + "): " + words_of(resumed);
    } else if (!back) {
      return "rollback: " + words_of(back);
    }
    if (second) return cut_again(disk, host, chance, boot);
  } else {
    const auto resumed = tool.act(Act::resume);
    const bool needs_key = recording_.finalize_began || finalized_;
    if (!resumed || (!good(resumed) && !needs_key)) return "resume: " + words_of(resumed);
    if (second) return cut_again(disk, host, chance, boot);
    std::string problems = look(host.seen());
    if (!recording_.loosened) problems += unless_good("verify after resume", tool.verify());
    const auto twice = tool.act(Act::resume);
    if (!twice) problems += "resume again: " + words_of(twice);
    if (!problems.empty()) return problems + "after " + words_of(resumed);
    if (resumed->phase == "apply" && resumed->status == "done" && chance() % 3 == 0) {
      finalized_ = true;
      const auto finalized = tool.act(Act::finalize);
      if (!good(finalized)) return "finalize: " + words_of(finalized);
      if (boot == 2 && chance() % 2 == 0) return cut_again(disk, host, chance, boot);
    }
  }
  const auto back = tool.act(Act::rollback);
  if (!good(back)) return "rollback: " + words_of(back);
  std::string problems = unless_good("verify after rollback", tool.verify(back->head));
  const bool same_inodes = !recording_.finalize_began && !finalized_;
  problems += not_as_before(host.seen(), same_inodes);
  // And once more without power: what rollback reported stays.
  const Cut cut(host.events(), host.events().size(), order_);
  const Disk kept = cut.disk(disk, Fates(cut.pending().size(), Fate{Fate::Kind::lost, 0}));
  if (const std::string lost = not_as_before(kept, same_inodes); !lost.empty())
    problems += "after a cut when rollback had returned: " + lost;
  if (!problems.empty()) problems += "after " + words_of(back);
  return problems;
}

Count sweep(const Script& script, Order order, const Effort& effort, std::uint64_t seed,
            const Plant& plant) {
  const auto began = std::chrono::steady_clock::now();
  const Recording recording = record(script, plant);
  Count count;
  count.calls = recording.events.size() - recording.first_cut;
  std::mt19937_64 chance(seed);
  std::set<std::string> tried;
  for (std::size_t at = recording.first_cut; at <= recording.events.size(); ++at) {
    const bool end = at == recording.events.size();
    // Without a flush in between, the next cut can leave all that this one can.
    const bool most = end || recording.events[at].flush();
    Effort here = effort;
    if (!most) here.exhaustive = here.structured = 0;
    const Cut cut(recording.events, at, order);
    ++count.cuts;
    for (const Fates& fates : choose(recording.events, cut.pending(), here, chance)) {
      if (effort.until_first_bad && count.bad != 0) break;
      const Disk disk = cut.disk(recording.base, fates);
      const bool at_end = end && recording.ended;
      if (!tried.insert(disk.digest() + (at_end ? "end" : "")).second) continue;
      ++count.images;
      Judge judge(recording, order, at_end);
      const std::uint64_t recovery = chance() >> 16;
      const std::string problems = judge.judge(disk, recovery);
      count.again += judge.again();
      if (problems.empty()) continue;
      ++count.bad;
      if (!count.first.empty()) continue;
      std::ostringstream first;
      first << script.name << " " << order_name(order) << " " << at << " "
            << (fates.empty() ? "-" : write_fates(fates)) << " " << recovery << "\n"
            << problems << "\nunflushed:";
      for (std::size_t index = 0; index < fates.size(); ++index)
        first << "\n  " << static_cast<char>(fates[index].kind) << " "
              << describe(recording.events[cut.pending()[index]]);
      count.first = first.str();
      if (effort.until_first_bad) at = recording.events.size();
    }
  }
  count.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  return count;
}

std::string try_again(const Recording& recording, const std::string& words) {
  std::istringstream in(words);
  std::string name, order, fates;
  std::size_t at = 0;
  std::uint64_t seed = 0;
  in >> name >> order >> at >> fates >> seed;
  if (!in || at > recording.events.size()) return "not a case: " + words;
  const Order chosen = order == "free" ? Order::free : Order::journaled;
  const Cut cut(recording.events, at, chosen);
  const Fates read = fates == "-" ? Fates{} : read_fates(fates);
  if (read.size() != cut.pending().size()) return "not a case of this version: " + words;
  Judge judge(recording, chosen, at == recording.events.size() && recording.ended);
  return judge.judge(cut.disk(recording.base, read), seed);
}

}  // namespace remediate::durability
