#include "remediate/base/encoding.h"
#include "remediate/base/json.h"
#include "remediate/base/try.h"
#include "remediate/cli/command.h"
#include "remediate/host/child.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_body = 1u << 20;

/// Asked by a program of its own: what speaks with a network neither runs as root nor lies in the
/// memory of what removes files, and one that hangs is killed.
class ProgramProbe final : public run::HealthProbe {
 public:
  ProgramProbe(std::string program, plan::Probe probe, std::string authorities)
      : program_(std::move(program)),
        probe_(std::move(probe)),
        authorities_(std::move(authorities)) {}

  Result<run::ProbeAnswer> ask(const std::atomic<bool>& stop) override {
    const Json question{{"url", probe_.url},
                        {"expect_status", probe_.expect_status},
                        {"timeout_seconds", probe_.timeout_seconds},
                        {"body_contains", probe_.body_contains},
                        {"max_body", max_body},
                        {"ca", authorities_}};
    TRY_LET(const host::ChildEnd end, host::run_child({.program = program_,
                                                       .input = write_json(question),
                                                       .timeout_seconds = probe_.timeout_seconds},
                                                      stop));
    if (end.exit_code != 0)
      return fail(
          Code::io,
          display(program_) + " ended with " + std::to_string(end.exit_code) + " and no answer",
          "start it by hand: a library that it needs may be missing");
    TRY_LET(const Json json, parse_json(end.output, "the answer of " + display(program_)));
    JsonReader reader(json, "");
    run::ProbeAnswer answer;
    TRY_LET(answer.passed, reader.boolean("passed"));
    TRY_LET(const std::string said, reader.string("said"));
    answer.said = display(said);
    TRY(reader.done());
    return answer;
  }

  std::string name() const override { return probe_.url; }

 private:
  std::string program_;
  plan::Probe probe_;
  std::string authorities_;
};

}  // namespace

Result<std::unique_ptr<run::HealthProbe>> make_probe(const run::HostPolicy& policy) {
  if (!policy.policy.stages || !policy.policy.stages->probe)
    return std::unique_ptr<run::HealthProbe>();
  TRY_LET(const std::string folder, host::program_folder());
  for (const std::string& place : {folder, folder + "/../libexec/remediate"}) {
    const std::string program = place + "/remediate-probe";
    if (host::program_exists(program))
      return std::unique_ptr<run::HealthProbe>(
          std::make_unique<ProgramProbe>(program, *policy.policy.stages->probe, policy.probe_ca));
  }
  return fail(Code::configuration,
              "the policy asks for a health probe and the program remediate-probe is not installed",
              "install the package remediate-probe; nothing was done");
}

}  // namespace remediate::cli
