"""Shares of classes among the first results, against loops."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from sss_lib import confusion, search

RNG = np.random.default_rng(0)


@pytest.fixture
def found():
    """Ranking and labels of 40 random clips; one class has no clip."""
    has = RNG.random((40, 6)) < 0.3
    has[:, 5] = False
    return search.rank(RNG.normal(size=(40, 3)), top_n=20).neighbours, has


@pytest.mark.parametrize("n", [1, 7, 20])
def test_shares_equal_those_of_a_loop(found, n):
    neighbours, has = found
    table = confusion.between_classes(neighbours, scipy.sparse.csr_array(has), list("abcdef"), n)
    for i, a in enumerate("abcdef"):
        for j, b in enumerate("abcdef"):
            results = [has[r, j] for q in np.flatnonzero(has[:, i]) for r in neighbours[q, :n]]
            expected = np.mean(results) if results else np.nan
            np.testing.assert_allclose(table.loc[a, b], expected)


def test_the_classes_most_confused_are_those_of_the_largest_shares():
    table = pd.DataFrame([[0.9, 0.1, 0.8, 0], [0, 0.9, 0, 0.3], [0.2, 0, 0, 0], [0, 0, 0, 0]])
    table = table.set_axis(list("abcd"), axis=0).set_axis(list("abcd"), axis=1)
    related = np.eye(4, dtype=bool)
    related[0, 2] = True
    assert confusion.classes_confused(table, related, 2) == ["b", "d"]
    assert confusion.classes_confused(table, related, 3) == ["a", "b", "d"]  # c and a don't both fit, a does
    assert confusion.classes_confused(table, np.eye(4, dtype=bool), 3) == ["a", "b", "c"]
    assert confusion.classes_confused(table, related, 4) == list("abcd")


def test_related_classes_are_no_confusion(found):
    neighbours, has = found
    table = confusion.between_classes(neighbours, scipy.sparse.csr_array(has), list("abcdef"))
    related = np.eye(6, dtype=bool)
    related[0] = True
    worst = confusion.most_confused(table, related, 4)
    assert (worst["query"] != worst["results"]).all()
    assert "a" not in set(worst["query"])
    assert worst["share"].is_monotonic_decreasing
    off = table.to_numpy()[~related & np.isfinite(table)]
    assert worst["share"].tolist() == sorted(off, reverse=True)[:4]


def test_classes_that_share_a_clip_occur_together(found):
    _, has = found
    together = confusion.occur_together(scipy.sparse.csr_array(has))
    expected = [[i == j or bool((has[:, i] & has[:, j]).any()) for j in range(6)] for i in range(6)]
    assert together.tolist() == expected


def test_labels_of_other_clips_are_refused(found):
    neighbours, has = found
    with pytest.raises(
        ValueError, match="40 rankings and 6 labels don't fit a label matrix of 39 clips and 6"
    ):
        confusion.between_classes(neighbours, scipy.sparse.csr_array(has[1:]), list("abcdef"))


def test_a_ranking_that_ends_early_counts_the_results_that_there_are():
    labels = scipy.sparse.csr_array(np.eye(3, dtype=bool))
    table = confusion.between_classes(np.array([[1, 2], [0, -1], [-1, -1]]), labels, ["a", "b", "c"])
    np.testing.assert_array_equal(table.to_numpy(), [[0, 0.5, 0.5], [1, 0, 0], [np.nan] * 3])
