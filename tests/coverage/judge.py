#!/usr/bin/env python3
"""Judges coverage: what no test reached must be explained, branch by branch.

judge.py [--list] [--coarse] ROOT LCOV JSON EXPLAINED    (both as llvm-cov exports them)
judge.py --self-test

EXPLAINED has a row for each uncovered place, keyed by what the source says and not by where it
stands: path, function, source text without its indent, what is missing, reason, separated by tabs.
  path      may be a glob
  function  as in "FileRestore::place", or "*"; a lambda belongs to the function around it
  text      "..." in it stands for anything
  missing   "line", "1f" (condition 1 of the line is never false), "2t", separated by commas; "*" for
            whatever is missing there. With a "?" behind it is missing in some runs only.
Everything that is missing needs a row, and every row must name what is missing. `--list` prints the
rows that are lacking, with "?" as their reason; `--coarse` prints how many lines and branches each
row stands for that leaves its function, its text or what is missing open: its reason has to hold for
all of them. Exit 0: nothing is unexplained and no row is stale.
"""

import collections
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile

EXPANSION = 1  # the kind of a region
FOLDERS = ("quarantine", "remediate/journal", "remediate/run", "remediate/host")


def short_names(mangled):
    """Mangled names, each to its class and name without namespaces, parameters, templates."""
    names = sorted(mangled)
    answer = subprocess.run(["c++filt", "-p"], input="\n".join(names), capture_output=True, text=True,
                            check=True, timeout=60).stdout.split("\n")
    short = {}
    for name, clear in zip(names, answer):
        clear = clear.replace("(anonymous namespace)::", "").split("[abi:")[0]
        previous = None
        while previous != clear:
            previous, clear = clear, re.sub(r"<[^<>]*>", "", clear)
        inside_lambda = "{lambda" in clear or "'lambda" in clear or "$_" in clear
        parts = clear.split()[-1].split("::") if clear.split() else [clear]
        first = next((i for i, part in enumerate(parts) if part[:1].isupper()), len(parts) - 1)
        short[name] = None if inside_lambda else "::".join(parts[first:])
    return short


class Source:
    def __init__(self):
        self.functions = []  # first line, last line, mangled name
        self.lines = {}
        self.counts = collections.Counter()  # (line, place in the line, side): how often

    def branches(self):
        """By line: "1t", "1f", "2t" ... and how often each was taken. Copies of a template are one."""
        found = collections.defaultdict(dict)
        conditions = collections.defaultdict(set)
        for line, place, _ in self.counts:
            conditions[line].add(place)
        for line, places in conditions.items():
            for number, place in enumerate(sorted(places), 1):
                for side in "tf":
                    found[line][f"{number}{side}"] = self.counts[line, place, side]
        return found


def read_sources(lcov, export, root):
    sources = collections.defaultdict(Source)

    def ours(path):
        name = os.path.relpath(os.path.realpath(path), os.path.realpath(root))
        return sources[name] if name.startswith(tuple(one + "/" for one in FOLDERS)) else None

    branching = collections.defaultdict(set)  # lines with a condition that is none at compile time
    with open(lcov, encoding="utf-8") as file:
        source = None
        for row in file:
            key, _, value = row.strip().partition(":")
            if key == "SF":
                source, name = ours(value), value
            elif source and key == "DA":
                number, count = map(int, value.split(",")[:2])
                source.lines[number] = max(source.lines.get(number, 0), count)
            elif source and key == "BRDA":
                branching[name].add(int(value.split(",")[0]))
    with open(export, encoding="utf-8") as file:
        functions = json.load(file)["data"][0]["functions"]
    for function in functions:
        name = function["filenames"][0]
        source = ours(name)
        if source is None:
            continue
        first = function["regions"][0]
        source.functions.append((first[0], first[2], function["name"].split(":")[-1]))
        # What a macro holds counts where the macro is used.
        used = {region[6]: region for region in function["regions"] if region[7] == EXPANSION}
        for branch in function["branches"]:
            place, file_id, line = [branch[0], branch[1]], branch[6], branch[0]
            while file_id in used:
                site = used[file_id]
                place, file_id, line = list(site[:2]) + place, site[5], site[0]
            if file_id != 0 or line not in branching[name]:
                continue
            source.counts[line, tuple(place), "t"] += branch[4]
            source.counts[line, tuple(place), "f"] += branch[5]
    return sources


