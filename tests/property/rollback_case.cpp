#include "rollback_case.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "planted_loss.h"
#include "random.h"
#include "remediate/crypto/digest.h"
#include "tree_maker.h"
#include "tree_reader.h"

namespace property {
namespace {

namespace playbook = remediate::playbook;
namespace plan = remediate::plan;
namespace run = remediate::run;

using Paths = std::set<std::string>;

/// A folder with the tree and the store, removed with whatever a failed case leaves in it.
class Ground {
 public:
  explicit Ground(const std::string& base) : path_(base + "/remediate-property-XXXXXX") {
    if (::mkdtemp(path_.data()) == nullptr) throw Failed("no folder below " + base);
    if (::mkdir(tree().c_str(), 0755) != 0) throw Failed("no folder " + tree());
  }
  ~Ground() {
    try {
      remove_tree(path_);
    } catch (const std::exception& error) {
      ::perror(error.what());
    }
  }
  Ground(const Ground&) = delete;
  Ground& operator=(const Ground&) = delete;
  [[nodiscard]] std::string tree() const { return path_ + "/tree"; }
  [[nodiscard]] std::string store() const { return path_ + "/store"; }

 private:
  std::string path_;
};

playbook::Condition condition(playbook::Condition::Kind kind) {
  playbook::Condition made;
  made.kind = kind;
  return made;
}

playbook::Playbook playbook_for(const MadeTree& tree) {
  playbook::Playbook made;
  made.id = "playbook--11111111-2222-3333-4444-555555555555";
  made.name = "Random tree";
  made.revision = 1;
  made.sha256 = std::string(64, 'a');
  playbook::Scope scope;
  scope.id = "all";
  scope.folders = {{"/t", playbook::Spelling::posix}};
  scope.include = {"**"};
  made.scopes = {scope};
  const auto add = [&](const std::string& id, playbook::Condition match) {
    playbook::Indicator indicator;
    indicator.id = id;
    indicator.name = id;
    indicator.scopes = {"all"};
    indicator.authorises = playbook::Authorises::remove;
    indicator.match = std::move(match);
    made.indicators.push_back(std::move(indicator));
    playbook::Step step;
    step.id = "remove-" + id;
    step.action = playbook::Action::quarantine;
    step.indicators = {id};
    made.steps.push_back(std::move(step));
  };
  auto digests = condition(playbook::Condition::Kind::sha256);
  for (const std::string& content : tree.digest_text)
    digests.values.push_back(remediate::crypto::sha256_hex(content));
  auto text = condition(playbook::Condition::Kind::regex);
  text.pattern = marker;
  text.encodings = {playbook::Encoding::ascii};
  add("by-digest", digests);
  add("by-text", text);
  for (std::size_t number = 0; number < tree.resets; ++number) {
    playbook::Indicator indicator;
    indicator.id = "gone-" + std::to_string(number);
    indicator.name = indicator.id;
    indicator.authorises = playbook::Authorises::remove;
    indicator.setting = playbook::SettingCondition{
        "iis-xml", {{"/" + tree.setting, playbook::Spelling::posix}}, {}, "virtualDirectory", "",
        {}};
    playbook::AttributeTest test;
    test.name = "path";
    test.equals = "/" + indicator.id;
    indicator.setting->where = {test};
    made.indicators.push_back(indicator);
    playbook::Step step;
    step.id = "reset-" + indicator.id;
    step.action = playbook::Action::reset_setting;
    step.indicators = {indicator.id};
    step.change = playbook::Change{"remove_element", "", "", std::nullopt, ""};
    made.steps.insert(made.steps.begin() + (number % 2 == 0 ? 0 : 1), step);
  }
  return made;
}

/// Below a folder with the name of a hold that nobody else can reach into: then it is one.
bool in_a_hold(const Tree& tree, const std::string& path) {
  for (std::size_t end = path.find('/'); end != std::string::npos; end = path.find('/', end + 1)) {
    const std::string folder = path.substr(0, end);
    const auto entry = tree.find(folder);
    if (folder.substr(folder.rfind('/') + 1).starts_with(".remediate-hold-") &&
        entry != tree.end() && (entry->second.mode & 077u) == 0 && entry->second.owner == 0)
      return true;
  }
  return false;
}

bool privileged(const Entry& entry) {
  return (entry.mode & 06000u) != 0 || entry.attributes.contains("security.capability");
}

/// What ought to be removed, from the contents alone.
Paths targets_of(const Tree& tree, const MadeTree& made, bool hard_links_allowed) {
  Paths targets;
  std::map<ino_t, std::uint64_t> names;
  for (const auto& [path, entry] : tree)
    if (S_ISREG(entry.type) && !in_a_hold(tree, path) && path.starts_with("t/") &&
        (made.digest_text.contains(entry.bytes) || entry.bytes.find(marker) != std::string::npos)) {
      targets.insert(path);
      ++names[entry.inode];
    }
  if (!hard_links_allowed)
    std::erase_if(targets, [&](const std::string& path) {
      const Entry& entry = tree.at(path);
      return entry.links > names[entry.inode];
    });
  return targets;
}

void name_twins(Tree& tree) {
  std::map<std::pair<dev_t, ino_t>, std::string> first;
  for (auto& [path, entry] : tree) {
    entry.twin.clear();
    if (!S_ISDIR(entry.type) && entry.links > 1)
      entry.twin = first.emplace(std::pair(entry.device, entry.inode), path).first->second;
  }
}

class Case {
 public:
  Case(std::uint64_t seed, const std::string& base, const Keys& keys, Counts& counts)
      : random_(seed),
        ground_(base),
        counts_(counts),
        scene_(ground_.tree(), ground_.store(), keys) {
    scene_.policy.max_files = scene_.policy.max_files_per_indicator = 1'000'000;
    scene_.policy.max_percent = 100;
    scene_.policy.generic_content_removes = true;  // what looks for text names no place
    scene_.policy.small_scope_files = 1000;
    scene_.policy.allow_hard_links = random_.chance(50);
    scene_.policy.max_sealed_bytes = random_.chance(5) ? 65536 : 256u << 20;
  }

