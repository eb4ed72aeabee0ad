#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "remediate/plan/baseline.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace remediate;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  auto baseline = plan::parse_baseline(bytes, "baseline.json");
  if (!baseline) {
    require(baseline.error().code == Code::bad_input);
    require(baseline.error().message.starts_with("baseline.json: BL"));
    return 0;
  }
  // One form only: what was read is what would be written.
  const auto written = plan::write_baseline(*baseline);
  require(written && *written == bytes);
  const plan::KnownGood known(std::move(*baseline), "", "");
  for (const plan::BaselineFile& file : known.baseline().files) {
    require(known.file_with(file.sha256) != nullptr);
    require(known.ask(file.folder, file.path.bytes(), file.sha256) ==
            plan::KnownGood::Answer::known);
    require(known.ask(file.folder, file.path.bytes(), "") ==
            plan::KnownGood::Answer::other_content);
  }
  return 0;
}
