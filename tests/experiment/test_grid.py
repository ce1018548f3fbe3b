"""Grids: what is run, what is left out and why, and mistakes that name the mend."""

import dataclasses
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest

from sss_lib import experiment
from sss_lib.experiment import Grid, Variant


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (Variant("aisfx", "max", 100, True), "aisfx-max-pca100-l2"),
        (Variant("logmel", "none", None, False), "logmel-none-pcanone-raw"),
        (Variant("aisfx", "mean", 50, False, True), "aisfx-mean-pca50-raw-prel2"),
        (Variant("aisfx", transform="center"), "aisfx-mean-center-pcanone-l2"),
        (
            Variant("freesound", "none", 9, transform="remove-top-3"),
            "freesound-none-minmax-remove-top-3-pca9-l2",
        ),
    ],
)
def test_a_variant_is_named_by_its_fields(variant, name):
    assert variant.name == name


@pytest.mark.parametrize(("model", "declares"), [("freesound", True), ("logmel", False)])
def test_a_variant_is_scaled_if_its_model_declares_so_and_nothing_else_is_said(model, declares):
    assert Variant(model, "none").parameters()["scale"] is declares
    assert Variant(model, "none") == Variant(model, "none", scale=declares)
    assert Variant(model, "none", scale=not declares).scale is not declares


@pytest.mark.parametrize(
    ("one", "same"),
    [
        *((Variant("logmel", how, 9), Variant("logmel", "none", 9)) for how in ("mean", "max", "median")),
        (Variant("aisfx", "mean", 9, transform="center"), Variant("aisfx", "mean", 9)),
        (Variant("aisfx", "mean", 9, transform="center@b"), Variant("aisfx", "mean", 9, transform="none@b")),
        *(
            (Variant("aisfx", transform=f"{how}@b"), Variant("aisfx", transform=how))
            for how in ("none", "first-9")
        ),
        (
            Variant("logmel", n_components=np.int64(9), normalize=1, scale=0),
            Variant("logmel", n_components=9),
        ),
    ],
)
def test_what_comes_to_the_same_is_one_variant_with_one_name(one, same):
    assert (one, one.name) == (same, same.name)
    assert json.dumps(one.parameters()) == json.dumps(same.parameters())  # and so one recipe


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"n_components": True}, "n_components=True: give a whole number"),
        ({"aggregation": "avg"}, "'avg' is not among the aggregations"),
        ({"transform": "centre"}, "'centre' is not among the transforms: did you mean 'center'"),
        ({"transform": "remove-top-0"}, "'remove-top-0' is unknown: give a whole number from 1, as in"),
        ({"transform": "centre@esc10"}, "'centre' is not among the transforms: did you mean 'center'"),
        ({"transform": "center@a/b"}, "transform 'center@a/b': the collection behind @ has a / in it"),
        ({"model": "fusion:rrf:mcss:aisfx"}, "is no fusion: give two models or more"),
        ({"model": "fusion:rrf:mcss:aisfx&aisfx"}, "is no fusion: give two models or more"),
        ({"model": "fusion:rrf:mcss:aisfx&yamnett"}, "did you mean 'yamnet'"),
        ({"transform": None}, "None is not among the transforms"),
        ({"n_components": "100"}, "n_components='100': give a whole number, or None for no PCA"),
        ({"n_components": 0}, "n_components=0 is below 1: give None for no PCA"),
        ({"model": 5}, "model=5 is a number, not a name: write it in quotes, for papermill as -r model 5"),
        ({"model": None}, "model=None is not a name"),
        ({"normalize": "no"}, "normalize='no': give True or False"),
        ({"scale": "minmax"}, "scale='minmax': give True or False"),
    ],
)
def test_a_variant_with_a_field_of_another_kind_is_refused(field, message):
    with pytest.raises(ValueError, match=message):
        Variant(**{"model": "logmel", **field})


@pytest.mark.parametrize(
    ("searches", "message"),
    [
        (None, "searches=None: give a name, or a list of names"),
        ([5], r"searches=\[5\]: give a name, or a list of names"),
        ([], r"searches=\[\]: none ranks logmel, give one or more of nns, mips, mcss"),
        (["given"], "none ranks logmel"),
        ("nms", "search 'nms' is unknown: did you mean 'nns'"),
    ],
)
def test_searches_that_rank_nothing_are_refused_by_name(searches, message):
    with pytest.raises(ValueError, match=message):
        Variant("logmel").searches(searches)


