#include <algorithm>
#include <span>
#include <tuple>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/base/json.h"
#include "remediate/base/try.h"
#include "remediate/plan/baseline.h"
#include "remediate/playbook/spelling.h"

namespace remediate::plan {
namespace {

constexpr std::size_t max_path = 32'768;
constexpr std::size_t max_name = 200;
constexpr std::size_t max_text = 2000;
constexpr std::size_t max_folders = 64;
constexpr std::size_t max_spellings = 16;
constexpr std::size_t max_globs = 64;
constexpr std::size_t max_builds = 1000;
constexpr std::size_t max_build = 64;
constexpr std::size_t max_sources = 32;
constexpr std::size_t digest_digits = 64;

std::unexpected<Error> wrong(std::string_view code, const std::string& pointer,
                             const std::string& what, std::string right) {
  return fail(Code::bad_input,
              std::string(code) + " " + (pointer.empty() ? "the document" : pointer) + " " + what,
              std::move(right));
}

/// The error of a JsonReader, with its code.
template <class T>
Result<T> coded(Result<T> result) {
  if (!result) result.error().message = "BL010 " + result.error().message;
  return result;
}

std::string_view issue_code(JsonIssue::Kind kind) {
  switch (kind) {
    case JsonIssue::Kind::too_large:
    case JsonIssue::Kind::too_deep:
    case JsonIssue::Kind::too_many:
      return "BL001";
    case JsonIssue::Kind::syntax:
      return "BL002";
    case JsonIssue::Kind::duplicate_key:
      return "BL003";
    case JsonIssue::Kind::trailing_bytes:
      return "BL004";
    case JsonIssue::Kind::not_utf8:
      return "BL005";
    case JsonIssue::Kind::number:
      return "BL006";
  }
  return "BL002";
}

Result<void> check_text(const std::string& text, std::size_t most, bool needed,
                        const std::string& pointer) {
  if (text.empty() && needed) return wrong("BL020", pointer, "is empty", "write what it is");
  if (text.size() > most)
    return wrong("BL020", pointer, "has more than " + std::to_string(most) + " bytes",
                 "write less");
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < ' '; }) ||
      !is_utf8(text))
    return wrong("BL020", pointer, "holds control characters", "write plain text in one line");
  return {};
}

Result<void> check_texts(const std::vector<std::string>& texts, std::size_t most_texts,
                         std::size_t most, const std::string& pointer) {
  if (texts.size() > most_texts)
    return wrong("BL020", pointer, "has more than " + std::to_string(most_texts) + " entries",
                 "write fewer");
  for (std::size_t index = 0; index < texts.size(); ++index)
    TRY(check_text(texts[index], most, true, pointer + "/" + std::to_string(index)));
  return {};
}

Result<void> check_globs(const std::vector<std::string>& globs, playbook::Spelling spelling,
                         bool needed, const std::string& pointer) {
  if ((globs.empty() && needed) || globs.size() > max_globs)
    return wrong("BL022", pointer, "has " + std::to_string(globs.size()) + " globs",
                 "write 1 to " + std::to_string(max_globs));
  for (std::size_t index = 0; index < globs.size(); ++index) {
    std::string glob = globs[index];
    const auto refusal = playbook::check_glob(glob, spelling);
    const std::string place = pointer + "/" + std::to_string(index);
    if (refusal) return wrong("BL022", place, refusal->message, refusal->expected);
    if (glob != globs[index])
      return wrong("BL022", place, "is not spelled with '/'", "write " + display(glob));
  }
  return {};
}

