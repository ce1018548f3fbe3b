"""The sounds that come with the repository, in FSD50K's form."""

from pathlib import Path

from sss_lib.dataset import ground_truth
from sss_lib.dataset.ground_truth import GroundTruth
from sss_lib.dataset.known.collection import Collection
from sss_lib.dataset.known.fsd50k import taxonomy


def read(root: Path) -> GroundTruth:
    """Ground truth of the collection in a folder."""
    audio_dir = root / "audio"
    return ground_truth.of_csv(root / "ground_truth.csv", ground_truth.audio_files(audio_dir), audio_dir)


MINI = Collection(
    name="mini",
    title="the embedded sounds",
    licence="CC0 or CC BY-SA 3.0, clip by clip",
    source="data/mini/README.md",
    folder="mini",
    read=read,
    taxonomy=taxonomy,
)
