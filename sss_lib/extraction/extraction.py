"""Run a model over a dataset: in parts that survive a killed run, in parallel, with every failure listed."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sss_lib.extraction import embedding, parts
from sss_lib.io.artefact import Artefact, replacing
from sss_lib.models import registry as models

if TYPE_CHECKING:
    from sss_lib.dataset.dataset import Dataset


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
    n_left_out : int
        Embeddings that others have computed of clips that the dataset doesn't have.
    """

    model: str
    dataset: str
    n_clips: int
    n_frames: int
    n_new: int
    failures: pd.DataFrame
    n_left_out: int = 0

    def __str__(self) -> str:
        lines = [
            f"{self.model} on {self.dataset}: {self.n_clips} clips, {self.n_frames} frames "
            f"({self.n_new} clips computed now)"
        ]
        if self.n_left_out:
            lines.append(f"{self.n_left_out} others are left out: {self.dataset} has no such clips")
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
    failures.csv with the reason, and the run goes on. A worker is a process with one model; its network has
    one thread, and a second thread decodes the next clips. A worker holds at most `GROUP_CLIPS` waves of at
    most `audio.MAX_DURATION_S` each. If it is killed, another worker repeats its group. The result depends
    neither on the workers nor on where an earlier run was killed.

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
        Where a torch model runs: "cpu", "cuda", "mps", or "auto" for a CUDA GPU if there is one.
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
        If they are not the right ones, no clip can be embedded, a worker of the cluster has other code, or
        `n_jobs` is no number of processes.
    WorkerEndedError
        If two processes, one after the other, were killed at work on the same clips.
    """
    if type(n_jobs) is not int or (n_jobs < 1 and n_jobs != -1):
        raise ValueError(f"n_jobs={n_jobs!r}: give a whole number from 1, or -1 for a process a core")
    out_dir, spec = Path(out_dir), models.spec(model)
    models.read_weights(spec)  # before workers start, and before an artefact is to record their digest
    artefact = artefact or Artefact(out_dir / "parts.parquet", spec.parameters(), {}, parts.code_of(spec))
    every = parts.split(dataset, spec, out_dir)
    new = [part for part in every if not part.artefact.is_current()]
    _write_parts(new, spec, f"{model} on {dataset.name}", device, n_jobs, cluster)

    about = {part.artefact.path.name: part.artefact.metadata() for part in every}
    failed = [failure for one in about.values() for failure in one["failures"]]
    failures = pd.DataFrame(failed, columns=["fname", "reason"])
    with replacing(out_dir / "failures.csv") as temporary:
        failures.to_csv(temporary, index=False)
    for path in out_dir.glob("part-*.parquet"):
        if path.name not in about:  # of a dataset that had more clips
            path.unlink()
    columns = {key: [one[key] for one in about.values()] for key in ("digest", "n_clips")}
    n_clips = sum(columns["n_clips"])
    if not n_clips:
        reasons = "\n".join(failures["reason"].head(3))
        raise ValueError(f"{model} embedded none of the {len(dataset)} clips of {dataset.name}:\n{reasons}")
    artefact.write({"part": list(about), **columns}, n_clips=n_clips)
    n_frames = sum(one["n_frames"] for one in about.values())
    n_new = sum(about[part.artefact.path.name]["n_clips"] for part in new)
    others: set[str] = set()
    if spec.is_given:
        network: Any = models.load(spec).network
        others = set(network.names()) - set(dataset.clips["fname"])
    return Report(model, dataset.name, n_clips, n_frames, n_new, failures, len(others))


def _write_parts(
    new: Sequence[parts.Part],
    spec: models.ModelSpec,
    title: str,
    device: str,
    n_jobs: int,
    cluster: str | None,
) -> None:
    """Embed the clips of some parts, and write each part once its clips are done."""
    from tqdm import tqdm

    if not new:
        return
    embedded = embedding.embed_all((part.clips for part in new), spec, device, n_jobs, cluster)
    n_clips = sum(len(part.clips) for part in new)
    bar = tqdm(embedded, desc=title, total=n_clips, unit="clip", mininterval=0.5)
    with contextlib.closing(embedded):  # ends the workers, also if a part can't be written
        results = iter(bar)
        for part in new:
            part.write([next(results) for _ in part.clips], spec)
        next(results, None)  # lets the progress bar see that it has ended
