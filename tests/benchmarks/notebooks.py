"""What running notebooks costs: the start of a kernel, its imports, and 27 systems of one model.

    python tests/benchmarks/notebooks.py            on the embedded clips, whose extraction isn't counted
    python tests/benchmarks/notebooks.py --fsd50k   per stage, as a table in Markdown, at FSD50K's size

The latter has 10,231 made-up clips of FSD50K eval's class sizes, and two models whose embeddings are given:
eight frames a clip of 128 dimensions, as VGGish has them, and one of 1,024, as CLAP does.
"""

import csv
import json
import os
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
from search_and_evaluation import N_CLIPS, fsd50k_labels

from sss_lib import __main__ as command
from sss_lib import experiment

ALLOWED = {"start and imports of a kernel": 2.5, "27 systems of one model": 75.0}
"""Seconds on two cores."""
DATA = experiment.NOTEBOOKS.parent / "data"
EXTRACTED = "datasets: [mini]\nmodels: [aisfx]\n"
SYSTEMS = EXTRACTED + "aggregations: [mean, max, median]\nn_components: [null, 50, 100]\n"
SYSTEMS += "searches: [nns, mips, mcss]\n"
PAPER = (
    "aggregations: [mean, max]\nn_components: [null, 100]\npre_normalize: [true, false]\nsearches: [nns]\n"
)
PAPER += "cutoffs: [15, 150]\nprotocol: paper\n"
"""What paper-table2.yaml and paper-fig1.yaml vary."""


def run(folder: Path, grid: str, *more: str) -> float:
    """Run a grid; return how long it took, in seconds."""
    path = folder / "grid.yaml"
    path.write_text(grid)
    begin = time.monotonic()
    folders = ["--data-dir", str(folder / "data"), "--figures-dir", str(folder / "figures")]
    if command.main(["run", str(path), *folders, *more]):
        sys.exit("the grid failed")
    return time.monotonic() - begin


def ready_s(executed: Path) -> float:
    """How long after it was begun a notebook had done its imports, in seconds."""
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    imports = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    times = imports["metadata"]["papermill"]["end_time"], notebook["metadata"]["papermill"]["start_time"]
    end, start = map(datetime.fromisoformat, times)
    return (end - start).total_seconds()


def made_up(folder: Path) -> str:
    """Write a collection of FSD50K's size, and return its path and the models of a grid as YAML."""
    rng, (has_label, labels, families) = np.random.default_rng(0), fsd50k_labels()
    fnames = [str(37_199 + 7 * i) for i in range(N_CLIPS)]
    of_clip = np.split(has_label.indices, has_label.indptr[1:-1])
    with open(folder / "ground_truth.csv", "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["fname", "labels", "uploader"])
        for fname, found in zip(fnames, of_clip, strict=True):
            rows.writerow([fname, ",".join(labels[i] for i in found), f"by{rng.integers(1000)}"])
    with open(folder / "classes.csv", "w", newline="") as file:
        csv.writer(file).writerows([("label", "family"), *families.items()])
    for name, shape in {"frames": (8, 128), "clips": (1, 1024)}.items():
        x = rng.standard_normal((N_CLIPS, *shape), dtype=np.float32)
        np.savez(folder / f"{name}.npz", fname=fnames, embedding=x)
    return f"datasets: [{folder}]\nmodels: ['files:{folder}/frames.npz', 'files:{folder}/clips.npz']\n"


def of_stages() -> None:
    """Print what each stage of a grid costs at FSD50K's size, with a core a notebook."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, data = Path(temporary), Path(temporary) / "large"
        data.mkdir()
        seconds = run(folder, made_up(data) + PAPER, "--dataset", str(data), "--no-audio", "--n-jobs", "1")
        of_stage: dict[str, list[float]] = {}
        for path in sorted((folder / "data" / "runs" / "large").glob("0*/*.ipynb")):
            executed = json.loads(path.read_text(encoding="utf-8"))
            of_stage.setdefault(path.parent.name, []).append(executed["metadata"]["papermill"]["duration"])
    print(
        f"\n{seconds:.0f} s in all\n\n| stage | notebooks | seconds each, median | sum |\n|---|---|---|---|"
    )
    for stage, each in of_stage.items():
        print(f"| {stage} | {len(each)} | {statistics.median(each):.1f} | {sum(each):.0f} |")


def main() -> int:
    """Print what was measured and what is allowed; return 1 if it was more."""
    if sys.argv[1:] == ["--fsd50k"]:
        of_stages()
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "data").mkdir()
        (folder / "data" / "mini").symlink_to(DATA / "mini")
        run(folder, EXTRACTED)
        measured = {"27 systems of one model": run(folder, SYSTEMS)}
        kernels = sorted((folder / "data" / "runs" / "mini").glob("0*/*.ipynb"))
        ready = {path.parent.name: [] for path in kernels}
        for path in kernels:
            ready[path.parent.name].append(ready_s(path))
        medians = {stage: statistics.median(seconds) for stage, seconds in ready.items()}
        measured["start and imports of a kernel"] = max(medians.values())
    print(f"\n{os.cpu_count()} cores; start and imports by stage, median:")
    for stage, seconds in medians.items():
        print(f"  {stage:32}{seconds:6.2f} s, {len(ready[stage])} run")
    for name, seconds in measured.items():
        print(f"{name:34}{seconds:6.2f} s, {ALLOWED[name]:.1f} allowed")
    return int(any(seconds > ALLOWED[name] for name, seconds in measured.items()))


if __name__ == "__main__":
    sys.exit(main())
