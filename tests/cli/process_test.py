"""What the command inherits and what happens to its process: other instances, signals, descriptors,
resource limits, terminals."""
import itertools
import os
import pathlib
import pty
import resource
import shutil
import signal
import subprocess
import time

import scene
from scene import Case, wait_for

SHELLS = 6
AT_ONCE = 24
LOADER = 127  # the loader could not load the libraries


class Instances(Case):
    def together(self, count):
        """Starts that many applies of one plan; their exit codes and documents."""
        self.scene.shells(3)
        before = self.scene.tree()
        self.scene.make_plan()
        started = [self.scene.start(*self.scene.apply_arguments()) for _ in range(count)]
        for process in started:
            self.addCleanup(scene.end_process, process)
        ended = [(process, process.communicate(timeout=scene.TIMEOUT)[0]) for process in started]
        codes = [process.returncode for process, _ in ended]
        documents = [scene.one_document(out) for _, out in ended]
        self.assertEqual(codes.count(0), 1, documents)
        for code, document in zip(codes, documents):
            if code != 0:
                self.assertIn((code, document["error"]["code"]), ((1, "busy"), (4, "stale_plan")))
        [run] = self.ok(self.scene.json("list")).json()["runs"]
        self.assertEqual(run["state"], "done")
        self.verified()
        self.ok(self.scene.json("rollback", run["run_id"]))
        self.assertEqual(self.scene.tree(), before)

    def test_many_applies_of_one_plan(self):
        self.ok(self.scene.json("init"))
        self.together(AT_ONCE)

    def test_many_applies_that_all_find_no_store(self):
        self.together(AT_ONCE)

    def test_two_stores_on_one_target(self):
        """No file is taken twice, and each store can prove and undo what it took."""
        for _ in range(6):
            one = self.new_scene()
            two = self.new_scene(root=one.root)
            paths = one.shells(SHELLS)
            before = one.tree()
            for each in (one, two):
                self.ok(each.json("init"))
                each.make_plan()
            started = [each.start(*each.apply_arguments()) for each in (one, two)]
            taken = []
            for process in started:
                out, err = process.communicate(timeout=scene.TIMEOUT)
                document = scene.one_document(out)
                if process.returncode == 4:
                    self.assertEqual(document["error"]["code"], "stale_plan", err)
                    continue
                self.assertIn(process.returncode, (0, 3), out + err)
                for operation in document["operations"]:
                    if operation["outcome"] == "quarantined":
                        taken.append(operation["address"])
                    else:
                        self.assertIn(operation["outcome"], ("vanished", "changed"))
                        self.assertTrue(operation["reason"])
            self.assertEqual(sorted(taken), sorted(str(path.relative_to(one.root))
                                                   for path in paths))
            for each in (one, two):
                for run in self.ok(each.json("list")).json()["runs"]:
                    self.verified(run["run_id"], scene=each)
                    self.ok(each.json("rollback", run["run_id"]))
            self.assertEqual(one.tree(), before)


