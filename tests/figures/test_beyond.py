"""Steps beyond the study, each beside what lacks it; and the committed table of the embedded sounds."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from sss_lib import experiment, metrics
from sss_lib.evaluation import relevance, ways
from sss_lib.experiment import Variant
from sss_lib.figures import beyond

ROOT = experiment.NOTEBOOKS.parent
GRID = experiment.read_grid(experiment.NOTEBOOKS / "grids" / "beyond.yaml")
PLAIN = Variant("yamnet", n_components=100), "mcss"
OTHER = Variant("aisfx", n_components=100), "mcss"
WHITE = replace(PLAIN[0], transform="whiten"), "mcss"
ELSEWHERE = replace(PLAIN[0], transform="whiten@esc10"), "mcss"
FUSED = Variant("fusion:rrf:mcss:yamnet&aisfx", n_components=100), "given"
CLASSES = np.repeat(np.arange(4), 10)


def made(spread, rule=None):
    """Per-query results of embeddings that lie as far apart as said around the centres of four classes."""
    x = np.eye(4)[CLASSES] + np.random.default_rng(0).normal(scale=spread, size=(40, 4))
    labels = scipy.sparse.csr_array(np.eye(4, dtype=bool)[CLASSES])
    return metrics.per_query(x, labels, search="mcss", cutoffs=(15,), relevant=rule or relevance.Relevance())


SPREAD = {PLAIN: 0.5, OTHER: 0.3, WHITE: 2.0, ELSEWHERE: 2.0, FUSED: 0.05}


@pytest.fixture(scope="module")
def table():
    results = {system: made(spread) for system, spread in SPREAD.items()}
    return beyond.steps(list(SPREAD), lambda system, rule: results[system], list("abcd"), 15)


def test_a_step_is_beside_what_lacks_it_and_a_fusion_beside_its_best_part(table):
    def score(system):
        found = made(SPREAD[system])[0]
        by_class = pd.Series(found.scores("standard")["MAP", 15]).groupby(found.label).mean()
        return by_class.mean()

    assert table["step"].tolist() == ["whitened", "whitened, fitted on esc10", "fused"]
    assert table["beside"].tolist() == ["the plain system", "whitened", "aiSFX"]
    pairs = [(WHITE, PLAIN), (ELSEWHERE, WHITE), (FUSED, OTHER)]
    np.testing.assert_allclose(table["a"], [score(one) for one, _ in pairs], atol=1e-12)
    np.testing.assert_allclose(table["b"], [score(other) for _, other in pairs], atol=1e-12)
    np.testing.assert_allclose(table["difference"], table["a"] - table["b"], atol=1e-12)
    assert table["system"].tolist() == [f"{one.name}/{search}" for (one, search), _ in pairs]


def test_the_best_part_of_a_fusion_is_chosen_once_for_all_rules():
    spread = {
        PLAIN: (0.3, 2.0),
        OTHER: (0.5, 0.3),
        FUSED: (0.05, 0.5),
    }  # by the first rule, and by the second
    of = {
        system: dict(zip(("class", "own"), map(made, both), strict=True)) for system, both in spread.items()
    }
    found = beyond.steps(
        list(spread), lambda system, rule: of[system][rule], list("abcd"), 15, ["class", "own"]
    )
    assert found["beside"].tolist() == ["YAMNet"]
    assert found[beyond.OWN].item() > 0


def test_a_verdict_needs_the_interval_and_the_corrected_test(table):
    assert table["verdict"].tolist() == ["hurts", "open", "helps"]
    assert beyond.said(table) == (
        "Of 3 steps 1 help and 1 hurt, corrected for their number: helps fused (YAMNet + aiSFX (rrf)); "
        "hurts whitened (YAMNet). Uncorrected: 1 and 1."
    )


def test_where_no_query_has_an_answer_without_the_own_uploader_nothing_is_told_of_it(table):
    of_classes = relevance.define("class", exclude=pd.Series(CLASSES.astype(str), name="uploader"))
    own = {system: {"class": made(spread)} for system, spread in SPREAD.items()}
    for system, spread in SPREAD.items():
        own[system][of_classes.name] = made(spread, of_classes)
    rules = ["class", of_classes.name]
    found = beyond.steps(list(SPREAD), lambda system, rule: own[system][rule], list("abcd"), 15, rules)
    assert found[beyond.OWN].isna().all()
    pd.testing.assert_frame_equal(found[list(table)], table)
    assert beyond.said(found).endswith("Uncorrected: 1 and 1. The same without own uploader: 0 and 0.")


def test_a_grid_without_such_a_step_has_no_table():
    assert beyond.steps([PLAIN, OTHER], lambda *_: made(0.5), list("abcd"), 15).empty


def test_the_committed_table_is_of_the_grid():
    committed = pd.read_csv(ROOT / "figures" / "mini-beyond" / "beyond.csv")
    n = dict.fromkeys([*GRID.models, *(f"{name}@esc10" for name in GRID.models)], 231)
    names = {f"{variant.name}/{search}": (variant, search) for variant, search in GRID.systems(n)[0]}
    plain = {name for name, one in names.items() if one in beyond.lacking((Variant(one[0].model), "mcss"))}
    assert sorted(committed["system"]) == sorted(names.keys() - plain)
    assert committed["step"].tolist() == [beyond.words(names[name]) for name in committed["system"]]
    np.testing.assert_allclose(committed["difference"], committed["a"] - committed["b"], atol=1e-9)
    apart = np.sign(committed["ci_low"]) == np.sign(committed["ci_high"])
    assert (apart | (committed["verdict"] == "open")).all()
    sides = {"helps": 1, "hurts": -1}
    told = committed[committed["verdict"].isin(sides)]
    assert (told["verdict"].map(sides) == np.sign(told["difference"])).all()
    assert (told["p"] < 0.05).all()


def test_ways_are_rows_beside_their_variants_with_what_they_cost():
    rows = [
        {
            "way": "supcon@dev",
            "a": 0.5,
            "b": 0.4,
            "difference": 0.1,
            "ci_low": 0.02,
            "ci_high": 0.2,
            "p": 0.01,
        }
        | {"n_train": 30, "parameters": 700, "seconds": 2.0},
        {"way": "dtw", "a": 0.3, "b": 0.4, "difference": -0.1, "ci_low": -0.2, "ci_high": -0.01, "p": 0.03},
        {"way": "mean-3", "a": 0.5, "b": 0.4, "difference": 0.1, "ci_low": 0.05, "ci_high": 0.2, "p": np.nan},
        {"way": "max-3", "a": 0.5, "b": 0.4, "difference": 0.1, "ci_low": -0.05, "ci_high": 0.2, "p": np.nan},
    ]
    found = beyond.ways(ways.as_table(rows).assign(variant=PLAIN[0]))
    steps = ["head supcon@dev", "the first 150 by dtw", "marks: mean-3", "marks: max-3"]
    assert found["step"].tolist() == steps
    np.testing.assert_allclose(found["p"], [0.02, 0.03, np.nan, np.nan])  # of two tests, by Holm
    assert found["verdict"].tolist() == ["helps", "hurts", "untested", "untested"]
    assert found["parameters"].tolist()[:1] == [700]
    told = beyond.summary({"ways": (found, "")})
    assert told == (
        "Of 2 ways 1 help and 1 hurt, corrected for their number: helps head supcon@dev (YAMNet); hurts the "
        "first 150 by dtw (YAMNet). Uncorrected: 1 and 1. The same without own uploader: 0 and 0. "
        "2 more have no test: the interval of 1 is above 0, of 0 below."
    )
    assert beyond.ways(pd.DataFrame()).empty


def test_queries_apart_set_each_system_beside_the_one_that_finds_most():
    results = {system: made(SPREAD[system]) for system in (PLAIN, WHITE, OTHER)}
    found = beyond.asked(results, list("abcd"), [PLAIN, WHITE, OTHER], 15, None)
    assert found["model"].tolist() == ["aiSFX", "YAMNet", "YAMNet"]
    assert found["system"].tolist() == [f"{one.name}/{search}" for one, search in (OTHER, PLAIN, WHITE)]
    assert found.loc[0, ["difference", "ci_low", "p"]].isna().all()
    np.testing.assert_allclose(found["difference"][1:], found["MAP@15"][1:] - found["MAP@15"][0])
    assert (found["n_queries"] == 40).all()
    assert (found["n_classes"] == 4).all()
    told = beyond.summary({"asked-esc10": (found, "")})
    assert told.startswith(f"esc10: most is found by aiSFX, MAP@15 {found['MAP@15'][0]:.3f} of 40 queries")
    assert "YAMNet" in told


@pytest.mark.parametrize(
    ("row", "table", "step"),
    [
        ("`mean-loudest`", "beyond", "loudest quarter of frames"),
        ("`mean-onset`", "beyond", "frames from the onset on"),
        ("`max-3`, marks", "ways", "marks: max-3"),
        *(
            (row, "ways", f"head {how}@fold1+fold2+fold3+fold4")
            for row, how in [
                ("`linear@fold1+fold2+fold3+fold4`", "linear"),
                ("`lda`, likewise", "lda"),
                ("`supcon`, likewise", "supcon"),
            ]
        ),
    ],
)
def test_what_the_manual_says_of_esc10_is_in_the_committed_tables(row, table, step):
    committed = pd.read_csv(ROOT / "figures" / "esc10-beyond-esc10" / f"{table}.csv").set_index("step")
    ends = ["difference", "ci_low", "ci_high"]
    of_models = committed.loc[step].set_index("model")[ends]
    manual = (ROOT / "sss_lib" / "evaluation" / "README.md").read_text(encoding="utf-8")
    manual = manual[manual.index("| on ESC-10 |") :].splitlines()
    models = [cell.split(",")[0].strip() for cell in manual[0].split("|")[2:-1]]
    told = next(line for line in manual if line.startswith(f"| {row} |")).replace("−", "-").split("|")[2:-1]
    for model, cell in zip(models, told, strict=True):
        numbers = [float(one) for one in re.findall(r"[-+]\.\d{3}", cell)]
        np.testing.assert_allclose(numbers, of_models.loc[model], atol=5.1e-4)
