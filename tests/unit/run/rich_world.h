#pragma once

#include <functional>
#include <set>

#include "remediate/run/stages.h"
#include "world.h"

namespace remediate::run::test {

/// A health probe that says what it is told to.
class SetProbe final : public HealthProbe {
 public:
  bool healthy = true;
  Result<ProbeAnswer> ask(const std::atomic<bool>& stop) override;
  [[nodiscard]] std::string name() const override { return "a probe"; }
};

/// A world that has one of everything: files with flags and a second name, a configuration with an
/// old version, an overwritten page, a value in a directory, a second mount.
struct RichWorld : MemoryWorld {
  RichWorld();
  RichWorld(const RichWorld&) = delete;
  RichWorld& operator=(const RichWorld&) = delete;

  /// The first operation on a file, and the last one.
  [[nodiscard]] std::string first_of(const std::string& path) const;
  [[nodiscard]] std::string last_of(const std::string& path) const;
  [[nodiscard]] std::unique_ptr<host::Directory> hold();
  /// What others do to a file: they move it aside, put another one there, write behind its end.
  void take_away(const std::string& path);
  void replace(const std::string& path, const std::string& bytes);
  void write(const std::string& path, const std::string& bytes);

  setting::MemoryDirectory directory;
  SetProbe probe;
  plan::Stages stages{{1, 2}, std::nullopt};
  Snapshot before;
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> originals;
  plan::PlanFile plan;
  std::optional<plan::ApprovedPlan> approved;
  std::string run;
  std::string marker = "<!-- others wrote this -->";
  int taken = 0;                // how often others moved something aside
  std::set<std::string> acted;  // before which calls others acted already
};

/// Does something right before the nth call of a name for an entry, which may then fail. The host
/// is left alone when the object ends.
class Before {
 public:
  using Act = std::function<std::optional<Error>()>;
  Before(host::MemoryHost& host, std::string operation, std::string name, Act act,
         std::size_t number = 1);
  ~Before();
  Before(const Before&) = delete;
  Before& operator=(const Before&) = delete;
  [[nodiscard]] bool done() const { return done_; }

 private:
  std::optional<Error> called(std::string_view operation, std::string_view name);
  host::MemoryHost& host_;
  std::string operation_, name_;
  Act act_;
  std::size_t left_;
  bool busy_ = false, done_ = false;
};

/// Before the call the process ends: nothing is changed any more.
class EndBefore {
 public:
  EndBefore(host::MemoryHost& host, std::string operation, std::string name,
            std::size_t number = 1);
  ~EndBefore() { host_.set_fault_hook({}); }
  EndBefore(const EndBefore&) = delete;
  EndBefore& operator=(const EndBefore&) = delete;
  [[nodiscard]] bool ended() const { return *ended_; }

 private:
  host::MemoryHost& host_;
  std::shared_ptr<bool> ended_ = std::make_shared<bool>(false);
};

inline constexpr const char* shell = "www/shell-a.php";
inline constexpr const char* twin = "www/sub/shell-twin.php";
inline constexpr const char* setting_file = "etc-iis/applicationHost.config";

/// Whether any file below a folder of the host holds these bytes; with `whole` nothing else.
[[nodiscard]] bool held_somewhere(host::Host& host, const std::string& folder,
                                  const std::string& bytes, bool whole);

}  // namespace remediate::run::test
