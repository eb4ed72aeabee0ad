#include "remediate/host/durable.h"

#include <catch2/catch.hpp>

#include "remediate/host/memory/memory_host.h"

using namespace remediate;

TEST_CASE("a file is read up to its bound and no byte further") {
  host::MemoryHost host;
  const auto root = host.make_root("/bounds");
  REQUIRE(root);
  REQUIRE(host::write_durable(**root, "file", std::string(1000, 'x')));
  const auto whole = host::read_whole(**root, "file", 1000);
  REQUIRE(whole);
  CHECK(whole->size() == 1000);
  const auto more = host::read_whole(**root, "file", 999);
  REQUIRE(!more);
  CHECK(more.error().code == Code::limit);
  const std::string told = more.error().text();
  CHECK(told.find("1000 bytes, at most 999") != std::string::npos);
}
