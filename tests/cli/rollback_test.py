"""Undo: whole, in part, late, and where something is in the way."""
import json
import os
import shutil

import scene
from scene import Case, operations


class Parts(Case):
    def setUp(self):
        super().setUp()
        self.paths = self.scene.shells(3)
        self.scene.write("www/two.php", b"<?" b"php // SECOND-12345678\n")
        self.before = self.scene.tree()
        self.run_id = self.applied()

    def test_one_operation(self):
        document = self.ok(self.scene.json("rollback", self.run_id, "--only", "op-0002")).json()
        self.assertEqual(set(operations(document)), {"op-0002"})
        address = operations(document)["op-0002"]["address"]
        self.assertEqual([path.exists() for path in self.paths],
                         [str(path).endswith(address) for path in self.paths])
        self.verified()
        document = self.ok(self.scene.json("rollback", self.run_id)).json()
        self.assertEqual(set(operations(document)), {"op-0001", "op-0003", "op-0004"})
        self.assertEqual(self.scene.tree(), self.before)

    def test_one_indicator(self):
        document = self.ok(self.scene.json("rollback", self.run_id, "--only", "second")).json()
        self.assertEqual([o["address"] for o in document["operations"]], ["www/two.php"])
        self.assertFalse(any(path.exists() for path in self.paths))
        self.ok(self.scene.json("rollback", self.run_id, "--only", "mark"))
        self.assertEqual(self.scene.tree(), self.before)

    def test_several(self):
        self.ok(self.scene.json("rollback", self.run_id, "--only", "op-0001", "--only", "second"))
        self.assertTrue((self.scene.root / "www/two.php").exists())
        self.assertTrue(self.paths[0].exists())
        self.assertFalse(self.paths[2].exists())

    def test_twice(self):
        self.ok(self.scene.json("rollback", self.run_id))
        after = self.scene.manifest()
        document = self.ok(self.scene.json("rollback", self.run_id)).json()
        self.assertEqual(document["status"], "nothing_to_do")
        self.assertEqual(self.scene.manifest(), after)
        self.verified()

    def test_what_was_rolled_back_can_be_removed_again(self):
        self.ok(self.scene.json("rollback", self.run_id))
        again = self.applied()
        self.assertNotEqual(again, self.run_id)
        self.ok(self.scene.json("rollback", again))
        self.assertEqual(self.scene.tree(), self.before)
        self.verified()

    def test_dry_run(self):
        state = self.scene.manifest()
        store = self.scene.manifest(root=self.scene.store)
        document = self.ok(self.scene.json("rollback", self.run_id, "--dry-run", "--only",
                                           "second")).json()
        self.assertEqual(document["status"], "planned")
        self.assertEqual(len(document["operations"]), 1)
        self.assertEqual(self.scene.manifest(), state)
        strip = lambda text: [line.split(" atime")[0] for line in text.splitlines()
                              if " lock" not in line]
        self.assertEqual(strip(self.scene.manifest(root=self.scene.store)), strip(store))


