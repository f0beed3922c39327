"""Numbers that changes of the code must not change: one epoch of each system on its toy world, seed 42.

`python tests/golden.py RUN_FOLDER NAME` compares a finished run with the rows of `golden.csv` that have this name: twins, go, pairs or binding.
One epoch, not thirty: the last digits of a sum depend on the number of threads, and thirty epochs turn them into the second digit of a score.
Where a change has to move them, both numbers and three seeds stand in CHANGELOG, and `--write` puts the new ones into the table.
"""
import csv
import json
import sys
from pathlib import Path

TABLE = Path(__file__).with_name("golden.csv")
TOLERANCE = 1e-4  # of the value: processors differ in the last digits


def numbers(run_dir):
    "What is compared of a run's metrics.json, as {what: value}."
    found = json.loads((Path(run_dir) / "metrics.json").read_text(encoding="utf-8"))
    rows = [("twins", r["model"], r["metric"], r["value"]) for r in found.get("twins", [])]
    rows += [("retrieval", r["model"], r["label"], r["direction"], "hit_at_1", r["hit_at_1"]) for r in found.get("retrieval", [])]
    rows += [(r["question"], r["model"], r["metric"], r["value"]) for r in found.get("questions", []) if r["model"] == "system"]
    rows += [("test", name, value) for name, value in found.get("test", {}).items()]
    rows += [(r["question"], r["ion"], r["model"], r["metric"], r["value"]) for r in found.get("sites", []) if r["model"] == "prototypes"]
    return {" ".join(map(str, row[:-1])): row[-1] for row in rows if row[-1] is not None}


def kept(name):
    "The rows of the table for one run."
    with open(TABLE, encoding="utf-8", newline="") as file: return {r["what"]: float(r["value"]) for r in csv.DictReader(file) if r["run"] == name}


def differences(run_dir, name):
    "What is not as in the table, as sentences."
    now, then = numbers(run_dir), kept(name)
    missing = [f"{what}: was {then[what]}, is missing" for what in then.keys() - now.keys()]
    return missing + [f"{what}: was {then[what]}, is {now[what]}" for what in then if what in now and abs(now[what] - then[what]) > TOLERANCE * max(1, abs(then[what]))]


def write(run_dir, name):
    "Put the numbers of a run into the table."
    with open(TABLE, encoding="utf-8", newline="") as file: rows = [r for r in csv.DictReader(file) if r["run"] != name]
    rows += [dict(run=name, what=what, value=repr(value)) for what, value in numbers(run_dir).items()]
    with open(TABLE, "w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, ["run", "what", "value"], lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


if __name__ == "__main__":
    folder, name, *rest = sys.argv[1:]
    if "--write" in rest: write(folder, name)
    found = differences(folder, name)
    print("\n".join(found) if found else f"{len(kept(name))} numbers are as in {TABLE.name}")
    sys.exit(bool(found))
