"""Outputs and exit codes that scripts rely on."""
import json
import os
import re
import shutil
import subprocess

import scene
from scene import Case, operations

RUN_KEYS = {"run_id", "plan_id", "phase", "status", "interrupted", "head", "operations", "notices"}
OPERATION_KEYS = {"id", "action", "address", "indicator", "why", "precondition", "before", "after",
                  "inverse"}
PLAN_KEYS = {"format_version", "plan_id", "host", "playbooks", "created", "expires", "operations"}


class Shapes(Case):
    def setUp(self):
        super().setUp()
        self.scene.shells(2)
        self.scene.harmless()

    def run_document(self, ended, phase, status, code=0):
        self.ok(ended, code)
        document = ended.json()
        self.assertEqual(set(document), RUN_KEYS)
        self.assertEqual((document["phase"], document["status"]), (phase, status), str(ended))
        for operation in document["operations"]:
            self.assertLessEqual({"id", "action", "address", "outcome"}, set(operation))
        return document

    def test_version(self):
        ended = self.ok(self.scene.execute([scene.REMEDIATE, "--version"]))
        self.assertRegex(ended.out.decode(), r"\Aremediate \d+\.\d+\.\d+\n\Z")
        self.assertEqual(ended.err, b"")

    def test_help_names_every_command(self):
        ended = self.ok(self.scene.execute([scene.REMEDIATE, "--help"]))
        for command in ("check", "plan", "show", "approve", "apply", "resume", "rollback",
                        "finalize", "verify", "list", "export", "init"):
            self.assertRegex(ended.out.decode(), rf"(?m)^ +{command}\b")

    def test_plan_document(self):
        ended = self.ok(self.scene.json("plan", "-p", self.scene.playbooks[0], "--root",
                                        self.scene.root))
        document = ended.json()
        self.assertLessEqual(PLAN_KEYS, set(document))
        self.assertEqual(len(document["operations"]), 2)
        for operation in document["operations"]:
            self.assertLessEqual(OPERATION_KEYS, set(operation))
            self.assertEqual(operation["action"], "quarantine")
            self.assertEqual(operation["indicator"], "mark")
            content = (self.scene.root / operation["address"]).read_bytes()
            self.assertEqual(operation["precondition"]["sha256"], scene.sha256(content))
            self.assertTrue(operation["why"][0]["text"])
        self.assertRegex(document["plan_id"], r"\A[0-9a-f]{32}\Z")
        self.assertEqual(scene.with_id(document)[1], document["plan_id"])

    def test_the_plan_file_is_the_document(self):
        ended = self.ok(self.scene.json(*self.scene.plan_arguments()))
        self.assertEqual(ended.out, self.scene.plan_file.read_bytes())
        piped = self.ok(self.scene.run("-q", "plan", "-p", self.scene.playbooks[0], "--root",
                                       self.scene.root, "-o", "-"))
        self.assertEqual(len(scene.one_document(piped.out)["operations"]), 2)
        self.assertEqual(piped.err, b"")

    def test_detailed_exit_code(self):
        arguments = ["plan", "-p", self.scene.playbooks[0], "--root", self.scene.root,
                     "--detailed-exitcode"]
        self.ok(self.scene.json(*arguments), 2)
        self.ok(self.scene.json(*arguments[:-1]), 0)
        for folder in ("d0", "d1"):
            (self.scene.root / f"www/{folder}/s{folder[1]}.php").unlink()
        self.scene.harmless()
        self.ok(self.scene.json(*arguments), 0)
        large = self.scene.write("www/large.php", b"")
        os.truncate(large, (16 << 20) + 1)
        document = self.ok(self.scene.json(*arguments), 3).json()
        self.assertIn("too_large", [issue["kind"] for issue in document["issues"]])
        self.ok(self.scene.json(*arguments[:-1]), 0)
        self.scene.shell()
        self.ok(self.scene.json(*arguments), 2)
        shutil.rmtree(self.scene.root / "www")
        document = self.ok(self.scene.json(*arguments), 3).json()
        self.assertEqual(document["files_scanned"], 0)

    def test_plan_twice_differs_only_in_its_nonce_and_times(self):
        first, second = self.scene.make_plan(), self.scene.make_plan()
        self.assertNotEqual(first["nonce"], second["nonce"])
        self.assertNotEqual(first["plan_id"], second["plan_id"])
        for document in (first, second):
            for key in ("nonce", "plan_id", "created", "expires"):
                del document[key]
        self.assertEqual(first, second)

    def test_a_whole_life(self):
        before = self.scene.tree()
        plan = self.scene.make_plan()
        self.assertEqual(self.run_document(self.scene.apply(), "apply", "done")["plan_id"],
                         plan["plan_id"])
        [listed] = self.ok(self.scene.json("list")).json()["runs"]
        run = listed["run_id"]
        self.assertLessEqual({"run_id", "plan_id", "phase", "state", "started", "root",
                              "operations"}, set(listed))
        self.assertEqual(listed["plan_id"], plan["plan_id"])
        self.assertEqual((listed["state"], listed["operations"]), ("done", {"done": 2}))

        verified = self.verified()
        self.assertEqual((verified["objects_checked"], verified["held_checked"]), (2, 2))
        self.assertEqual(set(verified), {"ok", "runs", "findings", "objects_checked",
                                         "held_checked"})
        shown = self.ok(self.scene.json("show", run)).json()
        self.assertEqual((shown["run_id"], shown["status"]), (run, "done"))
        self.assertEqual(len(shown["operations"]), 2)
        self.run_document(self.scene.json("resume"), "resume", "nothing_to_do")

        preview = self.run_document(self.scene.json("rollback", run, "--dry-run"), "rollback",
                                    "planned")
        self.assertEqual({o["outcome"] for o in preview["operations"]}, {"would_restore"})
        self.assertNotEqual(self.scene.tree(), before)
        document = self.run_document(self.scene.json("rollback", run), "rollback", "done")
        self.assertEqual({o["outcome"] for o in document["operations"]}, {"restored"})
        self.assertEqual(self.scene.tree(), before)
        self.run_document(self.scene.json("rollback", run), "rollback", "nothing_to_do")

    def test_finalize_and_export(self):
        run = self.applied()
        events = self.base_file("events")
        exported = self.ok(self.scene.json("export", run, "-o", events, "--as", "ocsf")).json()
        self.assertEqual(set(exported), {"run_id", "as", "file"})
        lines = events.read_bytes().splitlines()
        self.assertTrue(lines)
        for line in lines:
            self.assertEqual(scene.one_document(line)["category_uid"], 7)
        piped = self.ok(self.scene.run("export", run, "-o", "-", "--as", "ocsf"))
        self.assertEqual(piped.out, events.read_bytes())

        document = self.run_document(self.scene.json("finalize", run), "finalize", "done")
        self.assertEqual({o["outcome"] for o in document["operations"]}, {"finalized"})
        self.assertEqual(list((self.scene.store / "hold").rglob("op-*")), [])
        self.assertEqual(len(self.scene.objects()), 2)
        self.run_document(self.scene.json("finalize", run), "finalize", "nothing_to_do")

    def base_file(self, name):
        return self.scene.base / name

    def test_witness(self):
        head = self.run_document_head()
        self.ok(self.scene.json("verify", "--witness", head))
        length, digest = head.split(":")
        ended = self.scene.json("verify", "--witness", f"{int(length) + 1}:{digest}")
        self.assertEqual(ended.code, 5)
        [finding] = [f for f in ended.json()["findings"] if f["level"] == "error"]
        self.assertEqual(finding["where"], "witness")
        for malformed in ("5:abc", "", digest, f":{digest}", f"x:{digest}", f"0{head}", f"{head}0"):
            with self.subTest(malformed):
                ended = self.scene.json("verify", "--witness", malformed)
                self.refused(ended, 64, "usage", "--witness")
                self.assertIn("LENGTH:SHA256 is expected", ended.json()["error"]["remedy"])

    def run_document_head(self):
        self.scene.make_plan()
        return self.run_document(self.scene.apply(), "apply", "done")["head"]

    def test_nothing_to_do(self):
        for number in (0, 1):
            (self.scene.root / f"www/d{number}/s{number}.php").unlink()
        before = self.scene.manifest()
        self.scene.make_plan()
        self.run_document(self.scene.apply(), "apply", "nothing_to_do")
        self.assertEqual(self.scene.manifest(), before)

    def test_init(self):
        document = self.ok(self.scene.json("init")).json()
        self.assertEqual(set(document), {"store", "store_id", "signer", "recovery",
                                         "recovery_key_here"})
        self.assertTrue(document["recovery_key_here"])
        self.assertEqual(self.scene.store.stat().st_mode & 0o777, 0o700)
        for name in ("signer.key", "recovery.key"):
            self.assertEqual((self.scene.store / "keys" / name).stat().st_mode & 0o777, 0o600)
        self.refused(self.scene.json("init"), 1, "already_exists", str(self.scene.store))

    def test_init_with_a_certificate_that_only_signs(self):
        for kind, usage, other in (("ec:curve", "keyAgreement", "keyEncipherment"),
                                   ("rsa:2048", "keyEncipherment", "keyAgreement")):
            key = (["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec:curve" else [kind])
            self.scene.identity("signs", kind=(*key, "-addext", f"keyUsage=digitalSignature,{other}"))
            words = ("init", "--recovery-cert", self.scene.base / "signs.crt")
            self.refused(self.scene.json(*words), 65, "bad_input", "not for sealing", usage)
            self.assertIn(f"keyUsage=critical,{usage}", self.scene.json(*words).json()["error"]["remedy"])
            self.assertFalse((self.scene.store / "keys").exists())
        self.scene.identity("seals", kind=("rsa:2048", "-addext", "keyUsage=keyEncipherment"))
        self.ok(self.scene.json("init", "--recovery-cert", self.scene.base / "seals.crt"))

    def test_init_after_one_that_was_cut_short(self):
        self.ok(self.scene.json("init"))
        store = self.scene.store
        key = (store / "keys/recovery.key").read_bytes()
        (store / "store.json").rename(store / "store.making")
        document = self.ok(self.scene.json("init")).json()
        self.assertEqual(document["unfinished_keys"], "unfinished-keys-1")
        self.assertEqual((store / "unfinished-keys-1/recovery.key").read_bytes(), key)
        self.assertNotEqual((store / "keys/recovery.key").read_bytes(), key)
        self.assertTrue(self.ok(self.scene.json("verify")).json()["ok"])
        (store / "store.json").rename(store / "store.making")
        self.assertIn(b"unfinished-keys-2/ has keys", self.ok(self.scene.run("init")).out)

    def test_keys_without_a_store_stay(self):
        self.ok(self.scene.json("init"))
        (self.scene.store / "store.json").unlink()
        key = (self.scene.store / "keys/recovery.key").read_bytes()
        self.refused(self.scene.json("init"), 1, "refused", "has keys and no store.json")
        self.assertEqual((self.scene.store / "keys/recovery.key").read_bytes(), key)

    def test_approve(self):
        self.scene.identity("alice")
        plan = self.scene.make_plan()
        document = self.ok(self.scene.approve("alice")).json()
        self.assertEqual(set(document), {"plan_id", "approver", "fingerprint", "signature"})
        self.assertEqual(document["plan_id"], plan["plan_id"])
        self.assertIn("alice", document["approver"])

    def test_the_way_on_names_the_file_of_the_plan(self):
        other = self.scene.base / "case 7.json"
        words = ("plan", "-p", self.scene.playbooks[0], "--root", self.scene.root)
        said = self.ok(self.scene.run(*words, "-o", other)).out.decode()
        self.assertNotIn("plan.json", said)
        for command in ("approve", "apply"):
            self.assertRegex(said, rf"(?m)^ +remediate .*{command} '{other}'")
        self.assertIn("plan.json", self.ok(self.scene.run(*words)).out.decode())
        page = self.scene.base / "plan.html"
        self.ok(self.scene.run(*words, "-o", self.scene.base / "case8.json", "--html", page))
        self.assertIn("case8.json", page.read_text())
        self.assertNotIn("plan.json", page.read_text())
        self.assertRegex(said, rf"policy +the policy {self.scene.policy}\b")

    def test_show_tells_who_signed(self):
        self.scene.identity("alice")
        self.scene.identity("bob")
        self.scene.write_policy(approval={"approvers": ["alice.crt"], "threshold": 1})
        self.scene.make_plan()
        show = ("show", self.scene.plan_file)

        def shown():
            return " ".join(self.ok(self.scene.run(*show)).out.decode().split())

        self.assertIn(f"file {self.scene.plan_file}", shown())
        self.assertIn("signed by nobody", shown())
        self.ok(self.scene.approve("alice"))
        self.ok(self.scene.approve("bob"))
        said = shown()
        self.assertRegex(said, rf"signed by CN=alice \(sha256 \w+\), an approver of the policy {self.scene.policy}")
        self.assertRegex(said, r"signed by a certificate \(sha256 \w+\) that is no approver")
        signature = self.scene.base / "plan.json.p7s"
        signature.write_bytes(signature.read_bytes()[:-3])
        self.assertIn("plan.json.p7s does not hold", shown())
        signature.unlink()
        self.scene.write_policy()
        run = self.applied()
        said = " ".join(self.ok(self.scene.run("show", run)).out.decode().split())
        self.assertIn("approval by whoever ran apply", said)
        self.assertIn("Nobody signed it", said)

    def test_an_expression_is_shown_as_it_is_spelled(self):
        book = scene.playbook()
        book["indicators"][0]["match"]["regex"]["pattern"] = r"MARK-[0-9a-f]{8}\s\*/"
        self.scene.playbooks[0].write_text(json.dumps(book))
        said = self.ok(self.scene.run("plan", "-p", self.scene.playbooks[0], "--root",
                                      self.scene.root)).out.decode()
        self.assertIn(r"regex /MARK-[0-9a-f]{8}\s\*//", said)

    def test_a_file_in_two_scopes_is_explained(self):
        said = self.ok(self.scene.run(*self.scene.plan_arguments())).out.decode()
        self.assertNotIn("counted in each", said)
        self.scene.playbooks[0].write_text(json.dumps(scene.playbook(scopes=[
            {"id": "web", "folder": "/www", "include": ["**/*.php"]},
            {"id": "one", "folder": "/www/d0", "include": ["**/*.php"]}],
            indicators=[{"id": "mark", "name": "A mark", "scopes": ["web", "one"],
                         "match": {"regex": {"pattern": "MARK-[0-9a-f]{8}"}}, "confidence": "high",
                         "authorises": "remove"}],
            steps=[{"id": "remove", "action": "quarantine", "indicators": ["mark"]}])))
        said = self.ok(self.scene.run(*self.scene.plan_arguments())).out.decode()
        self.assertIn("/www (scope web of Marks): www, 3 files", said)
        self.assertIn("/www/d0 (scope one of Marks): www/d0, 1 file", said)
        self.assertIn("Together 3 files: one that lies in several of these places is counted in each",
                      " ".join(said.split()))

    def test_check(self):
        document = self.ok(self.scene.json("check", self.scene.playbooks[0])).json()
        self.assertEqual((document["ok"], len(document["files"])), (True, 1))
        bad = self.base_file("bad.json")
        bad.write_text(json.dumps(scene.playbook(revision=0)))
        ended = self.scene.json("check", self.scene.playbooks[0], bad)
        self.ok(ended, 65)
        document = ended.json()
        self.assertFalse(document["ok"])
        [diagnostic] = document["files"][1]["diagnostics"]
        self.assertEqual(set(diagnostic), {"code", "severity", "pointer", "message", "expected"})
        self.assertRegex(diagnostic["code"], r"\APB\d{3}\Z")
        self.assertEqual(diagnostic["pointer"], "/revision")

    def test_check_names_the_playbook_at_fault(self):
        """Whatever the files before it have."""
        def book(name, pattern="MARK", **match):
            path = self.base_file(name)
            one = scene.playbook()
            one["id"] = f"playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b{len(name):02x}"
            one["indicators"][0]["match"] = match or {"regex": {"pattern": pattern}}
            path.write_text(json.dumps(one))
            return path

        good = book("good.json", yara={"rules": 'rule same { strings: $a = "MARK" condition: $a }'})
        same = book("same-rule.json", yara={"rules": 'rule same { strings: $a = "MARK" condition: $a }'})
        regex = book("bad-regex-.json", pattern="MARK(")
        yara = book("bad-yara-source.json", yara={"rules": "rule bad { condition: nonsense }"})
        bad = {str(path) for path in (regex, yara)}
        for order in ([good, regex, yara, same], [yara, regex, good, same]):
            document = self.scene.json("check", *order).json()
            for file in document["files"]:
                self.assertEqual(file["ok"], file["file"] not in bad, file)

    def test_check_of_two_with_one_id(self):
        other = self.base_file("other.json")
        other.write_text(json.dumps(scene.playbook(revision=2)))
        document = self.ok(self.scene.json("check", self.scene.playbooks[0], other)).json()
        self.assertTrue(document["ok"])
        named = {file["file"]: file["diagnostics"][-1] for file in document["files"]}
        self.assertEqual({one["code"] for one in named.values()}, {"PW900"})
        self.assertIn(str(other), named[str(self.scene.playbooks[0])]["message"])
        self.assertIn(str(self.scene.playbooks[0]), named[str(other)]["message"])

    def test_html(self):
        run = self.applied()
        for what in (self.scene.plan_file, run):
            ended = self.ok(self.scene.run("show", what, "--html", "-"))
            self.assertTrue(ended.out.rstrip().endswith(b"</html>"), ended.out[-100:])
            self.assertNotIn(b"<script", ended.out)


class Streams(Case):
    """Data goes to stdout, messages to stderr, and neither to the other."""

    def setUp(self):
        super().setUp()
        self.scene.shells(1)

    def test_plan_from_standard_input(self):
        self.scene.make_plan()
        plan = self.scene.plan_file.read_bytes()
        ended = self.ok(self.scene.json("show", "-", stdin=plan))
        self.assertEqual(ended.out, plan)

    def test_playbook_from_standard_input(self):
        good = self.scene.playbooks[0].read_bytes()
        self.assertTrue(self.ok(self.scene.json("check", "-", stdin=good)).json()["ok"])
        self.ok(self.scene.json("check", "-", stdin=b"{"), 65)
        ended = self.ok(self.scene.json("plan", "-p", "-", "--root", self.scene.root, stdin=good))
        self.assertEqual(len(ended.json()["operations"]), 1)

    def test_apply_reads_the_plan_from_standard_input(self):
        plan = self.scene.make_plan()
        ended = self.scene.json("apply", "-", "--confirm", plan["plan_id"],
                                stdin=self.scene.plan_file.read_bytes())
        self.assertEqual(self.ok(ended).json()["status"], "done")

    def test_text_has_no_message_on_stdout_and_quiet_no_stderr(self):
        loud = self.ok(self.scene.run("plan", "-p", self.scene.playbooks[0], "--root",
                                      self.scene.root, "-o", self.scene.plan_file))
        self.assertIn(b"written to", loud.err)
        self.assertNotIn(b"written to", loud.out)
        quiet = self.ok(self.scene.run("-q", "apply", self.scene.plan_file, "--confirm",
                                       self.scene.plan()["plan_id"]))
        self.assertEqual(quiet.err, b"")
        self.assertIn(b"quarantined", quiet.out)

    def test_messages_of_the_first_use_go_to_stderr(self):
        self.scene.make_plan()
        ended = self.ok(self.scene.apply())
        ended.json()
        self.assertIn(b"recovery.key", ended.err)

    def test_no_escape_sequences_without_a_terminal(self):
        self.scene.shell("www/\x1b[31mred\n.php")
        self.scene.make_plan()
        for ended in (self.scene.run("show", self.scene.plan_file), self.scene.apply(),
                      self.scene.run("list"), self.scene.run("verify")):
            self.ok(ended)
            self.assertNotIn(b"\x1b", ended.out + ended.err)

    def test_errors_in_text_go_to_stderr(self):
        ended = self.ok(self.scene.run("show", "absent"), 1)
        self.assertEqual(ended.out, b"")
        self.assertIn(b"absent", ended.err)
        self.assertIn(b"what to do:", ended.err)

    def test_full_output_is_an_error(self):
        with open("/dev/full", "wb") as full:
            ended = subprocess.run(self.scene.command("plan", "-p", self.scene.playbooks[0],
                                                      "--root", self.scene.root),
                                   stdout=full, stderr=subprocess.PIPE, check=False,
                                   timeout=scene.TIMEOUT, env=self.scene.environment)
        self.assertEqual(ended.returncode, 1)
        self.assertIn(b"standard output", ended.stderr)

    def test_apply_with_a_full_output_is_recorded_all_the_same(self):
        before = self.scene.tree()
        self.scene.make_plan()
        with open("/dev/full", "wb") as full:
            process = self.scene.start(*self.scene.apply_arguments(), stdout=full)
            _, err = process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, 1, err)
        [run] = self.ok(self.scene.json("list")).json()["runs"]
        self.assertEqual(run["state"], "done")
        self.verified()
        self.ok(self.scene.json("rollback", run["run_id"]))
        self.assertEqual(self.scene.tree(), before)