class InTheWay(Case):
    def test_a_dry_run_looks_at_the_folder_too(self):
        os.rename(self.first.parent, self.scene.base / "moved")
        document = self.ok(self.scene.json("rollback", self.run_id, "--dry-run")).json()
        self.assertEqual(self.outcome(document), "would_conflict")
        self.assertIn("folder", self.reason(document))
        self.assertEqual(self.outcome(document, "op-0002"), "would_restore")

    def setUp(self):
        super().setUp()
        self.first, self.second = self.scene.shells(2)
        self.data = self.first.read_bytes()
        self.before = self.scene.tree()
        self.run_id = self.applied()

    def test_the_outbox_takes_no_held_file_that_was_written_to(self):
        self.scene.held(self.run_id, "op-0001").write_bytes(b"not what was taken\n")
        os.rename(self.first.parent, self.scene.base / "moved")
        outbox = self.scene.base / "outbox"
        document = self.ok(self.scene.json("rollback", self.run_id, "--outbox", outbox), 6).json()
        self.assertEqual(self.outcome(document), "in_outbox")
        self.assertEqual((outbox / f"{self.run_id}-op-0001").read_bytes(), self.data)

    def test_a_dry_run_says_that_a_key_is_needed(self):
        self.ok(self.scene.json("finalize", self.run_id))
        document = self.ok(self.scene.json("rollback", self.run_id, "--dry-run")).json()
        self.assertEqual(self.outcome(document), "would_restore")
        os.rename(self.scene.store / "keys" / "recovery.key", self.scene.base / "elsewhere.key")
        document = self.ok(self.scene.json("rollback", self.run_id, "--dry-run"), 6).json()
        self.assertEqual(self.outcome(document), "would_conflict")
        self.assertIn("--recovery-key FILE", self.reason(document))
        self.assertNotIn("--outbox", self.reason(document))
        manifest = json.loads((self.scene.run_folder(self.run_id) / "manifest.json").read_text())
        self.assertIn(manifest["recovery"][0], self.reason(document))
        self.ok(self.scene.json("rollback", self.run_id), 6)

    def test_name_taken(self):
        self.first.write_bytes(b"a good page\n")
        document = self.ok(self.scene.json("rollback", self.run_id, "--dry-run")).json()
        self.assertEqual(self.outcome(document), "would_conflict")
        self.assertIn("taken", self.reason(document))
        document = self.ok(self.scene.json("rollback", self.run_id), 6).json()
        self.assertEqual(document["status"], "partial")
        self.assertEqual(self.outcome(document), "conflict")
        self.assertIn("taken", self.reason(document))
        self.assertEqual(self.outcome(document, "op-0002"), "restored")
        self.assertEqual(self.first.read_bytes(), b"a good page\n")
        self.assertEqual(self.scene.held(self.run_id, "op-0001").read_bytes(), self.data)
        self.verified()
        self.first.unlink()
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)

    def test_name_taken_by_anything(self):
        for make in (lambda: self.first.mkdir(), lambda: os.symlink("/etc/passwd", self.first),
                     lambda: os.symlink("/absent", self.first), lambda: os.mkfifo(self.first),
                     lambda: os.link(self.scene.write("www/good", b"good"), self.first)):
            with self.subTest():
                make()
                document = self.ok(self.scene.json("rollback", self.run_id, "--only", "op-0001"),
                                   6).json()
                self.assertEqual(self.outcome(document), "conflict")
                self.assertEqual(self.scene.held(self.run_id, "op-0001").read_bytes(), self.data)
                if self.first.is_dir() and not self.first.is_symlink():
                    self.first.rmdir()
                else:
                    self.first.unlink()

    def test_outbox(self):
        self.first.write_bytes(b"a good page\n")
        outbox = self.scene.base / "outbox"
        document = self.ok(self.scene.json("rollback", self.run_id, "--outbox", outbox), 6).json()
        self.assertEqual(self.outcome(document), "in_outbox")
        [copy] = outbox.iterdir()
        self.assertIn(str(copy), self.reason(document))
        self.assertEqual(copy.read_bytes(), self.data)
        self.assertEqual(self.first.read_bytes(), b"a good page\n")
        ended = self.scene.json("rollback", self.run_id, "--outbox", outbox)
        self.assertEqual(ended.code, 6, str(ended))
        self.assertEqual([path.read_bytes() for path in outbox.iterdir()], [self.data],
                         "a copy in the outbox is not overwritten")

    def test_folder_replaced(self):
        folder = self.first.parent
        folder.rename(self.scene.base / "away")
        folder.mkdir()
        document = self.ok(self.scene.json("rollback", self.run_id), 6).json()
        self.assertEqual(self.outcome(document), "conflict")
        self.assertIn("folder", self.reason(document))
        self.assertEqual(list(folder.iterdir()), [])
        self.assertEqual(list((self.scene.base / "away").iterdir()), [])
        folder.rmdir()
        (self.scene.base / "away").rename(folder)
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)

    def test_folder_became_a_link(self):
        """Restore must not be led into a folder of the system."""
        folder = self.first.parent
        away = self.scene.base / "system"
        folder.rename(away)
        os.symlink(away, folder)
        document = self.ok(self.scene.json("rollback", self.run_id), 6).json()
        self.assertNotEqual(self.outcome(document), "restored")
        self.assertEqual(list(away.iterdir()), [])
        self.assertEqual(self.outcome(document, "op-0002"), "restored")

    def test_folder_gone(self):
        shutil.rmtree(self.first.parent)
        outbox = self.scene.base / "outbox"
        document = self.ok(self.scene.json("rollback", self.run_id, "--outbox", outbox), 6).json()
        self.assertEqual(self.outcome(document, "op-0002"), "restored")
        self.assertNotEqual(self.outcome(document), "restored")
        self.assertFalse(self.first.parent.exists(), "no folder is made up")
        self.assertIn(self.data, [path.read_bytes() for path in outbox.iterdir()]
                      + [path.read_bytes() for path in self.scene.store.glob("hold/*/op-0001")])

    def test_root_replaced(self):
        self.scene.root.rename(self.scene.base / "away")
        shutil.copytree(self.scene.base / "away", self.scene.root)
        self.refused(self.scene.json("rollback", self.run_id), 4, "stale_plan",
                     str(self.scene.root))
        self.assertFalse(self.first.exists())

    def test_respawned_file(self):
        self.first.write_bytes(self.data)
        verified = self.verified()
        self.assertTrue(any("op-0001" in f["where"] and "again" in f["what"]
                            for f in verified["findings"]), verified["findings"])
        plan = self.scene.make_plan()
        self.assertEqual([o["address"] for o in plan["operations"]], ["www/d0/s0.php"])
        self.ok(self.scene.apply())
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)


