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


CROPPED = {
    "paper": {"long": "crop"},
    "paper_differs": "one window of a longer clip, at a place that the study drew anew each time",
}
"""What the 2024 study's code did to long clips for CLAP models."""


def _laion_clap(
    name: str, display_name: str, options: dict, *, n_parameters: str, weights: Weights, **fields: object
) -> ModelSpec:
    return ModelSpec(
        name=f"laion-{name}",
        display_name=f"LAION-CLAP {display_name}",
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
        citation="Wu et al., Large-scale Contrastive Language-Audio Pretraining with Feature Fusion and "
        "Keyword-to-Caption Augmentation, ICASSP 2023",
        requires="transformers",
        extra="torch",
        weights=weights,
        options={"unit": True, **options},
        **fields,
    )


def _laion_weights(file: str) -> Weights:
    """Weights that the authors of LAION-CLAP publish, without a digest."""
    page = "huggingface.co/lukewys/laion_clap"
    return Weights(file, "Apache-2.0", page, url=f"https://{page}/resolve/main/{file}")


def _laion_fused(variant: str, **fields: object) -> ModelSpec:
    options = {"publisher": "laion", "size": "tiny", "fusion": True, "bank": "htk"}
    return _laion_clap(
        f"clap-{variant}",
        variant,
        options,
        n_parameters="31M",
        weights=_laion_weights(f"{variant}.pt"),
        verified="random weights: the laion-clap package, within 1e-5",
        paper={"options": {"unit": True, **options, "fuse_long": True}},
        paper_differs="a clip longer than 10 s is fused: shrunk whole, and three windows of it, at places "
        "that the study drew anew each time",
        **fields,
    )


def _laion_of_transformers(name: str, repository: str, size: str, n_parameters: str, **fields: object):
    page = f"huggingface.co/laion/{repository}"
    file = f"{repository}.bin"
    return _laion_clap(
        *(name, name.removeprefix("clap-")),
        {"publisher": "transformers", "size": size, "bank": "slaney"},
        n_parameters=n_parameters,
        weights=Weights(file, "Apache-2.0", page, url=f"https://{page}/resolve/main/pytorch_model.bin"),
        verified="random weights: transformers' feature extractor and model, within 1e-5",
        **fields,
    )


def _microsoft_weights(file: str) -> Weights:
    """Weights that the authors of CLAP 2022 and 2023 publish, without a digest."""
    page = "huggingface.co/microsoft/msclap"
    return Weights(file, "MS-PL", page, url=f"https://{page}/resolve/main/{file}")


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
        verified="random weights: the laion-clap package, within 1e-5",
        **CROPPED,
    ),
    _laion_of_transformers(
        "clap-htsat-unfused",
        "clap-htsat-unfused",
        "tiny",
        "31M",
        data_size="633K",
        trained_on="LAION-Audio-630K",
    ),
    _laion_of_transformers(
        "larger-clap-general",
        "larger_clap_general",
        "base",
        "69M",
        data_size="-",
        trained_on="general audio, music, speech",
    ),
    ModelSpec(
        name="clap-2022",
        display_name="CLAP2022",
        loader="cnn14",
        rate_hz=44100,
        dim=1024,
        hop_s=5.0,
        window_s=5.0,
        modality="A&L",
        objective="Contrastive alignment",
        n_parameters="81M",
        data_size="128K",
        trained_on="FSD50K, Clotho, AudioCaps, MACS",
        colour="#BBCC33",
        citation="Elizalde et al., CLAP: Learning Audio Concepts from Natural Language Supervision, "
        "ICASSP 2023",
        verified="random weights: the msclap package, within 1e-5",
        requires="torch",
        weights=_microsoft_weights("CLAP_weights_2022.pth"),
        **CROPPED,
    ),
    ModelSpec(
        name="clap-2023",
        display_name="CLAP2023",
        loader="htsat",
        rate_hz=44100,
        dim=1024,
        hop_s=7.0,
        window_s=7.0,
        modality="A&L",
        objective="Contrastive alignment",
        n_parameters="31M",
        data_size="4.6M",
        trained_on="4.6M audio-text pairs, WavCaps and AudioSet among them",
        colour="#99DDFF",
        citation="Elizalde et al., Natural Language Supervision for General-Purpose Audio Representations, "
        "ICASSP 2024",
        verified="random weights: the msclap package, within 1e-5",
        requires="transformers",
        extra="torch",
        weights=_microsoft_weights("CLAP_weights_2023.pth"),
        options={"publisher": "microsoft", "size": "tiny", "bank": "file", "unit": False},
        **CROPPED,
    ),
    ModelSpec(
        name="pengi",
        display_name="Pengi",
        loader="htsat",
        rate_hz=44100,
        dim=1024,
        hop_s=7.0,
        window_s=7.0,
        modality="A&L",
        objective="Question-answering",
        n_parameters="31M",
        data_size="3.4M",
        trained_on="3.4M audio-text pairs, AudioSet and FSD50K among them",
        colour="#EE8866",
        citation="Deshmukh et al., Pengi: An Audio Language Model for Audio Tasks, NeurIPS 2023",
        verified="random weights: as CLAP2023, whose network it has, scaled to unit length",
        requires="transformers",
        extra="torch",
        weights=Weights(
            "pengi_base.pth",
            "MIT (of the code)",
            "zenodo.org/records/8387083, base.pth",
            url="https://zenodo.org/records/8387083/files/base.pth",
        ),
        options={"publisher": "microsoft", "size": "tiny", "bank": "file", "unit": True},
        **CROPPED,
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
