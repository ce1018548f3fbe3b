"""What must hold for any collection: hypothesis looks for one for which it doesn't."""

import hypothesis
import numpy as np
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


@hypothesis.given(collections(), cutoffs)
def test_a_zero_vector_has_cosine_zero_to_all(collection, n):
    x, has_label = collection
    x[0] = 0
    ranking = rank(x, "mcss", top_n=len(x) - 1)
    assert (ranking.scores[0] == 0).all()
    assert ranking.neighbours[0].tolist() == list(range(1, len(x)))  # all tie: row order
    assert evaluate(x, has_label, "mcss", n)["value"].notna().all()
