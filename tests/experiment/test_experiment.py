"""The command line of experiments."""

from sss_lib import experiment
from sss_lib.__main__ import main


def test_the_command_line_answers_a_mistake_in_one_line(tmp_path, capsys):
    assert main(["run", str(tmp_path / "none.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: grid")
    assert error.count("\n") == 1


def test_the_command_line_names_a_dataset_that_is_nowhere(tmp_path, capsys):
    grid = str(experiment.NOTEBOOKS / "grids" / "mini.yaml")
    code = main(["run", grid, "--dataset", "nosuch", "--data-dir", str(tmp_path)])
    assert code == 2
    assert "'nosuch' is neither a known dataset ('mini', 'fsd50k', " in capsys.readouterr().err


def test_the_command_line_answers_a_misspelt_cluster(collection, tmp_path, capsys):
    (tmp_path / "grid.yaml").write_text("models: [duration]")
    folders = ["--data-dir", str(tmp_path / "data"), "--figures-dir", str(tmp_path / "figures")]
    words = ["run", str(tmp_path / "grid.yaml"), "--dataset", str(collection), "--cluster", "locl"]
    assert main([*words, *folders]) == 2
    assert "error: cluster 'locl' is neither 'local' nor an address" in capsys.readouterr().err


def test_a_plan_fetches_nothing(tmp_path, capsys):
    grid = str(experiment.NOTEBOOKS / "grids" / "paper-table2.yaml")
    assert main(["run", grid, "--data-dir", str(tmp_path), "--plan"]) == 2
    assert "does not exist: check data_dir, or run `make data DATASET=fsd50k`" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
