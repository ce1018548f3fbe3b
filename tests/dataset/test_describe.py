"""The tables, the tree and the player of notebook 00."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile

from sss_lib import dataset, overview, taxonomy
from sss_lib.dataset import DatasetError


def test_the_glance_counts_what_there_is(collection):
    tiny = dataset.load(collection)
    table = overview.glance(tiny, dataset.verify(tiny))
    told = dict(zip(table[""], table["this collection"], strict=True))
    assert told["clips"] == "5, 0 of them without usable audio"
    assert told["classes"] == "4 in 1 families"
    assert told["labels"] == "9, 1.8 a clip"
    assert told["uploaders"] == "3 named"
    assert told["classes of one clip"].startswith("1: skipped")
    assert told["licences"] == "not told (5)"


def test_the_tree_shows_families_classes_and_sizes(collection):
    tiny, classes = dataset.load(collection), taxonomy.read(collection / "classes.csv")
    assert overview.tree(tiny, classes).splitlines() == [
        "Living",
        "    Animal (4)",
        "        Cat (1)",
        "        Dog (2)",
        "no family",
        "    Rain (2)",
    ]
    assert overview.tree(tiny, classes, depth=2).splitlines()[1] == "    Animal (4, 2 classes below)"
    assert overview.tree(tiny).splitlines() == [
        "Living",
        "    Animal (4)",
        "    Cat (1)",
        "    Dog (2)",
        "no family",
        "    Rain (2)",
    ]


def test_co_occurrence_is_the_share_of_a_rows_clips(collection):
    together = overview.co_occurrence(dataset.load(collection))
    assert together.index.tolist() == together.columns.tolist() == ["Animal", "Dog", "Rain", "Cat"]
    assert together.loc["Dog", "Animal"] == 1
    assert together.loc["Animal", "Dog"] == 0.5
    assert together.loc["Rain", "Dog"] == 0.5
    assert together.loc["Cat", "Rain"] == 0
    assert overview.co_occurrence(dataset.load(collection), 2).shape == (2, 2)


def heard(page):
    wave, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(re.search('base64,([^"]+)', page)[1])))
    return wave, rate_hz


def test_a_clip_of_the_class_is_played(collection):
    tiny = dataset.load(collection)
    page = overview.player(tiny, "Cat")
    wave, rate_hz = heard(page)
    assert "<p>007, Cat, Animal, ben</p>" in page
    assert len(wave) / rate_hz == pytest.approx(0.1, abs=1e-3)  # the length of 007
    assert {overview.player(tiny, "Rain", seed)[3:7] for seed in range(9)} == {"é, R", "1e5,"}


def test_a_broken_clip_is_passed_over_and_a_class_of_such_is_told(collection):
    for fname in ("b", "1e5"):
        (collection / "audio" / f"{fname}.wav").write_text("no sound")
    tiny = dataset.load(collection)
    assert {overview.player(tiny, "Rain", seed)[3:4] for seed in range(9)} == {"é"}
    with pytest.raises(DatasetError, match="no clip of 'Dog' can be decoded"):
        overview.player(tiny, "Dog")
    with pytest.raises(DatasetError, match="'Dgo' is not among the labels of tiny: did you mean 'Dog'"):
        overview.player(tiny, "Dgo")


def test_names_are_escaped(tmp_path):
    (tmp_path / "<b>").mkdir()
    soundfile.write(tmp_path / "<b>" / "x & y.wav", np.full(100, 0.1), 44100)
    page = overview.player(dataset.load(tmp_path))
    assert "<p>&lt;b&gt;-x &amp; y, &lt;b&gt;</p>" in page


def test_a_saved_player_stays_small(collection):
    soundfile.write(collection / "audio" / "007.wav", np.full(44100 * 60, 0.1), 44100)
    page = overview.player(dataset.load(collection), "Cat")
    assert len(page) < 700_000
    assert len(heard(page)[0]) == 10 * 22050
