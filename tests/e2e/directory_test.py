#!/usr/bin/env python3
"""Settings in Active Directory, with a real domain controller and the real command.

The environment names REMEDIATE, SAMPLE_TREE, TREE_MANIFEST and CONTRACT_DIRECTORY. With
DIRECTORY_SWEEP=full the process is killed at every flush, else at some of them.
"""
import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import directory_lab as lab  # noqa: E402

lab.enter()
import scene  # noqa: E402
from scene import Case, operations  # noqa: E402

EXTERNAL, INTERNAL = "msExchExternalHostName", "msExchInternalHostName"
# Inert, and never whole in this file.
SCRIPT = "http://sample/#<scr" + 'ipt runat="server">/* nothing */</scr' + "ipt>"
CLEAN = "https://mail.lab.test/OAB"
SHELL = "inetpub/wwwroot/aspnet_client/supp0rt.aspx"
CONFIG = "Windows/System32/inetsrv/config/applicationHost.config"
ROGUE = r'<virtualDirectory path="/x" physicalPath="C:\ProgramData\COM1" />'
CONFIGURATION = f"""<?xml version="1.0" encoding="UTF-8"?>
<configuration>
    <system.applicationHost>
        <sites>
            <site name="Default Web Site" id="1">
                <application path="/">
                    <virtualDirectory path="/" physicalPath="C:\\inetpub\\wwwroot" />
                    {ROGUE}
                </application>
            </site>
        </sites>
    </system.applicationHost>
</configuration>
"""
FULL = os.environ.get("DIRECTORY_SWEEP") == "full"
DELAY = 1.5  # seconds before each of the tool's later requests, for another one to come between
counts = {"killed": 0, "bad": 0}


def setting(identity, where, kind="msExchOABVirtualDirectory", **more):
    return {"id": identity, "name": "A URL that holds a script", "confidence": "high",
            "authorises": "remove",
            "setting": {"provider": "exchange-directory", "kind": kind, "where": where, **more}}


def poisoned(attribute=EXTERNAL):
    return [{"name": attribute, "matches": "(?i)<[[:space:]]*(script|%)"}]


def step(identity, indicator, **change):
    return {"id": identity, "action": "reset_setting", "indicators": [indicator],
            "change": change}


