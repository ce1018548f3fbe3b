"""What the study's collection and its scores by class tell without a sound.

A system's profile is its published MAP@15 of the 200 classes (`published.per_class`). What depends on the
labels alone is in data/paper/labels.csv and pairs.csv, which data/paper/build_labels.py computes.
"""

import numpy as np
import pandas as pd
import scipy.spatial.distance
from scipy.cluster import hierarchy

from sss_lib.dataset.dataset import Dataset
from sss_lib.evaluation import bounds
from sss_lib.evaluation.paired import paired_bootstrap
from sss_lib.figures import published
from sss_lib.io.names import require_known
from sss_lib.models import registry as models

CUTOFFS = (15, 150)
ORDER = ("map_at_150", "mr1")


def of_labels(collection: Dataset, protocol: str = "paper") -> pd.DataFrame:
    """What labels alone decide: clips, chance and upper bound of each class, each family, macro and micro.

    Returns
    -------
    pd.DataFrame
        level, name, family, n_clips, and chance_ and upper_ of map_at_15, map_at_150 and mr1.
    """
    about = (collection.label_matrix, collection.labels, collection.families)
    columns = {}
    for kind, bound in (("chance", bounds.chance), ("upper", bounds.upper_bound)):
        table = bound(*about, cutoffs=CUTOFFS, protocol=protocol)
        table = table[~table["level"].str.endswith("_distinct")]  # the study has no such means
        for (metric, n), (column, _) in published.MEASURES.items():
            own = table[(table["metric"] == metric) & (table["n"].fillna(0) == (n or 0))]
            columns[f"{kind}_{column}"] = own.set_index(["level", "name"])["value"]
    found = pd.DataFrame(columns).reset_index()
    sizes, is_class = collection.class_sizes(), found["level"] == "class"
    found.insert(2, "family", found["name"].where(is_class).map(collection.families).fillna(""))
    found.insert(3, "n_clips", found["name"].where(is_class).map(sizes).astype("Int64"))
    return found


def pairs(collection: Dataset, n: int = 20) -> pd.DataFrame:
    """The pairs of classes, neither a kind of the other, that share most clips for their size.

    Returns
    -------
    pd.DataFrame
        label, other, n_both (clips of both), share (n_both by the clips of either), largest share first.
    """
    matrix, labels = collection.label_matrix.astype(int), np.array(collection.labels)
    both = (matrix.T @ matrix).toarray()
    sizes = both.diagonal()
    # A kind has no clip that the wider class lacks.
    rows, columns = np.nonzero(np.triu(both, 1) * (both < np.minimum.outer(sizes, sizes)))
    share = both[rows, columns] / (sizes[rows] + sizes[columns] - both[rows, columns])
    order = np.argsort(-share, kind="stable")[:n]
    about = {"label": labels[rows], "other": labels[columns], "n_both": both[rows, columns], "share": share}
    return pd.DataFrame(about).iloc[order].reset_index(drop=True)


def labels() -> pd.DataFrame:
    """`of_labels` of FSD50K's eval set, as it was computed from the published ground truth.

    Examples
    --------
    >>> table = labels().set_index(["level", "name"])
    >>> float(table.loc[("macro", "all"), "chance_map_at_15"].round(5))
    0.00507
    """
    return pd.read_csv(published.PAPER / "labels.csv", keep_default_na=False, na_values={"n_clips": ""})


def by_size(n_groups: int = 4) -> pd.DataFrame:
    """Mean MAP@15 of each system over the smallest to the largest classes, in groups of like number.

    Returns
    -------
    pd.DataFrame
        A row a system: a column a group, named by its class sizes, and spearman, the rank correlation of
        MAP@15 with class size over all classes.
    """
    scores, sizes = published.per_class(), _of_classes("n_clips").astype(int)
    group = pd.qcut(sizes.rank(method="first"), n_groups, labels=False)
    named = {g: f"{own.min()} to {own.max()} clips" for g, own in sizes.groupby(group)}
    means = scores.groupby(group).mean().rename(index=named).T
    return means.assign(spearman=scores.corrwith(sizes, method="spearman")).rename_axis(index="system")


