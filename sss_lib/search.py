"""Clip embeddings to rankings: the names that others use."""

from sss_lib.exact import best, rank_outside, top
from sss_lib.rank import rank
from sss_lib.ranking import Ranking, blocks, in_threads, query_rows
from sss_lib.similarity import (
    SEARCHES,
    Similarities,
    inner_product_form,
    require_known_search,
    unique_rows,
)

__all__ = [
    "SEARCHES",
    "Ranking",
    "Similarities",
    "best",
    "blocks",
    "in_threads",
    "inner_product_form",
    "query_rows",
    "rank",
    "rank_outside",
    "require_known_search",
    "top",
    "unique_rows",
]
