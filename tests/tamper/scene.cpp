#include "scene.h"

#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/run/host_policy.h"
#include "remediate/run/session.h"

namespace remediate::run::test {
namespace {

constexpr std::uint64_t max_bytes = 1u << 24;

Namesake identity(const std::string& name) {
  const Timestamp from{1'767'225'600 - 86'400, 0};
  const auto made = must(crypto::make_identity(name, crypto::Use::sign, from, 36'500));
  return {must(crypto::Certificate::from_pem(made.certificate_pem, name)),
          must(crypto::PrivateKey::from_pem(made.key_pem, name))};
}

Result<RunReport> apply_signed(World& world, const plan::PlanFile& file) {
  const auto approved = must(plan::check_approval(request(world, file, approve(file.bytes))));
  const auto store = world.open_store();
  const auto root = must(world.host().open_root(world.target()));
  return run::apply(world.host(), *store, *root, approved,
                    {{store->recovery()}, world.max_sealed_bytes, "remediate test"},
                    {world.progress, world.stop});
}

Kind kind_of(const std::string& name) {
  if (name.ends_with(".jsonl")) return Kind::journal;
  const bool signature = name.ends_with(".p7s");
  if (name.find(".head-") != std::string::npos)
    return signature ? Kind::head_signature : Kind::head;
  if (name.starts_with("manifest")) return signature ? Kind::manifest_signature : Kind::manifest;
  return signature ? Kind::approval : Kind::plan;
}

}  // namespace

std::string_view kind_name(Kind kind) {
  static constexpr std::string_view names[] = {"journal",      "head",   "head.p7s", "manifest",
                                               "manifest.p7s", "plan",   "plan.p7s", "store.json",
                                               "certificate",  "object", "held"};
  return names[static_cast<std::size_t>(kind)];
}

const Namesake& namesake() {
  static const Namesake made = identity("test signer");
  return made;
}

const std::vector<Namesake>& approvers() {
  static const std::vector<Namesake> made{identity("Alice"), identity("Bob")};
  return made;
}

std::string approve(const std::string& bytes) {
  const auto& both = approvers();
  const auto one = must(crypto::sign_detached(bytes, both[0].certificate, both[0].key));
  return must(crypto::add_signer(one, bytes, both[1].certificate, both[1].key));
}

plan::ApprovalRequest request(World& world, plan::PlanFile file, std::string signature) {
  const auto root = must(world.host().open_root(world.target()));
  return {.file = std::move(file),
          .signature = std::move(signature),
          .policy = world.policy,
          .policy_sha256 = crypto::sha256_hex("policy"),
          .approvers = {approvers()[0].certificate, approvers()[1].certificate},
          .host = host_facts(world.host(), world.target(), must(root->stat())),
          .store = std::nullopt,
          .confirmed_id = "",
          .now = world.host().now()};
}

Scene::Scene(const std::string& shape) {
  world.policy.threshold = 2;
  world.keep_old_version();
  const plan::PlanFile first = world.plan();
  run = "run-" + first.plan.plan_id.substr(0, 12);
  stopped = shape == "stopped";
  if (stopped) {
    world.progress.stop = &world.stop;
    world.progress.stop_at = 1;
  }
  std::size_t objects = 0;
  bool copied = false;
  memory.host.set_fault_hook([&](std::string_view operation, std::string_view name) {
    if (!copied && operation == "make_directory" && name == run) {
      copied = true;
      for (const Place& place : list(run)) begun.emplace_back(place, read(place));
    }
    if (operation == "link_file" && name.ends_with(".p7m")) ++objects;
    return shape == "crashed" && objects > 1  // from here on nothing reaches the disk
               ? std::optional(Error{Code::io, "crash", ""})
               : std::nullopt;
  });
  auto applied = apply_signed(world, first);
  memory.host.set_fault_hook({});
  world.progress.stop = nullptr;
  world.stop = false;
  const auto note = [&] {
    const auto store = world.open_store();
    const std::string bytes =
        must(host::read_whole(store->journals(), journal_name(run), max_bytes));
    const auto contents = must(journal::read_journal(bytes));
    witness = std::to_string(contents.records.size()) + ":" + contents.head;
  };
  if (shape == "rolled_back") must(world.rollback(run));
  if (shape == "finalized") must(world.finalize(run));
  note();
  world.file("www/sub/shell-e.php", "inert sample e\n");
  const plan::PlanFile second = world.plan();
  other = must(apply_signed(world, second)).run;
  REQUIRE(other != run);
  files = list(run);
  const std::string store = world.store_path();
  files.push_back({Kind::store, store, "store.json"});
  files.push_back({Kind::certificate, store + "/keys", "signer.crt"});
  files.push_back({Kind::certificate, store + "/keys", "recovery.crt"});
  other_files = list(other);
}

std::vector<Place> Scene::list(const std::string& of) {
  std::vector<Place> found;
  const std::string store = world.store_path();
  const auto each = [&](const std::string& path, const auto& visit) {
    auto directory = memory.host.open_root(path);
    if (!directory) return;
    must((*directory)->each_entry([&](std::string_view name, FileKind) {
      visit(std::string(name));
      return true;
    }));
  };
  for (const std::string& path : {store + "/runs/" + of, store + "/runs/.starting-" + of})
    each(path, [&](const std::string& name) { found.push_back({kind_of(name), path, name}); });
  each(store + "/journal", [&](const std::string& name) {
    if (name.starts_with(of)) found.push_back({kind_of(name), store + "/journal", name});
  });
  const auto opened = world.open_store();
  std::vector<std::string> objects;
  if (auto loaded = load_run(*opened, of)) {
    for (const quarantine::SealedCopy& copy : loaded->copies)
      found.push_back({Kind::object, store + "/objects", copy.object + ".p7m"});
    for (const OperationState& operation : loaded->operations) {
      if (!operation.entry.object.empty())
        found.push_back({Kind::object, store + "/objects", operation.entry.object + ".p7m"});
      const bool held = operation.state == State::captured || operation.state == State::sealed ||
                        operation.state == State::done;
      const std::string top =
          operation.entry.hold == quarantine::HoldPlace::store
              ? store + "/hold/"
              : world.target() + "/www/data/.remediate-hold-" + opened->id() + "/";
      if (held) found.push_back({Kind::held, top + of, operation.entry.hold_name});
    }
  }
  return found;
}

std::unique_ptr<host::Directory> Scene::folder(const Place& place) {
  return must(memory.host.open_root(place.folder));
}

std::string Scene::read(const Place& place) {
  return must(host::read_whole(*folder(place), place.name, max_bytes));
}

void Scene::write(const Place& place, const std::string& bytes) {
  const auto file = must(folder(place)->open_file(place.name, host::Access::read_write));
  const Metadata metadata = must(file->metadata());
  must(file->truncate(0));
  if (!bytes.empty()) must(file->write_at(0, bytes));
  if (place.kind == Kind::held) {
    const auto words = must(file->restore_metadata(metadata, host::Privileges::keep));
    REQUIRE(words.empty());
  }
}

void Scene::move(const Place& from, const Place& to) {
  must(folder(from)->rename(from.name, *folder(to), to.name));
}

void Scene::remove(const Place& place) { must(folder(place)->remove_file(place.name)); }

void Scene::create(const Place& place, const std::string& bytes) {
  const auto file = must(folder(place)->create_file(place.name, 0600));
  if (!bytes.empty()) must(file->write_at(0, bytes));
}

}  // namespace remediate::run::test