def test_a_search_that_cuts_into_more_parts_than_there_are_dimensions_is_left_out():
    grid = Grid(("logmel",), n_components=(None, 8), searches=("nns", "nns-PQ16"))
    systems, left_out = grid.systems({"logmel": 300})
    assert [(one.n_components, search) for one, search in systems] == [
        (None, "nns"),
        (None, "nns-PQ16"),
        (8, "nns"),
    ]
    assert left_out == ["logmel in 8 dimensions: no search nns-PQ16"]


def test_a_grid_of_the_search_of_rankings_alone_says_that_nothing_suits():
    with pytest.raises(
        ValueError, match="nothing is left of the grid: logmel is no ranking of others: no search given"
    ):
        Grid(("logmel",), searches=("given",)).systems()


def test_a_path_in_a_models_name_means_the_same_from_any_folder(tmp_path, monkeypatch):
    """The kernels of the notebooks run elsewhere than the command: paths are from the grid's folder."""
    monkeypatch.setattr("sss_lib.models.registry.spec", lambda name: None)
    monkeypatch.setattr("sss_lib.models.registry.file_name", lambda name: name)
    path = tmp_path / "grid.yaml"
    path.write_text("models: [duration, ./my model, 'hear:module', 'hear:module:x.pt']")
    grid = experiment.read_grid(path)
    assert grid.models == (
        *("duration", f"{tmp_path}/my model", "hear:module", f"hear:module:{tmp_path}/x.pt"),
    )


def test_a_path_in_a_rule_is_from_the_grids_folder_too(tmp_path, monkeypatch):
    """Also if that folder's name holds what stands for other characters in a rule."""
    monkeypatch.setattr("sss_lib.models.registry.spec", lambda name: SimpleNamespace(hop_s=1))
    monkeypatch.setattr("sss_lib.models.registry.file_name", lambda name: name)
    monkeypatch.setattr("sss_lib.models.registry.canonical", lambda name: name)
    folder = tmp_path / "runs [1]"
    folder.mkdir()
    (folder / "grid.yaml").write_text(
        "models: ['hear:m:a/x.pt', 'hear:m:b/x.pt', ./c]\nsearches: [nns, mips]\n"
        "include: [{model: ['hear:m:a/*', ./c]}]\nexclude: [{model: ./c, search: mips}]"
    )
    grid = experiment.read_grid(folder / "grid.yaml")
    variants = [Variant(name, scale=False) for name in grid.models]
    kept = [(v.model, s) for v in variants for s in ("nns", "mips") if grid._keeps(v, s)]
    a, _, c = grid.models
    assert kept == [(a, "nns"), (a, "mips"), (c, "nns")]


def test_different_variants_have_different_names():
    grid = Grid(
        ("aisfx",),
        aggregations=("mean", "max"),
        n_components=(None, 10),
        normalize=(True, False),
        pre_normalize=(True, False),
        transforms=(
            "none",
            "center",
            "standardize",
            "whiten",
            "whiten-shrunk",
            "remove-top-1",
            "remove-top-11",
        ),
    )
    variants = {variant for variant, _ in grid.systems()[0]}
    # 7 transforms, 2 sizes, 2 aggregations, 2 x 2 unit lengths; but for PCA after centring, which is PCA
    assert len({variant.name for variant in variants}) == len(variants) == (7 * 2 - 1) * 8


@pytest.mark.parametrize(
    ("transform", "n", "kept", "left_out"),
    [
        ("center", 20, ["pcanone", "pca10"], []),
        ("whiten", None, ["pcanone", "pca10", "pca100"], []),
        ("whiten", 514, ["pcanone", "pca10", "pca100"], []),
        ("whiten", 513, ["pca10", "pca100"], ["aisfx has embedded 513 clips: no whiten, PCA none"]),
        ("whiten", 101, ["pca10"], ["aisfx has embedded 101 clips: no whiten, PCA none, 100"]),
        ("whiten-shrunk", 100, ["pcanone", "pca10", "pca100"], []),
        (
            "remove-top-3",
            102,
            ["pcanone", "pca10"],
            ["aisfx has embedded 102 clips: no remove-top-3, PCA 100"],
        ),
        ("remove-top-510", None, ["pcanone"], ["aisfx has 512 dimensions: no remove-top-510, PCA 10, 100"]),
    ],
)
def test_a_transform_is_left_out_where_it_cannot_be(transform, n, kept, left_out):
    sizes = (None, 10) if transform == "center" else (None, 10, 100)
    found, why = Grid(("aisfx",), n_components=sizes, transforms=(transform,)).systems(
        {"aisfx": n} if n else None
    )
    assert [variant.name.split("-")[-2] for variant, _ in found] == kept
    assert why == left_out


