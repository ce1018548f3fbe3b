"""How exact search and evaluation grow with the collection, against other tools: make bench

The unit is one blocked matrix product of the queries with all clips: what any exact search has to compute.
Every ratio is of medians within one run, on the same threads. Beyond 10,000 clips a sample of the clips
queries; what each job prepares once (timed by a single query) counts as it would with all of them.

    python tests/benchmarks/scale.py            measure, and compare with the table in figures/benchmarks/
    python tests/benchmarks/scale.py --save     write the table, also into the README there, and the plots

More options: --up-to=100000 for fewer sizes, --rounds=3, and --cpu for processor time on one thread, which
can be compared where other work shares the cores. Only what was measured by the same clock, in as many rounds
and on as many cores is compared. The exit code is not zero where a ratio is worse than the committed one by
more than 30 %, or misses what is allowed.
"""

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import threadpoolctl

sys.path.insert(0, str(Path(__file__).parent.parent))
sys.path.insert(0, str(Path(__file__).parent))
import memory
from search_and_evaluation import CUTOFFS, fsd50k_labels

from sss_lib import artefacts, metrics, search

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "figures" / "benchmarks"
QUERIES = {10_000: 10_000, 30_000: 6_000, 100_000: 4_000, 1_000_000: 1_000}
"""How many clips query, by the number of clips."""
DIM, TOP_N, ROUNDS, FILE_ROUNDS, WORSE = 100, 150, 5, 3, 1.3
RANK, EVALUATE = "search.rank, top 150", "metrics.per_query, top 150 and R1 of every class"
ALLOWED = {RANK: 3.6, EVALUATE: 5.0}
"""A quarter more than the search took that rounded as the processor does (commit d2e3648), by AVX-512."""
ALIKE = ["what", "clips", "queries", "clock", "rounds", "cores"]
"""What two measurements have to share to be compared."""
CLOCKS = {"wall": "Wall time", "cpu": "Processor time of one thread"}
clock = time.perf_counter
START, END = "<!-- figures/benchmarks/ratios.csv -->", "<!-- end -->"


def embeddings(n_clips: int) -> np.ndarray:
    """Random unit vectors, on which first relevant clips are as far away as they get."""
    x = np.random.default_rng(0).standard_normal((n_clips, DIM), dtype=np.float32)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    return x


def ours(x: np.ndarray, rows: np.ndarray) -> dict[str, Callable[[np.ndarray], object]]:
    """Jobs that take the rows that query."""
    label_matrix = fsd50k_labels(len(x))[0]
    return {
        RANK: lambda rows: search.rank(x, "nns", TOP_N, rows),
        EVALUATE: lambda rows: metrics.per_query(x, label_matrix, cutoffs=CUTOFFS, queries=rows),
    }


def unit(x: np.ndarray, rows: np.ndarray, buffer: np.ndarray) -> None:
    """All inner products of the queries, block by block, into one buffer."""
    block, width = buffer.shape
    for start in range(0, len(rows), block):
        queries = x[rows[start : start + block]]
        for column in range(0, len(x), width):
            clips = x[column : column + width]
            np.matmul(queries, clips.T, out=buffer[: len(queries), : len(clips)])


def rivals(x: np.ndarray) -> dict[str, Callable[[np.ndarray], object]]:
    """Other exact searches for the best 151 by inner product, the query included."""
    import faiss
    import torch
    from sklearn.neighbors import NearestNeighbors
    from usearch.index import MetricKind
    from usearch.index import search as usearch

    tensor = torch.from_numpy(x)

    def in_torch(rows: np.ndarray) -> None:
        for block in search.blocks(rows, 1024):
            torch.topk(tensor[block] @ tensor.T, TOP_N + 1)

    def one_by_one(rows: np.ndarray) -> None:
        for row in rows:
            np.argsort(-(x @ x[row]))[: TOP_N + 1]

    return {
        "faiss IndexFlatIP": lambda rows: faiss.knn(x[rows], x, TOP_N + 1, metric=faiss.METRIC_INNER_PRODUCT),
        "usearch exact": lambda rows: usearch(x, x[rows], TOP_N + 1, MetricKind.IP, exact=True),
        "scikit-learn brute force": lambda rows: (
            NearestNeighbors(n_neighbors=TOP_N + 1, algorithm="brute").fit(x).kneighbors(x[rows])
        ),
        "torch.topk": in_torch,
        "plain loop over queries": one_by_one,
    }


