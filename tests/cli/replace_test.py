"""A page of the product that the attack overwrote: known good bytes take its place, and back."""
import base64
import json
import os
import shutil
import stat

import scene
from scene import Case, operations, playbook, sha256

PAGE = "www/auth/logon.php"
GOOD = b"<?" b"php /* the page as it was shipped */\n"
BAD = scene.shell_text(PAGE)


def marks(action, **more):
    """The mark's indicator with one step, and a second one that is only removed."""
    return playbook(steps=[{"id": "put-back", "action": action, "indicators": ["mark"], **more},
                           {"id": "remove", "action": "quarantine", "indicators": ["second"]}])


class Pages(Case):
    def setUp(self):
        super().setUp()
        self.page = self.scene.shell(PAGE, mode=0o640)
        self.neighbour = self.scene.harmless()
        self.known_good = self.scene.base / "good"
        self.good = self.known_good / "owa" / "logon.php"
        self.good.parent.mkdir(parents=True)
        self.good.write_bytes(GOOD)
        self.use([sha256(GOOD)])

    def use(self, digests, name="logon.php", **changes):
        document = marks("replace_file", known_good=[{"name": name, "sha256": digests}]) | changes
        self.write_playbook(document)

    def write_playbook(self, document):
        self.scene.playbooks[0].write_text(json.dumps(document))

    def plan(self, *folders):
        words = self.scene.plan_arguments()
        for folder in folders or [self.known_good]:
            words += ["--known-good", folder]
        self.ended = self.ok(self.scene.run(*words))
        return self.scene.plan()

    def applied(self, scene=None):
        self.plan()
        document = self.ok(self.scene.apply()).json()
        self.assertEqual(document["status"], "done")
        return document["run_id"]

    def excluded(self, *folders):
        plan = self.plan(*folders)
        self.assertEqual(plan["operations"], [])
        [exclusion] = plan["exclusions"]
        self.assertEqual(exclusion["address"], PAGE)
        return exclusion["reason"]


