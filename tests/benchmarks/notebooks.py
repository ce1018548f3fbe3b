"""What running notebooks costs: the start of a kernel, its imports, and 27 systems of one model.

python tests/benchmarks/notebooks.py. The embedded clips are extracted first, and that isn't counted.
"""

import json
import os
import statistics
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

from sss_lib import __main__ as command
from sss_lib import experiment

ALLOWED = {"start and imports of a kernel": 2.5, "27 systems of one model": 75.0}
"""Seconds on two cores."""
DATA = experiment.NOTEBOOKS.parent / "data"
EXTRACTED = "datasets: [mini]\nmodels: [aisfx]\n"
SYSTEMS = EXTRACTED + "aggregations: [mean, max, median]\nn_components: [null, 50, 100]\n"
SYSTEMS += "searches: [nns, mips, mcss]\n"


def run(folder: Path, grid: str) -> float:
    """Run a grid; return how long it took, in seconds."""
    path = folder / "grid.yaml"
    path.write_text(grid)
    begin = time.monotonic()
    folders = ["--data-dir", str(folder / "data"), "--figures-dir", str(folder / "figures")]
    if command.main(["run", str(path), *folders]):
        sys.exit("the grid failed")
    return time.monotonic() - begin


def ready_s(executed: Path) -> float:
    """How long after it was begun a notebook had done its imports, in seconds."""
    notebook = json.loads(executed.read_text(encoding="utf-8"))
    imports = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    times = imports["metadata"]["papermill"]["end_time"], notebook["metadata"]["papermill"]["start_time"]
    end, start = map(datetime.fromisoformat, times)
    return (end - start).total_seconds()


def main() -> int:
    """Print what was measured and what is allowed; return 1 if it was more."""
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
