"""Figures of a grid that is not whole never replace those of a whole one, least of all the committed ones."""

import shutil

import pytest
import test_by_hand

from sss_lib import experiment
from sss_lib.experiment import reproduction
from sss_lib.experiment.grid import Grid
from sss_lib.experiment.runner import Runner
from sss_lib.experiment.store import Store
from sss_lib.experiment.task import notebook_parameters

ROOT = experiment.NOTEBOOKS.parent
FAST = {"model": "duration", "aggregation": "none", "n_components": None, "normalize": False}


def state(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """Folder of a checkout where 00 to 05 were stepped through with one model, and its figures before."""
    folder = tmp_path_factory.mktemp("checkout")
    (folder / "data").mkdir()
    (folder / "data" / "mini").symlink_to(ROOT / "data" / "mini")
    shutil.copytree(ROOT / "figures" / "mini", folder / "figures" / "mini")
    shutil.copytree(ROOT / "notebooks" / "grids", folder / "notebooks" / "grids")
    before = state(folder / "figures" / "mini")
    for stage in test_by_hand.STAGES:
        known = notebook_parameters(experiment.NOTEBOOKS / f"{stage}.ipynb")
        chosen = {key: value for key, value in FAST.items() if key in known}
        test_by_hand.execute(stage, folder / "notebooks", **chosen)
    for stage in test_by_hand.FIGURES:
        test_by_hand.execute(stage, folder / "notebooks")
    return folder, before


@pytest.mark.slow
def test_by_hand_05_changes_no_committed_file(by_hand):
    folder, before = by_hand
    assert state(folder / "figures" / "mini") == before
    assert sorted(path.name for path in (folder / "figures").iterdir()) == ["mini", "mini-partial"]
    written = {path.name for path in (folder / "figures" / "mini-partial").iterdir()}
    assert {"ladder.svg", "run.json", "claims.csv", "published-alike.svg", "published-alike.txt"} <= written


@pytest.mark.parametrize(
    ("dataset", "grid", "is_whole", "folder"),
    [
        ("mini", "mini", True, "data/figures/mini"),
        ("mini", "mini", False, "figures/mini-partial"),
        ("mini", "ann", True, "figures/mini-ann"),
        ("mini", "ann", False, "figures/mini-ann-partial"),
        ("birds", "mini", True, "figures/birds"),
        ("birds", "mini", False, "figures/birds-partial"),
    ],
)
def test_figures_have_a_folder_by_whether_the_grid_is_whole(tmp_path, dataset, grid, is_whole, folder):
    of = (Store(tmp_path / "data"), dataset, Grid(("logmel",), name=grid))
    assert reproduction.figures_folder(*of, is_whole=is_whole) == tmp_path / folder
    root = tmp_path / "elsewhere"
    if folder.startswith("figures"):
        found = reproduction.figures_folder(*of, root, is_whole=is_whole)
        assert found == root / folder.removeprefix("figures/")


@pytest.mark.parametrize("lacking", ["failed", "left_out"])
def test_a_run_that_is_not_whole_leaves_the_committed_figures(tmp_path, capsys, lacking):
    """Where a library is missing or a notebook has failed, what is left is another experiment."""
    shutil.copytree(ROOT / "figures" / "mini", tmp_path / "figures" / "mini")
    shutil.copytree(ROOT / "figures" / "mini", tmp_path / "figures" / "mini-partial")
    (tmp_path / "figures" / "mini-partial" / "stability.csv").unlink()
    before = state(tmp_path / "figures" / "mini")
    grid = experiment.NOTEBOOKS / "grids" / "mini.yaml"
    runner = Runner(grid, "mini", Store(tmp_path / "data"), tmp_path / "figures", 1)
    setattr(runner.stages, lacking, {"freesound"})
    tasks = runner.stages.of_figures()
    assert {task.parameters["figures_dir"].rpartition("/")[2] for task in tasks} == {"mini-partial"}
    runner.report_figures()
    assert capsys.readouterr().out == f"\nFigures: {tmp_path / 'figures' / 'mini-partial'}\n"
    assert state(tmp_path / "figures" / "mini") == before
