"""Queries: which clips a subset has. A query is data: it is parsed, and nothing in it is ever run as Python.

Allowed are columns of the clips, constants, comparisons, and, or, not, in, `@has("Dog")`, and of a column
`.isin([...])` and `.str.contains("...")`, `.str.startswith` or `.str.endswith` of a plain text.
"""

import ast
import operator
import re
from collections.abc import Callable
from functools import reduce
from typing import Any

import pandas as pd

MOST_SIGNS = 10_000
"""Of a query: Python's parser needs memory for each sign that opens a level."""
_HAS = "_has_"
_WORDS = {"&": " and ", "|": " or ", "@has": _HAS}
# Texts stay as they are; outside of them `a column` becomes a call that holds its name.
_LEXICAL = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|@has\b|[&|]|`([^`]*)`""", re.DOTALL)
_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


def select(clips: pd.DataFrame, query: str, has: Callable[[str], pd.Series]) -> Any:
    """What a query says of each clip: bool [n_clips], or whatever else it is about.

    Parameters
    ----------
    clips : pd.DataFrame
    query : str
    has : callable
        Whether each clip has a label, for `@has("label")`.

    Raises
    ------
    ValueError, TypeError
        If it isn't a query, or compares what can't be compared.

    Examples
    --------
    >>> clips = pd.DataFrame({"fname": ["a", "b"], "seconds": [1, 12]})
    >>> select(clips, "seconds < 10 or fname in ['c']", has=None).tolist()
    [True, False]
    """
    if len(query) > MOST_SIGNS:
        raise ValueError(f"{len(query)} signs are more than {MOST_SIGNS}")
    try:
        tree = ast.parse(_LEXICAL.sub(_as_python, query).strip(), mode="eval")
        return _value(tree.body, clips, has)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(f"it can't be parsed: {error}") from None


def _as_python(found: re.Match[str]) -> str:
    if found[1] is not None:
        return found[1]
    return _WORDS.get(found[0]) or f"_column_({found[2]!r})"


def _value(node: ast.expr, clips: pd.DataFrame, has: Callable[[str], pd.Series]) -> Any:
    """Value of one part of a query: a column, a constant or a list of them, or true or false of each clip."""

    def of(part: ast.expr) -> Any:
        return _value(part, clips, has)

    match node:
        case ast.Name(id=name):
            return _column(clips, name)
        case ast.Call(func=ast.Name(id="_column_"), args=[ast.Constant(value=str() as name)], keywords=[]):
            return _column(clips, name)
        case ast.Call(func=ast.Name(id=name), args=[ast.Constant(value=str() as label)], keywords=[]) if (
            name == _HAS
        ):
            return has(label)
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_constant(part) for part in parts]
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=(int() | float()) as value)):
            return -value
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=part):
            return ~_truth(of(part))
        case ast.BoolOp(op=join, values=parts):
            joined = operator.and_ if isinstance(join, ast.And) else operator.or_
            return reduce(joined, [_truth(of(part)) for part in parts])
        case ast.Compare(left=left, ops=signs, comparators=rights):
            sides = [of(side) for side in (left, *rights)]
            steps = zip(sides, signs, sides[1:], strict=False)
            return reduce(operator.and_, [_compared(a, sign, b) for a, sign, b in steps])
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="isin"), args=[part], keywords=[]):
            return _compared(_column(clips, name), ast.In(), of(part))
        case ast.Call(
            func=ast.Attribute(value=ast.Attribute(value=ast.Name(id=name), attr="str"), attr=how),
            args=[ast.Constant(value=str() as text)],
            keywords=[],
        ) if how in _TEXT:
            column = _column(clips, name)
            _require_alike(column, text)
            return column.map(lambda found: isinstance(found, str) and _TEXT[how](found, text)).astype(bool)
    raise ValueError(f"{ast.unparse(node)[:60]!r} is no part of a query: see dataset.query")


_TEXT: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}


def _column(clips: pd.DataFrame, name: str) -> pd.Series:
    if name not in clips:
        raise ValueError(f"{name!r} is no column")
    if name == "labels":  # lists, which compare with nothing
        raise ValueError('labels are lists: ask @has("Dog")')
    return clips[name]


def _constant(node: ast.expr) -> Any:
    value = ast.literal_eval(node)  # numbers and texts, without names or calls
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"{ast.unparse(node)[:60]!r} is neither a number nor a text")
    return value


def _truth(value: Any) -> pd.Series:
    if not (isinstance(value, pd.Series) and value.dtype == bool):
        raise ValueError("and, or and not join what is true or false of each clip")
    return value


def _compared(left: Any, sign: ast.cmpop, right: Any) -> Any:
    if isinstance(sign, ast.In | ast.NotIn):
        if not (isinstance(left, pd.Series) and isinstance(right, list)):
            raise ValueError("write in as: a column in a list, such as split in ['test']")
        for one in right:
            _require_alike(left, one)
        found = left.isin(right)
        return found if isinstance(sign, ast.In) else ~found
    if type(sign) not in _COMPARISONS:
        raise ValueError("'is' is no comparison of a query: write ==")
    if isinstance(left, list) or isinstance(right, list):
        raise ValueError("a list is compared by in")
    _require_alike(left, right)
    return _COMPARISONS[type(sign)](left, right)


def _require_alike(left: Any, right: Any) -> None:
    """Raise ValueError if two sides of a comparison are of different types, and so never equal."""
    (left_is, left_type), (right_is, right_type) = map(_described, (left, right))
    if left_type != right_type and "" not in (left_type, right_type):
        raise ValueError(
            f"{left_is} is {left_type}, {right_is} is {right_type}: compare text with text, as '1', and "
            "numbers with numbers, as 1"
        )


def _described(side: Any) -> tuple[str, str]:
    """What one side of a comparison is called, and its type in words: "" where a column has no value."""
    if isinstance(side, pd.Series):
        found = pd.api.types.infer_dtype(side.to_numpy(object, na_value=None), skipna=True)
        return f"column {side.name}", _TYPES.get(found, f"{found} values")
    return repr(side), _TYPES[type(side).__name__]


_TYPES = {
    **dict.fromkeys(("string", "str"), "text"),
    **dict.fromkeys(("integer", "floating", "mixed-integer-float", "int", "float"), "a number"),
    **dict.fromkeys(("boolean", "bool"), "true or false"),
    "empty": "",
}
"""Types of constants and, as pandas tells them, of columns, in words."""
