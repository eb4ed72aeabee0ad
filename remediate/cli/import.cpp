#include "remediate/interchange/import.h"

#include <algorithm>

#include <CLI/CLI.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/cli/import.h"

namespace remediate::cli {
namespace {

constexpr std::uint64_t max_import_bytes = 64u << 20;
constexpr std::uint64_t max_import_total = 256u << 20;
constexpr std::size_t max_import_files = 1000;
constexpr int max_folder_depth = 8;

struct Options {
  std::string from;
  std::vector<std::string> paths;
  std::string output;
  std::string weak = "review";
  interchange::ImportOptions import{};
};

bool has_ending(std::string_view name, std::initializer_list<std::string_view> endings) {
  const std::string lower = ascii_lower(name);
  return std::ranges::any_of(endings, [&](std::string_view one) { return lower.ends_with(one); });
}

/// Whether a file of a folder is looked at; a file that is named always is.
bool wanted(std::string_view name, const std::string& from) {
  if (from == "yara") return has_ending(name, {".yar", ".yara", ".rule"});
  if (name == "manifest.json") return false;  // of a feed: it names the events
  if (from == "stix" || from == "misp") return has_ending(name, {".json"});
  if (from == "loki") return has_ending(name, {".txt", ".csv"});
  return has_ending(
      name, {".yar", ".yara", ".json", ".txt", ".csv", ".md5", ".sha1", ".sha256", ".hashes"});
}

class Files {
 public:
  Files(Global& global, const std::string& from) : global_(global), from_(from) {}

  Result<void> add(const std::string& path) {
    if (path == "-") return add_file(path, read_file(global_, path, max_import_bytes));
    if (auto folder = global_.host.open_root(path)) return add_folder(path, **folder, 1);
    return add_file(path, read_file(global_, path, max_import_bytes));
  }
  [[nodiscard]] const std::vector<interchange::ImportFile>& files() const { return files_; }
  [[nodiscard]] const std::vector<std::string>& passed_over() const { return passed_over_; }

 private:
  Result<void> add_file(const std::string& name, Result<std::string> bytes) {
    if (!bytes) return std::unexpected(std::move(bytes).error());
    if (files_.size() >= max_import_files)
      return fail(Code::limit, "there are more than " + std::to_string(max_import_files) + " files",
                  "import them in parts, each into a playbook of its own");
    total_ += bytes->size();
    if (total_ > max_import_total)
      return fail(Code::limit, "the files together are larger than 256 MiB",
                  "import them in parts, each into a playbook of its own");
    files_.push_back({name == "-" ? "standard input" : name, std::move(*bytes)});
    return {};
  }

  Result<void> add_folder(const std::string& path, const host::Directory& folder, int depth) {
    if (depth > max_folder_depth)
      return fail(Code::limit, display(path) + " lies too deep in the folder",
                  "name it on the command line");
    std::vector<std::string> names;
    bool too_many = false;
    TRY(folder.each_entry([&](std::string_view name, FileKind) {
      names.emplace_back(name);
      too_many = names.size() > max_import_files * 10;
      return !too_many;
    }));
    if (too_many)
      return fail(Code::limit, display(path) + " holds too many entries",
                  "name the files on the command line");
    std::ranges::sort(names);
    for (const std::string& name : names) TRY(add_entry(path + "/" + name, folder, name, depth));
    return {};
  }

  Result<void> add_entry(const std::string& path, const host::Directory& folder,
                         const std::string& name, int depth) {
    TRY_LET(const FileStat stat, folder.stat_entry(name));
    if (name.starts_with('.') || (stat.kind != FileKind::directory &&
                                  (stat.kind != FileKind::regular || !wanted(name, from_)))) {
      passed_over_.push_back(path);
      return {};
    }
    if (stat.kind == FileKind::regular)
      return add_file(path, read_file(global_, path, max_import_bytes));
    TRY_LET(const RawPath below, RawPath::parse(name));
    TRY_LET(const auto inner, folder.open_directory(below, host::Mounts::cross));
    return add_folder(path, *inner, depth + 1);
  }

