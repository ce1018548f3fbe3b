"""A run that gives the committed results again leaves them alone; one that doesn't says where it differs."""

import json
import os
import shutil

import pandas as pd
import pytest
from test_by_hand import state

from sss_lib import reproduction
from sss_lib.__main__ import main
from sss_lib.experiment import NOTEBOOKS, Store
from sss_lib.experiment.runner import Runner

FIGURES = NOTEBOOKS.parent / "figures" / "mini"
TABLES = sorted(path.name for path in FIGURES.glob("*.csv"))


@pytest.fixture
def written(tmp_path):
    """What a run wrote: a copy of the committed results."""
    return shutil.copytree(FIGURES, tmp_path / "data" / "figures" / "mini")


@pytest.fixture
def committed(tmp_path):
    """Another copy, in the place of the committed ones."""
    return shutil.copytree(FIGURES, tmp_path / "figures" / "mini")


def change(folder, name, column, new, where=None):
    """Set a column of a table, in all rows or in some, to a value or to a function of the one before."""
    table = pd.read_csv(folder / name, keep_default_na=False, na_values=[""])
    rows = slice(None) if where is None else table.query(where).index
    before = table.loc[rows, column]
    assert len(before)
    after = new(before) if callable(new) else new
    table[column] = table[column].astype(object if isinstance(after, str) else float)
    table.loc[rows, column] = after
    table.to_csv(folder / name, index=False)


def test_the_committed_results_reproduce_themselves():
    compared = reproduction.compare(FIGURES, FIGURES)
    assert compared.is_reproduced
    tables = (pd.read_csv(path).select_dtypes("number") for path in FIGURES.glob("*.csv"))
    printed = reproduction.PRINTED  # compared in the table that they are printed of
    n = sum(one[name].notna().sum() for one in tables for name in one if not name.startswith(printed))
    run = json.loads((FIGURES / "run.json").read_text())
    n += sum(isinstance(value, int | float) for value in [*run.values(), *run["bounds"].values()])
    assert len(compared.differences) == n
    assert str(compared) == f"reproduced: {len(compared.differences):,} numbers, all of them equal"


def test_a_score_of_zero_is_compared(written, committed):
    """As MR1 is under the paper's protocol, whose ranks begin at 0, where every first result counts."""
    for folder in (written, committed):
        change(folder, "best.csv", "value", 0, "metric == 'MR1' and protocol == 'paper'")
    assert reproduction.compare(written, committed).is_reproduced
    change(written, "best.csv", "value", 0.1, "metric == 'MR1' and protocol == 'paper'")
    assert not reproduction.compare(written, committed).is_reproduced


AISFX = "metric == '{}' and model == 'aisfx' and n_components == 100 and aggregation == 'mean' and normalize"


@pytest.mark.parametrize(
    ("metric", "within", "beyond", "where"),
    [
        ("MAP", lambda v: v + 0.0049, lambda v: v + 0.0051, "macro MAP@15 of aisfx, mean, PCA 100, L2, NNS"),
        ("MR1", lambda v: v * 1.0099, lambda v: v * 0.9899, "macro MR1 of aisfx, mean, PCA 100, L2, NNS"),
    ],
)
def test_a_score_may_move_as_far_as_the_tolerance(written, committed, metric, within, beyond, where):
    rows = AISFX.format(metric) + " and search == 'nns'" + (" and n == 15" if metric == "MAP" else "")
    before = state(committed)
    change(written, "systems.csv", "value", within, rows)
    compared = reproduction.settle(written, committed)
    assert compared.is_reproduced
    assert f"largest difference {max(d.size for d in compared.differences):.2g} ({where})" in str(compared)
    assert state(committed) == before
    shutil.copy(FIGURES / "systems.csv", written)
    change(written, "systems.csv", "value", beyond, rows)
    compared = reproduction.settle(written, committed)
    (moved,) = compared.beyond
    assert moved.where == where
    assert str(compared).startswith("not reproduced: 1 of ")
    assert f"{where}: {moved.found:.4g}, committed is {moved.committed:.4g}" in str(compared)
    assert {name: content for name, (content, _) in state(committed).items()} == {
        path.name: path.read_bytes() for path in written.iterdir()
    }
    assert reproduction.compare(written, committed).is_reproduced


