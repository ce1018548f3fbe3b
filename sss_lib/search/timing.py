"""Time and memory that a search of a corpus takes."""

import dataclasses
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import threadpoolctl

from sss_lib.search.approximate import load_faiss
from sss_lib.search.index import Index
from sss_lib.search.naming import GIVEN, parse
from sss_lib.search.rank import rank
from sss_lib.search.ranking import Ranking, query_rows, require_top_n


@dataclass(frozen=True)
class Cost:
    """Time and memory of a search, on the machine at hand.

    Attributes
    ----------
    build_s : float
        Time to build the index, on one thread.
    query_ms : float
        Time a query when all clips query, on `n_threads`.
    single_query_ms : float
        Latency of one query, batch size 1, with the index in memory.
    bytes_per_clip : float
        Size of the index.
    n_threads : int
    """

    build_s: float
    query_ms: float
    single_query_ms: float
    bytes_per_clip: float
    n_threads: int

    def parameters(self) -> dict:
        """Its fields, as an artefact records them."""
        return dataclasses.asdict(self)


def rank_members(
    fnames: Sequence[str],
    x: np.ndarray,
    search: str,
    top_n: int = 150,
    queries: np.ndarray | None = None,
    *,
    exactly: Callable[..., Ranking] | None = None,
    n_threads: int | None = None,
) -> tuple[Index | None, Ranking, Cost]:
    """Rank the clips of a corpus for each other, and time it.

    A given ranking has no index, and nobody knows what it took: its cost is nan. An adjusted search has no
    index either.

    Parameters
    ----------
    fnames : sequence of str [n_clips]
    x, search, top_n, queries
        As in `rank`.
    exactly : callable, optional
        Does an exact search in place of `rank`, with the same arguments, on `n_threads`.
    n_threads : int, optional

    Returns
    -------
    index : Index or None
    ranking : Ranking
        Equal to that of `rank`.
    cost : Cost
    """
    if search == GIVEN or parse(search).adjustment:
        begin = time.perf_counter()
        ranking = (exactly or rank)(x, search, top_n, queries)
        query_ms = 1000 * (time.perf_counter() - begin) / max(len(ranking.neighbours), 1)
        query_ms = math.nan if search == GIVEN else query_ms
        return None, ranking, Cost(math.nan, query_ms, math.nan, math.nan, 0)
    is_exact = parse(search).is_exact
    if not is_exact:
        load_faiss()  # its import is no time of the index
    begin = time.perf_counter()
    built = Index.build(fnames, x, search)
    build_s = time.perf_counter() - begin
    require_top_n(top_n)
    rows, n = query_rows(queries, len(x)), min(top_n, max(len(x) - 1, 1))
    took_s: list[float] = []
    while len(took_s) < 3 and sum(took_s) < 0.1:  # short times are the best of three
        begin = time.perf_counter()
        if exactly is not None and is_exact:
            ranking = exactly(x, search, n, rows)
        else:
            ranking, n_threads = built.clips.rank(x, rows, n), _n_threads()
        took_s.append(time.perf_counter() - begin)
    size = len(built.clips.to_bytes()) / len(x)
    query_ms = 1000 * min(took_s) / max(len(rows), 1)
    return (
        built,
        ranking,
        Cost(build_s, query_ms, _single_query_ms(built, x, n), size, n_threads or _n_threads()),
    )


def _single_query_ms(built: Index, x: np.ndarray, n: int) -> float:
    """Median latency of ten clips that query one by one, after a first."""
    took_s = []
    for row in np.linspace(0, len(x) - 1, 11).astype(int):
        begin = time.perf_counter()
        built.rank(x[row : row + 1], n)
        took_s.append(time.perf_counter() - begin)
    return 1000 * statistics.median(took_s[1:])


def _n_threads() -> int:
    return max((pool["num_threads"] for pool in threadpoolctl.threadpool_info()), default=1)