class Late(Case):
    """After finalize only the sealed object is left."""

    def setUp(self):
        super().setUp()
        self.scene.identity("recovery")
        self.ok(self.scene.json("init", "--recovery-cert", self.scene.base / "recovery.crt"))
        self.first = self.scene.shell("www/a.php", mode=0o640)
        self.second = self.scene.shell("www/sparse.php")
        with open(self.second, "r+b") as file:
            file.seek(300_000)
            file.write(b"data behind a hole")
        os.setxattr(self.first, "user.note", b"kept\0raw")
        os.utime(self.first, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))
        if os.geteuid() == 0:
            os.chown(self.first, 33, 44)
        self.before = self.scene.tree()
        self.run_id = self.applied()

    def test_sealed_objects_bring_everything_back(self):
        self.assertFalse((self.scene.store / "keys/recovery.key").exists())
        self.ok(self.scene.json("finalize", self.run_id))
        self.assertEqual(list((self.scene.store / "hold").rglob("op-*")), [])
        document = self.ok(self.scene.json("rollback", self.run_id), 6).json()
        self.assertEqual(document["status"], "failed")
        self.assertIn("--recovery-key", self.reason(document))
        self.assertFalse(self.first.exists())
        document = self.ok(self.scene.json("rollback", self.run_id, "--recovery-key",
                                           self.scene.base / "recovery.key")).json()
        self.assertEqual({o["outcome"] for o in document["operations"]}, {"restored"})
        self.assertEqual(self.scene.tree(), self.before)
        self.verified()

    def test_wrong_key(self):
        self.ok(self.scene.json("finalize", self.run_id))
        self.scene.identity("eve")
        ended = self.scene.json("rollback", self.run_id, "--recovery-key",
                                self.scene.base / "eve.key")
        self.assertNotEqual(ended.code, 0, str(ended))
        self.assertFalse(self.first.exists())
        self.ok(self.scene.json("rollback", self.run_id, "--recovery-key",
                                self.scene.base / "recovery.key"))
        self.assertEqual(self.scene.tree(), self.before)

    def test_part_of_a_finalized_run(self):
        self.ok(self.scene.json("finalize", self.run_id))
        self.ok(self.scene.json("rollback", self.run_id, "--only", "op-0001", "--recovery-key",
                                self.scene.base / "recovery.key"))
        self.assertEqual(self.first.exists() + self.second.exists(), 1)
        self.verified()


