// regex_bench FOLDER EXPRESSIONS portable|fastest: reads each file with two threads, takes its
// SHA-256 and asks for each expression (a line of the file EXPRESSIONS, (?i) before it ignores the
// case), with RE2 alone or with what the build has. Prints what was found.
#include <atomic>
#include <cstdio>
#include <fstream>

#include "remediate/crypto/digest.h"
#include "remediate/match/regex_matcher.h"
#include "tests/bench/loop.h"

int main(int argc, char** argv) {
  using remediate::match::RegexMatcher;
  const std::string_view engine = argc == 4 ? argv[3] : "";
  if (engine != "portable" && engine != "fastest") {
    std::fprintf(stderr, "usage: regex_bench FOLDER EXPRESSIONS portable|fastest\n");
    return 64;
  }
  RegexMatcher matcher(RegexMatcher::default_memory, engine == "portable"
                                                         ? RegexMatcher::Engines::portable
                                                         : RegexMatcher::Engines::fastest);
  std::vector<std::size_t> numbers;
  std::ifstream file(argv[2]);
  for (std::string line; std::getline(file, line);) {
    remediate::playbook::Condition condition;
    condition.kind = remediate::playbook::Condition::Kind::regex;
    condition.ignore_case = line.starts_with("(?i)");
    condition.pattern = condition.ignore_case ? line.substr(4) : line;
    condition.encodings = {remediate::playbook::Encoding::ascii};
    const auto number = matcher.add(condition);
    if (!number) {
      std::fprintf(stderr, "%s\n", number.error().text().c_str());
      return 1;
    }
    numbers.push_back(*number);
  }
  matcher.prepare_when_worth_it();
  remediate::bench::Loop loop;
  std::atomic<std::uint64_t> found{0};
  std::atomic<std::uint64_t> sum{0};  // so that nothing is left out
  const bool listed = loop.run(argv[1], 2, [&](std::string_view bytes) {
    sum += static_cast<unsigned char>(remediate::crypto::sha256_hex(bytes).front());
    RegexMatcher::Search search(matcher, bytes);
    for (const std::size_t number : numbers)
      if (search.find(number)) ++found;
  });
  std::printf("%ju files, %ju expressions, %ju found, sum %ju\n",
              static_cast<std::uintmax_t>(loop.files), static_cast<std::uintmax_t>(numbers.size()),
              static_cast<std::uintmax_t>(found), static_cast<std::uintmax_t>(sum));
  return listed && loop.files > 0 && !numbers.empty() ? 0 : 1;
}
