"""A listening study under way: its answers on file, its judges' ways, its server, as others may treat it."""

import contextlib
import http.client
import json
from datetime import UTC, datetime, timedelta

import pytest
import small_study
from made_study import BAD, CLASSES, GOOD, MadeStudy, served, study_file

from sss_lib.__main__ import main
from sss_lib.experiment.store import Store
from sss_lib.listening import judge, sitting
from sss_lib.listening.answers import Answers
from sss_lib.listening.protocol import Planner
from sss_lib.listening.study import Study
from sss_lib.listening.study_file import of_dict, read_study_file


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return MadeStudy(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def plans(study):
    """Plans by what the study file says; drawn once."""
    found = {}

    def plan(**about):
        key = json.dumps(about, sort_keys=True)
        if key not in found:
            found[key] = Planner(study, study_file(**about)).plan()
        return found[key]

    return plan


@pytest.fixture
def begin(tmp_path, study, plans):
    """A function that begins a study: a `Judged`."""

    def of(token="", **about):
        answers = Answers(tmp_path / "study.jsonl")
        answers.start(study_file(**about), plans(**about))
        return judge.Judged(answers, study.sounds, study.row_of, token)

    return of


@pytest.fixture
def quick(monkeypatch):
    """Turn this machine's clock on between two answers, as if the sounds had been heard."""
    times = iter(datetime.now(UTC) + timedelta(hours=1) * i for i in range(100_000))

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return next(times)

    monkeypatch.setattr(sitting, "datetime", Clock)
    monkeypatch.setattr("sss_lib.listening.answers.datetime", Clock)


def said(view, grade=2, choice="left", plays=None):
    """An answer to a view."""
    message = {"code": view["code"], "stage": view["stage"], "post": "1"}
    if view["screen"] in ("trial", "training"):
        n = sum(view["n"])
        message |= {"plays": [[i, 0, 0, 9] for i in range(n + 1)] if plays is None else plays, "ms": 5000}
        message |= {"values": [grade] * n} if view["kind"] == "grade" else {"choice": choice}
    if view["screen"] == "headphones":
        message["picked"] = [one.index("quiet") for one in view["tones"]]
    if view["screen"] == "questionnaire":
        message["said"] = [one.get("choices", ["hello"])[0] for one in view["questions"]]
    return message


def all_views(judged, view, **how):
    """All views of a judge, who answers each."""
    while view["screen"] not in ("end", "refused"):
        yield view
        view = judged.answer(said(view, **how))
    yield view


class TestWay:
    def test_it_leads_from_consent_to_the_end(self, begin, quick):
        judged = begin(headphones="check", session_minutes=5)
        with pytest.raises(ValueError, match="consent is missing"):
            judged.begin({})
        views = list(all_views(judged, judged.begin({"consents": True})))
        screens = [one["screen"] for one in views]
        assert screens[:4] == ["volume", "headphones", "training", "trial"]
        assert screens[-2:] == ["questionnaire", "end"]
        assert screens.count("trial") == views[-1]["of"] == views[-1]["done"]

    def test_long_studies_have_pauses(self, begin, quick, plans):
        judged = begin(session_minutes=5)
        plan = judged.answers.plan
        plan["seconds"] = dict.fromkeys(plan["seconds"], 20.0)
        screens = [one["screen"] for one in all_views(judged, judged.begin({"consents": True}), grade=1)]
        assert screens.count("break") >= 2
        assert "break" not in (screens[screens.index("trial") - 1], screens[-2])

    def test_no_view_and_no_sound_names_anything(self, begin, quick, study):
        judged = begin()
        first = judged.begin({"consents": True})
        shown = json.dumps([judged.welcome({}), *all_views(judged, first)])
        for secret in ("secret", *CLASSES, GOOD, BAD, "random", "labels", "uploader", "seconds", "Animals"):
            assert secret not in shown
        content = study.sounds.matched(0)
        assert content[:4] == b"fLaC"
        assert b"secret" not in content

    @pytest.mark.parametrize(
        ("wrong", "expected"),
        [
            ({"plays": []}, r"sound 0 was not heard for 0\.3 s: play it first"),
            ({"plays": [[0, 0, 0, 0.05]]}, "sound 0 was not heard"),
            ({"plays": [[0, 0, 0, 0.05]] * 9}, "sound 0 was not heard"),  # the same portion again
            ({"plays": [[99, 0, 0, 1]]}, "is of no sound of this trial"),
            ({"plays": [[0, 0, 3, 1]]}, "ends before it begins"),
            ({"plays": [[0, 0, 0]]}, r"is not \[sound, ms, from s, to s\]"),
            ({"plays": [[0, 0, 0, float("inf")]]}, "is not"),
            ({"plays": "all"}, "no list of plays"),
            ({"ms": True}, "the answer has no ms"),
            ({"values": [1]}, "are no list of"),
            ({"values": None}, "are no list of"),
            ({"values": [4] * 6}, "are no"),
            ({"values": [True] * 6}, "are no"),
            ({"stage": "trial-3"}, "stage 'trial-3' is not the one to answer: training-0 is"),
            ({"stage": "__init__"}, "is not the one to answer"),
            ({"stage": None}, "is not the one to answer"),
        ],
    )
    def test_what_is_no_answer_is_refused(self, begin, quick, wrong, expected):
        judged = begin()
        view = judged.answer(said(judged.begin({"consents": True})))
        n = len(judged.answers.lines())
        with pytest.raises(ValueError, match=expected):
            judged.answer({**said(view), **wrong})
        assert len(judged.answers.lines()) == n

    def test_what_this_machines_clock_says_was_not_heard_does_not_count(self, begin):
        judged = begin(heard_s=1)
        view = judged.answer(said(judged.begin({"consents": True})))
        with pytest.raises(ValueError, match=r"s of sound can't be heard in 0 s: listen first"):
            judged.answer(said(view))

    def test_a_second_answer_to_a_stage_is_not_kept(self, begin, quick):
        judged = begin()
        view = judged.answer(said(judged.begin({"consents": True})))
        posts = [("a", 2), ("a", 2), ("b", 2), ("a", 3)]
        found = [judged.answer({**said(view, grade), "post": post}) for post, grade in posts]
        assert [one["was_kept"] for one in found] == [True, True, False, False]
        assert {one["stage"] for one in found} == {"trial-0"}
        assert [one.get("stage") for one in judged.answers.lines()].count(view["stage"]) == 1

    def test_a_code_is_known_in_any_spelling_and_others_are_not(self, begin):
        judged = begin()
        code = judged.begin({"consents": True})["code"]
        assert judged.state({"code": f" {code[:4].lower()}-{code[4:]}"})["code"] == code
        for other in ("", "ABCDEFGH", None, 7, ["x"], "../../x", "1" * 10_000):
            with pytest.raises(LookupError, match="nobody has this code"):
                judged.state({"code": other})

    def test_only_so_many_begin(self, begin):
        judged = begin(judges=2)
        for _ in range(2):
            judged.begin({"consents": True})
        with pytest.raises(ValueError, match="as many judges as it takes"):
            judged.begin({"consents": True})

    @pytest.mark.parametrize(
        ("demand", "screens"), [("check", ["training"]), ("require", ["headphones"] * 2 + ["refused"])]
    )
    def test_who_fails_the_headphone_check_goes_on_unless_it_is_required(self, begin, demand, screens):
        judged = begin(headphones=demand)
        view = judged.answer(said(judged.begin({"consents": True})))
        found = []
        while view["screen"] == "headphones":
            wrong = [(one.index("quiet") + 1) % 3 for one in view["tones"]]
            view = judged.answer({**said(view), "picked": wrong})
            assert view["feedback"] == {"passed": False}
            found.append(view["screen"])
        assert found == screens

    def test_who_withdraws_is_left_out_and_goes_no_further(self, begin, quick):
        judged = begin()
        for _ in range(2):
            (*_, view) = all_views(judged, judged.begin({"consents": True}))
        assert judged.answers.table()["judge"].nunique() == 2
        assert judged.withdraw({"code": view["code"]})["screen"] == "withdrawn"
        assert judged.withdraw({"code": view["code"]})["screen"] == "withdrawn"
        assert view["code"] not in set(judged.answers.table()["judge"])
        with pytest.raises(sitting.StaleError):
            judged.answer({"code": view["code"], "stage": "withdrawn"})

    def test_left_and_right_are_told_back_to_lists(self, begin, quick, study):
        judged = begin(questions=["prefer"])
        for view in all_views(judged, judged.begin({"consents": True}), choice="left"):
            if view["screen"] == "trial":
                clips = judged.sitting(view["code"]).clips(view["stage"])
                left = set(clips[1 : 1 + view["n"][0]])
                trial = next(
                    one
                    for one in judged.answers.plan["trials"]
                    if one["query"] == clips[0] and left in map(set, one["lists"])
                )
                lists = [set(one) for one in trial["lists"]]
                wanted = 1.0 if lists[0] == left else 0.0
                code, stage = view["code"], view["stage"]
                after = judged.answer(said(view, choice="left"))
                line = judged.sitting(code).done[stage]
                assert (line["value"], line["systems"]) == (wanted, trial["systems"])
                assert after["stage"] != stage


class TestFile:
    def test_a_reload_and_a_new_server_go_on_where_the_judge_was(self, begin, quick):
        judged = begin()
        view = judged.begin({"consents": True})
        for _ in range(4):
            view = judged.answer(said(view))
        again = judge.Judged(Answers(judged.answers.path), judged.sounds, judged.row_of)
        shown = again.state({"code": view["code"]})
        assert shown == judged.state({"code": view["code"]})
        assert again.sitting(view["code"]).clips(view["stage"]) == judged.sitting(view["code"]).clips(
            view["stage"]
        )

    def test_a_study_that_changed_is_refused(self, begin, plans):
        answers = begin().answers
        answers.start(study_file(), None)
        with pytest.raises(
            ValueError, match="seed, exclude of the study '' changed after judging began: change the"
        ):
            answers.start(study_file(seed=3, exclude={"anchors": 0.9}), None)

    def test_answers_are_given_no_other_plan_if_that_of_theirs_is_damaged(self, begin, plans):
        judged = begin()
        path, whole = judged.answers.path, judged.answers.path.read_bytes()
        path.write_bytes(whole[:-20])  # killed as it began
        again = Answers(path)
        again.start(study_file(), plans())
        assert again.plan == plans()
        judge.Judged(again, None, {}).begin({"consents": True})
        path.write_bytes(path.read_bytes().replace(b'"seed": 0', b'"seed": 1'))
        before = path.read_bytes()
        with pytest.raises(ValueError, match="has answers, and the line of their study is damaged: restore"):
            Answers(path).start(study_file(), plans())
        assert path.read_bytes() == before

    def test_damage_costs_the_damaged_line_alone(self, begin, quick, capsys):
        judged = begin()
        list(all_views(judged, judged.begin({"consents": True})))
        table, path = judged.answers.table(), judged.answers.path
        lines = path.read_bytes().split(b"\n")
        number = next(i for i, one in enumerate(lines) if b'"trial-1"' in one)
        lines[number] = (
            lines[number].replace(b'"values": [2', b'"values": [3').replace(b'"value": 1', b'"value": 0')
        )
        path.write_bytes(b"\n".join([*lines, b'{"kind": "answer"}', b"torn"]))
        again = Answers(path)
        assert len(again.table()) < len(table)
        assert again.damaged == [number + 1, len(lines) + 1, len(lines) + 2]
        assert "3 lines that are no answers" in capsys.readouterr().err

    def test_what_others_append_meanwhile_is_seen(self, begin):
        judged = begin()
        other = Answers(judged.answers.path)
        codes = [
            one.begin({"consents": True})["code"] for one in (judged, judge.Judged(other, None, {}), judged)
        ]
        assert judged.answers.judges() == other.judges() == codes

    def test_the_table_as_csv(self, begin, quick, tmp_path):
        import pandas as pd

        judged = begin()
        list(all_views(judged, judged.begin({"consents": True}), grade=3))
        table = judged.answers.table()
        assert judged.answers.write_csv(tmp_path / "a.csv") == len(table)
        read = pd.read_csv(tmp_path / "a.csv")
        assert read.columns.tolist() == table.columns.tolist()
        assert read["value"].tolist() == table["value"].tolist()
        graded = read[read["question"] == "grade"]
        assert set(graded["value"]) == {3}
        assert any(GOOD in one.split() for one in graded["systems"])
        items = sum(len(one["items"]) for one in judged.answers.plan["trials"] if one["question"] == "grade")
        assert len(graded[~graded["is_repeat"]]) == items


class TestWebmushra:
    HEAD = "session_test_id,email,age,trial_id,rating_stimulus,rating_score,rating_time,rating_comment\n"

    def rows(self, judged, scores=(100, 50), email="ann@example.org"):
        trial = judged.answers.plan["trials"][0]
        clips = [one["clip"] for one in trial["items"]]
        rows = [f"mini,{email},30,{trial['query']},reference,100,9000,\n"]
        rows += [
            f"mini,{email},30,{trial['query']},{clip},{s},9000,ok\n"
            for clip, s in zip(clips, scores, strict=False)
        ]
        return self.HEAD + "".join(rows)

    def test_scores_become_grades_once(self, begin, tmp_path):
        judged, path = begin(), tmp_path / "mushra.csv"
        path.write_text(self.rows(judged))
        assert judged.answers.add_webmushra(path) == (1, 1)
        assert judged.answers.add_webmushra(path) == (0, 1)
        path.write_text(self.rows(judged) + self.rows(judged, (0,), "ben")[len(self.HEAD) :])
        assert judged.answers.add_webmushra(path) == (1, 2)
        table = judged.answers.table()
        assert table["value"].tolist() == [3.0, 1.5, 0.0]
        assert table["judge"].nunique() == 2
        assert set(table["seconds"]) == {9.0}
        assert "ann@example.org" not in judged.answers.path.read_text()

    @pytest.mark.parametrize(
        ("old", "new", "expected"),
        [
            ("rating_score", "score", "has no column rating_score"),
            (",50,", ",120,", "line 4 of mushra.csv has no score from 0 to 100"),
            (",50,", ",nan,", "line 4 of mushra.csv has no score"),
            (",50,", ",,", "line 4 of mushra.csv has no score"),
            (",50,", ",\udcff,", "mushra.csv is no CSV in UTF-8"),
            (",50,", "," + "5" * 200_000 + ",", "mushra.csv is no CSV in UTF-8"),
            (
                "secret-",
                "sekret-",
                "is not among the graded queries .line 3 of mushra.csv.: did you mean 'secret-",
            ),
        ],
        ids=lambda one: one[:40],
    )
    def test_what_does_not_fit_adds_nothing(self, begin, tmp_path, old, new, expected):
        judged, path = begin(), tmp_path / "mushra.csv"
        path.write_text(self.rows(judged).replace(old, new), errors="surrogateescape")
        with pytest.raises(ValueError, match=expected):
            judged.answers.add_webmushra(path)
        assert judged.answers.table().empty


def ask(port, path, message=None, *, method="POST", body=None, **headers):
    """Status, headers and content of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    sent = json.dumps(message) if body is None else body
    given = {"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}}
    connection.request(method, path, sent if method == "POST" else None, given)
    with contextlib.closing(connection):
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


class TestServer:
    def test_what_is_not_the_pages_own_is_refused(self, begin):
        judged = begin()
        code = judged.begin({"consents": True})["code"]
        with served(judged) as port:
            for method, path, expected in (
                ("GET", "/judge.py", 404),
                ("GET", "/../judge.py", 403),
                ("GET", "/%2e%2e/judge.py", 403),
                ("GET", "/page/judge.js", 404),
                ("GET", "/sound", 405),
                ("GET", "/study.jsonl", 404),
                ("POST", "/", 405),
                ("POST", "/sitting", 404),
                ("POST", "/__init__", 404),
                ("POST", "/may_post", 404),
                ("PUT", "/answer", 405),
            ):
                assert ask(port, path, {"code": code}, method=method)[0] == expected, path
            for sound in (-1, 99, "0", None, True, 1.0, "../judge.py"):
                assert ask(port, "/sound", {"code": code, "stage": "volume", "sound": sound})[0] == 400
            assert ask(port, "/sound", {"code": code, "stage": "trial-0", "sound": 0})[0] == 409
            status, headers, content = ask(port, "/sound", {"code": code, "stage": "volume", "sound": 0})
            assert (status, headers["Content-Type"], content[:4]) == (200, "audio/flac", b"fLaC")

    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            ({"Origin": "https://elsewhere.example"}, 403),
            ({"Sec_Fetch_Site": "cross-site"}, 403),
            ({"Host": "rebound.example"}, 403),
            ({"Content_Type": "text/plain"}, 415),
            ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
            ({}, 200),
        ],
    )
    def test_other_sites_can_post_nothing(self, begin, headers, expected):
        with served(begin()) as port:
            assert ask(port, "/welcome", {}, **headers)[0] == expected

    @pytest.mark.parametrize("body", ["", "[]", "7", "{", '{"ms": NaN}', "[" * 50_000, b"\xff\xfe"])
    def test_what_is_no_json_mapping_is_refused(self, begin, body):
        with served(begin()) as port:
            assert ask(port, "/answer", body=body)[0] == 400
            assert ask(port, "/welcome", {})[0] == 200

    def test_posts_are_bounded_in_size_and_number(self, begin, monkeypatch):
        monkeypatch.setattr(judge, "PER_S", 0.0)
        judged = begin()
        with served(judged) as port:
            with contextlib.suppress(OSError):  # the server may close before all is sent
                assert ask(port, "/begin", body=b" " * (judge.MOST_BYTES + 1))[0] in (400, 413)
            statuses = [ask(port, "/welcome", {})[0] for _ in range(int(judge.AT_ONCE) + 20)]
        assert statuses.count(200) == judge.AT_ONCE
        assert set(statuses[int(judge.AT_ONCE) :]) == {429}

    def test_without_the_token_there_is_nothing(self, begin):
        judged = begin(token="s3cret")
        with served(judged, is_local=False) as port:
            for path in ("/", "/?token=", "/?token=S3cret", "/?token=%ff"):
                assert ask(port, path, method="GET")[0] in (400, 403)
            assert ask(port, "/begin", {"consents": True})[0] == 403
            assert ask(port, "/begin", {"consents": True}, X_Token="s3cre")[0] == 403
            assert not judged.answers.judges()
            assert ask(port, "/?token=s3cret", method="GET")[0] == 200
            assert ask(port, "/begin", {"consents": True}, X_Token="s3cret")[0] == 200

    def test_the_page_may_load_nothing_from_elsewhere(self, begin):
        with served(begin()) as port:
            _, headers, content = ask(port, "/", method="GET")
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert b"http" not in content

    def test_an_answer_that_cannot_be_kept_is_not_acknowledged(self, begin, monkeypatch):
        judged = begin()
        code = judged.begin({"consents": True})["code"]
        message = {"code": code, "stage": "volume"}
        with served(judged) as port:
            with monkeypatch.context() as full:
                full.setattr(
                    "sss_lib.listening.answers.append", lambda *_: (_ for _ in ()).throw(OSError("no room"))
                )
                status, _, content = ask(port, "/answer", message)
                assert (status, json.loads(content)) == (503, {"problem": "no room"})
            assert ask(port, "/answer", message)[0] == 200

    def test_a_sound_that_cannot_be_decoded_is_not_named(self, begin, tmp_path, plans):
        judged = begin()
        code = judged.begin({"consents": True})["code"]
        row = judged.sound({"code": code, "stage": "volume", "sound": 0})
        broken = tmp_path / "telling.wav"
        broken.write_text("no sound")
        judged.sounds = type(judged.sounds)([broken] * (row + 1))
        with served(judged) as port:
            status, _, content = ask(port, "/sound", {"code": code, "stage": "volume", "sound": 0})
        assert status == 500
        assert b"telling" not in content


class TestCommand:
    SYSTEMS = [f"{variant.name}/{search}" for variant, search in small_study.SYSTEMS.items()][:2]

    def test_a_study_of_a_collection_begins_and_goes_on(self, small_store, monkeypatch, tmp_path):
        class WithoutUploaders(Study):
            def __init__(self, *given):
                super().__init__(*given)
                self.collection.clips["uploader"] = ""

        monkeypatch.setattr(judge, "Study", WithoutUploaders)
        monkeypatch.setattr(judge, "answers_path", lambda store, name: tmp_path / f"{name}.jsonl")
        file = of_dict({"collection": "tiny", "systems": self.SYSTEMS, "queries": 4, "training": 1}, "s")
        answers, study = judge.prepare(file, small_store)
        plan = answers.plan
        assert len(plan["trials"]) == 4
        assert all(len(trial["items"]) >= 3 for trial in plan["trials"])
        again, _ = judge.prepare(file, small_store)
        assert again.plan == plan
        assert sum(one["kind"] == "study" for one in again.lines()) == 1
        judged = judge.Judged(answers, study.sounds, study.row_of)
        code = judged.begin({"consents": True})["code"]
        assert (
            study.sounds.matched(judged.sound({"code": code, "stage": "volume", "sound": 0}))[:4] == b"fLaC"
        )

    @pytest.mark.parametrize(
        ("systems", "expected"),
        [
            (["nns"], "'nns' is not among the systems with a ranking"),
            (SYSTEMS, "and 0 have a file, and results by others"),
        ],
    )
    def test_a_study_that_cannot_be_is_an_error_in_one_line(
        self, small_store, tmp_path, capsys, systems, expected
    ):
        path = tmp_path / "s.yaml"
        path.write_text(json.dumps({"collection": "tiny", "systems": systems}))
        assert main(["judge", str(path), "--data-dir", str(small_store.data_dir)]) == 2
        assert expected in capsys.readouterr().err

    def test_each_study_has_a_report_for_the_paper_while_it_has_judges(self, study, plans, quick, tmp_path):
        store, written = Store(tmp_path), tmp_path / "figures" / "made-judged"
        given = {"collection": "made", "systems": [GOOD, BAD]}
        codes = {}
        for name in ("ears", "more"):
            (tmp_path / f"{name}.yaml").write_text(json.dumps(given))
            answers = Answers(judge.answers_path(store, name))
            answers.start(study_file(), plans())
            judged = judge.Judged(answers, study.sounds, study.row_of)
            (*_, view) = all_views(judged, judged.begin({"consents": True}))
            codes[name] = judged, view["code"]

        def report(name):
            dirs = ["--data-dir", str(tmp_path), "--figures-dir", str(tmp_path / "figures")]
            assert main(["judge", str(tmp_path / f"{name}.yaml"), "--report", *dirs]) == 0
            return sorted(one.name for one in written.iterdir())

        assert report("ears") == ["judged-ears.csv"]
        kept = (written / "judged-ears.csv").read_bytes()
        assert report("more") == ["judged-ears.csv", "judged-more.csv"]
        assert (written / "judged-ears.csv").read_bytes() == kept
        judged, code = codes["ears"]
        judged.withdraw({"code": code})
        assert report("ears") == ["judged-more.csv"]

    def test_no_stands_for_no_headphones_without_quotes(self, tmp_path):
        (tmp_path / "s.yaml").write_text("collection: tiny\nsystems: [a]\nheadphones: no\n")
        assert read_study_file(tmp_path / "s.yaml").headphones == "no"

    @pytest.mark.parametrize(("option", "value"), [("--host", "0"), ("--port", "0")])
    def test_a_host_or_port_that_is_none_is_refused(self, small_store, tmp_path, capsys, option, value):
        (tmp_path / "s.yaml").write_text("collection: tiny\nsystems: [a]\n")
        arguments = ["judge", str(tmp_path / "s.yaml"), "--data-dir", str(small_store.data_dir)]
        assert main([*arguments, option, value]) == 2
        assert "give" in capsys.readouterr().err
