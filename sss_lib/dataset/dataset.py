"""Clips, labels and families: a labelled collection, and subsets of it."""

import dataclasses
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.dataset.ground_truth import COLUMNS, DatasetError
from sss_lib.dataset.query import select
from sss_lib.io import audio
from sss_lib.io.names import composed, file_name_flaw, require_known, require_text


class Labels(list[str]):
    """Classes of a collection in order, and what its own vocabulary says of them.

    Attributes
    ----------
    parents : mapping of str to sequence of str, or None
        Every class of the vocabulary to its parents; None without one.
    """

    def __init__(self, names: Iterable[str] = (), parents: Mapping[str, Sequence[str]] | None = None):
        super().__init__(names)
        self.parents = parents


@dataclass(frozen=True)
class Dataset:
    """A labelled collection of clips.

    Attributes
    ----------
    name : str
    clips : pd.DataFrame [n_clips rows]
        fname, path, labels (list of str), split, uploader, licence, and whatever the ground truth adds.
        Its order is the row order of every later array.
    labels : Labels [n_labels]
        The classes that occur, sorted; a list that knows their parents.
    label_matrix : scipy.sparse.csr_array [shape=(n_clips, n_labels), dtype=bool]
    families : dict of str to str
        Label to family; a label without a family is absent.
    root : str
        Folder of the collection; "" if unknown.
    left_out : tuple of str
        When it was loaded: a sentence on the files that no line is about.
    """

    name: str
    clips: pd.DataFrame
    labels: Labels
    label_matrix: scipy.sparse.csr_array
    families: dict[str, str]
    root: str = ""
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    def select(self, fnames: list[str]) -> "Dataset":
        """Return the dataset of these clips, in the dataset's order, with all labels.

        Failed clips have no embedding: a stage selects the others, so that rows and labels match.

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
        """Return the dataset of the clips that satisfy a query, with the classes that these have.

        Parameters
        ----------
        query : str
            On the columns of `clips`, and `duration_s`, which is read from the files if it isn't a column.
            A column that the ground truth adds counts as numbers if it holds nothing else.
            `@has("Dog")` is true of the clips with that label. See `dataset.query` for what a query can be.
        name : str, optional
            By default the own name with a digest of the query.

        Raises
        ------
        DatasetError
            If the query can't be computed, isn't true or false of each clip, or isn't true of any.

        Examples
        --------
        >>> from sss_lib import dataset
        >>> mini = dataset.load("mini")
        >>> mini.subset('@has("Dog") and licence == "CC-BY-SA-3.0"', "dogs").labels
        ['Animal', 'Bark', 'Dog', 'Domestic_animals_and_pets']
        """
        require_text(query, "query", DatasetError)
        clips = self.clips.apply(lambda column: column if column.name in COLUMNS else _numbers(column))
        if "duration_s" in query and "duration_s" not in clips:
            clips = clips.assign(duration_s=[audio.duration_s(path) for path in clips["path"]])
        hint = '; of labels, ask @has("Dog")' if "labels" in query else ""
        try:
            chosen = select(clips, query, lambda label: pd.Series(self.has(label), clips.index))
        except DatasetError:
            raise
        except (ValueError, TypeError) as error:
            raise DatasetError(
                f"query {query!r} can't be computed ({type(error).__name__}: {error}). "
                f"The columns are {', '.join(clips)}; all but numbers are text{hint}"
            ) from None
        if not (isinstance(chosen, pd.Series) and chosen.dtype == bool):
            raise DatasetError(
                f"query {query!r} doesn't say true or false of each clip: compare a column{hint}"
            )
        if not chosen.any():
            numbers = [name for name in clips if pd.api.types.is_numeric_dtype(clips[name])]
            raise DatasetError(
                f"query {query!r} is true of none of the {len(self)} clips of {self.name}; columns of "
                f"numbers are {', '.join(numbers) or 'none'}, the others are text, to be compared with text "
                f"in quotes{hint}"
            )
        clips = self.clips[chosen].reset_index(drop=True)
        name = checked_name(self.name, query, name)
        return assemble(name, clips, self.families, self.root, self.labels.parents)

    def windows(self, window_s: float, hop_s: float | None = None, name: str | None = None) -> "Dataset":
        """Return the dataset whose clips are windows of these, each with the labels of its file.

        Windows of a file have one origin: where no uploader is told, it stands for one.

        The last window of a file ends where the file ends, in place of one that would begin less than a tenth
        of a hop before; a shorter file is one window. No file is held as a whole, so it can be of any length.

        Parameters
        ----------
        window_s : float
        hop_s : float, optional
            From one window's start to the next one's; by default they meet.
        name : str, optional
            By default the own name with both numbers.

        Raises
        ------
        DatasetError
            If a number is below 0.001.

        Examples
        --------
        >>> from sss_lib import dataset
        >>> windows = dataset.load("mini").windows(0.5, 0.25)
        >>> windows.name, windows.clips["fname"][1]
        ('mini-0.5s-0.25s', '0:00.195-0:00.695 of 100051')
        """
        hop_s = window_s if hop_s is None else hop_s
        if not (window_s >= 0.001 and hop_s >= 0.001):  # times are told in milliseconds
            raise DatasetError(
                f"windows of {window_s} s every {hop_s} s: give numbers above 0, 0.001 at least"
            )
        rows = []
        for clip in self.clips.to_dict("records"):
            length_s = audio.duration_s(clip["path"])  # nan: what can't be decoded is listed as such
            last = round(max(0.0, length_s - window_s), 3) if length_s == length_s else 0.0
            starts = [round(i * hop_s, 3) for i in range(math.ceil(last / hop_s - 0.1))] + [last]
            for start_s in starts:
                end_s = round(min(start_s + window_s, max(length_s, 0.001)), 3)
                rows.append(
                    {
                        **clip,
                        "fname": f"{_clock(start_s)}-{_clock(end_s)} of {clip['fname']}",
                        "path": f"{clip['path']}#t={start_s:.15g},{end_s:.15g}",
                        "uploader": clip["uploader"] or f"file {clip['fname']}",
                        "file": clip["fname"],
                        "start_s": start_s,
                        "end_s": end_s,
                    }
                )
        name = name or windows_name(self.name, window_s, hop_s)
        found = assemble(name, pd.DataFrame(rows), self.families, self.root, self.labels.parents)
        return dataclasses.replace(found, left_out=self.left_out)

    def identity(self) -> dict:
        """How many clips these are, and a digest of which they are and how they are labelled."""
        clips = self.clips[["fname", "labels"]].to_json(orient="values")
        return {"n": len(self), "digest": hashlib.sha256(clips.encode()).hexdigest()[:8]}

    def has(self, label: str) -> np.ndarray:
        """Whether each clip has a label: bool [n_clips]. A label that no clip has is a DatasetError."""
        require_known(label, self.labels, f"the labels of {self.name}", DatasetError)
        return self.label_matrix[:, [self.labels.index(label)]].toarray().ravel()

    def require_labels(self) -> None:
        """Raise DatasetError if no query could be scored: no labels, or no label of two clips."""
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
        """Number of classes with fewer than two clips: a query finds no other clip of its class."""
        return int((self.class_sizes() < 2).sum())

    def n_families(self) -> int:
        """Number of families that have a clip."""
        sizes = self.class_sizes()
        return len({family for label, family in self.families.items() if sizes.get(label, 0)})


def _clock(seconds: float) -> str:
    """Minutes and seconds, with hours where there are some: "1:02:03.5"."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    whole, _, part = f"{rest:06.3f}".partition(".")
    part = part.rstrip("0")
    return (f"{hours}:{minutes:02d}" if hours else f"{minutes}") + f":{whole}" + (f".{part}" if part else "")


