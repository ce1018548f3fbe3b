"""Audio encoders of the transformers library from a folder: its path is the model's name.

The folder is what `save_pretrained` writes or what a model's page offers: config.json, the feature
extractor's preprocessor_config.json or processor_config.json, and model.safetensors or pytorch_model.bin, in
one file or in parts. Nothing is looked up on the net, and no code that lies there is run. "folder@9" is what
the model has after its ninth layer, in place of the last.
"""

import functools
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sss_lib.models import naming
from sss_lib.models.frontends import batches
from sss_lib.models.loaders.transformers_kinds import HEADS, KINDS, WITHOUT_LAYERS
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint
from sss_lib.models.weights.file import content_digest

_IN_LANGUAGE_MODEL = {"model.audio_tower.": "", "audio_tower.": ""}
"""Names of an encoder in a language model that hears, and in its own file."""
_NOT_TEXT = ("audio_model.", "audio_projection.", "logit_scale_")
"""Beginnings of the names that a CLAP's text encoder doesn't use."""


def spec_of(path: str | Path) -> ModelSpec:
    """Row for a model that isn't in the catalogue, as its configuration describes it.

    Its artefacts note the contents of the folder's .json files and its weights, so that a change is noticed.

    Parameters
    ----------
    path : str or Path
        With "@9" behind it, its embeddings are those after the ninth layer; 0 is the first layer's input.

    Raises
    ------
    ValueError
        If files are missing, it's no audio encoder that is known here, or it has no such layer.
    FileNotFoundError
        If there is no such folder.
    """
    folder, layer = _parted(path)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: check the path of the model")
    config, extractor = _configuration(folder)
    if config.model_type not in KINDS:
        raise ValueError(
            f"{folder} holds a model of type {config.model_type!r}: known are {', '.join(KINDS)}; for "
            "another, write a module with HEAR's interface"
        )
    if layer:
        _check_layer(folder, config, layer)
    has_tokenizer = any((folder / name).is_file() for name in ("tokenizer.json", "vocab.json"))
    files = sorted([*folder.glob("*.json"), *checkpoint.weight_files(folder)])
    _, fields, _ = KINDS[config.model_type]
    labels = (folder.name, f"layer{int(layer)}") if layer else (folder.name,)
    name, display_name = naming.names_of("folder", *labels, path=str(folder))
    return ModelSpec(
        name=name,
        display_name=display_name,
        loader="pe_audio" if config.model_type.startswith("pe_audio") else "transformers_folder",
        rate_hz=extractor.sampling_rate,
        colour="#888888",
        citation=f"a folder with a model of type {config.model_type}",
        requires="transformers",
        has_text=config.model_type == "clap" and has_tokenizer,
        options={
            "folder": str(folder),
            "model_type": config.model_type,
            "digests": [[file.name, content_digest(file)] for file in files],
            **({"layer": int(layer)} if layer else {}),
        },
        **fields(config, extractor),
    )


def layers(path: str | Path) -> range:
    """Numbers that can stand behind "@" after a folder's path; none where it has no layers to choose from."""
    config, _ = _configuration(Path(path))
    if config.model_type in WITHOUT_LAYERS:
        return range(0)
    return range(getattr(config, "audio_config", config).num_hidden_layers + 1)


def _parted(path: str | Path) -> tuple[Path, str]:
    """Folder and the layer behind "@", "" without one. An existing folder's name is not parted."""
    folder, at, layer = str(path).rpartition("@")
    parted = at and not os.path.isdir(path) and os.path.isdir(folder)
    return (
        (Path(os.path.abspath(folder)), layer or "nothing") if parted else (Path(os.path.abspath(path)), "")
    )


def _check_layer(folder: Path, config: Any, layer: str) -> None:
    known = layers(folder)
    if not known:
        raise ValueError(
            f"{folder} is of type {config.model_type!r}, whose layers can't be chosen: leave out @"
        )
    if not (layer.isascii() and layer.isdigit() and int(layer) in known):
        raise ValueError(f"layer {layer!r} of {folder}: give one from 0, its input, to {known[-1]}, its last")


