"""The benchmarks fail where they are over their bounds or worse than before."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

BENCH = Path(__file__).parent / "benchmarks" / "search_and_evaluation.py"


@pytest.mark.parametrize(
    ("evaluate_s", "megabytes", "draws_s"), [(9, 900, 5), (13, 900, 5), (9, 1001, 5), (9, 900, 11)]
)
def test_the_benchmark_fails_over_its_bounds(monkeypatch, capsys, evaluate_s, megabytes, draws_s):
    bench = runpy.run_path(str(BENCH))
    clock = [0.0]

    def taking(seconds):
        return lambda: clock.__setitem__(0, clock[0] + seconds)

    of_main = bench["main"].__globals__
    stand_ins = {
        "workloads": lambda: {"U": (taking(1.0), None), "evaluate": (taking(evaluate_s), 12)},
        "peak_memory_mb": lambda: megabytes,
        "seconds_a_thousand_queries": dict,
        "seconds_of_intervals": lambda: {"bootstrap": draws_s},
    }
    for name, stand_in in stand_ins.items():
        monkeypatch.setitem(of_main, name, stand_in)
    monkeypatch.setattr(of_main["time"], "perf_counter", lambda: clock[0])
    monkeypatch.setattr(sys, "argv", ["bench"])
    told = of_main["main"]()
    within = (evaluate_s, megabytes, draws_s) == (9, 900, 5)
    assert (told == 0) == within
    if not within:
        assert told.startswith("over its bounds: ")


SCALE = Path(__file__).parent / "benchmarks" / "scale.py"


@pytest.fixture(scope="module")
def scale():
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(sys, "path", list(sys.path))
        return runpy.run_path(str(SCALE))


TABLE = pd.DataFrame(
    [
        ("search.rank, top 150", 10_000, 10_000, 1.5, 2.5),
        ("search.rank, top 150", 30_000, 6_000, 1.4, 2.5),
        ("faiss IndexFlatIP", 10_000, 1_000, 2.9, None),
        ("reading frames, times less than JSON", 10_231, 400, 40.0, 30),
    ],
    columns=["what", "clips", "queries", "value", "allowed"],
)


@pytest.mark.parametrize(
    ("row", "factor", "worse"),
    [(0, 1.29, 0), (0, 1.31, 1), (0, 0.5, 0), (2, 1.5, 1), (3, 1.5, 0), (3, 0.8, 0), (3, 0.7, 1)],
)
def test_what_got_worse_by_more_than_30_percent_is_red(scale, capsys, row, factor, worse):
    now = TABLE.copy()
    now.loc[row, "value"] *= factor
    assert scale["show"](now, TABLE) == worse
    red = [line for line in capsys.readouterr().out.splitlines() if line.startswith("\033[31m")]
    assert len(red) == worse
    assert all(now["what"][row] in line and "worse by more than 30 %" in line for line in red)


def test_without_a_committed_table_nothing_is_worse(scale):
    assert scale["show"](TABLE, None) == 0


def test_the_table_and_the_plots_are_written_and_the_readme_shows_them(scale, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{scale['START']}\nold\n{scale['END']}\nafter\n")
    for _ in range(2):
        scale["save"](TABLE, "Measured on paper.", tmp_path, readme)
    written = (tmp_path / "ratios.md").read_text()
    assert "| search.rank, top 150 | 30,000 | 6,000 | 1.4 | at most 2.5 |" in written
    assert readme.read_text() == f"before\n{scale['START']}\n{written}{scale['END']}\nafter\n"
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "ratios.csv"), TABLE, check_dtype=False)
    assert {"growth.svg", "growth.png", "tools.svg", "tools.png"} <= {p.name for p in tmp_path.iterdir()}


def test_the_readme_shows_the_committed_table(scale):
    readme = (scale["ROOT"] / "README.md").read_text()
    shown = readme.split(scale["START"] + "\n")[1].split(scale["END"])[0]
    assert shown == (scale["FOLDER"] / "ratios.md").read_text()
    measured = pd.read_csv(scale["FOLDER"] / "ratios.csv")
    for one in measured.itertuples():
        assert f"| {one.what} | {one.clips:,} | {one.queries:,} | {one.value:.1f} |" in shown


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


def test_the_table_of_the_other_tools_has_each_of_them(scale):
    """On so few clips that only their being there and answering is tested."""
    pytest.importorskip("usearch")
    x = scale["embeddings"](300)
    for job in scale["rivals"](x).values():
        job(np.arange(5))
    for job in scale["ours"](x, np.arange(5)).values():
        job(np.arange(5))
