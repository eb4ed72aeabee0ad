"""Stored evidence that somebody changed: `verify` names it, `rollback` does not trust it, and no
original is lost.
"""
import json
import os
import subprocess

import scene
from scene import Case

SHELLS = 3


class Tamper(Case):
    def prepare(self):
        """A run with approvals; the originals by digest."""
        self.scene = self.new_scene()
        self.scene.identity("alice")
        self.scene.write_policy(approval={"approvers": ["alice.crt"]})
        paths = self.scene.shells(SHELLS)
        self.originals = {scene.sha256(path.read_bytes()): path for path in paths}
        self.before = self.scene.tree()
        self.scene.make_plan()
        self.ok(self.scene.approve("alice"))
        self.run_id = self.ok(self.scene.apply()).json()["run_id"]
        self.verified()
        self.folder = self.scene.run_folder(self.run_id)
        self.journal = self.scene.journal(self.run_id)

    def setUp(self):
        self.prepare()

    def survivors(self):
        """Digests of what is left: the tree, the hold, and what the sealed objects hold."""
        found = set()
        for top in (self.scene.root, self.scene.store / "hold"):
            for folder, _, names in os.walk(top):
                for name in names:
                    with open(os.path.join(folder, name), "rb") as file:
                        found.add(scene.sha256(file.read()))
        keys = self.scene.store / "keys"
        for item in self.scene.objects():
            opened = subprocess.run(
                ["openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-in", item, "-recip",
                 keys / "recovery.crt", "-inkey", keys / "recovery.key"], check=False,
                capture_output=True, timeout=scene.TIMEOUT)
            if opened.returncode == 0:
                found.add(scene.sha256(opened.stdout))
        return found

    def nothing_lost(self):
        self.assertLessEqual(set(self.originals), self.survivors(), "an original is lost")

    def found_and_refused(self, *reasons, thorough=False):
        """Evidence of the run as a whole is wrong: nothing at all is done with it."""
        said = self.findings(self.run_id)
        for reason in reasons:
            self.assertIn(reason, said)
        attempts = [["rollback", self.run_id]]
        if thorough:
            self.findings()
            attempts += [["finalize", self.run_id],
                         ["rollback", self.run_id, "--only", "op-0001"],
                         ["export", self.run_id, "-o", self.scene.base / "x", "--as", "ocsf"]]
        tree = self.scene.manifest()
        for arguments in attempts:
            ended = self.scene.json(*arguments)
            self.assertIn(ended.code, (1, 4, 5, 65), str(ended))
            error = ended.json()["error"]
            self.assertTrue(error["message"])
            self.assertIn(self.run_id, "\n".join([error["message"], *error["causes"]]))
        self.assertEqual(self.scene.manifest(), tree, "a refused rollback changed the target")
        if thorough:
            self.nothing_lost()

    def resume_refused(self):
        """What resume signs anew has to be what was signed: it launders nothing."""
        before = {path: path.read_bytes() for path in self.scene.store.rglob("*.json*")}
        ended = self.scene.json("resume", self.run_id)
        self.assertIn(ended.code, (1, 4, 5, 65), str(ended))
        self.assertIn("error", ended.json())
        self.assertEqual({path: path.read_bytes() for path in self.scene.store.rglob("*.json*")},
                         before)

    def put_back(self, path, data):
        """After the damage is undone everything works as if nothing had been."""
        path.write_bytes(data)
        path.chmod(0o600)
        self.verified(self.run_id)

    def rolls_back(self):
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)


