"""Run a model over a dataset: in parts that survive a killed run, in parallel, with every failure listed."""

import contextlib
import hashlib
import json
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import threadpoolctl

from sss_lib.extraction import cluster as dask
from sss_lib.extraction import processes
from sss_lib.io import audio, download
from sss_lib.io.artefact import (
    Artefact,
    DamagedArtefactError,
    Frames,
    StaleArtefactError,
    replacing,
    to_frames,
)
from sss_lib.io.code import code_digest
from sss_lib.models import registry as models

if TYPE_CHECKING:
    from sss_lib.dataset.dataset import Dataset

PART_CLIPS = 64
"""Clips in one part file, which a killed run keeps if it was written. A million clips are 15,625 files."""
GROUP_CLIPS = 16
"""Clips of a part that are embedded together: always the same ones, whoever does it."""


@dataclass(frozen=True)
class Report:
    """What an extraction did.

    Attributes
    ----------
    model, dataset : str
    n_clips, n_frames : int
        With embeddings, in all.
    n_new : int
        Of these clips, how many were computed in this run; the others were there.
    failures : pd.DataFrame
        fname and reason of each clip that has no embedding.
    """

    model: str
    dataset: str
    n_clips: int
    n_frames: int
    n_new: int
    failures: pd.DataFrame

    def __str__(self) -> str:
        lines = [
            f"{self.model} on {self.dataset}: {self.n_clips} clips, {self.n_frames} frames "
            f"({self.n_new} clips computed now)"
        ]
        if len(self.failures):
            lines.append(f"{len(self.failures)} clips FAILED and are listed in failures.csv:")
            lines += [f"  {row.fname}: {row.reason}" for row in self.failures.head(10).itertuples()]
        return "\n".join(lines)


def extract(
    dataset: "Dataset",
    model: str,
    out_dir: str | Path,
    n_jobs: int = 1,
    *,
    artefact: Artefact | None = None,
    device: str = "cpu",
    cluster: str | None = None,
) -> Report:
    """Embed every clip of a dataset and write the frames in parts.

    A part whose clips, model and code are unchanged is kept. A clip that can't be embedded is listed in
    failures.csv with the reason, and the run goes on. A worker is a process with one model, whose network
    has one thread, so that workers don't fight; a second thread decodes the next clips meanwhile. It holds
    at most `GROUP_CLIPS` waves, and `audio.MAX_DURATION_S` bounds each. One that is killed costs the group
    that it was at work on, which another does again. The result depends neither on the workers nor on where
    an earlier run was killed.

    Parameters
    ----------
    dataset : Dataset
    model : str
        Name in the catalogue.
    out_dir : str or Path
        Gets part-*.parquet, failures.csv and parts.parquet, the list that says that all is there.
    n_jobs : int
        Worker processes; -1 for one a core. With 1, the model runs in this process.
    artefact : Artefact, optional
        The list of parts, with what it is made from (`Store.frames`).
    device : str
        Where a torch model runs: "cpu", "cuda", or "auto" for a GPU if there is one.
    cluster : str, optional
        Dask workers in place of `n_jobs`; see `cluster.connect`. They read the clips by the same paths.

    Returns
    -------
    Report

    Raises
    ------
    FileNotFoundError
        If the model's weights are missing.
    ValueError
        If they are not the right ones, no clip can be embedded, or a worker of the cluster has other code.
    ProcessEndedError
        If two processes, one after the other, were killed at work on the same clips.
    """
    from tqdm import tqdm

    out_dir, spec = Path(out_dir), models.spec(model)
    models.read_weights(spec)  # before workers start, and before an artefact is to record their digest
    artefact = artefact or Artefact(out_dir / "parts.parquet", spec.parameters(), {}, code_of(spec))
    parts = [_part(dataset, model, out_dir, start) for start in range(0, len(dataset), PART_CLIPS)]
    todo = [not part.is_current() for part in parts]
    sizes = {i: min(PART_CLIPS, len(dataset) - i * PART_CLIPS) for i, new in enumerate(todo) if new}
    if sizes:
        groups = (group for i in sizes for group in _groups(dataset, i))
        embedding = _embed_all(groups, spec, device, n_jobs, cluster)
        bar = tqdm(
            embedding,
            desc=f"{model} on {dataset.name}",
            total=sum(sizes.values()),
            unit="clip",
            mininterval=0.5,
        )
        with contextlib.closing(embedding):  # ends the workers, also if a part can't be written
            results = iter(bar)
            for i, n_clips in sizes.items():
                _write_part(parts[i], [next(results) for _ in range(n_clips)], spec)
            next(results, None)  # lets the progress bar see that it has ended

    about = [part.metadata() for part in parts]
    failures = pd.DataFrame([f for one in about for f in one["failures"]], columns=["fname", "reason"])
    with replacing(out_dir / "failures.csv") as temporary:
        failures.to_csv(temporary, index=False)
    names = {part.path.name for part in parts}
    for old in out_dir.glob("part-*.parquet"):
        if old.name not in names:
            old.unlink()
    n_clips = sum(one["n_clips"] for one in about)
    if not n_clips:
        reasons = "\n".join(failures["reason"].head(3))
        raise ValueError(f"{model} embedded none of the {len(dataset)} clips of {dataset.name}:\n{reasons}")
    artefact.write(
        {
            "part": [part.path.name for part in parts],
            "digest": [one["digest"] for one in about],
            "n_clips": [one["n_clips"] for one in about],
        },
        n_clips=n_clips,
    )
    n_frames = sum(one["n_frames"] for one in about)
    n_new = sum(one["n_clips"] for one, new in zip(about, todo, strict=True) if new)
    return Report(model, dataset.name, n_clips, n_frames, n_new, failures)


