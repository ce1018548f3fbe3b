"""The notebooks as files, and a grid of them run end to end on a handful of clips."""

import contextlib
import functools
import json
import re
import shutil
from urllib.parse import unquote

import in_process
import numpy as np
import pandas as pd
import pytest

from sss_lib import __main__ as command
from sss_lib import (
    approximate,
    audio,
    bounds,
    comparisons,
    dataset,
    experiment,
    extraction,
    measures,
    metrics,
    models,
    processing,
    relevance,
    search,
    tables,
    trec,
)
from sss_lib.experiment.store import Frames, Store, to_matrix
from sss_lib.models.catalogue import CATALOGUE
from sss_lib.processing.aggregation import AGGREGATIONS

NOTEBOOKS = sorted(experiment.NOTEBOOKS.glob("*.ipynb"))
CLIPS = 12
APPROXIMATE = "nns-IVF4-nprobe=1"
TAUGHT = ("00_dataset", "01_extraction", "02_processing")
"""Notebooks that begin with a sound and a picture."""
ASKED = ("03_search", "04_evaluation")
"""Notebooks that begin with one query, and end with what they write."""
HOSTILE = "<script>alert(1)</script>"


def number_of(path):
    """Number of a notebook, such as 05b."""
    return path.stem.partition("_")[0]


def shown(folder):
    """HTML that the executed notebooks below a folder show."""
    for path in folder.rglob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            for output in cell.get("outputs", []):
                yield "".join(output.get("data", {}).get("text/html", ""))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
class TestNotebookFile:
    def cells(self, path, kind=None):
        cells = json.loads(path.read_text())["cells"]
        return [cell for cell in cells if kind in (None, cell["cell_type"])]

    def test_is_stripped(self, path):
        for cell in self.cells(path, "code"):
            assert cell["outputs"] == []
            assert cell["execution_count"] is None

    def test_has_kernel_and_language(self, path):
        metadata = json.loads(path.read_text())["metadata"]
        assert metadata["kernelspec"]["name"] == "python3"
        assert metadata["language_info"]["name"] == "python"

    def test_opens_with_title_imports_and_commented_parameters(self, path):
        title, imports, parameters = self.cells(path)[:3]
        assert "".join(title["source"]).startswith(f"# {number_of(path)} · ")
        assert "import" in "".join(imports["source"])
        assert parameters["metadata"]["tags"] == ["parameters"]
        assert all("  # " in line for line in parameters["source"])

    def test_is_near_half_prose_in_short_cells(self, path):
        assert len(self.cells(path, "markdown")) >= 0.45 * len(self.cells(path))
        code = [c for c in self.cells(path, "code") if "parameters" not in c["metadata"].get("tags", ())]
        assert all(len(cell["source"]) <= 15 for cell in code)

    def test_says_little_at_a_time(self, path):
        """At most 40 words a text; 6 lines of code, 10 in 05, but for imports, parameters and plumbing."""
        for cell in self.cells(path, "markdown"):
            words = re.findall(r"\w[^\s]*", "".join(cell["source"]))
            assert len(words) <= 40, cell["id"]
        for cell in self.cells(path, "code")[3:-1]:
            lines = sum(not re.match(r" {8}|\s*\)", line) for line in cell["source"])  # of wrapped ones
            assert lines <= (10 if path.stem.startswith("05") else 6), cell["id"]

    def test_has_three_to_five_exercises(self, path):
        texts = ["".join(cell["source"]) for cell in self.cells(path, "markdown")]
        (exercises,) = (text for text in texts if text.startswith("## Exercises"))
        assert 3 <= len(re.findall(r"^\d\. ", exercises, re.MULTILINE)) <= 5

    def test_does_something_by_hand_and_compares(self, path):
        code = ["".join(cell["source"]) for cell in self.cells(path, "code")]
        by_hand = any(re.search(r"^\s*(assert |np\.testing\.assert_)", one, re.MULTILINE) for one in code)
        assert by_hand or path.stem.startswith("05")  # which compares what others have computed

    def test_shows_its_tables_with_names_escaped(self, path):
        """Stylers show markup in names as markup."""
        assert not re.search(r"\.style\b|set_caption", path.read_text())

    def test_numbers_its_cells(self, path):
        cells = self.cells(path)
        assert [cell["id"] for cell in cells] == [f"{number_of(path)}-{i:02d}" for i in range(len(cells))]

    def test_is_read_at_a_glance(self, path):
        """At most 25 cells, and 40 words a text; what it lists at the top is there."""
        if not path.stem.startswith("05"):
            return  # the others have no list of contents
        texts = ["".join(cell["source"]) for cell in self.cells(path, "markdown")]
        assert len(self.cells(path)) <= 25
        assert [text for text in texts if len(text.split()) > 40] == []
        headings = {
            found[1].replace(" ", "-")
            for text in texts
            for found in re.finditer(r"^## (.+)$", text, re.MULTILINE)
        }
        assert set(re.findall(r"\(#([^)]+)\)", texts[0])) == headings
        assert "Exercises" in headings

    def test_names_no_machine(self, path):
        assert "/home/" not in path.read_text()
        assert "sys.path" not in path.read_text()