def units_of(jobs: dict, x: np.ndarray, rows: np.ndarray, rounds: int) -> tuple[dict[str, float], float]:
    """How many units each job takes with all clips as queries, and the seconds of a unit of these queries."""
    first, buffer = rows[:1], np.ones((1024, 16384), np.float32)
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        _time(seconds, "unit", lambda: unit(x, rows, buffer))
        for name, job in jobs.items():
            _time(seconds, name, lambda job=job: job(rows))
            if len(rows) < len(x):
                _time(seconds, f"prepare {name}", lambda job=job: job(first))
    median = {name: statistics.median(times) for name, times in seconds.items()}
    of = {}
    for name in jobs:
        once = median.get(f"prepare {name}", 0.0)
        of[name] = (median[name] - once + once * len(rows) / len(x)) / median["unit"]
    return of, median["unit"]


def _time(seconds: dict[str, list[float]], name: str, job: Callable[[], object]) -> None:
    begin = clock()
    job()
    seconds.setdefault(name, []).append(clock() - begin)


def growth(sizes: list[int], rounds: int) -> list[dict]:
    """Rows of our jobs at each size, and of the other tools at the smallest."""
    rows = []
    for n_clips in sizes:
        x = embeddings(n_clips)
        clips = np.sort(np.random.default_rng(1).choice(n_clips, QUERIES[n_clips], replace=False))
        jobs = ours(x, clips) | (rivals(x) if n_clips == sizes[0] else {})  # by the same queries
        of, one = units_of(jobs, x, clips, rounds)
        for name, value in of.items():
            rows.append(row(name, n_clips, len(clips), value, rounds, ALLOWED.get(name)))
        print(f"{n_clips:,} clips, {len(clips):,} of them query: a unit takes {one:.2f} s", flush=True)
    return rows


def row(
    what: str, n_clips: int, n_queries: int, value: float, rounds: int, allowed: float | None = None
) -> dict:
    """One row of the table."""
    of = {"what": what, "clips": n_clips, "queries": n_queries}
    return of | {"value": round(value, 3), "allowed": allowed, "rounds": rounds}


def files(n_clips: int = 10_231, n_json: int = 400) -> list[dict]:
    """How many times less reading, writing and room 8 x 512 frames a clip take than as JSON, one a clip."""
    values = np.random.default_rng(2).standard_normal((n_clips * 8, 512), dtype=np.float32)
    fnames = [f"{i:06d}" for i in range(n_clips)]
    frames = artefacts.Frames(fnames, values, np.arange(n_clips + 1) * 8, 0.5)
    few = artefacts.Frames(fnames[:n_json], values[: n_json * 8], np.arange(n_json + 1) * 8, 0.5)
    with tempfile.TemporaryDirectory() as folder:
        seconds: dict[str, list[float]] = {}
        stored = artefacts.Artefact(Path(folder) / "frames.parquet", {})
        as_json = Path(folder) / "json"
        as_json.mkdir()
        for _ in range(FILE_ROUNDS):
            columns = {"fname": fnames, "frames": frames, "hop_s": np.full(n_clips, 0.5)}
            _time(seconds, "write", lambda columns=columns: stored.write(columns))
            _time(seconds, "read", lambda: artefacts.to_frames(stored.read()))
            _time(seconds, "write json", lambda: _write_json(as_json, few))
            _time(seconds, "read json", lambda: artefacts.read_json_embeddings(as_json))
        median = {name: statistics.median(times) for name, times in seconds.items()}
        more = n_clips / n_json
        size = sum(path.stat().st_size for path in as_json.iterdir()) * more
        times = {
            "reading frames, times less than JSON": (median["read json"] * more / median["read"], 30),
            "writing frames, times less than JSON": (median["write json"] * more / median["write"], 20),
            "frames on disk, times less than JSON": (size / stored.path.stat().st_size, 3),
        }
    return [row(name, n_clips, n_json, value, FILE_ROUNDS, least) for name, (value, least) in times.items()]


def _write_json(folder: Path, frames: artefacts.Frames) -> None:
    """Write frame embeddings as the code of the study did: a JSON file a clip."""
    for fname, values in zip(frames.fnames, np.split(frames.values, frames.offsets[1:-1]), strict=True):
        content = {"audio_path": fname, "embeddings": values.tolist()}
        (folder / f"{fname}.json").write_text(json.dumps(content))


