// Files that are too large to be in memory.
#include <functional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "places.h"
#include "remediate/base/try.h"
#include "remediate/host/memory/memory_host.h"

using namespace remediate;
using namespace remediate::observe;

namespace {

constexpr std::uint64_t length = Selector::max_held + 1;

/// Reads the last byte of what it is given.
class Reader final : public Selector {
 public:
  [[nodiscard]] Need need(const ScopeInstance&, std::string_view) const override {
    return Need::content;
  }
  [[nodiscard]] std::uint64_t max_file_size(const ScopeInstance&) const override { return limit; }
  void observe(const FileObservation&, std::string_view, const TargetSource&) override {
    FAIL("it was read whole");
  }
  [[nodiscard]] Result<void> observe_large(std::span<const FileObservation> places,
                                           const LargeContent& content,
                                           const TargetSource& target) override {
    sizes.push_back(content.size());
    char last = 0;
    TRY(content.read(content.size() - 1, std::span(&last, 1)));
    if (meanwhile) meanwhile();
    TRY(content.unchanged());
    CHECK(target.facts().has_value());
    CHECK(places.size() == 1);
    CHECK(places[0].size == content.size());
    kept += last;
    return {};
  }
  std::uint64_t limit = 32u << 20;
  std::function<void()> meanwhile;
  std::vector<std::uint64_t> sizes;
  std::string kept;
};

struct World {
  World() {
    auto at = host.make_root("/www");
    REQUIRE(at.has_value());
    auto made = (*at)->create_file("large", 0644);
    REQUIRE(made.has_value());
    file = std::move(*made);
    REQUIRE(file->write_at(0, std::string(length, 'x')).has_value());
  }
  void append(char byte) { REQUIRE(file->write_at(size++, std::string(1, byte)).has_value()); }
  ScanResult scanned() {
    const auto root = host.open_root("/");
    REQUIRE(root.has_value());
    ScanOptions options;
    options.missed = [this](const ScopeInstance&, const RawPath& path, std::string_view,
                            const std::string& reason) {
      missed.push_back(path.bytes() + ": " + reason);
    };
    auto result = scan(**root, {scope_at("web", "www")}, reader, options);
    if (!result) FAIL(result.error().text());
    return std::move(*result);
  }
  host::MemoryHost host;
  std::unique_ptr<host::File> file;
  std::uint64_t size = length;
  Reader reader;
  std::vector<std::string> missed;
};

}  // namespace

TEST_CASE("a large file that is written to is handed out once more") {
  World world;
  world.reader.meanwhile = [&] {
    if (world.reader.sizes.size() == 1) world.append('y');
  };
  const ScanResult result = world.scanned();
  CHECK(result.issues.empty());
  CHECK(world.missed.empty());
  CHECK(world.reader.sizes == std::vector{length, length + 1});
  CHECK(world.reader.kept == "y");
  CHECK(result.bytes_read == length + 1);
}

TEST_CASE("a large file that is written to all the time is told") {
  World world;
  world.reader.meanwhile = [&] { world.append('y'); };
  const ScanResult result = world.scanned();
  REQUIRE(result.issues.size() == 1);
  CHECK(result.issues[0].kind == Issue::Kind::changed_while_read);
  CHECK(result.issues[0].where == "www/large");
  CHECK(world.missed.size() == 1);
  CHECK(world.reader.sizes.size() == 2);
  CHECK(world.reader.kept.empty());
  CHECK(result.bytes_read == 0);
}

TEST_CASE("a large file that cannot be read, or outgrows the limit, is told") {
  World world;
  SECTION("cannot be read") {
    world.host.set_look_hook([](std::string_view call, std::string_view) {
      return call == "read_at" ? std::optional(Error{.code = Code::io, .message = "bad sector"})
                               : std::nullopt;
    });
    const ScanResult result = world.scanned();
    REQUIRE(result.issues.size() == 1);
    CHECK(result.issues[0].kind == Issue::Kind::unreadable);
    CHECK(result.issues[0].reason.find("bad sector") != std::string::npos);
  }
  SECTION("outgrows the limit") {
    world.reader.limit = length;
    world.reader.meanwhile = [&] { world.append('y'); };
    const ScanResult result = world.scanned();
    REQUIRE(result.issues.size() == 1);
    CHECK(result.issues[0].kind == Issue::Kind::too_large);
    CHECK(result.issues[0].reason.find(std::to_string(length + 1)) != std::string::npos);
  }
  CHECK(world.reader.kept.empty());
  CHECK(world.missed.size() == 1);
}