@pytest.fixture(autouse=True)
def _no_kernels():
    """Notebooks run in this process: test_notebook.py runs them by papermill."""
    with in_process.kernels_replaced():
        yield


@pytest.fixture(scope="module")
def small_run(tmp_path_factory, mini):
    """A grid over a folder of a dozen clips, run once: its folder, its grid and its store."""
    folder = tmp_path_factory.mktemp("run")
    sounds = folder / "my sounds"
    (sounds / "audio").mkdir(parents=True)
    chosen = mini.clips[[row[0] in ("Bark", "Meow", "Hi-hat", "Laughter") for row in mini.clips["labels"]]]
    chosen = chosen.iloc[:CLIPS]
    for path in chosen["path"]:
        shutil.copy(path, sounds / "audio")
    (sounds / "audio" / "broken.wav").write_text("not a sound")
    uploaders = [f"uploader {i // 2} {HOSTILE}" for i in range(CLIPS)]
    labels = [",".join([*labels, *([HOSTILE] if "Dog" in labels else [])]) for labels in chosen["labels"]]
    rows = chosen.assign(labels=labels, uploader=uploaders)[["fname", "labels", "uploader"]]
    broken = pd.DataFrame({"fname": ["broken"], "labels": ["Bark,Dog"], "uploader": [""]})
    pd.concat([broken, rows]).to_csv(sounds / "ground_truth.csv", index=False)
    grid = folder / "small.yaml"
    grid.write_text(
        "models: [logmel, duration]\nn_components: [null, 5]\nnormalize: [true, false]\n"
        f"searches: [nns, mips, {APPROXIMATE}]\ncutoffs: [3, 10]\n"
    )
    arguments = ["run", str(grid), "--dataset", "my sounds", "--data-dir", str(folder / "data")]
    arguments += ["--figures-dir", str(folder / "figures"), "--n-jobs", "2"]
    with in_process.kernels_replaced(), contextlib.chdir(folder):
        assert command.main(arguments) == 0  # the folder is named as a newcomer would: from where one stands
    arguments[3] = str(sounds)
    return folder, grid, arguments


@pytest.mark.parametrize("stage", TAUGHT)
def test_a_notebook_opens_with_a_sound_and_a_picture(small_run, stage):
    folder, *_ = small_run
    for path in (folder / "data" / "runs" / "my sounds" / stage).glob("*.ipynb"):
        executed = json.loads(path.read_text())
        cells = [
            cell
            for cell in executed["cells"]
            if "injected-parameters" not in cell["metadata"].get("tags", [])
        ]
        page = "".join(text for output in outputs_of(cells[:6]) for text in output["data"]["text/html"])
        assert "<audio" in page, path
        assert "<svg" in page or "<img" in page, path


def outputs_of(cells):
    return [one for cell in cells for one in cell.get("outputs", []) if "text/html" in one.get("data", {})]


