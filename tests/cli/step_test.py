"""A folder swapped or a name squatted at each single system call of an apply and of a rollback.

The command is stopped at one of its calls, the attack is made, and it goes on. The short form takes
some calls spread over the run; REMEDIATE_STEPS=N takes N of each command, REMEDIATE_STEPS=all every
one of them.
"""
import collections
import ctypes
import os
import re
import shutil
import signal
import time
import unittest

import scene
from scene import Case, wait_for

AT_FDCWD, RENAME_EXCHANGE = -100, 2
LIBRARY = ctypes.CDLL(None, use_errno=True)
SHORT_FORM = 14


def exchange(one, other):
    if LIBRARY.renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other),
                         RENAME_EXCHANGE) != 0:
        raise OSError(ctypes.get_errno(), "renameat2")


@unittest.skipIf(not shutil.which("strace"), "strace is not installed")
class Steps(Case):
    def setUp(self):
        super().setUp()
        self.shell, _ = self.scene.shells(2)
        self.outside = self.scene.base / "outside"
        self.outside.mkdir()
        (self.outside / "kept").write_bytes(b"outside the root\n")
        self.evil, self.decoy = self.scene.root / "www/evil", self.scene.root / "www/decoy"
        self.evil.symlink_to(self.outside)
        self.decoy.mkdir()
        self.squatter = self.scene.root / "www/squatter.txt"
        self.squatter.write_bytes(b"somebody else's file\n")
        self.ok(self.scene.json("init"))
        self.log = self.scene.base / "trace"
        self.before = self.scene.tree()
        self.outside_before = self.scene.manifest("--no-atime", root=self.outside)
        self.inode = self.shell.stat().st_ino
        self.acted = collections.Counter()

    def calls(self, *arguments):
        """The calls of an undisturbed run: name and number among those of that name."""
        self.scene.prefix = ["strace", "-f", "-qq", "-o", str(self.log)]
        self.ok(self.scene.run(*arguments))
        self.scene.prefix = []
        counted, result = collections.Counter(), []
        for line in self.log.read_text(errors="replace").splitlines():
            found = re.match(r"\d+ +(\w+)\(", line)
            if found:
                counted[found[1]] += 1
                result.append((found[1], counted[found[1]]))
        # What comes before the tool's own code, and the end itself, are not its steps.
        unwanted = ("execve", "brk", "arch_prctl", "exit_group", "rt_sigaction", "mmap", "mprotect",
                    "munmap", "set_tid_address", "set_robust_list", "rseq", "prlimit64")
        return [call for call in result if call[0] not in unwanted]

    def attacked(self, call, attack, *arguments):
        """The command, with `attack` made when it comes to that call; None when it never does."""
        name, number = call
        self.scene.prefix = ["strace", "-f", "-qq", "-o", str(self.log), "-e", f"trace={name}",
                             "-e", f"inject={name}:signal=SIGSTOP:when={number}"]
        self.log.unlink(missing_ok=True)
        process = self.scene.start(*arguments)
        self.scene.prefix = []
        self.addCleanup(scene.end_process, process)

        def stopped():
            return process.poll() is not None or (
                self.log.exists() and b"stopped by SIGSTOP" in self.log.read_bytes())

        wait_for(stopped, f"call {name} number {number}")
        made = process.poll() is None
        if made:
            command = int(self.log.read_bytes().split(b"stopped by SIGSTOP")[0].splitlines()[-1]
                          .split()[0])
            attack()
            os.kill(command, signal.SIGCONT)
        out, err = process.communicate(timeout=scene.TIMEOUT)
        return made, scene.Ended(arguments, process.returncode, out, err)

    def attacks(self):
        folder = self.shell.parent
        return [("link", lambda: exchange(folder, self.evil), lambda: exchange(folder, self.evil)),
                ("folder", lambda: exchange(folder, self.decoy),
                 lambda: exchange(folder, self.decoy)),
                ("squatter", self.squat, self.unsquat)]

    def squat(self):
        try:
            os.link(self.squatter, self.shell)
        except FileExistsError:
            exchange(self.squatter, self.shell)

    def unsquat(self):
        if self.squatter.stat().st_ino == self.inode:
            exchange(self.squatter, self.shell)
        elif self.shell.exists() and self.shell.stat().st_ino != self.inode:
            self.shell.unlink()

    def judge(self, ended, what):
        """While the attack still stands: nothing outside, nothing astray, nothing overwritten."""
        self.assertEqual(self.scene.manifest("--no-atime", root=self.outside),
                         self.outside_before, what)
        self.assertIn(ended.code, (0, 1, 3, 4, 6), f"{what}\n{ended}")
        document = ended.json()
        if ended.code == 0:
            self.acted["done"] += 1
        else:
            self.acted["told"] += 1
            self.assertTrue("error" in document or any(
                operation["reason"] for operation in document["operations"]), str(ended))

    def chosen(self, calls):
        wanted = os.environ.get("REMEDIATE_STEPS", str(SHORT_FORM))
        if wanted == "all":
            return [(call, attack) for call in calls for attack in self.attacks()]
        count = int(wanted)
        steps = [calls[index * len(calls) // count] for index in range(count)]
        return [(call, self.attacks()[index % 3]) for index, call in enumerate(steps)]

    def put_right(self, run, what):
        if (self.scene.store / "runs" / run).exists():
            self.scene.json("resume", run)
            self.ok(self.scene.json("rollback", run))
            self.verified(run)
        self.assertEqual(self.scene.tree(), self.before, what)
        self.assertEqual(self.shell.stat().st_ino, self.inode, what)

    def sweep(self, command):
        began = time.monotonic()
        self.scene.make_plan()
        run = self.prepare(command)
        calls = self.calls(*self.words(command, run))
        self.put_right(run, "undisturbed")
        tried = 0
        for call, (kind, attack, undo) in self.chosen(calls):
            what = f"{command}: {kind} at {call[0]} number {call[1]}"
            self.scene.make_plan()
            run = self.prepare(command)
            made, ended = self.attacked(call, attack, *self.words(command, run))
            if made:
                tried += 1
                self.judge(ended, what)
                undo()
                self.assertEqual(list(self.decoy.iterdir()), [], what)
            self.put_right(run, what)
        print(f"steps {command}: {len(calls)} calls, {tried} attacked, done {self.acted['done']}, "
              f"told {self.acted['told']}, escapes 0, lost 0, "
              f"seconds {time.monotonic() - began:.0f}", flush=True)
        self.assertGreater(tried, 0)
        self.assertGreater(self.acted["told"], 0, "no attack was ever noticed")

    def prepare(self, command):
        run = f"run-{self.scene.plan()['plan_id'][:12]}"
        if command == "rollback":
            self.ok(self.scene.apply())
        return run

    def words(self, command, run):
        if command == "apply":
            return self.scene.apply_arguments()
        return ["--format", "json", "rollback", run]

    def test_every_step_of_an_apply(self):
        self.sweep("apply")

    def test_every_step_of_a_rollback(self):
        self.sweep("rollback")


if __name__ == "__main__":
    scene.main()
