// A thread that swaps names or folders against a privileged remover. The vault's capture must
// never keep a wrong file and never reach outside; the naive removers beside it must fail in the
// same race, else the race proves nothing.

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "quarantine/vault.h"
#include "remediate/host/host.h"

namespace {

namespace fs = std::filesystem;
using quarantine::NotCaptured;
using remediate::FileId;
using remediate::RawPath;

constexpr auto time_limit = std::chrono::seconds(20);

std::uint64_t wanted_tries() {
  const char* text = std::getenv("REMEDIATE_RACE_TRIES");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20'000;
}

int exchange(const fs::path& a, const fs::path& b) {
  return static_cast<int>(
      syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE));
}

ino_t inode(const fs::path& path) {
  struct stat stat = {};
  return lstat(path.c_str(), &stat) == 0 ? stat.st_ino : 0;
}

/// web/dir/{shell,good}.aspx, web/link -> outside, outside/shell.aspx, and a store beside them.
struct World {
  fs::path base;
  std::unique_ptr<remediate::host::Host> host = remediate::host::native_host();
  std::unique_ptr<remediate::host::Directory> root, store;
  std::unique_ptr<quarantine::Vault> vault;

  World() {
    std::string name = (fs::temp_directory_path() / "race-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    base = name;
    fs::create_directories(base / "web/dir");
    fs::create_directories(base / "outside");
    fs::create_directory_symlink(base / "outside", base / "web/link");
    for (const char* file : {"web/dir/shell.aspx", "web/dir/good.aspx", "outside/shell.aspx"})
      std::ofstream(base / file) << file;
    root = *host->open_root((base / "web").string());
    store = *host->make_root((base / "store").string());
    vault = std::make_unique<quarantine::Vault>(*quarantine::Vault::open(*store, "race"));
  }
  ~World() { fs::remove_all(base); }
};

/// Runs `attack` in a loop until `work` has made its tries or the time is over.
template <class Attack, class Work>
std::uint64_t race(Attack attack, Work work) {
  std::atomic<bool> over{false};
  std::thread attacker([&] {
    while (!over) attack();
  });
  std::uint64_t tries = 0;
  const auto end = std::chrono::steady_clock::now() + time_limit;
  while (tries < wanted_tries() && std::chrono::steady_clock::now() < end) {
    work();
    ++tries;
  }
  over = true;
  attacker.join();
  return tries;
}

struct Count {
  std::uint64_t captured = 0, refused = 0, wrong = 0, lost = 0;
};

/// One removal by the vault, undone at once so that the next try finds the same state.
void capture_once(World& world, const FileId& shell, const remediate::host::Directory& hold,
                  Count& count) {
  auto parent = world.root->open_directory(*RawPath::parse("dir"), remediate::host::Mounts::cross);
  if (!parent) {
    ++count.refused;
    return;
  }
  auto captured = world.vault->capture(**parent, "shell.aspx", shell, hold, "op");
  if (!captured) {
    ++count.refused;
    if (captured.error().kind == NotCaptured::Kind::other_file_held) {
      if (!hold.rename("op", **parent, "shell.aspx")) ++count.lost;
    }
    return;
  }
  ++count.captured;
  auto held = hold.stat_entry("op");
  if (!held || held->id.inode != shell.inode) ++count.wrong;
  if (!hold.rename("op", **parent, "shell.aspx")) ++count.lost;
}

}  // namespace

TEST_CASE("a swapped name is never captured in place of the approved file") {
  World world;
  const FileId shell =
      (*world.root->open_directory(*RawPath::parse("dir"), remediate::host::Mounts::stay))
          ->stat_entry("shell.aspx")
          ->id;
  const ino_t good = inode(world.base / "web/dir/good.aspx");
  auto parent = *world.root->open_directory(*RawPath::parse("dir"), remediate::host::Mounts::stay);
  auto hold = world.vault->make_hold(*parent, "run");
  REQUIRE(hold);
  const auto swap = [&] {
    exchange(world.base / "web/dir/shell.aspx", world.base / "web/dir/good.aspx");
  };

  Count count;
  const std::uint64_t tries =
      race(swap, [&] { capture_once(world, shell, *hold->directory, count); });
  INFO(tries << " tries, " << count.captured << " captured, " << count.refused << " refused");
  CHECK(count.wrong == 0);
  CHECK(count.lost == 0);
  CHECK(count.captured > 0);
  CHECK(count.refused > 0);
  const ino_t a = inode(world.base / "web/dir/shell.aspx"),
              b = inode(world.base / "web/dir/good.aspx");
  CHECK(((a == shell.inode && b == good) || (a == good && b == shell.inode)));

  // The naive way: compare, then act on the name. It must be caught out by the same attacker.
  std::uint64_t naive_wrong = 0;
  const int directory = open((world.base / "web/dir").c_str(), O_DIRECTORY | O_RDONLY);
  race(swap, [&] {
    struct stat stat = {};
    if (fstatat(directory, "shell.aspx", &stat, AT_SYMLINK_NOFOLLOW) != 0 ||
        stat.st_ino != shell.inode)
      return;
    if (renameat(directory, "shell.aspx", directory, "taken") != 0) return;
    if (inode(world.base / "web/dir/taken") != shell.inode) ++naive_wrong;
    renameat(directory, "taken", directory, "shell.aspx");
  });
  close(directory);
  CHECK(naive_wrong > 0);
}

TEST_CASE("a swapped folder never leads outside the root") {
  World world;
  auto parent = *world.root->open_directory(*RawPath::parse("dir"), remediate::host::Mounts::stay);
  const FileId shell = parent->stat_entry("shell.aspx")->id;
  const ino_t outside = inode(world.base / "outside/shell.aspx");
  auto hold = world.vault->make_hold(*parent, "run");
  REQUIRE(hold);
  const auto swap = [&] { exchange(world.base / "web/dir", world.base / "web/link"); };

  Count count;
  const std::uint64_t tries =
      race(swap, [&] { capture_once(world, shell, *hold->directory, count); });
  INFO(tries << " tries, " << count.captured << " captured, " << count.refused << " refused");
  CHECK(count.wrong == 0);
  CHECK(count.lost == 0);
  CHECK(count.captured > 0);
  CHECK(count.refused > 0);
  CHECK(inode(world.base / "outside/shell.aspx") == outside);

  // The naive way: check the real path, then act on the path. Opening stands for the act.
  std::uint64_t escapes = 0;
  const fs::path target = world.base / "web/dir/shell.aspx";
  race(swap, [&] {
    std::error_code error;
    const fs::path real = fs::canonical(target, error);
    if (error || real.string().find("/outside/") != std::string::npos) return;
    const int file = open(target.c_str(), O_RDONLY | O_NOFOLLOW);
    if (file < 0) return;
    struct stat stat = {};
    if (fstat(file, &stat) == 0 && stat.st_ino == outside) ++escapes;
    close(file);
  });
  CHECK(escapes > 0);
}
