#pragma once

#include "remediate/host/memory/tree.h"
#include "world.h"

namespace remediate::run::test {

/// A Windows server with one of everything that a plan looks at: a page that is a shell with its
/// compiled form, a page to be put back, lines that prepend a file, a virtual directory that is
/// reset to a clean copy, a redirector, folders that are served, and a baseline of good files.
struct SurveyWorld {
  /// With `mounted` the web root is on a file system of its own.
  explicit SurveyWorld(bool mounted = false);
  SurveyWorld(const SurveyWorld&) = delete;
  SurveyWorld& operator=(const SurveyWorld&) = delete;

  /// Below the target; the folder is made.
  void put(const std::string& path, const std::string& bytes);
  [[nodiscard]] Result<plan::PlanFile> try_plan();
  [[nodiscard]] plan::Plan plan() { return must(try_plan()).plan; }
  [[nodiscard]] host::memory::Node& node(const std::string& path) const;
  /// An entry whose name is longer than any path of the tool can have.
  void put_unnameable(const std::string& folder, FileKind kind, const std::string& end = {});

  std::shared_ptr<host::memory::Tree> tree = std::make_shared<host::memory::Tree>();
  host::MemoryHost host{tree};
  World world{host, "/base"};
  playbook::Playbook playbook;
  HostPolicy policy;
  SurveyOptions options;
  std::vector<plan::KnownGood> baselines;

 private:
  [[nodiscard]] host::memory::NodePointer pointer(const std::string& path) const;
};

/// The playbook, as it is in a file.
[[nodiscard]] std::string everything();
/// Every issue as "kind where: reason", one a line.
[[nodiscard]] std::string issues(const plan::Plan& plan);
/// "action path" of every operation that changes a file, in order.
[[nodiscard]] std::vector<std::string> changes(const plan::Plan& plan);
[[nodiscard]] std::string compiled_record(const std::string& of_page, const std::string& assembly);

inline constexpr const char* web_page = "inetpub/wwwroot/app/x.aspx";
inline constexpr const char* system_folder = "Windows/System32/inetsrv/config";
inline constexpr const char* compiled_folder = "Windows/Temporary ASP.NET Files/root/0a1b/2c3d";

}  // namespace remediate::run::test
