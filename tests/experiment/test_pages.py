"""The pages that show the executed notebooks: the committed ones are today's, and GitHub renders them."""

import base64
import io
import json
import re

import matplotlib.pyplot as plt
import pytest

from sss_lib.experiment import NOTEBOOKS, pages
from sss_lib.experiment.task import Task

ROOT = NOTEBOOKS.parent
COMMITTED = ROOT / "figures" / pages.FOLDER
SHOWN = sorted(path.stem for path in NOTEBOOKS.glob("0[0-5]*.ipynb"))
MOST_BYTES = 3_000_000


@pytest.mark.parametrize("notebook", SHOWN)
def test_the_page_is_of_todays_notebook(notebook):
    assert pages.is_current(notebook, COMMITTED), "`make run` writes it anew"


def test_the_pages_are_small_and_all_that_they_show_is_there():
    assert sum(path.stat().st_size for path in COMMITTED.iterdir()) < MOST_BYTES
    shown = set()
    for path in COMMITTED.glob("*.md"):
        text = re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
        links = re.findall(r"\]\(([^)#]+)[^)]*\)|(?:href|src)=\"([^\"]+)\"", text)
        for link in filter(None, (one or other for one, other in links)):
            assert link.startswith("http") or (COMMITTED / link).resolve().exists(), (path.name, link)
            shown.add(link)
        assert not re.search(r"<audio|<style|<script|base64,", text)
    assert {path.name for path in COMMITTED.glob("*.png")} <= shown


@pytest.mark.parametrize("notebook", [name for name in SHOWN if name.startswith("05")])
def test_a_page_of_05_shows_pictures_and_tables(notebook):
    text = (COMMITTED / f"{notebook}.md").read_text(encoding="utf-8")
    assert text.count(".png)") >= 2
    assert "<table><caption>" in text or "<table><thead>" in text


def cell(kind, source, *outputs, tags=()):
    made = {"cell_type": kind, "source": [source], "metadata": {"tags": list(tags)}}
    return made | ({"outputs": list(outputs)} if kind == "code" else {})


def display(**data):
    """Output by kind, with _ for /."""
    return {"output_type": "display_data", "data": {k.replace("_", "/", 1): v for k, v in data.items()}}


def stream(text, name="stdout"):
    return {"output_type": "stream", "name": name, "text": [text]}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Page of a small notebook that was executed with another model: its folder and its text."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "sounds").mkdir()
    sound = tmp_path / "sounds" / "a b.ogg"
    sound.touch()
    monkeypatch.setattr(pages, "NOTEBOOKS", tmp_path / "notebooks")
    picture = io.BytesIO()
    plt.figure(figsize=(2, 1)).savefig(picture)
    plt.close("all")
    drawn = base64.b64encode(picture.getvalue()).decode()
    table = '<div>\n<style scoped>\n  x {}\n</style>\n<table border="1">\n\n'
    table += '    <td style="text-align: right">1</td></table></div>'
    cells = [
        cell("markdown", "# 07 · Test\n\n[Down](#A-b), [04](04_evaluation.ipynb#C), [grid](grids/x.yaml)"),
        cell("code", 'data_dir = "../data"  # a\nmodel = "aisfx"  # b\nn = -1  # c', tags=["parameters"]),
        cell("markdown", "## A b"),
        cell("code", "print(1)"),
    ]
    (tmp_path / "notebooks" / "07_test.ipynb").write_text(json.dumps({"cells": cells}))
    outputs = [
        stream("told\n"),
        stream("progress", "stderr"),
        display(image_png=drawn, text_plain="<Figure>"),
        display(text_html=f"<p><img src='data:image/png;base64,{drawn}'></p>"),
        display(text_html=table),
        display(text_html='<svg>1</svg><audio title="a b.ogg" src="data:audio/ogg;base64,AA"></audio>'),
        display(text_html='<audio title="other.ogg"><source src="data:audio/wav;base64,AA"/></audio>'),
        display(**{"application_vnd.jupyter.widget-view+json": {"model_id": "1"}, "text_plain": "Map()"}),
    ]
    injected = cell("code", 'model = "yamnet"', tags=["injected-parameters"])
    ran = [cells[0], cells[1] | {"outputs": []}, injected, cells[2], cell("code", "print(1)", *outputs)]
    tasks = []
    for name, parameters in {"far": {"model": "x", "n": 2}, "near": {"model": "y", "n": -1}}.items():
        tasks.append(Task("07_test", name, {"data_dir": "elsewhere", **parameters}, ()))
        path = tasks[-1].executed(tmp_path / "runs")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"cells": ran if name == "near" else []}))
    folder = tmp_path / "figures" / "notebooks"
    folder.mkdir(parents=True)
    (folder / "07_test-7.png").touch()  # of an earlier run
    (path,) = pages.update(tasks, tmp_path / "runs", folder, [sound])
    assert pages.update(tasks, tmp_path / "runs", folder, [sound]) == []
    assert pages.update(tasks, tmp_path / "runs", folder, [sound], anew=True) == [path]
    return folder, path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "shown",
    [
        "[Down](#a-b), [04](04_evaluation.md#c), [grid](../../notebooks/grids/x.yaml)",
        "*[07_test.ipynb](../../notebooks/07_test.ipynb) as `make run` executed it, with `model = 'y'`.*",
        "```python\nprint(1)\n```\n\n```text\ntold\n```\n\n![A b](07_test-1.png)\n\n",
        '\n<div><table><td align="right">1</td></table></div>\n',
        '<p><img src="07_test-2.png"></p>',
        '\n<a href="../../sounds/a b.ogg">listen</a>\n',
        "<i>heard where the notebook runs</i>",
        pages.NEEDS_KERNEL,
    ],
)
def test_a_page_shows(written, shown):
    assert shown in written[1]


@pytest.mark.parametrize("hidden", ["progress", "yamnet", "<Figure>", "Map()", "style", "base64"])
def test_a_page_does_not_show(written, hidden):
    assert hidden not in written[1]


def test_pictures_of_an_earlier_run_are_gone(written):
    assert sorted(path.name for path in written[0].iterdir()) == [
        "07_test-1.png",
        "07_test-2.png",
        "07_test.md",
    ]


@pytest.mark.parametrize(("of", "as_it_was"), [("text", False), ("code", False), ("outputs", True)])
def test_a_page_is_current_until_text_or_code_of_its_notebook_changes(written, of, as_it_was):
    folder, _ = written
    path = pages.NOTEBOOKS / "07_test.ipynb"
    notebook = json.loads(path.read_text())
    assert pages.is_current("07_test", folder)
    first, *_, last = notebook["cells"]
    changed = {"text": (first, "source"), "code": (last, "source"), "outputs": (last, "metadata")}
    cell, key = changed[of]
    cell[key] = ["other"] if key == "source" else {"tags": ["other"]}
    path.write_text(json.dumps(notebook))
    assert pages.is_current("07_test", folder) == as_it_was
