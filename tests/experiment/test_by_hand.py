"""Notebooks stepped through by hand make the same artefacts as a grid, and leave a whole one's figures."""

import shutil

import in_process
import nbformat
import numpy as np
import pandas as pd
import pyarrow.parquet
import pytest

from sss_lib import experiment
from sss_lib.experiment.stages import Stages

pytestmark = pytest.mark.slow
STAGES = ("00_dataset", "01_extraction", "02_processing", "03_search", "04_evaluation")
FIGURES = ("05_figures", "05b_confidence", "05c_study")
CLIPS = 120
"""More than the hundred components that the notebooks keep by default."""
GRID = """\
models: aisfx
n_components: 100
searches: [nns, mips, mcss]
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Data folders of the shortest of the embedded sounds: one filled by a grid, one by hand."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("both")
    source = experiment.NOTEBOOKS.parent / "data"
    sizes = {path.stem: path.stat().st_size for path in (source / "mini" / "audio").iterdir()}
    rows = pd.read_csv(source / "mini" / "ground_truth.csv", dtype=str)
    rows = rows.loc[rows["fname"].map(sizes).nsmallest(CLIPS).sort_index().index]
    for way in ("grid", "hand"):
        mini = folder / way / "data" / "mini"
        (mini / "audio").mkdir(parents=True)
        rows.to_csv(mini / "ground_truth.csv", index=False)
        for fname in rows["fname"]:
            (path,) = (source / "mini" / "audio").glob(f"{fname}.*")
            shutil.copy(path, mini / "audio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Stages, "of_figures", lambda _: [])  # of which nothing is compared
        in_process.grid(GRID, folder, folder / "grid" / "data")
    notebooks, committed = folder / "hand" / "notebooks", folder / "hand" / "figures" / "mini"
    notebooks.mkdir()
    shutil.copytree(source.parent / "figures" / "mini", committed)
    before = state(committed)
    shutil.copytree(experiment.NOTEBOOKS / "grids", notebooks / "grids")
    for stage in (*STAGES, *FIGURES):  # with their default parameters, as in JupyterLab
        execute(stage, notebooks)
    return folder / "grid" / "data", folder / "hand" / "data", before


def state(folder):
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


def execute(stage, notebooks, **changed):
    """Run a notebook of the repository on the data beside a folder, with some parameters changed by hand."""
    notebook = nbformat.read(experiment.NOTEBOOKS / f"{stage}.ipynb", 4)
    (given,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    lines = given.source.splitlines()
    for name, value in {"data_dir": str(notebooks.parent / "data"), **changed}.items():
        (at,) = (i for i, line in enumerate(lines) if line.startswith(f"{name} = "))
        lines[at] = f"{name} = {value!r}"
    given.source = "\n".join(lines)
    in_process.execute(notebook, notebooks)


def is_of_05(path):
    """Whether it is a table of another grid's figures, or the map to click on."""
    return path.stem.startswith("comparison") or path.stem.endswith(".tsne")


KINDS = ("datasets", "embeddings", "similarity_rankings", "evaluation_results")


@pytest.mark.parametrize("kind", KINDS)
def test_the_notebooks_by_hand_write_what_the_grid_writes(both, kind):
    *folders, _ = of_grid, of_hand, _ = both
    there = sorted(path.relative_to(of_grid) for path in (of_grid / kind).rglob("*.parquet"))
    by_hand = sorted(path.relative_to(of_hand) for path in (of_hand / kind).rglob("*.parquet"))
    there, by_hand = ([path for path in one if not is_of_05(path)] for one in (there, by_hand))
    assert there == by_hand
    assert len(there) >= (6 if kind == "evaluation_results" else 1)
    for path in there:
        tables = [pyarrow.parquet.read_table(folder / path) for folder in folders]
        names = [name for name in tables[0].column_names if name != "path"]
        assert tables[0].select(names).equals(tables[1].select(names)), path


def test_by_hand_05_changes_no_committed_file(both):
    """Figures of a grid that is not whole go to a folder of their own."""
    _, of_hand, before = both
    figures = of_hand.parent / "figures"
    assert state(figures / "mini") == before
    assert sorted(path.name for path in figures.iterdir()) == ["mini", "mini-partial"]
    written = {path.name for path in (figures / "mini-partial").iterdir()}
    assert {"ladder.svg", "run.json", "claims.csv", "published-alike.svg", "published-alike.txt"} <= written


@pytest.mark.cluster
def test_a_part_at_a_time_and_on_a_cluster_they_write_the_same_but_for_rounding(both, tmp_path):
    pytest.importorskip("distributed")
    _, of_hand, _ = both
    for kind in ("datasets", "embeddings"):
        shutil.copytree(of_hand / kind, tmp_path / "data" / kind)
    (tmp_path / "notebooks").mkdir()
    execute("02_processing", tmp_path / "notebooks", in_memory_mb=0)
    execute("03_search", tmp_path / "notebooks", cluster="local", searches=["nns"])
    execute("04_evaluation", tmp_path / "notebooks", cluster="local", searches=["nns"])
    tables = {}
    for folder in (of_hand, tmp_path / "data"):
        (scores,) = (folder / "evaluation_results").rglob("nns.parquet")
        (fitted,) = (folder / "embeddings" / "mini").glob("aisfx-*-l2.fitted.parquet")
        tables[folder] = pd.read_parquet(scores), np.stack(pd.read_parquet(fitted)["components"])
    (scores, pca), (scores_at_scale, pca_at_scale) = tables.values()
    assert not np.array_equal(pca_at_scale, pca)  # by the covariance, not by singular values
    np.testing.assert_allclose(pca_at_scale, pca, atol=1e-5)
    pd.testing.assert_frame_equal(scores_at_scale, scores, rtol=1e-6)
