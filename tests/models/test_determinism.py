"""A clip has the same embedding whenever, wherever and with whomever it is embedded.

Networks whose weights are downloaded are audited on stand-ins: one model of those that have the same network
and read audio alike, and transformers of many equal layers with one of them.
"""

import contextlib
import json
import sys
from collections import defaultdict

import numpy as np
import pytest
import seeded
import stand_ins

from sss_lib import audio, models
from sss_lib.models.catalogue import CATALOGUE
from sss_lib.models.weights import file as weights

TOLERANCE = 1e-5
"""Of the largest value of the embeddings."""
WITHOUT_DOWNLOAD = [name for name in CATALOGUE if name not in stand_ins.DOWNLOADED]

QUICK = ("duration", "logmel")
AUDITED = [pytest.param(n, marks=[pytest.mark.network] * (n not in QUICK)) for n in WITHOUT_DOWNLOAD]


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
        alone = {"OMP_NUM_THREADS": "1"}
        yield defaultdict(lambda: stack.enter_context(ProcessPoolExecutor(1, env=alone)))


@pytest.fixture(autouse=True)
def one_thread():
    """As each worker of an extraction has: with more, sums are put together from other parts."""
    if "torch" not in sys.modules:
        yield
        return
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def library(row):
    """What a worker imports for a model: beside PyTorch, TensorFlow can hang."""
    return "torch" if row.extra == "torch" else row.requires


@contextlib.contextmanager
def written(row):
    """Stand-ins of a row's weights, and nothing known of them afterwards."""
    path = stand_ins.write(row, weights.cache_dir())
    yield
    path.unlink()
    (weights.cache_dir() / weights.LOCK).unlink()


def assert_same(differences):
    assert list(differences) == ["again", "another order", "another batch size", "another worker"]
    assert max(differences.values()) < TOLERANCE, differences


@pytest.mark.parametrize("name", AUDITED)
def test_a_clip_has_the_same_embedding_in_any_order_batch_and_worker(name, mini, workers):
    row = models.spec(name)
    pytest.importorskip(row.requires or "numpy")
    waves = [audio.decode(path, row.rate_hz) for path in mini.clips["path"].iloc[[0, 60, 120]]]
    assert_same(models.audit(name, waves, worker=None if name in QUICK else workers[library(row)]))


@pytest.mark.network
@pytest.mark.parametrize("name", [names[0] for names in GROUPS.values()])
def test_so_it_has_by_networks_whose_weights_are_downloaded(name, mini, workers):
    row = models.spec(name)
    pytest.importorskip(row.requires)
    if row.loader in stand_ins.LAYERED:
        row = stand_ins.with_layers(row, 1)
    waves = [audio.decode(path, row.rate_hz) for path in mini.clips["path"].iloc[[0, 60]]]
    assert len(waves[0]) != len(waves[1])
    with written(row):
        assert_same(models.audit(row, waves, worker=workers[library(row)]))


PREPARED = [
    *("vggish+paper", "fsd-sinet-vgg41-tlpf+paper", "openl3-env-mel128-emb512+paper", "wav2clip+paper"),
    *("beats-iter3+paper", "cav-mae-as-46.6+paper", "cav-mae-as-46.6+crop+repeat", "ast+crop+repeatpad"),
    *("imagebind-huge+paper", "imagebind-huge+truncate+repeatpad", "birdnet+truncate+pad"),
    *("laion-clap-630k-fusion-best+paper", "laion-clap-htsat-unfused+spread+pad", "pengi+paper"),
    *("clap-2022+paper", "clap-2022+spread+pad", "audioclip-full+paper", "audioclip-full+crop+repeat"),
]
"""For each kind of network, what the study computed and another way with long and short clips."""


@pytest.mark.network
@pytest.mark.parametrize("name", PREPARED)
def test_so_it_has_however_its_audio_is_prepared(name, workers):
    """Of a clip longer than the window, and of one shorter; of many equal layers, one is run."""
    plain, *words = name.split("+")
    row = models.spec(plain)
    pytest.importorskip(row.requires)
    if row.loader in stand_ins.LAYERED:
        row = stand_ins.with_layers(row, 1)
    prepared = row.prepared(*words)
    assert prepared.name == name
    window_s = models.spec(plain).window_s or 2
    waves = [seeded.noise(round(n * window_s * row.rate_hz)) for n in (1.3, 0.3)]
    with written(row):
        assert_same(models.audit(prepared, waves, worker=workers[library(row)]))


def test_of_every_kind_of_network_each_preparation_is_audited():
    rows = [CATALOGUE[name] for name in stand_ins.DOWNLOADED]
    prepared = {(CATALOGUE[name.split("+")[0]].loader, name.endswith("+paper")) for name in PREPARED}
    assert {(row.loader, True) for row in rows if row.paper} <= prepared
    assert {(row.loader, False) for row in rows if row.window_s} <= prepared


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
