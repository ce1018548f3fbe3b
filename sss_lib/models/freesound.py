"""Freesound's own representation: statistics of the low-level descriptors of the FreesoundExtractor."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sss_lib import audio
from sss_lib.models.essentia_import import essentia_standard
from sss_lib.models.spec import ModelSpec

STATISTICS = ("dmean", "dmean2", "dvar", "dvar2", "mean", "var")
"""Those of the study: mean and variance of a descriptor, of its first and of its second difference."""
FRAME = 2048


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the extractor: waveform to [1, dim], a number for each statistic of each descriptor and band."""
    extractor = essentia_standard(spec.name).FreesoundExtractor(
        # By default silent frames get random noise, other noise each time: here they are left out.
        lowlevelSilentFrames="drop",
        tonalSilentFrames="drop",
        # The quicker of two beat trackers: rhythm isn't among what is selected, but always computed.
        rhythmMethod="degara",
    )
    return lambda wave: describe(extractor, wave, rate_hz=spec.rate_hz)


def describe(extractor: Callable, wave: np.ndarray, *, rate_hz: int) -> np.ndarray:
    """Six statistics of every low-level descriptor, in the order of their names, each band apart.

    The extractor reads files only: it's given the decoded wave as a temporary one. A wave shorter than one
    frame is padded with zeros.

    Returns
    -------
    np.ndarray [shape=(1, dim), dtype=float32]

    Raises
    ------
    ValueError
        If the wave is silent, which leaves the extractor nothing to describe.
    """
    import soundfile

    if not wave.any():
        raise ValueError("the clip is silent: Freesound's descriptors are undefined")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.wav"
        soundfile.write(path, audio.pad_to(wave, FRAME), rate_hz, subtype="FLOAT")
        try:
            pool, _ = extractor(str(path))
        except RuntimeError as error:
            raise ValueError(f"Freesound's extractor finds nothing to describe: {error}") from None
    names = [name for name in sorted(pool.descriptorNames()) if is_selected(name)]
    return np.concatenate([np.atleast_1d(pool[name]) for name in names])[None].astype(np.float32)


def is_selected(name: str) -> bool:
    """Whether a name of Essentia's pool is one of the six statistics of a low-level descriptor.

    Examples
    --------
    >>> [is_selected(n) for n in ("lowlevel.mfcc.dmean", "lowlevel.mfcc.max", "tonal.hpcp.mean")]
    [True, False, False]
    """
    return name.startswith("lowlevel.") and name.rpartition(".")[2] in STATISTICS
