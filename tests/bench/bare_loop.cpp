// bare_loop FOLDER READERS read|digest|search [EXPRESSIONS]: the loop that `plan` is compared with.
// READERS threads open and read each file; with `digest` they take its SHA-256 too, with `search`
// Hyperscan looks besides for all expressions (a line of the file EXPRESSIONS each, (?i) before it
// ignores the case) and nothing is made of what it finds. Two readers where everything is in the
// cache, 16 where nothing is; dropping the caches before is the caller's business.
#include <atomic>
#include <charconv>
#include <cstdio>
#include <fstream>

#include "remediate/crypto/digest.h"
#include "tests/bench/loop.h"

#if defined(REMEDIATE_HAVE_HYPERSCAN)
#include <hs/hs.h>
#endif

namespace {

#if defined(REMEDIATE_HAVE_HYPERSCAN)
hs_database_t* compile(const char* file) {
  std::vector<std::string> lines;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  std::vector<const char*> texts;
  for (const std::string& line : lines) texts.push_back(line.c_str());
  const std::vector<unsigned> flags(lines.size(), HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH);
  std::vector<unsigned> numbers(lines.size());
  for (unsigned number = 0; number < numbers.size(); ++number) numbers[number] = number;
  hs_database_t* made = nullptr;
  hs_compile_error_t* error = nullptr;
  if (hs_compile_multi(texts.data(), flags.data(), numbers.data(),
                       static_cast<unsigned>(texts.size()), HS_MODE_BLOCK, nullptr, &made,
                       &error) != HS_SUCCESS) {
    std::fprintf(stderr, "%s: %s\n", file, error->message);
    return nullptr;
  }
  return made;
}

std::uint64_t search(const hs_database_t* database, std::string_view bytes) {
  thread_local hs_scratch_t* scratch = [&] {  // for as long as the program
    hs_scratch_t* made = nullptr;
    return hs_alloc_scratch(database, &made) == HS_SUCCESS ? made : nullptr;
  }();
  std::uint64_t found = 0;
  const auto count = [](unsigned, unsigned long long, unsigned long long, unsigned, void* to) {
    ++*static_cast<std::uint64_t*>(to);
    return 0;
  };
  if (hs_scan(database, bytes.data(), static_cast<unsigned>(bytes.size()), 0, scratch, count,
              &found) != HS_SUCCESS)
    std::abort();
  return found;
}
#endif

}  // namespace

int main(int argc, char** argv) {
  using remediate::bench::Loop;
  unsigned readers = 0;
  const std::string count = argc >= 4 ? argv[2] : "";
  const std::string_view work = argc >= 4 ? argv[3] : "";
  const auto read = std::from_chars(count.data(), count.data() + count.size(), readers);
  if (read.ec != std::errc{} || readers < 1 || readers > Loop::max_readers ||
      (work != "read" && work != "digest" && work != "search") ||
      argc != (work == "search" ? 5 : 4)) {
    std::fprintf(stderr,
                 "usage: bare_loop FOLDER READERS (1 to 256) read|digest|search [EXPRESSIONS]\n");
    return 64;
  }
#if defined(REMEDIATE_HAVE_HYPERSCAN)
  const hs_database_t* database = work == "search" ? compile(argv[4]) : nullptr;
  if (work == "search" && database == nullptr) return 1;
#else
  if (work == "search") return 69;
#endif
  Loop loop;
  std::atomic<std::uint64_t> sum{0};  // so that nothing is left out
  const bool listed = loop.run(argv[1], readers, [&](std::string_view bytes) {
    if (work == "read") {
      sum += bytes.empty() ? 0 : static_cast<unsigned char>(bytes.back());
      return;
    }
    sum += static_cast<unsigned char>(remediate::crypto::sha256_hex(bytes).front());
#if defined(REMEDIATE_HAVE_HYPERSCAN)
    if (database != nullptr) sum += search(database, bytes);
#endif
  });
  std::printf("%ju files, %ju bytes, sum %ju\n", static_cast<std::uintmax_t>(loop.files),
              static_cast<std::uintmax_t>(loop.bytes), static_cast<std::uintmax_t>(sum));
  return listed && loop.files > 0 ? 0 : 1;
}
