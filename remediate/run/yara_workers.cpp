#include "remediate/run/yara_workers.h"

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

class NoWorkers final : public match::Apart {
 public:
  explicit NoWorkers(Error why) : why_(std::move(why)) {}
  Result<std::string> prepare(std::string_view) override { return std::unexpected(why_); }
  Result<std::string> ask(std::string_view, std::string_view, std::chrono::milliseconds) override {
    return std::unexpected(why_);
  }

 private:
  Error why_;
};

}  // namespace

std::unique_ptr<match::Apart> start_yara_workers(const host::WorkerLimits& limits) {
  if (!match::have_yara()) return nullptr;
  const auto place = std::make_shared<match::YaraPlace>();
  host::Work work;
  work.begin = [place] { place->begin(); };
  work.prepare = [place](std::string_view source) { return place->prepare(source); };
  work.answer = [place](std::string_view request, std::string_view content) {
    match::YaraPlace::Answer answer = place->answer(request, content);
    return host::Work::Answer{.bytes = std::move(answer.bytes), .last = answer.last};
  };
  auto workers = host::start_workers(work, limits);
  if (!workers)
    return std::make_unique<NoWorkers>(
        std::move(workers).error().wrapped("YARA cannot be run in processes of its own"));
  return std::make_unique<YaraWorkers>(std::move(*workers));
}

}  // namespace remediate::run
