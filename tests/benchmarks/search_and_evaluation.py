"""How long exact search, full evaluation and its intervals take, as ratios to the bare arithmetic: make bench

The unit U is one blocked matrix product of all embeddings with all, into one buffer: what any exact search
has to compute. Everything is timed in turn within one run, on the same threads, and the medians are compared;
the machine's speed cancels out. FSD50K eval's size: 10,231 clips x 100 dimensions, and 200 classes of its
sizes below each other as in its ontology. The embeddings are random: first hits are as far away as they get.
"""

import functools
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

sys.path.insert(0, str(Path(__file__).parent.parent))
import memory
import reference

from sss_lib import metrics, relevance, search
from sss_lib import statistics as intervals

N_CLIPS, DIM, BLOCK, ROUNDS, SAMPLE = 10_231, 100, 1024, 5, 200
CUTOFFS = (15, 150)


def fsd50k_labels(n_clips: int = N_CLIPS, seed: int = 0) -> tuple[scipy.sparse.csr_array, list[str], dict]:
    """Random labels [n_clips, 200] with FSD50K eval's class sizes, every class within its parent.

    Roots take the clips in turn, so that each has a class; a child takes any of its parent's.
    """
    classes = pd.read_csv(relevance.ONTOLOGY, keep_default_na=False)
    labels, families = list(classes["label"]), dict(zip(classes["label"], classes["family"], strict=True))
    depths = relevance.depths(labels, relevance.read_parents())
    rng = np.random.default_rng(seed)
    clips, taken = rng.permutation(n_clips), 0
    members = {}
    for i in np.argsort(depths, kind="stable"):
        size = round(int(classes["n_eval_clips"][i]) * n_clips / N_CLIPS)
        parent = classes["parents"][i]
        if parent:
            members[i] = rng.choice(members[labels.index(parent)], size, replace=False)
        else:
            members[i] = clips[np.arange(taken, taken + size) % n_clips]
            taken += size
    has_label = np.zeros((n_clips, len(labels)), bool)
    for i, rows in members.items():
        has_label[rows, i] = True
    return scipy.sparse.csr_array(has_label), labels, families


