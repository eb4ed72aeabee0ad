// scan_bench [FILES [FOLDER]]: how long a scan with path indicators takes beside `find FOLDER
// -type f`, and the most memory it needs, for FILES (200,000) files and for a tenth of them.
// Without FOLDER a tree is made in the temporary directory and removed again.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remediate/host/host.h"
#include "remediate/match/engine.h"
#include "remediate/observe/scan.h"

namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t max_files = 5'000'000;
constexpr int repeats = 5;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// Folders of 100 files, 20 of them in each folder above, named as a web root's files are.
bool make_tree(const fs::path& top, std::uint64_t files) {
  static constexpr const char* kinds[] = {".aspx", ".js", ".css", ".png", ".html", ".config"};
  std::error_code error;
  for (std::uint64_t done = 0; done < files;) {
    const std::uint64_t folder = done / 100;
    const fs::path at = top / ("site" + std::to_string(folder / 400)) /
                        ("app" + std::to_string(folder / 20 % 20)) /
                        ("part" + std::to_string(folder % 20));
    fs::create_directories(at, error);
    if (error) return false;
    for (int i = 0; i < 100 && done < files; ++i, ++done) {
      const std::string name = "page_" + std::to_string(done) + kinds[done % 6];
      const int fd = ::open((at / name).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
      if (fd < 0) return false;
      ::close(fd);
    }
  }
  return true;
}

std::uint64_t find_files(const std::string& top) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return 0;
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::execlp("find", "find", top.c_str(), "-type", "f", static_cast<char*>(nullptr));
    ::_exit(127);
  }
  ::close(ends[1]);
  std::vector<char> buffer(1 << 16);
  std::uint64_t lines = 0;
  for (ssize_t got = 0; (got = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
    lines += static_cast<std::uint64_t>(std::count(buffer.begin(), buffer.begin() + got, '\n'));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  return status == 0 ? lines : 0;
}

remediate::playbook::Playbook playbook() {
  using namespace remediate::playbook;
  Playbook made;
  made.id = "playbook--bench";
  Scope scope;
  scope.id = "web";
  scope.include = {"**/*.{aspx,ashx,asmx,asp}", "**/*.php"};
  scope.exclude = {"**/known/**"};
  scope.ignore_case = true;
  made.scopes.push_back(scope);
  const std::vector<std::string> names = {"**/supp0rt.aspx", "**/discover.aspx", "**/shell.aspx",
                                          "**/aspnet_client/**/*.aspx", "**/[0-9a-f]*.ashx"};
  for (const std::string& name : names) {
    Indicator indicator;
    indicator.id = name;
    indicator.scopes = {"web"};
    Condition condition;
    condition.kind = Condition::Kind::path;
    condition.values = {name};
    indicator.match = condition;
    made.indicators.push_back(indicator);
  }
  return made;
}

/// The files a scan saw; 0 when it failed.
std::uint64_t scan_files(const std::string& top) {
  const std::vector<remediate::playbook::Playbook> playbooks{playbook()};
  auto engine = remediate::match::Engine::compile(playbooks, {});
  const auto host = remediate::host::native_host();
  const auto root = host->open_root(top);
  if (!engine || !root) return 0;
  remediate::observe::ScopeInstance scope;
  scope.playbook = "playbook--bench";
  scope.scope = "web";
  scope.spelled = "/";
  scope.ignore_case = true;
  const std::vector<remediate::observe::ScopeInstance> scopes{scope};
  const auto result = remediate::observe::scan(**root, scopes, **engine, {});
  if (!result || !result->issues.empty()) return 0;
  return result->files;
}

/// In a process of its own, so that the most memory is that of one scan.
long scan_peak_kib(const std::string& top) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(scan_files(top) > 0 ? 0 : 1);
  int status = 0;
  rusage usage{};
  if (::wait4(child, &status, 0, &usage) != child || status != 0) return -1;
  return usage.ru_maxrss;
}

bool measure(const std::string& top) {
  std::vector<double> found;
  std::vector<double> scanned;
  const std::uint64_t expected = find_files(top);  // also warms the cache
  for (int i = 0; i < repeats; ++i) {
    auto start = std::chrono::steady_clock::now();
    const std::uint64_t by_find = find_files(top);
    found.push_back(seconds_since(start));
    start = std::chrono::steady_clock::now();
    const std::uint64_t by_scan = scan_files(top);
    scanned.push_back(seconds_since(start));
    if (by_find != expected || by_scan != expected) {
      std::fprintf(stderr, "find saw %ju files, the scan %ju, before it were %ju\n",
                   static_cast<std::uintmax_t>(by_find), static_cast<std::uintmax_t>(by_scan),
                   static_cast<std::uintmax_t>(expected));
      return false;
    }
  }
  std::printf("%9ju files: find %.3f s, scan %.3f s, ratio %.2f, peak %ld KiB\n",
              static_cast<std::uintmax_t>(expected), median(found), median(scanned),
              median(scanned) / median(found), scan_peak_kib(top));
  return true;
}

bool measure_made(std::uint64_t files) {
  std::string top = (fs::temp_directory_path() / "scan-bench-XXXXXX").string();
  if (::mkdtemp(top.data()) == nullptr) return false;
  const bool done = make_tree(top, files) && measure(top);
  std::error_code ignored;
  fs::remove_all(top, ignored);
  return done;
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t files = 200'000;
  if (argc > 1) {
    const std::string text = argv[1];
    const auto read = std::from_chars(text.data(), text.data() + text.size(), files);
    if (read.ec != std::errc{} || files < 10 || files > max_files) {
      std::fprintf(stderr, "usage: scan_bench [FILES (10 to 5000000) [FOLDER]]\n");
      return 64;
    }
  }
  if (argc > 2) return measure(argv[2]) ? 0 : 1;
  return measure_made(files / 10) && measure_made(files) ? 0 : 1;
}
