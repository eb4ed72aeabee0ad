#!/usr/bin/env python3
"""Judges coverage in lcov form: what no test reached must be explained.

judge.py [--list] ROOT LCOV EXPLAINED

EXPLAINED has a line for each uncovered place: path, source text without its indent, reason,
separated by tabs. The path may be a glob; the text may end in '*'. An explanation that fits
nothing any more is an error too, so that the file cannot rot. Exit 0: nothing is unexplained.
"""

import collections
import fnmatch
import os
import sys

FOLDERS = ("quarantine", "remediate/journal", "remediate/run", "remediate/host")


def read_lcov(path, root):
    lines = collections.defaultdict(dict)
    branches = collections.defaultdict(lambda: collections.defaultdict(dict))
    source = None
    with open(path, encoding="utf-8") as file:
        for row in file:
            key, _, value = row.strip().partition(":")
            if key == "SF":
                source = os.path.relpath(os.path.realpath(value), os.path.realpath(root))
                if not source.startswith(FOLDERS):
                    source = None
            elif source and key == "DA":
                number, count = value.split(",")[:2]
                previous = lines[source].get(int(number), 0)
                lines[source][int(number)] = max(previous, int(count))
            elif source and key == "BRDA":
                number, block, branch, taken = value.split(",")
                taken = 0 if taken == "-" else int(taken)
                known = branches[source][int(number)]
                known[block, branch] = max(known.get((block, branch), 0), taken)
    return lines, branches


class Explanations:
    def __init__(self, path):
        self.rows = []
        self.used = set()
        with open(path, encoding="utf-8") as file:
            for number, row in enumerate(file, 1):
                row = row.rstrip("\n")
                if not row or row.startswith("#"):
                    continue
                parts = row.split("\t")
                if len(parts) != 3 or not all(part.strip() for part in parts):
                    sys.exit(f"{path}:{number}: path, text, reason, separated by tabs")
                self.rows.append((number, *parts))

    def find(self, source, text):
        for number, glob, wanted, reason in self.rows:
            fits = text.startswith(wanted[:-1]) if wanted.endswith("*") else text == wanted
            if fits and fnmatch.fnmatchcase(source, glob):
                self.used.add(number)
                return reason
        return None

    def stale(self):
        return [row for row in self.rows if row[0] not in self.used]


def percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def main():
    arguments = sys.argv[1:]
    show = "--list" in arguments
    arguments = [one for one in arguments if one != "--list"]
    if len(arguments) != 3:
        sys.exit(__doc__)
    root, lcov, explained_path = arguments
    lines, branches = read_lcov(lcov, root)
    explained = Explanations(explained_path)
    totals = {folder: collections.Counter() for folder in FOLDERS}
    unexplained = []
    for source in sorted(lines):
        folder = next(one for one in FOLDERS if source.startswith(one))
        total = totals[folder]
        with open(os.path.join(root, source), encoding="utf-8") as file:
            text = [row.strip() for row in file]
        for number in sorted(set(lines[source]) | set(branches[source])):
            missing = []
            if number in lines[source]:
                total["lines"] += 1
                total["lines reached"] += lines[source][number] > 0
                if lines[source][number] == 0:
                    missing.append("line")
            known = branches[source].get(number, {})
            total["branches"] += len(known)
            total["branches reached"] += sum(taken > 0 for taken in known.values())
            missed = sum(taken == 0 for taken in known.values())
            if missed:
                missing.append(f"{missed} of {len(known)} branches")
            if not missing:
                continue
            if explained.find(source, text[number - 1]):
                total["explained"] += 1
            else:
                total["unexplained"] += 1
                unexplained.append(f"{source}:{number}: {', '.join(missing)}: {text[number - 1]}")
    print("| Folder | Lines | Branches | Places explained | Places unexplained |\n|---|---|---|---|---|")
    for folder, total in totals.items():
        if not total["lines"]:
            sys.exit(f"{folder}: no coverage data")
        print(f"| {folder} | {percent(total['lines reached'], total['lines'])} of {total['lines']} "
              f"| {percent(total['branches reached'], total['branches'])} of {total['branches']} "
              f"| {total['explained']} | {total['unexplained']} |")
    if show:
        print("\n".join(unexplained))
    stale = explained.stale()
    for number, glob, wanted, _ in stale:
        print(f"{explained_path}:{number}: fits nothing that is uncovered: {glob} {wanted}")
    sys.exit(1 if unexplained or stale else 0)


if __name__ == "__main__":
    main()
