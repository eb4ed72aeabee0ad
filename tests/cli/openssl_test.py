"""The store's files with stock openssl, by the commands that the documentation gives."""
import os
import subprocess

import scene
from scene import Case


class Stock(Case):
    def setUp(self):
        super().setUp()
        for name in ("alice", "bob"):
            self.scene.identity(name)
        self.scene.write_policy(approval={"approvers": ["alice.crt", "bob.crt"], "threshold": 2})
        self.originals = {scene.sha256(path.read_bytes()) for path in self.scene.shells(3)}
        self.scene.make_plan()
        self.ok(self.scene.approve("alice"))
        self.ok(self.scene.approve("bob"))
        self.run_id = self.ok(self.scene.apply()).json()["run_id"]
        self.folder = self.scene.run_folder(self.run_id)
        self.head = self.scene.head(self.run_id)
        self.signer = self.scene.store / "keys/signer.crt"

    def openssl(self, *words):
        return subprocess.run(["openssl", *map(str, words)], check=False, capture_output=True,
                              cwd=self.scene.base, timeout=scene.TIMEOUT)

    def verify(self, content, *trust, signature=None):
        signature = signature or f"{content}.p7s"
        # With a pinned certificate and no chain, OpenSSL does not check the CAdES attributes.
        cades = [] if "-noverify" in trust else ["-cades"]
        return self.openssl("cms", "-verify", "-binary", *cades, "-inform", "DER", "-in",
                            signature, "-content", content, *trust, "-purpose", "any", "-out",
                            "/dev/null")

    def good(self, ended):
        self.assertEqual(ended.returncode, 0, ended.stderr)
        self.assertIn(b"successful", ended.stderr)

    def bad(self, ended):
        self.assertNotEqual(ended.returncode, 0)

    def signed(self):
        approvers = self.scene.base / "approvers.pem"
        approvers.write_bytes(b"".join((self.scene.base / f"{name}.crt").read_bytes()
                                       for name in ("alice", "bob")))
        return ((self.folder / "manifest.json", self.signer), (self.head, self.signer),
                (self.folder / "plan.json", approvers))

    def test_signatures_with_the_certificate_as_anchor(self):
        for content, trust in self.signed():
            with self.subTest(file=content.name):
                self.good(self.verify(content, "-CAfile", trust))

    def test_signatures_with_a_pinned_certificate(self):
        for content, trust in self.signed():
            with self.subTest(file=content.name):
                self.good(self.verify(content, "-certfile", trust, "-nointern", "-noverify"))

    def test_tampered_content_fails(self):
        for content, trust in self.signed():
            data = content.read_bytes()
            for name, changed in {"flip": bytes([data[0] ^ 1]) + data[1:], "tail": data + b"\n",
                                  "cut": data[:-1], "line ends": data.replace(b"\n", b"\r\n"),
                                  }.items():
                with self.subTest(file=content.name, change=name):
                    copy = self.scene.base / "copy"
                    copy.write_bytes(changed)
                    self.bad(self.verify(copy, "-CAfile", trust, signature=f"{content}.p7s"))

    def test_another_certificate_fails(self):
        self.scene.identity("eve")
        eve = self.scene.base / "eve.crt"
        for content, _ in self.signed():
            with self.subTest(file=content.name):
                self.bad(self.verify(content, "-CAfile", eve))
                self.bad(self.verify(content, "-certfile", eve, "-nointern", "-noverify"))

    def test_every_approver_has_to_be_trusted(self):
        self.bad(self.verify(self.folder / "plan.json", "-CAfile", self.scene.base / "alice.crt"))

    def test_the_head_is_that_of_the_journal(self):
        lines = self.scene.journal(self.run_id).read_bytes().splitlines()
        head = scene.one_document(self.head.read_bytes())
        self.assertEqual((head["run"], head["length"]), (self.run_id, len(lines)))
        self.assertEqual(head["head"], scene.sha256(lines[-1]))
        previous = None
        for number, line in enumerate(lines, 1):
            record = scene.one_document(line)
            self.assertEqual(record["seq"], number)
            if previous is not None:
                self.assertEqual(record["prev"], scene.sha256(previous))
            previous = line

    def test_the_manifest_binds_plan_approvals_and_objects(self):
        manifest = scene.one_document((self.folder / "manifest.json").read_bytes())
        text = (self.folder / "manifest.json").read_text()
        for name in ("plan.json", "plan.json.p7s"):
            self.assertIn(scene.sha256((self.folder / name).read_bytes()), text)
        for item in self.scene.objects():
            self.assertEqual(scene.sha256(item.read_bytes()), item.stem)
            self.assertIn(item.stem, text)
        self.assertEqual(len(manifest["entries"]), 3)

    def decrypt(self, item, key=None, certificate=None):
        keys = self.scene.store / "keys"
        out = self.scene.base / "opened"
        if out.exists():
            out.unlink()
        ended = self.openssl("cms", "-decrypt", "-binary", "-inform", "DER", "-in", item, "-recip",
                             certificate or keys / "recovery.crt", "-inkey",
                             key or keys / "recovery.key", "-out", out)
        return ended, out.read_bytes() if out.exists() else b""

    def test_objects_open_with_the_recovery_key(self):
        opened = set()
        for item in self.scene.objects():
            ended, data = self.decrypt(item)
            self.assertEqual(ended.returncode, 0, ended.stderr)
            opened.add(scene.sha256(data))
        self.assertEqual(opened, self.originals)

    def test_a_damaged_object_gives_nothing(self):
        item = self.scene.objects()[0]
        good = item.read_bytes()
        original = self.decrypt(item)[1]
        self.assertIn(scene.sha256(original), self.originals)
        copy = self.scene.base / "copy.p7m"
        sealed = len(good) - len(original) - 18  # ciphertext, then the header and 16 bytes of tag
        for place in [*range(0, sealed, 11), *range(sealed, len(good), 5)]:
            copy.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1:])
            ended, data = self.decrypt(copy)
            if place >= sealed:
                self.assertNotEqual(ended.returncode, 0, f"byte {place}")
            if ended.returncode == 0:
                self.assertEqual(data, original, f"byte {place} gives other bytes")

    def test_another_key_opens_nothing(self):
        self.scene.identity("eve")
        ended, data = self.decrypt(self.scene.objects()[0], self.scene.base / "eve.key",
                                   self.scene.base / "eve.crt")
        self.assertNotEqual(ended.returncode, 0)
        self.assertNotIn(scene.sha256(data), self.originals)

    def test_nobody_else_can_read_the_store(self):
        for folder, folders, files in os.walk(self.scene.store):
            for name in [*folders, *files]:
                path = os.path.join(folder, name)
                if "/hold/" in path and name.startswith("op-"):
                    continue  # the original with its own mode, below a private folder
                mode = os.lstat(path).st_mode & 0o7777
                self.assertEqual(mode & 0o022, 0, path)
                if not name.endswith(".crt"):
                    self.assertEqual(mode & 0o077, 0, path)


if __name__ == "__main__":
    scene.main()
