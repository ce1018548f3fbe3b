"""Searches and scores on a Dask cluster, whose workers share the queries. See `extraction.cluster`."""

import contextlib
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

from sss_lib.evaluation import scoring
from sss_lib.evaluation.queries import Scored
from sss_lib.extraction.cluster import WAIT_S, connect, n_threads
from sss_lib.extraction.workers import WorkerEndedError, in_order
from sss_lib.search import naming as methods
from sss_lib.search import timing
from sss_lib.search.index import Index
from sss_lib.search.rank import rank as rank_here
from sss_lib.search.ranking import Ranking, blocks, query_rows

if TYPE_CHECKING:
    import distributed

__all__ = ["connect", "connected", "n_threads", "per_query", "rank", "rank_all", "rank_members"]

BLOCK = 256
"""Queries in a task are a multiple of this."""
SHARD = 32 * BLOCK
"""Most queries in one task."""
ATTEMPTS = 3
"""How often data are sent to the workers: again when every worker that had them was killed."""


def rank(
    x: np.ndarray,
    search: str = "nns",
    top_n: int = 150,
    queries: np.ndarray | None = None,
    *,
    client: "distributed.Client | None" = None,
    groups: np.ndarray | None = None,
) -> Ranking:
    """`search.rank` with the queries shared out among the workers of a cluster; each gets the corpus.

    A worker that is killed costs the queries that it was at work on.

    Parameters
    ----------
    x, search, top_n, queries, groups
        See `search.rank`.
    client : distributed.Client or None
        From `connect`. Without one, and for an approximate search, which no worker could share, all is done
        in this process.

    Returns
    -------
    Ranking
        Equal to that of `search.rank`, bit for bit.
    """
    if client is None or not methods.parse(search).is_exact:
        return rank_here(x, search, top_n, queries, groups=groups)
    rows = query_rows(queries, len(x))
    ways = {"search": search, "top_n": top_n, "groups": groups}
    found = _of_shards(client, rank_here, [x], rows, lambda shard: ways)
    neighbours = np.concatenate([one.neighbours for one in found])
    scores = np.concatenate([one.scores for one in found])
    return Ranking(neighbours, scores, found[0].ties)


def rank_members(
    fnames: Sequence[str],
    x: np.ndarray,
    search: str,
    top_n: int = 150,
    *,
    client: "distributed.Client | None" = None,
    device: str = "cpu",
) -> tuple[Index | None, Ranking, timing.Cost]:
    """`timing.rank_members`, whose exact search a cluster shares, or a device filters; see `rank`."""
    if client is None:
        exactly = None if device == "cpu" else functools.partial(rank_here, device=device)
        return timing.rank_members(fnames, x, search, top_n, exactly=exactly)
    exactly = functools.partial(rank, client=client)
    return timing.rank_members(fnames, x, search, top_n, exactly=exactly, n_threads=n_threads(client))


def rank_all(
    fnames: Sequence[str],
    x: np.ndarray,
    searches: Sequence[str],
    top_n: int,
    cluster: str | None = None,
    device: str = "cpu",
) -> tuple[dict[str, Index | None], dict[str, Ranking], dict[str, timing.Cost]]:
    """Indexes, rankings and costs of several searches, by their names; see `rank_members`, `connected`."""
    with connected(cluster) as client:
        found = {one: rank_members(fnames, x, one, top_n, client=client, device=device) for one in searches}
    return (
        {search: index for search, (index, _, _) in found.items()},
        {search: ranking for search, (_, ranking, _) in found.items()},
        {search: cost for search, (*_, cost) in found.items()},
    )


@contextlib.contextmanager
def connected(cluster: str | None) -> Iterator["distributed.Client | None"]:
    """Give a client of a cluster as `connect` does, or None without one."""
    with connect(cluster) if cluster else contextlib.nullcontext() as client:
        yield client


def per_query(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    *,
    client: "distributed.Client | None" = None,
    ranking: Ranking | None = None,
    **options: Any,
) -> tuple[Scored, Scored]:
    """`metrics.per_query` with the queries shared out among the workers of a cluster; see `rank`.

    Ranks and counts are equal to those of `metrics.per_query`, sums but for their last bit.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    client : distributed.Client or None
        From `connect`. Without one, and for an approximate search without a ranking, all is done in this
        process.
    ranking : Ranking, optional
        Of all clips by all of them; each worker gets its part.
    **options
        search, cutoffs, relevant and count_all of `metrics.per_query`.

    Returns
    -------
    class_wise, micro : Queries
        For `metrics.summarise`.
    """
    if client is None or (ranking is None and not methods.parse(options.get("search", "nns")).is_exact):
        return scoring.per_query(x, label_matrix, ranking=ranking, **options)
    if ranking is not None and len(ranking.neighbours) != len(x):
        raise ValueError(
            f"a ranking of {len(ranking.neighbours)} queries is not of all {len(x)} clips: rank them again"
        )

    def of_shard(shard: np.ndarray) -> dict:
        own = ranking and Ranking(ranking.neighbours[shard], ranking.scores[shard], ranking.ties)
        return {**options, "ranking": own}

    found = _of_shards(client, scoring.per_query, [x, label_matrix], np.arange(len(x)), of_shard)
    class_wise, micro = (joined(of_kind) for of_kind in zip(*found, strict=True))
    return class_wise, micro


def _of_shards(
    client: "distributed.Client",
    function: Callable,
    data: list,
    rows: np.ndarray,
    options: Callable[[np.ndarray], dict],
) -> list:
    """Call a function for each shard of the rows as its queries, with data that every worker gets.

    `options` gives what else the function is called with for a shard.
    """
    todo, found = shards(rows, n_threads(client)) or [rows], list[object]()
    for _ in range(ATTEMPTS):
        shared = client.scatter(data, broadcast=True, hash=False)
        submit = functools.partial(_submit, client, function, shared, options)
        try:
            for one in in_order(submit, todo[len(found) :], 2 * n_threads(client)):
                found.append(one)
            return found
        except CancelledError:  # every worker that had the data was killed
            client.wait_for_workers(1, timeout=WAIT_S)
    raise WorkerEndedError(f"all workers at once were lost {ATTEMPTS} times: give them more memory")


def _submit(
    client: "distributed.Client", function: Callable, shared: list, options: Callable, shard: np.ndarray
) -> "distributed.Future":
    return client.submit(function, *shared, queries=shard, pure=False, **options(shard))


def joined(parts: Sequence[Scored]) -> Scored:
    """Concatenate results of the same kind of queries."""

    def join(values: list) -> Any:
        if isinstance(values[0], dict):
            return {key: np.concatenate([one[key] for one in values]) for key in values[0]}
        return np.concatenate(values) if isinstance(values[0], np.ndarray) else values[0]

    return replace(
        parts[0], **{one.name: join([getattr(part, one.name) for part in parts]) for one in fields(parts[0])}
    )


def shards(rows: np.ndarray, n_workers: int) -> list[np.ndarray]:
    """Consecutive pieces of rows, four a worker or more, and multiples of `BLOCK`.

    Examples
    --------
    >>> [len(shard) for shard in shards(np.arange(1000), 1)]
    [256, 256, 256, 232]
    """
    a_quarter = -(-len(rows) // (4 * n_workers))
    return blocks(rows, min(SHARD, max(1, -(-a_quarter // BLOCK)) * BLOCK))
