"""Fixtures that several test files share, and how long the default selection may take."""

import hypothesis
import numpy as np
import pytest
import small_study
import soundfile

from sss_lib import dataset, models
from sss_lib.experiment import surroundings
from sss_lib.io import windowing
from sss_lib.models.catalogue import CATALOGUE

with surroundings.light_imports():
    import nbformat  # noqa: F401 - before tests that import it

EXTRA_MARKS = {"slow", "browser", "cluster", "simulation", "network"}
"""Of tests that `make test` leaves out: see pyproject.toml."""
BUDGET_S = 300 * 2
"""Of the tests that it runs: five minutes of two cores."""
for name, max_examples in (("quick", 15), ("full", 60)):
    hypothesis.settings.register_profile(
        name, derandomize=True, max_examples=max_examples, deadline=None, database=None
    )
hypothesis.settings.load_profile("quick")  # --hypothesis-profile full: another

RATE_HZ = 44100
GROUND_TRUTH = """\
fname,labels,uploader
b,"Dog,Animal",ann
007,"Cat,Animal",ben
é,Rain,ann
1e5,"Dog,Animal,Rain",cas
a,Animal,
"""
CLASSES = """\
label,parents,family
Animal,,Living
Cat,Animal,Living
Dog,Animal,Living
Rain,,
"""


FIRST = ("experiment", "listening", "models", "figures")
"""Folders whose files take longest: the processes of `make test` start with them, and end with short ones."""


def pytest_configure(config):
    """Have whole files go to processes in the order below, not by how many tests they have."""
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items):
    """Put the folders of FIRST first."""
    places = {folder: i for i, folder in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.parent.name if "tests" in item.path.parts else "", 9))


def pytest_terminal_summary(terminalreporter):
    """Warn where the default selection has grown too long; a busy machine is no reason to fail."""
    reports = [report for of_kind in terminalreporter.stats.values() for report in of_kind]
    tests = [report for report in reports if isinstance(report, pytest.TestReport)]
    total_s = sum(report.duration for report in tests if not EXTRA_MARKS & report.keywords.keys())
    if total_s > BUDGET_S:
        terminalreporter.write_line(
            f"WARNING: the tests without a mark took {total_s:.0f} s, and have {BUDGET_S} s: "
            f"quicken the longest, or mark them {' or '.join(sorted(EXTRA_MARKS))}",
            yellow=True,
        )


@pytest.fixture(scope="session")
def mini():
    """The embedded collection."""
    return dataset.load("mini")


@pytest.fixture
def ranx(monkeypatch):
    """The library ranx, without numba's compiler, which takes longer than these tests compute."""
    monkeypatch.setattr(pytest.importorskip("numba").config, "DISABLE_JIT", 1)
    return pytest.importorskip("ranx")


@pytest.fixture
def collection(tmp_path):
    """Folder of five clips, 0.1 s to 0.5 s long, whose order is neither alphabetical nor by length."""
    folder = tmp_path / "tiny"
    (folder / "audio").mkdir(parents=True)
    for i, fname in enumerate(["007", "1e5", "a", "b", "é"]):
        time_s = np.arange((i + 1) * RATE_HZ // 10) / RATE_HZ
        wave = 0.5 * np.sin(2 * np.pi * 200 * (i + 1) * time_s)
        soundfile.write(folder / "audio" / f"{fname}.wav", wave, RATE_HZ)
    (folder / "ground_truth.csv").write_text(GROUND_TRUTH, encoding="utf-8")
    (folder / "classes.csv").write_text(CLASSES, encoding="utf-8")
    return folder


@pytest.fixture
def windowed_model():
    """Name of a registered model that takes a tenth of a second at once, and gives its peak."""
    models.register(
        "peak",
        lambda wave: [[abs(window).max()] for window in windowing.windows(wave, 1600)],
        rate_hz=16000,
        dim=1,
        hop_s=0.1,
        window_s=0.1,
    )
    yield "peak"
    del CATALOGUE["peak"]


@pytest.fixture(scope="session")
def small_store(tmp_path_factory):
    """Store of a study of a dozen made-up sounds; see small_study."""
    return small_study.make(tmp_path_factory.mktemp("study"))
