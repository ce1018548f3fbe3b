"""The command line of experiments."""

from sss_lib import experiment


def test_the_command_line_answers_a_mistake_in_one_line(tmp_path, capsys):
    assert experiment.main(["run", str(tmp_path / "none.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: grid")
    assert error.count("\n") == 1


def test_the_command_line_names_a_dataset_that_is_nowhere(tmp_path, capsys):
    grid = str(experiment.NOTEBOOKS / "grids" / "mini.yaml")
    code = experiment.main(["run", grid, "--dataset", "nosuch", "--data-dir", str(tmp_path)])
    assert code == 2
    assert "'nosuch' is neither a known dataset ('mini', 'fsd50k', " in capsys.readouterr().err
