"""Clips through a model, in groups: in this process, in workers of this machine, or on a Dask cluster."""

import contextlib
import itertools
import json
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import threadpoolctl

from sss_lib.extraction import cluster as dask
from sss_lib.extraction import workers
from sss_lib.extraction.parts import Clip, Result, code_of
from sss_lib.io import audio
from sss_lib.io.code import code_digest
from sss_lib.models import registry as models

GROUP_CLIPS = 16
"""Clips of a part that are embedded together: always the same ones, whoever embeds them."""
WINDOW = 32
"""Groups among which the largest begins first, lest a worker be alone with it in the end."""

Results = Generator[list[Result], None, None]
"""Those of one group after the other."""


def embed_all(
    clips: Iterable[list[Clip]], spec: models.ModelSpec, device: str, n_jobs: int, cluster: str | None
) -> Generator[Result, None, None]:
    """Yield the result of each clip, in the order given.

    Parameters
    ----------
    clips : iterable of list of (str, str)
        fname and path of the clips of one part after the other.
    spec : ModelSpec
    device : str
    n_jobs : int
    cluster : str or None
        See `extraction.extract`.
    """
    groups = (
        of_part[start : start + GROUP_CLIPS]
        for of_part in clips
        for start in range(0, len(of_part), GROUP_CLIPS)
    )
    if spec.is_given:
        results = (_given(group, spec) for group in groups)
    elif cluster:
        results = _on_cluster(groups, spec, device, cluster)
    elif n_jobs == 1:
        results = (_embed(group, spec, device) for group in groups)
    else:
        results = _in_workers(groups, spec, device, n_jobs)
    with contextlib.closing(results):
        for of_group in results:
            yield from of_group


def _given(group: list[Clip], spec: models.ModelSpec) -> list[Result]:
    """Result of each clip of a group by its id alone, from files that others have computed."""
    network: Any = models.load(spec).network
    return [(fname, network(fname)) for fname, _ in group]


def _in_workers(groups: Iterable, spec: models.ModelSpec, device: str, n_jobs: int) -> Results:
    import joblib

    n_jobs = joblib.effective_n_jobs(n_jobs)
    with ThreadPoolExecutor(n_jobs) as threads, workers.Workers() as own:

        def submit(group: list[Clip]) -> Future:
            return threads.submit(own.call, _embed, group, spec, device)

        def submitted() -> Iterator[Future]:
            rest = iter(groups)
            while window := list(itertools.islice(rest, WINDOW)):
                places = sorted(range(len(window)), key=lambda place: -_n_bytes(window[place]))
                futures = {place: submit(window[place]) for place in places}
                yield from (futures[place] for place in range(len(window)))

        yield from workers.in_order(lambda future: future, submitted(), 2 * n_jobs)


def _n_bytes(group: list[Clip]) -> int:
    return sum(path.stat().st_size for _, name in group if (path := Path(name)).is_file())


def _on_cluster(groups: Iterable, spec: models.ModelSpec, device: str, cluster: str) -> Results:
    # The model runs in workers beside those of Dask, which serve other models too: see `workers`.
    code, key = code_digest(code_of(spec)), json.dumps([spec.parameters(), device])
    with dask.connect(cluster) as client:

        def submit(group: list[Clip]) -> Any:
            work = (key, os.getcwd(), _embed_by_same_code, code, group, spec, device)
            return client.submit(workers.call_beside, *work, pure=False)

        try:
            yield from workers.in_order(submit, groups, 2 * dask.n_threads(client))
        finally:
            client.run(workers.end_beside, key, on_error="ignore")


def _embed_by_same_code(code: str, group: list[Clip], spec: models.ModelSpec, device: str) -> list[Result]:
    """Embed a group if the code here is that of the client, which writes the results."""
    here = code_digest(code_of(spec))
    if here != code:
        raise ValueError(
            f"a worker's code for {spec.name} is {here}, and the client's {code}: give both the same sss_lib"
        )
    return _embed(group, spec, device)


def _embed(group: list[Clip], spec: models.ModelSpec, device: str) -> list[Result]:
    """Result of each clip of a group; while the model is at work on one, the next are decoded."""
    with ThreadPoolExecutor(1) as pool:
        waves = {fname: pool.submit(audio.decode, path, spec.rate_hz) for fname, path in group}
        extractor, threads = _loaded(spec, device)

        def decoded() -> Iterator[np.ndarray]:
            return (wave.result() for wave in waves.values() if not wave.exception())

        with threads.limit(limits=1):
            try:
                embedded: Sequence[np.ndarray | str] = extractor.embed(decoded())
            except Exception:  # one clip must not take its group along: each alone, to find it
                embedded = [_embed_one(wave, extractor) for wave in decoded()]
    of_decoded = iter(embedded)
    return [
        (fname, _reason(error) if (error := wave.exception()) else next(of_decoded))
        for fname, wave in waves.items()
    ]


def _embed_one(wave: np.ndarray, extractor: models.Extractor) -> np.ndarray | str:
    try:
        return extractor(wave)
    except Exception as error:  # one clip must not end the run, whatever a model does with it
        return _reason(error)


def _reason(error: BaseException) -> str:
    return str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


_last: dict[str, tuple[models.Extractor, threadpoolctl.ThreadpoolController]] = {}
"""The model that this process has loaded last, by what makes it."""


def _loaded(
    spec: models.ModelSpec, device: str
) -> tuple[models.Extractor, threadpoolctl.ThreadpoolController]:
    """Return the model, loaded once in a process, and what limits the threads of its libraries."""
    key = json.dumps([spec.parameters(), device])
    if key not in _last:
        _last.clear()
        _last[key] = models.load(spec, device), threadpoolctl.ThreadpoolController()
    return _last[key]
