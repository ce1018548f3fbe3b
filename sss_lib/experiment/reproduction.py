"""Whether a run gives the committed results again, but for what another processor may change.

Networks, decoders and sums of floating-point numbers differ in their last bits between processors. A run of
the committed grid is therefore held to tolerances: the tables, number by number, and what run.json says of
the collection. Pictures are not compared: they draw these tables, and the map of clips is free to turn.

`python -m sss_lib check` compares what the last run wrote with what is committed.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sss_lib.experiment.grid import MAIN, Grid
from sss_lib.experiment.store import Store
from sss_lib.io.artefact import replacing

if TYPE_CHECKING:
    import pandas as pd

COMMITTED = "mini"
"""The collection whose results by the main grid are committed."""
RUN = "run.json"
"""Written last, so that a folder that has it is whole."""
OF_A_RUN = (".png", ".svg", ".tex", ".md", ".csv", ".json")
"""Kinds of files that notebook 05 writes, in the order in which they are replaced: tables after pictures."""
DESCRIBED = ("dataset", "grid", "protocol", "hours", "cutoffs")
"""What run.json says of the collection, with `n_*` and `bounds`; the rest tells of the machine."""

PRINTED = ("MAP@", "MR1", "Next", "in words")
"""How columns begin that print numbers of the other tables, rounded: these are compared there."""
EXACT = 1e-9
"""Of a number that follows from the labels alone: only the order of its sum may differ."""
MAP, MR1 = 0.005, 0.01
"""Of AP and NDCG, absolute, and of MR1, relative: far below what tells two systems apart. Intervals are ten
times as wide, and the claims call 0.02 nothing."""
INTERVAL = 2
"""Times as much for an end of an interval: it hangs on the few queries or uploaders that a draw favours."""
FAMILY = 4
"""Times as much for a family, whose mean is of a few classes in place of all."""
CLASS = 0.5
"""Of AP by class, the mean of as few as two queries. Where two neighbours swap, the AP of a query with one
relevant clip moves by up to a half. Their mean over all classes is held to `MAP`."""
CHANCES = 0.02
"""Of p-values and shares of draws: two standard errors of an estimate from 2,000 draws."""
CORRECTED = 5
"""Times as much for a corrected p-value: Holm multiplies by at most the number of systems."""
PLACES = 1
"""Of the ranks that a system may have."""


@dataclass(frozen=True)
class Difference:
    """A number that was committed, what it is now, and by how much it may differ.

    Attributes
    ----------
    name : str
        Of the file.
    column : str
    row : mapping
        The committed row that it is in.
    committed, found, allowed : float
    """

    name: str
    column: str
    row: Mapping[str, Any]
    committed: float
    found: float
    allowed: float

    @property
    def size(self) -> float:
        """How far apart they are."""
        return abs(self.found - self.committed)

    @property
    def share(self) -> float:
        """The difference as a share of what is allowed."""
        return self.size / self.allowed

    @property
    def where(self) -> str:
        """What it measures, in words."""
        return f"{_describe(self.name, self.row)}, {self.column}".removesuffix(", value")

    def __str__(self) -> str:
        return (
            f"{self.where}: {self.found:.4g}, committed is {self.committed:.4g}; "
            f"{self.size:.2g} apart, {self.allowed:.2g} is allowed"
        )


@dataclass(frozen=True)
class Comparison:
    """The numbers of a run beside the committed ones, and what else differs, in words."""

    differences: tuple[Difference, ...]
    others: tuple[str, ...]

    @property
    def beyond(self) -> list[Difference]:
        """Numbers that differ by more than is allowed, the worst first."""
        return sorted((one for one in self.differences if one.share > 1), key=lambda one: -one.share)

    @property
    def is_reproduced(self) -> bool:
        """Whether all is within tolerance, and nothing else differs."""
        return not self.beyond and not self.others

    def __str__(self) -> str:
        n = f"{len(self.differences):,} numbers"
        if not self.is_reproduced:
            lines = [*self.others, *map(str, self.beyond)]
            more = [f"and {len(lines) - 10} more"] if len(lines) > 10 else []
            head = f"not reproduced: {len(self.beyond)} of {n} are beyond tolerance"
            return "\n  ".join([head, *lines[:10], *more])
        largest = max(self.differences, key=lambda one: one.share)
        if not largest.size:
            return f"reproduced: {n}, all of them equal"
        return f"reproduced: {n}, largest difference {largest.size:.2g} ({largest.where})"


def compare(written: str | Path, committed: str | Path) -> Comparison:
    """Compare the tables that a run wrote with the committed ones.

    Both must have the same rows and columns, in the same order; classes may be in another order. Texts must
    be equal. Scores, intervals, p-values and ranks have the tolerances above; other numbers have `EXACT`.

    Parameters
    ----------
    written, committed : str or Path
        Folders that notebook 05 wrote.

    Raises
    ------
    FileNotFoundError
        If one of them holds no whole run.
    """
    folders = Path(written), Path(committed)
    for folder in folders:
        if not (folder / RUN).is_file():
            raise FileNotFoundError(f"{folder} holds no whole run: `make run` first, which compares as well")
    files, known = (_files(folder) for folder in folders)
    differences: list[Difference] = []
    others = [f"{name} is not among the committed files" for name in files if name not in known]
    others += [f"{name} was not written" for name in known if name not in files]
    for name in files:
        if name in known and name.endswith((".csv", ".json")):
            found, before = (_read(folder / name) for folder in folders)
            _compare_tables(name, found, before, differences, others)
    return Comparison(tuple(differences), tuple(others))


def settle(written: str | Path, committed: str | Path) -> Comparison | None:
    """Replace the committed files with those that a run wrote, unless it reproduced them.

    Then they stay as they are, byte for byte. Returns the comparison, or None if there was none to be made.
    """
    written, committed = Path(written), Path(committed)
    compared = compare(written, committed) if (committed / RUN).is_file() else None
    if compared is None or not compared.is_reproduced:
        names = _files(written)
        for name in names:
            with replacing(committed / name) as temporary:
                shutil.copyfile(written / name, temporary)
        for name in set(_files(committed)) - set(names):
            (committed / name).unlink()
    return compared


def folder_name(dataset: str, grid: Grid) -> str:
    """Name of the folder of the figures of a grid: that of the main one is the dataset's."""
    return dataset if grid.name == MAIN else f"{dataset}-{grid.name}"


