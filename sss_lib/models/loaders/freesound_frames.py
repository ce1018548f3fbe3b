"""The low-level descriptors of Essentia's FreesoundExtractor alone, frame by frame, equal to the last bit.

The extractor also tracks beats, chords and harmonics. Here is the part of its network that is selected, but
for the pitch: see `freesound_pitch`.
"""

from typing import Any

import numpy as np

FRAME, HOP, RATE_HZ = 2048, 1024, 44100
SILENCES_DB = (20, 30, 60, 90)
BANDS = {"melbands": 40, "erbbands": 18, "barkbands": 27}
SHAPE = ("kurtosis", "spread", "skewness")
OF_SPECTRUM: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "spectral_rolloff": ("RollOff", {}, "spectrum", "rollOff"),
    "spectral_energy": ("Energy", {}, "array", "energy"),
    "spectral_rms": ("RMS", {}, "array", "rms"),
    "hfc": ("HFC", {}, "spectrum", "hfc"),
    "spectral_flux": ("Flux", {}, "spectrum", "flux"),
    "spectral_strongpeak": ("StrongPeak", {}, "spectrum", "strongPeak"),
    "spectral_complexity": (
        "SpectralComplexity",
        {"magnitudeThreshold": 0.005},
        "spectrum",
        "spectralComplexity",
    ),
    "pitch_salience": ("PitchSalience", {}, "spectrum", "pitchSalience"),
    "spectral_entropy": ("Entropy", {}, "array", "entropy"),
    "melbands96": ("MelBands", {"numberBands": 96}, "spectrum", "bands"),
    **{
        f"spectral_energyband_{name}": (
            "EnergyBand",
            {"startCutoffFrequency": low, "stopCutoffFrequency": high},
            "spectrum",
            "energyBand",
        )
        for name, low, high in (
            ("low", 20, 150),
            ("middle_low", 150, 800),
            ("middle_high", 800, 4000),
            ("high", 4000, 20000),
        )
    },
}
"""Descriptors of the spectrum: algorithm, its options, its input and its output."""


class Network:
    """Low-level descriptors of a file, by the extractor's names, of each frame that isn't silent.

    Beside them are the frames themselves, under the name "frame", for the pitch. The network is made
    once: that takes as long as some seconds of sound.
    """

    def __init__(self) -> None:
        import essentia
        import essentia.streaming as es

        self.pool, self.source = essentia.Pool(), es.EasyLoader()
        cutter, spectrum = es.FrameCutter(frameSize=FRAME, hopSize=HOP, silentFrames="drop"), es.Spectrum()
        window = es.Windowing(type="blackmanharris62")
        self.source.audio >> cutter.signal
        cutter.frame >> window.frame
        window.frame >> spectrum.frame
        cutter.frame >> (self.pool, "frame")
        _describe_waveform(cutter.frame, self.pool)
        _describe_bands(spectrum.spectrum, self.pool)
        _describe_spectrum(spectrum.spectrum, self.pool)

    def __call__(self, path: str) -> dict[str, np.ndarray]:
        """Arrays [n_frames] or [n_frames, n_bands]; none if all frames are silent."""
        import essentia

        self.source.configure(filename=path)
        essentia.reset(self.source)
        essentia.run(self.source)
        found = {name: self.pool[name] for name in self.pool.descriptorNames()}
        self.pool.clear()  # else it holds the clip's frames until the next one
        return found


def _keep(output: Any, pool: Any, name: str) -> None:
    output >> (pool, f"lowlevel.{name}")


def _describe_waveform(frame: Any, pool: Any) -> None:
    import essentia.streaming as es

    silence = es.SilenceRate(thresholds=[10 ** (-db / 20) for db in SILENCES_DB])
    frame >> silence.frame
    for place, db in enumerate(SILENCES_DB):
        _keep(getattr(silence, f"threshold_{place}"), pool, f"silence_rate_{db}dB")
    crossings = es.ZeroCrossingRate()
    frame >> crossings.signal
    _keep(crossings.zeroCrossingRate, pool, "zerocrossingrate")


def _describe_bands(spectrum: Any, pool: Any) -> None:
    import essentia.streaming as es

    mfcc, barks = es.MFCC(), es.BarkBands(numberBands=BANDS["barkbands"])
    gfcc = es.GFCC(highFrequencyBound=9795, lowFrequencyBound=26, numberBands=BANDS["erbbands"])
    for name, one in zip(BANDS, (mfcc, gfcc, barks), strict=True):
        spectrum >> one.spectrum
        _keep(one.bands, pool, name)
        _describe_shape(one.bands, pool, name, BANDS[name] - 1)
        _describe_form(one.bands, pool, name)
    _keep(mfcc.mfcc, pool, "mfcc")
    _keep(gfcc.gfcc, pool, "gfcc")
    _describe_form(barks.bands, pool, "spectral")


def _describe_spectrum(spectrum: Any, pool: Any) -> None:
    import essentia.streaming as es

    for name, (algorithm, options, entry, output) in OF_SPECTRUM.items():
        one = getattr(es, algorithm)(**options)
        spectrum >> getattr(one, entry)
        _keep(getattr(one, output), pool, name)
    _describe_shape(spectrum, pool, "spectral", RATE_HZ / 2)
    for name, one in (
        ("decrease", es.Decrease(range=RATE_HZ / 2)),
        ("centroid", es.Centroid(range=RATE_HZ / 2)),
    ):
        square = es.UnaryOperator(type="square")
        spectrum >> square.array
        square.array >> one.array
        _keep(getattr(one, name), pool, f"spectral_{name}")
    peaks, dissonance = es.SpectralPeaks(orderBy="frequency"), es.Dissonance()
    spectrum >> peaks.spectrum
    peaks.frequencies >> dissonance.frequencies
    peaks.magnitudes >> dissonance.magnitudes
    _keep(dissonance.dissonance, pool, "dissonance")
    contrast = es.SpectralContrast(frameSize=FRAME, sampleRate=RATE_HZ, highFrequencyBound=11000)
    spectrum >> contrast.spectrum
    _keep(contrast.spectralContrast, pool, "spectral_contrast_coeffs")
    _keep(contrast.spectralValley, pool, "spectral_contrast_valleys")


def _describe_shape(array: Any, pool: Any, name: str, width: float) -> None:
    import essentia.streaming as es

    moments, shape = es.CentralMoments(range=width), es.DistributionShape()
    array >> moments.array
    moments.centralMoments >> shape.centralMoments
    for one in SHAPE:
        _keep(getattr(shape, one), pool, f"{name}_{one}")


def _describe_form(bands: Any, pool: Any, name: str) -> None:
    import essentia.streaming as es

    flatness, crest = es.FlatnessDB(), es.Crest()
    bands >> flatness.array
    bands >> crest.array
    _keep(flatness.flatnessDB, pool, f"{name}_flatness_db")
    _keep(crest.crest, pool, f"{name}_crest")
