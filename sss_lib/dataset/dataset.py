"""Clips, labels and families: load a collection or a subset of it, keep it as a table."""

import dataclasses
import difflib
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.dataset import ground_truth, taxonomy
from sss_lib.dataset.ground_truth import COLUMNS, DatasetError, GroundTruth, complaint
from sss_lib.dataset.known import CATALOGUE, collection
from sss_lib.dataset.known.collection import Collection
from sss_lib.dataset.taxonomy import Taxonomy
from sss_lib.io import audio, ffmpeg
from sss_lib.io.artefact import Artefact

__all__ = [
    "KNOWN",
    "Dataset",
    "DatasetError",
    "fetch",
    "fingerprint",
    "from_folder",
    "inspect",
    "known_as",
    "load",
    "name_of",
    "read",
    "taxonomy_of",
    "write",
]

KNOWN = tuple(CATALOGUE)
"""Names that `load` knows; anything else is a folder."""
MOST_BYTES = 200
"""Of a dataset's name: a file system takes names of 255, and files beside it have longer ones."""


@dataclass(frozen=True)
class Dataset:
    """A labelled collection of clips.

    Attributes
    ----------
    name : str
    clips : pd.DataFrame [n_clips rows]
        fname, path, labels (list of str), split, uploader, licence, and whatever the ground truth adds.
        Its order is the row order of every later array.
    labels : list of str [n_labels]
        The classes that occur, sorted.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    families : dict of str to str
        Label to family; a label without a family is absent.
    root : str
        Folder of the collection; "" if that isn't known.
    """

    name: str
    clips: pd.DataFrame
    labels: list[str]
    label_matrix: scipy.sparse.csr_array
    families: dict[str, str]
    root: str = ""

    def __len__(self) -> int:
        return len(self.clips)

    def select(self, fnames: list[str]) -> "Dataset":
        """Return the dataset of these clips, which must be in the dataset's order.

        Failed clips have no embedding: this is how the rest keeps its labels. All labels are kept.

        Raises
        ------
        DatasetError
            If an fname is unknown, repeated or out of order: embeddings and labels would not match.
        """
        own = self.clips["fname"].tolist()
        if fnames == own:
            return self
        position = {fname: i for i, fname in enumerate(own)}
        unknown = [fname for fname in fnames if fname not in position]
        if unknown:
            raise DatasetError(
                f"{len(unknown)} of {len(fnames)} embeddings belong to no clip of {self.name} "
                f"(first: {unknown[0]!r}): extract this dataset again"
            )
        rows = np.array([position[fname] for fname in fnames])
        if np.any(np.diff(rows) <= 0):
            at = int(np.flatnonzero(np.diff(rows) <= 0)[0])
            raise DatasetError(
                f"embeddings are not in the order of {self.name}: {fnames[at]!r} is before {fnames[at + 1]!r}"
            )
        clips = self.clips.iloc[rows].reset_index(drop=True)
        return dataclasses.replace(self, clips=clips, label_matrix=self.label_matrix[rows])

    def subset(self, query: str, name: str | None = None) -> "Dataset":
        """Return the dataset of the clips that satisfy a pandas query, with the classes that these have.

        Parameters
        ----------
        query : str
            On the columns of `clips`, and `duration_s`, which is read from the files if it isn't a column.
            A column that the ground truth adds counts as numbers if it holds nothing else.
            `@has("Dog")` is true of the clips with that label.
        name : str, optional
            By default the own name with a digest of the query.

        Raises
        ------
        DatasetError
            If the query can't be computed, isn't true or false of each clip, or isn't true of any.

        Examples
        --------
        >>> mini = load("mini")
        >>> mini.subset('@has("Dog") and licence == "CC-BY-SA-3.0"', "dogs").labels
        ['Animal', 'Bark', 'Dog', 'Domestic_animals_and_pets']
        """
        clips = self.clips.apply(lambda column: column if column.name in COLUMNS else _numbers(column))
        if "duration_s" in query and "duration_s" not in clips:
            clips = clips.assign(duration_s=[audio.duration_s(path) for path in clips["path"]])
        hint = '; of labels, ask @has("Dog")' if "labels" in query else ""
        known = {"has": lambda label: pd.Series(self.has(label), clips.index)}
        try:
            chosen = clips.eval(query, local_dict=known, engine="python")
        except DatasetError:
            raise
        except Exception as error:  # whatever pandas or Python make of it
            raise DatasetError(
                f"query {query!r} can't be computed ({type(error).__name__}: {error}). "
                f"The columns are {', '.join(clips)}; all but numbers are text{hint}"
            ) from None
        if not (isinstance(chosen, pd.Series) and chosen.dtype == bool):
            raise DatasetError(
                f"query {query!r} doesn't say true or false of each clip: compare a column{hint}"
            )
        if not chosen.any():
            raise DatasetError(
                f"query {query!r} is true of none of the {len(self)} clips of {self.name}{hint}"
            )
        clips = self.clips[chosen].reset_index(drop=True)
        return _assemble(name_of(self.name, query, name), clips, self.families, self.root)

    def has(self, label: str) -> np.ndarray:
        """Whether each clip has a label: bool [n_clips]. A label that no clip has is a DatasetError."""
        if label not in self.labels:
            near = difflib.get_close_matches(label, self.labels, 1)
            hint = f": did you mean {near[0]!r}?" if near else ""
            raise DatasetError(f"{label!r} is not among the labels of {self.name}{hint}")
        return self.label_matrix[:, [self.labels.index(label)]].toarray().ravel()

    def require_labels(self) -> None:
        """Raise DatasetError if nothing would say which results are right: no label, or none of two clips."""
        if not self.labels:
            raise DatasetError(
                f"{self.name} has no labels: nothing says which results are right, so none can be scored. "
                "The rankings of 03 can be used; to evaluate, add a ground_truth.csv: fname,labels"
            )
        if self.n_unqueryable() == len(self.labels):
            raise DatasetError(
                f"no class of {self.name} has two clips: no query could find another clip of its class, so "
                "none can be scored. The rankings of 03 can be used; to evaluate, give clips that mean the "
                "same the same label, as with --add-ancestors, or add clips"
            )

    def class_sizes(self) -> pd.Series:
        """Number of clips of each class, by label. A class needs two to be queried."""
        return pd.Series(np.asarray(self.label_matrix.sum(axis=0)).ravel(), self.labels, dtype=int)

    def n_unqueryable(self) -> int:
        """How many classes have fewer than two clips, so that no query can find another."""
        return int((self.class_sizes() < 2).sum())


