"""Encoders of the user's own are extracted by name like the others."""

import numpy as np
import pytest

from sss_lib import extraction, models
from sss_lib.artefacts import Artefact


@pytest.mark.parametrize("name", ["a/b", "../a", "a+b", "", "a b"])
def test_a_registered_name_is_plain(name):
    with pytest.raises(ValueError, match="is not plain"):
        models.register(name, list, rate_hz=1, dim=1)


def test_a_model_of_the_library_is_not_replaced():
    with pytest.raises(ValueError, match="model 'duration' comes with the library"):
        models.register("duration", list, rate_hz=1, dim=1)


def test_a_registered_model_is_extracted_by_name_in_any_worker(windowed_model, mini, tmp_path):
    few = mini.select(list(mini.clips["fname"][:20]))
    values = []
    for n_jobs in (1, 2):
        report = extraction.extract(few, windowed_model, tmp_path / str(n_jobs), n_jobs)
        assert (report.n_clips, len(report.failures)) == (20, 0)
        values.append(extraction.read(Artefact(tmp_path / str(n_jobs) / "parts.parquet", {})).values)
    np.testing.assert_array_equal(*values)
    assert extraction.extract(few, windowed_model, tmp_path / "1").n_new == 0
    models.register(windowed_model, lambda wave: [[wave.min()]], rate_hz=16000, dim=1, hop_s=0.1)
    assert extraction.extract(few, windowed_model, tmp_path / "1").n_new == 20
