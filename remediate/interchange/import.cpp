#include "remediate/interchange/import.h"

#include <algorithm>
#include <array>
#include <utility>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/interchange/foreign.h"
#include "remediate/interchange/items.h"
#include "remediate/match/engine.h"
#include "remediate/playbook/parse.h"

namespace remediate::interchange {

namespace {

constexpr std::size_t max_causes = 10;
constexpr std::array<std::pair<std::string_view, ImportFormat>, 5> words = {{
    {"hashes", ImportFormat::hashes},
    {"loki", ImportFormat::loki},
    {"stix", ImportFormat::stix},
    {"misp", ImportFormat::misp},
    {"yara", ImportFormat::yara},
}};

std::unexpected<Error> not_clear(const ImportFile& file) {
  return fail(Code::usage, "the format of " + display(file.name) + " is not clear",
              "name it with --from");
}

bool is_json(const ImportFile& file) {
  const std::size_t first = file.bytes.find_first_not_of(" \t\r\n");
  return first != std::string::npos && (file.bytes[first] == '{' || file.bytes[first] == '[');
}

/// Of a text: by the first line that says something.
Result<ImportFormat> guess(const ImportFile& file) {
  const std::string name = ascii_lower(file.name);
  if (name.ends_with(".yar") || name.ends_with(".yara")) return ImportFormat::yara;
  constexpr std::array<std::string_view, 6> good = {"falsepositive", "false-positive", "whitelist",
                                                    "allowlist",     "known-good",     "knowngood"};
  const std::string last = name.substr(name.rfind('/') + 1);
  if (std::ranges::any_of(good, [&](std::string_view word) { return last.contains(word); }))
    return fail(Code::usage, display(file.name) + " lists what is good, by its name",
                "leave it out; with --from loki it keeps digests from being taken");
  for (const std::string_view line : lines_of(file.bytes)) {
    const std::string_view text = trimmed(line);
    if (text.empty() || text.starts_with('#')) continue;
    const std::size_t end = std::min(text.find(';'), text.size());
    if (end < text.size() && !digest_kind(trimmed(text.substr(0, end))).empty())
      return ImportFormat::loki;
    if (text.starts_with("%%%% HASHDEEP")) return ImportFormat::hashes;
    const std::size_t word = std::min(text.find_first_of(" \t,"), text.size());
    if (!digest_kind(text.substr(0, word)).empty()) return ImportFormat::hashes;
    break;
  }
  return not_clear(file);
}

Result<void> read_json(const ImportFile& file, const ImportOptions& options, Collected& collected) {
  TRY_LET(const Json document, read_document(file));
  const bool stix = options.format ? options.format == ImportFormat::stix : is_stix(document);
  if (!stix && !options.format && !is_misp(document)) return not_clear(file);
  return stix ? read_stix(file, document, options.now, collected)
              : read_misp(file, document, collected);
}

Result<void> read_file(const ImportFile& file, const ImportOptions& options, Collected& collected) {
  const bool json = options.format == ImportFormat::stix || options.format == ImportFormat::misp;
  if (json || (!options.format && is_json(file))) return read_json(file, options, collected);
  TRY_LET(const ImportFormat format,
          options.format ? Result<ImportFormat>(*options.format) : guess(file));
  if (format == ImportFormat::yara) return read_yara(file, collected);
  return format == ImportFormat::loki ? read_loki(file, collected)
                                      : read_hash_list(file, collected);
}

Error refused(const std::vector<playbook::Diagnostic>& diagnostics) {
  const auto of_options = [](const playbook::Diagnostic& one) {
    return !one.pointer.starts_with("/indicators") && !one.pointer.starts_with("/steps");
  };
  const auto of_size = [](const playbook::Diagnostic& one) {
    return one.code == "PB001" || one.code == "PB003" || one.code == "PB055" || one.code == "PB018";
  };
  Error error{Code::internal, "the playbook that was made does not pass `check`", "report it"};
  if (std::ranges::any_of(diagnostics, of_size)) {
    error = {Code::limit, "this is more than one playbook holds",
             "import the files in parts, each into a playbook of its own"};
  } else if (std::ranges::all_of(diagnostics, of_options)) {
    error = {Code::usage, "a playbook with these options does not pass `check`",
             "folders, globs, ids and labels are spelled as docs/playbook-reference.md says"};
  }
  for (const playbook::Diagnostic& diagnostic : diagnostics)
    if (error.causes.size() < max_causes) error.causes.push_back(diagnostic.text());
  return error;
}

/// The same questions that `check` asks.
Result<void> check(const std::string& bytes, std::string_view name) {
  auto parsed = playbook::parse_playbook(bytes, name);
  if (!parsed) return std::unexpected(refused(parsed.error()));
  const std::vector<playbook::Playbook> playbooks{std::move(parsed->playbook)};
  auto engine = match::Engine::compile(playbooks, {});
  if (engine) return {};
  Error error = std::move(engine).error().wrapped("the playbook that was made does not compile");
  error.code = Code::internal;
  return std::unexpected(std::move(error));
}

Result<void> add_up(const ImportReport& report) {
  std::uint64_t taken = 0;
  for (const ImportedItem& item : report.items) {
    if (item.taken() != item.reason.empty())
      return fail(Code::internal, item.place + " is neither taken nor left out", "report it");
    taken += item.taken() ? 1 : 0;
  }
  if (report.read == report.items.size() && taken == report.taken &&
      report.taken + report.left_out == report.read)
    return {};
  return fail(Code::internal,
              std::to_string(report.read) + " items were read, but " +
                  std::to_string(report.taken) + " taken and " + std::to_string(report.left_out) +
                  " left out",
              "report it; nothing was written");
}

}  // namespace

std::optional<ImportFormat> import_format(std::string_view word) {
  const auto* const found =
      std::ranges::find(words, word, [](const auto& pair) { return pair.first; });
  if (found == words.end()) return std::nullopt;
  return found->second;
}

std::string_view format_word(ImportFormat format) {
  const auto* const found =
      std::ranges::find(words, format, [](const auto& pair) { return pair.second; });
  return found == words.end() ? "unknown" : found->first;
}

Result<Imported> import_indicators(const std::vector<ImportFile>& files,
                                   const ImportOptions& options) {
  if (files.empty()) return fail(Code::usage, "no file to import was given", "name one");
  if (options.folders.empty())
    return fail(Code::usage, "no folder was named: an empty scope never means everything",
                "--folder names where the playbook looks, and may be given again");
  Collected collected;
  for (const ImportFile& file : files) TRY(read_file(file, options, collected));
  TRY_LET(Imported imported, draft_playbook(collected, files, options));
  TRY(add_up(imported.report));
  TRY(check(imported.playbook, "the playbook"));
  return imported;
}

}  // namespace remediate::interchange
