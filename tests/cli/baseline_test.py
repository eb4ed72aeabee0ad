"""Baselines of known good files: made, signed, refused where they are not, used by plans."""
import json
import os
import pathlib
import subprocess
import threading

import scene

EXCHANGE = scene.SHIPPED / "baselines" / "exchange-frontend.json"
LEFT_OFF = 7


class Baselines(scene.Case):
    def setUp(self):
        super().setUp()
        self.scene.identity("maker")
        self.clean = self.scene.base / "clean"
        self.file = self.scene.base / "good.json"

    def clean_file(self, below, data):
        path = self.clean / below
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def create(self, *more, sign="maker", folder="/www", out=None):
        for path in (out or self.file, f"{out or self.file}.p7s"):
            pathlib.Path(path).unlink(missing_ok=True)  # the command overwrites nothing
        words = ["baseline", "create", "--root", self.clean, folder, "--name", "Clean shop",
                 "--product", "Shop", "--build", "4.2", "-o", out or self.file, *more]
        if sign:
            words += ["--cert", self.scene.base / f"{sign}.crt", "--key",
                      self.scene.base / f"{sign}.key"]
        return self.scene.json(*words)

    def planned(self, *more):
        return self.scene.json(*self.scene.plan_arguments(), *more)

    def with_baseline(self, *more):
        self.ok(self.planned("--baseline", self.file, "--baseline-signer",
                             self.scene.base / "maker.crt", *more))
        return self.scene.plan()

    def shop(self):
        """A clean tree, and a server with it: one file replaced, one shell, one false alarm."""
        for below, data in (("www/index.php", b"<?" b"php // index\n"),
                            ("www/lib/a.php", b"<?" b"php // library\n"),
                            ("www/lib/alarm.php", scene.shell_text("alarm"))):
            self.clean_file(below, data)
            self.scene.write(below, data)
        self.scene.write("www/lib/a.php", b"<?" b"php // replaced\n")
        self.scene.shell("www/up/shell.php")
        self.scene.write("www/up/odd.php", b"<?" b"php // nothing matches\n")
        self.ok(self.create())


class Making(Baselines):
    def test_lists_every_file_and_signs(self):
        self.shop()
        made = scene.one_document(self.file.read_bytes())
        self.assertEqual([f["path"] for f in made["files"]], ["index.php", "lib/a.php", "lib/alarm.php"])
        for entry in made["files"]:
            data = (self.clean / "www" / entry["path"]).read_bytes()
            self.assertEqual((entry["sha256"], entry["size"]), (scene.sha256(data), len(data)))
        self.assertEqual((made["builds"], made["product"]), (["4.2"], "Shop"))
        # With the stock command that docs/baselines.md gives.
        subprocess.run(["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", f"{self.file}.p7s",
                        "-content", self.file, "-certfile", self.scene.base / "maker.crt", "-nointern",
                        "-noverify", "-out", "/dev/null"], check=True, capture_output=True)
        ended = self.ok(self.scene.json("baseline", "check", self.file, "--baseline-signer",
                                        self.scene.base / "maker.crt"))
        self.assertEqual(ended.json()["baselines"][0]["files"], 3)

    def test_changes_nothing_there(self):
        self.clean_file("www/index.php", b"x")
        before = self.scene.manifest(root=self.clean)
        self.ok(self.create())
        self.assertEqual(self.scene.manifest(root=self.clean), before)

    def test_globs_names_and_another_place(self):
        for below in ("shop/a.php", "shop/b.txt", "shop/cache/c.php"):
            self.clean_file(below, below.encode())
        raw = os.fsencode(self.clean / "shop") + b"/odd\xff\n.php"
        with open(raw, "wb") as file:
            file.write(b"odd")
        self.ok(self.create("--include", "**/*.php", "--exclude", "cache/**", "--recorded-as",
                            "C:\\inetpub\\shop", folder="/shop"))
        made = scene.one_document(self.file.read_bytes())
        self.assertEqual([f["path"] for f in made["files"]], ["a.php", "odd\\xff\\n.php"])
        self.assertEqual(made["folders"][0]["spelled"], ["C:\\inetpub\\shop"])
        self.assertTrue(made["folders"][0]["ignore_case"])
        self.scene.write("inetpub/SHOP/A.PHP", b"shop/a.php")
        (self.scene.root / "inetpub/SHOP" / "B.php").write_bytes(b"?")
        plan = self.with_baseline()
        [report] = plan["baselines"]
        self.assertEqual((report["compared"], report["known"], report["not_listed"]), (2, 1, 1))

    def test_unsigned_is_said(self):
        self.clean_file("www/a", b"a")
        ended = self.ok(self.create(sign=None))
        self.assertIn(b"not signed", ended.err)
        self.assertFalse(os.path.exists(f"{self.file}.p7s"))

    def test_nothing_there(self):
        self.clean_file("www/a", b"a")
        self.refused(self.create(folder="/elsewhere"), 1, "not_found", "/elsewhere")
        self.refused(self.create("--include", "**/*.php"), 1, "not_found", "no file")
        self.refused(self.create(folder="www"), 64, "usage", "not absolute")
        self.refused(self.create("--include", "../*"), 64, "usage")
        self.assertFalse(self.file.exists())

    def test_what_cannot_be_read_is_told(self):
        if os.geteuid() != 0:
            self.skipTest("needs root to become nobody")
        self.clean_file("www/a", b"a")
        self.clean_file("www/secret", b"b")
        (self.clean / "www/secret").chmod(0)
        self.scene.base.chmod(0o777)
        words = self.scene.command("baseline", "create", "--root", self.clean, "/www", "--name", "x",
                                   "-o", self.file)
        ended = self.scene.execute(words, user=scene.NOBODY, group=scene.NOBODY)
        self.assertEqual(ended.code, 3, str(ended))
        self.assertIn(b"secret", ended.err)
        self.assertEqual(len(scene.one_document(self.file.read_bytes())["files"]), 1)