def load(
    name_or_folder: str | Path,
    data_dir: str | Path | None = None,
    *,
    query: str | None = None,
    name: str | None = None,
    add_ancestors: bool = False,
) -> Dataset:
    """Dataset from a known name, fetched if it isn't there, or from a folder.

    Parameters
    ----------
    name_or_folder : str or Path
        One of `KNOWN`, or a folder (see `ground_truth.of_folder`): with audio files and a table
        fname,labels; with one folder of audio files a class; or with audio files alone, without labels.
        A folder may also hold classes.csv (label,family and parents): its vocabulary.
    data_dir : str or Path, optional
        Where the known collections are, or are to be; by default the data folder of this checkout.
    query : str, optional
        Only the clips that satisfy it: see `Dataset.subset`.
    name : str, optional
        Of the dataset; by default that of the collection or folder, with a digest of the query if any.
    add_ancestors : bool
        Whether each clip gets the ancestors of its labels, by the vocabulary.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetError
        If audio and ground truth don't fit together: a listed clip without a file, a file that is not listed,
        a repeated fname, a clip without labels, a label outside the vocabulary, ...
    OSError
        If a known collection can't be fetched.
    """
    fetch(name_or_folder, data_dir)
    dataset, problems = inspect(name_or_folder, data_dir, query=query, name=name, add_ancestors=add_ancestors)
    if problems:
        raise DatasetError("\n".join(problems))
    return dataset


def require_meant(name_or_folder: str | Path) -> None:
    """Raise DatasetError if this is neither the name of a known collection nor a folder."""
    if str(name_or_folder) not in KNOWN and not Path(name_or_folder).is_dir():
        near = difflib.get_close_matches(str(name_or_folder), KNOWN, 1)
        hint = f"did you mean {near[0]!r}? Else " if near else ""
        raise DatasetError(
            f"{str(name_or_folder)!r} is neither a known dataset ({', '.join(map(repr, KNOWN))}) nor a "
            f"folder: {hint}give a folder that holds audio files"
        )


