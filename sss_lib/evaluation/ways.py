"""Other ways to rank the clips of a variant, each beside what it would replace, on the same queries.

- `linear`, `lda`, `knn`, `supcon`: heads (see `learning`), trained without the uploader that they are tried
  on. Behind an @, as in `linear@dev`, the split or the collection whose clips they are trained on.
- `maxsim`, `chamfer`, `dtw`: the first 150 by cosine, ranked anew frame by frame (see `search.frames`).
- `mean-3`, `max-3`, `rocchio-3`, `linear-3`: the first 3 results marked by who agrees with the labels. Hits
  are further queries, misses what not to find (see `search.feedback`).
- `weights`: of a fusion, chosen by other uploaders' queries.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation import comparisons, contrastive, learning
from sss_lib.evaluation.comparisons import Results
from sss_lib.evaluation.relevance import Relevance
from sss_lib.evaluation.scoring import per_query
from sss_lib.search.feedback import WAYS as REFINED
from sss_lib.search.frames import COMPARISONS, rank_frames
from sss_lib.search.fusion import fuse
from sss_lib.search.rank import rank

N_CANDIDATES = 150
WEIGHTS = "weights"
_NAME = re.compile(
    rf"(?P<head>{'|'.join(learning.HEADS)})(@(?P<part>[^@]+))?|(?P<frames>{'|'.join(COMPARISONS)})"
    rf"|(?P<marks>{'|'.join(REFINED)})-(?P<n_marks>[1-9][0-9]?)|(?P<weights>{WEIGHTS})"
)


@dataclass(frozen=True)
class Way:
    """A way by its name.

    Attributes
    ----------
    kind : str
        "head", "frames", "marks" or "weights".
    how : str
        As what does it calls it.
    part : str
        What a head is trained on: a split or a collection; "" for folds by uploader.
    n_marks : int
    """

    kind: str
    how: str
    part: str = ""
    n_marks: int = 0


def parse(way: str) -> Way:
    """Way of a name; ValueError if there is none.

    Examples
    --------
    >>> parse("linear@dev"), parse("max-3")
    (Way(kind='head', how='linear', part='dev', n_marks=0), Way(kind='marks', how='max', part='', n_marks=3))
    """
    found = _NAME.fullmatch(str(way))
    if not found:
        raise ValueError(
            f"way {way!r} is unknown: use a head ({', '.join(learning.HEADS)}; linear@dev is trained on the "
            f"split or collection dev), {', '.join(COMPARISONS)}, {WEIGHTS}, or marks, as in mean-3 ("
            f"{', '.join(REFINED)})"
        )
    kind = str(next(key for key in ("head", "frames", "marks", "weights") if found[key]))
    return Way(kind, found[kind], found["part"] or "", int(found["n_marks"] or 0))


def by_head(
    x: np.ndarray,
    labels: scipy.sparse.csr_array,
    groups: np.ndarray,
    how: str,
    trained_on: tuple[np.ndarray, scipy.sparse.csr_array] | None = None,
) -> tuple[np.ndarray, dict]:
    """Clips as a head gives them, and what it costs.

    Parameters
    ----------
    x, labels, groups, how
        As in `learning.out_of_fold`.
    trained_on : tuple of embeddings and labels, optional
        Of the clips that it learns from, none of them by an uploader of these; by default five folds.

    Returns
    -------
    values : np.ndarray [shape=(n_clips, n_labels)]
    cost : dict
        n_train (the mean of the folds), parameters (of `knn` the numbers that it keeps), seconds to train
        and to apply.
    """
    begun, n_folds = time.perf_counter(), min(5, len(np.unique(groups)))
    if trained_on is None:
        values = learning.out_of_fold(x, labels, groups, how, n_folds=n_folds)
        n_train = round(len(x) - len(x) / n_folds)
    else:
        values, n_train = learning.fit_head(*trained_on, how)(x), len(trained_on[0])
    dim, n_labels = x.shape[1], labels.shape[1]
    of_map = (dim + n_labels) * contrastive.DIM
    sizes = {"knn": n_train * (dim + n_labels), "supcon": of_map}
    parameters = sizes.get(how, (dim + 1) * n_labels)
    return values, {"n_train": n_train, "parameters": parameters, "seconds": time.perf_counter() - begun}


def by_frames(
    x: np.ndarray, frames: np.ndarray, offsets: np.ndarray, how: str, labels: Any, n: int, rule: Relevance
) -> Results:
    """Per-query results of the first clips by cosine, compared anew frame by frame."""
    first = rank(x, "mcss", N_CANDIDATES, groups=rule.groups)
    found = rank_frames(frames, offsets, how, N_CANDIDATES, groups=rule.groups, candidates=first)
    return per_query(x, labels, search="mcss", cutoffs=(n,), ranking=found, relevant=rule)


def by_weights(
    parts: list[np.ndarray],
    how: str,
    search: str,
    labels: Any,
    groups: np.ndarray,
    n: int,
    rule: Relevance,
) -> tuple[Results, Results]:
    """Per-query results of a fusion with weights that other uploaders' queries chose, and with equal ones."""
    rankings = [rank(one, search, max(len(one) - 1, 1), groups=rule.groups) for one in parts]
    chosen, _ = learning.fuse_out_of_fold(
        rankings, labels, groups, how, n=n, n_folds=min(5, len(np.unique(groups))), excluded=rule.groups
    )
    both = (chosen, fuse(rankings, how))
    of: dict[str, Any] = {"search": search, "cutoffs": (n,), "relevant": rule}
    of_chosen, of_equal = (per_query(parts[0], labels, ranking=one, **of) for one in both)
    return of_chosen, of_equal


