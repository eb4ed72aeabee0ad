"""What is never touched, whatever a playbook says. Every case has a control: the same file without
whoever claims it is planned and taken."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import traceback

import scene
from scene import Case, end_process, main, mount, private_mounts, shell_text, unmount, wait_for


def md5(data):
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class Dpkg:
    """A small database of packages below a root."""

    def __init__(self, root):
        self.folder = pathlib.Path(root) / "var/lib/dpkg"
        (self.folder / "info").mkdir(parents=True, exist_ok=True)
        self.status = ""
        self.write()

    def write(self):
        (self.folder / "status").write_text(self.status)

    def package(self, name, files):
        """`files`: path (absolute) -> the bytes that the package delivers."""
        (self.folder / "info" / f"{name}.list").write_text(
            "/.\n" + "".join(f"{path}\n" for path in files))
        (self.folder / "info" / f"{name}.md5sums").write_text(
            "".join(f"{md5(data)}  {path[1:]}\n" for path, data in files.items()))
        self.status += f"Package: {name}\nStatus: install ok installed\nArchitecture: all\n\n"
        self.write()


def careless(**changes):
    """A rule that hits the tool's own files too."""
    words = "format_version|PRIVATE KEY|BEGIN CERTIFICATE|GLIBC_|MARK-|store_id|run_started"
    return scene.playbook(
        [{"id": "all", "name": "All", "scopes": ["web"], "match": {"regex": {"pattern": words}},
          "confidence": "high", "authorises": "remove"}],
        [{"id": "remove", "action": "quarantine", "indicators": ["all"]}], **changes)


