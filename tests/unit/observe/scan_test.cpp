#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "places.h"
#include "remediate/crypto/digest.h"

using namespace remediate;
using namespace remediate::observe;

namespace {

/// Takes what `wanted` says and remembers it.
class Recorder final : public Selector {
 public:
  Need wanted = Need::content;
  std::uint64_t limit = 1 << 20;
  std::uint64_t wanted_size = UINT64_MAX;
  bool ask_facts = false;
  std::function<void(const FileObservation&)> on_observe;

  [[nodiscard]] Need need(const ScopeInstance&, std::string_view) const override { return wanted; }
  [[nodiscard]] std::uint64_t max_file_size(const ScopeInstance&) const override { return limit; }
  [[nodiscard]] bool wants(const ScopeInstance&, std::string_view,
                           std::uint64_t size) const override {
    return size <= wanted_size;
  }
  void observe_unread(const FileObservation& file) override {
    const std::lock_guard lock(mutex_);
    unread.push_back(file.below_scope + " " + std::to_string(file.size));
  }
  void observe(const FileObservation& file, std::string_view content,
               const TargetSource& target) override {
    if (on_observe) on_observe(file);
    std::string fact;
    if (ask_facts) {
      const auto facts = target.facts();
      fact = facts ? facts->filesystem + " " + std::to_string(facts->metadata.stat.size) : "error";
    }
    const std::lock_guard lock(mutex_);
    seen[file.scope->scope + ":" + file.below_scope] = std::string(content);
    paths.insert(file.path.bytes());
    told.push_back(fact);
  }
  std::map<std::string, std::string> seen;
  std::set<std::string> paths;
  std::vector<std::string> told;
  std::vector<std::string> unread;

