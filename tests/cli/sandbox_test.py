"""The walls around the commands that only read: that they stand, what is said where they do not,
and that what comes out is the same with and without."""
import ctypes
import errno
import os
import pathlib
import platform
import signal
import struct
import subprocess
import sys
import unittest

import scene
from scene import Case, wait_for

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
LANDLOCK_CREATE_RULESET = 444
SECCOMP, PRCTL = {"x86_64": (317, 157), "aarch64": (277, 167)}.get(platform.machine(), (0, 0))
NOTICE = b"notice: not fully sandboxed: "


def calls_answered(answers):
    """For preexec_fn: from here on these calls give an error number; (call, first argument or
    None, number). What a kernel without them looks like."""
    load, equal, give = 0x20, 0x15, 0x06
    allow, error = 0x7fff0000, 0x00050000
    program = []
    for call, argument, number in answers:
        program.append((load, 0, 0, 0))
        program.append((equal, 0, 1 if argument is None else 3, call))
        if argument is not None:
            program += [(load, 0, 0, 16), (equal, 0, 1, argument)]
        program.append((give, 0, 0, error | number))
    program.append((give, 0, 0, allow))
    code = b"".join(struct.pack("=HBBI", *line) for line in program)

    def install():
        library = ctypes.CDLL(None, use_errno=True)
        buffer = ctypes.create_string_buffer(code)
        head = struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
        if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "no_new_privs")
        if library.prctl(PR_SET_SECCOMP, 2, ctypes.create_string_buffer(head), 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "seccomp")
    return install


def no_landlock():
    return calls_answered([(LANDLOCK_CREATE_RULESET, None, errno.ENOSYS)])


def no_walls():
    return calls_answered([(LANDLOCK_CREATE_RULESET, None, errno.EOPNOTSUPP),
                           (SECCOMP, None, errno.EINVAL),
                           (PRCTL, PR_SET_SECCOMP, errno.EINVAL)])


def has_landlock():
    return ctypes.CDLL(None, use_errno=True).syscall(LANDLOCK_CREATE_RULESET, None, 0, 1) >= 1


def status_of(process):
    lines = pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def children_of(process):
    path = pathlib.Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in path.read_text(encoding="ascii").split()]


class Same(Case):
    """Every confined command with and without walls."""

    def both(self, *arguments, code=0):
        inside = self.ok(self.scene.run(*arguments), code)
        outside = self.ok(self.scene.run("--no-sandbox", *arguments), code)
        self.assertIn(b"not sandboxed: --no-sandbox", outside.err)
        return inside, outside

    def same(self, *arguments, code=0):
        inside, outside = self.both(*arguments, code=code)
        self.assertEqual(inside.out, outside.out, str(inside))
        self.assertTrue(inside.out)
        self.assertEqual(inside.err, outside.err.split(b"\n", 1)[1], "one notice more, at the start")

    def plan_of(self, document):
        for changing in ("plan_id", "nonce", "created", "expires"):
            document.pop(changing)
        return document

    def test_every_shipped_playbook_gives_the_same_plan(self):
        root = self.scene.base / "disk"
        subprocess.run([scene.SAMPLE_TREE, root], check=True, capture_output=True,
                       timeout=scene.TIMEOUT)
        files = sorted(scene.SHIPPED.glob("*.json"))
        self.assertGreater(len(files), 3)
        found = 0
        for file in files:
            with self.subTest(playbook=file.name):
                inside, outside = self.both("--format", "json", "plan", "-p", file, "--root", root)
                plan = self.plan_of(inside.json())
                self.assertEqual(plan, self.plan_of(outside.json()))
                found += len(plan["operations"])
        self.assertGreater(found, 20)
        print(f"sandbox: {len(files)} playbooks, {found} operations, the same both ways")

    def test_the_other_commands_say_the_same(self):
        self.scene.shells(2)
        run = self.applied()
        plan = self.scene.plan_file
        bad = self.scene.base / "bad.json"
        bad.write_text("{")
        for form in ("text", "json"):
            for arguments, code in ((["check", self.scene.playbooks[0]], 0), (["check", bad], 65),
                                    (["show", plan], 0), (["show", run], 0), (["verify"], 0),
                                    (["list"], 0), (["export", run, "--as", "ocsf", "-o", "-"], 0)):
                with self.subTest(form=form, arguments=arguments):
                    self.same("--format", form, *arguments, code=code)

    def test_errors_are_one_document_and_the_exit_code_stays(self):
        self.refused(self.scene.json("show", "absent"), 1, "not_found")
        self.refused(self.scene.json("plan", "-p", self.scene.playbooks[0], "--root", "/absent"), 1,
                     "not_found")
        self.refused(self.scene.json("plan", "-p", self.scene.playbooks[0], "--root",
                                     self.scene.root, "-o", "/absent/plan.json"), 1, "not_found")
        self.scene.shell()
        ended = self.scene.run("--format", "json", "--no-sandbox", "plan", "-p",
                               self.scene.playbooks[0], "--root", self.scene.root,
                               "--detailed-exitcode")
        self.ok(ended, 2)
        self.ok(self.scene.json(*ended.arguments[ended.arguments.index("plan"):]), 2)

    def test_files_are_written_outside(self):
        self.scene.shell()
        page = self.scene.base / "page.html"
        self.ok(self.scene.run(*self.scene.plan_arguments(), "--html", page))
        self.assertEqual(len(self.scene.plan()["operations"]), 1)
        self.assertTrue(page.read_bytes().startswith(b"<"))
        page.unlink()  # the command overwrites nothing
        self.ok(self.scene.run("show", self.scene.plan_file, "--html", page))
        run = self.ok(self.scene.apply()).json()["run_id"]
        events = self.scene.base / "events"
        self.ok(self.scene.run("export", run, "--as", "ocsf", "-o", events))
        self.assertTrue(events.read_bytes().startswith(b"{"))