Result<void> check_folder(const BaselineFolder& folder, const std::string& pointer) {
  if (folder.spelled.empty() || folder.spelled.size() > max_spellings)
    return wrong("BL021", pointer + "/spelled",
                 "has " + std::to_string(folder.spelled.size()) + " places",
                 "write 1 to " + std::to_string(max_spellings));
  auto spelling = playbook::Spelling::posix;
  for (std::size_t index = 0; index < folder.spelled.size(); ++index) {
    const std::string place = pointer + "/spelled/" + std::to_string(index);
    const std::string& text = folder.spelled[index];
    TRY(check_text(text, max_text, true, place));
    const auto found = playbook::spelling_of(text);
    if (!found)
      return wrong("BL021", place, "is not absolute", "such as C:\\inetpub\\wwwroot or /var/www");
    if (index != 0 && *found != spelling)
      return wrong("BL021", place, "is spelled in another way than the first",
                   "spell all places of a folder for one system");
    spelling = *found;
    if (const auto refusal = playbook::check_path(text, *found, {}, false))
      return wrong("BL021", place, refusal->message, refusal->expected);
  }
  TRY(check_globs(folder.include, spelling, true, pointer + "/include"));
  return check_globs(folder.exclude, spelling, false, pointer + "/exclude");
}

auto order_of(const BaselineFile& file) { return std::tie(file.folder, file.path, file.sha256); }

Result<void> check_file(const Baseline& baseline, std::size_t index) {
  const BaselineFile& file = baseline.files[index];
  const std::string pointer = "/files/" + std::to_string(index);
  if (file.folder >= baseline.folders.size())
    return wrong("BL032", pointer + "/folder", "is no folder of this baseline",
                 "write the number of a folder, the first is 0");
  if (file.path.is_root() || file.path.bytes().size() > max_path)
    return wrong("BL030", pointer + "/path", "is empty or too long",
                 "write the path below the folder");
  const auto is_digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  if (file.sha256.size() != digest_digits || !std::ranges::all_of(file.sha256, is_digit))
    return wrong("BL031", pointer + "/sha256", "is no SHA-256",
                 "write 64 hexadecimal digits in lower case");
  for (std::size_t at = 0; at < file.builds.size(); ++at)
    if (file.builds[at] >= baseline.builds.size() ||
        (at != 0 && file.builds[at] <= file.builds[at - 1]))
      return wrong("BL033", pointer + "/builds", "is not a part of /builds in its order",
                   "list each build once");
  if (index != 0 && !(order_of(baseline.files[index - 1]) < order_of(file)))
    return wrong("BL034", pointer, "stands at the wrong place, or twice",
                 "sort the files by folder, path and digest");
  return {};
}

Result<void> check(const Baseline& baseline) {
  TRY(check_text(baseline.name, max_name, true, "/name"));
  TRY(check_text(baseline.product, max_text, false, "/product"));
  TRY(check_text(baseline.tool, max_name, true, "/tool"));
  TRY(check_texts(baseline.builds, max_builds, max_build, "/builds"));
  TRY(check_texts(baseline.sources, max_sources, max_text, "/sources"));
  for (std::size_t at = 0; at < baseline.builds.size(); ++at)
    if (std::ranges::count(baseline.builds, baseline.builds[at]) != 1)
      return wrong("BL033", "/builds/" + std::to_string(at), "stands twice", "list it once");
  if (baseline.folders.empty() || baseline.folders.size() > max_folders)
    return wrong("BL021", "/folders", "has " + std::to_string(baseline.folders.size()) + " entries",
                 "write 1 to " + std::to_string(max_folders));
  for (std::size_t at = 0; at < baseline.folders.size(); ++at)
    TRY(check_folder(baseline.folders[at], "/folders/" + std::to_string(at)));
  if (baseline.files.empty())
    return wrong("BL035", "/files", "is empty", "a baseline that knows nothing excludes nothing");
  if (baseline.files.size() > max_baseline_files)
    return wrong("BL001", "/files",
                 "has more than " + std::to_string(max_baseline_files) + " entries",
                 "narrow what it includes, or make several");
  for (std::size_t at = 0; at < baseline.files.size(); ++at) TRY(check_file(baseline, at));
  return {};
}

Json to_json(const BaselineFolder& folder) {
  return Json{{"spelled", folder.spelled},
              {"ignore_case", folder.ignore_case},
              {"include", folder.include},
              {"exclude", folder.exclude}};
}