class Errors(Case):
    def test_usage(self):
        for arguments in ([], ["nonsense"], ["plan"], ["--nonsense"], ["apply"],
                          ["apply", "a", "b"], ["plan", "-p", "x", "--threads", "0"],
                          ["plan", "-p", "x", "--threads", "9"],
                          ["plan", "-p", "x", "--threads", "many"], ["rollback"],
                          ["export", "run", "-o", "x", "--as", "tar"], ["list", "--confirm", "x"],
                          ["approve", "plan.json"], ["plan", "-p"]):
            with self.subTest(arguments=arguments):
                self.refused(self.scene.json(*arguments), 64, "usage")
                text = self.ok(self.scene.run(*arguments), 64)
                self.assertEqual(text.out, b"")
                self.assertIn(b"--help", text.err)
        self.ok(self.scene.run("--format", "yaml", "list"), 64)
        self.refused(self.scene.execute([scene.REMEDIATE, "--format=json", "nonsense"]), 64,
                     "usage")

    def test_an_unknown_command_is_named(self):
        self.assertIn(b"there is no command frobnicate", self.scene.run("-q", "frobnicate", "x").err)

    def test_errors_of_the_system_say_what_to_do(self):
        book = self.scene.playbooks[0]
        for code, arguments in (("not_found", ("apply", "missing.json")),
                                ("not_found", ("plan", "--root", "/missing", "-p", book)),
                                ("refused", ("plan", "--root", book, "-p", book)),
                                ("refused", ("check", self.scene.root)),
                                ("not_found", ("plan", "--root", self.scene.root, "-p", book,
                                               "-o", "/missing/plan.json"))):
            with self.subTest(arguments=arguments):
                error = self.scene.json(*arguments).json()["error"]
                self.assertEqual(error["code"], code)
                self.assertNotEqual(error["remedy"], "")

    def test_what_to_do_can_be_typed_as_it_stands(self):
        """The commands that a text quotes name the store and the policy of this call."""
        self.scene.write_policy()
        self.scene.shell()
        run = self.applied()
        ended = self.ok(self.scene.run("rollback", "run-none"), 1)
        places = f"--store {self.scene.store} --policy {self.scene.policy}"
        self.assertIn(f"`remediate {places} list`", ended.err.decode())
        odd = self.scene.base / "it's a store"
        os.rename(self.scene.store, odd)
        said = self.scene.execute([scene.REMEDIATE, "--store", odd, "show", "run-none"])
        [quoted] = re.findall("`remediate (.*) list`", said.err.decode())
        listed = subprocess.run(f"'{scene.REMEDIATE}' {quoted} list", shell=True, check=True,
                                capture_output=True, timeout=scene.TIMEOUT)
        self.assertIn(run, listed.stdout.decode())
        shown = self.ok(self.scene.run("show", self.scene.plan_file)).out.decode()
        for command in ("approve", "apply", "rollback", "finalize"):
            self.assertIn(f"\n      remediate {places} {command} ", shown)

    def test_an_absent_thing_is_named(self):
        self.refused(self.scene.json("list"), 1, "not_found", str(self.scene.store))
        for arguments in (["verify"], ["resume"], ["rollback", "run-1"], ["finalize", "run-1"],
                          ["export", "run-1", "-o", "x", "--as", "ocsf"]):
            with self.subTest(arguments=arguments):
                self.refused(self.scene.json(*arguments), 1, "not_found", str(self.scene.store))
        self.assertFalse(self.scene.store.exists())
        self.ok(self.scene.json("init"))
        for arguments in (["verify", "run-1"], ["resume", "run-1"], ["rollback", "run-1"],
                          ["finalize", "run-1"], ["show", "run-1"],
                          ["export", "run-1", "-o", "x", "--as", "ocsf"]):
            with self.subTest(arguments=arguments):
                self.refused(self.scene.json(*arguments), 1, "not_found", "run-1")
        self.refused(self.scene.json("apply", "absent.json", "--confirm", "x"), 1, "not_found",
                     "absent.json")
        self.refused(self.scene.json("check", "absent.json"), 1, "not_found", "absent.json")
        self.refused(self.scene.json("plan", "-p", "absent.json", "--root", self.scene.root), 1,
                     "not_found", "absent.json")
        self.refused(self.scene.json("plan", "-p", self.scene.playbooks[0], "--root", "/absent"),
                     1, "not_found", "/absent")

    def test_bad_input(self):
        bad = self.scene.base / "bad.json"
        for content in (b"", b"{", b"[]", b"{}", b"null", b'{"format_version":1}', b"\xff\xfe",
                        b'{"format_version":1,"format_version":1}', b"[" * 100_000):
            with self.subTest(content=content[:40]):
                bad.write_bytes(content)
                self.refused(self.scene.json("plan", "-p", bad, "--root", self.scene.root), 65,
                             "bad_input", "bad.json")
                self.refused(self.scene.json("apply", bad, "--confirm", "x"), 65, "bad_input",
                             "bad.json")
                self.refused(self.scene.json("show", bad), 65, "bad_input", "bad.json")

    def test_only_names_that_the_run_knows(self):
        self.scene.shell()
        run = self.applied()
        before = self.scene.manifest()
        for word in ("op-0002", "op-1", "nonsense", ""):
            with self.subTest(word=word):
                ended = self.scene.json("rollback", run, f"--only={word}")
                self.assertIn(ended.code, (1, 64), str(ended))
                self.assertIn("error", ended.json())
        self.assertEqual(self.scene.manifest(), before)

    def test_a_run_can_be_named_by_its_beginning_unless_that_is_ambiguous(self):
        self.scene.shell()
        run = self.applied()
        self.assertEqual(self.ok(self.scene.json("show", run[:8])).json()["run_id"], run)
        self.scene.shell("www/b.php")
        self.applied()
        self.refused(self.scene.json("show", "run-"), 1, "ambiguous", "run-")

    def test_names_never_leave_the_store(self):
        self.ok(self.scene.json("init"))
        for name in ("../keys", "..", "/etc", "run/../../x", "a\nb"):
            with self.subTest(name=name):
                self.refused(self.scene.json("verify", name), 1, "not_found")

    def test_a_key_of_somebody_else(self):
        self.scene.shell()
        self.scene.make_plan()
        self.scene.identity("alice")
        self.scene.identity("bob")
        ended = self.scene.json("approve", self.scene.plan_file, "--cert",
                                self.scene.base / "alice.crt", "--key",
                                self.scene.base / "bob.key")
        self.refused(ended, 64, "usage", "bob.key", "alice.crt")
        self.assertFalse((self.scene.base / "plan.json.p7s").exists())

    def test_an_ed25519_key_is_refused_early(self):
        self.scene.shell()
        self.scene.make_plan()
        self.scene.identity("eve", kind=("ed25519",))
        ended = self.scene.approve("eve")
        self.assertIn(ended.code, (65, 78), str(ended))
        self.assertIn("Ed25519", ended.json()["error"]["message"])

    def test_permission(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user")
        self.scene.base.chmod(0o711)
        self.ok(self.scene.json("init"))
        words = ["setpriv", f"--reuid={scene.NOBODY}", f"--regid={scene.NOBODY}", "--clear-groups",
                 *self.scene.command("--format", "json", "list")]
        self.refused(self.scene.execute(words), 77, "permission")

    def test_store_that_others_can_reach(self):
        self.ok(self.scene.json("init"))
        self.scene.store.chmod(0o755)
        self.refused(self.scene.json("list"), 78, "configuration", str(self.scene.store))

    def test_folder_that_is_no_store(self):
        self.scene.shell()
        self.scene.store.mkdir(mode=0o700)
        (self.scene.store / "diary").write_text("mine")
        self.scene.make_plan()
        before = self.scene.manifest()
        self.refused(self.scene.apply(), 1, "refused", str(self.scene.store))
        self.assertEqual(self.scene.manifest(), before)
        self.assertEqual(os.listdir(self.scene.store), ["diary"])


class Outcome(Case):
    def test_exit_codes_of_a_partial_apply_and_rollback(self):
        first, second = self.scene.shells(2)
        self.scene.make_plan()
        first.unlink()
        document = self.ok(self.scene.apply(), 3).json()
        self.assertEqual(document["status"], "partial")
        self.assertEqual(self.outcome(document), "vanished")
        self.assertTrue(self.reason(document))
        self.assertEqual(self.outcome(document, "op-0002"), "quarantined")
        second.write_bytes(b"somebody else's")
        document = self.ok(self.scene.json("rollback", document["run_id"]), 6).json()
        self.assertEqual(document["status"], "failed")
        self.assertEqual(set(operations(document)), {"op-0002"})

    def test_instructions_are_told(self):
        self.scene.shell()
        self.scene.playbooks[0].write_text(json.dumps(scene.playbook(steps=[
            {"id": "remove", "action": "quarantine", "indicators": ["mark"]},
            {"id": "patch", "action": "instruct", "text": "Close the upload form."}])))
        self.scene.make_plan()
        document = self.ok(self.scene.apply()).json()
        self.assertEqual(self.outcome(document, "op-0002"), "to_do")
        self.assertIn("Close the upload form.", self.reason(document, "op-0002"))
        self.assertTrue(re.match(r"\d+:[0-9a-f]{64}\Z", document["head"]))


if __name__ == "__main__":
    scene.main()
