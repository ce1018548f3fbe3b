import fnmatch
import importlib
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
MANUAL = (ROOT / "sss_lib" / "models" / "README.md").read_text("utf-8")


def test_importing_the_package_loads_no_heavy_library():
    heavy = ["numpy", "pandas", "scipy", "sklearn", "torch", "faiss", "matplotlib", "papermill", "pyarrow"]
    code = f"import sys, sss_lib; print([m for m in {heavy} if m in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "[]"


@pytest.mark.parametrize("name", sss_lib.__all__)
def test_every_module_is_reached_by_name(name):
    assert getattr(sss_lib, name).__doc__


def test_a_module_is_imported_by_its_short_name_as_itself():
    import sss_lib.artefacts
    import sss_lib.grid

    from sss_lib.experiment import grid, store
    from sss_lib.models import checkpoint

    assert (sss_lib.artefacts, sss_lib.grid) == (store, grid)
    assert checkpoint.__name__ == "sss_lib.models.weights.checkpoint"
    assert store.__spec__.name == store.__name__ == "sss_lib.experiment.store"
    with pytest.raises(ModuleNotFoundError, match=r"sss_lib\.nothing"):
        importlib.import_module("sss_lib.nothing")


def test_a_module_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="no module 'serach'; it has approximate, archives"):
        _ = sss_lib.serach