def peak_gb(n_clips: int) -> float:
    """Most memory of a process that evaluates a sample of queries against memory-mapped embeddings."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.npy"
        np.save(path, embeddings(n_clips))
        command = [sys.executable, __file__, "--peak", str(path)]
        return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout) / 1000


def is_worse(what: str, value: float, before: float) -> bool:
    """Whether a value is no number or more than 30 % worse; compared with JSON, more is better."""
    return not (value >= before / WORSE if "JSON" in what else value <= before * WORSE)


def bound(one) -> str:
    """Return what a row is allowed, in words, and whether it misses that."""
    if pd.isna(one.allowed):
        return ""
    of_json = "JSON" in one.what
    missed = not (one.value >= one.allowed if of_json else one.value <= one.allowed)
    return f"at {'least' if of_json else 'most'} {one.allowed:g}{': missed' if missed else ''}"


def digits(one) -> str:
    """Return a row's value with as many digits as tell it from its bound, at least one and at most three."""
    texts = [f"{one.value:.{n}f}" for n in (1, 2, 3)]
    return next((text for text in texts if float(text) != one.allowed), texts[0])


def misses(table: pd.DataFrame) -> list[str]:
    """Return what misses its bound, in words."""
    return [
        f"{one.what} of {one.clips:,} clips is {digits(one)}, allowed {bound(one).removesuffix(': missed')}"
        for one in table.itertuples()
        if bound(one).endswith("missed")
    ]


def show(table: pd.DataFrame, committed: pd.DataFrame | None) -> list[str]:
    """Print the table, in red what got worse or misses its bound; return what is wrong, in words."""
    before = {} if committed is None else committed.set_index(ALIKE)["value"].to_dict()
    n_worse = n_unlike = 0
    for key, one in zip(table[ALIKE].itertuples(index=False, name=None), table.itertuples(), strict=True):
        was = before.get(key)
        n_unlike += was is None
        worse = was is not None and is_worse(one.what, one.value, was)
        line = f"{one.what:52}{one.clips:>10,}{digits(one):>9}{'' if was is None else f'{was:.2f}':>11}"
        line += f"  {bound(one):18}{'  worse by more than 30 %' if worse else ''}".rstrip()
        print(f"\033[31m{line}\033[0m" if worse or "missed" in bound(one) else line)
        n_worse += worse
    if n_unlike:
        print(
            f"{n_unlike} of these are not compared: figures/benchmarks/ratios.csv has none that was measured "
            "by the same clock, in as many rounds and on as many cores"
        )
    return misses(table) + ([f"{n_worse} ratios are worse by more than 30 %"] if n_worse else [])


def markdown(table: pd.DataFrame) -> str:
    """Return the table for the README, how and on what machine it was measured, and what misses its bound."""
    heads = "units (one matrix product of the queries with all clips)", "clips", "queries", "units", "allowed"
    lines = [f"| {' | '.join(heads)} | rounds |", "|---|---|---|---|---|---|"]
    for one in table.itertuples():
        cells = one.what, f"{one.clips:,}", f"{one.queries:,}", digits(one), bound(one), str(one.rounds)
        lines.append(f"| {' | '.join(cells)} |")
    first, missed = table.iloc[0], misses(table)
    lines += ["", f"{CLOCKS[first['clock']]} on a machine of {first['cores']} cores ({first['machine']});"]
    lines += ["medians of the rounds. " + ("Missed:" if missed else "Nothing misses what is allowed.")]
    return "\n".join([*lines, *([""] if missed else []), *(f"- {one}" for one in missed), ""])


UNITS = "units of one matrix product"


