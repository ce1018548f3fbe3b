"""Tables as a person reads them, shown in a notebook or written to files: HTML, LaTeX, Markdown and CSV.

Names come from whoever made the collection: what means something to a format is escaped.
"""

import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sss_lib.io.artefact import replacing

if TYPE_CHECKING:
    from IPython.display import HTML

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
"""What means something within a line of Markdown."""
MARKDOWN_START = re.compile(r"^(\d*)([#>+=.)-])")
"""What makes a line of Markdown a heading, a quotation or an item."""


def marks(p: np.ndarray | pd.Series) -> list[str]:
    """Marks of significance: * for p < 0.05, ** for p < 0.01, *** for p < 0.001; none for nan.

    Examples
    --------
    >>> marks(np.array([0.2, 0.03, 0.0004, np.nan]))
    ['', '*', '***', '']
    """
    return ["*" * sum(value < limit for limit in (0.05, 0.01, 0.001)) for value in np.asarray(p, float)]


def write(table: pd.DataFrame, path: str | Path, *, caption: str = "", digits: int = 3) -> Path:
    """Write a table in the form that the path's suffix names: .tex, .md or .csv. Returns the path.

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
    forms = {".tex": to_latex, ".md": to_markdown, ".csv": _to_csv}
    if path.suffix not in forms:
        raise ValueError(f"{path.name} ends in {path.suffix!r}: use one of {', '.join(forms)}")
    with replacing(path) as temporary:
        temporary.write_text(forms[path.suffix](table, caption=caption, digits=digits), encoding="utf-8")
    return path


def show(table: pd.DataFrame, *, caption: str = "", digits: int = 3) -> "HTML":
    """Table for a notebook to show; see `to_html`."""
    from IPython.display import HTML

    return HTML(to_html(table, caption=caption, digits=digits))


def to_html(table: pd.DataFrame, *, caption: str = "", digits: int = 3) -> str:
    """Table in HTML, numbers to the right. Names and captions are text, whatever they hold.

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
    r"""Table in Markdown, numbers to the right.

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
    """Table in LaTeX with the rules of booktabs; marks of significance are raised, minus signs real."""
    head, *rows = [" & ".join(map(_latex, row)) + r" \\" for row in _rows(table, digits)]
    columns = "".join("r" if right else "l" for right in _numeric(table))
    # At the start of a row, [ and * would be options of the command that ends the one before.
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
    escaped = re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
    return escaped + (rf"$^{{{'*' * stars}}}$" if stars else "")


def _rows(table: pd.DataFrame, digits: int) -> list[list[str]]:
    """Return the head and the rows as texts; what isn't there is a dash."""

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
