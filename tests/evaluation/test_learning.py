"""Heads, queries of another collection, and changed sounds, against plain loops."""

import math
import sys

import numpy as np
import pytest
import scipy.sparse
import torch

from sss_lib import metrics, search
from sss_lib.evaluation import across, contrastive, learning, measures
from sss_lib.evaluation.perturbation import PERTURBATIONS, perturb
from sss_lib.search.feedback import most_uncertain


def two_kinds(n=60, seed=0):
    """Clips whose class shows in one of ten directions alone, which is not their largest."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(2, size=n)
    x = rng.normal(size=(n, 10)) * np.array([1, *[3] * 9])
    x[:, 0] += 3 * kind
    return x, np.eye(2, dtype=bool)[kind], rng.integers(0, 12, n)


@pytest.mark.parametrize("how", learning.HEADS)
def test_a_clip_is_embedded_by_a_head_that_has_seen_no_clip_of_its_group(how, monkeypatch):
    monkeypatch.setattr(contrastive, "N_STEPS", 20)
    x, labels, groups = two_kinds()
    groups %= 3
    found = learning.out_of_fold(x, labels, groups, how, n_folds=3)
    for group in range(3):
        own = groups == group
        expected = learning.fit_head(x[~own], labels[~own], how)(x[own])
        np.testing.assert_allclose(found[own], expected)
        others = labels.copy()
        others[own] = ~others[own]  # its own labels change nothing
        np.testing.assert_array_equal(
            learning.out_of_fold(x, others, groups, how, n_folds=3)[own], found[own]
        )


@pytest.mark.parametrize("how", ["linear", "lda", "supcon"])
def test_a_head_finds_the_direction_that_parts_the_classes(how):
    x, labels, groups = two_kinds(200)
    score = []
    for y in (x, learning.out_of_fold(x, labels, groups, how)):
        table = metrics.evaluate(y, scipy.sparse.csr_array(labels), ["a", "b"], search="mcss", cutoffs=(15,))
        score.append(table.loc[(table["level"] == "macro") & (table["metric"] == "MAP"), "value"].item())
    assert score[1] > score[0] + 0.2


def test_the_head_of_neighbours_is_the_mean_of_their_labels():
    x, labels, _ = two_kinds()
    found = learning.fit_head(x[:50], labels[:50], "knn")(x[50:])
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    nearest = [sorted(range(50), key=lambda j: -(unit[i] @ unit[j]))[:10] for i in range(50, 60)]
    np.testing.assert_allclose(found, [labels[rows].mean(axis=0) for rows in nearest])


def test_the_contrastive_loss_is_the_sum_of_equation_2():
    rng = np.random.default_rng(5)
    z, kind = rng.normal(size=(9, 4)), np.array([0, 0, 0, 1, 1, 2, 2, 2, 3])  # the last is alone
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    of_clip = []
    for i in range(8):
        positive = [p for p in range(9) if p != i and kind[p] == kind[i]]
        total = sum(math.exp(z[i] @ z[a] / 0.3) for a in range(9) if a != i)
        logs = [math.log(math.exp(z[i] @ z[p] / 0.3) / total) for p in positive]
        of_clip.append(-sum(logs) / len(positive))
    found = contrastive.loss(torch.tensor(z), torch.tensor(kind[:, None] == kind), 0.3)
    assert found.item() == pytest.approx(sum(of_clip) / 8)
    assert contrastive.loss(torch.tensor(z[:1]), torch.ones(1, 1, dtype=torch.bool)).item() == 0


def test_weights_are_learnt_as_by_adam_of_torch_to_the_bit():
    start, slopes = torch.randn(7, 5), torch.randn(50, 7, 5)
    theirs = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([theirs], contrastive.LEARNING_RATE)
    ours, mean, square = start.clone(), torch.zeros(7, 5), torch.zeros(7, 5)
    for step, slope in enumerate(slopes, 1):
        theirs.grad = slope
        optimizer.step()
        contrastive.adam(ours, slope, mean, square, step)
    assert torch.equal(ours, theirs.data)


def test_the_contrastive_head_is_the_same_again_and_leaves_threads_and_seeds_as_they_are():
    x, labels, _ = two_kinds()
    torch.manual_seed(1)
    expected = torch.rand(1)
    for n_threads in (1, 2):
        torch.manual_seed(1)
        torch.set_num_threads(n_threads)
        found = learning.fit_head(x, labels, "supcon")(x)
        assert torch.get_num_threads() == n_threads
        assert torch.rand(1) == expected
        np.testing.assert_array_equal(found, learning.fit_head(x, labels, "supcon")(x))
    assert (np.abs(found.sum(axis=1) - 1) < 1e-12).all()


def test_the_contrastive_head_says_what_it_needs(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"supcon needs torch: install it with pip install -e .\[torch\]"):
        learning.fit_head(np.eye(2), np.eye(2), "supcon")


def plain_weights(rankings, labels, groups, folds, how, n, excluded):
    """Weights of each query, from macro MAP of the other folds' queries, clip by clip."""
    tried = [[0.5, 0.5], [0, 1], [1 / 3, 2 / 3], [2 / 3, 1 / 3], [1, 0]]
    chosen = np.empty((len(labels), 2))
    for fold in folds:
        macro = []
        for weights in tried:
            ranked = search.fuse(rankings, how, weights=weights, top_n=n).neighbours
            of_class = {}
            for query, label in zip(*np.nonzero(labels), strict=True):
                relevant = {j for j in np.flatnonzero(labels[:, label]) if excluded[j] != excluded[query]}
                if relevant and query not in fold:
                    hits = [j in relevant for j in ranked[query]]
                    precisions = [sum(hits[: k + 1]) / (k + 1) for k in range(n) if hits[k]]
                    of_class.setdefault(label, []).append(sum(precisions) / min(n, len(relevant)))
            macro.append(np.mean([np.mean(one) for one in of_class.values()]))
        chosen[list(fold)] = tried[max(range(5), key=lambda i: macro[i])]
    return chosen