  void run() {
    prepare();
    if (file_.plan.operations.empty()) {
      ++counts_["trees without a target"];
      return;
    }
    apply();
    undo();
    ++counts_["trees rolled back"];
  }

  [[nodiscard]] std::string root() const { return ground_.tree(); }

 private:
  void prepare() {
    made_ = make_tree(ground_.tree(), random_);
    ++counts_["shape: " + made_.shape];
    ++counts_["file system: " + scene_.filesystem()];
    for (const auto& [kind, number] : made_.kinds) counts_["made: " + kind] += number;
    before_ = read_tree(ground_.tree());
    note("below " + parent_of(parent_of(ground_.tree())) + ", a tree of " +
         std::to_string(before_.size()) + " entries, " + made_.shape);
    targets_ = targets_of(before_, made_, scene_.policy.allow_hard_links);
    file_ = must(scene_.plan({playbook_for(made_)}), "plan");
    expect(before_, Measure{}, "planning");
    Paths planned;
    for (const plan::Operation& operation : file_.plan.operations) {
      if (operation.action != plan::Action::quarantine) continue;
      planned.insert(operation.path.bytes());
      check_promises(operation);
    }
    for (const std::string& path : targets_)
      if (!planned.contains(path)) failed("not planned: " + escaped(path));
    for (const std::string& path : planned)
      if (!targets_.contains(path)) failed("planned without a reason: " + escaped(path));
    counts_["files planned"] += planned.size();
    counts_["settings planned"] += made_.resets;
  }

