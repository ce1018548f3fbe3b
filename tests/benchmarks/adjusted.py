"""How long adjusted searches and comparisons of frames take, beside the plain search of as many clips.

    python tests/benchmarks/adjusted.py

10,231 made-up clips of 100 dimensions, and of 8 frames of 512 dimensions. Processor time of one thread. Of
frames a part of the clips queries; what is done once, such as copies, counts once. The bare product of all
frames is what any filter in float32 needs.
"""

import time
from collections.abc import Callable

import numpy as np
import threadpoolctl

from sss_lib import search
from sss_lib.search.frames import COMPARISONS

N_CLIPS, N_FRAMES, SEARCHES = 10_231, 8, ("mcss-csls10", "mcss-ls10", "mcss-mp", "mcss-qe5", "mcss-dba10")


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
        print(f"{name:24}{seconds(lambda name=name: search.rank(x, name)) / plain:6.1f} x", flush=True)

    frames = rng.normal(size=(N_CLIPS * N_FRAMES, 512)).astype(np.float32)
    offsets = np.arange(N_CLIPS + 1) * N_FRAMES
    clips = np.ascontiguousarray(frames[::N_FRAMES])
    first = search.rank(clips, "mcss")
    plain = seconds(lambda: search.rank(clips, "mcss"))
    print(f"mcss, 512 dimensions: {plain:.2f} s")
    product = seconds(lambda: frames[:256] @ frames.T) * len(frames) / 256
    print(f"{'product of all frames':24}{product / plain:6.1f} x", flush=True)
    few, more = (np.arange(n) for n in (32, 160))
    for how in COMPARISONS:
        for what, candidates in (("150 candidates", True), ("all clips", False)):

            def job(rows: np.ndarray, how: str = how, candidates: bool = candidates) -> None:
                best = search.Ranking(first.neighbours[rows], first.scores[rows]) if candidates else None
                search.rank_frames(frames, offsets, how, queries=rows, candidates=best)

            once, both = seconds(lambda: job(few), 1), seconds(lambda: job(more), 1)
            took = once + (both - once) * (N_CLIPS - len(few)) / (len(more) - len(few))
            print(f"{how + ', ' + what:24}{took / plain:6.1f} x", flush=True)


if __name__ == "__main__":
    with threadpoolctl.threadpool_limits(1):
        main()
