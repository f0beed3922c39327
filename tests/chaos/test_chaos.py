"""Each kind of long job is killed and leaves what an undisturbed one leaves, of which no changed bit goes unnoticed; `make chaos KILLS=1000` and `make flips` do more."""
import random

import chaos
import flips
import jobs
import pytest
from ledger import Ledger

from protrek_nb.core import read_table


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", jobs.JOBS)
def test_a_job_bears_sudden_death_and_damage(name, tmp_path):
    "Killed at a random moment, or at a random touch of its files; then one changed bit, at two places of every file that somebody reads."
    said = []
    found = chaos.torment(name, 1, random.Random(f"0 {name}"), tmp_path, said.append)
    assert found["kills"] == 1 and found["failed"] == found["differing"] == 0, said
    counts = flips.attack(tmp_path / "whole", name, 2, random.Random(name), said.append)
    assert not any(count["silent"] for count in counts.values()), said


@pytest.mark.parametrize("attack", [chaos.main, flips.main])
def test_the_command_writes_its_table(attack, tmp_path):
    "Both commands, on the smallest job, end well and leave a row for it."
    with pytest.raises(SystemExit) as ended: attack([*(["--kills", "1"] if attack is chaos.main else ["--places", "1"]), "--jobs", "vectors", "--seed", "1", "--out", str(tmp_path / "rows.csv")])
    assert ended.value.code == 0 and len(read_table(tmp_path / "rows.csv")) >= 1


def test_a_ledger_grows(tmp_path):
    "Rows of a run come below those of the runs before, also where a run writes several times."
    for run in (1, 2):
        ledger = Ledger(tmp_path / "rows.csv")
        for more in (1, 2): ledger.write([dict(run=run, row=row) for row in range(more)])
    assert read_table(tmp_path / "rows.csv").run.tolist() == [1, 1, 2, 2]
