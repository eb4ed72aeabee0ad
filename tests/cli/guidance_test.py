"""What the command says to somebody who does not know it yet: what a thing is, and what to do."""
import json
import os

import scene
from scene import Case


class NothingToRollBack(Case):
    def test_an_instruction_is_said_to_be_one(self):
        self.scene.playbooks[0].write_text(json.dumps(scene.playbook(steps=[
            {"id": "remove", "action": "quarantine", "indicators": ["mark"]},
            {"id": "tell", "action": "instruct", "text": "Change the passwords.",
             "indicators": ["mark"]}])))
        self.scene.shells(2)
        plan = self.scene.make_plan()
        [instruction] = [o["id"] for o in plan["operations"] if o["action"] == "instruct"]
        removed = [o["id"] for o in plan["operations"] if o["action"] == "quarantine"]
        run = self.ok(self.scene.apply()).json()["run_id"]
        for more in ([], ["--dry-run"]):
            document = self.ok(self.scene.json("rollback", run, "--only", instruction, *more)).json()
            self.assertEqual((document["status"], document["operations"]), ("nothing_to_do", []))
            self.assertIn(f"{instruction} is an instruction for a person", str(document["notices"]))
            self.assertIn("nothing of what --only names", str(document["notices"]))
        self.ok(self.scene.json("rollback", run, "--only", removed[0]))
        document = self.ok(self.scene.json("rollback", run, "--only", removed[0])).json()
        self.assertIn(f"{removed[0]} is back already", str(document["notices"]))
        document = self.ok(self.scene.json("rollback", run, "--only", removed[0], "--only",
                                           removed[1])).json()
        self.assertEqual([o["id"] for o in document["operations"]], [removed[1]])
        self.assertIn(f"{removed[0]} is back already", str(document["notices"]))


class Approvers(Case):
    def setUp(self):
        super().setUp()
        self.scene.shells(1)
        for name in ("alice", "bob"):
            self.scene.identity(name)

    def test_a_signature_that_does_not_count_is_told(self):
        self.scene.write_policy(approval={"approvers": ["alice.crt"], "threshold": 1})
        self.scene.make_plan()
        ended = self.ok(self.scene.approve("alice"))
        self.assertNotIn("warning", ended.json())
        ended = self.ok(self.scene.approve("bob"))
        for said in (ended.json()["warning"], ended.err.decode()):
            self.assertIn("does not count: CN=bob is no approver", said)
            self.assertIn(str(self.scene.policy), said)
            self.assertIn("asks for 1 of its approvers: CN=alice", said)

    def test_where_nobody_is_asked_for_nothing_is_told(self):
        self.scene.make_plan()
        ended = self.ok(self.scene.approve("bob"))
        self.assertNotIn("warning", ended.json())
        self.assertNotIn(b"count", ended.err)


class LargeFiles(Case):
    def test_the_issue_names_the_size_the_limit_and_the_key(self):
        for size in ((16 << 20) + 1, 300 << 20):
            os.truncate(self.scene.write("www/large.php", b""), size)
            [issue] = [one for one in self.scene.make_plan()["issues"]
                       if one["kind"] == "too_large"]
            for word in (f"it has {size} bytes", f"{16 << 20} that are read",
                         "the playbook's max_file_size", str(256 << 20)):
                self.assertIn(word, issue["reason"])


class Working(Case):
    def test_verify_beside_a_working_instance_tells_of_it(self):
        self.scene.shells(3)
        self.scene.make_plan()
        self.ok(self.scene.json("init"))
        self.scene.prefix = scene.delayed("renameat2,linkat,fdatasync,fsync", 0.2)
        process = self.scene.start(*self.scene.apply_arguments())
        self.addCleanup(scene.end_process, process)
        self.scene.prefix = []
        scene.wait_for(lambda: list((self.scene.store / "runs").glob("run-*")), "a run")
        document = self.scene.json("verify").json()
        said = str(document["findings"])
        self.assertIsNone(process.poll())
        self.assertIn("another instance works on it now", said)
        self.assertNotIn("remediate resume", said)
        process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, 0)
        self.assertNotIn("another instance", str(self.verified()["findings"]))


class TooLargeToSeal(Case):
    def test_the_plan_and_finalize_say_the_same(self):
        self.scene.write_policy(vault={"max_sealed_bytes": 1 << 16})
        shell = self.scene.shell()
        shell.write_bytes(scene.shell_text("a") + b" " * (1 << 16))
        [operation] = self.scene.make_plan()["operations"]
        self.assertIn("too large to be sealed", operation["after"])
        self.assertNotIn("sealed object", operation["inverse"])
        run = self.ok(self.scene.apply()).json()["run_id"]
        document = self.ok(self.scene.json("finalize", run), 3).json()
        self.assertEqual((document["status"], self.outcome(document)), ("partial", "kept"))
        self.ok(self.scene.json("rollback", run))
        self.assertTrue(shell.exists())


class Exports(Case):
    def test_a_run_is_no_playbook(self):
        self.scene.shells(1)
        run = self.applied()
        said = self.refused(self.scene.json("export", run, "--as", "cacao", "-o", "-"), 64, "usage",
                            run)
        self.assertIn("a form of playbooks, not of runs", said)


class Stores(Case):
    def test_an_apply_that_makes_a_store_says_that_there_was_none(self):
        self.scene.shells(1)
        self.scene.make_plan()
        ended = self.ok(self.scene.apply())
        self.assertIn(f"there was no store at {self.scene.store}", ended.err.decode())
        self.assertIn("needs the same --store", ended.err.decode())


if __name__ == "__main__":
    scene.main()
