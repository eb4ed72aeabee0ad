#include "remediate/run/history.h"

#include <algorithm>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"
#include "remediate/observe/scan.h"

namespace remediate::run {
namespace {

constexpr std::size_t max_history_copies = 32;
constexpr std::uint64_t max_history_bytes = 32u << 20;  // of one copy
constexpr std::string_view history_prefix = "CFGHISTORY_";
constexpr std::string_view host_configuration = "applicationHost.config";

bool edits_host_configuration(const plan::Plan& plan) {
  return std::ranges::any_of(plan.operations, [](const plan::Operation& operation) {
    return operation.action == plan::Action::reset_setting && !operation.setting.directory &&
           ascii_iequals(operation.path.name(), host_configuration);
  });
}

bool is_version(std::string_view name) {
  if (name.size() <= history_prefix.size() || name.size() > history_prefix.size() + 20 ||
      !ascii_iequals(name.substr(0, history_prefix.size()), history_prefix))
    return false;
  return std::ranges::all_of(name.substr(history_prefix.size()),
                             [](char c) { return c >= '0' && c <= '9'; });
}

Result<std::vector<RawPath>> versions(const host::Directory& root,
                                      std::vector<std::string>& notices) {
  std::vector<observe::Issue> issues;
  TRY_LET(const std::vector<RawPath> folders,
          observe::locate(root, {"C:\\inetpub\\history", true}, {}, &issues));
  for (const observe::Issue& issue : issues)
    notices.push_back("the configuration history was not kept: " + issue.where + ": " +
                      issue.reason);
  std::vector<RawPath> found;
  for (const RawPath& folder : folders) {
    auto opened = root.open_directory(folder, host::Mounts::cross);
    std::vector<std::string> names;
    auto listed = opened ? (*opened)->each_entry([&](std::string_view name, FileKind) {
      if (is_version(name)) names.emplace_back(name);
      return true;
    })
                         : Result<void>(std::unexpected(opened.error()));
    if (!listed) {
      notices.push_back("the configuration history in " + folder.display() +
                        " was not kept: " + listed.error().text());
      continue;
    }
    std::ranges::sort(names);
    if (names.size() > max_history_copies) {
      notices.push_back(std::to_string(names.size() - max_history_copies) +
                        " of the oldest versions in " + folder.display() + " were not kept");
      names.erase(names.begin(), names.end() - max_history_copies);
    }
    for (const std::string& name : names) {
      TRY_LET(const RawPath version, folder.child(name));
      TRY_LET(RawPath file, version.child(host_configuration));
      found.push_back(std::move(file));
    }
  }
  return found;
}

}  // namespace

Result<std::vector<HistoryCopy>> keep_history(const host::Directory& root, const plan::Plan& plan,
                                              const host::Directory& into,
                                              std::vector<std::string>& notices) {
  std::vector<HistoryCopy> copies;
  if (!edits_host_configuration(plan)) return copies;
  TRY_LET(const std::vector<RawPath> files, versions(root, notices));
  for (const RawPath& file : files) {
    auto read = observe::read_setting_file(root, file, max_history_bytes);
    if (!read) {
      notices.push_back("the version " + file.display() +
                        " of the configuration history was not kept: " + read.error().text());
      continue;
    }
    HistoryCopy copy{"history-" + std::to_string(copies.size() + 1) + ".config", file.display(),
                     read->sha256};
    TRY(host::write_durable(into, copy.file, read->bytes));
    copies.push_back(std::move(copy));
  }
  return copies;
}

Json to_json(const std::vector<HistoryCopy>& copies) {
  Json array = Json::array();
  for (const HistoryCopy& copy : copies)
    array.push_back(Json{{"file", copy.file}, {"from", copy.from}, {"sha256", copy.sha256}});
  return array;
}

Result<std::vector<HistoryCopy>> history_from_json(const Json& array) {
  std::vector<HistoryCopy> copies;
  if (!array.is_array()) return fail(Code::corrupt, "the configuration history is no list");
  for (const Json& element : array) {
    JsonReader reader(element, "/history/" + std::to_string(copies.size()));
    HistoryCopy copy;
    TRY_LET(copy.file, reader.string("file"));
    TRY_LET(copy.from, reader.string("from"));
    TRY_LET(copy.sha256, reader.string("sha256"));
    TRY(reader.done());
    if (copy.file != "history-" + std::to_string(copies.size() + 1) + ".config")
      return fail(Code::corrupt, "the journal names a copy of the history that is none");
    copies.push_back(std::move(copy));
  }
  return copies;
}

Result<void> check_history(const host::Directory& run, const std::vector<HistoryCopy>& copies) {
  for (const HistoryCopy& copy : copies) {
    auto bytes = host::read_whole(run, copy.file, max_history_bytes);
    if (!bytes || crypto::sha256_hex(*bytes) != copy.sha256)
      return fail(
          Code::corrupt,
          copy.file + ", the copy of " + copy.from + ", " +
              (bytes ? "is not the one that was kept" : "cannot be read: " + bytes.error().text()),
          "take it from a backup");
  }
  return {};
}

}  // namespace remediate::run
