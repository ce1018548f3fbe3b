"""CSV that spreadsheets open as text: no cell of it is a formula."""

import csv
import io
from collections.abc import Iterable


def harmless(cell: object) -> str:
    """Text of a cell that no spreadsheet takes for a formula: an apostrophe keeps it text. None is empty.

    Examples
    --------
    >>> harmless("=HYPERLINK(0)"), harmless("a = b"), harmless("-3"), harmless(-3.0)
    ("'=HYPERLINK(0)", 'a = b', "'-3", '-3.0')
    """
    said = "" if cell is None else str(cell)
    is_formula = said.lstrip().startswith(("=", "+", "-", "@")) and not isinstance(cell, (int, float))
    return f"'{said}" if is_formula else said


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    r"""Rows of harmless cells as CSV.

    Examples
    --------
    >>> csv_text([["a, b", 0.5], ["@c", None]])
    '"a, b",0.5\r\n\'@c,\r\n'
    """
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows([harmless(one) for one in row] for row in rows)
    return text.getvalue()
