#include "remediate/host/process.h"

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace remediate::host {
namespace {

std::atomic<bool>* stop_flag = nullptr;

void on_signal(int number) {
  if (stop_flag->exchange(true)) {
    std::signal(number, SIG_DFL);
    std::raise(number);
  }
}

}  // namespace

bool is_terminal(Stream stream) {
  switch (stream) {
    case Stream::input:
      return isatty(STDIN_FILENO) == 1;
    case Stream::output:
      return isatty(STDOUT_FILENO) == 1;
    case Stream::error:
      return isatty(STDERR_FILENO) == 1;
  }
  return false;
}

void harden_process() {
  for (int descriptor = 0; descriptor <= 2; ++descriptor)
    if (fcntl(descriptor, F_GETFD) < 0 &&
        open("/dev/null", descriptor == 0 ? O_RDONLY : O_WRONLY) < 0)
      std::abort();
  (void)syscall(SYS_close_range, 3u, ~0u, 0u);
  umask(077);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file at its size limit: an error of write, not the end
  for (const char* name :
       {"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "OPENSSL_CONF", "OPENSSL_MODULES",
        "OPENSSL_ENGINES", "LOCPATH", "NLSPATH", "TMPDIR", "TZ", "TZDIR"})
    unsetenv(name);
}

void stop_on_signal(std::atomic<bool>& flag) {
  stop_flag = &flag;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction inherited = {};
    const bool ignored =
        sigaction(number, nullptr, &inherited) == 0 && inherited.sa_handler == SIG_IGN;
    if (!ignored) sigaction(number, &action, nullptr);  // nohup stays in force
  }
}

}  // namespace remediate::host
