"""The command line: `python -m sss_lib COMMAND`; without one it lists them.

Exit codes: 0 if all is well, 1 if not, 2 after an error, which is printed in one line, 130 after control-C,
143 after SIGTERM, 129 after SIGHUP.
The targets of the Makefile set up what a command needs, and call it.
"""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sss_lib.extraction.workers import WorkerEndedError

ROOT = Path(__file__).parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    if hasattr(options, "import_modules"):
        allowed = (
            "none" if getattr(options, "plan", False) else "any" if options.import_modules else "installed"
        )
        os.environ["SSS_LIB_IMPORTS"] = allowed  # see models.loaders.hear
    ended_by = _end_in_order()
    try:
        return 0 if options.call(options) else 1
    except (ValueError, OSError, ImportError) as error:  # bad input, or what can't be had
        print(f"error: {error}", file=sys.stderr)
        return 2
    except WorkerEndedError as error:
        print(f"error: {error}; what is done is kept", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted: what is done is kept, and the same command goes on from there", file=sys.stderr)
        return 128 + (ended_by or [signal.SIGINT])[0]


def _end_in_order() -> list[int]:
    """Have SIGTERM and SIGHUP do what control-C does, so that no process or file is left; note which came."""
    came: list[int] = []

    def end(number: int, _: object) -> None:
        came.append(number)
        raise KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores SIGHUP
                signal.signal(number, end)
    return came


def _path(text: str) -> Path:
    """Path as a shell would have it: some leave a ~ in quotes or behind = to the program."""
    return Path(text).expanduser()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sss_lib",
        description="Which audio embedding finds the sounds that mean the same? COMMAND --help says more.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(call: Callable[[argparse.Namespace], bool], description: str) -> argparse.ArgumentParser:
        name, text = call.__name__.strip("_"), f"{description[0].upper()}{description[1:]}."
        added = commands.add_parser(name, help=description, description=text, allow_abbrev=False)
        added.set_defaults(call=call)
        return added

    run = command(_run, "run the notebooks of a grid whose results are not current, and print its table")
    run.add_argument("grid", type=_path, help="YAML file, such as notebooks/grids/mini.yaml")
    run.add_argument("--dataset", help="name or folder, in place of the grid's datasets")
    run.add_argument("--query", help="only clips that fit, such as 'duration_s < 10'")
    run.add_argument("--name", help="of the dataset, in all that is written")
    run.add_argument("--add-ancestors", action="store_true", help="give clips the ancestors of their labels")
    run.add_argument("--ground-truth", type=Path, help="table fname,labels of the clips to take, any subset")
    run.add_argument("--families", type=Path, help="JSON file of the labels of each family")
    run.add_argument("--no-audio", action="store_true", help="take clips without a file, for files:PATH")
    run.add_argument("--strict", action="store_true", help="refuse files that the ground truth doesn't list")
    run.add_argument("--window", type=_window, help="cut files into clips of W s, one every H s, as in 5/2.5")
    run.add_argument("--n-jobs", type=_from_1, help="notebooks or clips at a time; by default one a core")
    run.add_argument("--cluster", help="Dask workers in place of jobs: local, or tcp://host:port")
    run.add_argument("--plan", action="store_true", help="only print what there is to do")
    check = command(_check, "compare what the last run wrote with the committed results")
    data = command(_data, "download known collections; without a name, list them")
    data.add_argument("names", nargs="*", metavar="NAME")
    data.add_argument("--delete-parts", action="store_true", help="delete archives once they are unpacked")
    data.add_argument("--labels", action="store_true", help="download the ground truth alone, without audio")
    verify = command(_verify, "decode every clip of a collection, and compare all with what was published")
    verify.add_argument("dataset", help="name of a known collection, or a folder")
    weights = command(_models, "download the weights of models; without a name, list the models")
    weights.add_argument("names", nargs="*", metavar="NAME")
    listen = command(_listen, "serve notebook 06 as a page")
    listen.add_argument("--dataset", default="mini", help="that a grid has run on; by default mini")
    listen.add_argument("--host", default="127.0.0.1", help="by default 127.0.0.1, this machine alone")
    listen.add_argument("--port", type=int, default=8866, help="by default 8866")
    listen.add_argument("--freesound", action="store_true", help="let Freesound's player play missing clips")
    listen.add_argument("--no-browser", action="store_true", help="don't open a browser")
    judge = command(_judge, "serve a listening study as a page for its judges")
    judge.add_argument("study", type=_path, help="YAML file, such as notebooks/studies/mini.yaml")
    judge.add_argument("--host", default="127.0.0.1", help="by default 127.0.0.1, this machine alone")
    judge.add_argument("--port", type=int, default=8877, help="by default 8877")
    judge.add_argument("--no-browser", action="store_true", help="don't open a browser")
    judge.add_argument("--report", action="store_true", help="print what the answers say, and serve nothing")
    judge.add_argument("--csv", type=_path, help="write the answers as CSV, and serve nothing")
    judge.add_argument("--webmushra", type=_path, help="add ratings of its mushra.csv, and serve nothing")
    paper = command(_paper, "build the paper, the poster and the slides from what a run wrote")
    paper.add_argument("documents", nargs="*", help="paper, poster, slides; by default all")
    paper.add_argument("--dataset", default="mini", help="that a grid has run on; by default mini")
    paper.add_argument("--out", type=_path, help="by default the dataset's folder beside the sources")
    paper.add_argument("--png", action="store_true", help="a picture of each page in place of a PDF")
    leaderboard = command(_leaderboard, "print every score computed here, and write a page of them")
    leaderboard.add_argument("--page", type=_path, help="HTML file; by default among the evaluation results")
    for one in (run, listen, judge, paper):
        one.add_argument("--import-modules", action="store_true", help="also hear: modules not installed")
    help_merge = "leaderboard.parquet of others, whose scores of the same clips are added first"
    leaderboard.add_argument("--merge", type=_path, nargs="+", default=[], metavar="FILE", help=help_merge)
    for one in (run, check, data, verify, listen, judge, leaderboard):
        one.add_argument("--data-dir", type=_path, default=ROOT / "data", help="by default data/")
    for one in (run, check, judge, paper):
        one.add_argument("--figures-dir", type=_path, default=ROOT / "figures", help="by default figures/")
    return parser


def _window(text: str) -> list[float]:
    """Seconds of a window and between two starts, from "5" or "5/2.5"."""
    length, _, hop = text.partition("/")
    return [float(length), float(hop or length)]


def _from_1(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number from 1")
    return int(text)


def _run(options: argparse.Namespace) -> bool:
    from sss_lib.dataset import sources
    from sss_lib.experiment.grid import read_grid
    from sss_lib.experiment.results import n_cores
    from sss_lib.experiment.runner import Runner
    from sss_lib.experiment.store import Store
    from sss_lib.figures import leaderboard
    from sss_lib.io.writing import clear_leftovers

    grid, _ = read_grid(options.grid).available()
    given = {"query": options.query, "name": options.name, "add_ancestors": options.add_ancestors}
    given |= {"ground_truth": options.ground_truth, "families": options.families, "strict": options.strict}
    choice: dict[str, Any] = {key: value for key, value in given.items() if value}
    choice |= {"window": options.window} if options.window else {}
    choice |= {"needs_audio": False} if options.no_audio else {}
    chosen = [str(_path(options.dataset))] if options.dataset else grid.datasets
    for dataset in chosen:
        sources.check_is_name(dataset)
    is_well, n_jobs = True, options.n_jobs or n_cores()
    for dataset in chosen:
        store = Store(options.data_dir)
        runner = Runner(options.grid, dataset, store, options.figures_dir, n_jobs, choice, options.cluster)
        if options.plan:
            sources.check_exists(dataset, options.data_dir)  # a plan downloads nothing
            runner.plan()
            continue
        store.clear_leftovers()
        clear_leftovers(options.figures_dir)
        is_well = runner.run() and is_well
        runner.report()
        if store.all_scores():
            leaderboard.collect(store)
    return is_well


def _check(options: argparse.Namespace) -> bool:
    from sss_lib.experiment import reproduction
    from sss_lib.experiment.store import Store

    written = Store(options.data_dir).figures_dir(reproduction.COMMITTED)
    compared = reproduction.compare(written, options.figures_dir / reproduction.COMMITTED)
    print(compared)
    return compared.is_reproduced


def _data(options: argparse.Namespace) -> bool:
    from sss_lib.dataset.known import command

    if not options.names:
        print(command.listing())
    for name in options.names:
        choice = {"keep_parts": not options.delete_parts, "labels_only": options.labels}
        print(command.fetch(name, options.data_dir, **choice))
    return True


def _verify(options: argparse.Namespace) -> bool:
    from sss_lib.dataset import verification

    report = verification.report(options.dataset, options.data_dir)
    print(report)
    return report.is_whole


def _models(options: argparse.Namespace) -> bool:
    from sss_lib.models import command

    if not options.names:
        print(command.listing())
    return command.fetch_all(options.names)


def _listen(options: argparse.Namespace) -> bool:
    from sss_lib.dataset import sources
    from sss_lib.listening import serve

    how = {"browser": not options.no_browser, "freesound": options.freesound}
    serve.serve(sources.name_of(options.dataset), options.data_dir, options.host, options.port, **how)
    return True


def _judge(options: argparse.Namespace) -> bool:
    from sss_lib.experiment.store import Store
    from sss_lib.listening import judge
    from sss_lib.listening.answers import Answers
    from sss_lib.listening.study_file import read_study_file

    file, store = read_study_file(options.study), Store(options.data_dir)
    if not (options.report or options.csv or options.webmushra):
        judge.serve(file, options.data_dir, options.host, options.port, browser=not options.no_browser)
        return True
    if options.webmushra:
        answers, _ = judge.prepare(file, store)
        n_trials, n_left_out = answers.add_webmushra(options.webmushra)
        print(f"added {n_trials} trials; left out {n_left_out} ratings of webMUSHRA's own stimuli")
    answers = Answers(judge.answers_path(store, file.name))
    if options.csv:
        print(f"{options.csv} has {answers.write_csv(options.csv)} answers")
    if options.report:
        from sss_lib.listening import analysis

        found = analysis.report(answers)
        print(found)
        path = options.figures_dir / f"{file.collection}-judged" / f"judged-{file.name}.csv"  # for the paper
        if len(found.judges):
            found.write(path)
        else:
            path.unlink(missing_ok=True)
    return True


def _paper(options: argparse.Namespace) -> bool:
    from sss_lib.dataset import sources
    from sss_lib.figures import paper

    name = sources.name_of(options.dataset)
    out, form = options.out or paper.SOURCES / name, "png" if options.png else "pdf"
    documents = options.documents or paper.DOCUMENTS
    print(*paper.build(options.figures_dir / name, out, documents, form=form), sep="\n")
    return True


def _leaderboard(options: argparse.Namespace) -> bool:
    from sss_lib.experiment.store import Store
    from sss_lib.figures import leaderboard

    store = Store(options.data_dir)
    if options.merge:
        leaderboard.merge(store, options.merge)
    leaderboard.publish(store, options.page)
    return True


def _begin_anew_if_needed() -> None:
    """Start this Python again if names or what it prints aren't UTF-8, as in the locale C or ISO-8859-1.

    Or if whoever began it closed an input or output: files would take its number, and kernels end.
    """
    is_closed = None in (sys.stdin, sys.stdout, sys.stderr)
    while is_closed and (number := os.open(os.devnull, os.O_RDWR)) < 3:  # the lowest free one
        os.set_inheritable(number, True)
    encodings = (sys.getfilesystemencoding(), getattr(sys.stdout, "encoding", "utf-8"))
    if is_closed or (not sys.flags.utf8_mode and encodings != ("utf-8", "utf-8")):
        os.environ.pop("PYTHONIOENCODING", None)
        os.execv(sys.executable, [sys.executable, "-X", "utf8", "-m", "sss_lib", *sys.argv[1:]])


if __name__ == "__main__":
    _begin_anew_if_needed()
    sys.exit(main())
