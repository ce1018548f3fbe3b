"""The catalogue of audio representations: one row a model, and nothing about any of them anywhere else."""

from dataclasses import dataclass

from sss_lib.models.weights import Weights, digest


@dataclass(frozen=True)
class ModelSpec:
    """One audio representation: what it is, and what a run needs to know of it.

    Attributes
    ----------
    name, display_name : str
    loader : str
        Module of `sss_lib.models` whose `load(spec, device)` gives the network.
    rate_hz : int
        Sample rate of the waveform it takes.
    dim : int
        Size of one embedding.
    hop_s : float or None
        Seconds between frame embeddings; None where a clip has one embedding.
    modality : str
        What it was trained on: A audio, I images, L language; "-" for no training.
    objective, n_parameters, data_size : str
        Training objective, parameters and training clips, as the paper's Table II prints them.
    colour : str
        Of its bars and points in every figure.
    citation : str
    weights : Weights or None
    floor : bool
        A floor that any representation must beat, not a contender.
    """

    name: str
    display_name: str
    loader: str
    rate_hz: int
    dim: int
    hop_s: float | None
    modality: str
    objective: str
    n_parameters: str
    data_size: str
    colour: str
    citation: str
    weights: Weights | None = None
    floor: bool = False

    @property
    def aggregations(self) -> tuple[str, ...]:
        """The ways to make one embedding of a clip's frames."""
        return ("mean", "max", "median") if self.hop_s else ("none",)

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules of sss_lib whose code makes its embeddings."""
        return (f"models.{self.loader}", "models.spectrogram")

    def parameters(self) -> dict:
        """What an artefact made with it records."""
        return {
            "model": self.name,
            "weights": digest(self.weights) if self.weights else None,
            "rate_hz": self.rate_hz,
            "dim": self.dim,
            "hop_s": self.hop_s,
        }


_ROWS = (
    ModelSpec(
        name="aisfx",
        display_name="aiSFX",
        loader="aisfx",
        rate_hz=44100,
        dim=512,
        hop_s=50 * 1024 / 44100,
        modality="A",
        objective="Classification",
        n_parameters="4.7M",
        data_size="-",
        colour="#0072B2",
        citation="Ma and Lerch, Representation Learning for the Automatic Indexing of Sound Effects "
        "Libraries, ISMIR 2022",
        weights=Weights(
            file="aisfx.safetensors",
            sha256="5bbb0fe4555a8538e8af1e8563085580b6b73d6eae28e46d14a766fa03ddc08c",
            licence="CC BY 4.0",
            source="the wheel aisfx 0.1.2 on PyPI, aisfx/models/checkpoint.pth",
        ),
    ),
    ModelSpec(
        name="logmel",
        display_name="Log-mel statistics",
        loader="descriptors",
        rate_hz=44100,
        dim=128,
        hop_s=None,
        modality="-",
        objective="-",
        n_parameters="0",
        data_size="0",
        colour="#E69F00",
        citation="this project: mean and standard deviation over time of 64 log-mel bands",
    ),
    ModelSpec(
        name="duration",
        display_name="Duration and level",
        loader="descriptors",
        rate_hz=44100,
        dim=2,
        hop_s=None,
        modality="-",
        objective="-",
        n_parameters="0",
        data_size="0",
        colour="#999999",
        citation="this project: logarithm of the length and of the level, the floor",
        floor=True,
    ),
)
CATALOGUE: dict[str, ModelSpec] = {row.name: row for row in _ROWS}
