"""data/models/front_ends.csv, the constants that authors published for their front ends, against the code."""

import importlib
import math
import re
from pathlib import Path

import pandas as pd
import pytest

from sss_lib import models

ROOT = Path(__file__).parents[2]
TABLE = pd.read_csv(ROOT / "data" / "models" / "front_ends.csv", dtype=str, keep_default_na=False)
COMPARED_WHOLE = {"aisfx", "birdnet", "msd-musicnn", "mtt-musicnn", "msd-vgg", "mtt-vgg"}
"""Models whose output from audio on was compared with that of the published pipeline and weights."""
ROWS = [pytest.param(row, id=f"{row.model}/{row.constant}") for row in TABLE.itertuples()]


def value_of(place, model):
    """What the code has at a place: "row.field.key", or "module:NAME.key"."""
    module, _, names = place.rpartition(":")
    value = importlib.import_module(module) if module else models.spec(model)
    for name in (names if module else names.removeprefix("row.")).split("."):
        value = value[name] if hasattr(value, "keys") else getattr(value, name)
    return value


def same(text, value):
    if isinstance(value, (int, float)):
        return math.isclose(float(text), value, rel_tol=1e-9)
    return text == str(value)


@pytest.mark.parametrize("row", ROWS)
def test_the_code_has_the_value_that_the_table_says(row):
    kind, _, path = row.code.partition(":")
    if kind == "test":  # of behaviour that no constant tells
        assert (ROOT / path).is_file()
    elif row.code:
        pytest.importorskip(models.spec(row.model).requires or "numpy")
        assert same(row.ours, value_of(row.code, row.model)), value_of(row.code, row.model)


@pytest.mark.parametrize("row", ROWS)
def test_a_difference_from_the_authors_is_told_and_no_other_is(row):
    assert bool(row.difference) is (row.authors != row.ours)
    assert row.difference.startswith(
        ("left as it is: ", "none in effect: ", "")[:2] if row.difference else ""
    )
    assert row.code or row.difference


@pytest.mark.parametrize("source", sorted(set(TABLE["source"])))
def test_a_source_is_a_file_of_the_authors(source):
    assert re.fullmatch(
        r"((github\.com|huggingface\.co)/[\w.-]+/[\w.-]+|the package [\w-]+ [\d.]+ on PyPI,) \S+\.\w+", source
    )


def test_no_constant_is_there_twice():
    assert not TABLE.duplicated(["model", "constant"]).any()


def test_every_network_of_the_catalogue_is_in_the_table():
    told = {models.spec(name).series for name in TABLE["model"]}
    networks = [row for row in models.catalogue().values() if row.weights and row.name not in COMPARED_WHOLE]
    assert {row.series for row in networks} == told


def test_another_value_would_be_noticed():
    assert same("0.001", 0.001)
    assert not same("0.01", 0.001)
    assert not same("windows", "truncate")
