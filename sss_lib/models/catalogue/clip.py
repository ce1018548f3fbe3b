"""Models that learnt from CLIP."""

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights.file import Weights


def _audioclip(variant: str, what: str) -> ModelSpec:
    file = f"AudioCLIP-{variant.capitalize()}-Training.pt"
    release = "github.com/AndreyGuzhov/AudioCLIP/releases/download/v0.1"
    return ModelSpec(
        name=f"audioclip-{variant}",
        display_name="AudioCLIP" if variant == "full" else f"AudioCLIP {variant}",
        variation_of="AudioCLIP",
        loader="audioclip",
        rate_hz=44100,
        dim=1024,
        hop_s=5.0,
        modality="A&I&L",
        objective="Contrastive alignment",
        n_parameters="30M",
        data_size="1.8M",
        colour="#AA4499",
        citation="Guzhov, Raue, Hees and Dengel, AudioCLIP: Extending CLIP to Image, Text and Audio, ICASSP "
        "2022",
        trained_on=f"AudioSet; {what}",
        verified="seeded weights: the authors' own audio modules, unit vectors within 2e-4",
        requires="torch",
        weights=Weights(file, "MIT", "github.com/AndreyGuzhov/AudioCLIP", url=f"https://{release}/{file}"),
        options={"full_scale": 32768.0},
        window_s=5.0,
        short="pad",
        paper={"options": {"full_scale": 1.0}, "window_s": None, "hop_s": None},
        paper_differs="samples of +-1 where the network expects +-32768; the whole clip at once, not 5 s",
    )


ROWS = (
    _audioclip("full", "all three branches"),
    _audioclip("partial", "the audio branch alone, towards CLIP's own spaces"),
    ModelSpec(
        name="wav2clip",
        display_name="Wav2CLIP",
        loader="wav2clip",
        rate_hz=16000,
        dim=512,
        hop_s=None,
        modality="A&I&L",
        objective="Contrastive alignment",
        n_parameters="12M",
        data_size="200K",
        colour="#117777",
        citation="Wu, Seetharaman, Kumar and Bello, Wav2CLIP: Learning Robust Audio Representations from "
        "CLIP, ICASSP 2022",
        trained_on="VGGSound",
        verified="seeded weights: the package wav2clip 0.1.0 with librosa's spectrogram, within 3e-5",
        requires="torch",
        weights=Weights(
            file="Wav2CLIP.pt",
            licence="MIT",
            source="github.com/descriptinc/lyrebird-wav2clip",
            url="https://github.com/descriptinc/lyrebird-wav2clip/releases/download/v0.1.0-alpha/Wav2CLIP.pt",
        ),
        paper={"rate_hz": 44100},
        paper_differs="audio of 44.1 kHz, where the network was trained on 16 kHz",
    ),
)
