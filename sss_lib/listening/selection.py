"""Candidates for the next query, by their classes or the disagreement of two systems; filters of results."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from sss_lib.dataset.dataset import Dataset
from sss_lib.io.names import require_known
from sss_lib.listening.study import Study, System
from sss_lib.listening.views import licence_of


@dataclass(frozen=True)
class Filter:
    """Which clips may be results. Its fields are the words that an address and the controls have for it.

    Attributes
    ----------
    licence : str
        Name of a licence, as cards show it; "" for any.
    has : str
        A class; "" for any.
    seconds : str
        Bounds of the length, both included, such as "2-10", "-2" or "10-"; "" for any.
    others : str
        "1" if clips by the query's uploader are left out; else "".

    Raises
    ------
    ValueError
        If the lengths are no numbers.
    """

    licence: str = ""
    has: str = ""
    seconds: str = ""
    others: str = ""

    def __post_init__(self) -> None:
        self.bounds_s()

    @classmethod
    def of(cls, words: Mapping) -> "Filter":
        """Filter from its words among others, such as those of an address.

        Examples
        --------
        >>> Filter.of({"seconds": "2 - 10", "others": True, "q": "dog1"}).words()
        {'seconds': '2-10', 'others': '1'}
        >>> Filter.of({"seconds": "-2"}).bounds_s(), Filter.of({"others": False}) == Filter()
        ((0.0, 2.0), True)
        """
        given = {name: words.get(name) or "" for name in cls.names()}
        given |= {"seconds": str(given["seconds"]).replace(" ", ""), "others": "1" if given["others"] else ""}
        return cls(**{name: str(one) for name, one in given.items()})

    @classmethod
    def names(cls) -> list[str]:
        """Names of what a filter can ask for."""
        return [one.name for one in fields(cls)]

    def words(self) -> dict[str, str]:
        """What an address says of it, without what lets all pass."""
        return {name: one for name, one in vars(self).items() if one}

    def bounds_s(self) -> tuple[float, float]:
        """Shortest and longest length that passes, in seconds."""
        low, _, high = self.seconds.partition("-")
        try:
            ends = float(low or 0), float(high or "inf")
        except ValueError:
            ends = (math.inf, 0)
        if not 0 <= ends[0] <= ends[1]:
            raise ValueError(f"seconds={self.seconds!r} are no lengths: write such as 2-10, -2 or 10-")
        return ends

    def passes(self, collection: Dataset, query: int = -1) -> np.ndarray:
        """Whether each clip may be a result of a query: bool [n_clips].

        Parameters
        ----------
        collection : Dataset
        query : int
            Row of the query; -1 for one from outside the collection, which has no uploader.

        Raises
        ------
        ValueError
            If the class or the licence is unknown; the message suggests the nearest one.
        """
        clips, fits = collection.clips, np.ones(len(collection), bool)
        if self.licence:
            licences = clips["licence"].map(lambda one: licence_of(one)["licence"])
            require_known(self.licence, set(licences), f"the licences of {collection.name}")
            fits &= (licences == self.licence).to_numpy()
        if self.has:
            fits[np.setdiff1d(np.arange(len(fits)), candidates(collection, [self.has]))] = False
        if self.seconds.strip("-"):  # a clip of unknown length doesn't pass
            fits &= clips["duration_s"].between(*self.bounds_s()).to_numpy()
        if self.others and query >= 0 and clips["uploader"][query]:
            fits &= (clips["uploader"] != clips["uploader"][query]).to_numpy()
        return fits


def candidates(
    collection: Dataset,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    among: Iterable[int] | None = None,
) -> np.ndarray:
    """Rows of the clips that have all of some classes and none of others.

    Parameters
    ----------
    collection : Dataset
    include, exclude : sequence of str
        Classes.
    among : iterable of int, optional
        Only these rows, such as those marked on the map; all by default.

    Returns
    -------
    np.ndarray [shape=(n,), dtype=int]
        In the order of the dataset.

    Raises
    ------
    ValueError
        If a class is unknown; the message suggests the nearest one.
    """
    for label in (*include, *exclude):
        require_known(label, collection.labels, f"the classes of {collection.name}")
    fits = np.ones(len(collection), bool)
    if among is not None:
        fits[:] = False
        fits[list(among)] = True
    for labels, wanted in ((include, True), (exclude, False)):
        for label in labels:
            column = collection.label_matrix[:, [collection.labels.index(label)]].toarray().ravel()
            fits &= column == wanted
    return np.flatnonzero(fits)


class Steps:
    """Queries to step through, sorted by the disagreement of two systems.

    Parameters
    ----------
    study : Study
    a, b : System
    rows : sequence of int
        The clips to step through.

    Attributes
    ----------
    table : pd.DataFrame
        fname, a, b (AP of each system), gap (a - b).
    at : int
        Current row of the table; -1 before the first step.
    """

    def __init__(self, study: Study, a: System, b: System, rows: Sequence[int] | np.ndarray):
        self.study = study
        wanted = set(np.asarray(rows).tolist())
        table = study.disagreements(a, b)
        self.table = table[[study.row_of[f] in wanted for f in table["fname"]]].reset_index(drop=True)
        self.at = -1

    def step(self, by: int) -> str:
        """Id of the next query (by=1) or the previous one (by=-1); it stops at both ends."""
        if self.table.empty:
            raise ValueError("no clip that both systems have scored is among the candidates: choose others")
        self.at = int(np.clip(self.at + by, 0, len(self.table) - 1))
        return self.table["fname"][self.at]

    def __str__(self) -> str:
        if self.at < 0:
            return f"{len(self.table)} queries, most disagreement first"
        row = self.table.iloc[self.at]
        return f"{self.at + 1} of {len(self.table)}: AP {row['a']:.2f} against {row['b']:.2f}"
