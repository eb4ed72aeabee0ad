#include "world.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>

#include "remediate/base/try.h"
#include "remediate/crypto/digest.h"
#include "remediate/host/durable.h"

namespace remediate::run::test {
namespace {

constexpr std::uint64_t max_bytes = 1u << 24;

template <class Visit>
void walk(const host::Directory& directory, const std::string& path, const Visit& visit) {
  std::vector<std::string> names;
  must(directory.each_entry([&](std::string_view name, FileKind) {
    names.emplace_back(name);
    return true;
  }));
  for (const std::string& name : names) {
    const FileStat stat = must(directory.stat_entry(name));
    const std::string below = path + (path.empty() ? "" : "/") + name;
    std::unique_ptr<host::File> file;
    if (stat.kind == FileKind::regular) file = must(directory.open_file(name, host::Access::read));
    visit(below, stat, file.get());
    if (stat.kind != FileKind::directory) continue;
    const RawPath child = must(RawPath::parse(name));
    walk(*must(directory.open_directory(child, host::Mounts::cross)), below, visit);
  }
}

Result<std::pair<std::unique_ptr<host::Directory>, std::string>> place(host::Host& host,
                                                                       const std::string& path) {
  const std::size_t slash = path.rfind('/');
  TRY_LET(auto directory, host.open_root(path.substr(0, slash)));
  return std::pair(std::move(directory), path.substr(slash + 1));
}

constexpr const char* configuration =
    "<?xml version=\"1.0\"?>\n<configuration>\n  <system.applicationHost><sites>"
    "<site name=\"a\" id=\"1\"><application path=\"/\">\n"
    "    <virtualDirectory path=\"/\" physicalPath=\"C:\\w\" />\n"
    "    <virtualDirectory path=\"/x\" physicalPath=\"C:\\ProgramData\\COM1\" />\n"
    "    <virtualDirectory path=\"/y\" physicalPath=\"C:\\ProgramData\\WHO\" />\n"
    "  </application></site></sites></system.applicationHost>\n</configuration>\n";

playbook::Indicator setting_indicator(const std::string& id, const std::string& path) {
  playbook::Indicator indicator;
  indicator.id = id;
  indicator.name = id;
  indicator.authorises = playbook::Authorises::remove;
  indicator.setting = playbook::SettingCondition{
      "iis-xml", {{"/etc-iis/applicationHost.config", playbook::Spelling::posix}},
      {},        "virtualDirectory",
      "",        {}};
  playbook::AttributeTest test;
  test.name = "path";
  test.equals = path;
  indicator.setting->where = {test};
  return indicator;
}

playbook::Step step(const std::string& id, playbook::Action action,
                    std::vector<std::string> indicators) {
  playbook::Step made;
  made.id = id;
  made.action = action;
  made.indicators = std::move(indicators);
  if (action == playbook::Action::reset_setting)
    made.change = playbook::Change{"remove_element", "", "", std::nullopt, ""};
  if (action == playbook::Action::instruct) made.text = "Install the update.";
  return made;
}

}  // namespace

Snapshot snapshot(host::Host& host, const std::string& folder) {
  Snapshot result;
  walk(*must(host.open_root(folder)), "",
       [&](const std::string& path, const FileStat& stat, const host::File* file) {
         if (path.find(".remediate-hold-") != std::string::npos) return;
         Kept kept{stat.kind, stat.id.inode, "", stat.mode, stat.owner, stat.modified, 0, {}};
         if (stat.kind == FileKind::directory) kept.modified = {};  // compared on its own
         if (file != nullptr) {
           kept.bytes = must(host::read_whole(*file, max_bytes));
           const Metadata metadata = must(file->metadata());
           kept.flags = metadata.inode_flags & (host::flag_immutable | host::flag_append_only);
           kept.attributes = metadata.attributes;
         }
         result.emplace(path, std::move(kept));
       });
  return result;
}

std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> inodes(host::Host& host,
                                                                      const std::string& folder) {
  std::map<std::pair<std::uint64_t, std::uint64_t>, std::string> result;
  walk(*must(host.open_root(folder)), "",
       [&](const std::string&, const FileStat& stat, const host::File* file) {
         if (file != nullptr)
           result.emplace(std::pair(stat.id.device, stat.id.inode),
                          must(host::read_whole(*file, max_bytes)));
       });
  return result;
}

std::string difference(const Snapshot& before, const Snapshot& after, bool same_inodes) {
  std::string text;
  for (const auto& [path, kept] : before) {
    const auto found = after.find(path);
    if (found == after.end()) {
      text += path + " is missing; ";
      continue;
    }
    const Kept& now = found->second;
    if (kept.bytes != now.bytes) text += path + " has other bytes; ";
    if (same_inodes && kept.inode != now.inode) text += path + " is another inode; ";
    if (kept.mode != now.mode || kept.owner != now.owner) text += path + " mode or owner; ";
    if (kept.modified != now.modified) text += path + " modification time; ";
    if (kept.flags != now.flags) text += path + " flags; ";
    if (kept.attributes != now.attributes) text += path + " attributes; ";
  }
  for (const auto& [path, kept] : after)
    if (!before.contains(path)) text += path + " is new; ";
  return text;
}

void Quiet::step(const std::string& phase, std::uint64_t done, std::uint64_t total,
                 const std::string& what) {
  steps.push_back(phase + " " + std::to_string(done) + "/" + std::to_string(total) + " " + what);
  if (stop != nullptr && steps.size() > stop_at) *stop = true;
}

void Quiet::note(const std::string& text) { steps.push_back(text); }

const Keys& keys() {
  static const Keys made = [] {
    const Timestamp now{1'767'225'600 - 86'400, 0};
    const auto signer = must(crypto::make_identity("test signer", crypto::Use::sign, now, 36'500));
    const auto recovery =
        must(crypto::make_identity("test recovery", crypto::Use::recover, now, 36'500));
    return Keys{{signer.certificate_pem, signer.key_pem, recovery.certificate_pem},
                recovery.key_pem};
  }();
  return made;
}

World::World(host::Host& the_host, std::string base)
    : host_(the_host), target_(base + "/target"), store_(base + "/store") {
  const auto top = must(host_.make_root(target_));
  policy.allowed_filesystems.push_back(must(top->filesystem_type()));
}

std::unique_ptr<host::Directory> World::parent(const std::string& path) {
  return must(place(host_, target_ + "/" + path)).first;
}

void World::folder(const std::string& path) { must(host_.make_root(target_ + "/" + path)); }

void World::file(const std::string& path, const std::string& bytes, std::uint32_t mode) {
  const auto [directory, name] = must(place(host_, target_ + "/" + path));
  const auto file = must(directory->create_file(name, mode));
  must(file->write_at(0, bytes));
  const auto seed = static_cast<std::int64_t>(path.size());
  must(file->set_times({1'600'000'000 + seed, 5}, {1'500'000'000 + seed, 123'456'789}));
}

void World::remove(const std::string& path) {
  const auto [directory, name] = must(place(host_, target_ + "/" + path));
  must(directory->remove_file(name));
}

void World::protect(const std::string& path, std::uint32_t flags) {
  const auto [directory, name] = must(place(host_, target_ + "/" + path));
  must(must(directory->open_file(name, host::Access::read))->set_protection_flags(flags));
}

std::string World::read(const std::string& path) {
  const auto [directory, name] = must(place(host_, target_ + "/" + path));
  return must(host::read_whole(*directory, name, max_bytes));
}

bool World::exists(const std::string& path) {
  const auto [directory, name] = must(place(host_, target_ + "/" + path));
  return directory->stat_entry(name).has_value();
}

std::string World::sha256(const std::string& path) { return crypto::sha256_hex(read(path)); }

void World::fill() {
  folder("www/sub");
  file("www/shell-a.php", "inert sample a\n");
  file("www/sub/shell-b.php", std::string(9000, 'b'), 0600);
  file("www/sub/shell-c.php", "");
  file("www/index.php", "clean\n");
  folder("etc-iis");
  file("etc-iis/applicationHost.config", configuration, 0640);
}

void World::keep_old_version(unsigned number) {
  const std::string below = "inetpub/history/CFGHISTORY_000000000" + std::to_string(number);
  folder(below);
  file(below + "/applicationHost.config",
       "<configuration><!-- " + std::to_string(number) + " " + old_secret + " --></configuration>",
       0600);
}

void World::overwrite_page() {
  file(page, bad_page, 0640);
  known_good_ = target_ + "-good";
  const auto folder = must(host_.make_root(known_good_));
  const auto good = must(folder->create_file("login.php", 0600));
  must(good->write_at(0, good_page));
}

Snapshot World::snapshot() { return test::snapshot(host_, target_); }

plan::PlanFile World::plan() { return must(try_plan()); }

Result<plan::PlanFile> World::try_plan() {
  HostPolicy host_policy;
  host_policy.policy = policy;
  host_policy.sha256 = crypto::sha256_hex("policy");
  SurveyOptions survey;
  survey.root = target_;
  survey.store = store_;
  survey.tool = "remediate test";
  survey.threads = 1;
  std::vector<playbook::Playbook> playbooks = first;
  playbooks.push_back(shells_playbook());
  if (exchange != nullptr) {
    playbooks.insert(playbooks.begin(), directory_playbook());
    survey.directory = must(exchange->virtual_directories());
  }
  if (!known_good_.empty()) {
    playbooks.push_back(pages_playbook());
    survey.known_good = {known_good_};
  }
  return make_plan(host_, playbooks, host_policy, survey);
}

plan::ApprovedPlan World::approve(plan::PlanFile file) {
  const std::string id = file.plan.plan_id;
  const auto root = must(host_.open_root(target_));
  return must(plan::check_approval({.file = std::move(file),
                                    .signature = "",
                                    .policy = policy,
                                    .policy_sha256 = crypto::sha256_hex("policy"),
                                    .approvers = {},
                                    .host = host_facts(host_, target_, must(root->stat())),
                                    .store = std::nullopt,
                                    .confirmed_id = id,
                                    .now = host_.now()}));
}

void World::make_store(const StoreKeys& given) { must(Store::create(host_, store_, given)); }
std::unique_ptr<Store> World::open_store() { return must(Store::open(host_, store_)); }

Recovery World::recovery() const {
  return {must(crypto::Certificate::from_pem(keys().store.recovery_certificate, "recovery")),
          must(crypto::PrivateKey::from_pem(keys().recovery_key, "recovery key"))};
}

ApplyOptions World::options(const Store& store) const {
  ApplyOptions options{
      {store.recovery()}, max_sealed_bytes, "remediate test", stages, older_revisions_allowed};
  options.refused = refused;
  options.directory = exchange;
  return options;
}

Result<RunReport> World::apply(const plan::PlanFile& file) { return apply(approve(file)); }

Result<RunReport> World::apply(const plan::ApprovedPlan& approved) {
  TRY_LET(const auto store, Store::open(host_, store_));
  TRY_LET(const auto root, host_.open_root(target_));
  return run::apply(host_, *store, *root, approved, options(*store), {progress, stop});
}

Result<RunReport> World::resume(const std::string& run) {
  TRY_LET(const auto store, Store::open(host_, store_));
  TRY_LET(const auto root, host_.open_root(target_));
  return run::resume(host_, *store, *root, run, options(*store), {progress, stop});
}

Result<RunReport> World::rollback(const std::string& run, RollbackOptions rollback_options) {
  TRY_LET(const auto store, Store::open(host_, store_));
  TRY_LET(const auto root, host_.open_root(target_));
  rollback_options.tool = "remediate test";
  rollback_options.directory = exchange;
  return run::rollback(host_, *store, *root, run, rollback_options, {progress, stop});
}

Result<RunReport> World::finalize(const std::string& run) {
  TRY_LET(const auto store, Store::open(host_, store_));
  TRY_LET(const auto root, host_.open_root(target_));
  return run::finalize(host_, *store, *root, run, options(*store), {progress, stop});
}

Result<VerifyReport> World::verify(const std::string& run) {
  TRY_LET(const auto store, Store::open(host_, store_));
  return run::verify(host_, *store, run, {});
}

MemoryWorld::MemoryWorld() : world(std::make_unique<World>(host, "/base")) {
  world->make_store(keys().store);
  world->fill();
  world->folder("www/data");
  must(host.mount("/base/target/www/data", "memory"));
  world->file("www/data/shell-d.php", "inert sample d\n");
}

NativeWorld::NativeWorld() : host(host::native_host()) {
  base = (std::filesystem::temp_directory_path() / "remediate-unit-XXXXXX").string();
  REQUIRE(::mkdtemp(base.data()) != nullptr);
  world = std::make_unique<World>(*host, base);
  world->make_store(keys().store);
  world->fill();
}

NativeWorld::~NativeWorld() {
  std::error_code ignored;
  std::filesystem::remove_all(base, ignored);
}

playbook::Playbook shells_playbook() {
  playbook::Playbook playbook;
  playbook.id = "playbook--11111111-2222-3333-4444-555555555555";
  playbook.name = "Test shells";
  playbook.revision = 1;
  playbook.sha256 = std::string(64, 'a');
  playbook::Scope scope;
  scope.id = "web";
  scope.folders = {{"/www", playbook::Spelling::posix}, {"/www/data", playbook::Spelling::posix}};
  scope.include = {"**/*.php"};
  playbook.scopes = {scope};
  playbook::Indicator shells;
  shells.id = "shells";
  shells.name = "Shells by name and content";
  shells.scopes = {"web"};
  shells.authorises = playbook::Authorises::remove;
  playbook::Condition name;
  name.kind = playbook::Condition::Kind::path;
  name.values = {"**/shell-*.php"};
  playbook::Condition text;
  text.kind = playbook::Condition::Kind::regex;
  text.pattern = "^(inert sample|b+$)";
  text.encodings = {playbook::Encoding::ascii};
  playbook::Condition empty;
  empty.kind = playbook::Condition::Kind::sha256;
  empty.values = {crypto::sha256_hex("")};
  playbook::Condition content;
  content.kind = playbook::Condition::Kind::any;
  content.children = {text, empty};
  playbook::Condition both;
  both.kind = playbook::Condition::Kind::all;
  both.children = {name, content};
  shells.match = both;
  playbook.indicators = {shells, setting_indicator("vdir-x", "/x"),
                         setting_indicator("vdir-y", "/y")};
  playbook.steps = {step("reset-x", playbook::Action::reset_setting, {"vdir-x"}),
                    step("remove", playbook::Action::quarantine, {"shells"}),
                    step("reset-y", playbook::Action::reset_setting, {"vdir-y"}),
                    step("update", playbook::Action::instruct, {"shells"})};
  return playbook;
}

playbook::Playbook pages_playbook() {
  playbook::Playbook playbook;
  playbook.id = "playbook--11111111-2222-3333-4444-777777777777";
  playbook.name = "Test pages";
  playbook.revision = 1;
  playbook.sha256 = std::string(64, 'c');
  playbook::Scope scope;
  scope.id = "web";
  scope.folders = {{"/www", playbook::Spelling::posix}};
  scope.include = {"**/*.php"};
  playbook.scopes = {scope};
  playbook::Indicator overwritten;
  overwritten.id = "overwritten";
  overwritten.name = "An overwritten page";
  overwritten.scopes = {"web"};
  overwritten.authorises = playbook::Authorises::remove;
  playbook::Condition digest;
  digest.kind = playbook::Condition::Kind::sha256;
  digest.values = {crypto::sha256_hex(bad_page)};
  overwritten.match = digest;
  playbook.indicators = {overwritten};
  playbook::Step made = step("put-back", playbook::Action::replace_file, {"overwritten"});
  made.known_good = {{"login.php", {crypto::sha256_hex(good_page)}}};
  playbook.steps = {made};
  return playbook;
}

playbook::Playbook directory_playbook() {
  playbook::Playbook playbook;
  playbook.id = "playbook--11111111-2222-3333-4444-666666666666";
  playbook.name = "Test directory";
  playbook.revision = 1;
  playbook.sha256 = std::string(64, 'b');
  playbook::Indicator poisoned;
  poisoned.id = "poisoned";
  poisoned.name = "A URL with a script";
  poisoned.authorises = playbook::Authorises::remove;
  playbook::SettingCondition condition;
  condition.provider = "exchange-directory";
  condition.kind = "msExchVirtualDirectory";
  condition.where = {{"msExchExternalHostName", std::nullopt, "script", false, true}};
  poisoned.setting = condition;
  playbook.indicators = {poisoned};
  playbook::Step made = step("clear", playbook::Action::reset_setting, {"poisoned"});
  made.change =
      playbook::Change{"remove_attribute", "msExchExternalHostName", "", std::nullopt, ""};
  playbook.steps = {made};
  return playbook;
}

std::string findings(const VerifyReport& report) {
  std::string all;
  for (const Finding& finding : report.findings)
    all += std::string(finding.level == Finding::Level::error ? "error " : "notice ") +
           finding.where + ": " + finding.what + "\n";
  return all;
}

const OperationReport& operation(const RunReport& report, const std::string& address) {
  const auto found = std::ranges::find_if(report.operations, [&](const OperationReport& candidate) {
    return candidate.address == address || candidate.id == address;
  });
  INFO(address);
  REQUIRE(found != report.operations.end());
  return *found;
}

std::string text(const RunReport& report) {
  std::string all = report.run + " " + report.phase + " " + report.status + "\n";
  for (const OperationReport& one : report.operations)
    all += one.id + " " + one.address + ": " + one.outcome + " " + one.reason + "\n";
  return all;
}

}  // namespace remediate::run::test
