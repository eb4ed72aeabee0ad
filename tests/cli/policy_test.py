"""The host's policy: who signs playbooks, which revisions, who may go above a limit, and who could have written it."""
import json
import os
import subprocess
import threading

import scene

PLAYBOOK = "playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b10"


class Policies(scene.Case):
    def setUp(self):
        super().setUp()
        self.scene.shells(2)
        self.scene.harmless()
        self.file = self.scene.playbooks[0]
        self.signature = self.file.with_name(self.file.name + ".p7s")

    def sign(self, name, file=None, out=None):
        """With the command that docs/policy-reference.md gives."""
        file = file or self.file
        subprocess.run(["openssl", "cms", "-sign", "-binary", "-cades", "-nosmimecap", "-md", "sha256",
                        "-outform", "DER", "-in", file, "-signer", self.scene.base / f"{name}.crt",
                        "-inkey", self.scene.base / f"{name}.key", "-out", out or f"{file}.p7s"],
                       check=True, capture_output=True, timeout=scene.TIMEOUT)

    def planned(self):
        return self.scene.json(*self.scene.plan_arguments())

    def nothing_planned(self, *reasons, code=5, word="signature"):
        said = self.refused(self.planned(), code, word, *reasons)
        self.assertFalse(self.scene.plan_file.exists())
        return said

    def confirm(self):
        return self.scene.apply()


class Signatures(Policies):
    def setUp(self):
        super().setUp()
        for name in ("soc", "other", "stranger"):
            self.scene.identity(name)
        self.scene.write_policy(playbook_signers=["other.crt", "soc.crt"])

    def fingerprint(self, name):
        printed = subprocess.run(["openssl", "x509", "-in", self.scene.base / f"{name}.crt", "-noout",
                                  "-fingerprint", "-sha256"], check=True, capture_output=True)
        return printed.stdout.decode().strip().split("=")[1].replace(":", "").lower()

    def test_signed(self):
        self.sign("soc")
        plan = self.scene.make_plan()
        self.assertEqual([p["signer"] for p in plan["playbooks"]], [self.fingerprint("soc")])
        self.ok(self.scene.run("check", self.file))
        self.assertIn("signed by", self.ok(self.scene.run("show", self.scene.plan_file)).out.decode())
        self.assertEqual(self.ok(self.confirm()).json()["status"], "done")
        self.verified()

    def test_not_asked_for(self):
        self.scene.write_policy()
        self.assertEqual(self.scene.make_plan()["playbooks"][0]["signer"], "")

    def test_unsigned(self):
        said = self.nothing_planned(str(self.file), "not signed", "playbook.json.p7s")
        self.assertIn("openssl cms -sign", self.planned().json()["error"]["remedy"], said)

    def test_empty_signature_file(self):
        self.signature.write_bytes(b"")
        self.nothing_planned(str(self.file), "not signed")

    def test_by_somebody_else(self):
        self.sign("stranger")
        self.nothing_planned(str(self.file), "none of the policy's playbook_signers",
                             self.fingerprint("stranger"))

    def test_changed_since(self):
        self.sign("soc")
        self.file.write_bytes(self.file.read_bytes() + b"\n")
        self.nothing_planned(str(self.file), "does not hold")

    def test_signature_of_another_playbook(self):
        other = self.scene.base / "second.json"
        other.write_text(json.dumps(scene.playbook(name="Second")))
        self.sign("soc", other, self.signature)
        self.nothing_planned(str(self.file), "does not hold")

    def test_every_byte_of_the_signature_counts_or_is_no_matter(self):
        """No flip makes a playbook pass that was not signed; here: the playbook is another."""
        self.sign("soc")
        good = self.signature.read_bytes()
        self.file.write_text(json.dumps(scene.playbook(name="Hostile")))
        for at in range(0, len(good), 37):
            flipped = bytearray(good)
            flipped[at] ^= 1
            self.signature.write_bytes(bytes(flipped))
            self.nothing_planned(str(self.file))

    def test_garbage(self):
        for bytes_ in (b"garbage", b"\x30\x80", b"-----BEGIN CMS-----\n"):
            with self.subTest(signature=bytes_):
                self.signature.write_bytes(bytes_)
                self.nothing_planned(str(self.file))

    def test_certificate_not_valid_today(self):
        subprocess.run(["openssl", "x509", "-in", self.scene.base / "soc.crt", "-signkey",
                        self.scene.base / "soc.key", "-days", "-1", "-out",
                        self.scene.base / "soc.crt"], check=False, capture_output=True)
        self.sign("soc")
        self.nothing_planned("not valid today")

    def test_one_of_two_playbooks(self):
        second = self.scene.base / "second.json"
        second.write_text(json.dumps(scene.playbook(
            id="playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b11", name="Second")))
        self.scene.playbooks.append(second)
        self.sign("soc")
        self.nothing_planned(str(second), "not signed")
        self.sign("other", second)
        self.assertEqual([p["signer"] for p in self.scene.make_plan()["playbooks"]],
                         [self.fingerprint("soc"), self.fingerprint("other")])

    def test_standard_input_has_no_signature(self):
        self.sign("soc")
        ended = self.scene.json("plan", "--root", self.scene.root, "-p", "-",
                                stdin=self.file.read_bytes())
        self.refused(ended, 5, "signature", "not signed")

    def test_check_says_it(self):
        ended = self.scene.json("check", self.file)
        self.assertEqual(ended.code, 65, str(ended))
        [document] = ended.json()["files"]
        self.assertEqual([d["code"] for d in document["diagnostics"] if d["severity"] == "error"], ["PB901"])

    def test_signer_taken_from_the_policy(self):
        """A plan that was made before: also by its own words it is not accepted."""
        self.sign("soc")
        before = self.scene.make_plan()
        self.scene.write_policy(playbook_signers=["other.crt"])
        self.refused(self.confirm(), 5, "approval", "whom the policy does not name")
        policy_sha256 = scene.sha256(self.scene.policy.read_bytes())
        text, plan_id = scene.with_id(dict(before, policy_sha256=policy_sha256))
        self.scene.plan_file.write_bytes(text)
        self.refused(self.scene.json("apply", self.scene.plan_file, "--confirm", plan_id), 5,
                     "approval", "whom the policy does not name")

    def test_a_playbook_cannot_sign_itself(self):
        self.file.write_text(json.dumps(scene.playbook(signer=self.fingerprint("soc"))))
        self.nothing_planned()
        self.sign("soc")
        self.refused(self.planned(), 65, "bad_input", "signer")


