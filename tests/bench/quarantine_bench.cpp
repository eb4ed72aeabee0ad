// quarantine_bench [FILES [FOLDER]]: seconds to quarantine FILES (1,000) files of 4 KiB durably:
//   tool       run::apply, every step recorded and recoverable
//   batch      copy, digest and seal all, one syncfs, unlink all, one syncfs: nothing recorded
//   per step   for each file: copy and seal, fsync, fsync of the folder, unlink, fsync of the
//              folder, and a log record with fdatasync before and after
// Interleaved, medians of 5. Works below FOLDER (the temporary directory).
#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/crypto/seal.h"
#include "remediate/host/durable.h"
#include "remediate/run/apply.h"
#include "remediate/run/survey.h"

namespace {

namespace fs = std::filesystem;
using namespace remediate;

constexpr int repeats = 5;
constexpr std::size_t file_size = 4096;
constexpr std::size_t per_folder = 100;
std::size_t files = 1000;

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

std::string name_of(std::size_t number) { return "shell-" + std::to_string(number) + ".php"; }
std::string folder_of(std::size_t number) { return "www/d" + std::to_string(number / per_folder); }

/// The same bytes for every way and every round, different in every file.
std::string content_of(std::size_t number) {
  std::string bytes = "inert sample " + std::to_string(number) + "\n";
  std::uint64_t state = 0x9e3779b97f4a7c15u + number;
  while (bytes.size() < file_size) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    bytes.push_back(static_cast<char>('a' + state % 26));
  }
  return bytes;
}

class Quiet final : public run::Progress {
 public:
  void step(const std::string&, std::uint64_t, std::uint64_t, const std::string&) override {}
  void note(const std::string&) override {}
};

struct Bench {
  std::unique_ptr<host::Host> host = host::native_host();
  std::string top;
  crypto::NewIdentity recovery;

  [[nodiscard]] Result<std::vector<crypto::Certificate>> recipients() const {
    TRY_LET(auto certificate, crypto::Certificate::from_pem(recovery.certificate_pem, "recovery"));
    return std::vector<crypto::Certificate>{std::move(certificate)};
  }

  Result<void> make_files(const std::string& target) const {
    for (std::size_t number = 0; number < files; ++number) {
      TRY_LET(const auto folder, host->make_root(target + "/" + folder_of(number)));
      TRY_LET(const auto file, folder->create_file(name_of(number), 0644));
      TRY(file->write_at(0, content_of(number)));
    }
    ::sync();
    return {};
  }

  Result<playbook::Playbook> playbook() const {
    playbook::Playbook made;
    made.id = "playbook--bench";
    made.revision = 1;
    playbook::Scope scope;
    scope.id = "web";
    scope.folders = {{"/www", playbook::Spelling::posix}};
    scope.include = {"**/*.php"};
    made.scopes = {scope};
    playbook::Indicator indicator;
    indicator.id = "shells";
    indicator.scopes = {"web"};
    indicator.authorises = playbook::Authorises::remove;
    playbook::Condition condition;
    condition.kind = playbook::Condition::Kind::regex;  // a name alone removes nothing
    condition.pattern = "inert sample [0-9]+";
    condition.encodings = {playbook::Encoding::ascii};
    indicator.match = condition;
    made.indicators = {indicator};
    playbook::Step step;
    step.id = "remove";
    step.action = playbook::Action::quarantine;
    step.indicators = {"shells"};
    made.steps = {step};
    return made;
  }

  Result<double> tool(const std::string& base) const {
    const std::string target = base + "/target";
    TRY(make_files(target));
    TRY_LET(const auto store,
            run::Store::create(*host, base + "/store", {"", "", recovery.certificate_pem}));
    run::HostPolicy policy;
    policy.policy.max_files = policy.policy.max_files_per_indicator = 1'000'000;
    policy.policy.max_percent = 100;
    policy.policy.generic_content_removes = true;
    policy.sha256 = "bench";
    run::SurveyOptions survey;
    survey.root = target;
    survey.store = base + "/store";
    survey.tool = "bench";
    TRY_LET(const auto root, host->open_root(target));
    TRY_LET(std::string type, root->filesystem_type());
    policy.policy.allowed_filesystems = {std::move(type)};
    TRY_LET(const auto made, playbook());
    TRY_LET(plan::PlanFile plan, run::make_plan(*host, {made}, policy, survey));
    TRY_LET(const FileStat stat, root->stat());
    const std::string id = plan.plan.plan_id;
    TRY_LET(const auto approved, plan::check_approval({.file = std::move(plan),
                                                       .signature = "",
                                                       .policy = policy.policy,
                                                       .policy_sha256 = policy.sha256,
                                                       .approvers = {},
                                                       .host = run::host_facts(*host, target, stat),
                                                       .store = std::nullopt,
                                                       .confirmed_id = id,
                                                       .now = host->now()}));
    TRY_LET(const auto to, recipients());
    ::sync();
    Quiet quiet;
    const std::atomic<bool> stop{false};
    const auto start = std::chrono::steady_clock::now();
    TRY_LET(const run::RunReport report,
            run::apply(*host, *store, *root, approved, {to, 1u << 20, "bench"}, {quiet, stop}));
    const double seconds = seconds_since(start);
    const auto done =
        std::ranges::count(report.operations, "quarantined", &run::OperationReport::outcome);
    if (report.status != "done" || static_cast<std::size_t>(done) != files)
      return fail(Code::internal, "the tool ended " + report.status);
    return seconds;
  }

