"""What a listening study asks: its file, and the trials that are drawn from it."""

import collections
import itertools

import numpy as np
import pytest
from made_study import BAD, GOOD, MadeStudy, study_file

from sss_lib.experiment import NOTEBOOKS
from sss_lib.listening.protocol import LABELS, RANDOM, Planner, described, expected_s, sounds_of, steps
from sss_lib.listening.study_file import read_study_file

NEEDED = "collection: mini\nsystems: [a, b]\n"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return MadeStudy(tmp_path_factory.mktemp("made"))


@pytest.fixture(scope="module")
def plan(study):
    return Planner(study, study_file(queries=12, results=3)).plan()


class TestFile:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("sytems: [a]", "'sytems' is not among the keys of s.yaml: did you mean 'systems'"),
            ("name: x", "'name' is not among the keys of s.yaml: the file's name is the study's"),
            ("queries: 0", "queries=0 of the study: give a whole number from 1 to 500"),
            ("queries: 2.5", "queries=2.5 of the study: give a whole number"),
            ("queries: true", "queries=True of the study: give a whole number"),
            ("session_minutes: 90", "session_minutes=90 of the study: give a number from 5 to 30"),
            ("repeats: .nan", "repeats=nan of the study: give a number from 0 to 0.5"),
            ("headphones: maybe", "'maybe' is not among the values of headphones: .*check"),
            ("questions: [rate]", "'rate' is not among the questions of a study"),
            ("questions: {}", "questions are empty: give grade, prefer, or both"),
            ("questions: {grade: 7}", "7 of grade of the questions is no text"),
            ("texts: {concent: x}", "'concent' is not among the texts of a study: did you mean 'consent'"),
            ("texts: hello", "texts='hello' is no mapping"),
            ("questionnaire: [{ask: x, choice: [a]}]", "'choice' is not among the keys .*'choices'"),
            ("questionnaire: [{ask: x, choices: [a]}]", "give a list of 2 to 20"),
            ("questionnaire: 7", "questionnaire=7 is no list"),
            ("questionnaire: [hello]", "'hello' of the questionnaire is no question"),
            (
                "exclude: {anchor: 0.5}",
                "'anchor' is not among the rules of exclusion: did you mean 'anchors'",
            ),
            ("exclude: {anchors: 7}", "anchors=7 of the rule of exclusion: give a number from 0 to 1"),
            ("anchors: 0", "anchors=0, and the rule of exclusion asks for them"),
            ("repeats: 0", "repeats=0, and the rule of exclusion asks for them"),
            ("systems: [a, a]", "are no list of different names"),
            ("systems: a", "systems 'a' are no list"),
            ("systems: [a]\nquestions: prefer", "a preference is between 2 systems, and the study has 1"),
            ("seed: !!python/object/apply:os.system ['exit']", "is not plain YAML"),
            ("seed: [", "is not plain YAML"),
        ],
    )
    def test_what_is_wrong_is_named_with_its_remedy(self, tmp_path, text, expected):
        path = tmp_path / "s.yaml"
        path.write_text(f"{NEEDED}{text}\n" if "systems:" not in text else f"collection: mini\n{text}\n")
        with pytest.raises(ValueError, match=expected):
            read_study_file(path)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("[]", "is not a mapping"),
            ("seed: 1", "has no 'collection'"),
            ("collection: 7\nsystems: [a]", "7 is no name"),
        ],
    )
    def test_a_file_needs_a_collection_and_systems(self, tmp_path, text, expected):
        (tmp_path / "s.yaml").write_text(text)
        with pytest.raises(ValueError, match=expected):
            read_study_file(tmp_path / "s.yaml")
        with pytest.raises(ValueError, match="does not exist"):
            read_study_file(tmp_path / "none.yaml")

    def test_the_committed_example_is_a_study(self):
        file = read_study_file(NOTEBOOKS / "studies" / "mini.yaml")
        assert (file.name, list(file.questions)) == ("mini", ["grade", "prefer"])
        assert set(file.exclude) == {"anchors", "repeats", "seconds_per_sound", "answered"}


