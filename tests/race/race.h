#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <sys/types.h>

/// What the races share: a thread that attacks, tries against it, and counts of what came of them.
namespace race {

/// How the tries of one shape ended. `escapes`, `wrong` and `lost` must stay 0; of the rest at
/// least one must not, else the attacker never came between.
struct Tally {
  std::string shape;
  std::string place;         // the file system
  std::uint64_t wanted = 0;  // tries; fewer are a failure
  std::uint64_t tries = 0;
  std::uint64_t escapes = 0;   // something outside the root was touched
  std::uint64_t wrong = 0;     // a file that was not approved was taken, overwritten or removed
  std::uint64_t lost = 0;      // a file has no name any more, or other bytes
  std::uint64_t done = 0;      // the tool did what it was asked for
  std::uint64_t refused = 0;   // it saw the attack before it acted
  std::uint64_t put_back = 0;  // it took another file, saw that, and put it back
  std::uint64_t held = 0;      // the name was taken: kept in the hold and told
  double seconds = 0;

  /// As many tries as the shape promises: one that the time cut off has not shown it.
  [[nodiscard]] bool whole() const { return tries >= wanted; }
  [[nodiscard]] std::uint64_t acts() const { return refused + put_back + held; }
  [[nodiscard]] std::string line() const;
};

/// REMEDIATE_RACE_TRIES where it is set, else `short_form`.
[[nodiscard]] std::uint64_t wanted_tries(std::uint64_t short_form);
/// REMEDIATE_RACE_SECONDS for each shape, else 240: many times what a free machine needs.
[[nodiscard]] std::chrono::seconds time_limit();
/// Where to race: REMEDIATE_RACE_FOLDERS (separated by colons), else /dev/shm, else the temporary
/// folder.
[[nodiscard]] std::vector<std::string> folders();
[[nodiscard]] std::string filesystem_of(const std::string& folder);

/// Tries in rounds, each against a thread of its own that repeats `attack`; between two rounds
/// nothing moves and `settle` looks at what is there. Ends early when `enough` says so.
struct Contest {
  std::function<void()> attack;
  std::function<void()> attempt;
  std::function<void()> settle = [] {};
  std::function<bool()> enough = [] { return false; };
  std::uint64_t round = 1000;
};
void contend(Tally& tally, const Contest& contest);

/// Prints the line and checks what holds for every shape.
void judge(const Tally& tally);
/// The same for a design that must fail: caught, else the race proves nothing.
void judge_naive(const Tally& tally);

/// A folder of its own, removed afterwards.
class Base {
 public:
  explicit Base(const std::string& below);
  ~Base();
  Base(const Base&) = delete;
  Base& operator=(const Base&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// An open file whose fate is followed whatever its name is.
class Watched {
 public:
  Watched() = default;
  /// Makes the file.
  Watched(const std::string& path, std::string bytes);
  /// Follows one that is there.
  explicit Watched(const std::string& path);
  ~Watched();
  Watched(Watched&& other) noexcept;
  Watched& operator=(Watched&& other) noexcept;
  [[nodiscard]] ino_t inode() const { return inode_; }
  [[nodiscard]] nlink_t links() const;
  /// It has a name, exactly as many as before, and its bytes.
  [[nodiscard]] bool whole(nlink_t names = 1) const;
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  int descriptor_ = -1;
  ino_t inode_ = 0;
  std::string bytes_;
};

[[nodiscard]] int open_folder(const std::string& path);
/// 0 when there is no such entry. Links are not followed.
[[nodiscard]] ino_t inode_at(int folder, const char* name);
[[nodiscard]] ino_t inode_at(const std::string& path);
/// renameat2 with RENAME_EXCHANGE or RENAME_NOREPLACE; whether it succeeded.
bool exchange(int folder, const char* one, int other_folder, const char* other);
bool move(int from, const char* name, int into, const char* new_name);
/// The number of entries.
[[nodiscard]] std::size_t entries(const std::string& folder);

}  // namespace race
