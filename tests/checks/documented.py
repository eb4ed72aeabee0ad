#!/usr/bin/env python3
"""Fails when a command or an option of the tool is missing in the man page or the completion, or
when one of these names an option that the tool does not have.

documented.py REMEDIATE MAN_PAGE COMPLETION
"""
import pathlib
import re
import subprocess
import sys

OPTION = re.compile(r"(?<![\w-])(--?[a-zA-Z][\w-]*)")


def help_of(tool, *command):
    result = subprocess.run([tool, *command, "--help"], check=True, capture_output=True, text=True)
    return result.stdout


def options_of(text):
    """The options at the start of the lines of a help text."""
    found = set()
    for line in text.splitlines():
        match = re.match(r"\s+(-[\w-]+(?:,-[\w-]+)*)", line)
        if match:
            found |= set(match[1].split(","))
    return found


def main(tool, man_page, completion):
    man = pathlib.Path(man_page).read_text(encoding="utf-8")
    shell = pathlib.Path(completion).read_text(encoding="utf-8")
    top = help_of(tool)
    if "Subcommands:" not in top:
        print("the help lists no commands")
        return 1
    commands = re.findall(r"^  (\w+)\s", top.split("Subcommands:")[1], re.MULTILINE)
    # In mdoc "Fl -root" is --root and "Fl p , -playbook" is -p and --playbook.
    in_man = set()
    for line in man.splitlines():
        for group in re.findall(r"\bFl ((?:-?[\w-]+(?: , )?)+)", line):
            in_man |= {"-" + name for name in group.split(" , ")}
    in_shell = set(OPTION.findall(shell.split("local global=")[1]))
    faults, known = [], options_of(top)
    for command in commands:
        if not re.search(rf"\bCm {command}\b", man):
            faults.append(f"{command} is not in the man page")
        if not re.search(rf'commands="[^"]*\b{command}\b', shell):
            faults.append(f"{command} is not in the completion")
        own_help = help_of(tool, command)
        options = options_of(own_help)
        if "Subcommands:" in own_help:
            for inner in re.findall(r"^  (\w+)\s", own_help.split("Subcommands:")[1], re.MULTILINE):
                if not re.search(rf"\bCm {command} {inner}\b", man):
                    faults.append(f"{command} {inner} is not in the man page")
                options |= options_of(help_of(tool, command, inner))
        known |= options
        line = re.search(rf'\b{command}\) options="([^"]*)"', shell)
        completed = set(line[1].split()) if line else set()
        for option in sorted(options - {"-h", "--help"} - completed):
            faults.append(f"{command} {option} is not in the completion")
        for option in sorted(completed - options):
            faults.append(f"the completion offers {command} {option}, which does not exist")
    for option in sorted(known - in_man):
        faults.append(f"{option} is not in the man page")
    shell_own = {"-W", "-d", "-f", "-F", "-o", "-p", "-O", "-t", "-n", "-z", "-d", "-ne", "-eq"}
    for name, mentioned in (("man page", in_man), ("completion", in_shell - shell_own)):
        for option in sorted(mentioned - known):
            if option.startswith("--"):
                faults.append(f"the {name} names {option}, which does not exist")
    print("\n".join(faults) if faults else f"{len(commands)} commands, {len(known)} options")
    return 1 if faults or len(commands) < 2 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
