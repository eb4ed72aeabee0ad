#include "scene.h"

#include <algorithm>

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"

namespace remediate::durability {
namespace {

using run::test::must;
using run::test::World;

constexpr std::uint64_t max_sealed = 1u << 20;

void add_attribute(World& world, const std::string& folder, std::string_view name) {
  const auto file = must(world.parent(folder + "/x")->open_file(name, host::Access::read_write));
  Metadata metadata = must(file->metadata());
  metadata.attributes.push_back({"user.origin", std::string("a\0b", 3)});
  CHECK(must(file->restore_metadata(metadata, host::Privileges::keep)).empty());
}

void fill(World& world, host::MemoryHost& host, bool small) {
  world.fill();
  if (small) {
    world.remove("www/sub/shell-b.php");
    world.remove("www/sub/shell-c.php");
  } else {
    world.folder("www/data");
    must(host.mount(std::string(target_folder) + "/www/data", "memory"));
    world.file("www/data/shell-d.php", "inert sample d\n", 0644);
    const auto folder = world.parent("www/sub/x");
    const auto twin = must(folder->open_file("shell-b.php", host::Access::read));
    must(folder->link_file(*twin, "shell-e.php"));
    world.keep_old_version();
  }
  add_attribute(world, "www", "shell-a.php");
  world.protect("www/shell-a.php", host::flag_immutable);
  world.protect(settings_path, host::flag_immutable);
}

std::map<std::string, Inode> below(const Disk& disk, const std::string& folder) {
  std::map<std::string, Inode> result;
  for (const auto& [path, number] : disk.paths(folder))
    result.emplace(path, disk.inodes.at(number));
  return result;
}

/// Somebody else writes a comment to the end of the file that is served.
void edit_settings(host::Host& host) {
  const auto folder = must(host.open_root(std::string(target_folder) + "/etc-iis"));
  {
    const auto protected_file =
        must(folder->open_file("applicationHost.config", host::Access::read));
    must(protected_file->set_protection_flags(0));
  }
  const auto file = must(folder->open_file("applicationHost.config", host::Access::read_write));
  must(file->write_at(must(file->stat()).size, "<!-- later -->\n"));
  must(file->set_protection_flags(host::flag_immutable));
  must(folder->sync_filesystem());
}

/// Who had a file open before it was captured can still change its mode.
void loosen_held(host::Host& host, const Recording& recording) {
  for (const std::string& hold :
       {std::string(store_folder) + "/hold", std::string(target_folder) + "/www/data"}) {
    const auto top = host.open_root(hold);
    if (!top) continue;
    std::vector<std::string> runs;
    must((*top)->each_entry([&](std::string_view name, FileKind) {
      if (name.starts_with(".remediate-hold-")) runs.push_back(hold + "/" + std::string(name));
      return true;
    }));
    runs.push_back(hold);
    for (const std::string& folder : runs) {
      const auto opened = host.open_root(folder + "/" + recording.run);
      if (!opened) continue;
      std::vector<std::string> names;
      must((*opened)->each_entry([&](std::string_view name, FileKind) {
        names.emplace_back(name);
        return true;
      }));
      for (const std::string& name : names) {
        const auto file = must((*opened)->open_file(name, host::Access::read));
        Metadata metadata = must(file->metadata());
        metadata.stat.mode = 0666;
        CHECK(must(file->restore_metadata(metadata, host::Privileges::keep)).empty());
      }
      must((*opened)->sync_filesystem());
    }
  }
}

std::set<std::string> versions_of(const Recording& recording) {
  std::set<std::string> versions;
  const std::string path = std::string(target_folder) + "/" + settings_path;
  for (std::size_t count = 0; count <= recording.events.size(); ++count) {
    const Cut cut(recording.events, count, Order::free);
    const Disk seen = cut.disk(recording.base, std::vector<Fate>(cut.pending().size()));
    if (const Inode* inode = seen.find(path)) versions.insert(inode->bytes);
  }
  return versions;
}

void play(const Step& step, VolatileHost& host, Recording& recording) {
  recording.first_cut = host.events().size();
  const Act interrupted = recording.last;
  recording.last = step.act;
  recording.ended = step.killed_after == 0;
  recording.finalize_began = recording.finalize_began || step.act == Act::finalize;
  if (!recording.last_head.empty()) recording.heads.push_back(recording.last_head);
  recording.last_head.clear();
  if (step.act == Act::make_store) {
    must(run::Store::create(host, store_folder, run::test::keys().store));
  } else if (step.act == Act::edit) {
    edit_settings(host);
    recording.merged = true;
  } else if (step.act == Act::loosen) {
    loosen_held(host, recording);
    recording.loosened = true;
  } else {
    if (!recording.ended) host.kill_at(recording.first_cut + step.killed_after);
    Tool tool(host, recording);
    const bool nothing_yet = step.act == Act::resume && !must(tool.has_run());
    const auto report = tool.act(nothing_yet ? Act::apply : step.act);
    if (step.act == Act::resume) recording.last = interrupted;  // what it goes on with
    host.let_live();
    if (!recording.ended) {
      REQUIRE((!report || report->status != "done"));
      return;
    }
    if (!report) FAIL(report.error().text());
    INFO(run::test::text(*report));
    REQUIRE(report->status == "done");
    recording.last_head = report->head;
  }
}

}  // namespace

Recording record(const Script& script, const Plant& plant) {
  Recording recording;
  auto tree = std::make_shared<host::memory::Tree>();
  {
    host::MemoryHost host(tree);
    World world(host, "/base");
    // The plan names the files of its store, so it has to be there while the plan is made.
    world.make_store(run::test::keys().store);
    fill(world, host, script.small);
    recording.plan = std::make_shared<plan::PlanFile>(world.plan());
    recording.policy = world.policy;
    if (script.steps.front().act == Act::make_store) {
      auto& base = tree->root->entries.at("base");
      tree->leave(base, "store");
    }
  }
  recording.run = run::run_name(recording.plan->plan);
  recording.base = read_disk(*tree);
  recording.originals = below(recording.base, target_folder);
  for (const plan::Operation& operation : recording.plan->plan.operations)
    if (operation.action != plan::Action::instruct)
      recording.planned.insert(operation.path.bytes());

  VolatileHost host(tree);
  for (const Step& step : script.steps) {
    if (&step == &script.steps.back()) host.plant(plant);
    play(step, host, recording);
  }
  recording.events = host.events();
  recording.versions = versions_of(recording);
  if (recording.merged) {
    const Disk seen = host.seen();
    const Inode* served = seen.find(std::string(target_folder) + "/" + settings_path);
    REQUIRE(served != nullptr);
    recording.merged_bytes = served->bytes;
  }
  return recording;
}

Tool::Tool(host::Host& host, const Recording& recording) : host_(host), recording_(recording) {}

Result<bool> Tool::has_run() {
  TRY_LET(const auto store, run::Store::open(host_, store_folder));
  TRY_LET(const auto names, store->run_names());
  return std::ranges::find(names, recording_.run) != names.end();
}

Result<run::RunReport> Tool::act(Act act) {
  TRY_LET(const auto store, run::Store::open(host_, store_folder));
  return act_on(act, *store);
}

Result<run::RunReport> Tool::act_on(Act act, run::Store& store) {
  TRY_LET(const auto root, host_.open_root(target_folder));
  const run::ApplyOptions options{{store.recovery()}, max_sealed, "remediate test"};
  const run::Control control{progress_, stop_};
  if (act == Act::apply) {
    TRY_LET(const FileStat stat, root->stat());
    TRY_LET(const auto approved,
            plan::check_approval({.file = *recording_.plan,
                                  .signature = "",
                                  .policy = recording_.policy,
                                  .policy_sha256 = crypto::sha256_hex("policy"),
                                  .approvers = {},
                                  .host = run::host_facts(host_, target_folder, stat),
                                  .store = std::nullopt,
                                  .confirmed_id = recording_.plan->plan.plan_id,
                                  .now = host_.now()}));
    return run::apply(host_, store, *root, approved, options, control);
  }
  if (act == Act::resume) return run::resume(host_, store, *root, recording_.run, options, control);
  if (act == Act::finalize)
    return run::finalize(host_, store, *root, recording_.run, options, control);
  run::RollbackOptions undo;
  undo.tool = "remediate test";
  TRY_LET(const auto key,
          crypto::PrivateKey::from_pem(run::test::keys().recovery_key, "the recovery key"));
  undo.recovery = run::Recovery{store.recovery(), key};
  return run::rollback(host_, store, *root, recording_.run, undo, control);
}

Result<run::VerifyReport> Tool::verify(const std::string& witness) {
  TRY_LET(const auto store, run::Store::open(host_, store_folder));
  run::VerifyOptions options;
  options.witness = witness;
  return run::verify(host_, *store, recording_.run, options);
}

}  // namespace remediate::durability
