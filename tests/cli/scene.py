"""What the tests of the command share: a small tree with shells, a store, and the command itself.

The programs come from the environment: REMEDIATE, SAMPLE_TREE, TREE_MANIFEST.
"""
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

TIMEOUT = 60
PLAN_ID_DIGITS = 32
# The file that identifies the host; a private mount namespace can put another one over it.
MACHINE_ID = "/etc/machine-id"
NOBODY = 65534


def program(name):
    path = os.environ.get(name)
    if not path or not os.access(path, os.X_OK):
        sys.exit(f"{name} does not name a program: set REMEDIATE, SAMPLE_TREE and TREE_MANIFEST")
    return path


REMEDIATE = program("REMEDIATE")
SAMPLE_TREE = program("SAMPLE_TREE")
TREE_MANIFEST = program("TREE_MANIFEST")
SHIPPED = pathlib.Path(__file__).resolve().parents[2] / "playbooks"


def workplace():
    """Where the tests' folders lie: on a file system on which the tool removes files."""
    for folder in (tempfile.gettempdir(), "/var/tmp", "/dev/shm"):
        kind = subprocess.run(["stat", "-f", "-c", "%T", folder], check=False, capture_output=True)
        if kind.stdout.decode().strip() in ("ext2/ext3", "xfs", "btrfs", "tmpfs", "f2fs"):
            return folder
    return None


WORKPLACE = workplace()


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def no_duplicates(pairs):
    keys = [key for key, _ in pairs]
    if len(set(keys)) != len(keys):
        raise ValueError(f"duplicate keys in {keys}")
    return dict(pairs)


def one_document(data):
    """The single JSON document that `data` is; anything before or behind it is an error."""
    return json.loads(data.decode("utf-8"), object_pairs_hook=no_duplicates)


def with_id(plan):
    """The bytes of a plan with the id that belongs to them, made the documented way."""
    plan = dict(plan, plan_id="0" * PLAN_ID_DIGITS)
    text = json.dumps(plan, indent=2, ensure_ascii=False).encode() + b"\n"
    plan_id = sha256(text)[:PLAN_ID_DIGITS]
    return text.replace(b"0" * PLAN_ID_DIGITS, plan_id.encode(), 1), plan_id


def shell_text(name):
    """Inert: a comment with a mark that the test playbook looks for."""
    raw = os.fsencode(name)
    return b"<?" b"php /* sample " + raw + b" MARK-" + sha256(raw)[:8].encode() + b" */\n"


def playbook(indicators=None, steps=None, **changes):
    base = {
        "format_version": 1, "id": "playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b10",
        "name": "Marks", "description": "Files that carry a mark.", "revision": 1,
        "created": "2026-01-01T00:00:00Z", "modified": "2026-01-01T00:00:00Z",
        "author": "tests", "tlp": "clear", "references": [{"source": "tests"}],
        "attack": ["T1505.003"],
        "scopes": [{"id": "web", "folder": "/www", "include": ["**/*.php"]}],
        "indicators": indicators or [
            {"id": "mark", "name": "A mark", "scopes": ["web"],
             "match": {"regex": {"pattern": "MARK-[0-9a-f]{8}"}},
             "confidence": "high", "authorises": "remove"},
            {"id": "second", "name": "Another mark", "scopes": ["web"],
             "match": {"regex": {"pattern": "SECOND-[0-9a-f]{8}"}},
             "confidence": "high", "authorises": "remove"}],
        "steps": steps or [
            {"id": "remove", "action": "quarantine", "indicators": ["mark", "second"]}],
    }
    base.update(changes)
    return base


class Ended:
    """How a command ended."""

    def __init__(self, arguments, code, out, err):
        self.arguments, self.code, self.out, self.err = arguments, code, out, err

    def json(self):
        return one_document(self.out)

    def __str__(self):
        words = " ".join(map(str, self.arguments))
        return (f"{words}\nexit {self.code}\n--- stdout\n{self.out.decode(errors='replace')[:6000]}"
                f"\n--- stderr\n{self.err.decode(errors='replace')[:3000]}")


