"""The command line: `python -m sss_lib run | check | data | verify | models | listen | paper | leaderboard`.

`python -m sss_lib run notebooks/grids/mini.yaml` plans the notebooks that the grid needs, runs those whose
results are not current, and prints the table of results; with `--plan` it only plans.
"""

import argparse
import importlib
import sys
from pathlib import Path

OTHERS = {
    "check": "experiment.reproduction",
    "data": "dataset.known.command",
    "verify": "dataset.verification",
    "models": "models.command",
    "listen": "listening.serve",
    "paper": "figures.paper",
    "leaderboard": "figures.leaderboard",
}
"""Modules whose `main` is a command."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments and arguments[0] in OTHERS:
        return importlib.import_module(f"sss_lib.{OTHERS[arguments[0]]}").main(arguments[1:])
    return _run(arguments)


def _run(arguments: list[str]) -> int:
    """Run a grid and print its table; return the exit code."""
    from sss_lib.dataset import sources
    from sss_lib.experiment import results as experiment
    from sss_lib.experiment.grid import NOTEBOOKS, read_grid
    from sss_lib.experiment.runner import Runner
    from sss_lib.experiment.store import Store
    from sss_lib.extraction.processes import ProcessEndedError
    from sss_lib.figures import leaderboard

    parser = argparse.ArgumentParser(prog="python -m sss_lib", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, module in OTHERS.items():
        commands.add_parser(name, help=f"sss_lib.{module}: {name} --help says more")
    run = commands.add_parser("run", help="run the notebooks of a grid")
    run.add_argument("grid", type=Path, help="YAML file, such as notebooks/grids/mini.yaml")
    run.add_argument("--dataset", help="name or folder, in place of the grid's datasets")
    run.add_argument("--query", help="only clips of which this is true: see dataset.Dataset.subset")
    run.add_argument("--name", help="what the dataset is called in all that is written")
    run.add_argument("--add-ancestors", action="store_true", help="of every label, by the vocabulary")
    run.add_argument("--data-dir", type=Path, default=NOTEBOOKS.parent / "data")
    run.add_argument("--figures-dir", type=Path, default=NOTEBOOKS.parent / "figures")
    run.add_argument("--n-jobs", type=int, default=experiment.n_cores(), help="notebooks or clips at a time")
    run.add_argument("--cluster", help="Dask workers in place of jobs: local, or tcp://host:port")
    run.add_argument("--plan", action="store_true", help="only say what there is to do")
    options = parser.parse_args(arguments)
    if options.n_jobs < 1:
        parser.error(f"--n-jobs {options.n_jobs} is below 1")
    well = True
    try:
        grid, _ = read_grid(options.grid).available()
        given = {"query": options.query, "name": options.name, "add_ancestors": options.add_ancestors}
        choice = {key: value for key, value in given.items() if value}
        chosen = [options.dataset] if options.dataset else grid.datasets
        for dataset in chosen:
            sources.check_is_name(dataset)
        for dataset in chosen:
            store = Store(options.data_dir)
            runner = Runner(
                options.grid, dataset, store, options.figures_dir, options.n_jobs, choice, options.cluster
            )
            if options.plan:
                sources.check_exists(dataset, options.data_dir)
                runner.plan()
                continue
            well = runner.run() and well
            runner.report()
            if store.all_scores():
                leaderboard.collect(store)
    except (ValueError, OSError, ImportError) as error:  # bad input, or a dataset that can't be fetched
        print(f"error: {error}", file=sys.stderr)
        return 2
    except ProcessEndedError as error:
        print(
            f"error: a worker was killed, perhaps for want of memory; what is done is kept ({error})",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: what is done is kept, and the same command goes on from there", file=sys.stderr)
        return 130
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
