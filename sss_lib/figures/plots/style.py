"""One style for all figures, and files with the same bytes each time."""

import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from sss_lib.io.artefact import replacing
from sss_lib.models import registry as models

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

# Colours of Okabe and Ito (2008), which readers with the common forms of colour blindness tell apart. Hatches
# and markers repeat the difference for prints in grey.
SEARCH_LOOKS = {
    "mips": ("MIPS: inner product", "#D55E00", "//"),
    "mcss": ("MCSS: cosine", "#0072B2", ""),
    "nns": ("NNS: Euclidean", "#009E73", ".."),
}
MARKERS = "soD^vPX<>dph*"
FILLS = ("full", "none", "left")
GROUP_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#F0E442"]
"""All eight of Okabe and Ito; yellow comes last, as it is faint on white."""


def use_style() -> None:
    """Apply `STYLE` to all figures that are drawn afterwards."""
    mpl.rcdefaults()  # in place of what the user's matplotlibrc says
    mpl.rcParams.update(STYLE)


def save(figure: Figure, folder: str | Path, name: str) -> list[Path]:
    """Write a figure as SVG and PNG with the same bytes each time, and return the paths."""
    paths = [Path(folder) / f"{name}.{suffix}" for suffix in ("svg", "png")]
    for path in paths:
        about = {"Date": None} if path.suffix == ".svg" else {"Software": None}
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata=about)
    return paths


def looks(names: Iterable[str] | Mapping[str, str]) -> dict[str, dict]:
    """Colour, marker and name of each model of a run, as keywords of `Axes.plot` and `Axes.errorbar`.

    The label is what a mapping, such as `tables.display_names`, calls the model.

    The colour is the catalogue's; variations of a model share it. Markers are assigned alphabetically, first
    filled, then hollow, then half filled: up to 39 models differ by marker alone. A model keeps its marker in
    all figures of the same models, whatever their order.

    Examples
    --------
    >>> looks(["logmel", "aisfx"])["aisfx"]
    {'color': '#0072B2', 'marker': 's', 'fillstyle': 'full', 'label': 'aiSFX'}
    """
    found, shown = {}, names if isinstance(names, Mapping) else {}
    for i, name in enumerate(sorted(set(names))):
        nth, marker = divmod(i, len(MARKERS))
        found[name] = {
            "color": models.spec(name).colour,
            "marker": MARKERS[marker],
            "fillstyle": FILLS[nth % len(FILLS)],
            "label": wrapped(shown[name]) if name in shown else named(name),
        }
    return found


def legend(figure: Figure) -> None:
    """Add one legend below a figure, in as many columns as fit, and make the figure higher by its height."""
    shown: dict = {}
    for ax in figure.axes:
        shown = dict(zip(*ax.get_legend_handles_labels()[::-1], strict=True)) | shown
    below = {"loc": "outside lower center", "frameon": False, "fontsize": 7}
    for n_columns in range(min(len(shown), 6), 0, -1):
        drawn = figure.legend(shown.values(), shown, ncols=n_columns, **below)
        box = drawn.get_window_extent()
        if box.width <= figure.bbox.width or n_columns == 1:
            figure.set_figheight((figure.bbox.height + box.height) / figure.dpi)
            break
        drawn.remove()


def named(model: str) -> str:
    """Displayed name of a model, in lines that fit a column."""
    return wrapped(models.spec(model).display_name)


def wrapped(label: str) -> str:
    """Label in lines that fit a column."""
    return textwrap.fill(plain(label), 40)


def plain(label: str) -> str:
    """Label with spaces for underscores, and dollar signs escaped, which matplotlib reads as mathematics."""
    return label.replace("_", " ").replace("$", r"\$")
