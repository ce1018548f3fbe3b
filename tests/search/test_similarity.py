"""The order of results is that of whole numbers: checked with Python's integers, which never round."""

import math
import os
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
import scipy.sparse
import threadpoolctl

from sss_lib import metrics
from sss_lib.search.exact import SPARE, rank_outside
from sss_lib.search.naming import SEARCHES
from sss_lib.search.rank import rank
from sss_lib.search.similarity import Similarities
from sss_lib.search.whole_numbers import n_bits

KINDS = ("random", "clustered", "copies", "tiny", "huge", "mixed", "whole", "far", "last bits", "silent")


def embeddings(kind, n, dim, seed=0):
    """Vectors of a kind that a search could order wrongly."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, dim))
    if kind == "clustered":
        return x[rng.integers(n // 5 + 1, size=n)] + 1e-6 * x
    if kind == "copies":
        return x[rng.integers(n // 3 + 1, size=n)]
    if kind == "mixed":
        return np.ldexp(x, rng.integers(-30, 30, (n, 1)))
    if kind == "whole":
        return rng.integers(-2, 3, (n, dim)).astype(float)
    if kind == "far":
        return x + 1e5 * rng.normal(size=dim)
    if kind == "silent":  # a few loud clips among silent and all but silent ones
        x *= rng.choice([0, 2.0**-40, 1, 10], size=(n, 1), p=[0.5, 0.1, 0.3, 0.1])
    if kind == "last bits":
        return 1 + rng.integers(-1, 2, (n, dim)) * 2.0**-23
    return x * {"tiny": 2.0**-60, "huge": 2.0**55}.get(kind, 1)


def on_grid(x, how):
    """Vectors as the definition rounds them, in whole multiples of a power of two, and that power."""
    b = (53 - math.ceil(math.log2(x.shape[1]))) // 2
    rows = (x - Similarities(x, how).centre if how == "nns" else x).tolist()
    units, grid = [], []
    for row in rows:
        unit = Fraction(2) ** (math.frexp(max(map(abs, row)))[1] - b)
        whole = [round(Fraction(value) / unit) for value in row]
        if how == "mcss":
            length = math.sqrt(sum(v * v for v in whole)) or 1.0
            unit = Fraction(1, 2**b)
            whole = [round(Fraction(v / length) / unit) for v in whole]
        assert sum(v * v for v in whole) <= 2**53
        units.append(unit)
        grid.append(whole)
    least = min(units)
    return [[v * int(unit / least) for v in row] for unit, row in zip(units, grid, strict=True)], least


def similarity(how, query, other):
    """Number that is larger the more similar two vectors are, by Python's integers."""
    product, square = (sum(map(lambda a, b: a * b, other, one)) for one in (query, other))
    if how == "nns":
        return 2 * product - square
    return product if how == "mips" else float(product) / (math.sqrt(square) or 1.0)


def exact_order(grid, how, query, left_out=()):
    """All other clips, best first, equal ones in row order."""
    keys = [(-similarity(how, query, other), i) for i, other in enumerate(grid) if i not in left_out]
    return [i for _, i in sorted(keys)]


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, 2, 8, 9, 16, 17, 100])
def test_the_order_is_that_of_whole_numbers(how, kind, dim):
    x = embeddings(kind, 40, dim, seed=dim)
    grid, _ = on_grid(x, how)
    found = rank(x, how, top_n=39).neighbours
    for query in range(0, 40, 6):
        assert found[query].tolist() == exact_order(grid, how, grid[query], {query})


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("dim", [512, pytest.param(6144, marks=pytest.mark.slow)])
def test_the_order_is_that_of_whole_numbers_in_many_dimensions(how, dim):
    x = embeddings("clustered", 12, dim)
    grid, _ = on_grid(x, how)
    found = rank(x, how, top_n=11).neighbours
    for query in (0, 7):
        assert found[query].tolist() == exact_order(grid, how, grid[query], {query})


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [8, 100])
def test_a_long_corpus_keeps_the_exact_order(how, kind, dim):
    """Where the filter leaves out most clips, and for copies can't tell which: against all exact keys."""
    n = 700
    x = embeddings(kind, n, dim)
    similarities = Similarities(x, how)
    rows, columns = np.arange(n), np.broadcast_to(np.arange(n), (n, n))
    key, rest = similarities.keys(rows, columns)
    own = np.eye(n, dtype=bool)
    order = np.lexsort((columns, -rest, np.where(own, np.inf, -key)))
    for top_n in (1, 30):
        np.testing.assert_array_equal(rank(x, how, top_n=top_n).neighbours, order[:, :top_n])


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_similarity_lies_within_the_bounds_of_the_filter(how, kind):
    x = embeddings(kind, 300, 37)
    similarities = Similarities(x, how)
    rows, columns = np.arange(300), np.broadcast_to(np.arange(300), (300, 300))
    key, _ = similarities.keys(rows, columns)
    (_, upper), *others = similarities.bands(rows)
    assert not others
    compared, rounding = ~np.eye(300, dtype=bool), 2.0**-52 * np.abs(key)
    key -= similarities.offsets(rows)[:, None]
    assert (key - rounding <= upper)[compared].all()
    assert (key + rounding >= upper - similarities.slack(rows, columns))[compared].all()
    assert (similarities.slack(rows, columns) <= similarities.slack(rows)).all()


