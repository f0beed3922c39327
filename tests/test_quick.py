"""The quick check of speed says so when something has become slow."""
import sys
import time

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
quick = pytest.importorskip("quick")


def burn(seconds):
    "Make a function that uses a processor for so long."
    def work():
        end = time.process_time() + seconds
        while time.process_time() < end: pass
    return work


def asked(monkeypatch, *words, ours):
    "Run the command with one question."
    monkeypatch.setattr(quick, "QUESTIONS", {"made up": lambda: (burn(ours), burn(0.04), 1)})
    monkeypatch.setattr(sys, "argv", ["quick.py", "--rounds", "3", *words])
    quick.main()


def test_what_became_slow_fails(monkeypatch, tmp_path):
    "A ratio is kept, the same speed passes, half the speed fails and names the question."
    monkeypatch.setattr(quick, "KEPT", tmp_path / "quick.csv")
    asked(monkeypatch, ours=0.02)  # nothing is kept yet: nothing can fail
    assert not quick.KEPT.exists()
    asked(monkeypatch, "--keep", ours=0.02)
    assert len(quick.KEPT.read_text().splitlines()) == 2
    asked(monkeypatch, ours=0.02)
    with pytest.raises(SystemExit, match="slower than before.*made up"): asked(monkeypatch, ours=0.04)
