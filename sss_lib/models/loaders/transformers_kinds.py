"""Audio encoders of the transformers library: how each kind is described, and what its embeddings are."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from sss_lib.io import windowing
from sss_lib.models.loaders import pe_audio

if TYPE_CHECKING:
    import torch


def _any_length(dim: int, hop_s: float) -> dict:
    return {"dim": dim, "hop_s": float(hop_s)}


def _one_a_window(dim: int, window_s: float, short: str) -> dict:
    return {"dim": dim, "hop_s": float(window_s), "window_s": float(window_s), "short": short}


def _states(network: Any, layer: int | None, *inputs: Any) -> "torch.Tensor":
    """Hidden states of a layer [1, n_tokens, dim], of None those that the network ends with."""
    if layer is None:
        return network(*inputs).last_hidden_state
    return network(*inputs, output_hidden_states=True).hidden_states[layer]


def _describe_speech(config: Any, extractor: Any) -> dict:
    return _any_length(config.hidden_size, np.prod(config.conv_stride) / extractor.sampling_rate)


def _encode_speech(model: Any, features: Callable, wave: np.ndarray, layer: int | None) -> "torch.Tensor":
    shortest = 1  # samples that one frame sees
    config = model.config
    for kernel, stride in zip(config.conv_kernel[::-1], config.conv_stride[::-1], strict=True):
        shortest = (shortest - 1) * stride + kernel
    return _states(model, layer, features(windowing.pad_to(wave, shortest))["input_values"])[0]


def _describe_ast(config: Any, extractor: Any) -> dict:
    return _one_a_window(config.hidden_size, extractor.max_length * 0.01, "pad")


def _encode_ast(model: Any, features: Callable, wave: np.ndarray, layer: int | None) -> "torch.Tensor":
    # As its pooler: the mean of the two tokens that stand for the whole clip.
    return _states(model, layer, features(windowing.pad_to(wave, 400))["input_values"])[:, :2].mean(1)


def _describe_clap(config: Any, extractor: Any) -> dict:
    dim = getattr(config, "audio_config", config).projection_dim
    return _one_a_window(dim, extractor.max_length_s, "repeatpad")


def _encode_clap(model: Any, features: Callable, wave: np.ndarray, layer: None) -> "torch.Tensor":
    inputs = features(wave)
    # No window is longer than itself: where none is, the extractor would call one so at random.
    embedded = model(inputs["input_features"], is_longer=inputs["is_longer"] & False).audio_embeds
    return embedded / embedded.norm(dim=-1, keepdim=True)  # as in the library's get_audio_features


def _describe_whisper(config: Any, extractor: Any) -> dict:
    return {
        "dim": config.d_model,
        "hop_s": 2 * extractor.hop_length / extractor.sampling_rate,
        "window_s": float(extractor.chunk_length),
        "short": "pad",
    }


def _encode_whisper(model: Any, features: Callable, wave: np.ndarray, layer: int | None) -> "torch.Tensor":
    return _states(model.encoder, layer, features(wave)["input_features"])[0]


def _describe_averaged(config: Any, extractor: Any) -> dict:
    described = _describe_whisper(getattr(config, "audio_config", config), extractor)
    return described | {"hop_s": 2 * described["hop_s"]}


def _encode_averaged(model: Any, features: Callable, wave: np.ndarray, layer: int | None) -> "torch.Tensor":
    """Encoder as Whisper's that doesn't see the padding, and ends with the means of two frames each."""
    inputs = features(wave, return_attention_mask=True)
    mask, n_frames = inputs["attention_mask"], -(-int(inputs["attention_mask"].sum()) // 2)
    if model.config.model_type == "qwen2_audio_encoder":  # which wants what is added to the attention
        mask = (mask[:, None, None, ::2] - 1) * 1e30
    states = model(inputs["input_features"], mask, output_hidden_states=layer is not None)
    frames = states.last_hidden_state if layer is None else states.hidden_states[layer]
    if frames.shape[1] == model.max_source_positions:  # a layer before the last
        frames = model.avg_pooler(frames.mT).mT
    return frames[0, : max(1, n_frames // 2)]


def _describe_bert(config: Any, extractor: Any) -> dict:
    return _any_length(config.hidden_size, extractor.stride * 0.01)


def _encode_bert(model: Any, features: Callable, wave: np.ndarray, layer: int | None) -> "torch.Tensor":
    # Two frames of 25 ms, one every 10 ms: with one, its deviation over time would be of nothing.
    inputs = features(windowing.pad_to(wave, 560))
    return _states(model, layer, *inputs.values())[0, : max(1, int(inputs["attention_mask"].sum()))]


def _describe_codec(config: Any, extractor: Any) -> dict:
    described = _any_length(config.hidden_size, config.hop_length / extractor.sampling_rate)
    window_s = getattr(config, "chunk_length_s", None)
    return described | ({"window_s": float(window_s), "short": "pad"} if window_s else {})


def _encode_codec(model: Any, features: Callable, wave: np.ndarray, layer: None) -> "torch.Tensor":
    """What a codec's encoder gives, before it is quantised."""
    n_channels = getattr(model.config, "audio_channels", 1)
    values = features(np.stack([wave] * n_channels) if n_channels > 1 else wave)["input_values"]
    if getattr(model.config, "normalize", False):
        values = values / (values.mean(1).square().mean().sqrt() + 1e-8)
    return model.encoder(values)[0].T


