"""Run pages as tests, each from top to bottom, as `nbdev_test` does.

`python tests/pages.py FOLDER`: several processes that are given the same empty folder share the pages; each takes the next one that no other has taken.
"""
import gc
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")

from nbdev.config import get_config
from nbdev.doclinks import nbglob
from nbdev.test import test_nb

NBS = Path(__file__).resolve().parents[1] / "nbs"


def taken(folder, page):
    "Take a page; False where another process has it."
    try: os.close(os.open(folder / page.replace("/", "."), os.O_CREAT | os.O_EXCL))
    except FileExistsError: return False
    return True


def main(folder):
    "Run all pages that are left; exit with the names of those that fail."
    os.chdir(NBS)
    pages = [str(path.resolve().relative_to(NBS)) for path in sorted(nbglob(None, as_path=True))]
    skip = get_config().tst_flags.split()
    failed, took = [], {}
    for page in pages:
        if not taken(folder, page): continue
        start = time.monotonic()
        gc.collect()
        gc.freeze()  # what the pages before have left is not looked at again: each trainer asks for a full collection
        if not test_nb(NBS / page, skip_flags=skip, basepath=NBS.parent)[0]: failed.append(page)
        took[page] = time.monotonic() - start
    print(f"{len(took)} of {len(pages)} pages were run here; the slowest:")
    for page in sorted(took, key=took.get)[:-11:-1]: print(f"{took[page]:6.1f} s  {page}")
    sys.exit(f"pages that failed: {', '.join(failed)}" if failed else 0)


if __name__ == "__main__": main(Path(sys.argv[1]) if sys.argv[1:] else Path(tempfile.mkdtemp()))
