"""Inert PHP pages for the tests of real servers. Each prints a mark that its own text does not
hold, so a mark in an answer tells that PHP ran the page; what the playbook looks for is put together
here and stands in comments.
"""
import os
import pathlib
import struct
import subprocess
import threading
import zlib

import scene
import servers

PLAYBOOK = scene.SHIPPED / "php-webroot.json"
SITE = "var/www/site"
OPEN, CLOSE = "<" + "?php", "?" + ">"
# In a comment only.
LOOK = "/* ev" + "al($_PO" + "ST['sample']) */"


def mark(word):
    return f"{word}-42".encode()


def page(word, more=""):
    return f"{OPEN} {more} echo '{word}-', 6 * 7, \"\\n\"; {CLOSE}\n".encode()


def shell(word="SHELL"):
    return page(word, LOOK)


def chunk(kind, data):
    return (struct.pack(">I", len(data)) + kind + data +
            struct.pack(">I", zlib.crc32(kind + data)))


def image(word="IMAGE"):
    """A picture of one dot with a page in its comment."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) +
            chunk(b"tEXt", b"Comment\0" + page(word)) + chunk(b"IDAT", zlib.compress(b"\0\0")) +
            chunk(b"IEND", b""))


class Site(scene.Case):
    """A site below the test's root, with a page of its own and a shell; the shipped playbook."""

    def setUp(self):
        super().setUp()
        self.scene.playbooks = [PLAYBOOK]
        self.site = self.document_root = self.scene.root / SITE
        self.fill()

    def fill(self):
        self.put("index.php", page("PAGE"))
        self.put("other/about.php", page("ABOUT"))
        self.put("uploads/dot.png", image("PLAIN"))
        self.put("uploads/s.php", shell())
        self.server, self.asked = None, 0

    def mount_document_root(self):
        """The folder of the site on a disk of its own, whose top is the document root: what a scope
        of the playbook names, and where the hold lies then."""
        self.document_root = self.site.parent
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m,mode=755", "none",
                        self.document_root], check=True, timeout=servers.TIMEOUT)
        self.addCleanup(subprocess.run, ["umount", "-l", self.document_root], check=True,
                        timeout=servers.TIMEOUT)
        self.fill()

    def apply_to_mount(self):
        """Where the server's user could rename a hold nothing is taken out; then root has the top."""
        self.scene.make_plan()
        refused = self.ok(self.scene.apply(), 3).json()
        self.assertIn("no hold is safe there",
                      "".join(one["reason"] for one in refused["operations"]))
        self.assertEqual(list(self.document_root.glob(".remediate*")), [])
        os.chown(self.document_root, 0, 0)
        before = self.scene.tree()
        self.runs("/uploads/s.php", "SHELL")
        self.scene.make_plan()
        return self.apply_done(), before

    def hold_is_not_served(self):
        """What was removed lies below the document root, and no URL leads to its bytes."""
        [hold] = self.document_root.glob(".remediate-hold-*")
        status = hold.stat()
        self.assertEqual((status.st_uid, status.st_gid, status.st_mode & 0o7777), (0, 0, 0o700))
        held = [path for path in hold.rglob("*") if path.is_file()]
        self.assertEqual([path.read_bytes() for path in held], [shell()])
        asked = [hold, *hold.rglob("*")]
        for path in asked:
            below = "/" + str(path.relative_to(self.document_root))
            for url in (below, below + "/", below.replace(".", "%2e", 1), "/x/.." + below):
                answer = self.server.get(url)
                self.assertIn(answer.status, (403, 404), f"{url}: {answer}")
                for secret in (mark("SHELL"), LOOK.encode(), held[0].name.encode()):
                    self.assertNotIn(secret, answer.body.replace(url.encode(), b""), url)
        # The same request reaches what the server may read: it is the hold that refuses.
        hold.chmod(0o755)
        for path in asked:
            path.chmod(0o755)
        self.assertEqual(
            self.server.get("/" + str(held[0].relative_to(self.document_root))).status, 200)
        for path in asked:
            path.chmod(0o700 if path.is_dir() else 0o644)
        print(f"{len(asked) * 4} requests for what lies in the hold: refused")

    def put(self, below, data):
        return self.scene.write(pathlib.Path(SITE, below), data)

    def get(self, path):
        front = self.site.relative_to(self.document_root)
        return self.server.get(path if front == pathlib.Path(".") else f"/{front}{path}")

    def runs(self, path, word):
        answer = self.get(path)
        self.assertEqual(answer.status, 200, f"{path}: {answer}")
        self.assertIn(mark(word), answer.body, path)
        return answer

    def gone(self, path):
        answer = self.get(path)
        self.assertEqual(answer.status, 404, f"{path}: {answer}")

    def served_as_image(self, path, data):
        answer = self.get(path)
        self.assertEqual((answer.status, answer.kind), (200, "image/png"), f"{path}: {answer}")
        self.assertEqual(answer.body, data, path)

    def neighbours(self):
        self.runs("/index.php", "PAGE")
        self.runs("/other/about.php", "ABOUT")
        self.served_as_image("/uploads/dot.png", image("PLAIN"))

    def apply_done(self):
        document = self.ok(self.scene.apply()).json()
        self.assertEqual(document["status"], "done", document)
        return document["run_id"]

    def apply_done_watched(self, path, word):
        """The run and how often the page was asked for while it was applied."""
        return self.watched(path, word, self.apply_done)

    def watched(self, path, word, work):
        """What `work` gives, and how often `path` was asked meanwhile; every answer has to hold."""
        self.asked, failed, stop = 0, [], threading.Event()

        def ask():
            while not stop.is_set():
                try:
                    answer = self.get(path)
                    if answer.status != 200 or mark(word) not in answer.body:
                        failed.append(str(answer))
                except OSError as error:
                    failed.append(repr(error))
                self.asked += 1

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            servers.until(lambda: self.asked > 0, "the first answer")
            given = work()
        finally:
            asked = self.asked
            servers.until(lambda: self.asked > asked, "an answer after it")
            stop.set()
            asking.join(servers.TIMEOUT)
        self.assertEqual(failed, [], f"{len(failed)} of {self.asked} answers")
        return given, self.asked

    def roll_back(self, run, before):
        document = self.ok(self.scene.json("rollback", run)).json()
        self.assertEqual(document["status"], "done", document)
        for hold in self.document_root.glob(".remediate-hold-*/run-*"):
            hold.rmdir()  # empty folders are left
            hold.parent.rmdir()
        self.assertEqual(self.scene.tree(), before)
