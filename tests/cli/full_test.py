"""Really full file systems: no bytes or no inodes left, or only a few, below the store or below the
target, while a run is applied, rolled back or finalized. Whatever the command then says is true,
and with room again everything is done or taken back.
"""
import json
import os
import shutil

import scene
from scene import Case, mount, unmount

NO_MOUNTS = "not tried"
# How much is left: the run gets a bit further each time.
LEFT = (0, 1, 2, 3, 5, 8, 13, 21)
COUNTS = {"tries": 0, "refused or partial": 0, "done": 0}


def setUpModule():
    global NO_MOUNTS
    NO_MOUNTS = scene.private_mounts()


def tearDownModule():
    print("full file systems:", ", ".join(f"{what}: {n}" for what, n in COUNTS.items()))


class Full(Case):
    def setUp(self):
        super().setUp()
        if NO_MOUNTS:
            self.skipTest(NO_MOUNTS)

    def fresh(self):
        """Store and target on file systems of their own; the store has what sealing asks for."""
        self.scene = self.new_scene()
        for place, mode, size in ((self.scene.store, 0o700, "80m"), (self.scene.root, 0o755, "2m")):
            place.mkdir(exist_ok=True)
            mount("-t", "tmpfs", "-o", f"size={size},nr_inodes=256", "none", place)
            self.addCleanup(unmount, place)
            os.chmod(place, mode)
        self.shells = self.scene.shells(3)
        self.scene.shell("www/large.php", scene.shell_text("large") + b"x" * 50_000)
        self.ok(self.scene.json("init"))
        self.scene.make_plan()
        self.before = self.scene.tree()

    def fill(self, place, what, left):
        folder = (self.scene.store / "keys" if place == "store" else self.scene.root) / "fillers"
        folder.mkdir()
        free = os.statvfs(folder)
        if what == "bytes":
            with open(folder / "filler", "wb") as filler:
                os.posix_fallocate(filler.fileno(), 0, (free.f_bfree - left) * free.f_frsize)
            self.assertEqual(os.statvfs(folder).f_bfree, left)
        else:
            for number in range(free.f_ffree - left):
                (folder / str(number)).touch()
            self.assertEqual(os.statvfs(folder).f_ffree, left)
        self.fillers = folder

    def empty(self):
        shutil.rmtree(self.fillers)

    def holds(self):
        return list(self.scene.root.glob(".remediate-hold-*"))

    def nothing_lost(self):
        """Each shell is at its place, held, or sealed: one of them for every operation."""
        held = [path.read_bytes() for hold in self.holds() for path in hold.rglob("op-*")]
        sealed = len(self.scene.objects())
        for path in [*self.shells, self.scene.root / "www/large.php"]:
            there = path.exists() and path.read_bytes().startswith(
                scene.shell_text(str(path.relative_to(self.scene.root)))[:12])
            self.assertTrue(there or sealed == 4 or any(
                b"large" in data if path.name == "large.php" else
                str(path.relative_to(self.scene.root)).encode() in data for data in held), path)

    def judge(self, ended, allowed):
        """A success is complete; all else names the space."""
        COUNTS["tries"] += 1
        self.assertIn(ended.code, (0, *allowed), str(ended))
        COUNTS["done" if ended.code == 0 else "refused or partial"] += 1
        if ended.code == 0:
            return
        document = ended.json()
        said = str(document).lower()
        self.assertTrue("space" in said or "no_space" in said, str(ended))

    def undone(self, recovery=()):
        """A rollback, after a resume where it asks for one, leaves the tree as it was."""
        runs = self.ok(self.scene.json("list")).json()["runs"]
        if runs:
            run = runs[0]["run_id"]
            ended = self.scene.json("rollback", run, *recovery)
            if ended.code != 0 and b"remediate resume" in ended.out:
                self.assertIn(self.scene.json("resume", run).code, (0, 3, 6))
                ended = self.scene.json("rollback", run, *recovery)
            self.ok(ended)
        self.ok(self.scene.json("verify"))
        for hold in self.holds():
            self.assertEqual(list(hold.rglob("op-*")), [])
            shutil.rmtree(hold)
        self.assertEqual(self.scene.tree(), self.before)

    def each(self, body):
        """`body` on a full file system, each time on fresh ones."""
        for place in ("store", "target"):
            for what in ("bytes", "inodes"):
                for left in LEFT:
                    with self.subTest(place=place, what=what, left=left):
                        self.fresh()
                        body((place, what, left))
                    unmount(self.scene.store)
                    unmount(self.scene.root)
                    self.remove(self.scene.base)

    def test_apply(self):
        def body(case):
            self.fill(*case)
            ended = self.scene.apply()
            self.nothing_lost()
            self.judge(ended, (1, 3))
            if ended.code == 0:
                self.assertFalse(any(path.exists() for path in self.shells), str(ended))
            self.empty()
            self.undone()
        self.each(body)

    def test_apply_and_resume_with_room(self):
        def body(case):
            self.fill(*case)
            self.scene.apply()
            self.empty()
            runs = self.ok(self.scene.json("list")).json()["runs"]
            if runs:
                self.assertIn(self.scene.json("resume", runs[0]["run_id"]).code, (0, 3))
                self.nothing_lost()
            else:  # it never began: the same plan is applied now
                self.ok(self.scene.apply())
            self.undone()
        self.each(body)

    def test_rollback(self):
        def body(case):
            run = self.ok(self.scene.apply()).json()["run_id"]
            self.fill(*case)
            ended = self.scene.json("rollback", run)
            self.nothing_lost()
            self.judge(ended, (1, 6))
            if ended.code == 0:
                self.assertTrue(all(path.exists() for path in self.shells), str(ended))
            self.empty()
            self.undone()
        self.each(body)

    def test_finalize(self):
        def body(case):
            run = self.ok(self.scene.apply()).json()["run_id"]
            self.fill(*case)
            ended = self.scene.json("finalize", run)
            self.nothing_lost()
            self.judge(ended, (1, 3))
            self.empty()
            # An error in the middle is finished first.
            self.assertIn(self.scene.json("resume", run).code, (0, 3))
            self.ok(self.scene.json("finalize", run))
            self.assertEqual(len(self.scene.objects()), 4)
            self.assertEqual([path for hold in self.holds() for path in hold.rglob("op-*")], [])
            self.undone(("--recovery-key", self.scene.store / "keys/recovery.key"))
        self.each(body)

    def test_rollback_from_sealed_copies(self):
        def body(case):
            run = self.ok(self.scene.apply()).json()["run_id"]
            self.ok(self.scene.json("finalize", run))
            self.fill(*case)
            recovery = ("--recovery-key", self.scene.store / "keys/recovery.key")
            ended = self.scene.json("rollback", run, *recovery)
            self.nothing_lost()
            self.judge(ended, (1, 6))
            self.empty()
            self.undone(recovery)
        self.each(body)


