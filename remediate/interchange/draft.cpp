#include <algorithm>
#include <array>
#include <map>

#include "remediate/base/clock.h"
#include "remediate/base/encoding.h"
#include "remediate/crypto/digest.h"
#include "remediate/interchange/items.h"
#include "remediate/interchange/path_pattern.h"
#include "remediate/interchange/scopes.h"

namespace remediate::interchange {

namespace {

constexpr std::size_t most_indicators = 800;  // more are put together; a playbook holds 1000
constexpr std::size_t most_objects = 4000;    // bytes of one source's objects
constexpr std::size_t max_sources = 1000;     // of one indicator
constexpr std::size_t max_causes = 10;
constexpr std::array<std::string_view, 5> labels = {"clear", "green", "amber", "amber+strict",
                                                    "red"};
constexpr std::array<std::string_view, 3> confidences = {"low", "medium", "high"};

template <std::size_t N>
std::size_t rank(const std::array<std::string_view, N>& words, std::string_view word) {
  return static_cast<std::size_t>(std::ranges::find(words, word) - words.begin());
}

/// An indicator on its way: what is asked for is in `match`, once.
struct Draft {
  Json match;
  std::string kind;  // "sha256", "sha1", "md5", "name", "yara", "file"
  std::vector<std::string> scopes;
  std::string name;
  std::string confidence;
  bool remove = false;
  std::vector<Provenance> sources;
  std::vector<std::size_t> items;  // of the report
  std::string id;
};

struct Asked {
  Json match;
  std::string kind;
};

Asked condition_of(const Way& way, const std::vector<std::string>& globs, std::int64_t min_score) {
  std::vector<std::pair<std::string, Json>> parts;
  if (!globs.empty()) parts.emplace_back("name", Json{{"path", globs}});
  if (way.min_size || way.max_size) {
    Json size = Json::object();
    if (way.min_size) size["min"] = *way.min_size;
    if (way.max_size) size["max"] = *way.max_size;
    parts.emplace_back("size", Json{{"size", std::move(size)}});
  }
  if (!way.sha256.empty()) parts.emplace_back("sha256", Json{{"sha256", Json{way.sha256}}});
  if (!way.sha1.empty()) parts.emplace_back("sha1", Json{{"sha1", Json{way.sha1}}});
  if (!way.md5.empty()) parts.emplace_back("md5", Json{{"md5", Json{way.md5}}});
  if (!way.yara.empty()) {
    Json rules{{"rules", way.yara}};
    if (min_score > 0) rules["min_score"] = min_score;
    parts.emplace_back("yara", Json{{"yara", std::move(rules)}});
  }
  if (parts.size() == 1) return {std::move(parts.front().second), parts.front().first};
  Json all = Json::array();
  for (auto& part : parts) all.push_back(std::move(part.second));
  return {Json{{"all", std::move(all)}}, "file"};
}

std::string_view usual_confidence(const Way& way) {
  if (!way.sha256.empty()) return "high";
  return way.sha1.empty() && way.md5.empty() && way.yara.empty() ? "low" : "medium";
}

bool same_but_object(const Provenance& a, const Provenance& b) {
  return a.format == b.format && a.id == b.id && a.created == b.created &&
         a.valid_until == b.valid_until && a.tlp == b.tlp && a.licence == b.licence;
}

void add_source(std::vector<Provenance>& sources, const Provenance& source) {
  for (Provenance& known : sources) {
    if (!same_but_object(known, source)) continue;
    if (known.object == source.object) return;
    const bool fits = known.object.size() + source.object.size() + 2 <= most_objects;
    if (!fits || known.object.empty() || source.object.empty()) continue;
    known.object += ", " + source.object;
    return;
  }
  sources.push_back(source);
}

Json source_json(const Provenance& source) {
  Json json{{"format", source.format}};
  const auto set = [&](const char* key, const std::string& value) {
    if (!value.empty()) json[key] = value;
  };
  set("id", source.id);
  set("object", source.object);
  set("created", source.created);
  set("valid_until", source.valid_until);
  set("tlp", source.tlp);
  set("licence", source.licence);
  return json;
}

class Drafting {
 public:
  Drafting(Collected& collected, const ImportOptions& options)
      : collected_(collected), options_(options), scopes_(options.folders) {}

  void run() {
    for (Collected::Entry& entry : collected_.entries()) add(entry);
    bundle();
    name_them();
  }
  [[nodiscard]] std::vector<Draft>& drafts() { return drafts_; }
  [[nodiscard]] ImportReport& report() { return report_; }
  [[nodiscard]] const Scopes& scopes() const { return scopes_; }
  [[nodiscard]] bool unlabelled() const { return unlabelled_; }