class Slow(Case):
    """An apply that takes long enough to be met half-way."""

    def setUp(self):
        super().setUp()
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        self.scene.shells(SHELLS)
        self.before = self.scene.tree()
        self.ok(self.scene.json("init"))
        self.scene.make_plan()
        self.run_id = f"run-{self.scene.plan()['plan_id'][:12]}"

    def half_way(self, wrapper=(), **options):
        """The process under strace and its own id, once the files are captured."""
        self.scene.prefix = [*scene.delayed("syncfs", 0.7), *wrapper]
        process = self.scene.start(*self.scene.apply_arguments(), **options)
        self.scene.prefix = []
        self.addCleanup(scene.end_process, process)
        journal = self.scene.journal(self.run_id)
        wait_for(lambda: journal.exists() and b'"intent"' in journal.read_bytes(), "an intent")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        return process, int(wait_for(lambda: children.read_text().split(), "the command")[0])

    def end(self, process, code=0):
        out, err = process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, code, out + err)
        return scene.one_document(out)

    def undone(self):
        self.verified(self.run_id)
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)

    def test_a_lock_does_not_run_out(self):
        """However long the holder stands still, nobody else gets in; then it goes on."""
        process, command = self.half_way()
        os.kill(command, signal.SIGSTOP)
        for pause in (0, 1, 2):
            time.sleep(pause)
            for arguments in (["resume"], ["rollback", self.run_id], ["finalize", self.run_id],
                              self.scene.apply_arguments()[2:]):
                began = time.monotonic()
                ended = self.scene.json(*arguments)
                self.refused(ended, 1, "busy", str(self.scene.store))
                self.assertLess(time.monotonic() - began, 5)
        os.kill(command, signal.SIGCONT)
        self.assertEqual(self.end(process)["status"], "done")
        self.undone()

    def test_hang_up_stops_politely(self):
        process, command = self.half_way()
        os.kill(command, signal.SIGHUP)
        out, err = process.communicate(timeout=scene.TIMEOUT)
        self.assertIn(process.returncode, (0, 3), out + err)
        self.assertIn(scene.one_document(out)["status"], ("done", "partial"))
        self.ok(self.scene.json("resume"))
        self.undone()

    def test_a_signal_that_was_ignored_before_stays_ignored(self):
        """Below nohup and in a shell's background the command is not to be stopped."""
        ignoring = ["sh", "-c", "trap '' HUP INT; exec \"$@\"", "sh"]
        process, command = self.half_way(wrapper=ignoring)
        status = pathlib.Path(f"/proc/{command}/status").read_text()
        ignored = int(status.split("SigIgn:")[1].split()[0], 16)
        for number in (signal.SIGHUP, signal.SIGINT):
            self.assertTrue(ignored >> (number - 1) & 1, f"{number!r} is caught again")
            os.kill(command, number)
            os.kill(command, number)
        document = self.end(process)
        self.assertEqual((document["status"], document["interrupted"]), ("done", False))
        self.undone()

    def test_a_broken_pipe_signal_ends_nothing(self):
        process, command = self.half_way()
        os.kill(command, signal.SIGPIPE)
        self.assertEqual(self.end(process)["status"], "done")
        self.undone()

    def test_readers_go_away_half_way(self):
        process, _ = self.half_way()
        process.stdout.close()
        process.stderr.close()
        self.assertIn(process.wait(scene.TIMEOUT), (0, 1))
        process.stdout = process.stderr = None
        [run] = self.ok(self.scene.json("list")).json()["runs"]
        self.assertEqual(run["state"], "done")
        self.undone()

    def test_its_terminal_hangs_up(self):
        """The session's leader, its terminal gone half-way: stopped, told by `list`, resumable."""
        master, slave = pty.openpty()
        words = [*scene.delayed("syncfs", 0.5), "setsid", "--ctty", "--wait",
                 *self.scene.command(*self.scene.apply_arguments())]
        process = subprocess.Popen(words, stdin=slave, stdout=slave, stderr=slave,
                                   cwd=self.scene.base, env=self.scene.environment)
        self.addCleanup(scene.end_process, process)
        os.close(slave)
        journal = self.scene.journal(self.run_id)
        wait_for(lambda: journal.exists() and b'"intent"' in journal.read_bytes(), "an intent")
        os.close(master)
        process.wait(scene.TIMEOUT)
        [run] = self.ok(self.scene.json("list")).json()["runs"]
        self.assertIn(run["state"], ("done", "interrupted"))
        self.ok(self.scene.json("resume"))
        self.undone()


