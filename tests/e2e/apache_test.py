#!/usr/bin/env python3
"""PHP below a real Apache: shells, and lines of .htaccess that make an image run or put a file
before every page. Once with PHP inside Apache and once with php-fpm behind it.

The environment names REMEDIATE, SAMPLE_TREE and TREE_MANIFEST.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import servers  # noqa: E402

servers.enter("apache2", "php-fpm8.2")
import scene  # noqa: E402
from php_pages import Site, image, page, shell  # noqa: E402

PORT = 8080
HTACCESS = "gallery/.htaccess"
# Lines of the site in the same file: they act before and after.
FIRST = b"# the site's own\r\nHeader set X-Site kept\r\n"
LAST = b"AddType text/x-site .site\n\tErrorDocument 404 \"nothing here\""
MAPPINGS = {
    "AddType": "AddType application/x-httpd-php .png\n",
    "AddHandler": "addhandler \\\n  application/x-httpd-php .jpg .png\n",
    "SetHandler": '<FilesMatch "\\.png$">\n  SetHandler application/x-httpd-php\n</FilesMatch>\n',
    "ForceType": "<Files logo.png>\n  ForceType application/x-httpd-php\n</Files>\n",
}


class ApachePhp(Site):
    def serve(self, php=None):
        servers.readable(self.scene.base, self.scene.root)
        if php:
            self.addCleanup(php.stop)
            php.start()
        self.server = servers.Apache(self.scene.base, self.document_root, PORT, php)
        self.addCleanup(self.server.stop)
        self.server.start()

    def gallery(self, line):
        self.put("gallery/logo.png", image())
        self.put("gallery/note.site", b"a note\n")
        return self.put(HTACCESS, FIRST + line.encode() + LAST)

    def site_lines_act(self):
        """What else the file says still holds."""
        answer = self.get("/gallery/note.site")
        self.assertEqual((answer.status, answer.kind), (200, "text/x-site"))
        missing = self.get("/gallery/missing")
        self.assertEqual((missing.status, missing.body), (404, b"nothing here"))

    def shell_comes_and_goes(self):
        before = self.scene.tree()
        self.runs("/uploads/s.php", "SHELL")
        self.neighbours()
        plan = self.scene.make_plan()
        self.assertEqual({o["address"] for o in plan["operations"] if o["action"] == "quarantine"},
                         {"var/www/site/uploads/s.php"}, plan["operations"])
        self.runs("/uploads/s.php", "SHELL")  # a plan changes nothing
        self.assertEqual(self.scene.tree(), before)
        run = self.apply_done()
        self.gone("/uploads/s.php")
        self.neighbours()
        self.roll_back(run, before)
        self.runs("/uploads/s.php", "SHELL")
        self.neighbours()

    def mapping_comes_and_goes(self, line):
        file = self.gallery(line)
        servers.readable(self.scene.base, self.scene.root)
        before, original = self.scene.tree(), file.read_bytes()
        self.runs("/gallery/logo.png", "IMAGE")
        self.site_lines_act()
        self.scene.make_plan()
        self.runs("/gallery/logo.png", "IMAGE")
        self.assertEqual(self.scene.tree(), before)
        run = self.apply_done()
        self.served_as_image("/gallery/logo.png", image())
        self.assertTrue(file.read_bytes().startswith(FIRST) and file.read_bytes().endswith(LAST))
        self.assertNotIn(b"httpd-php", file.read_bytes())
        self.site_lines_act()
        self.neighbours()
        self.roll_back(run, before)
        self.assertEqual(file.read_bytes(), original)
        self.runs("/gallery/logo.png", "IMAGE")
        self.site_lines_act()

    # PHP inside Apache.

    def test_shell(self):
        self.serve()
        self.shell_comes_and_goes()

    def test_hold_below_the_document_root(self):
        self.mount_document_root()
        self.serve()
        run, before = self.apply_to_mount()
        self.gone("/uploads/s.php")
        self.hold_is_not_served()
        self.neighbours()
        self.roll_back(run, before)

    def test_image_that_runs(self):
        self.serve()
        for name, line in MAPPINGS.items():
            with self.subTest(name):
                self.mapping_comes_and_goes(line)

    def test_file_before_every_page(self):
        """The line goes before the file that it names: at no moment does a page fail."""
        self.put("other/uploads/first.php", shell("FIRST"))
        self.put("other/.htaccess", b"Header set X-Site kept\nphp_value auto_prepend_file " +
                 str(self.site / "other/uploads/first.php").encode() + b"\n")
        self.serve()
        before = self.scene.tree()
        self.runs("/other/about.php", "FIRST")
        plan = self.scene.make_plan()
        actions = {o["address"]: number for number, o in enumerate(plan["operations"])}
        [line] = [number for address, number in actions.items() if "other/.htaccess" in address]
        self.assertLess(line, actions["var/www/site/other/uploads/first.php"])
        run, seen = self.apply_done_watched("/other/about.php", "ABOUT")
        self.gone("/other/uploads/first.php")
        self.assertNotIn(b"FIRST-42", self.runs("/other/about.php", "ABOUT").body)
        self.neighbours()
        rolled, more = self.watched("/other/about.php", "ABOUT",
                                    lambda: self.roll_back(run, before))
        self.assertIsNone(rolled)
        self.assertIn(b"FIRST-42", self.runs("/other/about.php", "ABOUT").body)
        print(f"{seen + more} answers of a page while its prepended file went and came: none failed")

    # php-fpm behind Apache.

    def test_shell_of_php_fpm(self):
        self.serve(servers.Php(self.scene.base, self.site))
        self.shell_comes_and_goes()

    def test_image_that_php_fpm_runs(self):
        php = servers.Php(self.scene.base, self.site)
        php.extensions = ".php .png"
        self.serve(php)
        self.mapping_comes_and_goes(
            f'<FilesMatch "\\.png$">\n  SetHandler "proxy:unix:{php.socket}|fcgi://localhost"\n'
            "</FilesMatch>\n")


class ServerThatLosesNothing(Site):
    """The harness itself: a tool that removes nothing and resets nothing is found out."""

    def test_each_check_fails(self):
        self.put("gallery/logo.png", image())
        self.put(HTACCESS, MAPPINGS["AddType"].encode())
        servers.readable(self.scene.base, self.scene.root)
        self.server = servers.Apache(self.scene.base, self.site, PORT)
        self.addCleanup(self.server.stop)
        self.server.start()
        with self.assertRaises(AssertionError):
            self.gone("/uploads/s.php")
        with self.assertRaises(AssertionError):
            self.served_as_image("/gallery/logo.png", image())
        (self.site / "index.php").write_bytes(page("OTHER"))
        with self.assertRaises(AssertionError):
            self.neighbours()
        (self.site / "index.php").write_bytes(b"<" + b"?php nothing(); ?" + b">")
        with self.assertRaises(AssertionError):
            self.watched("/index.php", "PAGE", lambda: servers.until(
                lambda: self.asked > 3, "four answers"))


if __name__ == "__main__":
    scene.main()
