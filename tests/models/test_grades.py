"""What is told of each model: how it was verified, and where its weights come from."""

import re
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import seeded
from graphdef import random_graph

from sss_lib import models
from sss_lib.__main__ import main
from sss_lib.io import download
from sss_lib.models.spec import GRADES
from sss_lib.models.weights import file as weights

README = Path(models.__file__).parent / "README.md"
WITH_WEIGHTS = [row for row in models.catalogue().values() if row.weights]
IN_PAPER = [models.spec(f"{row.name}+paper") for row in WITH_WEIGHTS if "weights" in row.paper]
DOWNLOADED = [row for row in [*WITH_WEIGHTS, *IN_PAPER] if row.weights.url]


def names_in(cell):
    """Names of models in a cell of the table: "a-{b,c}{,-d}" stands for all four."""
    names = []
    for pattern in re.findall(r"`([^`]+)`", cell):
        parts, found = re.split(r"\{([^}]*)\}", pattern), [""]
        for i, part in enumerate(parts):
            found = [name + one for name in found for one in (part.split(",") if i % 2 else [part])]
        names += found
    return names


def told():
    """By name, the cells of a model's row in the README."""
    lines = [line for line in README.read_text("utf-8").splitlines() if line.startswith("| `")]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {name: row for row in rows if len(row) == 6 for name in names_in(row[0])}


def test_every_model_has_one_row_in_the_readme():
    assert sorted(told()) == sorted(models.catalogue())


@pytest.mark.parametrize("row", WITH_WEIGHTS, ids=lambda row: row.name)
def test_the_readme_tells_the_grade_and_licence_of_the_catalogue(row):
    grade = row.verified.partition(":")[0]
    assert grade in GRADES
    _, _, _, licence, verified, _ = told()[row.name]
    assert verified.replace("**", "").partition(":")[0] == grade
    assert licence.removeprefix("in the repository, ") == row.weights.licence
    assert licence.startswith("in the repository") is (row.weights.url is None)


def of_format(suffix, path):
    """Write the smallest file of a format."""
    if suffix == ".pb":
        path.write_bytes(random_graph("x", (-1, 2), "y", 3))
    elif suffix == ".safetensors":
        path.write_bytes(b"\x02" + bytes(7) + b"{}")
    elif suffix == ".json":
        path.write_text('{"model": {}, "added_tokens": []}')
    else:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("x", "y")


@pytest.mark.parametrize("row", DOWNLOADED, ids=lambda row: row.name)
def test_make_models_asks_for_the_file_and_puts_it_where_the_model_looks(row, tmp_path, monkeypatch, capsys):
    """All but the web: what comes is a small file of the right format. Some need a tokenizer, too."""
    needed = {one.url: one.file for one in (row.weights, row.tokenizer) if one}
    asked = []

    def receive(remote, part, *_):
        asked.append(remote.url)
        of_format(Path(needed[remote.url]).suffix, part)

    seeded.accept(tmp_path, monkeypatch)
    monkeypatch.setattr(download, "_receive", receive)
    assert main(["models", row.name]) == 0
    assert asked == list(needed)
    assert all(url.startswith("https://") for url in needed)
    path = tmp_path / row.weights.file
    assert f"{row.name}: {path}\n" in capsys.readouterr().out
    unheld = replace(row.weights, sha256=None, n_bytes=None)
    assert weights.find(row.name, unheld) == path
    for given, pattern in ((row.weights.sha256, "[0-9a-f]{64}"), (row.weights.n_bytes, r"\d+")):
        assert given is None or re.fullmatch(pattern, str(given))


def test_a_web_page_in_place_of_weights_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SSS_CACHE", str(tmp_path))
    page = lambda remote, part, *_: part.write_bytes(b"<html>log in</html>")  # noqa: E731
    monkeypatch.setattr(download, "_receive", page)
    assert main(["models", "vggish"]) == 1
    assert "is a web page" in capsys.readouterr().err
    assert not (tmp_path / "audioset-vggish-3.pb").exists()
