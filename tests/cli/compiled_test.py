"""What ASP.NET keeps of a page goes with it and comes back with it; what hides a file is told."""
import base64
import json
import os
import pathlib
import re
import subprocess

import scene
from scene import Case, playbook

TEMPORARY = "Windows/Microsoft.NET/Framework64/v4.0.30319/Temporary ASP.NET Files/root/0a1b2c3d/4e5f6071"
PAGE = "inetpub/wwwroot/client/x.aspx"
SAMPLE_GONE = pathlib.Path(__file__).resolve().parents[1] / "support" / "sample_gone.txt"


def record(virtual_path, assembly):
    return (f'<?xml version="1.0" encoding="utf-8"?>\r\n<preserve resultType="3" '
            f'virtualPath="{virtual_path}" hash="1f2e" filehash="ffff" flags="110000" '
            f'assembly="{assembly}" type="ASP.page_aspx">\r\n    <filedeps>\r\n'
            f'        <filedep name="{virtual_path}" />\r\n    </filedeps>\r\n</preserve>').encode()


class Compiled(Case):
    def setUp(self):
        super().setUp()
        document = playbook(
            scopes=[{"id": "web", "folder": "C:\\inetpub\\wwwroot", "include": ["**\\*.aspx"]}],
            indicators=[{"id": "mark", "name": "A mark", "scopes": ["web"],
                         "match": {"regex": {"pattern": "MARK-[0-9a-f]{8}"}},
                         "confidence": "high", "authorises": "remove"}],
            steps=[{"id": "remove", "action": "quarantine", "indicators": ["mark"],
                    "compiled": ["%windir%\\Microsoft.NET\\Framework64\\v4.0.30319\\"
                                 "Temporary ASP.NET Files"]}])
        self.scene.playbooks[0].write_text(json.dumps(document))
        self.scene.shell(PAGE)
        self.scene.write("inetpub/wwwroot/client/good.aspx", b"<html>good</html>")

    def compiled(self, name, virtual_path, assembly="App_Web_k3fz0v1q", dll=True):
        self.scene.write(f"{TEMPORARY}/{name}", record(virtual_path, assembly))
        if dll:
            self.scene.write(f"{TEMPORARY}/{assembly}.dll", b"MZ no program: " + assembly.encode())

    def addresses(self, plan):
        return [o["address"].rsplit("/", 1)[-1] for o in plan["operations"]]

    def left(self, plan, kind):
        return {one["address"].rsplit("/", 1)[-1]: one for one in plan[kind]}

    def test_the_compiled_form_goes_and_comes_back(self):
        self.compiled("x.aspx.cdcab7d2.compiled", "/client/x.aspx")
        self.compiled("good.aspx.cdcab7d3.compiled", "/client/good.aspx", "App_Web_other")
        before = self.scene.tree()
        plan = self.scene.make_plan()
        self.assertEqual(self.addresses(plan),
                         ["x.aspx", "x.aspx.cdcab7d2.compiled", "App_Web_k3fz0v1q.dll"])
        for operation in plan["operations"][1:]:
            self.assertIn(PAGE, operation["why"][0]["text"])
            self.assertEqual(operation["indicator"], "mark")
        self.assertEqual(self.scene.tree(), before)
        document = self.ok(self.scene.apply()).json()
        self.assertEqual({o["outcome"] for o in document["operations"]}, {"quarantined"})
        kept = sorted(os.listdir(self.scene.root / TEMPORARY))
        self.assertEqual(kept, ["App_Web_other.dll", "good.aspx.cdcab7d3.compiled"])
        run = document["run_id"]
        back = self.ok(self.scene.json("rollback", run, "--only", "mark")).json()
        self.assertEqual([o["id"] for o in back["operations"]], ["op-0001", "op-0002", "op-0003"])
        self.assertEqual(self.scene.tree(), before)
        self.verified(run)

    def test_a_shared_assembly_stays(self):
        self.compiled("x.aspx.1.compiled", "/client/x.aspx")
        self.compiled("good.aspx.2.compiled", "/client/good.aspx")
        plan = self.scene.make_plan()
        self.assertEqual(self.addresses(plan), ["x.aspx", "x.aspx.1.compiled"])
        reason = self.left(plan, "exclusions")["App_Web_k3fz0v1q.dll"]["reason"]
        for said in ("/client/good.aspx", PAGE, "clear the folder"):
            self.assertIn(said, reason)

    def test_two_pages_of_one_assembly_go_together(self):
        self.scene.shell("inetpub/wwwroot/client/good.aspx")
        self.compiled("x.aspx.1.compiled", "/client/x.aspx")
        self.compiled("good.aspx.2.compiled", "/CLIENT/Good.aspx")
        plan = self.scene.make_plan()
        self.assertEqual(len(plan["operations"]), 5)
        self.assertEqual(self.addresses(plan)[-1], "App_Web_k3fz0v1q.dll")

    def test_names_that_lead_elsewhere(self):
        good = self.scene.write("inetpub/wwwroot/bin/App_Web_good.dll", b"MZ good")
        for number, assembly in enumerate(("../../../../../../inetpub/wwwroot/bin/App_Web_good",
                                           "..\\App_Web_good", "System.Web", "App_Web_")):
            self.scene.write(f"{TEMPORARY}/x.aspx.{number}.compiled",
                             record("/client/x.aspx", assembly))
        self.scene.write(f"{TEMPORARY}/x.aspx.8.compiled", record("/../client/x.aspx", "App_Web_a"))
        self.scene.write(f"{TEMPORARY}/x.aspx.9.compiled", b"<!DOCTYPE a><preserve/>")
        plan = self.scene.make_plan()
        self.assertEqual(self.addresses(plan), ["x.aspx"])
        excluded = self.left(plan, "exclusions")
        self.assertEqual(len(excluded), 6)
        self.assertIn("App_Web_good", excluded["x.aspx.0.compiled"]["reason"])
        self.ok(self.scene.apply())
        self.assertEqual(good.read_bytes(), b"MZ good")

    def test_another_tree_s_assembly_is_not_reached(self):
        """The assembly is looked for beside the record and nowhere else."""
        other = TEMPORARY.replace("4e5f6071", "99999999")
        self.scene.write(f"{other}/App_Web_elsewhere.dll", b"MZ elsewhere")
        self.compiled("x.aspx.1.compiled", "/client/x.aspx", "App_Web_elsewhere", dll=False)
        link = self.scene.root / TEMPORARY / "App_Web_elsewhere.dll"
        link.symlink_to(self.scene.root / other / "App_Web_elsewhere.dll")
        plan = self.scene.make_plan()
        self.assertEqual(self.addresses(plan), ["x.aspx", "x.aspx.1.compiled"])
        self.assertIn("is not there", plan["operations"][1]["why"][0]["text"])

    def test_a_page_of_that_name_elsewhere_is_reviewed(self):
        self.compiled("x.aspx.1.compiled", "/x.aspx")
        plan = self.scene.make_plan()
        self.assertEqual(self.addresses(plan), ["x.aspx"])
        self.assertIn("cannot be told", self.left(plan, "reviews")["x.aspx.1.compiled"]["why"][0]["text"])

    def test_a_good_page_s_compiled_form_is_not_taken(self):
        """A shell whose path ends like a good page's must not take that page's form along."""
        shell = "inetpub/wwwroot/uploads/owa/auth/logon.aspx"
        self.scene.shell(shell)
        self.scene.write("Program Files/Exchange/owa/auth/Logon.aspx", b"<html>as shipped</html>")
        self.compiled("logon.aspx.7.compiled", "/owa/auth/logon.aspx", "App_Web_logon")
        self.compiled("x.aspx.1.compiled", "/client/x.aspx")
        plan = self.scene.make_plan()
        self.assertEqual(sorted(self.addresses(plan)),
                         ["App_Web_k3fz0v1q.dll", "logon.aspx", "x.aspx", "x.aspx.1.compiled"])
        why = self.left(plan, "reviews")["logon.aspx.7.compiled"]["why"][0]["text"]
        for said in (shell, "Program Files/Exchange/owa/auth/Logon.aspx", "pages that stay"):
            self.assertIn(said, why)

    def test_an_application_s_page_fits_whatever_its_folder_is_called(self):
        self.scene.shell("inetpub/wwwroot/uploads/shop/pay/card.aspx")
        self.scene.write("sites/code/pay/card.aspx", b"<html>as shipped</html>")
        shop = TEMPORARY.replace("/root/", "/shop/")
        self.scene.write(f"{shop}/card.aspx.7.compiled", record("/shop/pay/card.aspx", "App_Web_s"))
        self.scene.write(f"{shop}/App_Web_s.dll", b"MZ")
        plan = self.scene.make_plan()
        self.assertEqual(sorted(self.addresses(plan)), ["card.aspx", "x.aspx"])
        self.assertIn("sites/code/pay/card.aspx",
                      self.left(plan, "reviews")["card.aspx.7.compiled"]["why"][0]["text"])

    def test_two_shells_that_fit_one_record(self):
        """Whichever of them it is of, it goes."""
        self.scene.shell("inetpub/wwwroot/uploads/client/x.aspx")
        self.compiled("x.aspx.1.compiled", "/client/x.aspx")
        self.assertEqual(sorted(self.addresses(self.scene.make_plan())),
                         ["App_Web_k3fz0v1q.dll", "x.aspx", "x.aspx", "x.aspx.1.compiled"])

    def test_records_of_shared_code_keep_no_assembly_but_their_own(self):
        self.compiled("x.aspx.1.compiled", "/client/x.aspx")
        for name, kind, path, assembly in (
                ("App_global.asax", 8, "/owa/global.asax", "App_global.asax.k3fz0v1q"),
                ("App_Code", 6, "/owa/App_Code/", "App_Code.z1"),
                ("App_GlobalResources", 9, "", "App_GlobalResources.z2")):
            self.scene.write(f"{TEMPORARY}/{name}.compiled",
                             record(path, assembly).replace(b'"3"', b'"%d"' % kind))
        plan = self.scene.make_plan()
        self.assertEqual(self.addresses(plan),
                         ["x.aspx", "x.aspx.1.compiled", "App_Web_k3fz0v1q.dll"])
        self.scene.write(f"{TEMPORARY}/App_Code.compiled",
                         record("/App_Code/", "App_Web_k3fz0v1q").replace(b'"3"', b'"6"'))
        plan = self.scene.make_plan()
        self.assertEqual(self.addresses(plan), ["x.aspx", "x.aspx.1.compiled"])
        self.assertIn("/App_Code/", self.left(plan, "exclusions")["App_Web_k3fz0v1q.dll"]["reason"])

    def test_an_assembly_that_was_shared_since_the_plan_stays(self):
        for late, said in ((record("/client/good.aspx", "App_Web_k3fz0v1q"), "/client/good.aspx"),
                           (b"<preserve", "cannot be read as a record")):
            with self.subTest(said):
                self.tearDown()
                self.setUp()
                self.compiled("x.aspx.1.compiled", "/client/x.aspx")
                self.assertEqual(len(self.addresses(self.scene.make_plan())), 3)
                self.scene.write(f"{TEMPORARY}/good.aspx.2.compiled", late)
                ended = self.scene.apply()
                self.assertEqual(ended.code, 3)
                outcomes = {o["address"].rsplit("/", 1)[-1]: o for o in ended.json()["operations"]}
                self.assertEqual(outcomes["x.aspx"]["outcome"], "quarantined")
                self.assertEqual(outcomes["x.aspx.1.compiled"]["outcome"], "quarantined")
                left = outcomes["App_Web_k3fz0v1q.dll"]
                self.assertEqual(left["outcome"], "changed")
                self.assertIn(said, left["reason"])
                self.assertTrue((self.scene.root / TEMPORARY / "App_Web_k3fz0v1q.dll").exists())

    def test_a_record_that_cannot_be_read_keeps_the_assembly(self):
        self.compiled("x.aspx.1.compiled", "/client/x.aspx")
        self.scene.write(f"{TEMPORARY}/good.aspx.2.compiled", b"<preserve")
        plan = self.scene.make_plan()
        self.assertEqual(self.addresses(plan), ["x.aspx", "x.aspx.1.compiled"])
        self.assertIn("good.aspx.2.compiled",
                      self.left(plan, "exclusions")["App_Web_k3fz0v1q.dll"]["reason"])

    def test_a_record_without_an_assembly_leaves_none_in_silence(self):
        """As one may write who wants the code to stay: what no record names is for review."""
        self.scene.write(f"{TEMPORARY}/x.aspx.1.compiled",
                         b'<preserve resultType="3" virtualPath="/client/x.aspx" />\r\n')
        self.compiled("good.aspx.2.compiled", "/client/good.aspx", "App_Web_named")
        for name in ("App_Web_k3fz0v1q.dll", "app_web_second.DLL", "App_Code.x.dll", "App_Web_.dll"):
            self.scene.write(f"{TEMPORARY}/{name}", b"MZ " + name.encode())
        plan = self.scene.make_plan()
        self.assertEqual(self.addresses(plan), ["x.aspx", "x.aspx.1.compiled"])
        reviews = self.left(plan, "reviews")
        self.assertEqual(set(reviews), {"App_Web_k3fz0v1q.dll", "app_web_second.DLL"})
        review = reviews["App_Web_k3fz0v1q.dll"]
        self.assertEqual(review["sha256"], scene.sha256(b"MZ App_Web_k3fz0v1q.dll"))
        self.assertEqual(review["indicator"], "mark")
        for said in (PAGE, "names none", "clear the folder"):
            self.assertIn(said, review["why"][0]["text"])
        self.assertIn("are for review", plan["operations"][1]["why"][0]["text"])
        self.ok(self.scene.apply())

    def test_a_record_without_an_assembly_and_none_beside_it(self):
        self.scene.write(f"{TEMPORARY}/x.aspx.1.compiled",
                         b'<preserve resultType="3" virtualPath="/client/x.aspx" />\r\n')
        plan = self.scene.make_plan()
        self.assertEqual(plan["reviews"], [])
        self.assertIn("names no assembly", plan["operations"][1]["why"][0]["text"])


