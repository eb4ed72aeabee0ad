#include <algorithm>
#include <functional>

#include "forger.h"
#include "remediate/crypto/digest.h"
#include "remediate/crypto/signature.h"
#include "remediate/host/durable.h"
#include "remediate/run/store_check.h"

// What verify says of a store that was damaged or meddled with, file by file, and of a run that
// stands in the middle.

namespace remediate::run::test {
namespace {

bool tells(const VerifyReport& report, Finding::Level level, const std::string& where,
           const std::string& what) {
  return std::ranges::any_of(report.findings, [&](const Finding& one) {
    return one.level == level && one.where.find(where) != std::string::npos &&
           one.what.find(what) != std::string::npos;
  });
}

void check_tells(const VerifyReport& report, Finding::Level level, const std::string& where,
                 const std::string& what) {
  INFO(findings(report));
  CHECK(tells(report, level, where, what));
}

constexpr auto error = Finding::Level::error;
constexpr auto notice = Finding::Level::notice;

struct Applied : RichWorld {
  Applied() { must(world->apply(plan)); }
  [[nodiscard]] std::string store(const std::string& path) const {
    return world->store_path() + "/" + path;
  }
  [[nodiscard]] std::unique_ptr<host::Directory> folder(const std::string& path) {
    return must(host.open_root(store(path)));
  }
  [[nodiscard]] VerifyReport verify() { return must(world->verify()); }
};

struct Found {
  std::string folder, name;  // absolute
  FileKind kind;
};

void each_below(host::Host& host, const std::string& path, std::vector<Found>& all) {
  const auto folder = must(host.open_root(path));
  std::vector<std::string> names;
  must(folder->each_entry([&](std::string_view name, FileKind) {
    names.emplace_back(name);
    return true;
  }));
  for (const std::string& name : names) {
    const FileStat stat = must(folder->stat_entry(name));
    all.push_back({path, name, stat.kind});
    if (stat.kind == FileKind::directory) each_below(host, path + "/" + name, all);
  }
}

void set_metadata(host::Host& host, const Found& one, std::uint32_t mode, std::uint32_t owner) {
  const auto folder = must(host.open_root(one.folder));
  if (one.kind == FileKind::directory) {
    const auto directory =
        must(folder->open_directory(must(RawPath::parse(one.name)), host::Mounts::stay));
    (void)directory;
    return;
  }
  const auto file = must(folder->open_file(one.name, host::Access::read_write));
  Metadata metadata = must(file->metadata());
  metadata.stat.mode = mode;
  metadata.stat.owner = owner;
  must(file->restore_metadata(metadata, host::Privileges::keep));
}

}  // namespace

TEST_CASE("every file of a store that others can reach, own or replaced is told", "[evidence]") {
  Applied rich;
  std::vector<Found> all;
  each_below(rich.host, rich.world->store_path(), all);
  std::erase_if(all, [](const Found& one) {
    return one.folder.find("/hold/") != std::string::npos;  // originals keep their own mode
  });
  REQUIRE(all.size() > 15);
  const std::uint32_t user = rich.host.user();
  for (const Found& one : all) {
    INFO(one.folder << "/" << one.name);
    const auto folder = must(rich.host.open_root(one.folder));
    if (one.kind == FileKind::regular) {
      const std::uint32_t mode = must(folder->stat_entry(one.name)).mode;
      set_metadata(rich.host, one, mode | 0022u, user);
      check_tells(rich.verify(), error, one.name, "others can reach it, its mode is 0");
      set_metadata(rich.host, one, mode, user + 1);
      check_tells(rich.verify(), error, one.name, "belongs to user " + std::to_string(user + 1));
      set_metadata(rich.host, one, mode, user);
    }
    // Something of another kind has its name.
    must(folder->rename(one.name, *folder, "aside"));
    if (one.kind == FileKind::regular)
      must(folder->make_directory(one.name, 0700));
    else
      must(rich.host.plant(one.folder + "/" + one.name, FileKind::regular));
    const auto report = rich.world->verify();
    if (report) {
      CHECK_FALSE(report->ok());
      INFO(findings(*report));
      CHECK(findings(*report).find(one.name) != std::string::npos);
    } else {
      INFO(report.error().text());
      CHECK(report.error().text().find(one.name) != std::string::npos);
    }
    if (one.kind == FileKind::regular)
      must(folder->remove_directory(one.name));
    else
      must(folder->remove_file(one.name));
    must(folder->rename("aside", *folder, one.name));
  }
  const VerifyReport report = rich.verify();
  INFO(findings(report));
  CHECK(report.ok());
}

TEST_CASE("names that no file of a store has are no evidence", "[evidence]") {
  Applied rich;
  for (const std::string& path :
       {std::string("other"), std::string("keys/other.key"), "runs/" + rich.run + "/other",
        std::string("journal/other.json"), "journal/" + rich.run + ".head-x.json",
        "journal/" + rich.run + ".head-012.json", "journal/" + rich.run + ".head-7.txt",
        "journal/" + rich.run + ".head-.json", std::string("objects/.writing-3")}) {
    INFO(path);
    must(rich.host.plant(rich.store(path), FileKind::regular));
    const VerifyReport report = rich.verify();
    check_tells(report, notice, path, "no file of the store has this name");
    CHECK(report.ok());
    const std::size_t slash = path.rfind('/');
    must(rich.folder(slash == std::string::npos ? "" : path.substr(0, slash))
             ->remove_file(slash == std::string::npos ? path : path.substr(slash + 1)));
  }
  must(rich.host.plant(rich.store("objects/unknown"), FileKind::regular));
  check_tells(rich.verify(), notice, "objects/unknown", "no run refers to it");
  must(rich.folder("")->make_directory("unfinished-keys-1", 0700));
  check_tells(rich.verify(), notice, "unfinished-keys-1", "cut short");
  must(rich.folder("")->remove_directory("unfinished-keys-1"));
  must(rich.host.plant(rich.store("unfinished-keys-1"), FileKind::regular));
  check_tells(rich.verify(), error, "unfinished-keys-1", "not a folder");
}

TEST_CASE("what is left of a run that is gone is told, and of one that never began", "[evidence]") {
  Applied rich;
  must(rich.folder("hold")->make_directory("run-gone", 0700));
  must(rich.folder("journal")->create_file("run-gone.jsonl", 0600));
  check_tells(rich.verify(), error, "journal/run-gone.jsonl", "the folder of its run is gone");
  check_tells(rich.verify(), error, "hold/run-gone", "the folder of its run is gone");
  must(rich.folder("runs")->make_directory(".starting-run-gone", 0700));
  const VerifyReport report = rich.verify();
  check_tells(report, notice, "journal/run-gone.jsonl", "before it began");
  CHECK(report.ok());
  // Asked about one run, verify says nothing of another one.
  const VerifyReport one = must(rich.world->verify(rich.run));
  INFO(findings(one));
  CHECK_FALSE(tells(one, notice, "run-gone", ""));
  CHECK(one.runs == std::vector<std::string>{rich.run});
  CHECK(rich.world->verify("run-none").error().code == Code::not_found);
}

TEST_CASE("a run without its journal has begun if anything of it is there", "[evidence]") {
  Applied rich;
  std::string what;
  const auto journals = rich.folder("journal");
  const auto run = rich.folder("runs/" + rich.run);
  const auto no_heads = [&] {
    std::vector<std::string> names;
    must(journals->each_entry([&](std::string_view name, FileKind) {
      if (name.find(".head-") != name.npos) names.emplace_back(name);
      return true;
    }));
    for (const std::string& name : names) must(journals->remove_file(name));
  };
  must(journals->remove_file(rich.run + ".jsonl"));
  SECTION("a manifest") { what = "a manifest"; }
  SECTION("a head") {
    must(run->remove_file("manifest.json"));
    what = "a signed head";
  }
  SECTION("a hold") {
    must(run->remove_file("manifest.json"));
    no_heads();
    what = "a hold";
  }
  SECTION("nothing") {
    must(run->remove_file("manifest.json"));
    no_heads();
    must(rich.folder("hold")->rename(rich.run, *rich.folder(""), "hold-aside"));
    const VerifyReport report = rich.verify();
    check_tells(report, notice, rich.run, "interrupted before its first record");
    CHECK(rich.world->rollback(rich.run));
    CHECK(rich.world->finalize(rich.run).error().code == Code::not_found);
    return;
  }
  check_tells(rich.verify(), error, rich.run, "the run has left " + what);
}

TEST_CASE("objects and held files that were changed are told", "[evidence]") {
  Applied rich;
  Run run = must(load_run(*rich.world->open_store(), rich.run));
  const auto held = rich.folder("hold/" + rich.run);
  const OperationState* first = nullptr;
  for (const OperationState& one : run.operations)
    if (one.operation->address == shell) first = &one;
  REQUIRE(first != nullptr);
  const std::string& id = first->entry.hold_name;
  SECTION("another digest") {
    const auto file = must(held->open_file(id, host::Access::read_write));
    must(file->write_at(0, "X"));
    check_tells(rich.verify(), error, id, "the held file has sha256");
  }
  SECTION("another mode") {
    set_metadata(rich.host, {rich.store("hold/" + rich.run), id, FileKind::regular}, 0777, 0);
    check_tells(rich.verify(), error, id, "mode");
  }
  SECTION("gone") {
    must(held->remove_file(id));
    CHECK_FALSE(rich.verify().ok());
  }
  SECTION("an object of another size") {
    const auto file = must(
        rich.folder("objects")->open_file(first->entry.object + ".p7m", host::Access::read_write));
    must(file->truncate(must(file->stat()).size - 1));
    check_tells(rich.verify(), error, id, "");
  }
  SECTION("something is at its place again") {
    rich.world->file(shell, "new");
    check_tells(rich.verify(), notice, shell, "something is at its place again");
    CHECK(rich.verify().ok());
  }
  SECTION("every object opens with the key, and not with another one") {
    const auto store = rich.world->open_store();
    VerifyOptions options;
    options.recovery = rich.world->recovery();
    CHECK(must(verify(rich.host, *store, "", options)).ok());
    const auto other =
        must(crypto::make_identity("another", crypto::Use::recover, rich.host.now(), 100));
    options.recovery = Recovery{must(crypto::Certificate::from_pem(other.certificate_pem, "")),
                                must(crypto::PrivateKey::from_pem(other.key_pem, ""))};
    check_tells(must(verify(rich.host, *store, "", options)), error, "object", "");
  }
}

TEST_CASE("a witness that the journal does not contain is told", "[evidence]") {
  Applied rich;
  const auto store = rich.world->open_store();
  const RunReport again = must(rich.world->resume(rich.run));
  VerifyOptions options;
  options.witness = again.head;
  CHECK(must(verify(rich.host, *store, "", options)).ok());
  options.witness = "3:" + std::string(64, 'a');
  check_tells(must(verify(rich.host, *store, "", options)), error, "witness",
              "no journal contains the head");
}

TEST_CASE("approvals are counted as the policy asks today", "[evidence]") {
  Applied rich;
  const auto store = rich.world->open_store();
  const auto approver =
      must(crypto::Certificate::from_pem(keys().store.signer_certificate, "approver"));
  plan::Policy policy = rich.world->policy;
  VerifyOptions options;
  options.policy = &policy;
  options.approvers = {approver};
  CHECK(must(verify(rich.host, *store, "", options)).ok());
  policy.threshold = 1;
  check_tells(must(verify(rich.host, *store, "", options)), error, "plan.json.p7s", "");
}

TEST_CASE("older heads are held to the same", "[evidence]") {
  Applied rich;
  Forger forger(*rich.world, rich.run);
  const std::string older = "journal/" + rich.run + ".head-3.json";
  Json head = forger.head();
  head["length"] = 3;
  head["head"] = forger.records().at(3).prev;
  forger.write_text(older, write_json(head));
  check_tells(rich.verify(), notice, older, "whose signature is gone");
  CHECK(rich.verify().ok());
  forger.sign(older);
  CHECK(rich.verify().findings.empty());
  SECTION("of another record") { head["head"] = forger.records().at(2).prev; }
  SECTION("of another length") { head["length"] = 4; }
  forger.write_text(older, write_json(head));
  check_tells(rich.verify(), error, rich.run + " journal", "signature");
  forger.sign(older);
  CHECK_FALSE(rich.verify().ok());
}

TEST_CASE("a signature that this tool does not make is told", "[evidence]") {
  Applied rich;
  Forger forger(*rich.world, rich.run);
  const std::string path = "runs/" + rich.run + "/manifest.json";
  const auto other =
      must(crypto::make_identity("another", crypto::Use::sign, rich.host.now(), 100));
  const auto certificate = must(crypto::Certificate::from_pem(other.certificate_pem, ""));
  const auto key = must(crypto::PrivateKey::from_pem(other.key_pem, ""));
  const std::string bytes = forger.read(path);
  SECTION("two signers") {
    forger.write_text(path + ".p7s", must(crypto::add_signer(forger.read(path + ".p7s"), bytes,
                                                             certificate, key)));
    check_tells(rich.verify(), error, "manifest", "is not one that this tool makes");
  }
  SECTION("another signer") {
    forger.write_text(path + ".p7s", must(crypto::sign_detached(bytes, certificate, key)));
    check_tells(rich.verify(), error, "manifest", "is not signed by this store's signer");
  }
  SECTION("none") {
    must(rich.folder("runs/" + rich.run)->remove_file("manifest.json.p7s"));
    check_tells(rich.verify(), error, "manifest", "has no signature");
  }
  CHECK_FALSE(rich.world->rollback(rich.run));
}

TEST_CASE("a torn end of the journal is told and mended by a resume", "[evidence]") {
  Applied rich;
  Forger forger(*rich.world, rich.run);
  const std::string path = "journal/" + rich.run + ".jsonl";
  forger.write_text(path, forger.read(path) + "{\"seq\":");
  check_tells(rich.verify(), notice, rich.run, "ends in a torn record");
  CHECK(must(rich.world->resume(rich.run)).status == "done");
  CHECK(rich.verify().findings.empty());
  // Cut off: the head is of more records than there are.
  std::vector<journal::Record> records = forger.records();
  std::string lines;
  records.pop_back();
  for (const journal::Record& record : records) lines += journal::format_record(record);
  forger.write_text(path, lines);
  check_tells(rich.verify(), error, rich.run + " journal", "its signed head is of");
  CHECK_FALSE(rich.world->resume(rich.run));
}

TEST_CASE("a run that was interrupted anywhere is told so, and says what is in the hold",
          "[evidence]") {
  std::size_t told = 0, in_hold = 0, unsigned_end = 0;
  for (std::size_t calls = 20; calls < 400; calls += 5) {
    RichWorld rich;
    std::size_t count = 0;
    rich.host.set_fault_hook([&](std::string_view, std::string_view) -> std::optional<Error> {
      if (count++ < calls) return std::nullopt;
      return Error{Code::io, "the process ended", ""};
    });
    const auto applied = rich.world->apply(rich.plan);
    rich.host.set_fault_hook({});
    if (applied) break;
    if (must(rich.world->open_store()->run_names()).empty()) continue;
    const VerifyReport report = must(rich.world->verify());
    INFO("ended at call " << calls << ": " << findings(report));
    // Closed and not yet signed: only a resume can tell that from a journal that was cut.
    const bool closed = tells(report, error, "journal", "goes on after its signed head");
    CHECK(report.ok() != closed);
    unsigned_end += closed ? 1 : 0;
    if (tells(report, notice, rich.run, "interrupted")) ++told;
    if (tells(report, notice, "", "a file is in the hold")) ++in_hold;
    // A root that is not there keeps only the targets from being looked at.
    const auto base = must(rich.host.open_root("/base"));
    must(base->rename("target", *base, "gone"));
    const VerifyReport without = must(rich.world->verify());
    INFO(findings(without));
    CHECK(tells(without, notice, rich.run, "its root cannot be opened"));
    CHECK(without.ok() != closed);
    must(base->rename("gone", *base, "target"));
    CHECK(must(rich.world->resume(rich.run)).status == "done");
  }
  CHECK(told > 10);
  CHECK(in_hold > 0);
  CHECK(unsigned_end > 0);
}

}  // namespace remediate::run::test
