"""Everything that is scored of one system: by every rule and protocol, with intervals and bounds."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse

from sss_lib.evaluation import bounds, intervals, protocols
from sss_lib.evaluation.queries import queries_table
from sss_lib.evaluation.relevance import Relevance
from sss_lib.evaluation.scoring import per_query


def assess(
    x: np.ndarray,
    label_matrix: scipy.sparse.csr_array,
    labels: list[str],
    families: Mapping[str, str],
    rules: Sequence[Relevance],
    *,
    fnames: Sequence[str],
    search: str,
    cutoffs: tuple[int, ...],
    groups: np.ndarray | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tidy scores by each rule and protocol, and those of each query by the rules of kind "class".

    Notebook 04 does the same step by step.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    label_matrix, labels, families
        As in `metrics.evaluate`.
    rules : sequence of Relevance
    fnames : sequence of str [n_clips]
    search, cutoffs
        As in `per_query`.
    groups : np.ndarray [shape=(n_clips,), dtype=int], optional
        As in `intervals.summary`.

    Returns
    -------
    scores, queries : pd.DataFrame
        As `bounds.add_bounds` and `queries_table` return them.
    """
    scores, queries = [], []
    for rule in rules:
        results = per_query(x, label_matrix, search=search, cutoffs=cutoffs, relevant=rule)
        for protocol in protocols.PROTOCOLS:
            of: dict[str, Any] = {"cutoffs": cutoffs, "protocol": protocol, "relevant": rule}
            chance = bounds.chance(label_matrix, labels, families, **of)
            ceiling = bounds.upper_bound(label_matrix, labels, families, **of)
            found = intervals.summary(*results, labels, families, protocol=protocol, groups=groups)
            scores.append(bounds.add_bounds(found, chance, ceiling))
        if rule.kind == "class":
            queries.append(queries_table(*results, fnames, labels))
    return pd.concat(scores, ignore_index=True), pd.concat(queries, ignore_index=True)
