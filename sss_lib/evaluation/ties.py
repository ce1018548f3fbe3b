"""Equal scores: how much their order matters, and clips that are there twice."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation import measures
from sss_lib.evaluation import relevance as rules
from sss_lib.evaluation.queries import PerQuery
from sss_lib.evaluation.relevance import Relevance
from sss_lib.evaluation.scoring import per_query
from sss_lib.search.naming import parse
from sss_lib.search.rank import rank
from sss_lib.search.ranking import Ranking, blocks, in_threads
from sss_lib.search.similarity import Similarities

Results = tuple[PerQuery, PerQuery]


def bounds(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    *,
    search: str = "nns",
    cutoffs: tuple[int, ...] = (15, 150),
    ranking: Ranking | None = None,
    relevant: Relevance | None = None,
) -> tuple[Results, Results]:
    """Per-query results of the worst and the best order of results whose scores are equal.

    Any other order of the clips scores between these two. Among equal results the worst order has the
    relevant ones last, the best first, also of results beyond the ranking that equal its last. R1 stays.
    Scores are tied if they are equal to the last bit. Of an adjusted search no ties are looked for.
    Both are then as `per_query` has them.

    Parameters
    ----------
    x, label_matrix, search, cutoffs, ranking, relevant
        As in `scoring.per_query`; `relevant` can't be graded.

    Returns
    -------
    worst, best : pairs of PerQuery
        Each (class_wise, micro), as from `scoring.per_query`.

    Examples
    --------
    Clips 1 and 2 are equally near to clip 0, and only the second is of its class.

    >>> x = np.array([[0.0], [-1.0], [1.0]])
    >>> labels = scipy.sparse.csr_array([[True, False], [False, True], [True, False]])
    >>> (worst, _), (best, _) = bounds(x, labels, cutoffs=(2,))
    >>> worst.scores("standard")["MAP", 2][0], best.scores("standard")["MAP", 2][0]
    (np.float64(0.5), np.float64(1.0))
    """
    relevant = relevant or Relevance()
    if relevant.kind == "graded":
        raise ValueError("relevance 'graded' has no AP to bound: use one of class, leaf, any")
    if ranking is None:
        ranking = rank(x, search, top_n=max(cutoffs), groups=relevant.groups)
    options: dict[str, Any] = {"search": search, "cutoffs": cutoffs, "ranking": ranking, "relevant": relevant}
    class_wise, micro = cast(Results, per_query(x, label_matrix, **options))
    if parse(search).adjustment:
        return (class_wise, micro), (class_wise, micro)
    counted = relevant.counted(label_matrix)
    similarities = Similarities(x, parse(search).exact, relevant.groups)
    tied = _Tied(similarities, ranking.neighbours)
    both = []
    for queries, any_class in ((class_wise, relevant.kind == "any"), (micro, True)):
        sums = [{n: values.copy() for n, values in queries.precision_sums.items()} for _ in range(2)]
        rows = np.flatnonzero(tied.anywhere[queries.query])
        for part in blocks(rows, 64):
            query, label = queries.query[part], queries.label[part]
            counts = _counts_for(counted, query, None if any_class else label)
            for of_order, hits in zip(sums, tied.extremes(query, counts), strict=True):
                for n, values in zip(cutoffs, measures.precision_sums(hits, tuple(cutoffs)), strict=True):
                    of_order[n][part] = values
        both.append([replace(queries, precision_sums=of_order) for of_order in sums])
    (worst_class, best_class), (worst_micro, best_micro) = both
    return (worst_class, worst_micro), (best_class, best_micro)


def _counts_for(
    label_matrix: scipy.sparse.csr_array, query: np.ndarray, label: np.ndarray | None
) -> np.ndarray:
    """Whether each clip counts for each query: bool [n_queries, n_clips]."""
    if label is not None:
        return label_matrix[:, label].toarray().T
    return (label_matrix[query] @ label_matrix.T).toarray()


class _Tied:
    """Runs of equal scores in each ranking, and the clips beyond it that equal its last."""

    def __init__(self, similarities: Similarities, neighbours: np.ndarray):
        n = neighbours.shape[1]

        def of_block(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
            ranked = neighbours[rows]
            key, rest = similarities.keys(rows, np.maximum(ranked, 0))
            differs = (key[:, 1:] != key[:, :-1]) | (rest[:, 1:] != rest[:, :-1]) | (ranked[:, 1:] < 0)
            starts = np.hstack([np.ones((len(rows), 1), bool), differs])
            full = np.flatnonzero(ranked[:, -1] >= 0)  # others leave out no clip
            _, which, clip = similarities.compare(rows, full, (key[full, -1], rest[full, -1]))
            order = np.argsort(which, kind="stable")
            parts = np.split(clip[order], np.searchsorted(which[order], np.arange(1, len(full))))
            outside = [np.empty(0, int)] * len(rows)
            for row, equal in zip(full, parts, strict=False):
                outside[row] = np.setdiff1d(equal, ranked[row])
            return starts, np.array([len(one) > 0 for one in outside]), outside

        parts = in_threads(of_block, blocks(np.arange(len(neighbours))))
        self.neighbours = neighbours
        self.starts = np.concatenate([starts for starts, _, _ in parts])
        self.outside = [rows for _, _, outside in parts for rows in outside]
        beyond = np.concatenate([beyond for _, beyond, _ in parts])
        self.anywhere = beyond | (self.starts.sum(axis=1) < n)

    def extremes(self, query: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Relevance of the results in the worst and in the best order: two bool [n_queries, n_results]."""
        neighbours, starts = self.neighbours[query], self.starts[query]
        n_queries, n = neighbours.shape
        hits = np.take_along_axis(counts, np.maximum(neighbours, 0), axis=1) & (neighbours >= 0)
        # Runs of equal results, numbered through all queries. In the worst order the last n_relevant places
        # of a run are hits, in the best order the first.
        group = np.cumsum(starts.ravel()) - 1
        size = np.bincount(group)
        n_relevant = np.bincount(group, hits.ravel()).astype(int)
        first = np.flatnonzero(starts.ravel())
        place = np.arange(n_queries * n) - first[group]
        last = group.reshape(n_queries, n)[:, -1]
        for i, q in enumerate(query):
            size[last[i]] += len(self.outside[q])
            n_relevant[last[i]] += np.count_nonzero(counts[i, self.outside[q]])
        worst = place >= (size - n_relevant)[group]
        best = place < n_relevant[group]
        return worst.reshape(n_queries, n), best.reshape(n_queries, n)


