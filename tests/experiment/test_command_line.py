"""The command line: what it answers, and how a mistake ends."""

import os
import subprocess
import sys

import pytest

from sss_lib.__main__ import main
from sss_lib.experiment import NOTEBOOKS

COMMANDS = ("run", "check", "data", "verify", "models", "listen", "paper", "leaderboard")
MINI = str(NOTEBOOKS / "grids" / "mini.yaml")


def test_help_names_every_command_and_each_says_more(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("    ")]
    assert [name for name in listed if name in COMMANDS] == list(COMMANDS)
    for name in COMMANDS:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        assert f"python -m sss_lib {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "COMMAND"),
        (["rum"], "invalid choice: 'rum'"),
        (["run", MINI, "--datasets", "mini"], "unrecognized arguments: --datasets"),
        (["run", MINI, "--data", "mini"], "unrecognized arguments: --data"),  # not short for --data-dir
        (["run", MINI, "--n-jobs", "0"], "0 is no whole number from 1"),
        (["listen", "--port", "x"], "invalid int value: 'x'"),
    ],
)
def test_an_unknown_option_or_value_is_refused(words, error, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert error in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["run", "none.yaml"], "error: grid none.yaml does not exist"),
        (["run", MINI, "--dataset", "nosuch"], "'nosuch' is neither a known dataset ('mini', 'fsd50k', "),
        (["run", MINI, "--cluster", "locl"], "cluster 'locl' is neither 'local' nor an address"),
        (["run", MINI, "--dataset", "fsd50k", "--plan"], "or run `make data DATASET=fsd50k`"),
        (["data", "fsd5k"], "'fsd5k' is not among the known datasets: did you mean 'fsd50k'"),
        (["verify", "nosuch"], "nosuch"),
        (["paper", "papre"], "'papre' is not among the documents: did you mean 'paper'"),
        (["listen"], "'mini' has no rankings in"),
        (["leaderboard"], "run a grid first"),
        (["check"], "holds no whole run: `make run` first"),
    ],
)
def test_a_mistake_is_answered_in_one_line_and_writes_nothing(words, error, tmp_path, capsys):
    if "--cluster" in words:
        pytest.importorskip("distributed")
        (tmp_path / "mini").symlink_to(NOTEBOOKS.parent / "data" / "mini")
    if words == ["paper", "papre"]:
        pytest.importorskip("typst")
    folder = [] if words[0] == "paper" else ["--data-dir", str(tmp_path)]
    assert main([*words, *folder]) == 2
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(told) == 1
    assert error in told[0]
    assert "--cluster" in words or list(tmp_path.iterdir()) == []


def test_control_c_ends_with_a_sentence(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("sss_lib.experiment.grid.read_grid", interrupted)
    assert main(["run", MINI]) == 130
    assert capsys.readouterr().err == (
        "\ninterrupted: what is done is kept, and the same command goes on from there\n"
    )


@pytest.mark.skipif(os.name == "nt", reason="closes descriptors by sh")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_inputs_and_outputs_that_were_closed_are_open_to_what_is_started(tmp_path, closed):
    told = "import os, sys; [os.fstat(i) for i in range(3)]\n"
    told += "open(sys.argv[1], 'w').write(str([sys.stdin, sys.stdout, sys.stderr].count(None)))"
    begin = (
        "import os, sys\nfrom sss_lib import __main__ as program\nexecv = os.execv\n"
        f"os.execv = lambda python, _: execv(python, [python, '-c', {told!r}, sys.argv[1]])\n"
        "program._begin_anew_if_needed()"
    )
    words = ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-c", begin, str(tmp_path / "told")]
    assert subprocess.run(words, timeout=60, check=False).returncode == 0
    assert (tmp_path / "told").read_text() == "0"
