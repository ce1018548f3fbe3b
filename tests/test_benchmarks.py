"""The benchmarks fail where they are over their bounds or worse than before."""

import runpy
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sss_lib import dataset
from sss_lib.extraction import embedding
from sss_lib.models.catalogue import CATALOGUE

FOLDER = Path(__file__).parent / "benchmarks"
BENCH = FOLDER / "search_and_evaluation.py"


@pytest.mark.parametrize(
    ("evaluate_s", "megabytes", "draws_s"), [(9, 900, 5), (13, 900, 5), (9, 1001, 5), (9, 900, 11)]
)
def test_the_benchmark_fails_over_its_bounds(monkeypatch, evaluate_s, megabytes, draws_s):
    main = runpy.run_path(str(BENCH))["main"]
    clock = [0.0]

    def taking(seconds):
        return lambda: clock.__setitem__(0, clock[0] + seconds)

    stand_ins = {
        "workloads": lambda: {"U": (taking(1.0), None), "evaluate": (taking(evaluate_s), 12)},
        "peak_memory_mb": lambda: megabytes,
        "seconds_a_thousand_queries": dict,
        "seconds_of_intervals": lambda: {"bootstrap": draws_s},
        "time": SimpleNamespace(perf_counter=lambda: clock[0]),
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setitem(main.__globals__, name, stand_in)
    monkeypatch.setattr(sys, "argv", ["bench"])
    told, within = main(), (evaluate_s, megabytes, draws_s) == (9, 900, 5)
    assert told == 0 if within else told.startswith("over its bounds: ")


SCALE = Path(__file__).parent / "benchmarks" / "scale.py"


@pytest.fixture(scope="module")
def scale():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sys, "path", list(sys.path))
        return runpy.run_path(str(SCALE))


TABLE = pd.DataFrame(
    [
        ("search.rank, top 150", 10_000, 10_000, 1.5, 2.5, 3),
        ("search.rank, top 150", 30_000, 6_000, 1.4, 2.5, 3),
        ("faiss IndexFlatIP", 10_000, 1_000, 2.9, None, 3),
        ("reading frames, times less than JSON", 10_231, 400, 40.0, 30, 3),
    ],
    columns=["what", "clips", "queries", "value", "allowed", "rounds"],
).assign(clock="wall", cores=2, machine="paper, numpy 2")


@pytest.mark.parametrize(
    ("row", "factor", "worse"),
    [(0, 1.29, 0), (0, 1.31, 1), (2, np.nan, 1), (0, 0.5, 0), (2, 1.5, 1), (3, 1.5, 0), (3, 0.8, 0)],
)
def test_what_got_worse_by_more_than_30_percent_is_red(scale, capsys, row, factor, worse):
    now = TABLE.copy()
    now.loc[row, "value"] *= factor
    assert scale["show"](now, TABLE) == ["1 ratios are worse by more than 30 %"] * worse
    red = [line for line in capsys.readouterr().out.splitlines() if line.startswith("\033[31m")]
    assert len(red) == worse
    assert all(now["what"][row] in line and "worse by more than 30 %" in line for line in red)


@pytest.mark.parametrize(
    ("row", "value", "shown"),
    [(0, 2.508, "2.51"), (0, 2.501, "2.501"), (1, 9.0, "9.0"), (3, 29.996, "29.996"), (3, 12.08, "12.1")],
)
def test_what_misses_its_bound_is_told_in_words_and_in_the_table(scale, capsys, row, value, shown):
    now = TABLE.copy()
    now.loc[row, "value"] = value
    allowed = "at least 30" if row == 3 else "at most 2.5"
    words = f"{now['what'][row]} of {now['clips'][row]:,} clips is {shown}, allowed {allowed}"
    assert scale["show"](now, None) == [words]
    (red,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("\033[31m"))
    assert f"{allowed}: missed" in red
    text = scale["markdown"](now)
    assert f"| {shown} | {allowed}: missed | 3 |" in text
    assert f"Missed:\n\n- {words}\n" in text


def test_a_value_at_its_bound_is_allowed(scale):
    now = TABLE.copy()
    now.loc[[0, 3], "value"] = 2.5, 30.0
    assert scale["show"](now, None) == []
    assert "Nothing misses" in scale["markdown"](now)


