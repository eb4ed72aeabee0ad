#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace remediate::bench {

/// One thread lists the folders, others open and read each file whole, in the way that is fastest,
/// and do `work` with it: what the tool is compared with. It follows no link, keeps nothing and
/// tells nothing but the counts.
class Loop {
 public:
  static constexpr unsigned max_readers = 256;

  /// `work` takes the bytes of a file, in several threads. False when not everything was listed.
  template <typename Work>
  bool run(const std::string& folder, unsigned readers, const Work& work) {
    std::vector<std::jthread> threads;
    threads.reserve(readers);
    for (unsigned i = 0; i < readers; ++i) threads.emplace_back([&] { read_all(work); });
    return list(folder);
  }

  std::uint64_t files = 0;
  std::uint64_t bytes = 0;

 private:
  static constexpr std::size_t max_waiting = 4096;

  bool list(const std::string& folder) {
    namespace fs = std::filesystem;
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error))
      if (at->is_regular_file(error) && !at->is_symlink(error)) push(at->path().string());
    const std::lock_guard lock(mutex_);
    listed_ = true;
    changed_.notify_all();
    return !error;
  }

  template <typename Work>
  void read_all(const Work& work) {
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
      work(std::string_view(buffer.data(), filled));
      const std::lock_guard lock(mutex_);
      ++files;
      bytes += filled;
    }
  }

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
};

}  // namespace remediate::bench
