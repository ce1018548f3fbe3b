import itertools

import numpy as np
import pytest
import scipy.sparse
from reference import rank_others

from sss_lib import metrics
from sss_lib.search import SEARCHES, rank, top
from sss_lib.search.timing import rank_members


def reference_ranking(x, search, top_n):
    return np.array([rank_others(x, query, search)[:top_n] for query in range(len(x))])


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("seed", range(5))
def test_ranking_equals_the_plain_loop(search, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rng.integers(2, 60), rng.integers(2, 9))).astype(np.float32)
    top_n = int(rng.integers(1, 70))
    np.testing.assert_array_equal(
        rank(x, search, top_n=top_n).neighbours, reference_ranking(x, search, top_n)
    )


@pytest.mark.parametrize("search", ["nns", "mips"])
@pytest.mark.parametrize("seed", range(8))
def test_ties_are_in_row_order(search, seed):
    """Small integers tie exactly, between equal clips and between different ones."""
    rng = np.random.default_rng(seed)
    x = rng.integers(-2, 3, size=(rng.integers(2, 50), rng.integers(1, 4))).astype(np.float32)
    top_n = int(rng.integers(1, 50))
    np.testing.assert_array_equal(
        rank(x, search, top_n=top_n).neighbours, reference_ranking(x, search, top_n)
    )


def test_all_searches_agree_on_unit_vectors():
    x = np.random.default_rng(4).normal(size=(150, 16))
    x = (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)
    nns, mips, mcss = (rank(x, search, top_n=50).neighbours for search in ("nns", "mips", "mcss"))
    np.testing.assert_array_equal(nns, mcss)
    np.testing.assert_array_equal(mips, mcss)


def test_scores_are_distances_products_and_cosines():
    x = np.array([[3.0, 0.0], [0.0, 4.0], [6.0, 8.0]], np.float32)
    np.testing.assert_allclose(rank(x, "nns").scores[0], [5, np.hypot(3, 8)], rtol=1e-5)
    np.testing.assert_allclose(rank(x, "mips").scores[0], [18, 0])
    np.testing.assert_allclose(rank(x, "mcss").scores[0], [0.6, 0], atol=1e-7)


def test_a_query_is_not_its_own_result_even_where_it_does_not_win():
    x = np.array([[0.1, 0.0], [5.0, 0.0], [3.0, 0.0], [1.0, 0.0]], np.float32)
    np.testing.assert_array_equal(rank(x, "mips", top_n=2).neighbours, [[1, 2], [2, 3], [1, 3], [1, 2]])


def test_some_queries_get_the_results_that_they_get_among_all():
    x = np.random.default_rng(7).normal(size=(80, 6)).astype(np.float32)
    some = np.array([5, 70, 3])
    np.testing.assert_array_equal(rank(x, queries=some).neighbours, rank(x).neighbours[some])


@pytest.mark.parametrize("search", SEARCHES)
def test_a_large_corpus_gives_what_faiss_gives(search):
    """Where the threshold comes from a sample, and a few clips are copies of others."""
    faiss = pytest.importorskip("faiss")
    x = np.random.default_rng(9).normal(size=(6000, 24)).astype(np.float32)
    left = right = x / np.linalg.norm(x, axis=1, keepdims=True) if search == "mcss" else x
    metric = faiss.METRIC_L2 if search == "nns" else faiss.METRIC_INNER_PRODUCT
    _, theirs = faiss.knn(left, right, 151, metric=metric)
    ours = rank(x, search, top_n=150).neighbours
    theirs = np.array([row[row != query][:150] for query, row in enumerate(theirs)])
    assert (ours == theirs).mean() > 0.9999  # they part only where two scores round alike
    x[5999] = x[0]
    assert rank(x, "nns", top_n=1).neighbours[[0, 5999], 0].tolist() == [5999, 0]


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("exponent", [-200, -60, -20, 60, 62])
def test_a_power_of_two_changes_no_ranking_and_scales_the_scores(search, exponent):
    x = np.random.default_rng(12).normal(size=(60, 5)).astype(np.float32).astype(np.float64)
    plain, scaled = rank(x, search, top_n=20), rank(np.ldexp(x, exponent), search, top_n=20)
    np.testing.assert_array_equal(scaled.neighbours, plain.neighbours)
    power = {"nns": exponent, "mips": 2 * exponent, "mcss": 0}[search]
    np.testing.assert_array_equal(scaled.scores, np.float32(plain.scores * 2.0**power))


