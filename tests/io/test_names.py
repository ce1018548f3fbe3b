"""A name that nobody knows is answered with near ones: all of a few, three of many."""

from pathlib import Path

import numpy as np
import pytest

from sss_lib.io.names import MOST_SHOWN, require_known, require_text

IDS = [str(37_199 + 7 * i) for i in range(10_231)]


def told(value, known):
    with pytest.raises(ValueError, match="is not among the clips") as error:
        require_known(value, known, "the clips")
    return str(error.value)


@pytest.mark.parametrize("value", [37_199, 37_199.0, True, None])
def test_a_number_is_not_the_name_that_looks_like_it(value):
    with pytest.raises(ValueError, match=f"the clips are named by text, and {value} is none"):
        require_known(value, ["37199", "37199.0", "True", "None"], "the clips")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (np.int64(7), "clip=7 is a number, not a name: write it in quotes, for papermill as -r clip 7"),
        (True, "clip=True is not a name: give a text in quotes"),
        (None, "clip=None is not a name"),
        (Path("7"), "is not a name"),
    ],
)
def test_what_is_no_text_is_refused_as_a_name(value, words):
    with pytest.raises(ValueError, match=words):
        require_text(value, "clip")


@pytest.mark.parametrize("value", ["3719", "37199.wav", " 37199 ", "nosuch", "", "372060"])
def test_of_many_names_the_three_nearest_are_told(value):
    words = told(value, IDS)
    assert "The nearest of 10,231 are " in words
    named = words.rpartition(" are ")[2].split(", ")
    assert len(named) == 3
    assert set(named) <= set(IDS)
    if "37199" in value:
        assert "37199" in named
    assert len(words) < 150


def test_of_few_names_all_are_told():
    few = IDS[:MOST_SHOWN]
    assert told("3719", few).endswith("They are " + ", ".join(few))
    assert "The nearest of 31 are" in told("3719", IDS[: MOST_SHOWN + 1])
