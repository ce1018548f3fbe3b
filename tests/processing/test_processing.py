import itertools

import numpy as np
import pytest

from sss_lib import processing, search
from sss_lib.experiment import Variant
from sss_lib.experiment.store import Frames, Store
from sss_lib.processing.transforms import most_components

TRANSFORMED = ["center", "standardize", "whiten", "whiten-shrunk", "remove-top-1", "remove-top-3"]
FRAMES = np.array([[1.0, 5.0], [3.0, 1.0], [8.0, 0.0], [7.0, 7.0]], np.float32)
OFFSETS = np.array([0, 3, 4])


@pytest.mark.parametrize(
    ("how", "first"), [("mean", [4.0, 2.0]), ("max", [8.0, 5.0]), ("median", [3.0, 1.0])]
)
def test_aggregation_by_hand(how, first):
    np.testing.assert_array_equal(processing.aggregate(FRAMES, OFFSETS, how), [first, [7.0, 7.0]])


@pytest.mark.parametrize("most_mb", [0, 1])
def test_fitting_within_a_limit_is_by_parts_beyond_it(most_mb):
    x = np.random.default_rng(0).normal(size=(60, 8)).astype(np.float32)
    parts = [x[:40], x[40:]]
    found = processing.fit_within(parts, most_mb, 3)
    expected = processing.fit(x, 3) if most_mb else processing.fit_parts(parts, 3)
    np.testing.assert_array_equal(found.components, expected.components)


def test_each_step_is_what_process_does_so_far():
    x = np.random.default_rng(0).normal(3, 1, size=(30, 6)).astype(np.float32)
    steps = processing.steps(x, 2)
    np.testing.assert_array_equal(steps["raw"], x)
    np.testing.assert_allclose(steps["centred"].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(steps["PCA"], processing.process(x, 2, normalize=False))
    np.testing.assert_allclose(np.linalg.norm(steps["unit length"], axis=1), 1, rtol=1e-6)
    assert processing.steps(x)["PCA"].shape == (30, 6)


LOOPS = {
    "mean": np.mean,
    "max": np.max,
    "median": np.median,
    "meanstd": lambda clip, axis: np.concatenate([clip.mean(axis), clip.std(axis)]),
}


@pytest.mark.parametrize("how", LOOPS)
def test_aggregation_equals_a_loop_over_clips(how):
    rng = np.random.default_rng(0)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, 9, 50))])
    frames = rng.normal(size=(offsets[-1], 7)).astype(np.float32)
    clips = [frames[a:b] for a, b in itertools.pairwise(offsets)]
    expected = [LOOPS[how](clip, axis=0) for clip in clips]
    np.testing.assert_allclose(processing.aggregate(frames, offsets, how), expected, rtol=1e-5, atol=1e-6)


def plainly_selected(levels, which):
    """Places of a clip's loudest quarter of frames, or of those from the onset on, one frame at a time."""
    if which == "onset":
        first = next(i for i, level in enumerate(levels) if level >= max(levels) / 100)
        return list(range(first, len(levels)))
    n_kept = next(n for n in range(1, len(levels) + 1) if 4 * n >= len(levels))
    return sorted(sorted(range(len(levels)), key=lambda i: (-levels[i], i))[:n_kept])


@pytest.mark.parametrize("which", ["loudest", "onset"])
@pytest.mark.parametrize("how", LOOPS)
def test_an_aggregation_of_selected_frames_equals_a_loop_over_clips(how, which):
    rng = np.random.default_rng(1)
    offsets = np.concatenate([[0], np.cumsum(rng.integers(1, 12, 60))])
    frames = rng.normal(size=(offsets[-1], 5)).astype(np.float32)
    levels = 4.0 ** rng.integers(-6, 1, offsets[-1])  # many are equal
    levels[offsets[7] : offsets[8]] = 0  # a silent clip
    found = processing.aggregate(frames, offsets, f"{how}-{which}", levels)
    kept = [plainly_selected(levels[a:b].tolist(), which) for a, b in itertools.pairwise(offsets)]
    assert any(len(one) < n for one, n in zip(kept, np.diff(offsets), strict=True))
    expected = [LOOPS[how](frames[a:][rows], axis=0) for a, rows in zip(offsets, kept, strict=False)]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_single_frames_need_no_level_and_several_do():
    np.testing.assert_array_equal(processing.aggregate(FRAMES, np.arange(5), "max-onset"), FRAMES)
    with pytest.raises(ValueError, match="'mean-onset' selects frames by the level of the audio: give their"):
        processing.aggregate(FRAMES, OFFSETS, "mean-onset")
    with pytest.raises(ValueError, match="3 levels of 4 frames: give each frame its own"):
        processing.aggregate(FRAMES, OFFSETS, "mean-onset", np.ones(3))


