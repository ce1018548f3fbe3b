"""What must hold for any collection: hypothesis looks for one for which it doesn't."""

import hypothesis
import numpy as np
import pytest
import scipy.sparse
from hypothesis import strategies as st

from sss_lib import metrics, ties
from sss_lib.search import SEARCHES, rank


@st.composite
def collections(draw, distinct=False):
    """Embeddings on a small grid, with duplicates and zeros unless distinct, and any labels at all."""
    n_clips = draw(st.integers(2, 12))
    dim, n_labels = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    x = rng.normal(size=(n_clips, dim)) if distinct else rng.integers(-2, 3, (n_clips, dim))
    has_label = rng.random((n_clips, n_labels)) < draw(st.sampled_from([0.0, 0.1, 0.4, 1.0]))
    return x.astype(np.float32), has_label


searches, cutoffs = st.sampled_from(list(SEARCHES)), st.integers(1, 20)
relevances = st.lists(st.booleans(), min_size=2, max_size=12).map(np.array)


def evaluate(x, has_label, search, n, protocol="standard"):
    labels = [f"l{c}" for c in range(has_label.shape[1])]
    return metrics.evaluate(x, scipy.sparse.csr_array(has_label), labels, None, search, (n,), protocol)


@hypothesis.given(collections(), searches, cutoffs, st.sampled_from(metrics.PROTOCOLS))
def test_scores_are_within_their_bounds(collection, search, n, protocol):
    x, has_label = collection
    scores = evaluate(x, has_label, search, n, protocol)
    is_ap = scores["metric"] == "MAP"
    assert scores.loc[is_ap, "value"].between(0, 1).all()
    first = 1 if protocol == "standard" else 0
    assert scores.loc[~is_ap, "value"].between(first, len(x) - 2 + first).all()


@hypothesis.given(collections(), searches, cutoffs)
def test_a_query_without_anything_to_find_is_skipped_and_counted(collection, search, n):
    x, has_label = collection
    class_wise, micro = metrics.per_query(x, has_label, search=search, cutoffs=(n,))
    others = has_label.sum(axis=0)[class_wise.label] - 1
    np.testing.assert_array_equal(np.isnan(class_wise.scores("standard")["MAP", n]), others == 0)
    np.testing.assert_array_equal(class_wise.first_rank == 0, others == 0)
    assert len(class_wise.query) == has_label.sum()
    assert len(micro.query) == has_label.any(axis=1).sum()


@hypothesis.given(relevances, st.data())
def test_swapping_a_hit_forward_never_scores_less(hits, data):
    place = data.draw(st.integers(0, len(hits) - 2))
    better = hits.copy()
    better[place], better[place + 1] = hits[place] | hits[place + 1], hits[place] & hits[place + 1]
    n = data.draw(cutoffs)
    before, after = metrics.average_precision(np.array([hits, better]), np.full(2, len(hits)), n)
    assert before <= after <= 1
    first = metrics.first_relevant_rank(np.array([hits, better]))
    assert (first[0] >= first[1]) or not hits.any()
    gains = np.array([hits, better]) * 2
    before, after = metrics.ndcg(gains, np.full(2, 1.0), n)
    assert before <= after


@hypothesis.given(collections(distinct=True), searches, cutoffs, st.randoms(use_true_random=False))
def test_the_order_of_distinct_clips_changes_nothing(collection, search, n, random):
    x, has_label = collection
    worst, best = ties.bounds(x, has_label, search=search, cutoffs=(n,))
    hypothesis.assume(
        all(
            np.array_equal(w.precision_sums[n], b.precision_sums[n]) for w, b in zip(worst, best, strict=True)
        )
    )
    order = list(range(len(x)))
    random.shuffle(order)
    plain, moved = (evaluate(x[rows], has_label[rows], search, n) for rows in (slice(None), order))
    np.testing.assert_allclose(plain["value"], moved["value"])


@hypothesis.given(collections(), searches, cutoffs, st.randoms(use_true_random=False))
def test_with_ties_the_bounds_dont_move_with_the_order(collection, search, n, random):
    x, has_label = collection
    order = list(range(len(x)))
    random.shuffle(order)
    labels = [f"l{c}" for c in range(has_label.shape[1])]
    for plain, moved in zip(
        ties.bounds(x, has_label, search=search, cutoffs=(n,)),
        ties.bounds(x[order], has_label[order], search=search, cutoffs=(n,)),
        strict=True,
    ):
        plain, moved = (metrics.summarise(*one, labels) for one in (plain, moved))
        is_ap = plain["metric"] == "MAP"
        np.testing.assert_allclose(plain[is_ap]["value"], moved[is_ap]["value"])


@hypothesis.given(collections(), searches, cutoffs, st.sampled_from([0.25, 4.0, 64.0]))
def test_the_scale_of_the_embeddings_changes_nothing(collection, search, n, factor):
    x, _ = collection
    np.testing.assert_array_equal(
        rank(x, search, top_n=n).neighbours, rank(x * np.float32(factor), search, top_n=n).neighbours
    )


@hypothesis.given(collections(), searches)
def test_where_all_clips_share_a_class_everything_is_found_at_once(collection, search):
    x, _ = collection
    scores = evaluate(x, np.ones((len(x), 1), bool), search, 20)
    assert (scores["value"] == 1).all()


@hypothesis.given(collections(), searches)
def test_where_no_two_clips_share_a_class_there_is_no_score(collection, search):
    x, _ = collection
    assert evaluate(x, np.eye(len(x), dtype=bool), search, 5).empty


@hypothesis.given(collections(), searches, cutoffs)
def test_a_cutoff_beyond_the_corpus_is_the_corpus(collection, search, n):
    x, has_label = collection
    within, beyond = (evaluate(x, has_label, search, k) for k in (len(x) - 1, len(x) + n))
    np.testing.assert_allclose(within["value"], beyond["value"])


@hypothesis.given(collections(), cutoffs)
def test_a_zero_vector_has_cosine_zero_to_all(collection, n):
    x, has_label = collection
    x[0] = 0
    ranking = rank(x, "mcss", top_n=len(x) - 1)
    assert (ranking.scores[0] == 0).all()
    assert ranking.neighbours[0].tolist() == list(range(1, len(x)))  # all tie: row order
    assert evaluate(x, has_label, "mcss", n)["value"].notna().all()


@hypothesis.given(collections(), searches)
def test_duplicates_of_a_query_are_equal_to_each_other(collection, search):
    x, _ = collection
    x = np.vstack([x, x[:1], x[:1]])
    ranking = rank(x, search, top_n=len(x) - 1)
    of_first = dict(zip(ranking.neighbours[0].tolist(), ranking.scores[0].tolist(), strict=True))
    assert of_first[len(x) - 1] == of_first[len(x) - 2]
    if search == "nns":
        assert of_first[len(x) - 1] == 0


@pytest.mark.parametrize("search", SEARCHES)
def test_one_clip_cannot_be_searched(search):
    with pytest.raises(ValueError, match=r"1 clip\(s\) can't be searched by its clips: it takes two"):
        evaluate(np.ones((1, 2), np.float32), np.ones((1, 1), bool), search, 5)


@pytest.mark.parametrize("search", SEARCHES)
def test_a_corpus_of_zeros_is_all_ties(search):
    has_label = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], bool)
    x = np.zeros((4, 3), np.float32)
    worst, best = ties.bounds(x, has_label, search=search, cutoffs=(3,))
    assert worst[0].scores("standard")["MAP", 3].tolist() == pytest.approx([1 / 3] * 4)
    assert best[0].scores("standard")["MAP", 3].tolist() == [1] * 4
