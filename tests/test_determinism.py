"""A clip has the same embedding whenever, wherever and with whomever it is embedded."""

import numpy as np
import pytest

from sss_lib import audio, models
from sss_lib.models.catalogue import CATALOGUE

WITHOUT_DOWNLOAD = [name for name, row in CATALOGUE.items() if not row.weights or not row.weights.url]


@pytest.mark.parametrize("name", WITHOUT_DOWNLOAD)
def test_a_clip_has_the_same_embedding_in_any_order_batch_and_worker(name, mini):
    row = models.spec(name)
    pytest.importorskip(row.requires or "numpy")
    paths = mini.clips["path"].iloc[[0, 60, 120]]
    differences = models.audit(name, [audio.decode(path, row.rate_hz) for path in paths])
    assert list(differences) == ["again", "another order", "another batch size", "another worker"]
    assert max(differences.values()) < 1e-5, differences


def test_the_audit_finds_what_depends_on_the_neighbours():
    class Normalised:
        def embed(self, waves):
            values = [wave.mean() for wave in waves]
            return [[[value - np.mean(values)]] for value in values]

    models.register("relative", Normalised(), rate_hz=1, dim=1)
    differences = models.audit("relative", [np.ones(1), np.zeros(1)])
    del CATALOGUE["relative"]
    assert differences["again"] == differences["another order"] == 0
    assert differences["another batch size"] == 1
