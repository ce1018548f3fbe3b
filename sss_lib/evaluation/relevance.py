"""Relevance: which results count for a query, and how much.

Five rules, from one label matrix with ancestors (a dog's bark is also Dog and Animal):

- "class": class by class, a result counts if it has the query's class; micro, if it shares any class.
- "leaf": the same, with the leaves of the ontology alone: two clips that only share Animal share nothing.
- "any": a result counts if it shares any class, at every level.
- "graded": as "any", with the depth of the deepest shared class in the ontology as gain; a root has 1. Scored
  by NDCG@N.
- "class without uploader" (or another column of the clips): clips by the query's uploader are excluded from
  its corpus, so that retrieving the same recording session earns nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse

# Where a class has several parents this table may name none: 146 classes look like leaves, of FSD50K's 144.
ONTOLOGY = Path(__file__).parents[2] / "data" / "ontology" / "fsd50k_classes.csv"
KINDS = ("class", "leaf", "any", "graded")


@dataclass(frozen=True)
class Relevance:
    """A relevance rule.

    Attributes
    ----------
    kind : str
        One of `KINDS`.
    weights : np.ndarray [shape=(n_labels,), dtype=int], optional
        0 for a label that doesn't count; its depth where gains are graded. All count if not given.
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        Clips of the query's group are excluded from its corpus.
    excluded : str
        What the groups are, such as "uploader".
    """

    kind: str = "class"
    weights: np.ndarray | None = None
    groups: np.ndarray | None = None
    excluded: str = ""

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"{self.kind} without {self.excluded}" if self.excluded else self.kind

    @property
    def gains(self) -> np.ndarray:
        """Gain of each label: its weight, which a graded rule has."""
        if self.weights is None:
            raise ValueError(f"relevance {self.name!r} has no weights: define it with the labels")
        return self.weights

    def counted(self, label_matrix: object) -> scipy.sparse.csr_array:
        """Label matrix without the labels that don't count; see `as_label_matrix`."""
        matrix = as_label_matrix(label_matrix)
        if self.weights is None:
            return matrix
        if len(self.weights) != matrix.shape[1]:
            raise ValueError(
                f"relevance {self.name!r} is for {len(self.weights)} labels, but the label matrix has "
                f"{matrix.shape[1]}: define it with the labels of this collection"
            )
        return as_label_matrix(matrix.multiply(self.weights > 0))


def define(
    kind: str,
    labels: Sequence[str] = (),
    *,
    parents: Mapping[str, Sequence[str]] | None = None,
    exclude: pd.Series | None = None,
) -> Relevance:
    """Relevance rule of a kind for the labels of a collection.

    Parameters
    ----------
    kind : str
        "class", "leaf", "any" or "graded".
    labels : sequence of str [n_labels]
        Needed for "leaf" and "graded".
    parents : mapping of str to sequence of str, optional
        Parents of each class; by default those that the labels of a dataset know from its own vocabulary,
        and without one those of FSD50K. A label that isn't in it is a root and a leaf.
    exclude : pd.Series [n_clips], optional
        A column of the clips, such as uploader: a result with the query's value is excluded. A clip without
        a value excludes itself only.

    Examples
    --------
    >>> define("graded", ["Animal", "Bark", "Cat", "Dog"]).weights
    array([1, 4, 3, 3])
    >>> define("class", exclude=pd.Series(["ann", "ben", "ann"], name="uploader")).name
    'class without uploader'
    """
    if kind not in KINDS:
        raise ValueError(f"relevance {kind!r} is unknown: use one of {', '.join(KINDS)}")
    weights = None
    if kind in ("leaf", "graded"):
        parents = getattr(labels, "parents", None) if parents is None else parents
        parents = read_parents() if parents is None else parents
        weights = is_leaf(labels, parents).astype(int) if kind == "leaf" else depths(labels, parents)
    if exclude is None:
        return Relevance(kind, weights)
    if not isinstance(exclude, pd.Series):
        raise ValueError(
            f"exclude is a {type(exclude).__name__}, which has no name: give a column, clips['uploader']"
        )
    return Relevance(kind, weights, group_codes(exclude), str(exclude.name or "group"))


