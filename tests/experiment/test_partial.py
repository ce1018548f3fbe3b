"""Figures of a grid that is not whole never replace those of a whole one, least of all the committed ones."""

import shutil

import pytest
from test_by_hand import state

from sss_lib import experiment
from sss_lib.experiment import reproduction
from sss_lib.experiment.grid import Grid
from sss_lib.experiment.runner import Runner
from sss_lib.experiment.store import Store

ROOT = experiment.NOTEBOOKS.parent


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
