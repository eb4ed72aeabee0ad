#!/usr/bin/env python3
"""The published schema accepts every shipped playbook and refuses the malformed ones.

usage: schema_check.py SOURCE_DIR
A malformed case may pass the schema only when its rule is one that JSON Schema cannot say.
"""
import json
import pathlib
import sys

import jsonschema

# Rules about bytes of the file, several places at once, time order, or the meaning of a pattern.
BEYOND_SCHEMA = {
    "PB001": "size of the file",
    "PB002": "depth",
    "PB003": "number of values",
    "PB004": "not JSON",
    "PB005": "duplicate keys are lost by readers",
    "PB006": "not JSON",
    "PB007": "not JSON",
    "PB009": "counts errors",
    "PB023": "compares two dates",
    "PB025": "compares ids",
    "PB033": "looks a variable up",
    "PB034": "fills a variable in",
    "PB049": "looks a scope up",
    "PB052": "depth",
    "PB055": "counts across lists",
    "PB063": "meaning of a match tree",
    "PB065": "compares two lists",
    "PB082": "looks an indicator up",
    "PB083": "looks an indicator up",
    "PB084": "looks an indicator up",
    "PB085": "looks an indicator up",
    "PB089": "looks an indicator up",
}
# Single cases of rules that the schema knows otherwise.
BEYOND_SCHEMA_CASES = {
    "bad-date-30-february": "calendar",
    "bad-size-reversed": "compares two numbers",
    "regex-matches-empty": "meaning of a pattern",
    "regex-back-reference": "meaning of a pattern",
    "regex-unbalanced": "meaning of a pattern",
    "attribute-test-case-alone": "kept to the tool",
    "known-good-repeated": "compares names",
}


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    schema = json.loads((root / "playbooks/schema/playbook.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    failures = []
    shipped = sorted((root / "playbooks").glob("*.json"))
    for path in [*shipped, root / "tests/golden/base.json"]:
        for error in validator.iter_errors(json.loads(path.read_text())):
            where = "/".join(str(part) for part in error.absolute_path)
            failures.append(f"{path.name}:/{where}: refused by the schema: {error.message[:200]}")
    refused = 0
    cases = sorted((root / "tests/golden/playbooks").glob("*.json"))
    for path in cases:
        lines = path.with_suffix(".txt").read_text().splitlines()
        codes = {word.rstrip(":") for line in lines for word in line.split() if word[:2] in ("PB", "PW")}
        errors = {code for code in codes if code.startswith("PB") and code[2:5].isdigit()}
        try:
            document = json.loads(path.read_text())
        except (UnicodeDecodeError, json.JSONDecodeError):
            continue
        accepted = validator.is_valid(document)
        refused += not accepted
        may_pass = errors <= BEYOND_SCHEMA.keys() or path.stem in BEYOND_SCHEMA_CASES
        if accepted and not may_pass:
            failures.append(f"{path.name}: {sorted(errors)}: the schema accepts it")
        if not accepted and path.stem in BEYOND_SCHEMA_CASES:
            failures.append(f"{path.name}: the schema refuses it: take it off the list of exceptions")
        if not accepted and not errors:
            failures.append(f"{path.name}: has warnings only, but the schema refuses it")
    if len(shipped) < 7 or refused < 40:
        failures.append(f"only {len(shipped)} shipped and {refused} refused playbooks were seen")
    print("\n".join(failures) or f"{len(shipped)} accepted, {refused} refused")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
