"""The listening interface without a page: what exists, what queries, what the page may ask for."""

import asyncio
import base64
import csv
import dataclasses
import html.parser
import io
import json
import os
import shutil
import time
import zipfile
from concurrent.futures import Future

import numpy as np
import pytest
import small_study
import soundfile

from sss_lib import audio, experiment, listening, models
from sss_lib.__main__ import main
from sss_lib.experiment import NOTEBOOKS, Variant
from sss_lib.experiment.store import Store, to_matrix
from sss_lib.listening import Board, Controls, MapControls, SoundMap, Study, exports, external_queries, views
from sss_lib.listening import map as sound_maps
from sss_lib.listening import serve as serving
from sss_lib.listening.selection import Filter, Steps, candidates
from sss_lib.models.catalogue import CATALOGUE
from sss_lib.search import feedback

PCA, RAW, FLOOR = (f"{variant.name}/{search}" for variant, search in small_study.SYSTEMS.items())


@pytest.fixture
def study(small_store):
    return Study(small_store, small_study.NAME)


@pytest.fixture
def board(study):
    one = Board(study, [PCA, FLOOR], n=5)
    one.sent = []
    one.send = lambda content, buffers=None: one.sent.append((content, buffers))
    one.show("tone1")
    return one


def ask(board, **message):
    """What the page gets for a message."""
    board._receive(board, {**message, "id": "7"}, message.pop("buffers", []))
    content, buffers = board.sent.pop()
    assert content.pop("id") == "7"
    return content, buffers


class TestStudy:
    def test_systems_are_those_that_have_rankings(self, study):
        assert set(study.systems) == {PCA, RAW, FLOOR}
        system = study.system(PCA)
        assert (system.variant, system.search) == (Variant("logmel", "none", 3), "nns")
        assert (system.title, system.words) == ("Log-mel statistics", "PCA 3, L2, NNS")

    def test_hidden_and_damaged_files_of_a_killed_run_hide_no_others(self, small_store, tmp_path, capsys):
        """A killed writer leaves hidden files: empty, cut short, or whole ones of another ranking."""
        shutil.copytree(small_store.data_dir, tmp_path / "data")
        store = Store(tmp_path / "data")
        ranked, evaluated = store.ranked(small_study.NAME), store.evaluated(small_study.NAME)
        for path in list((tmp_path / "data").rglob("*.parquet")):
            content = path.read_bytes()
            for i, left in enumerate((b"", content[:-9], content)):
                path.with_name(f".{path.name}.{i}{path.suffix}").write_bytes(left)
        assert (store.ranked(small_study.NAME), store.evaluated(small_study.NAME)) == (ranked, evaluated)
        assert len(store.all_scores()) == len(small_store.all_scores())
        assert set(Study(store, small_study.NAME).systems) == {PCA, RAW, FLOOR}
        damaged = store.ranking(small_study.NAME, Variant("logmel", "none", 3), "nns", top_n=10).path
        for content in (b"", b"not a ranking", damaged.read_bytes()[:-9]):
            damaged.write_bytes(content)
            assert set(Study(store, small_study.NAME).systems) == {RAW, FLOOR}
        assert damaged.name in capsys.readouterr().err  # a sentence is said once

    def test_a_system_with_damaged_scores_is_passed_over(self, small_store, tmp_path):
        shutil.copytree(small_store.data_dir, tmp_path / "data")
        store = Store(tmp_path / "data")
        best = Study(store, small_study.NAME).best()
        of = (small_study.NAME, best[0].variant, best[0].search)
        store.scores(*of, cutoffs=best[0].cutoffs).path.write_bytes(b"x")
        with pytest.warns(UserWarning, match=f"the scores of {best[0].name} are left out"):
            again = Study(store, small_study.NAME).best()
        assert best[0] not in again
        assert again

    def test_an_unknown_system_clip_or_class_is_named_with_the_nearest(self, study):
        with pytest.raises(ValueError, match=f"did you mean '{PCA}'"):
            study.system(PCA.replace("nns", "nn"))
        with pytest.raises(ValueError, match="did you mean 'tone1'"):
            study.row("tone11")
        with pytest.raises(ValueError, match="did you mean 'Tone'"):
            candidates(study.collection, ["Tona"])

    def test_results_are_those_of_the_stored_ranking(self, study):
        table = study.store.ranking(small_study.NAME, Variant("logmel", "none", 3), "nns", top_n=10).read()
        place = table["fname"].to_pylist().index("noise2")
        neighbours = to_matrix(table["neighbours"])[place, :4]
        found = study.results(study.system(PCA), study.row("noise2"), 4)
        fnames = study.collection.clips["fname"]
        assert [fnames[row] for row, _ in found] == [table["fname"][int(i)].as_py() for i in neighbours]
        assert [score for _, score in found] == to_matrix(table["scores"])[place, :4].tolist()
        assert study.results(study.system(PCA), study.row("broken"), 4) == []  # its embedding failed

    def test_scores_of_a_query_are_worked_out_from_its_results(self, study):
        system, row = study.system(PCA), study.row("click0")
        hits = [
            "Click" in study.collection.clips["labels"][found] for found, _ in study.results(system, row, 3)
        ]
        precisions = [sum(hits[: k + 1]) / (k + 1) for k in range(3) if hits[k]]
        expected = sum(precisions) / 3  # three other clips have the class
        assert study.scores(system, row, "Click")["AP@3"] == pytest.approx(expected)
        assert study.scores(system, row)["R1"] >= 1

    def test_the_best_of_each_model_comes_first(self, study):
        best = study.best()
        assert best[0].name in (PCA, RAW)
        assert [one.variant.model for one in best] == ["logmel", "duration"]

    def test_disagreements_are_sorted_by_the_gap_of_ap(self, study):
        table = study.disagreements(study.system(PCA), study.system(FLOOR))
        assert len(table) == 12
        assert table["gap"].abs().is_monotonic_decreasing
        row = study.row(table["fname"][0])
        assert table["a"][0] == study.scores(study.system(PCA), row)["AP@3"]
        assert table["a"][0] == study.precisions(study.system(PCA))[row]

    def test_a_collection_without_rankings_says_what_to_run(self, small_store, tmp_path):
        for name in ("datasets", small_study.NAME):
            shutil.copytree(small_store.data_dir / name, tmp_path / name)
        with pytest.raises(FileNotFoundError, match=r"has no rankings .* run 03_search first"):
            Study(type(small_store)(tmp_path), small_study.NAME)


