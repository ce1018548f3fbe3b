"""A collection in numbers: its sizes, the tree of its classes, which of them co-occur."""

import html

import numpy as np
import pandas as pd

from sss_lib.dataset.dataset import Dataset
from sss_lib.dataset.taxonomy import Taxonomy


def glance(collection: Dataset, report: pd.DataFrame) -> pd.DataFrame:
    """Numbers of clips, classes, labels and uploaders, as a table of two columns.

    Parameters
    ----------
    collection : Dataset
    report : pd.DataFrame
        From `dataset.verify`.
    """
    sizes, n_labels = collection.class_sizes(), int(collection.label_matrix.sum())
    licences = collection.clips["licence"].replace("", "not told").value_counts()
    length = f"{report['duration_s'].sum() / 3600:.2f} h, median {report['duration_s'].median():.1f} s"
    numbers = {
        "clips": f"{len(collection):,}, {(report['problem'] != '').sum()} of them without usable audio",
        "length": length if report["duration_s"].notna().any() else "unknown without audio",
        "classes": f"{len(sizes)} in {collection.n_families()} families",
        "labels": f"{n_labels:,}, {n_labels / len(collection):.1f} a clip",
        "classes of one clip": f"{collection.n_unqueryable()}: skipped, since no query could find another",
        "uploaders": f"{collection.clips['uploader'].replace('', np.nan).nunique():,} named",
        "licences": ", ".join(f"{name} ({n:,})" for name, n in licences.head(5).items()),
    }
    return pd.DataFrame({"": numbers.keys(), "this collection": numbers.values()})


def tree(collection: Dataset, classes: Taxonomy | None = None, *, depth: int = 4) -> str:
    """Families, their classes and the classes below them, each with its number of clips.

    Parameters
    ----------
    collection : Dataset
    classes : Taxonomy, optional
        Without it, all classes of a family are on one level.
    depth : int
        Levels to show, families being the first; classes below are counted.
    """
    sizes = collection.class_sizes()
    above = classes.parents if classes else {}
    parents = {label: set(above.get(label, ())) & set(sizes.index) for label in sizes.index}
    below = {label: [child for child in sizes.index if label in parents[child]] for label in sizes.index}
    lines = []

    def show(label: str, level: int) -> None:
        hidden = f", {len(below[label])} classes below" if below[label] and level == depth else ""
        lines.append(f"{'    ' * (level - 1)}{label} ({sizes[label]:,}{hidden})")
        for child in below[label] if level < depth else []:
            show(child, level + 1)

    roots = [label for label in sizes.index if not parents[label]]
    groups = {label: collection.families.get(label, "no family") for label in roots}
    for family in sorted(set(groups.values()), key=lambda name: (name == "no family", name)):
        lines.append(family)
        for label in (one for one in groups if groups[one] == family):
            show(label, 2)
    return "\n".join(lines)


def folded(tree: str) -> str:
    r"""Lines of `tree` as HTML, each folded over those below it.

    Examples
    --------
    >>> folded("Living\n    Dog (2)")
    '<details><summary>Living</summary><div style="margin-left: 1.5em">Dog (2)</div></details>'
    """
    lines = [(len(line) - len(line.lstrip()), html.escape(line.strip())) for line in tree.splitlines()]
    pieces, open_at = [], []
    for (depth, text), (next_depth, _) in zip(lines, [*lines[1:], (0, "")], strict=False):
        style = ' style="margin-left: 1.5em"' if depth else ""
        if next_depth > depth:
            pieces.append(f"<details{style}><summary>{text}</summary>")
            open_at.append(depth)
        else:
            pieces.append(f"<div{style}>{text}</div>")
        while open_at and open_at[-1] >= next_depth:
            pieces.append("</details>")
            open_at.pop()
    return "".join(pieces)


def co_occurrence(collection: Dataset, n: int = 20) -> pd.DataFrame:
    """Share of the clips of one class (row) that also have another (column), for the n largest classes.

    Returns
    -------
    pd.DataFrame [shape=(n, n), dtype=float]

    Examples
    --------
    >>> from sss_lib import dataset
    >>> float(co_occurrence(dataset.load("mini")).loc["Percussion", "Music"])
    1.0
    """
    largest = collection.class_sizes().sort_values(ascending=False, kind="stable").index[:n]
    matrix = collection.label_matrix[:, [collection.labels.index(label) for label in largest]].astype(int)
    together = (matrix.T @ matrix).toarray()
    return pd.DataFrame(together / together.diagonal()[:, None], index=largest, columns=largest)
