"""Two recordings of some minutes, cut into windows, through all notebooks."""

import io

import in_process
import numpy as np
import pytest
import soundfile

from sss_lib import experiment
from sss_lib.experiment.store import Store
from sss_lib.experiment.task import run_notebook
from sss_lib.listening import Board, Study

RATE_HZ, LENGTH_S = 16000, 125
SYSTEM = "logmel-none-pcanone-l2/mcss"


@pytest.fixture
def recordings(tmp_path):
    """Folder of a recording of noise and one of tones, each a file of 125 s."""
    folder, time_s = tmp_path / "long", np.arange(LENGTH_S * RATE_HZ) / RATE_HZ
    (folder / "audio").mkdir(parents=True)
    noise = 0.1 * np.random.default_rng(0).normal(size=len(time_s)).clip(-3, 3)
    tones = 0.4 * np.sin(2 * np.pi * 2000 * time_s) * (np.sin(time_s) > 0)
    for fname, wave in (("rain", noise), ("birds", tones)):
        soundfile.write(folder / "audio" / f"{fname}.wav", wave, RATE_HZ)
    (folder / "ground_truth.csv").write_text('fname,labels\nrain,"Rain,Weather"\nbirds,Birds\n')
    return folder


@pytest.mark.slow
def test_windows_of_long_recordings_go_through_all_notebooks_and_are_played_on(recordings, tmp_path):
    grid, data = "models: [logmel, duration]\nsearches: [mcss]\ncutoffs: [5]\n", tmp_path / "data"
    grid = in_process.grid(grid, tmp_path, data, "--dataset", recordings, "--window", "10")
    scores = experiment.read_scores(Store(data), "long-10s", experiment.read_grid(grid))
    own = scores[(scores["model"] == "logmel") & (scores["metric"] == "MAP") & (scores["level"] == "macro")]
    assert own.loc[own["relevance"] == "class", "value"].min() > 0.95  # noise and tones are easily told apart
    assert (tmp_path / "figures" / "long-10s-grid" / "run.json").is_file()
    parameters = {"data_dir": str(data), "dataset": "long-10s", "systems": [SYSTEM]}
    run_notebook(experiment.NOTEBOOKS / "06_listening.ipynb", tmp_path / "06.ipynb", parameters)

    study = Study(Store(data), "long-10s")
    clips = study.collection.clips
    assert clips["fname"].tolist()[-1] == "1:55-2:05 of birds"
    row = clips["fname"].tolist().index("0:40-0:50 of birds")
    board = Board(study, [SYSTEM])
    assert all(clips["file"][i] == "birds" for i, _ in study.results(study.system(SYSTEM), row, 5))
    for clip, from_s, to_s in ((row, 40, 70), (len(clips) - 1, 115, 125)):  # of the page, 30 s at most
        found = board._sound({"clip": clip}, [])
        wave, rate_hz = soundfile.read(io.BytesIO(found["buffers"][0]))
        assert found["seconds"] == 10
        assert len(wave) == (to_s - from_s) * rate_hz
        is_heard = np.sin(from_s + np.arange(len(wave)) / rate_hz) > 0
        assert np.abs(wave[is_heard]).mean() > 50 * np.abs(wave[~is_heard]).mean()
