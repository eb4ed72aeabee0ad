"""`import`: lists of others become a playbook that `check` and `plan` take; what was not taken is
listed, and the sums are right."""
import hashlib
import json
import os
import random
import re

import scene
from scene import Case, one_document, sha256

PATTERNS = int(os.environ.get("IMPORT_PATTERNS", "300"))


def digests(*names):
    return [sha256(f"sample {name}".encode()) for name in names]


def md5(data):
    return hashlib.md5(data).hexdigest()


def sha1(data):
    return hashlib.sha1(data).hexdigest()


class ImportCase(Case):
    """Files to import, and the answers."""

    def given(self, name, text):
        path = self.scene.base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def imported(self, *arguments, folder="/www"):
        """The report and the playbook; the sums are checked, and so is the playbook."""
        out = self.scene.base / "imported.json"
        out.unlink(missing_ok=True)  # the command overwrites nothing
        words = ["import", *arguments, "-o", out]
        if folder:
            words += ["--folder", folder]
        report = self.ok(self.scene.json(*words)).json()
        self.adds_up(report)
        self.assertEqual(report["file"], str(out))
        self.ok(self.scene.run("check", out))
        playbook = one_document(out.read_bytes())
        self.assertEqual(report["indicators"], len(playbook["indicators"]))
        known = {indicator["id"]: indicator for indicator in playbook["indicators"]}
        for item in report["taken_items"]:
            for indicator in item["indicators"]:
                self.assertIn(indicator, known)
        for indicator in known.values():
            self.assertIn("source", indicator)
        return report, playbook, known

    def adds_up(self, report):
        self.assertEqual(report["read"], report["taken"] + report["left_out"])
        self.assertEqual(report["taken"], len(report["taken_items"]))
        self.assertEqual(report["left_out"], len(report["left_out_items"]))
        self.assertTrue(all(item["indicators"] for item in report["taken_items"]))
        self.assertTrue(all(item["reason"] for item in report["left_out_items"]))

    def reasons(self, report):
        return {item["place"].rsplit("/", 1)[-1]: item["reason"]
                for item in report["left_out_items"]}


