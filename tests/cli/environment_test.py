"""Around the command: other instances, signals, closed streams, a hostile environment."""
import fcntl
import os
import pathlib
import shutil
import signal
import subprocess
import time

import scene
from scene import Case, wait_for

MANY = 140


class Instances(Case):
    def test_a_locked_store_is_busy(self):
        first = self.scene.shell()
        run = self.applied()
        self.scene.shell("www/later.php")
        self.scene.make_plan()
        before = self.scene.manifest()
        with open(self.scene.store / "lock", "r+b") as lock:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for arguments in (self.scene.apply_arguments()[2:], ["rollback", run],
                              ["finalize", run], ["resume"]):
                with self.subTest(arguments=arguments):
                    self.refused(self.scene.json(*arguments), 1, "busy", str(self.scene.store))
            self.ok(self.scene.json("list"))
            self.verified()
        self.assertEqual(self.scene.manifest(), before)
        self.assertFalse(first.exists())
        self.ok(self.scene.apply())

    def test_the_lock_ends_with_its_process(self):
        """A killed instance leaves no lock behind."""
        self.scene.shell()
        self.ok(self.scene.json("init"))
        holder = subprocess.Popen(
            ["python3", "-c", "import fcntl,sys,time; f=open(sys.argv[1],'r+b'); "
             "fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); time.sleep(60)",
             self.make_lock()], stdout=subprocess.PIPE)
        self.addCleanup(scene.end_process, holder)
        holder.stdout.readline()
        self.scene.make_plan()
        self.refused(self.scene.apply(), 1, "busy")
        holder.kill()
        holder.wait(scene.TIMEOUT)
        self.ok(self.scene.apply())

    def make_lock(self):
        lock = self.scene.store / "lock"
        lock.touch(0o600)
        return lock

    def test_stopped_and_continued(self):
        """While it stands still another instance is kept out; then it goes on."""
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        for number in range(8):
            self.scene.shell(f"www/s{number}.php")
        before = self.scene.tree()
        self.ok(self.scene.json("init"))
        self.scene.make_plan()
        name = f"run-{self.scene.plan()['plan_id'][:12]}"
        self.scene.prefix = scene.delayed("syncfs", 0.7)
        process = self.scene.start(*self.scene.apply_arguments())
        self.scene.prefix = []
        self.addCleanup(scene.end_process, process)
        wait_for(lambda: self.scene.journal(name).exists(), "the journal")
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
        tool = int(children.read_text().split()[0])
        os.kill(tool, signal.SIGSTOP)
        wait_for(lambda: "State:\tT" in pathlib.Path(f"/proc/{tool}/status").read_text()
                 or "State:\tt" in pathlib.Path(f"/proc/{tool}/status").read_text(), "its stop")
        self.refused(self.scene.json("resume"), 1, "busy")
        os.kill(tool, signal.SIGCONT)
        out, err = process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, 0, err)
        self.assertEqual(scene.one_document(out)["status"], "done")
        self.verified(name)
        self.ok(self.scene.json("rollback", name))
        self.assertEqual(self.scene.tree(), before)

    def test_two_at_once(self):
        """Both are started together: one after the other, or one is told to wait; never a mix."""
        self.scene.shells(3)
        before = self.scene.tree()
        self.ok(self.scene.json("init"))
        self.scene.make_plan()
        processes = [self.scene.start(*self.scene.apply_arguments()) for _ in range(4)]
        codes, documents = [], []
        for process in processes:
            out, _ = process.communicate(timeout=scene.TIMEOUT)
            codes.append(process.returncode)
            documents.append(scene.one_document(out))
        self.assertEqual(codes.count(0), 1, documents)
        for code, document in zip(codes, documents):
            if code != 0:
                self.assertIn((code, document["error"]["code"]), ((1, "busy"), (4, "stale_plan")))
        [run] = self.ok(self.scene.json("list")).json()["runs"]
        self.verified()
        self.ok(self.scene.json("rollback", run["run_id"]))
        self.assertEqual(self.scene.tree(), before)


