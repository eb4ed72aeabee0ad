#!/usr/bin/env python3
"""Writes the Exchange front-end baseline from lists of digests.

from_csv.py FILE.csv ... >exchange-frontend.json

Each line of a list is `sha256,build,\\path\\below\\the\\installation`, the form of the lists that
Microsoft published in CSS-Exchange (Security/src/Baselines, commit bf04657, MIT licence). Taken
are script files below FrontEnd\\HttpProxy; other rows are counted and told. The output depends on
the rows alone.
"""
import csv
import json
import re
import sys

FOLDER = "\\frontend\\httpproxy\\"
SCRIPTS = re.compile(r"\.(aspx|ashx|asmx|asax|asp)$|^owa/auth/[^/]*\.htm$")
HEAD = {
    "format_version": 1, "kind": "baseline",
    "name": "Exchange front end, 2013 to 2019",
    "product": "Microsoft Exchange Server 2013, 2016 and 2019, script files of FrontEnd\\HttpProxy",
}
SOURCES = [
    "Lists of SHA-256 by build that Microsoft published in github.com/microsoft/CSS-Exchange, Security/src/Baselines, commit bf04657 (MIT licence)",
    "Builds up to March 2021; two of the 133 lists were not to be had; later builds are not in it",
    "Converted by playbooks/baselines/from_csv.py; sizes are not known",
]


def order(build):
    return [int(part) for part in build.split(".")], build


def main(names):
    found, skipped = {}, 0
    for name in names:
        with open(name, encoding="utf-8", newline="") as lines:
            for digest, build, path in csv.reader(lines):
                path = path.lower()
                below = path.removeprefix(FOLDER).replace("\\", "/")
                if not path.startswith(FOLDER) or not SCRIPTS.search(below):
                    skipped += 1
                    continue
                if not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
                    sys.exit(f"{name}: {digest} is no SHA-256")
                found.setdefault((below, digest.lower()), set()).add(build)
    builds = sorted(set().union(*found.values()), key=order)
    files = [{"folder": 0, "path": path, "sha256": digest,
              "builds": sorted(of, key=order)} for (path, digest), of in sorted(found.items())]
    document = HEAD | {
        "builds": builds, "sources": SOURCES, "created": "2026-11-22T00:00:00Z",
        "tool": "playbooks/baselines/from_csv.py",
        "folders": [{
            "spelled": ["%ProgramFiles%\\Microsoft\\Exchange Server\\V15\\FrontEnd\\HttpProxy",
                        "C:\\Microsoft\\Exchange Server\\V15\\FrontEnd\\HttpProxy"],
            "ignore_case": True,
            "include": ["**/*.{aspx,ashx,asmx,asax,asp}", "owa/auth/*.htm"], "exclude": []}],
        "files": files}
    print(json.dumps(document, indent=2, ensure_ascii=False))
    print(f"{len(files)} files, {len(builds)} builds, {skipped} rows skipped", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1:])
