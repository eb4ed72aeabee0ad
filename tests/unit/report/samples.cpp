#include "samples.h"

#include <cstdlib>
#include <fstream>

#include "remediate/base/clock.h"

namespace remediate::report::test {
namespace {

const std::string digest(64, 'a');

plan::Operation removal() {
  plan::Operation operation;
  operation.id = "op-0001";
  operation.action = plan::Action::quarantine;
  operation.address = "inetpub/wwwroot/aspnet_client/sup.aspx";
  operation.path = RawPath::parse(operation.address).value();
  operation.playbook = "playbook--1";
  operation.indicator = "dump";
  operation.step = "remove";
  operation.why = {{"structure", "a settings dump of OAB", 0, ""},
                   {"script", "a script block in ExternalUrl", 312,
                    "<scr"
                    "ipt runat=\"server\">\x1b[2J"}};
  operation.details = {{"Name", "OAB (Default Web Site)"}};
  operation.precondition.sha256 = digest;
  operation.precondition.metadata.stat.size = 2048;
  operation.precondition.metadata.stat.modified = {1'614'844'800, 250'000'000};
  operation.before = "present: 2048 bytes, mode 0644";
  operation.after = "absent: held in the vault and sealed";
  operation.inverse = "rename back from the hold";
  operation.not_restorable = {"change time (ctime)"};
  return operation;
}

plan::Operation reset() {
  plan::Operation operation;
  operation.id = "op-0002";
  operation.action = plan::Action::reset_setting;
  operation.address = "Windows/System32/inetsrv/config/applicationHost.config site/owa";
  operation.path = RawPath::parse("Windows/System32/inetsrv/config/applicationHost.config").value();
  operation.playbook = "playbook--1";
  operation.indicator = "vdir";
  operation.step = "reset";
  operation.why = {{"setting", "line 12: virtualDirectory /owa/x", 812, ""}};
  operation.precondition.sha256 = std::string(64, 'b');
  operation.setting.provider = "iis";
  operation.setting.edits = {{"site/owa", "remove_element", "", "", RawPath(), ""}};
  operation.setting.differences = {{"removed", "site/owa", "physicalPath", "C:\\temp\\x", ""}};
  operation.setting.after_sha256 = std::string(64, 'c');
  operation.setting.diff =
      "--- before\n+++ after\n@@ -1,2 +1 @@\n keep\n-<virtualDirectory path=\"/x\" />\n";
  operation.before = "sha256 " + operation.precondition.sha256;
  operation.after = "sha256 " + operation.setting.after_sha256;
  operation.inverse = "take back 1 difference(s)";
  return operation;
}

plan::Operation instruction() {
  plan::Operation operation;
  operation.id = "op-0003";
  operation.address = "patch";
  operation.playbook = "playbook--1";
  operation.step = "patch";
  operation.instruction = "Install the security update.\nThen change the machine key.";
  operation.before = "to be done by a person";
  return operation;
}

}  // namespace

plan::Plan sample_plan() {
  plan::Plan plan;
  plan.plan_id = std::string(32, '1');
  plan.nonce = "n";
  plan.tool = "remediate 0.1.0";
  plan.policy_sha256 = std::string(64, 'd');
  plan.created = parse_utc("2026-01-02T03:04:05Z").value();
  plan.expires = parse_utc("2026-01-03T03:04:05Z").value();
  plan.host = {"host-id", "EX01", "boot-1", "/mnt/disk", {}};
  plan.playbooks = {{"playbook--1", "Exchange web shells", 3, std::string(64, 'e')}};
  plan.operations = {removal(), reset(), instruction()};
  plan.reviews = {{"inetpub/wwwroot/odd.aspx",
                   "playbook--1",
                   "odd-name",
                   digest,
                   {{"path", "an unusual name", 0, ""}}}};
  plan.exclusions = {{"inetpub/wwwroot/good.aspx", "playbook--1", "dump", "owned by a package"}};
  plan.limits = {{"files removed by a plan", 50, 1, false},
                 {"settings changed by a plan", 50, 1, false}};
  plan.scopes = {{"playbook--1", "web", "C:\\inetpub", "inetpub", true, 12},
                 {"playbook--1", "exchange", "%ExchangeInstallPath%", "", false, 0}};
  plan.issues = {{"unreadable", "inetpub/locked", "permission denied"}};
  plan.files_scanned = 1234;
  return plan;
}

run::Run run_of(plan::Plan plan) {
  run::Run run;
  run.name = "run-20260102T030500Z-11111111";
  run.plan.plan = std::move(plan);
  run.plan_sha256 = std::string(64, 'f');
  run.started = parse_utc("2026-01-02T03:05:00Z").value();
  run.ended = parse_utc("2026-01-02T03:05:07Z").value();
  run.phase = "apply";
  for (const plan::Operation& operation : run.plan.plan.operations) {
    run::OperationState state;
    state.operation = &operation;
    run.operations.push_back(std::move(state));
  }
  return run;
}

run::Run applied_run(plan::Plan plan) {
  run::Run run = run_of(std::move(plan));
  run.closed = true;
  run.status = "done";
  run.approvers = {"CN=Alice", "CN=Bob"};
  for (run::OperationState& state : run.operations) {
    if (state.operation->action == plan::Action::instruct) continue;
    state.state = run::State::done;
    state.outcome = state.operation->action == plan::Action::quarantine ? "quarantined" : "reset";
    state.entry.id = state.operation->id;
    state.entry.path = state.operation->path;
    state.entry.sha256 = state.operation->precondition.sha256;
    state.entry.metadata = state.operation->precondition.metadata;
    state.entry.object = std::string(64, '9');
    state.entry.object_size = 3000;
  }
  return run;
}

std::string hostile() {
  return "x\"'><scr"
         "ipt>alert(1)</scr"
         "ipt><img src=x onerror=alert(1)>--><!--]]>&lt;"
         "</style></title></pre>\n\r\x1b[2J\x07\xe2\x80\xae\xff\xef\xbf\xbe\xef\xbf\xbf\\";
}

plan::Plan hostile_plan() {
  plan::Plan plan = sample_plan();
  const std::string bad = hostile();
  plan.tool = plan.policy_sha256 = plan.plan_id = bad;
  plan.host.name = plan.host.id = plan.host.root = bad;
  plan.playbooks = {{bad, bad, 1, bad}};
  for (plan::Operation& operation : plan.operations) {
    operation.id = operation.address = operation.playbook = operation.indicator = operation.step =
        bad;
    operation.why = {{bad, bad, 1, bad}};
    operation.details = {{bad, bad}};
    operation.before = operation.after = operation.inverse = operation.instruction = bad;
    operation.not_restorable = {bad};
    operation.setting.diff = bad + "\n-" + bad + "\n+" + bad;
    operation.setting.differences = {{bad, bad, bad, bad, bad}};
    operation.setting.provider = bad;
    operation.precondition.sha256 = bad;
    if (operation.action != plan::Action::instruct)
      operation.path = RawPath::parse(
                           "a/<scr"
                           "ipt>\x1b\xff'\"")
                           .value();
  }
  plan.reviews = {{bad, bad, bad, bad, {{bad, bad, 1, bad}}}};
  plan.exclusions = {{bad, bad, bad, bad}};
  plan.limits = {{bad, 1, 2, true}};
  plan.scopes = {{bad, bad, bad, bad, true, 1}, {bad, bad, bad, bad, false, 0}};
  plan.issues = {{bad, bad, bad}};
  return plan;
}

bool well_formed(const std::string& html, const std::string& name) {
  const std::string path = std::string(REMEDIATE_BUILD_DIR) + "/" + name;
  std::ofstream(path, std::ios::binary) << html;
  const std::string command =
      "python3 2>/dev/null -c 'import sys, xml.etree.ElementTree as e; e.parse(sys.argv[1])' '" +
      path + "'";
  return std::system(command.c_str()) == 0;
}

std::size_t occurrences(const std::string& text, const std::string& of) {
  std::size_t number = 0;
  for (std::size_t at = text.find(of); at != std::string::npos; at = text.find(of, at + 1))
    ++number;
  return number;
}

}  // namespace remediate::report::test
