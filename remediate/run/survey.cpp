#include "remediate/run/survey.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include <boost/filesystem.hpp>

#include "remediate/base/encoding.h"
#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/groups.h"
#include "remediate/observe/scan.h"
#include "remediate/plan/guards.h"
#include "remediate/playbook/parse.h"
#include "remediate/playbook/trust.h"
#include "remediate/run/baseline.h"
#include "remediate/run/compiled_scan.h"
#include "remediate/run/known_good.h"
#include "remediate/run/page_search.h"
#include "remediate/run/served_folders.h"
#include "remediate/run/setting_scan.h"
#include "remediate/run/signed_file.h"
#include "remediate/setting/needed.h"
#include "remediate/setting/provider.h"

namespace remediate::run {
namespace {

namespace fs = boost::filesystem;
constexpr std::uint64_t max_playbook_bytes = 16u << 20;
constexpr std::uint64_t max_setting_bytes = 32u << 20;
constexpr std::string_view iis_configuration =
    "%windir%\\System32\\inetsrv\\config\\applicationHost.config";

observe::Variables variables_of(const playbook::Playbook& playbook) {
  observe::Variables variables;
  for (const playbook::Variable& variable : playbook.variables)
    variables.candidates.emplace_back(variable.name, variable.values);
  return variables;
}

observe::Spelled spelled(const playbook::SpelledPath& path) {
  return {path.text, path.spelling == playbook::Spelling::windows};
}

/// A symbolic link names a file of the tool as well as the file's own name does.
std::vector<observe::OwnFile> with_real_names(std::span<const observe::OwnFile> own) {
  std::vector<observe::OwnFile> all(own.begin(), own.end());
  for (const observe::OwnFile& file : own) {
    boost::system::error_code error;  // what is not there has no other name
    const fs::path real = fs::canonical(file.path, error);
    if (!error && real != file.path) all.push_back({real.string(), file.what});
  }
  return all;
}

class Surveyor {
 public:
  Surveyor(host::Host& host, const host::Directory& root,
           const std::vector<playbook::Playbook>& playbooks, const plan::Policy& policy,
           const SurveyOptions& options)
      : host_(host), root_(root), playbooks_(playbooks), policy_(policy), options_(options) {}

  Result<plan::Survey> run() {
    TRY_LET(const FileStat root, root_.stat());
    survey_.host = host_facts(host_, options_.root, root);
    survey_.superuser = host_.superuser();
    survey_.user = host_.user();
    survey_.groups = host::own_groups();
    survey_.store = store_below(options_.root, options_.store);
    survey_.directory = options_.directory;
    TRY(find_scopes());
    TRY(scan_files());
    TRY(compare_baselines());
    TRY(read_settings());
    TRY(look_at_served_folders());
    TRY_LET(survey_.good_files,
            read_known_good(host_, options_.known_good, playbooks_, survey_.issues));
    TRY(find_compiled());
    for (const observe::Issue& found : located_) issue(found);
    find_claims();
    return std::move(survey_);
  }

 private:
  void issue(const observe::Issue& found) {
    survey_.issues.push_back(
        {std::string(observe::issue_name(found.kind)), found.where, found.reason});
  }

  Result<void> find_scopes() {
    for (const playbook::Playbook& playbook : playbooks_) {
      const observe::Variables variables = variables_of(playbook);
      for (const playbook::Scope& scope : playbook.scopes) {
        bool found = false;
        for (const playbook::SpelledPath& folder : scope.folders) {
          TRY_LET(const std::vector<RawPath> places,
                  observe::locate(root_, spelled(folder), variables, &located_));
          for (const RawPath& place : places) {
            const bool known =
                std::ranges::any_of(instances_, [&](const observe::ScopeInstance& instance) {
                  return instance.playbook == playbook.id && instance.scope == scope.id &&
                         instance.folder == place;
                });
            if (known) continue;
            found = true;
            instances_.push_back({playbook.id, scope.id, folder.text, place, scope.ignore_case});
            survey_.scopes.push_back({playbook.id, scope.id, folder.text,
                                      place.is_root() ? "/" : place.display(), true, 0});
          }
        }
        if (!found)
          missing_.push_back({playbook.id, scope.id, scope.folders.front().text, "", false, 0});
      }
    }
    return {};
  }