@pytest.mark.parametrize("how", ["rrf", "zscore"])
@pytest.mark.parametrize("alone", [True, False])
def test_weights_are_those_that_a_plain_loop_finds_best_for_others(how, alone):
    rng, groups = np.random.default_rng(20), np.arange(48) // 4
    labels = (groups[:, None] % 4 == np.arange(4)) & (rng.random((48, 4)) < 0.7)  # mostly of its group
    labels |= rng.random((48, 4)) < 0.1
    labels[:, 3] = np.arange(48) == 5  # without another clip
    excluded = np.arange(48) if alone else groups
    x = [labels @ rng.normal(size=(4, 6)) + rng.normal(0, noise, (48, 6)) for noise in (1.1, 1.8)]
    rankings = [search.rank(one, "mcss", 47, groups=None if alone else groups) for one in x]
    found, weights = learning.fuse_out_of_fold(
        rankings, labels, groups, how, n_parts=3, n=9, n_folds=12, top_n=20, excluded=excluded
    )
    folds = [set(np.flatnonzero(groups == group)) for group in range(12)]
    np.testing.assert_array_equal(weights, plain_weights(rankings, labels, groups, folds, how, 9, excluded))
    assert len(np.unique(weights, axis=0)) > 1
    for query in range(48):
        expected = search.fuse(rankings, how, weights=weights[query], top_n=20)
        np.testing.assert_array_equal(found.neighbours[query], expected.neighbours[query])
        np.testing.assert_array_equal(found.scores[query], expected.scores[query])


@pytest.mark.parametrize("how", learning.HEADS)
def test_a_class_without_a_clip_is_unlikely_for_all(how):
    x, labels, _ = two_kinds()
    found = learning.fit_head(x, np.column_stack([labels, np.zeros(60, bool)]), how)(x)
    assert found.shape == (60, 3)
    np.testing.assert_allclose(found[:, 2], 0, atol=1e-12)
    one = learning.fit_head(x, np.ones((60, 1), bool), how)(x)
    np.testing.assert_allclose(one, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_folds": 13}, "n_folds=13 of 12 groups: give 2 to 12"),
        ({"n_folds": 1}, "n_folds=1 of 12 groups"),
        ({"how": "svm"}, "the heads"),
    ],
)
def test_heads_that_cannot_be_are_refused(change, message):
    x, labels, groups = two_kinds()
    with pytest.raises(ValueError, match=message):
        learning.out_of_fold(x, labels, groups, **change)


