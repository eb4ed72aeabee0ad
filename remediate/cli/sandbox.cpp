#include "remediate/cli/sandbox.h"

#include <algorithm>
#include <cstdio>
#include <exception>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/output_file.h"
#include "remediate/host/confine.h"

namespace remediate::cli {
namespace {

Outbox* active = nullptr;

enum Place : std::size_t { printed, said, first_file };

int run_command(const Action& action, const std::function<int(const Error&)>& report, Outbox& box) {
  try {
    auto code = action();
    if (code) return *code;
    std::ranges::fill(box.files, std::nullopt);
    return report(code.error());
  } catch (const std::exception& error) {
    std::ranges::fill(box.files, std::nullopt);
    return report({Code::internal, "internal error: " + display(error.what()), "report it"});
  }
}

host::Product pack(int code, Outbox& box) {
  host::Product product{.code = code, .outputs = {}};
  product.outputs.emplace_back(std::move(box.printed));
  product.outputs.emplace_back(std::move(box.said));
  std::ranges::move(box.files, std::back_inserter(product.outputs));
  return product;
}

}  // namespace

Outbox* outbox() { return active; }

Result<int> run_confined(Global& global, const Action& action,
                         const std::function<int(const Error&)>& report) {
  for (const std::string& path : *global.confined) {
    TRY(expect_free(global, path));
    if (!path.empty() && std::ranges::count(*global.confined, path) > 1)
      return fail(Code::usage, display(path) + " is named for two outputs",
                  "give each a name of its own");
  }
  if (!global.sandbox) {
    message(global, "notice: not sandboxed: --no-sandbox was given");
    return action();
  }
  Outbox box;
  for (const std::string& path : *global.confined)
    if (!path.empty() && path != "-") box.paths.push_back(path);
  box.files.resize(box.paths.size());
  auto product = host::run_confined([&](const host::Confinement& walls) {
    active = &box;
    for (const std::string& missing : walls.missing)
      message(global, "notice: not fully sandboxed: " + missing);
    return pack(run_command(action, report, box), box);
  });
  if (!product) return std::unexpected(std::move(product).error());
  const auto& outputs = product->outputs;
  if (outputs.size() != first_file + box.paths.size() || !outputs[printed] || !outputs[said])
    return fail(Code::internal, "the confined process handed out another number of results",
                "report it");
  for (std::size_t index = 0; index < box.paths.size(); ++index)
    if (const auto& bytes = outputs[first_file + index])
      TRY(write_file(global, box.paths[index], *bytes));
  if (!outputs[said]->empty()) std::fputs(outputs[said]->c_str(), stderr);
  if (!outputs[printed]->empty()) TRY(print(*outputs[printed]));
  return product->code;
}

}  // namespace remediate::cli