class Descriptors(Case):
    def setUp(self):
        super().setUp()
        self.scene.shells(2)
        self.before = self.scene.tree()

    def cycle(self, start):
        """plan, apply, rollback, each run by `start(words)`; the store stays whole."""
        self.ok(start(self.scene.command(*self.scene.plan_arguments())))
        document = self.scene.plan()
        self.assertEqual(len(document["operations"]), 2)
        self.ok(start(self.scene.command(*self.scene.apply_arguments())))
        run = f"run-{document['plan_id'][:12]}"
        self.verified(run)
        self.assertFalse(any(self.scene.root.rglob("*.php")))
        self.ok(start(self.scene.command("rollback", run)))
        self.assertEqual(self.scene.tree(), self.before)
        self.verified()

    def test_every_combination_of_closed_streams(self):
        for count in range(4):
            for closed in itertools.combinations((0, 1, 2), count):
                with self.subTest(closed=closed):
                    redirections = " ".join(f"{number}>&-" for number in closed)
                    shell = ["sh", "-c", f'exec "$@" {redirections}', "sh"]
                    self.cycle(lambda words, shell=shell: self.scene.execute([*shell, *words]))

    def test_a_thousand_inherited_descriptors(self):
        """None is used, and none is left for others to be in the way of."""
        inherited = self.scene.base / "inherited"
        inherited.write_bytes(b"not the tool's\n")

        def fill():
            while True:
                try:
                    os.set_inheritable(os.open(inherited, os.O_RDWR), True)
                except OSError:
                    return

        self.cycle(lambda words: self.scene.execute(words, preexec_fn=fill, close_fds=False))
        self.assertEqual(inherited.read_bytes(), b"not the tool's\n")

    def test_standard_input_of_every_kind(self):
        read_end, write_end = os.pipe()
        os.close(write_end)
        master, slave = pty.openpty()
        os.close(master)
        folder = os.open(self.scene.base, os.O_RDONLY)
        for number, what in ((read_end, "a pipe without writer"), (slave, "a gone terminal"),
                             (folder, "a folder")):
            with self.subTest(stdin=what):
                self.cycle(lambda words, number=number: self.on(number, words))
                words = [word for word in self.scene.command("--format", "json", "apply",
                                                             self.scene.plan_file)
                         if word != "--no-input"]
                self.ok(self.scene.execute(self.scene.command(*self.scene.plan_arguments())))
                ended = self.on(number, words)
                self.refused(ended, 5, "approval")
                self.assertEqual(self.scene.tree(), self.before)
            os.close(number)

    def on(self, number, words):
        ended = subprocess.run(words, stdin=number, capture_output=True, timeout=scene.TIMEOUT,
                               check=False, cwd=self.scene.base, env=self.scene.environment)
        return scene.Ended(words, ended.returncode, ended.stdout, ended.stderr)

    def test_no_controlling_terminal(self):
        self.cycle(lambda words: self.scene.execute(words, start_new_session=True))

    def test_working_folder_that_is_gone_with_relative_names(self):
        self.scene.make_plan()
        gone = self.scene.base / "gone"
        script = 'cd "$0" && rmdir "$0" && exec "$@"'
        for words in (["--store", "store", "list"], ["--store", "store", "init"],
                      ["--store", "store", "apply", "plan.json"]):
            gone.mkdir()
            ended = self.scene.execute(["sh", "-c", script, gone, scene.REMEDIATE, "--no-input",
                                        "--format", "json", *words])
            if words[2] == "list":
                self.assertIn(ended.code, (0, 1), str(ended))
            else:
                self.assertNotIn(ended.code, (0, 3), str(ended))
                self.assertTrue(ended.json()["error"]["message"])
        self.assertEqual(self.scene.tree(), self.before)
        self.assertFalse(self.scene.store.exists())


