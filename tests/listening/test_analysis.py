"""What follows from answers: intervals that hold, judges who are left out, by made-up judges."""

import numpy as np
import pandas as pd
import pytest
from made_study import BAD, GOOD, study_file

from sss_lib.listening import analysis
from sss_lib.listening.analysis import interval, matrix, mean_of_queries, report
from sss_lib.listening.answers import COLUMNS
from sss_lib.listening.judgement_statistics import krippendorff_alpha
from sss_lib.listening.protocol import LABELS, RANDOM
from sss_lib.listening.quality import quality

MERITS = {GOOD: 2.0, BAD: 1.3, LABELS: 2.6, RANDOM: 0.3}
"""Mean grade that the results of each list deserve."""
N_ITEMS = {GOOD: 3, BAD: 3, LABELS: 1, RANDOM: 1}


class MadeAnswers:
    """Answers of made-up judges, "good", "lazy" or "random", to made-up queries; as `Answers`."""

    def __init__(self, judges, n_queries=20, seed=0, questions=("grade", "prefer"), **about):
        self.file = study_file(queries=min(n_queries, 500), questions=list(questions), **about)
        rng = np.random.default_rng(seed)
        merits = {
            name: merit + rng.normal(0, 0.5, (n_queries, N_ITEMS[name])) for name, merit in MERITS.items()
        }
        merits = {name: one + rng.normal(0, 0.3, (n_queries, 1)) for name, one in merits.items()}
        self.plan = {"trials": [None] * n_queries * len(questions)}
        self.plan["ap"] = {
            f"q{q}": {name: merits[name][q].mean() + rng.normal(0, 0.4) for name in (GOOD, BAD)}
            for q in range(n_queries)
        }
        rows = []
        for number, kind in enumerate(judges):
            bias, twice = (
                rng.normal(0, 0.3),
                set(rng.choice(n_queries, max(1, n_queries // 10), replace=False)),
            )
            for q, is_repeat in [*((q, False) for q in range(n_queries)), *((q, True) for q in twice)]:
                about = {
                    "judge": f"{kind}-{number}",
                    "query": f"q{q}",
                    "is_repeat": is_repeat,
                    "at": f"{q} {is_repeat}",
                }
                about |= {"seconds": 4 if kind == "lazy" else 40, "n_sounds": 9}
                heard = {
                    name: one[q] + bias + rng.normal(0, 0.4, N_ITEMS[name]) for name, one in merits.items()
                }
                rows += self._of_query(rng, kind, heard, about, q)
        self._table = pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": float})

    def _of_query(self, rng, kind, heard, about, q):
        if "grade" in self.file.questions:
            for name, merits in heard.items():
                for i, merit in enumerate(merits):
                    grade = {"lazy": 2, "random": rng.integers(4)}.get(kind, np.clip(np.rint(merit), 0, 3))
                    yield {
                        **about,
                        "question": "grade",
                        "clip": f"{name}{i}",
                        "systems": (name,),
                        "value": grade,
                    }
        if "prefer" in self.file.questions:
            for pair in [(GOOD, BAD), *([(LABELS, RANDOM)] if q % 5 == 0 else [])]:
                gap = heard[pair[0]].mean() - heard[pair[1]].mean() + rng.normal(0, 0.2)
                value = {"lazy": 0.5, "random": rng.integers(3) / 2}.get(kind, 0.5 + np.sign(gap) / 2)
                yield {**about, "question": "prefer", "systems": pair, "value": value}

    def table(self):
        return self._table


def value_of(found, measure, of):
    (row,) = found.table[(found.table["measure"] == measure) & (found.table["of"] == of)].to_dict("records")
    return row


class TestInterval:
    def test_by_hand_of_two_judges_and_two_queries(self):
        """Draws of two are (2, 0), (1, 1), (0, 2) with 1/4, 1/2, 1/4, and their means 0.5, 0.25, 0."""
        cells = np.array([[1.0, 0.0], [0.0, 0.0]])  # means of judges 0.5, 0; of queries 0.5, 0
        found = interval(mean_of_queries(cells), 2, 2, bounds=(-9, 9), n_draws=4000)
        variance = 2 * (2 * (0.5 - 0.0) ** 2 / 8)
        assert found[0] == 0.25
        assert found[2] - found[0] == pytest.approx(4.302653 * variance**0.5, rel=0.05)  # t of 2 degrees

    @pytest.mark.parametrize("shape", [(1, 20), (20, 1)])
    def test_of_one_judge_or_one_query_there_is_none(self, shape):
        cells = np.arange(20.0).reshape(shape)
        estimate, *ends = interval(mean_of_queries(cells), *shape, bounds=(0, 19))
        assert estimate == 9.5
        assert np.isnan(ends).all()

    def test_answers_that_are_all_alike_have_none(self):
        assert np.isnan(interval(mean_of_queries(np.ones((5, 5))), 5, 5, bounds=(0, 1))[1])

    def test_a_query_with_more_answers_weighs_no_more(self):
        values = pd.DataFrame({"judge": ["a", "b", "a"], "query": ["x", "x", "y"], "value": [0.0, 1.0, 2.0]})
        cells = matrix(values, ["a", "b"], ["x", "y"])
        assert mean_of_queries(cells)(np.ones(2), np.ones(2)) == (0.5 + 2) / 2

    def test_many_answers_of_few_judges_are_no_many_judges(self):
        """Answers that depend on the judge alone: more queries make no interval narrower."""
        widths = []
        for n_queries in (10, 1000):
            cells = np.repeat([[0.0], [1.0], [0.0], [1.0]], n_queries, axis=1)
            _, low, high = interval(mean_of_queries(cells), 4, n_queries, bounds=(-9, 9), n_draws=500)
            widths.append(high - low)
        assert widths[0] == pytest.approx(widths[1], rel=0.05)


class TestAlpha:
    VALUES = np.array([[0.0, 1, 2, 3, np.nan, 1], [0, 2, 2, 3, 1, 0], [1, 1, np.nan, 3, 1, 0]])

    def test_weights_of_one_change_nothing(self):
        ones = {"judges": np.ones(3), "units": np.ones(6)}
        assert krippendorff_alpha(self.VALUES, **ones) == pytest.approx(krippendorff_alpha(self.VALUES))

    def test_a_unit_that_counts_twice_is_there_twice_and_a_judge_of_zero_is_not(self):
        units = np.array([2, 0, 1, 1, 3, 1])
        repeated = np.repeat(self.VALUES, units, axis=1)
        assert krippendorff_alpha(self.VALUES, units=units) == pytest.approx(krippendorff_alpha(repeated))
        two = krippendorff_alpha(self.VALUES, judges=np.array([1, 0, 1]))
        assert two == pytest.approx(krippendorff_alpha(self.VALUES[[0, 2]]))

    def test_a_judge_who_is_drawn_twice_does_not_agree_with_himself(self):
        opposite = np.array([[0.0, 3, 0, 3], [3.0, 0, 3, 0]])
        assert krippendorff_alpha(opposite, judges=np.array([2, 1])) < -0.5
        assert krippendorff_alpha(np.repeat(opposite, [2, 1], axis=0)) > -0.5


class TestReport:
    @pytest.fixture(scope="class")
    def found(self):
        kinds = ["good"] * 8 + ["lazy"] * 2 + ["random"] * 2
        return report(MadeAnswers(kinds), n_draws=300)

    def test_the_rule_leaves_out_the_lazy_and_the_random_and_says_why(self, found):
        reasons = dict(zip(found.judges["judge"], found.judges["reason"], strict=True))
        for judge, reason in reasons.items():
            assert bool(reason) == (not judge.startswith("good"))
            assert ("seconds_per_sound 0.44 < 1.5" in reason) == judge.startswith("lazy")
        assert "12 judges answered; the rule fixed beforehand (anchors from 0.7, " in found.sentences[0]
        assert "left out 4;" in found.sentences[0]
        assert "of the other 8 count." in found.sentences[0]

    def test_better_results_have_better_grades_and_are_preferred(self, found):
        assert value_of(found, "difference", f"{GOOD} - {BAD}")["ci_low"] > 0.3
        assert value_of(found, "preferred", f"{GOOD} over {BAD}")["ci_low"] > 0.5
        ends = [value_of(found, "grade", name)["value"] for name in (LABELS, GOOD, BAD, RANDOM)]
        assert ends == sorted(ends, reverse=True)
        assert value_of(found, "rho", "grade")["ci_low"] > 0
        assert value_of(found, "alpha", "grade")["ci_low"] > 0.4
        assert set(found.table["n_judges"]) == {8}

    def test_the_sentences_are_written_for_the_paper(self, found, tmp_path):
        found.write(tmp_path / "mini-judged" / "judged-ears.csv")
        written = pd.read_csv(tmp_path / "mini-judged" / "judged-ears.csv")
        assert written["sentence"].tolist() == found.sentences
        assert written["measure"].tolist() == ["study", *found.table["measure"]]

    def test_every_row_is_a_sentence(self, found):
        assert len(found.sentences) == 1 + len(found.table)
        row = value_of(found, "difference", f"{GOOD} - {BAD}")
        x = f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
        assert f"The mean grades differ by {x} ({GOOD} - {BAD})." in found.sentences
        assert str(found).endswith(found.sentences[-1])

    def test_twenty_preferences_pressed_in_ten_seconds_are_no_evidence(self):
        for exclude, n_kept in (({"seconds_per_sound": 1.5}, 0), ({}, 1)):
            answers = MadeAnswers(["good"], questions=["prefer"], exclude=exclude)
            answers._table["seconds"] = 0.5
            found = report(answers)
            row = value_of(found, "preferred", f"{GOOD} over {BAD}")
            assert row["n_judges"] == n_kept
            assert np.isnan([row["ci_low"], row["ci_high"]]).all()
            assert not any("[" in one for one in found.sentences)
        assert any("(no interval: one judge, or one query)" in one for one in found.sentences)

    @pytest.mark.parametrize("kinds", [[], ["lazy"], ["good"], ["good", "good"]])
    @pytest.mark.parametrize("questions", [["grade"], ["prefer"]])
    def test_few_judges_are_no_error(self, kinds, questions):
        answers = MadeAnswers(kinds, questions=questions)
        assert len(report(answers, n_draws=20).judges) == len(kinds)

    def test_only_the_first_of_two_answers_counts(self):
        answers = MadeAnswers(["good"] * 3, exclude={})
        before = value_of(report(answers, n_draws=20), "grade", GOOD)["value"]
        answers._table.loc[answers._table["is_repeat"], "value"] = 0
        assert value_of(report(answers, n_draws=20), "grade", GOOD)["value"] == before

    def test_what_was_not_reached_is_no_reason(self):
        answers = MadeAnswers(["good"] * 2, exclude={"repeats": 0.9, "anchors": 0.9})
        table = answers._table
        answers._table = table[~table["is_repeat"] & ~table["systems"].isin([(LABELS,), (LABELS, RANDOM)])]
        checked = quality(answers)
        assert checked[["anchors", "repeats"]].isna().all(axis=None)
        assert set(checked["reason"]) == {""}


@pytest.mark.simulation
class TestMadeUpJudges:
    """Fifty studies by made-up judges, each with queries and judges of its own."""

    N = 50

    @pytest.fixture(scope="class")
    def truth(self):
        """Means over so many judges and queries that their error is beside the point."""
        many = MadeAnswers(["good"] * 60, n_queries=500, seed=10**6, exclude={})
        own = many.table()[~many.table()["is_repeat"]]
        means = own.groupby("systems")["value"].mean()
        graded = own[own["question"] == "grade"].assign(unit=own["query"] + own["clip"].fillna(""))
        wide = graded.pivot_table(index="judge", columns="unit", values="value")
        return {
            ("grade", GOOD): means[(GOOD,)],
            ("difference", f"{GOOD} - {BAD}"): means[(GOOD,)] - means[(BAD,)],
            ("preferred", f"{GOOD} over {BAD}"): means[(GOOD, BAD)],
            ("alpha", "grade"): krippendorff_alpha(wide.to_numpy()),
        }

    @pytest.mark.parametrize(("n_judges", "n_queries"), [(4, 12), (8, 20)])
    def test_intervals_hold_what_they_promise(self, truth, n_judges, n_queries, monkeypatch):
        judges = quality(MadeAnswers(["good"] * n_judges, n_queries, exclude={}))
        monkeypatch.setattr(analysis, "quality", lambda answers: judges)  # which leaves none out
        held = dict.fromkeys([*truth, ("rho", "grade")], 0)
        rhos = []
        for seed in range(self.N):
            found = report(MadeAnswers(["good"] * n_judges, n_queries, seed, exclude={}), n_draws=80)
            for key, value in truth.items():
                row = value_of(found, *key)
                held[key] += row["ci_low"] <= value <= row["ci_high"]
            rhos.append(value_of(found, "rho", "grade"))
        expected = np.mean([row["value"] for row in rhos])  # with so many judges
        held["rho", "grade"] = sum(row["ci_low"] <= expected <= row["ci_high"] for row in rhos)
        coverage = {" ".join(key): n / self.N for key, n in held.items()}
        print(n_judges, n_queries, coverage)
        assert all(0.86 <= share <= 1 for share in coverage.values()), coverage  # 0.95 - 3 standard errors

    def test_the_rule_finds_the_lazy_and_the_random_and_hardly_any_other(self):
        found = {"good": [], "lazy": [], "random": []}
        for seed in range(self.N):
            checked = quality(MadeAnswers(list(found) * 2, seed=seed))
            for judge, reason in zip(checked["judge"], checked["reason"], strict=True):
                found[judge.split("-")[0]].append(bool(reason))
        shares = {kind: np.mean(those) for kind, those in found.items()}
        print(shares)
        assert shares["lazy"] == 1
        assert shares["random"] > 0.95
        assert shares["good"] < 0.02