class TestSelection:
    @pytest.mark.parametrize(
        ("include", "exclude", "among", "fnames"),
        [
            (["Tone"], [], None, ["tone0", "tone1", "tone2", "tone3"]),
            (["Tone", "<b>Bold</b>"], [], None, ["tone3"]),
            (["Music"], ["Tone"], None, ["click0", "click1", "click2", "click3"]),
            (["Noise", "Music"], [], None, []),
            (["Tone"], [], ["tone1", "click2"], ["tone1"]),  # marked on the map
        ],
    )
    def test_candidates_have_all_and_none(self, study, include, exclude, among, fnames):
        rows = among and [study.row(fname) for fname in among]
        found = candidates(study.collection, include, exclude, rows)
        assert sorted(study.collection.clips["fname"][found]) == fnames

    @pytest.mark.parametrize(
        "words",
        [
            {"licence": "CC0-1.0"},
            {"licence": "CC-BY-3.0", "has": "Noise"},
            {"has": "Music", "seconds": "1-2.5"},
            {"seconds": "-1"},
            {"seconds": "2", "others": "1"},
            {"others": "1"},
        ],
    )
    def test_a_filter_keeps_the_order_and_what_passes_one_by_one(self, study, words):
        collection, system = study.collection, study.system(PCA)
        low, _, high = words.get("seconds", "").partition("-")
        clips, query = collection.clips.to_dict("records"), study.row("tone1")

        def is_well(clip):
            return (
                words.get("licence", clip["licence"]) == clip["licence"]
                and ("has" not in words or words["has"] in clip["labels"])
                and ("seconds" not in words or float(low or 0) <= clip["duration_s"] <= float(high or 99))
                and ("others" not in words or clip["uploader"] != clips[query]["uploader"])
            )

        mask = Filter.of(words).passes(collection, query)
        assert mask.tolist() == [is_well(clip) for clip in clips]
        every = study.results(system, query, 99)
        for n in (2, 99):
            expected = [one for one in every if is_well(clips[one[0]])][:n]
            assert study.results(system, query, n, mask) == expected
        assert Filter.of(Filter.of(words).words()) == Filter.of(words)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            ({"seconds": "x-2"}, "no lengths: write such as 2-10"),
            ({"seconds": "9-2"}, "no lengths"),
            ({"seconds": "nan-"}, "no lengths"),
            ({"licence": "CC0"}, "did you mean"),
            ({"has": "Ton"}, "did you mean"),
        ],
    )
    def test_a_filter_that_can_not_be_is_refused_and_the_old_one_stays(self, board, words, message):
        reply, _ = ask(board, ask="go", q="tone1", **words)
        assert message in reply["problem"].lower()
        assert board.filter == Filter()

    def test_results_pass_the_filter_of_an_address_on_board_map_and_controls(self, board):
        controls = Controls(board)
        ask(board, ask="go", q="tone1", seconds="1-2.5", has="Music")
        about = [one["labels"] for one in board.view["clips"].values()]
        assert about
        assert all("Music" in labels for labels in about)
        assert board.view["finding"]["seconds"] == "1-2.5"
        assert (controls.seconds.value, controls.has.value, controls.others.value) == (
            "1-2.5",
            "Music",
            False,
        )
        controls.others.value = True  # all are of one uploader
        assert not any(one["results"] for one in board.view["columns"])
        assert "passes the filter" in board.view["columns"][0]["note"]
        controls.seconds.value = "long"
        assert "write such as 2-10" in board.status

    def test_steps_stop_at_both_ends_and_among_no_clips_say_so(self, study):
        systems = study.system(PCA), study.system(FLOOR)
        steps = Steps(study, *systems, candidates(study.collection, ["Tone"]))
        tones = [f for f in study.disagreements(*systems)["fname"] if f.startswith("tone")]
        assert [steps.step(1) for _ in range(6)] == [*tones, tones[-1], tones[-1]]
        assert steps.step(-1) == tones[2]
        board = Board(study, [PCA, FLOOR])
        controls = Controls(board)
        controls.include.value = ["Noise", "Music"]
        controls.next.click()
        assert "is among the candidates: choose others" in board.status

    def test_the_same_seed_draws_the_same_clips(self, study):
        drawn = []
        for _ in range(2):
            board = Board(study, [PCA])
            controls = Controls(board, seed=3)
            drawn.append([controls.draw() or board.query for _ in range(5)])
        assert drawn[0] == drawn[1]


