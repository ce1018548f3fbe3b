"""The results of a query inside a notebook: what is right, players, and other queries by a list."""

import base64
import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sss_lib import dataset, examples, players
from sss_lib.search import Ranking

NEIGHBOURS = np.array([[1, 2], [0, 3], [4, -1], [0, 1], [2, 0]], np.int32)


@pytest.fixture
def tiny(collection):
    return dataset.load(collection)


@pytest.fixture
def ranking():
    return Ranking(NEIGHBOURS, np.array([[0.25, 0.5]] * 5, np.float32))


def test_each_result_is_marked_by_the_class_that_the_query_asks_for(tiny, ranking):
    asked = examples.asked_classes(tiny.label_matrix)
    for row, found in enumerate(NEIGHBOURS):
        page = players.results(tiny, ranking, row).data
        marks = re.findall("[✓✗]", page)
        right = [tiny.labels[asked[row]] in tiny.clips["labels"][i] for i in found if i >= 0]
        assert marks == ["✓" if one else "✗" for one in right]
        assert f"{sum(right)} of the first {len(right)} results" in page


def test_a_player_has_the_first_seconds_in_a_few_kilobytes(tiny, ranking, mini):
    page = players.results(tiny, ranking, 0).data
    length_s = ["007", "1e5", "a", "b", "é"].index(tiny.clips["fname"][0]) / 10 + 0.1
    (first, *_) = re.findall('data:audio/ogg;base64,([^"]+)"', page)
    wave, rate_hz = soundfile.read(io.BytesIO(base64.b64decode(first)))
    assert len(wave) / rate_hz == pytest.approx(length_s, abs=0.01)
    assert page.count("<audio") == page.count("<svg") == 3
    longest = sorted(mini.clips["path"], key=lambda path: Path(path).stat().st_size)[-5:]
    assert max(len(players.player(path)) for path in longest) < 60_000


def test_a_short_and_small_file_is_played_as_it_is_and_others_are_compressed(tmp_path):
    tone = 0.3 * np.sin(np.arange(32000) / 20)
    cases = (("short.ogg", tone, True), ("long.ogg", np.tile(tone, 5), False), ("short.wav", tone, False))
    for name, wave, is_kept in cases:
        soundfile.write(tmp_path / name, wave, 32000)
        data = re.search('data:audio/ogg;base64,([^"]+)"', players.player(str(tmp_path / name)))[1]
        content = base64.b64decode(data)
        assert (content == (tmp_path / name).read_bytes()) == is_kept, name
        assert soundfile.info(io.BytesIO(content)).duration == pytest.approx(
            min(len(wave) / 32000, 4), abs=0.01
        )


def test_a_player_is_made_once_and_anew_when_its_file_is_another(tmp_path, monkeypatch):
    path, decoded, decode = tmp_path / "one.wav", [], players.audio.decode
    monkeypatch.setattr(players.audio, "decode", lambda *a, **k: decoded.append(a) or decode(*a, **k))
    assert "no sound here" in players.player(str(path))
    shown = []
    for number, frequency in enumerate((0.05, 0.1), 1):
        soundfile.write(path, 0.3 * np.sin(np.arange(32000) * frequency), 32000)
        os.utime(path, ns=(number, number))
        shown += [players.player(str(path)), players.player(str(path))]
        shown.append(players.player(f"{path}#t=0,0.5"))
    assert shown[0] == shown[1] != shown[3] == shown[4]
    assert shown[2] != shown[5]
    assert len(decoded) == 4


def test_names_are_shown_as_text_and_a_sound_that_is_gone_is_told(tiny, ranking):
    tiny.clips.loc[0, "fname"] = "<script>"
    tiny.clips.loc[1, "path"] = "nowhere.wav"
    page = players.results(tiny, ranking, 0).data
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert page.count("no sound here") == 1


def test_without_labels_nothing_is_marked(collection, ranking):
    (collection / "ground_truth.csv").unlink()
    (collection / "classes.csv").unlink()
    page = players.results(dataset.load(collection / "audio"), ranking, 0).data
    assert "nothing tells what is right" in page
    assert not re.search("[✓✗]", page)


def test_another_query_is_chosen_from_a_list(tiny, ranking):
    fnames = tiny.clips["fname"]
    chosen = players.browse(tiny, ranking, 3)
    assert chosen.control.value == fnames[3]
    assert [value for _, value in chosen.control.options] == fnames.tolist()
    chosen.control.value = fnames[2]
    assert chosen._repr_html_().count("<audio") == 2  # the query and its one result


def test_a_question_stands_above_the_query_as_text(tiny):
    page = players.side_by_side(tiny, {"others": [1, 2]}, 0, "Is a<b?").data
    assert page.startswith("<p>Is a&lt;b?</p><table>")
    assert players.side_by_side(tiny, {"others": [1]}, 0).data.startswith("<table>")
