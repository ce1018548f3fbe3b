"""Encoders that a user registers are extracted by name like the others."""

import numpy as np
import pytest

from sss_lib import extraction, models
from sss_lib.experiment.store import Artefact
from sss_lib.models.catalogue import CATALOGUE


@pytest.mark.parametrize("name", ["a/b", "../a", "a+b", "", "a b"])
def test_a_registered_name_is_plain(name):
    with pytest.raises(ValueError, match="is not plain"):
        models.register(name, list, rate_hz=1, dim=1)


def test_a_model_of_the_library_is_not_replaced():
    with pytest.raises(ValueError, match="model 'duration' comes with the library"):
        models.register("duration", list, rate_hz=1, dim=1)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"modalty": "A"}, "'modalty' is not among the fields of model 'x': did you mean 'modality'"),
        ({"windows": 1.0}, "did you mean 'window_s'"),
        ({"loader": "htsat"}, "'loader' is not among the fields of model 'x'"),
    ],
)
def test_a_field_that_models_have_not_is_refused_with_the_nearest(about, message):
    with pytest.raises(ValueError, match=message):
        models.register("x", list, rate_hz=1, dim=1, **about)
    assert "x" not in models.catalogue()


def test_an_encoder_that_embeds_many_at_once_is_given_all_windows():
    class Counting:
        calls = 0

        def embed(self, waves):
            self.calls += 1
            return [[[wave.mean()], [len(wave)]] for wave in waves]

    network = Counting()
    models.register("many", network, rate_hz=10, dim=1, window_s=0.4, hop_s=0.2)
    frames = models.load("many").embed([np.arange(1, n + 1) for n in (4, 6, 1)])
    del CATALOGUE["many"]
    assert [one.ravel().tolist() for one in frames] == [[2.5, 4], [2.5, 4, 4.5, 4], [1, 4]]
    assert network.calls == 1


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
