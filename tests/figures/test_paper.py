"""The paper, the poster and the slides say what the run wrote, and no number of their own."""

import csv
import dataclasses
import io
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from typst_text import said

from sss_lib import models, paper, published
from sss_lib.__main__ import main
from sss_lib.experiment.scores import describe_system

pytest.importorskip("typst")
pypdf = pytest.importorskip("pypdf")

FIGURES = paper.ROOT / "figures" / "mini"
TYPED = {
    "definitions": [
        *('"AP@"N = 1 / min(N, R) sum_(k=1)^N r_k 1/k sum_(j=1)^k r_j', "R1", "MR1", "L2", "[0, 1]"),
        *("counts ranks from 0", "from 1, and", "\nfrom 1\n", "\nfrom 0\n", "counts 0"),
        *("95~%", "95 %", "\\* p < 0.05, \\*\\* p < 0.01, \\*\\*\\* p < 0.001"),  # intervals, stars
        *("fixed(60", "fixed(100"),  # minutes of hours, per cent
    ],
    "the study": ["CBMI 2024", "the 2024 code", "\n2024\n", "compared fourteen representations", "table2"],
    "names": ["FSD50K", "fsd50k", "ESC-50", "esc50", "UrbanSound8K", "urbansound8k"],
    "columns of tables": ["\nMAP@15\n", "\nMAP@150\n", "\nMAP@15 here\n"],
    "what there is": ["five systems", "Five systems'", "the three searches", "the three documents"],
    "data/mini/README.md": ["two or three clips"],
}
"""All that the sources may say of numbers by themselves, by where it is from; results are none of it."""
LAYOUT = ('paper: "a4"', 'paper: "a0"', 'numbering: "1"', 'numbering: "1.1"', 'rgb("#0072B2")', '"0" *')
IN_WORDS = (
    "three|four|five|six|seven|eight|nine|ten|eleven|twelve|twenty|thirty|forty|fifty|sixty|seventy|eighty|"
    r"ninety|hundred|thousand|million|dozen|\w+teen"
)
FONTS = ("LibertinusSerif", "NewCMMath", "DejaVuSans")  # figures' words are text, in DejaVu Sans