class Repeated(Case):
    def test_the_same_shell_again_and_again(self):
        """Every drop keeps a copy of its own, and each can be had back."""
        runs = {}
        for number in range(5):
            data = scene.shell_text("again") + f"drop {number}\n".encode()
            path = self.scene.shell("www/a.php", data)
            os.utime(path, ns=(0, 1_500_000_000_000_000_000 + number))
            runs[self.applied()] = data
        self.assertEqual(len(runs), 5)
        self.assertEqual(len(self.scene.objects()), 5)
        self.verified()
        for run, data in reversed(runs.items()):
            self.ok(self.scene.json("rollback", run))
            self.assertEqual(path.read_bytes(), data)
            path.unlink()

    def test_the_very_same_bytes_again(self):
        runs = []
        for number in range(3):
            path = self.scene.shell("www/a.php", mode=0o600 + number * 8)
            runs.append(self.applied())
        self.ok(self.scene.json("finalize", runs[0]))
        for number, run in enumerate(runs):
            self.ok(self.scene.json("rollback", run))
            self.assertEqual(path.stat().st_mode & 0o777, 0o600 + number * 8)
            path.unlink()

    def test_one_digest_at_two_paths(self):
        first = self.scene.shell("www/a.php", scene.shell_text("same"), mode=0o600)
        second = self.scene.shell("www/b/c.php", scene.shell_text("same"), mode=0o755)
        before = self.scene.tree()
        run = self.applied()
        self.assertFalse(first.exists() or second.exists())
        self.ok(self.scene.json("rollback", run, "--only", "op-0001"))
        self.assertEqual(first.exists() + second.exists(), 1)
        self.ok(self.scene.json("finalize", run))
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)

    def test_a_thousand_and_one_of_the_same_name(self):
        self.scene.write_policy(limits={"max_files": 2000, "max_files_per_indicator": 2000,
                                        "max_percent": 100})
        for number in range(1001):
            self.scene.shell(f"www/{number // 40}/{number}/index.php")
        before = self.scene.tree()
        run = self.applied()
        self.assertEqual(list(self.scene.root.rglob("index.php")), [])
        self.assertEqual(len(list((self.scene.store / "hold").rglob("op-*"))), 1001)
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)


class Odd(Case):
    def test_hard_link_pair(self):
        first = self.scene.shell("www/a.php")
        (self.scene.root / "www/b").mkdir()
        second = self.scene.root / "www/b/b.php"
        os.link(first, second)
        before = self.scene.tree()
        run = self.applied()
        self.assertFalse(first.exists() or second.exists())
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(first.stat().st_ino, second.stat().st_ino)
        self.assertEqual(self.scene.tree(), before)

    def test_hard_link_to_a_file_elsewhere_is_left_out(self):
        outside = self.scene.write("private/secret", scene.shell_text("secret"), 0o600)
        (self.scene.root / "www").mkdir()
        os.link(outside, self.scene.root / "www/a.php")
        plan = self.scene.make_plan()
        self.assertEqual(plan["operations"], [])
        self.assertIn("2 names", plan["exclusions"][0]["reason"])

    def test_setuid_comes_back_only_when_told(self):
        path = self.scene.shell(mode=0o4755)
        before = self.scene.tree()
        plan = self.scene.make_plan()
        self.assertTrue(any("--with-privileges" in text
                            for text in plan["operations"][0]["not_restorable"]))
        run = self.ok(self.scene.apply()).json()["run_id"]
        document = self.ok(self.scene.json("rollback", run), 6).json()
        self.assertEqual(self.outcome(document), "refused")
        self.assertIn("--with-privileges", self.reason(document))
        self.assertFalse(path.exists())
        self.ok(self.scene.json("rollback", run, "--with-privileges"))
        self.assertEqual(path.stat().st_mode & 0o7777, 0o4755)
        self.assertEqual(self.scene.tree(), before)

    def test_every_odd_name_and_attribute_of_the_sample_tree(self):
        disk = self.scene.base / "disk"
        self.scene.execute([scene.SAMPLE_TREE, str(disk)])
        self.scene.root = disk
        self.scene.playbooks = [scene.SHIPPED / f"{name}.json" for name in
                                ("hafnium-2021", "proxyshell-2021", "php-webroot")]
        before = self.scene.tree()
        self.scene.make_plan()
        waiting = self.ok(self.scene.apply(), 3).json()  # for a reload of php-fpm
        run = waiting["run_id"]
        self.assertIn("apply waits after", " ".join(waiting["notices"]))
        self.assertEqual(self.ok(self.scene.json("resume", run)).json()["status"], "done")
        self.verified(run)
        self.assertNotEqual(self.scene.tree(), before)
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)

    def test_immutable(self):
        path = self.scene.shell()
        if os.system(f"chattr +i '{path}' 2>/dev/null") != 0:
            self.skipTest("no immutable flag here")
        before = self.scene.tree()
        run = self.applied()
        self.assertFalse(path.exists())
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)

    def test_names_that_break_careless_programs(self):
        names = ["new\nline.php", "-rf.php", "*.php", " .php", "$(touch x).php", "a'b\"c.php",
                 "\udcff\udcfe.php", "\u202egnp.php", "%n%s.php", "\x1b[2J.php"]
        for name in names:
            self.scene.shell(os.path.join("www", name))
        before = self.scene.tree()
        plan = self.scene.make_plan()
        self.assertEqual(len(plan["operations"]), len(names))
        for operation in plan["operations"]:
            self.assertTrue(operation["address"].isprintable(), json.dumps(operation["address"]))
        run = self.ok(self.scene.apply()).json()["run_id"]
        self.assertEqual(os.listdir(self.scene.root / "www"), [])
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)


