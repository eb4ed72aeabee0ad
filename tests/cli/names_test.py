"""Hostile names and contents through every command and form: nothing that a terminal, a page or a
log would act on comes out raw, and the raw bytes are kept."""
import base64
import json
import os
import re
import unicodedata
import xml.etree.ElementTree
import zipfile

import scene
from scene import Case

NAMES = [
    b"line\nbreak.php", b"return\rhere.php", b"tab\tbell\x07back\x08.php", b"delete\x7f.php",
    b"\x1b[31mred\x1b[0m.php", b"\x1b]0;title\x07.php", b"\x1b[2J\x1b[Hclear.php",
    b"\x1b]8;;https:\\\\example.org\x1b\\link\x1b]8;;\x1b\\.php", b"\x1bP+q\x1b\\.php",
    "\u009b31mcsi.php".encode(), "\u0085next.php".encode(), b"\x9b31mraw.php",
    "\u202egnp.php".encode(), "\u2066isolate\u2069.php".encode(), "\u061cletter.php".encode(),
    "\u200bzero\u200dwidth\ufeff.php".encode(), "\u2028line\u2029.php".encode(),
    "\u00adsoft.php".encode(), "\U000e0041tag.php".encode(), b"\xff\xfe\xc3.php",
    b"\xed\xa0\x80surrogate.php", b"\xc0\xaf.php", b"\xf4\x90\x80\x80.php",
    b"<script>alert(1)<script>.php", b"\"><svg onload=alert(1)>.php", b"' onerror='x.php",
    b"<!--.php", b"]]>.php", b"&amp;&lt;&#27;.php", b"%n%s%5$x.php", b"$(id)`id`;id|id.php",
    b"--help.php", b"-rf *.php", b"back\\slash\\n.php", b" .php", b"x" * 251 + b".php"]
FOLDER = "dir\x1b[7m\n\u202e<b>".encode() + b"\xff"
# What is fit to be shown as it is, so that the checks below have nothing to say about it.
PRINTABLE = re.compile(rb"[ -~]+")


