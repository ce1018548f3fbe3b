"""Adjusted searches, fusion and frame by frame comparison against plain loops."""

import functools
import itertools
import math

import numpy as np
import pytest
import scipy.sparse

from sss_lib import metrics, search
from sss_lib.evaluation import relevance, ties
from sss_lib.search import device, naming, timing
from sss_lib.search.frames import COMPARISONS
from sss_lib.search.index import Index
from sss_lib.search.ranking import Ranking
from sss_lib.search.similarity import Similarities

NAMES = ["mcss-csls3", "mcss-ls3", "mcss-mp", "mcss-qe3", "mcss-dba3"]


def clips(n=40, dim=6, seed=0):
    return np.random.default_rng(seed).normal(0.4, 1, size=(n, dim))


def unit(vector):
    return [value / math.sqrt(sum(one * one for one in vector)) for value in vector]


def cosine(a, b):
    return sum(p * q for p, q in zip(unit(a), unit(b), strict=True))


def plain_scores(x, name, groups):
    """Score of every pair of clips, by the definitions: a dictionary of dictionaries."""
    rows = [list(map(float, row)) for row in x]
    every = range(len(rows))
    others = {i: [j for j in every if j != i and groups[j] != groups[i]] for i in every}
    s = {i: {j: cosine(rows[i], rows[j]) for j in others[i]} for i in every}
    nearest = {i: sorted(others[i], key=lambda j: -s[i][j])[:3] for i in every}
    if name == "mcss-csls3":
        r = {i: sum(s[i][j] for j in nearest[i]) / len(nearest[i]) for i in every}
        return {i: {j: 2 * s[i][j] - r[i] - r[j] for j in others[i]} for i in every}
    if name == "mcss-ls3":
        d = {i: math.sqrt(2 - 2 * s[i][nearest[i][-1]]) for i in every}
        return {i: {j: -(2 - 2 * s[i][j]) / (d[i] * d[j]) for j in others[i]} for i in every}
    if name == "mcss-mp":
        share = {
            i: {j: sum(s[i][c] < s[i][j] for c in others[i]) / len(others[i]) for j in others[i]}
            for i in every
        }
        return {i: {j: share[i][j] * share[j][i] for j in others[i]} for i in every}
    wide = {
        i: [sum(values) for values in zip(*(unit(rows[j]) for j in (i, *nearest[i])), strict=True)]
        for i in every
    }
    to = wide if name == "mcss-dba3" else rows
    return {i: {j: cosine(wide[i], to[j]) for j in others[i]} for i in every}


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NAMES)
def test_an_adjusted_ranking_is_that_of_its_definition(name, seed, grouped):
    x = clips(seed=seed)
    groups = np.random.default_rng(seed).integers(0, 12, len(x)) if grouped else np.arange(len(x))
    found = search.rank(x, name, 9, groups=groups if grouped else None)
    for i, scores in plain_scores(x, name, groups).items():
        expected = sorted(scores, key=lambda j: -scores[j])[:9]
        # Equal products of shares, and sums of the same neighbours, are ties that rounding in the loop parts.
        of_found = [scores[j] for j in found.neighbours[i]]
        np.testing.assert_allclose(of_found, [scores[j] for j in expected], atol=1e-12)
        np.testing.assert_allclose(found.scores[i], of_found, atol=1e-5)
        if name not in ("mcss-mp", "mcss-dba3"):
            assert found.neighbours[i].tolist() == expected


AWKWARD = ["made up", "uncentred", "copies", "near copies", "whole numbers and silence", "an outlier"]


def awkward(kind):
    rng = np.random.default_rng(7)
    few = rng.normal(size=(15, 5))
    return {
        "made up": rng.normal(size=(300, 20)),
        "uncentred": rng.normal(3, 1, (300, 20)),
        "copies": few[np.arange(300) % 15],
        "near copies": few[np.arange(300) % 15] + 1e-7 * rng.normal(size=(300, 5)),
        "whole numbers and silence": rng.integers(-1, 2, (300, 3)).astype(float),
        "an outlier": np.vstack([rng.normal(3, 0.1, (299, 20)), -np.ones((1, 20))]),
    }[kind]


