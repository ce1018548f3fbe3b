"""How long exact search and full evaluation take, as ratios to the bare arithmetic: make bench

The unit U is one blocked matrix product of all embeddings with all, into one buffer: what any exact search
has to compute. Everything is timed in turn within one run, on the same threads, and the medians are compared;
the machine's speed cancels out. FSD50K eval's size: 10,231 clips x 100 dimensions, 200 classes, 4 a clip.
"""

import os
import platform
import statistics
import time
from collections.abc import Callable

import faiss
import numpy as np
import scipy.sparse

from sss_lib import metrics, search

N_CLIPS, DIM, N_LABELS, LABELS_A_CLIP, BLOCK, ROUNDS = 10_231, 100, 200, 4, 1024, 9


def workloads() -> dict[str, tuple[Callable[[], object], float | None]]:
    """Return what is timed, by name, and the most units that it may take."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_CLIPS, DIM)).astype(np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    has_label = rng.random((N_CLIPS, N_LABELS)).argsort(axis=1) < LABELS_A_CLIP
    label_matrix = scipy.sparse.csr_array(has_label)
    labels = [f"class {c}" for c in range(N_LABELS)]
    families = {label: f"family {c % 6}" for c, label in enumerate(labels)}
    buffer = np.empty((BLOCK, N_CLIPS), np.float32)
    ranking = search.rank(x, "nns", top_n=150)

    def unit():
        for start in range(0, N_CLIPS, BLOCK):
            block = x[start : start + BLOCK]
            np.matmul(block, x.T, out=buffer[: len(block)])

    def evaluate(ranking):
        return metrics.evaluate(x, label_matrix, labels, families, cutoffs=(15, 150), ranking=ranking)

    return {
        "U: all inner products, blocked": (unit, None),
        "faiss IndexFlatIP, top 151": (lambda: faiss.knn(x, x, 151, metric=faiss.METRIC_INNER_PRODUCT), None),
        "search.rank nns, exact top 150": (lambda: search.rank(x, "nns", top_n=150), 4),
        "search.rank mips, exact top 150": (lambda: search.rank(x, "mips", top_n=150), 4),
        "search.rank mcss, exact top 150": (lambda: search.rank(x, "mcss", top_n=150), 4),
        "metrics.evaluate, given the ranking": (lambda: evaluate(ranking), 25),
        "metrics.evaluate, search included": (lambda: evaluate(None), 25),
    }


def main() -> None:
    """Time every workload in turn, `ROUNDS` times, and print the table."""
    jobs = workloads()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, (job, _) in jobs.items():
            begin = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - begin)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    unit = next(iter(median.values()))
    print(f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}, faiss {faiss.__version__}")
    print(f"{N_CLIPS:,} clips x {DIM} dimensions x {N_LABELS} classes; median of {ROUNDS} rounds\n")
    print(f"{'':38}{'seconds':>9}{'units':>8}{'allowed':>9}")
    for name, (_, most) in jobs.items():
        print(f"{name:38}{median[name]:9.3f}{median[name] / unit:8.2f}{most or '':>9}")


if __name__ == "__main__":
    main()
