"""A table of measurements that grows, so that many short runs make one long one."""
import subprocess
from pathlib import Path

import pandas as pd


class Ledger:
    "Rows come below those that are there, with the commit that they were made on."
    def __init__(self, path):
        self.path, self.before = path, [pd.read_csv(path)] if path and Path(path).exists() else []
        git = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=Path(__file__).parent, capture_output=True, text=True)
        self.commit = git.stdout.strip()

    def write(self, rows):
        "Write what was there, and these rows; nothing where no table was asked for."
        if self.path: pd.concat([*self.before, pd.DataFrame(rows).assign(commit=self.commit)], ignore_index=True).to_csv(self.path, index=False)
