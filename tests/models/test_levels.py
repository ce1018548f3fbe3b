"""How loud the audio of each frame is: by sounds whose level is known at any time."""

import numpy as np
import pytest
import small_study
import soundfile

from sss_lib import dataset, experiment, extraction, models
from sss_lib.experiment import Grid, Variant, results
from sss_lib.experiment.store import Store
from sss_lib.models.levels import frame_levels
from sss_lib.models.registry import CATALOGUE

RATE_HZ = 1000


@pytest.fixture
def peaks():
    """A model that gives a frame every 0.1 s: the largest sample, and the number of the frame."""

    def network(wave):
        hops = [wave[i : i + 100] for i in range(0, len(wave), 100)]
        return [[np.abs(hop).max(), place] for place, hop in enumerate(hops)]

    models.register("peaks", network, rate_hz=RATE_HZ, dim=2, hop_s=0.1)
    yield "peaks"
    del CATALOGUE["peaks"]


@pytest.mark.parametrize(
    ("about", "wave", "expected"),
    [
        ({"hop_s": 0.1}, [1, 2, 3], [1, 4, 9]),
        ({"hop_s": 0.1}, [1, 2, 3, 3, 3], [1, 4, 9]),  # what is left belongs to the last frame
        ({"hop_s": 0.1}, [1, 2], [1, 4, 1]),  # the network has repeated it
        ({"hop_s": 0.2, "window_s": 0.2}, [1, 2, 3], [2.5, 6.5]),  # the last window ends where the clip ends
        ({"hop_s": 0.1, "window_s": 0.2}, [1, 2, 3], [1, 4, 4, 9]),  # two frames a window
        ({"hop_s": 0.1, "window_s": 0.2, "short": "pad"}, [1], [1, 0]),
    ],
)
def test_levels_are_those_of_the_audio_that_each_frame_hears(peaks, about, wave, expected):
    models.register("peaks", list, rate_hz=RATE_HZ, dim=2, **about)
    found = frame_levels(np.repeat(np.array(wave, np.float32), 100), models.spec("peaks"), len(expected))
    np.testing.assert_allclose(found, expected)


def test_a_variant_takes_the_frames_that_are_loudest_in_the_audio(peaks, tmp_path):
    small_study.make(tmp_path)
    folder = tmp_path / "levels"
    (folder / "audio").mkdir(parents=True)
    gains = {"late": [0.001, 0.1, 0.5, 0.2], "early": [0.8, 0.001, 0.0, 0.3], "one": [0.5]}
    for fname, of_frames in gains.items():
        soundfile.write(folder / "audio" / f"{fname}.wav", np.repeat(of_frames, 100), RATE_HZ)
    rows = ["fname,labels", *(f"{fname},Noise" for fname in gains)]
    (folder / "ground_truth.csv").write_text("\n".join(rows))
    store, collection = Store(tmp_path), dataset.load(folder)
    dataset.write(store.dataset("levels"), collection, dataset.verify(collection))
    experiment.extract_to(store, dataset.read(store.dataset("levels")), peaks)
    of_fname = dict(zip(extraction.read(store.frames("levels", peaks)).fnames, range(3), strict=True))
    places = {}
    for how in ("mean", "mean-loudest", "mean-onset"):
        (x,) = results.clip_embeddings(store, "levels", Variant(peaks, how))
        places[how] = {fname: float(x[row, 1]) for fname, row in of_fname.items()}
    assert places["mean"] == {"late": 1.5, "early": 1.5, "one": 0}
    assert places["mean-loudest"] == {"late": 2, "early": 0, "one": 0}
    assert places["mean-onset"] == {"late": 2, "early": 1.5, "one": 0}  # of the frames 1 to 3; of all


def test_frames_without_times_are_not_selected():
    models.register("untimed", list, rate_hz=RATE_HZ, dim=2, hop_s=float("inf"))
    try:
        with pytest.raises(ValueError, match="the times of the frames of untimed aren't known"):
            Variant("untimed", "mean-onset")
        found, left_out = Grid(("untimed",), aggregations=("mean", "mean-onset")).systems()
        assert [variant.aggregation for variant, _ in found] == ["mean"]
        assert left_out == ["times of frames of untimed aren't known: no aggregation mean-onset"]
    finally:
        del CATALOGUE["untimed"]


def test_what_selects_frames_goes_stale_with_the_code_that_measures_levels():
    store = Store("nowhere")
    codes = {how: store.embeddings("mini", Variant("yamnet", how)).code for how in ("mean", "mean-onset")}
    assert codes == {"mean": ("processing",), "mean-onset": ("processing", "models.levels")}
