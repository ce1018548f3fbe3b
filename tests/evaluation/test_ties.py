"""Equal scores: the worst and the best order against every order there is."""

import itertools

import numpy as np
import pytest
import reference
import scipy.sparse

from sss_lib import metrics, relevance, ties

CUTOFFS = (1, 2, 3, 10)


def by_query(results):
    """Precision sums by (cutoff, clip, class)."""
    return {
        (n, int(q), int(c)): s
        for queries in results
        for n, sums in queries.precision_sums.items()
        for q, c, s in zip(queries.query, queries.label, sums, strict=True)
    }


@pytest.mark.parametrize("seed", range(25))
def test_bounds_are_the_extremes_over_all_orders_of_the_clips(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    x = rng.integers(0, 2, (n, int(rng.integers(1, 3)))).astype(np.float32)
    has_label = rng.random((n, 3)) < 0.5
    worst, best = (by_query(found) for found in ties.bounds(x, has_label, cutoffs=CUTOFFS))
    orders = [
        (order, by_query(metrics.per_query(x[order], has_label[order], cutoffs=CUTOFFS)))
        for order in map(list, itertools.permutations(range(n)))
    ]
    for (cutoff, clip, c), low in worst.items():
        seen = [found[cutoff, order.index(clip), c] for order, found in orders]
        assert (low, best[cutoff, clip, c]) == pytest.approx((min(seen), max(seen)))


@pytest.mark.parametrize("kind", ["class", "leaf", "any"])
@pytest.mark.parametrize("search", ["nns", "mips", "mcss"])
def test_bounds_enclose_the_scores_and_dont_move_with_the_order(kind, search):
    rng = np.random.default_rng(1)
    x, has_label, labels, _ = reference.random_multilabel(rng, 60, 6, 2)
    x = np.round(x)
    rule = relevance.define(kind, labels, parents={"l1": ["l2"]})
    options = {"search": search, "cutoffs": (5, 20), "relevant": rule}
    order = rng.permutation(60)
    values = []
    for rows in (np.arange(60), order):
        worst, best = ties.bounds(x[rows], has_label[rows], **options)
        plain = metrics.per_query(x[rows], has_label[rows], **options)
        found = [metrics.summarise(*one, labels)["value"].to_numpy() for one in (worst, plain, best)]
        is_ap = metrics.summarise(*plain, labels)["metric"] == "MAP"
        low, value, high = (one[is_ap] for one in found)
        assert (low <= value + 1e-12).all()
        assert (value <= high + 1e-12).all()
        assert (low < high - 0.01).any()
        values.append((low, high))
    np.testing.assert_allclose(values[0], values[1])


def test_without_ties_the_bounds_are_the_score():
    rng = np.random.default_rng(2)
    x, has_label, *_ = reference.random_multilabel(rng, 50, 6, 3)
    plain = by_query(metrics.per_query(x, has_label, cutoffs=(5,)))
    for found in ties.bounds(x, has_label, cutoffs=(5,)):
        assert by_query(found) == plain


def test_bounds_hold_without_the_own_group():
    x = np.array([[0.0], [0.0], [1.0], [-1.0], [1.0]])
    has_label = np.array([[1], [1], [1], [0], [0]], bool)
    rule = relevance.Relevance(groups=np.array([0, 0, 1, 2, 3]), excluded="uploader")
    (worst, _), (best, _) = ties.bounds(x, has_label, cutoffs=(3,), relevant=rule)
    # Clip 0 finds clips 2, 3 and 4, all as near, one of them relevant.
    assert worst.precision_sums[3][0] == pytest.approx(1 / 3)
    assert best.precision_sums[3][0] == 1


def test_graded_gains_have_no_bounds():
    rule = relevance.define("graded", ["a"])
    with pytest.raises(ValueError, match="relevance 'graded' has no AP to bound"):
        ties.bounds(np.eye(3), scipy.sparse.csr_array(np.ones((3, 1))), relevant=rule)


def test_duplicates_are_found_by_embedding_and_by_file():
    x = np.array([[1.0, 0.0], [0.5, 2.0], [1.0, -0.0], [3.0, 3.0]])
    found = ties.duplicates(x, list("abcd"), ["s1", "s2", "s3", "s2"])
    assert found.to_dict("records") == [
        {"what": "embedding", "n_clips": 2, "fnames": "a, c"},
        {"what": "file", "n_clips": 2, "fnames": "b, d"},
    ]
    assert ties.duplicates(x[1:], list("bcd"), ["", "", ""]).empty


def test_near_duplicates_are_all_pairs_of_so_large_a_cosine_and_their_sets_are_linked():
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 3))
    x[30:] = x[:10] + 0.05 * rng.normal(size=(10, 3))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = {(i, j) for i in range(40) for j in range(i) if unit[i] @ unit[j] >= 0.97}
    names = [f"clip {i}" for i in range(40)]
    pairs = ties.near_duplicates(x, names, 0.97)
    assert {(j, i) for i, j in zip(pairs["first"], pairs["second"], strict=True)} == expected
    assert pairs["cosine"].is_monotonic_decreasing
    assert pairs["first_fname"].tolist() == [names[i] for i in pairs["first"]]
    sets = ties.near_sets(pairs, 40)
    assert all(sets[i] == sets[j] for i, j in expected)
    linked = dict.fromkeys(range(40))
    for i in linked:  # by hand: spread the smallest row along the pairs
        linked[i] = i
    for _ in range(40):
        for i, j in expected:
            linked[i] = linked[j] = min(linked[i], linked[j])
    assert len(set(sets)) == len(set(linked.values()))
