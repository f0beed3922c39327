"""What happens when a page is saved in JupyterLab: it is cleaned, as `nbdev_clean` does it, bars of progress are dropped, and where the public tables are absent the results with real data stay as they were stored."""
from pathlib import Path

from nbdev.clean import clean_jupyter
from nbformat import reads


def said(cell): return "".join("".join(output.get("text", "")) for output in cell.get("outputs", []))


def keep_real(cells, stored):
    "Give each cell that was only skipped now the outputs that it has in the stored page, if its code is the same."
    before = {cell.get("id"): cell for cell in stored}
    for cell in cells:
        old = before.get(cell.get("id"), {})
        if said(cell).startswith("skipped") and not said(old).startswith("skipped") and old.get("outputs") and old["source"] == cell["source"]: cell["outputs"] = old["outputs"]


def without_bars(cells):
    "Drop the outputs that were bars of `progress`: empty where the work is done, a line where it goes on."
    for cell in cells: cell.update(outputs=[o for o in cell["outputs"] if o.get("metadata", {}).get("protrek_nb") != "progress"]) if "outputs" in cell else None


def on_save(model, path, contents_manager, **more):
    "Be the `pre_save_hook` of a contents manager."
    file = Path(contents_manager.root_dir, path.lstrip("/"))
    if model["type"] == "notebook": without_bars(model["content"]["cells"])
    if model["type"] == "notebook" and file.exists(): keep_real(model["content"]["cells"], reads(file.read_text(encoding="utf-8"), 4).cells)
    clean_jupyter(path=str(file), model=model, contents_manager=contents_manager, **more)