class Revisions(Policies):
    def revision(self, number):
        self.file.write_text(json.dumps(scene.playbook(revision=number)))

    def test_minimum(self):
        self.scene.write_policy(minimum_revisions={PLAYBOOK: 3})
        self.revision(2)
        self.nothing_planned(str(self.file), "revision 2", "3 or later", code=65, word="bad_input")
        ended = self.scene.json("check", self.file)
        self.assertEqual(ended.code, 65, str(ended))
        self.assertEqual(ended.json()["files"][0]["diagnostics"][0]["code"], "PB902")
        self.revision(3)
        self.ok(self.scene.run("check", self.file))
        self.scene.make_plan()
        self.ok(self.confirm())

    def test_minimum_holds_whatever_the_plan_says(self):
        before = self.scene.make_plan()
        self.scene.write_policy(minimum_revisions={PLAYBOOK: 3})
        policy_sha256 = scene.sha256(self.scene.policy.read_bytes())
        text, plan_id = scene.with_id(dict(before, policy_sha256=policy_sha256))
        self.scene.plan_file.write_bytes(text)
        self.refused(self.scene.json("apply", self.scene.plan_file, "--confirm", plan_id), 5,
                     "approval", "3 or later")

    def test_only_up(self):
        self.revision(5)
        run = self.applied()
        self.scene.shell("www/again.php")
        self.revision(4)
        self.scene.make_plan()
        before = self.scene.tree()
        self.refused(self.confirm(), 1, "refused", "revision 4", "revision 5", run)
        self.assertEqual(self.scene.tree(), before)
        self.scene.write_policy(allow_older_revisions=[PLAYBOOK])
        self.applied()
        self.scene.write_policy()
        self.scene.shell("www/third.php")
        self.scene.make_plan()
        self.refused(self.confirm(), 1, "refused", run)
        self.revision(6)
        self.applied()


