#!/usr/bin/env python3
"""Measures `remediate plan` beside find, sha256sum, ripgrep and yara over one tree, one after the
other, and prints the medians and their ratio with the target.

run.sh [TREE] [--files N] [--megabytes N] [--tries N] [--quarantined N] [--sealed MIB] [--yara FILE]
       [--full]
Without TREE one is made in $TMPDIR or /var/tmp (150,000 files, 2,100 MB) and removed again. --full
adds the memory that 1,000,000 files take. $REMEDIATE names the tool (default: build/release). The
programs of tests/bench that it is compared with are looked for beside it (`ninja bench_programs`);
cold reads need the right to drop the caches. --yara measures with public rules beside made ones.
What cannot be measured is said.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shlex
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parents[2]
TOOL = os.environ.get("REMEDIATE", str(HERE / "build/release/remediate/cli/remediate"))
PROGRAMS = pathlib.Path(TOOL).resolve().parents[2] / "tests/bench"
DROP = pathlib.Path("/proc/sys/vm/drop_caches")
LIMIT = 900  # seconds for one command
WORDS = ("function return array string echo include require class public static header content page "
         "menu style index query insert value false true session user login title body width").split()
# Neither is in the tree: what is measured is looking, not telling. All begin and end with words.
NEEDLES = [rf"{verb}\s*\(\s*\$_{source}\[" for verb in ("eval", "assert", "system", "passthru",
                                                           "shell_exec", "popen")
           for source in ("GET", "POST", "REQUEST", "COOKIE", "SERVER")]
KINDS = (".php", ".aspx", ".js", ".css", ".html", ".config")


def shipped_expressions(most=30):
    """The first expressions of the shipped playbooks, with (?i) where the case is ignored."""
    found = []

    def walk(node):
        if isinstance(node, dict):
            regex = node.get("regex")
            if isinstance(regex, dict):
                text = ("(?i)" if regex.get("ignore_case") else "") + regex["pattern"]
                if text not in found:
                    found.append(text)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)
    for book in sorted((HERE / "playbooks").glob("*.json")):
        walk(json.loads(book.read_text())["indicators"])
    return found[:most]


def indicator(expression):
    ignores = expression.startswith("(?i)")
    return {"regex": {"pattern": expression[4 if ignores else 0:], "ignore_case": ignores}}


def for_ripgrep(expression):
    """Its dialect has no escapes of what needs none."""
    return re.sub(r"\\([\"'/<>])", r"\1", expression)


def as_yara_rule(number, expression):
    ignores = expression.startswith("(?i)")
    text = expression[4 if ignores else 0:].replace("(?:", "(")
    text = re.sub(r"(?<!\\)/", r"\/", text)
    return f"rule r{number} {{ strings: $a = /{text}/{'is' if ignores else 's'} condition: $a }}\n"


def drop_caches():
    os.sync()
    DROP.write_text("3\n")


def run(words, tries=1, before=None, watch=None):
    """Median wall seconds, and the most memory in MiB; the first try warms the cache. `before` runs
    before each try, then the first counts too; `watch` is called all the time."""
    seconds, memory = [], 0
    for attempt in range(1 if before else 0, tries + 1):
        if before:
            before()
        start = time.monotonic()
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        timer = start + LIMIT
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > timer:
                process.kill()
                raise SystemExit(f"more than {LIMIT} s: {shlex.join(map(str, words))}")
            if watch:
                watch()
            time.sleep(0.0005)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode not in (0, 1 if words[0] == "rg" else 0):
            raise SystemExit(f"exit {process.returncode}: {shlex.join(map(str, words))}")
        memory = max(memory, usage.ru_maxrss / 1024)
        if attempt:
            seconds.append(time.monotonic() - start)
    return statistics.median(seconds), memory


def make_tree(top, files, megabytes, seed=7):
    """Text of words, in folders of 100 files; a few sizes, with the mean that is asked for."""
    chance = random.Random(seed)
    block = " ".join(chance.choice(WORDS) for _ in range(400_000)).encode()
    mean = megabytes * 1_000_000 / files if files else 0
    for number in range(files):
        folder = top / f"site{number // 20_000}" / f"app{number // 1000 % 20}" / f"part{number // 100 % 10}"
        if number % 100 == 0:
            folder.mkdir(parents=True, exist_ok=True)
        size = int(mean * chance.choice((0.1, 0.3, 0.6, 1.0, 3.0)))
        start = chance.randrange(0, max(len(block) - size, 1))
        (folder / f"page_{number}{KINDS[number % 6]}").write_bytes(block[start:start + size])


class Flight:
    """Reads that the disk of a folder has at the same time, at most, as the kernel counts them."""
    def __init__(self, folder):
        device = os.stat(folder).st_dev
        self.file = pathlib.Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/inflight")
        self.most = 0

    def __call__(self):
        try:
            self.most = max(self.most, int(self.file.read_text().split()[0]))
        except (OSError, IndexError, ValueError):
            self.most = 0  # no disk of its own


class Bench:
    def __init__(self, base, tree, tries, public):
        self.base, self.tree, self.tries, self.public, self.rows = base, tree, tries, public, []
        self.files, self.bytes = 0, 0
        for folder, _, names in os.walk(tree):
            self.files += len(names)
            self.bytes += sum(os.lstat(os.path.join(folder, name)).st_size for name in names)

    def playbook(self, name, *matches, folder=None, max_file_size=None):
        book = {
            "format_version": 1, "id": "playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b10",
            "name": "Bench", "description": "What is measured.", "revision": 1,
            "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z",
            "author": "tests", "tlp": "clear", "references": [{"source": "tests"}],
            "attack": ["T1505.003"], "scopes": [{"id": "all", "folder": f"/{folder or self.tree.name}", "include": ["**"]}],
            "indicators": [{"id": f"i{number}", "name": "I", "scopes": ["all"], "match": match,
                            "confidence": "low", "authorises": "review"}
                           for number, match in enumerate(matches)],
            "steps": [{"id": "look", "action": "instruct", "text": "Look.",
                       "indicators": [f"i{number}" for number in range(len(matches))]}]}
        if max_file_size:
            book["max_file_size"] = max_file_size
        file = self.base / f"{name}.json"
        file.write_text(json.dumps(book))
        return file

    def plan(self, playbook, tree=None):
        return [TOOL, "-q", "--store", str(self.base / "store"), "--format", "json", "plan", "--root",
                str((tree or self.tree).parent), "-p", str(playbook)]

    def row(self, what, target, mine, other, unit="s"):
        ratio = mine / other if other else None
        met = "" if target is None else "met" if (ratio if ratio is not None else mine) <= target \
            else "missed"
        shown = f"{mine:.3f} {unit}" + (f" / {other:.3f} {unit} = {ratio:.2f}" if other else "")
        print(f"{what:58} target {target if target is not None else '-':>6}  {shown:32} {met}",
              flush=True)
        self.rows.append((what, target, mine, other, met))

    def shell(self, text):
        return run(["sh", "-c", text], self.tries)[0]

    def compare(self):
        tree = shlex.quote(str(self.tree))
        path = {"path": ["**/not-there-*.aspx"]}
        digests = {"sha256": ["1" * 64]}
        mine, _ = run(self.plan(self.playbook("paths", path)), self.tries)
        self.row("paths / find -type f | wc -l", 0.8, mine, self.shell(f"find {tree} -type f | wc -l"))
        # Reading every file and nothing else, in two threads as the tool does.
        loop = self.program("bare_loop")
        if loop is None:
            return self.left_out("what reads files", f"{PROGRAMS}/bare_loop is not built")
        floor, _ = run([loop, self.tree, "2", "read"], self.tries)
        mine, _ = run(self.plan(self.playbook("digests", digests)), self.tries)
        self.row("digest of every file / every file read", 2.4, mine, floor)
        bare, _ = run([loop, self.tree, "2", "digest"], self.tries)
        self.row("  the same / a bare loop that digests", None, mine, bare)
        self.row("digest of every file / sha256sum, two processes", 0.45, mine, self.shell(
            f"find {tree} -type f -print0 | xargs -0 -n 500 -P 2 sha256sum > /dev/null"))
        self.compare_regexes("30 shipped regexes", shipped_expressions(), floor)
        self.compare_regexes("30 regexes of words", NEEDLES, floor)
        self.compare_yara()
        return None

    def compare_regexes(self, name, expressions, floor):
        what = f"digests + {name}"
        book = self.playbook("regexes", {"sha256": ["1" * 64]}, *map(indicator, expressions))
        mine, _ = run(self.plan(book), self.tries)
        self.row(f"{what} / every file read", 4, mine, floor)
        list_file = self.base / "expressions"
        list_file.write_text("".join(line + "\n" for line in expressions))
        if portable := self.program("regex_bench"):
            other, _ = run([portable, self.tree, list_file, "portable"], self.tries)
            self.row(f"{what}, RE2 alone / every file read", 7, other, floor)
        if self.searches(list_file):
            bare, _ = run([self.program("bare_loop"), self.tree, "2", "search", list_file], self.tries)
            self.row("  the same / a bare loop with digests and Hyperscan", None, mine, bare)
        if shutil.which("rg"):
            asked = [word for line in expressions for word in ("-e", for_ripgrep(line))]
            other, _ = run(["rg", "--multiline", "--multiline-dotall", "-uuu", "-l", "-j", "2", *asked,
                            str(self.tree)], self.tries)
            self.row(f"{what} / rg --multiline", 0.3, mine, other)
        if shutil.which("yara"):
            rules = "".join(as_yara_rule(number, line) for number, line in enumerate(expressions))
            self.row(f"{what} / yara -r -p 2", 0.25, mine, self.yara("same", rules))

    def searches(self, expressions):
        """Whether the bare loop can look for expressions in this build and on this machine."""
        (self.base / "empty.php").touch()
        asked = [self.program("bare_loop"), self.base, "1", "search", expressions]
        return subprocess.run(asked, stdout=subprocess.DEVNULL, timeout=LIMIT).returncode == 0

    def yara(self, name, rules):
        file = self.base / f"{name}.yar"
        file.write_text(rules)
        given = [word for variable in ("filename", "filepath", "extension", "filetype", "owner")
                 for word in ("-d", f"{variable}=")]
        return run(["yara", "-w", "-r", "-p", "2", *given, str(file), str(self.tree)], self.tries)[0]

    def compare_yara(self):
        if not shutil.which("yara"):
            return
        script = "".join(
            f'rule s{number} {{ strings: $a = "{word}_exec" nocase $b = /{word}\\s*\\(/ nocase '
            f'condition: $a and $b and filesize < 1MB }}\n' for number, word in enumerate(WORDS))
        sets = [("YARA rules for scripts", script)]
        if self.public:
            sets.append(("public YARA rules", self.public.read_text(errors="surrogateescape")))
        for name, rules in sets:
            other = self.yara("rules", rules)
            gated, _ = run(self.plan(self.playbook(
                "gated", {"all": [{"path": ["**/*.php"]}, {"yara": {"rules": rules}}]})), self.tries)
            self.row(f"{name}, by name first / yara -r -p 2", 0.3, gated, other)
            whole, memory = run(self.plan(self.playbook("whole", {"yara": {"rules": rules}})), self.tries)
            self.row(f"{name}, every file / yara -r -p 2", 1.1, whole, other)
            self.row("  memory of it, MiB, each process", None, memory, 0, "MiB")

    def hostile(self):
        """One file of one line, of the size that playbooks may ask for by default and beyond."""
        folder = self.base / "hostile" / "tree"
        folder.mkdir(parents=True)
        size = 100_000_000
        with open(folder / "line.php", "wb") as out:
            for _ in range(size // 1_000_000):
                out.write(b"eval ( $_GET" * 83_333 + b"xxxx")
        regexes = [{"regex": {"pattern": needle}} for needle in NEEDLES]
        book = self.playbook("hostile", {"sha256": ["1" * 64]}, *regexes, folder="tree",
                             max_file_size=256 << 20)
        seconds, memory = run(self.plan(book, folder), self.tries)
        rate = size / 1e6 / seconds
        met = "met" if rate >= 50 and memory <= 128 else "missed"
        shown = f"{rate:.0f} MB/s, {memory:.0f} MiB (128)"
        print(f"{'one line of 100 MB, read whole':58} target   50+  {shown:32} {met}", flush=True)
        self.rows.append(("hostile", 50, rate, memory, met))
        shutil.rmtree(folder)

    def memory(self, counts):
        book = self.playbook("memory", {"path": ["**/not-there-*.aspx"]}, {"sha256": ["1" * 64]},
                             folder="tree")
        for count in counts:
            with tempfile.TemporaryDirectory(dir=self.base) as name:
                tree = pathlib.Path(name) / "tree"
                make_tree(tree, count, count / 1000)
                _, memory = run(self.plan(book, tree))
                self.row(f"peak memory, {count:,} files, digests", 96, memory, 0, "MiB")

    def left_out(self, what, why):
        print(f"{what:58} not measured: {why}", flush=True)
        self.rows.append((what, None, 0, 0, "left out"))

    def program(self, name):
        path = PROGRAMS / name
        return path if os.access(path, os.X_OK) else None

    def cold(self):
        what = "digest of every file, cold / bare loop, 16 readers"
        loop = self.program("bare_loop")
        if loop is None:
            return self.left_out(what, f"{PROGRAMS}/bare_loop is not built")
        try:
            drop_caches()
        except OSError as error:
            return self.left_out(what, f"the caches cannot be dropped: {error}")
        flight = Flight(self.tree)
        plan = self.plan(self.playbook("cold", {"sha256": ["1" * 64]}))
        mine, _ = run(plan, self.tries, drop_caches, flight)
        other, _ = run([loop, self.tree, "16", "digest"], self.tries, drop_caches)
        self.row(what, 1.3, mine, other)
        if flight.most == 0:
            return self.left_out("  reads in flight", "the folder has no disk that counts them")
        met = "met" if flight.most >= 16 else "missed"
        print(f"{'  reads in flight at the disk, at most':58} target   16+  {flight.most:<32} {met}")
        self.rows.append(("reads in flight", 16, flight.most, 0, met))

    def quarantine(self, files, megabytes):
        def told(name, *words):
            program = self.program(name)
            if program is None:
                self.left_out(name, f"{PROGRAMS}/{name} is not built")
                return None
            return subprocess.run([program, *map(str, words), self.base], check=True, text=True,
                                  stdout=subprocess.PIPE, timeout=LIMIT).stdout
        if text := told("quarantine_bench", files):
            seconds = {line[:8].strip(): float(line.split(": ")[1].split()[0])
                       for line in text.splitlines()}
            self.row(f"{files:,} files of 4 KiB quarantined / bare batch", 1.5, seconds["tool"],
                     seconds["batch"])
        if text := told("seal_bench", megabytes):
            words = text.replace(",", "").split()
            self.row(f"{megabytes:,} MiB sealed / bare loop", 1.25, float(words[4]), float(words[7]))

    def start_up(self):
        empty = self.base / "empty" / "tree"
        empty.mkdir(parents=True)
        words = self.plan(self.playbook("start", {"path": ["x"]}, folder="tree"), empty)
        self.row("start-up, one indicator, no file", 0.05, run(words, 9)[0], 0)
        shipped = sorted((HERE / "playbooks").glob("*.json"))
        words = self.plan(shipped[0], empty)
        for book in shipped[1:]:
            words += ["-p", str(book)]
        self.row(f"start-up, {len(shipped)} shipped playbooks, no file", 0.05, run(words, 9)[0], 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", nargs="?", type=pathlib.Path)
    parser.add_argument("--files", type=int, default=150_000)
    parser.add_argument("--megabytes", type=int, default=2_100)
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--quarantined", type=int, default=1000)
    parser.add_argument("--sealed", type=int, default=1024)
    parser.add_argument("--yara", type=pathlib.Path)
    parser.add_argument("--full", action="store_true")
    chosen = parser.parse_args()
    if not os.access(TOOL, os.X_OK):
        raise SystemExit(f"{TOOL} is no program: build it, or set REMEDIATE")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the tree is removed
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="remediate-bench-",
                                     dir=os.environ.get("TMPDIR", "/var/tmp")) as name:
        base = pathlib.Path(name)
        tree = chosen.tree and chosen.tree.resolve()
        if tree is None:
            free = shutil.disk_usage(base).free
            if free < (chosen.megabytes + 3000) * 1_000_000:
                raise SystemExit(f"{base} has {free >> 20} MiB free: give a TREE, or set TMPDIR")
            tree = base / "tree"
            tree.mkdir()
            make_tree(tree, chosen.files, chosen.megabytes)
        bench = Bench(base, tree, chosen.tries, chosen.yara)
        print(f"{bench.files:,} files, {bench.bytes / 1e6:,.0f} MB; {os.cpu_count()} processors; load "
              f"{os.getloadavg()[0]:.1f}; medians of {chosen.tries}, warm cache")
        bench.start_up()
        bench.compare()
        bench.cold()
        bench.quarantine(chosen.quarantined, chosen.sealed)
        bench.hostile()
        bench.memory([chosen.files // 15, chosen.files * 2 // 3] + ([1_000_000] if chosen.full else []))
        missed = sum(row[4] == "missed" for row in bench.rows)
        left = sum(row[4] == "left out" for row in bench.rows)
        print(f"bench: {len(bench.rows)} rows, {missed} targets missed, {left} not measured, load "
              f"{os.getloadavg()[0]:.1f}, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
