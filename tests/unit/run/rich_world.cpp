#include "rich_world.h"

namespace remediate::run::test {

Result<ProbeAnswer> SetProbe::ask(const std::atomic<bool>&) {
  return ProbeAnswer{healthy, healthy ? "status 200" : "status 500, expected 200"};
}

RichWorld::RichWorld() {
  const auto file = must(world->parent(shell)->open_file("shell-a.php", host::Access::read));
  must(world->parent(twin)->link_file(*file, "shell-twin.php"));
  world->protect(shell, host::flag_immutable);
  world->protect(setting_file, host::flag_immutable);
  world->overwrite_page();
  world->keep_old_version();
  world->protect(page, host::flag_immutable);
  setting::DirectoryObject object;
  object.dn = "CN=OAB,CN=HTTP,CN=Protocols,CN=EX1,CN=Servers,CN=Org,DC=lab,DC=test";
  object.guid = "457e0398-cafe-43fb-b128-23c9e9f47c20";
  object.when_changed = "20210303091522.0Z";
  object.classes = {"top", "msExchVirtualDirectory", "msExchOABVirtualDirectory"};
  object.attributes["msExchExternalHostName"] = {"http://x/#script"};
  directory.objects = {object};
  world->exchange = &directory;
  before = world->snapshot();
  originals = inodes(host, world->target());
  plan = world->plan();
  approved = world->approve(plan);
  run = run_name(plan.plan);
}

namespace {

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

std::string RichWorld::first_of(const std::string& path) const {
  for (const plan::Operation& one : plan.plan.operations)
    if (one.action != plan::Action::instruct && one.path.display() == path) return one.id;
  FAIL("no operation on " << path);
  return {};
}

std::string RichWorld::last_of(const std::string& path) const {
  std::string id = first_of(path);
  for (const plan::Operation& one : plan.plan.operations)
    if (one.action != plan::Action::instruct && one.path.display() == path) id = one.id;
  return id;
}

std::unique_ptr<host::Directory> RichWorld::hold() {
  return must(host.open_root(world->store_path() + "/hold/" + run));
}

void RichWorld::take_away(const std::string& path) {
  world->protect(path, 0);
  must(world->parent(path)->rename(name_of(path), *must(host.make_root("/base/aside")),
                                   name_of(path) + std::to_string(taken++)));
}

void RichWorld::replace(const std::string& path, const std::string& bytes) {
  take_away(path);
  world->file(path, bytes);
}

void RichWorld::write(const std::string& path, const std::string& bytes) {
  world->protect(path, 0);
  const auto file = must(world->parent(path)->open_file(name_of(path), host::Access::read_write));
  must(file->write_at(must(file->stat()).size, bytes));
}

Before::Before(host::MemoryHost& host, std::string operation, std::string name, Act act,
               std::size_t number)
    : host_(host),
      operation_(std::move(operation)),
      name_(std::move(name)),
      act_(std::move(act)),
      left_(number) {
  const auto hook = [this](std::string_view called_operation, std::string_view called_name) {
    return called(called_operation, called_name);
  };
  host_.set_fault_hook(hook);
  host_.set_look_hook(hook);
}

Before::~Before() {
  host_.set_fault_hook({});
  host_.set_look_hook({});
}

std::optional<Error> Before::called(std::string_view operation, std::string_view name) {
  if (busy_ || done_ || operation != operation_ || name != name_ || --left_ > 0)
    return std::nullopt;
  done_ = busy_ = true;
  auto error = act_();
  busy_ = false;
  return error;
}

EndBefore::EndBefore(host::MemoryHost& host, std::string operation, std::string name,
                     std::size_t number)
    : host_(host) {
  host_.set_fault_hook(
      [wanted = std::move(operation), entry = std::move(name), left = number, ended = ended_](
          std::string_view called, std::string_view of) mutable -> std::optional<Error> {
        *ended = *ended || (called == wanted && of == entry && --left == 0);
        return *ended ? std::optional(Error{Code::io, "the process ended", ""}) : std::nullopt;
      });
}

bool held_somewhere(host::Host& host, const std::string& folder, const std::string& bytes,
                    bool whole) {
  for (const auto& [id, found] : inodes(host, folder))
    if (whole ? found == bytes : found.find(bytes) != std::string::npos) return true;
  return false;
}

}  // namespace remediate::run::test