class Use(Baselines):
    def test_excludes_and_shows(self):
        self.shop()
        without = self.scene.make_plan()
        self.assertEqual({o["address"] for o in without["operations"]},
                         {"www/lib/alarm.php", "www/up/shell.php"})
        plan = self.with_baseline()
        self.assertEqual([o["address"] for o in plan["operations"]], ["www/up/shell.php"])
        [excluded] = plan["exclusions"]
        self.assertEqual(excluded["address"], "www/lib/alarm.php")
        digest = scene.sha256(self.file.read_bytes())
        self.assertIn(f'baseline "Clean shop" (sha256 {digest})', excluded["reason"])
        self.assertEqual([(r["address"], r["playbook"], r["why"][0]["text"].split(" in ")[0])
                          for r in plan["reviews"]],
                         [("www/lib/a.php", "", "it is listed with other content"),
                          ("www/up/odd.php", "", "it is not listed")])
        [report] = plan["baselines"]
        self.assertEqual(report["sha256"], digest)
        self.assertEqual([report[k] for k in ("files", "compared", "known", "other_content", "not_listed",
                                              "left_off")], [3, 5, 2, 1, 2, 0])
        self.assertEqual(plan["files_scanned"], without["files_scanned"])
        for shown in (self.scene.run("show", self.scene.plan_file).out.decode(),):
            self.assertIn("Clean shop", shown)
            self.assertIn("5 compared, 2 known good, 1 with other content, 2 not listed",
                          " ".join(shown.split()))
        page = self.scene.base / "plan.html"
        self.ok(self.scene.run("show", self.scene.plan_file, "--html", page))
        self.assertIn("Clean shop", page.read_text())
        self.assertIn("it is not listed in baseline", page.read_text())

    def test_only_the_shell_goes_and_the_baseline_is_not_needed_again(self):
        self.shop()
        self.with_baseline()
        self.file.unlink()
        self.assertEqual(self.ok(self.scene.apply()).json()["status"], "done")
        self.assertTrue((self.scene.root / "www/lib/alarm.php").exists())
        self.assertTrue((self.scene.root / "www/up/odd.php").exists())
        self.assertFalse((self.scene.root / "www/up/shell.php").exists())
        self.verified()

    def test_known_elsewhere_is_still_not_removed(self):
        self.shop()
        self.scene.write("www/copy/of.php", scene.shell_text("alarm"))
        plan = self.with_baseline()
        self.assertEqual([o["address"] for o in plan["operations"]], ["www/up/shell.php"])
        self.assertIn("www/copy/of.php", [r["address"] for r in plan["exclusions"]])

    def test_several_baselines_of_one_folder(self):
        self.shop()
        (self.clean / "www/up").mkdir()
        (self.clean / "www/up/odd.php").write_bytes((self.scene.root / "www/up/odd.php").read_bytes())
        second = self.scene.base / "second.json"
        self.ok(self.create(out=second))
        plan = self.with_baseline("--baseline", second)
        self.assertNotIn("www/up/odd.php", [r["address"] for r in plan["reviews"]])
        self.assertEqual(len(plan["baselines"]), 2)
        said = self.refused(self.planned("--baseline", second, "--baseline", second, "--baseline-signer",
                                         self.scene.base / "maker.crt"), 65, "bad_input", "given twice")
        self.assertIn("Clean shop", said)

    def test_bounded(self):
        self.shop()
        for number in range(1000 + LEFT_OFF - 3):
            (self.scene.root / f"www/up/n{number}.php").write_bytes(b"%d" % number)
        plan = self.with_baseline()
        [report] = plan["baselines"]
        self.assertEqual(report["left_off"], LEFT_OFF)
        self.assertEqual(report["not_listed"] + report["other_content"], 1000 + LEFT_OFF)
        self.assertLessEqual(len(plan["reviews"]), 1000)
        shown = " ".join(self.scene.run("show", self.scene.plan_file).out.decode().split())
        self.assertIn(f"{LEFT_OFF} of these are left off", shown)

    def test_the_shipped_one(self):
        auth = "Program Files/Microsoft/Exchange Server/V15/FrontEnd/HttpProxy/owa/auth"
        self.scene.write(f"{auth}/errorEE.aspx", b"not of Exchange")
        self.scene.write(f"{auth}/LOGON.aspx", b"replaced")
        self.scene.write(f"{auth}/themes/x.png", b"not looked at")
        self.ok(self.planned("--unsigned-baseline", EXCHANGE))
        plan = self.scene.plan()
        [report] = plan["baselines"]
        self.assertEqual((report["signer"], report["files"]), ("", 55))
        self.assertEqual((report["compared"], report["other_content"], report["not_listed"]), (2, 1, 1))
        self.assertEqual(plan["operations"], [])
        self.assertIn(b"NOT SIGNED", self.scene.run("show", self.scene.plan_file).out)

    def test_not_on_this_host(self):
        self.scene.harmless()
        self.ok(self.planned("--unsigned-baseline", EXCHANGE))
        self.assertFalse(self.scene.plan()["baselines"][0]["folders"][0]["found"])
        self.assertIn(b"only digests were compared",
                      b" ".join(self.scene.run("show", self.scene.plan_file).out.split()))

    def test_the_file_is_never_a_target(self):
        self.shop()
        own = self.scene.root / "www/good.php"
        text = scene.shell_text("x").decode().split("MARK")[1].split(" ")[0]
        self.ok(self.create("--source", f"MARK{text}", out=own))
        self.ok(self.planned("--baseline", own, "--baseline-signer", self.scene.base / "maker.crt"))
        self.assertNotIn("www/good.php", [o["address"] for o in self.scene.plan()["operations"]])


