"""The table of a dataset, as the artefact that notebook 00 writes and all others read."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from sss_lib.dataset.dataset import Dataset, assemble
from sss_lib.dataset.ground_truth import DatasetError
from sss_lib.io import audio, ffmpeg
from sss_lib.io.artefact import Artefact


def fingerprint(dataset: Dataset) -> str:
    """Digest of the ground truth, and of every file's name, size and time of change: no file is read."""
    digest = hashlib.sha256(dataset.clips.drop(columns="path").to_csv(index=False).encode())
    digest.update(json.dumps([dataset.families, dataset.labels.parents], sort_keys=True).encode())
    for path in dataset.clips["path"]:
        try:
            status = os.stat(audio.span(path)[0])
        except OSError as error:  # a link to nothing: listed among the failures, when it is decoded
            digest.update(f"{error.strerror}\n".encode())
        else:
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    if any(audio.needs_ffmpeg(path) for path in dataset.clips["path"]):
        digest.update(f"ffmpeg: {ffmpeg.program() is not None}".encode())
    return digest.hexdigest()


def write(artefact: Artefact, dataset: Dataset, report: pd.DataFrame) -> None:
    """Write the table of a dataset with the columns of `verify`.

    Raises
    ------
    DatasetError
        If the artefact holds another collection of the same name.
    """
    if artefact.is_intact():
        before, now = _root(read(dataclasses.replace(artefact, inputs={}))), _root(dataset)
        if not (before.is_relative_to(now) or now.is_relative_to(before)):
            raise DatasetError(
                f"{dataset.name!r} is the dataset in {before}, and now that in {now}: "
                f"rename one of the folders, or delete {artefact.path} to forget the first"
            )
    told_twice = [column for column in report if column != "fname" and column in dataset.clips]
    table = dataset.clips.drop(columns=["path", *told_twice]).merge(report, on="fname", validate="one_to_one")
    table.insert(1, "path", _relative(dataset.clips["path"], artefact.path.parent))
    columns = {column: table[column].tolist() for column in table}
    (root,) = _relative([dataset.root], artefact.path.parent) if dataset.root else [""]
    vocabulary = {"families": dataset.families, "parents": dataset.labels.parents}
    artefact.write(columns, name=dataset.name, n_clips=len(table), root=root, **vocabulary)


def read(artefact: Artefact) -> Dataset:
    """Dataset from the table that `write` wrote."""
    clips = pd.DataFrame(artefact.read().to_pydict())
    root = str(artefact.path.parent)
    clips["path"] = [os.path.join(root, path) for path in clips["path"]]
    about = artefact.metadata()
    of_collection = os.path.join(root, about["root"]) if about.get("root") else ""
    return assemble(about["name"], clips, about["families"], of_collection, about.get("parents"))


class Vocabulary(Artefact):
    """The table of a dataset as far as it tells families and parents, which are none of its columns."""

    def digest(self) -> str:
        """Digest of the families and parents."""
        about = self._glance()
        told = json.dumps([about["families"], about.get("parents")], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


def _root(dataset: Dataset) -> Path:
    """Return the folder of the collection, or the one that holds all clips if that isn't known."""
    if dataset.root:
        return Path(os.path.realpath(dataset.root))
    parents = {os.path.dirname(path) for path in dataset.clips["path"]}
    return Path(os.path.commonpath([os.path.realpath(parent) for parent in parents]))


def _relative(paths: Iterable[str], root: Path) -> list[str]:
    """Paths as seen from a folder, where both lie in one tree, so that the tree can be moved."""
    root, seen = root.resolve(), {}
    for folder in {os.path.dirname(path) for path in paths}:
        found = Path(folder).resolve()
        inside = found.is_relative_to(root.parent)
        seen[folder] = str(Path("..") / found.relative_to(root.parent) if inside else found)
    return [os.path.join(seen[os.path.dirname(path)], os.path.basename(path)) for path in paths]