class TestPlan:
    def test_what_several_lists_share_is_judged_once(self, study, plan):
        graded = [trial for trial in plan["trials"] if trial["question"] == "grade"]
        assert len(graded) == 12
        for trial in graded:
            clips = [one["clip"] for one in trial["items"]]
            assert len(set(clips)) == len(clips)
            of_system = collections.Counter(itertools.chain(*(one["systems"] for one in trial["items"])))
            assert of_system == {GOOD: 3, BAD: 3, RANDOM: 1, LABELS: 1}
        assert any(len(one["systems"]) > 1 for trial in graded for one in trial["items"])

    def test_no_sound_of_a_trial_is_by_the_querys_uploader(self, study, plan):
        uploader = dict(zip(study.collection.clips["fname"], study.collection.clips["uploader"], strict=True))
        for trial in [*plan["trials"], *plan["training"]]:
            query, *others = sounds_of(trial)
            assert query not in others
            assert uploader[query] not in {uploader[one] for one in others}

    def test_queries_come_alike_from_all_strata_and_training_has_others(self, study, plan):
        per_stratum = collections.Counter(plan["strata"].values())
        assert set(per_stratum) == {f"{family}, rare" for family in ("Animals", "Nature", "Things")}
        assert set(per_stratum.values()) == {4}
        assert not {one["query"] for one in plan["training"]} & set(plan["strata"])

    def test_the_rarest_class_and_its_size_say_the_stratum(self, study):
        planner = Planner(study, study_file())
        planner.has_label = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 0], [0, 1, 1], [0, 1, 1]])
        planner.study = type("Of", (), {"collection": study.collection})
        assert [planner._stratum(row) for row in (0, 1, 3)] == [
            "Things, rare",
            "Animals, common",
            "Animals, middle",
        ]

    def test_the_upper_bound_shares_the_querys_class(self, study, plan):
        for trial in plan["trials"]:
            if trial["question"] == "grade":
                (best,) = (one["clip"] for one in trial["items"] if LABELS in one["systems"])
                assert best.split("-")[1] == trial["query"].split("-")[1]

    def test_ap_is_of_the_ranking_without_the_querys_uploader(self, study, plan):
        query = next(iter(plan["ap"]))
        row = study.row_of[query]
        ranked = [one for one, _ in study.results(study.system(GOOD), row, 50) if one // 10 != row // 10][:15]
        hits = [one % 5 == row % 5 for one in ranked]
        found = sum(sum(hits[: k + 1]) / (k + 1) for k in range(15) if hits[k]) / 10  # 12 of the class, 2 own
        assert plan["ap"][query][GOOD] == pytest.approx(found)

    def test_too_few_clips_are_said(self, study):
        with pytest.raises(ValueError, match="queries=60 and training=1 need 61 clips, and 60 have a file"):
            Planner(study, study_file(queries=60)).plan()

    def test_the_seed_decides(self, study):
        one, same, other = (Planner(study, study_file(seed=seed)).plan() for seed in (1, 1, 2))
        assert one == same
        assert one != other


class TestSteps:
    def test_each_judge_has_an_order_of_its_own_which_comes_back(self, plan):
        file = study_file()
        orders = {judge: [one["trial"] for one in steps(plan, file, judge, 0)] for judge in "abc"}
        assert orders["a"] == [one["trial"] for one in steps(plan, file, "a", 0)]
        assert len({tuple(order) for order in orders.values()}) == 3
        for order in orders.values():
            assert set(order) == set(range(len(plan["trials"])))
            kinds = [plan["trials"][i]["question"] for i in order]
            assert kinds == sorted(kinds)  # first all grades, then preferences

    @pytest.mark.parametrize(("share", "expected"), [(0, 0), (0.1, 1), (0.25, 3), (0.5, 6)])
    def test_a_share_comes_twice_and_not_soon_after(self, plan, share, expected):
        file = study_file(repeats=share, exclude={}, questions="grade")
        for judge in map(str, range(20)):
            own = [
                one
                for one in steps(plan, file, judge, 0)
                if plan["trials"][one["trial"]]["question"] == "grade"
            ]
            assert sum(one["is_repeat"] for one in own) == expected
            for i, one in enumerate(own):
                if one["is_repeat"]:
                    first = next(k for k, other in enumerate(own) if other["trial"] == one["trial"])
                    assert not own[first]["is_repeat"]
                    assert i - first >= 3

    def test_sides_are_balanced_for_each_judge_and_opposite_for_the_next(self, plan):
        pair = [i for i, one in enumerate(plan["trials"]) if one.get("systems") == [GOOD, BAD]]
        for number in range(0, 20, 2):
            sides = []
            for judge in (number, number + 1):
                own = steps(plan, study_file(), f"judge {judge}", judge)
                sides.append({one["trial"]: one["left"] for one in own if not one["is_repeat"]})
                repeated = [one for one in own if one["is_repeat"] and one["trial"] in pair]
                assert all(one["left"] != sides[-1][one["trial"]] for one in repeated)
            assert abs(sum(sides[0][i] for i in pair) - len(pair) / 2) <= 0.5
            assert all(sides[0][i] != sides[1][i] for i in pair)

    def test_sessions_are_as_long_as_said(self, plan):
        file = study_file(session_minutes=5)
        plan = {**plan, "seconds": dict.fromkeys(plan["seconds"], 8.0)}
        own = steps(plan, file, "a", 0)
        lengths = collections.defaultdict(float)
        for one in own:
            lengths[one["session"]] += expected_s(plan["trials"][one["trial"]], plan["seconds"])
        assert list(lengths) == list(range(len(lengths)))
        assert len(lengths) > 3
        assert max(lengths.values()) < 300 + max(expected_s(t, plan["seconds"]) for t in plan["trials"])
        assert f"{len(own)} trials" in described(plan, file)
        assert f"{len(lengths)} sessions" in described(plan, file)
