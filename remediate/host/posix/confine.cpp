#include "remediate/host/confine.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "remediate/base/try.h"
#include "remediate/host/posix/descriptor.h"
#include "remediate/host/posix/errors.h"
#include "remediate/host/posix/walls.h"

namespace remediate::host {
namespace {

using posix::Descriptor;

constexpr int unconfined = 100;  // how the child ends when the walls could not be put up
constexpr int unfinished = 101;  // when its product could not be handed out

std::unexpected<Error> cannot(std::string_view what) {
  return std::unexpected(
      Error{.code = Code::io,
            .message = "cannot confine: " + std::string(what) + ": " + posix::errno_text(errno),
            .remedy = "`--no-sandbox` works without",
            .os_error = errno});
}

bool write_all(int to, const char* bytes, std::size_t length) {
  while (length != 0) {
    const ssize_t sent = posix::uninterrupted([&] { return ::write(to, bytes, length); });
    if (sent <= 0) return false;
    bytes += sent;
    length -= static_cast<std::size_t>(sent);
  }
  return true;
}

// The product on its way: code, count; for each output its length, or `absent`; then the bytes.
constexpr std::uint64_t absent = ~0ull;

bool hand_out(int to, const Product& product) {
  std::vector<std::uint64_t> head{static_cast<std::uint64_t>(product.code), product.outputs.size()};
  for (const auto& output : product.outputs) head.push_back(output ? output->size() : absent);
  if (!write_all(to, reinterpret_cast<const char*>(head.data()), head.size() * sizeof head[0]))
    return false;
  for (const auto& output : product.outputs)
    if (output && !write_all(to, output->data(), output->size())) return false;
  return true;
}

class Parcel {
 public:
  explicit Parcel(std::string_view bytes) : bytes_(bytes) {}
  std::optional<std::uint64_t> number() {
    std::uint64_t value = 0;
    if (bytes_.size() - at_ < sizeof value) return std::nullopt;
    std::memcpy(&value, bytes_.data() + at_, sizeof value);
    at_ += sizeof value;
    return value;
  }
  std::optional<std::string> text(std::uint64_t length) {
    if (length > bytes_.size() - at_) return std::nullopt;
    std::string taken(bytes_.substr(at_, static_cast<std::size_t>(length)));
    at_ += taken.size();
    return taken;
  }
  [[nodiscard]] bool done() const { return at_ == bytes_.size(); }

 private:
  std::string_view bytes_;
  std::size_t at_ = 0;
};

/// Nothing when it is not of the form: whoever wrote it may be the attacker.
std::optional<Product> unpack(Parcel parcel) {
  constexpr std::uint64_t max_outputs = 64;
  const auto code = parcel.number();
  const auto count = parcel.number();
  if (!code || *code > 255 || !count || *count > max_outputs) return std::nullopt;
  std::vector<std::uint64_t> lengths;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto length = parcel.number();
    if (!length) return std::nullopt;
    lengths.push_back(*length);
  }
  Product product{.code = static_cast<int>(*code), .outputs = {}};
  for (const std::uint64_t length : lengths) {
    product.outputs.emplace_back();
    if (length == absent) continue;
    product.outputs.back() = parcel.text(length);
    if (!product.outputs.back()) return std::nullopt;
  }
  if (!parcel.done()) return std::nullopt;
  return product;
}

Result<std::vector<char>> bytes_of(int from) {
  struct stat facts = {};
  if (::fstat(from, &facts) != 0) return cannot("looking at the result");
  const auto size = static_cast<std::uint64_t>(facts.st_size);
  if (size > max_product_bytes)
    return fail(Code::limit,
                "the result has more than " + std::to_string(max_product_bytes) + " bytes");
  std::vector<char> bytes(static_cast<std::size_t>(size));
  for (std::size_t filled = 0; filled < bytes.size();) {
    const ssize_t length = posix::uninterrupted([&] {
      return ::pread(from, bytes.data() + filled, bytes.size() - filled,
                     static_cast<off_t>(filled));
    });
    if (length <= 0) return cannot("reading the result");
    filled += static_cast<std::size_t>(length);
  }
  return bytes;
}

Result<Product> take_out(int from) {
  TRY_LET(const std::vector<char> bytes, bytes_of(from));
  auto product = unpack(Parcel({bytes.data(), bytes.size()}));
  if (!product)
    return fail(Code::internal, "the confined process handed out something that is no result",
                "treat what was read as an attack on this tool, and report it");
  return std::move(*product);
}

[[noreturn]] void work_and_end(const std::function<Product(const Confinement&)>& work,
                               const Descriptor& result) noexcept {
  const auto walls = confine();
  if (!walls) {
    const std::string why = walls.error().text();
    (void)write_all(result.get(), why.data(), why.size());
    ::_exit(unconfined);
  }
  const bool handed = hand_out(result.get(), work(*walls));
  std::fflush(stderr);
  // Not exit(): its handlers belong to the process that goes on.
  ::_exit(handed ? 0 : unfinished);
}

std::unexpected<Error> odd_end(int status, int result) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == unconfined) {
    const auto why = bytes_of(result).value_or(std::vector<char>());
    return fail(Code::unsupported,
                "no confined process could be started: " + std::string(why.begin(), why.end()),
                "`--no-sandbox` works without");
  }
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
    return fail(Code::refused,
                "the confined process was ended because it made a forbidden system call",
                "treat what was read as an attack on this tool: keep it, look at the kernel's "
                "audit log for the call, and report both");
  const std::string how = WIFSIGNALED(status)
                              ? "signal " + std::to_string(WTERMSIG(status))
                              : "exit " + std::to_string(WEXITSTATUS(status)) + " without a result";
  return fail(Code::io, "the confined process ended early (" + how + "); there is no result",
              "look for a lack of memory in the kernel log; else report it");
}

}  // namespace

Result<Confinement> confine() {
  // Landlock holds for the calling thread and those that it starts.
  struct stat threads = {};
  if (::stat("/proc/self/task", &threads) == 0 && threads.st_nlink > 3)
    return fail(Code::internal, "a process can only be confined before it starts threads");
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return cannot("giving up new privileges");
  Confinement walls;
  const bool by_path = posix::landlock_judges_truncation();
  TRY_LET(const posix::Lacking no_landlock, posix::forbid_file_changes());
  TRY_LET(const posix::Lacking no_filter, posix::limit_system_calls(!no_landlock && by_path));
  if (no_landlock) walls.missing.push_back(*no_landlock);
  if (no_filter) walls.missing.push_back(*no_filter);
  return walls;
}

Result<Product> run_confined(const std::function<Product(const Confinement& walls)>& work) {
  const Descriptor result(::memfd_create("result", MFD_CLOEXEC));
  if (!result.is_open()) return cannot("making room for the result");
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return cannot("starting a process");
  if (child == 0) {
    if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || ::getppid() != parent) ::_exit(unconfined);
    work_and_end(work, result);
  }
  int status = 0;
  if (posix::uninterrupted([&] { return ::waitpid(child, &status, 0); }) != child)
    return cannot("waiting for the confined process");
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) return odd_end(status, result.get());
  return take_out(result.get());
}

}  // namespace remediate::host
