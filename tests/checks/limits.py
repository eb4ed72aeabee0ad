#!/usr/bin/env python3
"""Fails when docs/limits.md and the bounds in the code differ: a number that is another one, a
bound that the page does not name, a row whose constant does not exist.

limits.py ROOT | limits.py --self-test
"""
import pathlib
import re
import sys
import tempfile

# A constant, a member with a default: `... max_bytes = 16u << 20;`
BOUND = re.compile(
    r"^\s*(?:(?:static|inline|constexpr) )*[a-z][\w:]*(?: [a-z][\w:]*)* "
    r"((?:max|most|longest|largest|deepest|capacity|batch_|small_file|large_file|noted_bytes|space_margin|kMax)\w*|\w+_memory|\w+_timeout_seconds)"
    r" = ([^;]+);")
ROW = re.compile(r"^\| ([^|]+) \| ([^|]+) \| `([\w/.]+)` `(\w+)` \| ([^|]+) \|$")
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "s": 1, "hours": 1}
NUMBER = re.compile(r"([\d,]+)(?: (KiB|MiB|GiB|s|hours))?")
# A tree in memory for tests; what the file system itself bounds.
NOT_BOUNDS = ("remediate/host/memory/",)


def value_of(expression):
    """The number, or None for what is no literal arithmetic."""
    plain = re.sub(r"(?<=\d)(?:u|ull|ll|ul|l)\b", "", expression.replace("'", ""))
    plain = re.sub(r"std::u?int\d+_t\{(\d+)\}", r"\1", plain)
    if not re.fullmatch(r"[\d\s<*+-]+", plain):
        return None
    return eval(plain)  # digits and operators only


def bounds_in(root):
    found = {}
    for top in ("remediate", "quarantine"):
        for path in sorted((root / top).rglob("*")):
            where = path.relative_to(root).as_posix()
            if path.suffix not in (".h", ".cpp") or where.startswith(NOT_BOUNDS):
                continue
            for line in path.read_text(encoding="utf-8").splitlines():
                match = BOUND.match(line.split("//")[0].rstrip())
                value = value_of(match[2]) if match else None
                if value:
                    found.setdefault((where, match[1]), set()).add(value)
    return found


def faults(root):
    found, bounds, rows = [], bounds_in(root), {}
    for number, line in enumerate((root / "docs/limits.md").read_text(encoding="utf-8").splitlines(),
                                  1):
        match = ROW.match(line)
        if not match:
            if line.startswith("|") and "`remediate/" in line:
                found.append(f"limits.md:{number}: is not a row this check can read")
            continue
        said = NUMBER.fullmatch(match[2].strip())
        key = (match[3], match[4])
        if not said:
            found.append(f"limits.md:{number}: {match[2]} is no number with a unit")
            continue
        rows[key] = int(said[1].replace(",", "")) * UNITS[said[2] or ""]
        if key not in bounds:
            found.append(f"limits.md:{number}: there is no {match[4]} in {match[3]}")
        elif bounds[key] != {rows[key]}:
            found.append(f"limits.md:{number}: {match[4]} in {match[3]} is "
                         f"{' and '.join(map(str, sorted(bounds[key])))}, not {rows[key]}")
    for key in sorted(set(bounds) - set(rows)):
        found.append(f"limits.md does not name {key[1]} of {key[0]} "
                     f"({', '.join(map(str, sorted(bounds[key])))})")
    return found, len(rows)


def self_test():
    code = {"remediate/base/a.h": "struct L {\n  std::size_t max_bytes = 16u << 20;\n};\n",
            "remediate/run/b.cpp": "constexpr std::uint64_t max_runs = 1'000;\n",
            "quarantine/c.cpp": "inline constexpr int max_depth = 32;  // levels\n"}
    good = ["| a | 16 MiB | `remediate/base/a.h` `max_bytes` | refused |",
            "| b | 1,000 | `remediate/run/b.cpp` `max_runs` | refused |",
            "| c | 32 | `quarantine/c.cpp` `max_depth` | refused |"]
    wrong = {"a number": [good[0].replace("16", "17"), *good[1:]],
             "a unit": [good[0].replace("MiB", "KiB"), *good[1:]],
             "a missing row": good[1:],
             "a row too many": [*good, good[2].replace("max_depth", "max_width")],
             "a row that cannot be read": [good[0].replace("16 MiB", "some"), *good[1:]]}
    missed = []
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for path, text in code.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / "docs").mkdir()
        for what, lines in {"nothing wrong": good, **wrong}.items():
            (root / "docs/limits.md").write_text("\n".join(lines) + "\n")
            if bool(faults(root)[0]) != (what in wrong):
                missed.append(what)
    print("\n".join(missed) if missed else f"{len(wrong)} planted, {len(wrong)} found")
    return 1 if missed else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 64
    found, seen = faults(pathlib.Path(arguments[0]).resolve())
    print("\n".join(found) if found else f"{seen} bounds, all as documented")
    return 1 if found or not seen else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
