#include "remediate/run/lines_back.h"

#include <algorithm>
#include <iterator>

#include "remediate/base/encoding.h"
#include "remediate/setting/needed.h"

namespace remediate::run {
namespace {

constexpr std::size_t max_warnings = 20;

/// By the lines that the operation took out.
std::vector<setting::NeededFile> needed_by(const plan::Operation& operation) {
  std::vector<setting::NeededFile> needed;
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

bool is_removed(const OperationState& operation) {
  const State state =
      operation.state == State::restoring ? operation.before_restore : operation.state;
  return operation.operation->action == plan::Action::quarantine && state != State::planned &&
         state != State::intended && state != State::not_done && state != State::restored;
}

}  // namespace

std::vector<std::string> lines_without_files(
    const Run& run, const std::function<bool(const OperationState&)>& is_back) {
  std::vector<std::string> warnings;
  for (const OperationState& line : run.operations) {
    if (line.operation->action != plan::Action::reset_setting ||
        line.operation->setting.directory || !is_back(line))
      continue;
    for (const setting::NeededFile& needed : needed_by(*line.operation))
      for (const OperationState& file : run.operations) {
        if (!is_removed(file) || is_back(file) || !setting::may_be(needed, file.operation->path))
          continue;
        if (warnings.size() == max_warnings) return warnings;
        warnings.push_back("warning: " + line.operation->id +
                           " puts back a line that has PHP run " + display(needed.name) +
                           " with every page, and " + file.operation->id + " (" +
                           file.operation->address +
                           ") stays removed: every page fails until `remediate rollback " +
                           run.name + " --only " + file.operation->id + "`");
      }
  }
  return warnings;
}

}  // namespace remediate::run
