"""Every command and every block of code in README.md and CONTRIBUTING.md is executed.

In full, on the smallest input there is: `make data` and what else fetches FSD50K (from a server on this
machine that has a small replica), `make verify`, `make paper`, `make leaderboard`, `make models` without
names, and all Python. A `make run` is planned, by its own grid on its own collection, and stops before the
first notebook: test_notebooks.py runs that command to the end, from a folder of sounds to figures. What
serves, measures, tests or checks is taken as far as its command line; what does it in full is said beside it.
"""

import importlib
import importlib.util
import itertools
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from test_collections import site  # noqa: F401  (a fixture)

from sss_lib import dataset, experiment, tables
from sss_lib.__main__ import main
from sss_lib.models.catalogue import CATALOGUE

ROOT = Path(__file__).parent.parent
SETTING = re.compile(r"[A-Z_]+=")
COMMAND = re.compile(r"([A-Z_]+=\S+ )*(make|python|pytest|pip|conda|pre-commit|\.venv/bin/\w+)( |$)")
SOUNDS = "path/to/my_sounds"


def blocks(path):
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def commands():
    """Commands of both files, in blocks and in running text, without their comments, each once."""
    found = []
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md"):
        lines = [
            line for language, text in blocks(path) if language != "python" for line in text.splitlines()
        ]
        prose = re.sub(r"^```.*?^```", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)
        lines += [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
        found += [shlex.join(shlex.split(line, comments=True)) for line in lines if COMMAND.match(line)]
    return list(dict.fromkeys(found))


def test_commands_of_blocks_and_of_running_text_are_found():
    found = commands()
    assert """make run DATASET=mini NAME=no-drums 'QUERY=not @has("Drum")'""" in found
    assert "pytest -m weights" in found


NEEDED = [
    *("make run", "make test", "make listen", "make paper", "make lint", "make bench", "make leaderboard"),
    *("make setup", "make setup LATEST=1", "make lock", "make models"),
    *("make run PLAN=1", "make run ANCESTORS=1", "make run JOBS=2"),
    *(f"make run DATASET={SOUNDS}", "make run DATASET=fsd50k", "make listen DATASET=sounds"),
    *("make data DATASET=fsd50k", "make verify DATASET=fsd50k", "make paper DATASET=fsd50k"),
    *(f"make run GRID=notebooks/grids/{name}.yaml" for name in ("processing-ablation", "paper-table2")),
    "make run GRID=notebooks/grids/ann.yaml DATASET=fsd50k",
    *("make run CLUSTER=local", "make run CLUSTER=tcp://127.0.0.1:8786"),
    *(".venv/bin/dask scheduler", ".venv/bin/jupyter lab notebooks", "conda env create -f environment.yml"),
    *(
        f"pip install -e '.[{extra}]'"
        for extra in ("torch", "essentia", "listen", "paper", "scale", "dev", "all")
    ),
    *("pip install -e .", "pytest", "python tests/extras.py", "make check"),
    *(f"OPENBLAS_CORETYPE={kernel} pytest" for kernel in ("Haswell", "Sandybridge", "SkylakeX")),
]
"""What a newcomer is told to type: none of it may be lost unnoticed."""


@pytest.mark.parametrize("command", NEEDED)
def test_what_a_newcomer_needs_is_told(command):
    assert command in commands()


def test_the_python_runs(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where it leaves what it writes
    for language, block in blocks(ROOT / "README.md"):
        if language == "python":
            exec(block, {})
    del CATALOGUE["peak"]
    out = capsys.readouterr().out
    assert "macro" in out
    assert "(3, 2)" in out
    assert "(231, 15)" in out


class World:
    """A folder with the sounds that the README speaks of, and what is made of them."""

    def __init__(self, folder):
        self.folder, self.data = folder, folder / "data"
        clips = sorted((ROOT / "data" / "mini" / "audio").iterdir())
        for i, clip in enumerate(clips[:6]):
            of_class = folder / SOUNDS / ("dog", "cat")[i % 2]
            of_class.mkdir(parents=True, exist_ok=True)
            shutil.copy(clip, of_class)
        self.data.mkdir()
        (self.data / "mini").symlink_to(ROOT / "data" / "mini")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return World(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the words that a target of the Makefile gives to each program that it calls."""
    if shutil.which("make") is None:
        pytest.skip("needs make")
    folder = tmp_path_factory.mktemp("bin")
    for program in ("python", "ruff", "mypy"):
        told = f"printf '{program}\\0'; for word in \"$@\"; do printf '%s\\0' \"$word\"; done; echo"
        (folder / program).write_text(f"#!/bin/sh\n{told}\n")
        (folder / program).chmod(0o755)
    for name in ("ready", "ready-all"):
        (folder / name).touch()  # so that nothing is set up
    own = ["make", "--no-print-directory", f"BIN={folder}", f"READY={folder / 'ready'}"]
    ways = {"cwd": ROOT, "capture_output": True, "text": True, "check": True}

    def calls(words):
        done = subprocess.run([*own, *words], **ways)
        told = [line.split("\0")[:-1] for line in done.stdout.splitlines()]
        assert all(told), done.stdout
        return told

    return calls


def test_a_misspelt_variable_of_make_is_refused(made):
    with pytest.raises(subprocess.CalledProcessError) as refused:
        made(["run", "DATASETS=mini"])
    assert "DATASETS means nothing here: there are DATASET QUERY" in refused.value.stderr


SLOW = re.compile(r"make (lint|paper)|mypy")


@pytest.mark.parametrize(
    "command", [pytest.param(one, marks=[pytest.mark.slow] * bool(SLOW.match(one))) for one in commands()]
)
def test_the_command_does_what_it_says(command, made, request, monkeypatch, capsys):
    program, *words = itertools.dropwhile(SETTING.match, shlex.split(command))
    target = next((word for word in words if word.isalpha()), "setup")
    if program == "make" and target in ("setup", "lock", "clean"):  # these change the environment, and fetch
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
        return
    for program, *arguments in made(words) if program == "make" else [[program, *words]]:  # noqa: B020
        name = program
        if program == "python":
            name, *arguments = arguments[1:] if arguments[0] == "-m" else arguments
        if name == "sss_lib":
            name, arguments = f"{name} {arguments[0]}", arguments[1:]
        assert name in WAYS, f"say in {Path(__file__).name} how `{command}` is to be executed"
        WAYS[name](arguments, request)


def grid(arguments, request):
    """The plan; test_notebooks.py runs it."""
    world = request.getfixturevalue("world")
    path, *rest = arguments
    if "fsd50k" in rest or experiment.read_grid(ROOT / path).datasets == ("fsd50k",):
        request.getfixturevalue("site")
        dataset.fetch("fsd50k", world.data)
    request.getfixturevalue("monkeypatch").chdir(world.folder)
    dirs = ["--data-dir", str(world.data), "--figures-dir", str(world.folder / "figures")]
    assert main(["run", str(ROOT / path), *rest, *dirs, "--plan"]) == 0
    assert "05_figures" in request.getfixturevalue("capsys").readouterr().out
    assert not (world.folder / "figures").exists()


def collections(arguments, request):
    request.getfixturevalue("site")
    data = request.getfixturevalue("world").data
    assert main(["data", *arguments, "--data-dir", str(data)]) == 0


def verification(arguments, request):
    data = request.getfixturevalue("world").data
    if arguments == ["fsd50k"]:
        request.getfixturevalue("site")
        dataset.fetch("fsd50k", data)
    assert main(["verify", *arguments, "--data-dir", str(data)]) == 0


def of_models(arguments, request):
    """All but the download, which test_weights.py does from a server on this machine."""
    asked = []
    request.getfixturevalue("monkeypatch").setattr("sss_lib.models.registry.fetch", asked.append)
    assert main(["models", *arguments]) == 0
    assert asked == arguments
    assert set(asked) <= set(CATALOGUE)


def reproduction(arguments, request):
    """Of a run that ended as the committed one did; test_reproduction.py has others."""
    data = request.getfixturevalue("tmp_path") / "data"
    shutil.copytree(ROOT / "figures" / "mini", data / "figures" / "mini")
    assert main(["check", *arguments, "--data-dir", str(data)]) == 0
    assert request.getfixturevalue("capsys").readouterr().out.startswith("reproduced: ")


def leaderboard(arguments, request):
    folder = request.getfixturevalue("small_store").data_dir
    assert main(["leaderboard", *arguments, "--data-dir", str(folder)]) == 0
    assert "tiny: each model's best" in request.getfixturevalue("capsys").readouterr().out


def paper(arguments, request):
    pytest.importorskip("typst")
    if "--dataset" in arguments:  # of a run that isn't here: test_paper.py builds such
        assert main(["paper", *arguments, "--figures-dir", "/nowhere"]) == 2
        return
    out = request.getfixturevalue("world").folder / "paper"
    assert main(["paper", *arguments, "--out", str(out)]) == 0
    assert (out / "poster.pdf").is_file() or "--png" in arguments


def pytests(arguments, request):
    """What it is to select exists; this very run executes the tests."""
    if "-m" in arguments:
        marker = arguments[arguments.index("-m") + 1].removeprefix("not ")
        using = [
            path for path in (ROOT / "tests").rglob("test_*.py") if f"mark.{marker}\n" in path.read_text()
        ]
        assert using, marker
    assert all((ROOT / word).exists() for word in arguments if word.startswith("tests"))


def pip(arguments, request):
    """What is to be installed is this project's extra, or a package that one of them declares."""
    project = (ROOT / "pyproject.toml").read_text()
    for word in (word for word in arguments[1:] if not word.startswith("-") and word != "."):
        extra = re.fullmatch(r"\.\[(\w+)\]", word)
        assert f"\n{extra[1]} = [" in project if extra else f'"{word}>=' in project, word


def served(arguments, request):
    """Served and driven in test_page.py; here its command line is read."""
    with pytest.raises(SystemExit) as done:
        main(["listen", *arguments, "--help"])
    assert done.value.code == 0


def here(program):
    """Return a way that runs a program in full, as in the environment of whoever runs the tests."""

    def way(arguments, request):
        pytest.importorskip(program)
        command = [sys.executable, "-m", program, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    return way


def pre_commit(arguments, request):
    """Into a repository of its own: what the hooks do, `make lint` and test_notebooks.py do."""
    pytest.importorskip("pre_commit")
    folder = request.getfixturevalue("tmp_path")
    shutil.copy(ROOT / ".pre-commit-config.yaml", folder)
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    subprocess.run([sys.executable, "-m", "pre_commit", *arguments], cwd=folder, check=True)
    assert (folder / ".git" / "hooks" / "pre-commit").is_file()


def is_there(path):
    """Return a way that looks for a file or a program: the benches take minutes, conda isn't reached."""

    def way(arguments, request):
        assert (ROOT / path).is_file() or importlib.util.find_spec(path)

    return way


WAYS = {
    "tests/extras.py": is_there("tests/extras.py"),  # takes minutes, and needs a package index
    "sss_lib run": grid,
    "sss_lib data": collections,
    "sss_lib verify": verification,
    "sss_lib models": of_models,
    "sss_lib check": reproduction,
    "sss_lib leaderboard": leaderboard,
    "sss_lib paper": paper,
    "sss_lib listen": served,
    "pytest": pytests,
    "pip": pip,
    "conda": is_there("environment.yml"),  # test_package.py holds it to pyproject.toml
    ".venv/bin/jupyter": is_there("jupyterlab"),
    ".venv/bin/dask": is_there("distributed"),  # test_clusters.py starts scheduler and workers by these lines
    "ruff": here("ruff"),
    "mypy": here("mypy"),
    "threadpoolctl": here("threadpoolctl"),
    ".venv/bin/pre-commit": pre_commit,
}
# test_benchmarks.py runs each to its end on little input, but that of
# notebooks; test_page.py that of the page.
BENCHES = [path.name for path in sorted((ROOT / "tests" / "benchmarks").glob("*.py"))]
WAYS |= {path: is_there(path) for path in (f"tests/benchmarks/{name}" for name in BENCHES)}


def test_the_files_that_contributing_names_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    named = set(re.findall(r"`((?:sss_lib|tests|notebooks|data|paper-poster-presentation)/[\w./-]+)`", text))
    assert len(named) > 25
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_scores_in_the_readme_are_those_of_the_run():
    readme = (ROOT / "README.md").read_text()
    for row in pd.read_csv(ROOT / "figures/mini/comparison.csv", dtype=str).to_dict("records"):
        cells = " | ".join(row[key].replace("*", "\\*") for key in ("MAP@15", "MAP@150", "MR1"))
        assert f"| {cells} |" in readme
    best = pd.read_csv(ROOT / "figures/mini/best.csv")
    (leader,) = tables.select(best[best["model"] == "aisfx"], "MAP", 15).to_dict("records")
    assert f"[{leader['group_ci_low']:.3f}, {leader['group_ci_high']:.3f}]" in readme
