#include "series.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "random.h"

namespace property {
namespace {

constexpr std::uint64_t max_failures = 10;

/// Seen by the parent even when the worker dies.
struct Shared {
  std::uint64_t seed = 0;
  std::uint64_t done = 0;
  std::uint64_t failures = 0;
};

struct Child {
  pid_t process = -1;
  int results = -1;
  Shared* shared = nullptr;
};

void work(const Series& series, unsigned worker, Shared& shared, int results,
          const std::function<void(std::uint64_t, std::uint64_t, Counts&)>& run_case) {
  Counts counts;
  for (std::uint64_t number = series.first + worker; number < series.first + series.cases;
       number += series.workers) {
    shared.seed = case_seed(series.seed, number);
    try {
      run_case(number, shared.seed, counts);
    } catch (const std::exception& error) {
      ++shared.failures;
      std::string text = "FAILED case " + std::to_string(number) + ", --case " +
                         std::to_string(shared.seed) + ": " + error.what() + "\n";
      std::cerr << text << std::flush;
      if (shared.failures >= max_failures) break;
    }
    ++shared.done;
  }
  std::ostringstream text;
  for (const auto& [name, count] : counts) text << count << " " << name << "\n";
  const std::string bytes = text.str();
  std::size_t at = 0;
  while (at < bytes.size()) {
    const ssize_t wrote = ::write(results, bytes.data() + at, bytes.size() - at);
    if (wrote <= 0) ::_exit(3);
    at += static_cast<std::size_t>(wrote);
  }
}

void collect(int results, Counts& counts) {
  std::string bytes;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(results, buffer, sizeof buffer)) > 0;)
    bytes.append(buffer, static_cast<std::size_t>(got));
  std::istringstream lines(bytes);
  std::uint64_t count = 0;
  for (std::string name; lines >> count && std::getline(lines >> std::ws, name);)
    counts[name] += count;
}

}  // namespace

SeriesResult run_series(
    const Series& series,
    const std::function<std::function<void(std::uint64_t, std::uint64_t, Counts&)>(unsigned)>&
        make_worker) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<Child> children;
  for (unsigned worker = 0; worker < series.workers; ++worker) {
    Child child;
    int ends[2] = {-1, -1};
    void* const memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || ::pipe(ends) != 0) throw std::runtime_error("no worker");
    child.shared = new (memory) Shared;
    child.process = ::fork();
    if (child.process < 0) throw std::runtime_error("no process for a worker");
    if (child.process == 0) {
      ::close(ends[0]);
      int status = 0;
      try {
        work(series, worker, *child.shared, ends[1], make_worker(worker));
      } catch (const std::exception& error) {
        std::cerr << "worker " << worker << ": " << error.what() << "\n";
        status = 3;
      }
      std::fflush(nullptr);
      ::_exit(status);
    }
    ::close(ends[1]);
    child.results = ends[0];
    children.push_back(child);
  }
  SeriesResult result;
  for (const Child& child : children) {
    collect(child.results, result.counts);
    int status = 0;
    ::waitpid(child.process, &status, 0);
    result.done += child.shared->done;
    result.failures += child.shared->failures;
    if (status != 0) {
      ++result.failures;
      std::cerr << "FAILED a worker died (wait status " << status << ") in --case "
                << child.shared->seed << "\n";
    }
    ::close(child.results);
  }
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

bool read_option(const std::string& word, const std::string& value, Series& series) {
  const std::uint64_t number = std::strtoull(value.c_str(), nullptr, 10);
  if (word == "--cases")
    series.cases = number;
  else if (word == "--seed")
    series.seed = number;
  else if (word == "--workers" && number > 0 && number <= 64)
    series.workers = static_cast<unsigned>(number);
  else
    return false;
  return true;
}

int run_as_root(const std::string& program, const std::function<int()>& run) {
  if (::geteuid() != 0) {
    std::cerr << program << ": needs root: owners, trusted attributes, flags, mounts\n";
    return 77;
  }
  try {
    return run();
  } catch (const std::exception& error) {
    std::cerr << program << ": " << error.what() << "\n";
    return 1;
  }
}

}  // namespace property
