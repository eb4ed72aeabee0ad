#!/usr/bin/env python3
"""PHP behind a real nginx and php-fpm: shells, and .user.ini, which php-fpm keeps for 300 seconds.

The environment names REMEDIATE, SAMPLE_TREE and TREE_MANIFEST.
"""
import collections
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import servers  # noqa: E402

servers.enter("nginx", "php-fpm8.2")
import php_pages as pages  # noqa: E402
import scene  # noqa: E402
from php_pages import Site, mark, shell  # noqa: E402

PORT = 8080
WORKERS = 3
FIRST = "uploads/first.php"
PAGE = "/other/about.php"
ASKED = 40  # every worker gets some of them
FIRST_LINES = b"; the site's own\r\nmemory_limit = 64M\r\n"


class NginxPhp(Site):
    def serve(self, *settings, dots=False):
        servers.readable(self.scene.base, self.scene.root)
        self.php = servers.Php(self.scene.base, self.site, WORKERS)
        self.php.settings = list(settings) or ["opcache.revalidate_freq=0"]
        self.addCleanup(self.php.stop)
        self.php.start()
        self.server = servers.Nginx(self.scene.base, self.document_root, PORT, self.php, dots)
        self.addCleanup(self.server.stop)
        self.server.start()

    def prepend(self):
        """A shell that .user.ini puts before every page."""
        self.put(FIRST, shell("FIRST"))
        return self.put(".user.ini", FIRST_LINES + b"auto_prepend_file = " +
                        str(self.site / FIRST).encode() + b"\r\n")

    def many(self):
        """How often the page failed, ran with the file before it, ran without it."""
        seen = collections.Counter()
        for _ in range(ASKED):
            answer = self.get(PAGE)
            whole = answer.status == 200 and mark("ABOUT") in answer.body
            seen["failed" if not whole else "with" if mark("FIRST") in answer.body else "without"] += 1
        return dict(seen)

    def test_shell(self):
        self.serve()
        before = self.scene.tree()
        self.runs("/uploads/s.php", "SHELL")
        self.neighbours()
        self.scene.make_plan()
        self.runs("/uploads/s.php", "SHELL")
        self.assertEqual(self.scene.tree(), before)
        run = self.apply_done()
        self.gone("/uploads/s.php")
        self.neighbours()
        self.roll_back(run, before)
        self.runs("/uploads/s.php", "SHELL")
        self.neighbours()

    def test_hold_below_the_document_root(self):
        self.mount_document_root()
        self.serve(dots=True)
        run, before = self.apply_to_mount()
        self.gone("/uploads/s.php")
        self.hold_is_not_served()
        self.neighbours()
        self.roll_back(run, before)

    def cached(self, *settings):
        """A shell that PHP has run and keeps compiled, and was then removed."""
        self.serve("opcache.enable=1", "opcache.file_update_protection=0", *settings)
        before = self.scene.tree()
        for _ in range(ASKED):
            self.runs("/uploads/s.php", "SHELL")
        plan = self.scene.make_plan()
        self.assertIn("opcode cache", "".join(o.get("instruction", "") for o in plan["operations"]))
        return self.apply_done(), before

    def test_removed_code_that_php_looks_for_again(self):
        """By default PHP looks again after two seconds whether a file is still there."""
        run, before = self.cached()
        removed = time.monotonic()
        servers.until(lambda: self.get("/uploads/s.php").status != 200 or mark("SHELL") not in
                      self.get("/uploads/s.php").body, "the end of the removed shell", 15)
        print(f"opcode cache: the removed shell ended {time.monotonic() - removed:.1f} s after apply")
        self.neighbours()
        self.roll_back(run, before)
        self.runs("/uploads/s.php", "SHELL")

    def test_removed_code_that_php_never_looks_for(self):
        """Without validate_timestamps a removed shell runs on until PHP is reloaded."""
        run, before = self.cached("opcache.validate_timestamps=0")
        time.sleep(3)
        self.runs("/uploads/s.php", "SHELL")
        self.php.reload()
        self.gone("/uploads/s.php")
        self.neighbours()
        self.roll_back(run, before)
        self.runs("/uploads/s.php", "SHELL")

    def test_file_before_every_page(self):
        """Line, reload, file: in this order no page fails at any moment."""
        ini = self.prepend()
        self.serve()
        before = self.scene.tree()
        self.assertEqual(self.many(), {"with": ASKED})
        plan = self.scene.make_plan()
        order = [(o["step"], o.get("waits", False)) for o in plan["operations"]]
        self.assertEqual(order[:2], [("take-out-directives", False), ("reload-php-settings", True)])
        self.assertEqual({step for step, _ in order[2:4]}, {"remove-shells"})
        told = self.ok(self.scene.run("show", self.scene.plan_file)).out.decode()
        self.assertIn("apply stands still here", told)

        def apply():
            waiting = self.ok(self.scene.apply(), 3).json()
            said = " ".join(waiting["notices"])
            for words in ("apply waits after 1 of 3 operations", "reload php-fpm", "resume"):
                self.assertIn(words, said)
            self.assertEqual(ini.read_bytes(), FIRST_LINES)
            self.assertTrue((self.site / FIRST).exists())
            self.assertTrue((self.site / "uploads/s.php").exists())
            # What php-fpm still has in its cache, and what the file would be missed for.
            self.assertEqual(self.many(), {"with": ASKED})
            self.php.reload()
            self.assertEqual(self.many(), {"without": ASKED})
            document = self.ok(self.scene.json("resume", waiting["run_id"])).json()
            self.assertEqual(document["status"], "done", document)
            return waiting["run_id"]

        run, asked = self.watched(PAGE, "ABOUT", apply)
        self.gone("/" + FIRST)
        self.assertEqual(self.many(), {"without": ASKED})
        self.neighbours()
        _, more = self.watched(PAGE, "ABOUT", lambda: self.roll_back(run, before))
        self.php.reload()
        self.assertEqual(self.many(), {"with": ASKED})
        print(f"{asked + more} answers of a page while its prepended file went and came: none failed")

    def test_line_for_review_keeps_its_file(self):
        """Nobody may take out a line that could be the site's; so its file stays too."""
        self.put(FIRST, shell("FIRST"))
        self.put(".user.ini", b"include_path = " + str(self.site / "uploads").encode() +
                 b"\nauto_prepend_file = first.php\n")
        self.serve()
        self.assertEqual(self.many(), {"with": ASKED})
        plan = self.scene.make_plan()
        [reason] = [e["reason"] for e in plan["exclusions"] if e["address"].endswith(FIRST)]
        self.assertIn(".user.ini, line 2", reason)
        self.apply_done()
        self.gone("/uploads/s.php")
        self.php.reload()
        self.assertEqual(self.many(), {"with": ASKED})

    def test_taken_back_while_it_waits(self):
        self.prepend()
        self.serve()
        before = self.scene.tree()
        self.scene.make_plan()
        waiting = self.ok(self.scene.apply(), 3).json()
        self.roll_back(waiting["run_id"], before)
        self.assertEqual(self.many(), {"with": ASKED})

    def test_without_the_wait_every_page_fails(self):
        """What the wait is for, and that the checks above see it: the same playbook without it."""
        playbook = json.loads(pages.PLAYBOOK.read_bytes())
        for step in playbook["steps"]:
            step.pop("wait", None)
        hasty = self.scene.base / "hasty.json"
        hasty.write_text(json.dumps(playbook))
        self.scene.playbooks = [hasty]
        self.prepend()
        self.serve()
        before = self.scene.tree()
        self.assertEqual(self.many(), {"with": ASKED})
        self.scene.make_plan()
        run = self.apply_done()
        seen = self.many()
        self.assertEqual(seen, {"failed": ASKED})
        print(f"without the wait: {seen['failed']} of {ASKED} answers failed")
        with self.assertRaises(AssertionError):
            self.watched(PAGE, "ABOUT", lambda: servers.until(lambda: self.asked > 3, "answers"))
        self.php.reload()
        self.assertEqual(self.many(), {"without": ASKED})
        self.roll_back(run, before)


if __name__ == "__main__":
    scene.main()