def test_weights_that_cannot_be_chosen_are_refused():
    x, labels, groups = two_kinds()
    of = [search.rank(x, "mcss", 5)] * 2
    for change in ({"groups": groups[1:]}, {"rankings": [of[0], search.rank(x, "mcss", 5, np.arange(9))]}):
        with pytest.raises(ValueError, match=r"rankings of \[\d+, 60\] clips, and labels of 60"):
            learning.fuse_out_of_fold(**{"rankings": of, "label_matrix": labels, "groups": groups, **change})
    with pytest.raises(ValueError, match=r"n_parts=0.* and one part"):
        learning.fuse_out_of_fold(of, labels, groups, n_parts=0)


def test_clips_without_labels_teach_nothing():
    with pytest.raises(ValueError, match="3 embeddings with 3 rows of 0 labels"):
        learning.fit_head(np.eye(3), np.zeros((3, 2), bool))


@pytest.mark.parametrize("how", ["nns", "mcss"])
def test_queries_of_another_collection_score_as_in_a_plain_loop(how):
    rng = np.random.default_rng(3)
    queries, corpus = rng.normal(size=(9, 4)), rng.normal(size=(30, 4))
    asked, there = rng.random((9, 3)) < 0.5, rng.random((30, 3)) < 0.3
    there[:, 2] = False  # a class that the corpus lacks
    found, _ = across.per_query_across(queries, corpus, asked, there, search=how, cutoffs=(7,))
    ranking = search.rank_outside(corpus, queries, how, 7).neighbours
    expected = []
    for query, label in zip(*np.nonzero(asked), strict=True):
        hits = there[ranking[query], label][None]
        n_relevant = there[:, label].sum()
        expected.append(metrics.average_precision(hits, min(7, n_relevant) or np.nan, 7)[0])
    np.testing.assert_allclose(found.scores("standard")["MAP", 7], expected)
    assert np.isnan(expected).any()


def test_collections_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="queries of 2 dimensions don't fit a corpus of 3"):
        across.per_query_across(np.ones((1, 2)), np.ones((2, 3)), np.ones((1, 1)), np.ones((2, 1)))
    with pytest.raises(ValueError, match="0 of 1 classes, 0 of them different, are among 1"):
        across.shared_labels(["dog"], ["Dog"])
    with pytest.raises(ValueError, match="2 of 2 classes, 1 of them different"):
        across.shared_labels(["a", "b"], ["c"], {"a": "c", "b": "c"})


def test_a_vote_is_the_majority_of_the_nearest():
    hits = np.random.default_rng(0).random((50, 9)) < 0.5
    for n in (1, 4, 5):
        expected = [sum(row[:n]) > n / 2 for row in hits.tolist()]
        np.testing.assert_array_equal(measures.majority(hits, np.ones(50), n), expected)
    assert np.isnan(measures.majority(hits, np.zeros(50), 5)).all()


RATE_HZ = 16000
TONE = (0.3 * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ) / RATE_HZ)).astype(np.float32)


def loudest_hz(wave):
    return np.abs(np.fft.rfft(wave)).argmax() * RATE_HZ / len(wave)


def power(wave):
    return float(np.mean(np.square(wave, dtype=np.float64)))


@pytest.mark.parametrize("how", PERTURBATIONS)
def test_a_changed_sound_is_sound_and_the_same_again(how):
    amount = {"codec": 64, "crop": 0.5, "speed": 1.5, "reverb": 0.5}.get(how, 6)
    one, other = (perturb(TONE, RATE_HZ, how, amount, seed=3) for _ in range(2))
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, other)
    assert loudest_hz(one) == pytest.approx(440 * (1.5 if how == "speed" else 1), abs=2)


