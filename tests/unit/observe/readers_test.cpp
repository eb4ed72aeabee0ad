#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>

#include "places.h"
#include "remediate/host/memory/memory_host.h"

using namespace remediate;
using namespace remediate::observe;
using namespace std::chrono_literals;

namespace {

/// How many are in it at the same time, at most.
class Gauge {
 public:
  class Inside {
   public:
    explicit Inside(Gauge& gauge) : gauge_(gauge) {
      const int now = ++gauge_.now_;
      for (int most = gauge_.most_; now > most && !gauge_.most_.compare_exchange_weak(most, now);) {
      }
    }
    ~Inside() { --gauge_.now_; }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    Gauge& gauge_;
  };
  [[nodiscard]] int most() const { return most_; }

 private:
  std::atomic<int> now_{0};
  std::atomic<int> most_{0};
};

class Counting final : public Selector {
 public:
  [[nodiscard]] Need need(const ScopeInstance&, std::string_view) const override {
    return Need::content;
  }
  [[nodiscard]] std::uint64_t max_file_size(const ScopeInstance&) const override { return limit; }
  void observe(const FileObservation& file, std::string_view content,
               const TargetSource&) override {
    const Gauge::Inside inside(judging);
    if (on_observe) on_observe(content);
    std::this_thread::sleep_for(100us);
    const std::lock_guard lock(mutex_);
    twice |= !seen.insert(file.path.bytes()).second;
    bytes += content.size();
  }
  Gauge judging;
  std::uint64_t limit = 4u << 20;
  std::function<void(std::string_view)> on_observe;
  std::set<std::string> seen;
  bool twice = false;
  std::uint64_t bytes = 0;

 private:
  std::mutex mutex_;
};

/// A tree in memory on a disk that takes two milliseconds for each answer.
class SlowDisk {
 public:
  explicit SlowDisk(const std::string& slow_call = "read_at") {
    host_.set_look_hook([this, slow_call](std::string_view call, std::string_view) {
      if (call == slow_call && slow) {
        const Gauge::Inside inside(asked);
        std::this_thread::sleep_for(2ms);
      }
      return std::optional<Error>{};
    });
  }
  void file(const std::string& folder, const std::string& name, std::size_t size) {
    auto at = host_.make_root(folder);
    REQUIRE(at.has_value());
    auto made = (*at)->create_file(name, 0644);
    REQUIRE(made.has_value());
    REQUIRE((*made)->write_at(0, std::string(size, 'x')).has_value());
  }
  [[nodiscard]] ScanResult scanned(Counting& counting, ScanOptions options = {}) {
    const auto root = host_.open_root("/");
    REQUIRE(root.has_value());
    auto result = scan(**root, {scope_at("web", "www")}, counting, options);
    if (!result) FAIL(result.error().text());
    return std::move(*result);
  }
  host::MemoryHost& host() { return host_; }
  Gauge asked;
  std::atomic<bool> slow{true};

 private:
  host::MemoryHost host_;
};

}  // namespace