class Limits(Case):
    """Little of everything: done, or a clear error; and afterwards it can be ended or undone."""

    def setUp(self):
        super().setUp()
        self.scene.shells(SHELLS)
        self.scene.write("www/large.php", scene.shell_text("large") + b"x" * 300_000)
        self.before = self.scene.tree()

    def limited(self, which, value, *arguments):
        return self.scene.run(*arguments, preexec_fn=lambda: resource.setrlimit(
            which, (value, resource.getrlimit(which)[1])))

    def told(self, ended):
        """Never ended by a signal, never silent."""
        self.assertGreaterEqual(ended.code, 0, str(ended))
        if ended.code != 0:
            self.assertTrue(ended.out + ended.err, str(ended))
            self.assertIn(ended.code, (1, 3, 4, 6, 77, 78, LOADER), str(ended))

    def try_with(self, which, value):
        ended = self.limited(which, value, "-q", *self.scene.plan_arguments())
        self.told(ended)
        self.assertEqual(self.scene.tree(), self.before)
        if ended.code == 0:
            scene.one_document(self.scene.plan_file.read_bytes())
        self.scene.make_plan()
        applied = self.limited(which, value, *self.scene.apply_arguments())
        self.told(applied)
        if applied.out:
            applied.json()
        store_there = (self.scene.store / "store.json").exists()
        runs = self.ok(self.scene.json("list")).json()["runs"] if store_there else []
        open_runs = [run for run in runs if run["run_id"].endswith(
            self.scene.plan()["plan_id"][:12])]
        if not open_runs:
            self.assertNotEqual(applied.code, 0, str(applied))
            self.assertEqual(self.scene.tree(), self.before, str(applied))
            return "nothing"
        run = open_runs[0]["run_id"]
        back = self.limited(which, value, "--format", "json", "rollback", run)
        self.told(back)
        self.assertIn(self.scene.json("resume").code, (0, 1, 3))
        ended = self.scene.json("rollback", run)
        self.ok(ended)
        self.assertEqual(self.scene.tree(), self.before)
        self.verified(run)
        return "done" if applied.code == 0 and back.code == 0 else "part"

    def sweep(self, which, values):
        outcomes = {}
        for value in values:
            with self.subTest(limit=value):
                outcomes[value] = self.try_with(which, value)
        # Both ends were met: too little, and enough.
        self.assertEqual(outcomes[values[-1]], "done", outcomes)
        self.assertNotEqual(outcomes[values[0]], "done", outcomes)

    def test_few_descriptors(self):
        self.sweep(resource.RLIMIT_NOFILE, [4, 6, 8, 10, 12, 16, 20, 24, 32, 48, 1024])

    def test_small_files_only(self):
        self.sweep(resource.RLIMIT_FSIZE, [0, 100, 1000, 4096, 20_000, 65_536, 200_000, 1 << 30])

    def test_little_memory(self):
        self.scene.write("www/larger.php", scene.shell_text("larger") + b"y" * 12_000_000)
        self.before = self.scene.tree()
        # Below its own size the kernel cannot load the program, and a little above it the C++
        # library has not even what it keeps for the exception that tells of it.
        program = (os.path.getsize(scene.REMEDIATE) >> 20) + 1
        self.sweep(resource.RLIMIT_AS,
                   [program + more << 20 for more in (2, 4, 6, 8, 12, 16, 24, 48, 4096)])


class Hostile(Case):
    CONFIGURATION = """openssl_conf = init
[init]
providers = provided
engines = engines
[provided]
evil = evil_section
default = off
[off]
activate = 0
[evil_section]
module = {module}
activate = 1
[engines]
evil = evil_engine
[evil_engine]
dynamic_path = {module}
init = 1
"""

    def test_openssl_is_not_told_what_to_load(self):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        self.scene.shells(2)
        before = self.scene.tree()
        folder = self.scene.base / "evil"
        folder.mkdir()
        module = folder / "legacy.so"
        module.write_bytes(b"not a module")
        configuration = folder / "openssl.cnf"
        configuration.write_text(self.CONFIGURATION.format(module=module))
        certificates = folder / "certificates.pem"
        certificates.write_text("not certificates\n")
        self.scene.environment |= {
            "OPENSSL_CONF": str(configuration), "OPENSSL_MODULES": str(folder),
            "OPENSSL_ENGINES": str(folder), "OPENSSL_CONF_INCLUDE": str(folder),
            "SSL_CERT_FILE": str(certificates), "SSL_CERT_DIR": str(folder),
            "GCONV_PATH": str(folder), "LOCPATH": str(folder), "NLSPATH": str(folder / "%N"),
            "TMPDIR": str(folder), "RANDFILE": str(certificates), "LC_ALL": "evil",
            "TZ": str(module), "MAGIC": str(module), "ICU_DATA": str(folder),
        }
        log = self.scene.base / "trace"
        self.scene.prefix = ["strace", "-f", "-y", "-e", "trace=open,openat,openat2,execve", "-A",
                             "-o", str(log)]
        run = self.applied()
        self.verified(run)
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)
        opened = [line for line in log.read_text().splitlines()
                  if str(folder) in line and "execve" not in line]
        self.assertEqual(opened, [])
        self.assertEqual(sorted(path.name for path in folder.iterdir()),
                         ["certificates.pem", "legacy.so", "openssl.cnf"])


if __name__ == "__main__":
    scene.main()
