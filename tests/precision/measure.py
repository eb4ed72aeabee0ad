#!/usr/bin/env python3
"""Precision and recall of the indicators of a playbook over folders of samples and of applications.

measure.py PLAYBOOK... --bad NAME=FOLDER... --good NAME=FOLDER... [--half measuring|tuning|both]
           [--only INDICATOR...]
measure.py --self-test

The samples are read, never run. Files are grouped by content: white space, comments and case are
taken away, and files whose shingles are nearly the same are one group. A group goes to one half by
its hash: indicators are written by looking at the tuning half, figures are of the measuring half.
Only `match` indicators of `regex`, `all`, `any` and `not` are looked at, with the ending that the
scope of the indicator has; names that it leaves out count as any other. The engine is Python's `re`
over Latin-1, whose syntax RE2's is a part of.
"""
import argparse
import hashlib
import json
import pathlib
import re
import sys
import tempfile

MAX_BYTES = 2 << 20
SHINGLE = 6  # words
SLOTS = 32
SAME_SLOTS = 24  # of SLOTS: that many make two files one group
COMMENT = re.compile(rb"/\*.*?\*/|<!--.*?-->|<%--.*?--%>|(?m:^[ \t]*(?://|#|').*$)", re.S)
WORD = re.compile(rb"[a-z0-9_$]+|[^\sa-z0-9_$]")


def slots_of(data):
    """A MinHash of the file's shingles, and the digest of what is left of it."""
    words = WORD.findall(COMMENT.sub(b" ", data.lower()))[:50_000]
    plain = hashlib.sha256(b" ".join(words)).hexdigest()
    shingles = {b" ".join(words[at:at + SHINGLE]) for at in range(max(1, len(words) - SHINGLE + 1))}
    slots = [None] * SLOTS  # one permutation, the smallest of each of 32 ranges
    for shingle in shingles:
        value = int.from_bytes(hashlib.blake2b(shingle, digest_size=8).digest(), "big")
        slot = value % SLOTS
        if slots[slot] is None or value < slots[slot]:
            slots[slot] = value
    return plain, slots


class Groups:
    """Files that say nearly the same, by content; the folder they lie in does not matter."""

    def __init__(self):
        self.leader = {}  # plain -> group
        self.bands = {}
        self.slots = []

    def add(self, data):
        plain, slots = slots_of(data)
        if plain in self.leader:
            return self.leader[plain]
        group = next((known for key in self.keys(slots) for known in self.bands.get(key, [])
                      if self.same(self.slots[known], slots)), None)
        if group is None:
            group = len(self.slots)
            self.slots.append(slots)
            for key in self.keys(slots):
                self.bands.setdefault(key, []).append(group)
        self.leader[plain] = group
        return group

    @staticmethod
    def keys(slots):
        return [(at, tuple(slots[at:at + 2])) for at in range(0, SLOTS, 2)
                if any(slots[at:at + 2])]

    @staticmethod
    def same(a, b):
        full = sum(one is not None for one in a)
        equal = sum(one == other for one, other in zip(a, b) if one is not None)
        return full > 0 and equal * SLOTS >= SAME_SLOTS * full

    def half(self, group):
        seed = str(min(value for value in self.slots[group] if value is not None)).encode()
        return "measuring" if hashlib.sha256(seed).digest()[0] & 1 else "tuning"


def matcher(node):
    [(kind, value)] = node.items()
    if kind == "regex":
        flags = re.S | (re.I if value.get("ignore_case") else 0)
        return re.compile(value["pattern"].encode("latin-1"), flags).search
    if kind in ("all", "any"):
        parts = [matcher(one) for one in value]
        return (lambda data: all(one(data) for one in parts)) if kind == "all" else (
            lambda data: any(one(data) for one in parts))
    if kind == "path":  # as if the place did not count
        return lambda data: True
    if kind == "not":
        if list(value) == ["path"]:
            return lambda data: True
        part = matcher(value)
        return lambda data: not part(data)
    raise SystemExit(f"an indicator asks for {kind}, which is not measured here")


def endings_of(scope):
    found = set()
    for glob in scope["include"]:
        name = glob.rsplit(".", 1)[-1]
        found |= set(name.strip("{}").lower().split(","))
    return found


def indicators_of(paths, only=()):
    for path in paths:
        book = json.loads(pathlib.Path(path).read_text())
        scopes = {one["id"]: endings_of(one) for one in book["scopes"]}
        for one in book["indicators"]:
            if "match" in one and (not only or one["id"] in only):
                yield (one["id"], one["authorises"], matcher(one["match"]),
                       set().union(*(scopes[name] for name in one["scopes"])))


def files_below(folder):
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file() and not path.is_symlink() and path.stat().st_size <= MAX_BYTES:
            yield path