def test_a_grid_leaves_out_what_cannot_be_and_says_so():
    grid = Grid(("aisfx", "duration"), aggregations=("mean", "max"), n_components=(None, 100))
    found, left_out = grid.systems({"aisfx": 231})
    assert [variant.name for variant, _ in found] == [
        "aisfx-mean-pcanone-l2",
        "aisfx-max-pcanone-l2",
        "aisfx-mean-pca100-l2",
        "aisfx-max-pca100-l2",
        "duration-none-pcanone-l2",
    ]
    assert left_out == ["duration has 2 dimensions: no PCA 100"]
    _, left_out = dataclasses.replace(grid, transforms=("none", "center")).systems({"aisfx": 231})
    assert left_out == ["duration has 2 dimensions: no PCA 100"]
    found, left_out = grid.systems({"aisfx": 20})
    assert {variant.n_components for variant, _ in found} == {None}
    assert "aisfx has embedded 20 clips: no PCA 100" in left_out


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modles: [aisfx]", "'modles' is not among the keys of grid.yaml: did you mean 'models'?"),
        ("models: [aisfxx]", "did you mean 'aisfx'?"),
        ("models: [aisfx]\nsearches: [mip]", "did you mean 'mips'?"),
        ("models: [aisfx]\nsearches: [nns-HNWS16-efSearch=64]", "did you mean 'nns-HNSW16-efSearch=64'?"),
        ("models: [aisfx]\nsearches: [nns-IVF8-nprobe=9]", "probes 9 of 8 lists"),
        ("models: []", "models of the grid is empty"),
        ("models: [aisfx]\ncutoffs: [0]", "cutoffs=[0] of the grid: give whole numbers from 1"),
        ("models: [aisfx]\ncutoffs: [15, 10000000000]", "give whole numbers from 1 to 2,147,483,647"),
        ("models: [aisfx]\ncutoffs: []", "cutoffs of the grid is empty"),
        ("models: [aisfx]\nn_components: ['100']", "n_components=['100'] of the grid"),
        ("models: [aisfx]\nn_components: none", "n_components=['none'] of the grid"),
        ("models: [aisfx]\nnormalize: [maybe]", "normalize=['maybe'] of the grid: give true or false"),
        (
            "models: [aisfx]\ntransforms: [centre]",
            "'centre' is not among the transforms: did you mean 'center'",
        ),
        ("models: [aisfx]\ntransforms: []", "transforms of the grid is empty"),
        ("models: aisfx\ntransforms: center\nexclude: [{transform: whiten}]", "They are 'center', 'none'"),
        ("models: [aisfx]\naggregations: [avg]", "'avg' is not among aggregations of the grid"),
        ("searches: [nns]", "has no 'models'"),
        ("- aisfx", "is not a mapping"),
        ("models: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("models: [aisfx]\nsearches: [nns]\nmodels: [logmel]", "'models' is there twice"),
        ("models: duration\nprotocol: papers", "did you mean 'paper'"),
        ("models: duration\nprotocol: [paper, standard]", "is not among the protocols"),
        (
            "models: aisfx\nexclude: [{modle: aisfx}]",
            "words of a rule of the grid: did you mean 'model'?",
        ),
        ("models: aisfx\nexclude: [aisfx]", "rule 'aisfx' of the grid is not a mapping: give, say, model: "),
        ("models: aisfx\nexclude: [{model: aisfxx}]", "did you mean 'aisfx'"),
        (
            "models: aisfx\nexclude: [{search: mip}]",
            "is not among what search can be in a rule",
        ),
        ("models: aisfx\nexclude: [{aggregation: maximum}]", "They are 'mean', 'none'"),
        ("models: aisfx\nn_components: [null, 100]\nexclude: [{n_components: '100'}]", "They are None, 100"),
        ("models: aisfx\nexclude: [{normalize: 1}]", "They are True"),
        ("models: aisfx\nfit_on: [a/b]", "fit_on='a/b' of the grid names no collection"),
        ("models: no", "False in models of grid.yaml is no name: write one, in quotes"),
        ("models: [aisfx, 2024]", "2024 in models of grid.yaml is no name: write one, in quotes"),
        ("models: aisfx\nsearches: on", "True in searches of the grid is no name: write one, in quotes"),
        (
            "models: aisfx\ndatasets: 2024-01-01",
            "date(2024, 1, 1) in datasets of the grid is no name",
        ),
        ("models: aisfx\nfit_on: [3]", "fit_on=3 of the grid names no collection"),
        (
            "models: aisfx\nfusions: [zscore]",
            "fusion 'zscore' of the grid: give, say, how: zscore, models: [",
        ),
        ("models: aisfx\nfusions: [{how: zscore, models: aisfx}]", "give, say, how: zscore, models: ["),
        ("models: aisfx\nfusions: [{how: mean, models: [a, b]}]", "'mean' is not among the fusions"),
        ("models: aisfx\nfusions: [{models: [a, b]}]", "None is not among the fusions"),
        ("models: aisfx\nfusions: [{how: rrf, models: [aisfx]}]", "is no fusion: give two models or more"),
        ("models: [aisfx]\nfusions: [{how: rrf, models: [aisfx, yamnet]}]", "models of the grid that can be"),
        (
            "models: [aisfx, yamnet]\nfusions: [{how: rrf, models: [aisfx, yamnet], search: mcss}]",
            "'mcss' is not among the searches of the grid",
        ),
        (
            "models: [aisfx, yamnet]\nfusions: [{how: rrf, model: x, models: [aisfx, yamnet]}]",
            "'model' is not among the words of a fusion of the grid: did you mean 'models'",
        ),
    ],
)
def test_a_grid_with_a_mistake_names_the_mend(tmp_path, text, message):
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        experiment.read_grid(path)
    with pytest.raises(ValueError, match=r"nowhere.yaml does not exist: the grids are in"):
        experiment.read_grid(tmp_path / "nowhere.yaml")