@pytest.mark.parametrize("how", ["max-onset", "mean-onset", "median-loudest"])
@pytest.mark.parametrize(
    ("levels", "message"),
    [
        ([np.nan, 1, 1, 1], r"1 of 4 levels are not finite \(first: row 0\)"),
        ([1, 1, 1, np.inf], r"1 of 4 levels are not finite \(first: row 3\)"),
        ([1, -1, -2, -2], "a level of -2 is below 0: give the power of each frame's audio"),
    ],
)
def test_levels_that_are_no_power_are_refused(levels, message, how):
    with pytest.raises(ValueError, match=message):
        processing.aggregate(FRAMES, OFFSETS, how, np.array(levels))


def test_levels_of_small_integers_do_not_run_over():
    frames, levels = np.arange(4.0)[:, None], np.array([2, 3, 4, 250], np.uint8)  # 100 times 3 is 44 in uint8
    assert processing.aggregate(frames, np.array([0, 4]), "mean-onset", levels).item() == 2


def test_none_takes_single_frames_as_they_are():
    np.testing.assert_array_equal(processing.aggregate(FRAMES, np.arange(5), "none"), FRAMES)


@pytest.mark.parametrize(
    ("frames", "offsets", "how", "message"),
    [
        (FRAMES, OFFSETS, "none", "clip 0 has 3"),
        (FRAMES, OFFSETS, "avg", "'avg' is unknown"),
        (FRAMES, np.array([0, 3]), "mean", "there are 4 frames"),
        (FRAMES, np.array([0, 0, 4]), "max", "clip 0 has 0 frames"),
        (np.array([[1.0], [np.nan]]), np.array([0, 2]), "mean", "first: row 1"),
    ],
)
def test_frames_that_do_not_fit_are_refused(frames, offsets, how, message):
    with pytest.raises(ValueError, match=message):
        processing.aggregate(frames, offsets, how)


def plainly_normalised(x):
    """What `l2_normalize` does to rows whose squares are neither 0 nor inf."""
    length = np.sqrt(np.einsum("ij,ij->i", x, x, dtype=np.float64))[:, None]
    return np.divide(x, length, out=np.zeros_like(x), where=length > 0, casting="unsafe")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 1e5, 1e30])
def test_ordinary_rows_are_normalised_to_the_very_bit(dtype, scale):
    x = np.random.default_rng(5).normal(size=(400, 130)).astype(dtype) * dtype(scale)
    x[:, ::7] = np.nextafter(dtype(0), dtype(1))  # the least number there is
    x[3] = 0
    for some in (x, x[:, 5:90], x[::3], np.asfortranarray(x)):
        normalised = processing.l2_normalize(some)
        assert normalised.dtype == dtype
        np.testing.assert_array_equal(normalised, plainly_normalised(some))


@pytest.mark.parametrize("dtype", [np.int8, np.int64, np.uint16, np.float16])
def test_whole_and_half_numbers_are_normalised_as_their_values(dtype):
    x = np.array([[3, 4], [0, 0], [120, 5]], dtype)
    expected = [[0.6, 0.8], [0, 0], [120 / np.hypot(120, 5), 5 / np.hypot(120, 5)]]
    assert processing.l2_normalize(x).dtype == np.result_type(dtype, np.float32)
    for normalised in (processing.l2_normalize(x), processing.process(x, pre_normalize=True)):
        np.testing.assert_allclose(normalised, expected, rtol=1e-6)