class Directory(Case):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="remediate-lab-", dir=scene.WORKPLACE)
        cls.addClassCleanup(cls.folder.cleanup)
        cls.lab = lab.Lab(cls.folder.name)
        cls.addClassCleanup(cls.lab.stop)
        cls.lab.start()

    def setUp(self):
        super().setUp()
        self.connection = self.scene.base / "directory.json"
        self.password = self.scene.base / "password"
        self.password.write_text(lab.PASSWORD + "\n")
        self.password.chmod(0o600)
        self.connect()
        for server, url in (("EX1", SCRIPT), ("EX2", CLEAN), ("EX3", None)):
            self.lab.write(lab.oab(server), EXTERNAL, url)
        self.directory_playbook(step("reset", "poisoned", kind="remove_attribute",
                                     attribute=EXTERNAL))

    def connect(self, **changes):
        made = {"url": "ldaps://dc1.lab.test", "ca_file": str(self.lab.ca),
                "bind": {"dn": lab.ADMIN, "password_file": str(self.password)},
                "timeout_seconds": 3, **changes}
        self.connection.write_text(json.dumps({k: v for k, v in made.items() if v is not None}))

    def directory_playbook(self, *steps, indicators=None):
        text = scene.playbook(indicators or [setting("poisoned", poisoned())], list(steps))
        del text["scopes"]
        self.scene.playbooks[0].write_text(json.dumps(text))

    def plan(self, code=0, connection=True):
        words = ["--directory", self.connection] if connection else []
        ended = self.scene.json(*self.scene.plan_arguments(), *words)
        return self.ok(ended, code).json()

    def apply(self):
        return self.scene.run(*self.scene.apply_arguments(), "--directory", self.connection)

    def rollback(self, run, *more):
        return self.scene.json("rollback", run, "--directory", self.connection, *more)

    def url(self, server="EX1"):
        return self.lab.value(lab.oab(server), EXTERNAL)

    def changes(self, plan):
        return [o for o in plan["operations"] if o["action"] == "reset_setting"]

    # What it is for.

    def test_contract_on_the_real_server(self):
        words = [os.environ["CONTRACT_DIRECTORY"]]
        ended = subprocess.run(words, timeout=scene.TIMEOUT, capture_output=True, text=True,
                               check=False,
                               env={**os.environ, "DIRECTORY_CONNECTION": str(self.connection),
                                    "DIRECTORY_PASSWORD": lab.PASSWORD,
                                    "DIRECTORY_GUID": self.lab.guid(lab.oab("EX3"))})
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertIn("All tests passed", ended.stdout)

    def test_plan_apply_verify_rollback(self):
        plan = self.plan()
        [change] = self.changes(plan)
        guid = self.lab.guid(lab.oab("EX1"))
        value = change["setting"]["directory"]
        self.assertEqual(value["guid"], guid)
        self.assertEqual(value["dn"]["display"], lab.oab("EX1"))
        self.assertEqual(value["before"][0]["display"], SCRIPT)
        self.assertEqual(value["after"], [])
        self.assertEqual(change["before"], f"object {guid}, {EXTERNAL} is {SCRIPT}")
        self.assertEqual(change["after"], f"{EXTERNAL} is absent")
        self.assertEqual(plan["issues"], self.searched_nothing(plan))
        self.assertEqual(self.url(), SCRIPT)

        document = self.ok(self.apply()).json()
        self.assertEqual((document["status"], self.outcome(document)), ("done", "reset"))
        self.assertIsNone(self.url())
        self.assertEqual(self.url("EX2"), CLEAN)
        run = document["run_id"]
        self.verified(run)
        manifest = json.loads((self.scene.run_folder(run) / "manifest.json").read_text())
        self.assertEqual(manifest["entries"][0]["directory"], value)
        self.assertEqual(self.changes(self.plan()), [], "already clean")
        self.ok(self.scene.json("finalize", run))

        document = self.ok(self.rollback(run)).json()
        self.assertEqual(self.outcome(document), "restored")
        self.assertEqual(self.url(), SCRIPT)
        self.verified(run)

    def searched_nothing(self, plan):
        """The playbook here has no folders: no issue may come of the directory."""
        return [issue for issue in plan["issues"] if issue["kind"] == "nothing_searched"]

    def test_to_a_value_and_to_a_siblings_value(self):
        self.lab.write(lab.oab("EX3"), EXTERNAL, SCRIPT)
        self.directory_playbook(
            step("sibling", "first", kind="set_from_sibling", attribute=EXTERNAL, sibling="ex2"),
            step("value", "third", kind="set_attribute", attribute=EXTERNAL, value="https://v/"),
            indicators=[setting("first", poisoned(), servers=["EX1"]),
                        setting("third", poisoned(), servers=["EX3"])])
        plan = self.plan()
        after = [c["setting"]["directory"]["after"][0]["display"] for c in self.changes(plan)]
        self.assertEqual(after, [CLEAN, "https://v/"])
        self.lab.write(lab.oab("EX2"), EXTERNAL, "https://later.lab.test")  # bound at plan time
        run = self.ok(self.apply()).json()["run_id"]
        self.assertEqual((self.url(), self.url("EX3")), (CLEAN, "https://v/"))
        self.ok(self.rollback(run, "--only", "third"))
        self.assertEqual((self.url(), self.url("EX3")), (CLEAN, SCRIPT))
        self.ok(self.rollback(run))
        self.assertEqual((self.url(), self.url("EX2")), (SCRIPT, "https://later.lab.test"))

    def test_a_poisoned_sibling_gives_nothing(self):
        self.lab.write(lab.oab("EX2"), EXTERNAL, SCRIPT)
        self.directory_playbook(step("sibling", "poisoned", kind="set_from_sibling",
                                     attribute=EXTERNAL, sibling="EX2"))
        plan = self.plan()
        self.assertEqual(self.changes(plan), [])
        self.assertEqual(len(plan["exclusions"]), 2)

    def test_signing_methods(self):
        """StartTLS, and Kerberos over a plain and an encrypted connection."""
        self.connect(url="ldap://dc1.lab.test", start_tls=True)
        self.assertEqual(len(self.changes(self.plan())), 1)
        cache = self.scene.base / "ticket"
        self.scene.environment |= {"KRB5CCNAME": f"FILE:{cache}",
                                   "KRB5_CONFIG": str(self.lab.data / "private/krb5.conf")}
        (self.lab.data / "private/krb5.conf").write_text(
            "[libdefaults]\n default_realm = LAB.TEST\n dns_lookup_kdc = false\n rdns = false\n"
            " dns_lookup_realm = false\n[realms]\n LAB.TEST = {\n  kdc = 127.0.0.1\n }\n"
            "[domain_realm]\n .lab.test = LAB.TEST\n")
        self.connect(url="ldap://dc1.lab.test", ca_file=None, bind={"mechanism": "GSSAPI"})
        ended = self.scene.json(*self.scene.plan_arguments(), "--directory", self.connection)
        self.refused(ended, 77, "permission", "the bind")
        lab.run("kinit", "Administrator@LAB.TEST", stdin=lab.PASSWORD + "\n",
                environment=self.scene.environment)
        for mechanism in ("GSSAPI", "GSS-SPNEGO"):
            for url, ca in (("ldap://dc1.lab.test", None),
                            ("ldaps://dc1.lab.test", str(self.lab.ca))):
                with self.subTest(mechanism=mechanism, url=url):
                    self.connect(url=url, ca_file=ca, bind={"mechanism": mechanism})
                    self.assertEqual(len(self.changes(self.plan())), 1)

    # What others do meanwhile.

    def test_changed_after_the_plan(self):
        self.plan()
        self.lab.write(lab.oab("EX1"), EXTERNAL, "https://theirs.lab.test")
        said = self.refused(self.apply(), 4, "stale_plan", EXTERNAL)
        self.assertIn("https://theirs.lab.test", said)
        self.assertEqual(self.url(), "https://theirs.lab.test")

    def test_changed_right_before_the_modification(self):
        """Another administrator writes after the last look: result 16, and nothing is done."""
        self.plan()
        run = "run-" + self.scene.plan()["plan_id"][:12]
        words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=write",
                 "-e", f"inject=write:delay_enter={int(DELAY * 1e6)}:when=9+",
                 *self.scene.command(*self.scene.apply_arguments(), "--directory",
                                     self.connection)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   cwd=self.scene.base, env=self.scene.environment)
        journal = self.scene.journal(run)
        scene.wait_for(lambda: journal.exists() and b'"type":"intent"' in
                       journal.read_bytes().replace(b" ", b""), "the intent")
        seen = time.monotonic()
        self.lab.write(lab.oab("EX1"), EXTERNAL, "https://theirs.lab.test")
        self.assertLess(time.monotonic() - seen, DELAY, "too slow to come between")
        out, err = process.communicate(timeout=scene.TIMEOUT)
        document = json.loads(out)
        self.assertEqual(process.returncode, 3, out.decode() + err.decode())
        self.assertEqual(self.outcome(document), "changed")
        self.assertIn("LDAP result 16", self.reason(document))
        self.assertEqual(self.url(), "https://theirs.lab.test")
        self.verified(run)

    def test_changed_since_is_a_conflict(self):
        self.plan()
        run = self.ok(self.apply()).json()["run_id"]
        self.lab.write(lab.oab("EX1"), EXTERNAL, "https://new.lab.test")
        document = self.ok(self.rollback(run), 6).json()
        self.assertEqual(self.outcome(document), "conflict")
        self.assertEqual(self.url(), "https://new.lab.test")
        self.lab.write(lab.oab("EX1"), EXTERNAL, None)
        self.assertEqual(self.outcome(self.ok(self.rollback(run)).json()), "restored")
        self.assertEqual(self.url(), SCRIPT)

    # What does not work, and says so.

    def test_no_connection_is_told(self):
        plan = self.plan(connection=False)
        self.assertEqual(self.changes(plan), [])
        [issue] = [i for i in plan["issues"] if i["kind"] == "not_evaluated"]
        self.assertIn("--directory", issue["reason"])
        self.plan()
        self.refused(self.scene.apply(), 78, "configuration", "no connection was given")
        run = self.ok(self.apply()).json()["run_id"]
        document = self.ok(self.scene.json("rollback", run), 6).json()
        self.assertIn("--directory", self.reason(document))
        self.assertIsNone(self.url())

    def test_clear_errors(self):
        wrong = self.scene.base / "wrong"
        wrong.write_text("not it\n")
        wrong.chmod(0o600)
        open_file = self.scene.base / "open"
        open_file.write_text(lab.PASSWORD)
        open_file.chmod(0o644)
        low = {"dn": f"CN=low,CN=Users,{lab.BASE}", "password_file": str(self.password)}
        cases = (
            ("wrong authority", {"ca_file": str(self.lab.folder / "other.pem")}, 1, "io",
             "cannot be used"),
            ("wrong name", {"url": "ldaps://localhost"}, 1, "io", "cannot be used"),
            ("wrong authority, StartTLS", {"url": "ldap://dc1.lab.test", "start_tls": True,
                                           "ca_file": str(self.lab.folder / "other.pem")},
             1, "io", "StartTLS"),
            ("nobody there", {"url": "ldaps://dc1.lab.test:6360"}, 1, "io", "cannot be used"),
            ("wrong password", {"bind": {"dn": lab.ADMIN, "password_file": str(wrong)}}, 77,
             "permission", "Invalid credentials"),
            ("open password file", {"bind": {"dn": lab.ADMIN, "password_file": str(open_file)}},
             78, "configuration", "can be read by others"),
            ("a password for all to see", {"url": "ldap://dc1.lab.test", "ca_file": None}, 65,
             "bad_input", "without TLS"),
            ("sees nothing", {"bind": low}, 77, "permission", "no virtual directory at all"),
            ("elsewhere", {"base": "DC=other,DC=test"}, 1, "not_found", "cannot be read"),
            ("a part elsewhere", {"base": f"CN=Configuration,{lab.BASE}"}, 78, "configuration",
             "another server"),
            ("no such base", {"base": f"CN=nothing,{lab.BASE}"}, 1, "not_found", "No such object"))
        for name, changes, code, word, reason in cases:
            with self.subTest(name):
                self.connect(**changes)
                ended = self.scene.json(*self.scene.plan_arguments(), "--directory",
                                        self.connection)
                self.refused(ended, code, word, reason)
                self.assertFalse(self.scene.plan_file.exists())

    def test_an_account_that_may_not_write(self):
        self.plan()
        self.connect(bind={"dn": f"CN=low,CN=Users,{lab.BASE}",
                           "password_file": str(self.password)})
        self.refused(self.apply(), 4, "stale_plan", "that this account sees")
        self.assertEqual(self.url(), SCRIPT)

    def test_a_frozen_server(self):
        self.plan()
        approved = self.scene.plan_file.read_bytes()
        os.kill(self.lab.process.pid, signal.SIGSTOP)
        try:
            for url, tls, ca in (("ldaps://dc1.lab.test", None, str(self.lab.ca)),
                                 ("ldap://dc1.lab.test", True, str(self.lab.ca))):
                self.connect(url=url, start_tls=tls, ca_file=ca)
                start = time.monotonic()
                ended = self.scene.json(*self.scene.plan_arguments(), "--directory",
                                        self.connection)
                self.refused(ended, 1, "io", "cannot be used")
                self.assertLess(time.monotonic() - start, 15)
        finally:
            os.kill(self.lab.process.pid, signal.SIGCONT)
        self.connect()
        self.scene.plan_file.write_bytes(approved)
        self.ok(self.apply())

    # One run over three places.

    def fill(self):
        guid = self.lab.guid(lab.oab("EX1"))
        fields = {
            "Name": "OAB (Default Web Site)", "PollInterval": "480", "OfflineAddressBooks": "",
            "RequireSSL": "True", "BasicAuthentication": "False", "WindowsAuthentication": "True",
            "MetabasePath": "IIS://ex1.lab.test/W3SVC/1/ROOT/OAB",
            "Path": "C:\\Program Files\\Microsoft\\Exchange Server\\V15\\FrontEnd\\HttpProxy\\OAB",
            "Server": "EX1", "InternalUrl": "https://ex1.lab.test/OAB", "ExternalUrl": SCRIPT,
            "AdminDisplayVersion": "", "DistinguishedName": lab.oab("EX1"),
            "Identity": "EX1\\OAB (Default Web Site)", "Guid": guid,
            "ObjectClass": "top\r\n    msExchVirtualDirectory",
            "WhenChangedUTC": "3/3/2021 9:15:22 AM"}
        self.scene.write(SHELL, "".join(f"{name.ljust(31)}: {value}\r\n"
                                        for name, value in fields.items()).encode())
        self.scene.write(CONFIG, CONFIGURATION.encode())
        text = scene.playbook(
            [setting("poisoned", poisoned()),
             {"id": "vdir", "name": "Rogue", "confidence": "high", "authorises": "remove",
              "setting": {"provider": "iis-xml", "kind": "virtualDirectory",
                          "files": "%windir%\\System32\\inetsrv\\config\\applicationHost.config",
                          "where": [{"name": "physicalPath", "matches": "COM1"}]}},
             {"id": "dump", "name": "Dump", "scopes": ["web"], "confidence": "high",
              "authorises": "remove",
              "match": {"structure": {"kind": "exchange-vdir-dump", "script_in_url": True}}}],
            [step("directory", "poisoned", kind="set_attribute", attribute=EXTERNAL,
                  value=CLEAN),
             step("config", "vdir", kind="remove_element"),
             {"id": "file", "action": "quarantine", "indicators": ["dump"]}],
            scopes=[{"id": "web", "folder": "%SystemDrive%\\inetpub\\wwwroot",
                     "include": ["**\\*.aspx"]}])
        self.scene.playbooks[0].write_text(json.dumps(text))
        return guid

    def state(self):
        """What there is in the three places."""
        return (self.url(), (self.scene.root / CONFIG).read_text().count("COM1"),
                (self.scene.root / SHELL).exists())

    def test_dump_configuration_and_directory_in_one_run(self):
        guid = self.fill()
        before = self.scene.tree()
        plan = self.plan()
        self.assertEqual([o["step"] for o in plan["operations"]], ["directory", "config", "file"])
        directory, _, file = plan["operations"]
        details = {d["name"]["display"]: d["value"]["display"] for d in directory["details"]}
        self.assertEqual(details["Dump"], SHELL)
        self.assertEqual(details["Dump Guid"], guid)
        self.assertIn("2021", details["Dump WhenChangedUTC"])
        self.assertIn("this very object", " ".join(w["text"] for w in directory["why"]))
        self.assertIn(lab.oab("EX1"), " ".join(w["text"] for w in file["why"]))
        document = self.ok(self.apply()).json()
        self.assertEqual(document["status"], "done")
        self.assertEqual(self.state(), (CLEAN, 0, False))
        run = document["run_id"]
        self.verified(run)
        shown = self.ok(self.scene.run("show", run)).out.decode()
        self.assertIn(guid, json.dumps(self.scene.json("show", run).json()))
        self.assertIn(SHELL, shown)
        self.ok(self.rollback(run))
        self.assertEqual(self.state(), (SCRIPT, 1, True))
        self.assertEqual(self.scene.tree(), before)
        self.verified(run)

    def test_the_documented_clean_up(self):
        """Every command of docs/hafnium.md, as it stands there, on the three places."""
        self.fill()
        before = self.scene.tree()
        project = pathlib.Path(__file__).resolve().parents[2]
        page = (project / "docs/hafnium.md").read_text()
        lines = [line.split("  #")[0].strip() for block in re.findall("```sh\n(.*?)```", page, re.S)
                 for line in block.replace("\\\n", " ").splitlines()]
        commands = [line for line in lines if line.startswith("remediate ")]
        run, states = "none", []
        for line in commands:
            words = [scene.REMEDIATE, "--store", str(self.scene.store), "--no-input"]
            for word in shlex.split(line)[1:]:
                for name, place in (("/usr/share/remediate/playbooks", project / "playbooks"),
                                    ("/mnt/c", self.scene.root), ("RUN", run),
                                    ("directory.json", self.connection),
                                    ("change", self.scene.base / "change")):
                    if word == name or word.startswith(f"{name}/") or word.startswith(f"{name}."):
                        word = f"{place}{word[len(name):]}"
                if word == "PLAN_ID":
                    word = json.loads((self.scene.base / "change.json").read_text())["plan_id"]
                words.append(word)
            ended = self.ok(self.scene.execute(words))
            if line.startswith("remediate apply"):
                [run] = set(re.findall("run-[0-9a-f]{12}", ended.out.decode()))
            states.append(self.state())
        self.assertEqual(states[0], (SCRIPT, 1, True))
        self.assertIn((None, 0, False), states)
        self.assertEqual(states[-1], (SCRIPT, 1, True))
        self.assertEqual(self.scene.tree(), before)
        self.assertGreater(len(commands), 8)

    def test_killed_anywhere(self):
        """Killed at a flush: afterwards resume ends it or rollback takes it back."""
        self.fill()
        number, done, seen = 0, False, set()
        while not done:
            number += 1 if FULL else 3
            for end in ("resume", "rollback") if FULL else (("resume", "rollback")[number % 2],):
                self.scene = self.new_scene()
                self.setUp_again()
                self.fill()
                self.plan()
                run = "run-" + self.scene.plan()["plan_id"][:12]
                words = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync,fdatasync",
                         "-e", f"inject=fsync,fdatasync:signal=KILL:when={number}",
                         *self.scene.command(*self.scene.apply_arguments(), "--directory",
                                             self.connection)]
                ended = self.scene.execute(words)
                if ended.code == 0:
                    done = True
                    break
                counts["killed"] += 1
                seen.add(self.state())
                if not self.scene.journal(run).exists() or not self.scene.run_folder(run).exists():
                    self.assertEqual(self.state(), (SCRIPT, 1, True))
                    continue
                if end == "resume":
                    self.ok(self.scene.json("resume", run, "--directory", self.connection))
                    self.assertEqual(self.state(), (CLEAN, 0, False), f"kill {number}")
                ended = self.rollback(run)
                if ended.code == 1 and "remediate resume" in ended.json()["error"]["remedy"]:
                    # Killed between the closing record and its signature: rollback asks for this.
                    self.ok(self.scene.json("resume", run, "--directory", self.connection))
                    ended = self.rollback(run)
                self.assertEqual(ended.code, 0, f"kill {number}: {ended}")
                self.assertEqual(self.state(), (SCRIPT, 1, True), f"kill {number}")
                self.verified(run)
        self.assertGreater(counts["killed"], 5)
        self.assertEqual(len(seen), 4, f"not killed between each pair: {seen}")

    def setUp_again(self):
        self.connection = self.scene.base / "directory.json"
        self.password = self.scene.base / "password"
        self.password.write_text(lab.PASSWORD + "\n")
        self.password.chmod(0o600)
        self.connect()
        self.lab.write(lab.oab("EX1"), EXTERNAL, SCRIPT)


if __name__ == "__main__":
    start = time.monotonic()
    program = unittest.main(exit=False)
    result = program.result
    bad = len(result.failures) + len(result.errors)
    print(f"directory: {result.testsRun} tests, {counts['killed']} kills, {bad} bad, "
          f"{time.monotonic() - start:.0f} s", flush=True)
    sys.exit(1 if bad else 0)