def test_an_approximate_search_is_left_out_where_there_are_too_few_clips():
    grid = Grid(("aisfx",), searches=("nns", "nns-PQ16", "nns-PQ16x4", "nns-IVF256-nprobe=8"))
    found, left_out = grid.systems({"aisfx": 231})
    assert [search for _, search in found] == ["nns", "nns-PQ16x4"]
    assert left_out == ["aisfx has embedded 231 clips: no search nns-PQ16, nns-IVF256-nprobe=8"]
    assert len(grid.systems({"aisfx": 256})[0]) == 4


def test_without_faiss_approximate_searches_are_left_out(monkeypatch):
    monkeypatch.setattr("sss_lib.search.approximate.missing", lambda: "faiss: pip install -e '.[scale]'")
    grid, left_out = Grid(("duration",), searches=("nns", "nns-Flat", "mcss-Flat")).available()
    assert grid.searches == ("nns",)
    assert left_out == ["2 approximate searches need faiss: pip install -e '.[scale]'"]
    with pytest.raises(ValueError, match="no search of the grid can run: 1 approximate searches need faiss"):
        Grid(("duration",), searches=("nns-Flat",)).available()


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        (Grid(("duration",), n_components=(100,)), "duration has 2 dimensions"),
        (Grid(("aisfx",), aggregations=("none",)), "aisfx has several frames a clip: no aggregation none"),
        (Grid(("logmel",), exclude=({"model": "logmel"},)), "1 systems, by the rules"),
    ],
)
def test_a_grid_of_which_nothing_is_left_is_refused(grid, message):
    with pytest.raises(ValueError, match=f"nothing is left of the grid: {message}"):
        grid.systems()


def test_a_grid_is_found_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of_checkout = experiment.read_grid("grids/mini.yaml")
    (tmp_path / "grids").mkdir()
    (tmp_path / "grids" / "mini.yaml").write_text("models: [duration]\n")
    assert len(of_checkout.models) > 1
    assert experiment.read_grid("grids/mini.yaml").models == ("duration",)


def test_every_committed_grid_can_be_read():
    for path in sorted((experiment.NOTEBOOKS / "grids").glob("*.yaml")):
        grid = experiment.read_grid(path)
        assert grid.systems()[0], path
        assert dataclasses.asdict(grid)


