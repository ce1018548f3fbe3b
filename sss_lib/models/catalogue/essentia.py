"""What Essentia computes: descriptors, and frozen graphs of networks."""

from typing import Any

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights.file import Weights

ESSENTIA_MODELS = "https://essentia.upf.edu/models"


def _graph(options: dict[str, Any], differs: str, **in_paper: Any) -> dict[str, Any]:
    """Fields of a graph that Essentia runs: its options, and what the 2024 study's code did differently."""
    return {
        "options": options,
        "paper": {"gain_db": 6.0, "options": {**options, "min_s": 1.0, **in_paper}},
        "paper_differs": "6 dB louder, clipped at full scale: its loader's replay gain of 0 dB; clips under "
        f"1 s padded to it with zeros; {differs}",
    }


def _patches(**options: Any) -> dict[str, Any]:
    """Fields of a graph that takes patches of Essentia's bands."""
    options = {"input": "model/Placeholder", "channel": 1, "peak": False, **options}
    options |= {"last_patch": "half", "min_s": 0.0}
    return _graph(options, "a last patch that isn't full dropped", last_patch="full")


def audioset_in_paper(**nodes: str) -> dict[str, Any]:
    """Fields of VGGish and YAMNet as the 2024 study ran them: Essentia's frames, and a patch every 93."""
    frames = {"front_end": "TensorflowInputVGGish", "frame": 400, "hop": 160, "patch": 96, "patch_hop": 93}
    fields = _patches(**frames, **nodes)
    return {
        "paper": {**fields["paper"], "hop_s": 0.93},
        "paper_differs": f"{fields['paper_differs']}; patches every 0.93 s, and frames of Essentia",
    }


def essentia_weights(path: str) -> Weights:
    """Weights of a graph that Essentia's site publishes, without a digest."""
    url = f"{ESSENTIA_MODELS}/{path}.pb"
    return Weights(url.rpartition("/")[2], "CC BY-NC-SA 4.0", "essentia.upf.edu/models", url=url)


def _classifier(name: str, display_name: str, **fields: Any) -> ModelSpec:
    """Network that was trained to classify sounds, and that Essentia runs."""
    return ModelSpec(
        name=name,
        display_name=display_name,
        loader="essentia_graphs",
        modality="A",
        objective="Classification",
        requires="essentia",
        **{"verified": "stand-in graph: the published nodes and shapes", **fields},
    )


def _musicnn(name: str, sha256: str) -> ModelSpec:
    """One of the four networks of the package musicnn: its dataset and its kind."""
    (dataset, kind), in_study = name.upper().split("-"), name == "msd-musicnn"
    is_vgg, is_msd = kind == "VGG", dataset == "MSD"
    return _classifier(
        name,
        "MSD-MusiCNN" if in_study else f"musicnn {dataset}{' VGG' * is_vgg}",
        variation_of="" if in_study else "musicnn",
        rate_hz=16000,
        dim=256 if is_vgg else 200,
        hop_s=93 * 256 / 16000,
        n_parameters="0.6M" if is_vgg else "0.8M",
        data_size="200K" if is_msd else "19K",
        colour="#009E73" if in_study else "#66CCEE",
        trained_on="Million Song Dataset" if is_msd else "MagnaTagATune",
        verified="real weights: equals the published network in TensorFlow",
        citation="Pons and Serra, musicnn: Pre-trained Convolutional Neural Networks for Music Audio "
        "Tagging, arXiv:1909.06654",
        weights=Weights(
            file=f"{name}.pb",
            sha256=sha256,
            licence="ISC",
            source=f"the wheel musicnn 0.1.0 on PyPI, musicnn/{dataset}_{kind.lower()}",
        ),
        options=_patches(
            front_end="TensorflowInputMusiCNN",
            frame=512,
            hop=256,
            patch=187,
            patch_hop=93,
            output="model/pool5" if is_vgg else "model/penultimate",
        )["options"],
    )