class Trust(Baselines):
    def nothing(self, *more, code=5, word="signature", reasons=()):
        said = self.refused(self.planned(*more), code, word, *reasons)
        self.assertFalse(self.scene.plan_file.exists())
        return said

    def maker(self):
        return ["--baseline-signer", self.scene.base / "maker.crt"]

    def test_nobody_is_named(self):
        self.shop()
        self.nothing("--baseline", self.file, reasons=["cannot be verified", str(self.file)])
        self.assertIn("--unsigned-baseline", self.planned("--baseline", self.file).json()["error"]["remedy"])

    def test_not_signed(self):
        self.shop()
        os.unlink(f"{self.file}.p7s")
        self.nothing("--baseline", self.file, *self.maker(), reasons=["is not signed"])

    def test_signed_by_another(self):
        self.shop()
        self.scene.identity("stranger")
        self.ok(self.create(sign="stranger"))
        self.nothing("--baseline", self.file, *self.maker(),
                     reasons=["none of the certificates of --baseline-signer"])

    def test_every_field_changed_is_found(self):
        self.shop()
        good = json.loads(self.file.read_bytes())
        places = []

        def walk(value, place):
            if isinstance(value, dict):
                for key in value:
                    walk(value[key], [*place, key])
            elif isinstance(value, list):
                places.append((place, "append"))
                for number, item in enumerate(value):
                    walk(item, [*place, number])
            else:
                places.append((place, "change"))
        walk(good, [])
        self.assertGreater(len(places), 20)
        for place, how in places:
            changed = json.loads(json.dumps(good))
            holder = changed
            for step in place[:-1]:
                holder = holder[step]
            old = holder[place[-1]]
            if how == "append":
                holder[place[-1]] = old[:-1] if old else ["x"]
            else:
                holder[place[-1]] = (not old if isinstance(old, bool) else old + 1 if isinstance(old, int)
                                     else ("1" if old[:1] != "1" else "2") + old[1:])
            self.file.write_text(json.dumps(changed, indent=2, ensure_ascii=False) + "\n")
            with self.subTest(place=place):
                self.nothing("--baseline", self.file, *self.maker(), reasons=["does not hold"])
        print(f"{len(places)} fields changed, every one found")

    def test_a_changed_signature_is_found(self):
        self.shop()
        signature = self.scene.base / "good.json.p7s"
        data = signature.read_bytes()
        for at in range(0, len(data), max(1, len(data) // 40)):
            signature.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:])
            with self.subTest(at=at):
                self.nothing("--baseline", self.file, *self.maker())

    def test_the_policy_decides(self):
        self.shop()
        self.scene.identity("soc")
        self.scene.write_policy(baseline_signers=["soc.crt"])
        self.nothing("--baseline", self.file, reasons=["the policy's baseline_signers"])
        self.nothing("--baseline", self.file, *self.maker(), code=1, word="refused",
                     reasons=["--baseline-signer"])
        self.nothing("--unsigned-baseline", self.file, code=1, word="refused",
                     reasons=["--unsigned-baseline"])
        self.refused(self.scene.json("baseline", "check", self.file), 5, "signature")
        self.ok(self.create(sign="soc"))
        self.ok(self.planned("--baseline", self.file))
        self.assertNotEqual(self.scene.plan()["baselines"][0]["signer"], "")
        self.scene.plan_file.unlink()
        self.scene.write_policy(baseline_signers=[])
        self.nothing("--baseline", self.file, code=65, word="bad_input")

    def test_malformed(self):
        self.shop()
        text = self.file.read_text()
        for changed, code in ((text + "x", "BL004"), (text.replace("{", "{ ", 1), "BL040"),
                              (text.replace('"product"', '"produce"'), "BL010"),
                              (text.replace('"tool"', '"kind": "baseline",\n  "tool"'), "BL003")):
            self.file.write_text(changed)
            with self.subTest(code=code):
                self.nothing("--unsigned-baseline", self.file, code=65, word="bad_input", reasons=[code])
                self.refused(self.scene.json("baseline", "check", self.file), 65, "bad_input", code)

    def test_too_large(self):
        with open(self.file, "wb") as file:
            file.truncate((64 << 20) + 1)
        self.nothing("--unsigned-baseline", self.file, code=1, word="limit", reasons=["64 MiB"])

    def test_too_many(self):
        self.shop()
        self.nothing(*["--baseline", self.file] * 17, *self.maker(), code=1, word="limit")

    def test_exchanged_while_it_is_read(self):
        """What is parsed are the bytes that were verified."""
        self.shop()
        good = self.file.read_bytes()
        bad = good.replace(b"alarm.php", b"alarm.phq")
        other = self.scene.base / "other.json"
        stop = threading.Event()

        def swap():
            turn = 0
            while not stop.is_set():
                other.write_bytes(bad if turn % 2 else good)
                os.replace(other, self.file)
                turn += 1
        thread = threading.Thread(target=swap)
        thread.start()
        try:
            digests = set()
            for _ in range(8):
                ended = self.planned("--baseline", self.file, *self.maker())
                self.assertIn(ended.code, (0, 5), str(ended))
                if ended.code == 0:
                    digests.add(self.scene.plan()["baselines"][0]["sha256"])
        finally:
            stop.set()
            thread.join()
        self.assertLessEqual(digests, {scene.sha256(good)})


if __name__ == "__main__":
    scene.main()
