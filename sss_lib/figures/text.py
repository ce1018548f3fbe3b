"""Values, captions and tables as text: shown in a notebook, or written as LaTeX, Markdown or CSV.

Names of classes and clips are foreign text, so each format escapes the characters that it would interpret.
"""

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import numpy as np
import pandas as pd

from sss_lib.evaluation import protocols
from sss_lib.evaluation.protocols import Protocol
from sss_lib.io.artefact import replacing

if TYPE_CHECKING:
    from IPython.display import HTML

    from sss_lib.dataset.dataset import Dataset

LISTEN = "http://127.0.0.1:8866/?"
"""Where `make listen` serves its page by default."""
LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "|": r"\textbar{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "`": r"\textasciigrave{}",
}
MARKDOWN = re.compile(r"[\\`*_\[<|~$]|&(?=#?\w+;)")
"""Characters that Markdown interprets anywhere in a line: code, emphasis, links, HTML, cells, entities."""
MARKDOWN_START = re.compile(r"^(\d*)([#>+=.)-])")
"""What makes a line of Markdown a heading, a quotation or an item of a list."""


def listening_address(systems: Sequence[str], **words: str) -> str:
    """Address of a finding on the listening page: some systems, and such as the query and its class.

    Examples
    --------
    >>> listening_address(["a/nns", "b/nns"], q="dog 1")
    'http://127.0.0.1:8866/?q=dog+1&systems=a%2Fnns&systems=b%2Fnns'
    """
    return LISTEN + urlencode({**words, "systems": systems}, doseq=True)


def number(value: float, digits: int = 3) -> str:
    """Value as it is printed; a dash for a missing one.

    Examples
    --------
    >>> number(0.25), number(np.nan)
    ('0.250', '-')
    """
    return "-" if pd.isna(value) else f"{value:.{digits}f}"


def with_interval(row: Mapping[str, Any]) -> str:
    """Value of a score, followed by its interval in brackets if it has one.

    Examples
    --------
    >>> with_interval({"metric": "MAP", "value": 0.25, "ci_low": 0.2, "ci_high": 0.3})
    '0.250 [0.200, 0.300]'
    """
    digits = 1 if row["metric"] == "MR1" else 3
    value, low, high = (number(row.get(name, np.nan), digits) for name in ("value", "ci_low", "ci_high"))
    return value if "-" in (value, low, high) else f"{value} [{low}, {high}]"


def marks(p: np.ndarray | pd.Series) -> list[str]:
    """Stars of significance: * for p < 0.05, ** for p < 0.01, *** for p < 0.001; none for nan.

    Examples
    --------
    >>> marks(np.array([0.2, 0.03, 0.0004, np.nan]))
    ['', '*', '***', '']
    """
    return ["*" * sum(value < limit for limit in (0.05, 0.01, 0.001)) for value in np.asarray(p, float)]


def conventions(
    relevance: str = "class", protocol: str | Protocol = "standard", *, unit: str | None = None
) -> str:
    """Relevance, protocol and resampling unit of a table, for its caption.

    Parameters
    ----------
    relevance : str
    protocol : str or Protocol
    unit : str, optional
        What intervals and tests resample: "clip", or a group of clips such as "uploader".

    Examples
    --------
    >>> conventions("class", "paper", unit="clip")
    "relevance 'class', protocol 'paper' (AP@N divided by min(N, n_c), micro by N, 0 if R = 0; ranks from 0),
     intervals and tests by clip"
    """
    protocol = protocols.named(protocol)
    divided = f"AP@N divided by {protocol.denominator}"
    if protocol.micro_denominator != protocol.denominator:
        divided += f", micro by {protocol.micro_denominator}"
    if protocol.counts_unanswerable:
        divided += ", 0 if R = 0"
    by = f"relevance {relevance!r}, protocol {protocol.name!r} ({divided}; ranks from {protocol.rank_base})"
    return by + (f", intervals and tests by {unit}" if unit else "")


def caption(
    collection: "Dataset",
    n: int,
    protocol: str | Protocol = "standard",
    *,
    unit: str = "clip",
    on: str = "",
) -> str:
    """Caption of `comparison`: the collection, the conventions, and what intervals and stars mean.

    Parameters
    ----------
    collection : Dataset
    n : int
        Cutoff by which each model's best system is chosen.
    protocol : str or Protocol
    unit : str
        As in `conventions`.
    on : str
        What the collection is called; by default its name.
    """
    n_classes = len(collection.labels) - collection.n_unqueryable()
    return (
        f"{on or collection.name}: {len(collection)} clips, {n_classes} classes queried "
        f"({collection.n_unqueryable()} with a single clip), {conventions('class', protocol)}; each "
        f"model's best system by macro MAP@{n}, with 95 % bootstrap intervals over the queries; stars: below "
        f"the best by a paired permutation test by {unit} with Holm's correction, * p < 0.05, ** p < 0.01, "
        "*** p < 0.001"
    )


def write(table: pd.DataFrame, path: str | Path, *, caption: str = "", digits: int = 3) -> Path:
    """Write a table in the format that the path's suffix names, .tex, .md or .csv, and return the path.

    Parameters
    ----------
    table : pd.DataFrame
        Its index is left out.
    path : str or Path
    caption : str
        Above the table; CSV has none.
    digits : int
        Decimals of floating-point numbers; CSV keeps them all.
    """
    path = Path(path)
    formats = {".tex": to_latex, ".md": to_markdown, ".csv": _to_csv}
    if path.suffix not in formats:
        raise ValueError(f"{path.name} ends in {path.suffix!r}: use one of {', '.join(formats)}")
    with replacing(path) as temporary:
        temporary.write_text(formats[path.suffix](table, caption=caption, digits=digits), encoding="utf-8")
    return path


def show(table: pd.DataFrame, *, caption: str = "", digits: int = 3) -> "HTML":
    """Table that a notebook shows; see `to_html`."""
    from IPython.display import HTML

    return HTML(to_html(table, caption=caption, digits=digits))


def to_html(table: pd.DataFrame, *, caption: str = "", digits: int = 3) -> str:
    """Table in HTML, numbers aligned right. Names and captions stay text, whatever characters they have.

    Examples
    --------
    >>> print(to_html(pd.DataFrame({"class": ["<b>"], "MAP@15": [np.nan]})))
    <table class="dataframe">
    <thead>
    <tr><th style="text-align: left">class</th><th style="text-align: right">MAP@15</th></tr>
    </thead>
    <tbody>
    <tr><td style="text-align: left">&lt;b&gt;</td><td style="text-align: right">-</td></tr>
    </tbody>
    </table>
    <BLANKLINE>
    """
    sides = ["right" if right else "left" for right in _numeric(table)]

    def row(kind: str, cells: list[str]) -> str:
        marked = (
            f'<{kind} style="text-align: {side}">{html.escape(cell)}</{kind}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        return f"<tr>{''.join(marked)}</tr>"

    head, *body = _rows(table, digits)
    above = [f"<caption>{html.escape(caption)}</caption>"] if caption else []
    rows = ["<thead>", row("th", head), "</thead>", "<tbody>", *(row("td", cells) for cells in body)]
    lines = ['<table class="dataframe">', *above, *rows, "</tbody>", "</table>"]
    return "\n".join(lines) + "\n"


def to_markdown(table: pd.DataFrame, *, caption: str = "", digits: int = 3) -> str:
    r"""Table in Markdown, numbers aligned right.

    Examples
    --------
    >>> print(to_markdown(pd.DataFrame({"system": ["a|b"], "MAP@15": [0.5]})))
    | system | MAP@15 |
    | --- | ---: |
    | a\|b | 0.500 |
    <BLANKLINE>
    """
    rows = [[_markdown(cell) for cell in row] for row in _rows(table, digits)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("---:" if right else "---" for right in _numeric(table)) + " |")
    above = MARKDOWN_START.sub(r"\1\\\2", _markdown(_line(caption)))
    return (f"{above}\n\n" if caption else "") + "\n".join(lines) + "\n"


def to_latex(table: pd.DataFrame, *, caption: str = "", digits: int = 3) -> str:
    """Table in LaTeX with the rules of booktabs, raised stars and real minus signs."""
    head, *rows = [" & ".join(map(_latex, row)) + r" \\" for row in _rows(table, digits)]
    columns = "".join("r" if right else "l" for right in _numeric(table))
    # A row that begins with [ or * would be read as an option of the \\ that ends the row before.
    head, *rows = ["{}" + row if row.startswith(("[", "*")) else row for row in (head, *rows)]
    body = [r"\toprule", head, r"\midrule", *rows, r"\bottomrule"]
    tabular = [rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]
    if caption:
        tabular = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(_line(caption))}}}",
            *tabular,
            r"\end{table}",
        ]
    return "\n".join(tabular) + "\n"


def _to_csv(table: pd.DataFrame, *, caption: str, digits: int) -> str:
    return table.to_csv(index=False, lineterminator="\n")


def _markdown(text: str) -> str:
    return MARKDOWN.sub(r"\\\g<0>", text)


def _latex(text: str) -> str:
    text, stars = text.rstrip("*"), len(text) - len(text.rstrip("*"))
    escaped = "".join(LATEX.get(character, character) for character in text.rstrip())
    escaped = re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)  # before a number, not within a name or a range
    return escaped + (rf"$^{{{'*' * stars}}}$" if stars else "")


def _rows(table: pd.DataFrame, digits: int) -> list[list[str]]:
    """Return the heading and the rows as texts; a missing value is a dash."""

    def text(value: object) -> str:
        if pd.isna(value):
            return "-"
        if isinstance(value, float | np.floating):
            return f"{value:.{digits}f}"
        return _line(value)

    cells = [[text(value) for value in row] for row in table.itertuples(index=False)]
    return [[_line(name) for name in table.columns], *cells]


def _line(value: object) -> str:
    return " ".join(str(value).split())


def _numeric(table: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]