def definitions(labels: Sequence[str], clips: pd.DataFrame, exclude: str | None = None) -> list[Relevance]:
    """Every rule for a collection; given a column with origins, also "class" without the query's own.

    Parameters
    ----------
    labels : sequence of str
    clips : pd.DataFrame
    exclude : str, optional
        The column, such as uploader. It adds no rule where no two clips share a value.

    Raises
    ------
    ValueError
        If the clips have no such column.
    """
    found = [define(kind, labels) for kind in KINDS]
    if exclude is None:
        return found
    if exclude not in clips:
        raise ValueError(f"the clips have no column {exclude!r} to exclude by: use one of {', '.join(clips)}")
    if origins(clips, exclude) is None:
        return found
    return [*found, define("class", labels, exclude=clips[exclude])]


def read_parents(classes_csv: str | Path = ONTOLOGY) -> dict[str, list[str]]:
    """Parents of each class of a vocabulary: a CSV with the columns label and parents (comma-joined)."""
    classes = pd.read_csv(classes_csv, dtype=str, keep_default_na=False)
    missing = [column for column in ("label", "parents") if column not in classes]
    if missing:
        raise ValueError(f"{classes_csv} has columns {', '.join(classes)}, but no {missing[0]!r}")
    return {
        label: [parent.strip() for parent in parents.split(",") if parent.strip()]
        for label, parents in zip(classes["label"], classes["parents"], strict=True)
    }


def is_leaf(labels: Sequence[str], parents: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Whether no class has this one as a parent: bool [n_labels].

    Examples
    --------
    >>> is_leaf(["Animal", "Dog"], {"Dog": ["Animal"], "Animal": []})
    array([False,  True])
    """
    inner = {parent for above in parents.values() for parent in above}
    return np.array([label not in inner for label in labels], bool)


def depths(labels: Sequence[str], parents: Mapping[str, Sequence[str]]) -> np.ndarray:
    """Depth of each class below its root, which has 1; of several parents the deepest counts: int [n_labels].

    Examples
    --------
    >>> depths(["Dog", "Animal"], {"Dog": ["Animal"], "Animal": []})
    array([2, 1])
    """

    def depth(label: str, path: tuple[str, ...]) -> int:
        if label in path:
            raise ValueError(f"{' -> '.join([*path, label])} is a circle: a class can't be its own ancestor")
        return 1 + max((depth(parent, (*path, label)) for parent in parents.get(label, ())), default=0)

    return np.array([depth(label, ()) for label in labels], int)


def origins(clips: pd.DataFrame, column: str | None = "uploader") -> np.ndarray | None:
    """Number of each clip's origin, int [n_clips]; None without the column, or where no two clips share one.

    Examples
    --------
    >>> origins(pd.DataFrame({"uploader": ["ann", "", "ann"]}))
    array([0, 1, 0])
    >>> origins(pd.DataFrame({"uploader": ["", ""]})) is None
    True
    """
    if column not in clips:
        return None
    codes = group_codes(clips[column])
    return codes if len(np.unique(codes)) < len(codes) else None


def group_codes(values: Sequence[object]) -> np.ndarray:
    """Number of each clip's group; a clip without a value is a group of its own: int [n_clips].

    Examples
    --------
    >>> group_codes(["ann", "", "ann", ""])
    array([0, 1, 0, 2])
    """
    named = pd.Series(values, dtype=object)
    unknown = named.isna() | (named == "")
    alone = pd.Series([("alone", i) for i in range(len(named))], index=named.index)
    return pd.factorize(named.where(~unknown, alone))[0]


def as_label_matrix(labels: object) -> scipy.sparse.csr_array:
    """Label matrix from any array or sparse array [n_clips, n_labels]: true where it isn't zero."""
    matrix = scipy.sparse.csr_array(labels, dtype=bool)
    if matrix.ndim != 2:
        raise ValueError(f"a label matrix of shape {matrix.shape} is not [n_clips, n_labels]")
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix
