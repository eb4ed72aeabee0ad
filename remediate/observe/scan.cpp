#include "remediate/observe/scan.h"

#include <algorithm>
#include <map>
#include <system_error>
#include <thread>

#include "remediate/base/encoding.h"
#include "remediate/observe/walker.h"

namespace remediate::observe {
namespace {

constexpr unsigned max_threads = 8;

Result<void> check(const std::vector<ScopeInstance>& scopes, const ScanOptions& options) {
  if (scopes.empty()) {
    return fail(Code::bad_input, "there is no scope to scan", "name a folder that exists");
  }
  if (options.threads == 0 || options.threads > max_threads) {
    return fail(Code::bad_input,
                std::to_string(options.threads) + " threads are not between 1 and " +
                    std::to_string(max_threads),
                "choose a number of threads within these bounds");
  }
  return {};
}

/// Runs `walk` in as many threads as can be had, at least this one.
void run(Walk& walk, unsigned threads) {
  std::vector<std::jthread> helpers;
  try {
    for (unsigned i = 1; i < threads; ++i) helpers.emplace_back([&walk] { walk.work(); });
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
    // Fewer threads do the same work.
  }
  walk.work();
}

/// The folders that lie within no other one.
std::vector<std::string> outermost(const std::vector<std::string>& sorted) {
  std::vector<std::string> roots;
  for (const std::string& path : sorted) {
    const bool inside = std::ranges::any_of(roots, [&](const std::string& root) {
      return root.empty() || (path.starts_with(root) && path[root.size()] == '/');
    });
    if (!inside) roots.push_back(path);
  }
  return roots;
}

}  // namespace

Result<ScanResult> scan(const host::Directory& root, const std::vector<ScopeInstance>& scopes,
                        Selector& selector, const ScanOptions& options) {
  if (auto checked = check(scopes, options); !checked) {
    return std::unexpected(std::move(checked).error());
  }
  Shared shared(root, scopes, selector, options);
  // A folder within another one is met on the way, unless a mount or an unreadable folder lies
  // between: then it starts a walk of its own in the next round.
  for (auto left = shared.unreached(); !left.empty(); left = shared.unreached()) {
    const auto starts = outermost(left);
    Walk walk(shared);
    for (const std::string& start : starts) {
      shared.reach(start);
      walk.start(start);
    }
    run(walk, options.threads);
    if (auto error = shared.failure()) return std::unexpected(std::move(*error));
  }
  return shared.result();
}

}  // namespace remediate::observe