def test_long_and_short_audio_and_preprocessing_are_axes_of_the_grid(windowed_model):
    grid = Grid(
        (windowed_model, "duration"), long_audio=("default", "truncate"), short_audio=("repeat", "pad")
    )
    available, left_out = grid.available()
    assert available.models == tuple(
        windowed_model + way for way in ("", "+pad", "+truncate", "+truncate+pad")
    )
    assert left_out == [
        f"duration takes clips of any length: '{word}' means nothing for it, leave it out"
        for word in ("repeat", "pad", "truncate")
    ]
    assert available.available() == (available, [])
    with pytest.raises(
        ValueError, match="'trunkate' is not among long_audio of the grid: did you mean 'trunc"
    ):
        Grid(("duration",), long_audio=("trunkate",))


def test_words_that_prepare_audio_alike_make_one_system():
    """The study cropped CLAP's long clips: by that word, and as what the paper did."""
    grid = Grid(("clap-2022",), long_audio=("default", "crop"), preprocessing=("standard", "paper"))
    available, _ = grid.available()
    assert set(available.models) <= {"clap-2022", "clap-2022+paper"}
    assert Variant("clap-2022+crop").name == Variant("clap-2022+paper").name
    with pytest.raises(ValueError, match="would have the same files, called clap-2022\\+paper: they are the"):
        Grid(("clap-2022+crop", "clap-2022+paper"))


def test_what_the_study_did_is_left_out_where_it_is_what_is_done_anyway():
    available, left_out = Grid(("duration", "vggish"), preprocessing=("standard", "paper")).available()
    assert [name for name in available.models if name != "duration"] in ([], ["vggish", "vggish+paper"])
    assert left_out[0] == "duration has no other preparation for the paper: leave out 'paper'"


def test_rules_include_and_exclude_systems():
    grid = Grid(
        ("aisfx", "logmel", "duration"),
        aggregations=("mean", "max"),
        normalize=(True, False),
        searches=("nns", "mips"),
        include=({"model": ["aisfx", "log*"], "normalize": True},),
        exclude=({"aggregation": "max", "search": "mips"}, {"model": "logmel", "search": "nns"}),
    )
    found, left_out = grid.systems()
    assert [f"{variant.name}/{search}" for variant, search in found] == [
        "aisfx-mean-pcanone-l2/nns",
        "aisfx-mean-pcanone-l2/mips",
        "aisfx-max-pcanone-l2/nns",
        "logmel-none-pcanone-l2/mips",
    ]
    assert left_out == ["12 systems, by the rules include and exclude"]


def test_two_models_whose_files_would_be_the_same_are_refused(monkeypatch):
    monkeypatch.setattr("sss_lib.models.registry.spec", lambda name: None)
    monkeypatch.setattr("sss_lib.models.registry.file_name", lambda name: "hear-encoder-weights")
    with pytest.raises(ValueError, match="would have the same files, called hear-encoder-weights: they are"):
        Grid(("hear:encoder:a/weights.pt", "hear:encoder:b/weights.pt"))


