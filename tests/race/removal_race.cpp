// Attackers against a whole removal: names swapped and squatted, the file written to through an
// open descriptor and a shared mapping while it is captured and sealed, a file that comes back at
// once.

#include <algorithm>
#include <filesystem>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "remediate/crypto/digest.h"
#include "tests/race/run_scene.h"

namespace race {
namespace {

using Begin = RunScene::Begin;
using run::test::must;

constexpr std::uint64_t short_form = 100'000;
constexpr std::uint64_t short_form_sealed = 20'000;  // each encrypts
constexpr std::uint64_t opened_again = 16;           // one sealed copy of so many is decrypted
constexpr std::uint64_t records_a_removal = 4;       // intent, captured, sealed, done

Tally tally_of(const char* shape, const std::string& folder, std::uint64_t tries = short_form) {
  Tally tally;
  tally.shape = shape;
  tally.place = filesystem_of(folder);
  tally.wanted = wanted_tries(tries);
  return tally;
}

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

/// Removed with its copy, removed and told, put back and told, or refused: never anything else.
void count(Tally& tally, const RunScene& scene, const run::OperationState& operation) {
  const bool captured = operation.state == run::State::done;
  if (captured) {
    ++(operation.outcome == "respawned" ? tally.held : tally.done);
    if (!scene.shell_is_held()) ++tally.wrong;
  } else if (operation.held) {
    ++tally.held;
  } else {
    const bool moved = has(operation.reason, "put back") || has(operation.reason, "took the name");
    ++(moved ? tally.put_back : tally.refused);
    if (scene.shell_is_held() || operation.reason.empty()) ++tally.wrong;
  }
}

/// Writes other bytes and the right ones again, and sets the time back, from two sides.
class Writer {
 public:
  explicit Writer(const Watched& file)
      : file_(file), evil_(file.bytes().size(), 'x'), pages_(map(file)) {
    struct stat stat = {};
    REQUIRE(fstat(file.descriptor(), &stat) == 0);
    times_[0] = stat.st_atim;
    times_[1] = stat.st_mtim;
  }
  ~Writer() { munmap(pages_, evil_.size()); }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void operator()() {
    ++turn_;
    if (turn_ % 2 == 0) {
      write_all(evil_);
      futimens(file_.descriptor(), times_);
      linger();
      write_all(file_.bytes());
    } else {
      evil_.copy(pages_, evil_.size());
      futimens(file_.descriptor(), times_);
      linger();
      file_.bytes().copy(pages_, evil_.size());
    }
    futimens(file_.descriptor(), times_);
    linger();
  }

