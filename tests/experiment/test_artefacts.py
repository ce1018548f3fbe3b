"""Where artefacts live."""

import re

import in_process
import pytest
from IPython.core.interactiveshell import InteractiveShell

from sss_lib.experiment import NOTEBOOKS, Variant
from sss_lib.experiment.store import Store
from sss_lib.io.errors import MissingStageError


def test_every_artefact_lives_where_the_design_says():
    store, variant = Store("data"), Variant("aisfx", "mean", 100)
    folder = "mini/aisfx-mean-pca100-l2"
    artefacts_by_path = {
        "data/datasets/mini.parquet": store.dataset("mini"),
        "data/embeddings/mini/aisfx/parts.parquet": store.frames("mini", "aisfx"),
        f"data/embeddings/{folder}.parquet": store.embeddings("mini", variant),
        f"data/similarity_rankings/{folder}/nns.parquet": store.ranking("mini", variant, "nns"),
        f"data/evaluation_results/{folder}/nns.parquet": store.scores("mini", variant, "nns"),
    }
    assert [one.path.as_posix() for one in artefacts_by_path.values()] == list(artefacts_by_path)


def test_a_folder_of_sounds_in_place_of_the_name_that_00_gave_it_is_refused():
    with pytest.raises(ValueError, match=r"'../my_sounds' is a path.*such as 'my_sounds'"):
        Store("data").frames("../my_sounds", "aisfx")


def test_frames_that_are_missing_name_the_model_and_not_all_that_it_is_made_of(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run 01_extraction with {'model': 'vggish'} first$"):
        Store(tmp_path).frames("mini", "vggish").metadata()


def test_the_data_of_this_checkout_are_found_from_any_folder(tmp_path, monkeypatch):
    (tmp_path / "here" / "data").mkdir(parents=True)
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert Store().data_dir == Store(None).data_dir == NOTEBOOKS.parent / "data"


@pytest.mark.parametrize(
    ("notebook", "earlier"),
    [
        ("01_extraction", "00_dataset"),
        ("02_processing", "01_extraction"),
        ("03_search", "02_processing"),
        ("04_evaluation", "02_processing"),
        ("05_figures", "00_dataset"),
        ("06_listening", "00_dataset"),
    ],
)
def test_a_notebook_names_the_one_to_run_before_it(notebook, earlier, tmp_path):
    with pytest.raises(MissingStageError, match=f"does not exist: run {earlier} with .* first$"):
        in_process.run(NOTEBOOKS / f"{notebook}.ipynb", tmp_path / "out.ipynb", {"data_dir": str(tmp_path)})


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("Store(folder).dataset('mini').read()", "MissingStageError: .* run 00_dataset with .* first"),
        ("dataset.load('nowhere')", "DatasetError: 'nowhere' is neither a known dataset .*"),
    ],
)
def test_what_a_reader_forgot_is_told_in_one_line(code, told, tmp_path, capsys):
    shell = InteractiveShell()
    shell.run_cell("from sss_lib import dataset; from sss_lib.experiment.store import Store")
    shell.push({"folder": tmp_path})
    shell.run_cell(code)
    assert re.fullmatch(told, capsys.readouterr().out.strip())