 private:
  void add(Collected::Entry& entry) {
    ImportedItem item;
    item.place = entry.item.place;
    item.what = short_text(entry.item.name, "(no name)");
    item.reason =
        entry.reason.empty() ? std::string(collected_.outdated(entry.item)) : entry.reason;
    item.notes = entry.item.notes;
    const std::size_t number = report_.items.size();
    std::size_t ways = 0;
    bool fresh = false;
    std::string first_fault;
    if (!item.reason.empty()) entry.item.ways.clear();
    for (const Way& way : entry.item.ways) {
      const std::string fault = add_way(entry.item, way, number, item.what, item.notes, fresh);
      if (fault.empty())
        ++ways;
      else if (first_fault.empty())
        first_fault = fault;
      if (!fault.empty() && entry.item.ways.size() > 1)
        item.notes.push_back("in part only: " + fault);
    }
    if (ways == 0 && item.reason.empty()) {
      item.reason = first_fault.empty() ? "it says nothing about a file" : first_fault;
      item.notes.clear();
    }
    if (item.reason.empty()) {
      ++report_.taken;
      if (!fresh) ++report_.repeated;
      unlabelled_ = unlabelled_ || entry.item.source.tlp.empty();
    } else {
      ++report_.left_out;
    }
    std::ranges::sort(item.notes);
    const auto repeated = std::ranges::unique(item.notes);
    item.notes.erase(repeated.begin(), repeated.end());
    report_.items.push_back(std::move(item));
  }

  std::string digest_faults(const Way& way) const {
    for (const std::string* digest : {&way.sha256, &way.sha1, &way.md5}) {
      if (digest->empty()) continue;
      if (const std::string_view fault = digest_fault(*digest); !fault.empty())
        return std::string(fault);
      if (collected_.is_known_good(*digest)) return "its digest stands in a list of good files";
    }
    return {};
  }

  /// Why the way cannot be taken; empty when it was.
  std::string add_way(const Item& item, const Way& way, std::size_t number, const std::string& name,
                      std::vector<std::string>& notes, bool& fresh) {
    if (std::string fault = digest_faults(way); !fault.empty()) return fault;
    std::vector<std::string> globs = way.globs;
    std::vector<std::string> scopes = scopes_.ids();
    if (!way.folder.empty()) {
      const auto below = scopes_.below(way.folder);
      if (!below) return "its folder lies in none of the folders that --folder names";
      if (below->glob.empty() && !below->in_scope)
        return "its folder has a name that a glob cannot say";
      scopes = {below->scope};
      const std::string start = below->glob.empty() ? "" : below->glob + "/";
      if (globs.empty()) globs = {"**/*"};
      for (std::string& glob : globs) glob = start + glob.substr(std::string_view("**/").size());
    }
    const bool weak = way.sha256.empty() && !(way.sha1.empty() && way.md5.empty());
    if (weak && !options_.remove_by_weak_digest && !item.review_only)
      notes.emplace_back("for review: others can make files with the same MD5 or SHA-1");
    const bool removes =
        !item.review_only && (!way.sha256.empty() || (weak && options_.remove_by_weak_digest));
    const bool scored = !item.review_only && !way.yara.empty() && options_.yara_score > 0;
    if (!way.yara.empty() && !removes && !scored && !item.review_only)
      notes.emplace_back("for review: YARA rules remove only with --yara-score");
    fresh = put(item, condition_of(way, globs, 0), way, scopes, removes, number, name) || fresh;
    if (scored && !removes)
      put(item, condition_of(way, globs, options_.yara_score), way, scopes, true, number, name);
    return {};
  }

  bool put(const Item& item, Asked asked, const Way& way, const std::vector<std::string>& scopes,
           bool removes, std::size_t number, const std::string& name) {
    std::string key = asked.match.dump(-1, ' ', true, Json::error_handler_t::replace);
    for (const std::string& scope : scopes) key += "\n" + scope;
    const auto [place, fresh] = known_.try_emplace(crypto::sha256_hex(key), drafts_.size());
    if (fresh) {
      Draft draft;
      draft.match = std::move(asked.match);
      draft.kind = asked.kind;
      draft.scopes = scopes;
      draft.name = name;
      const std::string& digest = draft.kind == "sha256" ? way.sha256
                                  : draft.kind == "sha1" ? way.sha1
                                  : draft.kind == "md5"  ? way.md5
                                                         : place->first;
      draft.id = draft.kind + "-" + digest.substr(0, 16);
      drafts_.push_back(std::move(draft));
    }
    Draft& draft = drafts_[place->second];
    const std::string_view says =
        item.confidence.empty() ? usual_confidence(way) : std::string_view(item.confidence);
    if (draft.confidence.empty() || rank(confidences, says) > rank(confidences, draft.confidence))
      draft.confidence = says;
    draft.remove = draft.remove || removes;
    add_source(draft.sources, item.source);
    if (draft.items.empty() || draft.items.back() != number) draft.items.push_back(number);
    return fresh;
  }

