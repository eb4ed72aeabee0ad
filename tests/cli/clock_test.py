"""Clocks that jump by years, backwards and forwards, between and during the steps of a run."""
import shutil
import subprocess
import time
import unittest

import scene
from scene import Case, wait_for

LIBRARY = "/usr/lib/{machine}-linux-gnu/faketime/libfaketimeMT.so.1"
DAY = 86_400
YEAR = 365 * DAY


def why_not():
    if not shutil.which("faketime"):
        return "faketime is not installed"
    return None


@unittest.skipIf(why_not(), why_not())
class Clock(Case):
    def setUp(self):
        super().setUp()
        self.scene.shells(3)
        self.before = self.scene.tree()

    def at(self, seconds):
        """From now on the command sees the clock that much off."""
        self.scene.prefix = ["faketime", "-f", f"{seconds:+d}s"] if seconds else []

    def untouched(self):
        self.assertEqual(self.scene.tree(), self.before)
        self.assertEqual(self.ok(self.scene.json("list")).json()["runs"], [])

    def test_the_clock_is_really_another_one(self):
        self.at(10 * YEAR)
        created = self.scene.make_plan()["created"]
        self.assertEqual(int(created[:4]), time.gmtime(time.time() + 10 * YEAR).tm_year)

    def test_an_expired_plan_is_refused(self):
        self.ok(self.scene.json("init"))
        self.scene.make_plan()
        for late in (4 * DAY, 2 * YEAR, 30 * YEAR):
            with self.subTest(late=late):
                self.at(late)
                said = self.refused(self.scene.apply(), 4, "stale_plan", "expired")
                self.assertIn(self.scene.plan()["plan_id"], said)
        self.at(0)
        self.untouched()
        self.ok(self.scene.apply())

    def test_a_plan_from_the_future_is_refused(self):
        self.ok(self.scene.json("init"))
        for ahead in (3600, 3 * YEAR, 60 * YEAR):
            with self.subTest(ahead=ahead):
                self.at(ahead)
                self.scene.make_plan()
                self.at(0)
                self.refused(self.scene.apply(), 4, "stale_plan", "clock")
                self.untouched()

    def test_a_small_difference_is_tolerated(self):
        self.at(100)
        self.scene.make_plan()
        self.at(0)
        self.ok(self.scene.apply())

    def test_every_step_at_another_time(self):
        """The lifetime of a plan is judged; nothing else cares, and the evidence stays good."""
        jumps = (-20 * YEAR, -3 * YEAR, -DAY, DAY, 3 * YEAR)
        for index, jump in enumerate(jumps):
            with self.subTest(jump=jump):
                one = self.scene = self.new_scene()
                one.shells(3)
                before = one.tree()
                run = self.applied()
                self.at(jump)
                self.verified(run)
                self.ok(one.json("list"))
                arguments = ["op-0002"] if index % 2 else []
                self.ok(one.json("rollback", run, *(["--only", *arguments] if arguments else [])))
                self.verified(run)
                self.at(-jump)
                self.verified(run)
                ended = one.json("rollback", run)
                self.ok(ended)
                self.at(0)
                self.verified(run)
                self.assertEqual(one.tree(), before)

    def test_finalize_and_restore_from_sealed_at_other_times(self):
        run = self.applied()
        self.at(-5 * YEAR)
        self.ok(self.scene.json("finalize", run))
        self.verified(run)
        self.at(5 * YEAR)
        self.ok(self.scene.json("rollback", run, "--recovery-key",
                                self.scene.store / "keys" / "recovery.key"))
        self.verified(run)
        self.at(0)
        self.verified(run)
        self.assertEqual(self.scene.tree(), self.before)

    def test_a_store_made_in_another_year(self):
        """Its certificates begin in the future or ended long ago: told or done, nothing halved."""
        for jump in (-40 * YEAR, -15 * YEAR, 2 * YEAR, 8 * YEAR):
            with self.subTest(jump=jump):
                one = self.scene = self.new_scene()
                one.shells(3)
                before = one.tree()
                self.at(jump)
                self.ok(one.json("init"))
                self.at(0)
                one.make_plan()
                ended = one.apply()
                if ended.code == 0:
                    run = ended.json()["run_id"]
                    self.verified(run)
                    self.ok(one.json("rollback", run))
                else:
                    self.assertTrue(ended.json()["error"]["message"], str(ended))
                self.assertEqual(one.tree(), before)

    def test_a_jump_during_a_run(self):
        """The journal's times go backwards by years, and forwards; it verifies all the same."""
        machine = subprocess.run(["uname", "-m"], check=True, capture_output=True, text=True,
                                 timeout=scene.TIMEOUT).stdout.strip()
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        for jump in (-10 * YEAR, 10 * YEAR):
            with self.subTest(jump=jump):
                one = self.scene = self.new_scene()
                one.shells(3)
                before = one.tree()
                self.ok(one.json("init"))
                one.make_plan()
                clock = one.base / "clock"
                clock.write_text("+0\n")
                run = f"run-{one.plan()['plan_id'][:12]}"
                one.prefix = [*scene.delayed("syncfs", 0.4), "env",
                              f"LD_PRELOAD={LIBRARY.format(machine=machine)}",
                              f"FAKETIME_TIMESTAMP_FILE={clock}", "FAKETIME_NO_CACHE=1"]
                process = one.start(*one.apply_arguments())
                one.prefix = []
                self.addCleanup(scene.end_process, process)
                journal = one.journal(run)
                wait_for(lambda journal=journal: journal.exists()
                         and b'"intent"' in journal.read_bytes(), "an intent")
                clock.write_text(f"{jump:+d}\n")
                out, err = process.communicate(timeout=scene.TIMEOUT)
                self.assertEqual(process.returncode, 0, out + err)
                years = {line.split(b'"time":"')[1][:4] for line in
                         journal.read_bytes().rstrip(b"\0").splitlines() if b'"time":"' in line}
                self.assertGreater(len(years), 1, "the clock did not jump")
                self.verified(run)
                self.ok(one.json("rollback", run))
                self.verified(run)
                self.assertEqual(one.tree(), before)


if __name__ == "__main__":
    scene.main()