@pytest.mark.parametrize("how", SEARCHES)
def test_scores_are_the_exact_ones_rounded_once(how):
    x = embeddings("random", 60, 24)
    (grid, unit), found = on_grid(x, how), rank(x, how, top_n=59)
    for query, (neighbours, scores) in enumerate(zip(found.neighbours, found.scores, strict=True)):
        for other, score in zip(neighbours, scores, strict=True):
            exact = similarity(how, grid[query], grid[other])
            if how == "nns":
                exact = math.sqrt(sum(v * v for v in grid[query]) - exact) * unit
            elif how == "mips":
                exact *= unit**2
            else:
                exact /= math.sqrt(sum(v * v for v in grid[query]))
            assert score == np.float32(float(exact))


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_query_from_outside_finds_what_the_same_clip_finds(how, kind):
    x = embeddings(kind, 90, 12)
    inside = rank(x, how, top_n=89).neighbours
    outside = rank_outside(x, x, how, top_n=90).neighbours
    for query, row in enumerate(outside):
        assert row[row != query].tolist() == inside[query].tolist()


def test_a_faint_query_loses_no_bits():
    x, queries = embeddings("random", 50, 9), embeddings("random", 20, 9, seed=1)
    plain, faint = (rank_outside(x, queries * by, "mips") for by in (1, 2.0**-90))
    np.testing.assert_array_equal(faint.neighbours, plain.neighbours)
    np.testing.assert_array_equal(faint.scores, plain.scores * np.float32(2.0**-90))


@pytest.mark.parametrize("how", SEARCHES)
def test_a_silent_query_finds_all_clips_alike(how):
    x = embeddings("random", 100, 100)
    x[60:65] *= 10
    x /= 1 if how == "mips" else np.linalg.norm(x, axis=1, keepdims=True)
    found = rank_outside(x, np.zeros((1, 100)), how, 3)
    if how != "nns":
        np.testing.assert_array_equal((found.neighbours, found.scores), ([[0, 1, 2]], [[0, 0, 0]]))
    x[0] = 0
    labels = scipy.sparse.csr_array(np.isin(np.arange(100), [0, 5])[:, None])
    wide, narrow = (metrics.per_query(x, labels, search=how, cutoffs=(n,))[0].first_rank[0] for n in (99, 1))
    assert wide == narrow
    assert how == "nns" or wide == 5


def test_scores_beside_no_clip_are_nan():
    found = rank(np.eye(3), "nns", 2, groups=np.array([0, 0, 1]))
    np.testing.assert_array_equal(found.neighbours, [[2, -1], [2, -1], [0, 1]])
    np.testing.assert_array_equal(np.isnan(found.scores), found.neighbours < 0)


@pytest.mark.parametrize("exponents", [(1000, -100), (1000, -1000), (-1000, 1000)])
def test_queries_far_from_the_scale_of_the_clips_keep_their_bits(exponents):
    x, query = np.array([[1.0, 0], [0.5, 1], [2, 1]]), np.array([[1.0, 0]])
    clips, asked = np.ldexp(x, exponents[0]), np.ldexp(query, exponents[1])
    if sum(exponents):
        with pytest.raises(ValueError, match="beyond float32"):
            rank_outside(clips, asked, "mips", 3)
    else:
        found = rank_outside(clips, asked, "mips", 3)
        np.testing.assert_array_equal((found.neighbours[0], found.scores[0]), ([2, 0, 1], [2, 1, 0.5]))


def test_one_loud_clip_takes_no_bits_from_faint_ones():
    x = embeddings("random", 50, 9)
    x[7] = 2.0**40
    for how in SEARCHES:
        grid, _ = on_grid(x, how)
        found = rank(x, how, top_n=49).neighbours
        assert all(found[q].tolist() == exact_order(grid, how, grid[q], {q}) for q in (0, 7, 20))