def test_a_grid_runs_from_sounds_to_figures(small_run):
    folder, grid, _ = small_run
    design = experiment.read_grid(grid)
    store = Store(folder / "data")
    variants = {variant.name for variant, _ in experiment.systems(store, "my sounds", design)}
    assert variants == {
        *(f"logmel-none-pca{n}-{scale}" for n in ("none", "5") for scale in ("l2", "raw")),
        *(f"duration-none-pcanone-{scale}" for scale in ("l2", "raw")),
    }
    names = {path.name for path in (folder / "figures" / "my sounds-small").iterdir()}
    written = ("comparison", "variations", "stability", "claims", "relevance", "losses")
    drawn = ("ladder", "processing", "pca", "macro-micro", "cost-parameters", "cost-dim", "classes")
    drawn = (*drawn, "differences", "confusion", "map", "published-families", "published-alike")
    if not approximate.missing():
        written, drawn = (*written, "searches"), (*drawn, "searches-speed", "searches-size")
    # This folder has no families.
    assert names == {f"{n}.{s}" for n in written for s in ("tex", "md", "csv")} | {
        f"{n}.{s}" for n in drawn for s in ("svg", "pdf", "png", "txt")
    } | {"best.csv", "classes.csv", "class-scores.csv", "systems.csv", "published.csv", "run.json"}


@pytest.mark.parametrize("stage", ASKED)
def test_a_query_is_heard_and_seen_within_six_cells(small_run, stage):
    folder, *_ = small_run
    for path in (folder / "data" / "runs" / "my sounds" / stage).glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        assert len(cells) <= 22  # 20 of the notebook, and papermill's
        cells = [cell for cell in cells if "injected-parameters" not in cell["metadata"].get("tags", [])]
        first = "".join("".join(o.get("data", {}).get("text/html", "")) for o in cells[5]["outputs"])
        assert first.count("<audio") == first.count("<svg") == 6
        assert path.stat().st_size < 300_000


def test_names_that_are_markup_are_shown_as_text(small_run):
    folder, *_ = small_run
    pages = list(shown(folder / "data" / "runs" / "my sounds"))
    assert any("&lt;script&gt;alert(1)" in page for page in pages)
    assert not any("<script>alert(1)" in page for page in pages)


def test_systems_are_compared_by_uploader_where_uploaders_are_known(small_run):
    folder, grid, _ = small_run
    store, design = Store(folder / "data"), experiment.read_grid(grid)
    everything = dataset.read(store.dataset("my sounds"))
    collection = everything.select([fname for fname in everything.clips["fname"] if fname != "broken"])
    best = tables.best_systems(experiment.read_scores(store, "my sounds", design), 3)
    results = experiment.read_results(store, "my sounds", design, best, collection)
    groups = relevance.origins(collection.clips)
    by_group, by_clip = (
        comparisons.rank_stability(results, collection.labels, n=3, groups=own) for own in (groups, None)
    )
    figures = folder / "figures" / "my sounds-small"
    written = pd.read_csv(figures / "stability.csv")
    np.testing.assert_allclose(written["p"], by_group["p"])
    assert by_group["p"][1] != by_clip["p"][1]
    for name in ("stability", "claims", "losses", "comparison"):
        assert "by uploader" in (figures / f"{name}.md").read_text().splitlines()[0]


def test_an_approximate_search_is_set_beside_the_exact_one(small_run):
    pytest.importorskip("faiss")
    folder, grid, _ = small_run
    store, design = Store(folder / "data"), experiment.read_grid(grid)
    table = pd.read_csv(folder / "figures" / "my sounds-small" / "searches.csv").set_index(
        ["variant", "search"]
    )
    for variant in (experiment.Variant("logmel", "none", 5, False), experiment.Variant("duration", "none")):
        read = functools.partial(store.ranking, "my sounds", variant, top_n=10)
        found, exact = (to_matrix(read(name).read()["neighbours"]) for name in (APPROXIMATE, "nns"))
        recall = measures.recall(found, exact, 3).mean()
        assert table.loc[(variant.name, APPROXIMATE), "recall@3"] == pytest.approx(recall)
        scores = store.scores("my sounds", variant, APPROXIMATE, cutoffs=design.cutoffs).read().to_pandas()
        value = tables.select(scores, "MAP", 3)["value"].item()
        assert table.loc[(variant.name, APPROXIMATE), "MAP@3"] == pytest.approx(value)
        assert read(APPROXIMATE).metadata()["cost"]["bytes_per_clip"] > 0
    assert table["recall@3"].min() < 1 == table.xs("nns", level="search")["recall@3"].min()


