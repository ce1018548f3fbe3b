"""Pitch of frames by YIN, equal to the last bit to that of Essentia's PitchYin, for many frames at once.

PitchYin sums the difference of each lag in an order that only as slow a loop has. Here Fourier transforms say
where the pitch is, roughly; the lags up to there are summed in its order, and a bound says whether a longer
one might matter. Half of the lags are spared.

References
----------
de Cheveigné and Kawahara (2002), YIN, a fundamental frequency estimator for speech and music, JASA 111.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

FRAME, RATE_HZ = 2048, 44100
N_LAGS = FRAME // 2
THRESHOLD = 0.15
"""The first dip below it is the pitch; if there is none, the deepest."""
AT_ONCE = 512
"""Frames whose transforms are held together: of a long sound they would take much memory."""
CELLS = 24 * N_LAGS
"""Lags of frames at once: what is made of them fits into a processor's cache."""
BUFFER = 256
"""Numbers that NumPy may copy together: with more, it copies rows in place of reading them where they are."""
ROUNDING = 2**-12
"""Of a normalized difference: 3,100 roundings to 24 bits at most, and what the rough one is off."""
LEAST = 1e-6
"""Where the mean difference is a smaller share of a frame's energy, the rough one may be farther off."""


def detectors() -> tuple[Any, Any]:
    """Essentia's detectors of the first dip that is deep enough, and of the deepest."""
    import essentia.standard

    of_lags = {"range": N_LAGS + 1, "maxPeaks": 1, "minPosition": 2, "maxPosition": N_LAGS}
    detector = essentia.standard.PeakDetection
    first = detector(**of_lags, orderBy="position", threshold=-THRESHOLD)
    return first, detector(**of_lags, orderBy="amplitude")


def pitches(frames: np.ndarray, detectors: tuple[Any, Any]) -> np.ndarray:
    """Pitch in Hz and its confidence of each frame; both are 0 where there is no dip.

    Parameters
    ----------
    frames : np.ndarray [shape=(n_frames, FRAME), dtype=float32]
        At least one.
    detectors : pair of callable
        From `detectors`.

    Returns
    -------
    np.ndarray [shape=(n_frames, 2), dtype=float32]
    """
    starts = range(0, len(frames), AT_ONCE)
    return np.concatenate([_pitches(frames[start : start + AT_ONCE], detectors) for start in starts])


def _pitches(frames: np.ndarray, detectors: tuple[Any, Any]) -> np.ndarray:
    found = np.zeros((len(frames), 2), np.float32)
    rough, bounds = roughly(frames)
    n_lags = np.array([int(_dip(of_frame, detectors)[0]) + 3 for of_frame in rough])
    n_lags[n_lags > N_LAGS - 2] = N_LAGS  # two zeros must be left: the detectors look at the last lag apart
    left = np.arange(len(frames))
    while left.size:
        unsure = []
        for block in blocks(left, n_lags):
            known = n_lags[block[0]]
            dips = np.zeros((len(block), N_LAGS + 1), np.float32)  # higher than any: none is seen beyond
            dips[:, : known + 1] = -normalized(differences(frames[block], known))
            for place, of_frame in zip(block, dips, strict=True):
                lag, height, is_first = _dip(of_frame, detectors)
                limit = max(-height, THRESHOLD)
                # A dip at `known` itself has a zero beside it, and isn't seen: its bound counts, too.
                if not (is_first or known == N_LAGS or bounds[place, known:].min() > limit):
                    unsure.append(place)
                elif lag:
                    found[place] = RATE_HZ / lag, max(1 + height, 0)
        left = np.array(unsure, int)
        n_lags[left] = N_LAGS
    return found


def _dip(dips: np.ndarray, detectors: tuple[Any, Any]) -> tuple[Any, Any, bool]:
    """Lag and height of the dip that is the pitch, lag 0 if there is none, and whether it's deep enough."""
    first, deepest = detectors
    lags, heights = first(dips)
    is_first = bool(lags.size)
    if not is_first:
        lags, heights = deepest(dips)
    return (lags[0], heights[0], is_first) if lags.size else (0, -np.inf, False)


