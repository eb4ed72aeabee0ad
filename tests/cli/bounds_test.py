"""Files that are given to the command: at their bound they are read, one byte above they are
refused with an error that names the bound (docs/limits.md)."""
import json
import os
import random
import shutil

import scene
from scene import Case

MIB = 1 << 20


class Bounds(Case):
    def padded(self, name, document, size):
        """That document in exactly `size` bytes."""
        file = self.scene.base / name
        data = json.dumps(document).encode()
        file.write_bytes(data + b" " * (size - len(data)))
        file.chmod(0o600)
        return file

    def too_large(self, *arguments, exit_code=1, code="limit", stdin=b""):
        ended = self.scene.json(*arguments, stdin=stdin)
        self.assertEqual(ended.code, exit_code, str(ended))
        error = ended.json()["error"]
        said = json.dumps(error)
        self.assertEqual(error["code"], code, said)
        self.assertRegex(said, r"larger|more than|at most")

    def test_playbook(self):
        size = 16 * MIB
        good, bad = (self.padded(f"book{more}.json", scene.playbook(), size + more)
                     for more in (0, 1))
        self.ok(self.scene.json("check", good))
        self.ok(self.scene.json("plan", "-p", good, "--root", self.scene.root))
        self.ok(self.scene.json("check", "-", stdin=good.read_bytes()))
        self.too_large("check", bad)
        self.too_large("plan", "-p", bad, "--root", self.scene.root)
        self.too_large("check", "-", stdin=bad.read_bytes())
        self.too_large("plan", "-p", "-", "--root", self.scene.root, stdin=bad.read_bytes())

    def test_policy(self):
        arguments = ["plan", "-p", self.scene.playbooks[0], "--root", self.scene.root]
        self.scene.policy = self.padded("good.json", {"format_version": 1}, MIB)
        self.ok(self.scene.json(*arguments))
        self.scene.policy = self.padded("bad.json", {"format_version": 1}, MIB + 1)
        self.too_large(*arguments)

    def test_plan_and_its_signatures(self):
        self.scene.shell()
        plan = self.scene.make_plan()
        huge = self.scene.base / "huge.json"
        shutil.copy(self.scene.plan_file, huge)
        with open(huge, "r+b") as file:
            file.truncate(256 * MIB + 1)
        for arguments in (["show", huge], ["apply", huge, "--confirm", plan["plan_id"]]):
            self.too_large(*arguments)
        signatures = self.scene.base / "plan.json.p7s"
        with open(signatures, "wb") as file:
            file.truncate(MIB + 1)
        self.too_large("apply", self.scene.plan_file, "--confirm", plan["plan_id"])

    def test_keys(self):
        key = self.scene.base / "key"
        with open(key, "wb") as file:
            file.truncate((64 << 10) + 1)
        self.too_large("init", "--signer-cert", key, "--signer-key", key)
        self.scene.shell()
        self.scene.make_plan()
        self.too_large("approve", self.scene.plan_file, "--cert", key, "--key", key)

    def test_time_of_regular_expressions(self):
        indicators = [
            {"id": name, "name": name, "scopes": ["web"], "match": match, "confidence": "high",
             "authorises": authorises}
            for name, authorises, match in (
                ("mark", "remove", {"regex": {"pattern": "MARK-[0-9a-f]{8}"}}),
                ("slow", "remove", {"regex": {"pattern": "(.{0,40}a){20}Z"}}),
                ("lacks", "review", {"not": {"regex": {"pattern": "(.{0,40}a){20}Z"}}}))]
        book = scene.playbook(indicators, [{"id": "remove", "action": "quarantine",
                                            "indicators": ["mark", "slow"]}])
        self.scene.playbooks[0].write_text(json.dumps(book))
        hostile = random.Random(1).choices(b"ab", k=4 * MIB)
        self.scene.write("www/hostile.php", bytes(hostile) + b" MARK-0123abcd")
        for number in range(6):
            self.scene.shell(f"www/n{number}.php")
        before = os.times()
        plan = self.scene.make_plan()
        after = os.times()
        seconds = (after.children_user + after.children_system - before.children_user
                   - before.children_system)
        issues = [issue for issue in plan["issues"] if issue["kind"] == "not_evaluated"]
        self.assertEqual([issue["where"] for issue in issues], ["www/hostile.php"], issues)
        self.assertRegex(issues[0]["reason"], r"^indicator (slow|lacks) of playbook .* and 1 more "
                         r"indicator: regex: /.*/ is too slow for this file and was not searched")
        print(f"bounds: a hostile file of 4 MiB: {seconds:.1f} s of processor time", flush=True)
        self.assertLess(seconds, 15)  # without a bound 40 and more
        self.ok(self.scene.apply())
        self.assertEqual(sorted(os.listdir(self.scene.root / "www")), [])

    def test_files_that_are_too_large(self):
        def indicator(name, match):
            return {"id": name, "name": name, "scopes": ["web"], "match": match,
                    "confidence": "high", "authorises": "review"}
        by_size = {"all": [{"path": ["small/**"]}, {"size": {"min": 0, "max": 4096}},
                           {"regex": {"pattern": "MARK-[0-9a-f]{8}"}}]}
        book = scene.playbook([indicator("small", by_size),
                               indicator("name", {"path": ["named/*.php"]})],
                              [{"id": "tell", "action": "instruct", "text": "Look at them.",
                                "indicators": ["small", "name"]}])
        self.scene.playbooks[0].write_text(json.dumps(book))
        for below in ("www/small/a.php", "www/named/b.php"):
            os.truncate(self.scene.write(below, b""), 300 * MIB)
        ended = self.scene.run("-q", *self.scene.plan_arguments())
        self.assertTrue(self.scene.plan_file.exists(), str(ended))
        issues = [(issue["kind"], issue["where"]) for issue in self.scene.plan()["issues"]]
        self.assertEqual(sorted(issues), [("not_evaluated", "www/named/b.php"),
                                          ("too_large", "www/named/b.php")])
        self.assertIn("indicator name of playbook", json.dumps(self.scene.plan()["issues"]))

    def test_a_large_file_is_searched_but_not_held(self):
        book = scene.playbook()
        book["max_file_size"] = 256 * MIB
        book["indicators"][0]["match"] = {"all": [
            {"path": ["large.php"]}, book["indicators"][0]["match"],
            {"not": {"regex": {"pattern": "nobody wrote this"}}}]}
        self.scene.playbooks[0].write_text(json.dumps(book))
        large = self.scene.write("www/large.php", b"")
        with open(large, "r+b") as file:
            file.seek(200 * MIB - 3)  # a hole up to there
            file.write(b"MARK-0123abcd tail")
        started = self.scene.start("-q", *self.scene.plan_arguments(), stdout=None, stderr=None)
        _, status, usage = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(started.returncode, 0)
        [operation] = [one for one in self.scene.plan()["operations"]
                       if one["action"] == "quarantine"]
        self.assertIn(f"at byte {200 * MIB - 3}", json.dumps(operation))
        print(f"bounds: a file of 200 MiB: {usage.ru_maxrss // 1024} MiB of memory", flush=True)
        self.assertLess(usage.ru_maxrss, 96 * 1024)
        self.ok(self.scene.apply())
        self.assertFalse(large.exists())
        [run] = os.listdir(self.scene.store / "runs")
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(large.stat().st_size, 200 * MIB + 15)

    def test_readers(self):
        arguments = ["plan", "-p", self.scene.playbooks[0], "--root", self.scene.root, "--threads"]
        self.ok(self.scene.json(*arguments, "8"))
        self.refused(self.scene.json(*arguments, "9"), 64, "usage")


if __name__ == "__main__":
    scene.main()
