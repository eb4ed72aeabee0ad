#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "remediate/base/json.h"
#include "remediate/host/host.h"
#include "remediate/observe/claims.h"
#include "remediate/run/host_policy.h"
#include "remediate/run/probe.h"
#include "remediate/run/rollback.h"
#include "remediate/run/session.h"
#include "remediate/run/store.h"
#include "remediate/setting/directory/service.h"

namespace CLI {
class App;
}

namespace remediate::cli {

/// What every command has: the options that stand before or behind its name, and the host.
struct Global {
  host::Host& host;
  std::atomic<bool>& stop;
  std::string store{};
  std::string usual_store{};  // what `store` is when nobody names one
  std::string policy{};
  std::string format = "text";
  bool quiet = false;
  bool no_input = false;
  bool sandbox = true;
  /// Set by a command that reads what may be hostile and changes nothing: it runs confined. The
  /// files that it may want written ("" and "-" count for none).
  std::optional<std::vector<std::string>> confined{};
  /// Work of a confined command that the walls would not let through: it is done before them.
  std::function<Result<void>()> prepare{};
  [[nodiscard]] bool json() const { return format == "json"; }
  [[nodiscard]] bool colour() const;
};

/// The commands that a text for people quotes (`remediate resume RUN`) or has on indented lines of
/// their own, with the store and the policy of this call, so that they can be typed as they stand.
[[nodiscard]] std::string with_places(const Global& global, std::string text);

/// A word of a command, as a shell reads it: plain, or quoted.
[[nodiscard]] std::string shell_word(const std::string& text);

/// A command's work; the value is the exit code.
using Action = std::function<Result<int>()>;

// One file each: adds the command to the parser and sets `chosen` when it was named.
void add_check(CLI::App& app, Global& global, Action& chosen);
void add_plan(CLI::App& app, Global& global, Action& chosen);
void add_show(CLI::App& app, Global& global, Action& chosen);
void add_approve(CLI::App& app, Global& global, Action& chosen);
void add_apply(CLI::App& app, Global& global, Action& chosen);
void add_resume(CLI::App& app, Global& global, Action& chosen);
void add_rollback(CLI::App& app, Global& global, Action& chosen);
void add_finalize(CLI::App& app, Global& global, Action& chosen);
void add_verify(CLI::App& app, Global& global, Action& chosen);
void add_list(CLI::App& app, Global& global, Action& chosen);
void add_export(CLI::App& app, Global& global, Action& chosen);
void add_baseline(CLI::App& app, Global& global, Action& chosen);
void add_init(CLI::App& app, Global& global, Action& chosen);

[[nodiscard]] std::string tool_name();  // "remediate 0.1.0"

// Output. Data goes to stdout, messages and progress to stderr.
[[nodiscard]] Result<void> print(const std::string& text);
[[nodiscard]] Result<void> print(const Json& document);
void message(const Global& global, const std::string& text);
/// What could not be looked up of a plan's targets, with the processes that it is about.
void tell_notices(const Global& global, const observe::Claims& claims,
                  const Result<host::FilesInUse>& in_use);
/// Prints what a run ended with; 0, 3 (partial) or `incomplete`.
[[nodiscard]] Result<int> print_report(const Global& global, const run::RunReport& report,
                                       int incomplete);

// Files that the operator names; "-" is stdin or stdout. What is written: see output_file.h.
[[nodiscard]] Result<std::string> read_file(Global& global, const std::string& path,
                                            std::uint64_t max_bytes);
[[nodiscard]] Result<void> write_file(Global& global, const std::string& path,
                                      const std::string& bytes);

/// PEM files, one certificate each.
[[nodiscard]] Result<std::vector<crypto::Certificate>> load_certificates(
    Global& global, const std::vector<std::string>& files);

/// Connects to the directory that a connection file names; null when `file` is empty.
[[nodiscard]] Result<std::unique_ptr<setting::DirectoryService>> open_directory(
    Global& global, const std::string& file);
/// The option --directory of a command.
void add_directory_option(CLI::App& command, std::string& file);

/// The progress of a run on stderr: one line, rewritten on a terminal.
[[nodiscard]] std::unique_ptr<run::Progress> make_progress(const Global& global);

/// A store for changing: locked, made on first use where `create` says so (and that is told). From
/// here on a signal lets the current operations end and leaves a run that can be resumed.
struct LockedStore {
  std::unique_ptr<run::Store> store;
  std::unique_ptr<host::Lock> lock;
};
[[nodiscard]] Result<LockedStore> lock_store(Global& global, bool create);

/// The policy's recovery certificates, else the store's own; its stages, with the probe that was
/// made for them. Both must outlive the options.
[[nodiscard]] run::ApplyOptions apply_options(const run::HostPolicy& policy,
                                              const run::Store& store,
                                              run::HealthProbe* probe = nullptr);
/// The policy's health probe; empty where it names none. It is made by a program of its own.
[[nodiscard]] Result<std::unique_ptr<run::HealthProbe>> make_probe(const run::HostPolicy& policy);
/// Whoever signs: usage when the key is not that of the certificate.
struct SignerPair {
  crypto::Certificate certificate;
  crypto::PrivateKey key;
};
[[nodiscard]] Result<SignerPair> read_signer(Global& global, const std::string& certificate_file,
                                             const std::string& key_file);
/// The key in `file` with the certificate it belongs to (the store's or the policy's).
[[nodiscard]] Result<run::Recovery> load_recovery(Global& global, const std::string& file,
                                                  const run::HostPolicy& policy,
                                                  const run::Store& store);
/// The root of a run, refused when it is not the one that was recorded.
[[nodiscard]] Result<std::unique_ptr<host::Directory>> open_run_root(Global& global,
                                                                     const run::Run& run);

}  // namespace remediate::cli
