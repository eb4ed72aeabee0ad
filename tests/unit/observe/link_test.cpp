#include <algorithm>
#include <mutex>

#include "places.h"

using namespace remediate;
using namespace remediate::observe;

namespace {

/// Wants what ends with .php.
class Pages final : public Selector {
 public:
  [[nodiscard]] Need need(const ScopeInstance&, std::string_view below) const override {
    return below.ends_with(".php") ? Need::content : Need::skip;
  }
  [[nodiscard]] std::uint64_t max_file_size(const ScopeInstance&) const override { return 100; }
  void observe(const FileObservation& file, std::string_view, const TargetSource&) override {
    const std::lock_guard lock(mutex_);
    seen.push_back(file.path.bytes());
  }
  std::vector<std::string> seen;

 private:
  std::mutex mutex_;
};

struct Site {
  Place place;
  Pages pages;
  ScanOptions options;
  std::vector<std::string> missed;  // with one thread only

  Site() {
    options.threads = 1;
    options.missed = [this](const ScopeInstance&, const RawPath& path, std::string_view,
                            const std::string& reason) {
      missed.push_back(path.bytes() + ": " + reason);
    };
  }
  void link(const std::string& name, const std::string& target) const {
    std::filesystem::create_directories((place.path() / name).parent_path());
    std::filesystem::create_symlink(target, place.path() / name);
  }
  ScanResult scanned(const std::vector<ScopeInstance>& scopes) {
    auto result = scan(place.root(), scopes, pages, options);
    if (!result) FAIL(result.error().text());
    return std::move(*result);
  }
  /// Names of the links that are told.
  std::vector<std::string> links(const std::vector<ScopeInstance>& scopes) {
    std::vector<std::string> names;
    for (const Link& link : scanned(scopes).links) names.push_back(link.where);
    return names;
  }
};

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("a link to a folder that is not searched is told with its target", "[link]") {
  Site site;
  site.place.file("tmp/x/shell.php");
  site.link("www/up/x", "/tmp/x");
  site.link("www/up/near", "../../tmp");
  site.link("www/up/odd", "../../tmp/\x1b[2J");
  site.place.folder("tmp/\x1b[2J");
  const ScanResult result = site.scanned({scope_at("web", "www")});
  REQUIRE(result.links.size() == 3);
  CHECK(result.links[0].where == "www/up/near");
  CHECK(result.links[1].reason.find("../../tmp/\\x1b[2J (a folder)") != std::string::npos);
  CHECK(result.links[2].where == "www/up/x");
  CHECK(result.links[2].reason.starts_with("symbolic link to /tmp/x (a folder): not followed"));
  CHECK(result.issues.empty());
  CHECK(site.pages.seen.empty());
  CHECK(site.missed.empty());
}

TEST_CASE("a link whose own name a scope covers is told wherever it leads", "[link]") {
  Site site;
  site.place.file("tmp/shell.txt");
  site.link("www/a.php", "/tmp/shell.txt");
  site.link("www/b.php", "/tmp/nothing");
  site.link("www/c.txt", "/tmp/shell.txt");
  site.link("www/d.txt", "/tmp/nothing");
  CHECK(site.links({scope_at("web", "www")}) == Names{"www/a.php", "www/b.php"});
  CHECK(site.missed == Names{"www/a.php: it is a symbolic link to /tmp/shell.txt",
                             "www/b.php: it is a symbolic link to /tmp/nothing (which is not "
                             "there)"});
}

TEST_CASE("a link to what the same scope searches anyway is not told", "[link]") {
  Site site;
  site.place.file("www/releases/5/index.php");
  site.place.file("www/releases/5/page.txt");
  site.place.file("srv/more.php");
  site.link("www/current", "releases/5");
  site.link("www/up/index.php", "../releases/5/index.php");
  site.link("www/up/more.php", "/srv/more.php");
  site.link("www/up/text.php", "../releases/5/page.txt");  // read under a name nobody looks at
  site.link("www/up/itself", "..");
  const auto web = scope_at("web", "www");
  CHECK(site.links({web}) == Names{"www/up/more.php", "www/up/text.php"});
  CHECK(site.links({web, scope_at("web", "srv")}) == Names{"www/up/text.php"});
  // Another scope may look for other things there.
  CHECK(site.links({web, scope_at("other", "srv")}) == Names{"www/up/more.php", "www/up/text.php"});
}

TEST_CASE("a link that leads on through another one is told", "[link]") {
  Site site;
  site.place.folder("tmp");
  site.link("www/one", "two");
  site.link("www/two", "../tmp");
  site.link("www/three", "two/../releases");
  CHECK(site.links({scope_at("web", "www")}) == Names{"www/one", "www/three", "www/two"});
}

TEST_CASE("links beyond the bound are counted", "[link]") {
  Site site;
  for (int number = 0; number < 9; ++number) site.link("www/l" + std::to_string(number), "/");
  site.options.max_links = 4;
  const ScanResult result = site.scanned({scope_at("web", "www")});
  CHECK(result.links.size() == 4);
  CHECK(result.links_dropped == 5);
}

TEST_CASE("what a scope needs and the scan does not read is told to who asks", "[link]") {
  Site site;
  site.place.file("www/large.php", std::string(101, 'x'));
  site.place.file("www/large.txt", std::string(101, 'x'));
  site.place.file("www/right.php", std::string(100, 'x'));
  CHECK(site.scanned({scope_at("web", "www")}).issues.size() == 1);
  REQUIRE(site.missed.size() == 1);
  CHECK(site.missed[0].starts_with("www/large.php: it has 101 bytes"));
  CHECK(site.pages.seen == Names{"www/right.php"});
}
