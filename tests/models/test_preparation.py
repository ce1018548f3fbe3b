"""Names of models prepared otherwise differ where, and only where, what is computed does."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import seeded
import stand_ins

from sss_lib import models
from sss_lib.models.catalogue import CATALOGUE
from sss_lib.models.spec import LONG, SHORT
from sss_lib.models.weights import file as weights

POLICIES = [*LONG, *SHORT]
WAYS = [*itertools.product(["", *POLICIES], ["", "paper"]), ("paper", "crop"), ("truncate", "pad")]
NAMES = ("imagebind-huge", "cav-mae-as-46.6", "clap-2022", "audioclip-full", "laion-clap-630k-fusion-best")


def ways_of(row):
    """Row by its name, of every way that suits it; ways of one name must be one computation."""
    rows = {}
    for words in WAYS:
        try:
            prepared = row.prepared(*filter(None, words))
        except ValueError:
            continue
        assert rows.setdefault(prepared.name, prepared) == prepared, words
    return rows


def assert_differ(frames):
    """Frames of a long and of a short wave, by name: no two names have the same of both."""
    for (name, own), (other, others) in itertools.combinations(frames.items(), 2):
        same = [a.shape == b.shape and np.allclose(a, b, atol=1e-5) for a, b in zip(own, others, strict=True)]
        assert not all(same), f"{name} and {other} compute the same"


def frames_of(row):
    """Frames of a clip of two windows and a half, and of a third of one, with an end unlike its beginning."""
    extractor = models.load(row)
    long_s = 2.5 * (row.window_s or 5)
    waves = [seeded.noise(round(seconds * row.rate_hz)) for seconds in (long_s, 0.15 * long_s)]
    return extractor.embed(wave * np.linspace(0.2, 1, len(wave), dtype=np.float32) for wave in waves)


@pytest.mark.parametrize("name", NAMES)
def test_another_name_is_another_computation(name, tmp_path, monkeypatch):
    """Of networks that are slow to build and run: means of stretches of their inputs stand for them."""
    seeded.accept(tmp_path, monkeypatch)
    row = models.spec(name)
    pytest.importorskip(row.requires)
    import torch

    pooling = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.AdaptiveAvgPool1d(row.dim))
    monkeypatch.setattr(f"sss_lib.models.loaders.{row.loader}.Network", lambda *_, **__: pooling)
    monkeypatch.setattr("sss_lib.models.weights.checkpoint.load_into", lambda network, *_: network)
    row = stand_ins.with_layers(row, 1) if row.loader in stand_ins.LAYERED else row
    stand_ins.write(row, weights.cache_dir())
    rows = ways_of(row)
    assert len(rows) >= 6 + bool(row.paper)
    assert_differ({name: frames_of(one) for name, one in rows.items()})


def test_so_it_is_with_a_model_of_the_users_own():
    """Which is given windows, and needn't know of them."""
    models.register("louder", lambda w: [[w.mean(), w[0]]], rate_hz=100, dim=2, hop_s=2, window_s=2)
    rows = ways_of(models.spec("louder"))
    frames = {name: frames_of(row) for name, row in rows.items()}
    assert_differ(frames)
    assert {name: len(long) for name, (long, _) in frames.items()} == {
        **{f"louder{way}": 3 for way in ("", "+spread", "+repeatpad", "+pad")},
        **{f"louder{way}": 1 for way in ("+truncate", "+crop", "+truncate+pad")},
    }
    del CATALOGUE["louder"]


def test_every_way_of_every_model_is_named_once():
    for row in CATALOGUE.values():
        rows = ways_of(row)
        others = [replace(one, name="", display_name="") for one in rows.values()]
        assert all(a != b for a, b in itertools.combinations(others, 2)), row.name
        for name, one in rows.items():
            assert models.spec(name) == one