  Result<void> scan_files() {
    TRY_LET(const auto engine,
            match::Engine::compile(playbooks_,
                                   {.apart = options_.yara,
                                    .generic_content_removes = policy_.generic_content_removes}));
    TRY_LET(const auto settings, SettingScan::make(playbooks_, *engine));
    observe::ScanOptions options;
    options.threads = options_.threads;
    options.missed = [&](const observe::ScopeInstance& scope, const RawPath& path,
                         std::string_view below_scope, const std::string& reason) {
      settings->missed(scope, path, below_scope, reason);
    };
    observe::ScanResult result;
    if (instances_.empty() && !missing_.empty())
      survey_.issues.push_back(
          {"nothing_searched", display(options_.root),
           "none of the playbooks' folders is below this root: is it the top of the disk, the "
           "folder that holds Windows, inetpub or var?"});
    if (!instances_.empty()) {
      TRY_LET(result, observe::scan(root_, instances_, *settings, options));
    }
    for (std::size_t index = 0; index < instances_.size(); ++index)
      survey_.scopes[index].files = result.files_per_scope[index];
    survey_.scopes.insert(survey_.scopes.end(), missing_.begin(), missing_.end());
    survey_.files_scanned = result.files;
    for (const observe::Issue& found : result.issues) issue(found);
    for (observe::Link& link : result.links)
      survey_.issues.push_back(
          {"link_not_followed", std::move(link.where), std::move(link.reason)});
    if (result.links_dropped != 0)
      survey_.issues.push_back({"link_not_followed", "(all scopes)",
                                std::to_string(result.links_dropped) +
                                    " more symbolic links that lead to places which are not "
                                    "searched are not listed"});
    for (const observe::Issue& found : engine->take_issues()) issue(found);
    for (const observe::Issue& found : settings->take_issues()) issue(found);
    setting_places_ = settings->take_places();
    unread_ = settings->take_unread();
    if (result.issues_dropped != 0)
      survey_.issues.push_back(
          {"more", "", std::to_string(result.issues_dropped) + " further issues are not listed"});
    survey_.matches = engine->take_matches();
    return {};
  }

  Result<void> compare_baselines() {
    plan::exclude_known_good(survey_.matches, options_.baselines);
    // A scan of its own: the files that it sees must not loosen the share that limits look at.
    TRY_LET(survey_.known_good,
            compare_with(options_.baselines, root_, options_.threads, survey_.issues));
    return {};
  }

  Result<void> read_settings() {
    for (const playbook::Playbook& playbook : playbooks_) {
      const observe::Variables variables = variables_of(playbook);
      for (const playbook::Indicator& indicator : playbook.indicators)
        if (indicator.setting && !indicator.setting->files.empty())
          TRY(read_files(playbook, indicator, variables));
      for (const playbook::Step& step : playbook.steps)
        if (step.change && step.change->baseline) TRY(read_baseline(playbook, step, variables));
    }
    for (const SettingScan::Place& place : setting_places_)
      read_setting(place.playbook, place.indicator, place.path);
    for (plan::UnreadSetting& file : unread_) look_through(std::move(file));
    return {};
  }

  /// What the scan could not parse: its bytes may still tell which files it names.
  void look_through(plan::UnreadSetting file) {
    if (!setting::may_need_files(file.path.name())) {  // the folder of a scope
      survey_.unread_settings.push_back(std::move(file));
      return;
    }
    auto read = observe::read_setting_file(root_, file.path, max_setting_bytes);
    const bool taken = read && take(read->bytes, file.path);
    const auto needed = taken ? setting::needed_files(file.path.name(), read->bytes)
                              : std::vector<setting::NeededFile>{};
    if (taken && needed) {  // known after all, and asked about by nobody
      if (!needed->empty())
        survey_.settings.push_back({"", "", file.path, std::move(read->bytes),
                                    std::move(read->sha256), std::move(read->facts)});
      return;
    }
    if (taken) file.bytes = std::move(read->bytes);
    survey_.unread_settings.push_back(std::move(file));
  }