def _describe_pe(config: Any, extractor: Any) -> dict:
    return _any_length(config.text_config.hidden_size, pe_audio.HOP / extractor.sampling_rate)


def _describe_pe_av(config: Any, extractor: Any) -> dict:
    return {"dim": config.text_config.hidden_size, "hop_s": None}


_AVERAGED = _describe_averaged, _encode_averaged
_CODEC = _describe_codec, _encode_codec
_SPEECH = _describe_speech, _encode_speech
KINDS: dict[str, tuple[str, Callable[[Any, Any], dict[str, Any]], Any]] = {
    "audio-spectrogram-transformer": ("ASTModel", _describe_ast, _encode_ast),
    **dict.fromkeys(("audioflamingo3", "audioflamingo3_encoder"), ("AudioFlamingo3Encoder", *_AVERAGED)),
    "clap": ("ClapAudioModelWithProjection", _describe_clap, _encode_clap),
    "dac": ("DacModel", *_CODEC),
    "data2vec-audio": ("Data2VecAudioModel", *_SPEECH),
    "encodec": ("EncodecModel", *_CODEC),
    "hubert": ("HubertModel", *_SPEECH),
    "pe_audio": ("", _describe_pe, None),  # the loader pe_audio reads these two
    "pe_audio_video": ("", _describe_pe_av, None),
    **dict.fromkeys(("qwen2_audio", "qwen2_audio_encoder"), ("Qwen2AudioEncoder", *_AVERAGED)),
    "unispeech": ("UniSpeechModel", *_SPEECH),
    "unispeech-sat": ("UniSpeechSatModel", *_SPEECH),
    "wav2vec2": ("Wav2Vec2Model", *_SPEECH),
    "wav2vec2-bert": ("Wav2Vec2BertModel", _describe_bert, _encode_bert),
    "wav2vec2-conformer": ("Wav2Vec2ConformerModel", *_SPEECH),
    "wavlm": ("WavLMModel", *_SPEECH),
    "whisper": ("WhisperModel", _describe_whisper, _encode_whisper),
}
"""By the model_type of config.json: class, configuration to fields of the spec, window to [n_frames, dim]."""
WITHOUT_LAYERS = ("clap", "dac", "encodec", "pe_audio", "pe_audio_video")
"""Kinds whose last layers alone give embeddings of one size."""
_SPEECH_HEADS = (
    *("lm_head.", "classifier.", "projector.", "layer_weights", "tdnn.", "objective."),
    *("feature_extractor.weight", "feature_extractor.bias", "quantizer.", "project_q.", "project_hid."),
    *("ctc_proj.", "speaker_proj.", "label_embeddings_concat", "layer_norm_for_extract."),
)
_LANGUAGE_MODEL = (
    "language_model.",
    "model.language_model.",
    "multi_modal_",
    "model.multi_modal_",
    "lm_head.",
)
HEADS: dict[str, tuple[str, ...]] = {
    "audio-spectrogram-transformer": ("classifier.",),
    "clap": ("text_model.", "text_projection.", "logit_scale_"),
    **{kind: _LANGUAGE_MODEL for kind, (_, *how) in KINDS.items() if how == [*_AVERAGED]},
    **{kind: _SPEECH_HEADS for kind, (_, *how) in KINDS.items() if how == [*_SPEECH]},
    "wav2vec2-bert": _SPEECH_HEADS,
    "whisper": ("proj_out.",),
}
"""By the model_type: beginnings of names in the published files that the encoder doesn't use."""