class Scene:
    """One temporary folder with a root, a store, a playbook; the command works on them."""

    def __init__(self, base, root=None):
        self.base = pathlib.Path(base)
        self.root = pathlib.Path(root) if root else self.base / "root"
        self.store = self.base / "store"
        self.plan_file = self.base / "plan.json"
        self.write_policy()
        self.playbooks = [self.base / "playbook.json"]
        self.prefix = []
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.base)}
        if "LLVM_PROFILE_FILE" in os.environ:  # the measurement of coverage
            self.environment["LLVM_PROFILE_FILE"] = os.environ["LLVM_PROFILE_FILE"]
        self.root.mkdir(exist_ok=True)
        self.playbooks[0].write_text(json.dumps(playbook()))

    # The tree.

    def write(self, below, data, mode=0o644):
        path = self.root / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        path.chmod(mode)
        return path

    def shell(self, below="www/a.php", text=None, mode=0o644):
        return self.write(below, shell_text(below) if text is None else text, mode)

    def shells(self, count):
        return [self.shell(f"www/d{number}/s{number}.php") for number in range(count)]

    def harmless(self):
        return self.write("www/index.php", b"<?" b"php // harmless\n")

    def manifest(self, *options, root=None):
        """Everything about the tree. Reading it leaves no trace in it."""
        return subprocess.run([TREE_MANIFEST, str(root or self.root), *options], check=True,
                              capture_output=True, timeout=TIMEOUT).stdout.decode()

    def tree(self):
        """The tree without the times that looking at it or moving a neighbour may change."""
        return self.manifest("--no-atime", "--no-folder-times")

    # The command.

    def command(self, *arguments, store=None):
        words = [*self.prefix, REMEDIATE, "--store", str(store or self.store), "--no-input"]
        if self.policy:
            words += ["--policy", str(self.policy)]
        return words + [str(argument) for argument in arguments]

    def start(self, *arguments, **options):
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE,
                   "stderr": subprocess.PIPE, "cwd": self.base, "env": self.environment} | options
        return subprocess.Popen(self.command(*arguments), **options)

    def run(self, *arguments, stdin=b"", **options):
        words = self.command(*arguments)
        return self.execute(words, stdin, **options)

    def execute(self, words, stdin=b"", **options):
        options = {"cwd": self.base, "env": self.environment} | options
        ended = subprocess.run(words, input=stdin, capture_output=True, timeout=TIMEOUT,
                               check=False, **options)
        return Ended(words, ended.returncode, ended.stdout, ended.stderr)

    def plan_arguments(self):
        if self.plan_file.is_file() and not self.plan_file.is_symlink():
            self.plan_file.unlink()  # the command overwrites nothing
        words = ["plan", "--root", self.root, "-o", self.plan_file]
        for file in self.playbooks:
            words += ["-p", file]
        return words

    def make_plan(self):
        ended = self.run("-q", *self.plan_arguments())
        if ended.code != 0:
            raise AssertionError(f"no plan: {ended}")
        return self.plan()

    def plan(self):
        return one_document(self.plan_file.read_bytes())

    def apply_arguments(self):
        return ["--format", "json", "apply", self.plan_file, "--confirm", self.plan()["plan_id"]]

    def apply(self):
        return self.run(*self.apply_arguments())

    def json(self, *arguments, **options):
        return self.run("--format", "json", *arguments, **options)

    # The store.

    def run_folder(self, run):
        return self.store / "runs" / run

    def journal(self, run):
        return self.store / "journal" / f"{run}.jsonl"

    def head(self, run):
        """The signed head of a run's journal; its name may carry the journal's length."""
        [head] = (self.store / "journal").glob(f"{run}.head*.json")
        return head

    def held(self, run, operation):
        return self.store / "hold" / run / operation

    def objects(self):
        return sorted((self.store / "objects").glob("*.p7m"))

    # Keys and policy.

    def identity(self, name, days=30, kind=("ec", "-pkeyopt", "ec_paramgen_curve:P-256")):
        certificate, key = self.base / f"{name}.crt", self.base / f"{name}.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-keyout", key,
                        "-out", certificate, "-subj", f"/CN={name}", "-days", str(days)],
                       check=True, capture_output=True, timeout=TIMEOUT)
        return certificate, key

    def write_policy(self, **sections):
        """The marks that most tests look for are generic content, so it may remove here."""
        self.policy = self.base / "policy.json"
        self.policy.write_text(json.dumps({"format_version": 1, "generic_content": "remove", **sections}))
        self.policy.chmod(0o644)

    def approve(self, name):
        return self.json("approve", self.plan_file, "--cert", self.base / f"{name}.crt", "--key",
                         self.base / f"{name}.key")


