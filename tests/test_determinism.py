"""A clip has the same embedding whenever, wherever and with whomever it is embedded.

Networks whose weights are downloaded are audited on stand-ins: one model of those that have the same network
and read audio alike, and transformers of many equal layers with two of them.
"""

import contextlib
import json
from collections import defaultdict

import numpy as np
import pytest
import seeded
import stand_ins

from sss_lib import audio, models
from sss_lib.models import weights
from sss_lib.models.catalogue import CATALOGUE

TOLERANCE = 1e-5
"""Of the largest value of the embeddings."""
WITHOUT_DOWNLOAD = [name for name in CATALOGUE if name not in stand_ins.DOWNLOADED]


def network_of(row):
    """What tells a network, and the audio that it gets, from another; those of PE-A-Frame differ in size."""
    options = {} if row.loader == "pe_audio" else dict(row.options)
    read = row.rate_hz, row.window_s, row.long, row.short, row.gain_db
    return json.dumps([row.loader, row.dim, options, read])


GROUPS: dict[str, list[str]] = {}
for _name in stand_ins.DOWNLOADED:
    GROUPS.setdefault(network_of(CATALOGUE[_name]), []).append(_name)


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """Process by library, which is imported there once; weights are in a new cache."""
    from joblib.externals.loky import ProcessPoolExecutor

    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.ExitStack() as stack:
        seeded.accept(tmp_path_factory.mktemp("cache"), monkeypatch)
        yield defaultdict(lambda: stack.enter_context(ProcessPoolExecutor(1)))


def assert_same(differences):
    assert list(differences) == ["again", "another order", "another batch size", "another worker"]
    assert max(differences.values()) < TOLERANCE, differences


@pytest.mark.parametrize("name", WITHOUT_DOWNLOAD)
def test_a_clip_has_the_same_embedding_in_any_order_batch_and_worker(name, mini):
    row = models.spec(name)
    pytest.importorskip(row.requires or "numpy")
    paths = mini.clips["path"].iloc[[0, 60, 120]]
    assert_same(models.audit(name, [audio.decode(path, row.rate_hz) for path in paths]))


@pytest.mark.parametrize("name", [names[0] for names in GROUPS.values()])
def test_so_it_has_by_networks_whose_weights_are_downloaded(name, mini, workers):
    row = models.spec(name)
    pytest.importorskip(row.requires)
    if row.loader in stand_ins.LAYERED:
        row = stand_ins.with_layers(row, 2)
    path = stand_ins.write(row, weights.cache_dir())
    waves = [audio.decode(path, row.rate_hz) for path in mini.clips["path"].iloc[[0, 60]]]
    assert len(waves[0]) != len(waves[1])
    library = "torch" if row.extra == "torch" else row.requires  # beside PyTorch, TensorFlow can hang
    assert_same(models.audit(row, waves, worker=workers[library]))
    path.unlink()


def test_every_model_of_the_catalogue_is_audited_or_one_with_the_same_network():
    audited = [*WITHOUT_DOWNLOAD, *(name for names in GROUPS.values() for name in names)]
    assert sorted(audited) == sorted(CATALOGUE)
    for first, *others in GROUPS.values():
        for name in others:
            assert CATALOGUE[name].loader == CATALOGUE[first].loader


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
