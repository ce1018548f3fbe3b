"""One look for all figures, and files with the same bytes each time."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from sss_lib.artefacts import replacing

STYLE = {
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.hashsalt": "semantic-sound-similarity",
}
COLUMN, PAGE = 3.5, 7.2
"""Widths in inches of one column and of the page of a two-column paper."""

SEARCH_LOOKS = {
    "mips": ("MIPS: inner product", "#D55E00", "//"),
    "mcss": ("MCSS: cosine", "#0072B2", ""),
    "nns": ("NNS: Euclidean", "#009E73", ".."),
}
MARKERS = "soD^v<>ph*"
GROUP_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"]
"""Of Okabe and Ito: told apart by colour-blind eyes."""


def use_style() -> None:
    """Set the look of all figures; call it once, before drawing."""
    mpl.rcParams.update(STYLE)


def save(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as SVG and PNG with the same bytes each time, and return the paths."""
    paths = [Path(folder) / f"{name}.{suffix}" for suffix in ("svg", "png")]
    for path in paths:
        about = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata=about)
    return paths


def plain(label: str) -> str:
    """Return a label as text, whatever it holds: a dollar sign would begin mathematics."""
    return label.replace("_", " ").replace("$", r"\$")
