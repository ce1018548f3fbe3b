"""Files of frame embeddings: parts of a few clips each, and the list that says that all are there."""

import functools
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.io import audio, download
from sss_lib.io.artefact import (
    Artefact,
    DamagedArtefactError,
    Frames,
    to_frames,
)
from sss_lib.models import registry as models

if TYPE_CHECKING:
    from sss_lib.dataset.dataset import Dataset

PART_CLIPS = 64
"""Clips in one part file, which a killed run keeps once it is written. A million clips are 15,625 files."""

SMALL_BYTES = 32_000_000
"""Of parts that are kept once they are read."""

Clip = tuple[str, str]
"""fname and path."""
Result = tuple[str, np.ndarray | str]
"""fname, and its frames or the reason why it has none."""


@dataclass(frozen=True)
class Part:
    """A part file, and the clips that it is to hold."""

    artefact: Artefact
    clips: list[Clip]

    def write(self, results: Sequence[Result], spec: models.ModelSpec) -> None:
        """Write the frames of its clips, and in the metadata what failed."""
        done = [(fname, frames) for fname, frames in results if not isinstance(frames, str)]
        failures = [{"fname": name, "reason": reason} for name, reason in results if isinstance(reason, str)]
        values = np.concatenate([frames for _, frames in done] or [np.empty((0, spec.dim), np.float32)])
        offsets = np.concatenate([[0], np.cumsum([len(frames) for _, frames in done], dtype=int)])
        fnames = [fname for fname, _ in done]
        columns = {
            "fname": fnames,
            "frames": Frames(fnames, values, offsets),
            "hop_s": np.full(len(done), spec.hop_s or np.nan, np.float32),
        }
        self.artefact.write(columns, n_clips=len(done), n_frames=len(values), failures=failures)


def code_of(spec: models.ModelSpec) -> tuple[str, ...]:
    """What of sss_lib makes a model's embeddings, as `Artefact.code` has it."""
    return ("extraction", f"models.loaders.{spec.loader}")


def split(dataset: "Dataset", spec: models.ModelSpec, out_dir: Path) -> list[Part]:
    """Parts of a dataset. The input of each is the content of its own clips alone."""
    clips = dataset.clips
    fnames, paths = clips["fname"].tolist(), clips["path"].tolist()
    contents: Sequence[str] | None = None
    if spec.is_given:  # asked for by fname
        contents = [""] * len(clips)
    elif {"sha256", "problem"} <= set(clips):  # the problem may vanish once ffmpeg is installed
        contents = (clips["sha256"] + clips["problem"]).tolist()
    found = []
    for start in range(0, len(clips), PART_CLIPS):
        chosen, digest = slice(start, start + PART_CLIPS), hashlib.sha256()
        of_part = contents[chosen] if contents else map(_content_digest, paths[chosen])
        for fname, content in zip(fnames[chosen], of_part, strict=True):
            digest.update(f"{fname} {content}\n".encode())
        path, inputs = out_dir / f"part-{start // PART_CLIPS:05d}.parquet", {"clips": digest.hexdigest()}
        artefact = Artefact(path, spec.parameters(), inputs, code_of(spec), "01_extraction")
        found.append(Part(artefact, list(zip(fnames[chosen], paths[chosen], strict=True))))
    return found


def _content_digest(path: str) -> str:
    file = audio.span(path)[0]
    if not file.is_file():  # a pipe or a device would never end
        return "unreadable: not a file"
    try:
        status = file.stat()
        return _file_digest(file, status.st_size, status.st_mtime_ns)
    except OSError as error:
        return f"unreadable: {error.strerror}"


@functools.lru_cache(maxsize=1)
def _file_digest(file: Path, n_bytes: int, changed_ns: int) -> str:
    """Digest of a file, read once for all spans of it that follow one another."""
    return download.digest_of(file)


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
    """Frame embeddings as `read` gives them, a part at a time; large ones are read at each iteration anew."""

    artefact: Artefact

    def __iter__(self) -> Iterator[Frames]:
        return map(to_frames, _tables(self.artefact)) if self._small is None else iter(self._small)

    @functools.cached_property
    def _small(self) -> list[Frames] | None:
        n_bytes = sum(path.stat().st_size for path in part_files(self.artefact) if path.is_file())
        return list(map(to_frames, _tables(self.artefact))) if n_bytes <= SMALL_BYTES else None


def _tables(artefact: Artefact) -> Iterator:
    """Tables of the parts that have clips."""
    for part in artefact.read().to_pylist():
        file = Artefact(artefact.path.parent / part["part"], {}, made_by=artefact.made_by)
        file.require_intact()
        if file.digest() != part["digest"]:
            file.set_aside()
            raise DamagedArtefactError(f"{file.path} is another than {artefact.path} lists: extract again")
        if part["n_clips"]:
            yield file.read()


def part_files(artefact: Artefact) -> tuple[Path, ...]:
    """Paths of the parts that a list of parts names."""
    return tuple(artefact.path.parent / name for name in artefact.read()["part"].to_pylist())