  /// Copies one file sealed and with both digests into `store`.
  Result<std::unique_ptr<host::File>> copy(const host::Directory& folder, std::size_t number,
                                           const host::Directory& store,
                                           const std::vector<crypto::Certificate>& to) const {
    TRY_LET(const auto original, folder.open_file(name_of(number), host::Access::read));
    TRY_LET(auto object, store.create_file(std::to_string(number) + ".p7m", 0600));
    host::FileSource source(*original);
    host::FileSink sink(*object);
    TRY(crypto::seal(source, sink, to));
    return object;
  }

  Result<double> batch(const std::string& base) const {
    TRY(make_files(base + "/target"));
    TRY_LET(const auto store, host->make_root(base + "/store"));
    TRY_LET(const auto to, recipients());
    ::sync();
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t number = 0; number < files; ++number) {
      TRY_LET(const auto folder, host->open_root(base + "/target/" + folder_of(number)));
      TRY(copy(*folder, number, *store, to));
    }
    TRY(store->sync_filesystem());
    for (std::size_t number = 0; number < files; ++number) {
      TRY_LET(const auto folder, host->open_root(base + "/target/" + folder_of(number)));
      TRY(folder->remove_file(name_of(number)));
    }
    TRY(store->sync_filesystem());
    return seconds_since(start);
  }

  Result<double> per_step(const std::string& base) const {
    TRY(make_files(base + "/target"));
    TRY_LET(const auto store, host->make_root(base + "/store"));
    TRY_LET(const auto to, recipients());
    TRY_LET(const auto log, store->create_file("log", 0600));
    std::uint64_t logged = 0;
    const auto record = [&](const std::string& line) -> Result<void> {
      TRY(log->write_at(logged, line));
      logged += line.size();
      return log->sync_data();
    };
    ::sync();
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t number = 0; number < files; ++number) {
      TRY_LET(const auto folder, host->open_root(base + "/target/" + folder_of(number)));
      TRY(record("intent " + name_of(number) + "\n"));
      TRY_LET(const auto object, copy(*folder, number, *store, to));
      TRY(object->sync());
      TRY(store->sync());
      TRY(folder->remove_file(name_of(number)));
      TRY(folder->sync());
      TRY(record("done " + name_of(number) + "\n"));
    }
    return seconds_since(start);
  }

  Result<void> measure() {
    TRY_LET(recovery,
            crypto::make_identity("bench recovery", crypto::Use::recover, host->now(), 30));
    using Way = Result<double> (Bench::*)(const std::string&) const;
    constexpr std::array<std::pair<const char*, Way>, 3> ways = {
        {{"tool", &Bench::tool}, {"batch", &Bench::batch}, {"per step", &Bench::per_step}}};
    std::array<std::vector<double>, 3> seconds;
    for (int round = 0; round < repeats; ++round)
      for (std::size_t way = 0; way < ways.size(); ++way) {
        const std::string base = top + "/work";
        TRY_LET(const double taken, (this->*ways[way].second)(base));
        seconds[way].push_back(taken);
        std::error_code error;
        fs::remove_all(base, error);
        if (error) return fail(Code::io, "cannot clear " + base + ": " + error.message());
      }
    const double tool_seconds = median(seconds[0]);
    for (std::size_t way = 0; way < ways.size(); ++way)
      std::printf("%-8s %zu files of %zu bytes: %.3f s (%.3f to %.3f), %.2f times the tool\n",
                  ways[way].first, files, file_size, median(seconds[way]),
                  *std::ranges::min_element(seconds[way]), *std::ranges::max_element(seconds[way]),
                  median(seconds[way]) / tool_seconds);
    return {};
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc > 1) {
    const std::string text = argv[1];
    const auto read = std::from_chars(text.data(), text.data() + text.size(), files);
    if (read.ec != std::errc{} || files < 1 || files > 100'000) {
      std::fprintf(stderr, "usage: quarantine_bench [FILES (1 to 100000) [FOLDER]]\n");
      return 64;
    }
  }
  Bench bench;
  const fs::path below = argc > 2 ? fs::path(argv[2]) : fs::temp_directory_path();
  bench.top = (below / "quarantine-bench-XXXXXX").string();
  if (::mkdtemp(bench.top.data()) == nullptr) {
    std::perror(bench.top.c_str());
    return 1;
  }
  const auto measured = bench.measure();
  std::error_code ignored;
  fs::remove_all(bench.top, ignored);
  if (!measured) std::fprintf(stderr, "%s\n", measured.error().text().c_str());
  return measured ? 0 : 1;
}
