"""How long a map of 10,231 clips takes, and how many of ten neighbours it keeps, beside the steps of before.

python tests/benchmarks/projection.py              the map of `processing.project`
python tests/benchmarks/projection.py --slow       also 1,000 steps of scikit-learn, which take a minute
"""

import sys
import time

import numpy as np
from sklearn.manifold import TSNE

from sss_lib import search
from sss_lib.processing import project

N_CLIPS, DIM, N_CLASSES, ALLOWED_S = 10_231, 100, 200, 15


def kept(x: np.ndarray, points: np.ndarray) -> float:
    """Mean share of a clip's ten nearest that are among its ten nearest on the map."""
    near, on_map = (search.rank(one, "nns", 10).neighbours for one in (x, points))
    return np.mean([len(np.intersect1d(a, b)) for a, b in zip(near, on_map, strict=True)]) / 10


def main() -> None:
    """Print a row a way."""
    rng = np.random.default_rng(0)
    classes = 0.6 * rng.normal(size=(N_CLASSES, DIM))
    x = (classes[rng.integers(0, N_CLASSES, N_CLIPS)] + rng.normal(size=(N_CLIPS, DIM))).astype(np.float32)
    start = project(x, "pca") * 1e-4
    ways = {"project": lambda: project(x)}
    if "--slow" in sys.argv:
        ways["1,000 steps"] = lambda: TSNE(2, init=start, random_state=0, n_jobs=1).fit_transform(x)
    for name, way in ways.items():
        wall, processor = time.perf_counter(), time.process_time()
        points = way()
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        line = f"{name:12}{wall:7.1f} s, {processor:6.1f} CPU-s, {kept(x, points):.3f} of ten neighbours kept"
        line += f"; {ALLOWED_S} s allowed on two cores" if name == "project" else ""
        print(f"\033[31m{line}\033[0m" if name == "project" and wall > ALLOWED_S else line, flush=True)


if __name__ == "__main__":
    main()
