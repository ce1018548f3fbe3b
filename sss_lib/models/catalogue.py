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
        trained_on="FSD50K",
        verified="stand-in graph with the published nodes and shapes",
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
        trained_on="AudioSet",
        verified="stand-in graph; the mel front end against librosa and Essentia",
        citation="Cramer et al., Look, Listen, and Learn More, ICASSP 2019",
        requires="essentia",
        **LOUDER,
        weights=_essentia_weights(f"feature-extractors/openl3/openl3-{content}-mel{n_bands}-emb{dim}-3"),
        options={"n_bands": n_bands},
    )


HUGGING_FACE = "https://huggingface.co"


def _beats(iteration: str, sha256: str, *, finetuned: int = 0, url: str = "") -> ModelSpec:
    """BEATs as pretrained, or the first or second that was then finetuned to classify AudioSet."""
    file = f"BEATs_{iteration}" + (f"_finetuned_on_AS2M_cpt{finetuned}" if finetuned else "") + ".pt"
    url = url or f"{HUGGING_FACE}/lpepino/beats_ckpts/resolve/main/{file}"
    source = "github.com/microsoft/unilm/tree/master/beats, whose links need a browser"
    return ModelSpec(
        name=f"beats-{iteration.replace('_plus_', 'plus-').lower()}"
        + (f"-finetuned-cpt{finetuned}" if finetuned else ""),
        display_name=f"BEATs {iteration.replace('_plus_', '+ ')}"
        + (f" finetuned {finetuned}" if finetuned else ""),
        loader="beats",
        rate_hz=16000,
        dim=768,
        hop_s=0.16,
        modality="A",
        objective="Classification",
        n_parameters="90M",
        data_size="1.8M",
        trained_on="AudioSet",
        colour="#882255",
        citation="Chen et al., BEATs: Audio Pre-Training with Acoustic Tokenizers, ICML 2023",
        requires="torch",
        verified="speechbrain's BEATs after Kaldi's front end, seeded weights: tokens up to 1 within 2e-5, "
        "where a clip dies away 2e-3",
        paper={"hop_s": 0.02, "options": {"tokens": True}},
        paper_differs="each of the 8 tokens of 160 ms is a frame: the same mean, another maximum and median",
        weights=Weights(
            file,
            "MIT",
            f"{source}; here from a mirror" if url.startswith(HUGGING_FACE) else source,
            url=url,
            sha256=sha256,
            n_bytes=363_145_291 if finetuned else 361_499_833,
        ),
    )