@pytest.mark.parametrize("name", TABLES)
def test_a_number_of_another_size_is_found_in_any_column(written, name):
    """But in those that print numbers of another table."""
    table = pd.read_csv(written / name, keep_default_na=False, na_values=[""])
    columns = [
        column
        for column in table.select_dtypes("number").dropna(axis=1, how="all")
        if not column.startswith(reproduction.PRINTED)
    ]
    for column in columns:
        table.loc[table[column].first_valid_index(), column] += 3
    table.to_csv(written / name, index=False)
    compared = reproduction.compare(written, FIGURES)
    assert sorted((one.name, one.column) for one in compared.beyond) == [
        (name, one) for one in sorted(columns)
    ]


@pytest.mark.parametrize(
    ("name", "column"), [("systems.csv", "chance"), ("best.csv", "n_queries"), ("claims.csv", "pairs")]
)
def test_what_follows_from_the_labels_is_held_to_its_last_digits(written, name, column):
    change(written, name, column, lambda before: before * (1 + 1e-8))
    assert not reproduction.compare(written, FIGURES).is_reproduced


def test_another_verdict_is_told(written):
    change(written, "claims.csv", "verdict", "holds", "verdict == 'open' and pairs == 6")
    (told,) = reproduction.compare(written, FIGURES).others
    assert told == (
        "claims.csv, The inner product finds more on raw embeddings once they are centred.: "
        "verdict is holds, committed is open"
    )


def test_another_order_of_the_table_is_told(written):
    table = pd.read_csv(written / "comparison.csv", keep_default_na=False, dtype=str)
    table.iloc[[0, 2, 1, *range(3, len(table))]].to_csv(written / "comparison.csv", index=False)
    others = reproduction.compare(written, FIGURES).others
    assert "comparison.csv, YAMNet: System is aiSFX, committed is YAMNet" in str(others)


def test_classes_may_change_places_but_not_their_scores(written):
    table = pd.read_csv(written / "classes.csv")
    table.iloc[::-1].to_csv(written / "classes.csv", index=False)
    assert reproduction.compare(written, FIGURES).is_reproduced


@pytest.mark.parametrize("folder", ["written", "committed"])
def test_a_table_row_or_column_that_only_one_side_has_is_told(written, committed, folder, request):
    lacking = request.getfixturevalue(folder)
    (lacking / "losses.csv").unlink()
    table = pd.read_csv(lacking / "systems.csv")
    table.iloc[:-1].to_csv(lacking / "systems.csv", index=False)
    table = pd.read_csv(lacking / "best.csv")
    table.iloc[:, :-1].to_csv(lacking / "best.csv", index=False)
    compared = reproduction.settle(written, committed)
    assert [told.split()[0] for told in compared.others] == ["losses.csv", "best.csv", "systems.csv"]
    assert {path.name for path in committed.iterdir()} == {path.name for path in written.iterdir()}


def test_pictures_and_what_the_run_was_made_with_may_differ(written, committed):
    (written / "map.svg").write_text("<svg/>")
    run = json.loads((written / "run.json").read_text())
    (written / "run.json").write_text(json.dumps(run | {"version": "9", "processor": {"kernel": "another"}}))
    before = state(committed)
    assert reproduction.settle(written, committed).is_reproduced
    assert state(committed) == before


def test_another_collection_is_told(written):
    run = json.loads((written / "run.json").read_text())
    (written / "run.json").write_text(json.dumps(run | {"n_clips": 230, "cutoffs": [15, 100]}))
    compared = reproduction.compare(written, FIGURES)
    assert [one.column for one in compared.beyond] == ["n_clips"]
    assert compared.others == ("run.json: cutoffs is [15, 100], committed is [15, 150]",)


def test_a_folder_without_results_gets_them(written, tmp_path):
    assert reproduction.settle(written, tmp_path / "new" / "mini") is None
    names = {path.name for path in (tmp_path / "new" / "mini").iterdir()}
    assert names == {path.name for path in FIGURES.iterdir()}


