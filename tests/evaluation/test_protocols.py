"""Denominators and rank bases one by one, and the CBMI 2024 code's computation to the end."""

import itertools

import numpy as np
import pytest
import reference
import scipy.sparse

from sss_lib import bounds, metrics, processing, protocols
from sss_lib.evaluation.protocols import Protocol

DIVISORS = {
    "min(N, R)": lambda n, r: min(n, r),
    "min(N, n_c)": lambda n, r: min(n, r + 1),
    "R": lambda n, r: r,
    "N": lambda n, r: n,
}


@pytest.mark.parametrize(("of_class", "of_micro"), itertools.product(DIVISORS, DIVISORS))
@pytest.mark.parametrize("base", [0, 1])
def test_any_denominator_goes_with_any_rank_base(of_class, of_micro, base):
    rng = np.random.default_rng(0)
    x, has_label, labels, _ = reference.random_multilabel(rng, 40, 5, 3)
    protocol = Protocol("own", of_class, of_micro, base)
    table = metrics.evaluate(x, has_label, labels, cutoffs=(3, 20), protocol=protocol)
    for n in (3, 20):
        of_query = {"macro": [], "micro": []}
        for c in range(5):
            values = [
                reference.average_precision(found, n, DIVISORS[of_class](n, sum(found)))
                for q in range(40)
                if has_label[q, c]
                and any(found := [has_label[i, c] for i in reference.rank_others(x, q, "nns")])
            ]
            of_query["macro"] += [np.mean(values)] if values else []
        for q in range(40):
            found = [(has_label[i] & has_label[q]).any() for i in reference.rank_others(x, q, "nns")]
            if any(found):
                of_query["micro"].append(
                    reference.average_precision(found, n, DIVISORS[of_micro](n, sum(found)))
                )
        for level, denominator in (("macro", of_class), ("micro", of_micro)):
            (row,) = table[(table["n"] == n) & (table["level"] == level)].to_dict("records")
            assert row["value"] == pytest.approx(np.mean(of_query[level]))
            assert row["denominator"] == denominator
    ranks = table[table["metric"] == "MR1"]
    from_one = metrics.evaluate(x, has_label, labels, cutoffs=(3,))
    from_one = from_one[from_one["metric"] == "MR1"]
    np.testing.assert_allclose(ranks["value"], from_one["value"].to_numpy() - 1 + base)
    assert (ranks["rank_base"] == base).all()
    assert set(table["protocol"]) == {"own"}


def study(x, has_label, n, state):
    """Macro and micro MAP@N and MR1 as the CBMI 2024 code defines them, from raw clip embeddings: by loops.

    Unit length in its newest state, then PCA by the eigenvectors of the covariance, unit length again; full
    Euclidean rankings, the query taken out; class-wise AP@N over min(N, n_c), micro AP@N over N; ranks
    from 0.
    """
    if state == "newest":
        x = np.array([row / np.linalg.norm(row) for row in x])
    values, vectors = np.linalg.eigh(np.cov(x.T))
    x = (x - x.mean(axis=0)) @ vectors[:, np.argsort(-values)[:3]]
    x = np.array([row / np.linalg.norm(row) for row in x])
    n_clips, n_classes = has_label.shape
    order = {
        q: sorted(set(range(n_clips)) - {q}, key=lambda i: np.linalg.norm(x[q] - x[i]))
        for q in range(n_clips)
    }
    macro, first = [], []
    for c in range(n_classes):
        members = [q for q in range(n_clips) if has_label[q, c]]
        found = {q: [has_label[i, c] for i in order[q]] for q in members}
        aps = [reference.average_precision(found[q], n, min(n, len(members))) for q in members]
        macro.append(np.mean(aps))
        first.append(np.mean([found[q].index(True) for q in members]))
    shares = {q: [(has_label[i] & has_label[q]).any() for i in order[q]] for q in range(n_clips)}
    micro = np.mean([reference.average_precision(found, n, n) for found in shares.values()])
    micro_first = np.mean([found.index(True) for found in shares.values()])
    return np.mean(macro), np.mean(first), micro, micro_first


