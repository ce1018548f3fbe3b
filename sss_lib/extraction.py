"""Run a model over a dataset: in parts that survive a killed run, in parallel, with every failure listed."""

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import threadpoolctl

from sss_lib import audio, download, models
from sss_lib.artefacts import Artefact, DamagedArtefactError, Frames, Store, replacing, to_frames
from sss_lib.dataset import Dataset

PART_CLIPS = 64
"""Clips in one part file: what a killed run loses at most."""
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
    dataset: Dataset,
    model: str,
    out_dir: str | Path,
    n_jobs: int = 1,
    *,
    artefact: Artefact | None = None,
    device: str = "cpu",
) -> Report:
    """Embed every clip of a dataset and write the frames in parts.

    A part whose clips, model and code are unchanged is kept. A clip that can't be embedded is listed in
    failures.csv with the reason, and the run goes on. A worker uses one thread, so that workers don't fight;
    a single one decodes the next clips while the model is at work. It holds few waves at a time, and
    `audio.MAX_DURATION_S` bounds each. The result depends neither on `n_jobs` nor on where an earlier run was
    killed.

    Parameters
    ----------
    dataset : Dataset
    model : str
        Name in the catalogue.
    out_dir : str or Path
        Gets part-*.parquet, failures.csv and parts.parquet, the list that says that all is there.
    n_jobs : int
        Worker processes of one thread each; -1 for one a core.
    artefact : Artefact, optional
        The list of parts, with what it is made from (`Store.frames`).
    device : str
        Where a torch model runs: "cpu", "cuda", or "auto" for a GPU if there is one.

    Returns
    -------
    Report

    Raises
    ------
    FileNotFoundError
        If the model's weights are missing.
    ValueError
        If they are not the right ones, or no clip can be embedded.
    """
    from tqdm import tqdm

    out_dir, spec = Path(out_dir), models.spec(model)
    models.read_weights(spec)  # before workers start, and before an artefact is to record their digest
    artefact = artefact or Artefact(out_dir / "parts.parquet", spec.parameters(), {}, spec.modules)
    parts = [_part(dataset, model, out_dir, start) for start in range(0, len(dataset), PART_CLIPS)]
    todo = [not part.is_current() for part in parts]
    clips = list(zip(dataset.clips["fname"], dataset.clips["path"], strict=True))
    groups = [
        clips[start : min(start + GROUP_CLIPS, (i + 1) * PART_CLIPS)]
        for i in np.flatnonzero(todo)
        for start in range(i * PART_CLIPS, min((i + 1) * PART_CLIPS, len(clips)), GROUP_CLIPS)
    ]
    results = iter(
        tqdm(
            _embed_all(groups, spec, n_jobs, device),
            desc=f"{model} on {dataset.name}",
            total=sum(map(len, groups)),
            unit="clip",
            mininterval=0.5,
            disable=not groups,
        )
    )
    for i in np.flatnonzero(todo):
        n_clips = min(PART_CLIPS, len(dataset) - i * PART_CLIPS)
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
    for part in artefact.read().to_pylist():
        file = Artefact(artefact.path.parent / part["part"], {}, made_by=artefact.made_by)
        if not file.path.is_file() or file.digest() != part["digest"]:
            raise DamagedArtefactError(
                f"{file.path} is missing or another: delete {artefact.path} and extract again"
            )
        if part["n_clips"]:
            yield file.read()


def part_files(artefact: Artefact) -> tuple[Path, ...]:
    """Paths of the parts that a list of parts names."""
    return tuple(artefact.path.parent / name for name in artefact.read()["part"].to_pylist())


def extract_to(store: Store, dataset: Dataset, model: str, n_jobs: int = 1, device: str = "cpu") -> Report:
    """`extract` into the place where the store keeps this model's frames."""
    models.read_weights(models.spec(model))
    artefact = store.frames(dataset.name, model)
    return extract(dataset, model, artefact.path.parent, n_jobs, artefact=artefact, device=device)


def _part(dataset: Dataset, model: str, out_dir: Path, start: int) -> Artefact:
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
    return Artefact(path, spec.parameters(), {"clips": digest.hexdigest()}, spec.modules, "01_extraction")


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


def _embed_all(
    groups: list[list[Clip]], spec: models.ModelSpec, n_jobs: int, device: str
) -> Iterator[Result]:
    """Result of each clip, in the order given."""
    if n_jobs == 1 or not groups:
        for group in _decoding(groups, spec.rate_hz):
            yield from _embed(group, spec, device)
        return
    import joblib
    from joblib.externals.loky import get_reusable_executor

    try:
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            work = (joblib.delayed(_decode_and_embed)(group, spec, device) for group in groups)
            for results in joblib.Parallel(n_jobs, return_as="generator", batch_size=1)(work):
                yield from results
    finally:
        # The next model gets workers of its own: in one that has run PyTorch, TensorFlow can hang.
        get_reusable_executor().shutdown(wait=True)


def _decode_and_embed(group: list[Clip], spec: models.ModelSpec, device: str) -> list[Result]:
    (decoding,) = _decoding([group], spec.rate_hz)
    return _embed(decoding, spec, device)


def _decoding(groups: list[list[Clip]], rate_hz: int) -> Iterator[list[tuple[str, Future]]]:
    """Each group with its waves, or what went wrong with them; the next group's are decoded meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        now: list[tuple[str, Future]] = []
        for group in groups:
            following = [(fname, pool.submit(audio.decode, path, rate_hz)) for fname, path in group]
            if now:
                yield now
            now = following
        if now:
            yield now


def _embed(group: list[tuple[str, Future]], spec: models.ModelSpec, device: str) -> list[Result]:
    extractor, threads = _loaded(spec, device)
    failed = {fname: decoded.exception() for fname, decoded in group if decoded.exception()}
    good = [(fname, decoded.result()) for fname, decoded in group if fname not in failed]
    with threads.limit(limits=1):
        try:
            embedded = dict(
                zip((fname for fname, _ in good), extractor.embed(w for _, w in good), strict=True)
            )
        except Exception:  # one clip must not take its group along: each alone, to find it
            embedded = {fname: _embed_one(wave, extractor) for fname, wave in good}
    embedded |= {fname: _reason(error) for fname, error in failed.items()}
    return [(fname, embedded[fname]) for fname, _ in group]


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
