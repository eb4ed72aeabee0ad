#include "remediate/plan/compiled_plan.h"
#include "survey.h"

namespace remediate::plan::test {
namespace {

/// "wwwroot/client/x.aspx" goes; its compiled form lies in "tmp".
struct Compiled : Planned {
  Compiled() { survey.matches = {match("wwwroot/client/x.aspx", "a", 11)}; }

  RawPath record(const std::string& name, const std::string& virtual_path,
                 const std::string& assembly, bool wanted = true) {
    const RawPath where = path("tmp/" + name);
    const RawPath dll = assembly.empty() ? RawPath() : path("tmp/" + assembly + ".dll");
    if (!dll.is_root()) {
      survey.compiled.users[dll][where] = virtual_path;
      survey.compiled.assemblies[dll] = {crypto::sha256_hex(assembly), facts(next_++)};
    }
    if (wanted)
      survey.compiled.records.push_back({"playbook--1",
                                         "remove-a",
                                         where,
                                         {virtual_path, assembly},
                                         "",
                                         crypto::sha256_hex(name),
                                         facts(next_++),
                                         dll,
                                         "root",
                                         {}});
    return where;
  }
  std::uint64_t next_ = 100;
};

std::string removed(const Plan& plan) {
  std::string all;
  for (const Operation& operation : plan.operations)
    if (operation.action == Action::quarantine) all += operation.address + "\n";
  return all;
}

bool says(const std::string& text, const std::string& words) {
  INFO(text);
  return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("a virtual path serves the file whose path it ends", "[compiled]") {
  const RawPath page = path("inetpub/wwwroot/aspnet_client/x.aspx");
  CHECK(serves("/aspnet_client/x.aspx", page));
  CHECK(serves("/ASPNET_Client/X.aspx", page));
  CHECK_FALSE(serves("/x.aspx", page));
  CHECK(serves("/x.aspx", path("inetpub/WWWRoot/x.aspx")));
  CHECK_FALSE(serves("/other/x.aspx", page));
  CHECK_FALSE(serves("/a/inetpub/wwwroot/aspnet_client/x.aspx", page));
  CHECK_FALSE(serves("", page));
  CHECK_FALSE(serves("/", page));
  CHECK_FALSE(serves("/../x.aspx", page));
}

TEST_CASE("record and assembly go behind their page", "[compiled]") {
  Compiled compiled;
  compiled.record("x.aspx.1.compiled", "/client/x.aspx", "App_Web_a");
  const Plan plan = compiled.plan();
  CHECK(removed(plan) == "wwwroot/client/x.aspx\ntmp/x.aspx.1.compiled\ntmp/App_Web_a.dll\n");
  for (const Operation& operation : plan.operations)
    if (operation.path.within(path("tmp"))) {
      CHECK(operation.indicator == "a");
      CHECK(operation.step == "remove-a");
      CHECK(says(operation.why.front().text, "wwwroot/client/x.aspx"));
    }
  CHECK(plan.limits.front().found == 3);
}

TEST_CASE("an assembly with pages that stay is left alone", "[compiled]") {
  Compiled compiled;
  compiled.record("x.aspx.1.compiled", "/client/x.aspx", "App_Web_a");
  compiled.record("good.aspx.2.compiled", "/client/good.aspx", "App_Web_a", false);
  Plan plan = compiled.plan();
  CHECK(removed(plan) == "wwwroot/client/x.aspx\ntmp/x.aspx.1.compiled\n");
  CHECK(says(exclusion_of(plan, "tmp/App_Web_a.dll"), "/client/good.aspx"));
  CHECK(says(exclusion_of(plan, "tmp/App_Web_a.dll"), "clear the folder"));

  // With both pages gone it goes.
  compiled.survey.matches.push_back(match("wwwroot/client/good.aspx", "a", 12));
  compiled.survey.compiled.records.push_back(compiled.survey.compiled.records.front());
  auto& second = compiled.survey.compiled.records.back();
  second.path = path("tmp/good.aspx.2.compiled");
  second.page.virtual_path = "/client/good.aspx";
  plan = compiled.plan();
  CHECK(removed(plan).ends_with("tmp/App_Web_a.dll\n"));
}

TEST_CASE("an assembly is kept where a record beside it cannot be read", "[compiled]") {
  Compiled compiled;
  compiled.record("x.aspx.1.compiled", "/client/x.aspx", "App_Web_a");
  compiled.survey.compiled.unread_in[path("tmp")] = path("tmp/broken.compiled");
  const Plan plan = compiled.plan();
  CHECK(says(exclusion_of(plan, "tmp/App_Web_a.dll"), "tmp/broken.compiled"));
  CHECK_FALSE(says(removed(plan), "App_Web_a"));
}

TEST_CASE("a page of the same name elsewhere is for a person to judge", "[compiled]") {
  Compiled compiled;
  const RawPath other = compiled.record("x.aspx.3.compiled", "/x.aspx", "App_Web_b");
  const Plan plan = compiled.plan();
  CHECK(removed(plan) == "wwwroot/client/x.aspx\n");
  REQUIRE(plan.reviews.size() == 1);
  CHECK(plan.reviews.front().address == other.display());
}

TEST_CASE("a record that fits a page that stays is for a person to judge", "[compiled]") {
  Compiled compiled;
  compiled.record("x.aspx.1.compiled", "/client/x.aspx", "App_Web_a");
  auto& pages = compiled.survey.compiled.records.front().pages;
  pages = {path("wwwroot/client/x.aspx")};
  CHECK(removed(compiled.plan()).ends_with("tmp/App_Web_a.dll\n"));
  SECTION("another page") {
    pages.push_back(path("good/client/x.aspx"));
    const Plan plan = compiled.plan();
    CHECK(removed(plan) == "wwwroot/client/x.aspx\n");
    REQUIRE(plan.reviews.size() == 1);
    CHECK(says(plan.reviews.front().why.front().text, "good/client/x.aspx"));
    // When that one goes too, the record goes in any case.
    compiled.survey.matches.push_back(match("good/client/x.aspx", "a", 12));
    CHECK(removed(compiled.plan()).ends_with("tmp/App_Web_a.dll\n"));
  }
  SECTION("not all pages were seen") {
    compiled.survey.compiled.unsearched = "deep: too deep";
    const Plan plan = compiled.plan();
    CHECK(removed(plan) == "wwwroot/client/x.aspx\n");
    REQUIRE(plan.reviews.size() == 1);
    CHECK(says(plan.reviews.front().why.front().text, "too deep"));
  }
}

TEST_CASE("of two virtual paths the longer one is the page's", "[compiled]") {
  Compiled compiled;
  compiled.survey.matches = {match("www/owa/client/x.aspx", "a", 11)};
  compiled.record("x.aspx.1.compiled", "/client/x.aspx", "App_Web_a");
  compiled.record("x.aspx.2.compiled", "/owa/client/x.aspx", "App_Web_b");
  const Plan plan = compiled.plan();
  CHECK(removed(plan) == "www/owa/client/x.aspx\ntmp/x.aspx.2.compiled\ntmp/App_Web_b.dll\n");
  CHECK(plan.reviews.size() == 1);
}

TEST_CASE("what no record names is for review beside a record that names none", "[compiled]") {
  Compiled compiled;
  compiled.record("x.aspx.1.compiled", "/client/x.aspx", "");
  CHECK(says(compiled.plan().operations.at(1).why.at(0).text, "it names no assembly"));
  const RawPath left = path("tmp/App_Web_left.dll");
  compiled.survey.compiled.unnamed[path("tmp")] = {left};
  compiled.survey.compiled.assemblies[left] = {crypto::sha256_hex("left"), facts(90)};
  Plan plan = compiled.plan();
  CHECK(removed(plan) == "wwwroot/client/x.aspx\ntmp/x.aspx.1.compiled\n");
  REQUIRE(plan.reviews.size() == 1);
  CHECK(plan.reviews.front().address == left.display());
  CHECK(plan.reviews.front().sha256 == crypto::sha256_hex("left"));
  CHECK(says(plan.reviews.front().why.front().text, "wwwroot/client/x.aspx"));
  // One that an indicator takes needs no second look.
  compiled.survey.matches.push_back(match(left.bytes(), "a", 13));
  plan = compiled.plan();
  CHECK(plan.reviews.empty());
}

TEST_CASE("a record that cannot be believed is not removed", "[compiled]") {
  Compiled compiled;
  compiled.survey.compiled.records.push_back({"playbook--1",
                                              "remove-a",
                                              path("tmp/x.aspx.9.compiled"),
                                              {},
                                              "its assembly ../../x is not a name",
                                              "",
                                              {},
                                              {},
                                              "root",
                                              {}});
  const Plan plan = compiled.plan();
  CHECK(removed(plan) == "wwwroot/client/x.aspx\n");
  CHECK(says(exclusion_of(plan, "tmp/x.aspx.9.compiled"), "../../x"));
}

TEST_CASE("guards and hard links keep compiled forms too", "[compiled]") {
  Compiled compiled;
  compiled.record("x.aspx.1.compiled", "/client/x.aspx", "App_Web_a");
  auto& assembly = compiled.survey.compiled.assemblies.begin()->second;
  SECTION("a process") {
    compiled.survey.claims.processes[path("tmp/App_Web_a.dll")] = "process 7 (w3wp)";
    CHECK(says(exclusion_of(compiled.plan(), "tmp/App_Web_a.dll"), "w3wp"));
  }
  SECTION("hard links") {
    assembly.facts.metadata.stat.links = 2;
    CHECK(says(exclusion_of(compiled.plan(), "tmp/App_Web_a.dll"), "2 names"));
  }
  SECTION("a record that stays keeps its assembly") {
    compiled.survey.compiled.records.front().facts.metadata.stat.links = 2;
    const Plan plan = compiled.plan();
    CHECK(removed(plan) == "wwwroot/client/x.aspx\n");
  }
}

TEST_CASE("without its page nothing compiled goes", "[compiled]") {
  Compiled compiled;
  compiled.record("x.aspx.1.compiled", "/client/x.aspx", "App_Web_a");
  compiled.survey.matches.front().facts.metadata.stat.links = 2;
  CHECK(removed(compiled.plan()).empty());
}

}  // namespace remediate::plan::test