def test_a_new_sound_is_ranked_against_the_index_that_a_notebook_has_stored(small_run):
    pytest.importorskip("faiss")
    listening = pytest.importorskip("sss_lib.listening")
    from sss_lib.listening import external_queries

    folder, *_ = small_run
    study = listening.Study(Store(folder / "data"), "my sounds")
    systems = [study.system(f"duration-none-pcanone-raw/{name}") for name in ("nns", APPROXIMATE)]
    stored = study.store.index(study.name, systems[1].variant, APPROXIMATE)
    assert stored.is_current()
    query = study.row(study.index(systems[0]).fnames[3])
    found = external_queries.query_sound(study, systems, study.sounds.path(query), 5)
    exact, own = ([row for row, _ in found[system]] for system in systems)
    assert own[0] == exact[0] == query
    by_rank = [row for row, _ in study.results(systems[1], query, 5)]
    assert own[1:] == by_rank[:4]
    assert query not in by_rank


def test_an_index_of_other_embeddings_is_refused(small_run):
    pytest.importorskip("faiss")
    folder, *_ = small_run
    store, variant = Store(folder / "data"), experiment.Variant("duration", "none")
    embeddings = store.embeddings("my sounds", variant)
    kept, before = embeddings.path.read_bytes(), embeddings.digest()[:12]
    table = embeddings.read()
    embeddings.write({"fname": table["fname"].to_pylist(), "embedding": -to_matrix(table["embedding"])})
    message = (
        rf"another embeddings \({before}, where {embeddings.digest()[:12]} is there now\): run 03_search"
    )
    try:
        with pytest.raises(ValueError, match=message):
            experiment.index_of(store, "my sounds", variant, APPROXIMATE)
    finally:
        embeddings.path.write_bytes(kept)


def test_a_broken_clip_is_listed_and_left_out(small_run):
    folder, *_ = small_run
    failures = pd.read_csv(folder / "data" / "embeddings" / "my sounds" / "logmel" / "failures.csv")
    assert failures["fname"].tolist() == ["broken"]
    assert "broken.wav can't be decoded" in failures["reason"][0]
    ranking = pd.read_parquet(
        folder / "data" / "similarity_rankings" / "my sounds" / "logmel-none-pcanone-l2" / "nns.parquet"
    )
    assert len(ranking) == CLIPS
    assert "broken" not in set(ranking["fname"])


def test_the_written_embeddings_equal_those_computed_from_the_audio(small_run):
    folder, *_ = small_run
    store = Store(folder / "data")
    for normalize in (True, False):
        stored = store.embeddings("my sounds", experiment.Variant("logmel", "none", 5, normalize)).read()
        collection = dataset.read(store.dataset("my sounds")).select(stored["fname"].to_pylist())
        model = models.load("logmel")
        clips = [model(audio.decode(path, model.spec.rate_hz))[0] for path in collection.clips["path"]]
        expected = processing.process(np.stack(clips), 5, normalize)
        np.testing.assert_allclose(to_matrix(stored["embedding"]), expected, atol=1e-4)


def test_clips_without_an_embedding_are_told_at_the_end_and_left_out_of_chance(small_run, capsys):
    folder, grid, arguments = small_run
    assert command.main(arguments) == 0
    told = capsys.readouterr()
    assert "1 clips FAILED in logmel" in told.err
    assert "broken.wav can't be decoded" in told.err
    assert f"my sounds: {CLIPS} clips" in told.out
    store, design = Store(folder / "data"), experiment.read_grid(grid)
    comparison = experiment.comparison_artefact(store, "my sounds", design).read().to_pandas()
    everything = dataset.read(store.dataset("my sounds"))
    embedded = everything.select([fname for fname in everything.clips["fname"] if fname != "broken"])
    chance = bounds.chance(embedded.label_matrix, embedded.labels, cutoffs=(3, 10))
    (expected,) = tables.select(chance, "MAP", 3)["value"]
    assert comparison.iloc[-1]["System"] == "Chance (expected)"
    assert comparison.iloc[-1]["MAP@3"] == f"{expected:.3f}"