  /// Puts drafts of one kind together where there are more than a playbook holds.
  void bundle() {
    if (drafts_.size() <= most_indicators) return;
    std::map<std::string, std::vector<std::size_t>> groups;
    for (std::size_t i = 0; i < drafts_.size(); ++i) {
      const Draft& draft = drafts_[i];
      std::string key =
          draft.kind + "\n" + draft.confidence + "\n" + (draft.remove ? "remove" : "review");
      for (const std::string& scope : draft.scopes) key += "\n" + scope;
      groups[key].push_back(i);
    }
    const std::size_t size = drafts_.size() / most_indicators + 1;
    std::vector<Draft> bundled;
    for (const auto& [key, members] : groups)
      for (std::size_t at = 0; at < members.size(); at += size)
        bundled.push_back(together(members, at, std::min(at + size, members.size())));
    drafts_ = std::move(bundled);
  }

  Draft together(const std::vector<std::size_t>& members, std::size_t from, std::size_t to) {
    Draft whole = drafts_[members[from]];
    if (to - from == 1) return whole;
    const bool digests = whole.kind == "sha256" || whole.kind == "sha1" || whole.kind == "md5";
    Json list = Json::array();
    for (std::size_t i = from; i < to; ++i) {
      const Draft& part = drafts_[members[i]];
      list.push_back(digests ? part.match.begin()->front() : part.match);
      if (i == from) continue;
      for (const Provenance& source : part.sources) add_source(whole.sources, source);
      whole.items.insert(whole.items.end(), part.items.begin(), part.items.end());
    }
    whole.match = digests ? Json{{whole.kind, std::move(list)}} : Json{{"any", std::move(list)}};
    whole.name = short_text(whole.name) + " and " + std::to_string(to - from - 1) + " more";
    return whole;
  }

  void name_them() {
    std::map<std::string, std::size_t> used;
    for (Draft& draft : drafts_) {
      const std::size_t before = used[draft.id]++;
      if (before > 0) draft.id += "-" + std::to_string(before + 1);
      for (const std::size_t number : draft.items) {
        std::vector<std::string>& ids = report_.items[number].indicators;
        if (ids.empty() || ids.back() != draft.id) ids.push_back(draft.id);
      }
    }
  }

