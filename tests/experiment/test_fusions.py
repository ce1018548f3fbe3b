"""Fitting on another collection, and fusions, as systems of a grid: each by a slow plain version."""

import dataclasses
import shutil

import in_process
import numpy as np
import pandas as pd
import pytest
import small_study

from sss_lib import dataset, experiment, extraction, metrics, models, processing
from sss_lib.experiment import Grid, Variant, results
from sss_lib.experiment.scores import describe_system
from sss_lib.experiment.stages import Stages
from sss_lib.experiment.store import Store
from sss_lib.listening import embedders

FUSED = {
    how: Variant(f"fusion:{how}:mcss:logmel&duration", n_components=2) for how in ("zscore", "minmax", "rrf")
}
ELSEWHERE = Variant("logmel", n_components=3, transform="none@other")


@pytest.fixture
def store(tmp_path):
    return make(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Store of tests that change nothing of it."""
    return make(tmp_path_factory.mktemp("shared"))


def make(root):
    """Store of two collections of made-up sounds, the other one without the four tones, with embeddings."""
    made = small_study.make(root)
    folder = root / "other"
    shutil.copytree(root / small_study.NAME, folder)
    for path in (folder / "audio").glob("tone*"):
        path.unlink()
    table = (folder / "ground_truth.csv").read_text().splitlines()
    (folder / "ground_truth.csv").write_text("\n".join(row for row in table if not row.startswith("tone")))
    write(made, folder)
    for part in FUSED["rrf"].parts:
        frames = extraction.read(made.frames(small_study.NAME, part.model))
        x = processing.process(processing.aggregate(frames.values, frames.offsets, "none"), 2)
        made.embeddings(small_study.NAME, part).write({"fname": frames.fnames, "embedding": x})
    return Store(root)


def write(store, folder):
    """Dataset of a folder, and log-mel embeddings of its clips."""
    collection = dataset.load(folder)
    dataset.write(store.dataset("other"), collection, dataset.verify(collection))
    experiment.extract_to(store, dataset.read(store.dataset("other")), "logmel")


def plain_fusion(parts, how, query):
    """Order of the clips by the mean of what each part says, one query at a time; equal sums in row order."""
    total = np.zeros(len(parts[0]))
    for x in parts:
        unit = x / np.linalg.norm(x, axis=1, keepdims=True)
        cosine = unit.astype(np.float64) @ unit[query].astype(np.float64)
        others = np.delete(cosine, query)
        if how == "zscore":
            total += (cosine - others.mean()) / others.std()
        elif how == "minmax":
            total += (cosine - others.min()) / (others.max() - others.min())
        else:
            first = sorted((i for i in range(len(x)) if i != query), key=lambda i: (-cosine[i], i))
            total[first] += [1 / (60 + rank) for rank in range(1, len(x))]
    return sorted((i for i in range(len(total)) if i != query), key=lambda i: (-total[i], i))


@pytest.mark.parametrize("how", FUSED)
def test_a_fusion_is_what_a_plain_one_gives_and_is_scored_as_a_ranking_of_others(shared, how):
    store = shared
    collection, x = results.read_embedded(store, small_study.NAME, FUSED[how])
    parts = [
        experiment.store.to_matrix(store.embeddings(small_study.NAME, part).read()["embedding"])
        for part in FUSED[how].parts
    ]
    expected = [plain_fusion(parts, how, query) for query in range(len(x))]
    assert x[:, 1 : len(x)].astype(int).tolist() == expected
    found = results.assess(collection, x, {"given": None}, (3,))["given"].scores
    of = {"search": "given", "cutoffs": (3,)}
    value = metrics.evaluate(x, collection.label_matrix, collection.labels, collection.families, **of)
    macro = [t[(t["metric"] == "MAP") & (t["level"] == "macro")]["value"].iloc[0] for t in (found, value)]
    assert macro[0] == macro[1]


@pytest.mark.parametrize("notebook", ["01_extraction", "02_processing"])
def test_by_hand_a_fusion_begins_with_its_models(shared, tmp_path, notebook):
    parameters = {"data_dir": str(shared.data_dir), "dataset": small_study.NAME, "model": FUSED["rrf"].model}
    with pytest.raises(ValueError, match="has rankings alone: run 02 on each of its models, then 03 on it"):
        in_process.run(experiment.NOTEBOOKS / f"{notebook}.ipynb", tmp_path / "out.ipynb", parameters)


def test_a_fusion_keeps_the_clips_that_all_its_parts_have(store):
    part = FUSED["rrf"].parts[0]
    table = store.embeddings(small_study.NAME, part).read()
    store.embeddings(small_study.NAME, part).write(
        {
            "fname": table["fname"].to_pylist()[1:],
            "embedding": experiment.store.to_matrix(table["embedding"])[1:],
        }
    )
    collection, x = results.read_embedded(Store(store.data_dir), small_study.NAME, FUSED["rrf"])
    assert collection.clips["fname"].tolist() == table["fname"].to_pylist()[1:]
    assert x.shape == (len(collection), 1 + 2 * (len(collection) - 1))


def test_a_fusion_is_made_anew_once_a_part_has_changed(store):
    results.read_embedded(store, small_study.NAME, FUSED["rrf"])
    assert store.embeddings(small_study.NAME, FUSED["rrf"]).is_current()
    part = store.embeddings(small_study.NAME, FUSED["rrf"].parts[1])
    x = experiment.store.to_matrix(part.read()["embedding"])
    part.write({"fname": part.read()["fname"].to_pylist(), "embedding": x[:, ::-1].copy()})
    assert not store.embeddings(small_study.NAME, FUSED["rrf"]).is_current()


def test_what_is_fitted_elsewhere_is_stale_once_the_other_collections_embeddings_have_changed(
    store, tmp_path
):
    embeddings = store.embeddings(small_study.NAME, ELSEWHERE)
    embeddings.write({"fname": ["a"], "embedding": np.zeros((1, 3), np.float32)})
    own = store.embeddings(small_study.NAME, dataclasses.replace(ELSEWHERE, transform="none"))
    assert embeddings.is_current()
    assert own.is_current()
    (tmp_path / "other" / "audio" / "noise0.wav").unlink()
    table = (tmp_path / "other" / "ground_truth.csv").read_text().splitlines()
    table = [row for row in table if not row.startswith("noise0")]
    (tmp_path / "other" / "ground_truth.csv").write_text("\n".join(table))
    write(Store(tmp_path), tmp_path / "other")
    assert not Store(tmp_path).embeddings(small_study.NAME, ELSEWHERE).is_current()
    assert own.is_current()


def test_a_collection_to_fit_on_that_nobody_knows_is_refused(shared, tmp_path):
    store = shared
    grid = tmp_path / "grid.yaml"
    grid.write_text("models: [logmel]\nn_components: [3]\nfit_on: [othr]")
    with pytest.raises(
        ValueError, match=r"'othr' is not among the collections that fit_on can name: did you "
    ):
        Stages(grid, small_study.NAME, store, tmp_path, 1, {})
    grid.write_text("models: [logmel]\nn_components: [3]\nfit_on: [other, esc10]")
    stages = Stages(grid, str(store.data_dir / small_study.NAME), store, tmp_path, 1, {})
    found, left_out = stages.systems()
    assert [variant for variant, _ in found] == [ELSEWHERE]
    assert left_out == ["fitted on esc10, which is searched itself or has no 00 and 01 of logmel"]


def test_a_collection_is_not_fitted_on_itself_as_on_another(shared):
    grid = Grid(("logmel",), n_components=(3,), fit_on=(None, small_study.NAME))
    assert [one.name for one, _ in results.systems(shared, small_study.NAME, grid)] == ["logmel-none-pca3-l2"]


def test_a_fusion_is_told_in_words_and_by_the_terms_of_its_models():
    row = pd.Series({**FUSED["rrf"].parameters(), "search": "given"})
    assert describe_system(row) == "PCA 2, L2, MCSS fused by rrf"
    spec = models.spec("fusion:rrf:mcss:yamnet&logmel")
    assert spec.display_name == "YAMNet + Log-mel statistics (rrf)"
    assert spec.terms == "Apache-2.0; no weights"
    assert models.canonical("fusion:rrf:mcss:clap-2022+windows&yamnet") == "fusion:rrf:mcss:clap-2022&yamnet"


def test_a_new_sound_is_not_ranked_by_a_fusion():
    with pytest.raises(ValueError, match="ranks its own clips alone: no new sound can be embedded here"):
        embedders.embed_file(models.spec(FUSED["rrf"].model), "x.wav")


@pytest.mark.slow
def test_the_notebooks_run_both_and_05_compares_them(store, tmp_path):
    grid = (
        "models: [logmel, duration]\nn_components: [2]\nsearches: [mcss]\nfit_on: [null, other]\n"
        "fusions: [{how: zscore, models: [logmel, duration]}]\ncutoffs: [3]\n"
    )
    grid = in_process.grid(grid, tmp_path, tmp_path, "--dataset", tmp_path / small_study.NAME)
    made = Store(tmp_path)
    own, others = (
        processing.aggregate(frames.values, frames.offsets, "none").astype(float)
        for frames in (extraction.read(made.frames(name, "logmel")) for name in (small_study.NAME, "other"))
    )
    centred, apart = own - others.mean(axis=0), others - others.mean(axis=0)
    reduced = centred @ np.linalg.svd(apart, full_matrices=False)[2][:2].T
    unit = reduced / np.linalg.norm(reduced, axis=1, keepdims=True)
    variant = dataclasses.replace(ELSEWHERE, n_components=2)
    x = experiment.store.to_matrix(made.embeddings(small_study.NAME, variant).read()["embedding"])
    np.testing.assert_allclose(x @ x.T, unit @ unit.T, atol=1e-4)  # whatever the directions' signs
    scores = experiment.read_scores(made, small_study.NAME, experiment.read_grid(grid))
    assert set(scores["model"]) == {"logmel", "duration", "fusion:zscore:mcss:logmel&duration"}
    assert set(scores["transform"]) == {"none", "none@other"}