class TestBoard:
    def test_at_most_five_systems_are_shown(self, study):
        with pytest.raises(ValueError, match="6 systems are chosen: choose 1 to 5"):
            Board(study, [PCA] * 6)

    def test_one_system_may_come_without_a_list(self, study):
        assert Board(study, PCA).systems == Board(study, [PCA]).systems

    def test_the_view_says_what_each_result_shares(self, board):
        column = board.view["columns"][0]
        assert column["title"] == "Log-mel statistics"
        found = [board.view["clips"][str(row)]["labels"] for row, _ in column["results"]]
        summary = dict(map(tuple, column["summary"]))
        assert summary["share a class"] == f"{sum('Music' in one for one in found)} of 5"
        assert summary["have Tone"] == f"{sum('Tone' in one for one in found)} of 5"
        assert "AP@3" in summary["any class"]
        json.dumps(board.view)

    def test_the_most_specific_class_counts_unless_another_is_chosen(self, board):
        board.show("tone1", "Music")
        board.choose([FLOOR])
        assert board.view["label"] == "Music"
        board.show("tone2")
        assert board.view["label"] == "Tone"
        with pytest.raises(ValueError, match="'tone1' has no class 'Noise': it has Tone, Music"):
            board.show("tone1", "Noise")

    def test_a_sound_travels_when_it_is_asked_for(self, board):
        content, buffers = ask(board, ask="sound", clip=board.study.row("tone1"))
        assert content["mime"] == "audio/flac"
        assert buffers[0] == board.study.sounds.path(board.study.row("tone1")).read_bytes()
        assert b"fLaC" not in json.dumps(board.get_state(), default=str).encode()

    @pytest.mark.parametrize("clip", ["../datasets/tiny.parquet", "/etc/passwd", -1, 13, None, {}, True])
    def test_no_path_reaches_the_file_system(self, board, clip):
        for what in ("sound", "search"):
            content, buffers = ask(board, ask=what, clip=clip)
            assert "there is no clip" in content["problem"]
            assert not buffers

    def test_what_the_page_may_not_ask_or_garbles_is_answered_with_the_problem(self, board):
        for what in ("__class__", "show", None, 5, "grade"):
            assert "can't be asked for" in ask(board, ask=what)[0]["problem"]
        board._receive(board, "not a mapping", [])
        assert "can't be asked for" in board.sent.pop()[0]["problem"]
        for garbled in ({"ask": "upload"}, {"ask": "upload", "at": None}, {"ask": "pictures", "clips": 5}):
            assert ask(board, **garbled)[0]["problem"]

    def test_pictures_come_together_and_a_broken_one_is_empty(self, board):
        rows = [board.study.row(fname) for fname in ("tone1", "broken")]
        _, buffers = ask(board, ask="pictures", clips=rows)
        assert max(buffers[0]) == 255
        assert len(buffers[1]) == len(buffers[0])
        assert max(buffers[1]) == 0

    def test_a_result_becomes_the_query(self, board):
        row = board.study.row("noise3")
        assert ask(board, ask="search", clip=row)[0] == {}
        assert board.query == row
        assert board.view["query"]["about"]["id"] == "noise3"

    def test_names_are_escaped_in_the_plain_table(self, board):
        board.show("tone0")
        (data, _), told = board._repr_mimebundle_(), small_study.HOSTILE
        assert "To listen, run this notebook's cells" in data["text/html"]
        assert told not in data["text/html"]
        assert "&lt;img src=x" in data["text/html"]
        assert "application/vnd.jupyter.widget-view+json" in data

    def test_a_link_leads_to_the_licence(self):
        assert views.licence_of("CC0-1.0")["licence_url"].endswith("/publicdomain/zero/1.0/")
        assert views.licence_of("javascript:hack()")["licence_url"] == ""


