"""Where artefacts live."""

import pytest

from sss_lib.experiment import Variant
from sss_lib.experiment.store import Store


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