@pytest.mark.parametrize("change", [{"clock": "cpu"}, {"rounds": 5}, {"cores": 64}, {"queries": 7}])
def test_what_was_measured_otherwise_is_not_compared(scale, capsys, change):
    worse = TABLE.assign(value=[2.4, 2.4, 29.0, 31.0])
    assert scale["show"](worse, TABLE) == ["3 ratios are worse by more than 30 %"]
    assert "not compared" not in capsys.readouterr().out
    assert scale["show"](worse, TABLE.assign(**change)) == []
    assert "4 of these are not compared" in capsys.readouterr().out


@pytest.mark.parametrize("n_committed", [3, 0])
def test_what_the_committed_table_lacks_is_told(scale, capsys, n_committed):
    assert scale["show"](TABLE.assign(value=[2.4, 1.4, 2.9, 40]), TABLE[1 : 1 + n_committed]) == []
    assert f"{4 - n_committed} of these are not compared" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        "",
        "what,clips\nx,1\n",
        TABLE.to_csv(index=False).replace("1.5", "fast"),
        TABLE.to_csv(index=False) + '"x',
    ],
)
def test_a_broken_committed_table_is_told_before_anything_is_measured(scale, monkeypatch, tmp_path, text):
    (tmp_path / "ratios.csv").write_text(text)
    monkeypatch.setitem(scale["main"].__globals__, "FOLDER", tmp_path)
    monkeypatch.setitem(scale["main"].__globals__, "growth", None)
    told = scale["main"]([])
    assert told.startswith(f"{tmp_path / 'ratios.csv'} can't be read")
    with pytest.raises(TypeError, match="NoneType"):  # it measures, and then writes the table anew
        scale["main"](["--save"])


@pytest.mark.parametrize(("value", "fails"), [(2.5, False), (2.6, True)])
def test_the_bench_fails_where_a_bound_is_missed(scale, monkeypatch, value, fails):
    measured = {
        "growth": lambda *_: [scale["row"](scale["RANK"], 10, 10, value, 1, 2.5)],
        "files": list,
        "peak_gb": lambda _: 1.0,
    }
    for name, stand_in in measured.items():
        monkeypatch.setitem(scale["main"].__globals__, name, stand_in)
    told = scale["main"]([])
    assert str(told).startswith("search.rank, top 150 of 10 clips is 2.6, allowed") if fails else told == 0


def test_the_table_and_the_plots_are_written_and_the_readme_shows_them(scale, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{scale['START']}\nold\n{scale['END']}\nafter\n")
    for _ in range(2):
        scale["save"](TABLE, tmp_path, readme)
    written = scale["markdown"](TABLE)
    assert "| search.rank, top 150 | 30,000 | 6,000 | 1.4 | at most 2.5 | 3 |" in written
    assert "Wall time on a machine of 2 cores (paper, numpy 2)" in written
    assert readme.read_text() == f"before\n{scale['START']}\n{written}{scale['END']}\nafter\n"
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "ratios.csv"), TABLE, check_dtype=False)
    named = {path.name for path in tmp_path.iterdir()}
    assert named == {"README.md", "ratios.csv", "growth.png", "tools.png"}


def test_the_readme_shows_what_the_bench_writes_of_the_committed_ratios(scale):
    readme = (scale["FOLDER"] / "README.md").read_text()
    shown = readme.split(scale["START"] + "\n")[1].split(scale["END"])[0]
    written = scale["markdown"](pd.read_csv(scale["FOLDER"] / "ratios.csv"))
    assert shown == written


def test_preparing_counts_as_it_would_with_all_queries(scale, monkeypatch):
    """A job of 2 s for what is prepared once and 0.3 s a query, at 1 s a unit of 10 of 100 clips."""
    now = [0.0]
    of = scale["units_of"].__globals__

    def taking(seconds):
        now[0] += seconds

    monkeypatch.setitem(of, "clock", lambda: now[0])
    monkeypatch.setitem(of, "unit", lambda x, rows, buffer: taking(1.0))
    jobs = {"job": lambda rows: taking(2 + 0.3 * len(rows))}
    units, one = scale["units_of"](jobs, np.empty((100, 1)), np.arange(10), 3)
    assert one == 1
    assert units["job"] == pytest.approx(0.3 * 9 + 0.1 * 2.3)
    units, _ = scale["units_of"](jobs, np.empty((100, 1)), np.arange(100), 3)
    assert units["job"] == pytest.approx(32)