class Parsed(html.parser.HTMLParser):
    """Tags of a page with their attributes, and its text."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data


class TestMarks:
    def test_results_are_those_of_the_refined_query_without_what_is_marked(self, board):
        study = board.study
        hits, misses = ([study.row(one) for one in names] for names in (["tone1", "tone2"], ["click0"]))
        ask(board, ask="refine", hits=["tone1", "tone2", "gone"], misses=["click0"])
        assert board.view["query"]["about"]["title"] == "like tone1, tone2, unlike click0"
        for system, column in zip(board.systems, board.view["columns"], strict=True):
            rows = study.rows(system)
            x = study.store.embeddings(study.name, system.variant).mapped("embedding")
            places = [[rows.tolist().index(row) for row in marked] for marked in (hits, misses)]
            scores = feedback.refine(x, places[0][0], places[0][1:], places[1])
            expected = [
                row for row in rows[np.argsort(-scores, kind="stable")] if row not in {*hits, *misses}
            ]
            assert [row for row, _ in column["results"]] == expected[: board.n]

    def test_without_a_hit_nothing_is_searched(self, board):
        content, _ = ask(board, ask="refine", hits=["gone"], misses=["click0"])
        assert content["problem"].startswith("no clip is marked")
        assert board.view["query"]["about"]["id"] == "tone1"

    def test_marks_stay_the_query_when_the_systems_change(self, board):
        ask(board, ask="refine", hits=["tone1"], misses=[])
        board.choose([RAW])
        assert board.view["query"]["about"]["title"] == "like tone1"
        assert len(board.view["columns"]) == 1


class TestExports:
    def test_a_list_has_each_clip_once_and_then_the_other_marked_ones(self, board):
        shown = [clip for column in board.view["columns"] for clip, _ in column["results"]]
        ids = board.study.collection.clips["fname"]
        other = next(fname for row, fname in enumerate(ids) if row not in shown and fname != "broken")
        _, [content] = ask(board, ask="export", kind="csv", marked=[ids[shown[0]], other, "no such clip"])
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))
        assert list(rows[0]) == ["query", "clip", "rank", "systems", "mark", "licence", "author"]
        assert [row["clip"] for row in rows[:-1]] == list(dict.fromkeys(row["clip"] for row in rows[:-1]))
        assert {row["clip"] for row in rows[:-1]} == {ids[clip] for clip in shown}
        assert [row["clip"] for row in rows if row["mark"]] == [ids[shown[0]], other]
        assert (rows[0]["query"], rows[0]["rank"], rows[-1]["rank"], rows[-1]["query"]) == (
            "tone1",
            "1",
            "",
            "",
        )
        assert rows[0]["licence"] == "CC0-1.0"
        assert "(1)" in rows[0]["systems"]

    @pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\n=1", "\r+1"])
    def test_no_cell_of_a_list_is_a_formula(self, board, text):
        clips = board.study.collection.clips.assign(uploader=text)
        board.study.collection = dataclasses.replace(board.study.collection, clips=clips)
        _, [content] = ask(board, ask="export", kind="csv", marked=[])
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        assert [row[-1] for row in rows[1:]] == [f"'{text}"] * (len(rows) - 1)

    def test_a_page_holds_the_sounds_and_whose_they_are_and_no_code(self, board):
        board.show("tone2")
        _, [content] = ask(board, ask="export", kind="html", marked=[])
        page = Parsed(content.decode())
        names = {tag for tag, _ in page.tags}
        assert not names & {"script", "img", "b", "a", "iframe"}
        assert not [key for _, attrs in page.tags for key in attrs if key.startswith("on")]
        policies = [attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs]
        assert policies == ["default-src 'none'; media-src data:; style-src 'unsafe-inline'"]
        played = [attrs["src"] for tag, attrs in page.tags if tag == "audio"]
        assert len(played) == 1 + sum(len(one["results"]) for one in board.view["columns"])
        for address in played:
            head, _, sound = address.partition(";base64,")
            assert head.startswith("data:audio/")
            assert len(base64.b64decode(sound, validate=True)) > 1000
        assert page.text.count(f"by {small_study.HOSTILE}, CC0-1.0") == len(played)
        assert "javascript" not in content.decode()

    def test_exports_are_bounded_and_say_what_is_left_out(self, board, monkeypatch):
        monkeypatch.setattr(exports, "MOST_BYTES", 60_000)
        _, [content] = ask(board, ask="export", kind="html", marked=[])
        assert len(content) < 100_000
        assert "Too large for this page." in content.decode()
        _, [content] = ask(board, ask="export", kind="zip", marked=["tone0", "tone3", "click0"])
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.namelist() == ["tone0.wav", "click0.wav", "LICENCES.txt"]
            path = board.study.sounds.path(board.study.row("tone0"))
            assert archive.read("tone0.wav") == path.read_bytes()
            lines = archive.read("LICENCES.txt").decode().splitlines()
        assert [line.split(":")[0] for line in lines] == ["tone0.wav", "tone3.wav", "click0.wav"]
        assert [line.endswith("(NOT IN THIS ARCHIVE)") for line in lines] == [False, True, False]

    def test_the_file_of_several_windows_is_in_an_archive_once(self, board):
        sounds, names = board.study.sounds, ["tone0", "tone3", "click0"]
        rows = [board.study.row(one) for one in names]
        file, other = sounds.path(rows[0]), sounds.path(rows[2])
        for row, path in zip(rows, (f"{file}#t=0,0.5", f"{file}#t=0.5,1", f"{other}#t=0,1"), strict=True):
            sounds._paths[row] = path
        _, [content] = ask(board, ask="export", kind="zip", marked=names)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert archive.namelist() == ["tone0.wav", "click0.wav", "LICENCES.txt"]
            assert archive.read("tone0.wav") == file.read_bytes()
            lines = archive.read("LICENCES.txt").decode().splitlines()
        found = [line.split(":")[0] for line in lines]
        assert found == ["tone0.wav#t=0,0.5", "tone0.wav#t=0.5,1", "click0.wav#t=0,1"]
        assert "NOT IN" not in "".join(lines)

    def test_another_kind_is_refused(self, board):
        assert "csv, html, zip" in ask(board, ask="export", kind="exe")[0]["problem"]


class TestExternalQueries:
    def test_a_clip_of_the_collection_finds_itself_first(self, board):
        row, systems = board.study.row("tone0"), list(board.study.systems.values())
        found = external_queries.query_sound(board.study, systems, board.study.sounds.path(row), 3)
        for system, results in found.items():
            if system.search != "mips":  # where long vectors win
                assert results[0][0] == row, system.name
                by_rank = dict(board.study.results(system, row, 10))
                assert results[1][1] == pytest.approx(by_rank[results[1][0]], abs=1e-5)

    def test_an_upload_arrives_in_pieces_and_is_searched(self, board, tmp_path):
        path = tmp_path / "own.wav"
        soundfile.write(path, small_study.sounds()["click3"], small_study.RATE_HZ)
        content = path.read_bytes()
        half = len(content) // 2
        for at, last in ((0, False), (half, True)):
            piece = content[at : at + half] if not last else content[at:]
            reply, _ = ask(board, ask="upload", name="<own>", at=at, last=last, buffers=[memoryview(piece)])
            assert reply == {}
        assert board.view["query"]["about"]["title"] == "<own>"
        assert board.view["columns"][0]["results"][0][0] == board.study.row("click3")
        assert ask(board, ask="sound", clip=-1)[1] == [content]
        board.choose([FLOOR])
        assert len(board.view["columns"]) == 1
        assert board.view["query"]["about"]["title"] == "<own>"

    def test_an_upload_stays_in_its_own_folder_and_a_large_one_is_refused(self, board):
        reply, _ = ask(board, ask="upload", name="../../evil", at=0, last=True, buffers=[b"x" * 50])
        assert "../../evil can't be decoded" in reply["problem"]
        path = board._arriving.add(b"x", 0, last=True)
        assert path.name == "1"
        assert list(path.parent.iterdir()) == [path]
        upload = external_queries.Upload(most_bytes=10)
        upload.add(b"12345678", 0, last=False)
        with pytest.raises(ValueError, match="too large"):
            upload.add(b"12345678", 8, last=True)
        assert not list(upload._folder.iterdir())
        with pytest.raises(ValueError, match="a piece of the file got lost before byte 8"):
            upload.add(b"1", 8, last=True)

    def test_of_several_uploads_the_last_that_is_a_sound_is_heard_and_drawn(self, board, tmp_path):
        heard = []
        for fname, extra in (("click3", b""), ("noise1", b""), ("noise1", b"not a sound")):
            soundfile.write(tmp_path / "own.wav", small_study.sounds()[fname], small_study.RATE_HZ)
            content = extra or (tmp_path / "own.wav").read_bytes()
            ask(board, ask="upload", name="own.wav", at=0, last=True, buffers=[content])
            about, (sound,) = ask(board, ask="sound", clip=-1)
            heard.append((sound, about["gain_db"], *ask(board, ask="pictures", clips=[-1])[1]))
        assert heard[1] == heard[2]
        assert all(first != second for first, second in zip(*heard[:2], strict=True))
        assert len(list(board.study.sounds.own.parent.iterdir())) == 1
        board.refresh()
        assert board.view["query"]["about"]["title"] == "own.wav"

    def test_a_small_file_with_a_long_sound_is_refused(self, board, tmp_path):
        path = tmp_path / "own.flac"
        soundfile.write(path, np.tile([0.1, -0.1], 8000 * 301), 8000)
        content = path.read_bytes()
        assert len(content) < 1e6
        reply, _ = ask(board, ask="upload", name="own.flac", at=0, last=True, buffers=[content])
        assert reply == {"problem": "own.flac is longer than 10 minutes: cut out what is to be found"}
        assert not list(board._arriving._folder.iterdir())

    def test_of_a_long_sound_the_card_says_how_much_is_searched(self, board, tmp_path):
        wave = np.tile(small_study.sounds()["tone1"], 32)
        soundfile.write(tmp_path / "own.wav", wave, small_study.RATE_HZ)
        board.show_sound(tmp_path / "own.wav")
        about = board.view["query"]["about"]
        assert about["title"] == "own.wav (the first 30 s of 45 s are searched)"
        assert about["seconds"] == 30

    def test_silence_is_named(self, board, tmp_path):
        soundfile.write(tmp_path / "quiet.wav", np.zeros(9000), 22050)
        with pytest.raises(audio.AudioError, match=r"quiet\.wav is silent"):
            board.show_sound(tmp_path / "quiet.wav")

    def test_a_model_that_dies_says_so_and_is_started_again(self, board):
        dying, living = board.systems

        def die(spec):
            return os._exit(1) if spec.name == dying.variant.model else (np.ones((1, spec.dim)), None)

        found = external_queries._rank_all(
            board.study, board.systems, external_queries._embed(board.systems, die), 3
        )
        assert found[dying] == "The model's process has ended, perhaps for want of memory: search again."
        assert len(found[living]) == 3
        path = board.study.sounds.path(board.study.row("tone0"))
        assert len(external_queries.query_sound(board.study, [dying], path, 3)[dying]) == 3

    def test_a_system_without_what_02_fitted_says_so_and_the_others_search(self, board, tmp_path):
        study = board.study
        fitted = study.store.fitted(study.name, study.system(FLOOR).variant).path
        away = fitted.rename(tmp_path / "away")
        try:
            path = study.sounds.path(study.row("tone0"))
            found = external_queries.query_sound(study, board.systems, path, 3)
        finally:
            away.rename(fitted)
        assert len(found[study.system(PCA)]) == 3
        assert "run 02_processing" in found[study.system(FLOOR)]

    def test_the_kernel_answers_while_models_listen_and_the_latest_sound_counts(
        self, board, monkeypatch, tmp_path
    ):
        contents = [board.study.sounds.path(board.study.row(f"tone{i}")).read_bytes() for i in (0, 3)]
        embedded = []

        def embed(systems, path):
            embedded.append({one.variant.model: Future() for one in systems})
            return embedded[-1]

        monkeypatch.setattr(external_queries, "embed_sound", embed)

        async def send():
            for name, content in zip(("first", "second"), contents, strict=True):
                about = {"ask": "upload", "id": name, "name": name, "at": 0, "last": True}
                board._receive(board, about, [content])
                await asyncio.sleep(0.15)
                board._receive(board, {"ask": "hello", "id": f"hello {name}"}, [])
            for futures in embedded:
                for model, future in futures.items():
                    future.set_result((np.ones((1, models.spec(model).dim), np.float32), None))
            await asyncio.sleep(1)

        asyncio.run(send())
        answers = [content["id"] for content, _ in board.sent if "id" in content]
        assert sorted(answers) == ["first", "hello first", "hello second", "second"]
        assert answers.index("hello second") < answers.index("second")
        assert board.view["query"]["about"]["title"] == "second"
        progress = [content["progress"] for content, _ in board.sent if "progress" in content]
        assert progress[0] == "Listening to first: 2 of 2 models still do …"
        assert board.study.sounds.own.read_bytes() == contents[1]

    @pytest.mark.parametrize(
        ("act", "shown"),
        [
            (lambda board: ask(board, ask="search", clip=board.study.row("tone3")), "tone3"),
            (lambda board: ask(board, ask="go", q="tone3"), "tone3"),
            (lambda board: board.show("tone3"), "tone3"),
            (lambda board: board.show_words("a tone"), "your words"),
            (lambda board: ask(board, ask="search", clip=10**6), "your sound"),
            (lambda board: ask(board, ask="go", others="1"), "your sound"),
            (lambda board: board.refresh(), "your sound"),
        ],
    )
    def test_what_is_asked_for_while_models_listen_stays(self, board, monkeypatch, act, shown):
        content = board.study.sounds.path(board.study.row("tone0")).read_bytes()
        embedded = {one.variant.model: Future() for one in board.systems}
        monkeypatch.setattr(external_queries, "embed_sound", lambda systems, path: embedded)

        async def send():
            about = {"ask": "upload", "id": "first", "name": "own", "at": 0, "last": True}
            board._receive(board, about, [content])
            await asyncio.sleep(0.05)
            act(board)
            for model, future in embedded.items():
                future.set_result((np.ones((1, models.spec(model).dim), np.float32), None))
            await board._task

        asyncio.run(send())
        assert board.view["query"]["about"]["id"] == shown
        files = list(board._arriving._folder.iterdir())
        assert files == [board.study.sounds.own] * (shown == "your sound")
        assert "first" in [message.get("id") for message, _ in board.sent]

    def test_systems_chosen_while_models_listen_embed_the_sound_too(self, board, monkeypatch):
        content = board.study.sounds.path(board.study.row("tone0")).read_bytes()
        embedded = {}

        def embed(systems, path):
            begun = {one.variant.model: Future() for one in systems}
            assert not begun.keys() & embedded.keys()  # each model listens once
            embedded.update(begun)
            return begun

        def answer(model):
            embedded[model].set_result((np.ones((1, models.spec(model).dim), np.float32), None))

        monkeypatch.setattr(external_queries, "embed_sound", embed)
        board.choose([FLOOR])

        async def send():
            about = {"ask": "upload", "id": "first", "name": "own", "at": 0, "last": True}
            board._receive(board, about, [content])
            await asyncio.sleep(0.05)
            board.choose([PCA])
            await asyncio.sleep(0.25)
            answer(board.systems[0].variant.model)  # that of the other system is no longer waited for
            await asyncio.wait_for(board._task, 5)

        asyncio.run(send())
        assert board.view["query"]["about"]["title"] == "own"
        assert [len(column["results"]) for column in board.view["columns"]] == [5]

    def test_models_are_loaded_before_a_sound_comes(self, board):
        assert ask(board, ask="load") == ({}, [])
        for future in external_queries.load_models(board.systems):
            assert future.result(60) is None


def test_controls_follow_before_what_they_follow_is_seen(board):
    seen = []
    board.observe(lambda _: seen.append((controls.clip.value, controls.label.value)), "view")
    controls = Controls(board)
    board.show("noise2")
    board.show("tone1", "Music")
    board.show_marked([board.study.row("tone1")])
    assert seen == [("noise2", "Noise"), ("tone1", "Music"), ("", None)]


class Spoken:
    """A stand-in with a text tower: sounds and words are told by how long they are."""

    def __call__(self, wave):
        return [[len(wave) / 22050, 1.0]]

    def embed_text(self, words):
        return np.array([len(words.split()), 1.0], np.float32)


def test_words_are_searched_where_a_model_has_a_text_tower(board):
    assert not models.has_text("logmel")
    models.register("spoken", Spoken(), rate_hz=22050, dim=2)
    try:
        assert models.has_text("spoken")
        store, name = board.study.store, board.study.name
        from sss_lib import dataset, extraction, processing, search

        experiment.extract_to(store, dataset.read(store.dataset(name)), "spoken")
        frames = extraction.read(store.frames(name, "spoken"))
        variant = Variant("spoken", "none", None, False)
        fitted = processing.fit(frames.values, normalize=False)
        store.fitted(name, variant).write(fitted.columns())
        x = fitted(frames.values)
        store.embeddings(name, variant).write({"fname": frames.fnames, "embedding": x})
        ranking = search.rank(x, "nns", top_n=10)
        columns = {"fname": frames.fnames, "neighbours": ranking.neighbours, "scores": ranking.scores}
        store.ranking(name, variant, "nns", top_n=10).write(columns)
        study = Study(store, name)
        spoken = Board(study, [PCA, f"{variant.name}/nns"], n=3)
        spoken.show("tone1")
        assert Controls(spoken).words.layout.display is None
        assert Controls(board).words.layout.display == "none"
        spoken.show_words("three words long")
        without, with_text = spoken.view["columns"]
        assert "no text tower" in without["note"]
        found = [study.collection.clips["fname"][row] for row, _ in with_text["results"]]
        assert set(found) == {"tone3", "noise3", "click3"}  # 3 s long
        assert spoken.view["query"]["clip"] is None
    finally:
        del CATALOGUE["spoken"]
        store.ranking.__self__._made.clear()
        for path in (store.data_dir / "similarity_rankings" / name).glob("spoken*/*"):
            path.unlink()


def test_systems_of_a_model_that_is_gone_are_left_out_with_a_word(board, monkeypatch):
    monkeypatch.delitem(CATALOGUE, "logmel")
    with pytest.warns(UserWarning, match="rankings by logmel are left out: 'logmel' is not among"):
        study = Study(board.study.store, board.study.name)
    assert {system.variant.model for system in study.systems.values()} == {"duration"}


def test_the_page_imports_no_module_that_a_data_folder_names(board, tmp_path, monkeypatch):
    (tmp_path / "from_elsewhere.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    store, name = board.study.store, board.study.name
    for kind in ("ranked", "evaluated"):
        found = getattr(store, kind)(name)
        found.append({**found[0], "model": "hear:from_elsewhere"})
        monkeypatch.setattr(store, kind, lambda _, found=found: found)
    with pytest.warns(UserWarning, match="hear:from_elsewhere are left out: .* allow it by --import-modules"):
        assert "from_elsewhere" not in str(Study(store, name).systems)
    assert not (tmp_path / "ran").exists()


class TestMap:
    def test_the_map_shows_every_embedded_clip_and_the_board(self, board):
        one = SoundMap(board)
        (space,) = one.spaces
        rows = space.rows
        assert len(rows) == 12
        assert space.places.shape == (12, 2)
        names = [one.legend[i][0] for i in one.families[rows]]
        labels = board.study.collection.clips["labels"]
        families = {"Tone": "Tones", "Noise": "Noises", "Click": "no family"}
        assert names == [families[labels[row][0]] for row in rows]
        board.show("noise1")
        assert one.linked["query"] == board.study.row("noise1")
        assert len(one.linked["results"]) >= 5

    def test_a_saved_notebook_holds_no_list_of_all_clips(self, board):
        controls = Controls(board)
        widgets = [board, SoundMap(board), *vars(controls).values()]
        states = [one.get_state() for one in widgets if hasattr(one, "get_state")]
        shown = {str(one["id"]) for one in board.view["clips"].values()}
        others = {*board.study.collection.clips["fname"]} - shown - {"tone1"}
        assert others
        assert not [one for one in others if f'"{one}"' in json.dumps(states, default=repr)]
        assert not [name for state in states for name, value in state.items() if isinstance(value, bytes)]

    def test_the_page_gets_the_points_when_it_asks(self, board):
        one = SoundMap(board)
        one.send, one.sent = board.send, board.sent
        _, buffers = ask(one, ask="points")
        places, rows, groups = (
            np.frombuffer(part, kind) for part, kind in zip(buffers, ("<u2", "<i4", "u1"), strict=True)
        )
        np.testing.assert_array_equal(places.reshape(-1, 2), one.spaces[0].places)
        np.testing.assert_array_equal(rows, one.spaces[0].rows)
        np.testing.assert_array_equal(groups, one.families[rows])
        for what in ("about", "play", "search"):
            assert "there is no clip '/etc'" in ask(one, ask=what, clip="/etc")[0]["problem"]

    def test_a_second_system_has_a_map_of_its_own_in_the_same_colours(self, board):
        one = SoundMap(board)
        controls = MapControls(one, Controls(board))
        other = next(name for _, name in one.study.offered if name != one.spaces[0].system)
        controls.second.value = other
        assert [space.system for space in one.spaces] == [controls.system.value, other]
        assert one.titles[0].startswith("Log-mel statistics, ")
        one.send, one.sent = board.send, board.sent
        _, buffers = ask(one, ask="points")
        rows, groups = (
            [np.frombuffer(one, kind) for one in buffers[i::3]] for i, kind in ((1, "<i4"), (2, "u1"))
        )
        of_clip = [dict(zip(*pair, strict=True)) for pair in zip(rows, groups, strict=True)]
        assert of_clip[0] == of_clip[1]
        assert len({buffers[0], buffers[3]}) == 2
        controls.second.value = controls.system.value  # the same twice is one
        assert len(one.spaces) == 1

    def test_a_layout_is_kept_and_one_that_cannot_be_made_says_so(self, board, monkeypatch):
        controls = MapControls(SoundMap(board), Controls(board))
        of = board.study.store, board.study.name, board.systems[0].variant
        first = sound_maps.read_or_make(*of, "pca")
        monkeypatch.setattr(sound_maps, "project", lambda *_: 1 / 0)
        again = sound_maps.read_or_make(*of, "pca")
        assert first[0] == again[0]
        np.testing.assert_array_equal(first[1], again[1])
        controls.layout_of.value = "tsne"
        assert board.status == "division by zero"
        assert controls.layout_of.value == "pca"  # as is shown

    def test_a_long_layout_leaves_the_kernel_free_and_can_be_cancelled(self, board, monkeypatch):
        def slow(x, how):
            time.sleep(120)

        monkeypatch.setattr(sound_maps.Layouts, "most_here", 0)
        controls = MapControls(SoundMap(board), Controls(board))
        before, told = controls.sound_map.laid_out, []
        controls.sound_map.observe(lambda change: told.append(change["new"]), "status")

        async def lay_out(cancel):
            controls.layout_of.value = "tsne"
            began = time.monotonic()
            while not controls._task.done():
                if cancel and told and told[-1].endswith(" 1 s"):
                    assert controls.cancel.layout.display is None
                    controls.cancel.click()
                assert time.monotonic() - began < 60
                await asyncio.sleep(0.05)

        with monkeypatch.context() as patch:
            patch.setattr(sound_maps, "project", slow)
            asyncio.run(lay_out(cancel=True))
        assert "Computing t-SNE of 12 clips: 1 s" in told
        assert board.status == "The layout was cancelled."
        assert (controls.layout_of.value, controls.sound_map.laid_out) == ("pca", before)
        assert (controls.sound_map.status, controls.cancel.layout.display) == ("", "none")
        asyncio.run(lay_out(cancel=False))
        assert controls.sound_map.laid_out != before

    def test_marked_clips_restrict_what_is_drawn(self, board):
        controls = Controls(board)
        controls.restrict([board.study.row("tone2")])
        assert controls.count.value == "1 clip of 1 marked on the map"
        controls.draw()
        assert board.view["query"]["about"]["id"] == "tone2"
        controls.restrict([])
        assert controls.count.value == "13 clips"


def test_the_notebook_runs_and_is_small_and_readable_when_saved(small_store, tmp_path):
    from sss_lib.experiment.task import run_notebook

    parameters = {"data_dir": str(small_store.data_dir), "dataset": small_study.NAME, "query": "tone1"}
    out = tmp_path / "06.ipynb"
    run_notebook(NOTEBOOKS / "06_listening.ipynb", out, {**parameters, "judge": "ann", "n_judged": 2})
    assert out.stat().st_size < 400_000
    cells = json.loads(out.read_text())["cells"]
    outputs = [one for cell in cells for one in cell.get("outputs", ())]
    first = json.dumps([cell.get("outputs") for cell in cells[:7]])  # one of them has the parameters given
    assert "<audio" in first
    assert "<svg" in first
    told = ["".join(one["data"]["text/html"]) for one in outputs if "text/html" in one.get("data", {})]
    (table,) = [one for one in told if "To listen, run" in one and "a tone1" in one]
    assert "Log-mel statistics" in table


def test_sounds_without_labels_are_compared_without_classes(tmp_path):
    board = Board(Study(small_study.make(tmp_path, labelled=False), small_study.NAME), n=5)
    controls = Controls(board)
    controls.draw()
    board.show("tone1")
    assert (controls.label.options, board.label, board.status) == ((), "", "")
    view = board.view
    assert len(view["columns"]) == 3
    assert all(one["summary"] == [] and len(one["results"]) == 5 for one in view["columns"])
    with pytest.raises(ValueError, match="clip 'tone1' has no class 'Tone': it has none"):
        board.show("tone1", "Tone")
    controls.next.click()
    assert "have no AP in common: evaluate both with notebook 04" in board.status


def test_the_page_is_served_on_this_machine_unless_told_otherwise(monkeypatch, tmp_path, capsys):
    called = []
    monkeypatch.setattr(serving, "prepare", lambda store, dataset, freesound: tmp_path / f"{dataset}.ipynb")
    monkeypatch.setattr(serving.os, "execve", lambda *arguments: called.append(arguments))
    monkeypatch.setattr(serving.Store, "ranked", lambda *_: [{}])
    main(["listen"])
    main(["listen", "--host", "0.0.0.0", "--port", "9000"])
    main(["listen", "--dataset", str(tmp_path / "sounds")])  # the folder that `run` was given
    (_, first, environment), (_, second, _), (_, third, _) = called
    assert str(tmp_path / "sounds.ipynb") in third
    assert "--Voila.ip=127.0.0.1" in first
    assert {"--Voila.ip=0.0.0.0", "--port=9000"} <= set(second)
    assert str(tmp_path / "mini.ipynb") in first
    assert environment["JUPYTER_PATH"].split(":")[0].endswith("share")
    monkeypatch.setattr(serving.Store, "ranked", lambda *_: [])
    assert main(["listen"]) == 2
    assert "'mini' has no rankings in" in capsys.readouterr().err


def test_the_page_names_the_extra_that_it_needs(monkeypatch, capsys):
    monkeypatch.setattr(serving.importlib.util, "find_spec", lambda _: None)
    assert main(["listen"]) == 2
    assert "needs voila: install it with pip install -e .[listen]" in capsys.readouterr().err


def test_the_page_shows_the_dataset_that_is_named(tmp_path):
    prepared = serving.prepare(Store(tmp_path), "mine")
    notebook = json.loads(prepared.read_text())
    assert notebook["metadata"]["title"] == "mine · listening"
    (cell,) = [one for one in notebook["cells"] if "mine" in "".join(one["source"])]
    assert cell["metadata"]["tags"] == ["injected-parameters"]
    assert f"data_dir = '{tmp_path}'" in "".join(cell["source"])


class TestTasks:
    def test_the_hub_is_what_most_clips_find(self, study):
        system = study.best()[0]
        found = {
            row: {one for one, _ in study.results(system, row, 3)} for row in study.rows(system).tolist()
        }
        times = {row: sum(row in results for results in found.values()) for row in found}
        task = listening.tasks(study, system, 3)["hub"]
        assert times[task.query] == max(times.values())
        assert task.question.startswith(f"{max(times.values())} of {len(found)} clips find this one")
        assert all(task.query in found[row] for row in task.found["they find it"])

    def test_pairs_find_each_other_first_and_a_confusion_shares_no_class(self, study):
        for system in study.systems.values():
            found = listening.tasks(study, system)
            for name in {"confusion", "near-duplicate"} & set(found):
                (other,) = found[name].found["the other"]
                assert study.results(system, found[name].query, 1)[0][0] == other
                assert study.results(system, other, 1)[0][0] == found[name].query
                labels = [set(study.collection.clips["labels"][row]) for row in (found[name].query, other)]
                assert labels[0].isdisjoint(labels[1]) is (name == "confusion")

    def test_an_unknown_task_is_refused_and_one_without_example_is_the_hub(self, study):
        found = listening.tasks(study, study.best()[0])
        only = {"hub": found["hub"]}
        assert listening.choose(only, "confusion") == "hub"
        assert listening.choose(found, "hub") == "hub"
        with pytest.raises(ValueError, match="did you mean 'hub'"):
            listening.choose(found, "hubb")
