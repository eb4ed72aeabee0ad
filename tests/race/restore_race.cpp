// Attackers against a restore: the folder swapped for a link or for another folder, the name
// squatted or swapped, links planted. Nothing is overwritten, nothing lands elsewhere, and the
// held file stays where it is when it cannot go back.

#include <algorithm>
#include <filesystem>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "tests/race/run_scene.h"

namespace race {
namespace {

namespace fs = std::filesystem;
using Begin = RunScene::Begin;

constexpr std::uint64_t short_form = 100'000;
constexpr std::uint64_t short_form_sealed = 20'000;  // each decrypts and flushes

Tally tally_of(const char* shape, const std::string& folder, std::uint64_t tries = short_form) {
  Tally tally;
  tally.shape = shape;
  tally.place = filesystem_of(folder);
  tally.wanted = wanted_tries(tries);
  return tally;
}

/// There and back, so that between two attacks the folder has its name.
void swap_folders(const RunScene& scene) {
  for (const char* other : {"evil", "decoy"})
    for (int times = 0; times < 2; ++times) exchange(scene.www, "sub", scene.www, other);
}
void squat(const RunScene& scene) {
  move(scene.sub, "third.php", scene.sub, RunScene::name);
  move(scene.sub, RunScene::name, scene.sub, "third.php");
}
void swap_names(const RunScene& scene) {
  exchange(scene.sub, RunScene::name, scene.sub, "good.php");
  squat(scene);
  move(scene.sub, RunScene::name, scene.sub, "good.php");
}
void plant_links(const RunScene& scene) {
  for (const char* other : {"symbolic.php", "hard.php"}) {
    move(scene.sub, other, scene.sub, RunScene::name);
    move(scene.sub, RunScene::name, scene.sub, other);
  }
}

void count(Tally& tally, const RunScene& scene, const run::OperationState& operation) {
  const bool taken = operation.reason.find("taken") != std::string::npos;
  if (operation.outcome == "restored" || operation.outcome == "restored_degraded") {
    ++tally.done;
    if (scene.shell_is_held()) ++tally.wrong;
  } else {
    ++(taken ? tally.held : tally.refused);
    if (operation.outcome == "conflict" && !scene.shell_is_held()) ++tally.wrong;
  }
}

void race_restore(const char* shape, void (*attack)(const RunScene&)) {
  for (const std::string& folder : folders()) {
    RunScene scene(folder, Begin::applied);
    Tally tally = tally_of(shape, folder);
    const run::RollbackOptions options;
    const auto attempt = [&] {
      scene.restore(options);
      count(tally, scene, scene.operation());
      if (!scene.shell_to_hold()) ++tally.lost;
    };
    contend(tally, {.attack = [&] { attack(scene); },
                    .attempt = attempt,
                    .settle =
                        [&] {
                          scene.settle(tally);
                          scene.renew_session();
                        }});
    judge(tally);
  }
}

using Design = void (*)(const RunScene&);

bool looks_right(const RunScene& scene) {
  std::error_code error;
  const fs::path real = fs::canonical(scene.at("target/www/sub"), error);
  return !error && real == fs::path(scene.at("target/www/sub"));
}

bool write_to(const std::string& path, const std::string& bytes) {
  const int file = open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return false;
  const bool written =
      write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
  close(file);
  return written;
}

/// The path is checked, then opened for writing.
void write_by_path_design(const RunScene& scene) {
  if (looks_right(scene) && inode_at(scene.sub, RunScene::name) == 0)
    write_to(scene.at("target/www/sub/shell-b.php"), scene.shell.bytes());
}

/// The path is checked, a file written beside, then renamed over the name.
void rename_over_design(const RunScene& scene) {
  const std::string beside = scene.at("target/www/sub/.restore");
  const std::string path = scene.at("target/www/sub/shell-b.php");
  if (looks_right(scene) && inode_at(scene.sub, RunScene::name) == 0 &&
      write_to(beside, scene.shell.bytes()))
    rename(beside.c_str(), path.c_str());
}

/// Counts and repairs what a naive design did. The attacker goes on meanwhile.
void repair(RunScene& scene, Tally& tally) {
  for (const auto& entry : fs::directory_iterator(scene.at("outside")))
    if (entry.path().filename() != "kept") {
      ++tally.escapes;
      fs::remove(entry.path());
    }
  if (scene.third.links() == 1) {  // the spare name is left
    ++tally.lost;
    // The attacker may have moved what overwrote it to its name.
    while (linkat(AT_FDCWD, scene.at("spare").c_str(), scene.sub, "third.php", 0) != 0)
      unlinkat(scene.sub, "third.php", 0);
  }
  if (!scene.third.whole(2)) {
    ++tally.wrong;
    REQUIRE(ftruncate(scene.third.descriptor(), 0) == 0);
    REQUIRE(pwrite(scene.third.descriptor(), scene.third.bytes().data(), scene.third.bytes().size(),
                   0) > 0);
  }
  unlinkat(scene.sub, ".restore", 0);
  const ino_t placed = inode_at(scene.sub, RunScene::name);
  if (placed != 0 && placed != scene.third.inode()) unlinkat(scene.sub, RunScene::name, 0);
}

void race_naive(const char* shape, Design design, void (*attack)(const RunScene&)) {
  for (const std::string& folder : folders()) {
    RunScene scene(folder, Begin::applied);
    fs::create_hard_link(scene.at("target/www/sub/third.php"), scene.at("spare"));
    Tally tally = tally_of(shape, folder);
    tally.wanted = 50 * short_form;
    contend(tally, {.attack = [&] { attack(scene); },
                    .attempt =
                        [&] {
                          design(scene);
                          repair(scene, tally);
                        },
                    .enough = [&] { return tally.escapes + tally.wrong + tally.lost >= 3; }});
    judge_naive(tally);
  }
}

}  // namespace

TEST_CASE("a restore never goes through a swapped folder") {
  race_restore("restore, folder swapped", swap_folders);
}

TEST_CASE("a restore never overwrites a squatter") {
  race_restore("restore, name squatted", squat);
}

TEST_CASE("a restore whose file is swapped for another tells it") {
  race_restore("restore, name swapped and squatted", swap_names);
}

TEST_CASE("a restore follows no planted link and overwrites none") {
  race_restore("restore, links planted", plant_links);
}

TEST_CASE("a restore from the sealed copy, folder swapped and name squatted") {
  for (const std::string& folder : folders()) {
    RunScene scene(folder, Begin::finalized);
    Tally tally = tally_of("restore of a sealed copy", folder, short_form_sealed);
    tally.wanted = std::min<std::uint64_t>(tally.wanted, 100 * short_form_sealed);
    run::RollbackOptions options;
    options.recovery = scene.world().recovery();
    const auto attempt = [&] {
      scene.restore(options);
      const run::OperationState& operation = scene.operation();
      const bool restored = operation.outcome.starts_with("restored");
      const bool taken = operation.reason.find("taken") != std::string::npos;
      ++(restored ? tally.done : taken ? tally.held : tally.refused);
      const ino_t placed = inode_at(scene.sub, RunScene::name);
      const bool there = placed != 0 && placed != scene.third.inode();
      if (there != restored) ++tally.wrong;
      if (there) {
        if (const Watched copy(scene.at("handle") + "/" + RunScene::name);
            copy.bytes() != std::string(9000, 'b'))
          ++tally.wrong;
        unlinkat(scene.sub, RunScene::name, 0);
      }
    };
    // The folder's name moves; this one leads to it always.
    fs::create_directory_symlink("/proc/self/fd/" + std::to_string(scene.sub), scene.at("handle"));
    const auto attack = [&] {
      swap_folders(scene);
      squat(scene);
    };
    const auto settle = [&] {
      for (const Watched* file : {&scene.good, &scene.third})
        if (!file->whole()) ++tally.lost;
      if (!scene.outside.whole(2) || entries(scene.at("outside")) != 1) ++tally.escapes;
      if (entries(scene.at("target/www/decoy")) != 0) ++tally.wrong;
      scene.renew_session();
    };
    contend(tally, {.attack = attack, .attempt = attempt, .settle = settle});
    judge(tally);
  }
}

TEST_CASE("naive restores are caught by the same attackers") {
  race_naive("restore by path, folder swapped", write_by_path_design, swap_folders);
  race_naive("restore by path, name squatted", write_by_path_design, squat);
  race_naive("rename over, folder swapped", rename_over_design, swap_folders);
  race_naive("rename over, name squatted", rename_over_design, squat);
}

}  // namespace race