  void keep_unread(const RawPath& place, const std::string& reason) {
    if (setting::may_need_files(place.name()))
      survey_.unread_settings.push_back({place, place.parent(), reason});
  }

  void read_setting(const std::string& playbook, const std::string& indicator,
                    const RawPath& place) {
    auto read = observe::read_setting_file(root_, place, max_setting_bytes);
    if (!read) {
      survey_.issues.push_back({"unreadable", place.display(), read.error().text()});
      keep_unread(place, read.error().text());
      return;
    }
    if (take(read->bytes, place))
      survey_.settings.push_back({playbook, indicator, place, std::move(read->bytes),
                                  std::move(read->sha256), std::move(read->facts),
                                  elsewhere(place)});
    else
      keep_unread(place, "the configuration files together have too many bytes");
  }

  /// Why a file is not the one that holds: its folder has a redirector that sends the server to
  /// another place, or one that says nothing that can be understood. Empty otherwise.
  std::string elsewhere(const RawPath& place) {
    const setting::FileProvider* provider = setting::provider_of(place.name());
    const auto redirector = provider ? provider->redirector(place.name()) : std::nullopt;
    if (!redirector) return {};
    const auto known = redirections_.find(place.parent());
    if (known != redirections_.end()) return known->second;
    std::string reason = redirection_in(place.parent(), *provider, *redirector);
    // That nothing is found in a file which does not hold says nothing.
    if (!reason.empty()) survey_.issues.push_back({"not_evaluated", place.display(), reason});
    return redirections_.emplace(place.parent(), std::move(reason)).first->second;
  }

  std::string redirection_in(const RawPath& folder, const setting::FileProvider& provider,
                             const setting::Redirector& redirector) const {
    const auto unclear = [&](const Error& error) {
      return "whether " + folder.display() + "/" + redirector.file + " sends " + redirector.server +
             " to another place is not known: " + error.text();
    };
    auto directory = root_.open_directory(folder, host::Mounts::cross);
    if (!directory) return unclear(directory.error());
    std::string name;
    auto listed = (*directory)->each_entry([&](std::string_view entry, FileKind) {
      if (ascii_iequals(entry, redirector.file)) name = entry;
      return name.empty();
    });
    if (!listed) return unclear(listed.error());
    if (name.empty()) return {};
    auto path = folder.child(name);
    if (!path) return unclear(path.error());
    const auto read = observe::read_setting_file(root_, *path, max_setting_bytes);
    if (!read) return unclear(read.error());
    const auto target = provider.redirected_to(read->bytes);
    if (!target) return unclear(target.error());
    if (!*target) return {};
    return redirector.server + " does not read this file: " + path->display() +
           " redirects the configuration to " + **target +
           " (make a plan for the machine that holds that place, or turn the redirection off "
           "after comparing both)";
  }

  Result<void> read_files(const playbook::Playbook& playbook, const playbook::Indicator& indicator,
                          const observe::Variables& variables) {
    bool found = false;
    for (const playbook::SpelledPath& file : indicator.setting->files) {
      TRY_LET(const std::vector<RawPath> places,
              observe::locate(root_, spelled(file), variables, &located_));
      for (const RawPath& place : places) {
        found = true;
        read_setting(playbook.id, indicator.id, place);
      }
    }
    if (!found)
      survey_.scopes.push_back(
          {playbook.id, indicator.id, indicator.setting->files.front().text, "", false, 0});
    return {};
  }

