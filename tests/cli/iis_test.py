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


class Served(Iis):
    """What the server serves and no playbook looks at is told, not passed over."""

    def serve(self, *folders, scope="C:\\inetpub", include=None):
        text = "".join(f'<virtualDirectory path="/{number}" physicalPath="{folder}" />\r\n'
                       for number, folder in enumerate(folders))
        self.config.write_text(
            f'<configuration><system.applicationHost><sites><site name="W" id="1">'
            f'<application path="/">{text}</application></site></sites></system.applicationHost>'
            f'</configuration>\r\n')
        include = include or ("**/*.aspx" if scope.startswith("/") else "**\\*.aspx")
        document = scene.playbook(scopes=[{"id": "web", "folder": scope, "include": [include]}])
        self.scene.playbooks[0].write_text(json.dumps(document))

    def told(self):
        return {one["where"]: one["reason"] for one in self.scene.make_plan()["issues"]
                if one["kind"] == "not_searched"}

    def test_other_drives_and_folders_without_a_scope(self):
        for folder in ("inetpub/wwwroot/client", "Code/sub", "code-old"):
            (self.scene.root / folder).mkdir(parents=True)
        self.serve("D:\\inetpub\\wwwroot", "d:\\INETPUB\\wwwroot", "\\\\files\\share", "C:\\code",
                   "%SystemDrive%\\Code\\sub", "C:\\code-old", "C:\\inetpub\\wwwroot\\client",
                   "%SystemDrive%\\inetpub\\wwwroot", "C:\\not-there", "%Odd%\\x")
        told = self.told()
        self.assertEqual(len(told), 5)
        for place, said in (("D:\\inetpub\\wwwroot", "--root"), ("\\\\files\\share", "another drive or machine"),
                            ("C:\\code", "add a scope"), ("C:\\code-old", "add a scope"),
                            ("%Odd%\\x", "unknown variable")):
            for word in (said, "nothing there was searched", "virtualDirectory[W/:/", CONFIG):
                self.assertIn(word, told[place])
        shown = self.scene.run("show", self.scene.plan_file).out.decode()
        self.assertIn("NOT EVERYTHING WAS LOOKED AT", shown)
        self.assertIn("(not_searched): D:\\inetpub\\wwwroot: IIS serves", shown)

    def test_a_scope_searches_no_more_than_its_globs_can_reach(self):
        for folder in ("inetpub/wwwroot/Client/sub", "inetpub/shop"):
            (self.scene.root / folder).mkdir(parents=True)
        served = ("C:\\inetpub\\wwwroot", "C:\\inetpub\\wwwroot\\client\\sub", "C:\\inetpub\\shop")
        for include, told in (("wwwroot\\client\\**\\*.aspx", {"C:\\inetpub\\shop"}),
                              ("wwwroot\\*.aspx", {"C:\\inetpub\\shop"}), ("*.aspx", set()),
                              ("absent\\**\\*.aspx", {"C:\\inetpub\\wwwroot", "C:\\inetpub\\shop"})):
            self.serve(*served, include=include)
            self.assertEqual(set(self.told()), told, include)

    def test_a_folder_in_which_a_scope_lies_is_the_playbook_s_choice(self):
        (self.scene.root / "inetpub/wwwroot/client").mkdir(parents=True)
        self.serve("C:\\inetpub\\wwwroot", scope="C:\\inetpub\\wwwroot\\client")
        self.assertEqual(self.told(), {})

    def test_bounded(self):
        self.serve(*(f"D:\\site{number}" for number in range(60)))
        told = self.told()
        self.assertEqual(len(told), 51)
        self.assertIn("10 more folders", told["(folders that IIS serves)"])

    def test_a_configuration_that_cannot_be_read(self):
        self.serve("D:\\x")
        self.config.write_text("<configuration><sites>")
        [issue] = [one for one in self.scene.make_plan()["issues"] if one["where"] == CONFIG]
        self.assertIn("which folders IIS serves is not known", issue["reason"])

    def test_a_playbook_for_another_server_asks_nothing(self):
        self.serve("D:\\x", scope="/www")
        self.assertEqual(self.told(), {})


class CleanCopy(Iis):
    """reset_to_baseline: where the bytes come from is approved with the plan."""

    def setUp(self):
        super().setUp()
        self.clean = self.scene.write("clean/applicationHost.config", configuration().replace(
            b"ProgramData\\COM1", b"inetpub\\good"))
        found = indicator("vdir", "virtualDirectory")
        found["setting"]["where"] = [{"name": "path", "equals": "/x"}]
        shell = {"id": "dll", "name": "d", "scopes": ["web"], "confidence": "high", "authorises": "remove",
                 "match": {"regex": {"pattern": "MARK-[0-9a-f]{8}"}}}
        self.use([found, shell], [
            step("reset", "vdir", kind="reset_to_baseline", attribute="physicalPath",
                 baseline="C:\\clean\\applicationHost.config"),
            step("file", "dll", action="quarantine")])
        self.dll = self.scene.write(DLL, b"MZ MARK-00000000")

    def test_the_plan_names_it_and_the_change_comes_and_goes(self):
        before = self.scene.tree()
        plan = self.scene.make_plan()
        digest = scene.sha256(self.clean.read_bytes())
        [edit] = plan["operations"][0]["setting"]["edits"]
        self.assertEqual(edit["baseline"]["display"], "clean/applicationHost.config")
        self.assertEqual(edit["baseline_sha256"], digest)
        html = self.scene.base / "plan.html"
        text = self.ok(self.scene.run("show", self.scene.plan_file, "--html", html)).out.decode()
        for shown in (" ".join(text.split()), html.read_text()):
            self.assertIn(f"clean/applicationHost.config, sha256 {digest}", shown)
        run = self.ok(self.scene.apply()).json()["run_id"]
        self.assertEqual(self.config.read_bytes(), self.clean.read_bytes())
        self.assertFalse(self.dll.exists())
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)
        self.verified(run)

    def test_a_changed_one_refuses_the_whole_plan(self):
        self.scene.make_plan()
        self.clean.write_bytes(self.clean.read_bytes() + b"<!-- -->")
        for said in ("is no longer what was approved", "clean"):
            before = self.scene.tree()
            self.refused(self.scene.apply(), 4, "stale_plan", "op-0001", said)
            self.assertEqual(self.scene.tree(), before)
            self.assertTrue(self.dll.exists())
            self.clean.unlink(missing_ok=True)


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
