// Attackers against the vault's capture: folders and names swapped, the name squatted, links
// planted. What is in the hold must be the approved file or be told; what is outside is untouched.

#include <filesystem>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "quarantine/vault.h"
#include "remediate/host/host.h"
#include "tests/race/race.h"

namespace race {
namespace {

namespace fs = std::filesystem;
using quarantine::NotCaptured;
using remediate::FileId;
using remediate::RawPath;

constexpr std::uint64_t short_form = 100'000;
constexpr int patience = 10'000'000;  // tries to undo what was done, so that the next can begin

/// web/dir with shell, good and third; web/link -> outside; outside/shell.aspx; a store beside.
struct World {
  Base base;
  Watched shell, good, third, outside;
  std::unique_ptr<remediate::host::Host> host = remediate::host::native_host();
  std::unique_ptr<remediate::host::Directory> root, store, parent;
  std::unique_ptr<quarantine::Vault> vault;
  std::unique_ptr<remediate::host::Directory> hold;
  FileId approved;
  int web = -1, dir = -1, held = -1;

  explicit World(const std::string& below) : base(below) {
    fs::create_directories(at("web/dir"));
    fs::create_directories(at("outside"));
    fs::create_directory_symlink(at("outside"), at("web/link"));
    shell = Watched(at("web/dir/shell.aspx"), "the approved file\n");
    good = Watched(at("web/dir/good.aspx"), "a good file\n");
    third = Watched(at("web/dir/third.aspx"), "another good file\n");
    outside = Watched(at("outside/shell.aspx"), "outside the root\n");
    root = *host->open_root(at("web"));
    store = *host->make_root(at("store"));
    vault = std::make_unique<quarantine::Vault>(*quarantine::Vault::open(*store, "race"));
    parent = *root->open_directory(*RawPath::parse("dir"), remediate::host::Mounts::stay);
    approved = parent->stat_entry("shell.aspx")->id;
    hold = std::move(vault->make_hold(*parent, "run")->directory);
    web = open_folder(at("web"));
    dir = open_folder(at("web/dir"));
    held = open_folder(at("store/hold/run"));
  }
  ~World() {
    for (const int folder : {web, dir, held}) close(folder);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  [[nodiscard]] std::string at(const char* below) const { return base.path() + "/" + below; }

  /// What the tool does for one file: folder resolved anew, file opened, captured by its name.
  std::expected<void, NotCaptured::Kind> capture() const {
    auto folder = root->open_directory(*RawPath::parse("dir"), remediate::host::Mounts::cross);
    if (!folder) return std::unexpected(NotCaptured::Kind::failed);
    auto captured = vault->capture(**folder, "shell.aspx", approved, *hold, "op");
    if (!captured) return std::unexpected(captured.error().kind);
    return {};
  }

  /// One try, undone at once so that the next finds the same state.
  void attempt(Tally& tally) const {
    const auto captured = capture();
    if (captured) {
      ++tally.done;
      if (inode_at(held, "op") != shell.inode()) count_wrong(tally);
      give_back(tally);
    } else if (captured.error() == NotCaptured::Kind::other_file_held) {
      ++tally.held;
      if (inode_at(held, "op") == shell.inode() || inode_at(held, "op") == 0) ++tally.wrong;
      give_back(tally);
    } else {
      ++(captured.error() == NotCaptured::Kind::other_file_put_back ? tally.put_back
                                                                    : tally.refused);
      if (inode_at(held, "op") != 0) ++tally.wrong;
    }
  }

  void count_wrong(Tally& tally) const {
    ++(inode_at(held, "op") == outside.inode() ? tally.escapes : tally.wrong);
  }

  /// Through the folder's own handle: its name may lead elsewhere by now.
  void give_back(Tally& tally) const {
    for (int tries = 0; tries < patience; ++tries)
      if (move(held, "op", dir, "shell.aspx")) return;
    ++tally.lost;
  }

  /// Nothing moves now: every file has its name and its bytes, and outside is as it was.
  void settle(Tally& tally, nlink_t outside_names = 1) const {
    for (const Watched* file : {&shell, &good, &third})
      if (!file->whole()) ++tally.lost;
    if (entries(at("store/hold/run")) != 0) ++tally.lost;
    if (!outside.whole(outside_names) || entries(at("outside")) != 1 ||
        inode_at(at("outside/shell.aspx")) != outside.inode())
      ++tally.escapes;
  }
};

void swap_folders(const World& world) { exchange(world.web, "dir", world.web, "link"); }
void swap_names(const World& world) { exchange(world.dir, "shell.aspx", world.dir, "good.aspx"); }

Tally tally_of(const char* shape, const std::string& folder) {
  Tally tally;
  tally.shape = shape;
  tally.place = filesystem_of(folder);
  tally.wanted = wanted_tries(short_form);
  return tally;
}

/// A second name for every file, so that what a naive design unlinks can be put back.
struct Spares {
  const World& world;
  explicit Spares(const World& of) : world(of) {
    fs::create_directory(world.at("spare"));
    fs::create_hard_link(world.at("web/dir/shell.aspx"), world.at("spare/shell"));
    fs::create_hard_link(world.at("web/dir/good.aspx"), world.at("spare/good"));
    fs::create_hard_link(world.at("outside/shell.aspx"), world.at("spare/outside"));
  }
  void put_back(Tally& tally) const {
    if (world.outside.links() == 1) {
      ++tally.escapes;
      fs::create_hard_link(world.at("spare/outside"), world.at("outside/shell.aspx"));
    }
    if (world.good.links() == 1) {
      ++tally.wrong;
      REQUIRE(linkat(AT_FDCWD, world.at("spare/good").c_str(), world.dir, "shell.aspx", 0) == 0);
    }
    if (world.shell.links() == 1) {
      ++tally.done;
      REQUIRE(linkat(AT_FDCWD, world.at("spare/shell").c_str(), world.dir, "shell.aspx", 0) == 0);
    }
  }
};

/// V0: the real path is below the root, so the path is unlinked. It knows no inode: `approved`
/// stands for what somebody looked at before.
void path_prefix_design(const World& world) {
  const std::string path = world.at("web/dir/shell.aspx");
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error || !real.string().starts_with(world.at("web") + "/")) return;
  if (inode_at(path) == world.shell.inode()) unlink(path.c_str());
}

/// V1: opened without following, the inode compared, then the path is unlinked.
void open_and_compare_design(const World& world) {
  const std::string path = world.at("web/dir/shell.aspx");
  const int file = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return;
  struct stat stat = {};
  const bool approved = fstat(file, &stat) == 0 && stat.st_ino == world.shell.inode();
  if (approved) unlink(path.c_str());
  close(file);
}

/// V2: a folder handle that leads nowhere else, the inode compared, then unlinked there.
void folder_handle_design(const World& world) {
  if (inode_at(world.dir, "shell.aspx") == world.shell.inode())
    unlinkat(world.dir, "shell.aspx", 0);
}

void race_naive(const char* shape, void (*design)(const World&), void (*attack)(const World&)) {
  for (const std::string& folder : folders()) {
    const World world(folder);
    const Spares spares(world);
    Tally tally = tally_of(shape, folder);
    tally.wanted = 50 * short_form;
    contend(tally, {.attack = [&] { attack(world); },
                    .attempt =
                        [&] {
                          design(world);
                          spares.put_back(tally);
                        },
                    .enough = [&] { return tally.escapes + tally.wrong >= 3; }});
    judge_naive(tally);
  }
}

}  // namespace

TEST_CASE("a swapped folder never leads a capture outside the root") {
  for (const std::string& folder : folders()) {
    const World world(folder);
    Tally tally = tally_of("capture, folder swapped for a link", folder);
    contend(tally, {.attack = [&] { swap_folders(world); },
                    .attempt = [&] { world.attempt(tally); },
                    .settle = [&] { world.settle(tally); }});
    judge(tally);
  }
}

TEST_CASE("a swapped name is never captured in place of the approved file") {
  for (const std::string& folder : folders()) {
    const World world(folder);
    Tally tally = tally_of("capture, name swapped", folder);
    contend(tally, {.attack = [&] { swap_names(world); },
                    .attempt = [&] { world.attempt(tally); },
                    .settle = [&] { world.settle(tally); }});
    judge(tally);
    CHECK(tally.put_back > 0);
  }
}

TEST_CASE("a squatter that blocks the put-back loses nobody's file") {
  for (const std::string& folder : folders()) {
    const World world(folder);
    Tally tally = tally_of("capture, name swapped and squatted", folder);
    const auto squat = [&] {
      swap_names(world);
      move(world.dir, "third.aspx", world.dir, "shell.aspx");
      move(world.dir, "third.aspx", world.dir, "shell.aspx");
      move(world.dir, "shell.aspx", world.dir, "third.aspx");
    };
    contend(tally, {.attack = squat,
                    .attempt = [&] { world.attempt(tally); },
                    .settle = [&] { world.settle(tally); }});
    judge(tally);
    CHECK(tally.held > 0);
  }
}

TEST_CASE("links planted in place of the file are never taken for it") {
  for (const std::string& folder : folders()) {
    const World world(folder);
    fs::create_symlink(world.at("outside/shell.aspx"), world.at("web/dir/symbolic.aspx"));
    fs::create_hard_link(world.at("outside/shell.aspx"), world.at("web/dir/hard.aspx"));
    Tally tally = tally_of("capture, hard and symbolic links planted", folder);
    const auto plant = [&] {
      exchange(world.dir, "shell.aspx", world.dir, "symbolic.aspx");
      exchange(world.dir, "shell.aspx", world.dir, "hard.aspx");
    };
    contend(tally, {.attack = plant,
                    .attempt = [&] { world.attempt(tally); },
                    .settle = [&] { world.settle(tally, 2); }});
    judge(tally);
    CHECK(tally.put_back > 0);
  }
}

TEST_CASE("a race that ends early is not a whole one") {
  Tally tally = tally_of("nothing", "/");
  tally.wanted = 1000;
  contend(tally, {.attack = [] {}, .attempt = [] {}, .enough = [&] { return tally.tries >= 900; }});
  CHECK(tally.tries == 900);
  CHECK_FALSE(tally.whole());
  contend(tally, {.attack = [] {}, .attempt = [] {}});
  CHECK(tally.whole());
}

TEST_CASE("naive removers are caught by the same attackers") {
  race_naive("V0 path prefix, folder swapped", path_prefix_design, swap_folders);
  race_naive("V1 open and compare, folder swapped", open_and_compare_design, swap_folders);
  race_naive("V0 path prefix, name swapped", path_prefix_design, swap_names);
  race_naive("V1 open and compare, name swapped", open_and_compare_design, swap_names);
  race_naive("V2 folder handle, name swapped", folder_handle_design, swap_names);
}

}  // namespace race
