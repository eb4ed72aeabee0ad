"""What `resume` asks again before it goes on: the policy of the plan, and every guard."""
import json
import shutil

import guard_test
import scene
from scene import Case

STOPS = 40  # renames before the first capture; a bound


class Resume(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        self.scene.shells(2)
        self.scene.write_policy()
        self.before = self.scene.tree()
        self.ok(self.scene.json("init"))
        self.intended()

    def records(self, run):
        journal = self.scene.journal(run)
        return [json.loads(line)["type"] for line in journal.read_bytes().split(b"\n")
                if line.startswith(b"{")] if journal.exists() else []

    def intended(self):
        """Killed right before the first capture: the intent is durable, the file at its place."""
        for stop in range(1, STOPS):
            self.scene.make_plan()
            self.run_id = f"run-{self.scene.plan()['plan_id'][:12]}"
            self.scene.prefix = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2",
                                 "-e", f"inject=renameat2:signal=KILL:when={stop}"]
            self.assertNotEqual(self.scene.apply().code, 0)
            self.scene.prefix = []
            if "intent" in self.records(self.run_id):
                break
        self.assertNotIn("captured", self.records(self.run_id))
        self.assertEqual(self.scene.tree(), self.before)

    def policy(self, **sections):
        """In place: a new file would be another policy to nobody."""
        self.scene.write_policy(**sections)

    def test_another_policy(self):
        """It may have other stages, recovery certificates and signers than were approved."""
        for sections in ({"limits": {"max_files": 1}}, {"protected": ["www/d0/**"]},
                         {"allowed_roots": [str(self.scene.base)]}):
            self.policy(**sections)
            self.refused(self.scene.json("resume"), 5, "approval", "another policy")
        self.scene.policy = None
        self.refused(self.scene.json("resume"), 5, "approval", "another policy",
                     "--policy is missing", str(self.scene.base / "policy.json"))
        self.policy()
        self.assertEqual(self.ok(self.scene.json("resume")).json()["status"], "done")

    def test_finalize_does_not_end_a_run_that_is_not_finished(self):
        self.refused(self.scene.json("finalize", self.run_id), 1, "refused", "not begun")
        self.assertEqual(self.ok(self.scene.json("resume")).json()["status"], "done")
        self.ok(self.scene.json("finalize", self.run_id))

    def test_nothing_changed(self):
        self.assertEqual(self.ok(self.scene.json("resume")).json()["status"], "done")
        self.assertEqual(list(self.scene.root.rglob("*.php")), [])

    def test_a_target_that_belongs_to_a_package_since(self):
        """What is intended and not done is asked the guards again."""
        guard_test.Dpkg(self.scene.root).package("app", {"/www/d0/s0.php": b"x"})
        document = self.ok(self.scene.json("resume"), 3).json()
        self.assertEqual(self.outcome(document, "op-0001"), "refused")
        self.assertIn("package app", self.reason(document, "op-0001"))
        self.assertEqual(self.outcome(document, "op-0002"), "quarantined")
        self.assertTrue((self.scene.root / "www/d0/s0.php").exists())
        self.verified(self.run_id)
        document = self.ok(self.scene.json("rollback", self.run_id)).json()
        self.assertTrue((self.scene.root / "www/d1/s1.php").exists())


class KilledRollback(Case):
    FLUSHES = 30  # of a rollback of two operations; a bound

    def rollback_meets_a_conflict(self):
        self.scene = self.new_scene()
        self.scene.shells(2)
        run = self.applied()
        (self.scene.root / "www/d0/s0.php").write_bytes(b"the operator's own")
        return run

    def outcomes(self, ended):
        document = ended.json()
        return ended.code, document["status"], [(operation["id"], operation["outcome"])
                                                for operation in document["operations"]]

    def test_the_conflict_is_told_however_late_it_was_killed(self):
        """Also between the last entry, the end of the journal and its signed head."""
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        run = self.rollback_meets_a_conflict()
        wanted = self.outcomes(self.ok(self.scene.json("rollback", run), 6))
        self.assertIn(("op-0001", "conflict"), wanted[2])
        self.assertEqual(self.outcomes(self.scene.json("resume", run)), wanted)
        kills, closed = 0, 0
        for flush in range(2, self.FLUSHES):
            run = self.rollback_meets_a_conflict()
            self.scene.prefix = ["strace", "-f", "-qq", "-o", "/dev/null", "-e",
                                 "trace=fdatasync,fsync", "-e",
                                 f"inject=fdatasync,fsync:signal=KILL:when={flush}"]
            ended = self.scene.json("rollback", run)
            self.scene.prefix = []
            if ended.code == 6:
                break
            records = [json.loads(line) for line in self.scene.journal(run).read_bytes().split(b"\n")
                       if line.startswith(b"{")]
            if not any(record["type"] == "restore_intent" for record in records):
                continue
            with self.subTest(flush=flush):
                self.assertEqual(self.outcomes(self.scene.json("resume", run)), wanted)
                self.verified(run)
                length = len([1 for line in self.scene.journal(run).read_bytes().split(b"\n")
                              if line.startswith(b"{")])
                self.assertEqual(json.loads(self.scene.head(run).read_bytes())["length"], length)
            kills += 1
            closed += records[-1]["type"] == "closed"
        self.assertEqual(ended.code, 6, f"still killed at flush {flush}")
        print(f"kills of a rollback with a conflict: {kills}, {closed} behind its end")
        self.assertGreater(closed, 0)
        self.assertGreater(kills, closed)


if __name__ == "__main__":
    scene.main()