  Result<void> read_baseline(const playbook::Playbook& playbook, const playbook::Step& step,
                             const observe::Variables& variables) {
    TRY_LET(const std::vector<RawPath> places,
            observe::locate(root_, spelled(*step.change->baseline), variables, &located_));
    if (places.size() > 1) {
      survey_.issues.push_back({"ambiguous_name", display(step.change->baseline->text),
                                "several files have this name, so no baseline is taken"});
      return {};
    }
    for (const RawPath& place : places) {
      auto read = observe::read_setting_file(root_, place, max_setting_bytes);
      if (!read)
        survey_.issues.push_back({"unreadable", place.display(), read.error().text()});
      else if (take(read->bytes, place))
        survey_.baselines.push_back(
            {playbook.id, step.id, place, std::move(read->bytes), std::move(read->sha256)});
    }
    return {};
  }

  /// A folder that the server serves and no playbook names says nothing by itself.
  Result<void> look_at_served_folders() {
    const bool windows = std::ranges::any_of(playbooks_, [](const playbook::Playbook& playbook) {
      return std::ranges::any_of(playbook.scopes, [](const playbook::Scope& scope) {
        return std::ranges::any_of(scope.folders, [](const playbook::SpelledPath& folder) {
          return folder.spelling == playbook::Spelling::windows;
        });
      });
    });
    if (windows) {
      TRY_LET(const std::vector<RawPath> places,
              observe::locate(root_, {std::string(iis_configuration), true}, {}, &located_));
      for (const RawPath& place : places)
        if (std::ranges::find(survey_.settings, place, &plan::SettingObservation::path) ==
            survey_.settings.end())
          read_setting("", "", place);
    }
    TRY_LET(const std::vector<RawPath> searched, searched_folders());
    tell_unsearched_folders(root_, survey_.settings, searched, survey_.issues);
    return {};
  }

  /// A scope searches no more of its folder than its globs can reach.
  Result<std::vector<RawPath>> searched_folders() const {
    std::vector<RawPath> searched;
    for (const playbook::Playbook& playbook : playbooks_) {
      const observe::Variables variables = variables_of(playbook);
      for (const playbook::Scope& scope : playbook.scopes)
        for (const playbook::SpelledPath& folder : scope.folders)
          for (const std::string& glob : scope.include) {
            std::vector<observe::Issue> told_before;
            TRY_LET(std::vector<RawPath> places,
                    observe::locate(root_, spelled(below(folder, fixed_part(glob))), variables,
                                    &told_before));
            std::ranges::move(places, std::back_inserter(searched));
          }
    }
    return searched;
  }

  /// The folders that a glob spells before its first wildcard.
  static std::string_view fixed_part(std::string_view glob) {
    const std::size_t end = glob.rfind('/', glob.find_first_of("*?[{\\"));
    return end == std::string_view::npos ? std::string_view() : glob.substr(0, end);
  }

  static playbook::SpelledPath below(playbook::SpelledPath folder, std::string_view path) {
    if (path.empty()) return folder;
    const char separator = folder.spelling == playbook::Spelling::windows ? '\\' : '/';
    if (!folder.text.ends_with(separator)) folder.text += separator;
    for (const char c : path) folder.text += c == '/' ? separator : c;
    return folder;
  }

  [[nodiscard]] std::vector<RawPath> scope_folders() const {
    std::vector<RawPath> folders;
    folders.reserve(instances_.size());
    for (const observe::ScopeInstance& instance : instances_) folders.push_back(instance.folder);
    return folders;
  }

  Result<void> find_compiled() {
    std::vector<CompiledFolder> folders;
    for (const playbook::Playbook& playbook : playbooks_)
      for (const playbook::Step& step : playbook.steps)
        for (const playbook::SpelledPath& folder : step.compiled) {
          TRY_LET(const std::vector<RawPath> places,
                  observe::locate(root_, spelled(folder), variables_of(playbook), &located_));
          for (const RawPath& place : places) folders.push_back({playbook.id, step.id, place});
        }
    survey_.compiled = scan_compiled(root_, folders, survey_.matches, survey_.issues);
    find_pages(root_, scope_folders(), survey_.compiled, survey_.issues);
    return {};
  }

