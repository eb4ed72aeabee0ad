#!/usr/bin/env python3
"""The published schema of policies and the tool agree on good and bad ones, and on every example.

usage: policy_schema_check.py SOURCE_DIR
tests/golden/policies/{good,bad} are judged by the parser in golden_policies.cpp; here by the schema. A bad one
may pass the schema only when its rule is one that JSON Schema cannot say.
"""
import json
import pathlib
import re
import sys

import jsonschema

BEYOND_SCHEMA = {
    "threshold-above-approvers": "compares two values",
    "above-without-approvers": "compares two values",
    "above-more-than-listed": "compares two values",
    "protected-broken": "meaning of a pattern",
    "duplicate-key": "duplicate keys are lost by readers",
}


def examples(text):
    """Every policy that a document shows: JSON blocks with a format_version and no playbook's members."""
    for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        document = json.loads(block)
        if "format_version" in document and "indicators" not in document:
            yield document


def main():
    root = pathlib.Path(sys.argv[1])
    schema = json.loads((root / "playbooks/schema/policy.schema.json").read_text())
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    cases = root / "tests/golden/policies"
    faults, accepted, refused, shown = [], 0, 0, 0
    for path in sorted((cases / "good").glob("*.json")):
        accepted += 1
        for error in validator.iter_errors(json.loads(path.read_text())):
            faults.append(f"good/{path.name}: {error.json_path}: {error.message[:200]}")
    for path in sorted((cases / "bad").glob("*.json")):
        try:
            valid = validator.is_valid(json.loads(path.read_text()))
        except json.JSONDecodeError:
            continue
        refused += not valid
        if valid and path.stem not in BEYOND_SCHEMA:
            faults.append(f"bad/{path.name}: the schema accepts it, the tool does not")
        if not valid and path.stem in BEYOND_SCHEMA:
            faults.append(f"bad/{path.name}: the schema refuses it: take it off the list of exceptions")
    for path in sorted((root / "docs").glob("*.md")):
        for document in examples(path.read_text()):
            shown += 1
            for error in validator.iter_errors(document):
                faults.append(f"{path.name}: {error.json_path}: {error.message[:200]}")
    # Every key of the schema stands in the reference, and the full example has every key.
    reference = (root / "docs/policy-reference.md").read_text()
    full = json.loads((cases / "good/full.json").read_text())

    def walk(properties, prefix, document):
        for key, value in properties.items():
            name = f"{prefix}{key}"
            if f"`{name}`" not in reference:
                faults.append(f"{name} is not in docs/policy-reference.md")
            if key not in document:
                faults.append(f"{name} is not in policies/good/full.json")
            elif "properties" in value:
                walk(value["properties"], f"{name}.", document[key])

    walk(schema["properties"], "", full)
    if accepted < 8 or refused < 50 or shown < 1:
        faults.append(f"only {accepted} good, {refused} refused and {shown} shown policies were seen")
    print("\n".join(faults) or f"{accepted} accepted, {refused} refused, {shown} examples")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