class Sample(Case):
    def listed(self):
        """Files, and lines of settings, that the shipped playbooks have to take from the sample."""
        files, settings = set(), []
        for line in SAMPLE_GONE.read_text().splitlines():
            if line.startswith("#"):
                continue
            path, *setting = line.split("\t")
            if setting:
                settings.append((path, int(setting[0]), setting[1].encode()))
            else:
                path = re.sub(rb"\\x([0-9a-f]{2})", lambda code: bytes.fromhex(code[1].decode()),
                              path.encode())
                files.add(os.path.join(os.fsencode(self.scene.root), path))
        return files, settings

    def lines(self, path, text):
        return sum(text in line for line in (self.scene.root / path).read_bytes().splitlines())

    def test_the_shipped_playbooks_take_all_of_the_sample(self):
        """What lies compiled beside a shell goes with it; the list names every file and line."""
        subprocess.run([scene.SAMPLE_TREE, self.scene.root], check=True, capture_output=True,
                       timeout=scene.TIMEOUT)
        files, settings = self.listed()
        self.assertTrue(all(os.path.lexists(file) for file in files))
        self.assertTrue(all(self.lines(path, text) > left for path, left, text in settings))
        self.scene.playbooks = [scene.SHIPPED / f"{name}.json" for name in
                                ("hafnium-2021", "proxyshell-2021", "php-webroot")]
        before = self.scene.tree()
        plan = self.scene.make_plan()
        planned = {base64.b64decode(one["path"]["raw"]) for one in plan["operations"]
                   if one["action"] == "quarantine"}
        root = os.fsencode(self.scene.root)
        self.assertEqual({os.path.join(root, path) for path in planned}, files)
        self.assertTrue(any(path.endswith(b".dll") for path in planned))
        first = self.ok(self.scene.apply(), 3).json()
        self.ok(self.scene.json("resume", first["run_id"]))
        self.assertEqual([file for file in files if os.path.lexists(file)], [])
        self.assertEqual([text for path, left, text in settings if self.lines(path, text) != left], [])
        self.ok(self.scene.json("rollback", first["run_id"]))
        self.assertEqual(self.scene.tree(), before)