def load(spec: ModelSpec, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Return the encoder: waveform to [n_frames, dim], one window at a time."""
    import torch

    folder = Path(spec.options["folder"])
    config, extractor = _configuration(folder)
    kind, describe, encode = KINDS[spec.options["model_type"]]
    described = describe(config, extractor)
    extractors_way = described.get("short")  # of the feature extractor with short clips
    layer = spec.options.get("layer")
    hop = round(described["hop_s"] * spec.rate_hz)
    device = batches.chosen(device)
    model = _read(folder, kind, HEADS.get(spec.options["model_type"], ())).to(device)

    def features(wave: np.ndarray, **how: Any) -> dict:
        return extractor(wave, sampling_rate=spec.rate_hz, return_tensors="pt", **how).to(device)

    def embed(wave: np.ndarray) -> np.ndarray:
        frames = []
        with torch.inference_mode():
            for piece in _pieces(spec, wave, extractors_way):
                n_frames = -(-len(piece) // hop)  # the rest is the extractor's padding
                frames.append(encode(model, features, piece, layer)[:n_frames])
        return torch.cat(frames).float().cpu().numpy()

    return embed


def text_tower(spec: ModelSpec) -> Callable[[str], np.ndarray]:
    """Text encoder of a CLAP: words to [dim]."""
    return functools.partial(_embed_text, Path(spec.options["folder"]))


def _embed_text(folder: Path, words: str) -> np.ndarray:
    import torch

    tokenizer, model = _text_encoder(folder)
    longest = model.config.max_position_embeddings - model.config.pad_token_id - 1  # where positions begin
    tokens = tokenizer(words, truncation=True, max_length=longest, return_tensors="pt")
    with torch.inference_mode():
        embedded = model(tokens["input_ids"], attention_mask=tokens["attention_mask"]).text_embeds[0]
    return (embedded / embedded.norm()).float().numpy()  # as the sounds' are


@functools.cache
def _text_encoder(folder: Path) -> tuple[Any, Any]:
    """Return the tokenizer and the text encoder of a CLAP."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    return tokenizer, _read(folder, "ClapTextModelWithProjection", _NOT_TEXT)


def _configuration(folder: Path) -> tuple[Any, Any]:
    """Return the configurations of the model and of its feature extractor."""
    import transformers

    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **local)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "At least one mel filter")  # so it is in AST, by design
            extractor = transformers.AutoFeatureExtractor.from_pretrained(folder, **local)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(
            f"{folder} can't be read as an audio model of transformers ({reason}): it needs config.json and "
            "preprocessor_config.json as save_pretrained writes them"
        ) from None
    return config, extractor


def _read(folder: Path, kind: str, heads: tuple[str, ...]) -> Any:
    """Return the encoder with all its weights, in evaluation mode.

    Raises
    ------
    ValueError
        If weights are missing, are no part of the encoder or its heads, or have another shape.
    """
    import torch
    import transformers

    transformers.utils.logging.set_verbosity_error()  # of unused weights, at length
    transformers.utils.logging.disable_progress_bar()
    network = getattr(transformers, kind)
    state = checkpoint.read_folder(folder, dropped=heads, renamed=_IN_LANGUAGE_MODEL)
    config = network.config_class.from_pretrained(folder, local_files_only=True)
    try:
        model, about = network.from_pretrained(
            None, config=config, state_dict=state, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, RuntimeError) as error:
        raise ValueError(f"the weights in {folder} don't fit config.json: {error}") from None
    # The mask is for training, and fine-tuned models are often without; positions are counted anyway.
    optional = ("masked_spec_embed", "position_ids")
    missing = [name for name in about["missing_keys"] if not name.endswith(optional)]
    for names, what in ((missing, "missing is"), (about["unexpected_keys"], "unknown is")):
        if names:
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            first = ", ".join(sorted(names)[:5])
            raise ValueError(f"the weights in {folder} are not those of config.json: {what} {first}{more}")
    return model.eval()


def _pieces(spec: ModelSpec, wave: np.ndarray, extractors_way: str | None) -> list[np.ndarray]:
    """Windows of a wave; one shorter than the window stays so where the feature extractor is to fill it."""
    if not spec.window_s or (len(wave) <= spec.window_size and spec.short == extractors_way):
        return [wave]
    return list(spec.windows(wave))