def dense_scores(x, name, groups):
    """Scores by the definitions from the exact cosines of all pairs, on their grid."""
    similarities, one = Similarities(x, "mcss", groups), 2.0**40
    square = np.where(similarities.query_squares > 0, similarities.query_squares, 1)[:, None]
    c = np.rint(similarities.all_keys(np.arange(len(x)))[0] / np.sqrt(square) * one)
    others = [row[np.isfinite(row)] for row in c]
    largest = [np.sort(row)[-3:] for row in others]
    if name == "mcss-csls3":
        mean = np.array([row.sum() / len(row) for row in largest])
        return (2 * c - mean[:, None] - mean) / one
    if name == "mcss-ls3":
        root = np.sqrt(np.maximum(one - np.array([row[0] for row in largest]), 1))
        return -np.maximum(one - c, 0) / root[:, None] / root
    farther = np.array([np.searchsorted(np.sort(o), row) for o, row in zip(others, c, strict=True)])
    n = np.array([len(row) for row in others])
    return np.where(np.isfinite(c), farther * farther.T / n / n[:, None], -np.inf)


@pytest.mark.parametrize("top_n", [20, 299])
@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("name", NAMES[:3])
def test_the_filter_changes_no_adjusted_ranking(name, kind, grouped, top_n):
    x = awkward(kind)
    groups = np.where(np.arange(300) < 290, np.arange(300) // 7, 50) if grouped else None
    found, scores = search.rank(x, name, top_n, groups=groups), dense_scores(x, name, groups)
    for i, row in enumerate(scores):
        order = np.argsort(-row, kind="stable")[:top_n]
        expected = np.where(np.isfinite(row[order]), order, -1)
        np.testing.assert_array_equal(found.neighbours[i], expected)
        np.testing.assert_array_equal(
            found.scores[i], np.where(expected < 0, np.nan, row[order]).astype("f4")
        )


@pytest.mark.parametrize("name", NAMES)
def test_some_queries_find_what_they_find_among_all(name):
    x, rows = clips(), np.array([7, 2, 30])
    groups = np.arange(len(x)) // 3
    for of in (None, groups):
        every, some = (search.rank(x, name, 39, queries, groups=of) for queries in (None, rows))
        np.testing.assert_array_equal(some.neighbours, every.neighbours[rows])
        np.testing.assert_array_equal(some.scores, every.scores[rows])
    own = groups[np.maximum(every.neighbours, 0)] == groups[:, None]
    assert not (own & (every.neighbours >= 0)).any()
    assert ((every.neighbours < 0).sum(axis=1) == np.bincount(groups)[groups] - 1).all()
    np.testing.assert_array_equal(np.isnan(every.scores), every.neighbours < 0)


def test_a_far_pair_of_larger_mutual_proximity_is_found():
    x = np.random.default_rng(1).normal(size=(150, 5)) + 0.4
    scores = dense_scores(x, "mcss-mp", None)
    for i, row in enumerate(scores):  # alone, so that no other query asks for more neighbours
        assert search.rank(x, "mcss-mp", 1, [i]).neighbours[0, 0] == np.argmax(row)


@pytest.mark.parametrize(("seed", "n"), [(16, 3), (19, 5), (39, 1)])
def test_mutual_proximity_is_exact_where_the_filter_parts_few(monkeypatch, seed, n):
    slack = Similarities.slack
    monkeypatch.setattr(Similarities, "slack", lambda self, *of: slack(self, *of) + 0.02)
    x = np.random.default_rng(seed).normal(0.2, 1, size=(150, 12))
    found, scores = search.rank(x, "mcss-mp", n), dense_scores(x, "mcss-mp", None)
    np.testing.assert_array_equal(found.neighbours, np.argsort(-scores, axis=1, kind="stable")[:, :n])


@pytest.mark.parametrize("name", NAMES)
def test_copies_and_silence_are_ranked_in_row_order(name):
    x = np.vstack([np.tile([[1.0, 2.0]], (5, 1)), np.zeros((2, 2)), [[-1.0, 0.5]]])
    found = search.rank(x, name, 7)
    assert sorted(found.neighbours[0].tolist()) == list(range(1, 8))
    assert [j for j in found.neighbours[0] if j < 5] == [1, 2, 3, 4]
    assert np.isfinite(found.scores).all()


def test_a_hub_is_found_less_often():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 30)) + 0.3  # a common direction makes hubs of the clips along it
    most = {}
    for name in ("mcss", "mcss-csls10", "mcss-ls10", "mcss-mp"):
        most[name] = np.bincount(search.rank(x, name, 10).neighbours.ravel()).max()
    assert max(most["mcss-csls10"], most["mcss-ls10"], most["mcss-mp"]) < 0.75 * most["mcss"]