def windows_name(own: str, window_s: float, hop_s: float) -> str:
    """Name of a dataset of windows."""
    return f"{own}-{window_s:g}s" + ("" if hop_s == window_s else f"-{hop_s:g}s")


def _numbers(column: pd.Series) -> pd.Series:
    """Return the numbers of a column of text (nan where it is empty), or the text if it is anything else."""
    if not all(isinstance(value, str) for value in column):
        return column
    is_number, is_empty = column.str.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?"), column == ""
    return pd.to_numeric(column) if (is_number | is_empty).all() and is_number.any() else column


def checked_name(own: str, query: str | None, name: str | None) -> str:
    """Name of a dataset: the one that is given, else its own, with a digest of the query if there is one.

    Raises DatasetError if it can't be the name of a file, or a subset would have that of the whole.
    """
    own = composed(own)
    require_text(own if name is None else name, "name", DatasetError)
    used = composed(name) if name else own
    if flaw := file_name_flaw(used):
        remedy = "give another" if name else "rename the folder, or give a name by --name or NAME="
        raise DatasetError(
            f"dataset name {used[:40]!r} {flaw}, so that files can't be called by it: {remedy}"
        )
    if query and name and used == own:
        raise DatasetError(f"a subset of {own!r} needs a name of its own, or it would take that one's place")
    return f"{own}-{hashlib.sha256(query.encode()).hexdigest()[:6]}" if query and not name else used


def assemble(
    name: str,
    clips: pd.DataFrame,
    families: Mapping[str, str],
    root: str,
    parents: Mapping[str, Sequence[str]] | None,
) -> Dataset:
    """Dataset of a table of clips, with the matrix of their labels."""
    labels = Labels(sorted({label for row in clips["labels"] for label in row}), parents)
    column = {label: i for i, label in enumerate(labels)}
    rows = [sorted({column[label] for label in row}) for row in clips["labels"]]
    indptr = np.cumsum([0, *map(len, rows)])
    indices = np.array([i for row in rows for i in row], int)
    shape = (len(clips), len(labels))
    matrix = scipy.sparse.csr_array((np.ones(len(indices), bool), indices, indptr), shape=shape)
    known = {label: families[label] for label in labels if families.get(label)}
    return Dataset(name, clips, labels, matrix, known, root)