def by_family() -> pd.DataFrame:
    """MAP@15 of the systems by family: classes, the least, median and largest family mean, and its spread.

    Returns
    -------
    pd.DataFrame
        A row a family: classes, lowest, median, highest (over the systems, of the mean of its classes), and
        within, the standard deviation of its classes' median score.
    """
    scores, family = published.per_class(), _of_classes("family")
    family = family[family != ""]
    means = scores.loc[family.index].groupby(family).mean()
    return pd.DataFrame(
        {
            "classes": family.value_counts(),
            "lowest": means.min(axis=1),
            "median": means.median(axis=1),
            "highest": means.max(axis=1),
            "within": scores.median(axis=1)[family.index].groupby(family).std(),
        }
    ).rename_axis("family")


def found_by(found: float = 0.3, missed: float = 0.1) -> pd.DataFrame:
    """How many systems find each class, and how many miss it, by its MAP@15.

    Parameters
    ----------
    found, missed : float
        A class is found from the one on, and missed below the other.

    Returns
    -------
    pd.DataFrame
        A row a class, the most found first: family, n_clips, n_found, n_missed (systems), lowest, median,
        highest, and best, the system with the highest MAP@15.
    """
    scores = published.per_class()
    table = pd.DataFrame(
        {
            "family": _of_classes("family"),
            "n_clips": _of_classes("n_clips").astype(int),
            "n_found": (scores >= found).sum(axis=1),
            "n_missed": (scores < missed).sum(axis=1),
            "lowest": scores.min(axis=1),
            "median": scores.median(axis=1),
            "highest": scores.max(axis=1),
            "best": scores.idxmax(axis=1),
        }
    )
    order = ["n_found", "n_missed", "median"]
    return table.sort_values(order, ascending=[False, True, False], kind="stable").rename_axis("class")


def against(name: str) -> pd.DataFrame:
    """Published scores of each system less those of one, and whether the order of the two is sure.

    Parameters
    ----------
    name : str
        A system, by its name in Table II.

    Returns
    -------
    pd.DataFrame
        A row for each other system: MAP@15, the mean difference over classes, with low and high, its 95 %
        paired bootstrap interval; classes, in how many it is better; MAP@150 and MR1, differences of what
        Table II prints; order, by MAP@15: above, below, or open where the interval holds 0; trained on.

    Examples
    --------
    >>> against("BEATs").set_index("system").loc[["LAION-CLAP", "CLAP2022"], "order"].tolist()
    ['above', 'open']
    """
    scores, known = published.per_class(), published.systems()
    printed = published.table2()[list(ORDER)].rename(columns=published.HEADINGS)
    require_known(name, list(scores), "the systems of Table II")
    rows = []
    for other in scores.columns.drop(name):
        found = paired_bootstrap(scores[other].to_numpy(), scores[name].to_numpy())
        rows.append(
            {
                "system": other,
                "MAP@15": found.difference,
                "low": found.ci_low,
                "high": found.ci_high,
                "classes": int((scores[other] > scores[name]).sum()),
                **(printed.loc[other] - printed.loc[name]),
                "order": "above" if found.ci_low > 0 else "below" if found.ci_high < 0 else "open",
                "trained on": models.spec(known.loc[other, "system"]).trained_on,
            }
        )
    return pd.DataFrame(rows).sort_values("MAP@15", ascending=False, ignore_index=True)


def alike() -> pd.DataFrame:
    """Spearman's correlation of the systems' profiles, in the order of a hierarchical clustering.

    Average linkage of 1 - correlation: systems that join late stand far apart.
    """
    matrix = published.per_class().corr(method="spearman")
    order = hierarchy.leaves_list(_tree(matrix))
    return matrix.iloc[order, order].rename_axis(index="system")


def clusters(n: int = 4) -> pd.Series:
    """Cluster of each system, numbered from the largest, when the hierarchy of `alike` is cut into n."""
    matrix = published.per_class().corr(method="spearman")
    of_system = pd.Series(hierarchy.fcluster(_tree(matrix), n, "maxclust"), matrix.index)
    by_number = {number: i for i, number in enumerate(of_system.value_counts(sort=True).index, 1)}
    return of_system.map(by_number).sort_values(kind="stable").rename("cluster")


def _tree(correlations: pd.DataFrame) -> np.ndarray:
    distances = scipy.spatial.distance.squareform(1 - correlations.to_numpy(), checks=False)
    return hierarchy.linkage(distances, "average")


def _of_classes(column: str) -> pd.Series:
    table = labels()
    return table[table["level"] == "class"].set_index("name")[column].loc[published.per_class().index]
