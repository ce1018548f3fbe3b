"""Maps keep what is near near, and are the same each time."""

import numpy as np
import pytest
import threadpoolctl

from sss_lib import projection, search

RNG = np.random.default_rng(0)
BLOBS = np.concatenate([RNG.normal(centre, 0.1, (20, 8)) for centre in (-3, 0, 3)])


@pytest.mark.parametrize("how", projection.METHODS)
def test_groups_stay_together_and_the_map_is_the_same_each_time(how):
    points = projection.project(BLOBS, how)
    np.testing.assert_array_equal(points, projection.project(BLOBS, how))
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (distance.argmin(axis=1) // 20 == np.arange(60) // 20).all()
    assert points.std(axis=0).max() == pytest.approx(1)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-5)


def test_pca_equals_scikit_learns_up_to_sign():
    decomposition = pytest.importorskip("sklearn.decomposition")
    expected = decomposition.PCA(2, svd_solver="full").fit_transform(BLOBS)
    points = projection.project(BLOBS, "pca")
    expected /= expected.std(axis=0).max()
    np.testing.assert_allclose(np.abs(points), np.abs(expected), atol=1e-5)


def test_one_dimension_and_equal_clips_make_a_map():
    assert projection.project(np.arange(5.0)[:, None], "pca")[:, 1].tolist() == [0] * 5
    assert np.isfinite(projection.project(np.zeros((5, 3)), "pca")).all()
    assert projection.project(np.array([[1.0], [2.0]])).tolist() == [[-1, 0], [1, 0]]


@pytest.mark.parametrize("how", projection.METHODS)
def test_a_map_of_faint_or_huge_embeddings_is_that_of_others(how):
    """All of them are scaled to the same numbers, as a power of two rounds nothing."""
    maps = [projection.project(np.ldexp(BLOBS, exponent), how) for exponent in (-600, -90, 60, 120, 700)]
    for points in maps:
        np.testing.assert_array_equal(points, maps[0])
    distance = np.linalg.norm(maps[0][:, None] - maps[0][None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (distance.argmin(axis=1) // 20 == np.arange(60) // 20).all()


@pytest.mark.parametrize(
    ("x", "how", "message"),
    [(BLOBS, "umap", "'umap' is unknown: use one of tsne, pca"), (BLOBS[:1], "pca", "1 clip.s. make no map")],
)
def test_what_makes_no_map_is_refused(x, how, message):
    with pytest.raises(ValueError, match=message):
        projection.project(x, how)


def test_a_map_of_many_clips_is_the_same_each_time_and_keeps_groups(monkeypatch):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 10)) + 20 * np.repeat(np.eye(10)[:6], 50, axis=0)
    slow = projection.project(x)
    monkeypatch.setattr(projection, "MANY", 200)
    first, again = projection.project(x), projection.project(x)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, slow)
    group = np.arange(300) // 50
    nearest = search.rank(first, "nns", 10).neighbours
    assert (group[nearest] == group[:, None]).mean() > 0.99


def test_the_map_of_few_clips_takes_one_thread_and_leaves_others_theirs(monkeypatch):
    manifold = pytest.importorskip("sklearn.manifold")
    projection.project(BLOBS)  # loads what has threads
    fit, seen = manifold.TSNE.fit_transform, []

    def n_threads():
        return [one["num_threads"] for one in threadpoolctl.threadpool_info() if one["user_api"] == "openmp"]

    monkeypatch.setattr(
        manifold.TSNE, "fit_transform", lambda *given: seen.append(n_threads()) or fit(*given)
    )
    with threadpoolctl.threadpool_limits(2, "openmp"):
        projection.project(BLOBS)
        monkeypatch.setattr(projection, "FEW", 9)
        projection.project(BLOBS)
        assert set(n_threads()) == {2}
    assert [set(one) for one in seen] == [{1}, {2}]
