"""Papermill runs a notebook with parameters that it knows, and to the same results as its code by itself."""

import json
from pathlib import Path

import in_process
import nbclient
import nbformat
import numpy as np
import pandas as pd
import pytest

from sss_lib import __main__ as command
from sss_lib import experiment
from sss_lib.experiment import task
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
    for suffix in ("svg", "pdf", "png"):
        pictures = [path.stat().st_size for path in (tmp_path / "figures").rglob(f"*.{suffix}")]
        assert min(pictures) > 1000, suffix

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


def test_a_notebook_whose_kernel_is_killed_is_kept_as_far_as_it_came(tmp_path):
    kernel = {"name": "python3", "display_name": "Python", "language": "python"}
    book = nbformat.v4.new_notebook(metadata={"kernelspec": kernel})
    for code in (
        "times = 1",
        "print('so far' * times)",
        "import os, signal, time\ntime.sleep(1)  # its number is told\nos.kill(os.getpid(), signal.SIGKILL)",
    ):
        book.cells.append(nbformat.v4.new_code_cell(code))
    book.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(book, tmp_path / "deadly.ipynb")
    with pytest.raises(nbclient.exceptions.DeadKernelError):
        task.run_notebook(tmp_path / "deadly.ipynb", tmp_path / "executed.ipynb", {"times": 2})
    kept = nbformat.read(tmp_path / "executed.ipynb", as_version=4)
    assert [cell.outputs[0].text for cell in kept.cells if cell.outputs] == ["so farso far\n"]
    assert kept.cells[-1].execution_count == 4  # after the parameters that papermill has injected