Json to_json(const Baseline& baseline, const BaselineFile& file) {
  const std::string shown = display(file.path.bytes(), max_path * 8);
  Json json{{"folder", file.folder}, {"path", shown}};
  if (shown != file.path.bytes()) json["path_raw"] = base64_encode(file.path.bytes());
  json["sha256"] = file.sha256;
  if (file.size) json["size"] = *file.size;
  if (!file.builds.empty()) {
    Json builds = Json::array();
    for (const std::uint32_t build : file.builds) builds.push_back(baseline.builds[build]);
    json["builds"] = std::move(builds);
  }
  return json;
}

std::string bytes_of(const Baseline& baseline) {
  Json json{{"format_version", 1},
            {"kind", "baseline"},
            {"name", baseline.name},
            {"product", baseline.product},
            {"builds", baseline.builds},
            {"sources", baseline.sources},
            {"created", format_utc(baseline.created)},
            {"tool", baseline.tool}};
  Json folders = Json::array();
  for (const BaselineFolder& folder : baseline.folders) folders.push_back(to_json(folder));
  json["folders"] = std::move(folders);
  Json files = Json::array();
  for (const BaselineFile& file : baseline.files) files.push_back(to_json(baseline, file));
  json["files"] = std::move(files);
  return write_json(json);
}

Result<std::vector<std::string>> read_texts(JsonReader& reader, const char* key) {
  TRY_LET(const Json* array, coded(reader.array(key)));
  std::vector<std::string> texts;
  for (const Json& element : *array) {
    if (!element.is_string())
      return wrong("BL010", reader.pointer() + "/" + key, "holds something else than text",
                   "list strings");
    texts.push_back(element.get<std::string>());
  }
  return texts;
}

Result<void> done(const JsonReader& reader) {
  auto result = reader.done();
  if (!result) result.error().message = "BL011 " + result.error().message;
  return result;
}

Result<BaselineFolder> read_folder(const Json& json, const std::string& pointer) {
  JsonReader reader(json, pointer);
  BaselineFolder folder;
  TRY_LET(folder.spelled, read_texts(reader, "spelled"));
  TRY_LET(folder.ignore_case, coded(reader.boolean("ignore_case")));
  TRY_LET(folder.include, read_texts(reader, "include"));
  TRY_LET(folder.exclude, read_texts(reader, "exclude"));
  TRY(done(reader));
  return folder;
}

Result<RawPath> read_path(JsonReader& reader) {
  TRY_LET(std::string bytes, coded(reader.string("path")));
  if (reader.has("path_raw")) {
    TRY_LET(bytes, coded(reader.bytes("path_raw")));
  }
  auto path = RawPath::parse(bytes);
  if (!path) return wrong("BL030", reader.pointer() + "/path", path.error().text(), "");
  return *path;
}

using BuildNumbers = std::unordered_map<std::string, std::uint32_t>;

Result<BaselineFile> read_file(const Json& json, const BuildNumbers& numbers,
                               const std::string& pointer) {
  JsonReader reader(json, pointer);
  BaselineFile file;
  TRY_LET(const std::uint64_t folder, coded(reader.unsigned_integer("folder")));
  file.folder = static_cast<std::uint32_t>(std::min<std::uint64_t>(folder, max_folders));
  TRY_LET(file.path, read_path(reader));
  TRY_LET(file.sha256, coded(reader.string("sha256")));
  if (reader.has("size")) {
    TRY_LET(file.size, coded(reader.unsigned_integer("size")));
  }
  if (reader.has("builds")) {
    TRY_LET(const std::vector<std::string> builds, read_texts(reader, "builds"));
    for (const std::string& build : builds) {
      const auto number = numbers.find(build);
      if (number == numbers.end())
        return wrong("BL033", pointer + "/builds", "names a build that /builds does not have",
                     "list it there too");
      file.builds.push_back(number->second);
    }
  }
  TRY(done(reader));
  return file;
}