class AboveALimit(Policies):
    def setUp(self):
        super().setUp()
        for name in ("alice", "bob"):
            self.scene.identity(name)

    def policy(self, **sections):
        self.scene.write_policy(approval={"approvers": ["alice.crt", "bob.crt"], "threshold": 1},
                                limits={"max_files": 1}, **sections)

    def test_refused_by_default(self):
        for sections in ({}, {"above_limit": "refuse"}):
            self.policy(**sections)
            self.scene.make_plan()
            self.ok(self.scene.approve("alice"))
            self.ok(self.scene.approve("bob"))
            self.refused(self.confirm(), 5, "approval", "limit reached")
            (self.scene.base / "plan.json.p7s").unlink()

    def test_two_approvers(self):
        self.policy(above_limit={"approvers": 2})
        plan = self.scene.make_plan()
        self.assertEqual([limit["approvers"] for limit in plan["limits"] if limit["fired"]], [2])
        shown = self.ok(self.scene.run("show", self.scene.plan_file)).out.decode()
        self.assertIn("lets 2 approvers go above it", shown)
        self.ok(self.scene.approve("alice"))
        self.refused(self.confirm(), 5, "approval", "above a limit", "2 approvals and 1 hold")
        self.ok(self.scene.approve("bob"))
        document = self.ok(self.confirm()).json()
        self.assertEqual(document["status"], "done")
        self.verified(document["run_id"])
        self.scene.identity("carol")
        self.scene.write_policy(approval={"approvers": ["alice.crt", "bob.crt", "carol.crt"],
                                          "threshold": 1},
                                limits={"max_files": 1}, above_limit={"approvers": 3})
        self.assertIn("asks for 3 approvals, 2 hold", self.findings(document["run_id"]))

    def test_a_guard_is_no_limit(self):
        self.policy(above_limit={"approvers": 2}, protected=["www/d0/**"])
        plan = self.scene.make_plan()
        self.assertEqual([o["address"] for o in plan["operations"]], ["www/d1/s1.php"])


