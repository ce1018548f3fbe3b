"""Judgements on file, blind judging, and what is worked out from the judgements."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import small_study
from scipy import stats

from sss_lib.listening import Judgements, Judging, Study, agreement, correlation, judged_scores, preferences
from sss_lib.listening.judgement_statistics import krippendorff_alpha, wilson

PCA, RAW, FLOOR = (f"{variant.name}/{search}" for variant, search in small_study.SYSTEMS.items())


@pytest.fixture
def judgements(tmp_path):
    return Judgements(tmp_path / "judgements" / "tiny.jsonl")


class TestFile:
    def test_each_judgement_is_in_the_file_at_once_and_the_latest_of_a_judge_stands(self, judgements):
        for i, (judge, grade) in enumerate((("ann", 3), ("ben", 2), ("ann", 1))):
            judgements.grade(judge, "q", "a", grade)
            lines = judgements.path.read_text().splitlines()
            assert (len(lines), json.loads(lines[-1])["grade"]) == (i + 1, grade)
        assert judgements.read().set_index("judge")["grade"].to_dict() == {"ben": 2, "ann": 1}

    def test_an_undo_brings_back_what_stood_before(self, judgements):
        judgements.grade("ann", "q", "a", 3)
        judgements.grade("ann", "q", "a", 1)
        judgements.prefer("ann", "q", ("x", "y"), "x", 5)
        assert judgements.undo("ann", "grade")["grade"] == 1
        assert judgements.read().query("kind == 'grade'")["grade"].tolist() == [3]
        judgements.undo("ann", "grade")
        assert judgements.undo("ann", "grade") is None
        assert judgements.undo("ben", "preference") is None
        assert judgements.read()["preferred"].tolist() == ["x"]

    @pytest.mark.parametrize("line", ['{"id": "1", "judge": "ann", "kind": "%s"}', "[]", "7", "{}"])
    @pytest.mark.parametrize("torn", ["", '{"id": "1", "judge": "ann", "kind": "gra'])
    def test_a_torn_or_incomplete_line_costs_that_line_alone(self, judgements, line, torn):
        judgements.grade("ann", "q", "a", 3)
        with open(judgements.path, "a") as file:
            file.writelines(f"{line.replace('%s', kind)}\n" for kind in ("grade", "preference", "undo"))
            file.write(torn)
        judgements.grade("ann", "q", "b", 2)
        assert judgements.read()["clip"].tolist() == ["a", "b"]
        assert judgements.undo("ann", "grade")["clip"] == "b"

    def test_what_is_no_judgement_is_refused(self, judgements):
        for grade in (4, -1, 1.5, "2", None, True):
            with pytest.raises(ValueError, match="is unknown: use 0, 1, 2, 3"):
                judgements.grade("ann", "q", "a", grade)
        with pytest.raises(ValueError, match="give your name first"):
            judgements.grade(" ", "q", "a", 1)
        with pytest.raises(ValueError, match="'z' is not one of the two systems x, y"):
            judgements.prefer("ann", "q", ("x", "y"), "z", 5)
        assert not judgements.path.exists()

    def test_the_order_of_the_two_systems_does_not_matter(self, judgements):
        judgements.prefer("ann", "q", ("y", "x"), "y", 5)
        judgements.prefer("ann", "q", ("x", "y"), "", 5)
        assert judgements.read()["preferred"].tolist() == [""]


class TestBlind:
    @pytest.fixture
    def study(self, small_store):
        return Study(small_store, small_study.NAME)

    def judging(self, study, judgements, judge="ann", mode="grade"):
        one = Judging(study, judgements, [PCA, FLOOR], judge, mode=mode, n=2, n_queries=4)
        one.send = lambda content, buffers=None: setattr(one, "sent", content)
        return one

    def ask(self, one, **message):
        one._receive(one, {"query": one.query, **message}, [])
        return one.sent

    def test_the_page_gets_no_name_label_or_score(self, study, judgements):
        state = json.dumps(self.judging(study, judgements).get_state(["view", "judged"]))
        for secret in ("logmel", "Log-mel", "duration", "Duration", "tone", "click", "noise", "Music", "img"):
            assert secret not in state
        assert "List A" in state

    def test_nothing_is_shown_without_a_name(self, study, judgements):
        one = self.judging(study, judgements, "")
        assert one.view == {}
        assert one.status == "Give your name to begin."
        assert "is in none of the lists" in self.ask(one, ask="grade", clip=0, grade=1)["problem"]
        one.begin("ann", "grade")
        assert one.view["query"]

    def test_lists_are_shuffled_by_judge_and_query_and_come_back(self, study, judgements):
        orders = {
            judge: [tuple(self.judging(study, judgements, judge)._order(row)) for row in range(12)]
            for judge in ("ann", "ben")
        }
        assert orders["ann"] == [tuple(self.judging(study, judgements)._order(row)) for row in range(12)]
        assert orders["ann"] != orders["ben"]
        assert set(orders["ann"]) == {(0, 1), (1, 0)}

    def test_grading_goes_through_all_queries_and_resumes(self, study, judgements):
        queries = []
        while True:
            one = self.judging(study, judgements)  # as after a reload
            if one.judged["done"]:
                break
            queries.append(one.query)
            todo = [c for c in one.view["clips"] if c not in one.judged["grades"]]
            self.ask(one, ask="grade", clip=int(todo[0]), grade=2)
        assert list(dict.fromkeys(queries)) == one.rows
        said = judgements.read()
        assert len(said) == len(queries)
        assert not said.duplicated(["query", "clip"]).any()
        assert "All is judged" in one.judged["progress"]

    def test_an_undo_goes_back_to_the_query(self, study, judgements):
        one = self.judging(study, judgements, mode="prefer")
        first = one.query
        self.ask(one, ask="prefer", choice="left")
        assert one.query != first
        self.ask(one, ask="undo")
        assert one.query == first
        assert judgements.read().empty
        assert "nothing to undo" in self.ask(one, ask="undo")["problem"]

    def test_left_and_right_are_told_back_to_systems(self, study, judgements):
        one = self.judging(study, judgements, mode="prefer")
        names = [[PCA, FLOOR][i] for i in one._order(one.query)]
        left = one.view["columns"][0]["results"]
        assert left[0][0] == study.results(study.system(names[0]), one.query, 2)[0][0]
        self.ask(one, ask="prefer", choice="left")
        assert judgements.read()["preferred"].tolist() == [names[0]]

    def test_what_was_said_of_an_earlier_query_is_not_taken_for_this_one(self, study, judgements):
        for mode, said in (("prefer", {"choice": "left"}), ("grade", {"clip": 1, "grade": 2})):
            one = self.judging(study, judgements, mode=mode)
            said["clip"] = int(next(iter(one.view["clips"])))
            for earlier in (one.rows[1], None):
                problem = self.ask(one, ask=mode, **said, query=earlier)["problem"]
                assert "is no longer shown: judge the one that is" in problem
        assert judgements.read().empty

    def test_the_next_query_comes_with_how_far_one_is(self, study, judgements, monkeypatch):
        one, sent = self.judging(study, judgements, mode="prefer"), []
        monkeypatch.setattr(one, "send_state", lambda key: sent.append(set(key)))
        self.ask(one, ask="prefer", choice="left", query=one.query)
        assert sent == [{"view", "judged"}]

    def test_what_does_not_fit_the_mode_is_refused(self, study, judgements):
        one = self.judging(study, judgements)
        assert "choice 'left' is unknown" in self.ask(one, ask="prefer", choice="left")["problem"]
        assert "can't be asked for" in self.ask(one, ask="search", clip=1)["problem"]
        with pytest.raises(ValueError, match="a preference is between 2 systems, not 1"):
            Judging(study, judgements, [PCA], "ann", mode="prefer")
        with pytest.raises(ValueError, match="mode 'rate' is unknown"):
            one.begin("ann", "rate")


class TestAgreement:
    # The worked example of Krippendorff (2011): four observers, twelve units, values 1 to 5.
    OBSERVERS = """
        1 2 3 3 2 1 4 1 2 . . .
        1 2 3 3 2 2 4 1 2 5 . 3
        . 3 3 3 2 3 4 2 2 5 1 .
        1 2 3 3 2 4 4 1 2 5 1 .
    """

    @pytest.mark.parametrize(("level", "expected"), [("nominal", 0.743), ("ordinal", 0.815)])
    def test_alpha_of_the_published_example(self, level, expected):
        rows = [row.split() for row in self.OBSERVERS.strip().splitlines()]
        values = np.array([[np.nan if one == "." else float(one) for one in row] for row in rows])
        assert krippendorff_alpha(values, level=level) == pytest.approx(expected, abs=5e-4)

    def test_alpha_without_shared_units_or_differences_is_not_a_number(self):
        assert np.isnan(krippendorff_alpha(np.array([[1.0, np.nan], [np.nan, 2.0]])))
        assert np.isnan(krippendorff_alpha(np.ones((2, 3))))

    def test_wilson_equals_scipys(self):
        from scipy.stats import binomtest

        expected = binomtest(7, 10).proportion_ci(0.95, method="wilson")
        assert wilson(0.7, 10) == pytest.approx((expected.low, expected.high), abs=1e-6)

    def test_preferences_count_queries_not_judgements(self, judgements):
        for judge in ("ann", "ben", "cas"):
            judgements.prefer(judge, "q1", ("x", "y"), "x", 5)
        judgements.prefer("ann", "q2", ("x", "y"), "", 5)
        (row,) = preferences(judgements.read()).to_dict("records")
        assert (row["first"], row["second"], row["n_queries"], row["n_judgements"]) == ("x", "y", 2, 4)
        assert row["preferred"] == 0.75
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(wilson(0.75, 2))

    def test_agreement_by_kind(self, judgements):
        for judge in ("ann", "ben"):
            for clip, grade in zip("abc", (0, 2, 3), strict=True):
                judgements.grade(judge, "q", clip, grade)
        judgements.prefer("ann", "q", ("x", "y"), "x", 5)
        table = agreement(judgements.read()).set_index("kind")
        assert table.loc["grade"].tolist() == [2, 3, 1.0]
        assert table.loc["preference", "n_shared"] == 0
        assert np.isnan(table.loc["preference", "alpha"])

    def test_nothing_said_gives_empty_tables(self, judgements):
        assert agreement(judgements.read()).empty
        assert preferences(judgements.read()).empty

    def test_correlation_of_grades_with_ap(self, small_store, judgements):
        study = Study(small_store, small_study.NAME)
        system = study.system(FLOOR)
        fnames, expected = study.collection.clips["fname"], []
        for query in ("tone1", "noise2", "click0", "click3"):
            results = study.results(system, study.row(query), 3)
            for i, (row, _) in enumerate(results):
                for judge, grade in (("ann", (i + len(expected)) % 4), ("ben", 2)):
                    judgements.grade(judge, query, fnames[row], grade)
            grades = [((i + len(expected)) % 4 + 2) / 2 for i in range(3)]
            expected.append((query, np.mean(grades), study.scores(system, study.row(query))["AP@3"]))
        judgements.grade("ann", "tone3", "tone1", 3)  # not graded through: left out
        scores = judged_scores(judgements.read(), study, [system], 3)
        assert scores[["query", "grade", "AP"]].to_numpy().tolist() == [list(one) for one in expected]

        rho = correlation(scores).set_index("system")["rho"]
        expected_rho = stats.spearmanr(scores["grade"], scores["AP"]).statistic
        assert rho.to_dict() == pytest.approx(dict.fromkeys(("all", system.name), expected_rho))
        assert np.isnan(correlation(scores.assign(AP=0.5))["rho"]).all()


class TestDamage:
    """Nothing that was said gets lost or changed without a word."""

    def fill(self, judgements):
        for i in range(6):
            judgements.grade("ännä", f"q{i}", "a", i % 4)
            judgements.prefer("ben", f"q{i}", ("x", "y"), "x", 5)
        judgements.undo("ben", "preference")
        return judgements.path.read_bytes(), judgements.read()

    def test_every_changed_line_is_counted_and_named(self, judgements, capsys):
        whole, before = self.fill(judgements)
        rng = np.random.default_rng(0)
        for _ in range(200):
            content = bytearray(whole)
            at = int(rng.integers(len(content)))
            content[at] ^= 1 << int(rng.integers(8))
            judgements.path.write_bytes(content)
            again = Judgements(judgements.path)
            if not again.read().equals(before):
                number = whole[:at].count(b"\n") + 1
                assert number in again.damaged
                said = capsys.readouterr().err
                assert f"tiny.jsonl has {len(again.damaged)} lines that are no judgements: " in said
                assert str(number) in said

    @pytest.mark.parametrize(
        "line",
        [
            '{"id": "1", "judge": "ann", "kind": "grade", "query": "q", "clip": "a", "grade": 9}',
            '{"id": "1", "judge": 7, "kind": "grade", "query": "q", "clip": "a", "grade": 1}',
            '{"id": "1", "judge": "ann", "kind": "preference", "query": "q", "preferred": "z", "n": 5, '
            '"systems": ["x", "y"]}',
            '{"id": "1", "judge": "ann", "kind": "rating", "query": "q"}',
            '{"id": "1", "judge": "ann", "kind": "preference", "query": "q", "preferred": "x", "n": -5, '
            '"systems": ["x", "x"]}',
            '{"id": "1", "judge": "\\ud800", "kind": "grade", "query": "q", "clip": "a", "grade": 1}',
            "[" * 100_000,
            "rating_stimulus,rating_score",
        ],
        ids=lambda one: one[:70],
    )
    def test_a_foreign_line_is_no_judgement(self, judgements, capsys, line):
        judgements.grade("ann", "q", "a", 3)
        with open(judgements.path, "a") as file:
            file.write(f"{line}\n\n")
        assert judgements.read()["grade"].tolist() == [3]
        assert judgements.damaged == [2]
        assert capsys.readouterr().err.endswith("1 lines that are no judgements: 2\n")
        assert judgements.read()["grade"].tolist() == [3]
        assert not capsys.readouterr().err  # said once

    def test_a_line_of_an_earlier_version_counts(self, judgements):
        judgements.path.parent.mkdir()
        line = {"id": "1", "judge": "ann", "kind": "grade", "query": "q", "clip": "a", "grade": 2}
        judgements.path.write_text(json.dumps(line) + "\n")
        assert judgements.read()["grade"].tolist() == [2]

    def test_what_finds_no_room_is_refused_and_leaves_no_half_line(self, tmp_path):
        """A limit of the size of files stands for a full disk: a write beyond it is cut short."""
        code = """
