#include "remediate/observe/turns.h"

#include <algorithm>

namespace remediate::observe {
namespace {

using namespace std::chrono_literals;

/// A disk that takes longer than this is worth two switches between threads.
constexpr std::int64_t slow_from = std::chrono::nanoseconds(40us).count();
/// One call that was interrupted for long must not count for many.
constexpr std::int64_t most_noted = std::chrono::nanoseconds(300us).count();
constexpr std::int64_t remembered = 16;  // calls

}  // namespace

void Turns::take() {
  std::unique_lock lock(mutex_);
  freed_.wait(lock, [this] { return free_ > 0; });
  --free_;
}

void Turns::give_back() {
  {
    const std::lock_guard lock(mutex_);
    ++free_;
  }
  freed_.notify_one();
}

/// Two threads may overwrite each other's note: it is an estimate.
void Turns::note(std::chrono::nanoseconds beyond_usual) {
  const std::int64_t noted = std::clamp<std::int64_t>(beyond_usual.count(), 0, most_noted);
  const std::int64_t before = average_.load(std::memory_order_relaxed);
  const std::int64_t after = before + (noted - before) / remembered;
  average_.store(after, std::memory_order_relaxed);
  const bool is_slow = after > slow_from;
  if (is_slow != slow()) slow_.store(is_slow, std::memory_order_relaxed);
  if (is_slow && on_slow_) std::call_once(told_, on_slow_);
}

void Turns::Pause::begin() {
  resting_ = turns_.slow();
  if (resting_) turns_.give_back();
  start_ = Clock::now();
}

void Turns::Pause::end(std::chrono::nanoseconds usual) {
  const auto took = Clock::now() - start_;
  if (resting_) turns_.take();
  resting_ = false;
  turns_.note(took - usual);
}

}  // namespace remediate::observe
