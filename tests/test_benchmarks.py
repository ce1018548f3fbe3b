"""The benchmark of search and evaluation fails where it is over its bounds."""

import runpy
import sys
from pathlib import Path

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
