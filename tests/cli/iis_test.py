"""Configurations of IIS: the order of native modules, what holds off attacks, redirection, what belongs together."""
import json
import subprocess

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

    def recorded(self, run):
        first = json.loads(self.scene.journal(run).read_text().splitlines()[0])
        return first["data"].get("copies", [])

    def kept(self, run):
        """By place, as stock OpenSSL opens what the journal names."""
        keys = self.scene.store / "keys"
        opened = {}
        for copy in self.recorded(run):
            sealed = self.scene.store / "objects" / (copy["object"] + ".p7m")
            self.assertEqual(scene.sha256(sealed.read_bytes()), copy["object"])
            self.assertEqual(sealed.stat().st_size, copy["object_size"])
            data = subprocess.run(
                ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", sealed,
                 "-recip", keys / "recovery.crt", "-inkey", keys / "recovery.key"],
                check=True, capture_output=True, timeout=scene.TIMEOUT).stdout
            self.assertEqual((copy["sha256"], copy["size"]), (scene.sha256(data), len(data)))
            opened[copy["path"]["display"]] = data
        return opened

    def in_clear(self, secret):
        """The files of the store that hold the text as it is."""
        return [str(path.relative_to(self.scene.store)) for path in sorted(self.scene.store.rglob("*"))
                if path.is_file() and secret in path.read_bytes()]

    def test_versions_are_sealed_before_the_first_edit(self):
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
            f"inetpub/history/CFGHISTORY_{number:010}/applicationHost.config":
                b"<configuration>%d</configuration>" % number for number in (7, 9, 10)})
        notices = "\n".join(done["notices"])
        self.assertIn("3 version(s) of the configuration history", notices)
        self.assertIn("CFGHISTORY_0000000011", notices)
        manifest = json.loads((self.scene.run_folder(run) / "manifest.json").read_text())
        self.assertEqual(manifest["copies"], self.recorded(run))
        self.assertEqual(self.scene.json("show", run).json()["copies"], self.recorded(run))
        shown = self.scene.run("show", run).out.decode()
        for copy in self.recorded(run):
            self.assertIn(copy["object"], shown)
        checked = self.verified(run)
        self.assertEqual(checked["objects_checked"], 3 + 1)
        keys = self.scene.store / "keys"
        opened = self.ok(self.scene.json("verify", run, "--recovery-key", keys / "recovery.key")).json()
        self.assertEqual((opened["ok"], opened["findings"]), (True, []))
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)
        self.verified(run)

    def test_no_password_is_stored_in_clear(self):
        self.one_vdir()
        old, now = b"0ld-pool-Passw0rd", b"n3w-pool-Passw0rd"
        pool = b'<applicationPools><add name="p" processModel.password="%s" /></applicationPools>'
        self.version(1, b"<configuration>" + pool % old + b"</configuration>")
        self.config.write_bytes(configuration().replace(b"    <sites>", b"    " + pool % now + b"\r\n    <sites>"))
        run = self.applied()
        self.assertEqual(self.in_clear(old), [])
        self.assertIn(old, b"".join(self.kept(run).values()))
        # The original itself, renamed into the hold, until finalize; nothing that the tool wrote.
        self.assertEqual(self.in_clear(now), [f"hold/{run}/op-0001"])
        self.ok(self.scene.json("finalize", run))
        self.assertEqual(self.in_clear(old) + self.in_clear(now), [])
        self.verified(run)

    def test_a_copy_that_is_changed_or_gone_is_found(self):
        self.one_vdir()
        self.version(1, b"<configuration />")
        run = self.applied()
        [copy] = self.recorded(run)
        sealed = self.scene.store / "objects" / (copy["object"] + ".p7m")
        sealed.write_bytes(sealed.read_bytes()[:-1] + b"!")
        self.assertIn("CFGHISTORY_0000000001", self.findings(run))
        sealed.unlink()
        self.assertIn("CFGHISTORY_0000000001", self.findings(run))

    def test_what_is_left_of_a_run_that_never_began_goes(self):
        """A crash after the copies got their names and before the run appeared."""
        self.one_vdir()
        self.version(1, b"<configuration />")
        run = self.applied()
        [copy] = self.recorded(run)
        name = "run-0123456789ab"
        left = self.scene.store / "runs" / f".starting-{name}"
        left.mkdir(mode=0o700)
        (left / "plan.json").write_bytes(b"x")
        (left / ".writing-1").write_bytes(b"x")
        record = json.loads(self.scene.journal(run).read_text().splitlines()[0])
        unused = self.scene.store / "objects" / ("0" * 64 + ".p7m")
        unused.write_bytes(b"x")
        record["data"]["copies"] = [copy | {"object": "0" * 64}]
        journal = self.scene.journal(name)
        journal.write_text(json.dumps(record, separators=(",", ":")) + "\n")
        ended = self.scene.run("resume")
        self.assertIn(f"{name} was interrupted before it began", ended.err.decode())
        self.assertEqual([path for path in (left, journal, unused) if path.exists()], [])
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