def _fsd_sinet(variant: str, name: str) -> ModelSpec:
    return _classifier(
        f"fsd-sinet-{variant}",
        f"FSD-SINet {name}",
        variation_of="FSD-SINet",
        rate_hz=22050,
        dim=512,
        hop_s=50 * 220 / 22050,
        n_parameters="5M",
        data_size="51K",
        colour="#D55E00",
        trained_on="FSD50K",
        citation="Fonseca, Ferraro and Serra, Improving Sound Event Classification by Increasing Shift "
        "Invariance in Convolutional Neural Networks, arXiv:2107.00623",
        weights=essentia_weights(f"audio-event-recognition/fsd-sinet/fsd-sinet-{variant}-1"),
        **_patches(
            front_end="TensorflowInputFSDSINet",
            frame=660,
            hop=220,
            patch=101,
            patch_hop=50,
            input="x",
            output="model/global_max_pooling1d/Max",
            channel=3,
            peak=True,
        ),
    )


def _openl3(content: str, n_bands: int, dim: int) -> ModelSpec:
    return ModelSpec(
        name=f"openl3-{content}-mel{n_bands}-emb{dim}",
        display_name=f"OpenL3 {content} {n_bands} {dim}",
        variation_of="OpenL3",
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
        verified="stand-in graph: its nodes and shapes; the mel front end against librosa and Essentia",
        citation="Cramer, Wu, Salamon and Bello, Look, Listen, and Learn More, ICASSP 2019",
        requires="essentia",
        weights=essentia_weights(f"feature-extractors/openl3/openl3-{content}-mel{n_bands}-emb{dim}-3"),
        **_graph(
            {"n_bands": n_bands, "centred": False, "min_s": 0.0},
            "the first second centred on the beginning, and all that is left at the end counted; symmetric "
            "windows",
            centred=True,
        ),
    )


ROWS = (
    _musicnn("msd-musicnn", "d55a43f628317525793f1ba125c6ff3e8a777a38c9ad3e63ceb80372718dd834"),
    _musicnn("mtt-musicnn", "bbff99fc65500ab412db49ca1b3b5bf1bd2dc4a602e53180e646a4472e6a9fa4"),
    _musicnn("msd-vgg", "413048e0f4045caf7e8bd6cf1b10856bc2ffb5f9bf14953c6c2ff1a2b1a42254"),
    _musicnn("mtt-vgg", "6ecfc10bd0325a37bb9919a55a7c1786bb0f961394c6ce7039b12867c454c61c"),
    ModelSpec(
        name="freesound",
        display_name="Freesound",
        loader="freesound",
        rate_hz=44100,
        dim=1584,
        hop_s=None,
        modality="A",
        n_parameters="0",
        data_size="0",
        colour="#CC79A7",
        verified="Essentia itself",
        citation="Bogdanov, Wack, Gómez, Gulati, Herrera, Mayor, Roma, Salamon, Zapata and Serra, Essentia: "
        "an audio analysis library for music information retrieval, ISMIR 2013",
        requires="essentia",
        options={"silent_frames": "drop", "rhythm": "degara"},
        scaled=True,
    ),
    _classifier(
        "vggish",
        "VGGish",
        rate_hz=16000,
        dim=128,
        hop_s=0.96,
        n_parameters="62M",
        data_size="80M",
        colour="#F0E442",
        trained_on="YouTube-8M, preliminary",
        citation="Hershey, Chaudhuri, Ellis, Gemmeke, Jansen, Moore, Plakal, Platt, Saurous, Seybold, "
        "Slaney, Weiss and Wilson, CNN architectures for large-scale audio classification, ICASSP "
        "2017",
        weights=essentia_weights("feature-extractors/vggish/audioset-vggish-3"),
        options=_patches(log_offset=0.01, patch=96, patch_hop=96, output="model/vggish/embeddings")[
            "options"
        ],
        **audioset_in_paper(output="model/vggish/embeddings"),
    ),
    _fsd_sinet("vgg41-tlpf", "41 TLPF"),
    _fsd_sinet("vgg42-aps", "42 APS"),
    _fsd_sinet("vgg42-tlpf_aps", "42 TLPF APS"),
    _fsd_sinet("vgg42-tlpf", "42 TLPF"),
    *(_openl3(c, bands, dim) for c in ("env", "music") for bands in (128, 256) for dim in (512, 6144)),
)
