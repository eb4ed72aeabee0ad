#include <atomic>
#include <filesystem>

#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "places.h"

using namespace remediate;
using namespace remediate::observe;

namespace {

class Counter final : public Selector {
 public:
  [[nodiscard]] Need need(const ScopeInstance&, std::string_view below) const override {
    longest = std::max(longest.load(), below.size());
    if (watch_handles) {
      std::size_t open = 0;
      DIR* folder = ::opendir("/proc/self/fd");
      while (::readdir(folder) != nullptr) ++open;
      ::closedir(folder);
      handles = std::max(handles.load(), open);
    }
    return Need::content;
  }
  [[nodiscard]] std::uint64_t max_file_size(const ScopeInstance&) const override { return 100; }
  void observe(const FileObservation&, std::string_view, const TargetSource&) override { ++seen; }
  bool watch_handles = false;
  mutable std::atomic<std::size_t> longest{0};
  mutable std::atomic<std::size_t> handles{0};
  std::atomic<std::uint64_t> seen{0};
};

void touch_at(int folder, const char* name) {
  const int fd = ::openat(folder, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  REQUIRE(fd >= 0);
  ::close(fd);
}

/// `levels` folders in one another, each with a file and `side` further folders with a file.
void dig(const Place& place, int levels, int side) {
  int at = ::open(place.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  for (int level = 0; level < levels; ++level) {
    REQUIRE(::mkdirat(at, "d", 0700) == 0);
    for (int i = 0; i < side; ++i) {
      const std::string name = "s" + std::to_string(i);
      REQUIRE(::mkdirat(at, name.c_str(), 0700) == 0);
      touch_at(at, (name + "/f").c_str());
    }
    touch_at(at, "f");
    const int next = ::openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    REQUIRE(next >= 0);
    ::close(at);
    at = next;
  }
  touch_at(at, "bottom");
  ::close(at);
}

}  // namespace

TEST_CASE("thousands of levels are walked with few handles") {
  const Place place;
  dig(place, 3000, 2);
  Counter counter;
  counter.watch_handles = true;
  const auto result = scan(place.root(), {scope_at("all", "")}, counter, {});
  REQUIRE(result.has_value());
  for (const Issue& issue : result->issues) FAIL(issue.reason);
  CHECK(result->files == 3000 * 3 + 1);
  CHECK(counter.seen == 3000 * 3 + 1);
  CHECK(counter.longest == 3000 * 2 + 6);
  CHECK(counter.handles < 80);
}

TEST_CASE("what lies deeper than the bound is told") {
  const Place place;
  dig(place, 20'010, 0);
  Counter counter;
  const auto result = scan(place.root(), {scope_at("all", "")}, counter, {});
  REQUIRE(result.has_value());
  CHECK(result->files == 20'001);
  REQUIRE(result->issues.size() == 1);
  CHECK(result->issues[0].reason.find("20000") != std::string::npos);
}

TEST_CASE("wide trees are walked by several threads with the same result") {
  const Place place;
  std::uint64_t expected = 0;
  for (int i = 0; i < 40; ++i) {
    for (int j = 0; j < 20; ++j) {
      place.file("w/" + std::to_string(i) + "/" + std::to_string(j) + "/f", "x");
      ++expected;
    }
  }
  for (const unsigned threads : {1u, 2u, 8u}) {
    Counter counter;
    const auto result = scan(place.root(), {scope_at("all", "w"), scope_at("part", "w/7")}, counter,
                             ScanOptions{.threads = threads});
    REQUIRE(result.has_value());
    CHECK(result->files == expected);
    CHECK(result->files_per_scope == std::vector<std::uint64_t>{expected, 20});
    CHECK(counter.seen == expected + 20);
    CHECK(result->issues.empty());
  }
}

TEST_CASE("a mount below a scope is told and searched only when a scope lies in it", "[root]") {
  const Place place;
  place.file("www/a");
  place.folder("www/mounted");
  const std::string target = (place.path() / "www/mounted").string();
  if (::mount("tmpfs", target.c_str(), "tmpfs", 0, "size=1m") != 0) {
    WARN("mounting is not possible here: skipped");
    return;
  }
  place.file("www/mounted/app/b");
  Counter counter;
  const auto outside = scan(place.root(), {scope_at("web", "www")}, counter, {});
  Counter second;
  const auto both =
      scan(place.root(), {scope_at("web", "www"), scope_at("app", "www/mounted/app")}, second, {});
  CHECK(::umount(target.c_str()) == 0);
  REQUIRE(outside.has_value());
  CHECK(outside->files == 1);
  REQUIRE(outside->issues.size() == 1);
  CHECK(outside->issues[0].kind == Issue::Kind::mount_skipped);
  CHECK(outside->issues[0].where == "www/mounted");
  REQUIRE(both.has_value());
  CHECK(both->files == 2);
  CHECK(both->files_per_scope == std::vector<std::uint64_t>{1, 1});
  CHECK(both->issues.size() == 1);
}
