"""Fail when cleaning or exporting the notebooks would change a file: the library must be what the notebooks say."""
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def state():
    files = [*ROOT.glob("nbs/**/*.ipynb"), *ROOT.glob("protrek_nb/**/*.py")]
    return {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main():
    before = state()
    for command in ("nbdev_clean", "nbdev_export"):
        subprocess.run([str(Path(sys.executable).parent / command)], cwd=ROOT, check=True)
    after = state()
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        sys.exit("out of step: " + ", ".join(changed) + "\nthese files were just cleaned or exported; look at them with git diff and commit them")
    print(f"in step: {len(after)} files")


if __name__ == "__main__":
    main()
