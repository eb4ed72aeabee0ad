#include <array>
#include <cstdio>
#include <filesystem>

#include <unistd.h>

#include "tests/crash/errors.h"

namespace crash {
namespace {

struct Planted {
  const char* bug;
  std::set<std::string> calls;  // those that it shows at
};

const std::vector<Planted>& planted() {
  static const std::vector<Planted> all = {
      {"ignores_rename", {"rename"}}, {"ignores_write", {"write"}},
      {"ignores_flush", {"fsync"}},   {"repeats_flush", {"fsync"}},
      {"writes_once", {"write"}},     {"takes_short_for_end", {"read"}},
      {"says_done", {"rename"}},      {"copies", {"rename"}},
      {"cleans_up", {"fsync"}},       {"aborts", {"fchmod"}},
      {"spins", {"write"}},
  };
  return all;
}

}  // namespace

int error_self_test(const ErrorOptions& options) {
  int checks = 0, failed = 0;
  const auto check = [&](bool good, const std::string& what) {
    ++checks;
    failed += good ? 0 : 1;
    std::printf("%s %s\n", good ? "ok  " : "FAIL", what.c_str());
  };
  const auto sweep_of = [&](const std::string& bug, ErrorOptions one) {
    one.folder = options.folder + "/" + bug;
    one.tool = options.folder + "/remover." + bug;
    one.steps = {Step::apply, Step::rollback};
    one.same_files = false;  // it knows no hard links
    one.quiet = bug != "none";
    std::filesystem::create_directories(one.folder);
    std::filesystem::copy_file(options.tool, one.tool);
    const ErrorResult result = error_sweep(one);
    std::printf("     %s: %llu cases, %llu bad\n", bug.c_str(),
                static_cast<unsigned long long>(result.cases),
                static_cast<unsigned long long>(result.bad));
    return result;
  };
  for (const Planted& one : planted()) {
    ErrorOptions narrow = options;
    narrow.calls = one.calls;
    narrow.full = true;
    narrow.until_bad = true;
    narrow.time = std::chrono::seconds(60);
    check(sweep_of(one.bug, narrow).bad > 0, std::string("found: ") + one.bug);
  }
  ErrorOptions cut = options;
  cut.time = std::chrono::milliseconds(1);
  const ErrorResult left = sweep_of("cut", cut);
  check(left.left_out > 0 && left.covered < left.pairs, "a millisecond is too short for a sweep");
  check((ErrorResult{.cases = 9, .covered = 9, .pairs = 9, .left_out = 1}.exit_code()) == 1,
        "a sweep that leaves out what it promises fails");
  check((ErrorResult{.cases = 9, .covered = 8, .pairs = 9}.exit_code()) == 1,
        "a sweep that never met a pair of call and error fails");
  check((ErrorResult{.cases = 9, .covered = 9, .pairs = 9}.exit_code()) == 0,
        "a whole sweep without a bad state passes");
  ErrorOptions wide = options;
  wide.sample_seconds = 40;
  const ErrorResult careful = sweep_of("none", wide);
  check(careful.faults > 30, "the careful remover met many errors");
  check(careful.bad == 0, "nothing is found in the careful remover");
  remove_tree(options.folder);
  std::printf("%d checks, %d failed\n", checks, failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace crash