def _cav_mae(version: str, file: str, url: str, trained_on: str) -> ModelSpec:
    return ModelSpec(
        name=f"cav-mae-{version.lower().replace(' ', '-')}",
        display_name=f"CAV-MAE {version}",
        loader="cavmae",
        rate_hz=16000,
        dim=768,
        hop_s=10.255,
        modality="A&I",
        objective="Audiovisual correspondence",
        n_parameters="85M",
        data_size="1.8M",
        trained_on=trained_on,
        colour="#332288",
        citation="Gong et al., Contrastive Audio-Visual Masked Autoencoder, ICLR 2023",
        requires="torch",
        verified="layers of transformers' ViT, seeded weights: values up to 4 within 1e-5",
        window_s=10.255,  # 1,024 frames of 25 ms, one every 10 ms
        short="pad",
        paper={"rate_hz": 44100, "long": "truncate"},
        paper_differs="audio is left at 44.1 kHz, and the mel bands reach 22 kHz; only the first 10 s count",
        weights=Weights(f"cav-mae-{file}", "BSD-2-Clause", "github.com/YuanGongND/cav-mae", url=url),
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
        trained_on="Million Song Dataset",
        verified="real weights: equals the published network in TensorFlow",
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
        trained_on="-",
        verified="Essentia itself",
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
        trained_on="YouTube-8M, preliminary",
        verified="stand-in graph with the published nodes and shapes",
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
        trained_on="AudioSet",
        verified="stand-in graph with the published nodes and shapes",
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
    _beats("iter3", "8d1b234032a9ccff353612dc6c20982346dc2968b205b79d97303eb5e77bfb34"),
    _beats("iter3", "379369a41d0b3749f746cdcea8036de506cb3aedecce84de7db0a75fda2a4fe7", finetuned=1),
    _beats(
        "iter3",
        "08374f1cbd49143900b351bc81cd307de386a11f8e609eb3862634e992068b55",
        finetuned=2,
        url="https://1drv.ms/u/s!AqeByhGUtINrgcptb4S-CeJnlJGtZA?e=2FyDy3",
    ),
    _beats("iter3_plus_AS2M", "d43cbfad4d7b56381c061d7a24774f908d4d94c72961f6eb1d9090ff18cd8d34"),
    _beats(
        "iter3_plus_AS2M",
        "7f9362028ac6e5c049e8dc314d87e90e4f82a15a8e472deb56af55d7f9b34d6a",
        finetuned=1,
        url="https://1drv.ms/u/s!AqeByhGUtINrgcpoZecQbiXeaUjN8A?e=DasbeC",
    ),
    _beats(
        "iter3_plus_AS2M",
        "e5815275a04b6885e7b8af63d120b29bffae2cd2225cf4915e1ec6d819d3022c",
        finetuned=2,
        url=f"{HUGGING_FACE}/WeiChihChen/BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2/resolve/main/"
        "BEATs_iter3_plus_AS2M_finetuned_on_AS2M_cpt2.pt",
    ),
    _cav_mae(
        "AS 46.6",
        "as_46.6.pth",
        "https://www.dropbox.com/s/itfw7p0ueq7z9og/as_46.6.pth?dl=1",
        "AudioSet with images; its labels, audio only",
    ),
    _cav_mae(
        "pretrained",
        "audio_model.21.pth",
        "https://www.dropbox.com/s/l5t5geufdy3qvnv/audio_model.21.pth?dl=1",
        "AudioSet with images",
    ),
    ModelSpec(
        name="imagebind-huge",
        display_name="ImageBind huge",
        loader="imagebind",
        rate_hz=16000,
        dim=1024,
        hop_s=2.0,
        modality="A&I&L&O",
        objective="Contrastive alignment",
        n_parameters="85M",
        data_size="1.8M",
        trained_on="AudioSet and images with text, depth, heat or motion",
        colour="#44AA99",
        citation="Girdhar et al., ImageBind: One Embedding Space To Bind Them All, CVPR 2023",
        requires="torch",
        verified="a plain numpy network, seeded weights: within 5e-7 at length 1; not the published code",
        window_s=2.0,
        short="pad",
        paper={"long": "spread"},
        paper_differs="only three windows of 2 s count: the first, the middle and the last",
        weights=Weights(
            "imagebind_huge.pth",
            "CC BY-NC-SA 4.0",
            "github.com/facebookresearch/ImageBind",
            url="https://dl.fbaipublicfiles.com/imagebind/imagebind_huge.pth",
        ),
    ),
    ModelSpec(
        name="ast",
        display_name="AST",
        loader="spectrogram_transformer",
        rate_hz=16000,
        dim=768,
        hop_s=10.255,
        modality="A",
        objective="Classification",
        n_parameters="86M",
        data_size="2M",
        trained_on="AudioSet, after ImageNet",
        colour="#661100",
        citation="Gong et al., AST: Audio Spectrogram Transformer, Interspeech 2021",
        requires="transformers",
        extra="torch",
        verified="transformers' own front end and loading, seeded weights: values up to 4 within 1e-5",
        window_s=10.255,  # 1,024 frames of 25 ms, one every 10 ms
        short="pad",
        weights=Weights(
            "ast-finetuned-audioset-10-10-0.4593.safetensors",
            "BSD-3-Clause",
            "huggingface.co/MIT/ast-finetuned-audioset-10-10-0.4593",
            url=f"{HUGGING_FACE}/MIT/ast-finetuned-audioset-10-10-0.4593/resolve/main/model.safetensors",
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
        trained_on="-",
        verified="against SciPy",
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
        trained_on="-",
        verified="by hand",
        citation="this project: logarithm of the length and of the level, the floor",
        floor=True,
    ),
)
CATALOGUE: dict[str, ModelSpec] = {row.name: row for row in _ROWS}