@pytest.fixture
def bench_of(monkeypatch):
    """Return a function that runs a bench's file and gives its names, after some were given other values."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in list(sys.modules):
        if name in {path.stem for path in FOLDER.glob("*.py")}:
            monkeypatch.delitem(sys.modules, name)

    def of(name, **small):
        found = runpy.run_path(str(FOLDER / f"{name}.py"))
        inside = found["main"].__globals__
        for key, value in small.items():
            assert key in inside
            monkeypatch.setitem(inside, key, value)
        return inside

    return of


def test_search_and_evaluation_are_measured_to_the_end(bench_of, capsys):
    """Without ranx, which compiles for half a minute: test_oracles.py calls it and ir_measures."""
    pytest.importorskip("faiss")
    few = bench_of("search_and_evaluation")["fsd50k_labels"](1000)
    small = {"N_CLIPS": 1000, "ROUNDS": 1, "SAMPLE": 20, "fsd50k_labels": lambda: few}
    without = {"peak_memory_mb": lambda: 1, "seconds_a_thousand_queries": dict}
    bench = bench_of("search_and_evaluation", **small, **without)
    bench["main"]()
    out = capsys.readouterr().out
    for told in ("search.rank mcss, exact top 150", "without the uploader", "compare: bootstrap"):
        assert told in out


def test_growth_is_measured_to_the_end(bench_of, capsys):
    pytest.importorskip("usearch")
    files = bench_of("scale")["files"]
    sizes = {300: 300, 600: 50}
    bench = bench_of("scale", QUERIES=sizes, ROUNDS=1, FILE_ROUNDS=1, files=lambda: files(60, 10))
    bench["main"]([])
    told = [line.removeprefix("\033[31m") for line in capsys.readouterr().out.splitlines()]
    assert len([line for line in told if line.startswith(bench["RANK"])]) == 2
    (memory,) = (line for line in told if line.startswith("GB of memory"))
    assert memory.endswith("at most 2")


def test_extraction_is_measured_to_the_end(bench_of, capsys, mini):
    few = mini.select(mini.clips["fname"].tolist()[:3])
    bench_of("extraction", dataset=SimpleNamespace(load=lambda name: few, verify=dataset.verify))["main"](
        ["duration"]
    )
    assert capsys.readouterr().out.splitlines()[-1].startswith("| `duration` | ")


def test_indexing_is_measured_to_the_end(bench_of, capsys, monkeypatch):
    monkeypatch.setattr(embedding, "embed_all", embedding.embed_all)
    bench_of("indexing")["main"](70)
    del CATALOGUE["many"]
    out = capsys.readouterr().out
    assert "see that all parts are there" in out
    assert out.splitlines()[-1] == "4 files"  # two parts, their list, and that of failures


def test_approximate_searches_are_measured_to_the_end(bench_of, capsys, tmp_path):
    pytest.importorskip("faiss")
    (tmp_path / "few.yaml").write_text("models: [duration]\nsearches: [nns, nns-SQfp16, nns-IVF16-nprobe=2]")
    few = {"QUERIES": {400: 400, 500: 100}, "GRID": tmp_path / "few.yaml"}
    bench = bench_of("approximate", **few, FOLDER=tmp_path)
    bench["main"](["--save"])
    assert "nns-IVF16-nprobe=2" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "approximate.csv")
    assert table["clips"].value_counts().to_dict() == {400: 3, 500: 3}
    assert (table.loc[table["search"] == "nns", "recall@15"] == 1).all()
    assert {"approximate.md", "approximate.png", "approximate.svg"} <= {p.name for p in tmp_path.iterdir()}


ESC10 = Path(__file__).parent / "benchmarks" / "esc10.py"


def test_the_table_of_esc10_is_that_of_its_scores():
    """Also each interval, and that no other system is told."""
    text = (Path(__file__).parents[1] / "data" / "README.md").read_text("utf-8")
    section = text.partition("## Results on ESC-10")[2].partition("\n## ")[0]
    told = [line for line in section.splitlines() if line.startswith("| ")][1:]
    assert told == runpy.run_path(str(ESC10))["rows"]()
