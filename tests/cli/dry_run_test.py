"""`plan` changes nothing on the target: by what the system saw, and by what the tree shows."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import scene
from scene import Case

OPENS = "open openat openat2 creat"
CHANGES = ("rename renameat renameat2 unlink unlinkat rmdir mkdir mkdirat link linkat symlink "
           "symlinkat mknod mknodat chmod fchmod fchmodat chown fchown lchown fchownat utime "
           "utimes utimensat futimesat setxattr lsetxattr fsetxattr removexattr lremovexattr "
           "fremovexattr truncate ftruncate fallocate mount umount2")
WRITES = "write pwrite64 writev pwritev pwritev2 copy_file_range sendfile"
IOCTL = "ioctl"
CALL = re.compile(r"^\d+ +(\w+)\((.*)$")
WRITING = re.compile(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|TMPFILE|APPEND)\b")
SETTING = re.compile(r"\b(FS_IOC_(32_)?SETFLAGS|FS_IOC_FSSETXATTR|FICLONE\w*|FIDEDUPERANGE)\b")


def changing_calls(trace, root):
    """The lines of a trace, taken with -y, that would change something below `root`."""
    place = re.compile(re.escape(str(root)) + r"(?![\w.-])")
    found, seen = [], 0
    for line in trace.splitlines():
        match = CALL.match(line)
        if not match:
            continue
        call, arguments = match[1], match[2]
        below = place.search(arguments.split(", \"", 1)[0] if call in WRITES.split() else arguments)
        seen += bool(below)
        # Calls of the old family do not show against which folder a relative name counts.
        unplaced = call in CHANGES.split() and re.match(r'"(?!/)', arguments)
        if not below and not unplaced:
            continue
        if call in OPENS.split():
            bad = call == "creat" or WRITING.search(arguments)
        elif call == IOCTL:
            bad = SETTING.search(arguments)
        else:
            bad = call in CHANGES.split() or call in WRITES.split()
        if bad:
            found.append(line)
    return found, seen


class Trace(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")

    def trace(self, words):
        log = self.scene.base / "trace"
        calls = ",".join(" ".join((OPENS, CHANGES, WRITES, IOCTL)).split())
        ended = self.scene.execute(["strace", "-f", "-y", "-s", "4096", "-e", f"trace={calls}",
                                    "-o", log, *map(str, words)])
        return ended, log.read_text(errors="replace")

    def test_the_check_sees_changes(self):
        target = self.scene.shell()
        planted = {
            "append": f"open({str(target)!r}, 'ab')",
            "times": f"os.utime({str(target)!r})",
            "mode": f"os.chmod({str(target)!r}, 0o600)",
            "attribute": f"os.setxattr({str(target)!r}, 'user.x', b'1')",
            "relative": f"os.chdir({str(target.parent)!r}); os.rename('a.php', 'b.php')",
            "descriptor": f"os.fchmod(os.open({str(target.parent / 'b.php')!r}, os.O_RDONLY), 384)",
            "name": f"os.unlink({str(target.parent / 'b.php')!r})",
            "folder": f"os.mkdir({str(target.parent / 'new')!r})",
        }
        for name, code in planted.items():
            with self.subTest(change=name):
                ended, log = self.trace([sys.executable, "-c", f"import os; {code}"])
                self.assertEqual(ended.code, 0, str(ended))
                self.assertTrue(changing_calls(log, self.scene.root)[0], log[-2000:])

    def test_plan_makes_no_changing_call(self):
        self.scene.shells(3)
        self.scene.harmless()
        os.symlink("/etc/passwd", self.scene.root / "www/link.php")
        (self.scene.root / "www/fixed.php").write_bytes(scene.shell_text("fixed"))
        subprocess.run(["chattr", "+i", self.scene.root / "www/fixed.php"], check=False,
                       capture_output=True)
        ended, log = self.trace(self.scene.command("--format", "json",
                                                   *self.scene.plan_arguments()))
        self.assertEqual(ended.code, 0, str(ended))
        self.assertEqual(len(self.scene.plan()["operations"]), 4)
        found, seen = changing_calls(log, self.scene.root)
        self.assertGreater(seen, 5, "the trace shows that the tree was read")
        self.assertEqual(found, [])
        self.assertFalse(self.scene.store.exists(), "a dry run makes no store")

    def test_dry_rollback_and_verify_make_no_changing_call(self):
        self.scene.shells(2)
        run = self.applied()
        for arguments in (["rollback", run, "--dry-run"], ["verify"], ["list"], ["show", run]):
            with self.subTest(arguments=arguments):
                before = self.scene.manifest(root=self.scene.base / "root")
                ended, log = self.trace(self.scene.command("--format", "json", *arguments))
                self.assertEqual(ended.code, 0, str(ended))
                self.assertEqual(changing_calls(log, self.scene.root)[0], [])
                self.assertEqual(self.scene.manifest(), before)


class Tree(Case):
    def age(self, root):
        """Access times so old that any reading moves them, where the mount keeps them."""
        for folder, folders, files in os.walk(root):
            for name in folders + files:
                path = os.path.join(folder, name)
                if not os.path.islink(path):
                    state = os.stat(path)
                    try:
                        os.utime(path, ns=(state.st_mtime_ns - 10**9, state.st_mtime_ns))
                    except PermissionError:
                        pass  # immutable

    def test_the_check_sees_reading(self):
        path = self.scene.shell()
        self.age(self.scene.root)
        before = self.scene.manifest()
        self.assertEqual(self.scene.manifest(), before, "the check itself leaves no trace")
        path.read_bytes()
        if self.scene.manifest() == before:
            self.skipTest("this mount keeps no access times")

    def test_every_shipped_playbook_on_the_sample_tree(self):
        root = self.scene.base / "disk"
        subprocess.run([scene.SAMPLE_TREE, root], check=True, capture_output=True,
                       timeout=scene.TIMEOUT)
        self.age(root)
        before = self.scene.manifest(root=root)
        words = ["plan", "--root", root]
        for file in sorted(scene.SHIPPED.glob("*.json")):
            words += ["-p", file]
        document = self.ok(self.scene.json(*words)).json()
        self.assertGreater(len(document["operations"]), 20)
        self.assertEqual(self.scene.manifest(root=root), before)

    def test_refused_and_failing_plans_change_nothing(self):
        self.scene.shells(2)
        self.age(self.scene.root)
        before = self.scene.manifest()
        bad = self.scene.base / "bad.json"
        bad.write_text(json.dumps(scene.playbook(scopes=[])))
        self.ok(self.scene.json("plan", "-p", bad, "--root", self.scene.root), 65)
        self.ok(self.scene.json("plan", "-p", self.scene.playbooks[0], "--root", self.scene.root,
                                "-o", "/absent/plan.json"), 1)
        self.assertEqual(self.scene.manifest(), before)

    def test_the_store_below_the_root_is_never_a_target(self):
        """A quarantined copy carries the mark too."""
        self.scene.shell()
        self.scene.store = pathlib.Path(self.scene.root, "www", "store")
        run = self.applied()
        document = self.scene.make_plan()
        self.assertEqual(document["operations"], [])
        self.ok(self.scene.json("rollback", run))


if __name__ == "__main__":
    scene.main()