def measure(playbooks, bad, good, half, only=()):
    indicators = list(indicators_of(playbooks, only))
    endings = set().union(*(one[3] for one in indicators))
    groups, rows, false, sources = Groups(), {}, [], []
    for one in indicators:
        rows[one[0]] = {"authorises": one[1], "hits": set(), "false": set()}
    every, caught, harmless = {}, {}, set()
    for truth, folders in (("bad", bad), ("good", good)):
        for name, folder in folders:
            count = 0
            for path in files_below(folder):
                ending = path.suffix[1:].lower()
                if ending not in endings:
                    continue
                count += 1
                data = path.read_bytes()
                if not data.strip():
                    continue
                kind, group = ending_kind(ending), None
                if truth == "good":  # counted as files, so never grouped
                    harmless.add((kind, str(path)))
                else:
                    group = groups.add(data)
                    if half != "both" and groups.half(group) != half:
                        continue
                    every.setdefault(kind, set()).add(group)
                for identity, _, search, fits in indicators:
                    if ending not in fits or not search(data):
                        continue
                    if truth == "bad":
                        rows[identity]["hits"].add((kind, group))
                        caught.setdefault(kind, set()).add(group)
                    else:
                        rows[identity]["false"].add(str(path))
                        false.append((identity, f"{name}: {path.relative_to(folder)}"))
            sources.append((truth, name, count))
    return {"rows": rows, "every": every, "caught": caught, "harmless": harmless, "false": false,
            "sources": sources}


def ending_kind(ending):
    for kind, names in (("aspx", "aspx ashx asmx ascx master cshtml"), ("asp", "asp asa cer cdx"),
                        ("jsp", "jsp jspx jspf tag")):
        if ending in names.split():
            return kind
    return "php"


def show(found):
    for truth, name, count in found["sources"]:
        print(f"source\t{truth}\t{name}\t{count} files")
    print("indicator\tauthorises\tgroups hit\tfalse positives\tprecision")
    for identity, row in found["rows"].items():
        hits, wrong = len(row["hits"]), len(row["false"])
        precision = f"{100 * hits / (hits + wrong):.1f} %" if hits + wrong else "-"
        print(f"{identity}\t{row['authorises']}\t{hits}\t{wrong}\t{precision}")
    print("kind\tgroups\tfound\trecall\tharmless files")
    for kind, groups in sorted(found["every"].items()):
        hit = len(found["caught"].get(kind, ()))
        harmless = sum(one == kind for one, _ in found["harmless"])
        print(f"{kind}\t{len(groups)}\t{hit}\t{100 * hit / len(groups):.1f} %\t{harmless}")
    for identity, place in found["false"]:
        print(f"false positive\t{identity}\t{place}")


def self_test():
    """A sample, its near copy and an unlike one; an indicator that is right and one that is not."""
    words = [f"word{number}" for number in range(200)]
    first, other = " ".join(words).encode(), " ".join(reversed(words)).encode()
    near = b"/* another head */\n" + first.upper().replace(b" ", b"\n  ")
    groups = Groups()
    one = groups.add(first)
    if groups.add(near) != one or groups.add(other) == one:
        raise SystemExit("the grouping does not tell a near copy from another file")
    with tempfile.TemporaryDirectory() as folder:
        base = pathlib.Path(folder)
        for name, data in (("bad/a.php", first), ("bad/b.php", near), ("bad/c.php", other),
                           ("good/d.php", b"word7 and nothing else")):
            (base / name).parent.mkdir(exist_ok=True)
            (base / name).write_bytes(data)
        book = {"scopes": [{"id": "s", "include": ["**/*.{php,phtml}"]}], "indicators": [
            {"id": name, "authorises": "review", "scopes": ["s"],
             "match": {"all": [{"regex": {"pattern": pattern, "ignore_case": True}}]}}
            for name, pattern in (("right", r"word3\s+word4"), ("wrong", "word7"))]}
        (base / "book.json").write_text(json.dumps(book))
        found = measure([base / "book.json"], [("bad", base / "bad")], [("good", base / "good")],
                        "both")
    said = {name: (len(row["hits"]), len(row["false"])) for name, row in found["rows"].items()}
    if said != {"right": (1, 0), "wrong": (2, 1)} or len(found["every"]["php"]) != 2:
        raise SystemExit(f"the figures are wrong: {said}, {found['every']}")
    print("measure: 2 groups of 3 files, 1 planted false positive found")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("playbooks", nargs="*")
    parser.add_argument("--bad", nargs="+", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--good", nargs="+", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--half", choices=("measuring", "tuning", "both"), default="measuring")
    parser.add_argument("--only", nargs="+", default=[], metavar="INDICATOR")
    parser.add_argument("--self-test", action="store_true")
    options = parser.parse_args()
    if options.self_test:
        return self_test()
    if not options.playbooks or not options.bad:
        parser.error("name a playbook and folders of samples")

    def pairs(words):
        return [tuple(one.split("=", 1)) for one in words]
    show(measure(options.playbooks, pairs(options.bad), pairs(options.good), options.half,
                 options.only))


if __name__ == "__main__":
    sys.exit(main())
