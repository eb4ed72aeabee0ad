"""What `apply` refuses: each with its exit code and the failed precondition, and nothing done."""
import json
import os
import pathlib
import shutil
import subprocess

import scene
from scene import Case, with_id


class Refusal(Case):
    def setUp(self):
        super().setUp()
        self.first, self.second = self.scene.shells(2)
        self.scene.harmless()

    def nothing_done(self, attempt, exit_code, code, *reasons):
        """The attempt is refused, the target is as before, and the store knows of no run."""
        before = self.scene.manifest()
        said = self.refused(attempt(), exit_code, code, *reasons)
        self.assertEqual(self.scene.manifest(), before, "the target changed")
        runs = self.scene.store / "runs"
        self.assertEqual(os.listdir(runs) if runs.exists() else [], [], "a run was recorded")
        return said

    def confirm(self, plan_id=None):
        return self.scene.json("apply", self.scene.plan_file, "--confirm",
                               plan_id or self.scene.plan()["plan_id"])

    def crafted(self, **changes):
        """The plan with other values and the id that belongs to them."""
        data, plan_id = with_id(self.scene.plan() | changes)
        self.scene.plan_file.write_bytes(data)
        return plan_id


class Stale(Refusal):
    def test_content_of_the_same_size_and_time(self):
        self.scene.make_plan()
        state = self.first.stat()
        data = self.first.read_bytes()
        with open(self.first, "r+b") as file:
            file.write(data[:-3] + b"XX\n")
        os.utime(self.first, ns=(state.st_atime_ns, state.st_mtime_ns))
        self.nothing_done(self.confirm, 4, "stale_plan", "op-0001", "www/d0/s0.php", "sha256",
                          scene.sha256(self.first.read_bytes()))

    def test_longer_file(self):
        self.scene.make_plan()
        with open(self.first, "ab") as file:
            file.write(b"more")
        said = self.nothing_done(self.confirm, 4, "stale_plan", "www/d0/s0.php", "size")
        self.assertNotIn("s1.php", said)

    def test_replaced_file(self):
        self.scene.make_plan()
        data, state = self.first.read_bytes(), self.first.stat()
        other = self.first.with_name("other")
        other.write_bytes(data)
        os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
        os.replace(other, self.first)
        self.nothing_done(self.confirm, 4, "stale_plan", "www/d0/s0.php", "another file")

    def test_mode(self):
        self.scene.make_plan()
        self.second.chmod(0o600)
        self.nothing_done(self.confirm, 4, "stale_plan", "op-0002", "www/d1/s1.php", "mode")

    def test_owner(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to give a file away")
        self.scene.make_plan()
        os.chown(self.second, 33, -1)
        self.nothing_done(self.confirm, 4, "stale_plan", "www/d1/s1.php", "owner")

    def test_modification_time(self):
        self.scene.make_plan()
        state = self.first.stat()
        os.utime(self.first, ns=(state.st_atime_ns, state.st_mtime_ns + 1))
        self.nothing_done(self.confirm, 4, "stale_plan", "www/d0/s0.php", "modif")

    def test_another_name_for_the_file(self):
        self.scene.make_plan()
        os.link(self.first, self.scene.base / "kept")
        self.nothing_done(self.confirm, 4, "stale_plan", "www/d0/s0.php", "link")

    def test_extended_attribute(self):
        self.scene.make_plan()
        os.setxattr(self.first, "user.note", b"1")
        self.nothing_done(self.confirm, 4, "stale_plan", "www/d0/s0.php", "user.note")

    def test_folder_replaced(self):
        self.scene.make_plan()
        folder = self.first.parent
        folder.rename(folder.with_name("away"))
        shutil.copytree(folder.with_name("away"), folder)
        self.nothing_done(self.confirm, 4, "stale_plan", "www/d0/s0.php", "folder")

    def test_folder_became_a_link(self):
        self.scene.make_plan()
        folder = self.first.parent
        folder.rename(folder.with_name("away"))
        os.symlink("away", folder)
        self.nothing_done(self.confirm, 4, "stale_plan", "www/d0/s0.php")

    def test_file_became_a_link_to_it(self):
        self.scene.make_plan()
        self.first.rename(self.first.with_name("away"))
        os.symlink("away", self.first)
        self.nothing_done(self.confirm, 4, "stale_plan", "www/d0/s0.php")

    def test_every_stale_target_is_named(self):
        self.scene.make_plan()
        for path in (self.first, self.second):
            path.chmod(0o640)
        self.nothing_done(self.confirm, 4, "stale_plan", "op-0001", "op-0002", "www/d0/s0.php",
                          "www/d1/s1.php")


class Place(Refusal):
    def test_another_host(self):
        plan = self.scene.make_plan()
        self.crafted(host=plan["host"] | {"id": scene.sha256(b"another host"), "name": "exch02"})
        self.nothing_done(self.confirm, 4, "stale_plan", "exch02", "host")

    def test_another_machine_id(self):
        """The tool itself, on a host whose identity is another."""
        if os.geteuid() != 0 or not os.path.exists(scene.MACHINE_ID):
            self.skipTest("needs root and a machine id")
        identity = self.scene.base / "machine-id"
        identity.write_text("0123456789abcdef0123456789abcdef\n")
        script = f'mount --bind "{identity}" {scene.MACHINE_ID} && exec "$@"'
        self.scene.prefix = ["unshare", "-m", "sh", "-c", script, "sh"]
        probe = self.scene.execute(["unshare", "-m", "sh", "-c", script, "sh", "true"])
        if probe.code != 0:
            self.skipTest(f"no mount namespace: {probe.err.decode()}")
        self.scene.make_plan()
        self.scene.prefix = []
        self.nothing_done(self.confirm, 4, "stale_plan", "host")

    def test_another_root(self):
        self.scene.make_plan()
        root = self.scene.root
        root.rename(root.with_name("away"))
        shutil.copytree(root.with_name("away"), root)
        self.nothing_done(self.confirm, 4, "stale_plan", str(root), "not the directory")

    def test_root_that_is_gone(self):
        self.scene.make_plan()
        self.scene.root.rename(self.scene.base / "away")
        self.refused(self.confirm(), 1, "not_found", str(self.scene.root))
        self.assertTrue((self.scene.base / "away/www/d0/s0.php").exists())

    def test_root_outside_the_policy(self):
        self.scene.write_policy(allowed_roots=["/srv"])
        ended = self.scene.json(*self.scene.plan_arguments())
        self.refused(ended, 1, "refused", str(self.scene.root))
        self.assertFalse(self.scene.plan_file.exists())


class Time(Refusal):
    def test_expired(self):
        self.scene.make_plan()
        self.crafted(created="2026-01-01T00:00:00Z", expires="2026-01-02T00:00:00Z")
        self.nothing_done(self.confirm, 4, "stale_plan", "expired", "2026-01-02T00:00:00Z")
        self.scene.identity("alice")
        self.refused(self.scene.approve("alice"), 4, "stale_plan", "expired")

    def test_from_the_future(self):
        self.scene.make_plan()
        self.crafted(created="2199-01-01T00:00:00Z", expires="2199-01-02T00:00:00Z")
        self.nothing_done(self.confirm, 4, "stale_plan", "clock")

    def test_the_policy_sets_the_lifetime(self):
        self.scene.write_policy(approval={"plan_lifetime_hours": 1, "approvers": ["alice.crt"]})
        self.scene.identity("alice")
        plan = self.scene.make_plan()
        self.assertEqual(plan["created"][13:], plan["expires"][13:])
        hours = int(plan["expires"][11:13]) - int(plan["created"][11:13])
        self.assertEqual(hours % 24, 1)

    def test_a_crafted_lifetime_longer_than_the_policy_allows(self):
        plan = self.scene.make_plan()
        self.crafted(created=plan["created"], expires="2199-01-01T00:00:00Z")
        self.nothing_done(self.confirm, 4, "stale_plan", "2199-01-01T00:00:00Z")

    def test_replayed(self):
        before = self.scene.tree()
        self.scene.make_plan()
        run = self.ok(self.confirm()).json()["run_id"]
        after = self.scene.manifest()
        self.refused(self.confirm(), 4, "stale_plan", "applied before", run)
        self.assertEqual(self.scene.manifest(), after)
        self.ok(self.scene.json("rollback", run))
        self.refused(self.confirm(), 4, "stale_plan", "applied before", run)
        self.assertEqual(self.scene.tree(), before)
        self.verified()


class Tampered(Refusal):
    OTHER = {str: lambda v: ("0" if v[:1] != "0" else "1") + v[1:], int: lambda v: v + 1,
             bool: lambda v: not v, list: lambda v: v[1:] if v else [{}],
             dict: lambda v: {**v, next(iter(v)): "changed"}}

    def test_every_top_level_field(self):
        plan = self.scene.make_plan()
        original = self.scene.plan_file.read_bytes()
        self.assertGreater(len(plan), 12)
        for key, value in plan.items():
            with self.subTest(key=key):
                changed = plan | {key: self.OTHER[type(value)](value)}
                self.assertNotEqual(changed[key], value)
                self.scene.plan_file.write_text(json.dumps(changed, indent=2))
                ended = self.confirm(plan["plan_id"])
                self.assertIn(ended.code, (4, 65), str(ended))
                self.nothing_done(lambda: self.confirm(plan["plan_id"]), ended.code,
                                  {4: "stale_plan", 65: "bad_input"}[ended.code], "plan.json")
            with self.subTest(removed=key):
                self.scene.plan_file.write_text(
                    json.dumps({k: v for k, v in plan.items() if k != key}, indent=2))
                # Plans of older versions have no "policy": without it only the id is wrong.
                code = (4, "stale_plan") if key == "policy" else (65, "bad_input")
                self.nothing_done(lambda: self.confirm(plan["plan_id"]), *code, "plan.json")
        self.scene.plan_file.write_bytes(original)
        self.ok(self.confirm())

    def test_bytes(self):
        plan_id = self.scene.make_plan()["plan_id"]
        original = self.scene.plan_file.read_bytes()
        changes = {
            "blank at the end": original + b" ",
            "cut": original[:-10],
            "unknown key": original.replace(b"{", b'{"extra": 1,', 1),
            "key twice": original.replace(b'"nonce"', b'"format_version": 1, "nonce"', 1),
            "upper case id": original.replace(plan_id.encode(), plan_id.upper().encode(), 1),
            "formatting": json.dumps(json.loads(original)).encode(),
        }
        for name, data in changes.items():
            with self.subTest(change=name):
                self.scene.plan_file.write_bytes(data)
                ended = self.confirm(plan_id)
                self.assertIn(ended.code, (4, 65), str(ended))
                self.nothing_done(lambda: self.confirm(plan_id), ended.code,
                                  ended.json()["error"]["code"], "plan.json")

    def test_every_tenth_bit_flip(self):
        plan_id = self.scene.make_plan()["plan_id"]
        original = self.scene.plan_file.read_bytes()
        before = self.scene.manifest()
        for place in range(0, len(original), max(1, len(original) // 60)):
            data = bytearray(original)
            data[place] ^= 1
            self.scene.plan_file.write_bytes(data)
            ended = self.confirm(plan_id)
            self.assertIn(ended.code, (4, 5, 65), f"byte {place}: {ended}")
        self.assertEqual(self.scene.manifest(), before)

    def test_a_crafted_plan_cannot_reach_outside_its_root(self):
        outside = self.scene.base / "outside.php"
        outside.write_bytes(scene.shell_text("outside"))
        plan = self.scene.make_plan()
        for components in (["..", "outside.php"], ["www", "..", "..", "outside.php"], [""],
                           ["/", "outside.php"], ["www", "", "s0.php"], ["."]):
            with self.subTest(components=components):
                operations = json.loads(json.dumps(plan["operations"]))
                operations[0]["path"] = self.path_of(operations[0]["path"], components)
                data, plan_id = with_id(plan | {"operations": operations})
                self.scene.plan_file.write_bytes(data)
                before = self.scene.manifest()
                ended = self.confirm(plan_id)
                self.assertNotIn(ended.code, (0, 2, 3), str(ended))
                self.assertIn("error", ended.json())
                self.assertEqual(self.scene.manifest(), before)
                self.assertTrue(outside.exists())

    @staticmethod
    def path_of(model, components):
        """A path in the form that plans have."""
        import base64
        raw = "/".join(components)
        encode = lambda text: base64.b64encode(text.encode()).decode()
        if isinstance(model, dict):
            return {"display": raw, "raw": encode(raw)}
        if isinstance(model, list):
            return [encode(component) for component in components]
        return encode(raw)


class Approval(Refusal):
    def setUp(self):
        super().setUp()
        for name in ("alice", "bob", "stranger"):
            self.scene.identity(name)

    def policy(self, threshold=1, names=("alice", "bob"), **sections):
        self.scene.write_policy(approval={"approvers": [f"{name}.crt" for name in names],
                                          "threshold": threshold}, **sections)

    def test_missing_confirmation(self):
        self.scene.make_plan()
        self.nothing_done(lambda: self.scene.json("apply", self.scene.plan_file), 5, "approval",
                          "not confirmed")
        remedy = self.scene.json("apply", self.scene.plan_file).json()["error"]["remedy"]
        self.assertIn("--confirm PLAN_ID", remedy)
        self.assertNotIn("approve", remedy)

    def test_wrong_confirmation(self):
        plan_id = self.scene.make_plan()["plan_id"]
        for wrong in ("0" * 32, plan_id[:-1], plan_id.upper() + "x", " " + plan_id):
            with self.subTest(confirm=wrong):
                self.nothing_done(lambda: self.confirm(wrong), 5, "approval", "--confirm",
                                  "not this plan's id")

    def test_unsigned(self):
        self.policy()
        self.scene.make_plan()
        self.nothing_done(self.confirm, 5, "approval", "no signature file")
        self.nothing_done(lambda: self.scene.json("apply", self.scene.plan_file), 5, "approval",
                          "asks for 1 approval and", "no signature file")
        remedy = self.confirm().json()["error"]["remedy"]
        self.assertIn("remediate approve", remedy)
        self.assertIn("--confirm stands for no signature", remedy)

    def test_signed_is_enough(self):
        self.policy()
        self.scene.make_plan()
        self.ok(self.scene.approve("bob"))
        self.assertEqual(self.ok(self.scene.json("apply", self.scene.plan_file)).json()["status"],
                         "done")
        self.verified()

    def test_two_are_asked_for(self):
        self.policy(2)
        self.scene.make_plan()
        self.ok(self.scene.approve("alice"))
        self.nothing_done(self.confirm, 5, "approval", "asks for 2 approvals and 1 hold")
        again = self.scene.approve("alice")
        if again.code == 0:
            self.nothing_done(self.confirm, 5, "approval", "asks for 2 approvals and 1 hold")
        else:
            self.assertIn("error", again.json())
        self.ok(self.scene.approve("bob"))
        self.ok(self.confirm())

    def test_stranger(self):
        self.policy()
        self.scene.make_plan()
        self.ok(self.scene.approve("stranger"))
        ended = self.confirm()
        self.nothing_done(self.confirm, 5, ended.json()["error"]["code"])
        self.assertIn(ended.json()["error"]["code"], ("approval", "signature"))

    def test_stranger_beside_one_of_two(self):
        self.policy(2)
        self.scene.make_plan()
        self.ok(self.scene.approve("alice"))
        self.ok(self.scene.approve("stranger"))
        self.nothing_done(self.confirm, 5, self.confirm().json()["error"]["code"])

    def test_a_certificate_of_the_same_name(self):
        self.policy(names=("alice",))
        self.scene.make_plan()
        pinned = (self.scene.base / "alice.crt").read_bytes()
        self.scene.identity("alice")
        self.ok(self.scene.approve("alice"))
        (self.scene.base / "alice.crt").write_bytes(pinned)
        self.nothing_done(self.confirm, 5, self.confirm().json()["error"]["code"])

    def test_signature_of_another_plan(self):
        self.policy()
        self.scene.make_plan()
        self.ok(self.scene.approve("alice"))
        signature = self.scene.base / "plan.json.p7s"
        other = signature.read_bytes()
        signature.unlink()
        self.scene.make_plan()
        signature.write_bytes(other)
        self.nothing_done(self.confirm, 5, "signature")

    def test_changed_after_signing(self):
        """With the id that belongs to the new bytes: only the signature tells."""
        self.policy()
        plan = self.scene.make_plan()
        self.ok(self.scene.approve("alice"))
        self.crafted(operations=plan["operations"][:1])
        self.nothing_done(self.confirm, 5, "signature")

    def test_damaged_signature(self):
        self.policy()
        self.scene.make_plan()
        self.ok(self.scene.approve("alice"))
        signature = self.scene.base / "plan.json.p7s"
        good = signature.read_bytes()
        for name, data in {"empty": b"", "cut": good[:-5], "text": b"signed, alice",
                           "tail": good + b"\0", "flip": good[:-9] + b"\0" + good[-8:],
                           "large": b"\x30" * (2 << 20)}.items():
            with self.subTest(change=name):
                signature.write_bytes(data)
                self.nothing_done(self.confirm, 5 if name != "large" else self.confirm().code,
                                  self.confirm().json()["error"]["code"])
        signature.write_bytes(good)
        self.ok(self.confirm())

    def test_attached_signature(self):
        self.policy()
        self.scene.make_plan()
        subprocess.run(["openssl", "cms", "-sign", "-binary", "-nodetach", "-cades", "-outform",
                        "DER", "-in", self.scene.plan_file, "-signer",
                        self.scene.base / "alice.crt", "-inkey", self.scene.base / "alice.key",
                        "-out", self.scene.base / "plan.json.p7s"], check=True,
                       capture_output=True, timeout=scene.TIMEOUT)
        self.nothing_done(self.confirm, 5, "signature")

    def test_detached_signature_by_openssl_is_good(self):
        self.policy()
        self.scene.make_plan()
        subprocess.run(["openssl", "cms", "-sign", "-binary", "-cades", "-outform", "DER", "-in",
                        self.scene.plan_file, "-signer", self.scene.base / "alice.crt", "-inkey",
                        self.scene.base / "alice.key", "-out",
                        self.scene.base / "plan.json.p7s"], check=True, capture_output=True,
                       timeout=scene.TIMEOUT)
        self.ok(self.confirm())

    def test_confirming_another_id_of_a_signed_plan(self):
        self.policy()
        self.scene.make_plan()
        self.ok(self.scene.approve("alice"))
        self.nothing_done(lambda: self.confirm("0" * 32), 5, "approval", "not this plan's id")


class Policy(Refusal):
    def test_changed_since_the_plan(self):
        self.scene.write_policy(limits={"max_files": 40})
        self.scene.make_plan()
        self.scene.write_policy(limits={"max_files": 41})
        self.nothing_done(self.confirm, 4, "stale_plan", "policy has changed")
        made_under = str(self.scene.policy)
        digest = self.scene.plan()["policy_sha256"]
        self.scene.policy = None
        self.nothing_done(self.confirm, 4, "stale_plan", "no policy is in use here",
                          "--policy is missing", made_under, digest)
        self.assertIn(f"--policy {made_under}", self.confirm().json()["error"]["remedy"])

    def test_made_without_one(self):
        """Also by a version of the tool that did not record where the policy lies."""
        policy, self.scene.policy = self.scene.policy, None
        self.scene.make_plan()
        self.assertEqual(self.scene.plan()["policy"], "")
        self.scene.policy = policy
        self.nothing_done(self.confirm, 4, "stale_plan", "it was made under the built-in policy",
                          f"in use here is the policy {policy}")
        old = self.scene.plan()
        del old["policy"]
        self.scene.plan_file.write_bytes(with_id(old)[0])
        self.scene.policy = None
        self.assertNotIn("policy", self.confirm().json().get("error", {}).get("message", ""))

    def test_limits(self):
        for limits in ({"max_files": 1}, {"max_files_per_indicator": 1},
                       {"max_percent": 0, "small_scope_files": 1}):
            with self.subTest(limits=limits):
                self.scene.write_policy(limits=limits)
                plan = self.scene.make_plan()
                self.assertTrue(any(limit["fired"] for limit in plan["limits"]))
                self.nothing_done(self.confirm, 5, "approval", "limit reached", "allows 1",
                                  "has 2")

    def test_limits_hold_whatever_the_plan_says(self):
        """A crafted plan that calls its own limits unfired."""
        for limits in ({"max_files": 1}, {"max_files_per_indicator": 1},
                       {"max_percent": 0, "small_scope_files": 1}):
            with self.subTest(limits=limits):
                self.scene.write_policy(limits=limits)
                plan = self.scene.make_plan()
                for limit in plan["limits"]:
                    limit["fired"] = False
                self.crafted(limits=plan["limits"])
                self.nothing_done(self.confirm, 5, "approval", "limit reached")
                self.crafted(limits=[])
                self.nothing_done(self.confirm, 5, "approval", "limit reached")

    def test_protected_paths_hold_whatever_the_plan_says(self):
        self.scene.make_plan()
        crafted = self.scene.plan()
        policy_before = crafted["policy_sha256"]
        self.scene.write_policy(protected=["www/d0/**"])
        protected = self.scene.make_plan()
        self.assertEqual([o["address"] for o in protected["operations"]], ["www/d1/s1.php"])
        self.assertEqual(protected["exclusions"][0]["address"], "www/d0/s0.php")
        self.assertNotEqual(protected["policy_sha256"], policy_before)
        self.crafted(operations=crafted["operations"])
        self.nothing_done(self.confirm, 5, "approval", "www/d0/s0.php", "protected")

    def test_writable_by_others(self):
        self.scene.write_policy()
        self.scene.policy.chmod(0o666)
        ended = self.scene.json(*self.scene.plan_arguments())
        self.refused(ended, 78, "configuration", str(self.scene.policy), "written by others")
        self.scene.policy.chmod(0o600)
        self.scene.make_plan()
        self.scene.policy.chmod(0o620)
        self.nothing_done(self.confirm, 78, "configuration", "written by others")

    def test_folder_writable_by_others(self):
        folder = self.scene.base / "open"
        folder.mkdir()
        self.scene.write_policy()
        self.scene.policy = self.scene.policy.rename(folder / "policy.json")
        folder.chmod(0o777)
        self.refused(self.scene.json(*self.scene.plan_arguments()), 78, "configuration",
                     str(folder))

    def test_owned_by_another_user(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to give a file away")
        self.scene.write_policy()
        os.chown(self.scene.policy, 33, -1)
        self.refused(self.scene.json(*self.scene.plan_arguments()), 78, "configuration", "33")

    def test_given_and_absent(self):
        self.scene.policy = self.scene.base / "absent.json"
        ended = self.scene.json(*self.scene.plan_arguments())
        self.assertNotEqual(ended.code, 0)
        self.assertIn("absent.json", ended.json()["error"]["message"])

    def test_keys(self):
        self.scene.identity("alice")
        bad = {
            "unknown key": ({"limit": {}}, "limit"),
            "unknown limit": ({"limits": {"max_file": 1}}, "max_file"),
            "text for a number": ({"limits": {"max_files": "1"}}, "/limits/max_files"),
            "negative": ({"limits": {"max_files": -1}}, "/limits/max_files"),
            "fraction": ({"limits": {"max_files": 1.5}}, "/limits/max_files"),
            "over a hundred": ({"limits": {"max_percent": 101}}, "/limits/max_percent"),
            "threshold without approvers": ({"approval": {"threshold": 1}}, "/approval"),
            "threshold zero": ({"approval": {"threshold": 0, "approvers": ["alice.crt"]}},
                               "/approval/threshold"),
            "lifetime": ({"approval": {"plan_lifetime_hours": 0, "approvers": ["alice.crt"]}},
                         "/approval/plan_lifetime_hours"),
            "relative root": ({"allowed_roots": ["srv"]}, "/allowed_roots"),
            "empty glob": ({"protected": [""]}, "/protected"),
            "version": ({"format_version": 2}, "/format_version"),
            "no certificate": ({"approval": {"approvers": ["nobody.crt"]}}, "nobody.crt"),
            "a key for a certificate": ({"approval": {"approvers": ["alice.key"]}}, "alice.key"),
            "one certificate twice": ({"approval": {"approvers": ["alice.crt", "./alice.crt"],
                                                    "threshold": 2}}, "alice.crt"),
            "no recovery certificate": ({"vault": {"recovery": ["nobody.crt"]}}, "nobody.crt"),
        }
        unusable = {"no certificate", "one certificate twice", "no recovery certificate"}
        before = self.scene.manifest()
        for name, (sections, reason) in bad.items():
            with self.subTest(policy=name):
                self.scene.write_policy(**sections)
                code, word = (78, "configuration") if name in unusable else (65, "bad_input")
                self.refused(self.scene.json(*self.scene.plan_arguments()), code, word, reason,
                             str(self.scene.base))
        for name, text in {"not JSON": "{", "a key twice":
                           '{"format_version":1,"limits":{},"limits":{}}', "empty": ""}.items():
            with self.subTest(policy=name):
                self.scene.policy.write_text(text)
                self.refused(self.scene.json(*self.scene.plan_arguments()), 65, "bad_input",
                             str(self.scene.policy))
        self.assertEqual(self.scene.manifest(), before)

    def test_unreadable_protected_glob_stops_everything(self):
        self.scene.write_policy(protected=["www/[*"])
        ended = self.scene.json(*self.scene.plan_arguments())
        if ended.code == 0:
            plan = ended.json()
            self.assertEqual(plan["operations"], [])
            self.assertTrue(all("www/[*" in e["reason"] for e in plan["exclusions"]))
            self.assertEqual(len(plan["exclusions"]), 2)
        else:
            self.refused(ended, 65, "bad_input", "www/[*")


class Operator(Refusal):
    def test_signed_plan_is_not_overwritten(self):
        self.scene.make_plan()
        before = self.scene.plan_file.read_bytes()
        words = self.scene.plan_arguments()
        self.scene.plan_file.write_bytes(before)
        (self.scene.base / "plan.json.p7s").write_bytes(b"signatures")
        self.refused(self.scene.json(*words), 1, "already_exists", "not overwritten")
        self.assertEqual(self.scene.plan_file.read_bytes(), before)

    def test_what_is_no_file_is_not_replaced(self):
        for name, make in (("fifo", os.mkfifo), ("link", lambda path: path.symlink_to("else"))):
            with self.subTest(name):
                self.scene.plan_file = self.scene.base / name
                make(self.scene.plan_file)
                self.refused(self.scene.json(*self.scene.plan_arguments()), 1, "refused", name)
                self.assertFalse(self.scene.plan_file.is_file())

    def test_nothing_begins_without_the_signer_key(self):
        self.scene.make_plan()
        self.assertEqual(self.scene.run("init").code, 0)
        key = self.scene.store / "keys" / "signer.key"
        key.rename(self.scene.base / "signer.key")
        self.refused(self.scene.apply(), 78, "configuration", "cannot sign")
        (self.scene.base / "signer.key").rename(key)
        self.ok(self.scene.apply())

    def test_a_root_without_any_folder_of_the_playbook_is_an_issue(self):
        empty = self.scene.base / "empty"
        empty.mkdir()
        self.scene.root = empty
        plan = self.ok(self.scene.json(*self.scene.plan_arguments())).json()
        self.assertEqual([issue["kind"] for issue in plan["issues"]], ["nothing_searched"])


class Playbook(Refusal):
    def test_revoked_and_outdated(self):
        for changes, reason in (({"revoked": True}, "revoked"),
                                ({"valid_until": "2026-01-02T00:00:00Z"}, "valid until")):
            with self.subTest(changes=changes):
                self.scene.playbooks[0].write_text(json.dumps(scene.playbook(**changes)))
                self.refused(self.scene.json(*self.scene.plan_arguments()), 65, "bad_input",
                             reason)

    def test_given_twice(self):
        self.scene.playbooks *= 2
        self.refused(self.scene.json(*self.scene.plan_arguments()), 65, "bad_input", "twice")

    def test_hostile(self):
        """None gives a plan."""
        page = {"id": "mark", "name": "n", "scopes": ["web"], "confidence": "high",
                "authorises": "remove"}
        empty = scene.sha256(b"")
        hostile = {
            "no scope": {"scopes": []},
            "root scope": {"scopes": [{"id": "web", "folder": "/", "include": ["**"]}]},
            "drive scope": {"scopes": [{"id": "web", "folder": "C:\\", "include": ["**"]}]},
            "dots": {"scopes": [{"id": "web", "folder": "/www/../etc", "include": ["**"]}]},
            "a name only": {"indicators": [page | {"match": {"path": ["**/a.php"]}}]},
            "empty file": {"indicators": [page | {"match": {"sha256": [empty]}}]},
            "anything": {"indicators": [page | {"match": {"regex": {"pattern": ".*"}}}]},
            "not": {"indicators": [page | {"match": {"not": {"sha256": [scene.sha256(b"x")]}}}]},
            "a program": {"steps": [{"id": "x", "action": "exec", "command": "true"}]},
        }
        step = [{"id": "remove", "action": "quarantine", "indicators": ["mark"]}]
        before = self.scene.manifest()
        for name, changes in hostile.items():
            with self.subTest(playbook=name):
                self.scene.playbooks[0].write_text(
                    json.dumps(scene.playbook(**({"steps": step} | changes))))
                self.refused(self.scene.json(*self.scene.plan_arguments()), 65, "bad_input",
                             "playbook.json")
                self.assertFalse(self.scene.plan_file.exists())
        self.assertEqual(self.scene.manifest(), before)


if __name__ == "__main__":
    scene.main()
