"""Freesound's representation: statistics of the low-level descriptors of the FreesoundExtractor."""

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sss_lib.io import windowing
from sss_lib.models.loaders import freesound_frames, freesound_pitch
from sss_lib.models.loaders.essentia_import import essentia_standard
from sss_lib.models.spec import ModelSpec

STATISTICS = ("dmean", "dmean2", "dvar", "dvar2", "mean", "var")
"""Those of the study: mean and variance of a descriptor, and of its first and second differences' sizes."""
FRAME = freesound_frames.FRAME
LONGEST_S = 300
"""Of what is described by frames at once: they take twice the memory of the sound."""
MOST_GAIN_DB = 18
"""Of what the extractor surely takes: it refuses sounds with a replay gain above 20 dB."""
LIMIT_DB = -45
"""About where `level_db` of a clip is whose replay gain is 40 dB: Essentia takes it for silence."""


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the extractor: waveform to [1, dim], a number for each statistic of each descriptor and band.

    By default the extractor fills silent frames with noise, other noise each time. The option
    `silent_frames` says what is done in place of that: "drop" leaves them out, unless too little would be
    left. `rhythm` is the beat tracker, the quicker of two: rhythm isn't among what is selected, but always
    computed.
    """
    standard = essentia_standard(spec.name)
    extractors = [
        standard.FreesoundExtractor(
            lowlevelSilentFrames=how, tonalSilentFrames=how, rhythmMethod=spec.options["rhythm"]
        )
        for how in (spec.options["silent_frames"], "keep")
    ]
    quick = Quick(standard, spec.rate_hz)

    def of_wave(wave: np.ndarray) -> np.ndarray:
        found = quick(wave)
        return describe(extractors, wave, rate_hz=spec.rate_hz) if found is None else found

    return of_wave


class Quick:
    """Describes what the extractor surely describes, without what isn't selected: in a quarter of the time.

    Parameters
    ----------
    standard : module
        `essentia.standard`.
    rate_hz : int
    """

    def __init__(self, standard: Any, rate_hz: int):
        self.standard, self.rate_hz = standard, rate_hz
        self.gain = standard.ReplayGain(sampleRate=rate_hz)
        self.network, self.detectors = freesound_frames.Network(), freesound_pitch.detectors()

    def __call__(self, wave: np.ndarray) -> np.ndarray | None:
        """Row of a wave as `describe` has it; None if it is short, long or quiet, or has few frames."""
        if not self.rate_hz / 4 <= len(wave) <= LONGEST_S * self.rate_hz or self.gain(wave) > MOST_GAIN_DB:
            return None
        with written(wave, self.rate_hz) as path:
            series = self.network(path)
        frames = series.pop("frame", np.empty(0))
        if len(frames) < 8:  # so few that the extractor may refuse them
            return None
        pitch, confidence = freesound_pitch.pitches(frames, self.detectors).T
        series |= {"lowlevel.pitch": pitch, "lowlevel.pitch_instantaneous_confidence": confidence}
        stereo = np.stack([wave, np.zeros_like(wave)], axis=1)  # as of a file of one channel
        # Made anew for each wave: one that was at a wave's end goes on sample by sample, 7 times as long.
        momentary, short_term, *_ = self.standard.LoudnessEBUR128(sampleRate=self.rate_hz)(stereo)
        loudness = {"momentary": momentary, "short_term": short_term}
        series |= {f"lowlevel.loudness_ebu128.{name}": values for name, values in loudness.items()}
        return statistics(series)


@contextlib.contextmanager
def written(wave: np.ndarray, rate_hz: int) -> Iterator[str]:
    """Path of a temporary file of a wave."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        soundfile.write(path, wave, rate_hz, subtype="FLOAT")
        yield str(path)


def row(pool: Any) -> np.ndarray:
    """What is selected of Essentia's pool: float32 [1, dim]."""
    names = [name for name in sorted(pool.descriptorNames()) if is_selected(name)]
    return np.concatenate([np.atleast_1d(pool[name]) for name in names])[None].astype(np.float32)


