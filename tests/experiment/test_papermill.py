"""Papermill runs a notebook with parameters that it knows, and to the same results as its code by itself."""

import json
from pathlib import Path

import in_process
import numpy as np
import pandas as pd
import pytest

from sss_lib import __main__ as command
from sss_lib import experiment
from sss_lib.experiment.store import Store, to_matrix


@pytest.mark.slow
def test_papermill_gives_what_the_code_gives_and_names_what_fails(tmp_path, capsys):
    """All notebooks but 06, in kernels; other tests run them in this process."""
    (tmp_path / "few.yaml").write_text("models: [duration]\nnormalize: true\ncutoffs: [3]\n")
    for way in ("here", "kernels"):
        (tmp_path / way).mkdir()
        (tmp_path / way / "mini").symlink_to(experiment.NOTEBOOKS.parent / "data" / "mini")
    few = '@has("Bark") or @has("Meow") or @has("Laughter")'
    arguments = ["run", str(tmp_path / "few.yaml"), "--dataset", "mini", "--query", few, "--name", "few"]
    arguments += ["--n-jobs", "2", "--figures-dir", str(tmp_path / "figures"), "--data-dir"]
    with in_process.kernels_replaced():
        assert command.main([*arguments, str(tmp_path / "here")]) == 0
    assert command.main([*arguments, str(tmp_path / "kernels")]) == 0
    here, kernels = (
        {path.relative_to(tmp_path / way): path for path in (tmp_path / way).rglob("*.parquet")}
        for way in ("here", "kernels")
    )
    assert here.keys() == kernels.keys()
    for name in here:
        ours, theirs = (
            pd.read_parquet(one[name]).drop(columns="path", errors="ignore") for one in (here, kernels)
        )
        pd.testing.assert_frame_equal(ours, theirs)
    ran = [json.loads(path.read_text()) for path in (tmp_path / "kernels" / "runs").rglob("*.ipynb")]
    assert len(ran) == 8
    assert all("papermill" in one["metadata"] for one in ran)

    bad = Store(tmp_path / "kernels").embeddings("few", experiment.Variant("duration", "none"))
    table = bad.read()
    broken = to_matrix(table["embedding"]).copy()
    broken[0, 0] = np.nan
    bad.write({"fname": table["fname"].to_pylist(), "embedding": broken})
    capsys.readouterr()
    assert command.main([*arguments, str(tmp_path / "kernels")]) == 1
    error = capsys.readouterr().err
    assert str(Path("03_search") / "duration-none-pcanone-l2.ipynb") in error
    assert f"ValueError: 1 of {len(table)} embeddings are not finite" in error