TEST_CASE("many reads are in flight on a slow disk while few threads judge") {
  const bool flat = GENERATE(true, false);
  SlowDisk disk;
  for (int number = 0; number < 600; ++number)
    disk.file(flat ? "/www/all" : "/www/d" + std::to_string(number / 8),
              "f" + std::to_string(number), 100);
  Counting counting;
  const ScanResult result = disk.scanned(counting);
  CHECK(result.files == 600);
  CHECK(result.opened == 600);
  CHECK(result.bytes_read == 60'000);
  CHECK(result.issues.empty());
  CHECK(counting.seen.size() == 600);
  CHECK_FALSE(counting.twice);
  CHECK(counting.bytes == 60'000);
  CHECK(disk.asked.most() >= 16);
  CHECK(counting.judging.most() <= 2);
}

TEST_CASE("many folders are listed at a time on a slow disk") {
  SlowDisk disk("each_entry");
  for (int number = 0; number < 300; ++number) disk.file("/www/d" + std::to_string(number), "f", 1);
  Counting counting;
  CHECK(disk.scanned(counting).files == 300);
  CHECK(counting.seen.size() == 300);
  CHECK(disk.asked.most() >= 16);
  CHECK(counting.judging.most() <= 2);
}

TEST_CASE("few large files are in memory at a time, however slow the disk") {
  SlowDisk disk;
  for (int number = 0; number < 600; ++number)
    disk.file("/www/small", "f" + std::to_string(number), 10);
  for (int number = 0; number < 40; ++number)
    disk.file("/www/large" + std::to_string(number), "f", 300u << 10);
  Gauge large;
  disk.host().set_look_hook([&](std::string_view call, std::string_view name) {
    if (call != "read_at") return std::optional<Error>{};
    const Gauge::Inside inside(disk.asked);
    std::optional<Gauge::Inside> counted;
    if (name == "f") counted.emplace(large);
    std::this_thread::sleep_for(2ms);
    return std::optional<Error>{};
  });
  Counting counting;
  CHECK(disk.scanned(counting).files == 640);
  CHECK(counting.seen.size() == 640);
  CHECK(disk.asked.most() >= 16);
  CHECK(large.most() <= 2);
}

TEST_CASE("one very large file is in memory at a time") {
  SlowDisk disk;
  disk.slow = false;
  for (int number = 0; number < 4; ++number)
    disk.file("/www/d" + std::to_string(number), "f", (16u << 20) + 1);
  for (int number = 0; number < 4; ++number)
    disk.file("/www/e" + std::to_string(number), "f", 16u << 20);
  Gauge large;
  Gauge others;
  Counting counting;
  counting.limit = 32u << 20;
  counting.on_observe = [&](std::string_view content) {
    const Gauge::Inside inside(content.size() > 16u << 20 ? large : others);
    std::this_thread::sleep_for(30ms);
  };
  CHECK(disk.scanned(counting).files == 8);
  CHECK(counting.seen.size() == 8);
  CHECK(large.most() == 1);
  CHECK(others.most() <= 2);
}

TEST_CASE("a slow disk changes neither issues nor limits") {
  SlowDisk disk;
  for (int number = 0; number < 300; ++number)
    disk.file("/www/d" + std::to_string(number / 20), "f" + std::to_string(number), 100);
  disk.host().set_look_hook([](std::string_view call, std::string_view name) {
    if (call == "read_at") std::this_thread::sleep_for(2ms);
    if (call == "open_file" && name.ends_with('7'))
      return std::optional<Error>({Code::permission, "no", ""});
    return std::optional<Error>{};
  });
  Counting counting;
  const ScanResult result = disk.scanned(counting);
  CHECK(result.files == 300);
  CHECK(result.issues.size() == 30);
  CHECK(counting.seen.size() == 270);
  const auto root = disk.host().open_root("/");
  REQUIRE(root.has_value());
  ScanOptions few;
  few.max_files = 250;
  const auto ended = scan(**root, {scope_at("web", "www")}, counting, few);
  REQUIRE_FALSE(ended.has_value());
  CHECK(ended.error().code == Code::limit);
}

TEST_CASE("a disk that becomes fast again needs no more readers") {
  SlowDisk disk;
  for (int number = 0; number < 600; ++number)
    disk.file("/www/d" + std::to_string(number / 8), "f" + std::to_string(number), 100);
  Counting counting;
  std::atomic<int> reads{0};
  disk.host().set_look_hook([&](std::string_view call, std::string_view) {
    if (call == "read_at" && ++reads < 300) std::this_thread::sleep_for(2ms);
    return std::optional<Error>{};
  });
  CHECK(disk.scanned(counting).files == 600);
  CHECK(counting.seen.size() == 600);
  CHECK(counting.judging.most() <= 2);
}