@pytest.mark.parametrize("how", SEARCHES)
def test_more_copies_than_the_filter_keeps_are_in_row_order(how):
    x = np.repeat(embeddings("random", 3, 6), 4 * SPARE, axis=0)
    found = rank(x, how, top_n=5).neighbours
    np.testing.assert_array_equal(found[1], [0, 2, 3, 4, 5])
    np.testing.assert_array_equal(found[4 * SPARE + 2, :2], [4 * SPARE, 4 * SPARE + 1])


def test_parallel_vectors_of_whole_numbers_have_one_cosine():
    x = np.outer(np.arange(1, 30), np.arange(-4, 9))
    np.testing.assert_array_equal(rank(x, "mcss", top_n=28).neighbours[3], np.delete(np.arange(29), 3))


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("kind", ["random", "copies", "mixed"])
def test_results_are_equal_for_any_blocks_threads_and_storage(how, kind, tmp_path):
    x = embeddings(kind, 300, 33).astype(np.float32)
    np.save(tmp_path / "x.npy", x)
    labels = scipy.sparse.csr_array(np.random.default_rng(2).random((300, 6)) < 0.02)
    plain, scored = rank(x, how, 20), metrics.per_query(x, labels, search=how, cutoffs=(3,))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for at_a_time, n_threads in zip([(1, 97), (64, 7), (300, 300)], [2, 1, 1], strict=True):
        with threadpoolctl.threadpool_limits(n_threads):
            found = rank(mapped, how, 20, at_a_time=at_a_time)
            others = metrics.per_query(x, labels, search=how, cutoffs=(3,), at_a_time=at_a_time)
        np.testing.assert_array_equal(found.neighbours, plain.neighbours)
        np.testing.assert_array_equal(found.scores, plain.scores)
        for one, other in zip(scored, others, strict=True):
            np.testing.assert_array_equal(one.first_rank, other.first_rank)
    one_query = [rank(x, how, 20, queries=[row]).neighbours[0] for row in (0, 150, 299)]
    np.testing.assert_array_equal(one_query, plain.neighbours[[0, 150, 299]])


DIGESTS = """
import hashlib, sys
sys.path.insert(0, {tests!r})
import numpy as np, scipy.sparse, threadpoolctl
from sss_lib import metrics
from sss_lib.search.frames import rank_frames
from sss_lib.search.rank import rank
from test_similarity import embeddings
digest = hashlib.sha256()
for kind in ("random", "clustered", "copies", "mixed"):
    for dim in (24, 257):
        x = embeddings(kind, 497, dim).astype(np.float32)
        labels = scipy.sparse.csr_array(np.random.default_rng(2).random((497, 40)) < 0.005)
        for how in ("nns", "mips", "mcss"):
            found = rank(x, how, 30)
            digest.update(found.neighbours.tobytes() + found.scores.tobytes())
            for one in metrics.per_query(x, labels, search=how, cutoffs=(3,)):
                digest.update(one.first_rank.tobytes() + one.precision_sums[3].tobytes())
        for how in ("mcss-csls10", "mcss-ls10", "mcss-mp", "mcss-qe5", "mcss-dba10"):
            found = rank(x, how, 30)
            digest.update(found.neighbours.tobytes() + found.scores.tobytes())
        found = rank_frames(x, np.arange(0, 498, 7), "chamfer", 30)
        digest.update(found.neighbours.tobytes() + found.scores.tobytes())
kernels = [one.get("architecture") for one in threadpoolctl.threadpool_info()]
print(digest.hexdigest(), *kernels)
"""


@pytest.mark.slow
def test_rankings_and_ranks_are_equal_to_the_bit_on_every_kernel_of_blas(pytestconfig):
    """Kernels for processors with AVX-512, AVX2, AVX and SSE alone, as far as this one runs them."""
    code = DIGESTS.format(tests=str(pytestconfig.rootpath / "tests" / "search"))
    found = {}
    own = {one.get("architecture") for one in threadpoolctl.threadpool_info()}
    for kernel in ("SkylakeX", "Haswell", "Sandybridge", "Nehalem", ""):  # the last for any other
        if not kernel and own & found.keys():
            continue
        env = {**os.environ, "OPENBLAS_CORETYPE": kernel}
        child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
        if child.returncode == 0:  # a processor without the instructions ends it
            digest, *kernels = child.stdout.split()
            found[kernels[0] if kernels else kernel] = digest
    assert len(set(found.values())) == 1, found
    assert len(found) > 1 or sys.platform == "darwin", f"only one kernel ran: {found}"


def test_bits_are_those_of_the_definition():
    """b = (53 - ceil(log2 dim)) // 2, so that dim products of 2 b bits are at most 2**53."""
    assert [n_bits(dim) for dim in (1, 2, 3, 100, 128, 129, 6144)] == [26, 26, 25, 23, 23, 22, 20]
    assert all(dim * 4 ** n_bits(dim) <= 2**53 for dim in range(1, 7000))
