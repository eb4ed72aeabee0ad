#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "remediate/host/host.h"
#include "remediate/host/memory/memory_host.h"
#include "remediate/host/posix/posix_host.h"

namespace remediate::contract {

/// A temporary folder of the real file system, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

/// A fresh, empty root of one implementation, and a way to put odd entries into it that
/// the interface cannot create. Paths are relative to the root.
template <host::posix::Resolution resolution>
class PosixWorld {
 public:
  PosixWorld();
  [[nodiscard]] host::Host& host() { return host_; }
  [[nodiscard]] host::Directory& root() { return *root_; }
  [[nodiscard]] std::string root_path() const { return folder_.path(); }
  void plant_link(const std::string& path, const std::string& target);
  /// False where this process may not create that kind.
  [[nodiscard]] bool plant(const std::string& path, FileKind kind);

 private:
  TemporaryFolder folder_;
  host::posix::PosixHost host_{resolution};
  std::unique_ptr<host::Directory> root_;
};

class MemoryWorld {
 public:
  MemoryWorld();
  [[nodiscard]] host::MemoryHost& host() { return host_; }
  [[nodiscard]] host::Directory& root() { return *root_; }
  [[nodiscard]] std::string root_path() const { return "/world"; }
  void plant_link(const std::string& path, const std::string& target);
  [[nodiscard]] bool plant(const std::string& path, FileKind kind);

 private:
  host::MemoryHost host_;
  std::unique_ptr<host::Directory> root_;
};

using KernelWorld = PosixWorld<host::posix::Resolution::kernel>;
using StepwiseWorld = PosixWorld<host::posix::Resolution::stepwise>;

/// The value, or a failed test that shows the error.
template <class T>
T must(Result<T> result);
void must(Result<void> result);
/// The code of a result that has to be an error.
template <class T>
Code code_of(const Result<T>& result);

void make_file(const host::Directory& directory, std::string_view name, std::string_view bytes);
[[nodiscard]] std::string read_file(const host::Directory& directory, std::string_view name);
std::unique_ptr<host::Directory> make_folder(const host::Directory& directory,
                                             std::string_view name);
[[nodiscard]] RawPath path(std::string_view joined);

}  // namespace remediate::contract

#include "tests/contract/host_worlds_inline.h"