  /// The plan says what a rollback will not bring back.
  void check_promises(const plan::Operation& operation) {
    const Entry& entry = before_.at(operation.path.bytes());
    const auto says = [&](const char* word) {
      return std::ranges::any_of(operation.not_restorable, [&](const std::string& line) {
        return line.find(word) != std::string::npos;
      });
    };
    if (says("setuid") != privileged(entry))
      failed("the plan is wrong about privileges of " + escaped(operation.path.bytes()));
    if (says("after finalize: the link") != (entry.links > 1))
      failed("the plan is wrong about hard links of " + escaped(operation.path.bytes()));
  }

  void interrupt() {
    scene_.progress.stop = false;
    scene_.progress.interrupt_after(random_.below(4));
    note("interrupted");
  }

  run::RunReport until_it_ends(run::RunReport report) {
    for (int tries = 0; report.interrupted; ++tries) {
      if (tries > 5) failed("resumed five times and still interrupted");
      ++counts_["phases interrupted and resumed"];
      scene_.progress.stop = false;
      report = must(scene_.resume(run_), "resume");
    }
    scene_.progress.stop = false;
    scene_.progress.interrupt_after(UINT64_MAX - 1);
    return report;
  }

  void apply() {
    const auto approved = must(scene_.approve(file_), "approve");
    run_ = run::run_name(file_.plan);
    if (random_.chance(25)) interrupt();
    const run::RunReport report = until_it_ends(must(scene_.apply(approved), "apply"));
    for (const run::OperationReport& one : report.operations)
      if (one.outcome != "quarantined" && one.outcome != "reset")
        failed("apply: " + one.id + " " + one.address + ": " + one.outcome + " " + one.reason);
    removed_ = targets_;
    expect_removed("apply");
    if (random_.chance(10)) verify();
  }

  void verify() {
    for (const run::Finding& finding : must(scene_.verify(run_), "verify").findings)
      if (finding.level == run::Finding::Level::error)
        failed("verify: " + finding.where + ": " + finding.what);
    ++counts_["runs verified"];
  }

  /// The tree as it was without what is removed now.
  Tree expected() const {
    Tree tree = before_;
    std::map<ino_t, std::uint64_t> finalized;
    std::map<ino_t, std::uint64_t> missing;
    for (const std::string& path : finalized_) {
      ++finalized[before_.at(path).inode];
      if (removed_.contains(path)) ++missing[before_.at(path).inode];
    }
    for (auto& [path, entry] : tree) {
      if (!S_ISREG(entry.type) || !finalized.contains(entry.inode)) continue;
      const std::uint64_t gone = finalized.at(entry.inode);
      const std::uint64_t not_back = missing[entry.inode];
      if (gone == entry.links || linked_again_.contains(entry.inode)) {
        entry.links -= not_back;
      } else if (finalized_.contains(path)) {
        entry.links = gone - not_back;
        entry.inode += 1u << 30;  // a copy: a file of its own
      } else {
        entry.links -= gone;
      }
    }
    for (const std::string& path : removed_) tree.erase(path);
    name_twins(tree);
    return tree;
  }

  void expect_removed(const std::string& when) {
    Measure measure;
    measure.inodes = finalized_.empty();
    for (const std::string& path : targets_) measure.moved.insert(parent_of(path));
    Tree wanted = expected();
    Tree now = read_tree(ground_.tree());
    if (made_.resets != 0) {
      measure.moved.insert(parent_of(made_.setting));
      check_setting(wanted, now, when);
    }
    same(wanted, now, measure, when);
  }

  /// Changed as planned and in nothing else; then both trees go on without it.
  void check_setting(Tree& wanted, Tree& now, const std::string& when) {
    Entry was = wanted.at(made_.setting);
    const auto found = now.find(made_.setting);
    if (found == now.end()) failed(when + ": the configuration file is gone");
    const Entry is = found->second;
    for (std::size_t number = 0; number < made_.resets; ++number) {
      const std::string name = std::to_string(number) + "\"";
      if (is.bytes.find("/gone-" + name) != std::string::npos)
        failed(when + ": the setting gone-" + std::to_string(number) + " is still there");
      if (is.bytes.find("/stays-" + name) == std::string::npos)
        failed(when + ": the setting stays-" + std::to_string(number) + " is gone");
    }
    was.bytes = is.bytes;
    was.size = is.size;
    was.modified = is.modified;  // now, so that the server notices
    was.accessed = is.accessed;
    Measure measure;
    measure.inodes = false;
    same({{made_.setting, was}}, {{made_.setting, is}}, measure, when);
    wanted.erase(made_.setting);
    now.erase(made_.setting);
  }

