"""A virtual directory in the web server's configuration: reset, undone three-way, no secrets."""
import pathlib
import re
import shutil
import subprocess
import tempfile

import scene
from scene import Case, operations

CONFIG = "Windows/System32/inetsrv/config/applicationHost.config"
LINE = r'<virtualDirectory path="/auth/help" physicalPath="C:\ProgramData\COM1" />'
SECRETS = ("SAMPLEONLYnotAKey", "sample-Passw0rd")


class Setting(Case):
    @classmethod
    def setUpClass(cls):
        """Of the sample disk only what the playbook reads; a tree for each test is made of it."""
        cls.folder = tempfile.TemporaryDirectory(prefix="remediate-cli-", dir=scene.WORKPLACE)
        cls.addClassCleanup(cls.folder.cleanup)
        disk = pathlib.Path(cls.folder.name, "disk")
        subprocess.run([scene.SAMPLE_TREE, disk], check=True, capture_output=True,
                       timeout=scene.TIMEOUT)
        cls.parts = pathlib.Path(cls.folder.name, "parts")
        for below in ("Windows/System32", "ProgramData"):
            shutil.copytree(disk / below, cls.parts / below)
        Case.remove(disk)

    def setUp(self):
        super().setUp()
        self.scene.root = self.scene.base / "disk"
        shutil.copytree(self.parts, self.scene.root)
        self.config = self.scene.root / CONFIG
        self.original = self.config.read_bytes()
        self.state = self.config.stat()
        self.scene.playbooks = [scene.SHIPPED / "proxyshell-2021.json"]

    def settings(self, document):
        return {o["id"] for o in document["operations"] if o["action"] == "reset_setting"}

    def edit(self, old, new):
        data = self.config.read_bytes()
        self.assertEqual(data.count(old.encode()), 1)
        self.config.write_bytes(data.replace(old.encode(), new.encode()))

    def test_only_the_element_goes_and_its_twin_in_the_comment_stays(self):
        self.assertEqual(self.original.decode().count(LINE), 2)
        comment = re.search(rb"<!--.*?-->", self.original, re.DOTALL)[0]
        self.applied()
        data = self.config.read_bytes()
        self.assertEqual(data.decode().count(LINE), 1)
        self.assertIn(comment, data)
        before, after = self.original.decode().splitlines(), data.decode().splitlines()
        gone = list(before)
        for line in after:
            gone.remove(line)
        self.assertEqual([line.strip() for line in gone], [
            '<key path="LM/W3SVC/1/ROOT/owa/auth/help">',
            '<property id="1002" dataType="String" userType="1" attributes="None" '
            'value="IIsWebVirtualDir" />', "</key>", LINE,
            '<location path="Default Web Site/owa/auth/help">', "<system.webServer>",
            '<handlers accessPolicy="Read, Script" />', "</system.webServer>", "</location>"])
        state = self.config.stat()
        self.assertEqual((state.st_mode, state.st_uid, state.st_gid),
                         (self.state.st_mode, self.state.st_uid, self.state.st_gid))

    def preview(self, run):
        """What a dry run of the rollback says of the settings; it changes nothing."""
        before = self.scene.tree()
        document = self.ok(self.scene.json("rollback", run, "--dry-run")).json()
        self.assertEqual(self.scene.tree(), before)
        return [(o["outcome"], o["reason"]) for o in document["operations"]
                if o["action"] == "reset_setting"]

    def test_undo_of_an_untouched_file_is_exact(self):
        before = self.scene.tree()
        run = self.applied()
        previewed = self.preview(run)
        self.assertTrue(previewed)
        self.assertEqual({outcome for outcome, _ in previewed}, {"would_restore"})
        self.assertNotIn("others", str(previewed))
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)
        self.assertEqual(self.config.stat().st_ino, self.state.st_ino)

    def test_undo_keeps_a_later_edit(self):
        run = self.applied()
        self.edit('<binding protocol="http" bindingInformation="*:80:" />',
                  '<binding protocol="http" bindingInformation="*:8080:" />')
        previewed = self.preview(run)
        self.assertEqual({outcome for outcome, _ in previewed}, {"would_restore"})
        self.assertIn("what others changed since would be kept", previewed[0][1])
        document = self.ok(self.scene.json("rollback", run)).json()
        kept = [o for o in document["operations"] if o["id"] in self.settings(document)]
        self.assertTrue(any("later edits" in o.get("reason", "") for o in kept), kept)
        text = self.config.read_bytes().decode()
        self.assertEqual(text.count(LINE), 2)
        self.assertIn('bindingInformation="*:8080:"', text)
        self.assertEqual(text.replace('"*:8080:"', '"*:80:"'), self.original.decode())
        # The held original is left, in clear: finalize says where.
        held = [p for p in self.scene.base.rglob("op-*")
                if p.is_file() and p.read_bytes() == self.original]
        self.assertEqual(len(held), 1, held)
        told = [n for n in self.ok(self.scene.json("finalize", run)).json()["notices"]
                if str(held[0]) in n]
        self.assertEqual(len(told), 1)
        self.assertIn("in clear", told[0])
        self.assertTrue(held[0].exists())
        held[0].unlink()
        self.assertNotIn("in clear", str(self.ok(self.scene.json("finalize", run)).json()))

    def test_conflict_is_reported_and_changes_nothing(self):
        """Others put something else where our change was."""
        run = self.applied()
        self.edit('<application path="/owa" applicationPool="MSExchangeOWAAppPool">',
                  '<application path="/owa" applicationPool="MSExchangeOWAAppPool">\r\n'
                  r'    <virtualDirectory path="/auth/help" physicalPath="D:\Help" />')
        now = self.config.read_bytes()
        state = self.config.stat()
        previewed = self.preview(run)
        document = self.ok(self.scene.json("rollback", run), 6).json()
        self.assertEqual([outcome == "would_conflict" for outcome, _ in previewed],
                         [o["outcome"] == "conflict" for o in document["operations"]
                          if o["action"] == "reset_setting"])
        failed = [o for o in document["operations"] if o["outcome"] == "conflict"]
        self.assertEqual({o["id"] for o in failed} - self.settings(document), set())
        self.assertTrue(failed and all(o["reason"] for o in failed))
        text = self.config.read_text()
        self.assertIn(r'physicalPath="D:\Help"', text)
        if len(self.settings(document)) == len(failed):
            self.assertEqual(self.config.read_bytes(), now)
            self.assertEqual(self.config.stat().st_ino, state.st_ino)
        restored = [o for o in document["operations"] if o["action"] == "quarantine"]
        self.assertEqual({o["outcome"] for o in restored}, {"restored"})

    def test_file_that_is_no_xml_any_more(self):
        run = self.applied()
        self.config.write_bytes(b"<configuration><broken")
        document = self.ok(self.scene.json("rollback", run), 6).json()
        outcomes = {o["outcome"] for o in document["operations"]
                    if o["id"] in self.settings(document)}
        self.assertLessEqual(outcomes, {"conflict", "failed"})
        self.assertEqual(self.config.read_bytes(), b"<configuration><broken")

    def test_file_gone(self):
        run = self.applied()
        self.config.unlink()
        self.assertEqual({outcome for outcome, _ in self.preview(run)}, {"would_conflict"})
        document = self.ok(self.scene.json("rollback", run), 6).json()
        self.assertIn("gone", "".join(o.get("reason", "") for o in document["operations"]))
        self.assertFalse(self.config.exists())

    def test_changed_since_the_plan(self):
        self.scene.make_plan()
        self.edit('bindingInformation="*:80:"', 'bindingInformation="*:81:"')
        before = self.scene.tree()
        self.refused(self.scene.apply(), 4, "stale_plan", "applicationHost.config", "sha256")
        self.assertEqual(self.scene.tree(), before)

    def test_undo_from_the_sealed_original(self):
        run = self.applied()
        self.ok(self.scene.json("finalize", run))
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.config.read_bytes(), self.original)
        state = self.config.stat()
        self.assertEqual((state.st_mode, state.st_uid, state.st_mtime_ns),
                         (self.state.st_mode, self.state.st_uid, self.state.st_mtime_ns))

    def test_no_secret_leaves_the_file(self):
        for secret in SECRETS:
            self.assertIn(secret, self.original.decode())
        html = self.scene.base / "plan.html"
        shown = [self.ok(self.scene.run("plan", "-p", self.scene.playbooks[0], "--root",
                                        self.scene.root, "--html", html)).out, html.read_bytes()]
        run = self.applied()
        # Later edits that touch secrets, so that an undo has to speak of them.
        self.edit('startMode="AlwaysRunning"', 'startMode="OnDemand"')
        for arguments in (["show", self.scene.plan_file], ["show", run], ["show", run, "--html",
                          "-"], ["verify"], ["export", run, "-o", "-", "--as", "ocsf"],
                          ["--format", "json", "show", run], ["rollback", run]):
            ended = self.ok(self.scene.run(*arguments))
            shown += [ended.out, ended.err]
        shown.append(self.scene.plan_file.read_bytes())
        seen = 0
        for path in self.scene.store.rglob("*"):
            kept = path.relative_to(self.scene.store).parts[0] in ("hold", "objects")
            if path.is_file() and not kept:
                shown.append(path.read_bytes())
                seen += 1
        self.assertGreater(seen, 6)
        for secret in SECRETS:
            for data in shown:
                self.assertNotIn(secret.encode(), data)

    def test_settings_and_files_are_one_run(self):
        plan = self.scene.make_plan()
        actions = {operation["action"] for operation in plan["operations"]}
        self.assertLessEqual({"quarantine", "reset_setting"}, actions)
        run = self.ok(self.scene.apply()).json()["run_id"]
        listed = self.ok(self.scene.json("show", run)).json()
        self.assertEqual(len(operations(listed)), len(plan["operations"]))
        setting = min(self.settings(listed))
        before = self.config.read_bytes()
        self.ok(self.scene.json("rollback", run, "--only", max(self.settings(listed))))
        self.assertNotEqual(self.config.read_bytes(), before)
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.config.read_bytes(), self.original, setting)


if __name__ == "__main__":
    scene.main()