def code_of(spec: models.ModelSpec) -> tuple[str, ...]:
    """What of sss_lib makes a model's embeddings, as `Artefact.code` has it."""
    return ("extraction", f"models.loaders.{spec.loader}")


def read(artefact: Artefact) -> Frames:
    """Frame embeddings of all clips that have some, in dataset order.

    Parameters
    ----------
    artefact : Artefact
        The list of parts (`Store.frames`).

    Raises
    ------
    DamagedArtefactError
        If a part is missing or isn't the one listed; extracting again makes just that part.
    StaleArtefactError
        If they are another model's, or were made with other weights, code of the user's, or preparation.
    """
    import pyarrow as pa

    return to_frames(pa.concat_tables(_tables(artefact)))


@dataclass(frozen=True)
class Parts:
    """Frame embeddings as `read` gives them, a part at a time: each iteration reads the files once more."""

    artefact: Artefact

    def __iter__(self) -> Iterator[Frames]:
        return map(to_frames, _tables(self.artefact))


def _tables(artefact: Artefact) -> Iterator:
    """Tables of the parts that have clips."""
    _require_same_model(artefact)
    for part in artefact.read().to_pylist():
        file = Artefact(artefact.path.parent / part["part"], {}, made_by=artefact.made_by)
        if not file.path.is_file() or file.digest() != part["digest"]:
            raise DamagedArtefactError(
                f"{file.path} is missing or another: delete {artefact.path} and extract again"
            )
        if part["n_clips"]:
            yield file.read()


def _require_same_model(artefact: Artefact) -> None:
    """Raise StaleArtefactError if frames are not of the model that an artefact is to have them of."""
    recorded = artefact.metadata()["recipe"]["parameters"]
    for key, now in json.loads(json.dumps(dict(artefact.parameters))).items():
        unknown = key == "weights" and now is None  # they aren't here, but were where the frames were made
        if recorded.get(key) != now and not unknown:
            raise StaleArtefactError(
                f"{artefact.path} holds frames of {recorded.get('model')} with {key}={recorded.get(key)!r}, "
                f"not {now!r}: run {artefact.made_by} again"
            )


def part_files(artefact: Artefact) -> tuple[Path, ...]:
    """Paths of the parts that a list of parts names."""
    return tuple(artefact.path.parent / name for name in artefact.read()["part"].to_pylist())


def _part(dataset: "Dataset", model: str, out_dir: Path, start: int) -> Artefact:
    """The part that begins at a clip; its input is the content of its clips, and no other clip."""
    digest, chosen = hashlib.sha256(), slice(start, start + PART_CLIPS)
    if {"sha256", "problem"} <= set(
        dataset.clips
    ):  # and the problem, which may vanish once ffmpeg is installed
        contents = dataset.clips["sha256"].iloc[chosen] + dataset.clips["problem"].iloc[chosen]
    else:
        contents = map(_content_digest, dataset.clips["path"].iloc[chosen])
    for fname, content in zip(dataset.clips["fname"].iloc[chosen], contents, strict=True):
        digest.update(f"{fname} {content}\n".encode())
    path = out_dir / f"part-{start // PART_CLIPS:05d}.parquet"
    spec = models.spec(model)
    return Artefact(path, spec.parameters(), {"clips": digest.hexdigest()}, code_of(spec), "01_extraction")


