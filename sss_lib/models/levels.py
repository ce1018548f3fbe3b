"""How loud the audio of each frame is, by which frames can be selected."""

import numpy as np

from sss_lib.models.spec import ModelSpec


def frame_levels(wave: np.ndarray, spec: ModelSpec, n_frames: int) -> np.ndarray:
    """Mean square of the audio from where each frame of a clip begins to where the next one does.

    The norm of a frame's embedding does not tell this: within a clip of the embedded sounds it hardly follows
    the level (median rank correlation of YAMNet .1, of SoundNet .3, of aiSFX and MSD-MusiCNN .4).

    Parameters
    ----------
    wave : np.ndarray [shape=(n_samples,)]
        Mono, at the rate of the model.
    spec : ModelSpec
        Where its network takes windows, frames share these evenly, in the order in which it hears them. Else
        they are its hop apart, and a wave that ends before them is repeated.
    n_frames : int

    Returns
    -------
    np.ndarray [shape=(n_frames,), dtype=float64]

    Raises
    ------
    ValueError
        If the times of its frames aren't known.

    Examples
    --------
    >>> from sss_lib import models
    >>> yamnet = models.spec("yamnet")  # a frame every 0.48 s
    >>> frame_levels(np.repeat([0.5, 1.0], 7680), yamnet, 2)
    array([0.25, 1.  ])
    """
    require_times(spec)
    if spec.window_s:
        wave = spec.windows(wave).ravel()
        edges = np.linspace(0, len(wave), n_frames + 1).round().astype(int)
    else:
        edges = (np.arange(n_frames + 1) * float(spec.hop_s or 0) * spec.rate_hz).round().astype(int)
        wave = np.resize(wave, edges[-1]) if edges[-2] >= len(wave) else wave
        edges[-1] = len(wave)
    return np.add.reduceat(wave.astype(np.float64) ** 2, edges[:-1]) / np.diff(edges)


def require_times(spec: ModelSpec) -> None:
    """Raise ValueError if nothing tells when a model's frames are."""
    if not has_times(spec):
        raise ValueError(
            f"the times of the frames of {spec.name} aren't known, so none can be selected: aggregate all, "
            "by mean, max or median"
        )


def has_times(spec: ModelSpec) -> bool:
    """Whether it is known when each of a model's frames is.

    Examples
    --------
    >>> from sss_lib import models
    >>> has_times(models.spec("yamnet")), has_times(models.spec("logmel"))
    (True, False)
    """
    return spec.hop_s is not None and bool(np.isfinite(spec.hop_s))
