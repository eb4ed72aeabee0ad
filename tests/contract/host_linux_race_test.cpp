// Parents and names are swapped for symbolic links while they are opened.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/contract/host_worlds.h"

using namespace remediate;
using namespace remediate::contract;
using host::Access;
using host::Mounts;

namespace {

/// Swaps two names as fast as it can until it is destroyed.
class Swapper {
 public:
  Swapper(std::string one, std::string two)
      : thread_([this, one = std::move(one), two = std::move(two)] {
          while (!stop_) {
            if (::renameat2(AT_FDCWD, one.c_str(), AT_FDCWD, two.c_str(), RENAME_EXCHANGE) == 0) {
              ++swaps_;
            }
          }
        }) {}
  ~Swapper() {
    stop_ = true;
    thread_.join();
  }
  Swapper(const Swapper&) = delete;
  Swapper& operator=(const Swapper&) = delete;
  [[nodiscard]] std::uint64_t swaps() const { return swaps_; }

 private:
  std::atomic<bool> stop_ = false;
  std::atomic<std::uint64_t> swaps_ = 0;
  std::thread thread_;
};

struct Tally {
  std::uint64_t right = 0;
  std::uint64_t refused = 0;
  std::uint64_t other = 0;
  std::uint64_t escaped = 0;
};

template <class Attempt>
Tally repeat(std::chrono::milliseconds time, Attempt attempt) {
  Tally tally;
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) attempt(tally);
  return tally;
}

}  // namespace

TEMPLATE_TEST_CASE("a parent that is swapped for a link leads nowhere else", "[host][race]",
                   KernelWorld, StepwiseWorld) {
  TestType world;
  const auto web = make_folder(world.root(), "web");
  const auto uploads = make_folder(*web, "uploads");
  const auto safe = make_folder(*uploads, "sub");
  make_file(*safe, "shell.php", "bad");
  const auto outside = make_folder(*make_folder(world.root(), "etc"), "sub");
  make_file(*outside, "shell.php", "precious");
  const FileId precious = must(outside->stat_entry("shell.php")).id;
  const std::string base = world.root_path();
  world.plant_link("web/evil", base + "/etc");
  const auto anchor = must(world.root().open_directory(path("web"), Mounts::stay));

  const Swapper swapper(base + "/web/uploads", base + "/web/evil");
  const std::string by_path = base + "/web/uploads/sub/shell.php";
  const Tally naive = repeat(std::chrono::milliseconds(500), [&](Tally& tally) {
    struct stat facts{};
    const int fd = ::open(by_path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return;
    if (::fstat(fd, &facts) == 0) ++(facts.st_ino == precious.inode ? tally.escaped : tally.right);
    ::close(fd);
  });
  const Tally anchored = repeat(std::chrono::milliseconds(2000), [&](Tally& tally) {
    const auto folder = anchor->open_directory(path("uploads/sub"), Mounts::stay);
    if (!folder) {
      ++(folder.error().code == Code::refused ? tally.refused : tally.other);
      return;
    }
    const auto file = (*folder)->open_file("shell.php", Access::read);
    const auto facts = file ? (*file)->stat() : (*folder)->stat_entry("shell.php");
    ++(facts && facts->id.inode != precious.inode ? tally.right : tally.escaped);
  });
  INFO("naive: " << naive.right << " right, " << naive.escaped
                 << " escaped; anchored: " << anchored.right << " right, " << anchored.refused
                 << " refused, " << anchored.other << " other; " << swapper.swaps() << " swaps");
  CHECK(naive.escaped > 0);  // or this test could not see an escape
  CHECK(anchored.escaped == 0);
  CHECK(anchored.right > 0);
  CHECK(anchored.refused > 0);
}

TEMPLATE_TEST_CASE("a name that is swapped for a link, FIFO or device is never opened",
                   "[host][race]", KernelWorld, StepwiseWorld) {
  TestType world;
  make_file(world.root(), "shell.php", "bad");
  make_file(world.root(), "precious", "precious");
  const FileId shell = must(world.root().stat_entry("shell.php")).id;
  const std::string base = world.root_path();
  const auto kind = GENERATE(FileKind::symlink, FileKind::fifo);
  if (kind == FileKind::symlink) {
    world.plant_link("evil", base + "/precious");
  } else {
    REQUIRE(world.plant("evil", kind));
  }
  const Swapper swapper(base + "/shell.php", base + "/evil");
  const Tally tally = repeat(std::chrono::milliseconds(500), [&](Tally& seen) {
    const auto file = world.root().open_file("shell.php", Access::read);
    if (!file) {
      ++(file.error().code == Code::refused ? seen.refused : seen.other);
      return;
    }
    const auto facts = (*file)->stat();
    ++(facts && facts->id == shell ? seen.right : seen.escaped);
  });
  INFO(tally.right << " right, " << tally.refused << " refused, " << tally.other << " other; "
                   << swapper.swaps() << " swaps");
  CHECK(tally.escaped == 0);
  CHECK(tally.other == 0);
  CHECK(tally.right > 0);
  CHECK(tally.refused > 0);
}
