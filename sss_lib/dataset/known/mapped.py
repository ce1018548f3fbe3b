"""Classes of other collections, mapped to those of FSD50K by committed tables.

A table has the columns category (the collection's own word), relation, label, parents, family and note.
relation is "same" where FSD50K has the class: label is FSD50K's. It is "narrower" where FSD50K has only a
wider class, and "absent" where it has none: label is then a new one, below its parents in FSD50K, if any.
"""

from pathlib import Path

import pandas as pd

from sss_lib.dataset.ground_truth import DatasetError, read_csv
from sss_lib.dataset.known import fsd50k
from sss_lib.dataset.taxonomy import Taxonomy, columns


def taxonomy(classes_csv: Path) -> Taxonomy:
    """FSD50K's classes and, below them, those of a table that FSD50K hasn't."""
    table, classes = read_csv(classes_csv), fsd50k.taxonomy()
    parents, families = columns(table[table["relation"] != "same"])
    return Taxonomy({**classes.parents, **parents}, {**classes.families, **families})


def labels(categories: pd.Series, classes_csv: Path) -> list[list[str]]:
    """Labels of each clip of a category: FSD50K's or a new one, and then all its ancestors.

    Raises
    ------
    DatasetError
        If the table lacks a category.
    """
    table, classes = read_csv(classes_csv), taxonomy(classes_csv)
    by_category = {row.category: classes.complete([row.label]) for row in table.itertuples()}
    unknown = sorted(set(categories) - set(by_category))
    if unknown:
        raise DatasetError(f"{classes_csv} has no line for the categories {', '.join(unknown)}: add one each")
    return [by_category[category] for category in categories]


def class_sizes(sizes: dict[str, int], classes_csv: Path) -> dict[str, int]:
    """Clips by label, ancestors included, from the clips by category."""
    categories = pd.Series([name for name, n in sizes.items() for _ in range(n)])
    return pd.Series(labels(categories, classes_csv)).explode().value_counts().to_dict()
