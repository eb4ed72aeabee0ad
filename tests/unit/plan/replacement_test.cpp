#include "remediate/plan/plan_file.h"
#include "remediate/plan/replacement_plan.h"
#include "survey.h"

namespace remediate::plan::test {
namespace {

const std::string good = "good page";
const std::string other = "good page of another build";

/// "www/1.php" matches "a", which a step replaces, and "b", which a step removes.
struct Pages : Planned {
  Pages() {
    playbook::Playbook& book = playbooks.front();
    playbook::Scope scope;
    scope.id = "web";
    book.scopes = {scope};
    playbook::Step put = step("put-back", playbook::Action::replace_file, {"a"});
    put.known_good = {{"1.php", {crypto::sha256_hex(good), crypto::sha256_hex(other)}}};
    book.steps.insert(book.steps.begin(), put);
    book.steps.erase(book.steps.begin() + 2);  // remove-a
    survey.matches = {match("www/1.php", "a", 11)};
    supply("/good", "x/1.php", good);
  }
  void supply(const std::string& folder, const std::string& name, const std::string& bytes) {
    survey.good_files.folders.push_back(folder);
    const std::string digest = crypto::sha256_hex(bytes);
    survey.good_files.files.push_back({folder, path(name), digest});
    if (bytes == good || bytes == other) survey.good_files.bytes[digest] = bytes;
  }
  [[nodiscard]] std::string excluded() const {
    const Plan made = plan();
    CHECK(std::ranges::count(made.operations, Action::replace_file, &Operation::action) == 0);
    return exclusion_of(made, "www/1.php");
  }
};

bool says(const std::string& text, const std::string& words) {
  INFO(text);
  return text.find(words) != std::string::npos;
}

}  // namespace

TEST_CASE("a match with a known good version is replaced by it", "[replace]") {
  const Pages pages;
  const Plan plan = pages.plan();
  const Operation& first = plan.operations.front();
  CHECK(first.action == Action::replace_file);
  CHECK(first.replacement.bytes == good);
  CHECK(first.replacement.source == "/good/x/1.php");
  CHECK(exchanges_file(first));
  CHECK(exchanged_sha256(first) == crypto::sha256_hex(good));
  CHECK(says(first.after, crypto::sha256_hex(good)));
  CHECK(says(first.before, crypto::sha256_hex("www/1.php")));
  CHECK(plan.limits.front().found == 1);
  CHECK(plan.has_changes());
}

TEST_CASE("a replacement survives the plan file, and nothing else does", "[replace]") {
  const Pages pages;
  const PlanFile written = must(write_plan(pages.plan()));
  const PlanFile read = must(read_plan(written.bytes, "plan"));
  CHECK(read.plan.operations.front().replacement.bytes == good);
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string bytes = written.bytes;
    const std::size_t at = bytes.find(from);
    REQUIRE(at != std::string::npos);
    bytes.replace(at, from.size(), to);
    return read_plan(bytes, "plan").error().text();
  };
  CHECK(says(changed("\"size\": 9", "\"size\": 8"), "replacement"));
  CHECK(says(changed("Z29vZCBwYWdl", "Z29vZCBwYWdm"), "replacement"));
  CHECK(says(changed("\"replacement\"", "\"replacemend\""), "replacement"));
}

TEST_CASE("pages of one name get the good versions of their own folders", "[replace]") {
  Pages pages;
  pages.survey.good_files = {};
  pages.survey.matches = {match("www/ecp/auth/1.php", "a", 11),
                          match("www/owa/auth/1.php", "a", 12),
                          match("srv/owa/auth/1.php", "a", 13)};
  pages.supply("/good", "ecp/auth/1.php", good);
  pages.supply("/good", "owa/auth/1.php", other);
  Plan plan = pages.plan();
  REQUIRE(std::ranges::count(plan.operations, Action::replace_file, &Operation::action) == 3);
  for (const Operation& operation : plan.operations)
    if (operation.action == Action::replace_file)
      CHECK(operation.replacement.bytes == (says(operation.path.bytes(), "ecp/") ? good : other));

  // Another page's version is no guess for one without.
  pages.survey.good_files = {};
  pages.supply("/good", "owa/auth/1.php", other);
  plan = pages.plan();
  CHECK(std::ranges::count(plan.operations, Action::replace_file, &Operation::action) == 2);
  CHECK(says(exclusion_of(plan, "www/ecp/auth/1.php"),
             "/good/owa/auth/1.php is of www/owa/auth/1.php"));

  // Where the paths do not tell, a person has to.
  pages.supply("/more", "owa/auth/1.php", good);
  plan = pages.plan();
  CHECK(says(exclusion_of(plan, "www/owa/auth/1.php"), "several good versions"));
  CHECK(std::ranges::count(plan.operations, Action::replace_file, &Operation::action) == 0);
}

TEST_CASE("what cannot be replaced is told with the reason", "[replace]") {
  Pages pages;
  SECTION("no folder") {
    pages.survey.good_files = {};
    CHECK(says(pages.excluded(), "--known-good"));
  }
  SECTION("no file of that name") {
    pages.survey.good_files.files.front().path = path("x/2.php");
    CHECK(says(pages.excluded(), "has a file 1.php"));
  }
  SECTION("another digest") {
    pages.survey.good_files.files.clear();
    pages.supply("/bad", "1.php", "something");
    CHECK(says(pages.excluded(), "/bad/1.php has " + crypto::sha256_hex("something")));
  }
  SECTION("several good versions") {
    pages.supply("/other", "1.php", other);
    CHECK(says(pages.excluded(), "several good versions"));
  }
  SECTION("the same good version twice is one") {
    pages.supply("/copy", "1.php", good);
    CHECK(pages.plan().operations.front().replacement.source == "/good/x/1.php");
  }
  SECTION("no digest for the name") {
    pages.playbooks.front().steps.front().known_good.front().name = "1.PHP";
    CHECK(says(pages.excluded(), "names no known good digest"));
    pages.playbooks.front().scopes.front().ignore_case = true;
    CHECK(pages.plan().operations.front().action == Action::replace_file);
  }
  SECTION("it is good already") {
    pages.survey.matches.front().sha256 = crypto::sha256_hex(other);
    CHECK(says(pages.excluded(), "already"));
  }
  SECTION("hard links") {
    pages.survey.matches.front().facts.metadata.stat.links = 2;
    CHECK(says(pages.excluded(), "2 names"));
  }
  SECTION("size") {
    pages.survey.matches.front().facts.metadata.stat.size = max_replaced_bytes + 1;
    CHECK(says(pages.excluded(), "bytes"));
  }
  SECTION("a protected place") {
    pages.policy.protected_globs = {"www/**"};
    CHECK(says(pages.excluded(), "protected"));
  }
}

TEST_CASE("a file that could be replaced is not removed, in whatever order", "[replace]") {
  Pages pages;
  pages.survey.matches.push_back(match("www/1.php", "b", 11));
  auto& steps = pages.playbooks.front().steps;
  if (GENERATE(true, false)) std::swap(steps[0], steps[1]);
  const Plan plan = pages.plan();
  CHECK(plan.operations.front().action == Action::replace_file);
  CHECK(std::ranges::count(plan.operations, Action::quarantine, &Operation::action) == 0);
  CHECK(plan.operations.front().why.back().kind == "also");
  CHECK(plan.limits.front().found == 1);

  pages.survey.good_files = {};
  const Plan removed = pages.plan();
  CHECK(removed.operations.front().action == Action::quarantine);
  CHECK(exclusion_of(removed, "www/1.php") != "");
}

}  // namespace remediate::plan::test
