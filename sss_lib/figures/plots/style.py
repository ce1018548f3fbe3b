"""One style for all figures, and files with the same bytes each time."""

import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.text import Text

from sss_lib.figures.tables import display_name
from sss_lib.io.artefact import replacing
from sss_lib.io.names import require_known
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
    "svg.fonttype": "none",  # text stays text: it can be searched, and set in another font
    "pdf.fonttype": 42,  # TrueType, embedded: what publishers ask for
}
COLUMN, PAGE = 3.5, 7.2
"""Widths in inches of one column and of the page of a two-column paper; `use_style` sets them."""
WORDS = {
    "de": {
        "higher is better": "höher ist besser",
        "lower is better": "niedriger ist besser",
        "interval over uploaders": "Intervall über Hochladende",
        "interval over clips": "Intervall über Klänge",
        "dimensions of an embedding": "Dimensionen einer Einbettung",
        "dimensions after PCA": "Dimensionen nach PCA",
        "parameters of the network, in millions": "Parameter des Netzes in Millionen",
        "bytes a clip": "Bytes je Klang",
        "class of the query": "Klasse der Anfrage",
        "class of the results": "Klasse der Treffer",
        "by family": "nach Familie",
        "queries": "Anfragen",
        "macro": "Makro",
        "micro": "Mikro",
        "Chance": "Zufall",
        "chance": "Zufall",
    }
}
"""Phrases of figures in other languages than English; add yours, and name it in `use_style`."""
_words: dict[str, str] = {}

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


def use_style(
    *, font: str = "", size: float = 9, column: float = 3.5, page: float = 7.2, language: str = "en"
) -> None:
    """Apply `STYLE` to all figures that are drawn afterwards.

    Parameters
    ----------
    font : str
        Of all text, such as "Libertinus Serif"; "" for matplotlib's own.
    size : float
        Of text, in points.
    column, page : float
        Widths `COLUMN` and `PAGE` in inches.
    language : str
        "en", or a key of `WORDS`.
    """
    require_known(language, ("en", *WORDS), "the languages of figures")
    _draw_once()
    mpl.rcdefaults()  # in place of what the user's matplotlibrc says
    mpl.rcParams.update(STYLE | {"font.size": size, "axes.titlesize": size})
    if font:
        mpl.rcParams["font.family"] = [font]
    for module in (__name__, __package__):  # the package keeps what it has looked up once
        sys.modules[module].__dict__.update(COLUMN=column, PAGE=page)
    _words.clear()
    _words.update(WORDS.get(language, {}))


def _draw_once() -> None:
    """Keep pyplot from drawing each figure of a notebook's cell before the notebook draws it to show it."""
    backend = mpl.get_backend(auto_select=False)
    if backend and backend.endswith(("inline", "backend_inline")):
        from matplotlib import pyplot as plt

        plt.switch_backend(backend)  # else its first figure would, and install the hook again
        plt.uninstall_repl_displayhook()


def save(figure: Figure, folder: str | Path, name: str, caption: str = "") -> list[Path]:
    """Write a figure as SVG, PDF and PNG with the same bytes each time, and return the paths.

    A caption goes beside them, as plain text. The figure then keeps its layout: what is added later may not
    fit.
    """
    for text in figure.findobj(Text) if _words else []:
        for english, other in _words.items():
            text.set_text(text.get_text().replace(english, other))
    undated: dict[str, dict] = {
        "svg": {"Date": None},
        "pdf": {"CreationDate": None, "Producer": None},
        "png": {"Software": None},
    }
    paths = [Path(folder) / f"{name}.{suffix}" for suffix in undated]
    for path, about in zip(paths, undated.values(), strict=True):
        with replacing(path) as temporary:
            figure.savefig(temporary, metadata=about)
        with mpl.rc_context({"figure.constrained_layout.use": False}):
            figure.set_layout_engine(None)  # later ones have the first one's, which takes as long as drawing
    if caption:
        paths.append(Path(folder) / f"{name}.txt")
        with replacing(paths[-1]) as temporary:
            temporary.write_text(" ".join(caption.split()) + "\n", encoding="utf-8")
    return paths


def contrasting(colour: tuple[float, ...]) -> str:
    """Black or white, whichever is easier to read on a colour: a contrast of 4.58 or more.

    References
    ----------
    Web Content Accessibility Guidelines 2.2, relative luminance and contrast ratio.

    Examples
    --------
    >>> contrasting((0.5, 0.5, 0.5)), contrasting((0.2, 0.2, 0.6))
    ('black', 'white')
    """
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


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
    return wrapped(display_name(model))


def wrapped(label: str) -> str:
    """Label in lines that fit a column."""
    return textwrap.fill(plain(label), 40)


def plain(label: str) -> str:
    """Label with spaces for underscores, and dollar signs escaped, which matplotlib reads as mathematics."""
    return label.replace("_", " ").replace("$", r"\$")