class Signals(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        self.scene.write_policy(limits={"max_files": 1000, "max_files_per_indicator": 1000,
                                        "max_percent": 100})
        for number in range(MANY):
            self.scene.shell(f"www/{number // 30}/s{number}.php")
        self.before = self.scene.tree()
        self.ok(self.scene.json("init"))
        self.scene.make_plan()
        self.run_id = f"run-{self.scene.plan()['plan_id'][:12]}"

    def interrupted(self, sent, times=1):
        """Applies slowly, and sends the signal once the first files are gone."""
        self.scene.prefix = scene.delayed("syncfs", 0.15)
        process = self.scene.start(*self.scene.apply_arguments(), start_new_session=True)
        self.scene.prefix = []
        self.addCleanup(scene.end_process, process)
        journal = self.scene.journal(self.run_id)
        wait_for(lambda: journal.exists() and b'"captured"' in journal.read_bytes(), "a capture")
        tracee = wait_for(lambda: self.child_of(process.pid), "the command below strace")
        for _ in range(times):
            os.kill(tracee, sent)
            time.sleep(0.05)
        out, err = process.communicate(timeout=scene.TIMEOUT)
        return process.returncode, out, err

    @staticmethod
    def child_of(pid):
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else None

    def left(self):
        return sum(1 for _ in self.scene.root.rglob("*.php"))

    def resumed(self):
        document = self.ok(self.scene.json("resume")).json()
        self.assertEqual((document["status"], document["run_id"]), ("done", self.run_id))
        self.assertEqual({o["outcome"] for o in document["operations"]}, {"quarantined"})
        self.assertEqual(self.left(), 0)
        self.assertEqual(self.verified()["objects_checked"], MANY)
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)

    def polite(self, sent):
        code, out, err = self.interrupted(sent)
        self.assertEqual(code, 3, out[-2000:] + err[-2000:])
        document = scene.one_document(out)
        self.assertTrue(document["interrupted"])
        self.assertIn("resume", " ".join(document["notices"]))
        outcomes = [o["outcome"] for o in document["operations"]]
        self.assertIn("quarantined", outcomes)
        self.assertIn("not_started", outcomes)
        self.assertEqual(self.left(), outcomes.count("not_started"))
        [listed] = self.ok(self.scene.json("list")).json()["runs"]
        self.assertEqual(listed["state"], "interrupted")

    def test_interrupt_then_resume(self):
        self.polite(signal.SIGINT)
        self.verified()
        self.resumed()

    def test_terminate_then_roll_back_without_resuming(self):
        self.polite(signal.SIGTERM)
        self.ok(self.scene.json("rollback", self.run_id))
        self.assertEqual(self.scene.tree(), self.before)
        self.verified()

    def test_kill_then_resume(self):
        code, out, _ = self.interrupted(signal.SIGKILL)
        self.assertNotEqual(code, 0)
        self.assertEqual(out, b"")
        self.assertGreater(self.left(), 0)
        verified = self.verified()
        self.assertIn("resume", "".join(f["what"] for f in verified["findings"]))
        self.resumed()

    def test_second_interrupt_ends_at_once_and_resume_continues(self):
        code, out, _ = self.interrupted(signal.SIGINT, times=2)
        self.assertNotEqual(code, 0)
        self.resumed()


class Streams(Case):
    def setUp(self):
        super().setUp()
        self.scene.shells(2)
        self.before = self.scene.tree()

    def closed(self, redirections, *arguments):
        words = ["sh", "-c", f'exec "$@" {redirections}', "sh", *self.scene.command(*arguments)]
        return self.scene.execute(words)

    def test_closed_streams(self):
        """Descriptors 0 to 2 stay reserved: no file of the store gets the output."""
        for redirections in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
            with self.subTest(closed=redirections):
                self.ok(self.closed(redirections, *self.scene.plan_arguments()))
                document = self.scene.plan()
                self.assertEqual(len(document["operations"]), 2)
                self.ok(self.closed(redirections, *self.scene.apply_arguments()))
                run = f"run-{document['plan_id'][:12]}"
                self.verified(run)
                self.ok(self.closed(redirections, "rollback", run))
                self.assertEqual(self.scene.tree(), self.before)
        self.verified()

    def test_reader_that_goes_away(self):
        """A closed pipe ends neither the work nor the record of it."""
        self.scene.make_plan()
        read, write = os.pipe()
        os.close(read)
        process = self.scene.start(*self.scene.apply_arguments(), stdout=write, stderr=write)
        os.close(write)
        process.communicate(timeout=scene.TIMEOUT)
        self.assertEqual(process.returncode, 1)
        [run] = self.ok(self.scene.json("list")).json()["runs"]
        self.assertEqual(run["state"], "done")
        self.ok(self.scene.json("rollback", run["run_id"]))
        self.assertEqual(self.scene.tree(), self.before)

    def test_inherited_descriptors_are_closed(self):
        if not shutil.which("strace"):
            self.skipTest("strace is not installed")
        secret = self.scene.base / "inherited"
        secret.write_bytes(b"")
        log = self.scene.base / "trace"
        with open(secret, "r+b") as inherited:
            words = ["strace", "-f", "-y", "-e", "trace=close_range,close", "-o", log,
                     *self.scene.command("--version")]
            os.set_inheritable(inherited.fileno(), True)
            self.ok(self.scene.execute(words, pass_fds=[inherited.fileno()]))
        self.assertIn("close_range(3, 4294967295", log.read_text())