def test_scores_that_float32_cannot_hold_are_refused():
    x = np.array([[1e20, 1.0], [2e20, 1.0], [1.0, 1.0]])
    np.testing.assert_allclose(rank(x, "nns").scores[0, 0], 1e20, rtol=1e-6)
    with pytest.raises(ValueError, match=r"a score of .* x 2\*\*\d+ is beyond float32: scale the embeddings"):
        rank(x, "mips")


@pytest.mark.parametrize("n", [1, 7, 150, 4999, 5000])
@pytest.mark.parametrize("kind", ["normal", "sorted", "ties", "one run", "one group", "left out"])
def test_the_best_of_a_row_equal_a_stable_sort(kind, n):
    rng = np.random.default_rng(10)
    values = rng.normal(size=(8, 5000)).astype(np.float32)
    if kind == "sorted":
        values.sort(axis=1)
    elif kind == "ties":
        values = np.round(values)  # with both zeros
    elif kind == "one run":
        values[:, 16:200] += 100
    elif kind == "one group":  # of 4 values at 150 results, of 16 at 7
        values[:, ::1250] += 100
    elif kind == "left out":  # more than are kept
        values[:, 100:] = -np.inf
    expected = np.argsort(-values, axis=1, kind="stable")[:, :n]
    for ends in ([0, 5000], [0, 3, 1000, 5000], [0, 4990, 5000]):
        bands = [(np.arange(a, b), values[:, a:b].copy()) for a, b in itertools.pairwise(ends)]
        columns, _ = top(bands, 8, n)
        np.testing.assert_array_equal(columns, expected)


NO_ROWS = [
    ([-1], r"query -1 is none of the 20 clips: give rows from 0 to 19"),
    ([3, 20], r"query 20 is none of the 20 clips"),
    (np.arange(20) < 2, r"shape \(20,\) and type bool are no rows of clips: .* np.flatnonzero\(mask\)"),
    ([1.0], r"type float64 are no rows"),
    ([[1, 2]], r"shape \(1, 2\)"),
]


@pytest.mark.parametrize("search", ["nns", "mcss", "nns-Flat"])
@pytest.mark.parametrize(("queries", "message"), NO_ROWS)
def test_queries_that_are_no_rows_are_refused(search, queries, message):
    x = np.random.default_rng(0).normal(size=(20, 4))
    with pytest.raises(ValueError, match=message):
        rank(x, search, 3, queries)
    with pytest.raises(ValueError, match=message):
        metrics.per_query(x, scipy.sparse.csr_array(np.ones((20, 2))), search=search, queries=queries)


@pytest.mark.parametrize("search", ["nns", "mips", "nns-Flat"])
@pytest.mark.parametrize("queries", [[], np.array([], int)])
def test_no_queries_find_nothing(search, queries):
    x, labels = np.random.default_rng(0).normal(size=(20, 4)), scipy.sparse.csr_array(np.ones((20, 2)))
    found = rank(x, search, 3, queries)
    assert found.neighbours.shape == found.scores.shape == (0, 3)
    assert (found.neighbours.dtype, found.scores.dtype) == (np.int32, np.float32)
    for kind in metrics.per_query(x, labels, search=search, queries=queries):
        assert len(kind.query) == len(kind.first_rank) == 0


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.array([[0.0], [np.nan]]), "1 of 2 embeddings are not finite"),
        (np.ones((4, 3), bool), r"embeddings of shape \(4, 3\) and type bool are no numbers \[n, dim\]"),
        (np.ones(4), r"shape \(4,\)"),
        (np.ones((4, 0)), r"shape \(4, 0\)"),
        (np.ones((1, 3)), "a corpus of 1 clip|there are 1 clips"),
    ],
)
@pytest.mark.parametrize("search", ["nns", "mips", "mcss", "nns-Flat"])
def test_what_is_no_table_of_numbers_is_refused(x, message, search):
    with pytest.raises(ValueError, match=message):
        rank(x, search)


def test_a_search_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="'knn' is unknown"):
        rank(np.eye(3), "knn")
    with pytest.raises(ValueError, match="top_n=0 is below 1"):
        rank(np.eye(3), top_n=0)
    for top_n in ("15", 1.5, None):
        with pytest.raises(ValueError, match=f"top_n={top_n!r}: give a whole number from 1"):
            rank(np.eye(3), top_n=top_n)
        with pytest.raises(ValueError, match=f"top_n={top_n!r}: give a whole number from 1"):
            rank_members(["a", "b", "c"], np.eye(3), "nns", top_n)
