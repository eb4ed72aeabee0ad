#include "remediate/run/yara_workers.h"

#include "remediate/base/try.h"
#include "remediate/match/engine.h"

namespace remediate::run {
namespace {

class YaraWorkers final : public match::Apart {
 public:
  explicit YaraWorkers(std::unique_ptr<host::Workers> workers) : workers_(std::move(workers)) {}
  Result<std::string> prepare(std::string_view bytes) override { return workers_->prepare(bytes); }
  Result<std::string> ask(std::string_view request, std::string_view content,
                          std::chrono::milliseconds within) override {
    return workers_->ask(request, content, within);
  }

 private:
  std::unique_ptr<host::Workers> workers_;
};

}  // namespace

Result<std::unique_ptr<match::Apart>> start_yara_workers(const host::WorkerLimits& limits) {
  if (!match::have_yara()) return nullptr;
  const auto place = std::make_shared<match::YaraPlace>();
  host::Work work;
  work.begin = [place] { place->begin(); };
  work.prepare = [place](std::string_view source) { return place->prepare(source); };
  work.answer = [place](std::string_view request, std::string_view content) {
    match::YaraPlace::Answer answer = place->answer(request, content);
    return host::Work::Answer{.bytes = std::move(answer.bytes), .last = answer.last};
  };
  TRY_LET(auto workers, host::start_workers(work, limits));
  return std::make_unique<YaraWorkers>(std::move(workers));
}

}  // namespace remediate::run
