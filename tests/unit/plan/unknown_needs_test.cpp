#include "remediate/plan/unknown_needs.h"

#include "survey.h"

namespace remediate::plan::test {
namespace {

struct Site : Planned {
  Site() {
    survey.matches = {match("srv/far.php", "a", 11), match("www/in/a.php", "a", 12),
                      match("www/in/b.php", "a", 13), match("www/other.php", "a", 14)};
  }
  void unread(const std::string& folder, const std::string& bytes) {
    survey.unread_settings.push_back(
        {path(folder + "/.user.ini"), path(folder), "it has more than 4 MiB", bytes});
  }
};

}  // namespace

TEST_CASE("a settings file that nobody could read protects what lies below it", "[needed]") {
  Site site;
  site.unread("www/in", "");
  const Plan plan = site.plan();
  for (const char* kept : {"www/in/a.php", "www/in/b.php"}) {
    const std::string reason = exclusion_of(plan, kept);
    INFO(kept << ": " << reason);
    CHECK(reason.starts_with("www/in/.user.ini may have PHP run it with every page"));
    CHECK(reason.find("it has more than 4 MiB") != std::string::npos);
    CHECK(reason.find("Correct the settings file by hand") != std::string::npos);
  }
  CHECK(order(plan).starts_with("op-0001 srv/far.php\nop-0002 www/other.php\nop-0003 tell-a\n"));
}

TEST_CASE("and what its bytes name, however they are quoted", "[needed]") {
  Site site;
  site.unread("www/in", "auto_prepend_file = \"/srv/f\"\\\nar.'php'");
  const Plan plan = site.plan();
  CHECK(exclusion_of(plan, "srv/far.php").find(".user.ini names it and may") != std::string::npos);
  CHECK(order(plan).starts_with("op-0001 www/other.php\n"));
}

TEST_CASE("the settings file itself may go", "[needed]") {
  Site site;
  site.survey.matches.push_back(match("www/in/.user.ini", "a", 15));
  site.unread("www/in", "");
  CHECK(order(site.plan()).find("www/in/.user.ini") != std::string::npos);
}

TEST_CASE("a surveyed file that cannot be parsed is one of them", "[needed]") {
  Site site;
  SettingObservation ini;
  ini.playbook = "playbook--1";
  ini.indicator = "prepend";
  ini.path = path("www/.user.ini");
  ini.bytes = "auto_prepend_file = \"/srv/far.php\n";  // the quote does not end
  ini.sha256 = crypto::sha256_hex(ini.bytes);
  ini.facts = facts(60);
  site.survey.settings = {ini, ini};
  const Plan plan = site.plan();
  CHECK_FALSE(plan.has_changes());
  CHECK(exclusion_of(plan, "srv/far.php").find("a quoted value does not end") != std::string::npos);
}

TEST_CASE("what there is no time to look through counts as naming everything", "[needed]") {
  Site site;
  Plan plan = site.plan();
  std::map<RawPath, std::size_t> planned;
  UnknownNeeds({{path("www/in/.user.ini"), path("www/in"), "why", "nothing"}}, 7)
      .exclude(plan, planned);
  // In the folder without a look, then one look for far.php and none for other.php.
  CHECK(order(plan).starts_with("op-0001 srv/far.php\nop-0005 tell-a\n"));
  CHECK(exclusion_of(plan, "www/other.php").find("too many such files") != std::string::npos);
}

}  // namespace remediate::plan::test