@pytest.mark.parametrize("name", [*NAMES, "mcss-csls10", "mcss-dba10"])
def test_an_adjusted_search_has_one_name(name):
    method = naming.parse(name)
    assert (method.name, method.exact, method.is_exact, method.is_plain) == (name, "mcss", True, False)
    assert "cosine" in method.description


@pytest.mark.parametrize("name", ["mcss-csls0", "mcss-csls", "mcss-mp5", "nns-csls10", "mcss-ls010"])
def test_a_name_that_is_nearly_one_is_refused(name):
    with pytest.raises(ValueError, match=f"'{name}' is unknown: did you mean 'mcss-"):
        naming.parse(name)


def test_new_sounds_and_too_many_clips_are_refused_with_the_search_to_use():
    with pytest.raises(ValueError, match=r"mcss-mp ranks the clips of a corpus .* no new sounds: use mcss"):
        Index.build(["a", "b"], np.eye(2), "mcss-mp")
    with pytest.raises(ValueError, match=r"40000 clips .* at most 32768: use mcss-csls10"):
        search.rank(np.ones((40000, 1)), "mcss-mp", 1)


def test_adjusted_rankings_are_scored_and_timed_as_others():
    x = clips(60)
    labels = scipy.sparse.csr_array(np.random.default_rng(0).random((60, 4)) < 0.2)
    exclude = relevance.Relevance(groups=np.arange(60) // 2, excluded="uploader")
    for rule in (None, exclude):
        ranking = search.rank(x, "mcss-ls3", 59, groups=rule and rule.groups)
        of = {"search": "mcss-ls3", "cutoffs": (15,), "relevant": rule}
        here, given = metrics.per_query(x, labels, **of), metrics.per_query(x, labels, ranking=ranking, **of)
        for one, other in zip(here, given, strict=True):
            np.testing.assert_array_equal(one.precision_sums[15], other.precision_sums[15])
    index, ranking, cost = timing.rank_members([*map(str, range(60))], x, "mcss-ls3", 5)
    np.testing.assert_array_equal(ranking.neighbours, search.rank(x, "mcss-ls3", 5).neighbours)
    assert index is None
    assert cost.query_ms > 0
    (worst, _), (best, _) = ties.bounds(x, labels, search="mcss-ls3", cutoffs=(5,))
    np.testing.assert_array_equal(worst.precision_sums[5], best.precision_sums[5])


@pytest.mark.parametrize("name", ["nns", "mips", "mcss"])
def test_results_can_be_chosen_among_some_clips(name):
    x, among = clips(), np.array([3, 4, 9, 20, 33])
    every, some = search.rank(x, name, 39), search.rank(x, name, 10, among=among)
    for i in range(len(x)):
        expected = [j for j in every.neighbours[i] if j in among]
        assert [j for j in some.neighbours[i] if j >= 0] == expected


@pytest.mark.parametrize(
    ("name", "among", "message"),
    [
        ("mcss-mp", [1], "'mcss-mp' has no choice of results: use one of nns, mips, mcss"),
        ("nns", [], "0 rows to choose from are none"),
        ("nns", [2, 1], "2 rows to choose from are none, or out of order"),
        ("nns", [40], "query 40 is none of the 40 clips"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(name, among, message):
    with pytest.raises(ValueError, match=message):
        search.rank(clips(), name, 3, among=np.array(among, int))


def plain_fusion(rankings, how, weights, n):
    fused = []
    for q in range(len(rankings[0].neighbours)):
        total, given = {}, []
        for one in rankings:
            pairs = [(j, s) for j, s in zip(one.neighbours[q], one.scores[q], strict=True) if j >= 0]
            sign = -1 if pairs[-1][1] > pairs[0][1] else 1
            values = [sign * float(s) for _, s in pairs]
            if how == "rrf":
                points, least = [1 / (60 + rank) for rank in range(1, len(pairs) + 1)], 0
            else:
                mean = sum(values) / len(values)
                deviation = math.sqrt(sum((v - mean) ** 2 for v in values) / len(values))
                middle, width = min(values), max(values) - min(values)
                if how == "zscore":
                    middle, width = mean, deviation
                points = [(v - middle) / width for v in values]
                least = min(points)
            given.append(({j: p for (j, _), p in zip(pairs, points, strict=True)}, least))
        for j in sorted(set().union(*(points for points, _ in given))):
            parts = (w * points.get(j, least) for w, (points, least) in zip(weights, given, strict=True))
            total[j] = sum(parts)
        fused.append(sorted(total, key=lambda j: -total[j])[:n])
    return fused


@pytest.mark.parametrize("how", ["rrf", "zscore", "minmax"])
@pytest.mark.parametrize("weights", [[1, 1, 1], [0.2, 3, 1]])
@pytest.mark.parametrize("sizes", [(39, 39, 39), (12, 5, 20)])
def test_fusion_equals_the_plain_loop(how, weights, sizes):
    rankings = [
        search.rank(clips(seed=seed), name, n)
        for seed, name, n in zip(range(3), ("nns", "mips", "mcss"), sizes, strict=True)
    ]
    found = search.fuse(rankings, how, weights=weights, top_n=10)
    assert found.neighbours.tolist() == plain_fusion(rankings, how, weights, 10)


@pytest.mark.parametrize(("how", "norm", "method"), [("rrf", None, "rrf"), ("minmax", "min-max", "sum")])
def test_fusion_equals_that_of_ranx(ranx, how, norm, method):
    rankings = [search.rank(clips(seed=seed), "mcss", 39) for seed in range(3)]
    runs = [
        ranx.Run(
            {
                f"q{q}": {str(j): float(s) for j, s in zip(one.neighbours[q], one.scores[q], strict=True)}
                for q in range(40)
            }
        )
        for one in rankings
    ]
    fused = ranx.fuse(runs, norm=norm, method=method).to_dict()
    found = search.fuse(rankings, how, top_n=5)
    for q in range(40):
        expected = sorted(fused[f"q{q}"].items(), key=lambda item: -item[1])[:5]
        assert [str(j) for j in found.neighbours[q]] == [name for name, _ in expected]


def test_rankings_that_cannot_be_fused_are_refused():
    one, other = search.rank(clips(), "nns", 3), search.rank(clips(20), "nns", 3)
    with pytest.raises(ValueError, match=r"2 rankings of \[20, 40\] queries"):
        search.fuse([one, other])
    with pytest.raises(ValueError, match=r"1 rankings of \[40\] queries with 2 weights"):
        search.fuse([one], weights=[1, 2])
    with pytest.raises(ValueError, match="did you mean 'zscore'"):
        search.fuse([one], "z-score")


def plain_path(table, band=None):
    """Mean cosine along the best path of a table, by the recursion as it is written."""
    n, m = len(table), len(table[0])
    least, most = min(0, m - n), max(0, m - n)

    @functools.cache
    def total(i, j):
        if min(i, j) < 0 or (band is not None and not least - band <= j - i <= most + band):
            return -math.inf
        here = table[i][j]
        if i == j == 0:
            return 2 * here
        return max(total(i - 1, j) + here, total(i, j - 1) + here, total(i - 1, j - 1) + 2 * here)

    return total(n - 1, m - 1) / (n + m)


def cosines(a, b):
    return [[cosine(p, r) for r in b] for p in a]


def plain_frames(parts, how, q, others):
    def one_way(a, b):
        return sum(max(cosine(p, r) for r in b) for p in a) / len(a)

    scores = {}
    for j in others:
        if how == "dtw":
            scores[j] = plain_path(cosines(parts[q], parts[j]))
            continue
        scores[j] = one_way(parts[q], parts[j])
        if how == "chamfer":
            scores[j] = (scores[j] + one_way(parts[j], parts[q])) / 2
    return scores


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("how", COMPARISONS)
def test_frames_are_compared_as_in_the_plain_loop(how, again):
    rng = np.random.default_rng(4)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, 5, 25))])
    frames, groups, rows = rng.normal(0.3, 1, (offsets[-1], 4)), np.arange(25) // 2, np.array([3, 24, 0])
    parts = [frames[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    first = search.rank(rng.normal(size=(25, 3)), "nns", 8, rows, groups=groups) if again else None
    found = search.rank_frames(frames, offsets, how, 6, queries=rows, groups=groups, candidates=first)
    for i, q in enumerate(rows):
        others = first.neighbours[i] if again else [j for j in range(25) if groups[j] != groups[q]]
        scores = plain_frames(parts, how, q, others)
        expected = sorted(scores, key=lambda j: -scores[j])[:6]
        assert found.neighbours[i].tolist() == expected
        np.testing.assert_allclose(found.scores[i], [scores[j] for j in expected], atol=1e-6)


@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("how", COMPARISONS)
@pytest.mark.parametrize("low", [False, True])
def test_the_filter_changes_no_ranking_of_frames(monkeypatch, low, how, kind):
    if low:
        pytest.importorskip("torch")
        monkeypatch.setattr("sss_lib.search.frames.filter_of", lambda of, _: device.Bfloat16(of))
    frames = awkward(kind)
    offsets = np.concatenate([[0], np.cumsum(np.tile([1, 7, 2, 1, 19], 10))])
    similarities = Similarities(frames, "mcss")
    rows = np.arange(len(frames))
    c = similarities.cosines(rows, similarities.all_keys(rows)[0])
    clip = np.repeat(np.arange(50), np.diff(offsets))
    groups = np.arange(50) % 17
    found = search.rank_frames(frames, offsets, how, 12, groups=groups)
    for q in range(50):
        others, scores = np.flatnonzero(groups != groups[q]), []
        for j in others:
            part = c[clip == q][:, clip == j]
            scores.append(part.max(axis=1).sum() / len(part))
            if how == "chamfer":
                scores[-1] = (scores[-1] + part.max(axis=0).sum() / part.shape[1]) / 2
            if how == "dtw":
                scores[-1] = plain_path(part.tolist())
        order = np.argsort(-np.array(scores), kind="stable")[:12]
        np.testing.assert_array_equal(found.neighbours[q], others[order])
        np.testing.assert_array_equal(found.scores[q], (np.array(scores)[order] / 2**40).astype("f4"))


@pytest.mark.parametrize("n", [2, 6])
@pytest.mark.parametrize("band", [None, 0, 1, 3])
def test_warped_clips_are_compared_as_in_the_plain_recursion(band, n):
    rng = np.random.default_rng(6)
    sizes = np.array([1, 9, 4, 2, 13, 6, 6])
    frames, offsets = rng.normal(0.2, 1, (sizes.sum(), 4)), np.concatenate([[0], np.cumsum(sizes)])
    parts = [frames[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    found = search.rank_frames(frames, offsets, "dtw", n, band=band)
    for q in range(7):
        scores = {j: plain_path(cosines(parts[q], parts[j]), band) for j in range(7) if j != q}
        expected = sorted(scores, key=lambda j: -scores[j])[:n]
        assert found.neighbours[q].tolist() == expected
        np.testing.assert_allclose(found.scores[q], [scores[j] for j in expected], atol=1e-6)


def test_a_slower_clip_is_warped_onto_the_query_and_one_backwards_is_not():
    x = np.random.default_rng(0).normal(size=(6, 8))
    frames = np.concatenate([x, np.repeat(x, 3, axis=0), x[::-1]])
    found = search.rank_frames(frames, np.array([0, 6, 24, 30]), "dtw", queries=[0])
    assert found.neighbours.tolist() == [[1, 2]]
    assert found.scores[0, 0] == 1 > found.scores[0, 1] + 0.3


@pytest.mark.parametrize("how", COMPARISONS)
def test_single_frames_are_ranked_as_by_cosine(how):
    x = clips(60)
    found, plain = search.rank_frames(x, np.arange(61), how, 20), search.rank(x, "mcss", 20)
    np.testing.assert_array_equal(found.neighbours, plain.neighbours)
    np.testing.assert_allclose(found.scores, plain.scores, atol=1e-6)


def test_frames_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="offsets from 0 to 3 of 4 frames"):
        search.rank_frames(np.ones((4, 2)), np.array([0, 3]))
    few = Ranking(np.array([[1]]), np.array([[1.0]]))
    with pytest.raises(ValueError, match="candidates of 1 queries don't serve 2"):
        search.rank_frames(np.ones((2, 2)), np.arange(3), candidates=few)
    with pytest.raises(ValueError, match="band=-1 of dtw: give dtw a number of frames from 0"):
        search.rank_frames(np.ones((2, 2)), np.arange(3), "dtw", band=-1)
    with pytest.raises(ValueError, match="band=2 of maxsim"):
        search.rank_frames(np.ones((2, 2)), np.arange(3), band=2)


def test_what_no_fusion_can_weigh_is_refused():
    one = search.rank(clips(20), "nns", 3)
    with pytest.raises(ValueError, match="give finite numbers"):
        search.fuse([one, one], weights=[1, np.nan])
