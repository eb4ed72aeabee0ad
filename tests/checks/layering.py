#!/usr/bin/env python3
"""Fails when an include or a linked library points the wrong way.

layering.py ROOT         checks ROOT/remediate and ROOT/quarantine
layering.py --self-test  checks the checker: planted wrong includes have to be found
"""
import pathlib
import re
import sys
import tempfile

# folder -> the folders whose headers it may include (its own always).
ALLOWED = {
    "base": "",
    "host": "base",
    "crypto": "base host",
    "playbook": "base crypto",
    "observe": "base host crypto",
    "match": "base crypto playbook observe",
    "setting": "base crypto host",
    "plan": "base crypto playbook observe match setting",
    "journal": "base host crypto",
    "quarantine": "base host crypto",
    "run": "base host crypto playbook observe match setting plan journal quarantine",
    "report": "base host crypto playbook observe match setting plan journal quarantine run",
    "interchange": "base host crypto playbook observe match setting plan journal quarantine run",
    "server": "base host crypto playbook observe match setting plan journal quarantine run report interchange",
    "cli": "base host crypto playbook observe match setting plan journal quarantine run report interchange server",
}
ALLOWED = {folder: set(below.split()) | {folder} for folder, below in ALLOWED.items()}

# system header -> the only folders that may include it.
SYSTEM = [
    (r"(unistd|fcntl|dirent|windows|winternl|pwd|grp|poll|termios|mntent)\.h|(sys|linux)/.*", "host"),
    (r"seccomp\.h", "host"),
    (r"openssl/.*", "crypto"),
    (r"cpprest/.*|pplx/.*", "server"),
    (r"re2/.*", "match setting"),
    (r"sqlite3\.h", "observe"),
    (r"yara.*|magic\.h", "match"),
    (r"hs/.*", "match"),
    (r"pugixml.*|libxml/.*|ldap\.h|lber\.h", "setting"),
    (r"minizip/.*|zlib\.h", "interchange"),
    (r"CLI/.*", "cli"),
]
SYSTEM = [(re.compile(pattern), set(folders.split())) for pattern, folders in SYSTEM]
# A terminal check and the process's own umask belong to the composition root.
EXCEPTIONS = {("cli", "unistd.h"), ("cli", "sys/stat.h")}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^">]+)[">]')
TARGET = re.compile(r"\b(remediate_[a-z]+|quarantine)\b")
NOT_FOLDERS = {"remediate_library", "remediate_options", "remediate_import"}


def folder_of(path: pathlib.Path, root: pathlib.Path):
    parts = path.relative_to(root).parts
    if parts[0] == "quarantine":
        return "quarantine"
    return parts[1] if len(parts) > 2 else None


def include_fault(folder, bracket, name):
    if bracket == '"':
        parts = name.split("/")
        if parts[0] == "quarantine":
            target = "quarantine"
        elif parts[0] == "remediate" and len(parts) > 2:
            target = parts[1]
        else:
            return "is not spelled from the project root"
        if target not in ALLOWED:
            return f"names the unknown folder {target}"
        if target not in ALLOWED[folder]:
            return f"{folder} may not include {target}"
        return None
    for pattern, folders in SYSTEM:
        if pattern.fullmatch(name) and folder not in folders and (folder, name) not in EXCEPTIONS:
            return f"only {', '.join(sorted(folders))} may include it"
    return None


def faults(root: pathlib.Path):
    found, seen = [], 0
    sources = [p for top in ("remediate", "quarantine") for p in sorted((root / top).rglob("*"))]
    for path in sources:
        if path.suffix not in (".h", ".hpp", ".cpp", ".cc") or not path.is_file():
            continue
        folder = folder_of(path, root)
        where = path.relative_to(root)
        if folder not in ALLOWED:
            found.append(f"{where}: lies in no known folder")
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            seen += 1
            fault = include_fault(folder, match[1], match[2])
            if fault:
                found.append(f'{where}:{number}: {match[2]}: {fault}')
    for path in sources:
        if path.name != "CMakeLists.txt" or (folder := folder_of(path, root)) not in ALLOWED:
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for name in TARGET.findall(line.split("#")[0]):
                target = name.removeprefix("remediate_")
                if name not in NOT_FOLDERS and target in ALLOWED and target not in ALLOWED[folder]:
                    found.append(f"{path.relative_to(root)}:{number}: {folder} may not link {target}")
    return found, seen


def self_test():
    wrong = {
        "remediate/plan/a.cpp": '#include "remediate/host/host.h"\n',
        "remediate/match/a.h": '#  include "remediate/host/host.h"\n',
        "remediate/base/a.h": '#include "remediate/crypto/digest.h"\n',
        "quarantine/a.cpp": '#include "remediate/playbook/model.h"\n',
        "remediate/report/a.cpp": '#include "remediate/cli/main.h"\n',
        "remediate/run/a.cpp": "#include <fcntl.h>\n",
        "remediate/journal/a.cpp": "#include <sys/stat.h>\n",
        "remediate/run/b.cpp": "int a;\n\n #include <openssl/cms.h>\n",
        "remediate/cli/a.cpp": "#include <cpprest/json.h>\n",
        "remediate/plan/b.cpp": "#include <re2/re2.h>\n",
        "remediate/report/b.cpp": "#include <pugixml.hpp>\n",
        "remediate/cli/b.cpp": "#include <seccomp.h>\n",
        "remediate/run/c.cpp": '#include "plan.h"\n',
        "remediate/observe/CMakeLists.txt": "remediate_library(remediate_observe PUBLIC remediate_run)\n",
        "remediate/stuff/a.cpp": "#include <string>\n",
    }
    right = {
        "remediate/plan/good.cpp": '#include "remediate/match/engine.h"\n#include <vector>\n',
        "remediate/host/posix/good.cpp": '#include "remediate/base/error.h"\n#include <fcntl.h>\n',
        "remediate/cli/good.cpp": '#include <CLI/CLI.hpp>\n#include "remediate/run/apply.h"\n',
    }
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for path, text in (wrong | right).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        reported = {fault.split(":")[0] for fault in faults(root)[0]}
    missed, invented = set(wrong) - reported, reported - set(wrong)
    for path in sorted(missed):
        print(f"not found: {path}")
    for path in sorted(invented):
        print(f"wrongly reported: {path}")
    print(f"{len(wrong)} planted, {len(wrong) - len(missed)} found")
    return 1 if missed or invented else 0


def main(arguments):
    if arguments == ["--self-test"]:
        return self_test()
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 64
    found, seen = faults(pathlib.Path(arguments[0]).resolve())
    if seen == 0:
        print("no include was read: is this the project's root?")
        return 1
    print("\n".join(found) if found else f"{seen} includes, all point down")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