def test_what_an_amount_says_is_what_changes():
    assert power(perturb(TONE, RATE_HZ, "level", -6)) == pytest.approx(power(TONE) / 10**0.6)
    noise = perturb(TONE, RATE_HZ, "noise", 10).astype(np.float64) - TONE
    assert power(noise) == pytest.approx(power(TONE) / 10, rel=0.05)
    assert len(perturb(TONE, RATE_HZ, "crop", 0.25)) == RATE_HZ / 4
    assert len(perturb(TONE, RATE_HZ, "speed", 2)) == pytest.approx(RATE_HZ / 2, abs=2)
    click = np.zeros(RATE_HZ, np.float32)
    click[0] = 1
    tail = perturb(click, RATE_HZ, "reverb", 0.5)[1:] ** 2
    falls_db = 10 * np.log10(tail[:800].mean() / tail[4000:4800].mean())
    assert falls_db == pytest.approx(60 * 4000 / RATE_HZ / 0.5, abs=1.5)
    hiss = np.random.default_rng(0).normal(0, 0.1, 88200).astype(np.float32)
    kept = [power(perturb(hiss, 44100, "codec", kbit_s)[20000:60000]) / 0.01 for kbit_s in (320, 128, 32)]
    assert kept[0] > 0.9 > kept[1] > 0.7 > kept[2]  # the fewer bits, the fewer high frequencies


@pytest.mark.parametrize(
    ("how", "amount", "message"),
    [
        ("crop", 1.5, "crop by 1.5: give a number above 0, at most 1"),
        ("speed", 0, "speed by 0: give a number above 0"),
        ("codec", 16, "MP3 has 32 to 320 here"),
        ("pitch", 1, "the ways to change a sound"),
    ],
)
def test_changes_that_cannot_be_are_refused(how, amount, message):
    with pytest.raises(ValueError, match=message):
        perturb(TONE, RATE_HZ, how, amount)


@pytest.mark.parametrize("ask", ["first", "uncertain"])
def test_marks_are_scored_on_what_is_left_as_by_a_plain_loop(ask):
    x, labels, groups = two_kinds(30)
    labels[3] = [True, False]
    found = learning.by_marks(x, labels, n_marks=(4,), ways=("rocchio",), ask=ask, n=5, groups=groups).iloc[0]
    before, after = {0: [], 1: []}, {0: [], 1: []}
    for query in range(30):
        kind = int(labels[query, 1])
        ranked = sorted(range(30), key=lambda i: -cosine(x[i], x[query]))
        marked = [i for i in ranked if i != query][:4]
        if ask == "uncertain":
            marked = []
            for _ in range(4):
                hits, misses = ([i for i in marked if labels[i, kind] == is_hit] for is_hit in (True, False))
                marked.append(most_uncertain(x, query, hits, misses))
        hits, misses = ([i for i in marked if labels[i, kind] == is_hit] for is_hit in (True, False))
        again = search.refine(x, query, hits, misses, "rocchio")
        for scores, order in ((before, ranked), (after, sorted(range(30), key=lambda i: -again[i]))):
            left = [i for i in order if i not in (query, *marked)]
            places = [rank for rank, i in enumerate(left[:5], 1) if labels[i, kind]]
            precisions = [(1 + j) / rank for j, rank in enumerate(places)]
            scores[kind].append(sum(precisions) / min(5, sum(labels[i, kind] for i in left)))
    means = [np.mean([np.mean(one) for one in scores.values()]) for scores in (before, after)]
    np.testing.assert_allclose(found[["before", "after"]].astype(float), means)
    assert found["difference"] == pytest.approx(means[1] - means[0])
    assert found["ci_low"] < found["difference"] < found["ci_high"]


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_marks_help_where_hits_tell_the_direction_of_a_class():
    rng = np.random.default_rng(0)
    kind = rng.integers(2, size=80)
    x = rng.normal(size=(80, 6))
    x[:, 0] += 4 * kind
    found = learning.by_marks(x, np.eye(2, dtype=bool)[kind], n_marks=(1, 10)).set_index(["way", "n_marks"])
    assert (found.loc[[(way, 10) for way in learning.WAYS], "ci_low"] > 0).all()
    assert found.loc[("linear", 10), "difference"] > found.loc[("linear", 1), "difference"]