@pytest.mark.parametrize(("pre_normalize", "scale"), [(False, False), (True, False), (True, True)])
def test_the_curve_of_variance_is_that_of_what_pca_is_given(small_run, pre_normalize, scale):
    folder, *_ = small_run
    cells = json.loads((experiment.NOTEBOOKS / "02_processing.ipynb").read_text())["cells"]
    sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    names = {}
    for source in sources[:2]:
        exec(source, names)
    names |= {"data_dir": folder / "data", "dataset": "my sounds", "model": "logmel", "aggregation": "none"}
    names |= {"n_components": 5, "pre_normalize": pre_normalize, "scale": scale}
    names["plots"].use_style()
    for source in sources[2:-1]:  # the last one writes
        exec(source, names)
    x = np.vstack(list(names["clips"])).astype(float)
    if scale:
        x = (x - x.min(axis=0)) / np.ptp(x, axis=0)
    if pre_normalize:
        x /= np.linalg.norm(x, axis=1, keepdims=True)
    variances = np.linalg.eigvalsh(np.cov(x.T))[::-1][:CLIPS]
    np.testing.assert_allclose(names["curve"], np.cumsum(variances) / variances.sum(), atol=1e-4)


@pytest.mark.parametrize("how", [how for how in AGGREGATIONS if how != "none"])
def test_every_aggregation_of_frames_is_compared_with_one_by_hand(how):
    cells = json.loads((experiment.NOTEBOOKS / "02_processing.ipynb").read_text())["cells"]
    (source,) = (text for cell in cells if "by_hand = getattr" in (text := "".join(cell["source"])))
    values = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    frames = [Frames(["a", "b"], values, np.array([0, 4, 7]))]
    variant = experiment.Variant("aisfx", how)
    exec(source, {"np": np, "processing": processing, "frames": frames, "variant": variant})


def test_the_written_scores_equal_an_evaluation_by_hand(small_run):
    folder, grid, _ = small_run
    store, design = Store(folder / "data"), experiment.read_grid(grid)
    variant = experiment.Variant("logmel", "none", 5, False)
    stored = store.embeddings("my sounds", variant).read()
    collection = dataset.read(store.dataset("my sounds")).select(stored["fname"].to_pylist())
    scores = store.scores("my sounds", variant, "mips", cutoffs=design.cutoffs).read().to_pandas()
    expected = metrics.evaluate(
        to_matrix(stored["embedding"]),
        collection.label_matrix,
        collection.labels,
        search="mips",
        cutoffs=(3, 10),
    )
    written = tables.select(scores, "MAP", 3, level="class").set_index("name")["value"]
    by_hand = tables.select(expected, "MAP", 3, level="class").set_index("name")["value"]
    np.testing.assert_allclose(written, by_hand[written.index])
    assert set(scores["protocol"]) == {"standard", "paper"}


def test_tidy_scores_have_the_columns_that_the_design_names(small_run):
    folder, grid, _ = small_run
    store, design = Store(folder / "data"), experiment.read_grid(grid)
    scores = experiment.read_scores(store, "my sounds", design)
    system = "dataset model aggregation n_components normalize search"
    score = "protocol metric n level name value ci_low ci_high n_queries n_skipped"
    assert {*system.split(), *score.split()} <= set(scores)
    assert set(scores["level"]) == {"class", "class_distinct", "macro", "macro_distinct", "micro"}


def test_a_second_run_does_nothing_and_a_change_only_what_follows(small_run, capsys):
    folder, _grid, arguments = small_run
    assert command.main(arguments) == 0
    assert capsys.readouterr().out.count("up to date") == 6
    ranking = (
        folder / "data" / "similarity_rankings" / "my sounds" / "duration-none-pcanone-l2" / "nns.parquet"
    )
    ranking.unlink()
    assert command.main(arguments) == 0
    out = capsys.readouterr().out
    assert "1 notebooks run" in out  # the same ranking comes back, so that nothing after it changes
    assert ranking.exists()


@pytest.mark.slow
def test_a_damaged_or_changed_run_is_made_again(small_run, capsys):
    folder, _, arguments = small_run
    runs = folder / "data" / "runs" / "my sounds"
    damaged = runs / "02_processing" / "logmel-none-pca5-l2.ipynb"
    damaged.write_text(damaged.read_text()[:500])
    other_code = runs / "03_search" / "logmel-none-pca5-l2.ipynb"
    other_code.write_text(other_code.read_text().replace("for search in searches", "for search in  searches"))
    other_parameter = runs / "04_evaluation" / "logmel-none-pca5-l2.ipynb"
    other_parameter.write_text(other_parameter.read_text().replace('"n_components": 5', '"n_components": 4'))
    (folder / "figures" / "my sounds-small" / "ladder.svg").unlink()
    (folder / "data" / "embeddings" / "my sounds" / "logmel" / "part-00000.parquet").unlink()
    assert command.main(arguments) == 0
    assert "5 notebooks run" in capsys.readouterr().out