class Replace(Pages):
    def test_known_good_bytes_take_the_place_and_go_again(self):
        before = self.scene.tree()
        inode = self.page.stat().st_ino
        plan = self.plan()
        [operation] = plan["operations"]
        self.assertEqual(operation["action"], "replace_file")
        replacement = operation["replacement"]
        self.assertEqual(replacement["sha256"], sha256(GOOD))
        self.assertEqual(base64.b64decode(replacement["content"]), GOOD)
        self.assertEqual(replacement["source"]["display"], str(self.good))
        self.assertIn(sha256(GOOD), operation["after"])
        self.assertIn(sha256(BAD), operation["before"])
        for said in (str(self.good), sha256(GOOD), "1 file replaced", "replace file"):
            self.assertIn(said, self.ended.out.decode())
        self.assertEqual(self.scene.tree(), before)

        document = self.ok(self.scene.apply()).json()
        run = document["run_id"]
        self.assertEqual(self.outcome(document), "replaced")
        self.assertEqual(self.page.read_bytes(), GOOD)
        state = self.page.stat()
        self.assertEqual((stat.S_IMODE(state.st_mode), state.st_nlink), (0o640, 1))
        self.assertEqual(self.scene.held(run, "op-0001").stat().st_ino, inode)
        self.assertEqual(self.verified(run)["held_checked"], 1)
        self.assertIn("known good again", self.ok(self.scene.run("show", run)).out.decode())
        entry = scene.one_document(
            (self.scene.run_folder(run) / "manifest.json").read_bytes())["entries"][0]
        self.assertEqual((entry["action"], entry["sha256"], entry["after_sha256"]),
                         ("replace_file", sha256(BAD), sha256(GOOD)))

        document = self.ok(self.scene.json("rollback", run)).json()
        self.assertEqual(self.outcome(document), "restored")
        self.assertEqual(self.scene.tree(), before)
        self.assertEqual(self.page.stat().st_ino, inode)
        self.assertEqual(list((self.scene.store / "hold" / run).iterdir()), [])
        self.verified(run)

    def test_apply_needs_no_folder(self):
        """What was approved is what is written, whatever becomes of the folder."""
        self.plan()
        self.good.write_bytes(BAD)
        self.ok(self.scene.apply())
        self.assertEqual(self.page.read_bytes(), GOOD)

    def test_a_changed_plan_is_refused(self):
        plan = self.plan()
        plan["operations"][0]["replacement"]["content"] = base64.b64encode(BAD).decode()
        data, plan_id = scene.with_id(plan)
        self.scene.plan_file.write_bytes(data)
        ended = self.scene.json("apply", self.scene.plan_file, "--confirm", plan_id)
        self.refused(ended, 65, "bad_input", "replacement")
        self.assertEqual(self.page.read_bytes(), BAD)

    def test_only_a_named_digest_is_good(self):
        self.good.write_bytes(BAD + b" ")
        reason = self.excluded()
        for said in ("has a digest", sha256(BAD + b" "), str(self.good)):
            self.assertIn(said, reason)
        self.good.unlink()
        self.assertIn("no known good folder has a file logon.php", self.excluded())
        shutil.rmtree(self.known_good)
        words = [*self.scene.plan_arguments(), "--known-good", self.known_good]
        said = self.refused(self.scene.run("--format", "json", *words), 1, "not_found")
        self.assertIn("known good", said)

    def test_an_archive_has_to_be_unpacked(self):
        archive = self.scene.base / "good.zip"
        archive.write_bytes(b"PK\x05\x06" + b"\0" * 18)
        words = [*self.scene.plan_arguments(), "--known-good", archive]
        ended = self.scene.run("--format", "json", *words)
        self.assertIn("good.zip", self.refused(ended, 1, "refused"))
        self.assertIn("unpack", ended.json()["error"]["remedy"])

    def test_without_a_folder(self):
        plan = self.ok(self.scene.run(*self.scene.plan_arguments())) and self.scene.plan()
        self.assertEqual(plan["operations"], [])
        self.assertIn("--known-good", plan["exclusions"][0]["reason"])

    def test_two_good_versions_are_ambiguous(self):
        second = self.known_good / "old"
        second.mkdir()
        (second / "logon.php").write_bytes(GOOD + b"// earlier\n")
        self.use([sha256(GOOD), sha256(GOOD + b"// earlier\n")])
        self.assertIn("several good versions", self.excluded())
        plan = self.plan(second)
        self.assertEqual(plan["operations"][0]["replacement"]["sha256"],
                         sha256(GOOD + b"// earlier\n"))

    def test_a_good_file_is_left_alone(self):
        self.use([sha256(GOOD), "b" * 64])
        marked = GOOD + BAD
        self.scene.write(PAGE, marked)
        self.use([sha256(GOOD), sha256(marked)])
        self.assertIn("already", self.excluded())

    def test_another_name_is_not_replaced(self):
        self.use([sha256(GOOD)], name="signout.php")
        self.assertIn("names no known good digest", self.excluded())

    def test_names_compare_as_the_scope_says(self):
        self.use([sha256(GOOD)], name="LogOn.PHP")
        self.assertIn("names no known good digest", self.excluded())
        self.use([sha256(GOOD)], name="LogOn.PHP",
                 scopes=[{"id": "web", "folder": "/www", "include": ["**/*.php"],
                          "case": "insensitive"}])
        self.assertEqual(self.plan()["operations"][0]["action"], "replace_file")

    def test_links_in_the_folder_are_not_followed(self):
        self.good.unlink()
        elsewhere = self.scene.base / "elsewhere.php"
        elsewhere.write_bytes(GOOD)
        self.good.symlink_to(elsewhere)
        self.assertIn("no known good folder has a file", self.excluded())

    def test_replaced_rather_than_removed(self):
        """Whatever else matches: the server needs the page."""
        document = playbook(
            indicators=[{"id": name, "name": name, "scopes": ["web"],
                         "match": {"regex": {"pattern": pattern}}, "confidence": "high",
                         "authorises": "remove"}
                        for name, pattern in (("mark", "MARK-[0-9a-f]{8}"), ("any", "sample www"))],
            steps=[{"id": "remove", "action": "quarantine", "indicators": ["any"]},
                   {"id": "put-back", "action": "replace_file", "indicators": ["mark"],
                    "known_good": [{"name": "logon.php", "sha256": [sha256(GOOD)]}]},
                   {"id": "rest", "action": "quarantine", "indicators": ["mark"]}])
        self.write_playbook(document)
        [operation] = self.plan()["operations"]
        self.assertEqual((operation["action"], operation["step"]), ("replace_file", "put-back"))
        self.assertTrue(any(why["kind"] == "also" for why in operation["why"]))
        self.good.unlink()
        plan = self.plan()
        self.assertEqual([o["action"] for o in plan["operations"]], ["quarantine"])
        self.assertEqual(len(plan["exclusions"]), 1)

    def test_privileges_of_the_replaced_file_are_not_handed_on(self):
        self.page.chmod(0o4755)
        run = self.applied()
        self.assertEqual(stat.S_IMODE(self.page.stat().st_mode), 0o755)
        document = self.ok(self.scene.json("rollback", run), 6).json()
        self.assertEqual(self.outcome(document), "refused")
        self.assertEqual(self.page.read_bytes(), GOOD)
        self.ok(self.scene.json("rollback", run, "--with-privileges"))
        self.assertEqual(stat.S_IMODE(self.page.stat().st_mode), 0o4755)
        self.assertEqual(self.page.read_bytes(), BAD)

    def test_hard_links_are_not_parted(self):
        os.link(self.page, self.scene.root / "www" / "twin.txt")
        self.assertIn("2 names", self.excluded())

    def test_drift_refuses(self):
        self.plan()
        self.page.write_bytes(BAD + b"more")
        self.refused(self.scene.apply(), 4, "stale_plan", PAGE)

    def test_later_changes_stay(self):
        run = self.applied()
        self.page.write_bytes(b"updated by the vendor\n")
        ended = self.scene.json("verify", run)
        self.assertIn("no longer at its place", self.ok(ended).out.decode())
        document = self.ok(self.scene.json("rollback", run, "--dry-run")).json()
        self.assertEqual(self.outcome(document), "would_conflict")
        document = self.ok(self.scene.json("rollback", run), 6).json()
        self.assertEqual(self.outcome(document), "conflict")
        self.assertEqual(self.page.read_bytes(), b"updated by the vendor\n")
        outbox = self.scene.base / "outbox"
        document = self.ok(self.scene.json("rollback", run, "--outbox", outbox), 6).json()
        self.assertEqual(self.outcome(document), "in_outbox")
        self.assertEqual((outbox / f"{run}-op-0001").read_bytes(), BAD)
        self.page.write_bytes(GOOD)
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.page.read_bytes(), BAD)

    def test_gone_is_a_conflict(self):
        run = self.applied()
        self.page.unlink()
        document = self.ok(self.scene.json("rollback", run), 6).json()
        self.assertEqual(self.outcome(document), "conflict")
        self.assertFalse(self.page.exists())

    def test_after_finalize(self):
        before = self.scene.tree()
        run = self.applied()
        document = self.ok(self.scene.json("finalize", run)).json()
        self.assertEqual(self.outcome(document), "finalized")
        self.assertEqual(self.page.read_bytes(), GOOD)
        self.verified(run)
        key = self.scene.base / "recovery.key"
        (self.scene.store / "keys" / "recovery.key").rename(key)
        document = self.ok(self.scene.json("rollback", run), 6).json()
        self.assertEqual(self.outcome(document), "failed")
        self.assertEqual(self.page.read_bytes(), GOOD)
        document = self.ok(self.scene.json("rollback", run, "--recovery-key", key)).json()
        self.assertEqual(self.outcome(document), "restored")
        self.assertEqual(self.scene.tree(), before)
        self.verified(run)

    def test_limits_count_replaced_files(self):
        self.scene.write_policy(limits={"max_files": 0})
        plan = self.plan()
        [limit] = [one for one in plan["limits"] if one["name"] == "files removed by a plan"]
        self.assertEqual((limit["found"], limit["fired"]), (1, True))
        self.refused(self.scene.apply(), 5, "approval", "files removed by a plan")

    def test_ocsf(self):
        run = self.applied()
        out = self.scene.base / "events"
        self.ok(self.scene.run("export", run, "-o", out, "--as", "ocsf"))
        [event] = [json.loads(line) for line in out.read_text().splitlines()]
        self.assertEqual((event["class_uid"], event["activity_id"]), (7002, 3))
        self.assertIn("known good", event["message"])


