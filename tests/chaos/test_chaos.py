"""Each kind of long job is killed twice and leaves what an undisturbed one leaves; `make chaos KILLS=1000` does it for hours."""
import random

import chaos
import flips
import jobs
import pytest


@pytest.mark.parametrize("name", jobs.JOBS)
def test_a_job_that_was_killed_leaves_what_others_leave(name, tmp_path):
    "Killed at random moments, or at random touches of its files, in one life or two."
    said = []
    found = chaos.torment(name, 2, random.Random(f"0 {name}"), tmp_path, said.append)
    assert found["kills"] == 2 and found["failed"] == found["differing"] == 0, said


@pytest.mark.parametrize("name", [name for name in jobs.JOBS if name != "mining"])
def test_no_flip_is_silent(name, tmp_path):
    "One changed bit, at a few places of every file that somebody reads, is noticed by whoever reads it."
    said = []
    job = jobs.JOBS[name](tmp_path)
    job.do(folder := tmp_path)
    found = flips.attack(folder, name, 2, random.Random(name), said.append)
    assert found and not any(count["silent"] for count in found.values()), said
