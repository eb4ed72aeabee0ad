#include "scene.h"

// What an undo that was cut off, and others, left in the hold under the names of an undo.

namespace remediate::run::test {
namespace {

std::unique_ptr<host::Directory> hold_of(RichWorld& rich) {
  return must(rich.host.open_root(rich.world->store_path() + "/hold/" + rich.run));
}

void add(const host::Directory& folder, const std::string& name, const std::string& bytes) {
  must(must(folder.create_file(name, 0600))->write_at(0, bytes));
}

void append(RichWorld& rich, const char* path, const std::string& text) {
  const auto folder = rich.world->parent(path);
  const std::string name = std::string(path).substr(std::string(path).rfind('/') + 1);
  const auto file = must(folder->open_file(name, host::Access::read));
  must(file->set_protection_flags(0));
  const auto writer = must(folder->open_file(name, host::Access::read_write));
  must(writer->write_at(must(writer->stat()).size, text));
}

bool has(const host::Directory& folder, const std::string& name) {
  return folder.stat_entry(name).has_value();
}

std::string last_of(const RichWorld& rich, const char* path) {
  std::string id;
  for (const plan::Operation& one : rich.plan.plan.operations)
    if (one.action != plan::Action::instruct && one.path.display() == path) id = one.id;
  return id;
}

}  // namespace

TEST_CASE("of what an undo left only that goes which is nowhere else needed", "[undo_left]") {
  RichWorld rich;
  must(rich.world->apply(rich.plan));
  append(rich, setting_file, "<!-- later -->");
  const std::string stem = last_of(rich, setting_file) + ".undo-";
  const auto hold = hold_of(rich);
  // As served with the later edit: taking our change out of it gives the merged version.
  add(*hold, stem + "1", rich.world->read(setting_file));
  add(*hold, stem + "2", "others wrote this");
  add(*hold, stem + "3.found-1", rich.world->read(setting_file));
  must(hold->make_directory(stem + "4", 0700));
  const std::string open = stem + "5";  // as the first one, and somebody has it open
  add(*hold, open, rich.world->read(setting_file));
  const auto writer = must(hold->open_file(open, host::Access::read_write));
  const RunReport back = must(rich.world->rollback(rich.run));
  INFO(text(back));
  CHECK(back.status == "done");
  CHECK(rich.world->read(setting_file).ends_with("<!-- later -->"));
  CHECK_FALSE(has(*hold, stem + "1"));
  CHECK(must(must(hold->open_file(stem + "2", host::Access::read))->stat()).size == 17);
  CHECK(has(*hold, stem + "3.found-1"));
  CHECK(has(*hold, stem + "4"));
  CHECK(has(*hold, open));
  CHECK(must(rich.world->verify()).ok());
}

TEST_CASE("a name that an undo needs is never taken from others", "[undo_left]") {
  RichWorld rich;
  must(rich.world->apply(rich.plan));
  const std::string id = last_of(rich, setting_file);
  const auto hold = hold_of(rich);
  RollbackOptions only;
  only.only = {id};
  SECTION("the further name of the original") {
    add(*hold, id + ".back", "others wrote this");
    const RunReport back = must(rich.world->rollback(rich.run, only));
    INFO(text(back));
    CHECK(operation(back, id).outcome == "conflict");
    CHECK(operation(back, id).reason.find("under the name " + id + ".back") != std::string::npos);
    CHECK(must(must(hold->open_file(id + ".back", host::Access::read))->stat()).size == 17);
    must(hold->remove_file(id + ".back"));
  }
  SECTION("a thousand names") {
    append(rich, setting_file, "<!-- later -->");
    for (int number = 1; number <= 1000; ++number)
      add(*hold, id + ".undo-" + std::to_string(number), "others wrote this");
    const RunReport back = must(rich.world->rollback(rich.run, only));
    INFO(text(back));
    CHECK(operation(back, id).outcome == "failed");
    CHECK(operation(back, id).reason.find("a thousand versions") != std::string::npos);
    must(hold->remove_file(id + ".undo-7"));
  }
  CHECK(operation(must(rich.world->rollback(rich.run, only)), id).outcome.starts_with("restored"));
  CHECK(must(rich.world->rollback(rich.run)).status == "done");
  CHECK(must(rich.world->verify()).ok());
}

TEST_CASE("a held original that others changed is not put back, its sealed copy is",
          "[undo_left]") {
  const bool another = GENERATE(false, true);
  for (const char* path : {setting_file, page}) {
    INFO(path << (another ? ", another file" : ", written to"));
    RichWorld rich;
    must(rich.world->apply(rich.plan));
    const std::string id = last_of(rich, path);
    const auto hold = hold_of(rich);
    const std::string bytes = rich.world->read(path);
    if (another) {
      must(hold->rename(id, *hold, "aside"));
      add(*hold, id, "others wrote this");
    } else {
      must(must(hold->open_file(id, host::Access::read_write))->write_at(0, "others wrote this"));
    }
    RollbackOptions only;
    only.only = {id};
    const RunReport refused = must(rich.world->rollback(rich.run, only));
    INFO(text(refused));
    CHECK(operation(refused, id).outcome == "failed");
    CHECK(operation(refused, id).reason.find("--recovery-key uses the sealed copy") !=
          std::string::npos);
    CHECK(rich.world->read(path) == bytes);
    only.recovery = rich.world->recovery();
    const RunReport back = must(rich.world->rollback(rich.run, only));
    INFO(text(back));
    CHECK(operation(back, id).outcome == "restored");
    CHECK(held_somewhere(rich.host, "/base/store/hold", "others wrote this", false));
    only.only.clear();
    CHECK(must(rich.world->rollback(rich.run, only)).status == "done");
    CHECK(difference(rich.before, rich.world->snapshot(), false).empty());
  }
}

TEST_CASE("finalize leaves what is held and is not what was captured", "[undo_left]") {
  RichWorld rich;
  must(rich.world->apply(rich.plan));
  const auto hold = hold_of(rich);
  const std::string written = last_of(rich, shell), another = last_of(rich, page),
                    same = last_of(rich, "www/sub/shell-b.php");
  must(must(hold->open_file(written, host::Access::read_write))->write_at(0, "others"));
  must(hold->rename(another, *hold, "aside"));
  add(*hold, another, "others wrote this");
  must(hold->rename(same, *hold, "aside-2"));
  add(*hold, same, std::string(9000, 'b'));  // the same bytes in another file
  const RunReport report = must(rich.world->finalize(rich.run));
  INFO(text(report));
  CHECK(report.status == "partial");
  for (const std::string& id : {written, another}) {
    CHECK(operation(report, id).outcome == "kept");
    CHECK(operation(report, id).reason.find("is not what was captured: sha256") !=
          std::string::npos);
  }
  CHECK(operation(report, same).outcome == "kept");
  CHECK(operation(report, same).reason.find("another file under the name") != std::string::npos);
  for (const std::string& id : {written, another, same}) CHECK(has(*hold, id));
  CHECK(operation(report, "www/sub/shell-c.php").outcome == "finalized");
}

TEST_CASE("finalize that is stopped is continued by resume", "[undo_left]") {
  RichWorld rich;
  must(rich.world->apply(rich.plan));
  rich.world->stop = true;
  const RunReport stopped = must(rich.world->finalize(rich.run));
  rich.world->stop = false;
  INFO(text(stopped));
  CHECK(stopped.interrupted);
  CHECK(has(*hold_of(rich), last_of(rich, page)));
  const RunReport resumed = must(rich.world->resume(rich.run));
  CHECK(resumed.phase == "finalize");
  CHECK(resumed.status == "done");
  CHECK_FALSE(has(*hold_of(rich), last_of(rich, page)));
  CHECK(must(rich.world->verify()).ok());
}

TEST_CASE("a rollback that is stopped is continued by resume", "[undo_left]") {
  RichWorld rich;
  must(rich.world->apply(rich.plan));
  rich.world->stop = true;
  const RunReport stopped = must(rich.world->rollback(rich.run));
  INFO(text(stopped));
  CHECK(stopped.interrupted);
  CHECK(stopped.notices.back().find("resume " + rich.run) != std::string::npos);
  rich.world->stop = false;
  CHECK(must(rich.world->resume(rich.run)).status == "done");
  CHECK(difference(rich.before, rich.world->snapshot()).empty());
}

namespace {

std::optional<Error> nothing() { return std::nullopt; }

bool says(const OperationReport& one, const std::string& outcome, const std::string& words) {
  INFO(one.outcome << ": " << one.reason);
  CHECK(one.outcome == outcome);
  return one.reason.find(words) != std::string::npos;
}
OperationReport back(RichWorld& rich, const char* path, bool key, const std::string& outbox = "") {
  RollbackOptions options = only(rich, path, key);
  options.outbox = outbox;
  const RunReport report = must(rich.world->rollback(rich.run, options));
  INFO(text(report));
  return operation(report, rich.last_of(path));
}
void append(const host::File& reader, host::File& writer, const std::string& bytes) {
  must(writer.write_at(must(reader.stat()).size, bytes));
}
std::unique_ptr<host::Directory> aside(RichWorld& rich) {
  return must(rich.host.make_root("/base/aside"));
}

}  // namespace

TEST_CASE("an error that says that others were there is a conflict", "[undo_left]") {
  for (const Code code : {Code::changed, Code::conflict, Code::ambiguous, Code::io}) {
    INFO(code_name(code));
    RichWorld rich;
    applied(rich);
    {
      const Before before(rich.host, "stat", "login.php",
                          [&] { return Error{code, "injected fault", ""}; });
      CHECK(says(back(rich, page, false), code == Code::io ? "failed" : "conflict",
                 "injected fault"));
      CHECK(before.done());
    }
    CHECK(rich.world->read(page) == good_page);
    CHECK(back(rich, page, false).outcome == "restored");
  }
}

TEST_CASE("without its folder and its hold a page goes to the outbox from its sealed copy",
          "[undo_left]") {
  RichWorld rich;
  applied(rich);
  must(must(rich.host.open_root("/base/target"))->rename("www", *aside(rich), "www"));
  must(must(rich.host.open_root("/base/store/hold"))->rename(rich.run, *aside(rich), "hold"));
  CHECK(says(back(rich, page, false), "conflict", "its folder is gone: nothing was done"));
  CHECK(says(back(rich, page, true, "/base/outbox"), "in_outbox", "/base/outbox"));
  CHECK(held_somewhere(rich.host, "/base/outbox", bad_page, true));
}

TEST_CASE("a finalized original that somebody had linked and puts back is known by its bytes",
          "[undo_left]") {
  const bool written = GENERATE(false, true);
  RichWorld rich;
  applied(rich);
  const auto held = must(rich.hold()->open_file(rich.first_of(page), host::Access::read_write));
  must(aside(rich)->link_file(*held, "linked"));
  must(rich.world->finalize(rich.run));
  rich.take_away(page);
  must(aside(rich)->rename("linked", *rich.world->parent(page), "login.php"));
  if (written) append(*held, *held, rich.marker);
  const OperationReport told = back(rich, page, true);
  CHECK(says(told, written ? "conflict" : "restored", written ? "others changed the file" : ""));
  CHECK(rich.world->read(page) == (written ? bad_page + rich.marker : bad_page));
}

TEST_CASE("a copy in the place of the held page is not the original", "[undo_left]") {
  RichWorld rich;
  applied(rich);
  const std::string id = rich.first_of(page);
  must(rich.hold()->rename(id, *aside(rich), "held"));
  must(must(rich.hold()->create_file(id, 0600))->write_at(0, std::string(bad_page)));
  CHECK(says(back(rich, page, false), "failed", "the held original is not what was captured"));
  CHECK(rich.world->read(page) == good_page);
}

TEST_CASE("others who write to the version that is displaced find it in the hold", "[undo_left]") {
  const bool sealed = GENERATE(false, true);
  const bool degraded = GENERATE(false, true);
  if (sealed && degraded) return;
  INFO((sealed ? "from the sealed copy" : degraded ? "with another mode" : "the original"));
  RichWorld rich;
  applied(rich);
  if (sealed) must(rich.world->finalize(rich.run));
  const std::string id = rich.first_of(page);
  // The folder's flush comes behind the exchange and the look at what was displaced.
  bool exchanged = false, wrote = false, busy = false;
  const auto act = [&](std::string_view call, std::string_view name) -> std::optional<Error> {
    if (busy || wrote) return std::nullopt;
    exchanged = exchanged || (call == "exchange" && name.starts_with(id));
    if (!exchanged || call != "sync" || !name.empty()) return std::nullopt;
    wrote = busy = true;
    const std::string left = id + (sealed ? ".undo-1" : ".back");
    const auto file = must(rich.hold()->open_file(left, host::Access::read_write));
    append(*file, *file, rich.marker);
    if (degraded) {
      rich.world->protect(page, 0);
      const auto there =
          must(rich.world->parent(page)->open_file("login.php", host::Access::read_write));
      Metadata metadata = must(there->metadata());
      metadata.stat.mode = 0606;
      metadata.stat.owner = 7;
      must(there->restore_metadata(metadata, host::Privileges::keep));
    }
    busy = false;
    return std::nullopt;
  };
  rich.host.set_fault_hook(act);
  const OperationReport told = back(rich, page, sealed);
  rich.host.set_fault_hook({});
  CHECK(wrote);
  CHECK(says(told, degraded ? "restored_degraded" : "restored",
             "others wrote to the version that was displaced: it stays in the hold"));
  CHECK(rich.world->read(page) == bad_page);
  CHECK(held_somewhere(rich.host, "/base/store/hold", rich.marker, false));
}

TEST_CASE("a place that others empty between two exchanges gets its version back", "[undo_left]") {
  const bool flagged = GENERATE(true, false);
  RichWorld rich;
  if (!flagged) {
    rich.world->protect(page, 0);
    rich.before = rich.world->snapshot();
    rich.plan = rich.world->plan();
    rich.approved.emplace(rich.world->approve(rich.plan));
    rich.run = run_name(rich.plan.plan);
  }
  applied(rich);
  const std::string id = rich.first_of(page);
  std::size_t exchanges = 0;
  bool busy = false;
  rich.host.set_fault_hook([&](std::string_view call, std::string_view name) {
    if (busy || call != "exchange" || name != id + ".back") return nothing();
    busy = true;
    if (++exchanges == 1)
      rich.replace(page, rich.marker);
    else
      rich.take_away(page);
    busy = false;
    return nothing();
  });
  const OperationReport told = back(rich, page, false);
  rich.host.set_fault_hook({});
  CHECK(exchanges == 2);
  CHECK(says(told, "conflict", "written to during the exchange"));
  CHECK(rich.world->read(page) == rich.marker);
  CHECK(rich.hold()->stat_entry(id));
  CHECK(must(rich.world->verify()).ok());
}

TEST_CASE("a sealed copy that is gone puts nothing back", "[undo_left]") {
  RichWorld rich;
  finalized(rich);
  const auto objects = must(rich.host.open_root("/base/store/objects"));
  std::vector<std::string> names;
  must(objects->each_entry([&](std::string_view name, FileKind) {
    names.emplace_back(name);
    return true;
  }));
  for (const std::string& name : names) must(objects->rename(name, *aside(rich), name));
  CHECK(back(rich, page, true).outcome == "failed");
  CHECK(rich.world->read(page) == good_page);
  for (const std::string& name : names) must(aside(rich)->rename(name, *objects, name));
  CHECK(back(rich, page, true).outcome == "restored");
}

TEST_CASE("a new version that others write to while it is given up stays in the hold",
          "[undo_left]") {
  RichWorld rich;
  const std::string name = rich.first_of(page) + ".new";
  bool refused = false, wrote = false, busy = false;
  const auto act = [&](std::string_view call, std::string_view of) -> std::optional<Error> {
    if (busy || of != name) return std::nullopt;
    if (call == "exchange") {
      refused = true;
      return Error{Code::unsupported, "injected fault", ""};
    }
    if (refused && !wrote && call == "stat_entry") {
      wrote = busy = true;
      const auto file = must(rich.hold()->open_file(name, host::Access::read_write));
      append(*file, *file, rich.marker);
      busy = false;
    }
    return std::nullopt;
  };
  rich.host.set_fault_hook(act);
  rich.host.set_look_hook(act);
  const RunReport report = must(applies(rich));
  rich.host.set_fault_hook({});
  rich.host.set_look_hook({});
  INFO(text(report));
  CHECK(wrote);
  CHECK(operation(report, rich.first_of(page)).outcome == "held");
  CHECK(held_somewhere(rich.host, "/base/store/hold", rich.marker, false));
  CHECK(rich.world->read(page) == bad_page);
  CHECK(must(rich.world->verify()).ok());
}

TEST_CASE("a page whose folder and hold are both gone is told to be out of reach", "[undo_left]") {
  RichWorld rich;
  ended_in(rich, rich.first_of(page), State::captured);
  must(must(rich.host.open_root("/base/target"))->rename("www", *aside(rich), "www"));
  must(must(rich.host.open_root("/base/store/hold"))->rename(rich.run, *aside(rich), "hold"));
  const RunReport report = must(resumes(rich));
  INFO(text(report));
  const OperationReport& told = operation(report, rich.first_of(page));
  CHECK(told.outcome != "replaced");
  CHECK(told.reason.find("its folder and its hold are gone") != std::string::npos);
  CHECK(held_somewhere(rich.host, "/base/aside", bad_page, true));
}

}  // namespace remediate::run::test