def statistics(series: dict[str, np.ndarray]) -> np.ndarray:
    """The six statistics of each series in the order of their names, as Essentia's PoolAggregator has them.

    Parameters
    ----------
    series : dict of np.ndarray [shape=(n,) or (n, n_bands), dtype=float32]
        By the name of their descriptor.

    Returns
    -------
    np.ndarray [shape=(1, dim), dtype=float32]

    Examples
    --------
    >>> series = {"a": np.array([1, 3, 1, 3], np.float32)}
    >>> dict(zip(STATISTICS, statistics(series)[0].tolist()))
    {'dmean': 2.0, 'dmean2': 4.0, 'dvar': 0.0, 'dvar2': 0.0, 'mean': 2.0, 'var': 1.0}
    """
    found: dict[str, np.ndarray] = {}
    for n in set(map(len, series.values())):
        names = [name for name, values in series.items() if len(values) == n]
        columns = [series[name].reshape(n, -1) for name in names]
        ends = np.cumsum([values.shape[1] for values in columns])
        changes = np.concatenate(columns, axis=1)
        for mean, var in (("mean", "var"), ("dmean", "dvar"), ("dmean2", "dvar2")):
            sizes = changes if mean == "mean" else np.abs(changes)
            means = _mean(sizes)
            for statistic, values in ((mean, means), (var, _mean(np.square(sizes - means)))):
                by_name = zip(names, np.split(values, ends[:-1]), strict=True)
                found |= {f"{name}.{statistic}": of_name for name, of_name in by_name}
            changes = np.diff(changes, axis=0) if len(changes) > 1 else np.zeros_like(changes)
    return np.concatenate([found[name] for name in sorted(found)])[None]


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the first axis, one value added after the other."""
    return np.add.accumulate(values, axis=0)[-1] / np.float32(len(values))


def describe(extractors: Sequence[Callable], wave: np.ndarray, *, rate_hz: int) -> np.ndarray:
    """Six statistics of every low-level descriptor, in the order of their names, each band apart.

    An extractor reads files only: it's given the decoded wave as a temporary one. A wave shorter than one
    frame is padded with zeros.

    Parameters
    ----------
    extractors : sequence of callable
        Path to Essentia's pool; the first that finds something to describe does it.
    wave : np.ndarray [shape=(n_samples,), dtype=float32]
    rate_hz : int

    Returns
    -------
    np.ndarray [shape=(1, dim), dtype=float32]

    Raises
    ------
    ValueError
        If the wave is silent, or so quiet that the extractors take it for silence.
    """
    if not wave.any():
        raise ValueError("the clip is silent: Freesound's descriptors are undefined")
    wave = windowing.pad_to(wave, FRAME)
    with written(wave, rate_hz) as path:
        for extractor in extractors:
            try:
                pool, _ = extractor(path)
                break
            except RuntimeError as error:
                reason = str(error)
        else:
            level = f"whose loudest parts are at {level_db(wave, rate_hz=rate_hz):.1f} dB of full scale"
            if "silent" in reason:
                raise ValueError(
                    f"the clip, {level}, is too quiet for Freesound's extractor: it takes what is below "
                    f"about {LIMIT_DB} dB for silence"
                )
            raise ValueError(f"Freesound's extractor can't describe the clip, {level}: {reason}")
    return row(pool)


def level_db(wave: np.ndarray, *, rate_hz: int) -> float:
    """Level of the loudest parts in dB of full scale: 95 % of the wave's twentieths of a second are below.

    It has a floor of -100.

    Examples
    --------
    >>> round(level_db(np.full(44100, 0.1), rate_hz=44100), 1)
    -20.0
    """
    size = rate_hz // 20
    power = np.square(windowing.chunk(wave, size, size), dtype=np.float64).mean(axis=1)
    return float(10 * np.log10(max(np.percentile(power, 95), 1e-10)))


def is_selected(name: str) -> bool:
    """Whether a name of Essentia's pool is one of the six statistics of a low-level descriptor.

    Examples
    --------
    >>> [is_selected(n) for n in ("lowlevel.mfcc.dmean", "lowlevel.mfcc.max", "tonal.hpcp.mean")]
    [True, False, False]
    """
    return name.startswith("lowlevel.") and name.rpartition(".")[2] in STATISTICS
