"""A model's name tells how its audio is prepared."""

import re

import numpy as np
import pytest

from sss_lib import audio, models
from sss_lib.models.command import listing


def test_a_model_prepared_otherwise_says_so_by_its_name_and_records_it(windowed_model):
    plain, other = models.spec(windowed_model), models.spec(f"{windowed_model}+truncate+pad")
    assert (other.long, other.short, other.name) == ("truncate", "pad", "peak+truncate+pad")
    assert other.display_name == "peak (truncate, pad)"
    assert plain.parameters() != other.parameters()


@pytest.mark.parametrize("words", ["windows", "windows+repeat", "default+standard", "repeat+windows+repeat"])
def test_a_preparation_that_changes_nothing_changes_no_name(windowed_model, words):
    assert models.spec(f"{windowed_model}+{words}") == models.spec(windowed_model)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "peak+cut",
            "'cut' is not among the preparations of peak: They are windows, spread, truncate, crop, repeat",
        ),
        ("peak+paper", "peak has no other preparation for the paper: leave out 'paper'"),
        ("duration+pad", "duration takes clips of any length: 'pad' means nothing for it, leave it out"),
        (
            "peak+truncate+windows",
            "'windows' of peak contradicts 'truncate', which has its own way with long clips: leave out",
        ),
        (
            "audioclip-full+truncate+paper",
            "audioclip-full takes clips of any length as the paper prepares it: 'truncate' means nothing",
        ),
        ("cav-mae-pretrained+spread+paper", "'spread' of cav-mae-pretrained contradicts 'paper', which"),
        ("laion-clap-630k-fusion-best+paper+truncate", "contradicts 'paper', which has its own way"),
    ],
)
def test_a_preparation_that_means_nothing_is_refused(windowed_model, name, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        models.spec(name)


def test_what_is_recorded_of_a_model_tells_where_clips_are_cut():
    assert models.spec("duration").parameters()["max_duration_s"] == audio.MAX_DURATION_S == 30


def test_the_paper_fed_essentias_graphs_twice_as_loud_and_clipped():
    row, heard = models.spec("vggish+paper"), []
    extractor = models.Extractor(row, lambda wave: heard.append(wave) or np.zeros((1, 128)))
    extractor(np.array([0.1, -0.4, 0.6, -0.9]))
    np.testing.assert_allclose(heard[0], [0.19953, -0.79810, 1, -1], atol=1e-5)
    assert row.paper_differs


def test_what_a_model_lacks_is_told_to_whoever_needs_it(windowed_model):
    windowed, whole = models.spec(windowed_model), models.spec("duration")
    assert windowed.window_size == 1600
    with pytest.raises(ValueError, match="duration takes clips of any length: it has no window"):
        _ = whole.window_size
    with pytest.raises(ValueError, match="duration has no weights: name them in its row of the catalogue"):
        _ = whole.needed_weights


def test_the_listing_aligns_and_tells_dimensions_place_and_terms():
    head, *lines = listing().splitlines()
    at = {name: head.index(name) for name in ("model", "dim", "weights", "licence")}
    assert all(line[place - 1] == " " != line[place] for line in lines for place in at.values())
    cells = {line.split()[0]: (line[at["dim"] :].split()[:2], line[at["licence"] :]) for line in lines}
    assert cells["yamnet"] == (["1024", "here"], "Apache-2.0")
    assert cells["vggish"] == (["128", "fetched"], "CC BY-NC-SA 4.0: not commercial; by Essentia: AGPL-3.0")
    assert cells["logmel"] == (["128", "-"], "no weights")