def test_another_folder_of_the_same_name_is_refused(small_run, tmp_path, capsys):
    folder, _, arguments = small_run
    shutil.copytree(folder / "my sounds", tmp_path / "my sounds")
    other = [*arguments[:3], str(tmp_path / "my sounds"), *arguments[4:]]
    assert command.main(other) == 1
    assert "rename one of the folders" in capsys.readouterr().err
    assert command.main(arguments) == 0


def test_rankings_of_other_embeddings_are_not_evaluated(small_run):
    folder, *_ = small_run
    store, variant = Store(folder / "data"), experiment.Variant("duration", "none")
    embeddings = store.embeddings("my sounds", variant)
    kept = embeddings.path.read_bytes()
    table = embeddings.read()
    embeddings.write({"fname": table["fname"].to_pylist(), "embedding": -to_matrix(table["embedding"])})
    try:
        with pytest.raises(ValueError, match=r"was made from another embeddings \(.*\): run 03_search again"):
            store.ranking("my sounds", variant, "nns", top_n=10).read()
    finally:
        embeddings.path.write_bytes(kept)


@pytest.fixture(scope="module")
def bare_run(tmp_path_factory, mini):
    """A grid over six clips without labels, one of them broken: its folder and its arguments."""
    folder = tmp_path_factory.mktemp("bare")
    (folder / "recordings").mkdir()
    for path in mini.clips["path"].iloc[:5]:
        shutil.copy(path, folder / "recordings")
    (folder / "recordings" / "broken.wav").write_text("not a sound")
    grid = folder / "small.yaml"
    grid.write_text("models: [duration]\nsearches: [nns]\ncutoffs: [3]\n")
    arguments = ["run", str(grid), "--dataset", str(folder / "recordings")]
    arguments += ["--data-dir", str(folder / "data"), "--figures-dir", str(folder / "figures")]
    return folder, arguments


def test_clips_without_labels_are_embedded_and_ranked_and_not_scored(bare_run, capsys):
    folder, arguments = bare_run
    assert command.main(arguments) == 0
    told = capsys.readouterr()
    assert "recordings has no labels: nothing says which results are right" in told.out
    assert f"What each clip finds: {folder / 'data' / 'runs' / 'recordings' / '03_search'}" in told.out
    assert "To hear it: make listen DATASET=recordings" in told.out
    assert "04_evaluation      0  nothing to do without labels" in told.out
    assert "05_figures         0  nothing to do without labels" in told.out
    assert "1 clips FAILED in duration" in told.err
    (ranking,) = (folder / "data" / "similarity_rankings").rglob("nns.parquet")
    assert len(pd.read_parquet(ranking)) == 5
    assert not (folder / "data" / "evaluation_results").exists()
    assert not (folder / "figures").exists()


def test_where_no_two_clips_share_a_label_the_run_says_so_once_and_no_notebook_fails(bare_run, capsys):
    folder, arguments = bare_run
    table = folder / "alone.csv"
    fnames = sorted(path.stem for path in (folder / "recordings").iterdir() if path.stem != "broken")
    table.write_text("fname,labels\n" + "".join(f"{fname},Label {fname}\n" for fname in fnames))
    assert command.main([*arguments, "--ground-truth", str(table)]) == 0
    told = capsys.readouterr()
    assert (told.out + told.err).count("no class of recordings-alone has two clips: no query could find") == 1
    assert "FAILED" not in told.err
    ranked = folder / "data" / "similarity_rankings" / "recordings-alone"
    assert len(list(ranked.rglob("nns.parquet"))) == 1


