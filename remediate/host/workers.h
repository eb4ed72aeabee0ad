#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "remediate/base/error.h"

namespace remediate::host {

/// Work on what an attacker may have written, by code that may hang, use up memory or crash.
struct Work {
  struct Answer {
    std::string bytes;
    bool last = false;  // the process is not trusted again: another one takes its place
  };
  /// Runs once there, before the walls and before anything hostile: what libraries read at their
  /// start. May be empty.
  std::function<void()> begin{};
  /// Runs where the workers come from: what it makes they all have. The answer is handed back.
  std::function<std::string(std::string_view bytes)> prepare;
  /// Runs in a worker. Bytes and lengths are as given to ask().
  std::function<Answer(std::string_view request, std::string_view content)> answer;
};

struct WorkerLimits {
  unsigned workers = 2;                     // at work at the same time
  std::uint64_t max_content = 256u << 20;   // bytes of one piece of content
  std::uint64_t max_memory = 128u << 20;    // bytes that a worker may have besides what is prepared
  std::uint64_t max_prepared = 512u << 20;  // bytes of memory that prepare() may take
  std::chrono::milliseconds prepare_within{60'000};
  unsigned max_ends = 200;  // workers that ended in the middle of their work; after these no more
};

/// Processes that are forked from one that did the preparation, each at one question. They have no
/// files, no environment to change and no way to open, start or reach anything: only memory, time
/// and the question. They end with the process that started them.
class Workers {
 public:
  virtual ~Workers() = default;
  Workers() = default;
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Not after the first ask(), and by one thread. limit when it took too long or too much memory:
  /// there are no workers any more then.
  [[nodiscard]] virtual Result<std::string> prepare(std::string_view bytes) = 0;
  /// By any thread; waits when all are at work. limit when the worker took longer than `within`,
  /// used up its memory or ended, when the content is too long, and when too many workers have
  /// ended: the message says which. What comes back may be the attacker's.
  [[nodiscard]] virtual Result<std::string> ask(std::string_view request, std::string_view content,
                                                std::chrono::milliseconds within) = 0;
};

/// A request and an answer have at most this many bytes.
inline constexpr std::size_t max_worker_message = 128u << 10;

/// Only in a process with one thread, and before it confines itself; the workers may be asked from
/// a child of it that is confined. unsupported where the system has no such processes.
[[nodiscard]] Result<std::unique_ptr<Workers>> start_workers(const Work& work,
                                                             const WorkerLimits& limits);

}  // namespace remediate::host
