"""State dicts with the names and shapes of the published CLAP files, and seeded weights."""

from pathlib import Path

import numpy as np
import seeded

DATA = Path(__file__).parent / "data"
KEYS = {
    "laion-clap-630k-fusion-best": "laion-fusion",
    "laion-clap-630k-audioset-fusion-best": "laion-fusion",
    "laion-clap-music-speech-audioset": "laion-base",
    "clap-2023": "clap-2023",
    "pengi": "clap-2023",
    "clap-2022": "clap-2022",
}
"""Key of the recording with each file's names and shapes."""


def state(shapes: dict[str, tuple[int, ...]], kept: dict[str, np.ndarray]) -> dict:
    """Torch tensors by name, a name that ends as one of `kept` (filter banks, indices) with the value there.

    Statistics of batch normalisation suit activations near one; those of the input, which is in decibels,
    are tens below zero and vary by tens. Convolutions make up for the rectifiers behind them.
    """
    import torch

    tensors = {}
    for name, shape in shapes.items():
        given = [value for end, value in kept.items() if name.endswith(end)]
        values = given[0] if given else seeded.values(name, shape)
        if name.endswith("num_batches_tracked"):
            values = np.zeros(shape, np.int64)
        elif name.endswith("running_var"):
            values = (1 + values) * np.float32(400 if "bn0." in name else 1)
        elif name.endswith("bn0.running_mean"):
            values = 10 * values - 40
        elif len(shape) == 4:
            values = 2 * values
        tensors[name] = torch.from_numpy(np.array(values))
    return tensors


def of(recorded: dict[str, np.ndarray], key: str) -> dict:
    """State dict of a file whose names and shapes ("96 1 4 4" for (96, 1, 4, 4)) were recorded."""
    pairs = zip(recorded[f"{key}/names"], recorded[f"{key}/shapes"], strict=True)
    kept = {"relative_position_index": recorded["relative_position_index"]}
    if f"{key}/melW" in recorded:
        kept["melW"] = recorded[f"{key}/melW"]
    return state({str(name): tuple(map(int, shape.split())) for name, shape in pairs}, kept)


def content_of(name: str) -> dict:
    """What the published file holds: names as recorded from the package's own network, random weights."""
    import torch

    state = of(np.load(DATA / "clap_reference.npz"), KEYS[name])
    if name.startswith("laion"):
        state["text_branch.embeddings.position_ids"] = torch.arange(514)[None]
        wrapped = {f"module.{tensor}": value for tensor, value in state.items()}
        return {"epoch": 45, "name": "clap", "best": np.float64(0.9), "state_dict": wrapped}
    state["caption_encoder.base.embeddings.word_embeddings.weight"] = torch.zeros(8, 768)
    if name.startswith("clap-202"):
        return {"model": {**state, "logit_scale": torch.tensor(14.0)}}
    state["caption_decoder.gpt.transformer.wte.weight"] = torch.zeros(8, 768)
    return {"model": {f"module.{tensor}": value for tensor, value in state.items()}}


def of_transformers(size: str, fusion: bool = False):
    """Model of transformers of a size of `htsat.SIZES`, whose random weights follow from a seed."""
    import torch
    import transformers

    from sss_lib.models.loaders import htsat

    torch.manual_seed(0)
    text = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = transformers.ClapConfig(
        text_config={**text, "vocab_size": 8},
        audio_config={**htsat.SIZES[size], "enable_fusion": fusion},
        initializer_factor=8.0,
    )
    return transformers.ClapModel(config).eval()
