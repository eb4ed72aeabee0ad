"""Configurations of IIS: the order of native modules, what holds off attacks, redirection, what belongs together."""
import json

import scene

CONFIG = "Windows/System32/inetsrv/config/applicationHost.config"
DLL = "inetpub/evil.dll"
PROTECTION = "system.webServer/security/authentication/windowsAuthentication/extendedProtection"


def configuration():
    return (b'<configuration>\r\n'
            b'  <system.applicationHost>\r\n    <sites><site name="W" id="1">\r\n'
            b'      <application path="/"><virtualDirectory path="/" physicalPath="C:\\w" />\r\n'
            b'        <virtualDirectory path="/x" physicalPath="C:\\ProgramData\\COM1" />\r\n'
            b'      </application>\r\n    </site></sites>\r\n'
            b'    <customMetadata><key path="LM/W3SVC/1/ROOT/x" /></customMetadata>\r\n'
            b'  </system.applicationHost>\r\n'
            b'  <system.webServer>\r\n'
            b'    <globalModules><add name="HttpCache" image="a.dll" />\r\n'
            b'      <add name="evil" image="C:\\inetpub\\evil.dll" /></globalModules>\r\n'
            b'    <modules><add name="HttpCache" /><add name="evil" /></modules>\r\n'
            b'    <rewrite><rules><rule name="X-BEResource Abort - inbound">'
            b'<action type="AbortRequest" /></rule></rules></rewrite>\r\n'
            b'  </system.webServer>\r\n'
            b'  <location path="W/x"><system.webServer><handlers accessPolicy="Read" />'
            b'</system.webServer></location>\r\n'
            b'  <location path="W/owa"><system.webServer><security><authentication>'
            b'<windowsAuthentication>\r\n'
            b'    <extendedProtection tokenChecking="Require" />\r\n'
            b'  </windowsAuthentication></authentication></security></system.webServer></location>\r\n'
            b'</configuration>\r\n')


def indicator(own_id, kind, path=None, **where):
    setting = {"provider": "iis-xml", "files": ["C:\\" + CONFIG.replace("/", "\\")], "kind": kind}
    if path:
        setting["path"] = path
    if where:
        setting["where"] = [{"name": key, "equals": value} for key, value in where.items()]
    return {"id": own_id, "name": own_id, "setting": setting, "confidence": "high", "authorises": "remove"}


def step(name, *indicators, action="reset_setting", **change):
    made = {"id": name, "action": action, "indicators": list(indicators)}
    if action == "reset_setting":
        made["change"] = {"kind": "remove_element"} | change
    return made


class Iis(scene.Case):
    def setUp(self):
        super().setUp()
        self.config = self.scene.write(CONFIG, configuration())

    def use(self, indicators, steps):
        document = scene.playbook(indicators, steps, scopes=[
            {"id": "web", "folder": "C:\\inetpub", "include": ["**\\*.dll"]}])
        self.scene.playbooks[0].write_text(json.dumps(document))

    def redirect(self, text):
        self.scene.write(CONFIG.replace("applicationHost", "Redirection"),
                         b"<configuration>" + text + b"</configuration>\r\n")

    def one_vdir(self):
        found = indicator("vdir", "virtualDirectory")
        found["setting"]["where"] = [{"name": "path", "equals": "/x"}]
        self.use([found], [step("reset", "vdir")])


class Order(Iis):
    def test_a_playbook_in_the_wrong_order_works_in_the_right_one_and_back(self):
        self.scene.write(DLL, b"MZ MARK-00000000")
        self.use([{"id": "dll", "name": "d", "scopes": ["web"], "confidence": "high", "authorises": "remove",
                   "match": {"regex": {"pattern": "MARK-[0-9a-f]{8}"}}},
                  indicator("use", "module", name="evil"), indicator("global", "globalModule", name="evil")],
                 [step("file", "dll", action="quarantine"), step("g", "global"), step("m", "use")])
        before = self.scene.tree()
        plan = self.scene.make_plan()
        self.assertEqual([o["step"] for o in plan["operations"]], ["m", "g", "file"])
        done = self.ok(self.scene.apply()).json()
        self.assertEqual(done["status"], "done")
        self.assertFalse((self.scene.root / DLL).exists())
        self.assertNotIn(b"evil", self.config.read_bytes())
        run = done["run_id"]
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)
        records = [json.loads(line) for line in self.scene.journal(run).read_text().splitlines()]
        worked = [r["operation"] for r in records if r["type"] == "restore_intent"]
        self.assertEqual(worked, ["op-0003", "op-0002", "op-0001"])


class Hardening(Iis):
    def left_alone(self, indicators, steps, *reasons):
        self.use(indicators, steps)
        plan = self.scene.make_plan()
        self.assertEqual(plan["operations"], [])
        [excluded] = plan["exclusions"]
        for reason in (*reasons, "no edit may take away or weaken"):
            self.assertIn(reason, excluded["reason"])

    def test_extended_protection(self):
        found = indicator("ep", "element", PROTECTION, tokenChecking="Require")
        self.left_alone([found], [step("s", "ep")], "Extended Protection")
        self.left_alone([found], [step("s", "ep", kind="set_attribute", attribute="tokenChecking",
                                       value="None")], "Require")

    def test_a_mitigation_rule(self):
        found = indicator("rule", "element", "system.webServer/rewrite/rules/rule",
                          name="X-BEResource Abort - inbound")
        self.left_alone([found], [step("s", "rule")], "X-BEResource Abort - inbound")


