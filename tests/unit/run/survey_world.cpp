#include "survey_world.h"

#include "remediate/crypto/digest.h"
#include "remediate/playbook/parse.h"

namespace remediate::run::test {
namespace {

const std::string overwritten = "<html>overwritten</html>\n";
const std::string shipped = "<html>as it was shipped</html>\n";

std::string served(const std::string& x) {
  std::string text = "<configuration><system.applicationHost><sites><site name=\"a\" id=\"1\">";
  text +=
      "<application path=\"/\"><virtualDirectory path=\"/\" physicalPath=\"C:\\inetpub\\wwwroot\" "
      "/>";
  text += "<virtualDirectory path=\"/x\" physicalPath=\"" + x + "\" />";
  text += "<virtualDirectory path=\"/none\" />";
  text += "<virtualDirectory path=\"/d\" physicalPath=\"D:\\data\" />";
  text += "<virtualDirectory path=\"/shop\" physicalPath=\"C:\\shop\" />";
  text += "<virtualDirectory path=\"/pay\" physicalPath=\"C:\\shop\\pay\" />";
  text += "</application></site></sites></system.applicationHost></configuration>\n";
  return text;
}

}  // namespace

std::string everything() {
  return R"({
  "format_version": 1, "id": "playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b10",
  "name": "One of everything", "description": "Marks.", "revision": 1,
  "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z",
  "author": "tests", "tlp": "clear", "references": [{"source": "tests"}], "attack": ["T1505.003"],
  "scopes": [
    {"id": "web", "folder": "C:\\inetpub\\wwwroot", "include": ["**\\*.aspx"]},
    {"id": "ini", "folder": "C:\\inetpub\\wwwroot", "include": ["**\\.user.ini"],
     "exclude": ["skipped\\**"]}],
  "indicators": [
    {"id": "mark", "name": "A mark", "scopes": ["web"],
     "match": {"regex": {"pattern": "MARK-[0-9a-f]{8}"}},
     "confidence": "high", "authorises": "remove"},
    {"id": "overwritten", "name": "An overwritten page", "scopes": ["web"],
     "match": {"sha256": [")" +
         crypto::sha256_hex(overwritten) + R"("]}, "confidence": "high", "authorises": "remove"},
    {"id": "prepend", "name": "A line that prepends a file", "scopes": ["ini"],
     "setting": {"provider": "php-user-ini", "kind": "directive",
                 "where": [{"name": "name", "matches": "^auto_prepend_file$"}]},
     "confidence": "high", "authorises": "remove"},
    {"id": "vdir", "name": "A virtual directory that leads elsewhere",
     "setting": {"provider": "iis-xml",
                 "files": "%windir%\\System32\\inetsrv\\config\\applicationHost.config",
                 "kind": "virtualDirectory", "where": [{"name": "path", "equals": "/x"}]},
     "confidence": "high", "authorises": "remove"}],
  "steps": [
    {"id": "take-out", "action": "reset_setting", "indicators": ["prepend"],
     "change": {"kind": "remove_element"}},
    {"id": "reset", "action": "reset_setting", "indicators": ["vdir"],
     "change": {"kind": "reset_to_baseline", "attribute": "physicalPath",
                "baseline": "C:\\clean\\applicationHost.config"}},
    {"id": "put-back", "action": "replace_file", "indicators": ["overwritten"],
     "known_good": [{"name": "page.aspx", "sha256": [")" +
         crypto::sha256_hex(shipped) + R"("]}]},
    {"id": "remove", "action": "quarantine", "indicators": ["mark"],
     "compiled": ["%windir%\\Temporary ASP.NET Files"]}]
})";
}

std::string compiled_record(const std::string& of_page, const std::string& assembly) {
  return R"(<?xml version="1.0" encoding="utf-8"?><preserve resultType="3" virtualPath=")" +
         of_page + R"(" hash="1f2e" filehash="ffff" flags="110000" assembly=")" + assembly +
         R"(" type="ASP.page_aspx"></preserve>)";
}