class HashLists(ImportCase):
    def test_every_form_of_line(self):
        a, b, c, d = digests("a", "b", "c", "d")
        path = self.given("list.txt", "\ufeff# bad files\r\n"
                          f"{a}  shell.php\r\n{b.upper()} *up.php\n"
                          f"SHA256 (x (1).php) = {c}\n\"{d}\",\"in a table\"\n"
                          f"{md5(b'sample e')}  weak\n{sha1(b'sample f')}\n; a comment\n\n")
        report, playbook, known = self.imported(path)
        self.assertEqual((report["read"], report["left_out"], report["removing"]), (6, 0, 4))
        self.assertEqual({known[f"sha256-{one[:16]}"]["match"]["sha256"][0]
                          for one in (a, b, c, d)}, {a, b, c, d})
        self.assertEqual(known[f"sha256-{a[:16]}"]["name"], "shell.php")
        self.assertEqual(known[f"sha256-{c[:16]}"]["name"], "x (1).php")
        self.assertEqual(known[f"sha256-{a[:16]}"]["source"],
                         {"format": "hashes", "id": str(path), "object": "line 2"})
        weak = known[f"md5-{md5(b'sample e')[:16]}"]
        self.assertEqual((weak["authorises"], weak["confidence"]), ("review", "medium"))
        self.assertIn(sha256(path.read_bytes()), playbook["references"][0]["source"])
        self.assertEqual(playbook["tlp"], "amber")

    def test_hashdeep_columns(self):
        path = self.given("deep.txt", "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n"
                          f"## Invoked\n5,{md5(b'sample a')},{sha256(b'sample a')},/x/a,b.php\nbroken,line\n"
                          f"5,{md5(b'sample a')},{md5(b'sample a')},/x/c\n")
        report, _, known = self.imported(path)
        self.assertEqual((report["read"], report["taken"]), (3, 1))
        [indicator] = known.values()
        self.assertEqual(indicator["match"], {"all": [{"sha256": [sha256(b"sample a")]},
                                                      {"md5": [md5(b"sample a")]}]})
        self.assertEqual((indicator["name"], indicator["authorises"]), ("/x/a,b.php", "remove"))

    def test_what_is_left_out(self):
        good = sha256(b"good")
        path = self.given("list.txt", f"{good}\n{sha256(b'')}\n{md5(chr(10).encode())}\n"
                          f"{sha1(b'x')}\n{'0' * 64}\n{'ab' * 64}\nnot a digest\n{good[:-1]}\n"
                          f"{good}{' ' * 5000}x\n")
        report, _, _ = self.imported(path, "--from", "hashes")
        self.assertEqual((report["read"], report["taken"]), (9, 1))
        reasons = self.reasons(report)
        for line, part in ((2, "empty file"), (3, "line break"), (4, "hardly any content"),
                           (5, "placeholder"), (6, "of this kind"), (7, "no digest"),
                           (8, "no digest"), (9, "longer than 4096")):
            self.assertIn(part, reasons[f"list.txt:{line}"])

    def test_repeated_digests_keep_every_source(self):
        one = sha256(b"one")
        first = self.given("first.txt", f"{one}  a\n{one}  b\n")
        second = self.given("second.txt", f"# other\n{one.upper()}  c\n")
        report, playbook, known = self.imported(first, second)
        self.assertEqual((report["taken"], report["repeated"], report["indicators"]), (3, 2, 1))
        [indicator] = known.values()
        self.assertEqual([(source["id"], source["object"]) for source in indicator["source"]],
                         [(str(first), "line 1, line 2"), (str(second), "line 2")])
        self.assertEqual(len(playbook["references"]), 2)

    def test_more_than_a_playbook_has_indicators(self):
        lines = [f"{sha256(b'sample %d' % number)}  {number}\n" for number in range(2500)]
        lines += [f"{md5(b'sample %d' % number)}\n" for number in range(500)]
        report, playbook, known = self.imported(self.given("many.txt", "".join(lines)))
        self.assertEqual((report["read"], report["taken"]), (3000, 3000))
        self.assertLessEqual(len(known), 1000)
        matched = [digest for indicator in known.values()
                   for digest in indicator["match"].get("sha256", [])]
        self.assertEqual(sorted(matched), sorted(line[:64] for line in lines[:2500]))
        for item in report["taken_items"]:
            self.assertEqual(len(item["indicators"]), 1)
        self.assertEqual({step["action"] for step in playbook["steps"]},
                         {"quarantine", "instruct"})

    def test_more_digests_than_a_playbook_holds(self):
        lines = "".join(f"{sha256(b'sample %d' % number)}\n" for number in range(100_001))
        out = self.scene.base / "never.json"
        self.refused(self.scene.json("import", self.given("huge.txt", lines), "--folder", "/www",
                                     "-o", out), 1, "limit", "more than one playbook holds",
                     "PB055")
        self.assertFalse(out.exists())

    def test_weak_digests_by_choice(self):
        path = self.given("list.txt", f"{md5(b'x1')}\n")
        _, _, known = self.imported(path, "--weak-digests", "remove")
        self.assertEqual([one["authorises"] for one in known.values()], ["remove"])

    def test_it_plans(self):
        shell = self.scene.shell()
        self.scene.harmless()
        weak = self.scene.shell("www/weak.php")
        path = self.given("list.txt", f"{sha256(shell.read_bytes())}  case 7\n"
                          f"{md5(weak.read_bytes())}\n")
        self.imported(path)
        self.scene.playbooks = [self.scene.base / "imported.json"]
        plan = self.scene.make_plan()
        self.assertEqual([one["action"] for one in plan["operations"]], ["quarantine", "instruct"])
        self.assertEqual(plan["operations"][0]["precondition"]["sha256"],
                         sha256(shell.read_bytes()))
        self.assertEqual(len(plan["reviews"]), 1)


