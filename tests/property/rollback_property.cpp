// rollback_property [--cases N | --full] [--seed S] [--workers N] [--fast DIR] [--disk DIR]
//                   [--disk-percent P] [--case SEED] [--self-test]
// Random trees on this machine: plan, apply, roll back, and nothing may differ. What differs is
// told by an independent reader. Not compared, since no program can set them: change and birth
// times. Modification times of folders are promised, and compared, for a rollback of the whole
// run, not for one of its parts.
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string>
#include <vector>

#include "planted_loss.h"
#include "rollback_case.h"

namespace {

using property::Counts;

constexpr std::uint64_t short_form = 1000;
constexpr std::uint64_t full_form = 100'000;

/// What a series of the short form or longer has to have met, or it proves little.
constexpr const char* must_occur[] = {"made: odd name",
                                      "made: name of any bytes",
                                      "made: name of 255 bytes",
                                      "made: set-id bits",
                                      "made: file capability",
                                      "made: access list",
                                      "made: default access list",
                                      "made: user attribute",
                                      "made: large attribute",
                                      "made: trusted attribute",
                                      "made: security attribute",
                                      "made: hard link",
                                      "made: sparse file",
                                      "made: file of several MiB",
                                      "made: path longer than PATH_MAX",
                                      "made: folder above 64 KiB",
                                      "made: 1,001 files of one name",
                                      "made: content dropped many times",
                                      "made: name of a hold",
                                      "made: immutable or append-only flag",
                                      "made: configuration file",
                                      "rolled back from the hold",
                                      "rolled back from the hold, in parts",
                                      "rolled back from sealed objects",
                                      "rolled back from sealed objects, in parts",
                                      "phases interrupted and resumed",
                                      "rollbacks that left privileged files out"};

struct Options {
  property::Series series;
  std::string fast = "/dev/shm";
  std::string disk = std::filesystem::temp_directory_path();
  std::uint64_t disk_percent = 10;
  std::uint64_t one_case = 0;
  bool self_test = false;
};

bool parse(const std::vector<std::string>& words, Options& options) {
  options.series.cases = short_form;
  for (std::size_t at = 0; at < words.size(); ++at) {
    const std::string& word = words[at];
    if (word == "--full") {
      options.series.cases = full_form;
      continue;
    }
    if (word == "--self-test") {
      options.self_test = true;
      continue;
    }
    if (at + 1 == words.size()) return false;
    const std::string& value = words[++at];
    if (word == "--fast") {
      options.fast = value;
    } else if (word == "--disk") {
      options.disk = value;
    } else {
      const std::uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
      if (word == "--disk-percent")
        options.disk_percent = number;
      else if (word == "--case")
        options.one_case = number;
      else if (!property::read_option(word, value, options.series))
        return false;
    }
  }
  if (!std::filesystem::is_directory(options.fast)) options.fast = options.disk;
  return true;
}

int test_the_harness(const Options& options, const property::Keys& keys) {
  Counts counts;
  property::self_test(options.series.seed, 60, options.fast, keys, counts);
  int missing = 0;
  for (const property::Loss& loss : property::losses()) {
    const std::uint64_t caught = counts["caught: " + loss.name];
    std::cout << caught << " caught: " << loss.name << "\n";
    if (caught == 0) ++missing;
  }
  std::cout << "rollback self-test: " << property::losses().size() - static_cast<unsigned>(missing)
            << " of " << property::losses().size() << " kinds of loss planted and seen\n";
  return missing == 0 ? 0 : 1;
}

int run(const Options& options) {
  const property::Keys keys = property::make_keys();
  if (options.self_test) return test_the_harness(options, keys);
  if (options.one_case != 0) {
    Counts counts;
    property::rollback_case(options.one_case, options.fast, keys, counts);
    for (const auto& [name, count] : counts) std::cout << count << " " << name << "\n";
    return 0;
  }
  std::cout << "seed " << options.series.seed << ", " << options.series.cases << " trees, "
            << options.disk_percent << " % of them in " << options.disk << ", the others in "
            << options.fast << std::endl;
  const auto result = property::run_series(options.series, [&](unsigned) {
    return [&](std::uint64_t number, std::uint64_t seed, Counts& counts) {
      const bool on_disk = number * options.disk_percent % 100 < options.disk_percent;
      property::rollback_case(seed, on_disk ? options.disk : options.fast, keys, counts);
    };
  });
  for (const auto& [name, count] : result.counts) std::cout << count << " " << name << "\n";
  std::uint64_t absent = 0;
  if (options.series.cases >= short_form)
    for (const char* const kind : must_occur)
      if (!result.counts.contains(kind)) {
        std::cout << "never met: " << kind << "\n";
        ++absent;
      }
  std::cout << "rollback property: " << result.done << " trees, " << result.failures
            << " not identical, " << absent << " kinds never met, " << result.seconds
            << " seconds\n";
  return result.failures == 0 && absent == 0 && result.done == options.series.cases ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!parse(std::vector<std::string>(argv + 1, argv + argc), options)) {
    std::cerr << "usage: rollback_property [--cases N | --full] [--seed S] [--workers N] [--fast "
                 "DIR] [--disk DIR] [--disk-percent P] [--case SEED] [--self-test]\n";
    return 64;
  }
  return property::run_as_root("rollback_property", [&] { return run(options); });
}