# "hidden, system, read-only" as Samba 4 writes them (version 4, attributes 0x27).
HIDDEN = bytes.fromhex("0000040004000000" "11000000" "27000000") + b"\x55" * 16


class Hidden(Case):
    def hide(self, path):
        try:
            os.setxattr(path, "user.DOSATTRIB", HIDDEN)
        except OSError as error:
            self.skipTest(f"no user attributes here: {error}")

    def test_it_is_told_recorded_and_put_back(self):
        page = self.scene.shell("www/.x.php")
        self.hide(page)
        before = self.scene.tree()
        ended = self.ok(self.scene.run(*self.scene.plan_arguments()))
        for said in ("hidden, system, read-only", "user.DOSATTRIB", "begins with a dot"):
            self.assertIn(said, ended.out.decode())
        [operation] = self.scene.plan()["operations"]
        self.assertEqual([d["name"]["display"] for d in operation["details"]],
                         ["hidden or protected by"])
        run = self.ok(self.scene.apply()).json()["run_id"]
        self.assertFalse(page.exists())
        manifest = scene.one_document((self.scene.run_folder(run) / "manifest.json").read_bytes())
        self.assertIn("hidden", manifest["entries"][0]["details"][0]["value"]["display"])
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)
        self.assertEqual(os.getxattr(page, "user.DOSATTRIB"), HIDDEN)

    def test_the_good_version_is_not_hidden(self):
        good = b"<?" b"php /* as shipped */\n"
        folder = self.scene.base / "good"
        folder.mkdir()
        (folder / "x.php").write_bytes(good)
        self.scene.playbooks[0].write_text(json.dumps(playbook(
            steps=[{"id": "put-back", "action": "replace_file", "indicators": ["mark"],
                    "known_good": [{"name": "x.php", "sha256": [scene.sha256(good)]}]},
                   {"id": "remove", "action": "quarantine", "indicators": ["second"]}])))
        page = self.scene.shell("www/x.php")
        self.hide(page)
        os.setxattr(page, "user.origin", b"kept")
        before = self.scene.tree()
        words = [*self.scene.plan_arguments(), "--known-good", folder]
        self.ok(self.scene.run(*words))
        run = self.ok(self.scene.apply()).json()["run_id"]
        self.assertEqual(page.read_bytes(), good)
        self.assertEqual(os.listxattr(page), ["user.origin"])
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(self.scene.tree(), before)


if __name__ == "__main__":
    scene.main()