class Loki(ImportCase):
    def folder(self):
        a, b, low, good = digests("la", "lb", "llow", "lgood")
        self.given("iocs/hash-iocs.txt", "# Case 7\n"
                   f"{a};Shell of case 7; with a semicolon\n{b};85;By score\n"
                   f"{low};40;Only a notice\n{good};Taken by mistake\nnothing;x\n")
        self.given("iocs/falsepositive-hashes.txt", f"{good};a good file\n")
        self.given("iocs/filename-iocs.txt", "# Names of case 7\n"
                   "\\\\aspnet_client\\\\[a-z0-9]{8}\\.aspx$;70\n"
                   "\\\\(evil|worse)\\.php;80;\\\\backup\\\\\n"
                   "(?<!x)y\\.php;50\n\\.a$;60\nevil\\.php;high\n")
        self.given("iocs/c2-iocs.txt", "192.0.2.1;80\n")
        self.given("iocs/readme.md", "text")
        return self.scene.base / "iocs", a, b, low, good

    def test_a_folder(self):
        folder, a, b, low, good = self.folder()
        report, _, known = self.imported(folder, "--from", "loki")
        self.assertEqual((report["read"], report["taken"]), (12, 4))
        self.assertEqual(known[f"sha256-{a[:16]}"]["name"], "Shell of case 7; with a semicolon")
        self.assertEqual(known[f"sha256-{b[:16]}"]["confidence"], "high")
        self.assertEqual(known[f"sha256-{low[:16]}"]["authorises"], "review")
        self.assertNotIn(f"sha256-{good[:16]}", known)
        [name] = [one for one in known.values() if "path" in one["match"]]
        self.assertEqual(name["authorises"], "review")
        self.assertEqual(name["name"], "Names of case 7")
        self.assertEqual(name["match"]["path"], ["**/aspnet_client/" + "[0-9a-z]" * 8 + ".aspx"])
        reasons = self.reasons(report)
        for place, part in (("hash-iocs.txt:5", "list of good files"),
                            ("hash-iocs.txt:6", "no MD5"),
                            ("falsepositive-hashes.txt:1", "known good"),
                            ("filename-iocs.txt:3", "false-positive pattern"),
                            ("filename-iocs.txt:4", "looks around"),
                            ("filename-iocs.txt:5", "less than three letters"),
                            ("filename-iocs.txt:6", "score"),
                            ("c2-iocs.txt:1", "no indicator of files")):
            self.assertIn(part, reasons[place])
        self.assertTrue(any("readme.md" in note for note in report["notes"]))

    def test_names_find_files_and_remove_none(self):
        self.scene.write("www/aspnet_client/ab12cd34.aspx", b"a")
        self.scene.write("www/aspnet_client/ab12cd34.aspx.txt", b"b")
        self.scene.write("www/other/ab12cd34.aspx", b"c")
        path = self.given("filename-iocs.txt", "\\\\aspnet_client\\\\[a-z0-9]{8}\\.aspx$;99\n")
        self.imported(path, "--from", "loki")
        self.scene.playbooks = [self.scene.base / "imported.json"]
        plan = self.scene.make_plan()
        self.assertEqual([one["address"] for one in plan["reviews"]],
                         ["www/aspnet_client/ab12cd34.aspx"])
        self.assertEqual([one["action"] for one in plan["operations"]], ["instruct"])


def glob_regex(glob):
    """A glob of a playbook as a regular expression of Python over a path below the folder."""
    parts = glob.split("/")
    text = ""
    for number, part in enumerate(parts):
        last = number + 1 == len(parts)
        if part == "**":
            text += ".*" if last else "(?:[^/]*/)*"
            continue
        at = 0
        while at < len(part):
            if part[at] == "[":
                end = part.index("]", at + 2)
                inside = part[at + 1:end].replace("^", "\\^")
                text += "(?!/)[" + ("^" + inside[1:] if inside[0] == "!" else inside) + "]"
                at = end + 1
                continue
            text += {"*": "[^/]*", "?": "[^/]"}.get(part[at]) or re.escape(part[at])
            at += 1
        text += "" if last else "/"
    return re.compile(text + "\\Z", re.DOTALL)