@pytest.mark.parametrize("size", [1e200, 1e-170, 1e308, 5e-324])
def test_rows_whose_squares_no_number_holds_are_normalised(size):
    x = np.array([[1.0, 1.0], [3.0, 4.0], [0.0, 0.0]]) * [[size], [1.0], [1.0]]
    expected = [[np.sqrt(0.5), np.sqrt(0.5)], [0.6, 0.8], [0, 0]]
    np.testing.assert_allclose(processing.l2_normalize(x), expected, rtol=1e-15)


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_pca_equals_scikit_learns_up_to_sign(shape):
    from sklearn.decomposition import PCA

    x = np.random.default_rng(1).normal(5, 1, size=shape)
    theirs = PCA(4, svd_solver="full").fit_transform(x)
    reduced = processing.process(x, n_components=4, normalize=False)
    sign = np.sign((reduced * theirs).sum(axis=0))
    np.testing.assert_allclose(reduced, theirs * sign, atol=1e-5)


@pytest.mark.parametrize("of_parts", [False, True])
@pytest.mark.parametrize("normalize", [True, False])
def test_the_first_dimensions_are_cut_out_as_they_are(normalize, of_parts):
    x = np.random.default_rng(3).normal(size=(7, 5)) + 4
    of = (None, normalize, False, False, "first-3")
    fitted = processing.fit_parts([x[:4], x[4:]], *of) if of_parts else processing.fit(x, *of)
    expected = x[:, :3] / (np.linalg.norm(x[:, :3], axis=1, keepdims=True) if normalize else 1)
    np.testing.assert_allclose(fitted(x), expected, rtol=1e-6)


def distances(x):
    return np.linalg.norm(x[:, None] - x[None], axis=2)


def spread(n_clips, dim, seed=11):
    """Correlated features of unlike spreads, far from zero."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n_clips, dim)) @ rng.normal(size=(dim, dim)) * np.geomspace(1, 30, dim) + 100


@pytest.mark.parametrize("transform", ["center", "standardize"])
def test_centring_and_z_scores_equal_scikit_learns(transform):
    from sklearn.preprocessing import StandardScaler

    x = spread(40, 6)
    x[:, 2] = 0.1  # a mean that isn't exact, and nothing varies
    theirs = StandardScaler(with_std=transform == "standardize").fit_transform(x)
    found = processing.process(x, normalize=False, transform=transform)
    np.testing.assert_allclose(found, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("n_components", [None, 3])
def test_whitening_equals_scikit_learns_up_to_sign(n_components):
    from sklearn.decomposition import PCA

    x = spread(40, 6)
    theirs = PCA(n_components, whiten=True, svd_solver="full").fit_transform(x)
    found = processing.process(x, n_components, normalize=False, whiten=True)
    np.testing.assert_allclose(found * np.sign((found * theirs).sum(axis=0)), theirs, atol=1e-5)


@pytest.mark.parametrize("shape", [(40, 6), (12, 30)])
def test_shrunk_whitening_gives_the_distances_of_the_covariance_of_ledoit_and_wolf(shape):
    """Also to a new clip, which varies where those that were fitted don't."""
    from scipy.spatial.distance import cdist
    from sklearn.covariance import LedoitWolf

    x = spread(shape[0] + 1, shape[1])
    precision = LedoitWolf().fit(x[:-1]).precision_
    fitted = processing.fit(x[:-1], normalize=False, transform="whiten-shrunk")
    np.testing.assert_allclose(distances(fitted(x)), cdist(x, x, "mahalanobis", VI=precision), rtol=1e-4)


@pytest.mark.parametrize("n_components", [2, 5])
def test_shrunk_whitening_with_pca_divides_each_component_by_its_shrunk_deviation(n_components):
    from sklearn.covariance import LedoitWolf
    from sklearn.decomposition import PCA

    x = spread(40, 6)
    pca = PCA(n_components, svd_solver="full").fit(x)
    shrunk = np.einsum("ij,jk,ik->i", pca.components_, LedoitWolf().fit(x).covariance_, pca.components_)
    found = processing.process(x, n_components, normalize=False, transform="whiten-shrunk")
    np.testing.assert_allclose(abs(found), abs(pca.transform(x) / np.sqrt(shrunk)), rtol=1e-4, atol=1e-5)


