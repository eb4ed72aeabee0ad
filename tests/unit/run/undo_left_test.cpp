#include "rich_world.h"

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

}  // namespace remediate::run::test