 private:
  std::mutex mutex_;
};

ScanResult scanned(const Place& place, const std::vector<ScopeInstance>& scopes, Recorder& recorder,
                   ScanOptions options = {}) {
  auto result = scan(place.root(), scopes, recorder, options);
  if (!result) FAIL(result.error().text());
  return std::move(*result);
}

std::vector<std::string> issues_of(const ScanResult& result) {
  std::vector<std::string> lines;
  for (const Issue& issue : result.issues) {
    lines.push_back(std::string(issue_name(issue.kind)) + " " + issue.where);
  }
  return lines;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("every regular file below a scope is read once, whatever its name") {
  const Place place;
  const std::string odd = "new\nline\x1b[31m\xff\xfe.aspx";
  place.file("www/a.aspx", "one");
  place.file("www/sub/" + odd, "two");
  place.file("www/sub/deeper/empty", "");
  place.file("elsewhere/no.aspx");
  Recorder recorder;
  const auto result = scanned(place, {scope_at("web", "www")}, recorder);
  CHECK(result.files == 3);
  CHECK(result.files_per_scope == std::vector<std::uint64_t>{3});
  CHECK(result.opened == 3);
  CHECK(result.bytes_read == 6);
  CHECK(result.issues.empty());
  CHECK(recorder.seen == std::map<std::string, std::string>{{"web:a.aspx", "one"},
                                                            {"web:sub/" + odd, "two"},
                                                            {"web:sub/deeper/empty", ""}});
  CHECK(recorder.paths.contains("www/sub/" + odd));
}

TEST_CASE("skipped files are counted but not opened") {
  const Place place;
  place.file("www/a");
  place.file("www/b/c");
  ::chmod((place.path() / "www/a").c_str(), 0);
  Recorder recorder;
  recorder.wanted = Need::skip;
  const auto result = scanned(place, {scope_at("web", "www")}, recorder);
  CHECK(result.files == 2);
  CHECK(result.opened == 0);
  CHECK(result.bytes_read == 0);
  CHECK(recorder.seen.empty());
}

TEST_CASE("facts are given without reading") {
  const Place place;
  place.file("www/a", "12345");
  Recorder recorder;
  recorder.wanted = Need::facts;
  recorder.ask_facts = true;
  recorder.limit = 1;
  const auto result = scanned(place, {scope_at("web", "www")}, recorder);
  CHECK(result.opened == 1);
  CHECK(result.bytes_read == 0);
  CHECK(result.issues.empty());
  REQUIRE(recorder.told.size() == 1);
  CHECK(recorder.told[0].ends_with(" 5"));
}

TEST_CASE("overlapping scopes are walked once and each sees its own path") {
  const Place place;
  place.file("www/a");
  place.file("www/app/b");
  place.file("www/app/deep/c");
  place.file("wwwx/d");
  Recorder recorder;
  const auto result = scanned(place,
                              {scope_at("inner", "www/app"), scope_at("outer", "www"),
                               scope_at("again", "www"), scope_at("other", "wwwx")},
                              recorder);
  CHECK(result.files == 4);
  CHECK(result.opened == 4);
  CHECK(result.files_per_scope == std::vector<std::uint64_t>{2, 3, 3, 1});
  CHECK(recorder.seen.size() == 9);
  CHECK(recorder.seen.contains("inner:deep/c"));
  CHECK(recorder.seen.contains("outer:app/deep/c"));
  CHECK(recorder.seen.contains("other:d"));
}

TEST_CASE("the root itself can be a scope") {
  const Place place;
  place.file("a");
  place.file("b/c");
  Recorder recorder;
  const auto result = scanned(place, {scope_at("all", ""), scope_at("b", "b")}, recorder);
  CHECK(result.files == 2);
  CHECK(recorder.seen.contains("all:b/c"));
  CHECK(recorder.seen.contains("b:c"));
}

TEST_CASE("links, pipes and loops are passed over") {
  const Place place;
  place.file("www/a");
  place.file("outside/secret");
  std::filesystem::create_symlink(place.path() / "www", place.path() / "www/loop");
  std::filesystem::create_symlink("loop2", place.path() / "www/loop2");
  std::filesystem::create_symlink(place.path() / "outside/secret", place.path() / "www/s.aspx");
  REQUIRE(::mkfifo((place.path() / "www/shell.aspx").c_str(), 0600) == 0);
  Recorder recorder;
  const auto result = scanned(place, {scope_at("web", "www")}, recorder);
  CHECK(result.files == 1);
  CHECK(result.issues.empty());
  CHECK(recorder.seen.size() == 1);
}

TEST_CASE("what could not be looked at is an issue") {
  const Place place;
  place.file("www/good");
  place.file("www/limit", std::string(100, 'x'));
  place.file("www/huge", "x");
  REQUIRE(::truncate((place.path() / "www/huge").c_str(), std::int64_t{1} << 40) == 0);
  std::filesystem::create_symlink("www", place.path() / "linked");
  Recorder recorder;
  recorder.limit = 100;
  const auto result = scanned(
      place, {scope_at("web", "www"), scope_at("gone", "missing"), scope_at("link", "linked")},
      recorder);
  CHECK(issues_of(result) ==
        Lines{"unreadable linked", "path_not_found missing", "too_large www/huge"});
  CHECK(recorder.seen.size() == 2);
  CHECK(recorder.unread == Lines{"huge 1099511627776"});
  CHECK(result.issues_dropped == 0);
}

TEST_CASE("a file whose size decides is not read, and that is no issue") {
  const Place place;
  place.file("www/good", "four");
  place.file("www/long", std::string(100, 'x'));
  place.file("www/huge", "x");
  REQUIRE(::truncate((place.path() / "www/huge").c_str(), std::int64_t{1} << 40) == 0);
  Recorder recorder;
  recorder.wanted_size = 99;
  std::size_t missed = 0;
  ScanOptions options;
  options.missed = [&](const ScopeInstance&, const RawPath&, std::string_view, const std::string&) {
    ++missed;
  };
  const auto result = scanned(place, {scope_at("web", "www")}, recorder, options);
  CHECK(issues_of(result) == Lines{});
  CHECK(recorder.seen == std::map<std::string, std::string>{{"web:good", "four"}});
  CHECK(recorder.unread.empty());
  CHECK(missed == 0);
  CHECK(result.bytes_read == 4);
  CHECK(result.files == 3);
}

TEST_CASE("unreadable files and folders are told, the rest is scanned") {
  const Place place;
  place.file("www/closed.aspx");
  place.file("www/shut/inside");
  place.file("www/open");
  std::filesystem::permissions(place.path() / "www/closed.aspx", std::filesystem::perms::none);
  std::filesystem::permissions(place.path() / "www/shut", std::filesystem::perms::none);
  std::filesystem::permissions(place.path(), std::filesystem::perms(0755));
  const bool was_root = ::geteuid() == 0;
  if (was_root) REQUIRE(::seteuid(65534) == 0);
  Recorder recorder;
  const auto result =
      scan(place.root(), {scope_at("web", "www")}, recorder, ScanOptions{.threads = 1});
  if (was_root) REQUIRE(::seteuid(0) == 0);
  std::filesystem::permissions(place.path() / "www/shut", std::filesystem::perms(0700));
  REQUIRE(result.has_value());
  CHECK(issues_of(*result) == Lines{"unreadable www/closed.aspx", "unreadable www/shut"});
  CHECK(recorder.seen.contains("web:open"));
  for (const Issue& issue : result->issues) CHECK_FALSE(issue.reason.empty());
}

TEST_CASE("a file that grows while it is read is told after two tries") {
  const Place place;
  place.file("www/log", std::string(1000, 'x'));
  Recorder recorder;
  recorder.wanted = Need::content;
  std::atomic<bool> done{false};
  std::atomic<bool> started{false};
  // The size changes with every write: a time stamp alone may stay the same within a tick.
  std::jthread writer([&] {
    const int fd = ::open((place.path() / "www/log").c_str(), O_WRONLY);
    std::int64_t size = 1000;
    while (!done) {
      (void)!::ftruncate(fd, size);
      started = true;
      size = size < 500'000 ? size + 1 : 1000;
    }
    ::close(fd);
  });
  while (!started) std::this_thread::yield();
  std::size_t changed = 0;
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (changed == 0 && std::chrono::steady_clock::now() < end) {
    recorder.seen.clear();
    const auto result = scanned(place, {scope_at("web", "www")}, recorder);
    changed += result.issues.size();
    for (const Issue& issue : result.issues) {
      CHECK(issue.kind == Issue::Kind::changed_while_read);
      CHECK(recorder.seen.empty());
    }
  }
  done = true;
  CHECK(changed > 0);
}

TEST_CASE("facts of a file that changed after it was read are refused") {
  const Place place;
  place.file("www/a", "before");
  Recorder recorder;
  recorder.ask_facts = true;
  recorder.on_observe = [&](const FileObservation&) { place.file("www/a", "after it"); };
  (void)scanned(place, {scope_at("web", "www")}, recorder);
  REQUIRE(recorder.told.size() == 1);
  CHECK(recorder.told[0] == "error");
}

TEST_CASE("a scan changes nothing, access times included") {
  const Place place;
  place.file("www/sub/a.aspx", "text");
  const auto state = [&](const std::string& name) {
    struct statx raw{};
    REQUIRE(::statx(AT_FDCWD, (place.path() / name).c_str(), 0, STATX_BASIC_STATS, &raw) == 0);
    return std::vector<std::int64_t>{raw.stx_atime.tv_sec,
                                     raw.stx_atime.tv_nsec,
                                     raw.stx_mtime.tv_sec,
                                     raw.stx_mtime.tv_nsec,
                                     raw.stx_ctime.tv_sec,
                                     raw.stx_ctime.tv_nsec,
                                     static_cast<std::int64_t>(raw.stx_ino)};
  };
  // An access time before the last change is what a relatime mount would bring up to date.
  const timespec old[2] = {{.tv_sec = 1, .tv_nsec = 1}, {.tv_sec = 2, .tv_nsec = 2}};
  const std::vector<std::string> names = {"www", "www/sub", "www/sub/a.aspx"};
  for (const std::string& name : names) {
    REQUIRE(::utimensat(AT_FDCWD, (place.path() / name).c_str(), old, 0) == 0);
  }
  std::vector<std::vector<std::int64_t>> before;
  for (const std::string& name : names) before.push_back(state(name));
  Recorder recorder;
  recorder.ask_facts = true;
  (void)scanned(place, {scope_at("web", "www")}, recorder);
  REQUIRE(recorder.seen.size() == 1);
  for (std::size_t i = 0; i < names.size(); ++i) CHECK(state(names[i]) == before[i]);
}

TEST_CASE("too many files end the scan with an error") {
  const Place place;
  for (int i = 0; i < 20; ++i) place.file("www/" + std::to_string(i));
  Recorder recorder;
  recorder.wanted = Need::skip;
  const auto exact = scan(place.root(), {scope_at("web", "www")}, recorder,
                          ScanOptions{.threads = 2, .max_files = 20});
  CHECK(exact.has_value());
  const auto result = scan(place.root(), {scope_at("web", "www")}, recorder,
                           ScanOptions{.threads = 2, .max_files = 19});
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code == Code::limit);
}

TEST_CASE("a scan without scopes or with impossible options is refused") {
  const Place place;
  Recorder recorder;
  CHECK_FALSE(scan(place.root(), {}, recorder, {}).has_value());
  CHECK_FALSE(scan(place.root(), {scope_at("a", "")}, recorder, {.threads = 0}).has_value());
  CHECK_FALSE(scan(place.root(), {scope_at("a", "")}, recorder, {.threads = 1000}).has_value());
}

TEST_CASE("issues are bounded and the rest is counted") {
  const Place place;
  place.folder("www");
  for (int i = 0; i < 10'050; ++i) {
    const std::string name = (place.path() / "www" / std::to_string(i)).string();
    const int fd = ::open(name.c_str(), O_CREAT | O_WRONLY, 0600);
    REQUIRE(fd >= 0);
    REQUIRE(::ftruncate(fd, 2) == 0);
    ::close(fd);
  }
  Recorder recorder;
  recorder.limit = 1;
  const auto result = scanned(place, {scope_at("web", "www")}, recorder);
  CHECK(result.issues.size() == 10'001);
  CHECK(result.issues_dropped == 50);
  CHECK(result.issues.back().reason.find("50 more") != std::string::npos);
}

TEST_CASE("a configuration file is read with its digest and its facts") {
  const Place place;
  place.file("etc/web.config", "<configuration/>");
  const auto path = RawPath::parse("etc/web.config");
  const auto setting = read_setting_file(place.root(), *path, 1000);
  REQUIRE(setting.has_value());
  CHECK(setting->bytes == "<configuration/>");
  CHECK(setting->sha256 == crypto::sha256_hex("<configuration/>"));
  CHECK(setting->path == *path);
  CHECK(setting->facts.metadata.stat.size == 16);
  CHECK(setting->facts.parent.kind == FileKind::directory);
  CHECK_FALSE(setting->facts.filesystem.empty());
  const auto large = read_setting_file(place.root(), *path, 15);
  REQUIRE_FALSE(large.has_value());
  CHECK(large.error().code == Code::limit);
  CHECK_FALSE(read_setting_file(place.root(), RawPath(), 15).has_value());
  const auto missing = read_setting_file(place.root(), *RawPath::parse("etc/x"), 15);
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().code == Code::not_found);
}