  Collected& collected_;
  const ImportOptions& options_;
  Scopes scopes_;
  std::vector<Draft> drafts_;
  std::map<std::string, std::size_t> known_;
  ImportReport report_;
  bool unlabelled_ = false;
};

std::string tlp_of(const std::vector<Draft>& drafts, const ImportOptions& options, bool unlabelled,
                   std::vector<std::string>& notes) {
  std::string_view label = options.tlp;
  if (label.empty()) label = unlabelled ? "amber" : "clear";
  for (const Draft& draft : drafts)
    for (const Provenance& source : draft.sources) {
      if (source.tlp.empty() || rank(labels, source.tlp) <= rank(labels, label)) continue;
      label = source.tlp;
    }
  if (!options.tlp.empty() && label != options.tlp)
    notes.push_back("the playbook is TLP:" + std::string(label) +
                    ", as its sources are, not TLP:" + options.tlp);
  return std::string(label);
}

std::string made_id(const std::vector<ImportFile>& files, const ImportOptions& options) {
  std::string text;
  for (const ImportFile& file : files) text += crypto::sha256_hex(file.bytes) + "\n";
  for (const auto* list : {&options.folders, &options.include, &options.exclude})
    for (const std::string& one : *list) text += one + "\n";
  std::string uuid = crypto::sha256_hex(text).substr(0, 32);
  uuid[12] = '8';
  uuid[16] = 'a';
  for (const std::size_t at : {20U, 16U, 12U, 8U}) uuid.insert(at, "-");
  return "playbook--" + uuid;
}

Json scopes_json(const Scopes& scopes, const std::vector<Draft>& drafts,
                 const ImportOptions& options, std::vector<std::string>& notes) {
  Json list = Json::array();
  for (std::size_t i = 0; i < scopes.ids().size(); ++i) {
    const std::string& id = scopes.ids()[i];
    const bool used = std::ranges::any_of(drafts, [&](const Draft& draft) {
      return std::ranges::find(draft.scopes, id) != draft.scopes.end();
    });
    if (!used) {
      notes.push_back("no indicator looks into " + display(options.folders[i]));
      continue;
    }
    Json scope{{"id", id}, {"folder", options.folders[i]}, {"include", options.include}};
    if (!options.exclude.empty()) scope["exclude"] = options.exclude;
    list.push_back(std::move(scope));
  }
  return list;
}

Json indicator_json(const Draft& draft) {
  Json sources = Json::array();
  for (const Provenance& source : draft.sources) sources.push_back(source_json(source));
  return Json{{"id", draft.id},
              {"name", draft.name},
              {"scopes", draft.scopes},
              {"match", draft.match},
              {"confidence", draft.confidence},
              {"authorises", draft.remove ? "remove" : "review"},
              {"source", sources.size() == 1 ? sources.front() : sources}};
}

Json steps_json(const std::vector<Draft>& drafts) {
  Json removing = Json::array();
  Json review = Json::array();
  for (const Draft& draft : drafts) (draft.remove ? removing : review).push_back(draft.id);
  Json steps = Json::array();
  if (!removing.empty())
    steps.push_back(
        Json{{"id", "remove"}, {"action", "quarantine"}, {"indicators", std::move(removing)}});
  if (!review.empty())
    steps.push_back(
        Json{{"id", "look"},
             {"action", "instruct"},
             {"indicators", std::move(review)},
             {"text",
              "Look at the files that matched for review: a name, a place, a weak digest "
              "or a rule alone does not say that a file is bad."}});
  return steps;
}

std::string earliest_end(const std::vector<Draft>& drafts) {
  std::string earliest;
  for (const Draft& draft : drafts)
    for (const Provenance& source : draft.sources)
      if (!source.valid_until.empty() && (earliest.empty() || source.valid_until < earliest))
        earliest = source.valid_until;
  return earliest;
}

std::unexpected<Error> nothing_taken(const ImportReport& report) {
  Error error{Code::bad_input,
              report.read == 0
                  ? "there is no indicator in what was given"
                  : "none of the " + std::to_string(report.read) + " items could be taken",
              "each cause names an item and why; --format json of a larger import lists all"};
  for (const ImportedItem& item : report.items) {
    if (error.causes.size() == max_causes) break;
    error.causes.push_back(item.place + ": " + item.reason);
  }
  return std::unexpected(std::move(error));
}

}  // namespace

Result<Imported> draft_playbook(Collected& collected, const std::vector<ImportFile>& files,
                                const ImportOptions& options) {
  Drafting drafting(collected, options);
  drafting.run();
  const std::vector<Draft>& drafts = drafting.drafts();
  Imported imported;
  ImportReport& report = imported.report;
  report = std::move(drafting.report());
  report.read = collected.read();
  report.indicators = drafts.size();
  report.removing = static_cast<std::uint64_t>(std::ranges::count_if(drafts, &Draft::remove));
  report.notes.assign(collected.notes().begin(), collected.notes().end());
  if (report.taken == 0) return nothing_taken(report);
  for (const Draft& draft : drafts)
    if (draft.sources.size() > max_sources)
      return fail(Code::limit, "the indicator " + draft.id + " would have more than 1000 sources",
                  "import the files in parts, each into a playbook of its own");

  const std::string now = format_utc(options.now);
  Json references = Json::array();
  for (const ImportFile& file : files)
    references.push_back(Json{{"source", short_text(file.name, "a list") + ", sha256 " +
                                             crypto::sha256_hex(file.bytes)}});
  Json document{
      {"format_version", 1},
      {"id", options.id.empty() ? made_id(files, options) : options.id},
      {"name", options.name.empty() ? "Imported from " + short_text(files.front().name, "a list") +
                                          (files.size() > 1 ? " and others" : "")
                                    : options.name},
      {"description", "Made by import from " + std::to_string(files.size()) +
                          " file(s): " + std::to_string(report.taken) + " items taken, " +
                          std::to_string(report.left_out) +
                          " left out. It looks for files only. The hole that they came through, "
                          "settings and accounts are left to other playbooks and to people."},
      {"revision", options.revision},
      {"created", now},
      {"modified", now}};
  if (const std::string end = earliest_end(drafts); !end.empty()) {
    document["valid_until"] = end;
    report.notes.push_back("the playbook is valid until " + end +
                           ", when the first of its sources ends; import again after that");
  }
  document["author"] = options.author.empty() ? "import, not reviewed by a person" : options.author;
  document["tlp"] = tlp_of(drafts, options, drafting.unlabelled(), report.notes);
  document["references"] = std::move(references);
  document["attack"] = options.attack;
  document["scopes"] = scopes_json(drafting.scopes(), drafts, options, report.notes);
  Json indicators = Json::array();
  for (const Draft& draft : drafts) indicators.push_back(indicator_json(draft));
  document["indicators"] = std::move(indicators);
  document["steps"] = steps_json(drafts);
  imported.playbook = write_json(document);
  return imported;
}

}  // namespace remediate::interchange