def by_cosine(x: np.ndarray, labels: Any, n: int, rule: Relevance) -> Results:
    """Per-query results of plain cosines."""
    return per_query(x, labels, search="mcss", cutoffs=(n,), relevant=rule)


def by_marks(x: np.ndarray, labels: Any, how: str, n_marks: int, n: int, groups: np.ndarray) -> dict:
    """See `learning.by_marks`: a is after the marks, b before; without a test."""
    table = learning.by_marks(x, labels, n_marks=(n_marks,), ways=(how,), n=n, groups=groups)
    found = table.iloc[0].rename({"after": "a", "before": "b"})
    return found[["a", "b", "difference", "ci_low", "ci_high", "n_queries"]].to_dict() | {"p": np.nan}


def compared(
    both: Callable[[Relevance], tuple[Results, Results]],
    rules: list[Relevance],
    labels: list[str],
    n: int,
    groups: np.ndarray,
) -> dict:
    """Macro MAP@n of two ways, a and b, by the first rule, with test; by the second only their difference.

    Parameters
    ----------
    both : callable
        From a rule to the per-query results of the way and of what it would replace.
    rules : list of Relevance
        One; or two, the second without the query's own uploader.
    labels, n, groups
        As in `comparisons.compare`.

    Returns
    -------
    dict
        a, b, difference, ci_low, ci_high, p, n_queries; own, own_low, own_high by the second rule.
    """
    row: dict = {}
    for rule in rules:
        way, plain = both(rule)
        found = comparisons.macro(way, plain, labels, n, groups=groups)
        if row:
            row |= {"own": found["difference"], "own_low": found["ci_low"], "own_high": found["ci_high"]}
        else:
            row = found | {"n_queries": int(np.isfinite(way[0].scores("standard")["MAP", n]).sum())}
    return row


def as_table(rows: list[dict]) -> pd.DataFrame:
    """Rows of ways with all columns, nan where a way doesn't have one."""
    columns = ["way", "a", "b", "difference", "ci_low", "ci_high", "p", "own", "own_low", "own_high"]
    table = pd.DataFrame(rows, columns=[*columns, "n_queries", "n_train", "parameters", "seconds"])
    counts = dict.fromkeys(("n_queries", "n_train", "parameters"), "Int64")
    return table.astype({**dict.fromkeys(table.columns.drop("way"), float), **counts})
