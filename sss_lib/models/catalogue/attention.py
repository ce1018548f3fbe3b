"""Transformers on Kaldi's log-mel frames."""

from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights.file import Weights

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
        variation_of="BEATs",
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
        citation="Chen, Wu, Wang, Liu, Tompkins, Chen, Che, Yu and Wei, BEATs: Audio Pre-Training with "
        "Acoustic Tokenizers, ICML 2023",
        requires="torch",
        verified="seeded weights: speechbrain's BEATs after Kaldi's front end, tokens up to 1 within 2e-5, "
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
        variation_of="CAV-MAE",
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
        citation="Gong, Rouditchenko, Liu, Harwath, Karlinsky, Kuehne and Glass, Contrastive Audio-Visual "
        "Masked Autoencoder, ICLR 2023",
        requires="torch",
        verified="seeded weights: layers of transformers' ViT, values up to 4 within 1e-5",
        window_s=10.255,  # 1,024 frames of 25 ms, one every 10 ms
        short="pad",
        paper={"rate_hz": 44100, "long": "truncate"},
        paper_differs="audio is left at 44.1 kHz, and the mel bands reach 22 kHz; only the first 10 s count",
        weights=Weights(f"cav-mae-{file}", "BSD-2-Clause", "github.com/YuanGongND/cav-mae", url=url),
    )


ROWS = (
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
        variation_of="ImageBind",
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
        citation="Girdhar, El-Nouby, Liu, Singh, Alwala, Joulin and Misra, ImageBind: One Embedding Space "
        "To Bind Them All, CVPR 2023",
        requires="torch",
        verified="seeded weights: a plain numpy network, not the published code, within 5e-7 at length 1",
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
        citation="Gong, Chung and Glass, AST: Audio Spectrogram Transformer, Interspeech 2021",
        requires="transformers",
        verified="seeded weights: transformers' own front end and loading, values up to 4 within 1e-5",
        window_s=10.255,  # 1,024 frames of 25 ms, one every 10 ms
        short="pad",
        weights=Weights.of_hugging_face(
            "MIT/ast-finetuned-audioset-10-10-0.4593",
            "model.safetensors",
            "BSD-3-Clause",
            saved_as="ast-finetuned-audioset-10-10-0.4593.safetensors",
        ),
    ),
)