class Row:
    def __init__(self, number, path, function, text, missing, reason):
        self.number, self.path, self.function, self.text, self.reason = number, path, function, text, reason
        self.pattern = re.compile(".*".join(map(re.escape, text.split("..."))))
        self.places = {one.strip().rstrip("?"): one.strip().endswith("?") for one in missing.split(",")}
        self.used = set()
        self.count = 0  # lines and branches that it explains

    def coarse(self):
        return "..." in self.text or "*" in self.places or self.function == "*"

    def fits(self, path, function, text):
        return (fnmatch.fnmatchcase(path, self.path) and self.function in ("*", function)
                and self.pattern.fullmatch(text) is not None)

    def takes(self, missing):
        taken = missing if "*" in self.places else missing & set(self.places)
        self.used |= {"*"} if taken and "*" in self.places else taken
        self.count += len(taken)
        return taken

    def stale(self):
        return [place for place, at_times in self.places.items() if not at_times and place not in self.used]


def read_explained(path):
    rows = []
    with open(path, encoding="utf-8") as file:
        for number, row in enumerate(file, 1):
            row = row.rstrip("\n")
            if not row or row.startswith("#"):
                continue
            parts = [part.strip() for part in row.split("\t")]
            if len(parts) != 5 or not all(parts) or parts[-1] == "?":
                sys.exit(f"{path}:{number}: path, function, text, missing, reason, separated by tabs")
            if not all(re.fullmatch(r"(line|\*|\d+[tf])\??", one.strip()) for one in parts[3].split(",")):
                sys.exit(f"{path}:{number}: missing is '*' or a list of line, 1t, 1f, 2t ...")
            rows.append(Row(number, *parts))
    return rows


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def judge(root, lcov, export, explained_path):
    """The table's rows, what nobody explained, what is explained but reached, and the coarse rows."""
    sources = read_sources(lcov, export, root)
    rows = read_explained(explained_path)
    names = short_names({name for one in sources.values() for _, _, name in one.functions})
    totals = {folder: collections.Counter() for folder in FOLDERS}
    unexplained = []
    for path, source in sorted(sources.items()):
        total = totals[next(one for one in FOLDERS if path.startswith(one + "/"))]
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = [row.strip() for row in file]
        functions = sorted({(start, end, names[name]) for start, end, name in source.functions if names[name]})
        branches = source.branches()
        for number in sorted(set(source.lines) | set(branches)):
            known = branches.get(number, {})
            missing = {place for place, taken in known.items() if taken == 0}
            total["branches"] += len(known)
            total["branches reached"] += len(known) - len(missing)
            if number in source.lines:
                total["lines"] += 1
                total["lines reached"] += source.lines[number] > 0
                if source.lines[number] == 0:
                    missing = {"line"}  # what never runs has no sides: the line stands for them
            if not missing or text[number - 1] in ("}", "};", "} else {"):
                continue
            function = next((name for start, end, name in reversed(functions) if start <= number <= end), "-")
            left = set(missing)
            for row in rows:
                if row.fits(path, function, text[number - 1]):
                    left -= row.takes(missing)
            total["explained"] += len(missing) - len(left)
            total["unexplained"] += len(left)
            if left:
                unexplained.append((path, number, function, text[number - 1], ",".join(sorted(left))))
    stale = [(row, place) for row in rows for place in row.stale()]
    return totals, unexplained, stale, [row for row in rows if row.coarse()]


def report(arguments):
    show, show_coarse = "--list" in arguments, "--coarse" in arguments
    arguments = [one for one in arguments if one not in ("--list", "--coarse")]
    if len(arguments) != 4:
        sys.exit(__doc__)
    totals, unexplained, stale, coarse = judge(*arguments)
    print("| Folder | Lines | Branches | Explained | Unexplained |\n|---|---|---|---|---|")
    for folder, total in totals.items():
        if not total["lines"]:
            sys.exit(f"{folder}: no coverage data")
        print(f"| `{folder}/` | {percent(total['lines reached'], total['lines'])} of {total['lines']} "
              f"| {percent(total['branches reached'], total['branches'])} of {total['branches']} "
              f"| {total['explained']} | {total['unexplained']} |")
    for path, number, function, text, missing in unexplained:
        if show:
            print("\t".join((path, function, text, missing, "?")))
        else:
            print(f"{path}:{number}: {missing}: {text}")
    for row in coarse if show_coarse else ():
        print(f"{arguments[3]}:{row.number}: stands for {row.count}: {row.path} {row.function}: {row.text}")
    for row, place in stale:
        print(f"{arguments[3]}:{row.number}: fits nothing that is missing: {place}: {row.text}")
    return 1 if unexplained or stale else 0


