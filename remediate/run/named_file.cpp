#include "remediate/run/named_file.h"

#include <set>

#include "remediate/base/try.h"
#include "remediate/host/durable.h"
#include "remediate/run/setting_version.h"

namespace remediate::run {
namespace {

bool edits_file(const OperationState& operation) {
  return operation.operation->action == plan::Action::reset_setting &&
         !operation.operation->setting.directory;
}

Result<bool> is_there(const host::Directory& root, const RawPath& path) {
  auto folder = root.open_directory(path.parent(), host::Mounts::cross);
  if (!folder && folder.error().code == Code::not_found) return false;
  if (!folder) return std::unexpected(std::move(folder).error());
  auto stat = (*folder)->stat_entry(path.name());
  if (!stat && stat.error().code == Code::not_found) return false;
  if (!stat) return std::unexpected(std::move(stat).error());
  return true;
}

Result<std::string> bytes_at(const host::Directory& root, const RawPath& path) {
  TRY_LET(const auto folder, root.open_directory(path.parent(), host::Mounts::cross));
  return host::read_whole(*folder, path.name(), max_setting_bytes);
}

std::string line_of(const RawPath& configuration, const setting::NeededFile& needed) {
  return configuration.display() + ", line " + std::to_string(needed.line);
}

/// Of a configuration that cannot be parsed any more: whatever of the run its bytes speak of.
std::vector<setting::NeededFile> spoken_of(const Session& session, const std::string& bytes) {
  const std::string text = setting::unquoted(bytes);
  std::vector<setting::NeededFile> needed;
  for (const OperationState& operation : session.run.operations) {
    const std::string name(operation.operation->path.name());
    if (operation.operation->action == plan::Action::quarantine &&
        text.contains(setting::unquoted(name)))
      needed.push_back({name, "", 0});
  }
  return needed;
}

/// Of a configuration that cannot be read any more: whatever of the run lies where it counts.
std::vector<setting::NeededFile> below(const Session& session, const RawPath& folder) {
  std::vector<setting::NeededFile> needed;
  for (const OperationState& operation : session.run.operations)
    if (operation.operation->action == plan::Action::quarantine &&
        operation.operation->path.within(folder))
      needed.push_back({std::string(operation.operation->path.name()), "", 0});
  return needed;
}

}  // namespace

Result<StandingLines> standing_lines(const Session& session) {
  StandingLines lines;
  std::set<RawPath> seen;
  for (const OperationState& operation : session.run.operations) {
    const RawPath& path = operation.operation->path;
    if (!edits_file(operation) || operation.state != State::not_done || !seen.insert(path).second)
      continue;
    auto bytes = bytes_at(session.root, path);
    if (!bytes && bytes.error().code == Code::not_found) continue;
    if (!bytes) {
      for (setting::NeededFile& needed : below(session, path.parent()))
        lines.emplace_back(path, std::move(needed));
      continue;
    }
    auto known = setting::needed_files(path.name(), *bytes);
    for (setting::NeededFile& needed : known ? *known : spoken_of(session, *bytes))
      lines.emplace_back(path, std::move(needed));
  }
  return lines;
}

std::string needed_by(const StandingLines& lines, const RawPath& file) {
  for (const auto& [configuration, needed] : lines)
    if (needed.line == 0 && setting::may_be(needed, file))
      return configuration.display() +
             " cannot be read or parsed any more and may have PHP run it with every page: without "
             "the file every page could fail. Correct that file by hand, then make a new plan";
    else if (setting::may_be(needed, file))
      return line_of(configuration, needed) +
             ", has PHP run it with every page, and the run could not take that line out: without "
             "the file every page fails. Take the line out first, then make a new plan";
  return {};
}

Result<std::string> names_missing_file(const Session& session, const RawPath& configuration,
                                       std::string_view bytes) {
  const auto known = setting::needed_files(configuration.name(), bytes);
  if (!known) return std::string();  // it was never edited, so it is not put back
  for (const setting::NeededFile& needed : *known)
    for (const OperationState& operation : session.run.operations) {
      const plan::Operation& plan = *operation.operation;
      if (plan.action != plan::Action::quarantine || !operation.selected ||
          !setting::may_be(needed, plan.path))
        continue;
      TRY_LET(const bool there, is_there(session.root, plan.path));
      if (!there)
        return line_of(configuration, needed) + " would have PHP run " + plan.path.display() +
               " with every page, and that file is not back: put it back first, then run "
               "`remediate rollback " +
               session.run.name + "` again";
    }
  return std::string();
}

}  // namespace remediate::run
