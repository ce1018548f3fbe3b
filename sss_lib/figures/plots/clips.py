"""Figures of a collection before any search: lengths, class sizes, one clip over time, variance."""

import textwrap
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sss_lib.figures.plots import style
from sss_lib.figures.plots.style import GROUP_COLOURS, plain
from sss_lib.io import audio
from sss_lib.models.frontends.spectrogram import power_spectrogram

MOST_NAMED = 40
"""Classes whose names fit below their bars."""


def lengths_and_levels(report: pd.DataFrame) -> Figure:
    """Histograms of the clips' lengths and levels.

    Parameters
    ----------
    report : pd.DataFrame
        From `dataset.verify`.
    """
    figure, axes = plt.subplots(1, 2, figsize=(style.PAGE, 2.2), sharey=True)
    axes[0].hist(report["duration_s"].dropna(), bins=40, color=GROUP_COLOURS[0])
    axes[0].set(xlabel="length in s", ylabel="clips")
    axes[1].hist(report["rms_db"].replace(-np.inf, np.nan).dropna(), bins=40, color=GROUP_COLOURS[0])
    axes[1].set(xlabel="level in dB of full scale")
    return figure


def class_sizes(sizes: pd.Series) -> Figure:
    """Clips of each class, largest first, on a logarithmic axis; classes of one clip are grey.

    Parameters
    ----------
    sizes : pd.Series
        By class.
    """
    sizes = sizes.sort_values(ascending=False, kind="stable")
    figure, ax = plt.subplots(figsize=(style.PAGE, 3.2))
    colours = np.where(sizes < 2, "#BBBBBB", GROUP_COLOURS[0])
    ax.bar(range(len(sizes)), sizes, width=0.8, color=colours)
    step = -(-len(sizes) // MOST_NAMED)
    ax.set_xticks(
        range(0, len(sizes), step),
        [textwrap.shorten(plain(name), 26) for name in sizes.index[::step]],
        rotation=90,
        fontsize=7,
    )
    title = f"{len(sizes)} classes, grey where a single clip has it" + (
        f"; one name in {step}" if step > 1 else ""
    )
    ax.set(yscale="log", ylabel="clips", xlim=(-0.6, len(sizes) - 0.4))
    ax.set_title(title, loc="left")
    return figure


def over_time(
    path: str,
    frames: np.ndarray,
    hop_s: float,
    low: np.ndarray,
    high: np.ndarray,
    *,
    most_s: float = 30,
) -> Figure:
    """Waveform, spectrogram and embedding of a clip, one below the other on one axis of seconds.

    Parameters
    ----------
    path : str
        Audio file; without it there is the embedding alone.
    frames : np.ndarray [shape=(n_frames, dim)]
    hop_s : float
        Seconds from one frame to the next; nan for one embedding of the whole clip.
    low, high : np.ndarray [shape=(dim,)]
        Range of each dimension over the collection, which its row of the picture is scaled to.
    most_s : float
        Seconds that are shown.
    """
    try:
        wave = audio.decode(path, 22050)
    except (audio.AudioError, OSError):
        wave = np.zeros(0, np.float32)
    end_s = len(wave) / 22050 or len(frames) * (hop_s if np.isfinite(hop_s) else 1.0)
    figure, axes = plt.subplots(
        3 if len(wave) else 1, 1, figsize=(style.PAGE, 4.2), sharex=True, squeeze=False
    )
    scaled = (frames - low) / np.where(high > low, high - low, 1)
    reach_s = len(frames) * hop_s if np.isfinite(hop_s) else end_s
    look = {"aspect": "auto", "interpolation": "nearest", "origin": "lower"}
    axes[-1, 0].imshow(scaled.T, cmap="cividis", vmin=0, vmax=1, extent=(0, reach_s, 0, len(low)), **look)
    axes[-1, 0].set(xlabel="time in s", ylabel="dimension", xlim=(0, min(end_s, most_s)))
    axes[-1, 0].set_title(
        "each dimension from its lowest (dark) to its highest in the collection", loc="left", size=8
    )
    if len(wave):
        axes[0, 0].plot(np.arange(len(wave)) / 22050, wave, linewidth=0.3, color=GROUP_COLOURS[0])
        axes[0, 0].set(ylabel="amplitude")
        level = 10 * np.log10(power_spectrogram(wave, size=1024, hop=512).T + 1e-10)
        axes[1, 0].imshow(
            level,
            cmap="magma",
            vmin=level.max() - 80,
            extent=(0, level.shape[1] * 512 / 22050, 0, 11.025),
            **look,
        )
        axes[1, 0].set(ylabel="kHz")
        axes[1, 0].set_title("power, down to 80 dB below the loudest", loc="left", size=8)
    return figure


def bars(shares: Mapping[str, float], label: str) -> Figure:
    """A bar for each share, with its value."""
    figure, ax = plt.subplots(figsize=(style.COLUMN, 0.4 + 0.3 * len(shares)))
    drawn = ax.barh(list(shares), list(shares.values()), color=GROUP_COLOURS[0])
    ax.bar_label(drawn, [f"{share:.0%}" for share in shares.values()], padding=2)
    ax.set(xlim=(0, 1), xlabel=f"{label}, higher is better")
    ax.invert_yaxis()
    return figure


def variance(shares: np.ndarray, n_components: int | None) -> Figure:
    """Share of the variance in the first components, with a line at the number that is kept.

    Parameters
    ----------
    shares : np.ndarray
        From `processing.explained`.
    """
    figure, ax = plt.subplots(figsize=(style.COLUMN, 2))
    ax.plot(np.arange(1, len(shares) + 1), shares, color=GROUP_COLOURS[0])
    ax.set(xscale="log", xlabel="components", ylabel="share of variance", ylim=(0, 1.02))
    if n_components:
        ax.axvline(n_components, color=GROUP_COLOURS[1], linewidth=0.8)
        at = shares[min(n_components, len(shares)) - 1]
        ax.set_title(f"{at:.0%} in {n_components} of {len(shares)}", loc="left")
    return figure
