#include "tests/race/race.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>
#include <utility>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

namespace race {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr && *text != '\0' ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// Attacks at irregular intervals until it goes out of scope.
class Attacker {
 public:
  explicit Attacker(const std::function<void()>& attack)
      : thread_([this, &attack] { run(attack); }) {
    while (!begun_) std::this_thread::yield();
  }
  ~Attacker() {
    over_ = true;
    thread_.join();
  }
  Attacker(const Attacker&) = delete;
  Attacker& operator=(const Attacker&) = delete;

 private:
  void run(const std::function<void()>& attack) {
    std::minstd_rand random(1);
    begun_ = true;
    while (!over_) {
      attack();
      for (std::uint_fast32_t pause = random() % longest_pause; pause > 0 && !over_; --pause)
        continue;
    }
  }
  static constexpr std::uint_fast32_t longest_pause = 20'000;  // loads: tens of microseconds
  std::atomic<bool> begun_{false}, over_{false};
  std::thread thread_;  // last: it uses what is above
};

}  // namespace

std::string Tally::line() const {
  std::ostringstream text;
  text << "race " << shape << " on " << place << ": tries " << tries;
  if (!whole()) text << " (of " << wanted << " wanted)";
  text << ", escapes " << escapes << ", wrong " << wrong << ", lost " << lost << ", done " << done
       << ", refused " << refused << ", put back " << put_back << ", held " << held << ", seconds "
       << static_cast<double>(static_cast<std::int64_t>(seconds * 10)) / 10;
  return text.str();
}

std::uint64_t wanted_tries(std::uint64_t short_form) {
  return number_from("REMEDIATE_RACE_TRIES", short_form);
}

std::chrono::seconds time_limit() {
  return std::chrono::seconds(number_from("REMEDIATE_RACE_SECONDS", 240));
}

std::vector<std::string> folders() {
  std::vector<std::string> result;
  if (const char* text = std::getenv("REMEDIATE_RACE_FOLDERS"); text != nullptr) {
    std::istringstream stream(text);
    for (std::string word; std::getline(stream, word, ':');)
      if (!word.empty()) result.push_back(word);
  } else if (access("/dev/shm", W_OK) == 0 && filesystem_of("/dev/shm") == "tmpfs") {
    result.emplace_back("/dev/shm");
  } else {
    result.push_back(fs::temp_directory_path().string());
  }
  return result;
}

std::string filesystem_of(const std::string& folder) {
  struct statfs facts = {};
  if (statfs(folder.c_str(), &facts) != 0) return "?";
  switch (static_cast<unsigned long>(facts.f_type)) {
    case TMPFS_MAGIC:
      return "tmpfs";
    case EXT4_SUPER_MAGIC:
      return "ext4";
    case XFS_SUPER_MAGIC:
      return "xfs";
    case BTRFS_SUPER_MAGIC:
      return "btrfs";
    default:
      return "another file system";
  }
}

void contend(Tally& tally, const Contest& contest) {
  const auto start = Clock::now();
  const auto end = start + time_limit();
  while (tally.tries < tally.wanted && Clock::now() < end && !contest.enough()) {
    {
      const Attacker attacker(contest.attack);
      const std::uint64_t stop = std::min(tally.wanted, tally.tries + contest.round);
      while (tally.tries < stop && Clock::now() < end && !contest.enough()) {
        contest.attempt();
        ++tally.tries;
      }
    }
    contest.settle();
  }
  tally.seconds = std::chrono::duration<double>(Clock::now() - start).count();
}

void judge(const Tally& tally) {
  std::cout << tally.line() << std::endl;
  INFO(tally.line());
  CHECK(tally.escapes == 0);
  CHECK(tally.wrong == 0);
  CHECK(tally.lost == 0);
  CHECK(tally.done > 0);
  CHECK(tally.acts() > 0);  // else the attacker never came between
  CHECK(tally.whole());     // else the time was too short for what is promised
}

void judge_naive(const Tally& tally) {
  std::cout << "race naive " << tally.shape << " on " << tally.place << ": caught "
            << tally.escapes + tally.wrong + tally.lost << " times in " << tally.tries << " tries"
            << std::endl;
  INFO(tally.line() << ": a naive design survived, so this race proves nothing");
  CHECK(tally.escapes + tally.wrong + tally.lost > 0);
}

Base::Base(const std::string& below) {
  std::string name = below + "/race-XXXXXX";
  REQUIRE(mkdtemp(name.data()) != nullptr);
  path_ = name;
}

Base::~Base() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

Watched::Watched(const std::string& path, std::string bytes) : bytes_(std::move(bytes)) {
  descriptor_ = open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0644);
  REQUIRE(descriptor_ >= 0);
  REQUIRE(write(descriptor_, bytes_.data(), bytes_.size()) == static_cast<ssize_t>(bytes_.size()));
  struct stat stat = {};
  REQUIRE(fstat(descriptor_, &stat) == 0);
  inode_ = stat.st_ino;
}

Watched::Watched(const std::string& path) {
  descriptor_ = open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  REQUIRE(descriptor_ >= 0);
  struct stat stat = {};
  REQUIRE(fstat(descriptor_, &stat) == 0);
  inode_ = stat.st_ino;
  bytes_.resize(static_cast<std::size_t>(stat.st_size));
  REQUIRE(pread(descriptor_, bytes_.data(), bytes_.size(), 0) == stat.st_size);
}

Watched::~Watched() {
  if (descriptor_ >= 0) close(descriptor_);
}

Watched::Watched(Watched&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      inode_(other.inode_),
      bytes_(std::move(other.bytes_)) {}

Watched& Watched::operator=(Watched&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  std::swap(inode_, other.inode_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

nlink_t Watched::links() const {
  struct stat stat = {};
  return fstat(descriptor_, &stat) == 0 ? stat.st_nlink : 0;
}

bool Watched::whole(nlink_t names) const {
  std::string now(bytes_.size() + 1, '\0');
  const ssize_t count = pread(descriptor_, now.data(), now.size(), 0);
  if (count < 0) return false;
  now.resize(static_cast<std::size_t>(count));
  return links() == names && now == bytes_;
}

int open_folder(const std::string& path) {
  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  REQUIRE(folder >= 0);
  return folder;
}

ino_t inode_at(int folder, const char* name) {
  struct stat stat = {};
  return fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) == 0 ? stat.st_ino : 0;
}

ino_t inode_at(const std::string& path) { return inode_at(AT_FDCWD, path.c_str()); }

bool exchange(int folder, const char* one, int other_folder, const char* other) {
  return renameat2(folder, one, other_folder, other, RENAME_EXCHANGE) == 0;
}

bool move(int from, const char* name, int into, const char* new_name) {
  return renameat2(from, name, into, new_name, RENAME_NOREPLACE) == 0;
}

std::size_t entries(const std::string& folder) {
  std::size_t count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) count += entry.path().empty() ? 0 : 1;
  return count;
}

}  // namespace race
