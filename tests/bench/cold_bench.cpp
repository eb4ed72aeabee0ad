// cold_bench FOLDER [READERS]: the bare loop that `plan` with digests is compared with when nothing
// is in the cache. One thread lists the folders, READERS (16) threads open, read and digest each
// file, so that many reads are in flight. It follows no link, keeps nothing and tells nothing but
// the counts. Dropping the caches before is the caller's business.
#include <charconv>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

#include "remediate/crypto/digest.h"

namespace {

namespace fs = std::filesystem;
constexpr std::size_t max_waiting = 4096;
constexpr unsigned max_readers = 256;

class Loop {
 public:
  bool list(const std::string& folder) {
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error))
      if (at->is_regular_file(error) && !at->is_symlink(error)) push(at->path().string());
    const std::lock_guard lock(mutex_);
    listed_ = true;
    changed_.notify_all();
    return !error;
  }

  void work() {
    std::vector<char> buffer(1 << 16);
    while (auto path = next()) {
      const int fd = ::open(path->c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOATIME);
      if (fd < 0) continue;
      std::size_t filled = 0;
      for (;;) {
        const ssize_t got =
            ::pread(fd, buffer.data() + filled, buffer.size() - filled, static_cast<off_t>(filled));
        if (got <= 0) break;
        filled += static_cast<std::size_t>(got);
        if (filled == buffer.size()) buffer.resize(buffer.size() * 2);
      }
      ::close(fd);
      const std::string digest =
          remediate::crypto::sha256_hex(std::string_view(buffer.data(), filled));
      const std::lock_guard lock(mutex_);
      ++files;
      bytes += filled;
      first_ = std::min(first_, digest);  // so that nothing is left out
    }
  }

  std::uint64_t files = 0;
  std::uint64_t bytes = 0;

 private:
  void push(std::string path) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return waiting_.size() < max_waiting; });
    waiting_.push_back(std::move(path));
    changed_.notify_one();
  }
  std::optional<std::string> next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return listed_ || !waiting_.empty(); });
    if (waiting_.empty()) return std::nullopt;
    std::string path = std::move(waiting_.front());
    waiting_.pop_front();
    if (waiting_.size() == max_waiting - 1) changed_.notify_all();
    return path;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> waiting_;
  bool listed_ = false;
  std::string first_ = "g";
};

}  // namespace

int main(int argc, char** argv) {
  unsigned readers = 16;
  if (argc > 2) {
    const std::string text = argv[2];
    const auto read = std::from_chars(text.data(), text.data() + text.size(), readers);
    if (read.ec != std::errc{}) readers = 0;
  }
  if (argc < 2 || readers < 1 || readers > max_readers) {
    std::fprintf(stderr, "usage: cold_bench FOLDER [READERS (1 to 256)]\n");
    return 64;
  }
  Loop loop;
  bool listed = false;
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < readers; ++i) threads.emplace_back([&loop] { loop.work(); });
    listed = loop.list(argv[1]);
  }
  std::printf("%ju files, %ju bytes\n", static_cast<std::uintmax_t>(loop.files),
              static_cast<std::uintmax_t>(loop.bytes));
  return listed && loop.files > 0 ? 0 : 1;
}
