#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>

namespace remediate::observe {

/// Few threads compute while many wait for the disk. Whoever works has a turn. While the disk is
/// fast it is kept all the time, and the other threads sleep; while it is slow, it is given away
/// before the disk is asked and taken again before anything is done with the answer.
class Turns {
 public:
  using Clock = std::chrono::steady_clock;

  /// `on_slow` is called once, by the thread that first sees that the disk is slow.
  Turns(unsigned count, std::function<void()> on_slow)
      : free_(count), on_slow_(std::move(on_slow)) {}

  [[nodiscard]] bool slow() const { return slow_.load(std::memory_order_relaxed); }

  /// A turn for as long as it lives; blocks until one is free.
  class Turn {
   public:
    explicit Turn(Turns& turns) : turns_(turns) { turns_.take(); }
    ~Turn() { turns_.give_back(); }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    Turns& turns_;
  };

  /// Gives the turn of this thread away for as long as it lives.
  class Rest {
   public:
    explicit Rest(Turns& turns) : turns_(turns) { turns_.give_back(); }
    ~Rest() { turns_.take(); }
    Rest(const Rest&) = delete;
    Rest& operator=(const Rest&) = delete;

   private:
    Turns& turns_;
  };

  /// Around what asks the disk: measures it, and rests meanwhile where that pays.
  class Pause {
   public:
    explicit Pause(Turns& turns) : turns_(turns) { begin(); }
    ~Pause() {
      if (resting_) turns_.take();
    }
    Pause(const Pause&) = delete;
    Pause& operator=(const Pause&) = delete;
    void begin();
    /// `usual`: how long the same may take when nothing has to come from the disk.
    void end(std::chrono::nanoseconds usual);

   private:
    Turns& turns_;
    Clock::time_point start_;
    bool resting_ = false;
  };

 private:
  void take();
  void give_back();
  void note(std::chrono::nanoseconds beyond_usual);

  std::mutex mutex_;
  std::condition_variable freed_;
  unsigned free_;
  std::atomic<std::int64_t> average_{0};  // nanoseconds beyond the usual, of the last ones
  std::atomic<bool> slow_{false};
  std::function<void()> on_slow_;
  std::once_flag told_;
};

}  // namespace remediate::observe
