#pragma once

#include <cerrno>
#include <utility>

#include <unistd.h>

namespace remediate::host::posix {

/// Owns one file descriptor. close() is called once: after EINTR the descriptor is gone on Linux.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool is_open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Repeats a system call while a signal interrupts it, but not for ever: a kernel or a file system
/// that answers nothing else is an error. Not for close() and not for fsync().
template <class Call>
auto uninterrupted(Call call) {
  constexpr int max_tries = 100;
  for (int tries = 1;; ++tries) {
    const auto result = call();
    if (result != -1 || errno != EINTR || tries == max_tries) return result;
  }
}

}  // namespace remediate::host::posix