Result<Baseline> from_json(const Json& json) {
  JsonReader reader(json, "");
  TRY_LET(const std::int64_t version, coded(reader.integer("format_version")));
  if (version != 1)
    return wrong("BL012", "/format_version", "is " + std::to_string(version),
                 "make it again with this version of the tool");
  TRY_LET(const std::string kind, coded(reader.string("kind")));
  if (kind != "baseline")
    return wrong("BL012", "/kind", "is " + display(kind, max_name), "name a baseline");
  Baseline baseline;
  TRY_LET(baseline.name, coded(reader.string("name")));
  TRY_LET(baseline.product, coded(reader.string("product")));
  TRY_LET(baseline.builds, read_texts(reader, "builds"));
  TRY_LET(baseline.sources, read_texts(reader, "sources"));
  TRY_LET(const std::string created, coded(reader.string("created")));
  TRY_LET(baseline.tool, coded(reader.string("tool")));
  const auto time = parse_utc(created);
  if (!time) return wrong("BL013", "/created", "is not a UTC time", "such as 2026-01-02T03:04:05Z");
  baseline.created = *time;
  BuildNumbers numbers;
  for (const std::string& build : baseline.builds)
    numbers.emplace(build, static_cast<std::uint32_t>(numbers.size()));
  TRY_LET(const Json* folders, coded(reader.array("folders")));
  TRY_LET(const Json* files, coded(reader.array("files")));
  TRY(done(reader));
  for (const Json& folder : *folders) {
    if (baseline.folders.size() > max_folders) break;  // refused by check()
    TRY_LET(baseline.folders.emplace_back(),
            read_folder(folder, "/folders/" + std::to_string(baseline.folders.size())));
  }
  for (const Json& file : *files) {
    if (baseline.files.size() > max_baseline_files) break;
    TRY_LET(baseline.files.emplace_back(),
            read_file(file, numbers, "/files/" + std::to_string(baseline.files.size())));
  }
  return baseline;
}

}  // namespace

Result<std::string> write_baseline(Baseline baseline) {
  std::ranges::sort(baseline.files,
                    [](const auto& a, const auto& b) { return order_of(a) < order_of(b); });
  TRY(check(baseline));
  std::string bytes = bytes_of(baseline);
  if (bytes.size() > max_baseline_bytes)
    return fail(
        Code::limit,
        "the baseline would have more than " + std::to_string(max_baseline_bytes >> 20) + " MiB",
        "narrow what it includes, or make several");
  return bytes;
}

Result<Baseline> parse_baseline(std::string_view bytes, std::string_view what) {
  const auto refused = [&](Error error) {
    error.message = display(what) + ": " + error.message;
    return std::unexpected(std::move(error));
  };
  Result<Baseline> baseline;
  {
    const auto json = parse_json_strict(bytes, {max_baseline_bytes, 8, 20'000'000});
    if (!json) {
      const JsonIssue& issue = json.error();
      return refused({Code::bad_input,
                      std::string(issue_code(issue.kind)) + " " +
                          (issue.pointer.empty() ? "the document" : display(issue.pointer, 400)) +
                          ", byte " + std::to_string(issue.offset) + ": " + issue.message,
                      "make it with `remediate baseline create`"});
    }
    baseline = from_json(*json);
  }
  if (!baseline) return refused(std::move(baseline).error());
  if (auto checked = check(*baseline); !checked) return refused(std::move(checked).error());
  const std::string canonical = bytes_of(*baseline);
  if (canonical != bytes) {
    const auto [ours, theirs] = std::ranges::mismatch(canonical, bytes);
    return refused({Code::bad_input,
                    "BL040 byte " + std::to_string(ours - canonical.begin()) +
                        ": the file is not in the one form that baselines are written in",
                    "make it with `remediate baseline create`; do not edit it"});
  }
  return baseline;
}

}  // namespace remediate::plan
