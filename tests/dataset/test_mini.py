"""The embedded collection against what its README states."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sss_lib import dataset

DATA = Path(dataset.__file__).parents[2] / "data"
README = dict(
    re.findall(r"^\| (.+?) \| (.+?) \|$", (DATA / "mini/README.md").read_text("utf-8"), re.MULTILINE)
)


@pytest.fixture(scope="module")
def mini_report(mini):
    return dataset.verify(mini)


def test_every_label_is_in_the_vocabulary_with_all_its_ancestors(mini):
    classes = pd.read_csv(DATA / "ontology/fsd50k_classes.csv", keep_default_na=False)
    parent_of = dict(zip(classes["label"], classes["parents"], strict=True))
    assert len(parent_of) == 200
    for fname, labels in zip(mini.clips["fname"], mini.clips["labels"], strict=True):
        assert {parent_of[label] for label in labels} - {""} <= set(labels), fname
        assert len(set(labels)) == len(labels), fname


def test_has_the_clips_that_its_readme_states(mini):
    licences = mini.clips["licence"].value_counts()
    assert README["clips"] == (
        f"{len(mini)} ({licences['CC0-1.0']} CC0, {licences['CC-BY-SA-3.0']} CC BY-SA 3.0), "
        f"by {mini.clips['uploader'].nunique()} uploaders"
    )
    assert licences.sum() == len(mini)
    assert mini.clips["uploader"].ne("").all()


def test_has_the_classes_that_its_readme_states(mini):
    families = sorted({family.replace("_", " ") for family in mini.families.values()})
    sizes = mini.label_matrix.toarray().sum(axis=0)
    assert README["classes present"] == f"{len(mini.labels)} of 200"
    assert README["classes with two clips or more (queryable)"] == str((sizes >= 2).sum())
    assert README["classes skipped (a single clip)"] == str((sizes == 1).sum()) == str(mini.n_unqueryable())
    assert README["families"] == f"{len(families)}: {', '.join(families)}"


def test_every_clip_decodes_as_mono_at_44100_hz(mini_report):
    assert mini_report["problem"].tolist() == [""] * len(mini_report)
    assert set(mini_report["n_channels"]) == {1}
    assert set(mini_report["rate_hz"]) == {44100}
    assert np.isfinite(mini_report["rms_db"]).all()
    assert mini_report["sha256"].is_unique


def test_has_the_length_and_size_that_its_readme_states(mini, mini_report):
    n_bytes = sum(Path(path).stat().st_size for path in mini.clips["path"])
    minutes = mini_report["duration_s"].sum() / 60
    assert README["length, size"] == f"{minutes:.1f} minutes, {n_bytes / 1e6:.1f} MB"
    assert f"the longest has {mini_report['duration_s'].max():.1f} s" in (DATA / "mini/README.md").read_text(
        "utf-8"
    )


def test_licences_name_every_clip_with_its_author_and_licence(mini):
    text = (DATA / "mini/LICENSES.md").read_text("utf-8")
    rows = [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    named = [(fname.strip(), author, licence) for fname, _, author, licence, *_ in rows[2:]]
    clips = mini.clips.replace({"uploader": {"MIT Scratch": "Massachusetts Institute of Technology"}})
    expected = list(zip(clips["fname"], clips["uploader"], clips["licence"], strict=True))
    assert len(named) == len(expected)
    for (fname, author, licence), (own_fname, uploader, own_licence) in zip(named, expected, strict=True):
        assert (fname, licence) == (own_fname, own_licence)
        assert author.startswith(uploader), fname  # an artist named in the file may follow


def test_kept_and_left_out_clips_together_are_the_279_of_the_packages(mini):
    left_out = pd.read_csv(DATA / "mini/left_out.csv", keep_default_na=False)
    assert len(mini) + len(left_out) == 279
    assert left_out["reason"].ne("").all()
    assert set(left_out["source"]).isdisjoint(mini.clips["source"])
