"""Draw the figure of the README from the toy table and benchmarks/results/toy_study.csv: `python benchmarks/readme_figure.py` writes docs/_static/twins.png."""
import textwrap

import pandas as pd

from protrek_nb.core import project_path, read_table
from protrek_nb.reporting.figures import BLUE, GREY, new_figure
from protrek_nb.toy.world import load_toy

RESULT = project_path("docs", "_static", "twins.png")
MUTATION = "#c8102e"  # as on page 00 and in the explorer: the colours of models mean other things
ASKED = (("one text finds its protein", "one_way", 0.5), ("both texts of a pair do", "group", 0.25))


def draw_twins(axis, a, b, around=12):
    "Write two twins below each other, what differs in colour, with the first sentence of each text."
    at = next(k for k, (x, y) in enumerate(zip(a.sequence, b.sequence)) if x != y and a.sequence[k - 4:k] == b.sequence[k - 4:k])
    shown = slice(max(0, at - around), at + around)
    axis.set(xlim=(0, 2 * around), ylim=(0, 7))
    axis.axis("off")
    for top, row, other in ((6, a, b), (2.8, b, a)):
        for k, (x, y) in enumerate(zip(row.sequence[shown], other.sequence[shown])):
            axis.text(k, top, x, family="monospace", fontsize=11, color="white" if x != y else "0.2", ha="center", bbox=dict(facecolor=MUTATION, edgecolor="none", pad=1.2) if x != y else None)
        axis.text(0, top - 0.75, textwrap.fill(row.text, 52), va="top", fontsize=9, color="0.25")


def draw_study(axis, study):
    "Mark each seed, before and after."
    for y, (name, measure, guess) in enumerate(ASKED):
        for column, colour, marker, lift in (("base_twins", GREY, "o", -0.1), ("both_twins", BLUE, "s", 0.1)):
            axis.plot(study[f"{column}_{measure}"], [y + lift] * len(study), marker, color=colour, alpha=0.75, ms=7)
        axis.plot([guess] * 2, [y - 0.3, y + 0.3], ":", color="black", lw=1.2)
        axis.text(guess, y - 0.36, "guessing", fontsize=8, ha="center")
    axis.set(yticks=range(len(ASKED)), yticklabels=[name for name, *_ in ASKED], ylim=(1.5, -0.6), xlim=(-0.02, 1.03),
             xlabel=f"share of {study.pairs.min()} twin pairs of {study.components.min()} unseen families; one mark a seed")
    axis.text(0.5, 0.42, "before", color="0.35", fontsize=9, ha="center")
    axis.text(0.985, 0.42, "after", color=BLUE, fontsize=9, ha="center")


def main():
    study = read_table(project_path("benchmarks", "results", "toy_study.csv")).query("recipe == 'readers'")
    figure, (left, right) = new_figure(11, 2.9, "Twins of the toy world: nearly one sequence, two functions. Before training a model guesses; after, it knows, and finds families as before", ncols=2, width_ratios=(1, 1.25))
    draw_twins(left, *load_toy().head(2).itertuples())
    draw_study(right, study)
    for side in ("top", "right", "left"): right.spines[side].set_visible(False)
    right.tick_params(axis="y", length=0)
    figure.savefig(RESULT, dpi=110)
    print(f"wrote {RESULT}")


if __name__ == "__main__":
    main()
