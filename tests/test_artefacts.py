"""Where artefacts live."""

from sss_lib.artefacts import Store
from sss_lib.experiment import Variant


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