def read(folder):
    """Text of each document, its lines joined, and the document."""
    documents = {}
    for name in paper.DOCUMENTS:
        document = pypdf.PdfReader(Path(folder) / f"{name}.pdf")
        text = "\n".join(page.extract_text() for page in document.pages)
        text = text.replace("\u00ad\n", "").replace("\u00ad", "-").replace("\u00a0", " ")
        documents[name] = " ".join(text.split()), document
    return documents


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The three documents of the committed run, built anew."""
    folder = tmp_path_factory.mktemp("mini")
    paper.build(FIGURES, folder)
    return read(folder)


def copied(folder, change_row=dict, change_run=dict):
    """Copy the committed run into a folder, its rows and its run.json changed on the way."""
    folder.mkdir()
    for path in paper.results(FIGURES):
        if path.suffix == ".svg":
            shutil.copy(path, folder)
        elif path.suffix == ".json":
            (folder / path.name).write_text(json.dumps(change_run(json.loads(path.read_text()))))
        else:
            with path.open(newline="") as file:
                reader = csv.DictReader(file)
                rows, names = [change_row(row) for row in reader], reader.fieldnames
            text = io.StringIO()
            writer = csv.DictWriter(text, names)
            writer.writeheader()
            writer.writerows(rows)
            (folder / path.name).write_text(text.getvalue())
    return folder


def as_said(source):
    """What a source says by itself but for its layout, an empty line between the pieces."""
    for code in LAYOUT:
        source = source.replace(code, "")
    return f"\n{said(source)}\n".replace("\n", "\n\n")


def typed(source):
    """Lines of what a source says by itself that hold a number other than `TYPED`."""
    text = as_said(source)
    for phrases in TYPED.values():
        for phrase in sorted(phrases, key=len, reverse=True):
            text = re.sub(rf"(?<![\w.]){re.escape(phrase)}(?![\w.]*\d)", "\n", text)
    return [line for line in text.splitlines() if re.search(rf"\d|(?i:\b({IN_WORDS})\b)", line)]


SOURCES = sorted(paper.SOURCES.rglob("*.typ"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_sources_say_no_number_but_those_listed(path):
    assert typed(path.read_text()) == []


def test_every_listed_number_is_said():
    text = "".join(as_said(path.read_text()) for path in SOURCES)
    phrases = [phrase for found in TYPED.values() for phrase in found]
    assert [phrase for phrase in phrases if phrase not in text] == []


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("paper", "#models.len() representations in", "5 representations in"),
        ("paper", "#models.len() representations in", "12 models in"),
        ("paper", "#models.len() representations in", "Twelve models in"),
        ("paper", "#count(run.n_clips) clips,", "231 clips,"),
        ("paper", "#count(run.n_unqueryable).", "33."),
        ("paper", "#count(run.n_unqueryable).", "#count(33)."),
        ("paper", "#count(run.n_unqueryable).", "#33."),
        ("paper", "#foremost.len() best", "#(3) best"),
        ("paper", "a rare class weighs", "a rare class of 2 clips weighs"),
        ("paper", "compared fourteen representations", "compared thirteen representations"),
        ("paper", "p < 0.05, ", "p < 0.01, "),
        ("paper", "are 95~% bootstrap", "are 90~% bootstrap"),
        ("paper", "[from 1], [from 0]", "[from 1], [from 2]"),
        ("paper", "sum_(j=1)^k r_j, $", "sum_(j=0)^k r_j, $"),
        ("paper", "FSD50K's evaluation set has none", "FSD50K's evaluation set has 4"),
        ("words", "against #chance by chance", "against 0.038 by chance"),
        ("words", "[Of the study's #claims.len() claims", "[Of the study's 7 claims"),
        ("words", "as they must:", "as they must, in 1 of 2 cases:"),
        ("words", '"borne out"', '"borne out by 2"'),
        ("poster", "up to five systems", "up to 5 systems"),
        ("poster", "#count(run.n_clips) clips", "#let k = 9\n#k clips"),
        ("slides", "(CBMI 2024) compared", "(CBMI 2023) compared"),
        ("slides", "and counts ranks from 0", "and counts ranks from 1"),
        ("results", 'if row.effect == "" { [–] }', 'if row.effect == "" { [0] }'),
        ("results", "count(spec.dim)", '"512"'),
        ("results", "row.verdict,", "[4],"),
    ],
)
def test_a_number_that_is_typed_is_found_however_small(name, old, new):
    source = (paper.SOURCES / f"{name}.typ").read_text()
    assert old in source
    assert typed(source.replace(old, new, 1))


def test_the_tables_are_those_of_the_run(built):
    text = built["paper"][0]
    for row in pd.read_csv(FIGURES / "comparison.csv", dtype=str).to_dict("records"):
        cells = [row[key] for key in ("System", "Processing and search", "Dim", "MAP@15", "MAP@150", "MR1")]
        assert " ".join(cells) in text
    best = pd.read_csv(FIGURES / "best.csv")
    macro = best[(best["metric"] == "MAP") & (best["n"] == 15) & (best["level"] == "macro")]
    for row in pd.read_csv(FIGURES / "stability.csv").itertuples():
        own = macro[(macro["model"] == row.system) & (macro["protocol"] == "standard")].iloc[0]
        p = "–" if np.isnan(row.p_holm) else f"{row.p_holm:.4f}"
        line = (
            f"{models.spec(row.system).display_name} {row.value:.3f} [{own['group_ci_low']:.3f}, "
            f"{own['group_ci_high']:.3f}] {row.rank} ({row.rank_low}–{row.rank_high}) "
            f"{100 * row.share_first:.0f} % {p}"
        )
        assert line in text
    for row in pd.read_csv(FIGURES / "claims.csv").itertuples():
        effect = (
            "– – "
            if np.isnan(row.effect)
            else f"{round(row.effect, 3) + 0.0:+.3f} [{row.ci_low:+.3f}, {row.ci_high:+.3f}] "
        )
        assert f"{row.claim} {effect}{row.verdict}".replace("-0", "−0") in text
    for row in pd.read_csv(FIGURES / "losses.csv").itertuples():
        line = f"{round(row.loss, 3) + 0.0:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}] {row.p:.4f}".replace(
            "-", "−"
        )
        assert line in text
    for row in pd.read_csv(FIGURES / "relevance.csv").itertuples(index=False):
        name = models.spec(row[0]).display_name if row[0] in set(best["model"]) else row[0]
        assert " ".join([name, *(f"{value:.3f}" for value in row[1:])]) in text
    for name in best["model"].unique():
        spec = models.spec(name)
        how_often = f"{spec.hop_s:.2f} s" if spec.hop_s else "clip"
        assert (
            f"{spec.rate_hz / 1000:.1f} {spec.dim:,} {how_often} {spec.trained_on} {spec.verified}"
            in text.replace("’", "'")
        )
    for row in published.table2().itertuples():
        assert re.search(rf"{row.Index} \[\d+\] {row.map_at_15:.2f} {row.map_at_150:.2f} {row.mr1:.0f}", text)


def test_the_steps_beyond_the_study_are_those_of_their_grid(built, tmp_path):
    def signed(value):
        return f"{round(value, 3) + 0.0:+.3f}".replace("-", "−")

    text = built["paper"][0]
    table = pd.read_csv(FIGURES.with_name("mini-beyond") / "beyond.csv")
    alone, fused = table[table["step"] != "fused"], table[table["step"] == "fused"]
    for step, own in alone.groupby("step"):
        of_model = own.set_index("model")
        cells = [
            signed(of_model["difference"][name]) + "*" * (of_model["verdict"][name] != "open")
            if name in of_model.index
            else "–"
            for name in alone["model"].unique()
        ]
        assert " ".join([step, *cells]) in text
    for row in fused.itertuples():
        assert f"{signed(row.difference)} [{signed(row.ci_low)}, {signed(row.ci_high)}] ({row.model})" in text
    n_sure = [(table["verdict"] == kind).sum() for kind in ("helps", "hurts")]
    assert f"Of {len(table)} steps by one model or several, {n_sure[0]} help and {n_sure[1]} hurt" in text
    ways = pd.read_csv(FIGURES.with_name("mini-beyond") / "ways.csv")
    for step, own in ways[ways["step"] != "fused, weights"].groupby("step"):
        for row in own.itertuples():
            assert re.search(rf"{re.escape(step)} [^a-z]*{re.escape(signed(row.difference))}", text), step
    tested = ways[ways["verdict"] != "untested"]
    assert f"Of {len(tested)} other ways with a test" in text
    assert f"{len(ways) - len(tested)} more have an interval alone" in text
    asked = pd.read_csv(FIGURES.with_name("mini-beyond") / "asked-esc10.csv")
    assert f"Asked by {asked['n_queries'][0]} clips of esc10 in {asked['n_classes'][0]} classes" in text
    assert all(f"{row['MAP@15']:.3f} ({row['model']})" in text for _, row in asked.iterrows())
    folder = copied(tmp_path / "alone")
    for name in ("beyond", "ways", "asked-esc10"):  # the grid hasn't run there
        (folder / f"{name}.csv").unlink()
    paper.build(folder, tmp_path)
    assert "Beyond the study" in text
    assert "Beyond the study" not in read(tmp_path)["paper"][0]


def test_what_judges_say_is_in_the_paper_once_a_study_has_a_report(built, tmp_path):
    none = "No number in this text comes from such judgements."
    assert none in built["paper"][0]
    folder = copied(tmp_path / "judged")
    grade = "The results of a/nns have a mean grade of 2.10 [1.80, 2.40] of 3."
    said = [("study", "9 judges answered."), ("grade", grade), ("rho", "AP has a rank correlation of -0.10.")]
    (tmp_path / "judged-judged").mkdir()
    for name, sentences in {"ears": said, "more": [("study", "2 judges answered another study.")]}.items():
        table = pd.DataFrame(sentences, columns=["measure", "sentence"])
        table.to_csv(tmp_path / "judged-judged" / f"judged-{name}.csv", index=False)
    paper.build(folder, tmp_path, ["paper"])
    text = " ".join(page.extract_text() for page in pypdf.PdfReader(tmp_path / "paper.pdf").pages)
    text = " ".join(text.replace("\u00ad\n", "").split())
    assert none not in text
    assert all(one.replace("-0", "−0") in text for _, one in said)
    assert "correlation of −0.10. In a listening study of this collection, 2 judges answered another" in text


def test_processing_and_search_are_those_of_the_run(built):
    systems = pd.read_csv(FIGURES / "systems.csv")
    map_15 = systems[(systems["metric"] == "MAP") & (systems["n"] == 15)]
    ranked = map_15.sort_values("value", ascending=False)["model"].unique()
    in_full = [name for name in ranked if not models.spec(name).is_baseline][:3]
    steps = ["aggregation", "scale", "transform", "n_components", "normalize"]
    for name, document in [
        *((name, "paper") for name in in_full),
        (in_full[0], "slides"),
    ]:
        for way, own in map_15[map_15["model"] == name].groupby(steps, dropna=False):
            words = [way[0]] * (way[0] != "none") + ["min-max"] * way[1]
            words += ["centred"] * (way[2] == "center")
            words += ["PCA 100"] * (way[3] == 100) + ["L2" if way[4] else "raw"]
            by_search = own.set_index("search")["value"]
            values = " ".join(f"{by_search[search]:.3f}" for search in ("mips", "mcss", "nns"))
            assert f"{', '.join(words)} {values}" in built[document][0]


def test_the_sentences_follow_from_the_results(built):
    """Worked out from the files once more, by lines of their own."""
    tables = (pd.read_csv(FIGURES / f"{name}.csv") for name in ("systems", "best", "stability", "losses"))
    systems, best, stability, losses = tables
    run = json.loads((FIGURES / "run.json").read_text())
    bounds = run["bounds"]
    name = {system: models.spec(system).display_name for system in stability["system"]}
    top = systems[(systems["metric"] == "MAP") & (systems["n"] == 15)].sort_values(
        "value", ascending=False, kind="stable"
    )
    first, floor = top.iloc[0], top[top["model"] == "duration"].iloc[0]
    low = top[top["model"] == first["model"]].iloc[-1]
    clips, uploaders = (f"[{first[f'{by}ci_low']:.3f}, {first[f'{by}ci_high']:.3f}]" for by in ("", "group_"))
    first_words = " and ".join(describe_system(first).rsplit(", ", 1))
    finding = (
        f"{name[first['model']]} finds most here: macro MAP@15 of {first['value']:.3f} {clips} "
        f"(over uploaders {uploaders}) with {first_words}, against {bounds['chance']:.3f} by "
        f"chance and {floor['value']:.3f} by duration"
    )
    even, behind = (
        " and ".join(", ".join(name[system] for system in stability["system"][test]).rsplit(", ", 1))
        for test in (stability["p_holm"] >= 0.05, stability["p_holm"] < 0.05)
    )
    order = (
        f"Drawn anew, uploader by uploader, the queries would put {name[first['model']]} first in "
        f"{100 * stability['share_first'][0]:.0f} % of the draws; the corrected test sets it apart "
        f"from {behind}, but not from {even}."
    )
    low_words = " and ".join(describe_system(low).rsplit(", ", 1))
    fall = f"{name[first['model']]} from {first['value']:.3f} to {low['value']:.3f} with {low_words}."
    if (
        low["value"] < top.drop_duplicates("model")["value"].iloc[-2]
    ):  # below the best of another, but the floor
        fall = fall.replace(" from", " itself falls from", 1)
    steps = ["model", "aggregation", "scale", "transform", "n_components"]
    unit = top[top["normalize"]].groupby(steps, dropna=False)["value"]
    assert f"{(unit.max() - unit.min()).max():.3f}" == "0.000"
    gap = "the three searches have the same macro MAP@15, as they must"
    of = best[(best["metric"] == "MAP") & (best["n"] == 15) & (best["protocol"] == "standard")]
    of = of.set_index(["level", "model"])["value"]
    above = f"{(of['micro'] > of['macro']).sum()} of {len(name)} models lie above the line"
    verdicts = pd.read_csv(FIGURES / "claims.csv")["verdict"].value_counts()
    claims = (
        f"Of the study's {verdicts.sum()} claims, {verdicts['holds']} are borne out, {verdicts['open']} are "
        f"open and {verdicts['not tested']} are not tested by these systems."
    )
    lost = losses.iloc[0]
    interval = f"[−{-lost['ci_low']:.3f}, {lost['ci_high']:.3f}]"
    lost_by = f"{name[lost['system']]} loses {round(lost['loss'], 3) + 0.0:.3f} {interval}"
    loss = f"own uploader {lost_by} of its macro"
    of_run = (
        f"{len(name)} representations in {len(top)} systems on the embedded sounds ({run['n_clips']} clips, "
        f"{run['n_classes']} classes)"
    )
    size = f"{run['n_clips']} clips ({60 * run['hours']:.1f} minutes) by {run['n_uploaders']} uploaders,"
    alone, others = run["n_unqueryable"], run["n_classes"] - run["n_unqueryable"]
    whole = (
        f"There are {size} with {run['n_classes']} classes, in {run['n_families']} families. "
        f"Of the classes {alone} have a single clip, so that {others} can be queried."
    )
    luck = f"not a sample; {bounds['luck']:.3f} is what luck may reach"
    none = f"evaluation set has none, this run {alone}."
    said_in = {
        "paper": [finding, order, fall, gap, above, claims, of_run, whole, luck, none],
        "poster": [finding, order, fall, gap, claims],
        "slides": [finding, order, fall, gap, claims, loss, size],
    }
    for document, sentences in said_in.items():
        text = built[document][0].replace("’", "'")
        assert [sentence for sentence in sentences if sentence not in text] == [], document


def test_the_protocols_stand_side_by_side(built):
    best = pd.read_csv(FIGURES / "best.csv")
    assert "ranks from 1 from 0" in built["paper"][0]
    best = best[best["n"].isna() | (best["n"] == 15)].set_index(["model", "metric", "level", "protocol"])
    for name in ("aisfx", "freesound", "msd-musicnn", "logmel"):
        cells = [models.spec(name).display_name]
        for metric, level, digits in (("MAP", "macro", 3), ("MAP", "micro", 3), ("MR1", "macro", 1)):
            for protocol in ("standard", "paper"):
                cells.append(f"{best['value'][name, metric, level, protocol]:.{digits}f}")
        assert " ".join(cells) in built["paper"][0]
        assert " ".join(cells) in built["slides"][0]


def test_each_document_names_its_run_on_pages_of_its_size_in_its_own_fonts(built):
    n_slides = 1 + (paper.SOURCES / "slides.typ").read_text().count("\n#slide[")
    sizes_mm = {"paper": (210, 297), "poster": (841, 1189), "slides": (254, 143)}
    n_pages = {"paper": range(4, 7), "poster": [1], "slides": [n_slides]}  # no slide runs over
    for name, (text, document) in built.items():
        assert (
            "Built from the run of mini.yaml on the embedded sounds (mini): 231 clips, 144 systems." in text
        )
        assert f"results {paper.facts(FIGURES)['digest']}" in text
        assert len(document.pages) in n_pages[name]
        for page in document.pages:
            assert tuple(round(float(side) / 72 * 25.4) for side in page.mediabox[2:]) == sizes_mm[name]
            for font in page["/Resources"]["/Font"].values():
                assert font.get_object()["/BaseFont"].partition("+")[2].startswith(FONTS)
    text, source = built["paper"][0], (paper.SOURCES / "paper.typ").read_text()
    kinds = (
        ("Figure", source.count('picture("') - source.count("#wide(beside(\n") + 1),
        ("Table", source.count("kind: table, caption")),
    )
    for kind, count in kinds:  # typst itself draws the first figure
        assert {int(n) for n in re.findall(rf"{kind} (\d+):", text)} == set(range(1, count + 1))
    assert all(f"@{label}" in source for label in re.findall(r"\) <(\w+)>", source))


def test_no_picture_runs_under_another():
    """Typst lets a float as wide as one column run under one as wide as the page."""
    for source in paper.SOURCES.glob("*.typ"):
        for line in source.read_text(encoding="utf-8").splitlines():
            assert "placement: auto" not in line or 'scope: "parent"' in line, f"{source.name}: {line}"


def test_nothing_is_drawn_beyond_the_margins(tmp_path):
    margins = {"paper": 17 / 210, "poster": 38 / 841, "slides": 13 / 254}  # of the width, a little less
    for path in paper.build(FIGURES, tmp_path, form="png"):
        page = matplotlib.image.imread(path)[..., :3].mean(axis=2)
        edge = int(page.shape[1] * margins[path.stem.partition("-")[0]])
        for margin in (page[:, :edge], page[:, -edge:], page[: edge // 2]):
            assert margin.min() > 0.99, path.stem
        assert page.min() < 0.5, path.stem


def test_the_same_results_give_the_same_bytes(tmp_path):
    first, second = (paper.build(FIGURES, tmp_path / name, ["slides"])[0] for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_the_committed_documents_are_those_of_the_committed_results(built):
    for name, (text, _) in read(paper.SOURCES / "mini").items():
        assert text == built[name][0], f"{name}.pdf is not of figures/mini: make paper"


@pytest.mark.slow
def test_a_large_run_on_fsd50k_fits_and_is_compared_with_the_published(tmp_path):
    """Fourteen systems, each with the numbers of one of ours: layout and words, not results."""
    names = published.systems()["system"].tolist()
    ours = ["aisfx", "freesound", "msd-musicnn", "logmel"]
    folder = copied(
        tmp_path / "fsd50k",
        change_run=lambda run: run | {"dataset": "fsd50k", "n_clips": 10231},
    )
    for table in ("best", "systems", "stability", "relevance", "losses", "comparison"):
        rows = pd.read_csv(folder / f"{table}.csv", dtype=str, keep_default_na=False)
        key = next(key for key in ("model", "system", "System") if key in rows)
        shown = {name: name for name in (*names, *ours)}
        if table == "comparison":
            shown = {name: models.spec(name).display_name for name in shown}
        own = [
            rows[rows[key] == shown[ours[i % len(ours)]]].assign(**{key: shown[name]})
            for i, name in enumerate(names)
        ]
        pd.concat(own).to_csv(folder / f"{table}.csv", index=False)
    measured = [
        [name, name, "mean, L2, NNS", "MAP@15", 0.5 + i / 100, 0.4, 0.7, 0.5, i / 100, "agrees", ""]
        for i, name in enumerate(published.table2().index)
    ]
    found = pd.DataFrame(measured, columns=list(pd.read_csv(folder / "published.csv")))
    gone = found.iloc[-1:].assign(metric="MAP@150", measured=pd.NA, difference=pd.NA, verdict="not measured")
    pd.concat([found, gone]).to_csv(folder / "published.csv", index=False)
    paper.build(folder, tmp_path)
    documents = read(tmp_path)
    assert "on FSD50K's evaluation set (fsd50k): 10,231 clips" in documents["paper"][0].replace("’", "'")
    assert "14 of 14 do" in documents["paper"][0]
    assert "0.630 [0.400, 0.700], agrees" in documents["paper"][0]
    assert "embedded sounds, which" not in documents["paper"][0]
    n_slides = 1 + (paper.SOURCES / "slides.typ").read_text().count("\n#slide[")
    n_pages = {name: len(document.pages) for name, (_, document) in documents.items()}
    assert (n_pages["paper"] <= 7, n_pages["poster"], n_pages["slides"]) == (True, 1, n_slides)


def test_a_run_that_lacks_files_and_an_environment_that_lacks_typst_are_refused(
    tmp_path, monkeypatch, capsys
):
    with pytest.raises(ValueError, match=r"birds lacks 17 files, such as run.json: .*make run DATASET=birds"):
        paper.build(tmp_path / "birds", tmp_path)
    assert main(["paper", "--dataset", "birds", "--figures-dir", str(tmp_path)]) == 2
    monkeypatch.setitem(sys.modules, "typst", None)
    assert main(["paper", "paper", "--out", str(tmp_path)]) == 2
    assert "pip install -e .[paper]" in capsys.readouterr().err


def test_a_run_without_uploaders_and_families_has_all_three_documents(tmp_path):
    """It has only the files that every run writes."""

    def change_row(row):
        return {key: "" if key.startswith("group_ci") else value for key, value in row.items()}

    folder = copied(tmp_path / "plain", change_row, lambda run: run | {"n_uploaders": 0, "n_families": 0})
    for path in folder.iterdir():
        if path.name not in ("run.json", *paper.TABLES, *paper.FIGURES):
            path.unlink()
        elif path.suffix == ".svg":  # its words are those of the committed run
            path.write_text('<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>')
    assert not (folder / "losses.csv").exists()
    paper.build(folder, tmp_path)
    for text, _ in read(tmp_path).values():
        assert "231 clips" in text
        assert "query's own uploader are left out" not in text.replace("’", "'")
        assert "uploaders" not in re.sub("[Ww]here uploaders are known", "", text)


def test_a_warning_of_typst_is_an_error(tmp_path, monkeypatch):
    sources = tmp_path / "sources"
    shutil.copytree(paper.SOURCES, sources)
    text = (sources / "slides.typ").read_text()
    (sources / "slides.typ").write_text(text.replace('font: "Libertinus Serif"', 'font: "Comic Sans"'))
    (sources / "poster.typ").write_text("#nothing")
    monkeypatch.setattr(paper, "SOURCES", sources)
    for name, message in (("slides", "a warning: .* comic sans"), ("poster", "not compile: .* nothing")):
        with pytest.raises(ValueError, match=rf"{name}.typ .*{message}"):
            paper.build(FIGURES, tmp_path / "out", [name])
    assert not (tmp_path / "out").exists()


def test_a_run_counts_the_classes_and_families_that_have_a_clip(tmp_path, mini):
    timed = dataclasses.replace(mini, clips=mini.clips.assign(duration_s=36.0))
    one = timed.select(timed.clips["fname"].tolist()[:1])
    own = [label for label, size in one.class_sizes().items() if size]
    run = json.loads(
        paper.write_run(
            tmp_path / "run.json", timed, one, grid="g", protocol="standard", cutoffs=(1,)
        ).read_text()
    )
    assert (run["n_classes"], run["n_unqueryable"]) == (len(own), len(own))
    assert run["n_families"] == one.n_families() == len({mini.families[label] for label in own})


def test_what_a_run_was_is_of_the_clips_that_every_model_has(tmp_path, mini):
    timed = dataclasses.replace(mini, clips=mini.clips.assign(duration_s=36.0))
    about = {"grid": "grids/mini.yaml", "protocol": "standard", "cutoffs": (15, 150), "chance": 0.125}
    of_all, of_rest = (
        json.loads(paper.write_run(tmp_path / "run.json", timed, common, **about).read_text())
        for common in (timed, timed.select(timed.clips["fname"].tolist()[1:]))
    )
    committed = json.loads((FIGURES / "run.json").read_text())
    assert set(committed["made_with"]) == set(paper.made_with())
    changed = {"hours": 2.31, "bounds": {"chance": 0.125}, "made_with": paper.made_with()}
    assert of_all == committed | changed
    counts = ("n_clips", "n_uploaders", "n_classes", "n_unqueryable", "n_families")
    assert [committed[key] for key in counts] == [231, 47, 87, 33, 6]  # data/mini/README.md
    assert round(60 * committed["hours"], 1) == 9.8
    assert (of_rest["n_clips"], of_rest["n_failed"], of_rest["hours"]) == (230, 1, 2.3)


def test_a_run_says_what_it_was_made_with():
    """By a process of its own, told which kernel to take, and by what pip knows."""
    code = "import json; from sss_lib import paper; print(json.dumps(paper.made_with()))"
    told = {}
    for kernel in ("Nehalem", "Sandybridge"):
        environment = os.environ | {"OPENBLAS_CORETYPE": kernel}
        ways = {"env": environment, "cwd": paper.ROOT, "capture_output": True, "text": True, "check": True}
        told[kernel] = json.loads(subprocess.run([sys.executable, "-c", code], **ways).stdout)
    ours = told["Nehalem"]
    assert ours["python"] == ".".join(map(str, sys.version_info[:3]))
    listed = [sys.executable, "-m", "pip", "list", "--format=json", "--disable-pip-version-check"]
    installed = {
        one["name"].lower(): one["version"] for one in json.loads(subprocess.check_output(listed, text=True))
    }
    assert ours["packages"] == {name: installed[name] for name in paper.PACKAGES if name in installed}
    assert {"numpy", "scipy", "scikit-learn", "soxr"} <= set(ours["packages"])
    if any("openblas" in library for library in ours["blas"]) and ours["system"] == "Linux x86_64":
        assert all(library.endswith(kernel) for kernel in told for library in told[kernel]["blas"])
        assert ours["processor"]


def test_the_name_of_the_processor_is_that_of_the_system(tmp_path):
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Some Chip 9 @ 2 GHz\n" * 2)
    assert paper.processor(tmp_path / "cpuinfo") == "Some Chip 9 @ 2 GHz"
    assert paper.processor(tmp_path / "none") == platform.processor()