class LineAndFile(Case):
    """A line that has PHP run a file with every page, and the file."""

    def setUp(self):
        super().setUp()
        marked = scene.playbook()["indicators"][0]
        document = scene.playbook(
            scopes=[{"id": "web", "folder": "/www", "include": ["**/*.php"]},
                    {"id": "ini", "folder": "/www", "include": ["**/.user.ini"]}],
            indicators=[marked,
                        {"id": "prepend", "name": "Before every page", "scopes": ["ini"],
                         "setting": {"provider": "php-user-ini", "kind": "directive",
                                     "where": [{"name": "name", "equals": "auto_prepend_file"}]},
                         "confidence": "high", "authorises": "remove"}],
            steps=[{"id": "line", "action": "reset_setting", "indicators": ["prepend"],
                    "change": {"kind": "remove_element"}},
                   {"id": "remove", "action": "quarantine", "indicators": ["mark"]}])
        self.scene.playbooks[0].write_text(json.dumps(document))
        self.scene.shell("www/x.php")
        self.scene.write("www/.user.ini", b"memory_limit = 64M\nauto_prepend_file = /www/x.php\n")
        self.before = self.scene.tree()
        self.run_id = self.applied()

    def warnings(self, document):
        return [notice for notice in document["notices"] if notice.startswith("warning: ")]

    def test_the_line_alone(self):
        for more in (["--dry-run"], []):
            ended = self.ok(self.scene.json("rollback", self.run_id, "--only", "prepend", *more))
            [warning] = self.warnings(ended.json())
            for said in ("/www/x.php", "www/x.php", "every page fails", "--only op-0002"):
                self.assertIn(said, warning)
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)

    def test_a_person_reads_it_too(self):
        ended = self.ok(self.scene.run("rollback", self.run_id, "--only", "prepend"))
        self.assertIn("warning: op-0001 puts back a line", " ".join(ended.out.decode().split()))

    def test_the_file_alone_and_both(self):
        ended = self.ok(self.scene.json("rollback", self.run_id, "--only", "mark", "--dry-run"))
        self.assertEqual(self.warnings(ended.json()), [])
        document = self.ok(self.scene.json("rollback", self.run_id)).json()
        self.assertEqual(self.warnings(document), [])
        self.assertEqual(self.scene.tree(), self.before)
        intents = [json.loads(line) for line in self.scene.journal(self.run_id).read_text().split("\n")
                   if '"restored"' in line]
        self.assertEqual([one["operation"] for one in intents], ["op-0002", "op-0001"])

    def test_the_file_s_name_is_taken(self):
        """The line came back and its file could not."""
        (self.scene.root / "www/x.php").mkdir()
        document = self.ok(self.scene.json("rollback", self.run_id), 6).json()
        self.assertEqual(len(self.warnings(document)), 1)


if __name__ == "__main__":
    scene.main()
