#pragma once

#include <cstdint>
#include <functional>
#include <new>
#include <utility>

/// Many cases, each in a process of its own kind, with what they count in shared memory.
namespace crash {

void* map_shared(std::size_t size);
void unmap_shared(void* memory, std::size_t size);

/// One object that forked workers see. It may hold atomics only.
template <class Tally>
class Shared {
 public:
  Shared() : tally_(new(map_shared(sizeof(Tally))) Tally()) {}
  ~Shared() {
    tally_->~Tally();
    unmap_shared(tally_, sizeof(Tally));
  }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  Tally* operator->() const { return tally_; }
  Tally& operator*() const { return *tally_; }

 private:
  Tally* tally_;
};

/// Forks `count` workers and waits; false when one did not end well.
bool run_workers(unsigned count, const std::function<void(unsigned worker)>& work);

/// A fixed disorder: a sweep that runs out of time has tried something everywhere.
template <class Cases>
void spread(Cases& cases) {
  std::uint64_t state = 0x9e3779b97f4a7c15u;
  for (std::size_t index = cases.size(); index > 1; --index) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    std::swap(cases[index - 1], cases[(state >> 33) % index]);
  }
}

}  // namespace crash