def test_a_grid_names_the_protocol_that_its_tables_are_of(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text("models: duration\nprotocol: paper")
    assert experiment.read_grid(path).protocol == "paper"
    assert Grid(("duration",)).protocol == "standard"


MODULE = "import pathlib; pathlib.Path({ran!r}).touch()\nload_model = get_scene_embeddings = None\n"


@pytest.mark.parametrize("allowed", ["installed", "none"])
@pytest.mark.parametrize("name", ["hear:lying", "hear:lying.within", "hear:lying:weights.pt", "hear:beside"])
@pytest.mark.parametrize("reached", ["", "full"])
def test_a_module_that_lies_about_is_not_imported_for_a_grid(tmp_path, monkeypatch, name, allowed, reached):
    ran, grid = tmp_path / "ran", tmp_path / "grid.yaml"
    for path in (
        tmp_path / "lying" / "__init__.py",
        tmp_path / "lying" / "within.py",
        tmp_path / "beside.py",
    ):
        path.parent.mkdir(exist_ok=True)
        path.write_text(MODULE.format(ran=str(ran)))
    grid.write_text(f"models: [duration, '{name}']")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("" if not reached else str(tmp_path))
    monkeypatch.setenv("SSS_LIB_IMPORTS", allowed)
    with pytest.raises(ValueError, match="which is not installed: if you trust it"):
        experiment.read_grid(grid)
    assert not ran.exists()


@pytest.mark.parametrize(("allowed", "imports"), [("installed", True), ("none", False), ("any", True)])
def test_an_installed_module_is_imported_for_a_run_and_not_for_a_plan(
    tmp_path, monkeypatch, allowed, imports, capsys
):
    ran, site = tmp_path / "ran", tmp_path / "site"
    (tmp_path / "elsewhere").mkdir()
    site.mkdir()
    module = f"installed_hear_{allowed}"  # Python imports each once
    (site / f"{module}.py").write_text(MODULE.format(ran=str(ran)))
    grid = tmp_path / "elsewhere" / "grid.yaml"
    grid.write_text(f"models: [duration, 'hear:{module}']")
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setenv("SSS_LIB_IMPORTS", allowed)
    try:
        experiment.read_grid(grid)
    except (ValueError, TypeError, AttributeError):
        assert imports  # it is no model
    assert ran.exists() is imports
    assert (f"left out of the plan: hear:{module}" in capsys.readouterr().out) is not imports


@pytest.mark.parametrize("name", ["con.yaml", "a. .yaml", "a\nb.yaml"])
def test_a_grid_that_no_figures_could_be_called_by_is_refused(tmp_path, name):
    (tmp_path / name).write_text("models: [duration]")
    with pytest.raises(ValueError, match="rename it"):
        experiment.read_grid(tmp_path / name)


def test_a_fusion_is_run_where_each_of_its_models_is():
    fusion = {"how": "rrf", "models": ["aisfx", "logmel"]}
    grid = Grid(("aisfx", "logmel", "duration"), n_components=(None, 50), fusions=(fusion,))
    found = [variant for variant, search in grid.systems()[0] if search == "given"]
    assert [one.name for one in found] == [
        f"fusion-rrf-nns-aisfx-logmel-mean-pca{n}-l2" for n in ("none", 50)
    ]
    assert [[part.name for part in one.parts] for one in found] == [
        [f"aisfx-mean-pca{n}-l2", f"logmel-none-pca{n}-l2"] for n in ("none", 50)
    ]
    assert found[1].dim == 100
    only = dataclasses.replace(grid, exclude=({"model": "logmel", "n_components": 50},))
    assert [v for v, search in only.systems()[0] if search == "given"] == found[:1]
    with_duration = dataclasses.replace(
        grid, n_components=(50,), fusions=({"how": "rrf", "models": ["aisfx", "duration"]},)
    )
    assert (
        "fusion:rrf:nns:aisfx&duration, as no two of its models are processed alike here"
        in (with_duration.systems()[1])
    )


def test_a_fusion_is_prepared_as_its_models_are_and_left_out_with_its_search(monkeypatch):
    both, searches = ["clap-2022", "clap-2023"], ("nns", "nns-HNSW16-efSearch=64")
    fusions = tuple({"how": "rrf", "models": both, "search": one} for one in searches)
    grid = Grid(tuple(both), long_audio=("truncate",), searches=searches, fusions=fusions)
    monkeypatch.setattr("sss_lib.search.approximate.missing", lambda: "faiss")
    available, _ = grid.available()
    assert available.fused == ("fusion:rrf:nns:clap-2022+truncate&clap-2023+truncate",)


def test_a_model_whose_name_would_part_a_fusion_is_refused():
    with pytest.raises(ValueError, match="can't have '/a/R&B', as & parts its models"):
        Grid(("yamnet",), fusions=({"how": "rrf", "models": ["yamnet", "/a/R&B"]},))


def test_what_is_fitted_on_a_collection_needs_that_it_is_embedded():
    grid = Grid(("aisfx", "logmel"), n_components=(None, 100), fit_on=(None, "esc10"))
    found, left_out = grid.systems({"aisfx": 231, "logmel": 231, "aisfx@esc10": 400, "logmel@esc10": 99})
    fitted = ["aisfx-mean-none@esc10-pca100-l2"]
    assert [one.name for one, _ in found if one.fit_on] == fitted
    assert left_out == ["logmel has embedded 99 clips of esc10: no PCA 100"]
    found, left_out = grid.systems({"aisfx": 231, "logmel": 231, "aisfx@esc10": 400})
    assert [one.name for one, _ in found if one.fit_on] == fitted
    assert left_out == ["fitted on esc10, which is searched itself or has no 00 and 01 of logmel"]
    assert len([one for one, _ in grid.systems()[0] if one.fit_on]) == 2