def require_there(
    name_or_folder: str | Path, data_dir: str | Path | None = None
) -> tuple[Collection | None, Path]:
    """Return what `known_as` does, fetching nothing; raise DatasetError if it is not here."""
    require_meant(name_or_folder)
    known, root = known_as(name_or_folder, data_dir)
    if known and not root.is_dir():
        raise DatasetError(
            f"{root}, the dataset {known.name!r}, does not exist: check data_dir, or {known.how_to_fetch}"
        )
    if known and (missing := known.missing(root)):
        folders = ", ".join(archive.folder for archive in missing)
        raise DatasetError(f"{root} lacks {folders} of {known.title}: {known.how_to_fetch}")
    return known, root


def fetch(name_or_folder: str | Path, data_dir: str | Path | None = None, **options: Any) -> None:
    """Download, check and unpack what is missing of a known collection, see `collections.collection`."""
    known, root = known_as(name_or_folder, data_dir)
    if known:
        collection.fetch(known, root, **options)


def inspect(
    name_or_folder: str | Path,
    data_dir: str | Path | None = None,
    *,
    query: str | None = None,
    name: str | None = None,
    add_ancestors: bool = False,
) -> tuple[Dataset, list[str]]:
    """Return the dataset of the clips that can be used, and a sentence on each thing that doesn't fit.

    Nothing is fetched. See `load`.

    Raises
    ------
    DatasetError
        If there is nothing to use at all.
    """
    known, root = require_there(name_or_folder, data_dir)
    found = known.read(root) if known else ground_truth.of_folder(root)
    classes = taxonomy_of(name_or_folder, data_dir)
    own_name = known.name if known else root.resolve().name
    whole, problems = _of_ground_truth(own_name, root, found, classes, add_ancestors)
    if query:
        return whole.subset(query, name), problems
    return dataclasses.replace(whole, name=name_of(own_name, name=name)), problems


def taxonomy_of(name_or_folder: str | Path, data_dir: str | Path | None = None) -> Taxonomy | None:
    """Vocabulary of a known collection or of a folder; None if it has none."""
    known, root = known_as(name_or_folder, data_dir)
    if known:
        return known.taxonomy()
    return taxonomy.read(root / "classes.csv") if (root / "classes.csv").is_file() else None


def known_as(
    name_or_folder: str | Path, data_dir: str | Path | None = None
) -> tuple[Collection | None, Path]:
    """Return the collection of a known name and its folder; or None, and the folder that was named."""
    if known := CATALOGUE.get(str(name_or_folder)):
        return known, Path(data_dir or Path(__file__).parents[2] / "data") / known.folder
    return None, Path(name_or_folder)


def name_of(name_or_folder: str | Path, query: str | None = None, name: str | None = None) -> str:
    """Name that `load` gives a dataset.

    Raises
    ------
    DatasetError
        If it can't be the name of a file, or a subset would have that of the whole.

    Examples
    --------
    >>> name_of("sounds/birds"), name_of("mini", "licence == 'CC0-1.0'")
    ('birds', 'mini-2b5e4a')
    """
    own = str(name_or_folder) if str(name_or_folder) in KNOWN else Path(name_or_folder).resolve().name
    if name and (
        name != os.path.basename(name) or name.startswith(".") or "\\" in name or not name.isprintable()
    ):
        raise DatasetError(f"name {name!r} would be no name of a file: leave out / and \\, and a leading dot")
    if name and len(name.encode()) > MOST_BYTES:
        raise DatasetError(f"name {name[:20]!r}... has {len(name.encode())} bytes, more than {MOST_BYTES}")
    if query and name == own:
        raise DatasetError(f"a subset of {own!r} needs a name of its own, or it would take that one's place")
    return name or (f"{own}-{hashlib.sha256(query.encode()).hexdigest()[:6]}" if query else own)


def from_folder(
    audio_dir: str | Path,
    ground_truth_csv: str | Path,
    families: Mapping[str, str] | Taxonomy | None = None,
    *,
    name: str | None = None,
    add_ancestors: bool = False,
) -> Dataset:
    """Dataset from a folder of audio files and a ground truth in FSD50K's form.

    Parameters
    ----------
    audio_dir : str or Path
        Holds one file a clip, named {fname}.{suffix}; see AUDIO_SUFFIXES.
    ground_truth_csv : str or Path
        Columns fname and labels (comma-joined, with ancestors); others are kept.
    families : mapping of str to str, or Taxonomy, optional
        Every label of the vocabulary to its family ("" for none). A label outside it is an error.
    name : str, optional
        By default the name of the folder around `audio_dir`.
    add_ancestors : bool
        Whether each clip gets the ancestors of its labels, by the taxonomy.

    Raises
    ------
    DatasetError
        As from `load`.
    """
    files = ground_truth.audio_files(audio_dir)
    found = ground_truth.of_csv(ground_truth_csv, files, audio_dir)
    if families is not None and not isinstance(families, Taxonomy):
        families = Taxonomy(dict.fromkeys(families, ()), families)
    name = name or Path(audio_dir).resolve().parent.name
    dataset, problems = _of_ground_truth(name, Path(audio_dir), found, families, add_ancestors)
    if problems:
        raise DatasetError("\n".join(problems))
    return dataset


