"""Judge the twins of the track `wording` by the rules of `protrek_nb.twinbench.audit`, and measure models on the twins of each verdict.

    python benchmarks/twin_audit.py

Writes benchmarks/results/twin_audit.csv (ids, identity, verdict, rule; verdicts that a reader has put into the column `hand` stay) and twin_audit_models.csv.
The table of toxins is looked for where `protrek_nb.data.sources` says.
"""
import argparse

import pandas as pd

from protrek_nb.core import project_path, read_table, write_table
from protrek_nb.twinbench.audit import RESULT, audit, read_said
from protrek_nb.twinbench.judge import ask, judge, measure, questions
from protrek_nb.twinbench.leaderboard import MODELS
from protrek_nb.twinbench.rivals import CONTROLS
from protrek_nb.twinbench.tracks import open_track

PAIR = ["anchor_id", "hard_neg_id"]
ASKED = [*CONTROLS, "k-mer neighbour", "3-mer ridge, gated", "words from letters", "words from UniRep", "base", "tuned"]


def judged_by(track, names, seed):
    "Ask models; those that do not suit the track are left out."
    asked, found = questions(track), {}
    for name in names:
        try: found[name] = judge(track, asked, ask(MODELS[name](track, seed), asked, name))
        except ValueError as e: print(f"without {name}: {e}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    parser.add_argument("--models", nargs="*", default=ASKED)
    given, said, rows, twins = parser.parse_args(), read_said(), [], set()
    hand = read_table(RESULT).set_index(PAIR).hand if RESULT.exists() else pd.Series(dtype=str)
    for seed in given.seeds:
        track = open_track("wording", seed)
        table = audit(track.data.pairs, track.data.table, said)
        if not twins:
            twins = set(zip(table.anchor_id, table.hard_neg_id))
            write_table(RESULT, table.assign(hand=[hand.get(pair, "") for pair in zip(table.anchor_id, table.hard_neg_id)]))
        assert twins == set(zip(table.anchor_id, table.hard_neg_id)), "the twins are those of every seed"
        judged = judged_by(track, given.models, seed)
        verdict = track.pairs.merge(table, on=PAIR, how="left", validate="one_to_one").verdict
        parts = {"all": verdict != "", "false": verdict == "false", "undecided": verdict == "undecided", "true or grounded": verdict.isin(["true", "grounded"])}
        for name, mask in parts.items():
            found = measure(judged, rows=mask.to_numpy())
            rows += found[found.task == "one_way"].assign(verdict=name, seed=seed).to_dict("records")
        write_table(project_path("benchmarks", "results", "twin_audit_models.csv"),
                    pd.DataFrame(rows)[["seed", "model", "verdict", "value", "low", "high", "n", "units"]].round(4))
        print(f"seed {seed}: {verdict.value_counts().to_dict()}", flush=True)


if __name__ == "__main__": main()
