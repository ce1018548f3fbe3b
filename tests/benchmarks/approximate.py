"""What approximate searches save beside the exact one, and lose, at FSD50K's size and ten times that.

The embeddings are made up: each class, with FSD50K's frequencies and within its parent, has a centre, each
clip lies around the centres of its classes, and directions matter less and less, as after PCA. The noise is
such that exact search scores about what good models do on real sounds. Notebook 05 makes the same table and
figure of real embeddings: make run GRID=notebooks/grids/ann.yaml DATASET=...

    python tests/benchmarks/approximate.py            measure at FSD50K's size and print
    python tests/benchmarks/approximate.py --save     measure both, write the table and the figure: 6 minutes

Speeds are of this machine; how many times faster than exact search, and all else, means something elsewhere.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

sys.path.insert(0, str(Path(__file__).parent))
from search_and_evaluation import CUTOFFS, N_CLIPS, fsd50k_labels

from sss_lib import export, grid, metrics, plots, timing, tradeoffs

FOLDER = Path(__file__).parent.parent.parent / "figures" / "benchmarks"
GRID = grid.NOTEBOOKS / "grids" / "ann.yaml"
QUERIES = {N_CLIPS: N_CLIPS, 100_000: 5_000}
"""How many clips query, by the number of clips."""
DIM, NOISE = 100, 0.4


def embeddings(label_matrix: scipy.sparse.csr_array, seed: int = 0) -> np.ndarray:
    """Unit vectors around the mean centre of their classes: float32 [n_clips, 100]."""
    rng = np.random.default_rng(seed)
    spread = np.arange(1, DIM + 1) ** -0.5
    centres = rng.standard_normal((label_matrix.shape[1], DIM))
    of_clip = label_matrix @ centres / np.maximum(label_matrix.sum(axis=1), 1)[:, None]
    x = spread * (of_clip + NOISE * rng.standard_normal(of_clip.shape))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def measure(n_clips: int, n_queries: int, searches: tuple[str, ...]) -> pd.DataFrame:
    """Table of `tradeoffs.against_exact`, of a sample of queries."""
    label_matrix = fsd50k_labels(n_clips)[0]
    x, fnames = embeddings(label_matrix), [str(i) for i in range(n_clips)]
    rows = np.sort(np.random.default_rng(1).choice(n_clips, n_queries, replace=False))
    runs = {}
    for search in searches:
        _, ranking, cost = timing.rank_members(fnames, x, search, max(CUTOFFS), rows)
        ways = {"search": search, "cutoffs": CUTOFFS, "ranking": ranking, "queries": rows}
        of_class, _ = metrics.per_query(x, label_matrix, **ways)
        runs[search] = tradeoffs.Run(ranking.neighbours, cost.parameters(), of_class)
        print(f"{search}: {cost.build_s:.2f} s to build, {cost.query_ms:.3f} ms a query", flush=True)
    return tradeoffs.against_exact(runs, cutoffs=CUTOFFS)


def save(tables: dict[int, pd.DataFrame], folder: Path) -> None:
    """Write the table, as CSV and for reading, and the figure: a row of panels a size."""
    import matplotlib.pyplot as plt

    plots.use_style()
    figure, axes = plt.subplots(len(tables), 2, figsize=(plots.PAGE, 2.4 * len(tables)), squeeze=False)
    for (n_clips, table), row in zip(tables.items(), axes, strict=True):
        for by, ax in zip(("speed", "size"), row, strict=True):
            plots.search_costs(table, ax, by=by, n=CUTOFFS[0]).set_title(f"{n_clips:,} clips", loc="left")
    plots.legend(figure)
    plots.save(figure, folder, "approximate")
    found = pd.concat([table.assign(clips=n_clips) for n_clips, table in tables.items()])
    found = found[["clips", *(name for name in found if name != "clips")]]
    caption = "made-up embeddings with FSD50K's classes; lost: macro, above 0 is worse, with 95 % intervals"
    for kind in ("csv", "md"):
        export.write(found, folder / f"approximate.{kind}", caption=caption)


def main(arguments: list[str]) -> None:
    """Measure, print, and perhaps save."""
    tables, searches = {}, grid.read_grid(GRID).searches
    for n_clips, n_queries in list(QUERIES.items())[: None if "--save" in arguments else 1]:
        print(f"{n_clips:,} clips, of which {n_queries:,} query", flush=True)
        tables[n_clips] = measure(n_clips, n_queries, searches)
        few = [name for name in tables[n_clips] if not name.endswith((" low", " high"))]
        print(tables[n_clips][few].to_string(index=False, float_format="{:.3f}".format))
    if "--save" in arguments:
        save(tables, FOLDER)


if __name__ == "__main__":
    main(sys.argv[1:])
