#!/usr/bin/env python3
"""Fails when a file of the project names what is not part of it: a machine's own folders, a
tracker's numbers, or words the vocabulary avoids as folder and file names.

words.py ROOT | words.py --self-test
"""
import pathlib
import re
import subprocess
import sys

# Written in pieces, so that this file passes its own check.
PATTERNS = [
    (re.compile(r"(?<![\w.%{$-])/wo" r"rk/"), "a path of one machine"),
    (re.compile(r"/tmp/br" r"ief|\.\./sha" r"red\b"), "a path of one machine"),
    (re.compile(r"\bissues?\s+#\s?" r"\d+", re.IGNORECASE), "a tracker's number"),
    (re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b(?!\.aspx)"), "unfinished work"),
    (re.compile(r"^(<{7}|>{7}) ", re.MULTILINE), "a merge conflict"),
]
NAMES = re.compile(r"(^|/|_)(utils?|helpers?|manager|handler|context)(_|\.|/)", re.IGNORECASE)


def text_faults(text):
    for pattern, why in PATTERNS:
        for match in pattern.finditer(text):
            yield text.count("\n", 0, match.start()) + 1, match[0], why


def tracked(root):
    """The files of the working copy; in an unpacked archive, all but the build folders."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", root, "ls-files", "-z", "--cached", "--others",
         "--exclude-standard"], check=False, capture_output=True)
    if listing.returncode == 0:
        return [name for name in listing.stdout.decode("utf-8", "surrogateescape").split("\0") if name]
    top = pathlib.Path(root)
    return [str(path.relative_to(top)) for path in top.rglob("*")
            if not {".git", "build"} & set(path.relative_to(top).parts)]


def check(root):
    found, seen = [], 0
    for name in tracked(root):
        path = pathlib.Path(root) / name
        if not path.is_file():
            continue
        seen += 1
        if path.suffix in (".h", ".cpp") and NAMES.search(name):
            found.append(f"{name}: a name the vocabulary avoids")
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        for line, what, why in text_faults(data.decode("utf-8", "replace")):
            found.append(f"{name}:{line}: {what!r} is {why}")
    return found, seen


def self_test():
    wrong = ["see /wo" "rk/x", "in /tmp/br" "ief", "a ../sha" "red/y", "issue" " #12", "Issues" " #3",
             "// TO" "DO later", "a\n<<<<<<" "< b\n"]
    right = ["the frame/work/er", "issue 12", "C# 12", "the $PWD/work/x", "todos"]
    bad = [text for text in wrong if not list(text_faults(text))]
    bad += [text for text in right if list(text_faults(text))]
    print(f"{len(wrong) + len(right)} samples, {len(bad)} misjudged {bad}")
    return 1 if bad else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 64
    found, seen = check(arguments[0])
    print("\n".join(found) if found else f"{seen} files")
    return 1 if found or seen == 0 else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