def draw(table: pd.DataFrame, folder: Path) -> None:
    """Plot how the ratios grow with the collection, and the other tools beside ours."""
    import matplotlib.pyplot as plt

    from sss_lib import plots
    from sss_lib.figures.plots.style import GROUP_COLOURS

    plots.use_style()
    figure, ax = plt.subplots(figsize=(plots.COLUMN, 2.4))
    for (name, most), colour, marker in zip(ALLOWED.items(), GROUP_COLOURS, "so", strict=False):
        own = table[table["what"] == name]
        ax.plot(own["clips"], own["value"], color=colour, marker=marker, label=name.split(", ", 1)[1])
        ax.axhline(most, color=colour, linewidth=0.8, linestyle="--")
    ax.plot([], [], color="#555555", linewidth=0.8, linestyle="--", label="at most allowed")
    ax.set(xscale="log", ylim=(0, None), xlabel="clips", ylabel=f"{UNITS}\n(lower is better)")
    ax.legend(frameon=False, fontsize=7)
    _save(figure, folder / "growth.png")

    smallest = table[(table["clips"] == table["clips"].min()) & ~table["what"].str.contains("JSON")]
    smallest = smallest.sort_values("value", ascending=False)
    figure, ax = plt.subplots(figsize=(plots.COLUMN, 2.2))
    named = [name.replace(", top", ",\ntop") for name in smallest["what"]]
    colours = [GROUP_COLOURS[0] if name in ALLOWED else "#999999" for name in smallest["what"]]
    ax.barh(named, smallest["value"], color=colours)
    ax.bar_label(ax.containers[0], fmt="{:.1f}", padding=2, fontsize=7)
    ax.set(
        xlabel=f"{UNITS},\n{smallest['queries'].max():,} queries (lower is better)",
        xlim=(0, 1.15 * smallest["value"].max()),
    )
    ax.tick_params(axis="y", labelsize=6)
    _save(figure, folder / "tools.png")


def _save(figure: Any, path: Path) -> None:
    """Write a plot as the README shows it: as PNG alone, and without a date."""
    with artefacts.replacing(path) as temporary:
        figure.savefig(temporary, metadata={"Software": None})


def save(table: pd.DataFrame, folder: Path = FOLDER, readme: Path = FOLDER / "README.md") -> None:
    """Write table and plots, and the table into the README between its two marks."""
    folder.mkdir(parents=True, exist_ok=True)
    with artefacts.replacing(folder / "ratios.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.3f")
    text = markdown(table)
    draw(table, folder)
    before, rest = readme.read_text().split(START)
    with artefacts.replacing(readme) as temporary:
        temporary.write_text(f"{before}{START}\n{text}{END}{rest.split(END, 1)[1]}")


def read_committed(path: Path) -> pd.DataFrame | None:
    """Return the committed table, if there is one; ValueError if it isn't as `save` writes it."""
    if not path.is_file():
        return None
    try:
        return pd.read_csv(path)[[*ALIKE, "value"]].astype({"value": float})
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} can't be read ({error}): restore it, or write it by --save") from error


def main(arguments: list[str]) -> str | int:
    """Measure, print and perhaps save; return what went wrong."""
    if arguments[:1] == ["--peak"]:
        x = np.load(arguments[1], mmap_mode="r")
        rows = np.sort(np.random.default_rng(1).choice(len(x), min(len(x), 600), replace=False))
        metrics.per_query(x, fsd50k_labels(len(x))[0], cutoffs=CUTOFFS, queries=rows)
        print(memory.peak_mib() * 1.048576)
        return 0
    try:
        committed = read_committed(FOLDER / "ratios.csv")
    except ValueError as error:  # told before minutes of measurement
        if "--save" not in arguments:
            return str(error)
        committed = None
    if "--cpu" in arguments:
        globals()["clock"] = time.process_time
        threadpoolctl.threadpool_limits(1)
    sizes = [n for n in QUERIES if f"--up-to={n}" in arguments]
    sizes = [n for n in QUERIES if not sizes or n <= sizes[0]]
    rounds = next((int(a.split("=")[1]) for a in arguments if a.startswith("--rounds=")), ROUNDS)
    rows = growth(sizes, rounds) + files()
    peak = peak_gb(sizes[-1])
    rows.append(row("GB of memory at most, search and evaluation", sizes[-1], 600, peak, 1, 2.0))
    table = pd.DataFrame(rows).assign(
        clock="cpu" if "--cpu" in arguments else "wall",
        cores=os.cpu_count(),
        machine=f"{platform.machine()}, load {os.getloadavg()[0]:.1f} at the end, numpy {np.__version__}",
    )
    print(f"\n{'':52}{'clips':>10}{'units':>9}{'committed':>11}  allowed")
    wrong = show(table, committed)
    if "--save" in arguments:
        save(table)
    return "\n".join(wrong) or 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