  void finalize() {
    Paths kept;
    for (const run::OperationReport& one : must(scene_.finalize(run_), "finalize").operations)
      if (one.outcome == "kept") kept.insert(one.id);
    for (const plan::Operation& operation : file_.plan.operations)
      if (operation.action == plan::Action::quarantine &&
          removed_.contains(operation.path.bytes()) && !kept.contains(operation.id))
        finalized_.insert(operation.path.bytes());
    finalize_done_ = true;
    note("finalized " + std::to_string(finalized_.size()));
    ++counts_["runs finalized"];
    counts_["files kept in the hold by finalize"] += kept.size();
  }

  run::RollbackOptions options(bool keep_privileges) {
    run::RollbackOptions made;
    if (finalize_done_) made.recovery = scene_.recovery();
    if (keep_privileges) made.privileges = remediate::host::Privileges::keep;
    return made;
  }

  /// One rollback, interrupted or not; what is back leaves `removed_`.
  void roll_back(const run::RollbackOptions& wanted, bool interrupted) {
    if (interrupted) interrupt();
    const auto first = must(scene_.rollback(run_, wanted), "rollback");
    last_.clear();
    incomplete_ = false;
    for (const run::OperationReport& one : until_it_ends(first).operations)
      if (one.outcome != "restored") {
        incomplete_ = true;
        last_ += "  " + one.id + " " + shortened(one.address) + ": " + one.outcome + " " +
                 one.reason + "\n";
      }
    const Tree now = read_tree(ground_.tree());
    std::erase_if(removed_, [&](const std::string& path) { return now.contains(path); });
  }

  void undo() {
    const bool in_order = random_.chance(65);
    const bool finalize_first = random_.chance(30);
    const bool privileges_asked = random_.chance(50);
    bool folder_times = in_order;
    if (finalize_first) {
      finalize();
      expect_removed("finalize");
    }
    if (!in_order) {
      partly();
      if (!finalize_done_ && random_.chance(30)) {
        for (const std::string& path : targets_)
          if (!removed_.contains(path)) linked_again_.insert(before_.at(path).inode);
        finalize();
      }
    }
    const bool interrupted = random_.chance(25);
    if (!privileges_asked) {
      roll_back(options(false), false);
      if (incomplete_) folder_times = false;
      for (const std::string& path : removed_)
        if (!privileged(before_.at(path))) failed("not back: " + shortened(escaped(path)));
      if (!removed_.empty()) ++counts_["rollbacks that left privileged files out"];
      expect(expected(), measure_of(folder_times, in_order), "rollback without privileges");
    }
    for (int tries = 0; tries < 3 && (tries == 0 || incomplete_); ++tries) {
      roll_back(options(true), interrupted && tries == 0);
      if (incomplete_) folder_times = false;
    }
    expect(expected(), measure_of(folder_times, in_order), "rollback");
    ++counts_[std::string("rolled back ") +
              (finalize_done_ ? "from sealed objects" : "from the hold") +
              (in_order ? "" : ", in parts")];
    if (random_.chance(10)) verify();
  }

  Measure measure_of(bool folder_times, bool in_order) const {
    Measure measure;
    measure.folder_times = folder_times;
    measure.inodes = !finalize_done_;
    // Taken back in another order, a configuration file is merged: the same text, written anew.
    if (!in_order && made_.resets > 1) measure.rewritten = made_.setting;
    return measure;
  }