def test_shrinkage_by_hand():
    """Clips (2, 1), (-2, 1), (0, -2): S = diag(8, 6) / 3, m = 7/3, |S - mI|^2 = 2/9; b is larger, so 1."""
    x = np.array([[2.0, 1.0], [-2.0, 1.0], [0.0, -2.0]]) + 5
    found = processing.process(x, normalize=False, transform="whiten-shrunk")
    np.testing.assert_allclose(found, (x - 5) / np.sqrt(7 / 3), rtol=1e-6)


@pytest.mark.parametrize("constant", [0, 2, 4])
@pytest.mark.parametrize("transform", [*TRANSFORMED[:2], "whiten-shrunk", "remove-top-1"])
@pytest.mark.parametrize("n_components", [None, 1, 2])
def test_rounding_is_not_amplified_where_clips_are_few_or_features_constant(
    constant, transform, n_components
):
    """Two ways of adding up round differently: where they agree, what they give is not rounding."""
    for n_clips, normalize, pre in itertools.product([2, 3, 5], [False, True], [False, True]):
        x = spread(n_clips, 4).astype(np.float32)
        x[:, :constant] = np.float32(0.1)
        of = (n_components, normalize, pre, False, transform)
        if n_components and n_components > most_components(transform, n_clips, 4):
            continue
        found, parted = processing.fit(x, *of)(x), processing.fit_parts([x[:1], x[1:]], *of)(x)
        assert abs(found).max() < 100
        np.testing.assert_allclose(found @ found.T, parted @ parted.T, rtol=1e-3, atol=1e-3)
        if constant == 4 and not pre:
            assert not found.any()


@pytest.mark.parametrize(("k", "n_components"), [(1, None), (3, None), (3, 2)])
def test_the_first_components_are_removed(k, n_components):
    from sklearn.decomposition import PCA

    x = spread(40, 6)
    pca = PCA(svd_solver="full").fit(x)
    kept = pca.transform(x)[:, k:][:, :n_components]
    found = processing.process(x, n_components, normalize=False, transform=f"remove-top-{k}")
    np.testing.assert_allclose(distances(found), distances(kept), atol=1e-3)
    if n_components is None:
        back = x - pca.mean_ - pca.transform(x)[:, :k] @ pca.components_[:k]
        np.testing.assert_allclose(found, back, atol=1e-3)


@pytest.mark.parametrize("how", ["mips", "mcss", "nns"])
def test_pca_to_all_dimensions_ranks_as_centring_alone(how):
    x = spread(40, 6)
    whole, centred = (
        search.rank(processing.process(x, n, normalize=False, transform=transform), how, top_n=39)
        for n, transform in ((6, "none"), (None, "center"))
    )
    np.testing.assert_array_equal(whole.neighbours, centred.neighbours)


@pytest.mark.parametrize("transform", TRANSFORMED)
@pytest.mark.parametrize("n_components", [None, 1, 4])
@pytest.mark.parametrize("size", [1, 7, 40])
def test_fitting_parts_transforms_as_fitting_all(transform, n_components, size):
    x = spread(40, 8).astype(np.float32)
    parts = [x[start : start + size] for start in range(0, 40, size)]
    for before in ((False, False), (True, False), (False, True)):
        of = n_components, False, *before, transform
        whole, by_parts = processing.fit(x, *of), processing.fit_parts(parts, *of)
        found, expected = by_parts(x), whole(x)
        found = found if n_components is None and transform != "whiten" else abs(found)
        expected = expected if n_components is None and transform != "whiten" else abs(expected)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * abs(expected).max())
        assert whole.columns().keys() == by_parts.columns().keys()


def test_features_are_scaled_before_anything_else():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(20, 5)) * [1, 1e6, 1e-6, 1, 0]
    low, high = x.min(axis=0), x.max(axis=0)
    scaled = np.where(high > low, (x - low) / np.where(high > low, high - low, 1), 0)
    expected = processing.process(scaled, 3)
    np.testing.assert_allclose(processing.process(x, 3, scale=True), expected, atol=1e-6)


