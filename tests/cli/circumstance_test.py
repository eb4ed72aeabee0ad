"""What can go wrong while a plan is applied: each operation says what became of it, nothing is
lost, and the rest is done.
"""
import json
import os
import shutil

import scene
from scene import Case, delayed, mount, unmount, wait_for

NO_MOUNTS = "not tried"


def setUpModule():
    global NO_MOUNTS
    NO_MOUNTS = scene.private_mounts()


class Interference(Case):
    """Somebody changes the tree while the command works; strace slows the command down."""

    def setUp(self):
        super().setUp()
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        self.first, self.second = self.scene.shells(2)
        self.ok(self.scene.json("init"))
        self.scene.make_plan()
        self.run_id = f"run-{self.scene.plan()['plan_id'][:12]}"

    def start(self, syscalls, seconds=0.4):
        self.scene.prefix = delayed(syscalls, seconds)
        process = self.scene.start(*self.scene.apply_arguments())
        self.scene.prefix = []
        self.addCleanup(scene.end_process, process)
        return process

    def end(self, process, code):
        out, err = process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, code, out + err)
        return scene.one_document(out)

    def recorded(self, kind):
        journal = self.scene.journal(self.run_id)
        wait_for(lambda: journal.exists() and kind in journal.read_bytes(), kind)

    def test_file_written_to_while_it_is_taken(self):
        """A writer that had it open before: the capture cannot stop it, the digest finds it."""
        original = self.first.read_bytes()
        with open(self.first, "ab", buffering=0) as writer:
            process = self.start("renameat2")
            self.recorded(b'"intent"')
            writer.write(b"written by somebody else\n")
            document = self.end(process, 3)
        self.assertEqual(document["status"], "partial")
        self.assertEqual(self.outcome(document), "changed")
        self.assertIn("content changed", self.reason(document))
        self.assertEqual(self.first.read_bytes(), original + b"written by somebody else\n")
        self.assertEqual(self.outcome(document, "op-0002"), "quarantined")
        self.assertFalse(self.second.exists())
        self.verified(self.run_id)

    def test_open_writer_is_reported(self):
        with open(self.first, "ab", buffering=0):
            document = self.ok(self.scene.apply()).json()
        self.assertEqual(self.outcome(document), "quarantined")
        self.assertIn("open for writing", self.reason(document))
        self.assertNotIn("open for writing", self.reason(document, "op-0002"))

    def test_a_good_file_takes_the_name(self):
        good = self.scene.base / "good"
        good.write_bytes(b"a good file\n")
        process = self.start("renameat2")
        self.recorded(b'"intent"')
        os.replace(good, self.first)
        document = self.end(process, 3)
        self.assertEqual(self.outcome(document), "changed")
        self.assertEqual(self.first.read_bytes(), b"a good file\n")
        self.assertEqual(self.outcome(document, "op-0002"), "quarantined")

    def test_file_vanishes_between_check_and_capture(self):
        process = self.start("renameat2")
        self.recorded(b'"intent"')
        self.first.unlink()
        document = self.end(process, 3)
        self.assertEqual(self.outcome(document), "vanished")
        self.assertEqual(self.outcome(document, "op-0002"), "quarantined")
        self.verified(self.run_id)

    def test_folder_becomes_a_link_to_good_files(self):
        """The folder was opened before: what is taken is what was approved, wherever the name
        leads now."""
        good = self.scene.base / "outside"
        good.mkdir()
        (good / "s0.php").write_bytes(b"a good file\n")
        process = self.start("renameat2")
        self.recorded(b'"intent"')
        self.first.parent.rename(self.scene.base / "away")
        os.symlink(good, self.first.parent)
        out, err = process.communicate(timeout=scene.TIMEOUT)
        self.assertIn(process.returncode, (0, 3), out + err)
        self.assertEqual((good / "s0.php").read_bytes(), b"a good file\n")
        self.assertEqual(self.outcome(scene.one_document(out), "op-0002"), "quarantined")

    def test_respawned_during_apply(self):
        data = self.first.read_bytes()
        process = self.start("syncfs,linkat", 0.2)
        wait_for(lambda: not self.first.exists(), "the capture")
        self.first.write_bytes(b"respawned\n")
        document = self.end(process, 3)
        self.assertEqual(self.outcome(document), "respawned")
        self.assertEqual(self.scene.held(self.run_id, "op-0001").read_bytes(), data)
        self.assertEqual(self.first.read_bytes(), b"respawned\n")
        document = self.ok(self.scene.json("rollback", self.run_id, "--outbox",
                                           self.scene.base / "outbox"), 6).json()
        self.assertEqual(self.outcome(document), "in_outbox")
        self.assertEqual(self.outcome(document, "op-0002"), "restored")
        [copy] = (self.scene.base / "outbox").iterdir()
        self.assertEqual(copy.read_bytes(), data)
        self.assertEqual(self.first.read_bytes(), b"respawned\n")


