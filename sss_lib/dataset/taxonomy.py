"""The classes of a vocabulary: which class is a kind of which, and the family that each belongs to."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pandas as pd

from sss_lib.dataset.ground_truth import DatasetError, read_csv, refuse


@dataclass(frozen=True)
class Taxonomy:
    """A vocabulary with its hierarchy.

    Attributes
    ----------
    parents : mapping of str to tuple of str
        Every label of the vocabulary to its parents, () for a root.
    families : mapping of str to str
        Every label to its family, "" for none.

    Raises
    ------
    DatasetError
        If a parent isn't a label of the vocabulary, or a label is its own ancestor.
    """

    parents: Mapping[str, tuple[str, ...]]
    families: Mapping[str, str]

    def __post_init__(self) -> None:
        unknown = {parent for found in self.parents.values() for parent in found} - set(self.parents)
        refuse(sorted(unknown), "parents are not among the labels: give each a line of its own")
        try:
            TopologicalSorter(self.parents).prepare()
        except CycleError as error:
            chain = error.args[1][::-1]
            raise DatasetError(
                f"{chain[0]!r} is its own ancestor ({' > '.join(chain)}): take one of these parents out"
            ) from None

    def ancestors(self, label: str) -> list[str]:
        """Parents of a label, their parents and so on, each once, the nearest first.

        Examples
        --------
        >>> kinds = Taxonomy({"Bark": ("Dog",), "Dog": ("Animal",), "Animal": ()}, {})
        >>> kinds.ancestors("Bark")
        ['Dog', 'Animal']
        """
        found: dict[str, None] = {}
        nearest = dict.fromkeys(self.parents.get(label, ()))
        while nearest:
            found |= nearest
            higher = (above for one in nearest for above in self.parents[one])
            nearest = dict.fromkeys(above for above in higher if above not in found)
        return list(found)

    def complete(self, labels: Iterable[str]) -> list[str]:
        """Labels followed by those of their ancestors that are not among them.

        Examples
        --------
        >>> kinds = Taxonomy({"Bark": ("Dog",), "Dog": ("Animal",), "Animal": (), "Rain": ()}, {})
        >>> kinds.complete(["Bark", "Rain"])
        ['Bark', 'Rain', 'Dog', 'Animal']
        """
        labels = list(labels)
        return list(dict.fromkeys([*labels, *(above for one in labels for above in self.ancestors(one))]))


def read(classes_csv: str | Path) -> Taxonomy:
    """Taxonomy from a table with the columns label and family, parents or both.

    A label with several parents has them joined by commas, in quotes. The column may be called `parent`.

    Raises
    ------
    DatasetError
        If a column is missing, a label stands twice, a parent is unknown, or parents form a circle.
    """
    try:
        return Taxonomy(*columns(read_csv(classes_csv)))
    except DatasetError as error:
        raise DatasetError(f"{classes_csv}: {error}") from None


def read_families(families: str | Path | Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Family of each label, by label.

    Given are the labels of each family, by family: a mapping, or a JSON file as the CBMI 2024 code has it.

    Raises
    ------
    DatasetError
        If there is no such file, it is of another form, or a label is in two families.

    Examples
    --------
    >>> read_families({"Animal": ["Dog", "Bark"], "Music": []})
    {'Dog': 'Animal', 'Bark': 'Animal'}
    """
    where = "families" if isinstance(families, Mapping) else str(families)
    if not isinstance(families, Mapping):
        try:
            families = json.loads(Path(families).read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            raise DatasetError(f"families {where} can't be read: {error}") from None
    found: dict[str, str] = {}
    for family, labels in families.items() if isinstance(families, Mapping) else [("", None)]:
        if not isinstance(labels, list | tuple) or not all(isinstance(label, str) for label in labels):
            raise DatasetError(f'{where} is not of the form {{"family": ["label", ...], ...}}')
        for label in labels:
            if found.setdefault(label, family) != family:
                raise DatasetError(
                    f"{where}: {label!r} is in the families {found[label]!r} and {family!r}: keep it in one"
                )
    return found


def columns(classes: pd.DataFrame) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Parents and family of each label of a table (see `read`)."""
    above = next((name for name in ("parents", "parent") if name in classes), None)
    for column in ("label",) if above else ("label", "family"):
        if column not in classes:
            raise DatasetError(f"it has columns {', '.join(classes)}, but no {column!r}")
    classes = classes.assign(label=classes["label"].str.strip())
    refuse(classes.index[classes["label"] == ""] + 2, "lines have no label")
    refuse(classes.loc[classes["label"].duplicated(), "label"], "labels stand twice")
    cells = classes[above] if above else [""] * len(classes)
    parents = [tuple(name.strip() for name in cell.split(",") if name.strip()) for cell in cells]
    families = classes["family"].str.strip() if "family" in classes else [""] * len(classes)
    return (
        dict(zip(classes["label"], parents, strict=True)),
        dict(zip(classes["label"], families, strict=True)),
    )