  /// Some operations in any order, by id or by indicator.
  void partly() {
    for (std::uint64_t parts = random_.between(1, 3); parts > 0; --parts) {
      run::RollbackOptions wanted = options(random_.chance(70));
      if (random_.chance(25)) {
        wanted.only = {random_.pick(file_.plan.operations).indicator};
      } else {
        for (std::uint64_t more = random_.between(1, 6); more > 0; --more)
          wanted.only.push_back(random_.pick(file_.plan.operations).id);
      }
      const Paths missing = removed_;
      roll_back(wanted, false);
      for (const plan::Operation& operation : file_.plan.operations) {
        const std::string& path = operation.path.bytes();
        if (operation.action != plan::Action::quarantine || !missing.contains(path)) continue;
        const bool asked = std::ranges::find(wanted.only, operation.id) != wanted.only.end() ||
                           std::ranges::find(wanted.only, operation.indicator) != wanted.only.end();
        const bool may =
            wanted.privileges == remediate::host::Privileges::keep || !privileged(before_.at(path));
        if (removed_.contains(path) == (asked && may))
          failed("rollback of parts: " + escaped(path) +
                 (asked ? " is not back" : " is back, and nobody asked for it"));
      }
      note("a part rolled back");
    }
  }

  void expect(const Tree& wanted, const Measure& measure, const std::string& when) {
    same(wanted, read_tree(ground_.tree()), measure, when);
  }

  void same(const Tree& wanted, const Tree& now, const Measure& measure, const std::string& when) {
    const std::vector<std::string> lines = differences(wanted, now, measure);
    if (lines.empty()) return;
    std::string all = when + ": " + std::to_string(lines.size()) + " difference(s)";
    for (std::size_t index = 0; index < std::min<std::size_t>(lines.size(), 12); ++index)
      all += "\n  " + shortened(lines[index]);
    int described = 0;
    for (const auto& [path, entry] : wanted)
      if (described < 6 &&
          std::ranges::any_of(
              lines,
              [&](const std::string& line) { return line.starts_with(escaped(path) + ": "); })) {
        ++described;
        all +=
            "\n  entry: " + description(path, entry) + (targets_.contains(path) ? " [target]" : "");
      }
    failed(all);
  }

  [[noreturn]] void failed(const std::string& why) {
    throw Failed(why + "\n" + last_ + "  steps:" + notes_);
  }
  void note(const std::string& step) { notes_ += " " + step + ";"; }

  Random random_;
  Ground ground_;
  Counts& counts_;
  Scene scene_;
  MadeTree made_;
  Tree before_;
  plan::PlanFile file_;
  std::string run_, notes_, last_;
  Paths targets_, removed_, finalized_;
  std::set<ino_t> linked_again_;  // files with a name that was back before finalize
  bool finalize_done_ = false;
  bool incomplete_ = false;  // the last rollback did not bring back everything it was asked for
};

}  // namespace

void rollback_case(std::uint64_t seed, const std::string& base, const Keys& keys, Counts& counts) {
  Case(seed, base, keys, counts).run();
}

void self_test(std::uint64_t seed, std::uint64_t cases, const std::string& base, const Keys& keys,
               Counts& counts) {
  Random random(seed);
  for (std::uint64_t number = 0; number < cases; ++number) {
    Counts ignored;
    Case one(case_seed(seed, number), base, keys, ignored);
    one.run();
    Tree tree = read_tree(one.root());
    for (const Loss& loss : losses()) {
      const auto path = loss.plant(one.root(), tree, random);
      if (!path) continue;
      Tree now = read_tree(one.root());
      const auto lines = differences(tree, now, Measure{});
      if (std::ranges::none_of(lines, [&](const std::string& line) {
            return line.starts_with(escaped(*path) + ": ");
          }))
        throw Failed(loss.name + " of " + escaped(*path) + " is not seen");
      ++counts["caught: " + loss.name];
      tree = std::move(now);
    }
  }
}

}  // namespace property
