"""What `resume` asks again before it goes on: the policy, its limits and roots, and every guard."""
import json
import shutil

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

    def not_continued(self, *reasons):
        self.refused(self.scene.json("resume"), 5, "approval", "may not be continued", *reasons)
        self.assertEqual(self.scene.tree(), self.before)
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)

    def test_nothing_changed(self):
        self.assertEqual(self.ok(self.scene.json("resume")).json()["status"], "done")
        self.assertEqual(list(self.scene.root.rglob("*.php")), [])

    def test_a_target_that_is_protected_since(self):
        self.policy(protected=["www/d0/**"])
        document = self.ok(self.scene.json("resume"), 3).json()
        self.assertEqual(self.outcome(document, "op-0001"), "refused")
        self.assertIn("www/d0/**", self.reason(document, "op-0001"))
        self.assertEqual(self.outcome(document, "op-0002"), "quarantined")
        self.assertTrue((self.scene.root / "www/d0/s0.php").exists())
        self.verified(self.run_id)
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)

    def test_a_limit_that_is_lower_since(self):
        self.policy(limits={"max_files": 1})
        self.not_continued("limit reached", "allows 1")

    def test_a_root_that_is_not_allowed_any_more(self):
        other = self.scene.base / "other"
        other.mkdir()
        self.policy(allowed_roots=[str(other)])
        self.refused(self.scene.json("resume"), 1, "refused",
                     "does not allow the root")
        self.assertEqual(self.scene.tree(), self.before)
        self.policy(allowed_roots=[str(self.scene.root)])
        self.ok(self.scene.json("resume"))


if __name__ == "__main__":
    scene.main()
