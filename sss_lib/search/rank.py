"""The ranking of a corpus by whichever search is named, exact or approximate."""

import contextlib

import numpy as np

from sss_lib.io.names import require_known
from sss_lib.search import adjusted, approximate, given
from sss_lib.search.device import DEVICES, OnDevice, highest_precision, on
from sss_lib.search.exact import ranking_of
from sss_lib.search.naming import GIVEN, parse
from sss_lib.search.ranking import Ranking, query_rows, require_top_n
from sss_lib.search.similarity import BLOCKS, Similarities


def rank(
    x: np.ndarray,
    search: str = "nns",
    top_n: int = 150,
    queries: np.ndarray | None = None,
    *,
    groups: np.ndarray | None = None,
    among: np.ndarray | None = None,
    at_a_time: tuple[int, int] = BLOCKS,
    device: str = "cpu",
) -> Ranking:
    """Ranking of the corpus for each query, without the query itself (by row).

    Equal scores are in row order; identical clips always have equal scores. An exact ranking is the same on
    every processor: each vector is rounded to some 20 bits of its largest value, nns from the mean of all
    clips, and then compared without rounding (see `similarity`). Scores are rounded once, to float32.

    Memory holds a copy of the corpus in float32, the blocks of `at_a_time`, and the results: 8 bytes each,
    1.2 GB for a million queries with 150. `metrics.per_query` without a ranking keeps no results.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        The corpus; may be memory-mapped.
    search : str
        "nns", "mips" or "mcss"; or an approximate one, such as "nns-HNSW16-efSearch=64", or one adjusted by
        neighbours, such as "mcss-csls10": see `naming`; or "given", where `x` is a ranking of others: see
        `given`.
    top_n : int
        Results a query, at most n_clips - 1.
    queries : np.ndarray [shape=(n_queries,), dtype=int], optional
        Rows of the corpus that query it, in any order; by default all.
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Clips of the query's own group are left out of its results, as by one uploader.
    among : np.ndarray [shape=(n,), dtype=int], optional
        The rows that may be results, in order, such as those of a licence; by default all. Only of "nns",
        "mips" and "mcss".
    at_a_time : tuple of int
        Queries and clips that are compared at a time. They bound the memory and change no result.
    device : str
        Where "nns", "mips" and "mcss" filter: "cpu", "cuda", "mps", or "auto" for a graphics card if there is
        one, the work is worth it and its memory holds the corpus. It changes no result.

    Returns
    -------
    Ranking

    Raises
    ------
    ValueError
        If the search is unknown, `top_n` < 1, there are fewer than two clips, a value isn't finite, a query
        is no row of the corpus, a score is beyond what float32 can hold, or the device is unknown or not
        there.

    Examples
    --------
    >>> rank(np.array([[0.0], [1.0], [3.0]]), "nns").neighbours
    array([[1, 2],
           [0, 2],
           [1, 0]], dtype=int32)
    """
    require_top_n(top_n)
    device = str(device)  # a `torch.device`, too
    require_known(device.partition(":")[0], DEVICES, "the devices of a search")
    rows = query_rows(queries, len(x))
    method = parse(search)
    if among is not None and (search == GIVEN or not method.is_plain):
        raise ValueError(f"search {search!r} has no choice of results: use one of nns, mips, mcss")
    if search == GIVEN:
        return given.rank(x, rows, min(top_n, len(x) - 1), groups)
    if not method.is_plain:
        by = adjusted if method.adjustment else approximate
        return by.rank(x, method, rows, min(top_n, len(x) - 1), groups)
    similarities = on(Similarities(x, search, groups), device, len(rows))
    with highest_precision() if isinstance(similarities, OnDevice) else contextlib.nullcontext():
        return ranking_of(similarities, rows, min(top_n, len(x) - 1), at_a_time, among)
