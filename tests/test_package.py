import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import sss_lib
from sss_lib import models
from sss_lib.models.catalogue import CATALOGUE

ROOT = Path(__file__).parent.parent


def test_importing_the_package_loads_no_heavy_library():
    heavy = ["numpy", "pandas", "scipy", "sklearn", "torch", "faiss", "matplotlib", "papermill", "pyarrow"]
    code = f"import sys, sss_lib; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("name", sss_lib.__all__)
def test_every_module_is_reached_by_name(name):
    assert getattr(sss_lib, name).__doc__


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="no module 'serach'; it has approximate, archives"):
        _ = sss_lib.serach


def test_the_conda_environment_leaves_dependencies_to_pyproject():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, of_pip = environment["dependencies"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert python == "python" + project["requires-python"]
    assert (pip, of_pip) == ("pip", {"pip": ["-e .[all]"]})


def test_the_readme_names_notebooks_and_figures_that_exist():
    readme = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", readme):
        assert (ROOT / target).exists(), target
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{notebook.name}" in readme


def expanded(pattern):
    """Names that a pattern with braces stands for, as in a shell: "a{b,c}" for "ab" and "ac"."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def test_the_readme_has_a_row_for_every_model_with_its_licence():
    table = (ROOT / "README.md").read_text().partition("## The models")[2].partition("\n\n## ")[0]
    named = []
    for line in table.splitlines():
        if not line.startswith("| `"):
            continue
        cells = line.split(" | ")
        names = [name for pattern in re.findall(r"`([^`]+)`", cells[0]) for name in expanded(pattern)]
        for row in map(models.spec, names):
            assert (row.weights.licence if row.weights else "none") in cells[3], row.name
            assert ("in the repository" in cells[3]) == bool(row.weights and not row.weights.url), row.name
            assert (cells[5].strip(" |") != "-") == bool(row.paper), row.name
            assert f"{row.dim:,}" in cells[2], row.name
        named += names
    assert sorted(named) == sorted(CATALOGUE)


def test_the_python_of_the_readme_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), flags=re.DOTALL):
        exec(block, {})
    del CATALOGUE["peak"]
    out = capsys.readouterr().out
    assert "macro" in out
    assert "(3, 2)" in out
    assert "['a new one', " in out


def test_the_commands_of_the_readme_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"\bmake ([a-z]+)", (ROOT / "README.md").read_text()))
    assert {"run", "test", "bench"} <= targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_no_placeholder_is_left_in_the_readme():
    assert not re.findall(r"^[A-Z]{4,}$", (ROOT / "README.md").read_text(), flags=re.MULTILINE)


def made(*arguments, **environment):
    """Return what make says."""
    own = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    ways = {"capture_output": True, "text": True, "check": True}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, env=own | environment, **ways
    ).stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_takes_what_its_command_line_says_and_nothing_from_the_environment():
    names = ("GRID", "DATASET", "QUERY", "NAME", "ANCESTORS", "JOBS", "MODELS")
    system = {name: f"{name}-of-the-system" for name in names}
    for target in ("run", "data", "verify", "models"):
        assert made("-n", target, **system) == made("-n", target)
    seen = ("--eval", 'seen: ; @echo "$$DATASET|$$QUERY|$$NAME"', "seen")
    assert made(*seen, 'QUERY=@has("Dog")', **system) == '|@has("Dog")|\n'
    said = made("-n", "run", "DATASET=mini", "QUERY=x", "NAME=y", "ANCESTORS=1", "JOBS=2")
    for option in ("--dataset", "--query", "--name", "--add-ancestors", "--n-jobs 2"):
        assert option in said
    assert "--add-ancestors" not in made("-n", "run", "ANCESTORS=0")


def test_the_readme_has_no_number_left_to_fill_in():
    """A cell of nothing but capitals, such as RANK, stands for a number that nobody measured."""
    lines = [line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("|")]
    cells = [cell.strip(" *\\") for line in lines for cell in line.split("|")]
    assert len(lines) > 20
    unfilled = re.compile(r"[A-Z][A-Z0-9_]+(, [A-Z][A-Z0-9_]+)*|\?+")
    assert [cell for cell in cells if unfilled.fullmatch(cell) and cell != "MIT"] == []