def _groups(dataset: "Dataset", part: int) -> Iterator[list["Clip"]]:
    """Return the clips of a part, group by group."""
    clips = dataset.clips.iloc[part * PART_CLIPS : (part + 1) * PART_CLIPS]
    for start in range(0, len(clips), GROUP_CLIPS):
        group = clips.iloc[start : start + GROUP_CLIPS]
        yield list(zip(group["fname"], group["path"], strict=True))


def _content_digest(path: str) -> str:
    if not os.path.isfile(path):  # a pipe or a device would never end
        return "unreadable: not a file"
    try:
        return download.digest_of(Path(path))
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _write_part(part: Artefact, results: list[tuple[str, np.ndarray | str]], spec: models.ModelSpec) -> None:
    done = [(fname, frames) for fname, frames in results if not isinstance(frames, str)]
    failures = [{"fname": fname, "reason": reason} for fname, reason in results if isinstance(reason, str)]
    values = np.concatenate([frames for _, frames in done] or [np.empty((0, spec.dim), np.float32)])
    offsets = np.concatenate([[0], np.cumsum([len(frames) for _, frames in done], dtype=int)])
    fnames = [fname for fname, _ in done]
    columns = {
        "fname": fnames,
        "frames": Frames(fnames, values, offsets),
        "hop_s": np.full(len(done), spec.hop_s or np.nan, np.float32),
    }
    part.write(columns, n_clips=len(done), n_frames=len(values), failures=failures)


Clip = tuple[str, str]
"""fname and path."""
Result = tuple[str, np.ndarray | str]
"""fname, and its frames or the reason why it has none."""
Results = Generator[list[Result], None, None]
"""Those of one group after the other."""


def _embed_all(
    groups: Iterable[list[Clip]], spec: models.ModelSpec, device: str, n_jobs: int, cluster: str | None
) -> Generator[Result, None, None]:
    """Result of each clip, in the order given."""
    if cluster:
        results = _on_cluster(groups, spec, device, cluster)
    elif n_jobs == 1:
        results = (_embed(group, spec, device) for group in groups)
    else:
        results = _in_processes(groups, spec, device, n_jobs)
    with contextlib.closing(results):
        for of_group in results:
            yield from of_group


def _in_processes(groups: Iterable, spec: models.ModelSpec, device: str, n_jobs: int) -> Results:
    import joblib

    n_jobs = joblib.effective_n_jobs(n_jobs)
    with ThreadPoolExecutor(n_jobs) as threads, processes.Processes() as own:

        def submit(group: list[Clip]) -> Future:
            return threads.submit(own.call, _embed, group, spec, device)

        yield from dask.in_order(submit, groups, 2 * n_jobs)


def _on_cluster(groups: Iterable, spec: models.ModelSpec, device: str, cluster: str) -> Results:
    code, key = code_digest(code_of(spec)), json.dumps([spec.parameters(), device])
    with dask.connect(cluster) as client:

        def submit(group: list[Clip]) -> Any:
            work = (key, os.getcwd(), _embed_as, code, group, spec, device)
            return client.submit(processes.call_beside, *work, pure=False)

        try:
            yield from dask.in_order(submit, groups, 2 * dask.n_threads(client))
        finally:
            client.run(processes.end_beside, key, on_error="ignore")


def _embed_as(code: str, group: list[Clip], spec: models.ModelSpec, device: str) -> list[Result]:
    """`_embed`, if the code here is the same as there, where the results are written."""
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

        def good() -> Iterator[np.ndarray]:
            return (wave.result() for wave in waves.values() if not wave.exception())

        with threads.limit(limits=1):
            try:
                embedded: Sequence[np.ndarray | str] = extractor.embed(good())
            except Exception:  # one clip must not take its group along: each alone, to find it
                embedded = [_embed_one(wave, extractor) for wave in good()]
    of_good = iter(embedded)
    return [
        (fname, _reason(error) if (error := wave.exception()) else next(of_good))
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


def _loaded(
    spec: models.ModelSpec, device: str
) -> tuple[models.Extractor, threadpoolctl.ThreadpoolController]:
    """Return the model, loaded once in a process, and what limits the threads of its libraries."""
    key = json.dumps([spec.parameters(), device])
    if key not in _last:
        _last.clear()
        _last[key] = models.load(spec, device), threadpoolctl.ThreadpoolController()
    return _last[key]
