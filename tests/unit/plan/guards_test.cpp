// Each guard against a plan that has one file more: the same file, which nobody claims.
#include "remediate/plan/guards.h"

#include <algorithm>
#include <cctype>

#include "remediate/plan/approval.h"
#include "survey.h"

using namespace remediate;
using namespace remediate::plan;
using namespace remediate::plan::test;
using Content = observe::PackageFile::Content;

namespace {

Planned two_files() {
  Planned planned;
  planned.survey.matches = {test::match("www/control.php", "a", 21),
                            test::match("www/target.php", "a", 22)};
  return planned;
}

std::string reason(const Planned& planned) {
  const Plan plan = planned.plan();
  CHECK(exclusion_of(plan, "www/control.php").empty());
  return exclusion_of(plan, "www/target.php");
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::optional<std::string> against(const std::string& where, const Policy& policy = {},
                                   const Survey& survey = {}) {
  return Guards(policy, survey).against_removal(path(where), facts(9));
}

ApprovalRequest request_for(const Planned& planned, const Plan& plan) {
  PlanFile file = must(write_plan(plan));
  std::string id = file.plan.plan_id;
  return {std::move(file),     "",           planned.policy, "policy-digest", {},
          planned.survey.host, std::nullopt, std::move(id),  planned.now};
}

}  // namespace

TEST_CASE("without claims both files are planned", "[guards]") {
  const Plan plan = two_files().plan();
  CHECK(order(plan).find("www/target.php") != std::string::npos);
  CHECK(reason(two_files()).empty());
}

TEST_CASE("a package's file is never removed", "[guards]") {
  Planned planned = two_files();
  const RawPath target = path("www/target.php");
  planned.survey.claims.packages[target] = {"dpkg", "webmail", Content::unknown};
  CHECK(has(reason(planned), "it belongs to package webmail (dpkg)"));
  planned.survey.claims.packages[target].content = Content::different;
  CHECK(has(reason(planned), "is not what the package delivered: reinstall the package"));
  planned.survey.claims.packages[target].content = Content::as_delivered;
  CHECK(has(reason(planned), "is what the package delivered"));

  SECTION("unless the policy names it, and then the plan says so") {
    planned.policy.allow_package_files = {"www/t*.php"};
    const Plan plan = planned.plan();
    const auto found = std::ranges::find(plan.operations, target, &Operation::path);
    REQUIRE(found != plan.operations.end());
    CHECK(std::ranges::any_of(found->why, [](const Reason& why) {
      return why.kind == "package" && has(why.text, "package webmail (dpkg)");
    }));
  }
  SECTION("another file's name opens nothing") {
    planned.policy.allow_package_files = {"www/other.php", "WWW/TARGET.PHP"};
    CHECK(has(reason(planned), "it belongs to package webmail"));
  }
  SECTION("its settings may be edited") {
    const Guards guards(planned.policy, planned.survey);
    Precondition condition;
    condition.filesystem = "ext4";
    condition.metadata.stat.links = 1;
    CHECK_FALSE(guards.against_edit(target, condition));
  }
}

TEST_CASE("a package database that cannot be read forbids every removal", "[guards]") {
  Planned planned = two_files();
  planned.survey.claims.packages_unread = "the dpkg database: planted";
  Plan plan = planned.plan();
  CHECK(plan.operations.size() == 2);  // instructions
  for (const char* file : {"www/control.php", "www/target.php"})
    CHECK(has(exclusion_of(plan, file), "cannot be told (the dpkg database: planted)"));
  planned.policy.allow_package_files = {"www/control.php"};
  plan = planned.plan();
  CHECK(exclusion_of(plan, "www/control.php").empty());
  CHECK(has(exclusion_of(plan, "www/target.php"), "cannot be told"));
}

TEST_CASE("what a process runs and what is the tool's own is never touched", "[guards]") {
  Planned planned = two_files();
  const RawPath target = path("www/target.php");
  SECTION("a process") {
    planned.survey.claims.processes[target] = "process 812 (miner)";
    CHECK(has(reason(planned), "process 812 (miner) runs it"));
    CHECK(has(reason(planned), "stop that process first"));
  }
  SECTION("the tool") {
    planned.survey.claims.tool[target] = "it is the policy file";
    CHECK(reason(planned) == "it is the policy file: never touched");
  }
  planned.policy.allow_package_files = {"**"};  // opens nothing else
  CHECK_FALSE(reason(planned).empty());
  const Guards guards(planned.policy, planned.survey);
  Precondition condition;
  condition.filesystem = "ext4";
  condition.metadata.stat.links = 1;
  CHECK(guards.against_edit(target, condition));
  CHECK_FALSE(guards.against_edit(path("www/control.php"), condition));
}

TEST_CASE("what could not be looked up is an issue of the plan", "[guards]") {
  Planned planned = two_files();
  planned.survey.claims.notices = {
      {observe::Issue::Kind::not_looked_up, "processes", "3 could not be looked into"}};
  const Plan plan = planned.plan();
  REQUIRE(plan.issues.size() == 1);
  CHECK(plan.issues.front().kind == "not_looked_up");
  CHECK(plan.issues.front().reason == "3 could not be looked into");
}

TEST_CASE("claims are looked at again when a plan is applied", "[guards][approval]") {
  const Planned planned = two_files();
  const Plan plan = planned.plan();
  REQUIRE(check_approval(request_for(planned, plan)));
  const RawPath target = path("www/target.php");
  std::vector<std::pair<observe::Claims, std::string>> cases(4);
  cases[0].first.processes[target] = "process 7 (sh)";
  cases[0].second = "process 7 (sh) runs it";
  cases[1].first.packages[target] = {"rpm", "late", Content::unknown};
  cases[1].second = "it belongs to package late (rpm)";
  cases[2].first.tool[target] = "it is a certificate of the policy";
  cases[2].second = "it is a certificate of the policy";
  cases[3].first.packages_unread = "planted";
  cases[3].second = "cannot be told (planted)";
  for (auto& [claims, expected] : cases) {
    CAPTURE(expected);
    ApprovalRequest request = request_for(planned, plan);
    request.claims = claims;
    const auto approved = check_approval(std::move(request));
    REQUIRE_FALSE(approved);
    CHECK(approved.error().code == Code::approval);
    CHECK(has(approved.error().text(), expected));
    CHECK(has(approved.error().text(), "www/target.php"));
  }
}

TEST_CASE("each built-in pattern protects, in any case, and no more", "[guards]") {
  // Pattern by pattern: what it must keep, and a neighbour that it must not.
  const std::string v15 = "Program Files/Microsoft/Exchange Server/V15/";
  const std::vector<std::string> kept = {
      v15 + "Mailbox/Mailbox Database 0123/Mailbox Database 0123.edb",
      "DB01/priv1.stm",
      "DB01/E00res00001.jrs",
      "DB01/E00.log",
      "DB01/E00.chk",
      "DB01/E01tmp.log",
      "DB01/E0000A1b.log",
      "DB01/E000000A1bC.log",
      v15 + "Mailbox/MDB1/E00.chk",
      v15 + "Mailbox/MDB1/other.log",
      v15 + "TransportRoles/data/Queue/mail.que",
      v15 + "TransportRoles/data/Queue/trn.chk",
      v15 + "TransportRoles/Logs/Hub/x.log",
      v15 + "Logging/HttpProxy/Ecp/HttpProxy_1.LOG",
      "Windows/System32/config/SAM",
      "Windows/System32/drivers/etc/hosts",
      "Windows/System32/DriverStore/a/b.sys",
      "Windows/System32/catroot/x",
      "Windows/System32/catroot2/x",
      "Windows/System32/inetsrv/config/applicationHost.config",
      "Windows/SysWOW64/config/x",
      "Windows/SysWOW64/drivers/x",
      "Windows/WinSxS/a/b.dll",
      "Windows/Boot/x",
      "Windows/NTDS/ntds.dit",
      "Windows/SYSVOL/domain/x",
      "Windows/servicing/x",
      "System Volume Information/x",
      "EFI/boot/x",
      "bootmgr",
      "pagefile.sys",
      "hiberfil.sys",
      "swapfile.sys",
      "boot/vmlinuz",
      "dev/shm/a",
      "proc/1/exe",
      "sys/a",
      "etc/shadow",
      "bin/sh",
      "sbin/init",
      "lib/a.so",
      "lib32/a",
      "lib64/ld.so",
      "libx32/a",
      "libo32/a",
      "usr/bin/php",
      "usr/sbin/nginx",
      "usr/lib32/a",
      "usr/lib64/a",
      "usr/libx32/a",
      "usr/libo32/a",
      "usr/libexec/a",
      "usr/lib/systemd/a",
      "usr/lib/modules/a",
      "usr/lib/firmware/a",
      "usr/lib/sysimage/rpm/rpmdb.sqlite",
      "usr/lib/x86_64-linux-gnu/libc.so.6",
      "usr/lib/aarch64-linux-gnu/a",
      "var/lib/dpkg/status",
      "var/lib/rpm/Packages"};
  for (const std::string& file : kept)
    for (const std::string& spelling : {file, upper(file), lower(file)}) {
      CAPTURE(spelling);
      const auto found = against(spelling);
      REQUIRE(found);
      CHECK(has(*found, "protected path"));
    }
  const std::vector<std::string> open = {"inetpub/wwwroot/aspnet_client/x.aspx",
                                         v15 + "FrontEnd/HttpProxy/owa/auth/x.aspx",
                                         "DB01/E00.aspx",
                                         "DB01/Export.log",
                                         "Windows/System32/inetsrv/evil.dll",
                                         "Windows/Temp/x.aspx",
                                         "ProgramData/COM1/x.aspx",
                                         "var/www/html/x.php",
                                         "usr/lib/cgi-bin/x.php",
                                         "usr/share/webapp/x.php",
                                         "srv/boot/x.php",
                                         "home/u/etc/x.php",
                                         "var/lib/php/x.php",
                                         "inetpub/pagefile.sys"};
  for (const std::string& file : open) {
    CAPTURE(file);
    CHECK_FALSE(against(file));
  }
  // Every pattern is needed for at least one of the files, so none is spelled in vain.
  for (const std::string& pattern : built_in_protected()) {
    const auto glob = remediate::match::Glob::parse(pattern, true);
    REQUIRE(glob);
    CAPTURE(pattern);
    CHECK(std::ranges::any_of(kept, [&](const std::string& file) { return glob->matches(file); }));
  }
}

TEST_CASE("what a user cannot give back is told", "[guards]") {
  Survey survey;
  const auto lost = [&](std::uint32_t owner, std::uint32_t group) {
    observe::TargetFacts file = facts(9);
    file.metadata.stat.owner = owner;
    file.metadata.stat.group = group;
    std::string all;
    for (const std::string& one : Guards({}, survey).not_restorable(file))
      if (has(one, "run as root")) all += one.substr(0, one.find(" (")) + "\n";
    return all;
  };
  const std::string owner = "after finalize: owner 7\n";
  const std::string group = "after finalize: group 9\n";
  CHECK(lost(7, 9).empty());
  survey.superuser = false;
  survey.user = 33;
  survey.groups = {33, 40};
  CHECK(lost(33, 33).empty());
  CHECK(lost(33, 40).empty());
  CHECK(lost(33, 9) == group);
  CHECK(lost(7, 9) == owner + group);
  CHECK(lost(7, 33) == owner);
  CHECK(lost(7, 40) == owner + "after finalize: group 40\n");
}

TEST_CASE("a file with other names needs them all, or the policy's allowance", "[guards]") {
  for (const std::uint64_t links : {1u, 2u, 3u})
    for (const std::size_t planned_names : {1u, 2u, 3u}) {
      if (planned_names > links) continue;
      for (const bool allowed : {false, true}) {
        CAPTURE(links, planned_names, allowed);
        Planned planned;
        planned.policy.allow_hard_links = allowed;
        planned.survey.matches = {test::match("www/control.php", "a", 21)};
        for (std::size_t name = 0; name < planned_names; ++name)
          planned.survey.matches.push_back(
              test::match("www/n" + std::to_string(name) + ".php", "a", 30, links));
        const Plan plan = planned.plan();
        const bool due = allowed || planned_names == links;
        CHECK(exclusion_of(plan, "www/n0.php").empty() == due);
        CHECK(has(order(plan), "www/n0.php") == due);
        CHECK(has(order(plan), "www/control.php"));
      }
    }
}

TEST_CASE("a linked name that a package owns keeps the other names too", "[guards]") {
  Planned planned;
  planned.survey.matches = {test::match("usr/share/app/x.php", "a", 30, 2),
                            test::match("www/x.php", "a", 30, 2)};
  REQUIRE(planned.plan().operations.size() == 4);
  planned.survey.claims.packages[path("usr/share/app/x.php")] = {"dpkg", "app", Content::unknown};
  const Plan plan = planned.plan();
  CHECK(has(exclusion_of(plan, "usr/share/app/x.php"), "package app"));
  CHECK(has(exclusion_of(plan, "www/x.php"), "hard links"));
}
