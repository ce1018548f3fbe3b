"""Parameters of the notebooks: what each may be. Papermill makes of typed text what it looks like."""

import numbers
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What values of a parameter may be.

    Attributes
    ----------
    words : str
        What to give.
    fits : callable
        Whether a value is one.
    option : str
        How papermill is given one: the name and a value come into it.
    """

    words: str
    fits: Callable[[object], bool]
    option: str = "-p {name} {value}"


def _is_number(value: object, kind: type = numbers.Integral, least: float = 1) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and value >= least  # type: ignore[operator]


def _is_text(value: object) -> bool:
    return isinstance(value, str | os.PathLike)


def _are_names(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list | tuple) and all(map(_is_text, value)))


def _are_numbers(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(map(_is_number, value))


def _is_bool(value: object) -> bool:
    return isinstance(value, int) and value in (0, 1)  # papermill -p normalize 0


def _is_window(value: object) -> bool:
    several = value if isinstance(value, list | tuple) and len(value) == 2 else [value]
    return all(_is_number(one, numbers.Real, 0) for one in several)


TEXT = Kind("a text in quotes", _is_text, "-r {name} {value}")
NAMES = Kind("a name, or a list of names", _are_names, "-y '{name}: [\"{value}\"]'")
NUMBERS = Kind("a list of whole numbers from 1", _are_numbers, "-y '{name}: [15, 150]'")
SWITCH = Kind("True or False, without quotes", _is_bool, "-p {name} True")
COUNT = Kind("a whole number from 1", _is_number, "-p {name} 100")
JOBS = Kind("a whole number from 1, or -1", lambda value: value == -1 or _is_number(value), "-p {name} 2")
SEED = Kind("a whole number from 0", lambda value: _is_number(value, least=0), "-p {name} 0")
SIZE = Kind("a number from 0", lambda value: _is_number(value, numbers.Real, 0), "-p {name} 250")
WINDOW = Kind("seconds, or a list of two numbers of seconds", _is_window, "-y '{name}: [5, 2.5]'")

OPTIONAL = (
    *("clip", "cluster", "data_dir", "dims", "exclude", "export_dir", "families", "ground_truth", "hear"),
    *("n_components", "name", "query", "scale", "window"),
)
"""Parameters that may be None."""
_NAMED = {
    TEXT: """aggregation clip cluster data_dir dataset device exclude export_dir families figures_dir font
    grid ground_truth hear judge language model name own_sound query rival task transform""",
    NAMES: "judged queries searches systems ways",
    NUMBERS: "cutoffs",
    SWITCH: "add_ancestors clickable freesound needs_audio normalize pre_normalize scale strict",
    COUNT: "dims n_components n_judged n_queries n_results top_n",
    JOBS: "n_jobs",
    SEED: "seed",
    SIZE: "in_memory_mb",
    WINDOW: "window",
}
KINDS = {name: kind for kind, names in _NAMED.items() for name in names.split()}
"""Kind of each parameter of a notebook. One name is of one kind in all of them."""


def check_parameters(given: Mapping[str, object]) -> None:
    """Raise an error for a parameter that is of another kind than it must be.

    Parameters
    ----------
    given : mapping
        Parameters by name, such as the `globals()` of a notebook; other names count for nothing.

    Raises
    ------
    ValueError
        If one is of another kind. The message has its name, its value and what to give.

    Examples
    --------
    >>> check_parameters({"cutoffs": [15], "normalize": False, "query": None})
    >>> check_parameters({"cutoffs": 15})
    Traceback (most recent call last):
    ValueError: cutoffs=15: give a list of whole numbers from 1, for papermill as -y 'cutoffs: [15, 150]'
    """
    for name, kind in KINDS.items():
        value = given.get(name)
        if name in given and not (kind.fits(value) or (value is None and name in OPTIONAL)):
            words = kind.words + (", or None" if name in OPTIONAL else "")
            option = kind.option.format(name=name, value=value)
            raise ValueError(f"{name}={value!r}: give {words}, for papermill as {option}")