import resource, sys
from sss_lib.listening.judgements import Judgements
judgements = Judgements(sys.argv[1])
judgements.grade("ann", "q", "a" * 200, 1)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
said = 1
try:
    while True:
        judgements.grade("ann", f"q{said}", "a" * 150, 1)
        said += 1
except OSError as error:
    print(error)
print(said, len(judgements.read()), judgements.damaged)
"""
        arguments = [sys.executable, "-c", code, str(tmp_path / "full.jsonl")]
        ended = subprocess.run(arguments, capture_output=True, text=True, check=True)
        error, counts = ended.stdout.splitlines()
        assert re.fullmatch(
            r"the judgement is not kept, as full\.jsonl can't be written \(.+\): mend .*", error
        )
        said, kept, damaged = counts.split(maxsplit=2)
        assert said == kept
        assert damaged == "[]"

    def test_the_page_shows_that_a_judgement_is_not_kept(self, small_store, judgements, monkeypatch):
        one = Judging(Study(small_store, "tiny"), judgements, [PCA, FLOOR], "ann", n=2, n_queries=4)
        sent = []
        monkeypatch.setattr(one, "send", lambda content, parts: sent.append(content))
        judgements.path.mkdir(parents=True)  # in the way of the file
        clip = int(next(iter(one.view["clips"])))
        monkeypatch.setattr(judgements, "read", lambda: Judgements("none").read())
        one._receive(None, {"ask": "grade", "clip": clip, "query": one.query, "grade": 2, "id": 1}, [])
        assert sent[0]["problem"].startswith("the judgement is not kept, as tiny.jsonl can't be written")
