import dataclasses
import re

import pytest

from sss_lib import experiment, notebook
from sss_lib.experiment import Grid, Variant


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (Variant("aisfx", "max", 100, True), "aisfx-max-pca100-l2"),
        (Variant("logmel", "none", None, False), "logmel-none-pcanone-raw"),
        (Variant("aisfx", "mean", 50, False, True), "aisfx-mean-pca50-raw-prel2"),
    ],
)
def test_a_variant_is_named_by_its_fields(variant, name):
    assert variant.name == name


def test_different_variants_have_different_names():
    grid = Grid(
        ("aisfx",),
        aggregations=("mean", "max"),
        n_components=(None, 10),
        normalize=(True, False),
        pre_normalize=(True, False),
    )
    variants, _ = grid.variants()
    assert len({variant.name for variant in variants}) == len(variants) == 16


def test_a_grid_leaves_out_what_cannot_be_and_says_so():
    grid = Grid(("aisfx", "duration"), aggregations=("mean", "max"), n_components=(None, 100))
    variants, left_out = grid.variants({"aisfx": 231})
    assert [v.name for v in variants] == [
        "aisfx-mean-pcanone-l2",
        "aisfx-max-pcanone-l2",
        "aisfx-mean-pca100-l2",
        "aisfx-max-pca100-l2",
        "duration-none-pcanone-l2",
    ]
    assert left_out == ["duration has 2 dimensions: no PCA 100"]


def test_pca_beyond_the_number_of_clips_is_left_out():
    variants, left_out = Grid(("aisfx",), n_components=(None, 100)).variants({"aisfx": 20})
    assert [v.n_components for v in variants] == [None]
    assert left_out == ["aisfx has embedded 20 clips: no PCA 100"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modles: [aisfx]", "'modles' is not among the keys of grid.yaml: did you mean 'models'?"),
        ("models: [aisfxx]", "did you mean 'aisfx'?"),
        ("models: [aisfx]\nsearches: [mip]", "did you mean 'mips'?"),
        ("models: []", "models of the grid is empty"),
        ("models: [aisfx]\ncutoffs: [0]", "cutoffs=[0] of the grid: give whole numbers from 1"),
        ("models: [aisfx]\ncutoffs: []", "cutoffs of the grid is empty"),
        ("models: [aisfx]\nn_components: ['100']", "n_components=['100'] of the grid"),
        ("models: [aisfx]\nn_components: none", "n_components=['none'] of the grid"),
        ("models: [aisfx]\nnormalize: [maybe]", "normalize=['maybe'] of the grid: give true or false"),
        ("models: [aisfx]\naggregations: [avg]", "'avg' is not among aggregations of the grid"),
        ("searches: [nns]", "has no 'models'"),
        ("- aisfx", "is not a mapping"),
        ("models: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
    ],
)
def test_a_grid_with_a_mistake_names_the_mend(tmp_path, text, message):
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        experiment.read_grid(path)


def test_a_grid_of_which_nothing_is_left_is_refused():
    with pytest.raises(ValueError, match="nothing is left of the grid: duration has 2 dimensions"):
        Grid(("duration",), n_components=(100,)).variants()
    with pytest.raises(ValueError, match="aisfx has several frames a clip: no aggregation none"):
        Grid(("aisfx",), aggregations=("none",)).variants()


def test_a_missing_grid_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere.yaml does not exist: the grids are in"):
        experiment.read_grid(tmp_path / "nowhere.yaml")


def test_every_committed_grid_can_be_read():
    for path in sorted((experiment.NOTEBOOKS / "grids").glob("*.yaml")):
        grid = experiment.read_grid(path)
        assert grid.variants()[0], path
        assert dataclasses.asdict(grid)


def test_an_unknown_notebook_parameter_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"'n_component' is not among the parameters of 02_processing\.ipynb: did you"
    ):
        notebook.run_notebook(
            experiment.NOTEBOOKS / "02_processing.ipynb", tmp_path / "out.ipynb", {"n_component": 10}
        )
    assert not (tmp_path / "out.ipynb").exists()


def test_the_command_line_answers_a_mistake_in_one_line(tmp_path, capsys):
    assert experiment.main(["run", str(tmp_path / "none.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: grid")
    assert error.count("\n") == 1


def test_the_command_line_names_a_dataset_that_is_nowhere(tmp_path, capsys):
    grid = str(experiment.NOTEBOOKS / "grids" / "mini.yaml")
    code = experiment.main(["run", grid, "--dataset", "nosuch", "--data-dir", str(tmp_path)])
    assert code == 2
    assert "'nosuch' is neither a known dataset ('mini') nor a folder" in capsys.readouterr().err


def test_long_and_short_audio_and_preprocessing_are_axes_of_the_grid(windowed_model):
    grid = Grid(
        (windowed_model, "duration"), long_audio=("default", "truncate"), short_audio=("repeat", "pad")
    )
    available, left_out = grid.available()
    assert available.models == tuple(
        windowed_model + way for way in ("", "+pad", "+truncate", "+truncate+pad")
    )
    assert left_out == [
        f"duration takes clips of any length: '{word}' means nothing for it"
        for word in ("repeat", "pad", "truncate")
    ]
    assert available.available() == (available, [])
    with pytest.raises(
        ValueError, match="'trunkate' is not among long_audio of the grid: did you mean 'trunc"
    ):
        Grid(("duration",), long_audio=("trunkate",))


def test_what_the_study_did_is_left_out_where_it_is_what_is_done_anyway():
    available, left_out = Grid(("duration", "vggish"), preprocessing=("standard", "paper")).available()
    assert [name for name in available.models if name != "duration"] in ([], ["vggish", "vggish+paper"])
    assert left_out[0] == "duration does what the 2024 study did already: leave out 'paper'"