SurveyWorld::SurveyWorld(bool mounted) {
  auto parsed = playbook::parse_playbook(everything(), "everything.json");
  if (!parsed) FAIL(parsed.error().front().text());
  playbook = std::move(parsed->playbook);
  policy.policy = world.policy;
  policy.policy.max_percent = 100;
  policy.policy.generic_content_removes = true;  // a mark is generic content
  policy.sha256 = crypto::sha256_hex("policy");
  options.root = world.target();
  options.store = world.store_path();
  options.tool = "remediate test";
  options.threads = 1;
  options.known_good = {"/base/good"};

  world.folder("inetpub/wwwroot");
  if (mounted) must(host.mount("/base/target/inetpub/wwwroot", "memory"));
  put(web_page, "<%-- MARK-0a1b2c3d --%>");
  put("inetpub/wwwroot/app/page.aspx", overwritten);
  put("inetpub/wwwroot/app/good.aspx", "<html>good</html>");
  put("inetpub/wwwroot/.user.ini", "auto_prepend_file = /inetpub/wwwroot/app/x.aspx\n");
  put("inetpub/wwwroot/skipped/.user.ini", "auto_prepend_file = /inetpub/prepended.php\n");
  put(std::string(system_folder) + "/applicationHost.config", served("C:\\ProgramData\\x"));
  put(std::string(system_folder) + "/redirection.config",
      "<configuration><configurationRedirection enabled=\"false\" path=\"\" /></configuration>\n");
  put("clean/applicationHost.config", served("C:\\inetpub\\x"));
  put(std::string(compiled_folder) + "/x.aspx.1.compiled",
      compiled_record("/app/x.aspx", "App_Web_x"));
  put(std::string(compiled_folder) + "/App_Web_x.dll", "MZ no program");
  put("shop/pay/index.html", "<html></html>");
  must(host.make_root("/base/good"));
  const auto good = must(must(host.open_root("/base/good"))->create_file("page.aspx", 0600));
  must(good->write_at(0, shipped));

  plan::Baseline baseline;
  baseline.name = "A clean server";
  baseline.folders = {{{"C:\\inetpub\\wwwroot"}, true, {"**/*"}, {}}};
  baseline.files = {{0,
                     must(RawPath::parse("app/good.aspx")),
                     world.sha256("inetpub/wwwroot/app/good.aspx"),
                     std::nullopt,
                     {}}};
  baselines.emplace_back(std::move(baseline), std::string(64, 'a'), "");
}

void SurveyWorld::put(const std::string& path, const std::string& bytes) {
  world.folder(path.substr(0, path.rfind('/')));
  world.file(path, bytes);
}

Result<plan::PlanFile> SurveyWorld::try_plan() {
  options.baselines = baselines;
  return make_plan(host, {playbook}, policy, options);
}

host::memory::Node& SurveyWorld::node(const std::string& path) const { return *pointer(path); }

void SurveyWorld::put_unnameable(const std::string& folder, FileKind kind, const std::string& end) {
  world.folder(folder);
  const host::memory::NodePointer at = pointer(folder);
  tree->enter(at, std::string(300, 'n') + end, tree->make_node(kind, 0644, at->mount));
}

host::memory::NodePointer SurveyWorld::pointer(const std::string& path) const {
  host::memory::NodePointer at = tree->root->entries.at("base")->entries.at("target");
  const RawPath below = must(RawPath::parse(path));
  for (const std::string_view name : below.components()) at = at->entries.find(name)->second;
  return at;
}

std::string issues(const plan::Plan& plan) {
  std::string all;
  for (const plan::IssueReport& one : plan.issues)
    all += one.kind + " " + one.where + ": " + one.reason + "\n";
  return all;
}

std::vector<std::string> changes(const plan::Plan& plan) {
  std::vector<std::string> all;
  for (const plan::Operation& operation : plan.operations)
    if (operation.action != plan::Action::instruct)
      all.push_back(std::string(plan::action_name(operation.action)) + " " +
                    operation.path.display());
  return all;
}

}  // namespace remediate::run::test