class Written(Policies):
    """Who could have written the policy."""

    def unusable(self, *reasons):
        return self.refused(self.planned(), 78, "configuration", *reasons)

    def place(self, *names):
        folder = self.scene.base
        for name in names:
            folder = folder / name
            folder.mkdir(mode=0o755)
        self.scene.write_policy()
        self.scene.policy = self.scene.policy.rename(folder / "policy.json")
        return folder

    def test_folder_further_up(self):
        self.place("a", "b", "c")
        self.ok(self.planned())
        for mode in (0o775, 0o757, 0o777):
            (self.scene.base / "a").chmod(mode)
            self.unusable(str(self.scene.base / "a"), "written by others")
        (self.scene.base / "a").chmod(0o1777)
        self.ok(self.planned())
        (self.scene.base / "a").chmod(0o755)
        if os.geteuid() == 0:
            os.chown(self.scene.base / "a", 33, -1)
            self.unusable(str(self.scene.base / "a"), "belongs to user 33")

    def test_link_to_the_policy(self):
        self.place("real")
        link = self.scene.base / "link.json"
        link.symlink_to(self.scene.policy)
        self.scene.policy = link
        self.unusable(str(link), "symbolic link")

    def test_link_in_the_path(self):
        folder = self.place("real")
        (self.scene.base / "turned").symlink_to(folder)
        self.scene.policy = self.scene.base / "turned" / "policy.json"
        self.unusable("turned", "symbolic link")

    def test_link_to_a_certificate(self):
        self.scene.identity("soc")
        (self.scene.base / "turned.crt").symlink_to("soc.crt")
        self.scene.write_policy(playbook_signers=["turned.crt"])
        self.unusable("turned.crt", "symbolic link")

    def test_relative(self):
        self.place("real")
        self.scene.policy = "real/../real/./policy.json"
        self.ok(self.planned())
        self.scene.policy = "policy.json"
        ended = self.scene.json(*self.scene.plan_arguments(), cwd=self.scene.base / "real")
        self.ok(ended)

    def test_what_is_no_file(self):
        self.scene.policy = self.scene.base / "fifo"
        os.mkfifo(self.scene.policy)
        self.assertNotEqual(self.planned().code, 0)

    def test_exchanged_while_it_is_read(self):
        """One that another user wrote stands there every other moment: it is never used."""
        if os.geteuid() != 0:
            self.skipTest("needs root to give a file away")
        self.scene.write_policy()
        evil = self.scene.base / "evil.json"
        evil.write_text("this would be bad input")
        os.chown(evil, 33, -1)
        spare = self.scene.base / "spare"
        stop = threading.Event()

        def exchange():
            while not stop.is_set():
                for first, second in ((self.scene.policy, spare), (evil, self.scene.policy),
                                      (self.scene.policy, evil), (spare, self.scene.policy)):
                    os.rename(first, second)

        thread = threading.Thread(target=exchange)
        thread.start()
        codes = {}
        try:
            for _ in range(60):
                code = self.scene.json("check", self.file).code
                codes[code] = codes.get(code, 0) + 1
        finally:
            stop.set()
            thread.join()
        print(f"policy exchanged: 60 tries, exit codes {codes}")
        self.assertLessEqual(set(codes), {0, 1, 78}, codes)

    def test_missing_is_the_safe_default(self):
        self.scene.policy = None
        plan = self.scene.make_plan()
        limits = {limit["name"]: limit["limit"] for limit in plan["limits"]}
        self.assertEqual(limits["files removed by a plan"], 50)
        self.assertTrue(any("1 %" in name for name in limits), limits)
        self.refused(self.scene.json("apply", self.scene.plan_file), 5, "approval", "not confirmed")


class GenericContent(Policies):
    """What is found by content alone is for review unless the policy says otherwise."""
    PLACE = {"path": ["**/uploads/**"]}

    def setUp(self):
        super().setUp()
        self.placed = self.scene.shell("www/site/uploads/s.php")
        self.all = {"www/d0/s0.php", "www/d1/s1.php", "www/site/uploads/s.php"}

    def use(self, match):
        indicators = scene.playbook()["indicators"]
        indicators[0]["match"] = match
        indicators[1]["match"] = {"sha256": ["a" * 64]}
        self.file.write_text(json.dumps(scene.playbook(indicators)))

    def split(self):
        """Paths that a plan removes, with all their reasons, and those that it lists for review."""
        plan = self.scene.make_plan()

        def reasons(rows):
            return {row["address"]: " / ".join(f"{why['kind']}: {why['text']}" for why in row["why"]) for row in rows}
        return reasons(plan["operations"]), reasons(plan["reviews"])

    def test_reviewed_by_default_and_removed_where_the_policy_says_so(self):
        mark = {"regex": {"pattern": "MARK-[0-9a-f]{8}"}}
        before = self.scene.tree()
        for match in (mark, {"all": [{"path": ["**/*.php"]}, mark]}):
            self.use(match)
            for policy in (None, {"generic_content": "review"}, {}):
                self.scene.write_policy()
                self.scene.policy.write_text(json.dumps({"format_version": 1, **(policy or {})}))
                self.scene.policy = None if policy is None else self.scene.policy
                operations, reviews = self.split()
                self.assertEqual((set(operations), set(reviews)), (set(), self.all))
                for why in reviews.values():
                    self.assertIn("review: rests on generic content alone", why)
                    self.assertIn('"generic_content": "remove"', why)
                shown = self.ok(self.scene.run("show", self.scene.plan_file)).out.decode()
                self.assertIn("rests on generic content alone", shown)
                self.ok(self.scene.apply())
                self.assertEqual(self.scene.tree(), before)
            self.scene.write_policy(generic_content="remove")
            operations, reviews = self.split()
            self.assertEqual((set(operations), set(reviews)), (self.all, set()))
            for why in operations.values():
                self.assertIn("policy: rests on generic content alone, which the policy lets remove", why)
        self.ok(self.scene.apply())
        self.assertFalse(self.placed.exists())
        self.verified()

    def test_a_named_place_is_exact(self):
        mark = {"regex": {"pattern": "MARK-[0-9a-f]{8}"}}
        self.scene.policy = None
        self.use({"all": [self.PLACE, mark]})
        operations, reviews = self.split()
        self.assertEqual((set(operations), reviews), ({"www/site/uploads/s.php"}, {}))
        # One way of several: elsewhere the same indicator only reviews.
        self.use({"any": [mark, {"all": [self.PLACE, mark]}]})
        operations, reviews = self.split()
        self.assertEqual(set(operations), {"www/site/uploads/s.php"})
        self.assertEqual(set(reviews), self.all - set(operations))
        # A digest needs no place.
        self.use({"sha256": [scene.sha256(self.placed.read_bytes())]})
        operations, reviews = self.split()
        self.assertEqual((set(operations), reviews), ({"www/site/uploads/s.php"}, {}))

    def test_a_plan_is_bound_to_the_policy_that_let_it_remove(self):
        self.scene.write_policy(generic_content="remove")
        self.scene.make_plan()
        self.scene.write_policy(generic_content="review")
        self.refused(self.scene.apply(), 4, "stale_plan", "the policy has changed")
        self.assertTrue(self.placed.exists())

    def test_check_warns(self):
        ended = self.ok(self.scene.json("check", self.file)).json()
        [found] = ended["files"]
        self.assertEqual([(one["code"], one["severity"], one["pointer"]) for one in found["diagnostics"]],
                         [("PW005", "warning", f"/indicators/{at}/match") for at in (0, 1)])
        self.use({"all": [self.PLACE, {"regex": {"pattern": "MARK-[0-9a-f]{8}"}}]})
        [found] = self.ok(self.scene.json("check", self.file)).json()["files"]
        self.assertEqual(found["diagnostics"], [])