class Vanished(Case):
    def test_every_target_gone(self):
        self.scene.shells(2)
        self.scene.make_plan()
        shutil.rmtree(self.scene.root / "www")
        document = self.ok(self.scene.apply(), 3).json()
        self.assertEqual(document["status"], "failed")
        self.assertEqual({o["outcome"] for o in document["operations"]}, {"vanished"})
        document = self.ok(self.scene.json("rollback", document["run_id"])).json()
        self.assertEqual(document["status"], "nothing_to_do")


class Mounted(Case):
    """Small, full and read-only file systems, mounted where only this process sees them."""

    def setUp(self):
        super().setUp()
        if NO_MOUNTS:
            self.skipTest(NO_MOUNTS)

    def tmpfs(self, place, options):
        place.mkdir(exist_ok=True)
        mount("-t", "tmpfs", "-o", options, "none", place)
        self.addCleanup(unmount, place)

    def target(self, options="size=8m"):
        """The root on a file system of its own: there the hold lies beside it, not in the store."""
        self.tmpfs(self.scene.root, options)
        os.chmod(self.scene.root, 0o755)

    def holds(self):
        return list(self.scene.root.glob(".remediate-hold-*"))

    def test_hold_on_the_targets_file_system(self):
        self.target()
        self.scene.shells(2)
        before = self.scene.tree()
        run = self.applied()
        [hold] = self.holds()
        self.assertEqual(hold.stat().st_mode & 0o7777, 0o700)
        self.assertEqual(len(list(hold.rglob("op-*"))), 2)
        self.verified(run)
        self.assertEqual(self.scene.make_plan()["operations"], [])
        self.ok(self.scene.json("rollback", run))
        shutil.rmtree(hold)
        self.assertEqual(self.scene.tree(), before)

    def test_a_hold_that_somebody_else_prepared(self):
        self.target()
        first = self.scene.shell()
        store_id = self.ok(self.scene.json("init")).json()["store_id"]
        prepared = self.scene.root / f".remediate-hold-{store_id}"
        for prepare in (lambda: prepared.mkdir(0o777), lambda: os.symlink("/tmp", prepared),
                        lambda: prepared.write_bytes(b"")):
            with self.subTest():
                prepare()
                if prepared.is_dir() and not prepared.is_symlink():
                    prepared.chmod(0o777)
                self.scene.make_plan()
                document = self.ok(self.scene.apply(), 3).json()
                self.assertNotEqual(self.outcome(document), "quarantined")
                self.assertIn(".remediate-hold-", self.reason(document))
                self.assertTrue(first.exists())
                if prepared.is_dir() and not prepared.is_symlink():
                    shutil.rmtree(prepared)
                else:
                    prepared.unlink()

    def test_full_target(self):
        self.target("size=8m,nr_inodes=32")
        paths = self.scene.shells(2)
        self.scene.make_plan()
        before = self.scene.tree()
        for number in range(64):
            try:
                (self.scene.root / f"filler{number}").touch()
            except OSError:
                break
        document = self.ok(self.scene.apply(), 3).json()
        self.assertEqual(document["status"], "failed")
        for operation in document["operations"]:
            self.assertEqual(operation["outcome"], "failed")
            self.assertIn("space", operation["reason"].lower())
        for filler in self.scene.root.glob("filler*"):
            filler.unlink()
        for hold in self.holds():
            shutil.rmtree(hold)
        self.assertEqual(self.scene.tree(), before)
        self.assertTrue(all(path.exists() for path in paths))
        self.applied()

    def test_read_only_target(self):
        self.target()
        paths = self.scene.shells(2)
        before = self.scene.tree()
        mount("-o", "remount,ro", self.scene.root)
        self.scene.make_plan()
        document = self.ok(self.scene.apply(), 3).json()
        self.assertEqual(document["status"], "failed")
        for operation in document["operations"]:
            self.assertIn("read-only", operation["reason"].lower())
        self.assertEqual(self.scene.tree(), before)
        mount("-o", "remount,rw", self.scene.root)
        run = self.applied()
        self.assertFalse(any(path.exists() for path in paths))
        mount("-o", "remount,ro", self.scene.root)
        document = self.ok(self.scene.json("rollback", run), 6).json()
        for operation in document["operations"]:
            self.assertIn("read-only", operation["reason"].lower())
        mount("-o", "remount,rw", self.scene.root)
        self.ok(self.scene.json("rollback", run))
        for hold in self.holds():
            shutil.rmtree(hold)
        self.assertEqual(self.scene.tree(), before)

    def test_store_with_too_little_space_to_seal(self):
        self.tmpfs(self.scene.store, "size=4m")
        os.chmod(self.scene.store, 0o700)
        self.target()
        self.scene.shells(2)
        before = self.scene.tree()
        self.scene.make_plan()
        ended = self.scene.apply()
        document = self.ok(ended, 3).json()
        self.assertEqual({o["outcome"] for o in document["operations"]}, {"held"})
        self.assertTrue(all("space" in o["reason"] for o in document["operations"]))
        run = document["run_id"]
        self.verified(run)
        mount("-o", "remount,size=128m", self.scene.store)
        document = self.ok(self.scene.json("resume", run)).json()
        self.assertEqual({o["outcome"] for o in document["operations"]}, {"quarantined"})
        self.assertEqual(len(self.scene.objects()), 2)
        self.verified(run)
        self.ok(self.scene.json("rollback", run))
        for hold in self.holds():
            shutil.rmtree(hold)
        self.assertEqual(self.scene.tree(), before)

    def test_full_store(self):
        self.tmpfs(self.scene.store, "size=256k")
        os.chmod(self.scene.store, 0o700)
        self.target()
        self.scene.shells(2)
        self.ok(self.scene.json("init"))
        self.scene.make_plan()
        with open(self.scene.store / "keys" / "filler", "wb") as filler:
            try:
                while True:
                    filler.write(b"\0" * 4096)
                    filler.flush()
            except OSError:
                pass
            try:
                filler.close()
            except OSError:
                pass
        before = self.scene.manifest()
        ended = self.scene.apply()
        self.assertEqual(ended.code, 1, str(ended))
        self.assertEqual(ended.json()["error"]["code"], "no_space")
        self.assertEqual(self.scene.manifest(), before)
        (self.scene.store / "keys" / "filler").unlink()
        mount("-o", "remount,size=128m", self.scene.store)
        for command in (["verify"], ["list"]):
            self.assertIn(self.scene.json(*command).code, (0, 5))
        self.scene.make_plan()
        self.ok(self.scene.apply())

    def test_read_only_store(self):
        self.tmpfs(self.scene.store, "size=80m")
        os.chmod(self.scene.store, 0o700)
        self.target()
        self.scene.shells(2)
        self.ok(self.scene.json("init"))
        self.scene.make_plan()
        mount("-o", "remount,ro", self.scene.store)
        before = self.scene.manifest()
        ended = self.scene.apply()
        self.refused(ended, 1, "read_only")
        self.assertEqual(self.scene.manifest(), before)
        for command in (["list"], ["verify"]):
            with self.subTest(command=command):
                self.ok(self.scene.json(*command))

    def test_a_held_file_that_got_another_name_is_told_everywhere(self):
        """As by a process that had it open: what is held stands at a place of its own again."""
        for name in ("www/one.php", "www/two.php"):
            self.scene.shell(name)
        run = self.applied()
        self.verified(run)
        os.link(self.scene.held(run, "op-0001"), self.scene.root / "www/again.php")
        word = "it has 2 names now: somebody linked it elsewhere"
        ended = self.scene.json("verify", run)
        self.assertNotEqual(ended.code, 0)
        self.assertIn(word, ended.out.decode())
        ended = self.scene.json("finalize", run)
        self.assertNotEqual(ended.code, 0)
        self.assertIn(word, ended.out.decode())
        self.assertTrue(self.scene.held(run, "op-0001").exists())
        self.assertFalse(self.scene.held(run, "op-0002").exists())
        document = self.scene.json("rollback", run, "--only", "op-0001").json()
        [back] = [entry for entry in document["operations"] if entry["id"] == "op-0001"]
        self.assertEqual(back["outcome"], "restored")
        self.assertIn(word, back["reason"])
        (self.scene.root / "www/again.php").unlink()

    def test_originals_on_a_mount_that_is_gone_are_not_called_finalized(self):
        self.target()
        here = self.scene.shell("www/here.php")
        inner = self.scene.root / "data"
        self.tmpfs(inner, "size=8m")
        os.chmod(inner, 0o755)
        self.scene.shell("data/there.php")
        self.scene.playbooks[0].write_text(json.dumps(scene.playbook(
            scopes=[{"id": "web", "folder": ["/www", "/data"], "include": ["**/*.php"]}])))
        run = self.applied()
        self.assertFalse(here.exists())
        aside = self.new_folder()
        mount("--bind", inner, aside)
        self.addCleanup(unmount, aside)
        unmount(inner)
        ended = self.scene.json("finalize", run)
        self.assertEqual(ended.code, 3, str(ended))
        outcomes = {entry["address"]: (entry["outcome"], entry.get("reason"))
                    for entry in ended.json()["operations"]}
        self.assertEqual(outcomes["www/here.php"][0], "finalized")
        self.assertEqual(outcomes["data/there.php"][0], "kept")
        self.assertIn("mount it where it was", outcomes["data/there.php"][1])
        mount("--bind", aside, inner)
        self.addCleanup(unmount, inner)
        again = self.ok(self.scene.json("finalize", run)).json()
        self.assertEqual(again["status"], "done", again)

    def test_file_below_another_mount_in_the_tree(self):
        """A bind mount inside the root: no rename leads out of it, and none is tried."""
        self.target()
        outside = self.scene.base / "outside"
        outside.mkdir()
        (outside / "x.php").write_bytes(scene.shell_text("bind"))
        self.scene.shell()
        (self.scene.root / "www/bind").mkdir()
        mount("--bind", outside, self.scene.root / "www/bind")
        self.addCleanup(unmount, self.scene.root / "www/bind")
        before = scene.sha256((outside / "x.php").read_bytes())
        plan = self.scene.make_plan()
        told = plan["exclusions"] + plan["issues"]
        planned = [operation["address"] for operation in plan["operations"]]
        self.assertTrue("www/bind/x.php" in planned or any(
            "www/bind" in str(entry) for entry in told), "a mount inside is not passed in silence")
        ended = self.scene.apply()
        document = ended.json()
        run = document["run_id"]
        if "www/bind/x.php" in planned:
            self.assertIn(ended.code, (0, 3), str(ended))
        self.scene.json("rollback", run)
        self.assertEqual(scene.sha256((outside / "x.php").read_bytes()), before)


