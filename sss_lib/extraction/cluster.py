"""A Dask cluster, whose workers share out work.

A cluster is named by a string: "local" starts workers on this machine, one a core, and "tcp://host:8786" is
the address of a scheduler that runs already. Every worker needs the same sss_lib, and the same paths to the
sounds. Whoever reaches a scheduler can run code as its user.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sss_lib.extraction.workers import WorkerEndedError

if TYPE_CHECKING:
    import distributed

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
    WorkerEndedError
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
                f"no scheduler answers at {cluster} ({error}): start one with dask scheduler --host 127.0.0.1"
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
            raise WorkerEndedError(f"workers of {cluster} die of one task: {error}") from None


def n_threads(client: "distributed.Client") -> int:
    """How many tasks the workers of a cluster run at a time."""
    return sum(client.nthreads().values())