def test_pre_normalisation_happens_before_pca():
    x = np.random.default_rng(2).normal(size=(30, 8)) * np.arange(1, 31)[:, None]
    length = np.linalg.norm(x, axis=1, keepdims=True)
    both = processing.process(x, n_components=4, normalize=False, pre_normalize=True)
    np.testing.assert_allclose(
        both, processing.process(x / length, n_components=4, normalize=False), atol=1e-6
    )


ROW_OF_INF = np.where(np.arange(16).reshape(4, 4) == 9, np.inf, 1)


@pytest.mark.parametrize(
    ("x", "n_components", "scale", "message"),
    [
        (np.eye(30, 8), 200, False, "n_components=200 exceeds dim=8: use at most 8"),
        (np.eye(30, 8), 0, False, "n_components=0 is below 1, with dim=8: use at most 8"),
        (np.eye(5, 8), 7, False, "n_components=7 exceeds n_clips=5"),
        (ROW_OF_INF, 2, True, r"1 of \d embeddings are not finite \(first: row [02]"),
        (np.ones((0, 4)), None, True, "0 clips have no range to scale their features by: give at least one"),
    ],
)
def test_embeddings_that_cannot_be_fitted_are_refused(x, n_components, scale, message):
    with pytest.raises(ValueError, match=message):
        processing.process(x, n_components, scale=scale)
    with pytest.raises(ValueError, match=message):
        processing.fit_parts([x[:2], x[2:]], n_components, scale=scale)


@pytest.mark.parametrize(
    ("shape", "n_components", "transform", "message"),
    [
        (
            (9, 8),
            None,
            "whiten",
            "in all 8 dimensions, 9 clips would be equally far .* at most 7, or whiten-sh",
        ),
        ((9, 8), 8, "whiten", "n_components=8 is too many for dim=8 with transform=whiten: use at most 7"),
        ((9, 8), 6, "remove-top-3", "n_components=6 is too many for dim=8 with .*: use at most 5, or none"),
        ((9, 8), None, "remove-top-8", "transform=remove-top-8 leaves nothing of dim=8 and n_clips=9"),
        ((0, 8), None, "center", "0 clips have no mean: give at least one"),
        ((9, 8), None, "centre", "did you mean 'center'"),
        ((9, 8), None, "remove-top-K", "give a whole number from 1, as in remove-top-3"),
        ((9, 8), None, "first-0", "give a whole number from 1, as in first-3"),
        ((9, 8), None, "first-9", "transform=first-9 exceeds dim=8: keep at most 8"),
        ((9, 8), 3, "first-4", "transform=first-4 and n_components=3 both cut: give one"),
    ],
)
def test_transforms_that_cannot_be_are_refused(shape, n_components, transform, message):
    x = np.random.default_rng(8).normal(size=shape)
    with pytest.raises(ValueError, match=message):
        processing.process(x, n_components, transform=transform)
    with pytest.raises(ValueError, match=message):
        processing.fit_parts([x[:2], x[2:]], n_components, transform=transform)


def test_more_whitened_components_than_the_embeddings_vary_in_are_refused():
    x = np.random.default_rng(9).normal(size=(40, 3)) @ np.random.default_rng(10).normal(size=(3, 8))
    assert processing.process(x, whiten=True).shape == (40, 3)
    with pytest.raises(ValueError, match="n_components=4 exceeds the rank 3 of the embeddings"):
        processing.process(x, 4, whiten=True)


@pytest.mark.parametrize("n_components", [None, 2])
def test_embeddings_that_are_all_alike_cannot_be_whitened(n_components):
    x = np.ones((9, 4))
    for fit in (
        lambda: processing.process(x, n_components, whiten=True),
        lambda: processing.fit_parts([x[:4], x[4:]], n_components, transform="whiten"),
    ):
        with pytest.raises(ValueError, match="all 9 embeddings are alike, and can't be whitened"):
            fit()


def test_two_words_for_two_transforms_are_refused():
    with pytest.raises(ValueError, match="transform='standardize' and whiten=True are two transforms"):
        processing.process(np.eye(5), transform="standardize", whiten=True)


