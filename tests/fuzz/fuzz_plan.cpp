#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "remediate/crypto/digest.h"
#include "remediate/plan/plan_file.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

/// The input with the id that its bytes give, so that changed content is read past the id.
std::string with_right_id(std::string bytes) {
  const std::string key = "\"plan_id\": \"";
  const std::size_t place = bytes.find(key);
  if (place == std::string::npos || bytes.size() < place + key.size() + 33) return bytes;
  bytes.replace(place + key.size(), 32, std::string(32, '0'));
  const std::string id = remediate::crypto::sha256_hex(bytes).substr(0, 32);
  return bytes.replace(place + key.size(), 32, id);
}

void check(const std::string& bytes) {
  using namespace remediate;
  const auto read = plan::read_plan(bytes, "fuzz.json");
  if (!read) {
    require(read.error().code == Code::bad_input || read.error().code == Code::stale_plan);
    return;
  }
  require(read->bytes == bytes);
  for (const plan::Operation& operation : read->plan.operations)
    require(operation.path.is_root() == (operation.action == plan::Action::instruct));
  const auto again = plan::read_plan(plan::write_plan(read->plan).value().bytes, "again.json");
  require(again.has_value());
  Json first = plan::to_json(read->plan), second = plan::to_json(again->plan);
  first.erase("plan_id");
  second.erase("plan_id");
  require(first == second);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  check(bytes);
  check(with_right_id(bytes));
  return 0;
}
