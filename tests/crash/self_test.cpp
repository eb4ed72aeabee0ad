#include <array>
#include <cstdio>
#include <filesystem>
#include <functional>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/crash/sweep.h"

namespace crash {
namespace {

namespace fs = std::filesystem;

struct Planted {
  const char* what;
  std::function<void(const Scene&)> damage;
};

std::string place(const Scene& scene, std::size_t target) {
  return scene.tree() + "/" + scene.sample().targets.at(target);
}

/// Writes in place and puts the time back: only the bytes tell.
void change_byte(const std::string& path) {
  struct stat before{};
  if (stat(path.c_str(), &before) != 0) stop("no " + shown(path));
  const int descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  if (descriptor < 0 || pwrite(descriptor, "X", 1, 0) != 1) stop("cannot write " + shown(path));
  const std::array<timespec, 2> times = {before.st_atim, before.st_mtim};
  if (futimens(descriptor, times.data()) != 0) stop("cannot set the time of " + shown(path));
  close(descriptor);
}

const std::vector<Planted>& damages() {
  static const std::vector<Planted> all = {
      {"a lost file", [](const Scene& scene) { fs::remove(place(scene, 0)); }},
      {"a changed byte", [](const Scene& scene) { change_byte(place(scene, 1)); }},
      {"a changed mode", [](const Scene& scene) { chmod(place(scene, 1).c_str(), 0600); }},
      {"a changed time",
       [](const Scene& scene) { utimensat(AT_FDCWD, place(scene, 1).c_str(), nullptr, 0); }},
      {"a lost attribute",
       [](const Scene& scene) { lremovexattr(place(scene, 0).c_str(), "user.origin"); }},
      {"a cut settings file",
       [](const Scene& scene) { fs::resize_file(scene.tree() + "/" + scene.sample().config, 0); }},
      {"a changed neighbour",
       [](const Scene& scene) { change_byte(scene.tree() + "/srv/www/good/index.html"); }},
      {"a lost neighbour",
       [](const Scene& scene) { fs::remove(scene.tree() + "/srv/www/up/pair-c.php"); }},
      {"a leftover", [](const Scene& scene) { write_file(scene.tree() + "/srv/www/.tmp1", "x"); }},
  };
  return all;
}

class SelfTest {
 public:
  explicit SelfTest(const SweepOptions& options) : options_(options) {}

  int run() {
    judge_alone();
    kill_points();
    naive_remover();
    cut_off();
    remove_tree(options_.folder);
    std::printf("%d checks, %d failed\n", checks_, failed_);
    return failed_ == 0 ? 0 : 1;
  }

 private:
  void check(bool good, const std::string& what) {
    ++checks_;
    failed_ += good ? 0 : 1;
    std::printf("%s %s\n", good ? "ok  " : "FAIL", what.c_str());
  }

  std::string fresh() { return options_.folder + "/scene-" + std::to_string(++scenes_); }

  void judge_alone() {
    const Setup setup;
    const Scene whole(setup, fresh());
    check(whole.conserved().empty(), "an untouched tree is good");
    check(differences(whole.before(), snapshot(whole.tree()), true).empty(),
          "an untouched tree is what it was");
    for (const Planted& planted : damages()) {
      const Scene scene(setup, fresh());
      planted.damage(scene);
      check(!scene.conserved().empty(), std::string("the judge sees ") + planted.what);
      check(!differences(scene.before(), snapshot(scene.tree()), true).empty(),
            std::string("the comparison of trees sees ") + planted.what);
    }
    if (geteuid() == 0) {
      const Scene scene(setup, fresh());
      set_flags(place(scene, 2), 0);
      check(!differences(scene.before(), snapshot(scene.tree()), true).empty(),
            "the comparison of trees sees a lost immutable flag");
    }
    const Scene held(setup, fresh());
    fs::create_directories(held.store() + "/hold/run");
    fs::rename(place(held, 0), held.store() + "/hold/run/1");
    check(held.conserved().empty(), "a file in the hold is not lost");
    chmod((held.store() + "/hold/run/1").c_str(), 0600);
    check(!held.conserved().empty(), "a changed mode in the hold is seen");
  }

  /// A call must not happen when the kill comes at its entry, and must have when at its exit.
  void kill_points() {
    const std::string folder = fresh();
    fs::create_directories(folder);
    const std::string file = folder + "/file";
    const Words words = {"/usr/bin/rm", "--", file};
    for (const At at : {At::before_change, At::after_change}) {
      write_file(file, "x");
      const Ended ended = run_traced(words, folder, {.kill = {at, 0}});
      const bool there = fs::exists(file);
      check(ended.killed && ended.code == -1 && ended.where.starts_with("unlinkat"),
            "rm is killed at its unlinkat");
      check(there == (at == At::before_change),
            at == At::before_change ? "not yet removed at the entry" : "removed at the exit");
    }
  }

  void naive_remover() {
    SweepOptions options = options_;
    options.folder = fresh();
    fs::create_directories(options.folder);
    options.steps = {Step::apply, Step::rollback};
    options.same_files = false;  // it copies
    options.time = std::chrono::seconds(100);
    options.quiet = true;
    const SweepResult result = sweep(options);
    std::printf("     naive remover: %llu kills, %llu bad states\n",
                static_cast<unsigned long long>(result.kills),
                static_cast<unsigned long long>(result.bad));
    check(result.kills > 50, "the naive remover was killed often");
    check(result.bad > 0, "the naive remover is found out");
    check(result.bad < result.kills, "not every kill of the naive remover is bad");
  }

  /// A sweep that its bound cuts off shows less than it promises.
  void cut_off() {
    SweepOptions options = options_;
    options.folder = fresh();
    fs::create_directories(options.folder);
    options.steps = {Step::apply};
    options.same_files = false;
    options.time = std::chrono::milliseconds(1);
    options.quiet = true;
    const SweepResult result = sweep(options);
    check(result.skipped > 0, "a millisecond is too short for a sweep");
    check((SweepResult{.kills = 10, .bad = 0, .skipped = 1}.exit_code()) == 1,
          "a sweep that leaves a case out fails");
    check((SweepResult{.kills = 10, .bad = 0, .unreached = 1}.exit_code()) == 1,
          "a sweep with a kill that never came fails");
    check((SweepResult{.kills = 10, .bad = 0, .skipped = 0}.exit_code()) == 0,
          "a whole sweep without a bad state passes");
  }

  const SweepOptions& options_;
  int checks_ = 0, failed_ = 0, scenes_ = 0;
};

}  // namespace

int self_test(const SweepOptions& options) { return SelfTest(options).run(); }

}  // namespace crash