class Patterns(ImportCase):
    """Patterns of LOKI against Python's own engine, which LOKI uses: what a glob matches, the
    pattern matches in the whole path."""

    ATOMS = ("a", "bc", "\\.", "\\.php", "evil", "/", "\\\\", ".*", ".", "[a-c]", "[^/]*",
             "[^\\\\]+", "[0-9]{2}", "(ab|evil)", "(?:x|y/z)", "b?", "x{2,3}", "[\\w-]", "[^ab]",
             ".+", "\\d", "$", "a{0,2}", "[a/]", ".{2}")
    NAMES = ("a", "bc", "evil", "evil.php", "ab", "x.php", "xx", "y", "z", "12", "a.b", ".php",
             "aevilb.php", "evil-1", "bcbc", "abevil")

    def widened(self, pattern, globs, paths):
        regex = re.compile(pattern.replace("\\\\", "/"))
        for glob in globs:
            matcher = glob_regex(glob)
            for path in paths:
                if matcher.match(path) and not regex.search("/www/" + path):
                    yield glob, path

    def test_the_check_finds_a_glob_that_says_more(self):
        self.assertTrue(list(self.widened("evil\\.php$", ["**/*evil*"], ["x/evil.txt"])))
        self.assertFalse(list(self.widened("evil\\.php$", ["**/*evil.php"], ["x/evil.php"])))

    def test_globs_never_say_more(self):
        source = random.Random(7)
        patterns = []
        while len(patterns) < PATTERNS:
            pattern = "".join(source.choices(self.ATOMS, k=source.randint(1, 6)))
            try:
                re.compile(pattern.replace("\\\\", "/"))
            except re.error:
                continue
            patterns.append(pattern)
        path = self.given("filename-iocs.txt", "".join(f"{one};70\n" for one in patterns)
                          + "always\\.php$;70\n")
        report, _, known = self.imported(path, "--from", "loki")
        globs = {}
        for indicator in known.values():
            sources = indicator["source"]
            matches = indicator["match"].get("any", [indicator["match"]])
            lines = [int(word) for one in (sources if isinstance(sources, list) else [sources])
                     for word in re.findall(r"line (\d+)", one["object"])]
            if len(matches) == 1:
                for line in lines:
                    globs[line] = matches[0]["path"]
        paths = ["/".join(source.choices(self.NAMES, k=source.randint(1, 4))) for _ in range(400)]
        wrong, tried, hits = [], 0, 0
        for line, texts in globs.items():
            if line > len(patterns):
                continue
            tried += 1
            wrong += [(patterns[line - 1], *one)
                      for one in self.widened(patterns[line - 1], texts, paths)]
            hits += sum(any(glob_regex(text).match(path) for text in texts) for path in paths[:50])
        print(f"patterns: {len(patterns)} made, {tried} taken, {hits} hits, {len(wrong)} widened")
        self.assertEqual(wrong, [])
        self.assertGreater(tried, PATTERNS // 10)
        self.assertGreater(hits, 0)


RED = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"


def stix_id(kind, number):
    return f"{kind}--{number:08d}-0000-4000-8000-000000000000"


def indicator(number, pattern, **more):
    base = {"type": "indicator", "spec_version": "2.1", "id": stix_id("indicator", number),
            "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
            "name": f"number {number}", "pattern": pattern, "pattern_type": "stix",
            "valid_from": "2026-01-01T00:00:00Z"}
    return base | more


def bundle(*objects):
    return json.dumps({"type": "bundle", "id": stix_id("bundle", 1), "objects": objects})


class Stix(ImportCase):
    def one(self, pattern, folder="/www", **more):
        """What a bundle of this indicator and a good one gives for it: (item, indicators)."""
        good = indicator(2, f"[file:hashes.'SHA-256' = '{sha256(b'other')}']")
        path = self.given("bundle.json", bundle(indicator(1, pattern, **more), good))
        report, _, known = self.imported(path, folder=folder)
        items = report["taken_items"] + report["left_out_items"]
        [item] = [one for one in items if one["place"].endswith("/objects/0")]
        return item, [known[name] for name in item.get("indicators", [])]

    def test_patterns_that_a_playbook_can_say(self):
        a, b, weak = sha256(b"sample a"), sha256(b"sample b"), md5(b"sample w")
        cases = [
            (f"[file:hashes.'SHA-256' = '{a.upper()}']", [({"sha256": [a]}, "remove")]),
            (f"[file:hashes.SHA256='{a}']", [({"sha256": [a]}, "remove")]),
            (f"[file:hashes.MD5 = '{weak}']", [({"md5": [weak]}, "review")]),
            (f"[file:hashes.'MD5' = '{weak}' AND file:hashes.'SHA-256' = '{a}']",
             [({"all": [{"sha256": [a]}, {"md5": [weak]}]}, "remove")]),
            (f"[file:hashes.MD5 = '{weak}' OR file:hashes.'SHA-256' = '{a}']",
             [({"md5": [weak]}, "review"), ({"sha256": [a]}, "remove")]),
            (f"[file:hashes.'SHA-256' IN ('{a}', '{b}')]",
             [({"sha256": [a]}, "remove"), ({"sha256": [b]}, "remove")]),
            ("[file:name = 'x.aspx']", [({"path": ["**/x.aspx"]}, "review")]),
            (f"[file:name = 'x.aspx' AND file:size = 7 AND file:hashes.'SHA-256' = '{a}']",
             [({"all": [{"path": ["**/x.aspx"]}, {"size": {"min": 7, "max": 7}},
                        {"sha256": [a]}]}, "remove")]),
            ("[file:name = 'x.php' AND (file:size > 7 OR file:size < 3)]",
             [({"all": [{"path": ["**/x.php"]}, {"size": {"min": 8}}]}, "review"),
              ({"all": [{"path": ["**/x.php"]}, {"size": {"max": 2}}]}, "review")]),
            ("[file:name = 'x.php' AND file:parent_directory_ref.path = '/www/up/load']",
             [({"path": ["up/load/x.php"]}, "review")]),
        ]
        for pattern, expected in cases:
            with self.subTest(pattern=pattern):
                item, indicators = self.one(pattern)
                self.assertEqual([(one["match"], one["authorises"]) for one in indicators],
                                 expected, item)

    def test_patterns_that_are_left_out(self):
        a = sha256(b"sample a")
        good = f"file:hashes.'SHA-256' = '{a}'"
        for pattern, reason in (
                (f"[{good} AND process:name = 'x']", "something else than a file"),
                (f"[{good} AND file:hashes.'SHA-512' = '{a}']", "of this kind"),
                (f"[{good} AND file:name != 'x']", "is not"),
                (f"[file:name LIKE '%.aspx' AND {good}]", "LIKE"),
                (f"[{good}] AND [{good}]", "several observations"),
                (f"[{good}] WITHIN 5 SECONDS", "qualifies"),
                ("[url:value = 'http://x/']", "something else"),
                ("[file:size > 5]", "size alone"),
                (f"[file:hashes.MD5 = '{a}']", "wrong length"),
                (f"[{good} AND file:hashes.'SHA-256' = '{sha256(b'sample b')}']", "exclude each other"),
                ("[file:name = 'a/b']", "a glob cannot say"),
                ("[file:name = 'x' AND file:parent_directory_ref.path = '/etc']", "--folder"),
                (f"[{good}", "malformed at byte"), ("", "does not begin"),
                ("[" + "(" * 40 + good + ")" * 40 + "]", "nested too deeply"),
                ("[file:name = '" + "x" * 70000 + "']", "longer than 64 KiB"),
                (f"[file:hashes.'SHA-256' = '{sha256(b'')}']", "empty file")):
            with self.subTest(pattern=pattern[:80]):
                item, _ = self.one(pattern)
                self.assertIn(reason, item.get("reason", "taken"))

    def test_an_alternative_that_cannot_be_said_is_noted(self):
        a = sha256(b"sample a")
        item, [only] = self.one(f"[file:hashes.'SHA-256' = '{a}' OR file:hashes.SSDEEP = '3:a:b']")
        self.assertEqual(only["match"], {"sha256": [a]})
        self.assertTrue(any(note.startswith("in part only") for note in item["notes"]))

    def test_state_of_the_indicator(self):
        pattern = f"[file:hashes.'SHA-256' = '{sha256(b'sample a')}']"
        for more, reason in (({"revoked": True}, "revoked"),
                             ({"valid_until": "2026-01-02T00:00:00.5Z"}, "no longer valid"),
                             ({"valid_from": "2999-01-01T00:00:00Z"}, "not valid yet"),
                             ({"valid_until": "soon"}, "no UTC time"),
                             ({"indicator_types": ["benign"]}, "benign"),
                             ({"pattern_type": "sigma"}, "neither STIX nor YARA"),
                             ({"type": "observed-data"}, "no indicator")):
            with self.subTest(**more):
                item, _ = self.one(pattern, **more)
                self.assertIn(reason, item.get("reason", "taken"))
        item, [only] = self.one(pattern, confidence=10)
        self.assertEqual((only["authorises"], only["confidence"]), ("review", "low"))

    def test_the_latest_version_counts(self):
        pattern = f"[file:hashes.'SHA-256' = '{sha256(b'sample a')}']"
        other = indicator(2, f"[file:hashes.'SHA-256' = '{sha256(b'sample b')}']")
        newer = indicator(1, pattern, modified="2026-02-01T00:00:00.000Z", revoked=True)
        path = self.given("bundle.json", bundle(indicator(1, pattern), newer, other))
        report, _, _ = self.imported(path)
        self.assertEqual([item["reason"] for item in report["left_out_items"]],
                         ["it was revoked or deleted, perhaps in another file", "it was revoked"])

    def test_provenance_and_markings(self):
        statement = {"type": "marking-definition", "id": stix_id("marking-definition", 9),
                     "definition_type": "statement", "definition": {"statement": "CC BY 4.0"}}
        path = self.given("bundle.json", bundle(
            statement,
            indicator(1, f"[file:hashes.'SHA-256' = '{sha256(b'sample a')}']",
                      valid_until="2999-01-01T00:00:00Z", object_marking_refs=[RED,
                                                                               statement["id"]]),
            {"type": "location", "id": stix_id("location", 1), "latitude": 48.85}))
        report, playbook, known = self.imported(path, "--tlp", "green")
        [only] = known.values()
        self.assertEqual(only["source"], {
            "format": "stix", "id": stix_id("bundle", 1), "object": stix_id("indicator", 1),
            "created": "2026-01-01T00:00:00Z", "valid_until": "2999-01-01T00:00:00Z",
            "tlp": "red", "licence": "CC BY 4.0"})
        self.assertEqual((playbook["tlp"], playbook["valid_until"]),
                         ("red", "2999-01-01T00:00:00Z"))
        self.assertTrue(any("TLP:red" in note for note in report["notes"]))
        self.assertEqual((report["read"], report["left_out"]), (3, 2))

    def test_folders_on_windows(self):
        item, [only] = self.one("[file:name = 'Up.aspx' AND file:parent_directory_ref.path = "
                                "'C:\\\\inetpub\\\\WWWroot\\\\Aspnet_client']",
                                folder="c:\\inetpub\\wwwroot\\")
        self.assertEqual(only["match"], {"path": ["aspnet_client/Up.aspx"]}, item)

    def test_hostile_documents(self):
        good = json.dumps(indicator(1, "[file:name = 'x']"))
        for text, part in (
                ('{"type": "bundle", "type": "bundle", "objects": []}', "/type"),
                ('{"type": "bundle", "objects": [' + good + "}", "byte"),
                ('{"type": "bundle", "objects": {}}', "/objects is no list"),
                ('{"type": "report", "objects": []}', "/type is not"),
                ('{"type": "bundle", "objects": ' + "[" * 80 + "]" * 80 + "}", "deep"),
                ('{"type": "bundle", "objects": [1, "a", null, [], {}]}', "/objects/0")):
            with self.subTest(text=text[:60]):
                path = self.given("hostile.json", text)
                self.refused(self.scene.json("import", "--from", "stix", path, "--folder", "/www"),
                             65, "bad_input", part)


def attribute(kind, value, **more):
    return {"uuid": f"{len(value):08d}-0000-4000-8000-{sha256(value.encode())[:12]}",
            "type": kind, "value": value, "to_ids": True, "timestamp": "1767225600",
            "comment": ""} | more


def event(*attributes, objects=(), tags=()):
    return {"Event": {"uuid": "11111111-0000-4000-8000-000000000000", "info": "Case 7",
                      "Tag": [{"name": tag} for tag in tags],
                      "Attribute": list(attributes), "Object": list(objects)}}


class Misp(ImportCase):
    def test_attributes(self):
        a, b, weak = sha256(b"sample a"), sha256(b"sample b"), md5(b"sample w")
        path = self.given("event.json", json.dumps(event(
            attribute("sha256", a), attribute("filename|sha256", f"up.php|{b}", comment="Uploader"),
            attribute("md5", weak), attribute("filename", "x.php"),
            attribute("malware-sample", f"y.php|{md5(b'sample y')}"),
            attribute("sha256", sha256(b"fp"), Sighting=[{"type": "1"}]),
            attribute("sha256", sha256(b"no"), to_ids=False),
            attribute("sha256", sha256(b"gone"), deleted=True),
            attribute("sha256", sha256(b"warned"), warnings=[{"match": "x"}]),
            attribute("ip-dst", "192.0.2.1"), attribute("filename", "a/b"),
            attribute("filename|sha256", a), tags=["tlp:amber+strict", "x"])))
        report, playbook, known = self.imported(path)
        self.assertEqual((report["read"], report["taken"]), (12, 6))
        self.assertEqual(playbook["tlp"], "amber+strict")
        found = {one["name"]: one for one in known.values() if one["name"] != "Case 7"}
        self.assertEqual(found["Uploader"]["match"],
                         {"all": [{"path": ["**/up.php"]}, {"sha256": [b]}]})
        self.assertEqual(known[f"sha256-{a[:16]}"]["source"], {
            "format": "misp", "id": "11111111-0000-4000-8000-000000000000",
            "object": attribute("", a)["uuid"], "created": "2026-01-01T00:00:00Z",
            "tlp": "amber+strict"})
        removing = [one for one in known.values() if one["authorises"] == "remove"]
        self.assertEqual(len(removing), 2)
        self.assertEqual([item["reason"] for item in report["left_out_items"]],
                         ["it is not meant for detection (to_ids)", "it was deleted",
                          "it stands in one of MISP's warning lists",
                          "no indicator of files says what this type says",
                          "it has a name that a glob cannot say",
                          "it has a digest of the wrong length"])

    def test_objects_and_forms_of_documents(self):
        a = sha256(b"sample a")
        parts = [attribute("filename", "z.php"), attribute("md5", md5(b"sample a")),
                 attribute("sha256", a)]
        gone = [attribute("sha256", sha256(b"sample g"))]
        whole = event(objects=[{"name": "file", "Attribute": parts},
                               {"name": "file", "deleted": True, "Attribute": gone}])
        for text in (whole, {"response": [whole]}, [whole]):
            report, _, known = self.imported(self.given("event.json", json.dumps(text)))
            self.assertEqual((report["read"], report["taken"]), (4, 2))
            self.assertEqual(sorted(one["authorises"] for one in known.values()),
                             ["remove", "review"])
            self.assertEqual([item["reason"] for item in report["left_out_items"]],
                             ["the SHA-256 of the same object says more", "its object was deleted"])
        search = {"response": {"Attribute": parts}}
        report, _, _ = self.imported(self.given("event.json", json.dumps(search)))
        self.assertEqual((report["read"], report["taken"]), (3, 3))

    def test_a_feed(self):
        self.given("feed/manifest.json", "{}")
        for number in range(3):
            self.given(f"feed/{number}.json", json.dumps(event(
                attribute("sha256", sha256(b'sample %d' % number)), attribute("sha256", sha256(b"all")))))
        report, playbook, known = self.imported(self.scene.base / "feed", "--from", "misp")
        self.assertEqual((report["read"], report["taken"], report["repeated"]), (6, 6, 2))
        self.assertEqual(len(known), 4)
        self.assertEqual(len(playbook["references"]), 3)
        self.assertTrue(any("manifest.json" in note for note in report["notes"]))


class Yara(ImportCase):
    RULE = ('rule Marked {\n  meta:\n    author = "tests"\n    license = "DRL 1.1"\n'
            '    score = 80\n  strings:\n    $a = "MARK-"\n  condition:\n    $a\n}\n')

    def test_a_folder(self):
        self.given("rules/broken.yar", "rule Broken {\n  condition:\n    $missing\n}\n")
        self.given("rules/include.yar", 'include "x.yar"\nrule A { condition: true }\n')
        self.given("rules/empty.yar", "// nothing\n")
        self.given("rules/bytes.yar", b"rule A { condition: true } // \xff\n")
        self.given("rules/zero.yar", b"rule A { condition: true } // \0\n")
        self.given("rules/good.yar", self.RULE.replace("meta:", "meta: /* \x04\x7f */"))
        self.given("rules/below/again.yara", (self.scene.base / "rules/good.yar").read_bytes())
        self.given("rules/index.txt", "text")
        report, _, known = self.imported(self.scene.base / "rules", "--from", "yara")
        self.assertEqual((report["read"], report["taken"], report["repeated"]), (7, 2, 1))
        [only] = known.values()
        self.assertEqual((only["authorises"], len(only["source"])), ("review", 2))
        self.assertEqual(only["source"][0]["licence"], "DRL 1.1")
        reasons = self.reasons(report)
        for name, part in (("broken.yar", "undefined string"), ("include.yar", "include"),
                           ("empty.yar", "no rule"), ("bytes.yar", "UTF-8"), ("zero.yar", "NUL")):
            self.assertIn(part, reasons[name])

    def test_rules_of_a_score_may_remove(self):
        self.scene.shell()
        path = self.given("good.yar", self.RULE)
        _, _, known = self.imported(path, "--yara-score", "75")
        self.assertEqual(sorted(one["authorises"] for one in known.values()),
                         ["remove", "review"])
        self.scene.playbooks = [self.scene.base / "imported.json"]
        plan = self.scene.make_plan()
        self.assertEqual(plan["operations"][0]["action"], "quarantine")
        self.imported(path, "--yara-score", "81")
        plan = self.scene.make_plan()
        self.assertEqual([one["action"] for one in plan["operations"]], ["instruct"])


class Command(ImportCase):
    def test_the_format_is_guessed_or_asked_for(self):
        one = sha256(b"one")
        for name, text in (("a.txt", f"{one};x\n"), ("b.txt", f"# c\n{one}  x\n")):
            report, _, known = self.imported(self.given(name, text))
            self.assertEqual(report["taken"], 1)
        self.refused(self.scene.json("import", self.given("c.txt", "evil\\.php;80\n"), "--folder",
                                     "/www"), 64, "usage", "c.txt is not clear")

    def test_without_a_file_the_playbook_goes_to_stdout(self):
        path = self.given("list.txt", f"{sha256(b'one')}\nnonsense\n")
        plain = self.ok(self.scene.run("import", path, "--folder", "/www"))
        playbook = one_document(plain.out)
        self.assertEqual(len(playbook["indicators"]), 1)
        self.assertIn(b"read 2 items: 1 taken, 1 left out", plain.err)
        self.assertIn(b"list.txt:2  nonsense", plain.err)
        document = self.ok(self.scene.json("import", path, "--folder", "/www")).json()
        self.assertEqual(document["playbook"]["indicators"], playbook["indicators"])
        piped = self.ok(self.scene.run("import", "-", "--folder", "/www",
                                       stdin=path.read_bytes()))
        self.assertEqual(one_document(piped.out)["indicators"][0]["source"]["id"],
                         "standard input")

    def test_the_same_input_gives_the_same_playbook(self):
        path = self.given("list.txt", f"{sha256(b'one')}\n{md5(b'two')}\n")
        first, second = (self.imported(path)[1] for _ in range(2))
        for key in ("created", "modified"):
            del first[key], second[key]
        self.assertEqual(first, second)

    def test_options_reach_the_playbook(self):
        path = self.given("list.txt", f"{sha256(b'one')}\n")
        made = "playbook--0b1f3c52-7d7e-4f0a-9a53-2f6d1c8e4b10"
        _, playbook, known = self.imported(
            path, "--folder", "C:\\inetpub\\wwwroot", "--include", "**/*.aspx", "--include",
            "**/*.ashx", "--exclude", "**/good/**", "--name", "Case 7", "--author", "CSIRT", "--id",
            made, "--revision", "4", "--tlp", "red", "--attack", "T1505.004")
        self.assertEqual((playbook["id"], playbook["revision"], playbook["name"]),
                         (made, 4, "Case 7"))
        self.assertEqual((playbook["author"], playbook["tlp"], playbook["attack"]),
                         ("CSIRT", "red", ["T1505.004"]))
        self.assertEqual([scope["folder"] for scope in playbook["scopes"]],
                         ["C:\\inetpub\\wwwroot", "/www"])
        self.assertEqual(playbook["scopes"][0]["include"], ["**/*.aspx", "**/*.ashx"])
        self.assertEqual([one["scopes"] for one in known.values()], [["folder-1", "folder-2"]])

    def test_wrong_options_and_inputs(self):
        path = self.given("list.txt", f"{sha256(b'one')}\n")
        run = self.scene.json
        self.refused(run("import", path), 64, "usage", "--folder")
        self.refused(run("import", path, "--folder", "/"), 64, "usage", "PB041")
        self.refused(run("import", path, "--folder", "www"), 64, "usage", "PB042")
        self.refused(run("import", path, "--folder", "/www", "--include", "../x"), 64, "usage",
                     "PB048")
        self.refused(run("import", path, "--folder", "/www", "--id", "x"), 64, "usage", "PB021")
        self.refused(run("import", self.scene.base / "none", "--folder", "/www"), 1, "not_found",
                     "none")
        empty = self.given("empty.txt", "# nothing\n")
        self.refused(run("import", empty, "--from", "hashes", "--folder", "/www"), 65, "bad_input",
                     "no indicator")
        bad = self.given("bad.txt", f"{sha256(b'')}\n")
        self.refused(run("import", bad, "--folder", "/www"), 65, "bad_input", "bad.txt:1",
                     "empty file")
        hollow = self.scene.base / "hollow"
        hollow.mkdir()
        self.refused(run("import", hollow, "--folder", "/www"), 65, "bad_input", "no file")

    def test_hostile_text_is_shown_escaped(self):
        name = "a\x1b[2Jb\u202ec" + "d" * 5000
        path = self.given("list.txt", f"{sha256(b'one')}  {name[:3000]}\nx\x1b[2J\n".encode()
                          + b"\xff\xfe\n")
        ended = self.ok(self.scene.run("import", path, "--folder", "/www"))
        self.assertNotIn(b"\x1b", ended.out + ended.err)
        playbook = one_document(ended.out)
        self.assertLess(len(playbook["indicators"][0]["name"]), 400)


if __name__ == "__main__":
    scene.main()