class LittleSpace(Case):
    """The store has room to work, and not what sealing asks for."""

    def setUp(self):
        super().setUp()
        if NO_MOUNTS:
            self.skipTest(NO_MOUNTS)
        self.scene.store.mkdir()
        mount("-t", "tmpfs", "-o", "size=32m", "none", self.scene.store)
        self.addCleanup(unmount, self.scene.store)
        self.scene.store.chmod(0o700)
        self.scene.shells(4)
        self.ok(self.scene.json("init"))
        self.scene.make_plan()

    def held_and_unsealed(self, run):
        return [one for one in self.verified(run)["findings"]
                if "held and unsealed" in one["what"] and one["level"] == "notice"]

    def test_originals_that_are_held_only(self):
        ended = self.ok(self.scene.apply(), 3).json()
        self.assertEqual(ended["status"], "partial")
        self.assertEqual(self.outcome(ended), "held")
        for said in (self.reason(ended), *[one for one in ended["notices"] if "too little" in one]):
            self.assertRegex(said, r"room for \d+ bytes and \d+ files, needed are \d+ bytes "
                                   r"\(67108864 of them stay free for the server\) and \d+ files")
        self.assertIn("too little", str(ended["notices"]))
        run = ended["run_id"]
        [notice] = self.held_and_unsealed(run)
        self.assertRegex(notice["what"], "^4 original")

        ended = self.ok(self.scene.json("rollback", run, "--only", "op-0002")).json()
        self.assertIn("3 other original(s)", str(ended["notices"]))
        for _ in range(2):
            ended = self.ok(self.scene.json("resume", run), 3).json()
            self.assertEqual(ended["status"], "partial")
            self.assertEqual(self.outcome(ended), "held")
            [notice] = self.held_and_unsealed(run)
            self.assertRegex(notice["what"], "^3 original")

        mount("-o", "remount,size=128m", self.scene.store)
        self.ok(self.scene.json("resume", run))
        self.assertEqual(len(self.scene.objects()), 3)
        self.assertEqual(self.held_and_unsealed(run), [])