def _of_ground_truth(
    name: str, root: Path, found: GroundTruth, classes: Taxonomy | None, add_ancestors: bool
) -> tuple[Dataset, list[str]]:
    """Return the dataset, and a sentence on each thing that doesn't fit."""
    clips, problems = found.clips, list(found.problems)
    if classes is not None:
        unknown = sorted({label for row in clips["labels"] for label in row} - set(classes.families))
        nearest = {label: difflib.get_close_matches(label, classes.families, 1) for label in unknown[:3]}
        hints = ", ".join(f"{label} (nearest: {near[0]})" for label, near in nearest.items() if near)
        n_classes = len(classes.families)
        problems += complaint(unknown, f"labels are outside the vocabulary of {n_classes} classes. {hints}")
    if add_ancestors:
        if classes is None:
            raise DatasetError(
                f"{name} has no vocabulary that would tell ancestors: add classes.csv, label,parents"
            )
        clips = clips.assign(labels=[classes.complete(row) for row in clips["labels"]])
    absent = {column: "" for column in ("split", "uploader", "licence") if column not in clips}
    clips = clips.assign(**absent)
    clips = clips[[*COLUMNS, *(column for column in clips if column not in COLUMNS)]]
    return _assemble(name, clips, classes.families if classes else {}, str(root)), problems


def _numbers(column: pd.Series) -> pd.Series:
    """Return the numbers of a column of text (nan where it is empty), or the text if it is anything else."""
    numbers = pd.to_numeric(column, errors="coerce")
    return numbers if (numbers.notna() | (column == "")).all() and numbers.notna().any() else column


def fingerprint(dataset: Dataset) -> str:
    """Digest of what the collection says and of every file's name, size and time of change: cheap to take."""
    digest = hashlib.sha256(dataset.clips.drop(columns="path").to_csv(index=False).encode())
    digest.update(json.dumps(dataset.families, sort_keys=True).encode())
    for path in dataset.clips["path"]:
        try:
            status = os.stat(path)
        except OSError as error:  # a link to nothing: listed among the failures, when it is decoded
            digest.update(f"{error.strerror}\n".encode())
        else:
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
    if any(audio.needs_ffmpeg(path) for path in dataset.clips["path"]):
        digest.update(f"ffmpeg: {ffmpeg.program() is not None}".encode())
    return digest.hexdigest()


def write(artefact: Artefact, dataset: Dataset, report: pd.DataFrame) -> None:
    """Write the dataset's table with the verification report's columns beside it."""
    if artefact.path.is_file():
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
    about = {"name": dataset.name, "n_clips": len(table), "families": dataset.families, "root": root}
    artefact.write(columns, **about)


def read(artefact: Artefact) -> Dataset:
    """Dataset from the table that `write` wrote."""
    clips = pd.DataFrame(artefact.read().to_pydict())
    root = str(artefact.path.parent)
    clips["path"] = [os.path.join(root, path) for path in clips["path"]]
    about = artefact.metadata()
    of_collection = os.path.join(root, about["root"]) if about.get("root") else ""
    return _assemble(about["name"], clips, about["families"], of_collection)


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


def _assemble(name: str, clips: pd.DataFrame, families: Mapping[str, str], root: str) -> Dataset:
    labels = sorted({label for row in clips["labels"] for label in row})
    column = {label: i for i, label in enumerate(labels)}
    rows = [sorted({column[label] for label in row}) for row in clips["labels"]]
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([i for row in rows for i in row], int)
    shape = (len(clips), len(labels))
    matrix = scipy.sparse.csr_array((np.ones(len(indices), bool), indices, indptr), shape=shape)
    known = {label: families[label] for label in labels if families.get(label)}
    return Dataset(name, clips, labels, matrix, known, root)
