"""Results don't depend on how many queries and clips are compared at a time, and memory doesn't grow."""

import subprocess
import sys
from pathlib import Path

import hypothesis
import numpy as np
import pytest
import reference
import scipy.sparse
from hypothesis import strategies as st

from sss_lib import metrics, relevance, ties
from sss_lib.evaluation import counts
from sss_lib.search import SEARCHES, rank, top
from sss_lib.search.similarity import Similarities

few = hypothesis.settings(max_examples=hypothesis.settings().max_examples // 2)  # each is a whole search
searches = st.sampled_from(list(SEARCHES))
at_a_time = st.tuples(st.integers(20, 700), st.integers(100, 1500))  # one: test_similarity.py


@st.composite
def collections(draw):
    """Several products' worth of clips: on a grid, so with ties, or not; with copies, groups, no members."""
    n_clips, dim = draw(st.sampled_from([2, 255, 257, 600, 1300])), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=(n_clips, dim)) if draw(st.booleans()) else rng.integers(-1, 2, (n_clips, dim))
    copies = rng.integers(n_clips, size=n_clips // draw(st.sampled_from([2, 50, 10**6])))
    x[copies] = x[rng.permutation(copies)]
    has_label = rng.random((n_clips, 7)) < [0, 2 / n_clips, 4 / n_clips, 0.01, 0.05, 0.3, 1]
    has_label[rng.random(n_clips) < 0.2] = False
    groups = rng.integers(n_clips // 3 + 1, size=n_clips) if draw(st.booleans()) else None
    return x.astype(np.float32), scipy.sparse.csr_array(has_label), groups


def assert_same_queries(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a.query, b.query)
        np.testing.assert_array_equal(a.label, b.label)
        np.testing.assert_array_equal(a.n_relevant, b.n_relevant)
        np.testing.assert_array_equal(a.first_rank, b.first_rank)
        for n, sums in a.precision_sums.items():
            np.testing.assert_array_equal(sums, b.precision_sums[n])


def test_nothing_at_a_time_is_refused():
    with pytest.raises(ValueError, match="0 queries at a time: take at least one"):
        rank(np.eye(3), at_a_time=(0, 5))
    with pytest.raises(ValueError, match="0 queries at a time"):
        metrics.per_query(np.eye(3), scipy.sparse.csr_array(np.ones((3, 1))), at_a_time=(0, 5))
    with pytest.raises(ValueError, match="0 clips at a time: take at least one"):
        rank(np.eye(3), at_a_time=(10, 0))


@few
@hypothesis.given(collections(), searches, at_a_time)
def test_scores_are_equal_whatever_is_compared_at_a_time(collection, how, sizes):
    x, has_label, groups = collection
    rule = relevance.Relevance(groups=groups, excluded="" if groups is None else "uploader")
    options = {"search": how, "cutoffs": (3, 20), "relevant": rule}
    plain = metrics.per_query(x, has_label, **options, at_a_time=(len(x), len(x)))
    assert_same_queries(metrics.per_query(x, has_label, **options, at_a_time=sizes), plain)
    ranking = rank(x, how, top_n=20, groups=groups)
    assert_same_queries(metrics.per_query(x, has_label, **options, ranking=ranking, at_a_time=sizes), plain)


@few
@hypothesis.given(collections(), st.sampled_from(["nns", "mips"]), at_a_time, st.integers(1, 60))
def test_pieces_give_the_stable_order_of_all(collection, how, sizes, n):
    """Small integers are exact, so that a full stable sort says what is right, ties and copies included."""
    x, _, groups = collection
    x = np.round(x).astype(float)
    if how == "mips":
        score = x @ x.T
    else:
        score = -((x**2).sum(axis=1)[:, None] + (x**2).sum(axis=1) - 2 * x @ x.T)
    groups = np.arange(len(x)) if groups is None else groups
    score[groups[:, None] == groups] = -np.inf
    expected = np.argsort(-score, axis=1, kind="stable")[:, : min(n, len(x) - 1)]
    expected[np.isneginf(np.take_along_axis(score, expected, axis=1))] = -1
    found = rank(x, how, top_n=n, groups=groups, at_a_time=sizes).neighbours
    np.testing.assert_array_equal(found, expected)


@few
@hypothesis.given(collections(), st.sampled_from(["nns", "mips"]), at_a_time)
def test_the_first_rank_is_counted_through_all_pieces(collection, how, sizes):
    x, has_label, groups = collection
    x = np.round(x)
    rule = relevance.Relevance(groups=groups, excluded="" if groups is None else "uploader")
    options = {"search": how, "cutoffs": (2,), "relevant": rule, "at_a_time": sizes}
    class_wise, micro = metrics.per_query(x, has_label, **options)
    full = rank(x, how, top_n=len(x), groups=groups).neighbours
    dense = has_label.toarray()
    for query, label, first in zip(class_wise.query, class_wise.label, class_wise.first_rank, strict=True):
        hits = dense[full[query], label] & (full[query] >= 0)
        assert first == (hits.argmax() + 1 if hits.any() else 0)
    for query, first in zip(micro.query, micro.first_rank, strict=True):
        hits = (dense[full[query]] & dense[query]).any(axis=1) & (full[query] >= 0)
        assert first == (hits.argmax() + 1 if hits.any() else 0)


def test_a_sample_of_queries_scores_as_it_does_among_all():
    rng = np.random.default_rng(1)
    x, has_label, _, _ = reference.random_multilabel(rng, 300, 8, 4)
    sparse = scipy.sparse.csr_array(has_label)
    some = np.sort(rng.choice(300, 40, replace=False))
    everything = metrics.per_query(x, sparse, cutoffs=(5,))
    sample = metrics.per_query(x, sparse, cutoffs=(5,), queries=some)
    kept = [
        queries.at(at := np.flatnonzero(np.isin(queries.query, some)), queries.label[at])
        for queries in everything
    ]
    assert_same_queries(sample, kept)
    ranking = rank(x, top_n=5, queries=some)
    assert_same_queries(metrics.per_query(x, sparse, cutoffs=(5,), queries=some, ranking=ranking), kept)
    with pytest.raises(ValueError, match="queries are not in row order, each once"):
        metrics.per_query(x, sparse, queries=some[::-1])


def test_values_keep_their_bits_through_the_keys():
    values = np.array([[-np.inf, -1.5, -1e-40, 0.0, 1e-40, 2.0, np.float32(3.4e38)]], np.float32)
    columns, kept = top([(np.arange(7), values)], 1, 7)
    np.testing.assert_array_equal(columns, [[6, 5, 4, 3, 2, 1, 0]])
    np.testing.assert_array_equal(kept.view(np.int32), values[:, ::-1].view(np.int32))


@pytest.mark.parametrize("at_most", [None, 3, 40])
@pytest.mark.parametrize("grouped", [False, True])
def test_sharing_clips_are_counted_as_by_all_pairs(at_most, grouped):
    rng = np.random.default_rng(4)
    has_label = rng.random((400, 9)) < [0, 0.01, 0.02, 0.02, 0.05, 0.05, 0.1, 0.2, 0.02]
    groups = rng.integers(90, size=400) if grouped else np.arange(400)
    shares = (has_label.astype(int) @ has_label.T.astype(int) > 0) & (groups[:, None] != groups)
    expected = np.minimum(shares.sum(axis=1), at_most or 400)
    matrix = relevance.as_label_matrix(has_label)
    found = counts.n_sharing_any(matrix, at_most=at_most, groups=groups * 7 if grouped else None)
    np.testing.assert_array_equal(found, expected)


def test_ties_beyond_the_first_piece_are_found():
    """Whole numbers in any order: both neighbours of each are as near, and the later row is left out."""
    values = np.random.default_rng(5).permutation(9000)
    x = values[:, None].astype(np.float32)
    ranking = rank(x, top_n=1)
    found = ties._Tied(Similarities(x, "nns"), ranking.neighbours)
    row_of = np.argsort(values)
    for row in np.flatnonzero((values > 0) & (values < 8999))[::500]:
        earlier, later = sorted(row_of[values[row] + np.array([-1, 1])])
        assert (ranking.neighbours[row, 0], found.outside[row].tolist()) == (earlier, [later])


MEMORY = """
import sys
import numpy as np, scipy.sparse
sys.path.insert(0, {tests!r})
import memory
from sss_lib import metrics
x = np.load({x!r}, mmap_mode="r")
labels = scipy.sparse.csr_array(
    (np.ones(len(x), bool), (np.arange(len(x)), np.arange(len(x)) % 2000)), shape=(len(x), 2000)
)
before = memory.peak_mib()
metrics.per_query(x, labels, queries=np.arange(300))
print(memory.peak_mib() - before)
"""


def test_memory_is_that_of_the_embeddings_and_not_of_all_pairs(tmp_path):
    """60,000 clips of 2,000 classes: 23 MiB of embeddings, where a row of scores a query is 14 GB."""
    np.save(tmp_path / "x.npy", np.random.default_rng(6).normal(size=(60_000, 100)).astype(np.float32))
    code = MEMORY.format(tests=str(Path(__file__).parent.parent), x=str(tmp_path / "x.npy"))
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(child.stdout) < 200
