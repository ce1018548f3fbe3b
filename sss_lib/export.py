"""Tables to files: LaTeX, Markdown and CSV, the cells as a person reads them."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from sss_lib.artefacts import replacing

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
}


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
    rows = [list(map(str, table.columns)), *_cells(table, digits)]
    rows = [[_markdown(cell) for cell in row] for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "| " + " | ".join("---:" if right else "---" for right in _numeric(table)) + " |")
    return (f"{_markdown(caption)}\n\n" if caption else "") + "\n".join(lines) + "\n"


def to_latex(table: pd.DataFrame, *, caption: str = "", digits: int = 3) -> str:
    """Table in LaTeX with the rules of booktabs; marks of significance are raised, minus signs real."""
    rows = [list(map(str, table.columns)), *_cells(table, digits)]
    head, *rows = [[_latex(cell) for cell in row] for row in rows]
    columns = "".join("r" if right else "l" for right in _numeric(table))
    body = [r"\toprule", " & ".join(head) + r" \\", r"\midrule"]
    body += [" & ".join(row) + r" \\" for row in rows] + [r"\bottomrule"]
    tabular = [rf"\begin{{tabular}}{{{columns}}}", *body, r"\end{tabular}"]
    if caption:
        tabular = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex(caption)}}}",
            *tabular,
            r"\end{table}",
        ]
    return "\n".join(tabular) + "\n"


def _to_csv(table: pd.DataFrame, *, caption: str, digits: int) -> str:
    return table.to_csv(index=False, lineterminator="\n")


def _markdown(text: str) -> str:
    for character in "|*<":
        text = text.replace(character, f"\\{character}")
    return text


def _latex(text: str) -> str:
    text, stars = text.rstrip("*"), len(text) - len(text.rstrip("*"))
    escaped = "".join(LATEX.get(character, character) for character in text.rstrip())
    escaped = re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)
    return escaped + (rf"$^{{{'*' * stars}}}$" if stars else "")


def _cells(table: pd.DataFrame, digits: int) -> list[list[str]]:
    def text(value: object) -> str:
        if pd.isna(value):
            return "-"
        if isinstance(value, float):
            return f"{value:.{digits}f}"
        return " ".join(str(value).split())

    return [[text(value) for value in row] for row in table.itertuples(index=False)]


def _numeric(table: pd.DataFrame) -> list[bool]:
    return [pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]