def blocks(places: np.ndarray, n_lags: np.ndarray) -> Iterator[np.ndarray]:
    """Places of frames that need about as many lags, the first of a block the most: `CELLS` of them at most.

    Examples
    --------
    >>> [block.tolist() for block in blocks(np.array([0, 2, 3]), np.array([30, 5, N_LAGS, 20]))]
    [[2, 0, 3]]
    """
    places = places[np.argsort(-n_lags[places], kind="stable")]
    start = 0
    while start < len(places):
        end = start + CELLS // n_lags[places[start]]
        yield places[start:end]
        start = end


def differences(frames: np.ndarray, n_lags: int) -> np.ndarray:
    """Sum of (x[j] - x[j + lag])^2 over the first half of each frame, by lag from 1 on.

    Essentia adds one j after the other to a float32 number, each square as a float64 one. So is it done here,
    for all lags and frames at once. Another order would give other last bits, and now and then another pitch.

    Parameters
    ----------
    frames : np.ndarray [shape=(n_frames, FRAME), dtype=float32]
    n_lags : int
        At most FRAME // 2.

    Returns
    -------
    np.ndarray [shape=(n_frames, n_lags), dtype=float32]
    """
    sums = np.zeros((len(frames), n_lags), np.float32)
    difference, square, total = np.empty_like(sums), np.empty(sums.shape), np.empty(sums.shape)
    size = np.setbufsize(BUFFER)
    try:
        for j in range(N_LAGS):
            np.subtract(frames[:, j : j + 1], frames[:, j + 1 : j + 1 + n_lags], out=difference)
            square[...] = difference
            np.multiply(square, square, out=square)
            total[...] = sums
            np.add(square, total, out=total)
            sums[...] = total
    finally:
        np.setbufsize(size)
    return sums


def normalized(difference: np.ndarray) -> np.ndarray:
    """Differences over the mean of those up to their lag, behind a one for no lag: [n_frames, 1 + n_lags]."""
    lags = np.arange(1, 1 + difference.shape[1], dtype=difference.dtype)
    with np.errstate(invalid="ignore"):  # 0 / 0, of frames that repeat to the bit
        ratios = difference * lags / np.cumsum(difference, axis=1, dtype=difference.dtype)
    ratios[np.isnan(ratios)] = 1
    return np.insert(ratios, 0, 1, axis=1)


def roughly(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Dips by Fourier transforms, and by lag a bound: what the detectors may find there is not deeper.

    Of a dip the detectors give the lowest point of a parabola through it and its neighbours: below the dip by
    an eighth of what the higher neighbour is above it, or by less.

    Returns
    -------
    dips : np.ndarray [shape=(n_frames, 1 + N_LAGS), dtype=float32]
        Normalized differences, negative as the detectors take them.
    bounds : np.ndarray [shape=(n_frames, 1 + N_LAGS)]
        Normalized differences; minus infinity where nothing is known.
    """
    wave = frames.astype(np.float64)
    energy = np.cumsum(np.insert(wave**2, 0, 0, axis=1), axis=1)
    product = np.conj(np.fft.rfft(wave[:, :N_LAGS], FRAME)) * np.fft.rfft(wave)
    energies = energy[:, N_LAGS, None] + energy[:, N_LAGS + 1 :] - energy[:, 1 : N_LAGS + 1]
    difference = np.maximum(energies - 2 * np.fft.irfft(product)[:, 1 : N_LAGS + 1], 0)
    rough = normalized(difference)
    beside = np.pad(rough, ((0, 0), (1, 1)), mode="edge")
    beside = np.maximum(beside[:, :-2], beside[:, 2:])
    bounds = (9 * (1 - ROUNDING) * rough - (1 + ROUNDING) * beside) / 8
    means = np.cumsum(difference, axis=1) / np.arange(1, N_LAGS + 1)
    bounds[:, 1:][means < LEAST * energy[:, -1:]] = -np.inf
    return -rough.astype(np.float32), bounds