def faults_of_text(data):
    """What in `data` a terminal or a reader would take for something else."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        return [f"not UTF-8: {error}"]
    return [f"U+{ord(character):04X} in {text[max(0, at - 40):at + 20]!r}"
            for at, character in enumerate(text) if character != "\n"
            and unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")]


def faults_of_page(data):
    found = faults_of_text(data)
    try:
        top = xml.etree.ElementTree.fromstring(data)
    except xml.etree.ElementTree.ParseError as error:
        return [*found, f"not well-formed: {error}"]
    for element in top.iter():
        name = element.tag.rsplit("}", 1)[-1].lower() if isinstance(element.tag, str) else "odd"
        if name in ("script", "svg", "img", "iframe", "object", "embed", "b", "odd"):
            found.append(f"element {name}")
        for attribute, value in element.attrib.items():
            if attribute.lower().startswith("on") or "javascript:" in value.lower():
                found.append(f"attribute {attribute}={value}")
    return found


def base64_of(path):
    return base64.b64encode(path).decode()


class Checks(Case):
    """The checks can fail."""

    def test_raw_names_are_flagged(self):
        flagged = 0
        for name in [*NAMES, FOLDER]:
            with self.subTest(name=name):
                hostile = name.replace(b"\n", b"") != name or not PRINTABLE.fullmatch(name)
                # A line break is the one control that text has; what follows it is looked at alone.
                self.assertEqual(bool(faults_of_text(b"removed " + name)),
                                 hostile and name != b"line\nbreak.php")
                flagged += hostile
        self.assertGreater(flagged, 20)

    def test_raw_markup_is_flagged(self):
        page = "<html xmlns='http://www.w3.org/1999/xhtml'><body><p>%s</p></body></html>"
        self.assertEqual(faults_of_page((page % "good &lt;script&gt;").encode()), [])
        for bad in ("<script>x</script>", "<p onload='x'/>", "<script>", "&nbsp;", "\u202e", "\x1b",
                    "<a href='javascript:x'/>", "<svg/>"):
            self.assertTrue(faults_of_page((page % bad).encode()), bad)


class Names(Case):
    def setUp(self):
        super().setUp()
        self.outputs = 0
        self.paths = []
        root = os.fsencode(self.scene.root)
        for folder in (b"www", b"www/" + FOLDER):
            os.makedirs(os.path.join(root, folder))
        for name in NAMES:
            self.paths.append(b"www/" + name)
        self.paths.append(b"www/" + FOLDER + b"/" + NAMES[4])
        with open(os.path.join(root, b"www/big\x1b[31m.php"), "wb") as file:
            file.truncate(17 << 20)
        os.mkfifo(os.path.join(root, b"www/pipe\x1b[31m\n.php"))
        os.symlink(b"\x1b[31m", os.path.join(root, b"www/link\x1b[31m.php"))
        for path in self.paths:
            with open(os.path.join(root, path), "wb") as file:
                file.write(scene.shell_text(os.fsdecode(path)))
        self.scene.write_policy(limits={"max_files": 100, "max_files_per_indicator": 100,
                                        "small_scope_files": 1000})

    def clean(self, data, what):
        self.outputs += 1
        self.assertEqual(faults_of_text(data), [], what)

    def page(self, path):
        self.outputs += 1
        data = path.read_bytes()
        self.assertEqual(faults_of_page(data), [], str(path))
        self.assertIn(b"alert(1)", data, "the names are on the page")

    def all_forms(self, *arguments, code=0):
        """Text and JSON of a command that changes nothing; the text."""
        document = self.changing("--format", "json", *arguments, code=code)
        scene.one_document(document.out)
        return self.changing(*arguments, code=code)

    def changing(self, *arguments, code=0):
        ended = self.ok(self.scene.run(*arguments), code)
        self.clean(ended.out, f"stdout of {arguments}")
        self.clean(ended.err, f"stderr of {arguments}")
        return ended

    def fails_cleanly(self, *arguments):
        for form in ("text", "json"):
            ended = self.scene.run("--format", form, *arguments)
            self.assertNotIn(ended.code, (0, None), str(ended))
            self.clean(ended.out, f"stdout of {arguments}")
            self.clean(ended.err, f"stderr of {arguments}")
        ended.json()

    def holds(self, data, what):
        """Every raw name is in it, as base64."""
        for path in self.paths:
            self.assertIn(base64_of(path), data.decode(), f"{what} lost {path!r}")

    def test_the_whole_life_of_a_run(self):
        page = self.scene.base / "page.html"
        words = [word for word in self.scene.plan_arguments()
                 if word not in ("-o", self.scene.plan_file)]
        shown = self.all_forms(*words)
        self.assertIn(b"alert(1)", shown.out)
        self.assertIn(b"big\\x1b", shown.out, "the file that was too large is told")
        self.changing(*self.scene.plan_arguments(), "--html", page)
        self.page(page)
        plan = self.scene.plan()
        self.assertEqual(len(plan["operations"]), len(self.paths))
        self.holds(self.scene.plan_file.read_bytes(), "the plan")
        self.all_forms("show", self.scene.plan_file)
        page.unlink()
        self.changing("show", self.scene.plan_file, "--html", page)
        self.page(page)

        applied = self.changing("apply", self.scene.plan_file, "--confirm", plan["plan_id"])
        self.assertIn(b"alert(1)", applied.out)
        [run] = [path.name for path in (self.scene.store / "runs").iterdir()]
        self.assertEqual([path for path in self.paths
                          if os.path.lexists(os.path.join(os.fsencode(self.scene.root), path))], [])
        self.holds((self.scene.run_folder(run) / "manifest.json").read_bytes(), "the manifest")
        self.holds(self.scene.journal(run).read_bytes(), "the journal")
        for arguments in (["list"], ["verify"], ["show", run], ["rollback", run, "--dry-run"]):
            self.all_forms(*arguments)
        page.unlink()
        self.changing("show", run, "--html", page)
        self.page(page)
        self.exports(run)
        self.restore(run, page)

    def exports(self, run):
        events = self.changing("export", run, "--as", "ocsf", "-o", "-").out
        self.assertEqual(len(events.splitlines()), len(self.paths))
        for line in events.splitlines():
            json.loads(line)
        archive = self.scene.base / "evidence.zip"
        self.changing("export", run, "--as", "infected-zip", "-o", archive)
        for entry in zipfile.ZipFile(archive).namelist():
            self.clean(entry.encode(errors="surrogateescape"), "a name in the zip")
            self.assertNotIn("..", entry.split("/"))
            self.assertFalse(entry.startswith("/"))

    def restore(self, run, page):
        """Names that are taken, evidence that is damaged: the reasons name the files."""
        for path in self.paths[:8]:
            with open(os.path.join(os.fsencode(self.scene.root), path), "wb") as file:
                file.write(b"somebody else's\n")
        ended = self.changing("rollback", run, code=6)
        self.assertEqual(ended.out.count(b"  conflict  "), 8, str(ended))
        self.all_forms("list")
        self.all_forms("show", run)
        held = [path for path in (self.scene.store / "hold" / run).iterdir() if path.is_file()]
        held[0].write_bytes(b"changed")
        self.scene.objects()[0].write_bytes(b"changed")
        found = self.all_forms("verify", code=5)
        self.assertIn(b"changed", found.out + found.err)
        page.unlink()
        self.changing("show", run, "--html", page)
        self.page(page)
        print(f"names: {len(self.paths)} hostile names, {self.outputs} outputs, all clean")

    def test_finalize_and_its_progress(self):
        self.scene.make_plan()
        run = self.ok(self.scene.apply()).json()["run_id"]
        self.changing("finalize", run)
        self.all_forms("show", run)

    def test_errors_that_carry_a_name(self):
        for name in NAMES:
            text = os.fsdecode(name)
            missing = os.path.join(str(self.scene.base), text)
            for arguments in (["show", missing], ["check", missing], ["plan", "-p", missing],
                              ["plan", "-p", self.scene.playbooks[0], "--root", missing],
                              ["plan", "-p", self.scene.playbooks[0], "--root", self.scene.root,
                               "-o", os.path.join(missing, "plan.json")]):
                self.fails_cleanly(*arguments)
        folder = self.scene.base / "present"
        folder.mkdir()
        for name in NAMES:
            file = os.path.join(str(folder), os.fsdecode(name))
            book = self.scene.playbooks[0]
            with open(file, "wb") as out:
                out.write((b"{}", b"\x1b[31m", b'{"plan_id": "\xc2\x9b"}')[len(name) % 3])
            for arguments in (["show", file], ["check", file], ["plan", "-p", file],
                              ["apply", file, "--confirm", "x"],
                              ["approve", file, "--cert", file, "--key", file],
                              ["--policy", file, "plan", "-p", book],
                              ["init", "--signer-cert", file, "--signer-key", file],
                              ["--store", file, "list"]):
                self.fails_cleanly(*arguments)
        for arguments in (["rollback", "\x1b[31m"], ["verify", "\u202erun"], ["show", "r\nun"],
                          ["--\x1b[31m"], ["pl\x1ban"], ["list", "\x1b]0;x\x07"],
                          ["--store", "/\x1b[31m", "list"], ["--policy", "/\x1b[31m", "plan", "-p",
                                                             self.scene.playbooks[0]],
                          ["export", "\x1b", "--as", "\x1b", "-o", "x"]):
            self.fails_cleanly(*arguments)

    def test_a_playbook_and_a_policy_that_are_hostile(self):
        hostile = "x\x1b[31m\u202e\u009b<script>\u200b"
        book = scene.playbook()
        for change in ({"name": hostile}, {"author": hostile}, {hostile: 1}, {"id": hostile},
                       {"description": hostile}, {"references": [{"source": hostile}]}):
            file = self.scene.base / "hostile.json"
            file.write_text(json.dumps({**book, **change}, ensure_ascii=True))
            for arguments in (["check", file], ["plan", "-p", file, "--root", self.scene.root]):
                for form in ("text", "json"):
                    ended = self.scene.run("--format", form, *arguments)
                    self.clean(ended.out, f"stdout of {arguments} with {list(change)}")
                    self.clean(ended.err, f"stderr of {arguments} with {list(change)}")
        self.scene.policy.write_text(json.dumps({"format_version": 1, hostile: hostile}))
        self.all_forms("plan", "-p", self.scene.playbooks[0], code=65)

    def test_a_plan_that_somebody_else_wrote(self):
        plan = self.scene.make_plan()
        hostile = "x\x1b[31m\u202e\u009b<script>\n\u200b"
        page = self.scene.base / "page.html"
        shown = 0

        def changed(value):
            """Every plan that differs from this one in one text."""
            if isinstance(value, str):
                yield value + hostile
            elif isinstance(value, list):
                for other in (changed(value[0]) if value else ()):
                    yield [other, *value[1:]]
            elif isinstance(value, dict):
                for key in value:
                    for other in changed(value[key]):
                        yield {**value, key: other}
        for other in changed(plan):
            data, _ = scene.with_id(other)
            self.scene.plan_file.write_bytes(data)
            page.unlink(missing_ok=True)
            ended = self.scene.run("show", self.scene.plan_file, "--html", page)
            self.clean(ended.out, "stdout of show")
            self.clean(ended.err, "stderr of show")
            if ended.code == 0:
                shown += 1
                self.page(page)
        self.assertGreater(shown, 3, "some of these plans are plans")


if __name__ == "__main__":
    scene.main()
