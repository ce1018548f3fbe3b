"""Clips and choices in a notebook."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from IPython.display import HTML
from matplotlib import pyplot as plt

from sss_lib import dataset, players
from sss_lib.dataset import DatasetError
from sss_lib.figures.choice import Choice
from sss_lib.io.artefact import Frames


def heard(page):
    content = re.search('data:audio/ogg;base64,([^"]+)', page)[1]
    return soundfile.read(io.BytesIO(base64.b64decode(content)))


def test_a_clip_of_the_class_is_played(collection):
    tiny = dataset.load(collection)
    page = players.any_of(tiny, "Cat").data
    wave, rate_hz = heard(page)
    assert "<p>Cat, Animal, 007, ben</p>" in page
    assert len(wave) / rate_hz == pytest.approx(0.1, abs=1e-3)  # the length of 007
    drawn = {re.search("é|1e5", players.any_of(tiny, "Rain", seed).data)[0] for seed in range(9)}
    assert drawn == {"é", "1e5"}


def test_a_broken_clip_is_passed_over_and_a_class_of_such_is_told(collection):
    for fname in ("b", "1e5"):
        (collection / "audio" / f"{fname}.wav").write_text("no sound")
    tiny = dataset.load(collection)
    assert all("é" in players.any_of(tiny, "Rain", seed).data for seed in range(9))
    with pytest.raises(DatasetError, match="no clip of 'Dog' can be decoded"):
        players.any_of(tiny, "Dog")
    with pytest.raises(DatasetError, match="'Dgo' is not among the labels of tiny: did you mean 'Dog'"):
        players.any_of(tiny, "Dgo")


def test_a_collection_without_audio_says_so(collection):
    for path in (collection / "audio").iterdir():
        path.unlink()
    tiny = dataset.load(collection, needs_audio=False)
    assert players.any_of(tiny).data == "<p>tiny has no audio here.</p>"
    assert "no sound here" in players.side_by_side(tiny, {"": [0]}).data


def test_names_are_escaped(tmp_path):
    (tmp_path / "<b>").mkdir()
    soundfile.write(tmp_path / "<b>" / "x & y.wav", np.full(100, 0.1), 44100)
    tiny = dataset.load(tmp_path)
    assert "<p>&lt;b&gt;, &lt;b&gt;-x &amp; y</p>" in players.any_of(tiny).data
    assert "&lt;b&gt;-x &amp; y" in players.side_by_side(tiny, {"<i>": [0]}).data
    assert "<i>" not in players.side_by_side(tiny, {"<i>": [0]}).data


def test_columns_are_marked_by_the_class_that_the_query_asks_for(collection):
    tiny = dataset.load(collection)
    of = {fname: row for row, fname in enumerate(tiny.clips["fname"])}
    dogs = [row for row, labels in enumerate(tiny.clips["labels"]) if "Dog" in labels]
    page = players.side_by_side(tiny, {"near": [dogs[1]], "far": [of["007"]]}, dogs[0]).data
    assert page.count("<audio") == 3
    assert [page.count(mark) for mark in (players.RIGHT, players.WRONG)] == [1, 1]
    assert page.index(players.RIGHT) < page.index(players.WRONG)
    plain = players.side_by_side(tiny, {"a": [0, 1], "b": [2]}).data
    assert plain.count("<audio") == 3
    assert players.RIGHT not in plain
    assert players.WRONG not in plain


def test_each_dimension_is_drawn_in_its_own_range(collection):
    tiny = dataset.load(collection)
    values = np.array([[0, 100], [1, 300], [2, 200]], np.float32)
    frames = Frames(tiny.clips["fname"].tolist()[:2], values, np.array([0, 2, 3]), 0.05)
    sound, figure = players.over_time(tiny, frames, frames.fnames[0])
    assert "<audio" in sound.data
    wave, spectrum, embedding = figure.axes
    np.testing.assert_allclose(embedding.images[0].get_array(), [[0, 0.5], [0, 1]])
    assert embedding.images[0].get_extent()[:2] == [0, 0.1]  # two frames of 0.05 s
    assert wave.get_xlim() == spectrum.get_xlim() == embedding.get_xlim()
    plt.close(figure)
    with pytest.raises(ValueError, match="did you mean"):
        players.over_time(tiny, frames, frames.fnames[0] + "x")


def test_a_choice_shows_its_value_and_follows_its_control():
    choice = Choice(lambda name: HTML(f"<b>{name}</b>"), ["Dog", "Cat"], "Cat", description="class")
    assert (choice.control.value, choice._repr_html_()) == ("Cat", "<b>Cat</b>")
    choice.control.value = "Dog"
    assert choice._repr_html_() == "<b>Dog</b>"
    assert Choice(HTML, [("a dog", "Dog"), ("a cat", "Cat")])._repr_html_() == "Dog"
    with pytest.raises(ValueError, match="did you mean 'Dog'"):
        Choice(HTML, ["Dog", "Cat"], "Dgo", description="class")


def test_numbers_are_chosen_by_a_slider_and_may_show_figures():
    def figure(n):
        drawn, ax = plt.subplots()
        ax.set_title(f"n={n}")
        return [HTML(f"n={n}"), drawn]

    choice = Choice(figure, [1, 2, 5], 2, description="n")
    before = choice._repr_html_()
    choice.control.value = 5
    assert type(choice.control).__name__ == "SelectionSlider"
    assert before.startswith("n=2<img src='data:image/png")
    assert choice._repr_html_() != before
    assert not plt.get_fignums()
