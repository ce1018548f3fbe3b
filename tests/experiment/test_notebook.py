"""A notebook is run with parameters that it knows, or not at all."""

import pytest

from sss_lib import experiment
from sss_lib.experiment import task


def test_an_unknown_notebook_parameter_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"'n_component' is not among the parameters of 02_processing\.ipynb: did you"
    ):
        task.run_notebook(
            experiment.NOTEBOOKS / "02_processing.ipynb", tmp_path / "out.ipynb", {"n_component": 10}
        )
    assert not (tmp_path / "out.ipynb").exists()
