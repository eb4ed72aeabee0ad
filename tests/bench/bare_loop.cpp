// bare_loop FOLDER READERS read|digest: the loop that `plan` is compared with. READERS threads open
// and read each file; with `digest` they take its SHA-256 too. Two readers where everything is in
// the cache, 16 where nothing is; dropping the caches before is the caller's business.
#include <atomic>
#include <charconv>
#include <cstdio>

#include "remediate/crypto/digest.h"
#include "tests/bench/loop.h"

int main(int argc, char** argv) {
  using remediate::bench::Loop;
  unsigned readers = 0;
  const std::string count = argc == 4 ? argv[2] : "";
  const std::string_view work = argc == 4 ? argv[3] : "";
  const auto read = std::from_chars(count.data(), count.data() + count.size(), readers);
  if (read.ec != std::errc{} || readers < 1 || readers > Loop::max_readers ||
      (work != "read" && work != "digest")) {
    std::fprintf(stderr, "usage: bare_loop FOLDER READERS (1 to 256) read|digest\n");
    return 64;
  }
  Loop loop;
  std::atomic<std::uint64_t> sum{0};  // so that nothing is left out
  const bool listed = loop.run(argv[1], readers, [&](std::string_view bytes) {
    if (work == "read") {
      sum += bytes.empty() ? 0 : static_cast<unsigned char>(bytes.back());
    } else {
      sum += static_cast<unsigned char>(remediate::crypto::sha256_hex(bytes).front());
    }
  });
  std::printf("%ju files, %ju bytes, sum %ju\n", static_cast<std::uintmax_t>(loop.files),
              static_cast<std::uintmax_t>(loop.bytes), static_cast<std::uintmax_t>(sum));
  return listed && loop.files > 0 ? 0 : 1;
}