class Loosening(Policies):
    def test_no_member_of_a_playbook_reaches_the_policy(self):
        before = self.scene.manifest()
        for member in ("policy", "limits", "approval", "above_limit", "playbook_signers", "stages",
                       "minimum_revisions", "allow_older_revisions", "protected", "allowed_roots",
                       "allowed_filesystems", "allow_hard_links", "vault", "max_files",
                       "generic_content"):
            for where in ("playbook", "indicator", "step", "scope"):
                with self.subTest(member=member, where=where):
                    playbook = scene.playbook()
                    target = {"playbook": playbook, "indicator": playbook["indicators"][0],
                              "step": playbook["steps"][0], "scope": playbook["scopes"][0]}[where]
                    target[member] = {"max_files": 1000}
                    self.file.write_text(json.dumps(playbook))
                    self.refused(self.planned(), 65, "bad_input", member)
        self.assertEqual(self.scene.manifest(), before)

    def test_a_plan_cannot_choose_its_playbook(self):
        """Signatures and revisions are asked of the playbooks that the plan lists."""
        plan = self.scene.make_plan()
        plan["operations"][0]["playbook"] = "playbook--elsewhere"
        text, plan_id = scene.with_id(plan)
        self.scene.plan_file.write_bytes(text)
        self.refused(self.scene.json("apply", self.scene.plan_file, "--confirm", plan_id), 65,
                     "bad_input", "playbook--elsewhere", "/playbooks")

    def test_a_plan_cannot_choose_its_scope(self):
        """Limits of a scope are counted from the plan: one with a scope that is not listed is empty."""
        self.scene.write_policy(limits={"max_percent": 0, "small_scope_files": 1, "max_files": 50})
        plan = self.scene.make_plan()
        for operation in plan["operations"]:
            operation["scope"] = operation["id"]
        text, plan_id = scene.with_id(plan)
        self.scene.plan_file.write_bytes(text)
        self.refused(self.scene.json("apply", self.scene.plan_file, "--confirm", plan_id), 5,
                     "approval", "limit reached")


if __name__ == "__main__":
    scene.main()