def embeddings() -> np.ndarray:
    """Random unit vectors."""
    x = np.random.default_rng(0).normal(size=(N_CLIPS, DIM)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def both_protocols(x, label_matrix, labels, families, ranking=None) -> list:
    """MAP@15, MAP@150 and MR1 at all levels under both protocols, search included if no ranking is given."""
    queries = metrics.per_query(x, label_matrix, cutoffs=CUTOFFS, ranking=ranking)
    return [metrics.summarise(*queries, labels, families, protocol=p) for p in metrics.PROTOCOLS]


def workloads() -> dict[str, tuple[Callable[[], object], float | None]]:
    """Return what is timed, by name, and the most units that it may take."""
    import faiss
    import torch

    x = embeddings()
    about = fsd50k_labels()
    buffer = np.empty((BLOCK, N_CLIPS), np.float32)
    ranking = search.rank(x, "nns", top_n=150)
    uploaders = np.arange(N_CLIPS) // 5

    def unit():
        for start in range(0, N_CLIPS, BLOCK):
            block = x[start : start + BLOCK]
            np.matmul(block, x.T, out=buffer[: len(block)])

    def by_rule(rule):
        return metrics.per_query(x, about[0], cutoffs=CUTOFFS, ranking=ranking, relevant=rule)

    alone = relevance.Relevance(groups=uploaders, excluded="uploader")
    cards = ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    return {
        "U: all inner products, blocked": (unit, None),
        "faiss IndexFlatIP, top 151": (lambda: faiss.knn(x, x, 151, metric=faiss.METRIC_INNER_PRODUCT), None),
        "search.rank nns, exact top 150": (lambda: search.rank(x, "nns", top_n=150), 4),
        "search.rank mips, exact top 150": (lambda: search.rank(x, "mips", top_n=150), 4),
        "search.rank mcss, exact top 150": (lambda: search.rank(x, "mcss", top_n=150), 4),
        **{
            f"search.rank mcss, exact top 150, on {card}": (
                functools.partial(search.rank, x, "mcss", device=card),
                None,
            )
            for card in cards
        },
        "evaluate, both protocols, given the ranking": (lambda: both_protocols(x, *about, ranking), None),
        "evaluate, both protocols, search included": (lambda: both_protocols(x, *about), 12),
        "graded relevance, given the ranking": (
            lambda: by_rule(relevance.define("graded", about[1])),
            None,
        ),
        "without the uploader, search included": (
            lambda: metrics.per_query(x, about[0], cutoffs=CUTOFFS, relevant=alone),
            None,
        ),
    }


def peak_memory_mb() -> float:
    """Most memory that a process takes that does nothing but evaluate, with both protocols."""
    child = subprocess.run([sys.executable, __file__, "--peak"], capture_output=True, text=True, check=True)
    return float(child.stdout)


def seconds_a_thousand_queries() -> dict[str, float]:
    """Time of AP@15, AP@150 and the first rank alone, rankings given, of each tool on what it can take.

    Ours: all 48,827 queries. ranx and ir_measures: one micro query of each of 1,000 clips; they see no
    further than the ranking. The plain loop, which ranks too: every query of a collection of 200 clips.
    """
    import ir_measures
    import ranx

    x, (label_matrix, labels, families) = embeddings(), fsd50k_labels()
    ranking = search.rank(x, "nns", top_n=150)
    queries = metrics.per_query(x, label_matrix, cutoffs=CUTOFFS, ranking=ranking)
    n_queries = sum(len(kind.query) for kind in queries)
    took = {"metrics.per_query": _seconds(lambda: both_protocols(x, label_matrix, labels, families, ranking))}
    took["metrics.per_query"] *= 1000 / n_queries

    clips = np.arange(1000)
    shared = (label_matrix[clips].astype(int) @ label_matrix.astype(int).T).toarray() > 0
    shared[clips, clips] = False
    qrels = {str(q): {str(d): 1 for d in np.flatnonzero(shared[q])} for q in clips}
    run = {str(q): {str(d): 150.0 - k for k, d in enumerate(ranking.neighbours[q].tolist())} for q in clips}
    ranx_qrels, ranx_run = ranx.Qrels(qrels), ranx.Run(run)
    names = ["map@15", "map@150", "mrr"]
    ranx.evaluate(ranx_qrels, ranx_run, names)  # compiles
    took["ranx"] = _seconds(lambda: ranx.evaluate(ranx_qrels, ranx_run, names))
    measures = [ir_measures.AP @ 15, ir_measures.AP @ 150, ir_measures.RR]
    took["ir_measures"] = _seconds(lambda: list(ir_measures.iter_calc(measures, qrels, run)))

    small = label_matrix[:SAMPLE].toarray()
    n_queries = small.sum() + SAMPLE
    arguments = (x[:SAMPLE], small, labels, families, "nns", CUTOFFS, "standard")
    took["plain loop, 200 clips, search included"] = (
        _seconds(lambda: reference.evaluate(*arguments), 1) * 1000 / n_queries
    )
    ours = (x[:SAMPLE], scipy.sparse.csr_array(small), labels, families)
    took["metrics.evaluate, the same"] = _seconds(lambda: metrics.evaluate(*ours)) * 1000 / n_queries
    return took


def seconds_of_intervals() -> dict[str, float]:
    """Time of 2,000 draws over all queries, at every level."""
    label_matrix, labels, families = fsd50k_labels()
    a, b = (metrics.per_query(x, label_matrix, cutoffs=CUTOFFS) for x in (embeddings(), embeddings()[:, :50]))
    groups = np.arange(N_CLIPS) // 5
    draws = {"n_draws": 2000}
    return {
        "bootstrap_intervals": _seconds(
            lambda: intervals.bootstrap_intervals(*a, labels, families, **draws), 3
        ),
        "bootstrap_intervals, by uploader": _seconds(
            lambda: intervals.bootstrap_intervals(*a, labels, families, groups=groups, **draws), 3
        ),
        "compare: bootstrap and permutation": _seconds(
            lambda: intervals.compare(a, b, labels, families, **draws), 3
        ),
    }


def _seconds(job: Callable[[], object], rounds: int = 3) -> float:
    times = []
    for _ in range(rounds):
        begin = time.perf_counter()
        job()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def over(measured: dict[str, float], allowed: dict[str, float | None], unit: str) -> list[str]:
    """What took more than is allowed, in words."""
    return [
        f"{name}: {value:.2f} {unit}, {most} allowed"
        for name, value in measured.items()
        if (most := allowed[name]) is not None and value > most
    ]


def main() -> str | int:
    """Time every workload in turn, `ROUNDS` times, and print the tables; return what is over its bounds."""
    if sys.argv[1:] == ["--peak"]:
        both_protocols(embeddings(), *fsd50k_labels())
        print(memory.peak_mib())
        return 0
    jobs = workloads()
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(ROUNDS):
        for name, (job, _) in jobs.items():
            begin = time.perf_counter()
            job()
            seconds[name].append(time.perf_counter() - begin)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    unit = next(iter(median.values()))
    print(f"{platform.machine()}, {os.cpu_count()} cores, numpy {np.__version__}")
    n_labels = fsd50k_labels()[0].nnz
    print(f"{N_CLIPS:,} clips x {DIM} dimensions, {n_labels:,} labels of 200 classes; {ROUNDS} rounds\n")
    print(f"{'':46}{'seconds':>9}{'units':>8}{'allowed':>9}")
    for name, (_, most) in jobs.items():
        print(f"{name:46}{median[name]:9.3f}{median[name] / unit:8.2f}{most or '':>9}")
    peak = {"peak memory of the evaluation, search included": peak_memory_mb()}
    print(f"\n{next(iter(peak)).capitalize()}: {next(iter(peak.values())):.0f} MB (1,000 allowed)")
    print(f"\n{'Measures, a thousand queries':46}{'ms':>9}")
    for name, time_s in seconds_a_thousand_queries().items():
        print(f"{name:46}{1000 * time_s:9.2f}")
    print(f"\n{'2,000 draws, MAP@15, MAP@150, MR1, all levels':46}{'seconds':>9}{'':8}{'allowed':>9}")
    drawing = seconds_of_intervals()
    for name, time_s in drawing.items():
        print(f"{name:46}{time_s:9.2f}{'':8}{10:>9}")
    units = {name: value / unit for name, value in median.items()}
    slow = over(units, {name: most for name, (_, most) in jobs.items()}, "units")
    slow += over(peak, dict.fromkeys(peak, 1000), "MB") + over(drawing, dict.fromkeys(drawing, 10), "s")
    return "over its bounds: " + "; ".join(slow) if slow else 0


if __name__ == "__main__":
    sys.exit(main())
