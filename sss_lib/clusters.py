"""Work on a Dask cluster: its workers share the clips of an extraction, the queries of a search.

A cluster is named by a string: "local" starts workers on this machine, one a core, and "tcp://host:8786" is
the address of a scheduler that runs already. Every worker needs the same sss_lib, and the same paths to the
sounds.
"""

import contextlib
import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse

from sss_lib import methods, scoring
from sss_lib import search as exact
from sss_lib.processes import ProcessEndedError
from sss_lib.queries import Scored
from sss_lib.search import Ranking

if TYPE_CHECKING:
    import distributed

BLOCK = 256
"""Queries in a task are a multiple of this."""
SHARD = 32 * BLOCK
"""Most queries in one task."""
ATTEMPTS = 3
"""How often the data of a search are sent to the workers, when all are lost that had them."""
WAIT_S = 30
"""How long a scheduler and its first worker are waited for."""


@contextlib.contextmanager
def connect(cluster: str, n_workers: int | None = None) -> Iterator["distributed.Client"]:
    """Give a client of a cluster; one that is started here ends with the block.

    Parameters
    ----------
    cluster : str
        "local", or the address of a scheduler. A script that starts a local one needs
        `if __name__ == "__main__":`.
    n_workers : int, optional
        Of a local cluster: processes of one thread each, by default one a core. The memory of the machine is
        shared out among them, and one that outgrows its share is started anew.

    Raises
    ------
    ValueError
        If no scheduler answers there, or it has no worker.
    ImportError
        If Dask is not installed.
    ProcessEndedError
        If within the block a task has killed several workers, one after the other.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ImportError(
            f"cluster={cluster!r} needs dask ({error}): install it with pip install -e .[scale]"
        ) from None
    if cluster != "local" and "://" not in cluster:
        raise ValueError(
            f"cluster {cluster!r} is neither 'local' nor an address such as 'tcp://127.0.0.1:8786'"
        )
    with contextlib.ExitStack() as stack:
        address = cluster
        if cluster == "local":
            # A worker that is killed is started anew, however often: it's not to be given up after 15 s.
            stack.enter_context(dask.config.set({"distributed.deploy.lost-worker-timeout": "1 day"}))
            import joblib

            ways = {"n_workers": n_workers or joblib.cpu_count(), "threads_per_worker": 1}
            started = distributed.LocalCluster(**ways, dashboard_address="127.0.0.1:0")
            address = stack.enter_context(started).scheduler_address
        try:
            client = stack.enter_context(distributed.Client(address, timeout=WAIT_S, set_as_default=False))
        except OSError as error:
            raise ValueError(
                f"no scheduler answers at {cluster} ({error}): start one with dask scheduler"
            ) from None
        try:
            client.wait_for_workers(1, timeout=WAIT_S)
        except TimeoutError:
            raise ValueError(
                f"the scheduler at {cluster} has no worker: start one with dask worker {cluster}"
            ) from None
        try:
            yield client
        except distributed.KilledWorker as error:
            raise ProcessEndedError(f"workers of {cluster} die of one task: {error}") from None


def n_threads(client: "distributed.Client") -> int:
    """How many tasks the workers of a cluster run at a time."""
    return sum(client.nthreads().values())


def in_order(submit: Callable, items: Iterable, n_ahead: int) -> Iterator:
    """Results of the futures that `submit` gives for items, in their order, a few being under way at a time.

    Items are taken when there is room for them; what is under way when the iteration ends is cancelled.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> with ThreadPoolExecutor() as pool:
    ...     list(in_order(lambda x: pool.submit(abs, x), range(-3, 0), 2))
    [3, 2, 1]
    """
    under_way: deque = deque()
    try:
        for item in items:
            under_way.append(submit(item))
            if len(under_way) > n_ahead:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()
    finally:
        for future in under_way:
            future.cancel()


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
        return exact.rank(x, search, top_n, queries, groups=groups)
    rows = exact.query_rows(queries, len(x))
    ways = {"search": search, "top_n": top_n, "groups": groups}
    found = _of_shards(client, exact.rank, [x], rows, lambda shard: ways)
    neighbours = np.concatenate([one.neighbours for one in found])
    scores = np.concatenate([one.scores for one in found])
    return Ranking(neighbours, scores, found[0].ties)


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
    """Results of a function of data that all workers get, and of each shard of rows as its queries.

    Its options are those that a shard is given.
    """
    todo, found = shards(rows, n_threads(client)) or [rows], list[object]()
    for _ in range(ATTEMPTS):
        shared = client.scatter(data, broadcast=True, hash=False)
        submit = functools.partial(_submit, client, function, shared, options)
        try:
            for one in in_order(submit, todo[len(found) :], 2 * n_threads(client)):
                found.append(one)
            return found
        except CancelledError:  # every worker that had the data is gone
            client.wait_for_workers(1, timeout=WAIT_S)
    raise ProcessEndedError(f"all workers at once were lost {ATTEMPTS} times: give them more memory")


def _submit(
    client: "distributed.Client", function: Callable, shared: list, options: Callable, shard: np.ndarray
) -> "distributed.Future":
    return client.submit(function, *shared, queries=shard, pure=False, **options(shard))


def joined(parts: Sequence[Scored]) -> Scored:
    """Queries of one kind, those of each part after those of the part before."""

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
    return exact.blocks(rows, min(SHARD, max(1, -(-a_quarter // BLOCK)) * BLOCK))
