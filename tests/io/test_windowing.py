"""Windows against a loop."""

import itertools

import numpy as np
import pytest

from sss_lib.io import windowing


def test_padding_adds_zeros_and_never_cuts():
    wave = np.array([1, 2, 3], np.float32)
    for n_samples, expected in [(5, [1, 2, 3, 0, 0]), (3, [1, 2, 3]), (2, [1, 2, 3]), (0, [1, 2, 3])]:
        padded = windowing.pad_to(wave, n_samples)
        assert padded.tolist() == expected
        assert padded.dtype == np.float32


def windows_by_loop(values, size, hop, keep_partial):
    """Windows one after the other until one reaches the end."""
    windows, start = [], 0
    while True:
        window = values[start : start + size]
        if len(window) < size and start > 0 and not keep_partial:
            return windows
        windows.append(window + [0] * (size - len(window)))
        if start + size >= len(values):
            return windows
        start += hop


@pytest.mark.parametrize("keep_partial", [True, False])
def test_windows_equal_those_of_a_loop_at_every_small_size(keep_partial):
    for n, size in itertools.product(range(13), range(1, 6)):
        for hop in range(1, size + 1):
            values = np.arange(1, n + 1)
            windows = windowing.chunk(values, size, hop, keep_partial=keep_partial)
            expected = windows_by_loop(values.tolist(), size, hop, keep_partial)
            assert windows.tolist() == expected, (n, size, hop)


def test_windows_of_frames_keep_the_frames_whole_and_are_copies():
    frames = np.array([[1, 10], [2, 20], [3, 30]])
    windows = windowing.chunk(frames, size=2, hop=2)
    assert windows.tolist() == [[[1, 10], [2, 20]], [[3, 30], [0, 0]]]
    windows[:] = 9
    assert frames[0].tolist() == [1, 10]


@pytest.mark.parametrize("n", [4, 5, 7, 8, 9, 12, 31])
def test_windows_cover_a_long_wave_and_each_is_a_piece_of_it(n):
    wave = np.arange(n)
    found = windowing.windows(wave, 4)
    assert found.tolist() == [list(range(w[0], w[0] + 4)) for w in found]
    assert set(found.ravel()) == set(wave)
    assert len(found) == -(-n // 4)


def test_a_crop_is_a_piece_of_the_wave_drawn_by_the_wave_alone():
    rng = np.random.default_rng(0)
    starts = set()
    for _ in range(20):
        wave = rng.permutation(100).astype(np.float32)
        (crop,) = windowing.windows(wave, 10, long="crop")
        np.testing.assert_array_equal(crop, windowing.windows(wave.copy(), 10, long="crop")[0])
        start = wave.tolist().index(crop[0])
        np.testing.assert_array_equal(crop, wave[start : start + 10])
        starts.add(start)
    assert len(starts) > 10


@pytest.mark.parametrize("option", [{"long": "loop"}, {"short": "reflect"}])
def test_windows_of_an_unknown_kind_are_refused(option):
    with pytest.raises(ValueError, match="is not among the windows of a"):
        windowing.windows(np.ones(3), 2, **option)
