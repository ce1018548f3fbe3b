"""Queries refined by marks, against plain loops, and what cannot be asked."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from sss_lib import search
from sss_lib.search import feedback


def plain(x, query, hits, misses, miss_weight):
    """Rocchio, clip by clip."""
    unit = [row / np.linalg.norm(row) for row in x]
    wanted = sum(unit[i] for i in [query, *hits]) / (1 + len(hits))
    if misses:
        wanted = wanted - miss_weight * sum(unit[i] for i in misses) / len(misses)
    return [row @ wanted / np.linalg.norm(wanted) for row in unit]


@pytest.mark.parametrize(("hits", "misses"), [([], []), ([3], []), ([], [4]), ([3, 5], [4, 9, 2])])
def test_a_refined_query_is_as_by_a_plain_loop(hits, misses):
    x = np.random.default_rng(0).normal(size=(12, 5))
    found = {way: search.refine(x, 1, hits, misses, way) for way in feedback.WAYS}
    np.testing.assert_allclose(found["mean"], plain(x, 1, hits, misses, 0), atol=1e-12)
    np.testing.assert_allclose(found["rocchio"], plain(x, 1, hits, misses, 0.25), atol=1e-12)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    for row, score in zip(unit, found["max"], strict=True):
        minus = 0.25 * max(unit[i] @ row for i in misses) if misses else 0
        assert score == pytest.approx(max(unit[i] @ row for i in [1, *hits]) - minus)
    if not hits and not misses:
        np.testing.assert_allclose(found["linear"], plain(x, 1, [], [], 0), atol=1e-12)
        return
    others = misses or [i for i in range(12) if i not in (1, *hits)]
    head = LogisticRegression(class_weight="balanced", max_iter=1000)
    head.fit(unit[[1, *hits, *others]], [True] * (1 + len(hits)) + [False] * len(others))
    np.testing.assert_allclose(found["linear"], head.decision_function(unit), atol=1e-6)


def test_the_most_uncertain_clip_is_the_one_between_a_hit_and_a_miss():
    angle = np.radians([0, 5, 90, 85, 46, 20])
    x = np.column_stack([np.cos(angle), np.sin(angle)])
    assert feedback.most_uncertain(x, 0, [1], [2, 3]) == 4
    assert feedback.most_uncertain(x, 0, [1, 4], [2, 3]) == 5
    assert feedback.most_uncertain(x, 0, [], []) == 1
    assert feedback.most_uncertain(x, 0, [1, 4, 5], [2, 3]) == -1


def test_silence_is_no_direction_and_harms_no_other():
    x = np.array([[1.0, 0], [0, 0], [1, 1], [0, 1]])
    for way in feedback.WAYS:
        assert np.isfinite(search.refine(x, 1, [0], [3], way)).all()


@pytest.mark.parametrize(
    ("query", "hits", "misses"), [(0, [0], []), (0, [1], [1]), (0, [1, 1], []), (0, [9], []), (-1, [], [])]
)
def test_rows_that_are_no_clips_or_marked_twice_are_refused(query, hits, misses):
    with pytest.raises(ValueError, match="give each row of 3 clips once at most"):
        search.refine(np.eye(3), query, hits, misses)


def test_an_unknown_way_is_refused():
    with pytest.raises(ValueError, match="rocchio"):
        search.refine(np.eye(3), 0, [], [], "rochio")
