"""Candidates for the next query: by their classes, or by the disagreement of two systems."""

from collections.abc import Iterable, Sequence

import numpy as np

from sss_lib.dataset.dataset import Dataset
from sss_lib.io.names import require_known
from sss_lib.listening.study import Study, System


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
