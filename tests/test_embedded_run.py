"""The committed table of the embedded run is what the code computes from the embedded sounds."""

from pathlib import Path

import pandas as pd
import pytest

from sss_lib import artefacts, extraction, floors, metrics, models, processing, statistics, tables
from sss_lib.experiment import Variant

COMMITTED = Path(__file__).parent.parent / "figures" / "mini" / "comparison.csv"
SYSTEMS = [
    (Variant("aisfx", "mean", 100), "nns"),
    (Variant("msd-musicnn", "max", None), "nns"),
    (Variant("logmel", "none", 100), "nns"),
    (Variant("duration", "none", None, normalize=False), "nns"),
]
"""Those of the committed best systems that are quickly computed: Freesound's descriptors take a minute."""
HEADINGS = {("MAP", 15): "MAP@15", ("MAP", 150): "MAP@150", ("MR1", None): "MR1"}


@pytest.fixture(scope="module")
def committed():
    """Row of each system in the committed table."""
    return pd.read_csv(COMMITTED).set_index("System")


@pytest.fixture(scope="module")
def computed(mini, tmp_path_factory):
    """Scores with intervals of each system whose library is there, extracted anew."""
    scores = {}
    for variant, search in SYSTEMS:
        if models.spec(variant.model).missing():
            continue
        folder = tmp_path_factory.mktemp(variant.model)
        extraction.extract(mini, variant.model, folder, 2)
        frames = extraction.read(artefacts.Artefact(folder / "parts.parquet", {}))
        clips = processing.aggregate(frames.values, frames.offsets, variant.aggregation)
        x = processing.process(clips, variant.n_components, variant.normalize)
        queries = metrics.per_query(x, mini.label_matrix, search=search)
        scores[variant, search] = statistics.summary(*queries, mini.labels, mini.families)
    return scores


def test_committed_numbers_are_what_the_code_computes(computed, committed):
    for (variant, search), scores in computed.items():
        spec = models.spec(variant.model)
        row = committed.loc[spec.display_name + (" (floor)" if spec.floor else "")]
        in_words = tables.describe_system(pd.Series({**variant.parameters(), "search": search}))
        assert row["Processing and search"] == in_words
        for (metric, n), heading in HEADINGS.items():
            (found,) = tables.select(scores, metric, n).to_dict("records")
            assert row[heading].rstrip("* ") == tables.with_interval(found), (variant, heading)


def test_committed_bounds_are_what_the_labels_give(mini, committed):
    for name, bound in (("Chance (expected)", floors.chance), ("Ceiling (labels)", floors.ceiling)):
        scores = bound(mini.label_matrix, mini.labels, mini.families)
        for (metric, n), heading in HEADINGS.items():
            (found,) = tables.select(scores, metric, n).to_dict("records")
            assert committed.loc[name, heading] == tables.with_interval(found)


def test_the_embedded_models_stand_in_order_above_chance(computed, mini):
    """Of the embedded sounds aiSFX finds more than log-mel statistics, those more than length and level."""
    pytest.importorskip("torch")
    rows = {
        variant.model: tables.select(scores, "MAP", 15).iloc[0] for (variant, _), scores in computed.items()
    }
    chance = floors.chance(mini.label_matrix, mini.labels, cutoffs=(15,))
    assert rows["aisfx"]["ci_low"] > rows["logmel"]["ci_high"]  # not even the intervals meet
    assert rows["logmel"]["ci_low"] > rows["duration"]["ci_high"]
    assert rows["duration"]["ci_low"] > tables.select(chance, "MAP", 15)["value"].item()
