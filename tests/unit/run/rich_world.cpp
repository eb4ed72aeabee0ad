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

bool held_somewhere(host::Host& host, const std::string& folder, const std::string& bytes,
                    bool whole) {
  for (const auto& [id, found] : inodes(host, folder))
    if (whole ? found == bytes : found.find(bytes) != std::string::npos) return true;
  return false;
}

}  // namespace remediate::run::test
