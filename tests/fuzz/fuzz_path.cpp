#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "remediate/base/encoding.h"
#include "remediate/host/host.h"
#include "remediate/observe/scan.h"

namespace {

using remediate::RawPath;
namespace fs = std::filesystem;

void require(bool holds) {
  if (!holds) std::abort();
}

/// A small tree with names that differ in case only, and a link that leads out of it.
class Tree {
 public:
  Tree() {
    std::string pattern = (fs::temp_directory_path() / "fuzz-path.XXXXXX").string();
    require(mkdtemp(pattern.data()) != nullptr);
    place_ = pattern;
    for (const char* folder : {"Windows/System32", "windows", "ProgramData/x y", "var/www", "%a%"})
      fs::create_directories(place_ / folder);
    fs::create_directory_symlink("/", place_ / "out");
    host_ = remediate::host::native_host();
    root_ = std::move(*host_->open_root(place_.string()));
  }
  ~Tree() {
    std::error_code ignored;
    fs::remove_all(place_, ignored);
  }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  [[nodiscard]] const remediate::host::Directory& root() const { return *root_; }

 private:
  fs::path place_;
  std::unique_ptr<remediate::host::Host> host_;
  std::unique_ptr<remediate::host::Directory> root_;
};

void check_path(std::string_view text) {
  const auto path = RawPath::parse(text);
  if (!path) return;
  require(path->bytes() == text);
  RawPath again;
  for (const std::string_view name : path->components()) {
    require(!name.empty() && name != "." && name != ".." && name.size() <= 255);
    require(name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos);
    const auto child = again.child(name);
    require(child.has_value() && child->within(again) && child->parent() == again);
    again = *child;
  }
  require(again == *path);
  require(remediate::is_utf8(path->display()));
}

void check_places(const Tree& tree, const remediate::observe::Spelled& spelled,
                  const remediate::observe::Variables& variables) {
  std::vector<remediate::observe::Issue> issues;
  const auto places = remediate::observe::locate(tree.root(), spelled, variables, &issues);
  if (!places) return;
  for (const RawPath& place : *places) {
    require(RawPath::parse(place.bytes()).has_value());
    const std::vector<std::string_view> names = place.components();
    require(names.size() < 2 || names.front() != "out");
    if (!place.is_root())
      require((*tree.root().open_directory(place.parent(), remediate::host::Mounts::stay))
                  ->stat_entry(place.name())
                  .has_value());
  }
}

}  // namespace

/// The first line is a path as a playbook spells it, the rest a value of its variable %x%.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Tree tree;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view text = input.substr(0, input.find('\n'));
  const std::string_view value = input.substr(std::min(input.size(), text.size() + 1));
  check_path(input);
  check_path(text);
  const remediate::observe::Variables variables{{{"x", {std::string(value), "/var"}}}};
  for (const bool windows : {false, true})
    check_places(tree, {std::string(text), windows}, variables);
  return 0;
}