  /// Whoever may write configuration files decides how many there are.
  bool take(const std::string& bytes, const RawPath& place) {
    if (bytes.size() <= options_.max_settings_bytes - settings_bytes_) {
      settings_bytes_ += bytes.size();
      return true;
    }
    survey_.issues.push_back({"too_large", place.display(),
                              "the configuration files together have more than " +
                                  std::to_string(options_.max_settings_bytes) +
                                  " bytes; this one is not looked at"});
    return false;
  }

  /// Asked about nothing but what could become a target.
  void find_claims() {
    std::set<RawPath> targets;
    for (const match::FileMatch& match : survey_.matches)
      if (match.exclusion.empty() && match.authorises == playbook::Authorises::remove)
        targets.insert(match.path);
    for (const plan::SettingObservation& setting : survey_.settings) targets.insert(setting.path);
    for (const auto& record : survey_.compiled.records) targets.insert(record.path);
    for (const auto& [path, assembly] : survey_.compiled.assemblies) targets.insert(path);
    const std::vector<RawPath> files(targets.begin(), targets.end());
    const std::vector<observe::OwnFile> own = with_real_names(options_.own);
    survey_.claims =
        observe::find_claims(host_, {root_, files, own, options_.store, options_.in_use});
  }

  host::Host& host_;
  const host::Directory& root_;
  const std::vector<playbook::Playbook>& playbooks_;
  const plan::Policy& policy_;
  const SurveyOptions& options_;
  plan::Survey survey_;
  std::vector<observe::ScopeInstance> instances_;
  std::vector<plan::ScopeReport> missing_;
  std::set<SettingScan::Place> setting_places_;
  std::vector<plan::UnreadSetting> unread_;
  std::uint64_t settings_bytes_ = 0;
  std::map<RawPath, std::string> redirections_;  // by folder; see elsewhere()
  std::vector<observe::Issue> located_;          // folders that could not be looked into
};

}  // namespace

std::optional<RawPath> store_below(const std::string& root_path, const std::string& store_path) {
  boost::system::error_code error;
  const fs::path root = fs::canonical(root_path, error);
  if (error || store_path.empty()) return std::nullopt;
  const fs::path store = fs::weakly_canonical(store_path, error);
  if (error) return std::nullopt;
  const fs::path relative = store.lexically_relative(root);
  if (relative.empty() || relative == "." || *relative.begin() == "..") return std::nullopt;
  auto path = RawPath::parse(relative.generic_string());
  return path ? std::optional(std::move(*path)) : std::nullopt;
}

Result<void> check_root_allowed(const HostPolicy& policy, const host::Directory& root) {
  if (policy.policy.allowed_roots.empty()) return {};
  boost::system::error_code error;
  const fs::path place = fs::canonical(root.location(), error);
  for (const std::string& allowed : policy.policy.allowed_roots) {
    boost::system::error_code missing;
    if (!error && fs::canonical(allowed, missing) == place) return {};
  }
  return fail(Code::refused,
              "the policy " + display(policy.source) + " does not allow the root " +
                  display(root.location()),
              "use a root of its allowed_roots, or have the policy changed");
}

std::vector<observe::OwnFile> own_files(const HostPolicy& policy) {
  std::vector<observe::OwnFile> own;
  own.reserve(policy.files.size());
  for (const std::string& file : policy.files)
    own.push_back(
        {file, file == policy.source ? "the policy file" : "a certificate of the policy"});
  return own;
}

observe::Claims claims_of_targets(host::Host& host, const host::Directory& root,
                                  const plan::Plan& plan, const std::string& store,
                                  std::span<const observe::OwnFile> own,
                                  const Result<host::FilesInUse>& in_use) {
  std::set<RawPath> targets;
  for (const plan::Operation& operation : plan.operations)
    if (operation.action != plan::Action::instruct) targets.insert(operation.path);
  const std::vector<RawPath> files(targets.begin(), targets.end());
  const std::vector<observe::OwnFile> all = with_real_names(own);
  return observe::find_claims(host, {root, files, all, store, &in_use});
}

std::string unread_processes(const Result<host::FilesInUse>& in_use) {
  if (!in_use || in_use->unread == 0) return {};
  std::string text = "processes: " + std::to_string(in_use->unread) + " of " +
                     std::to_string(in_use->processes) + " could not be looked into: ";
  for (const host::ProcessName& one : in_use->unread_first)
    text += (&one == in_use->unread_first.data() ? "" : ", ") + std::to_string(one.process) + " (" +
            display(one.name) + ")";
  const std::uint64_t more = in_use->unread - in_use->unread_first.size();
  return text + (more == 0 ? "" : " and " + std::to_string(more) + " more");
}

std::map<RawPath, std::string> refused_targets(const HostPolicy& policy, const plan::Plan& plan,
                                               std::optional<RawPath> store,
                                               observe::Claims claims) {
  plan::Survey known;
  known.store = std::move(store);
  known.claims = std::move(claims);
  const plan::Guards guards(policy.policy, known);
  std::map<RawPath, std::string> refused;
  for (const plan::Operation& operation : plan.operations) {
    const plan::Precondition& wanted = operation.precondition;
    std::optional<std::string> reason;
    if (operation.action == plan::Action::quarantine)
      reason = guards.against_removal(operation.path, {wanted.metadata, {}, wanted.filesystem});
    else if (operation.action == plan::Action::replace_file)
      reason = guards.against_replacement(operation.path, {wanted.metadata, {}, wanted.filesystem});
    else if (operation.action == plan::Action::reset_setting && !operation.setting.directory)
      reason = guards.against_edit(operation);
    if (reason) refused.emplace(operation.path, std::move(*reason));
  }
  return refused;
}

plan::HostFacts host_facts(host::Host& host, const std::string& root_path, const FileStat& root) {
  const host::Identity identity = host.identity();
  return {crypto::sha256_hex("remediate host " + identity.machine_id), identity.host_name,
          identity.boot_id, root_path, root.id};
}

Result<std::vector<playbook::Playbook>> load_playbooks(const std::vector<std::string>& files,
                                                       const HostPolicy& policy, Timestamp now) {
  std::vector<playbook::Playbook> playbooks;
  for (const std::string& file : files) {
    TRY_LET(const std::string bytes, read_named_file(file, "playbook", max_playbook_bytes));
    std::string signer;
    if (!policy.playbook_signers.empty()) {
      TRY_LET(const std::string signature, read_signature_of(file, "playbook"));
      TRY_LET(signer,
              playbook::check_signature(bytes, file, signature, policy.playbook_signers, now));
    }
    auto parsed = playbook::parse_playbook(bytes, file);
    if (!parsed) {
      Error error{Code::bad_input,
                  "playbook " + display(file) + " has " + std::to_string(parsed.error().size()) +
                      " error(s)",
                  "correct it; docs/playbook-diagnostics.md explains each code"};
      for (const playbook::Diagnostic& diagnostic : parsed.error())
        error.causes.push_back(diagnostic.text());
      return std::unexpected(std::move(error));
    }
    parsed->playbook.signer = std::move(signer);
    playbooks.push_back(std::move(parsed->playbook));
  }
  return playbooks;
}

Result<plan::PlanFile> make_plan(host::Host& host, const std::vector<playbook::Playbook>& playbooks,
                                 const HostPolicy& policy, const SurveyOptions& options) {
  TRY_LET(const auto root, host.open_root(options.root));
  TRY(check_root_allowed(policy, *root));
  SurveyOptions absolute = options;
  absolute.root = root->location();
  std::ranges::move(own_files(policy), std::back_inserter(absolute.own));
  TRY_LET(plan::Survey survey, Surveyor(host, *root, playbooks, policy.policy, absolute).run());
  TRY_LET(std::string nonce, crypto::random_hex(16));
  const plan::PlanRequest request{playbooks,        policy.policy, policy.sha256, options.tool,
                                  std::move(nonce), host.now(),    policy.path};
  TRY_LET(plan::Plan plan, plan::make_plan(request, survey));
  return plan::write_plan(std::move(plan));
}

}  // namespace remediate::run