class Walls(Case):
    """The confined process itself, seen while it waits for its standard input."""

    def waiting(self, *arguments):
        process = self.scene.start(*arguments, stdin=subprocess.PIPE)
        self.addCleanup(scene.end_process, process)
        return process

    def waiting_child(self, *arguments):
        process = self.waiting(*arguments)

        def confined():
            return [child for child in children_of(process.pid)
                    if status_of(child)["Seccomp"] == "2"]
        [child] = wait_for(confined, "a child with a filter", 10)
        return process, child

    def test_it_has_a_filter_and_no_way_to_new_privileges(self):
        for arguments in (["check", "-"], ["show", "-"],
                          ["plan", "-p", "-", "--root", self.scene.root]):
            with self.subTest(arguments=arguments):
                _, child = self.waiting_child(*arguments)
                self.assertEqual(status_of(child)["NoNewPrivs"], "1")

    def test_without_it_has_none(self):
        """The check above can fail."""
        process = self.waiting("--no-sandbox", "check", "-")
        wait_for(lambda: status_of(process.pid)["State"].startswith("S"), "it waits")
        self.assertEqual(children_of(process.pid), [])
        self.assertEqual(status_of(process.pid)["Seccomp"], "0")

    def test_a_killed_reader_is_an_error_and_nothing_is_written(self):
        process, child = self.waiting_child("--format", "json", "plan", "-p", "-", "--root",
                                            self.scene.root, "-o", self.scene.plan_file)
        os.kill(child, signal.SIGKILL)
        out, _ = process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, 1)
        self.assertEqual(scene.one_document(out)["error"]["code"], "io")
        self.assertFalse(self.scene.plan_file.exists())

    def test_a_reader_ended_for_a_forbidden_call_is_an_error(self):
        process, child = self.waiting_child("--format", "json", "check", "-")
        os.kill(child, signal.SIGSYS)
        out, _ = process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, 1)
        error = scene.one_document(out)["error"]
        self.assertEqual(error["code"], "refused")
        self.assertIn("forbidden", error["message"])

    def test_the_reader_ends_with_the_command(self):
        process, child = self.waiting_child("check", "-")
        process.kill()
        process.wait(timeout=scene.TIMEOUT)
        wait_for(lambda: not pathlib.Path(f"/proc/{child}").exists()
                 or status_of(child)["State"].startswith("Z"), "the reader is gone", 10)


@unittest.skipIf(SECCOMP == 0, "the numbers of this machine's calls are not known to this test")
class Lacking(Case):
    """Kernels that do not have the walls: it is said, and the work goes on."""

    def test_without_landlock_it_goes_on_and_says_so(self):
        self.scene.shells(2)
        run = self.applied()
        file = self.scene.playbooks[0]
        for arguments in (["check", file], ["plan", "-p", file, "--root", self.scene.root],
                          ["show", run], ["verify"], ["list"],
                          ["export", run, "--as", "ocsf", "-o", "-"]):
            with self.subTest(arguments=arguments):
                whole = self.ok(self.scene.json(*arguments))
                for walls, count in ((no_landlock(), 1), (no_walls(), 2)):
                    ended = self.ok(self.scene.json(*arguments, preexec_fn=walls))
                    self.assertEqual(ended.err.count(NOTICE), count, str(ended))
                    self.assertIn(b"Landlock", ended.err)
                    if arguments[0] != "plan":
                        self.assertEqual(ended.out, whole.out)
                    quiet = self.ok(self.scene.run("-q", *arguments, preexec_fn=walls))
                    self.assertEqual(quiet.err, b"")

    def test_a_whole_sandbox_is_silent(self):
        if not has_landlock():
            self.skipTest("this kernel has no Landlock")
        self.assertEqual(self.ok(self.scene.run("check", self.scene.playbooks[0])).err, b"")

    def test_a_plan_without_landlock_finds_the_same(self):
        self.scene.shells(3)
        ended = self.ok(self.scene.json("plan", "-p", self.scene.playbooks[0], "--root",
                                        self.scene.root, preexec_fn=no_landlock()))
        document = ended.json()
        self.assertEqual(len(document["operations"]), 3)
        # Where processes belong to others, a guard says that it could not look into them.
        issues = [issue for issue in document["issues"] if issue["kind"] != "not_looked_up"]
        self.assertEqual(issues, [])


if __name__ == "__main__":
    sys.exit(scene.main())