def duplicates(x: np.ndarray, fnames: Sequence[str], digests: Sequence[str] | None = None) -> pd.DataFrame:
    """Clips with equal embeddings, or with equal files.

    Duplicates of the same labels retrieve each other and raise the scores; equal embeddings of different
    sounds are ties that row order breaks.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    fnames : sequence of str [n_clips]
    digests : sequence of str [n_clips], optional
        Of the files; "" where it is unknown.

    Returns
    -------
    pd.DataFrame
        One row a set of equal clips, largest first: what (embedding or file), n_clips, fnames.

    Examples
    --------
    >>> duplicates(np.array([[1.0], [2.0], [1.0]]), ["a", "b", "c"])
            what  n_clips fnames
    0  embedding        2   a, c
    """
    found = []
    seen: dict[bytes, int] = {}
    rows = np.ascontiguousarray(x) + 0.0  # so that -0.0 equals 0.0
    keys = {"embedding": np.array([seen.setdefault(row.tobytes(), len(seen)) for row in rows], int)}
    if digests is not None:
        keys["file"] = rules.group_codes(digests)
    for what, key in keys.items():
        for members in pd.Series(fnames, dtype=object).groupby(key).agg(list):
            if len(members) > 1:
                found.append((what, len(members), ", ".join(members)))
    table = pd.DataFrame(found, columns=["what", "n_clips", "fnames"])
    return table.sort_values(["what", "n_clips"], ascending=[True, False], kind="stable", ignore_index=True)


def near_duplicates(x: np.ndarray, fnames: Sequence[str], least: float = 0.98) -> pd.DataFrame:
    """Pairs of clips that a system can hardly tell apart: those whose cosine is at least as large.

    To see what they do to scores, leave out of each other's results all clips of a set of them: give
    `Relevance` the numbers of `near_sets` as groups.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
        Of one system. In embeddings that aren't centred unlike clips are near each other, too.
    fnames : sequence of str [n_clips]
    least : float
        A clip's nearest 150 are looked at.

    Returns
    -------
    pd.DataFrame
        One row a pair, nearest first: first and second, rows of x; their fnames; cosine.

    Examples
    --------
    >>> near_duplicates(np.array([[1.0, 0], [0, 1], [1, 0.01]]), ["a", "b", "c"])
       first  second first_fname second_fname   cosine
    0      0       2           a            c  0.99995
    """
    found = rank(x, "mcss", 150)
    row, place = np.nonzero(found.scores >= least)
    other, cosine = found.neighbours[row, place], found.scores[row, place]
    # Each pair once: found from either side, as one clip may have more than 150 others nearer.
    pairs = pd.DataFrame(
        {"first": np.minimum(row, other), "second": np.maximum(row, other), "cosine": cosine}
    )
    pairs = pairs.drop_duplicates(["first", "second"])
    names = np.asarray(fnames, object)
    of_pairs = {f"{one}_fname": names[pairs[one]] for one in ("first", "second")}
    pairs = pairs.assign(**of_pairs)[["first", "second", *of_pairs, "cosine"]]
    return pairs.sort_values(["cosine", "first"], ascending=[False, True], kind="stable", ignore_index=True)


def near_sets(pairs: pd.DataFrame, n_clips: int) -> np.ndarray:
    """Number of each clip's set of near duplicates, those of a near duplicate included: int [n_clips].

    Examples
    --------
    >>> near_sets(pd.DataFrame({"first": [0, 2], "second": [2, 3]}), 4)
    array([0, 1, 0, 0], dtype=int32)
    """
    from scipy.sparse.csgraph import connected_components

    at = pairs["first"].to_numpy(), pairs["second"].to_numpy()
    links = scipy.sparse.coo_array((np.ones(len(pairs)), at), (n_clips, n_clips))
    return connected_components(links, directed=False)[1]