def test_the_conda_environment_leaves_dependencies_to_pyproject_and_versions_to_the_constraints():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip, of_pip = environment["dependencies"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert python == "python" + project["requires-python"]
    assert (pip, of_pip) == ("pip", {"pip": ["-c constraints.txt", "-e .[all]"]})


def expanded(pattern):
    """Names that a pattern with braces stands for, as in a shell: "a{b,c}" for "ab" and "ac"."""
    parts = [part.split(",") for part in re.split(r"[{}]", pattern)]
    return ["".join(choice) for choice in itertools.product(*parts)]


def test_the_manual_has_a_row_for_every_model_with_its_licence():
    named = []
    for line in MANUAL.partition("\n\n## ")[0].splitlines():
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


def test_the_manual_names_all_weights_that_forbid_commercial_use():
    row = re.search(r"no commercial use of those with NC: (.*?) \|", MANUAL)[1]
    patterns = re.findall(r"`([^`]+)`", row)
    forbidden = {name for name, spec in CATALOGUE.items() if spec.weights and "NC" in spec.weights.licence}
    named = {name for pattern in patterns for name in fnmatch.filter(CATALOGUE, pattern)}
    assert named == forbidden


def made(*arguments, **environment):
    """Return what make says."""
    own = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKEOVERRIDES")}
    ways = {"capture_output": True, "text": True, "check": True}
    return subprocess.run(
        ["make", "--no-print-directory", *arguments], cwd=ROOT, env=own | environment, **ways
    ).stdout


@pytest.fixture
def words(tmp_path):
    """Return the words that a target of the Makefile gives to Python."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    stub = tmp_path / "python"
    stub.write_text("#!/bin/sh\nprintf '%s\\0' \"$@\"\n")
    stub.chmod(0o755)
    (tmp_path / "ready").touch()  # so that nothing is set up
    (tmp_path / "ready-all").touch()

    def of(*arguments, **environment):
        own = (f"BIN={tmp_path}", f"READY={tmp_path / 'ready'}")
        *given, end = made(*own, *arguments, **environment).split("\0")
        assert end == ""
        return given[2:]  # after -m sss_lib

    return of


RUN = ("run", "notebooks/grids/mini.yaml")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["run"], RUN),
        (["run", "PLAN=1", "ANCESTORS=yes"], (*RUN, "--add-ancestors", "--plan")),
        (["run", "PLAN=no", "ANCESTORS=0"], RUN),
        (["run", "IMPORT=1"], (*RUN, "--import-modules")),
        (["run", "GRID=my grids/a.yaml"], ("run", "my grids/a.yaml")),
        (["run", "DATASET=my $ounds", "NAME=$(x)"], (*RUN, "--dataset", "my $ounds", "--name", "$(x)")),
        (["run", 'QUERY=title != "cost: $9"'], (*RUN, "--query", 'title != "cost: $9"')),
        (["run", "JOBS=2; echo", "CLUSTER=a'"], (*RUN, "--n-jobs", "2; echo", "--cluster", "a'")),
        (["run", "DATASET=$(shell touch ran)"], (*RUN, "--dataset", "$(shell touch ran)")),
        (["listen"], ("listen",)),
        (
            ["listen", "HOST=0.0.0.0", "PORT=`touch ran`"],
            ("listen", "--host", "0.0.0.0", "--port", "`touch ran`"),
        ),
        (["models", "MODELS=a b; *"], ("models", "a", "b;", "*")),
        (["data", "DATASET=a; b"], ("data", "a; b")),
        (["data", "DATASET=a", "LABELS=1"], ("data", "a", "--labels")),
        (["verify"], ("verify", "mini")),
        (["paper", "DATASET=a"], ("paper", "--dataset", "a")),
        (["paper", "IMPORT=1"], ("paper", "--import-modules")),
        (["listen", "IMPORT=1"], ("listen", "--import-modules")),
        (["check"], ("check",)),
        (["leaderboard"], ("leaderboard",)),
    ],
)
def test_values_arrive_from_make_as_typed_and_none_from_the_environment(words, given, expected):
    names = "GRID DATASET QUERY NAME ANCESTORS LABELS JOBS MODELS CLUSTER PLAN LATEST HOST PORT"
    system = {name: f"{name}-of-the-system" for name in names.split()}
    assert words(*given, **system) == list(expected)
    assert not (ROOT / "ran").exists()


TEXT = ("abstract", "cff-version", "license", "message", "title", "type", "version")
PERSON, ENTITY = {"family-names", "given-names", "orcid", "affiliation"}, {"name", "website"}


def test_the_citation_has_the_form_of_cff():
    """What CFF 1.2.0 requires of the keys used here; its whole schema isn't checked."""
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert set(citation) == {*TEXT, "authors", "keywords", "references"}
    assert all(isinstance(citation[key], str) and citation[key] for key in TEXT)
    assert citation["cff-version"] == "1.2.0"
    assert citation["type"] in ("software", "dataset")
    assert len(set(citation["keywords"])) == len(citation["keywords"]) > 0
    for work in (citation, *citation["references"]):
        assert {"authors", "title", "type"} <= set(work)
        assert work["authors"]
        for author in work["authors"]:
            assert set(author) <= PERSON or ("name" in author and set(author) <= ENTITY)
            assert all(isinstance(value, str) and value for value in author.values())
        assert isinstance(work.get("year", 0), int)


def test_the_citation_names_this_version_and_the_study():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["version"] == sss_lib.__version__
    assert (citation["title"], citation["license"]) == (project["name"], project["license"])
    assert citation["abstract"] == project["description"]
    (study,) = citation["references"]
    assert [author["family-names"] for author in study["authors"]] == [
        "Araz",
        "Bogdanov",
        "Alonso-Jiménez",
        "Font",
    ]


def test_the_hooks_before_a_commit_are_local_and_those_of_make_lint():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    assert {hook["language"] for hook in repository["hooks"]} == {"system"}
    linted = {
        line.split("/")[-1].split()[0] for line in made("-n", "lint").splitlines() if ".venv/bin/" in line
    }
    hooks = {
        hook["entry"].split("/")[-1].split()[0] if "pytest" not in hook["entry"] else ""
        for hook in repository["hooks"]
    }
    assert {"ruff", "mypy"} <= linted & hooks


@pytest.mark.parametrize(
    ("module", "usage"),
    [
        ("experiment", "sss_lib run"),
        ("listening", "sss_lib listen"),
        ("verification", "sss_lib verify"),
        ("leaderboard", "sss_lib leaderboard"),
    ],
)
def test_the_commands_of_before_are_those_of_now(module, usage):
    arguments = ["run", "--help"] if module == "experiment" else ["--help"]
    told = subprocess.run(
        [sys.executable, "-m", f"sss_lib.{module}", *arguments], capture_output=True, text=True
    )
    assert told.returncode == 0
    assert usage in told.stdout