SOURCE = """int Thing::look(int a, int b) {
  if (a > 1 && b > 1) return 3;
  if (b == 9) return 4;
  return 5;
}
"""
LCOV = """SF:{root}/quarantine/thing.cpp
DA:1,7
DA:2,7
BRDA:2,0,0,3
BRDA:3,0,0,3
DA:3,7
DA:4,{last}
end_of_record
"""


def planted(root, nine):
    """Two copies of a template; the condition of line 3 stands in a macro of another file."""
    path = f"{root}/quarantine/thing.cpp"
    copies = []
    for name, first, second in (("_ZN10quarantine5Thing4lookIiEEii", 3, 0), ("_ZN10quarantine5Thing4lookIlEEii", 0, 4)):
        copies.append({
            "name": name, "filenames": [path, f"{root}/macro.h"],
            "regions": [[1, 33, 5, 2, 7, 0, 0, 0], [3, 3, 3, 6, 7, 0, 1, EXPANSION]],
            "branches": [[2, 7, 2, 12, first, second, 0, 0, 4], [2, 16, 2, 21, 0, first, 0, 0, 4],
                         [90, 7, 90, 9, nine, 7, 1, 0, 4], [4, 3, 4, 9, 0, 0, 0, 0, 4]]})
    return json.dumps({"data": [{"functions": copies}]})


KEY = "quarantine/*.cpp\tThing::look\t"


def self_test():
    both = KEY + "if (a > 1 && b > 1) return 3;\t2t\tb is small\n"
    cases = (  # rows, nine, last, what is unexplained, what is stale
        ("", 1, 1, ["2t"], []),
        (both, 1, 1, [], []),
        (both, 0, 1, ["1t"], []),
        (both, 1, 0, ["line"], []),
        (both.replace("2t", "2f"), 1, 1, ["2t"], ["2f"]),
        (both.replace("2t", "2t,1f"), 1, 1, [], ["1f"]),
        (both.replace("2t", "2t,1f?"), 1, 1, [], []),
        (both.replace("2t", "*"), 1, 1, [], []),
        (both.replace("Thing::look", "Thing::other"), 1, 1, ["2t"], ["2t"]),
        (both.replace("Thing::look", "*"), 1, 1, [], []),
        (both.replace("a > 1", "a > 2"), 1, 1, ["2t"], ["2t"]),
        (both.replace("a > 1 &&", "...&&"), 1, 1, [], []),
        (both.replace("quarantine/", "remediate/run/"), 1, 1, ["2t"], ["2t"]),
        (both + KEY + "if (b == 9) return 4;\t1t\tnever nine\n", 1, 1, [], ["1t"]),
        (both + KEY + "if (b == 9) return 4;\t1t\tnever nine\n", 0, 1, [], []),
        (KEY + "...\t*\twhole function\n", 0, 0, [], []),
        ("# nothing\n\n" + both, 1, 1, [], []),
    )
    counts = {both.replace("2t", "*"): [1], both.replace("Thing::look", "*"): [1],
              both.replace("a > 1 &&", "...&&"): [1], KEY + "...\t*\twhole function\n": [3]}
    bad = 0
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(os.path.join(root, "quarantine"))
        paths = [os.path.join(root, name) for name in ("quarantine/thing.cpp", "lcov", "json", "explained")]
        for number, (rows, nine, last, unexplained, stale) in enumerate(cases):
            texts = (SOURCE, LCOV.format(root=root, last=last), planted(root, nine), rows)
            for path, text in zip(paths, texts):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            totals, found, rotten, coarse = judge(root, *paths[1:])
            if ([one[-1] for one in found] != unexplained or [place for _, place in rotten] != stale
                    or [row.count for row in coarse] != counts.get(rows, [])
                    or totals["quarantine"]["branches"] != 6):
                bad += 1
                print(f"case {number}: {dict(totals['quarantine'])}, unexplained {found}, stale {rotten}")
        for rows in (both.rstrip() + "\tmore\n", both.replace("b is small", "?"), both.replace("2t", "2x")):
            with open(paths[3], "w", encoding="utf-8") as file:
                file.write(rows)
            try:
                judge(root, *paths[1:])
                bad += 1
                print(f"taken: {rows}")
            except SystemExit:
                pass
    print(f"judge of coverage: {len(cases) + 3} planted cases, {bad} judged wrongly")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else report(sys.argv[1:]))
