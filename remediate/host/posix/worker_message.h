#pragma once

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <poll.h>
#include <unistd.h>

#include "remediate/host/posix/descriptor.h"
#include "remediate/host/workers.h"

namespace remediate::host::posix {

/// What goes over the sockets between the asking process, the nursery that forks workers, and the
/// workers. A socket keeps messages apart, so that a cut one is none.
struct Message {
  enum class Kind : std::uint32_t { prepare, prepared, start, started, kill, ask, answer, ended };
  struct Head {
    Kind kind = Kind::ended;
    std::uint32_t last = 0;  // of an answer: the worker ends now
    std::uint64_t id = 0;    // of a question and its answer; of a slot
    // Length of the content; how a worker ended, as wait() says it; 1 when none could be started.
    std::uint64_t value = 0;
    std::uint64_t milliseconds = 0;
  };
  Head head;
  std::string body;
};

inline bool send(int to, const Message::Head& head, std::string_view body = {}) {
  if (body.size() > max_worker_message) return false;
  std::string whole(reinterpret_cast<const char*>(&head), sizeof head);
  whole += body;
  const ssize_t sent = uninterrupted([&] { return ::write(to, whole.data(), whole.size()); });
  return sent == static_cast<ssize_t>(whole.size());
}

/// Nothing at the end, after an error, and for what is no message.
inline std::optional<Message> receive(int from) {
  std::vector<char> whole(sizeof(Message::Head) + max_worker_message);
  const ssize_t got = uninterrupted([&] { return ::read(from, whole.data(), whole.size()); });
  if (got < static_cast<ssize_t>(sizeof(Message::Head))) return std::nullopt;
  Message message;
  std::memcpy(&message.head, whole.data(), sizeof message.head);
  message.body.assign(whole.data() + sizeof message.head,
                      static_cast<std::size_t>(got) - sizeof message.head);
  return message;
}

/// Whether something can be read before `deadline`.
inline bool readable(int fd, std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd wanted{fd, POLLIN, 0};
    const int found = ::poll(&wanted, 1, static_cast<int>(std::max<long long>(left.count(), 0)));
    if (found > 0) return true;
    if (found == 0 || errno != EINTR) return false;
  }
}

/// The memory through which content reaches a worker, and the socket to it.
struct Slot {
  Descriptor near, far;  // of the asking process; of the nursery and the worker
  char* content = nullptr;
  std::uint64_t size = 0;
};

/// Never returns: prepares, forks workers and waits for them until `control` is closed.
[[noreturn]] void run_nursery(const Work& work, const WorkerLimits& limits,
                              const Descriptor& control, std::vector<Slot>& slots) noexcept;

/// How a worker ends when it has no memory.
inline constexpr int no_memory_left = 99;

}  // namespace remediate::host::posix
