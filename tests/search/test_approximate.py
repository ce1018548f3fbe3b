"""Approximate searches: names, what they find beside a plain search, and what must change nothing."""

import re
import subprocess
import sys

import numpy as np
import pytest

from sss_lib import approximate, measures, metrics, naming, search
from sss_lib.search.approximate import FaissIndex

faiss = pytest.importorskip("faiss")

METHODS = (
    *("Flat", "SQfp16", "PQ8x4", "PQ5x4", "HNSW8-efSearch=32", "HNSW8-SQfp16-efSearch=32"),
    *("HNSW8-PQ8x4-efSearch=32", "IVF16-nprobe=4", "IVF16-SQfp16-nprobe=4", "IVF16-PQ8x4-nprobe=4"),
)


def clusters(n=400, dim=16, seed=0):
    """Clips around twenty centres."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, dim))
    return (centres[rng.integers(0, 20, n)] + 0.4 * rng.normal(size=(n, dim))).astype(np.float32)


@pytest.fixture(params=[1, 2, 4])
def n_threads(request):
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(request.param)
    yield request.param
    faiss.omp_set_num_threads(before)


class TestNames:
    @pytest.mark.parametrize("exact", search.SEARCHES)
    @pytest.mark.parametrize("rest", ["", *(f"-{method}" for method in METHODS)])
    def test_a_method_has_the_name_that_it_is_parsed_from(self, exact, rest):
        method = naming.parse(exact + rest)
        assert method.name == exact + rest
        assert method.exact == exact
        assert method.is_exact == (rest == "")

    def test_the_numbers_of_a_name_are_those_of_its_method(self):
        graph, lists = (
            naming.parse(name) for name in ("nns-HNSW16-SQfp16-efSearch=65", "mips-IVF64-PQ12x4-nprobe=9")
        )
        assert (graph.m, graph.ef_search, graph.factory) == (16, 65, "HNSW16,SQfp16")
        assert (lists.n_list, lists.n_probe, lists.factory) == (64, 9, "IVF64,PQ12x4np")
        assert (lists.n_subquantizers, lists.n_bits, lists.least_clips) == (12, 4, 64)

    @pytest.mark.parametrize(
        ("name", "near"),
        [
            ("nss", "nns"),
            ("nns-HNWS16-efSearch=64", "nns-HNSW16-efSearch=64"),
            ("nns-HNSW16", "nns-HNSW16-efSearch=64"),
            ("nns-IVF128-SQfp16", "nns-IVF128-SQfp16-nprobe=8"),
            ("nns-IVF128-Flat-nprobe=8", "nns-IVF128-nprobe=8"),
            ("nns-Flat-nprobe=8", "nns-Flat"),
            ("nns-PQ16x8", "nns-PQ16"),
            ("nns-HNSW016-efSearch=64", "nns-HNSW16-efSearch=64"),
        ],
    )
    def test_a_misspelt_name_is_refused_with_the_nearest(self, name, near):
        with pytest.raises(ValueError, match=f"search '{name}' is unknown: did you mean '{near}'\\?"):
            naming.parse(name)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            *((name, "is unknown") for name in ("", "-", "knn", "nns\n", "nns-Flat/../..", "nns-IVF\u0661")),
            ("nns-IVF8-nprobe=9", "probes 9 of 8 lists"),
            ("nns-IVF8-nprobe=0", "probes 0 of 8 lists"),
            ("nns-HNSW16-efSearch=0", "efSearch from 1 to 1,048,576"),
            ("nns-HNSW16-efSearch=2147483648", "efSearch from 1 to 1,048,576"),
            ("nns-HNSW1-efSearch=9", "takes 2 to 1024 links a clip"),
            ("nns-PQ8x20", "at least one code, of 4 to 12 bits"),
            ("nns-PQ0", "is unknown|at least one code"),
        ],
    )
    def test_what_is_no_search_is_refused(self, name, message):
        with pytest.raises(ValueError, match=message):
            naming.parse(name)


class TestRanking:
    @pytest.mark.parametrize("exact", search.SEARCHES)
    @pytest.mark.parametrize("rest", ["Flat", "IVF16-nprobe=16", "HNSW32-efSearch=400"])
    def test_what_looks_everywhere_finds_what_the_exact_search_finds(self, exact, rest):
        x = clusters()
        found, expected = search.rank(x, f"{exact}-{rest}", 20), search.rank(x, exact, 20)
        recall = measures.recall(found.neighbours, expected.neighbours, 20)
        assert recall.min() == 1 if rest.startswith(("Flat", "IVF")) else recall.mean() > 0.99
        same = found.neighbours == expected.neighbours
        assert same.mean() > 0.99  # they part only where two scores round alike
        np.testing.assert_allclose(found.scores[same], expected.scores[same], rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("exact", search.SEARCHES)
    def test_half_precision_finds_nearly_all(self, exact):
        x = clusters() + 3
        found = search.rank(x, f"{exact}-SQfp16", 20).neighbours
        assert 0.97 < measures.recall(found, search.rank(x, exact, 20).neighbours, 20).mean() <= 1

    def test_more_cells_and_more_codes_find_more(self):
        x = clusters(1000)
        expected = search.rank(x, "nns", 20).neighbours

        def recall(rest):
            return measures.recall(search.rank(x, f"nns-{rest}", 20).neighbours, expected, 20).mean()

        probes = [recall(f"IVF32-nprobe={probe}") for probe in (1, 2, 8, 32)]
        assert probes == sorted(probes)
        assert probes[0] < 0.95 < probes[-1] == 1
        codes = [recall(f"PQ{m}x4") for m in (2, 8, 16)]
        assert codes == sorted(codes)
        assert codes[0] < 0.6

    def test_quantised_vectors_are_ranked_as_the_centroids_that_they_became(self):
        """The plain way: decode every clip to its centroids, and compare with those."""
        x = clusters(300, 8)
        built = FaissIndex.build(x, naming.parse("nns-PQ4x4"))
        kept = np.ldexp(built.index.reconstruct_n(0, len(x)), built.exponent)
        distance = np.linalg.norm(x[:, None].astype(float) - kept[None], axis=2)
        rows, scores = built.search(x, 10)
        np.testing.assert_allclose(scores, np.sort(distance, axis=1)[:, :10], rtol=1e-3, atol=1e-3)
        assert len(np.unique(kept, axis=0)) < len(x)  # some clips have become the same
        equal = np.diff(scores, axis=1) == 0
        assert (np.diff(rows, axis=1)[equal] > 0).all()  # and those are in row order

    @pytest.mark.parametrize("rest", METHODS)
    @pytest.mark.parametrize("exact", search.SEARCHES)
    def test_neither_threads_nor_other_queries_change_anything(self, exact, rest, n_threads):
        x = clusters()
        alone = approximate.rank(x, naming.parse(f"{exact}-{rest}"), np.array([5, 70, 3]), 30)
        faiss.omp_set_num_threads(1)
        every = search.rank(x, f"{exact}-{rest}", 30)
        np.testing.assert_array_equal(alone.neighbours, every.neighbours[[5, 70, 3]])
        np.testing.assert_array_equal(alone.scores, every.scores[[5, 70, 3]])

    @pytest.mark.parametrize("rest", METHODS)
    def test_an_index_is_built_alike_again_on_any_number_of_threads(self, rest, n_threads):
        method = naming.parse(f"nns-{rest}")
        content = FaissIndex.build(clusters(), method).to_bytes()
        faiss.omp_set_num_threads(1)
        np.testing.assert_array_equal(content, FaissIndex.build(clusters(), method).to_bytes())

    def test_the_settings_of_faiss_are_as_they_were(self, n_threads):
        before = faiss.cvar.distance_compute_blas_threshold
        search.rank(clusters(), "nns-HNSW8-efSearch=32", 5)
        with pytest.raises(ValueError, match="not finite"):
            FaissIndex.build(clusters(), naming.parse("nns-Flat")).add(np.full((1, 16), np.nan))
        assert faiss.cvar.distance_compute_blas_threshold == before
        assert faiss.omp_get_max_threads() == n_threads

    def test_wide_pieces_do_not_depend_on_other_queries(self):
        """Tables for pieces of 16 dimensions and more are made by BLAS."""
        x = clusters(600, 128)
        built = FaissIndex.build(x, naming.parse("nns-PQ4x4"))
        rows, scores = built.search(x, 30)
        for start, end in ((0, 1), (17, 40), (100, 401)):
            some = built.search(x[start:end], 30)
            np.testing.assert_array_equal(some[0], rows[start:end])
            np.testing.assert_array_equal(some[1], scores[start:end])

    @pytest.mark.parametrize("rest", METHODS)
    def test_neither_the_query_nor_its_group_is_among_its_results(self, rest):
        x, groups = clusters(), np.repeat([7, 3, 9], [100, 295, 5])
        alone = search.rank(x, f"nns-{rest}", 20).neighbours
        assert not (alone == np.arange(400)[:, None]).any()
        found = search.rank(x, f"nns-{rest}", 120, groups=groups)
        own = (groups[found.neighbours] == groups[:, None]) & (found.neighbours >= 0)
        assert not own.any()
        assert np.isnan(found.scores[found.neighbours < 0]).all()
        if rest == "Flat":
            expected = search.rank(x, "nns", 120, groups=groups).neighbours
            np.testing.assert_array_equal(found.neighbours < 0, expected < 0)
            assert measures.recall(found.neighbours, expected, 120).min() == 1

    def test_what_is_not_found_is_minus_one_at_the_end(self):
        found = search.rank(clusters(), "nns-IVF16-nprobe=1", 200)
        absent = found.neighbours < 0
        assert absent.any()
        assert (np.diff(absent.astype(int), axis=1) >= 0).all()
        np.testing.assert_array_equal(np.isnan(found.scores), absent)

    @pytest.mark.parametrize("exact", search.SEARCHES)
    @pytest.mark.parametrize("exponent", [-100, -20, 40])
    @pytest.mark.parametrize("rest", ["SQfp16", "HNSW8-efSearch=32", "IVF16-PQ8x4-nprobe=4"])
    def test_a_power_of_two_changes_no_ranking_and_scales_the_scores(self, exact, exponent, rest):
        x = clusters().astype(np.float64)
        plain, large = (search.rank(y, f"{exact}-{rest}", 20) for y in (x, np.ldexp(x, exponent)))
        np.testing.assert_array_equal(large.neighbours, plain.neighbours)
        power = {"nns": exponent, "mips": 2 * exponent, "mcss": 0}[exact]
        np.testing.assert_allclose(large.scores, np.float32(plain.scores * 2.0**power), rtol=1e-6)

    @pytest.mark.parametrize(
        ("x", "name", "message"),
        [
            (clusters(9), "nns-IVF16-nprobe=4", "learns 16 centroids, but there are 9 clips: use smaller"),
            (clusters(200), "nns-PQ16", "learns 256 centroids, but there are 200 clips"),
            (clusters(), "nns-PQ17x4", "cuts 16 dimensions into 17 parts: use at most PQ16"),
            (np.full((4, 2), np.inf), "nns-Flat", "4 of 4 embeddings are not finite"),
        ],
    )
    def test_what_cannot_be_built_says_why(self, x, name, message):
        with pytest.raises(ValueError, match=message):
            search.rank(x, name)

    def test_without_faiss_it_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
        message = "approximate searches need faiss: pip install -e '.[scale]'"
        with pytest.raises(ImportError, match=re.escape(message)):
            search.rank(clusters(), "nns-Flat")


@pytest.mark.parametrize("exact", list(search.SEARCHES))
def test_first_ranks_are_those_of_the_results_and_then_of_the_exact_ranking_without_them(exact):
    import scipy.sparse

    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, (90, 3)).astype(float)  # with many ties
    has_label = rng.random((90, 12)) < np.linspace(0.01, 0.15, 12)
    name = f"{exact}-PQ1x4"
    ranking = search.rank(x, name, 8)
    of_class, micro = metrics.per_query(
        x, scipy.sparse.csr_array(has_label), search=name, cutoffs=(8,), ranking=ranking
    )
    whole = search.rank(x, exact, 89).neighbours
    n_beyond = 0
    for queries in (of_class, micro):
        for q, label, rank in zip(queries.query, queries.label, queries.first_rank, strict=True):
            returned = [clip for clip in ranking.neighbours[q] if clip >= 0]
            order = returned + [clip for clip in whole[q] if clip not in returned]
            relevant = has_label[order][:, has_label[q] if label < 0 else [label]].any(axis=1)
            assert rank == (relevant.argmax() + 1 if relevant.any() else 0)
            n_beyond += rank > len(returned)
    assert n_beyond > 20


def test_recall_is_the_share_of_the_exact_results_that_are_found():
    found = np.array([[1, 2, 3], [4, -1, -1], [7, 8, 9]])
    exact = np.array([[2, 1, 5], [5, 4, 6], [7, 8, -1]])
    np.testing.assert_allclose(measures.recall(found, exact, 3), [2 / 3, 1 / 3, 1])
    np.testing.assert_allclose(measures.recall(found, exact, 1), [0, 0, 1])


@pytest.mark.parametrize("first", ["torch", "faiss"])
def test_faiss_and_pytorch_live_in_one_process(first):
    pytest.importorskip("torch")
    second = {"torch": "faiss", "faiss": "torch"}[first]
    code = f"""
import {first}, {second}, numpy as np, torch
from sss_lib.search import rank
x = np.random.default_rng(0).normal(size=(500, 32)).astype(np.float32)
for _ in range(3):
    total = float((torch.from_numpy(x) @ torch.from_numpy(x).T).sum())
    found = rank(x, "nns-HNSW8-efSearch=32", 10).neighbours
    found = rank(x, "nns-IVF16-nprobe=4", 10).neighbours
print("alive", found.shape)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "alive (500, 10)", done.stderr