def test_evaluating_clips_without_labels_says_why_it_cannot(bare_run):
    folder, arguments = bare_run
    assert command.main(arguments) == 0
    variant = experiment.Variant("duration", "none")
    parameters = {**variant.parameters(), "data_dir": str(folder / "data"), "dataset": "recordings"}
    with pytest.raises(ValueError, match=r"recordings has no labels: .*add a ground_truth"):
        in_process.run(experiment.NOTEBOOKS / "04_evaluation.ipynb", folder / "04.ipynb", parameters)


@pytest.mark.slow
def test_a_subset_goes_through_every_stage_under_its_own_name(small_run, capsys):
    folder, _, arguments = small_run
    grid = folder / "one.yaml"
    grid.write_text("models: [duration]\nsearches: [nns]\ncutoffs: [3]\n")
    query = 'not @has("Hi-hat") or fname == "100053"'
    name = "<i>few"
    chosen = [*arguments[:1], str(grid), *arguments[2:], "--query", query, "--name", name]
    assert command.main(chosen) == 0
    store = Store(folder / "data")
    collection = dataset.read(store.dataset(name))
    whole = dataset.read(store.dataset("my sounds"))
    assert 0 < len(collection) < len(whole)
    assert collection.class_sizes()["Hi-hat"] == 1
    variant = experiment.Variant("duration", "none")
    stored = store.embeddings(name, variant).read()["fname"].to_pylist()
    assert stored == [fname for fname in collection.clips["fname"] if fname != "broken"]
    scores = store.scores(name, variant, "nns", cutoffs=(3,)).read().to_pandas()
    scores = scores[scores["protocol"] == "standard"]
    row = scores[(scores["level"] == "macro") & (scores["metric"] == "MAP")].iloc[0]
    sizes = collection.select(stored).class_sizes()
    assert sizes["Hi-hat"] == 1  # so that no class-wise query is made for it
    assert "Hi-hat" not in set(scores.loc[scores["level"] == "class", "name"].where(scores["n_queries"] > 0))
    assert row["n_skipped"] > 0
    assert f"{name}: " in capsys.readouterr().out
    pages = list(shown(folder / "data" / "runs" / name))
    assert any("&lt;i&gt;few" in page for page in pages)
    assert not any(name in page for page in pages)


def test_evaluation_writes_what_other_tools_read(small_run, tmp_path):
    folder, *_ = small_run
    variant = experiment.Variant("logmel", "none", 5, False)
    parameters = {"data_dir": str(folder / "data"), "dataset": "my sounds", **variant.parameters()}
    parameters |= {"searches": ["nns"], "cutoffs": [3, 10], "export_dir": str(tmp_path / "exported")}
    in_process.run(experiment.NOTEBOOKS / "04_evaluation.ipynb", tmp_path / "04.ipynb", parameters)
    arrays = np.load(tmp_path / "exported" / f"my sounds-{variant.name}.npz")
    fnames, x = arrays["fname"].tolist(), arrays["embedding"]
    ranking = trec.read_run(tmp_path / "exported" / f"my sounds-{variant.name}-nns.run", fnames)
    np.testing.assert_array_equal(ranking.neighbours, search.rank(x, "nns", top_n=10).neighbours)
    qrels = (tmp_path / "exported" / "my sounds.qrels").read_text().splitlines()
    assert qrels
    assert {unquote(line.split()[0]) for line in qrels} <= set(fnames)


def test_a_model_that_refuses_the_longest_clip_embeds_the_others(collection, tmp_path):
    """What notebook 01 shows of one clip must not cost the model the collection."""
    sounds, store = dataset.load(collection), Store(tmp_path)
    dataset.write(store.dataset(sounds.name), sounds, dataset.verify(sounds))

    @models.register("refuses", rate_hz=16000, dim=1)
    def refuses(wave):
        if len(wave) > 7000:
            raise ValueError("too long")
        return [[abs(wave).max()]]

    try:
        given = {"data_dir": str(tmp_path), "dataset": sounds.name, "model": "refuses"}
        in_process.run(experiment.NOTEBOOKS / "01_extraction.ipynb", tmp_path / "01.ipynb", given)
        assert len(extraction.read(store.frames(sounds.name, "refuses")).fnames) == len(sounds) - 1
        failures = store.frames_dir(sounds.name, "refuses") / "failures.csv"
        assert failures.read_text(encoding="utf-8").count("too long") == 1
    finally:
        del CATALOGUE["refuses"]