class Outbox(Case):
    """What cannot go back to its place is copied out, whatever disk is gone."""

    def setUp(self):
        super().setUp()
        if NO_MOUNTS:
            self.skipTest(NO_MOUNTS)
        self.inner = self.scene.root / "data"
        self.inner.mkdir()
        self.scene.playbooks[0].write_text(json.dumps(scene.playbook(
            scopes=[{"id": "web", "folder": ["/www", "/data"], "include": ["**/*.php"]}])))
        mount("-t", "tmpfs", "-o", "size=8m", "none", self.inner)
        self.addCleanup(unmount, self.inner)
        self.inner.chmod(0o755)
        self.scene.shell("www/here.php")
        self.lost = self.scene.shell("data/there.php").read_bytes()
        self.run_id = self.applied()
        [self.operation] = [one["id"] for one in self.scene.plan()["operations"]
                            if one["path"]["display"] == "data/there.php"]
        self.outbox = self.scene.base / "outbox"

    def rollback(self, *options):
        return self.ok(self.scene.json("rollback", self.run_id, *options), 6).json()

    def test_the_disk_of_the_file_is_gone(self):
        unmount(self.inner)
        document = self.rollback()
        self.assertEqual(self.outcome(document, self.operation), "failed")
        self.assertIn("is not there", self.reason(document, self.operation))
        self.assertTrue((self.scene.root / "www/here.php").exists())
        document = self.rollback("--outbox", self.outbox)
        self.assertEqual(self.outcome(document, self.operation), "in_outbox")
        [copy] = self.outbox.iterdir()
        self.assertEqual(copy.read_bytes(), self.lost)
        self.assertEqual(list(self.inner.iterdir()), [])

    def test_the_outbox_is_full(self):
        unmount(self.inner)
        self.outbox.mkdir()
        mount("-t", "tmpfs", "-o", "size=64k", "none", self.outbox)
        self.addCleanup(unmount, self.outbox)
        free = os.statvfs(self.outbox)
        with open(self.outbox / "filler", "wb") as filler:
            os.posix_fallocate(filler.fileno(), 0, free.f_bfree * free.f_frsize)
        document = self.rollback("--outbox", self.outbox)
        self.assertEqual(self.outcome(document, self.operation), "conflict")
        self.assertIn("no copy in the outbox", self.reason(document, self.operation))
        self.assertEqual([one.name for one in self.outbox.iterdir()], ["filler"])
        (self.outbox / "filler").unlink()
        document = self.rollback("--outbox", self.outbox)
        self.assertEqual(self.outcome(document, self.operation), "in_outbox")
        [copy] = self.outbox.iterdir()
        self.assertEqual(copy.read_bytes(), self.lost)


if __name__ == "__main__":
    scene.main()