class Meanwhile(Pages):
    """What others do between two renames of the exchange, which are made slow."""

    def setUp(self):
        super().setUp()
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        self.plan()
        self.ok(self.scene.json("init"))

    def while_exchanged(self, seen, act):
        self.scene.prefix = scene.delayed("renameat2", 0.5)
        process = self.scene.start(*self.scene.apply_arguments(), start_new_session=True)
        self.scene.prefix = []
        self.addCleanup(scene.end_process, process)
        scene.wait_for(seen, "the moment")
        act()
        out, _ = process.communicate(timeout=scene.TIMEOUT)
        return process.returncode, scene.one_document(out)

    def staged(self):
        return list((self.scene.store / "hold").glob("*/op-0001.new"))

    def served(self):
        return self.page.exists() and self.page.read_bytes() == GOOD

    def test_the_folder_is_exchanged(self):
        def act():
            os.rename(self.page.parent, self.scene.root / "www/away")
            self.scene.shell(PAGE)
        code, document = self.while_exchanged(self.staged, act)
        self.assertEqual(code, 3, document)
        self.assertNotEqual(self.outcome(document), "replaced")

    def test_what_is_written_into_the_new_version_is_kept(self):
        def act():
            with open(self.page, "ab") as file:
                file.write(b"ADMIN-EDIT")
        code, document = self.while_exchanged(self.served, act)
        kept = [path for path in self.scene.base.rglob("*")
                if path.is_file() and path.read_bytes().endswith(b"ADMIN-EDIT")]
        self.assertTrue(kept, document)
        self.assertEqual(code, 3, document)

    def test_the_original_is_linked_elsewhere(self):
        code, document = self.while_exchanged(
            self.staged, lambda: os.link(self.page, self.page.with_name("other.php")))
        if self.outcome(document) == "replaced":
            self.assertIn("linked it elsewhere", self.reason(document))
        else:
            self.assertEqual(code, 3, document)


if __name__ == "__main__":
    scene.main()
