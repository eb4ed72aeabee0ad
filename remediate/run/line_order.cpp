#include "remediate/run/line_order.h"

#include <algorithm>
#include <iterator>
#include <set>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/host/durable.h"
#include "remediate/run/setting_version.h"

namespace remediate::run {
namespace {

using setting::NeededFile;

constexpr std::size_t max_warnings = 20;

bool edits_configuration(const OperationState& operation) {
  return operation.operation->action == plan::Action::reset_setting &&
         !operation.operation->setting.directory;
}

bool removes_file(const OperationState& operation) {
  return operation.operation->action == plan::Action::quarantine;
}

/// The removals of the run that this may be the file of.
std::vector<const OperationState*> removals(const Run& run, const NeededFile& needed) {
  std::vector<const OperationState*> found;
  for (const OperationState& operation : run.operations)
    if (removes_file(operation) && setting::may_be(needed, operation.operation->path))
      found.push_back(&operation);
  return found;
}

/// Of a configuration whose lines are not known: every removal that it may need.
template <class MayNeed>
std::vector<NeededFile> unknown_lines(const Run& run, const MayNeed& may_need) {
  std::vector<NeededFile> needed;
  for (const OperationState& operation : run.operations) {
    const RawPath& path = operation.operation->path;
    if (removes_file(operation) && may_need(path))
      needed.push_back({std::string(path.name()), "", 0});
  }
  return needed;
}

/// The lines of a configuration as it is now.
std::vector<NeededFile> lines_now(const Session& session, const RawPath& configuration) {
  auto bytes = [&]() -> Result<std::string> {
    TRY_LET(const auto folder,
            session.root.open_directory(configuration.parent(), host::Mounts::cross));
    return host::read_whole(*folder, configuration.name(), max_setting_bytes);
  }();
  if (!bytes && bytes.error().code == Code::not_found) return {};
  if (!bytes)  // it counts for its folder
    return unknown_lines(session.run, [folder = configuration.parent()](const RawPath& file) {
      return file.within(folder);
    });
  auto known = setting::needed_files(configuration.name(), *bytes);
  if (known) return std::move(*known);
  const setting::UnparsedText text(*bytes);
  return unknown_lines(session.run,
                       [&](const RawPath& file) { return text.speaks_of(file.name()); });
}

/// The lines that the operation took out.
std::vector<NeededFile> lines_taken_out(const plan::Operation& operation) {
  std::vector<NeededFile> needed;
  std::string_view left = operation.setting.diff;
  while (!left.empty()) {
    const std::string_view line = left.substr(0, left.find('\n'));
    left.remove_prefix(std::min(left.size(), line.size() + 1));
    if (!line.starts_with('-') || line.starts_with("---")) continue;
    // A part of a longer line cannot be parsed alone and names nothing.
    if (auto found =
            setting::needed_files(operation.path.name(), std::string(line.substr(1)) + "\n"))
      std::ranges::move(*found, std::back_inserter(needed));
  }
  return needed;
}

std::string place_of(const RawPath& configuration, const NeededFile& needed) {
  return configuration.display() + ", line " + std::to_string(needed.line);
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

bool is_removed(const OperationState& operation) {
  const State state =
      operation.state == State::restoring ? operation.before_restore : operation.state;
  return state != State::planned && state != State::intended && state != State::not_done &&
         state != State::restored;
}

}  // namespace

StandingLines standing_lines(const Session& session) {
  StandingLines lines;
  std::set<RawPath> seen;
  for (const OperationState& operation : session.run.operations) {
    const RawPath& path = operation.operation->path;
    if (!edits_configuration(operation) || operation.state != State::not_done ||
        !seen.insert(path).second)
      continue;
    for (NeededFile& needed : lines_now(session, path)) lines.emplace_back(path, std::move(needed));
  }
  return lines;
}

std::string needed_by(const StandingLines& lines, const RawPath& file) {
  for (const auto& [configuration, needed] : lines) {
    if (!setting::may_be(needed, file)) continue;
    if (needed.line == 0)
      return configuration.display() +
             " cannot be read or parsed any more and may have PHP run it with every page: without "
             "the file every page could fail. Correct that file by hand, then make a new plan";
    return place_of(configuration, needed) +
           ", has PHP run it with every page, and the run could not take that line out: without "
           "the file every page fails. Take the line out first, then make a new plan";
  }
  return {};
}

Result<std::string> needs_missing_file(const Session& session, const RawPath& configuration,
                                       std::string_view bytes) {
  const auto known = setting::needed_files(configuration.name(), bytes);
  if (!known) return std::string();  // it was never edited, so it is not put back
  for (const NeededFile& needed : *known)
    for (const OperationState* file : removals(session.run, needed)) {
      if (!file->selected) continue;
      const RawPath& path = file->operation->path;
      TRY_LET(const bool there, is_there(session.root, path));
      if (!there)
        return place_of(configuration, needed) + " would have PHP run " + path.display() +
               " with every page, and that file is not back: put it back first, then run "
               "`remediate rollback " +
               session.run.name + "` again";
    }
  return std::string();
}

std::vector<std::string> lines_without_files(
    const Run& run, const std::function<bool(const OperationState&)>& is_back) {
  std::vector<std::string> warnings;
  for (const OperationState& line : run.operations) {
    if (!edits_configuration(line) || !is_back(line)) continue;
    for (const NeededFile& needed : lines_taken_out(*line.operation))
      for (const OperationState* file : removals(run, needed)) {
        if (!is_removed(*file) || is_back(*file)) continue;
        if (warnings.size() == max_warnings) return warnings;
        warnings.push_back("warning: " + line.operation->id +
                           " puts back a line that has PHP run " + display(needed.name) +
                           " with every page, and " + file->operation->id + " (" +
                           file->operation->address +
                           ") stays removed: every page fails until `remediate rollback " +
                           run.name + " --only " + file->operation->id + "`");
      }
  }
  return warnings;
}

}  // namespace remediate::run
