"""Models of audio and language."""

from typing import Any

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights.file import Weights

CROPPED: dict[str, Any] = {
    "paper": {"long": "crop"},
    "paper_differs": "one window of a longer clip, at a place that the study drew anew each time",
}
"""What the 2024 study's code did to long clips for CLAP models."""


def _text(repository: str, licence: str) -> dict[str, Any]:
    """What a row tells of its text tower, by the language model whose tokenizer it has."""
    saved_as = f"{repository.rpartition('/')[2]}-tokenizer.json"
    tokenizer = Weights.of_hugging_face(repository, "tokenizer.json", licence, saved_as=saved_as)
    return {"has_text": True, "tokenizer": tokenizer}


def _laion_clap(
    name: str, display_name: str, options: dict, *, n_parameters: str, weights: Weights, **fields: Any
) -> ModelSpec:
    return ModelSpec(
        name=f"laion-{name}",
        display_name=f"LAION-CLAP {display_name}",
        variation_of="LAION-CLAP",
        loader="htsat",
        rate_hz=48000,
        dim=512,
        hop_s=10.0,
        window_s=10.0,
        short="repeatpad",
        modality="A&L",
        objective="Contrastive alignment",
        n_parameters=n_parameters,
        colour="#004488",
        citation="Wu, Chen, Zhang, Hui, Berg-Kirkpatrick and Dubnov, Large-scale Contrastive Language-Audio "
        "Pretraining with Feature Fusion and Keyword-to-Caption Augmentation, ICASSP 2023",
        requires="transformers",
        weights=weights,
        options={"unit": True, **options},
        **_text("FacebookAI/roberta-base", "MIT"),
        **fields,
    )


def _laion_weights(file: str) -> Weights:
    return Weights.of_hugging_face("lukewys/laion_clap", file, "Apache-2.0")


def _laion_fused(variant: str, **fields: Any) -> ModelSpec:
    options = {"publisher": "laion", "size": "tiny", "fusion": True, "bank": "htk"}
    return _laion_clap(
        f"clap-{variant}",
        variant,
        options,
        n_parameters="31M",
        weights=_laion_weights(f"{variant}.pt"),
        verified="seeded weights: the laion-clap package, within 1e-5",
        paper={"options": {"unit": True, **options, "fuse_long": True}, "long": "windows"},
        paper_differs="a clip longer than 10 s is fused: shrunk whole, and three windows of it, at places "
        "that the study drew anew each time",
        **fields,
    )


def _laion_of_transformers(
    repository: str, size: str, n_parameters: str, *, fusion: bool = False, **fields: Any
) -> ModelSpec:
    page, name = f"laion/{repository}", repository.replace("_", "-")
    options = {"fusion": True, "bank": "htk"} if fusion else {"bank": "slaney"}
    return _laion_clap(
        *(name, name.removeprefix("clap-")),
        {"publisher": "transformers", "size": size, **options},
        n_parameters=n_parameters,
        weights=Weights.of_hugging_face(
            page, "pytorch_model.bin", "Apache-2.0", saved_as=f"{repository}.bin"
        ),
        verified="seeded weights: transformers' feature extractor and model, within 1e-5",
        **fields,
    )


def _microsoft(name: str, display_name: str, window_s: float, **fields: Any) -> ModelSpec:
    """Model of Microsoft: an embedding of 1024 values a window."""
    return ModelSpec(
        name=name,
        display_name=display_name,
        rate_hz=44100,
        dim=1024,
        hop_s=window_s,
        window_s=window_s,
        modality="A&L",
        **CROPPED,
        **fields,
    )


def _microsoft_htsat(name: str, display_name: str, *, unit: bool, **fields: Any) -> ModelSpec:
    """Model of Microsoft with an HTSAT encoder."""
    return _microsoft(
        *(name, display_name, 7.0),
        loader="htsat",
        n_parameters="31M",
        requires="transformers",
        options={"publisher": "microsoft", "size": "tiny", "bank": "file", "unit": unit},
        **fields,
    )


def _microsoft_weights(file: str) -> Weights:
    return Weights.of_hugging_face("microsoft/msclap", file, "MS-PL")


ROWS = (
    _laion_fused(
        "630k-fusion-best",
        data_size="2.5M",  # so Table II, which counts AudioSet: by its name this one didn't see that
        trained_on="LAION-Audio-630K, AudioCaps, Clotho",
    ),
    _laion_fused(
        "630k-audioset-fusion-best",
        data_size="2.5M",
        trained_on="LAION-Audio-630K, AudioCaps, Clotho, AudioSet",
    ),
    _laion_clap(
        "clap-music-speech-audioset",
        "music-speech-audioset",
        {"publisher": "laion", "size": "base", "bank": "file"},
        n_parameters="69M",
        data_size="4M",
        trained_on="LAION-Audio-630K, AudioSet, music, speech",
        weights=_laion_weights("music_speech_audioset_epoch_15_esc_89.98.pt"),
        verified="seeded weights: the laion-clap package, within 1e-5",
        **CROPPED,
    ),
    *(
        _laion_of_transformers(
            name, "tiny", "31M", fusion=fusion, data_size="633K", trained_on="LAION-Audio-630K"
        )
        for name, fusion in (("clap-htsat-unfused", False), ("clap-htsat-fused", True))
    ),
    *(
        _laion_of_transformers(f"larger_clap_{what}", "base", "69M", trained_on=trained_on)
        for what, trained_on in (
            ("general", "general audio, music, speech"),
            ("music", "music"),
            ("music_and_speech", "music, speech"),
        )
    ),
    _microsoft(
        "clap-2022",
        "CLAP2022",
        5.0,
        loader="cnn14",
        objective="Contrastive alignment",
        n_parameters="81M",
        data_size="128K",
        trained_on="FSD50K, Clotho, AudioCaps, MACS",
        colour="#BBCC33",
        citation="Elizalde, Deshmukh, Al Ismail and Wang, CLAP: Learning Audio Concepts from Natural "
        "Language Supervision, ICASSP 2023",
        verified="seeded weights: the msclap package, within 1e-5",
        requires="torch",
        weights=_microsoft_weights("CLAP_weights_2022.pth"),
        **_text("google-bert/bert-base-uncased", "Apache-2.0"),
    ),
    _microsoft_htsat(
        "clap-2023",
        "CLAP2023",
        unit=False,
        objective="Contrastive alignment",
        data_size="4.6M",
        trained_on="4.6M audio-text pairs, WavCaps and AudioSet among them",
        colour="#99DDFF",
        citation="Elizalde, Deshmukh and Wang, Natural Language Supervision for General-Purpose Audio "
        "Representations, ICASSP 2024",
        verified="seeded weights: the msclap package, within 1e-5",
        weights=_microsoft_weights("CLAP_weights_2023.pth"),
        **_text("openai-community/gpt2", "MIT"),
    ),
    _microsoft_htsat(
        "pengi",
        "Pengi",
        unit=True,
        objective="Question-answering",
        data_size="3.4M",
        trained_on="3.4M audio-text pairs, AudioSet and FSD50K among them",
        colour="#EE8866",
        citation="Deshmukh, Elizalde, Singh and Wang, Pengi: An Audio Language Model for Audio Tasks, "
        "NeurIPS 2023",
        verified="seeded weights: as CLAP2023, whose network it has, scaled to unit length",
        weights=Weights(
            "pengi_base.pth",
            "MIT (of the code)",
            "zenodo.org/records/8387083, base.pth",
            url="https://zenodo.org/records/8387083/files/base.pth",
        ),
    ),
)