def test_parts_that_cannot_be_fitted_are_refused():
    with pytest.raises(ValueError, match="generator can be read once"):
        processing.fit_parts((np.eye(3) for _ in range(2)), 2)
    with pytest.raises(ValueError, match="0 clips have no 3 components: give at least as many"):
        processing.fit_parts([], 3)


@pytest.mark.parametrize("flags", list(itertools.product([None, 4], *[[True, False]] * 3)))
def test_a_new_clip_goes_through_what_was_fitted(flags):
    x = np.random.default_rng(4).normal(3, 2, size=(30, 8))
    fitted = processing.fit(x[:29], *flags)
    np.testing.assert_array_equal(fitted(x[:29]), processing.process(x[:29], *flags))
    n_components, normalize, pre_normalize, scale = flags
    y = x[29:]
    if scale:
        y = (y - x[:29].min(axis=0)) / (x[:29].max(axis=0) - x[:29].min(axis=0))
    if pre_normalize:
        y = y / np.linalg.norm(y)
    if n_components:
        y = (y - fitted.mean) @ fitted.components
    expected = y / np.linalg.norm(y) if normalize else y
    np.testing.assert_allclose(fitted(x[29:]), expected, atol=1e-6)


@pytest.mark.parametrize("transform", ["none", *TRANSFORMED])
@pytest.mark.parametrize(("n_components", "scale"), [(4, True), (4, False), (None, True), (None, False)])
def test_what_was_fitted_is_kept_beside_the_embeddings(tmp_path, n_components, scale, transform):
    store, variant = (
        Store(tmp_path),
        Variant("logmel", "none", n_components, scale=scale, transform=transform),
    )
    x = np.random.default_rng(5).normal(size=(30, 8))
    fitted = processing.fit(x, n_components, scale=scale, transform=transform)
    store.dataset("own").write({"fname": ["a"]})
    store.frames("own", "logmel").write({"part": ["part-00000.parquet"]})
    store.fitted("own", variant).write(fitted.columns())
    np.testing.assert_array_equal(store.read_fitted("own", variant)(x), fitted(x))


@pytest.mark.parametrize("flags", list(itertools.product([None, 1, 4, 8], *[[True, False]] * 3)))
@pytest.mark.parametrize("size", [1, 7, 40])
def test_fitting_parts_equals_fitting_all(flags, size):
    x = (np.random.default_rng(6).normal(size=(40, 8)) * np.arange(1, 9) + 1000).astype(np.float32)
    parts = [x[start : start + size] for start in range(0, 40, size)]
    whole, by_parts = processing.fit(x, *flags), processing.fit_parts(parts, *flags)
    np.testing.assert_allclose(np.vstack([by_parts(part) for part in parts]), whole(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
def test_fitting_parts_equals_fitting_all_at_the_size_of_a_model(normalize):
    """512 dimensions of which the last differ a ten-thousandth of the first, memory-mapped or not."""
    rng = np.random.default_rng(7)
    spread = np.geomspace(1, 1e-4, 512)
    x = ((rng.normal(size=(2000, 512)) * spread) @ np.linalg.qr(rng.normal(size=(512, 512)))[0]).astype("f4")
    parts = [x[start : start + 300] for start in range(0, 2000, 300)]
    expected = processing.fit(x, 100, normalize)(x)
    found = processing.fit_parts(parts, 100, normalize)(x)
    sign = np.sign((found * expected).sum(axis=0))
    np.testing.assert_allclose(found * sign, expected, atol=1e-5)


def test_clips_are_aggregated_a_part_at_a_time():
    parts = [
        Frames(["a", "b"], FRAMES, OFFSETS),
        Frames(["c"], FRAMES[:1], np.array([0, 1])),
    ]
    clips = processing.Aggregated(parts, "mean")
    for _ in range(2):
        np.testing.assert_array_equal(np.vstack(list(clips)), [[4, 2], [7, 7], [1, 5]])


def test_a_part_without_clips_changes_nothing():
    x = np.random.default_rng(0).normal(size=(30, 4))
    some, all_ = (processing.fit_parts(parts, 2, scale=True) for parts in ([x[:0], x, x[:0]], [x]))
    np.testing.assert_array_equal(some(x), all_(x))