def operations(document):
    return {operation["id"]: operation for operation in document["operations"]}


def wait_for(condition, what, seconds=30):
    """Until `condition()` is true; a bound, so that no test hangs."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        time.sleep(0.005)
    raise AssertionError(f"never came: {what}")


class Case(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.scene = self.new_scene()

    def new_folder(self):
        folder = tempfile.mkdtemp(prefix="remediate-cli-", dir=WORKPLACE)
        self.addCleanup(self.remove, folder)
        return pathlib.Path(folder)

    def new_scene(self, root=None):
        return Scene(self.new_folder(), root)

    @staticmethod
    def remove(folder):
        subprocess.run(["chattr", "-R", "-f", "-i", folder], check=False, capture_output=True,
                       timeout=TIMEOUT)
        shutil.rmtree(folder, ignore_errors=True)

    def ok(self, ended, code=0):
        self.assertEqual(ended.code, code, str(ended))
        return ended

    def refused(self, ended, exit_code, code, *reasons):
        """One error document with that code, naming each reason; nothing on stderr is data."""
        self.assertEqual(ended.code, exit_code, str(ended))
        error = ended.json()["error"]
        self.assertEqual(set(error), {"code", "message", "causes", "remedy"}, str(ended))
        self.assertEqual(error["code"], code, str(ended))
        self.assertTrue(error["message"], str(ended))
        said = "\n".join([error["message"], *error["causes"]])
        for reason in reasons:
            self.assertIn(reason, said)
        return said

    def applied(self, scene=None):
        """Plans and applies; the run's name."""
        scene = scene or self.scene
        scene.make_plan()
        document = self.ok(scene.apply()).json()
        self.assertEqual(document["status"], "done")
        return document["run_id"]

    def findings(self, run=None, scene=None):
        """`verify` must fail; its error findings as text."""
        ended = (scene or self.scene).json("verify", *([run] if run else []))
        self.assertEqual(ended.code, 5, str(ended))
        document = ended.json()
        self.assertFalse(document["ok"])
        said = "\n".join(f"{finding['where']}: {finding['what']}"
                         for finding in document["findings"] if finding["level"] == "error")
        self.assertTrue(said, str(ended))
        return said

    def verified(self, run=None, scene=None):
        ended = (scene or self.scene).json("verify", *([run] if run else []))
        self.ok(ended)
        document = ended.json()
        self.assertTrue(document["ok"])
        return document

    def outcome(self, document, operation="op-0001"):
        return operations(document)[operation]["outcome"]

    def reason(self, document, operation="op-0001"):
        return operations(document)[operation].get("reason", "")


def private_mounts():
    """Gives this process mounts of its own; the reason when that is not possible, else None."""
    if os.geteuid() != 0:
        return "needs root for a mount namespace"
    library = ctypes.CDLL(None, use_errno=True)
    clone_newns, recursive_private = 0x00020000, 0x4000 | 0x40000
    if library.unshare(clone_newns) != 0:
        return f"no mount namespace: {os.strerror(ctypes.get_errno())}"
    if library.mount(b"none", b"/", None, recursive_private, None) != 0:
        return f"mounts cannot be made private: {os.strerror(ctypes.get_errno())}"
    return None


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True,
                   timeout=TIMEOUT)


def unmount(place):
    subprocess.run(["umount", "-l", str(place)], check=False, capture_output=True, timeout=TIMEOUT)


def delayed(syscalls, seconds):
    """A prefix that makes the command's calls slow, so that others have time to interfere."""
    return ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={syscalls}", "-e",
            f"inject={syscalls}:delay_enter={int(seconds * 1e6)}"]


def end_process(process):
    """For cleanups: whatever state it is in."""
    if process.poll() is None:
        process.send_signal(signal.SIGCONT)
        process.kill()
    process.communicate(timeout=TIMEOUT)


def main():
    unittest.main(verbosity=2)
