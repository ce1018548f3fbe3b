"""YAML files of others: data alone, each key once, and no larger than they look."""

import re

import pytest

from sss_lib.experiment import read_grid
from sss_lib.io import plain_yaml
from sss_lib.listening.study_file import read_study_file

LAUGHS = "\n".join(f"x{i}: &x{i} [{','.join([f'*x{i - 1}' if i else 'x'] * 9)}]" for i in range(12))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("models: &a [logmel]\nsearches: *a", "*a stands for what is elsewhere"),
        (LAUGHS, "*x0 stands for what is elsewhere"),
        ("models: &a [*a]", "*a stands for what is elsewhere"),
        ("a: 1\nb: {c: 2, d: 3, c: 4}", "'c' is there twice"),
        ("a: 1\n<<: {b: 2}\nb: 3", "'b' is there twice"),
        ("[a]: 1", "unhashable key"),
        ("a: !!python/name:os.system", "could not determine a constructor"),
        ("a: 1" + "0" * 5000, "5001 digits"),
        ("a: 2026-99-99", "month"),
        ("[" * 3000, "nested too deeply"),
        ("a: " + "x" * 2**20, "1,048,579 bytes"),
        ("a: 1\n---\nb: 2", "single document"),
        ("- a", "not a mapping: give keys such as"),
        ("", "not a mapping"),
    ],
    ids=lambda one: one[:20],
)
@pytest.mark.parametrize("read", [read_grid, read_study_file])
def test_what_is_no_plain_yaml_is_named_with_its_file(tmp_path, read, text, message):
    path = tmp_path / "theirs.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}(?s:.*){re.escape(message)}"):
        read(path)


def test_a_mapping_is_read_as_it_stands(tmp_path):
    path = tmp_path / "theirs.yaml"
    path.write_text("a: [1, null, true]\nb: {c: 'no', d: ü}\n")
    assert plain_yaml.read_mapping(path, "a: 1") == {"a": [1, None, True], "b": {"c": "no", "d": "ü"}}


def test_what_yaml_counts_in_sixties_or_eights_is_text(tmp_path):
    path = tmp_path / "theirs.yaml"
    path.write_text("ids: [12:30:00, 12:30.5, 007, 0755, -01]\nnumbers: [0, 0.5, -7, 10, 1_000, 1.5e+3]\n")
    found = plain_yaml.read_mapping(path, "a: 1")
    assert found["ids"] == ["12:30:00", "12:30.5", "007", "0755", "-01"]
    assert found["numbers"] == [0, 0.5, -7, 10, 1000, 1500]