class Redirection(Iis):
    def test_active_is_refused_and_told(self):
        self.one_vdir()
        self.redirect(b'<configurationRedirection enabled="true" path="\\\\farm\\iis" password="hidden" />')
        plan = self.scene.make_plan()
        self.assertEqual(plan["operations"], [])
        [excluded] = plan["exclusions"]
        self.assertIn("IIS does not read this file", excluded["reason"])
        self.assertIn("farm", excluded["reason"])
        self.assertNotIn(b"hidden", self.scene.plan_file.read_bytes())
        self.assertTrue(any("redirects" in issue["reason"] for issue in plan["issues"]))

    def test_not_understood_is_refused(self):
        self.one_vdir()
        self.redirect(b"<configurationRedirection")
        plan = self.scene.make_plan()
        self.assertEqual(plan["operations"], [])
        self.assertIn("is not known", plan["exclusions"][0]["reason"])

    def test_nothing_found_in_it_is_no_proof(self):
        self.one_vdir()
        self.config.write_bytes(configuration().replace(b'path="/x"', b'path="/y"'))
        self.redirect(b'<configurationRedirection enabled="true" path="\\\\farm\\iis" />')
        plan = self.scene.make_plan()
        self.assertTrue(any("redirects" in issue["reason"] for issue in plan["issues"]))

    def test_switched_off(self):
        self.one_vdir()
        self.redirect(b'<configurationRedirection enabled="false" path="\\\\farm\\iis" />')
        self.assertEqual(len(self.scene.make_plan()["operations"]), 1)


class History(Iis):
    def version(self, number, data):
        return self.scene.write(f"inetpub/history/CFGHISTORY_{number:010}/applicationHost.config", data)

    def kept(self, run):
        return {p.name: p.read_bytes() for p in self.scene.run_folder(run).glob("history-*")}

    def test_versions_are_kept_before_the_first_edit(self):
        self.one_vdir()
        for number in (7, 9, 10):
            self.version(number, b"<configuration>%d</configuration>" % number)
        self.version(11, b"x").unlink()
        self.scene.write("inetpub/history/other/applicationHost.config", b"not a version")
        before = self.scene.tree()
        self.scene.make_plan()
        done = self.ok(self.scene.apply()).json()
        run = done["run_id"]
        self.assertEqual(self.kept(run), {
            f"history-{at + 1}.config": b"<configuration>%d</configuration>" % number
            for at, number in enumerate((7, 9, 10))})
        first = json.loads(self.scene.journal(run).read_text().splitlines()[0])
        self.assertEqual([copy["sha256"] for copy in first["data"]["history"]],
                         [scene.sha256(data) for _, data in sorted(self.kept(run).items())])
        self.assertIn("CFGHISTORY_0000000009", first["data"]["history"][1]["from"])
        notices = "\n".join(done["notices"])
        self.assertIn("3 version(s) of the configuration history", notices)
        self.assertIn("CFGHISTORY_0000000011", notices)
        self.verified(run)
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)
        self.verified(run)

    def test_a_copy_that_is_changed_or_gone_is_found(self):
        self.one_vdir()
        self.version(1, b"<configuration />")
        run = self.applied()
        [copy] = self.scene.run_folder(run).glob("history-*")
        copy.write_bytes(b"<configuration/>")
        self.assertIn("history-1.config", self.findings(run))
        copy.unlink()
        self.assertIn("history-1.config", self.findings(run))

    def test_what_is_left_of_a_run_that_never_began_goes(self):
        self.one_vdir()
        self.version(1, b"<configuration />")
        run = self.applied()
        left = self.scene.store / "runs" / ".starting-run-0123456789ab"
        left.mkdir(mode=0o700)
        (left / "history-1.config").write_bytes(b"x")
        (left / ".writing-1").write_bytes(b"x")
        ended = self.scene.run("resume")
        self.assertIn("run-0123456789ab was interrupted before it began", ended.err.decode())
        self.assertFalse(left.exists())
        self.verified(run)

    def test_only_the_newest_of_very_many(self):
        self.one_vdir()
        for number in range(40):
            self.version(number, b"%d" % number)
        self.scene.make_plan()
        done = self.ok(self.scene.apply()).json()
        self.assertEqual(sorted(int(data) for data in self.kept(done["run_id"]).values()), list(range(8, 40)))
        self.assertIn("8 of the oldest versions", "\n".join(done["notices"]))

    def test_other_files_and_other_roots_keep_none(self):
        self.version(1, b"<configuration />")
        self.scene.shell()
        self.assertEqual(self.kept(self.applied()), {})


class Together(Iis):
    def test_the_plan_says_what_goes_with_it(self):
        self.one_vdir()
        [operation] = self.scene.make_plan()["operations"]
        said = "\n".join(why["text"] for why in operation["why"] if why["kind"] == "together")
        self.assertIn("location[W/x] belongs to", said)
        self.assertIn("LM/W3SVC/1/ROOT/x", said)
        shown = " ".join(self.scene.run("show", self.scene.plan_file).out.decode().split())
        self.assertIn("together: location[W/x] belongs to virtualDirectory[W/:/x]", shown)


if __name__ == "__main__":
    scene.main()
