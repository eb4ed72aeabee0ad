#!/usr/bin/env python3
"""Judges coverage in lcov form: what no test reached must be explained, branch by branch.

judge.py [--list] ROOT LCOV EXPLAINED
judge.py --self-test

EXPLAINED has a row for each uncovered place, keyed by what the source says and not by where it
stands: path, function, source text without its indent, what is missing, reason, separated by tabs.
  path      may be a glob
  function  as in "FileRestore::place", or "*"; a lambda belongs to the function around it
  text      "..." in it stands for anything
  missing   "line", "1f" (condition 1 of the line is never false), "2t", separated by commas; "*" for
            whatever is missing there. With a "?" behind it is missing in some runs only.
Everything that is missing needs a row, and every row must name what is missing. `--list` prints the
rows that are lacking, with "?" as their reason. Exit 0: nothing is unexplained and no row is stale.
"""

import collections
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

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
        self.functions = {}  # first line: mangled name
        self.lines = {}
        self.branches = collections.defaultdict(dict)


def read_lcov(path, root):
    sources = collections.defaultdict(Source)
    source = None
    with open(path, encoding="utf-8") as file:
        for row in file:
            key, _, value = row.strip().partition(":")
            if key == "SF":
                name = os.path.relpath(os.path.realpath(value), os.path.realpath(root))
                source = sources[name] if name.startswith(tuple(one + "/" for one in FOLDERS)) else None
            elif source is None:
                continue
            elif key == "FN":
                number, name = value.split(",", 1)
                source.functions[int(number)] = name.split(":")[-1]
            elif key == "DA":
                number, count = map(int, value.split(",")[:2])
                source.lines[number] = max(source.lines.get(number, 0), count)
            elif key == "BRDA":
                number, condition, branch, taken = value.split(",")
                taken = 0 if taken == "-" else int(taken)
                known = source.branches[int(number)]
                place = f"{int(condition) + 1}{'tf'[int(branch) % 2]}"
                known[place] = max(known.get(place, 0), taken)
    return sources


class Row:
    def __init__(self, number, path, function, text, missing, reason):
        self.number, self.path, self.function, self.text, self.reason = number, path, function, text, reason
        self.pattern = re.compile(".*".join(map(re.escape, text.split("..."))))
        self.places = {one.strip().rstrip("?"): one.strip().endswith("?") for one in missing.split(",")}
        self.used = set()

    def fits(self, path, function, text):
        return (fnmatch.fnmatchcase(path, self.path) and self.function in ("*", function)
                and self.pattern.fullmatch(text) is not None)

    def takes(self, missing):
        taken = missing if "*" in self.places else missing & set(self.places)
        self.used |= {"*"} if taken and "*" in self.places else taken
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


def judge(root, lcov, explained_path):
    """The table's rows, what nobody explained, and what is explained but reached."""
    sources = read_lcov(lcov, root)
    rows = read_explained(explained_path)
    names = short_names({name for one in sources.values() for name in one.functions.values()})
    totals = {folder: collections.Counter() for folder in FOLDERS}
    unexplained = []
    for path, source in sorted(sources.items()):
        total = totals[next(one for one in FOLDERS if path.startswith(one + "/"))]
        with open(os.path.join(root, path), encoding="utf-8") as file:
            text = [row.strip() for row in file]
        starts = sorted((number, names[name]) for number, name in source.functions.items() if names[name])
        for number in sorted(set(source.lines) | set(source.branches)):
            known = source.branches.get(number, {})
            missing = {place for place, taken in known.items() if taken == 0}
            total["branches"] += len(known)
            total["branches reached"] += len(known) - len(missing)
            if number in source.lines:
                total["lines"] += 1
                total["lines reached"] += source.lines[number] > 0
                if source.lines[number] == 0:
                    missing.add("line")
            if not missing:
                continue
            function = next((name for start, name in reversed(starts) if start <= number), "-")
            # What never runs has no sides: the line stands for its branches.
            wanted = {"line"} if "line" in missing else missing
            left = set(wanted)
            for row in rows:
                if row.fits(path, function, text[number - 1]):
                    left -= row.takes(wanted)
            total["explained"] += len(wanted) - len(left)
            total["unexplained"] += len(left)
            if left:
                unexplained.append((path, number, function, text[number - 1], ",".join(sorted(left))))
    stale = [(row, place) for row in rows for place in row.stale()]
    return totals, unexplained, stale


def report(arguments):
    show = "--list" in arguments
    arguments = [one for one in arguments if one != "--list"]
    if len(arguments) != 3:
        sys.exit(__doc__)
    totals, unexplained, stale = judge(*arguments)
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
    for row, place in stale:
        print(f"{arguments[2]}:{row.number}: fits nothing that is missing: {place}: {row.text}")
    return 1 if unexplained or stale else 0


SOURCE = """int Thing::look(int a, int b) {
  if (a > 1 && b > 1) return 3;
  if (b == 9) return 4;
  return 5;
}
"""
LCOV = """SF:{root}/quarantine/thing.cpp
FN:1,_ZN10quarantine5Thing4lookEii
DA:1,7
DA:2,7
BRDA:2,0,0,3
BRDA:2,0,1,4
BRDA:2,1,2,0
BRDA:2,1,3,3
DA:3,7
BRDA:3,0,0,{nine}
BRDA:3,0,1,7
DA:4,{last}
end_of_record
"""
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
        (both.replace("(a > 1 &&", "(...&&"), 1, 1, [], []),
        (both.replace("quarantine/", "remediate/run/"), 1, 1, ["2t"], ["2t"]),
        (both + KEY + "if (b == 9) return 4;\t1t\tnever nine\n", 1, 1, [], ["1t"]),
        (both + KEY + "if (b == 9) return 4;\t1t\tnever nine\n", 0, 1, [], []),
        ("# nothing\n\n" + KEY + "...\t*\twhole function\n", 0, 0, [], []),
    )
    bad = 0
    with tempfile.TemporaryDirectory() as root:
        os.mkdir(os.path.join(root, "quarantine"))
        paths = [os.path.join(root, name) for name in ("quarantine/thing.cpp", "lcov", "explained")]
        for number, (rows, nine, last, unexplained, stale) in enumerate(cases):
            texts = (SOURCE, LCOV.format(root=root, nine=nine, last=last), rows)
            for path, text in zip(paths, texts):
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
            _, found, rotten = judge(root, paths[1], paths[2])
            if [one[-1] for one in found] != unexplained or [place for _, place in rotten] != stale:
                bad += 1
                print(f"case {number}: unexplained {found}, stale {[place for _, place in rotten]}")
        for rows in (both.rstrip() + "\tmore\n", both.replace("b is small", "?"), both.replace("2t", "2x")):
            with open(paths[2], "w", encoding="utf-8") as file:
                file.write(rows)
            try:
                judge(root, paths[1], paths[2])
                bad += 1
                print(f"taken: {rows}")
            except SystemExit:
                pass
    print(f"judge of coverage: {len(cases) + 3} planted cases, {bad} judged wrongly")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else report(sys.argv[1:]))