class Guards(Case):
    def excluded(self, path, plan=None):
        plan = plan or self.scene.make_plan()
        return "\n".join(entry["reason"] for entry in plan["exclusions"]
                         if entry["address"] == path)

    def planned(self, plan=None):
        plan = plan or self.scene.make_plan()
        return sorted(entry["address"] for entry in plan["operations"]
                      if entry["action"] == "quarantine")

    def told_everywhere(self, path, reason):
        """In the plan's text, JSON and HTML."""
        page = self.scene.base / "plan.html"
        text = self.ok(self.scene.run(*self.scene.plan_arguments(), "--html", page)).out.decode()
        self.assertIn("EXCLUDED", text)
        for said in (text, page.read_text(), json.dumps(self.scene.plan()["exclusions"])):
            self.assertIn(path, said)
            self.assertIn(reason, " ".join(said.split()))

    def stays(self, path):
        """The plan with the file left out takes its control and not the file."""
        before = path.read_bytes()
        run = self.applied()
        self.assertEqual(path.read_bytes(), before)
        self.assertFalse((self.scene.root / "www/control.php").exists())
        self.verified(run)

    # Packages.

    def php_site(self):
        """A shell in an upload folder that a line of .user.ini has PHP run with every page."""
        self.scene.playbooks = [scene.SHIPPED / "php-webroot.json"]
        self.scene.write("var/www/html/index.html", b"x")
        shell = b"<?php ev" + b"al($_POST['a']); // MARK-php\n"
        self.scene.write("var/www/html/uploads/s.php", shell)
        self.scene.write("var/www/html/uploads/t.php", shell + b"//t\n")
        return "var/www/html/uploads/s.php"

    def test_settings_that_cannot_be_read_keep_what_they_may_need(self):
        shell = self.php_site()
        line = b"auto_prepend_file = /var/www/html/uploads/s.php\n"
        for large in (line + b";" * (4 << 20), line + b'x = "no end', line + b"\0"):
            self.scene.write("var/www/html/.user.ini", large)
            plan = self.scene.make_plan()
            self.assertEqual(self.planned(plan), [])
            reason = self.excluded(shell, plan)
            self.assertIn("var/www/html/.user.ini", reason)
            self.assertIn("Correct the settings file by hand", reason)
        # Below another folder it protects only what it names.
        (self.scene.root / "var/www/html/.user.ini").unlink()
        self.scene.write("var/www/other/.user.ini", line + b'x = "no end')
        plan = self.scene.make_plan()
        self.assertEqual(self.planned(plan), ["var/www/html/uploads/t.php"])
        self.assertIn("names it", self.excluded(shell, plan))
        # A link is one that nobody reads.
        (self.scene.root / "var/www/other/.user.ini").unlink()
        (self.scene.root / "var/www/html/uploads/.user.ini").symlink_to("/tmp/x.ini")
        plan = self.scene.make_plan()
        self.assertEqual(self.planned(plan), [])
        self.assertIn("symbolic link to /tmp/x.ini", self.excluded(shell, plan))
        (self.scene.root / "var/www/html/uploads/.user.ini").unlink()
        self.scene.write("var/www/html/.htaccess", b"<Files x>\nAddType text/plain .txt\n")
        self.assertEqual(len(self.planned()), 2)  # speaks of no such file

    def test_a_huge_settings_file_is_not_read(self):
        shell = self.php_site()
        book = json.loads((scene.SHIPPED / "php-webroot.json").read_text())
        book["max_file_size"] = 256 << 20
        self.scene.playbooks = [self.scene.base / "book.json"]
        self.scene.playbooks[0].write_text(json.dumps(book))
        large = self.scene.write("var/www/html/.user.ini", b"")
        os.truncate(large, 250 << 20)
        started = self.scene.start("-q", *self.scene.plan_arguments(), stdout=None, stderr=None)
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(started.returncode, 0)
        self.assertLess(usage.ru_maxrss, 96 * 1024)
        plan = self.scene.plan()
        self.assertEqual(self.planned(plan), [])
        self.assertIn("more than the 33554432 that are read", self.excluded(shell, plan))

    def test_links_that_are_not_followed_are_told(self):
        self.php_site()
        self.scene.write("tmp/x/w.php", b"<?php ev" + b"al($_POST['a']); // MARK-php\n")
        folder = self.scene.root / "var/www/html/uploads"
        (folder / "x").symlink_to("/tmp/x")
        (folder / "y.php").symlink_to("../../../../tmp/x/w.php")
        (folder / "same").symlink_to(".")
        html = self.scene.base / "plan.html"
        plan = self.scene.make_plan()
        links = {entry["where"]: entry["reason"] for entry in plan["issues"]
                 if entry["kind"] == "link_not_followed"}
        self.assertEqual(sorted(links),
                         ["var/www/html/uploads/x", "var/www/html/uploads/y.php"])
        self.assertIn("/tmp/x (a folder)", links["var/www/html/uploads/x"])
        text = self.ok(self.scene.run("show", self.scene.plan_file, "--html", html)).out
        for shown in (text, html.read_bytes()):
            self.assertIn(b"link_not_followed", shown)
            self.assertIn(b"var/www/html/uploads/x", shown)

    def test_a_package_s_file_stays(self):
        self.scene.shell("www/control.php")
        path = self.scene.shell("www/app/a.php")
        self.assertEqual(self.planned(), ["www/app/a.php", "www/control.php"])
        database = Dpkg(self.scene.root)
        database.package("app", {"/www/app/a.php": b"what the package delivers"})
        self.assertEqual(self.planned(), ["www/control.php"])
        reason = self.excluded("www/app/a.php")
        self.assertIn("it belongs to package app (dpkg)", reason)
        self.assertIn("is not what the package delivered: reinstall the package", reason)
        self.told_everywhere("www/app/a.php", "package app (dpkg)")
        self.stays(path)

    def test_the_package_s_own_content_is_told(self):
        self.scene.shell("www/app/a.php")
        Dpkg(self.scene.root).package("app", {"/www/app/a.php": shell_text("www/app/a.php")})
        self.assertIn("is what the package delivered", self.excluded("www/app/a.php"))

    def test_the_policy_may_open_a_package_s_file(self):
        self.scene.shell("www/app/a.php")
        self.scene.shell("www/app/b.php")
        Dpkg(self.scene.root).package("app", {"/www/app/a.php": b"", "/www/app/b.php": b""})
        self.scene.write_policy(allow_package_files=["www/app/a*"])
        plan = self.scene.make_plan()
        self.assertEqual(self.planned(plan), ["www/app/a.php"])
        self.assertIn("package", [why["kind"] for why in plan["operations"][0]["why"]])
        self.ok(self.scene.apply())
        self.assertTrue((self.scene.root / "www/app/b.php").exists())

    def test_a_package_installed_after_the_plan_is_respected(self):
        path = self.scene.shell("www/app/a.php")
        self.scene.make_plan()
        Dpkg(self.scene.root).package("app", {"/www/app/a.php": b"x"})
        self.refused(self.scene.apply(), 5, "approval", "it belongs to package app (dpkg)")
        self.assertTrue(path.exists())

    def test_a_database_that_cannot_be_read_forbids(self):
        path = self.scene.shell("www/a.php")
        database = Dpkg(self.scene.root)
        database.package("app", {"/www/other.php": b""})
        self.assertEqual(self.planned(), ["www/a.php"])
        (database.folder / "info/app.list").unlink()
        self.assertEqual(self.planned(), [])
        self.assertIn("cannot be told", self.excluded("www/a.php"))
        self.scene.write_policy(allow_package_files=["www/**"])
        self.assertEqual(self.planned(), ["www/a.php"])
        self.assertTrue(path.exists())

    def test_a_database_that_an_intruder_could_have_written_is_not_believed(self):
        """Else a shell would be out of reach by a line in a file beside it."""
        path = self.scene.shell("www/app/a.php")
        database = Dpkg(self.scene.root)
        database.package("app", {"/www/app/a.php": path.read_bytes()})
        self.assertEqual(self.planned(), [])
        for spoil, mend in ((lambda: database.folder.chmod(0o777),
                             lambda: database.folder.chmod(0o755)),
                            (lambda: os.chown(database.folder, 33, 33),
                             lambda: os.chown(database.folder, 0, 0))):
            spoil()
            plan = self.scene.make_plan()
            self.assertEqual(self.planned(plan), ["www/app/a.php"])
            self.assertTrue([issue for issue in plan["issues"] if "dpkg" in issue["where"]],
                            plan["issues"])
            mend()
            self.assertEqual(self.planned(), [])

    def test_an_rpm_database_that_is_not_read_is_said(self):
        self.scene.shell("www/a.php")
        self.scene.write("var/lib/rpm/Packages", b"berkeley")
        plan = self.scene.make_plan()
        self.assertEqual(self.planned(plan), ["www/a.php"])
        said = [issue["reason"] for issue in plan["issues"] if issue["where"] == "var/lib/rpm"]
        self.assertEqual(len(said), 1)
        self.assertIn("not read", said[0])

    # Processes.

    def running(self, below):
        """A program of the web folder that runs; the rule finds a mark behind its last byte."""
        path = self.scene.root / below
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy("/bin/sleep", path)
        with path.open("ab") as file:
            file.write(shell_text(below))
        process = subprocess.Popen([path, "300"])
        self.addCleanup(end_process, process)
        wait_for(lambda: os.readlink(f"/proc/{process.pid}/exe") == str(path), "the program")
        return path, process

    def test_what_a_process_runs_stays_until_it_ends(self):
        self.scene.shell("www/control.php")
        path, process = self.running("www/miner.php")
        reason = self.excluded("www/miner.php")
        self.assertIn(f"process {process.pid} (miner.php) runs it", reason)
        self.assertIn("stop that process first", reason)
        self.told_everywhere("www/miner.php", f"process {process.pid} (miner.php)")
        self.stays(path)
        end_process(process)
        self.assertEqual(self.planned(), ["www/miner.php"])

    def test_another_name_of_a_running_program_stays_too(self):
        path, process = self.running("www/miner.php")
        os.link(path, self.scene.root / "www/second.php")
        self.assertEqual(self.planned(), [])
        self.assertIn(f"process {process.pid}", self.excluded("www/second.php"))
        end_process(process)
        self.assertEqual(self.planned(), ["www/miner.php", "www/second.php"])

    def test_a_process_started_after_the_plan_is_respected(self):
        path, process = self.running("www/miner.php")
        end_process(process)
        self.assertEqual(self.planned(), ["www/miner.php"])
        process = subprocess.Popen([path, "300"])
        self.addCleanup(end_process, process)
        wait_for(lambda: os.readlink(f"/proc/{process.pid}/exe") == str(path), "the program")
        self.refused(self.scene.apply(), 5, "approval", f"process {process.pid} (miner.php)")
        self.assertTrue(path.exists())
        end_process(process)
        self.ok(self.scene.apply())
        self.assertFalse(path.exists())

    def test_a_copy_that_nobody_runs_is_planned(self):
        path, _ = self.running("www/miner.php")
        shutil.copy(path, self.scene.root / "www/copy.php")
        self.assertEqual(self.planned(), ["www/copy.php"])

    # The tool's own.

    def own(self, place, words):
        """A further name of one of the tool's files in the web folder, all links allowed."""
        name = self.scene.root / "www/own.php"
        name.parent.mkdir(exist_ok=True)
        self.scene.shell("www/control.php")
        os.link(place, name)
        before = name.read_bytes()
        plan = self.scene.make_plan()
        self.assertEqual(self.planned(plan), ["www/control.php"])
        self.assertIn(words, self.excluded("www/own.php", plan))
        self.ok(self.scene.apply())
        self.assertEqual(name.read_bytes(), before)

    def match_everything(self, **changes):
        self.scene.playbooks[0].write_text(json.dumps(careless(**changes)))

    def test_the_policy_file_under_another_name(self):
        self.match_everything()
        self.scene.write_policy(allow_hard_links=True)
        self.own(self.scene.policy, "it is the policy file")

    def test_an_approver_s_certificate_under_another_name(self):
        self.match_everything()
        certificate, _ = self.scene.identity("alice")
        os.chmod(certificate, 0o600)
        self.scene.write_policy(allow_hard_links=True,
                                vault={"recovery": [str(certificate)]})
        self.own(certificate, "it is a certificate of the policy")

    def test_a_playbook_under_another_name(self):
        self.match_everything()
        self.scene.write_policy(allow_hard_links=True)
        self.own(self.scene.playbooks[0], "it is a playbook")

    def test_a_playbook_that_is_given_by_a_symbolic_link(self):
        self.match_everything()
        self.scene.write_policy(allow_hard_links=True)
        place = self.scene.playbooks[0]
        link = self.scene.base / "link.json"
        link.symlink_to(place)
        self.scene.playbooks[0] = link
        self.own(place, "it is a playbook")

    def test_a_key_of_the_store_under_another_name(self):
        self.scene.shell("www/first.php")
        self.applied()
        self.match_everything()
        self.scene.write_policy(allow_hard_links=True)
        self.own(self.scene.store / "keys/signer.key", "it is a file of the tool's own store")

    def test_the_program_itself_under_another_name(self):
        self.match_everything(max_file_size=256 << 20)  # with counters for coverage it is large
        program = self.scene.base / "remediate"
        shutil.copy(scene.REMEDIATE, program)
        self.scene.write_policy(allow_hard_links=True)
        command = self.scene.command
        self.scene.command = lambda *words, **more: [
            str(program) if word == scene.REMEDIATE else word for word in command(*words, **more)]
        self.own(program, "it is this tool's own program")

    def test_a_foreign_file_with_a_second_name_is_planned_when_allowed(self):
        self.match_everything()
        outside = self.scene.base / "outside"
        outside.write_bytes(b"MARK-")
        (self.scene.root / "www").mkdir()
        os.link(outside, self.scene.root / "www/own.php")
        self.scene.write_policy(allow_hard_links=True)
        self.assertEqual(self.planned(), ["www/own.php"])

    # Hard links.

    def test_a_link_to_a_file_outside_stays(self):
        shadow = self.scene.base / "shadow"
        shadow.write_bytes(shell_text("www/shadow.php"))
        shadow.chmod(0o640)
        before = os.stat(shadow)
        self.scene.shell("www/control.php")
        os.link(shadow, self.scene.root / "www/shadow.php")
        self.assertIn("2 names (hard links) and only 1", self.excluded("www/shadow.php"))
        self.stays(self.scene.root / "www/shadow.php")
        after = os.stat(shadow)
        self.assertEqual((after.st_mode, after.st_uid, after.st_mtime_ns, after.st_nlink),
                         (before.st_mode, before.st_uid, before.st_mtime_ns, 2))

    def test_all_names_in_the_plan(self):
        path = self.scene.shell("www/a.php")
        os.link(path, self.scene.root / "www/b.php")
        self.assertEqual(self.planned(), ["www/a.php", "www/b.php"])
        document = self.ok(self.scene.apply()).json()
        self.assertFalse(path.exists())
        self.ok(self.scene.run("rollback", document["run_id"]))
        self.assertEqual(os.stat(path).st_ino, os.stat(self.scene.root / "www/b.php").st_ino)

    def test_a_link_added_after_the_plan_is_stale(self):
        path = self.scene.shell("www/a.php")
        self.scene.make_plan()
        os.link(path, self.scene.base / "outside")
        self.refused(self.scene.apply(), 4, "stale_plan", "2 name(s) (hard links), approved were 1")
        self.assertTrue(path.exists())

    # The list of what is protected, by either spelling of a scope.

    def test_exchange_stores_stay_by_either_spelling(self):
        store = "Program Files/Microsoft/Exchange Server/V15/Mailbox/DB1"
        kept = [f"{store}/{name}" for name in ("DB1.edb", "E00.log", "e0000000A1.LOG", "E00.chk")]
        for name in kept:
            self.scene.shell(name)
        self.scene.shell(f"{store}/control.php")
        for folder in ("/" + store, "C:\\" + store.replace("/", "\\").upper()):
            book = scene.playbook(scopes=[{"id": "web", "folder": folder, "include": ["**/*"]}])
            self.scene.playbooks[0].write_text(json.dumps(book))
            plan = self.scene.make_plan()
            self.assertEqual(self.planned(plan), [f"{store}/control.php"], folder)
            for name in kept:
                self.assertIn("protected path", self.excluded(name, plan))

    # Evidence of the tool, and what only looks like it.

    def test_the_name_of_a_hold_protects_no_shell(self):
        shells = ["www/.remediate-hold-evil/a.php", "www/x/.remediate-hold-/b.php",
                  "www/.remediate-hold-c.php"]
        for shell in shells:
            self.scene.shell(shell)
        (self.scene.root / shells[0]).parent.chmod(0o755)
        os.chown((self.scene.root / shells[1]).parent, 65534, 65534)
        (self.scene.root / shells[1]).parent.chmod(0o700)
        plan = self.scene.make_plan()
        self.assertEqual(self.planned(plan), sorted(shells))
        told = {entry["where"]: entry["reason"] for entry in plan["issues"]
                if entry["kind"] == "not_looked_up"}
        self.assertIn("has the name of a hold", told["www/.remediate-hold-evil"])
        self.assertIn("belongs to user 65534", told["www/x/.remediate-hold-"])
        # Where nobody else reaches into it, it is one.
        os.chown((self.scene.root / shells[1]).parent, 0, 0)
        plan = self.scene.make_plan()
        self.assertEqual(self.planned(plan), sorted([shells[0], shells[2]]))
        self.assertIn("lies in a hold of this tool", self.excluded(shells[1], plan))

    def test_the_store_of_another_case_stays(self):
        self.scene.playbooks = [self.scene.base / "book.json"]
        book = careless()
        book["scopes"][0]["include"] = ["**"]
        self.scene.playbooks[0].write_text(json.dumps(book))
        self.scene.shell("www/control.php")
        other = self.scene.root / "www/case7"
        self.ok(self.scene.execute(self.scene.command("init", store=other)))
        self.assertTrue((other / "store.json").exists())
        plan = self.scene.make_plan()
        self.assertEqual(self.planned(plan), ["www/control.php"])
        self.assertIn("belongs to a store of this tool", self.excluded("www/case7/store.json", plan))
        (other).chmod(0o755)  # anybody's folder is nobody's store
        self.assertIn("www/case7/store.json", self.planned())


class StoreElsewhere(Case):
    def test_the_store_seen_through_another_mount_stays(self):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                code = 77 if private_mounts() else self.seen_through_a_mount()
            except BaseException:  # pylint: disable=broad-except
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == 77:
            self.skipTest("no mount namespace")
        self.assertEqual(code, 0)

    def seen_through_a_mount(self):
        self.scene.shell("www/first.php")
        self.applied()
        window = self.scene.root / "www/window"
        window.mkdir()
        mount("--bind", self.scene.store, window)
        try:
            book = careless(
                scopes=[{"id": "web", "folder": "/www/window", "include": ["**/*"]}])
            self.scene.playbooks[0].write_text(json.dumps(book))
            plan = self.scene.make_plan()
            assert not plan["operations"], plan["operations"]
            reasons = {entry["reason"] for entry in plan["exclusions"]}
            assert reasons == {"it belongs to the tool's own store: never touched"}, reasons
            assert len(plan["exclusions"]) >= 5
        finally:
            unmount(window)
        return 0


if __name__ == "__main__":
    main()