  Global& global_;
  const std::string& from_;
  std::vector<interchange::ImportFile> files_;
  std::vector<std::string> passed_over_;
  std::uint64_t total_ = 0;
};

Result<int> import(Global& global, Options& options) {
  Files files(global, options.from);
  for (std::string path : options.paths) {
    while (path.size() > 1 && path.ends_with('/')) path.pop_back();
    TRY(files.add(path));
  }
  if (files.files().empty())
    return fail(Code::bad_input, "there is no file to import in what was named",
                "in folders, --from decides which endings are looked at; name the files");
  interchange::ImportOptions& import = options.import;
  import.format = interchange::import_format(options.from);
  import.remove_by_weak_digest = options.weak == "remove";
  import.now = global.host.now();
  TRY_LET(interchange::Imported imported, interchange::import_indicators(files.files(), import));
  constexpr std::size_t most_named = 3;
  if (const auto& over = files.passed_over(); !over.empty()) {
    std::string note = std::to_string(over.size()) + " file(s) of the folder were not read:";
    for (std::size_t i = 0; i < over.size() && i < most_named; ++i) note += " " + display(over[i]);
    if (over.size() > most_named) note += " ...";
    imported.report.notes.push_back(std::move(note));
  }
  const bool piped = options.output.empty() || options.output == "-";
  if (!piped) TRY(write_file(global, options.output, imported.playbook));
  if (global.json()) {
    Json document = interchange::report_json(imported.report);
    if (piped) {
      TRY_LET(document["playbook"], parse_json(imported.playbook, "the playbook",
                                               {.max_bytes = 16u << 20, .max_depth = 64}));
    } else {
      document["file"] = display(options.output);
    }
    TRY(print(document));
    return 0;
  }
  std::string text = interchange::report_text(imported.report);
  if (piped) {
    TRY(print(imported.playbook));
    text.pop_back();
    message(global, text);
  } else {
    TRY(print(text + "written to " + display(options.output) +
              "; look at it, then `remediate plan -p` it against a clean server\n"));
  }
  return 0;
}

}  // namespace

void add_import(CLI::App& app, Global& global, Action& chosen) {
  auto* command = app.add_subcommand("import", "makes a playbook of indicators of others");
  const auto options = std::make_shared<Options>();
  interchange::ImportOptions& import_options = options->import;
  command->add_option("FILE", options->paths, "files and folders; - is the standard input")
      ->required();
  command
      ->add_option("--from", options->from,
                   "stix, misp, loki, yara or hashes; guessed where it is clear")
      ->check(CLI::IsMember({"stix", "misp", "loki", "yara", "hashes"}));
  command
      ->add_option("--folder", import_options.folders,
                   "where the playbook looks, spelled as in a playbook; may be given again")
      ->required()
      ->allow_extra_args(false);
  command
      ->add_option("--include", import_options.include,
                   "which files below the folders (default **); may be given again")
      ->allow_extra_args(false);
  command->add_option("--exclude", import_options.exclude, "which files not; may be given again")
      ->allow_extra_args(false);
  command->add_option("-o,--out,--output", options->output, "the playbook to write");
  command
      ->add_option("--weak-digests", options->weak,
                   "what MD5 and SHA-1 authorise: review or remove")
      ->check(CLI::IsMember({"review", "remove"}))
      ->capture_default_str();
  command
      ->add_option("--yara-score", import_options.yara_score,
                   "YARA rules with this score or more authorise removal")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100}));
  command->add_option("--name", import_options.name, "the playbook's name");
  command->add_option("--author", import_options.author, "who answers for the playbook");
  command->add_option("--id", import_options.id, "playbook--UUID, to make its next revision");
  command->add_option("--revision", import_options.revision, "the playbook's revision")
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1'000'000'000}))
      ->capture_default_str();
  command->add_option("--tlp", import_options.tlp, "at least this label")
      ->check(CLI::IsMember({"clear", "green", "amber", "amber+strict", "red"}));
  command
      ->add_option("--attack", import_options.attack,
                   "ATT&CK technique (default T1505.003); may be given again")
      ->allow_extra_args(false);
  command->callback([&, options] {
    global.confined = {options->output};
    chosen = [&global, options] { return import(global, *options); };
  });
}

}  // namespace remediate::cli