class Signed(Tamper):
    """The files that a signature covers, and the signatures."""

    FILES = ("manifest.json", "manifest.json.p7s", "plan.json", "plan.json.p7s", "head.json",
             "head.json.p7s")

    def path_of(self, name, run=None):
        run = run or self.run_id
        if name.startswith("head"):
            head = self.scene.head(run)
            return head.with_name(head.name + name.removeprefix("head.json"))
        return self.scene.run_folder(run) / name

    def damaged(self, name, change, thorough=False):
        path = self.path_of(name)
        good = path.read_bytes()
        data = change(good)
        if data is None:
            path.unlink()
        else:
            self.assertNotEqual(data, good)
            path.write_bytes(data)
        stem = name.removesuffix(".p7s")
        self.found_and_refused(stem.removesuffix(".json") if stem == "head.json" else stem,
                               thorough=thorough)
        # A crash can leave a head unsigned, so resume may sign one: of what the manifest binds.
        if stem != "head.json":
            self.resume_refused()
        self.put_back(path, good)

    def test_flipped(self):
        for name in self.FILES:
            good = self.path_of(name).read_bytes()
            places = [len(good) * part // 20 for part in (1, 8, 13, 19)]
            if name.endswith(".p7s"):
                places += [3, 70, 200, len(good) - 60, len(good) - 1]
            for place in places:
                with self.subTest(file=name, byte=place):
                    self.damaged(name, lambda data, at=place: data[:at] + bytes(
                        [data[at] ^ 1]) + data[at + 1:])
        self.rolls_back()

    def test_deleted(self):
        for name in self.FILES:
            with self.subTest(file=name):
                self.damaged(name, lambda good: None, thorough=True)
        self.rolls_back()

    def test_truncated(self):
        for name in self.FILES:
            for length in (0, 1, -1):
                with self.subTest(file=name, length=length):
                    self.damaged(name, lambda good, to=length: good[:to], length == -1)
        self.rolls_back()

    def test_appended(self):
        for name in self.FILES:
            with self.subTest(file=name):
                self.damaged(name, lambda good: good + b"\n")
        self.rolls_back()

    def test_swapped_with_another_run(self):
        self.scene.shell("www/later.php")
        (self.scene.base / "plan.json.p7s").unlink()  # a signed plan is not overwritten
        self.scene.make_plan()
        self.ok(self.scene.approve("alice"))
        second = self.ok(self.scene.apply()).json()["run_id"]
        for stem in ("manifest.json", "plan.json", "head.json"):
            for names in ((stem,), (stem + ".p7s",), (stem, stem + ".p7s")):
                with self.subTest(files=names):
                    good = {}
                    for name in names:
                        other = self.path_of(name, second).read_bytes()
                        good[name] = self.path_of(name).read_bytes()
                        self.path_of(name).write_bytes(other)
                    self.found_and_refused()
                    for name, data in good.items():
                        self.path_of(name).write_bytes(data)
                    self.verified()

    def test_manifest_signed_by_somebody_else(self):
        self.scene.identity("eve")
        path = self.folder / "manifest.json.p7s"
        good = path.read_bytes()
        subprocess.run(["openssl", "cms", "-sign", "-binary", "-cades", "-outform", "DER", "-in",
                        self.folder / "manifest.json", "-signer", self.scene.base / "eve.crt",
                        "-inkey", self.scene.base / "eve.key", "-out", path], check=True,
                       capture_output=True, timeout=scene.TIMEOUT)
        self.found_and_refused("manifest.json")
        self.put_back(path, good)

    def test_approval_by_somebody_else(self):
        """Whole, but of no approver: the manifest binds the approvals that there were."""
        self.scene.identity("eve")
        path = self.folder / "plan.json.p7s"
        good = path.read_bytes()
        subprocess.run(["openssl", "cms", "-sign", "-binary", "-cades", "-outform", "DER", "-in",
                        self.folder / "plan.json", "-signer", self.scene.base / "eve.crt",
                        "-inkey", self.scene.base / "eve.key", "-out", path], check=True,
                       capture_output=True, timeout=scene.TIMEOUT)
        self.found_and_refused("plan.json.p7s")
        self.put_back(path, good)


class Private(Tamper):
    """Modes and owners of what lies in the store."""

    def test_reachable_by_others(self):
        store = self.scene.store
        for path in (store / "keys", store / "runs", self.folder, store / "journal", self.journal,
                     store / "objects", self.scene.objects()[0], store / "hold",
                     store / "hold" / self.run_id, store / "keys/signer.key", store / "store.json",
                     self.folder / "plan.json"):
            with self.subTest(path=path.name):
                mode = path.stat().st_mode & 0o7777
                path.chmod(mode | 0o044)
                self.assertIn(path.name, self.findings(self.run_id))
                path.chmod(mode)
        self.verified(self.run_id)

    def test_of_another_owner(self):
        for path in (self.folder, self.journal):
            os.chown(path, 33, -1)
            self.assertIn("belongs to user 33", self.findings(self.run_id))
            os.chown(path, os.geteuid(), -1)
        self.rolls_back()

    def test_journal_without_its_run(self):
        os.rename(self.folder, self.scene.base / "aside")
        self.assertIn(self.journal.name, self.findings())
        os.rename(self.scene.base / "aside", self.folder)
        self.rolls_back()


class Journal(Tamper):
    def test_the_folder_of_a_run_is_gone(self):
        """Its journal is the last thing that tells where the originals are: nothing removes it."""
        self.ok(self.scene.json("rollback", self.run_id))  # the plan fits again
        folder = self.scene.run_folder(self.run_id)
        kept = folder.rename(self.scene.base / "kept")
        journal, head = self.journal.read_bytes(), self.scene.head(self.run_id).read_bytes()
        self.refused(self.scene.apply(), 1, "refused", "tells what was done", self.run_id)
        self.assertEqual(self.journal.read_bytes(), journal)
        self.assertEqual(self.scene.head(self.run_id).read_bytes(), head)
        kept.rename(folder)
        self.verified(self.run_id)

    def lines(self):
        return self.journal.read_bytes().splitlines(keepends=True)

    def changed(self, lines, *reasons, thorough=False):
        good = self.journal.read_bytes()
        self.assertNotEqual(b"".join(lines), good)
        self.journal.write_bytes(b"".join(lines))
        self.found_and_refused("journal", *reasons, thorough=thorough)
        self.resume_refused()
        self.put_back(self.journal, good)

    def test_every_line_edited(self):
        lines = self.lines()
        self.assertEqual(len(lines), 2 + 4 * SHELLS)
        for number, line in enumerate(lines):
            with self.subTest(line=number + 1):
                record = json.loads(line)
                time = record["time"]
                other = time[:-2] + str((int(time[-2]) + 1) % 10) + time[-1]
                edited = line.replace(time.encode(), other.encode(), 1)
                self.changed(lines[:number] + [edited] + lines[number + 1:])
        self.rolls_back()

    def test_a_line_deleted(self):
        lines = self.lines()
        for number in (0, 1, len(lines) // 2, len(lines) - 2):
            with self.subTest(line=number + 1):
                self.changed(lines[:number] + lines[number + 1:])

    def test_the_last_line_deleted(self):
        """Whole records, whole chain: only the signed head tells."""
        self.changed(self.lines()[:-1], "head", thorough=True)

    def test_two_lines_swapped(self):
        lines = self.lines()
        lines[4], lines[5] = lines[5], lines[4]
        self.changed(lines)

    def test_truncated(self):
        lines = self.lines()
        for keep in (0, 1, len(lines) // 2):
            with self.subTest(keep=keep):
                self.changed(lines[:keep])

    def test_a_line_twice(self):
        lines = self.lines()
        for number in (0, len(lines) // 2, len(lines) - 1):
            with self.subTest(line=number + 1):
                self.changed(lines[:number + 1] + lines[number:])

    def test_torn_after_the_signed_head(self):
        self.changed(self.lines()[:-1] + [self.lines()[-1][:-7]])

    def test_rewritten_with_a_right_chain(self):
        """The web user cannot sign; somebody who rebuilds the whole chain is found by the head."""
        lines = self.lines()
        rebuilt, previous = [], None
        for line in lines:
            record = json.loads(line)
            if previous is not None:
                old = record["prev"].encode()
                line = line.replace(old, scene.sha256(previous.rstrip(b"\n")).encode(), 1)
            if b"quarantined" in line:
                line = line.replace(b"quarantined", b"quarantines", 1)
            rebuilt.append(line)
            previous = line
        self.changed(rebuilt)

    def test_deleted(self):
        good = self.journal.read_bytes()
        self.journal.unlink()
        self.found_and_refused("journal", thorough=True)
        heads = {path: path.read_bytes() for path in self.journal.parent.glob("*.head*")}
        for path in heads:
            path.unlink()
        self.found_and_refused("journal")
        for path, data in heads.items():
            path.write_bytes(data)
            path.chmod(0o600)
        self.put_back(self.journal, good)
        self.rolls_back()


class Stored(Tamper):
    """Held originals and sealed objects: what is whole goes back, the rest is reported."""

    def entry(self, operation):
        shown = self.ok(self.scene.json("show", self.run_id)).json()
        return next(one for one in shown["operations"] if one["id"] == operation)

    def object_of(self, operation):
        return self.scene.store / "objects" / f"{self.entry(operation)['entry']['object']}.p7m"

    def test_object(self):
        path = self.object_of("op-0002")
        good = path.read_bytes()
        changes = {"flip": good[:-20] + bytes([good[-20] ^ 1]) + good[-19:], "cut": good[:-1],
                   "tail": good + b"\0", "empty": b"",
                   "other": self.object_of("op-0001").read_bytes(), "gone": None}
        for name, data in changes.items():
            with self.subTest(change=name):
                if data is None:
                    path.unlink()
                else:
                    path.write_bytes(data)
                self.assertIn("op-0002", self.findings(self.run_id))
                finalized = self.scene.json("finalize", self.run_id)
                self.nothing_lost()
                if name == "gone":
                    document = finalized.json()
                    self.assertEqual(finalized.code, 3, str(finalized))
                    self.assertEqual(self.outcome(document, "op-0002"), "kept")
                    self.assertTrue(self.reason(document, "op-0002"))
                path.write_bytes(good)
        self.nothing_lost()
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)

    def test_object_before_rollback(self):
        """The hold does not need the objects."""
        for path in self.scene.objects():
            path.write_bytes(b"gone")
        self.findings(self.run_id)
        self.rolls_back()

    def test_held_content(self):
        held = self.scene.held(self.run_id, "op-0002")
        state = held.stat()
        data = held.read_bytes()
        with open(held, "r+b") as file:
            file.write(data[:-3] + b"XX\n")
        os.utime(held, ns=(state.st_atime_ns, state.st_mtime_ns))
        said = self.findings(self.run_id)
        self.assertIn("op-0002", said)
        self.assertIn("sha256", said)
        self.assertNotIn("op-0001", said)
        self.nothing_lost()
        document = self.ok(self.scene.json("rollback", self.run_id)).json()
        self.assertEqual(document["status"], "done")
        self.assertIn("stays in the hold", self.reason(document, "op-0002"))
        self.assertEqual(self.scene.tree().replace(" ", ""), self.before.replace(" ", ""))

    def test_held_content_without_the_key(self):
        held = self.scene.held(self.run_id, "op-0002")
        os.rename(self.scene.store / "keys/recovery.key", self.scene.base / "recovery.key")
        held.write_bytes(b"another file")
        document = self.ok(self.scene.json("rollback", self.run_id), 6).json()
        self.assertEqual(self.outcome(document, "op-0002"), "tampered")
        self.assertIn("--recovery-key", self.reason(document, "op-0002"))
        self.assertEqual(self.outcome(document, "op-0001"), "restored")
        self.assertFalse((self.scene.root / "www/d1/s1.php").exists())
        self.assertEqual(held.read_bytes(), b"another file")
        self.ok(self.scene.json("rollback", self.run_id, "--recovery-key",
                                self.scene.base / "recovery.key"))
        self.assertEqual(self.scene.tree(), self.before)

    def test_held_mode(self):
        held = self.scene.held(self.run_id, "op-0002")
        held.chmod(0o755)
        said = self.findings(self.run_id)
        self.assertIn("op-0002", said)
        self.assertIn("mode", said)
        document = self.scene.json("rollback", self.run_id)
        self.assertIn(document.code, (0, 6), str(document))
        if document.code == 0:
            self.assertEqual(self.scene.tree(), self.before)
        else:
            self.assertIn("mode", self.reason(document.json(), "op-0002"))

    def test_held_setuid(self):
        """Somebody who reached the hold must not get a privileged file out of a rollback."""
        held = self.scene.held(self.run_id, "op-0002")
        held.chmod(0o4755)
        self.findings(self.run_id)
        self.scene.json("rollback", self.run_id)
        self.assertEqual((self.scene.root / "www/d0/s0.php").stat().st_mode & 0o7777, 0o644)
        back = self.scene.root / "www/d1/s1.php"
        if back.exists():
            self.assertEqual(back.stat().st_mode & 0o7000, 0)
        self.nothing_lost()

    def test_held_replaced(self):
        held = self.scene.held(self.run_id, "op-0002")
        held.unlink()
        held.write_bytes(b"something else")
        self.assertIn("op-0002", self.findings(self.run_id))
        self.nothing_lost()
        document = self.ok(self.scene.json("rollback", self.run_id)).json()
        self.assertEqual({o["outcome"] for o in document["operations"]}, {"restored"})
        self.assertEqual(self.scene.tree(), self.before)

    def test_held_link(self):
        held = self.scene.held(self.run_id, "op-0002")
        held.unlink()
        secret = self.scene.base / "secret"
        secret.write_bytes(b"not of the web server")
        os.symlink(secret, held)
        self.assertIn("op-0002", self.findings(self.run_id))
        self.scene.json("rollback", self.run_id)
        back = self.scene.root / "www/d1/s1.php"
        self.assertFalse(back.is_symlink())
        if back.exists():
            self.assertIn(scene.sha256(back.read_bytes()), self.originals)
        self.nothing_lost()

    def test_held_swapped(self):
        first, second = (self.scene.held(self.run_id, f"op-000{n}") for n in (1, 2))
        third = first.with_name("third")
        first.rename(third)
        second.rename(first)
        third.rename(second)
        said = self.findings(self.run_id)
        self.assertIn("op-0001", said)
        self.assertIn("op-0002", said)
        self.scene.json("rollback", self.run_id)
        for digest, path in self.originals.items():
            if path.exists():
                self.assertEqual(scene.sha256(path.read_bytes()), digest)
        self.nothing_lost()

    def test_held_deleted(self):
        self.scene.held(self.run_id, "op-0002").unlink()
        self.assertIn("op-0002", self.findings(self.run_id))
        document = self.ok(self.scene.json("rollback", self.run_id)).json()
        self.assertEqual(self.outcome(document, "op-0002"), "restored")
        self.assertEqual(self.scene.tree(), self.before)

    def test_unknown_object_is_told(self):
        stray = self.scene.store / "objects" / ("0" * 64 + ".p7m")
        stray.write_bytes(b"stray")
        stray.chmod(0o600)
        document = self.verified()
        self.assertTrue(any("0" * 64 in finding["where"] for finding in document["findings"]))

    def test_recovery_key_opens_every_object(self):
        document = self.ok(self.scene.json("verify", "--recovery-key",
                                           self.scene.store / "keys/recovery.key")).json()
        self.assertEqual(document["objects_checked"], SHELLS)
        self.scene.identity("eve")
        ended = self.scene.json("verify", "--recovery-key", self.scene.base / "eve.key")
        self.assertNotEqual(ended.code, 0, str(ended))


if __name__ == "__main__":
    scene.main()
