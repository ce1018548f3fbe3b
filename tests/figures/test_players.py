"""Sounds and choices in a notebook."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from matplotlib import pyplot as plt

from sss_lib import dataset
from sss_lib.dataset import DatasetError
from sss_lib.listening import Choice, any_of, play
from sss_lib.listening.players import EXCERPT_HZ, EXCERPT_S


def heard(page):
    content = re.search("data:audio/mpeg;base64,([^']+)", page)[1]
    return soundfile.read(io.BytesIO(base64.b64decode(content)))


def test_a_clip_of_the_class_is_played(collection):
    tiny = dataset.load(collection)
    page = any_of(tiny, "Cat").data
    wave, rate_hz = heard(page)
    assert "Animal, 007, ben" in page
    assert rate_hz == EXCERPT_HZ
    assert len(wave) / rate_hz == pytest.approx(0.1, abs=0.06)  # the length of 007, and MP3's frames
    drawn = {re.search("title='([^']*)'", any_of(tiny, "Rain", seed).data)[1][:3] for seed in range(9)}
    assert drawn == {"é, ", "Ani"}  # é has no other class, 1e5 is an Animal, too


def test_a_broken_clip_is_passed_over_and_a_class_of_such_is_told(collection):
    for fname in ("b", "1e5"):
        (collection / "audio" / f"{fname}.wav").write_text("no sound")
    tiny = dataset.load(collection)
    assert all("é" in any_of(tiny, "Rain", seed).data for seed in range(9))
    with pytest.raises(DatasetError, match="no clip of 'Dog' can be decoded"):
        any_of(tiny, "Dog")
    with pytest.raises(DatasetError, match="'Dgo' is not among the labels of tiny: did you mean 'Dog'"):
        any_of(tiny, "Dgo")
    assert "can't be decoded" in play(tiny, {"": ["b"]}).data


def test_a_collection_without_audio_says_so(collection):
    for path in (collection / "audio").iterdir():
        path.unlink()
    tiny = dataset.load(collection, needs_audio=False)
    assert any_of(tiny).data == "<p>tiny has no audio here.</p>"
    assert "no audio here" in play(tiny, {"": ["007"]}).data


def test_names_are_escaped(tmp_path):
    (tmp_path / "<b>").mkdir()
    soundfile.write(tmp_path / "<b>" / "x & y'.wav", np.full(100, 0.1), 44100)
    page = any_of(dataset.load(tmp_path)).data
    assert "&lt;b&gt;-x &amp; y&#x27;" in page
    assert "<b>-x" not in page


def test_a_saved_player_stays_small_and_is_neither_silent_nor_clipped(collection):
    noise = np.random.default_rng(0).normal(0, 0.01, 44100 * 60)
    soundfile.write(collection / "audio" / "007.wav", noise, 44100)
    page = any_of(dataset.load(collection), "Cat").data
    wave, rate_hz = heard(page)
    assert len(page) < 100_000
    assert len(wave) / rate_hz == pytest.approx(EXCERPT_S, abs=0.1)
    assert 0.01 < np.abs(wave).max() <= 1


def test_results_are_marked_by_what_they_share_with_the_query(mini):
    of = mini.clips.set_index("fname")["labels"]
    query = next(fname for fname in of.index if of[fname][0] == "Bark")
    label, others = of[query][0], set(of[query])
    kinds = {
        "★": next(f for f in of.index if f != query and label in of[f]),
        "●": next(f for f in of.index if label not in of[f] and others & set(of[f])),
        "○": next(f for f in of.index if not others & set(of[f])),
    }
    for sign, fname in kinds.items():
        page = play(mini, {"found": [fname]}, query=query).data.split("<table")[1]
        assert [one for one in "★●○" if one in page] == [sign]
    shared = play(mini, {"found": [kinds["●"]]}, query=query, label=(others & set(of[kinds["●"]])).pop()).data
    assert "★" in shared.split("<table")[1]
    columns = play(mini, {"a": list(kinds.values()), "b": [kinds["★"]]}).data
    assert columns.count("<audio") == 4
    assert not set("★●○") & set(columns)


def test_a_choice_shows_its_value_and_keeps_it_in_a_saved_notebook(collection):
    tiny = dataset.load(collection)
    choice = Choice(lambda label: any_of(tiny, label), ["Dog", "Cat"], "Cat", description="class")
    assert "007" in choice.shown.value
    data, _ = choice._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "<p>class: <b>Cat</b></p>" in data["text/html"]
    assert choice.shown.value in data["text/html"]
    choice.control.value = "Dog"
    assert "007" not in choice.shown.value
    with pytest.raises(ValueError, match="did you mean 'Dog'"):
        Choice(any_of, ["Dog", "Cat"], "Dgo", description="class")


def test_numbers_are_chosen_by_a_slider_and_may_show_a_figure():
    def figure(n):
        drawn, ax = plt.subplots()
        ax.set_title(f"n={n}")
        return drawn

    choice = Choice(figure, [1, 2, 5], 2, description="n")
    before = choice.shown.value
    choice.control.value = 5
    assert type(choice.control).__name__ == "SelectionSlider"
    assert before.startswith("<img src='data:image/png")
    assert choice.shown.value != before
    assert not plt.get_fignums()