@pytest.mark.parametrize("n", [3, 15])
@pytest.mark.parametrize("state", ["published", "newest"])
def test_the_paper_protocol_is_the_study_from_raw_embeddings_on(n, state):
    rng = np.random.default_rng(1)
    raw = rng.normal(size=(50, 8)) * rng.uniform(0.2, 5, (50, 1)) + 1
    has_label = rng.random((50, 4)) < 0.3
    has_label[~has_label.any(axis=1), 0] = True
    x = processing.process(raw, 3, normalize=True, pre_normalize=protocols.STATES[state].pre_normalize)
    table = metrics.evaluate(x, has_label, list("abcd"), cutoffs=(n,), protocol="paper")
    found = table.set_index(["metric", "level"])["value"]
    keys = [("MAP", "macro"), ("MR1", "macro"), ("MAP", "micro"), ("MR1", "micro")]
    assert [found[key] for key in keys] == pytest.approx(study(raw, has_label, n, state), abs=1e-6)
    unlike = processing.process(raw, 3, normalize=True, pre_normalize=state == "published")  # another PCA
    other = metrics.evaluate(unlike, has_label, list("abcd"), cutoffs=(n,), protocol="paper")
    assert not np.allclose(other["value"], table["value"], atol=1e-3)


def test_the_published_run_had_no_unit_length_before_pca():
    assert protocols.named("paper") == protocols.STATES["published"]
    assert [protocols.STATES[name].pre_normalize for name in ("published", "newest")] == [False, True]


def test_conventions_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="denominator 'r' of protocol 'own' is unknown: use one of min"):
        Protocol("own", "r")
    with pytest.raises(ValueError, match="rank_base=2 of protocol 'own'"):
        Protocol("own", rank_base=2)


def test_dividing_by_r_needs_all_relevant_clips_counted():
    has_label = scipy.sparse.csr_array(np.ones((9, 1), bool))
    _, micro = metrics.per_query(np.eye(9), has_label, cutoffs=(3,))
    with pytest.raises(ValueError, match=r"counted up to 3: use per_query\(..., count_all=True\)"):
        micro.scores(Protocol("trec", "R", "R"))
    _, micro = metrics.per_query(np.eye(9), has_label, cutoffs=(3,), count_all=True)
    np.testing.assert_allclose(micro.scores(Protocol("trec", "R", "R"))["MAP", 3], 3 / 8)


def test_the_paper_counts_a_query_without_an_answer_as_zero():
    """Clips 0 and 1 find each other; clip 2 is alone in its class, and clip 3 has none."""
    x, has_label = np.arange(4.0)[:, None], np.array([[1, 0], [1, 0], [0, 1], [0, 0]], bool)
    table = metrics.evaluate(x, has_label, ["a", "b"], cutoffs=(1,), protocol="paper")
    found = table[~table["level"].str.endswith("_distinct")].set_index(["metric", "level", "name"])
    assert found["value"].to_dict() == {
        ("MAP", "class", "a"): 1,
        ("MAP", "class", "b"): 0,
        ("MAP", "macro", "all"): 1 / 2,
        ("MAP", "micro", "all"): pytest.approx(2 / 3),
        ("MR1", "class", "a"): 0,
        ("MR1", "macro", "all"): 0,
        ("MR1", "micro", "all"): 0,
    }
    assert found.loc[("MAP", "macro", "all"), ["n_queries", "n_skipped"]].tolist() == [3, 0]
    assert found.loc[("MR1", "macro", "all"), ["n_queries", "n_skipped"]].tolist() == [2, 1]
    for bound, micro in ((bounds.upper_bound, 2 / 3), (bounds.chance, 2 / 3 * 1 / 3)):
        scores = bound(has_label, ["a", "b"], cutoffs=(1,), protocol="paper")
        scores = scores.set_index(["metric", "level", "name"])["value"]
        assert scores["MAP", "class", "b"] == 0
        assert scores["MAP", "micro", "all"] == pytest.approx(micro)
