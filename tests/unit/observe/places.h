#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>
#include <stdlib.h>

#include "remediate/host/host.h"
#include "remediate/observe/scan.h"

/// A folder that is gone after the test, with what tests put into it.
class Place {
 public:
  Place() {
    std::string name = (std::filesystem::temp_directory_path() / "observe-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
    auto opened = host_->open_root(name);
    REQUIRE(opened.has_value());
    root_ = std::move(*opened);
  }
  ~Place() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

  void folder(const std::string& name) const { std::filesystem::create_directories(path_ / name); }
  void file(const std::string& name, std::string_view content = "content") const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream out(path_ / name, std::ios::binary);
    out.write(content.data(), static_cast<std::streamsize>(content.size()));
    REQUIRE(out.good());
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const remediate::host::Directory& root() const { return *root_; }
  [[nodiscard]] remediate::host::Host& host() const { return *host_; }

 private:
  std::unique_ptr<remediate::host::Host> host_ = remediate::host::native_host();
  std::filesystem::path path_;
  std::unique_ptr<remediate::host::Directory> root_;
};

inline remediate::observe::ScopeInstance scope_at(const std::string& id,
                                                  const std::string& folder) {
  remediate::observe::ScopeInstance scope;
  scope.playbook = "playbook--1";
  scope.scope = id;
  scope.spelled = "/" + folder;
  auto parsed = remediate::RawPath::parse(folder);
  REQUIRE(parsed.has_value());
  scope.folder = *parsed;
  return scope;
}
