"""How long adjusted searches and comparisons of frames take, beside the plain search of as many clips.

    python tests/benchmarks/adjusted.py --all     without it, no comparison of the frames of all clips

10,231 made-up clips of 100 dimensions, and of 8 frames of 512 dimensions. Processor time of one thread. Of
frames a part of the clips queries; what is done once, such as copies, counts once. The bare product of all
frames is what any filter in float32 needs. Where the processor multiplies bfloat16 far faster, so does the
filter.
"""

import sys
import time
from collections.abc import Callable

import numpy as np
import threadpoolctl

from sss_lib import search
from sss_lib.search.frames import COMPARISONS

N_CLIPS, N_FRAMES, SEARCHES = 10_231, 8, ("mcss-csls10", "mcss-ls10", "mcss-mp", "mcss-qe5", "mcss-dba10")

ALLOWED = {"mcss-csls10": 2, "mcss-ls10": 2, "mcss-qe5": 2, "mcss-dba10": 2}
ALLOWED |= {"maxsim, 150 candidates": 10, "chamfer, 150 candidates": 10}


def show(name: str, times: float) -> None:
    """Print a row, in red if it is more than allowed."""
    most = ALLOWED.get(name)
    line = f"{name:24}{times:6.1f} x" + (f"  at most {most} allowed" if most else "")
    print(f"\033[31m{line}\033[0m" if most and times > most else line, flush=True)


def seconds(job: Callable[[], object], rounds: int = 2) -> float:
    """Least processor time of some rounds."""
    took = []
    for _ in range(rounds):
        begin = time.process_time()
        job()
        took.append(time.process_time() - begin)
    return min(took)


def main() -> None:
    """Print a row a search."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N_CLIPS, 100)).astype(np.float32)
    plain = seconds(lambda: search.rank(x, "mcss"))
    print(f"mcss, 100 dimensions: {plain:.2f} s")
    for name in SEARCHES:
        show(name, seconds(lambda name=name: search.rank(x, name)) / plain)

    frames = rng.normal(size=(N_CLIPS * N_FRAMES, 512)).astype(np.float32)
    offsets = np.arange(N_CLIPS + 1) * N_FRAMES
    clips = np.ascontiguousarray(frames[::N_FRAMES])
    first = search.rank(clips, "mcss")
    plain = seconds(lambda: search.rank(clips, "mcss"))
    print(f"mcss, 512 dimensions: {plain:.2f} s")
    product = seconds(lambda: frames[:256] @ frames.T) * len(frames) / 256
    show("product of all frames", product / plain)
    few, more = (np.arange(n) for n in (256, 1024))  # of both the same filter
    for how in COMPARISONS:
        for what, candidates in (("150 candidates", True), ("all clips", False))[: 1 + ("--all" in sys.argv)]:

            def job(rows: np.ndarray, how: str = how, candidates: bool = candidates) -> None:
                best = search.Ranking(first.neighbours[rows], first.scores[rows]) if candidates else None
                search.rank_frames(frames, offsets, how, queries=rows, candidates=best)

            once, both = seconds(lambda: job(few), 1), seconds(lambda: job(more), 1)
            took = once + (both - once) * (N_CLIPS - len(few)) / (len(more) - len(few))
            show(f"{how}, {what}", took / plain)


if __name__ == "__main__":
    with threadpoolctl.threadpool_limits(1):
        main()
