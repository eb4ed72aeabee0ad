"""YARA rules in processes of their own: the same hits as the `yara` command, and what hangs, uses up
memory or dies is listed as not evaluated while all other files are judged."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import unittest

import scene
from scene import Case, wait_for

FILES = int(os.environ.get("YARA_FILES", "400"))
WORDS = ["ev" "al", "base64_dec" "ode", "gzinfl" "ate", "assert", "request", "sample", "needle", "<?",
         "php", "cmd", "aspx", "script", "runat", "server", "index", "style"]
MIB = 1 << 20
MARK = "MARK-[0-9a-f]{8}"

RULES = r"""
rule text { meta: author = "tests" score = 80 strings: $a = "needle" condition: $a }
rule no_case { strings: $a = "REQUEST" nocase fullword condition: $a }
rule both { strings: $a = "cmd" $b = "script" condition: $a and $b and filesize < 3KB }
rule wide_text { strings: $a = "server" wide condition: $a }
rule expression { strings: $a = /sample\s{0,4}(index|style)/ condition: $a }
rule count { strings: $a = "runat" condition: #a > 3 and @a[1] < 500 }
rule bytes { strings: $a = { 4D 5A ?? 00 [2-6] 50 45 } condition: $a at 0 or uint16(0) == 0x5a4d }
rule by_name { condition: extension == ".aspx" and filename matches /^f[0-9]+5\./ }
private rule hidden { strings: $a = "gzinfl" condition: $a }
rule uses_hidden { strings: $a = "assert" condition: hidden and $a }
"""


def indicators(rules, **more):
    return [{"id": "rules", "name": "Rules", "scopes": ["web"], "match": {"yara": {"rules": rules}},
             "confidence": "high", "authorises": "review"},
            {"id": "mark", "name": "A mark", "scopes": ["web"], "match": {"regex": {"pattern": MARK}},
             "confidence": "high", "authorises": "remove"}, *more.get("others", [])]


class Yara(Case):
    def setUp(self):
        super().setUp()
        if b"this build has no YARA" in self.check(RULES).out:
            self.skipTest("this build has no YARA")

    def check(self, rules, **more):
        book = scene.playbook(indicators=indicators(rules, **more), steps=[
            {"id": "look", "action": "instruct", "indicators": ["rules"],
             "text": "Look at what was found."},
            {"id": "remove", "action": "quarantine", "indicators": ["mark"]}],
            scopes=[{"id": "web", "folder": "/www", "include": ["**"]}])
        self.scene.playbooks[0].write_text(json.dumps(book))
        return self.scene.json("check", self.scene.playbooks[0])

    def plan(self, *options, code=0):
        ended = self.scene.json(*options, "plan", "--root", self.scene.root, "-p",
                                self.scene.playbooks[0])
        return self.ok(ended, code).json()

    def hits(self, document):
        """(file, rule) of every reason that is a YARA rule."""
        found = set()
        for review in document["reviews"]:
            for reason in review["why"]:
                if reason["kind"] == "yara":
                    rule = reason["text"][len("YARA rule "):].split(",")[0]
                    found.add((review["address"], rule))
        return found

    def tree(self, seed=20):
        chance = random.Random(seed)
        for number in range(FILES):
            words = [chance.choice(WORDS) for _ in range(chance.randrange(0, 400))]
            data = chance.choice([" ", "", "\n", "  "]).join(words).encode()
            if chance.random() < 0.15:
                data = data.decode().encode("utf-16-le")
            if chance.random() < 0.1:
                data = b"MZ\x01\x00" + bytes(chance.randrange(0, 8)) + b"PE" + data
            if chance.random() < 0.1:
                data = data.upper()
            kind = chance.choice([".php", ".aspx", ".txt", ""])
            self.scene.write(f"www/d{number % 7}/f{number}{kind}", data)

    def by_command(self, rules):
        """What the yara command says, one call a file: its external variables are those of a file."""
        file = self.scene.base / "rules.yar"
        file.write_text(rules)
        compiled = self.scene.base / "rules.yac"
        names = [option for name in ("filename", "filepath", "extension", "filetype", "owner")
                 for option in ("-d", f"{name}=")]
        subprocess.run(["yarac", *names, file, compiled], check=True, capture_output=True)
        found = set()
        for path in sorted(self.scene.root.rglob("*")):
            if not path.is_file():
                continue
            below = path.relative_to(self.scene.root).as_posix()
            ended = subprocess.run(
                ["yara", "-C", "-d", f"filename={path.name}", "-d", f"extension={path.suffix}",
                 compiled, path], check=True, capture_output=True)
            for line in ended.stdout.decode().splitlines():
                found.add((below, line.split(" ")[0]))
        return found


class Same(Yara):
    @unittest.skipUnless(shutil.which("yarac"), "the package yara is not installed")
    def test_the_hits_are_those_of_the_yara_command(self):
        self.tree()
        expected = self.by_command(RULES)
        self.ok(self.check(RULES))
        for options in ([], ["--no-sandbox"]):
            document = self.plan(*options)
            self.assertEqual(document["issues"], [])
            self.assertEqual(self.hits(document), expected)
        self.assertEqual({rule for _, rule in expected},
                         {"text", "no_case", "both", "wide_text", "expression", "count", "bytes",
                          "by_name", "uses_hidden"})
        print(f"yara: {FILES} files, {len(expected)} hits, the same as the command's, both ways")

    def test_rules_that_do_not_compile_are_an_error_that_names_them(self):
        self.check("rule a { condition: nothing }")
        ended = self.scene.json("plan", "--root", self.scene.root, "-p", self.scene.playbooks[0])
        said = self.refused(ended, 65, "bad_input", "rules")
        self.assertIn("nothing", said)


class NoProcesses(Yara):
    """Where no process for YARA can be made, only rules that are to be asked suffer."""

    def setUp(self):
        super().setUp()
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        self.scene.shell("www/a.php")
        self.scene.playbooks[0].write_text(json.dumps(scene.playbook()))
        # The first memory of its own that a plan makes is that of a worker.
        self.scene.prefix = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=memfd_create", "-e",
                             "inject=memfd_create:error=EMFILE:when=1"]

    def test_a_plan_without_rules_is_as_ever(self):
        document = self.ok(self.scene.json("plan", "--root", self.scene.root, "-p",
                                           self.scene.playbooks[0])).json()
        self.assertEqual([one["address"] for one in document["operations"]], ["www/a.php"])

    def test_a_plan_with_rules_says_why_not(self):
        self.scene.prefix, prefix = [], self.scene.prefix
        self.ok(self.check(RULES))
        self.scene.prefix = prefix
        ended = self.scene.json("plan", "--root", self.scene.root, "-p", self.scene.playbooks[0])
        said = self.refused(ended, 1, "io", "YARA cannot be run in processes of its own")
        self.assertIn("make room for a worker", said)


class Many(Yara):
    """A collection: many sources, all with a rule of the same name."""

    SOURCES = int(os.environ.get("YARA_SOURCES", "800"))

    def collection(self):
        return [{"id": f"source-{number}", "name": f"Source {number}", "scopes": ["web"],
                 "confidence": "high", "authorises": "review", "match": {"yara": {"rules":
                 f'rule same {{ meta: score = {number % 100} strings: $a = "token-{number:04}-x" '
                 '$b = /lo{2}k-[0-9]{4}-y/ condition: $a or $b }'}}}
                for number in range(self.SOURCES)]

    def test_each_source_finds_its_own_within_bounded_memory(self):
        book = scene.playbook(indicators=self.collection(), scopes=[
            {"id": "web", "folder": "/www", "include": ["**"]}], steps=[
            {"id": "look", "action": "instruct", "indicators": ["source-0"], "text": "Look."}])
        self.scene.playbooks[0].write_text(json.dumps(book))
        self.check_passes()
        chance = random.Random(3)
        expected = set()
        for file in range(40):
            chosen = sorted(chance.sample(range(self.SOURCES), chance.randrange(0, 90)))
            text = "\n".join(f"token-{number:04}-x" for number in chosen)
            self.scene.write(f"www/f{file}.txt", text.encode())
            expected |= {(f"www/f{file}.txt", f"source-{number}") for number in chosen}
        self.scene.write("www/all.txt", b"look-1234-y")
        expected |= {("www/all.txt", f"source-{number}") for number in range(self.SOURCES)}
        start = time.monotonic()
        process = self.scene.start("--format", "json", "plan", "--root", self.scene.root, "-p",
                                   self.scene.playbooks[0])
        self.addCleanup(scene.end_process, process)
        watch = Peak(process.pid)
        out, _ = process.communicate(timeout=scene.TIMEOUT)
        peak = watch.end()
        self.assertEqual(process.returncode, 0)
        document = scene.one_document(out)
        self.assertEqual(document["issues"], [])
        self.assertEqual({(one["address"], one["indicator"]) for one in document["reviews"]},
                         expected)
        self.assertGreater(peak, MIB)
        self.assertLess(peak, 512 * MIB)
        print(f"yara: {self.SOURCES} sources, {len(expected)} hits in 41 files, at most "
              f"{peak // MIB} MiB in all processes, {time.monotonic() - start:.1f} s")

    def check_passes(self):
        checked = self.ok(self.scene.json("check", self.scene.playbooks[0])).json()
        self.assertTrue(checked["ok"], checked)


class Bounds(Yara):
    """One hostile file among others."""

    def judged(self, document, seconds, *says):
        """The hostile file is an issue; its neighbours were judged, by YARA too."""
        [issue] = [issue for issue in document["issues"] if issue["kind"] == "not_evaluated"]
        self.assertIn("hostile", issue["where"])
        for text in ("indicator rules", "rule slow and 1 more", *says):
            self.assertIn(text, issue["reason"])
        removed = [one for one in document["operations"] if one["action"] == "quarantine"]
        self.assertEqual(len(removed), 6)
        found = {target for target, rule in self.hits(document) if rule == "needle"}
        self.assertEqual(len(found), 6)
        print(f"yara: hostile file: {issue['reason']}, {seconds:.1f} s")

    def neighbours(self):
        self.scene.shells(6)
        for number in range(6):
            self.scene.write(f"www/n{number}.txt", b"a needle\n")

    def timed(self):
        self.neighbours()
        start = time.monotonic()
        document = self.plan()
        return document, time.monotonic() - start

    SLOW = ('rule slow { strings: $a = /aa(a.){200,1000}z/ condition: $a } '
            'rule needle { strings: $a = "needle" condition: $a }')

    def test_a_file_that_takes_for_ever_is_not_evaluated(self):
        self.ok(self.check(self.SLOW))
        self.scene.write("www/hostile.txt", b"a" * (4 << 20))
        document, seconds = self.timed()
        self.judged(document, seconds)
        self.assertLess(seconds, 30)

    def test_rules_that_take_all_memory_are_not_evaluated(self):
        strings = " ".join(f'$s{length} = "{"a" * length}"' for length in range(4, 64))
        self.ok(self.check(f"rule slow {{ strings: {strings} condition: all of them }} "
                           'rule needle { strings: $a = "needle" condition: $a }'))
        self.scene.write("www/hostile.txt", b"a" * 900_000)
        document, seconds = self.timed()
        self.judged(document, seconds, "memory")

    def test_a_worker_that_is_killed_costs_its_file_only(self):
        self.ok(self.check(self.SLOW))
        self.scene.write("www/hostile.txt", b"a" * (4 << 20))
        self.neighbours()
        process = self.scene.start("--format", "json", "plan", "--root", self.scene.root, "-p",
                                   self.scene.playbooks[0])
        self.addCleanup(scene.end_process, process)

        def busy():
            for child in descendants(process.pid):
                if children_of(child):
                    continue
                try:
                    fields = pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(") ", 1)[1]
                except OSError:
                    continue
                # A second of a worker's own time: only the hostile file costs that.
                if int(fields.split()[11]) > os.sysconf("SC_CLK_TCK"):
                    return child
            return None
        start = time.monotonic()
        worker = wait_for(busy, "a worker that is busy", 30)
        os.kill(worker, signal.SIGKILL)
        out, _ = process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, 0)
        self.judged(scene.one_document(out), time.monotonic() - start, "signal 9")


class Peak:
    """The most memory that a process and all below it have together, looked at often."""

    def __init__(self, process):
        self.process, self.most, self.over = process, 0, threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while not self.over.wait(0.01):
            self.most = max(self.most, sum(share_of_memory(one) for one in
                                           [self.process, *descendants(self.process)]))

    def end(self):
        self.over.set()
        self.thread.join()
        return self.most


def share_of_memory(process):
    try:
        text = pathlib.Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return sum(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:"))


def children_of(process):
    try:
        path = pathlib.Path(f"/proc/{process}/task/{process}/children")
        return [int(child) for child in path.read_text(encoding="ascii").split()]
    except OSError:
        return []


def descendants(process):
    found = children_of(process)
    for child in list(found):
        found += descendants(child)
    return found


if __name__ == "__main__":
    sys.exit(scene.main())
