"""Inert PHP pages for the tests of real servers. Each prints a mark that its own text does not
hold, so a mark in an answer tells that PHP ran the page; what the playbook looks for is put together
here and stands in comments.
"""
import pathlib
import struct
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
        self.site = self.scene.root / SITE
        self.put("index.php", page("PAGE"))
        self.put("other/about.php", page("ABOUT"))
        self.put("uploads/dot.png", image("PLAIN"))
        self.put("uploads/s.php", shell())
        self.server, self.asked = None, 0

    def put(self, below, data):
        return self.scene.write(pathlib.Path(SITE, below), data)

    def get(self, path):
        return self.server.get(path)

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
        self.assertEqual(self.scene.tree(), before)
