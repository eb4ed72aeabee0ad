#include "tests/crash/workers.h"

#include <cerrno>
#include <cstdio>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/crash/tree.h"

namespace crash {

void* map_shared(std::size_t size) {
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) stop("no shared memory");
  return memory;
}

void unmap_shared(void* memory, std::size_t size) { munmap(memory, size); }

bool run_workers(unsigned count, const std::function<void(unsigned)>& work) {
  std::vector<pid_t> workers;
  for (unsigned index = 0; index < count; ++index) {
    std::fflush(nullptr);
    const pid_t worker = fork();
    if (worker < 0) stop("cannot fork");
    if (worker == 0) {
      work(index);
      std::fflush(nullptr);
      _exit(0);
    }
    workers.push_back(worker);
  }
  bool well = true;
  for (const pid_t worker : workers) {
    int status = 0;
    while (waitpid(worker, &status, 0) < 0 && errno == EINTR) {
    }
    well = well && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  return well;
}

}  // namespace crash