class Environment(Case):
    HOSTILE = {
        "OPENSSL_CONF": "/absent/openssl.cnf", "OPENSSL_MODULES": "/absent", "TZ": "Nowhere/Odd-14",
        "OPENSSL_ENGINES": "/absent", "TMPDIR": "/absent", "TMP": "/absent", "LANG": "tr_TR.UTF-8",
        "LC_ALL": "C.UTF-8", "IFS": "/", "PATH": "/absent", "LD_LIBRARY_PATH": "/absent",
        "HOME": "relative", "XDG_STATE_HOME": "../x", "REMEDIATE_STORE": "/absent",
        "NO_COLOR": "", "COLUMNS": "1", "TERM": "\x1b[2J", "MALLOC_PERTURB_": "165",
        "MALLOC_CHECK_": "3", "BASH_ENV": "/absent", "PWD": "/absent", "EMPTY": "",
        "LONG": "x" * 100_000,
    }

    def test_hostile_variables_change_nothing(self):
        self.scene.shells(2)
        before = self.scene.tree()
        made = [self.scene.base / name for name in ("relative", "../x")]
        made = [path for path in made if not path.exists()]  # "../x" may be somebody else's
        calm = self.scene.make_plan()
        self.scene.environment = dict(self.HOSTILE)
        hostile = self.scene.make_plan()
        for document in (calm, hostile):
            for key in ("nonce", "plan_id", "created", "expires"):
                del document[key]
        self.assertEqual(hostile, calm)
        run = self.applied()
        self.verified()
        self.ok(self.scene.json("rollback", run))
        self.scene.environment = {}
        self.verified()
        self.assertEqual(self.scene.tree(), before)
        self.assertTrue(made)
        self.assertEqual([path for path in made if path.exists()], [])

    def test_times_are_utc_whatever_the_zone(self):
        self.scene.shells(1)
        self.scene.environment = {"TZ": "Pacific/Kiritimati"}
        created = self.scene.make_plan()["created"]
        here = time.strftime("%Y-%m-%dT%H", time.gmtime())
        hour_ago = time.strftime("%Y-%m-%dT%H", time.gmtime(time.time() - 3600))
        self.assertIn(created[:13], (here, hour_ago))

    def test_an_umask_does_not_matter(self):
        for mask in (0o000, 0o777):
            with self.subTest(umask=oct(mask)):
                one = self.new_scene()
                one.shells(2)
                one.make_plan()
                words = one.command(*one.apply_arguments())
                self.ok(one.execute(["sh", "-c", f'umask {mask:o}; exec "$@"', "sh", *words]))
                self.verified(scene=one)
                for path in one.store.rglob("*"):
                    if "hold" in path.relative_to(one.store).parts[:1]:
                        continue
                    allowed = 0o644 if path.suffix == ".crt" else 0o700
                    self.assertEqual(path.stat().st_mode & 0o777 & ~allowed, 0, path)

    def test_the_working_folder_does_not_matter(self):
        self.scene.shells(1)
        self.scene.make_plan()
        gone = self.scene.base / "gone"
        gone.mkdir()
        script = 'cd "$0" && rmdir "$0" && exec "$@"'
        words = ["sh", "-c", script, gone, *self.scene.command(*self.scene.apply_arguments())]
        self.assertEqual(self.ok(self.scene.execute(words)).json()["status"], "done")

    def test_relative_names(self):
        self.scene.shells(1)
        words = [scene.REMEDIATE, "--store", "store", "--policy", "policy.json", "-q", "plan", "-p", "playbook.json", "--root",
                 "root", "-o", "plan.json"]
        self.ok(self.scene.execute(words))
        plan = self.scene.plan()
        self.assertEqual(plan["host"]["root"], str(self.scene.root))
        ended = self.ok(self.scene.execute(
            [scene.REMEDIATE, "--store", "store", "--policy", "policy.json", "--format", "json", "apply", "plan.json",
             "--confirm", plan["plan_id"]]))
        run = ended.json()["run_id"]
        elsewhere = self.scene.execute(self.scene.command("--format", "json", "rollback", run),
                                       cwd="/")
        self.ok(elsewhere)
        self.assertTrue((self.scene.root / "www/d0/s0.php").exists())

    def test_few_descriptors_and_little_memory(self):
        for number in range(150):
            self.scene.shell(f"www/{number}/s.php")
        self.scene.write_policy(limits={"max_files": 1000, "max_files_per_indicator": 1000,
                                        "max_percent": 100})
        before = self.scene.tree()
        self.scene.make_plan()
        words = ["sh", "-c", 'ulimit -n 64; exec "$@"', "sh",
                 *self.scene.command(*self.scene.apply_arguments())]
        ended = self.scene.execute(words)
        document = ended.json()
        if ended.code == 0:
            self.assertEqual(document["status"], "done")
        elif ended.code == 3:
            for operation in document["operations"]:
                self.assertTrue(operation["outcome"] == "quarantined" or operation["reason"])
        else:
            self.assertIn("error", document)
        run = f"run-{self.scene.plan()['plan_id'][:12]}"
        if ended.code:
            self.ok(self.scene.json("resume", run), ended.code if ended.code == 3 else 0)
        self.verified()
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)


if __name__ == "__main__":
    scene.main()
