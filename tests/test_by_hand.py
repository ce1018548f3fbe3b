"""Stepping through the notebooks by hand makes the same artefacts as a grid."""

import shutil

import nbformat
import pandas as pd
import pyarrow.parquet
import pytest
from nbclient import NotebookClient

from sss_lib import experiment

STAGES = ("00_dataset", "01_extraction", "02_processing", "03_search", "04_evaluation")
CLIPS = 120
"""More than the hundred components that the notebooks keep by default."""
GRID = """\
models: aisfx
n_components: 100
searches: [nns, mips, mcss]
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Data folders of the first of the embedded sounds: one filled by a grid, one by hand."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("both")
    source = experiment.NOTEBOOKS.parent / "data"
    rows = pd.read_csv(source / "mini" / "ground_truth.csv", dtype=str).iloc[:CLIPS]
    for way in ("grid", "hand"):
        mini = folder / way / "data" / "mini"
        (mini / "audio").mkdir(parents=True)
        rows.to_csv(mini / "ground_truth.csv", index=False)
        for fname in rows["fname"]:
            (path,) = (source / "mini" / "audio").glob(f"{fname}.*")
            shutil.copy(path, mini / "audio")
    grid = folder / "grid.yaml"
    grid.write_text(GRID)
    folders = ["--data-dir", str(folder / "grid" / "data"), "--figures-dir", str(folder / "figures")]
    assert experiment.main(["run", str(grid), *folders]) == 0
    notebooks = folder / "hand" / "notebooks"
    notebooks.mkdir()
    for stage in STAGES:  # with their default parameters, as in JupyterLab
        notebook = nbformat.read(experiment.NOTEBOOKS / f"{stage}.ipynb", 4)
        NotebookClient(notebook, resources={"metadata": {"path": notebooks}}).execute()
    return folder / "grid" / "data", folder / "hand" / "data"


KINDS = ("datasets", "embeddings", "similarity_rankings", "evaluation_results")


@pytest.mark.parametrize("kind", KINDS)
def test_the_notebooks_by_hand_write_what_the_grid_writes(both, kind):
    of_grid, of_hand = both
    there = sorted(path.relative_to(of_grid) for path in (of_grid / kind).rglob("*.parquet"))
    of_05 = [path for path in there if path.stem.startswith("comparison")]
    there = [path for path in there if path not in of_05]
    assert there == sorted(path.relative_to(of_hand) for path in (of_hand / kind).rglob("*.parquet"))
    assert len(there) >= (6 if kind == "evaluation_results" else 1)
    for path in there:
        tables = [pyarrow.parquet.read_table(folder / path) for folder in both]
        names = [name for name in tables[0].column_names if name != "path"]
        assert tables[0].select(names).equals(tables[1].select(names)), path
