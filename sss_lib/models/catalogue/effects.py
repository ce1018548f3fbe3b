"""Networks trained on sound effects."""

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights.file import Weights

ROWS = (
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
        colour="#0072B2",
        trained_on="commercial sound-effects libraries",
        verified="real weights: equals the published package's output",
        citation="Ma and Lerch, Representation Learning for the Automatic Indexing of Sound Effects "
        "Libraries, ISMIR 2022",
        requires="torch",
        weights=Weights(
            file="aisfx.safetensors",
            sha256="5bbb0fe4555a8538e8af1e8563085580b6b73d6eae28e46d14a766fa03ddc08c",
            licence="CC BY 4.0",
            source="the wheel aisfx 0.1.2 on PyPI, aisfx/models/checkpoint.pth",
        ),
    ),
)
