"""Each parameter of a notebook is of one kind, and another kind is told before anything is done with it."""

import ast
import json
import re

import in_process
import pytest
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from sss_lib.experiment import NOTEBOOKS
from sss_lib.experiment.parameters import KINDS, check_parameters

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
WRONG = {  # what papermill makes of -p NAME TEXT, and -y
    "model": (15, 2.5, True, None, ["yamnet"]),
    "dataset": (2024, None),
    "data_dir": (0, ["data"]),
    "query": (100051, {}),
    "searches": (15, None, [15], [None]),
    "cutoffs": (15, "15", "[15]", [], ["15"], [0], [True], [2.5], None),
    "normalize": ("false", "True", 2, None, [True]),
    "strict": ("false", "no", None),
    "scale": ("none", [False]),
    "top_n": (0, -3, 2.5, "15", True, None, [15]),
    "n_components": (0, "none", 1e2, False),
    "n_jobs": (0, -2, "2", None),
    "seed": (-1, 0.5, None),
    "in_memory_mb": (-3, -0.5, "250", float("nan"), True, None),
    "window": ("5", [], [5], [5, 2, 1], ["5", "2"], -1, True, float("nan")),
}
RIGHT = {
    "data_dir": (None, "data", NOTEBOOKS),
    "searches": ("nns", ["nns", "mips"], ("nns",), []),
    "cutoffs": ([15], (5, 10)),
    "normalize": (True, False, 0, 1),
    "scale": (None, True),
    "n_components": (None, 1),
    "n_jobs": (1, -1),
    "seed": (0,),
    "in_memory_mb": (0, 0.5, 250),
    "window": (None, 5, [5, 2.5]),
}


def defaults(path):
    """Parameters of a notebook as its cell assigns them."""
    cells = json.loads(path.read_text())["cells"]
    (cell,) = (cell for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    body = ast.parse("".join(cell["source"])).body
    return {line.targets[0].id: ast.literal_eval(line.value) for line in body}


def test_every_parameter_has_a_kind_that_its_default_is_of():
    for path in PATHS:
        assert defaults(path).keys() <= KINDS.keys()
        check_parameters(defaults(path))
    assert set().union(*map(defaults, PATHS)) == KINDS.keys()


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, them in WRONG.items() for value in them])
def test_a_value_of_another_kind_is_told_with_its_name_and_what_to_give(name, value):
    given = re.escape(f"{name}={value!r}")
    with pytest.raises(ValueError, match=f"^{given}: give .*, for papermill as -[pry] '?{name}\\b"):
        check_parameters({name: value})


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, them in RIGHT.items() for value in them])
def test_a_value_of_the_kind_is_taken(name, value):
    check_parameters({name: value, "other": object()})


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_notebook_ends_before_it_does_anything_with_a_wrong_parameter(path, tmp_path):
    book = load_notebook_node(str(path))
    for name in defaults(path).keys() - {"data_dir"}:
        filled = parameterize_notebook(book, {"data_dir": str(tmp_path), name: {}})
        with pytest.raises(ValueError, match=f"^{name}={{}}: give "):
            in_process.execute(filled, tmp_path)
    assert list(tmp_path.iterdir()) == []
