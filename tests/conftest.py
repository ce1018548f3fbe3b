"""Fixtures that several test files share."""

import numpy as np
import pytest
import small_study
import soundfile

from sss_lib import audio, dataset, models
from sss_lib.models.catalogue import CATALOGUE

RATE_HZ = 44100
GROUND_TRUTH = """\
fname,labels,uploader
b,"Dog,Animal",ann
007,"Cat,Animal",ben
é,Rain,ann
1e5,"Dog,Animal,Rain",cas
a,Animal,
"""
CLASSES = """\
label,parents,family
Animal,,Living
Cat,Animal,Living
Dog,Animal,Living
Rain,,
"""


@pytest.fixture(scope="session")
def mini():
    """The embedded collection."""
    return dataset.load("mini")


@pytest.fixture
def collection(tmp_path):
    """Folder of five clips, 0.1 s to 0.5 s long, whose order is neither alphabetical nor by length."""
    folder = tmp_path / "tiny"
    (folder / "audio").mkdir(parents=True)
    for i, fname in enumerate(["007", "1e5", "a", "b", "é"]):
        time_s = np.arange((i + 1) * RATE_HZ // 10) / RATE_HZ
        wave = 0.5 * np.sin(2 * np.pi * 200 * (i + 1) * time_s)
        soundfile.write(folder / "audio" / f"{fname}.wav", wave, RATE_HZ)
    (folder / "ground_truth.csv").write_text(GROUND_TRUTH, encoding="utf-8")
    (folder / "classes.csv").write_text(CLASSES, encoding="utf-8")
    return folder


@pytest.fixture
def windowed_model():
    """Name of a registered model that takes a tenth of a second at once, and gives its peak."""
    models.register(
        "peak",
        lambda wave: [[abs(window).max()] for window in audio.windows(wave, 1600)],
        rate_hz=16000,
        dim=1,
        hop_s=0.1,
        window_s=0.1,
    )
    yield "peak"
    del CATALOGUE["peak"]


@pytest.fixture(scope="session")
def small_store(tmp_path_factory):
    """Store of a study of a dozen made-up sounds; see small_study."""
    return small_study.make(tmp_path_factory.mktemp("study"))
