#include "remediate/interchange/misp_sightings.h"

#include <set>

namespace remediate::interchange {

Result<std::string> misp_sightings(const run::Run& run) {
  std::set<std::string> digests;
  for (const run::OperationState& operation : run.operations) {
    const plan::Action action = operation.operation->action;
    const bool took = action == plan::Action::quarantine || action == plan::Action::replace_file;
    // What was held by mistake is another file than the one that the digest is of.
    const bool captured = operation.before_restore != run::State::intended &&
                          operation.before_restore != run::State::not_done;
    if (took && captured && operation.state == run::State::restored &&
        !operation.entry.sha256.empty())
      digests.insert(operation.entry.sha256);
  }
  if (digests.empty())
    return fail(
        Code::not_found, "no file of run " + run.name + " was given back by a rollback",
        "a sighting says that a file was no shell: `remediate rollback` first, then export");
  std::string lines;
  for (const std::string& digest : digests)
    lines += Json{{"values", Json::array({digest})},
                  {"type", "1"},
                  {"source", "remediate " + run.name},
                  {"timestamp", run.ended.seconds}}
                 .dump(-1, ' ', true, Json::error_handler_t::replace) +
             "\n";
  return lines;
}

}  // namespace remediate::interchange