def figures_folder(
    store: Store, dataset: str, grid: Grid, root: Path | None = None, *, is_whole: bool
) -> Path:
    """Folder of the figures of a grid: only those of a whole one go to figures/{dataset}.

    The committed ones are never written into: what may replace them stands beside the artefacts, for
    `settle`.

    Parameters
    ----------
    store : Store
    dataset : str
    grid : Grid
    root : Path, optional
        By default the folder figures/ beside the data folder.
    is_whole : bool
        Whether all models of the grid could be run, and every system has scores.
    """
    root = store.data_dir.parent / "figures" if root is None else root
    name = folder_name(dataset, grid)
    if not is_whole:
        return root / f"{name}-partial"
    return store.figures_dir(name) if name == COMMITTED else root / name


def _files(folder: Path) -> list[str]:
    """Names of what notebook 05 wrote into a folder, pictures first and run.json last."""
    found = [path for path in folder.iterdir() if path.suffix in OF_A_RUN and path.name[0] != "."]
    return [path.name for path in sorted(found, key=lambda path: (OF_A_RUN.index(path.suffix), path.name))]


def _read(path: Path) -> "pd.DataFrame":
    """Table, or of run.json a row, without the columns that aren't compared."""
    import pandas as pd

    if path.name == RUN:
        table = pd.json_normalize(json.loads(path.read_text(encoding="utf-8")))
        return table[[name for name in table if name in DESCRIBED or name.startswith(("n_", "bounds."))]]
    table = pd.read_csv(path, keep_default_na=False, na_values=[""])  # a class may be called NA
    if path.name == "classes.csv":  # in the order of the best model's AP
        table = table.sort_values("class", ignore_index=True)
    return table[[name for name in table if not name.startswith(PRINTED)]]


def _compare_tables(
    name: str,
    found: "pd.DataFrame",
    committed: "pd.DataFrame",
    differences: list[Difference],
    others: list[str],
) -> None:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    for what, new, old in (
        ("columns", list(found), list(committed)),
        ("rows", len(found), len(committed)),
    ):
        if new != old:
            others.append(f"{name} has other {what}: {new}, committed are {old}")
            return
    rows = committed.to_dict("records")
    for column in committed:
        pairs = zip(rows, committed[column], found[column], strict=True)
        of_numbers = all(
            is_numeric_dtype(t[column]) and not is_bool_dtype(t[column]) for t in (found, committed)
        )
        for row, old, new in pairs:
            if of_numbers and old == old and new == new:  # neither is nan
                allowed = _allowed(name, column, row)
                differences.append(Difference(name, column, row, float(old), float(new), allowed))
            elif str(old) != str(new):
                others.append(f"{_describe(name, row)}: {column} is {new}, committed is {old}")


def _allowed(name: str, column: str, row: Mapping[str, Any]) -> float:
    """By how much a number of a table may differ."""
    value = abs(float(row[column]))
    if name in ("best.csv", "systems.csv"):
        near = MR1 * abs(row["value"]) if row["metric"] == "MR1" else MAP
        near = max(near * (FAMILY if row["level"] == "family" else 1), EXACT)
        if column == "value":
            return near
        return INTERVAL * near if "ci_" in column else EXACT * max(value, 1)
    if name == "classes.csv":
        return CLASS if column != "queries" else EXACT
    if name == "class-scores.csv" and column.startswith("M"):
        return CLASS if column != "MR1" else max(1, 5 * MR1 * value)  # a class may have two clips
    kinds = {
        **dict.fromkeys(("bounds.luck", "value", "difference", "effect", "loss"), MAP),
        **dict.fromkeys(("ci_low", "ci_high"), INTERVAL * MAP),
        **dict.fromkeys(("p", "share_first"), CHANCES),
        **dict.fromkeys(("rank_low", "rank_high"), PLACES),
        "p_holm": CORRECTED * CHANCES,
    }
    if name in ("relevance.csv", "losses.csv"):
        return kinds.get(column, MAP)
    return kinds.get(column, EXACT * max(value, 1))


def _describe(name: str, row: Mapping[str, Any]) -> str:
    """What a row is of, in words."""
    import pandas as pd

    from sss_lib.experiment.scores import describe_system, heading

    if name in ("best.csv", "systems.csv"):
        which = row["level"] if row["name"] == "all" else f"{row['level']} {row['name']}"
        rules = [row[key] for key in ("relevance", "protocol") if row[key] not in ("class", "standard")]
        measured = f"{which} {heading(row['metric'], None if row['n'] != row['n'] else int(row['n']))}"
        return ", ".join([f"{measured} of {row['model']}", describe_system(pd.Series(row)), *rules])
    return name if name == RUN else f"{name}, {next(iter(row.values()))}"