class Permission(Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root to become another user")
        self.scene.base.chmod(0o1777)
        self.as_nobody = ["setpriv", f"--reuid={scene.NOBODY}", f"--regid={scene.NOBODY}",
                          "--clear-groups"]

    def own(self, top):
        for folder, folders, files in os.walk(top):
            for name in [*folders, *files]:
                os.chown(os.path.join(folder, name), scene.NOBODY, scene.NOBODY)
        os.chown(top, scene.NOBODY, scene.NOBODY)

    def test_a_user_who_owns_the_tree(self):
        self.scene.shells(2)
        self.own(self.scene.root)
        before = self.scene.tree()
        self.scene.prefix = self.as_nobody
        run = self.applied()
        self.verified(run)
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)

    def test_what_this_user_cannot_give_back_is_in_the_plan(self):
        own, other = self.scene.shells(2)
        self.own(self.scene.root)
        os.chown(other, scene.NOBODY, 0)
        self.scene.prefix = self.as_nobody
        plan = self.scene.make_plan()
        lost = [[text for text in operation["not_restorable"] if "run as root" in text]
                for operation in plan["operations"]]
        self.assertEqual(lost, [[], ["after finalize: group 0 (run as root to keep it)"]])
        run = self.ok(self.scene.apply()).json()["run_id"]
        self.ok(self.scene.json("finalize", run))
        ended = self.scene.json("rollback", run, "--recovery-key",
                                self.scene.store / "keys" / "recovery.key")
        outcomes = [operation["outcome"] for operation in ended.json()["operations"]]
        self.assertEqual(outcomes, ["restored", "restored_degraded"])
        self.assertEqual([file.stat().st_gid for file in (own, other)],
                         [scene.NOBODY, scene.NOBODY])

    def test_a_folder_that_the_user_may_not_change(self):
        first, second = self.scene.shells(2)
        self.own(self.scene.root)
        os.chown(first.parent, 0, 0)
        first.parent.chmod(0o755)
        before = self.scene.tree()
        self.scene.prefix = self.as_nobody
        self.scene.make_plan()
        document = self.ok(self.scene.apply(), 3).json()
        self.assertEqual(document["status"], "partial")
        self.assertEqual(self.outcome(document), "failed")
        self.assertIn("permission", self.reason(document).lower())
        self.assertTrue(first.exists())
        self.assertEqual(self.outcome(document, "op-0002"), "quarantined")
        self.assertFalse(second.exists())
        self.ok(self.scene.json("rollback", document["run_id"]))
        self.assertEqual(self.scene.tree(), before)

    def test_a_file_that_the_user_may_not_read_is_told(self):
        first, second = self.scene.shells(2)
        self.own(self.scene.root)
        os.chown(first, 0, 0)
        first.chmod(0o600)
        self.scene.prefix = self.as_nobody
        plan = self.scene.make_plan()
        self.assertEqual([o["address"] for o in plan["operations"]], ["www/d1/s1.php"])
        [issue] = [issue for issue in plan["issues"] if "www/d0/s0.php" in issue["where"]]
        self.assertIn("ermission", issue["reason"])

    def test_permission_lost_after_the_plan(self):
        first, second = self.scene.shells(2)
        self.own(self.scene.root)
        self.scene.prefix = self.as_nobody
        self.scene.make_plan()
        os.chown(first.parent, 0, 0)
        first.parent.chmod(0o700)
        document = self.ok(self.scene.apply(), 3).json()
        self.assertEqual(self.outcome(document), "failed")
        self.assertIn("ermission", self.reason(document))
        self.assertTrue(first.exists())
        self.assertEqual(self.outcome(document, "op-0002"), "quarantined")

    def test_store_of_another_user(self):
        self.scene.shells(1)
        self.own(self.scene.root)
        self.ok(self.scene.json("init"))
        self.scene.prefix = self.as_nobody
        self.scene.make_plan()
        before = self.scene.manifest()
        self.refused(self.scene.apply(), 77, "permission", str(self.scene.store))
        self.assertEqual(self.scene.manifest(), before)

    def test_store_that_cannot_be_made(self):
        self.scene.shells(1)
        self.own(self.scene.root)
        self.scene.base.chmod(0o755)
        self.scene.plan_file = self.scene.base / "plan.json"
        self.scene.make_plan()
        self.scene.prefix = self.as_nobody
        self.scene.plan_file.chmod(0o644)
        before = self.scene.manifest()
        self.refused(self.scene.apply(), 77, "permission")
        self.assertEqual(self.scene.manifest(), before)


if __name__ == "__main__":
    scene.main()