def test_tables_are_replaced_after_pictures_so_that_a_killed_run_is_noticed_again(
    written, committed, monkeypatch
):
    change(written, "systems.csv", "value", lambda before: before + 1)
    ours, copied = shutil.copyfile, []

    def killed(source, target):
        if source.suffix == ".csv":
            raise KeyboardInterrupt
        copied.append(source.name)
        ours(source, target)

    monkeypatch.setattr(shutil, "copyfile", killed)
    with pytest.raises(KeyboardInterrupt):
        reproduction.settle(written, committed)
    assert copied
    assert not reproduction.compare(written, committed).is_reproduced


def test_the_command_line_compares_and_writes_nothing(written, committed, capsys):
    folders = ["--data-dir", str(written.parent.parent), "--figures-dir", str(committed.parent)]
    before = state(committed)
    assert main(["check", *folders]) == 0
    assert capsys.readouterr().out.startswith("reproduced: ")
    change(written, "stability.csv", "value", lambda before: before + 0.01 * (before == before.max()))
    assert main(["check", *folders]) == 1
    assert "stability.csv, yamnet: 0.3968, committed is 0.3868" in capsys.readouterr().out
    assert state(committed) == before
    (written / "run.json").unlink()
    assert main(["check", *folders]) == 2
    assert "holds no whole run: `make run` first" in capsys.readouterr().err


@pytest.fixture
def runner(tmp_path):
    grid = NOTEBOOKS / "grids" / "mini.yaml"
    return Runner(grid, "mini", Store(tmp_path / "data"), tmp_path / "figures", 1)


def test_only_the_committed_grid_on_the_embedded_sounds_writes_beside_its_figures(runner, tmp_path):
    others = {
        "mini": tmp_path / "data" / "figures" / "mini",
        "no-drums": tmp_path / "figures" / "no-drums",
        "mini-ann": tmp_path / "figures" / "mini-ann",
    }
    store, choice = Store(tmp_path / "data"), {"query": 'not @has("Drum")', "name": "no-drums"}
    found = [
        runner,
        Runner(runner.grid_path, "mini", store, tmp_path / "figures", 1, choice),
        Runner(NOTEBOOKS / "grids" / "ann.yaml", "mini", store, tmp_path / "figures", 1),
    ]
    for one, (name, folder) in zip(found, others.items(), strict=True):
        assert one.stages.figures_dir.name == name
        for task in one.stages.of_figures():
            found = NOTEBOOKS / os.path.normpath(task.parameters["figures_dir"])
            assert found.resolve() == folder.resolve()


def test_the_runner_says_whether_the_results_were_reproduced(runner, written, capsys, monkeypatch):
    figures, anew = runner.stages.figures_dir, []
    monkeypatch.setattr(Runner, "_write_pages", lambda _, **given: anew.append(given["anew"]))
    runner.report_figures()  # the first time
    assert capsys.readouterr().out == f"\nFigures: {figures}\n"
    before = state(figures)
    runner.report_figures()
    assert "all of them equal\n" in capsys.readouterr().out
    assert state(figures) == before
    change(written, "stability.csv", "rank", lambda before: before + 1)
    runner.failures.append(("a notebook", "an error"))
    runner.report_figures()
    assert capsys.readouterr().out == f"\nFigures: {written}\n"
    assert state(figures) == before
    runner.failures.clear()
    runner.report_figures()
    out = capsys.readouterr().out
    assert "not reproduced: 7 of " in out
    assert "mini is written anew" in out
    assert (figures / "stability.csv").read_bytes() == (written / "stability.csv").read_bytes()
    assert anew == [True, False, True]  # pages: none after the run with a failure


def test_what_an_earlier_run_wrote_is_gone_before_05_runs(runner, written, tmp_path, monkeypatch):
    (tmp_path / "data" / "mini").symlink_to(NOTEBOOKS.parent / "data" / "mini")
    seen = []

    def attempt(task, runs_dir, **_):
        if task.notebook == "05_figures":
            seen.append(written.exists())
        return task, 1.0, ""

    monkeypatch.setattr("sss_lib.experiment.task.attempt", attempt)
    assert runner.run()
    assert seen == [False]