 private:
  static char* map(const Watched& file) {
    void* pages = mmap(nullptr, file.bytes().size(), PROT_READ | PROT_WRITE, MAP_SHARED,
                       file.descriptor(), 0);
    REQUIRE(pages != MAP_FAILED);
    return static_cast<char*>(pages);
  }
  void write_all(const std::string& bytes) const {
    (void)!pwrite(file_.descriptor(), bytes.data(), bytes.size(), 0);
  }
  /// Of changing length, so that both contents meet every step of a removal.
  void linger() {
    random_ = random_ * 1'103'515'245u + 12'345u;
    for (unsigned pause = (random_ >> 16) % 200; pause > 0; --pause)
      (void)fcntl(file_.descriptor(), F_GETFD);
  }
  const Watched& file_;
  std::string evil_;
  char* pages_;
  timespec times_[2] = {};
  unsigned turn_ = 0, random_ = 1;
};

void swap_and_squat(const RunScene& scene) {
  exchange(scene.sub, RunScene::name, scene.sub, "good.php");
  for (int times = 0; times < 2; ++times) move(scene.sub, "third.php", scene.sub, RunScene::name);
  move(scene.sub, RunScene::name, scene.sub, "third.php");
}

}  // namespace

TEST_CASE("a removal whose name is swapped and squatted takes no other file") {
  for (const std::string& folder : folders()) {
    RunScene scene(folder, Begin::planned);
    Tally tally = tally_of("removal, name swapped and squatted", folder);
    const auto attempt = [&] {
      scene.remove();
      count(tally, scene, scene.operation());
      if (!scene.shell_to_place()) ++tally.lost;
    };
    const auto settle = [&] {
      scene.settle(tally);
      scene.renew_session();
      scene.session().max_sealed_bytes = 0;
    };
    scene.session().max_sealed_bytes = 0;  // sealing is raced below
    contend(tally,
            {.attack = [&] { swap_and_squat(scene); }, .attempt = attempt, .settle = settle});
    judge(tally);
  }
}

TEST_CASE("what is sealed is what was approved, whoever writes meanwhile") {
  for (const std::string& folder : folders()) {
    RunScene scene(folder, Begin::planned);
    Tally tally =
        tally_of("removal, written to by descriptor and mapping", folder, short_form_sealed);
    tally.wanted = std::min<std::uint64_t>(tally.wanted, 100 * short_form_sealed);
    Writer writer(scene.shell);
    const auto store = scene.world().open_store();
    const run::Recovery recovery = scene.world().recovery();
    const std::string approved = remediate::crypto::sha256_hex(scene.shell.bytes());
    const auto scratch = must(scene.world().host().make_root(scene.at("opened")));
    const auto attempt = [&] {
      scene.remove();
      const run::OperationState& operation = scene.operation();
      count(tally, scene, operation);
      if (operation.state == run::State::done) {
        if (operation.entry.object.empty() || !has(operation.reason, "open for writing"))
          ++tally.wrong;
        if (tally.done % opened_again == 0) {
          const auto copy = must(scratch->create_file("copy", 0600));
          if (!store->vault().unseal(operation.entry.object, approved, *copy, recovery.certificate,
                                     recovery.key))
            ++tally.wrong;
          must(scratch->remove_file("copy"));
        }
      }
      if (!scene.shell_to_place()) ++tally.lost;
    };
    const auto settle = [&] {
      scene.settle(tally);  // the writer leaves the right bytes
      scene.drop_objects();
      scene.renew_session();
    };
    contend(tally, {.attack = std::ref(writer), .attempt = attempt, .settle = settle});
    judge(tally);
    CHECK(tally.put_back > 0);
  }
}

TEST_CASE("a copy that is read a second time is not what was hashed") {
  for (const std::string& folder : folders()) {
    RunScene scene(folder, Begin::planned);
    Tally tally = tally_of("hash first, copy afterwards", folder);
    tally.wanted = 50 * short_form;
    Writer writer(scene.shell);
    const auto attempt = [&] {
      if (!scene.shell.whole()) return;
      ++tally.done;
      if (!scene.shell.whole()) ++tally.wrong;
    };
    contend(tally, {.attack = std::ref(writer), .attempt = attempt, .enough = [&] {
                      return tally.wrong >= 3;
                    }});
    judge_naive(tally);
  }
}

TEST_CASE("a file that comes back at once is told, and nothing goes round") {
  for (const std::string& folder : folders()) {
    RunScene scene(folder, Begin::planned);
    Tally tally = tally_of("removal, file comes back at once", folder);
    const auto respawn = [&] {
      const int file =
          openat(scene.sub, RunScene::name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
      if (file >= 0) close(file);
    };
    const auto attempt = [&] {
      const std::uint64_t before = scene.records();
      scene.remove();
      count(tally, scene, scene.operation());
      if (scene.records() - before > records_a_removal) ++tally.wrong;
      for (int tries = 0; tries < 1'000'000; ++tries) {
        if (inode_at(scene.sub, RunScene::name) == scene.shell.inode()) return;
        unlinkat(scene.sub, RunScene::name, 0);
        move(scene.hold, scene.operation().operation->id.c_str(), scene.sub, RunScene::name);
      }
      ++tally.lost;
    };
    const auto settle = [&] {
      scene.settle(tally);
      scene.renew_session();
      scene.session().max_sealed_bytes = 0;
    };
    scene.session().max_sealed_bytes = 0;
    contend(tally, {.attack = respawn, .attempt = attempt, .settle = settle});
    judge(tally);
    CHECK(tally.refused == 0);
  }
}

}  // namespace race
