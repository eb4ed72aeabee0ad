#include "remediate/observe/walker.h"

#include <algorithm>
#include <exception>
#include <system_error>

#include "remediate/base/encoding.h"
#include "remediate/observe/visitor.h"

namespace remediate::observe {

Shared::Shared(const host::Directory& root_directory, const std::vector<ScopeInstance>& all_scopes,
               Selector& the_selector, const ScanOptions& scan_options)
    : root(root_directory), scopes(all_scopes), selector(the_selector), options(scan_options) {
  total_.files_per_scope.resize(scopes.size());
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    places_[scopes[i].folder.bytes()].scopes.push_back(i);
  }
}

std::vector<std::string> Shared::unreached() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> paths;
  for (const auto& [path, place] : places_) {
    if (!place.reached) paths.push_back(path);
  }
  return paths;
}

void Shared::reach(std::string_view path) {
  const std::lock_guard lock(mutex_);
  if (const auto found = places_.find(path); found != places_.end()) found->second.reached = true;
}

std::shared_ptr<const Coverings> Shared::cover(std::string_view path,
                                               const std::shared_ptr<const Coverings>& above) {
  if (above && places_.size() == 1) return above;
  const std::lock_guard lock(mutex_);
  const auto found = places_.find(path);
  if (found == places_.end()) return above;
  found->second.reached = true;
  auto coverings = std::make_shared<Coverings>(above ? *above : Coverings{});
  for (const std::size_t scope : found->second.scopes) {
    coverings->push_back({.scope = scope, .skip = path.empty() ? 0 : path.size() + 1});
  }
  return coverings;
}

void Shared::add(const ScanResult& part) {
  const std::lock_guard lock(mutex_);
  for (std::size_t i = 0; i < scopes.size(); ++i) {
    total_.files_per_scope[i] += part.files_per_scope[i];
  }
  total_.files += part.files;
  total_.opened += part.opened;
  total_.bytes_read += part.bytes_read;
}

bool Shared::count_files(std::uint64_t more) {
  return files_.fetch_add(more, std::memory_order_relaxed) + more <= options.max_files;
}

void Shared::add(Link link) {
  const std::lock_guard lock(mutex_);
  if (total_.links.size() < options.max_links)
    total_.links.push_back(std::move(link));
  else
    ++total_.links_dropped;
}

void Shared::fail_with(Error error) {
  const std::lock_guard lock(mutex_);
  if (!failure_) failure_ = std::move(error);
}

std::optional<Error> Shared::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

ScanResult Shared::result() {
  const std::lock_guard lock(mutex_);
  std::tie(total_.issues, total_.issues_dropped) = issues.take();
  std::ranges::sort(total_.links, {}, &Link::where);
  return std::move(total_);
}

Walk::Walk(Shared& shared)
    : shared_(shared),
      folders_(shared.root),
      turns_(shared.options.threads, [this] { add_readers(); }) {}

/// By a thread that works itself, so that nobody waits for all to end meanwhile.
void Walk::add_readers() {
  readers_.reserve(max_readers);
  try {
    for (unsigned i = 0; i < max_readers; ++i) readers_.emplace_back([this] { work(); });
  } catch (const std::system_error&) {  // NOLINT(bugprone-empty-catch)
    // Fewer readers do the same work.
  }
}

std::optional<Job> Walk::next() {
  if (auto job = folders_.take_at_once()) return job;
  const Turns::Rest rest(turns_);
  return folders_.take();
}

void Walk::work() {
  const Turns::Turn turn(turns_);
  try {
    Visitor visitor(shared_, folders_, turns_);
    while (auto job = next()) {
      const bool carry_on = visitor.visit(*job);
      job.reset();
      if (!carry_on) folders_.stop();
      folders_.finished();
    }
    shared_.add(visitor.counts());
  } catch (const std::exception& thrown) {
    shared_.fail_with({.code = Code::internal,
                       .message = std::string("the scan was ended by ") + thrown.what(),
                       .remedy = "free memory and scan again"});
    folders_.stop();
  }
}

}  // namespace remediate::observe
