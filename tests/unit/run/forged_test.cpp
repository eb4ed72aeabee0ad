#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <set>

#include "forger.h"
#include "remediate/crypto/digest.h"

// Every value in the documents that a court relies on, taken away, of another type, or another
// one, and everything signed anew with the store's own key: what the documents say of each other
// tells it, but for a few values that only people read.

namespace remediate::run::test {
namespace {

/// A run that has every type of record: given up, staged, rolled back in part, finalized, and
/// restored from a sealed copy.
struct LongWorld : RichWorld {
  LongWorld() {
    world->stages = {&stages, &probe};
    world->remove("www/sub/shell-c.php");
    must(world->apply(plan));
    world->file("www/sub/shell-b.php", "somebody's");
    RollbackOptions options;
    options.only = {"shells"};
    must(world->rollback(run, options));
    must(world->finalize(run));
    world->remove("www/sub/shell-b.php");
    options.recovery = world->recovery();
    must(world->rollback(run, options));
  }
};

using Seen = std::set<std::string>;

struct Count {
  std::size_t tries = 0, seen = 0;
  std::map<std::string, std::set<char>> unseen{};
};

/// Verifies and asks for a rollback: both refuse, or neither does.
void judge(LongWorld& rich, const std::string& place, const std::string& what, Count& count) {
  INFO(place << " " << what);
  ++count.tries;
  const auto report = rich.world->verify(rich.run);
  const bool told = !report || !report->ok();
  if (report)
    for (const Finding& finding : report->findings)
      if (finding.level == Finding::Level::error) CHECK_FALSE(finding.what.empty());
  if (!told) {
    count.unseen[place].insert(what == "missing" ? 'm' : what == "other type" ? 't' : 'v');
    return;
  }
  ++count.seen;
  const auto back = rich.world->rollback(rich.run);
  if (back) FAIL_CHECK("a rollback went on with forged evidence: " << findings(*report));
}

/// By place: what nobody notices, "m" that it is missing, "t" another type, "v" another value.
using Unseen = std::set<std::string>;
Unseen unseen_by(const Count& count) {
  Unseen all;
  for (const auto& [place, how] : count.unseen)
    all.insert(place + " " + std::string(how.begin(), how.end()));
  return all;
}

/// Shown to people, and nothing is decided by it; `display` is what `raw` looks like.
const Unseen only_shown_in_manifests = {"/approvers/* v",
                                        "/boot v",
                                        "/copies/*/path/display v",
                                        "/entries/*/details/*/name/display v",
                                        "/entries/*/details/*/value/display v",
                                        "/entries/*/path/display v",
                                        "/host_id v",
                                        "/host_name v",
                                        "/outcomes/*/action v",
                                        "/outcomes/*/address v",
                                        "/outcomes/*/id v",
                                        "/outcomes/*/outcome v",
                                        "/outcomes/*/reason v",
                                        "/recovery/* v",
                                        "/root/display v",
                                        "/root/raw v",
                                        "/signer v",
                                        "/tool v"};

/// The same; and what a later record tells anew, or what only a resume of that moment had asked.
const Unseen only_shown_in_journals = {"captured/data/open_for_writing mt",
                                       "closed/data/manifest_sha256 mtv",
                                       "closed/data/status mtv",
                                       "closed/operation v",
                                       "done/data/outcome mtv",
                                       "done/data/reason mtv",
                                       "finalized/data/outcome mtv",
                                       "finalized/data/reason mtv",
                                       "intent/data/built m",
                                       "intent/data/built/device v",
                                       "intent/data/built/inode v",
                                       "intent/data/built/mount v",
                                       "intent/data/built/volume v",
                                       "intent/data/entry/details/*/name/display v",
                                       "intent/data/entry/details/*/value/display v",
                                       "intent/data/entry/object_size v",
                                       "intent/data/entry/open_for_writing v",
                                       "intent/data/entry/parent_after/nanoseconds v",
                                       "intent/data/entry/parent_after/seconds v",
                                       "intent/data/entry/parent_before/nanoseconds v",
                                       "intent/data/entry/parent_before/seconds v",
                                       "intent/data/entry/path/display v",
                                       "not_done/data/held mt",
                                       "not_done/data/outcome mtv",
                                       "not_done/data/reason mtv",
                                       "not_restored/data/outcome mtv",
                                       "not_restored/data/reason mtv",
                                       "restore_intent/data/placing m",
                                       "restore_intent/data/placing/device v",
                                       "restore_intent/data/placing/inode v",
                                       "restore_intent/data/placing/mount v",
                                       "restore_intent/data/placing/volume v",
                                       "restored/data/outcome mtv",
                                       "restored/data/reason mtv",
                                       "run_started/data/approvers mt",
                                       "run_started/data/approvers/* tv",
                                       "run_started/data/boot mtv",
                                       "run_started/data/copies/*/path/display v",
                                       "run_started/data/plan_signature_sha256 mt",
                                       "run_started/operation v",
                                       "stage/data/after v",
                                       "stage/data/of v",
                                       "stage/data/reason v"};

void tell(const char* what, const Count& count, std::chrono::steady_clock::time_point begun) {
  std::cout << "forged " << what << ": " << count.tries << " documents, " << count.seen
            << " refused, "
            << std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count()
            << " s\n";
}

}  // namespace

TEST_CASE("the forger rewrites a run that verifies when nothing is changed", "[forged]") {
  LongWorld rich;
  std::set<std::string> types;
  Forger forger(*rich.world, rich.run);
  for (const journal::Record& record : forger.records()) types.insert(record.type);
  CHECK(types.size() == 13);
  forger.write_journal(forger.records());
  CHECK(must(rich.world->verify()).ok());
  forger.write_manifest(forger.manifest());
  CHECK(must(rich.world->verify()).ok());
  Json other = forger.manifest();
  other["run"] = "run-other";
  forger.write_manifest(other);
  CHECK(findings(must(rich.world->verify())).find("another run") != std::string::npos);
  forger.undo();
  CHECK(must(rich.world->verify()).ok());
}

TEST_CASE("a forged manifest or head does not fit the journal", "[forged]") {
  struct Document {
    const char* what;
    std::function<Json(const Forger&)> read;
    std::function<void(Forger&, const Json&)> write;
    Unseen unseen;
  };
  const std::vector<Document> documents = {
      {"manifests", &Forger::manifest, &Forger::write_manifest, only_shown_in_manifests},
      {"heads", &Forger::head, &Forger::write_head, {}}};
  LongWorld rich;
  Forger forger(*rich.world, rich.run);
  for (const Document& document : documents) {
    const auto begun = std::chrono::steady_clock::now();
    Count count;
    for (const Mutation& mutation : mutations(document.read(forger))) {
      document.write(forger, mutation.document);
      judge(rich, mutation.place, mutation.what, count);
    }
    forger.undo();
    tell(document.what, count, begun);
    CHECK(unseen_by(count) == document.unseen);
    CHECK(must(rich.world->verify()).ok());
  }
}

TEST_CASE("a forged journal is no run or does not fit the manifest", "[forged]") {
  const auto begun = std::chrono::steady_clock::now();
  LongWorld rich;
  Forger forger(*rich.world, rich.run);
  Count count;
  std::set<std::string> known;
  const bool every = std::getenv("FORGE_EVERY") != nullptr;  // record, not the first of each type
  for (std::size_t index = 0; index < forger.records().size(); ++index) {
    const journal::Record& record = forger.records()[index];
    const Json document{
        {"type", record.type}, {"operation", record.operation}, {"data", record.data}};
    for (const Mutation& mutation : mutations(document)) {
      if (mutation.document.size() != document.size() || !mutation.document["data"].is_object() ||
          !mutation.document["type"].is_string() || !mutation.document["operation"].is_string())
        continue;  // no line of a journal; its reader is tested on its own
      const std::string place = record.type + mutation.place;
      if (!every && !known.insert(place + " " + mutation.what).second) continue;
      std::vector<journal::Record> records = forger.records();
      records[index].type = mutation.document["type"];
      records[index].operation = mutation.document["operation"];
      records[index].data = mutation.document["data"];
      forger.write_journal(std::move(records));
      judge(rich, place, mutation.what, count);
    }
  }
  forger.undo();
  tell("journals", count, begun);
  CHECK(unseen_by(count) == only_shown_in_journals);
  CHECK(must(rich.world->verify()).ok());
}

TEST_CASE("a forged store.json is no store, or not that of its runs", "[forged]") {
  LongWorld rich;
  Forger forger(*rich.world, rich.run);
  const std::string bytes = forger.read("store.json");
  Seen unseen;
  for (const Mutation& mutation : mutations(must(parse_json(bytes, "store.json")))) {
    forger.write_text("store.json", write_json(mutation.document));
    const auto report = rich.world->verify();
    if (report && report->ok()) unseen.insert(mutation.place + " " + mutation.what);
    if (!report) CHECK(report.error().text().find("store") != std::string::npos);
  }
  CHECK(unseen == Seen{});
  forger.write_text("store.json", "{");
  CHECK_FALSE(rich.world->verify());
  forger.write_text("store.json", bytes);
  CHECK(must(rich.world->verify()).ok());
}

}  // namespace remediate::run::test
