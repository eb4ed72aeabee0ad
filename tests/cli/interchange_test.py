"""`export` for others: MISP sightings of files that were given back, playbooks as CACAO 2.0.

CACAO_SCHEMAS may name the folder `schemas` of a copy of the schemas that OASIS publishes: then each
document is also checked against them. Without it the rules below stand alone.
"""
import json
import os
import pathlib
import re
import uuid

import scene
from scene import Case, one_document, sha256, shell_text

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[1-5][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
CACAO_NAMESPACE = uuid.UUID("aa7caf3a-d55a-4e9a-b34e-056215fba56a")
VARIABLES = {"__playbook_file__", "__plan_file__", "__root__", "__plan_id__", "__run__",
             "__server__", "__store__"}
BASH = {'remediate check "__playbook_file__:value"',
        'remediate plan -p "__playbook_file__:value" --root "__root__:value" '
        '-o "__plan_file__:value" --store "__store__:value"',
        'remediate verify --store "__store__:value"'}
PLAYBOOK = ({"type", "spec_version", "id", "name", "created_by", "created", "modified",
             "workflow_start", "workflow"},
            {"description", "playbook_types", "playbook_activities", "revoked", "valid_until",
             "labels", "external_references", "markings", "playbook_variables",
             "agent_definitions", "data_marking_definitions"})
COMMON = {"name", "description", "external_references", "on_completion", "on_success",
          "on_failure"}
STEPS = {"start": ({"type", "on_completion"}, {"name"}),
         "action": ({"type", "commands", "agent"}, COMMON),
         "end": ({"type"}, {"name"})}


def faults_of(document):
    """What is wrong with a CACAO playbook of this tool, by the rules of CACAO 2.0."""
    faults = []

    def keys(where, one, needed, allowed):
        faults.extend(f"{where}: {key} is missing" for key in needed - set(one))
        faults.extend(f"{where}: {key} is unknown" for key in set(one) - needed - allowed)

    def link(where, target):
        if target not in document["workflow"]:
            faults.append(f"{where}: {target} is no step")

    keys("playbook", document, *PLAYBOOK)
    if faults:
        return faults
    if document["type"] != "playbook" or document["spec_version"] != "cacao-2.0":
        faults.append("playbook: type or version")
    if not re.fullmatch("playbook--" + UUID, document["id"]):
        faults.append(f"playbook: id {document['id']}")
    if not re.fullmatch("identity--" + UUID, document["created_by"]):
        faults.append(f"playbook: created_by {document['created_by']}")
    for key in ("created", "modified", "valid_until"):
        if key in document and not TIME.match(document[key]):
            faults.append(f"playbook: {key} {document[key]}")
    if not document["workflow_start"].startswith("start--"):
        faults.append("playbook: workflow_start")
    link("playbook", document["workflow_start"])
    activities, kinds = set(), []
    for name, step in document["workflow"].items():
        kind = step.get("type")
        kinds.append(kind)
        if kind not in STEPS or not re.fullmatch(f"{kind}--{UUID}", name):
            faults.append(f"{name}: type {kind}")
            continue
        keys(name, step, *STEPS[kind])
        for way in ("on_completion", "on_success", "on_failure"):
            if way in step:
                link(name, step[way])
        if kind == "action":
            if ("on_completion" in step) == ("on_success" in step):
                faults.append(f"{name}: neither or both of on_completion and on_success")
            if step["agent"] not in document["agent_definitions"]:
                faults.append(f"{name}: agent")
            for command in step["commands"]:
                keys(name, command, {"type", "command"}, {"playbook_activity"})
                activities.add(command.get("playbook_activity"))
                said = re.findall(r"__\w+?__:value", command["command"])
                if command["type"] == "bash" and command["command"] not in BASH:
                    faults.append(f"{name}: a shell would run {command['command']}")
                if command["type"] == "bash" and {one[:-6] for one in said} - VARIABLES:
                    faults.append(f"{name}: an unknown variable")
        for reference in step.get("external_references", []):
            if reference not in document["external_references"]:
                faults.append(f"{name}: a reference that the playbook does not list")
    if (kinds.count("start"), kinds.count("end")) != (1, 1) or "action" not in kinds:
        faults.append(f"playbook: steps {kinds}")
    if set(document["playbook_activities"]) - activities:
        faults.append("playbook: an activity that no step has")
    for reference in document["external_references"]:
        keys("reference", reference, {"name"}, {"description", "source", "url", "external_id"})
    if set(document["playbook_variables"]) != VARIABLES:
        faults.append("playbook: variables")
    markings = document["data_marking_definitions"]
    if document["markings"] != list(markings):
        faults.append("playbook: markings")
    faults.extend(unreached(document))
    return faults + schema_faults(document)


def unreached(document):
    seen, ahead = set(), [document["workflow_start"]]
    while ahead:
        name = ahead.pop()
        if name in seen or name not in document["workflow"]:
            continue
        seen.add(name)
        step = document["workflow"][name]
        ahead += [step[way] for way in ("on_completion", "on_success", "on_failure")
                  if way in step]
    return [f"{name}: not reached" for name in document["workflow"] if name not in seen]


def schema_faults(document):
    folder = os.environ.get("CACAO_SCHEMAS")
    if not folder:
        return []
    import jsonschema
    files = [json.loads(file.read_text()) for file in pathlib.Path(folder).rglob("*.json")]
    store = {one["$id"]: one for one in files}
    schema = next(one for one in files if one["$id"].endswith("/schemas/playbook.json"))
    with_refs = jsonschema.RefResolver(schema["$id"], schema, store=store)
    validator = jsonschema.Draft7Validator(schema, resolver=with_refs)
    return [f"schema: {error.json_path}: {error.message[:200]}"
            for error in validator.iter_errors(document)]


class Cacao(Case):
    def exported(self, path):
        out = self.new_folder() / "cacao.json"
        answer = self.ok(self.scene.json("export", path, "--as", "cacao", "-o", out)).json()
        self.assertEqual((answer["as"], answer["file"]), ("cacao", str(out)))
        return one_document(out.read_bytes())

    def playbook(self, **changes):
        path = self.scene.base / "book.json"
        path.write_text(json.dumps(scene.playbook(**changes)))
        return path

    def in_order(self, document):
        """The steps from start to end, by the way on which nothing fails."""
        names, name = [], document["workflow_start"]
        while name:
            names.append(name)
            step = document["workflow"][name]
            name = step.get("on_completion") or step.get("on_success")
        return [document["workflow"][one] for one in names]

    def test_every_shipped_playbook(self):
        for path in sorted(scene.SHIPPED.glob("*.json")):
            with self.subTest(path.name):
                document = self.exported(path)
                self.assertEqual(faults_of(document), [])
                ours = one_document(path.read_bytes())
                self.assertEqual(document["id"], ours["id"])
                titles = [step.get("name", "") for step in document["workflow"].values()]
                for indicator in ours["indicators"]:
                    self.assertEqual(titles.count("Look at: " + indicator["name"]), 1)
                texts = json.dumps(document)
                for step in ours["steps"]:
                    self.assertIn(step["id"], texts)
                    if step["action"] == "instruct":
                        self.assertIn(json.dumps(step["text"])[1:-1], texts)
                known = {(one["name"], one.get("url"), one.get("external_id"))
                         for one in document["external_references"]}
                for reference in ours["references"]:
                    self.assertIn((reference["source"], reference.get("url"), None), known)
                self.assertIn(sha256(path.read_bytes()), texts)

    def test_the_rules_find_what_is_wrong(self):
        def last(document, kind):
            return [one for one in document["workflow"].values() if one["type"] == kind][-1]

        wrongs = {
            "missing": lambda one: one.pop("created_by"),
            "unknown": lambda one: one.update(extra=1),
            "created": lambda one: one.update(created="2026-01-01T00:00:00Z"),
            "no step": lambda one: last(one, "action").update(on_completion="end--x"),
            "not reached": lambda one: last(one, "start").update(
                on_completion=next(name for name in one["workflow"] if name.startswith("end"))),
            "id ": lambda one: one.update(id="playbook--11111111-1111-8111-8111-111111111111"),
            "a shell": lambda one: one["workflow"][next(
                name for name, step in one["workflow"].items()
                if step["type"] == "action")]["commands"][0].update(command="rm -rf /"),
            "does not list": lambda one: last(one, "action").update(
                external_references=[{"name": "x"}]),
            "markings": lambda one: one.update(markings=[]),
        }
        good = json.dumps(self.exported(self.playbook()))
        self.assertEqual(faults_of(json.loads(good)), [])
        for words, spoil in wrongs.items():
            document = json.loads(good)
            spoil(document)
            self.assertIn(words, "\n".join(faults_of(document)), words)

    def test_the_same_bytes_give_the_same_document(self):
        path = self.playbook()
        first, again = self.exported(path), self.exported(path)
        self.assertEqual(first, again)
        own = uuid.UUID(scene.playbook()["id"].removeprefix("playbook--"))
        self.assertEqual(first["workflow_start"], f"start--{uuid.uuid5(own, 'start start')}")
        self.assertEqual(first["created_by"],
                         f"identity--{uuid.uuid5(CACAO_NAMESPACE, 'author tests')}")

    def test_order_and_failure(self):
        document = self.exported(self.playbook(steps=[
            {"id": "first", "action": "instruct", "text": "Stop the pool.", "wait": True},
            {"id": "remove", "action": "quarantine", "indicators": ["mark", "second"]},
            {"id": "last", "action": "instruct", "text": "Change the keys."}]))
        self.assertEqual(faults_of(document), [])
        steps = self.in_order(document)
        self.assertEqual([step["name"] for step in steps],
                         ["Start", "Check the playbook", "Plan: the dry run", "Look at: A mark",
                          "Look at: Another mark", "Apply the plan", "Do: first",
                          "Compare: remove", "Do: last", "Verify the evidence", "End"])
        self.assertIn("remediate resume __run__:value", steps[6]["commands"][0]["command"])
        self.assertIn("--confirm __plan_id__:value", steps[5]["commands"][0]["command"])
        failed = document["workflow"][steps[5]["on_failure"]]
        self.assertIn("remediate rollback __run__:value", failed["commands"][0]["command"])
        # A store elsewhere than the usual one is named in each command that needs it.
        commands = [command["command"] for step in document["workflow"].values()
                    for command in step.get("commands", [])]
        for command in commands:
            for part in re.findall(r"remediate (?:plan|apply|resume|rollback|verify|show __run__)[^,\n]*",
                                   command):
                self.assertIn("--store", part)

    def test_nothing_to_apply(self):
        document = self.exported(self.playbook(
            indicators=[{"id": "look", "name": "A name", "scopes": ["web"],
                         "match": {"regex": {"pattern": "MARK-[0-9a-f]{8}"}},
                         "confidence": "low", "authorises": "review"}],
            steps=[{"id": "look", "action": "instruct", "indicators": ["look"], "text": "Look."}]))
        names = [step["name"] for step in self.in_order(document)]
        self.assertNotIn("Apply the plan", names)
        self.assertEqual(document["playbook_activities"], ["match-indicator"])
        self.assertEqual(faults_of(document), [])

    def test_hostile_text_reaches_no_shell(self):
        evil = "$(touch /tmp/x); `id` \"; rm -rf / # __run__:value"
        book = scene.playbook(name=evil, description=evil, author=evil,
                              references=[{"source": evil}])
        for indicator in book["indicators"]:
            indicator["name"] = evil
        path = self.scene.base / "$(evil) book.json"
        path.write_text(json.dumps(book))
        document = self.exported(path)
        self.assertEqual(faults_of(document), [])

    def test_imported_playbook_with_provenance(self):
        bundle = {"type": "bundle", "id": "bundle--" + str(uuid.uuid4()), "objects": [
            {"type": "indicator", "spec_version": "2.1", "id": f"indicator--{uuid.uuid4()}",
             "created": "2026-01-01T00:00:00.000Z", "modified": "2026-01-01T00:00:00.000Z",
             "name": f"shell {number}", "pattern_type": "stix",
             "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2099-01-01T00:00:00Z",
             "pattern": f"[file:hashes.'SHA-256' = '{sha256(bytes([number, 1]))}']"}
            for number in range(3)]}
        given = self.scene.base / "bundle.json"
        given.write_text(json.dumps(bundle))
        made = self.scene.base / "imported.json"
        self.ok(self.scene.run("import", given, "--folder", "/www", "-o", made))
        document = self.exported(made)
        self.assertEqual(faults_of(document), [])
        self.assertNotEqual(document["id"], one_document(made.read_bytes())["id"])
        said = [one for one in document["external_references"] if one["name"] == "stix"]
        self.assertEqual({one["external_id"] for one in said},
                         {one["id"] for one in bundle["objects"]})
        self.assertTrue(all(one["source"] == bundle["id"] for one in said))
        self.assertTrue(all("valid_until 2099" in one["description"] for one in said))

    def test_refusals(self):
        path = self.playbook(revision=0)
        self.refused(self.scene.json("export", path, "--as", "cacao", "-o", "x.json"), 65,
                     "bad_input", "revision")
        self.assertFalse((self.scene.base / "x.json").exists())
        ended = self.scene.json("export", "run-1", "--as", "cacao", "-o", "x.json")
        self.assertNotEqual(ended.code, 0)
        piped = self.ok(self.scene.run("export", self.playbook(), "--as", "cacao", "-o", "-"))
        self.assertEqual(faults_of(one_document(piped.out)), [])


class Sightings(Case):
    def exported(self, run):
        out = self.new_folder() / "sightings.jsonl"
        answer = self.ok(self.scene.json("export", run, "--as", "misp-sightings", "-o",
                                         out)).json()
        self.assertEqual((answer["as"], answer["run_id"]), ("misp-sightings", run))
        return [json.loads(line) for line in out.read_text().splitlines()]

    def test_what_was_given_back(self):
        self.scene.shells(3)
        same = shell_text("www/same.php")
        self.scene.shell("www/same1.php", same)
        self.scene.shell("www/same2.php", same)
        run = self.applied()
        self.refused(self.scene.json("export", run, "--as", "misp-sightings", "-o", "none.jsonl"),
                     1, "not_found", run)
        self.assertFalse((self.scene.base / "none.jsonl").exists())
        paths = {one["path"]["display"]: one["id"] for one in self.scene.plan()["operations"]}
        back = [paths[name] for name in ("www/d1/s1.php", "www/same1.php", "www/same2.php")]
        only = [word for one in back for word in ("--only", one)]
        self.ok(self.scene.json("rollback", run, *only))
        bodies = self.exported(run)
        self.assertEqual([one["values"] for one in bodies],
                         [[one] for one in sorted({sha256(shell_text("www/d1/s1.php")),
                                                   sha256(same)})])
        host = os.uname().nodename
        for body in bodies:
            self.assertEqual(set(body), {"values", "type", "source", "timestamp"})
            self.assertEqual(body["type"], "1")
            self.assertIn(run, body["source"])
            self.assertNotIn("www", body["source"])
            self.assertGreater(body["timestamp"], 1_700_000_000)
            self.assertFalse(len(host) > 3 and host in json.dumps(body))
        self.ok(self.scene.json("rollback", run))
        self.assertEqual(len(self.exported(run)), 4)
        piped = self.ok(self.scene.run("export", run, "--as", "misp-sightings", "-o", "-"))
        self.assertEqual(len(piped.out.splitlines()), 4)

    def test_come_back_as_false_positives(self):
        """An event with these sightings is taken for review only."""
        self.scene.shell()
        run = self.applied()
        self.ok(self.scene.json("rollback", run))
        [body] = self.exported(run)
        event = {"Event": {"uuid": str(uuid.uuid4()), "info": "case", "Attribute": [
            {"uuid": str(uuid.uuid4()), "type": "sha256", "value": body["values"][0],
             "to_ids": True, "timestamp": "1767225600", "Sighting": [body]}]}}
        given = self.scene.base / "event.json"
        given.write_text(json.dumps(event))
        made = self.ok(self.scene.run("import", given, "--folder", "/www")).out
        [indicator] = one_document(made)["indicators"]
        self.assertEqual(indicator["authorises"], "review")


class Outputs(Case):
    def test_two_outputs_of_one_name_are_refused(self):
        both = self.scene.base / "both"
        ended = self.scene.json("plan", "--root", self.scene.root, "-p", self.scene.playbooks[0],
                                "-o", both, "--html", both)
        self.refused(ended, 64, "usage", "two outputs")
        self.assertFalse(both.exists())

    def test_no_command_overwrites_a_file(self):
        self.scene.shell()
        run = self.applied()
        self.ok(self.scene.json("rollback", run))
        digests = self.scene.base / "list.txt"
        digests.write_text(sha256(b"one") + "  one\n")
        taken = self.scene.base / "taken"
        book = self.scene.playbooks[0]
        plan = ["plan", "-p", book, "--root", self.scene.root]
        commands = [[*plan, "-o", taken], [*plan, "--html", taken],
                    ["--no-sandbox", *plan, "-o", taken],
                    ["show", run, "--html", taken], ["show", self.scene.plan_file, "--html", taken],
                    ["import", digests, "--folder", "/www", "-o", taken],
                    ["baseline", "create", "--root", self.scene.root, "/www", "--name", "x", "-o",
                     taken],
                    ["export", book, "--as", "cacao", "-o", taken]]
        commands += [["export", run, "--as", form, "-o", taken]
                     for form in ("ocsf", "infected-zip", "misp-sightings")]
        for arguments in commands:
            with self.subTest(" ".join(map(str, arguments))):
                taken.write_bytes(b"somebody's")
                said = self.refused(self.scene.json(*arguments), 1, "already_exists",
                                    "not overwritten")
                self.assertIn(str(taken), said)
                self.assertEqual(taken.read_bytes(), b"somebody's")
                taken.unlink()
                self.ok(self.scene.run(*arguments))
                self.assertEqual(taken.stat().st_mode & 0o777, 0o600)
        print(f"outputs: {len(commands)} commands, none overwrote a file")


if __name__ == "__main__":
    scene.main()
