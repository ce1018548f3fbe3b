"""Folders of transformers' audio models, and PE-A-Frame, on small models with random weights."""

import dataclasses
import json
import shutil

import numpy as np
import published_clap
import pytest
import seeded
from seeded import noise

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

from sss_lib import experiment, models  # noqa: E402
from sss_lib.models import Extractor  # noqa: E402
from sss_lib.models.loaders import pe_audio, transformers_folder  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:At least one mel filter")  # of AST, when it is made
SMALL = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
SPEECH = {**SMALL, "conv_dim": (8,) * 7, "num_feat_extract_layers": 7, "num_conv_pos_embeddings": 16}
CLAP = {
    "patch_embeds_hidden_size": 16,
    "hidden_size": 128,
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 2, 4, 8],
    "projection_dim": 24,
}
DAC = {"model_type": "dac", "sampling_rate": 48000, "encoder_hidden_size": 4}
PE = {**SMALL, "head_dim": 8, "dac_config": DAC}
TEXT = {**SMALL, "vocab_size": 60}
SPEECH_MODELS = {
    "data2vec-audio": "Data2VecAudioForCTC",
    "hubert": "HubertForCTC",
    "unispeech": "UniSpeechForPreTraining",
    "unispeech-sat": "UniSpeechSatForPreTraining",
    "wav2vec2": "Wav2Vec2ForCTC",
    "wav2vec2-conformer": "Wav2Vec2ConformerForPreTraining",
    "wavlm": "WavLMModel",
}
LISTENERS = {"audioflamingo3": "AudioFlamingo3", "qwen2_audio": "Qwen2Audio"}
"""Language models that hear: their encoders are published with them and alone."""
KINDS = [*transformers_folder.KINDS, "clap fused", "encodec 48 kHz"]


def write(kind, folder):
    """Save a small model of a kind as people publish it, with a head or a text tower."""
    t = transformers
    saved = None
    if kind in SPEECH_MODELS:
        head = getattr(t, SPEECH_MODELS[kind])
        sizes = SPEECH | ({"num_conv_pos_embeddings": 3} if kind == "data2vec-audio" else {})
        model = head(head.config_class(**sizes, vocab_size=12))
        extractor = t.Wav2Vec2FeatureExtractor(do_normalize=True)
    elif kind == "wav2vec2-bert":
        model = t.Wav2Vec2BertForCTC(t.Wav2Vec2BertConfig(**SMALL, vocab_size=12))
        extractor = t.SeamlessM4TFeatureExtractor(padding_value=1)
    elif kind.removesuffix("_encoder") in LISTENERS:
        sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16, "hidden_size": 16}
        head = getattr(t, f"{LISTENERS[kind.removesuffix('_encoder')]}ForConditionalGeneration")
        encoder = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 16}
        encoder = encoder if "qwen" in kind else sizes
        sizes = {**sizes, "vocab_size": 60, "num_key_value_heads": 2, "model_type": "qwen2"}
        audio = {"model_type": f"{kind.removesuffix('_encoder')}_encoder", "max_source_positions": 250}
        model = head(
            head.config_class(audio_config={**encoder, **audio}, text_config=sizes, audio_token_id=5)
        )
        saved = model.model.audio_tower if kind.endswith("_encoder") else None
        extractor = t.WhisperFeatureExtractor(feature_size=128, chunk_length=5)
    elif kind == "dac":
        model = t.DacModel(t.DacConfig(encoder_hidden_size=4, decoder_hidden_size=32, sampling_rate=16000))
        extractor = t.DacFeatureExtractor(sampling_rate=16000)
    elif kind.startswith("encodec"):
        sizes = {"num_filters": 2, "hidden_size": 8, "codebook_dim": 8, "codebook_size": 64}
        stereo = {"sampling_rate": 48000, "audio_channels": 2, "normalize": True, "chunk_length_s": 1.0}
        stereo |= {"overlap": 0.01, "use_causal_conv": False, "norm_type": "time_group_norm"}
        config = t.EncodecConfig(**sizes, **(stereo if "48" in kind else {}))
        model = t.EncodecModel(config)
        extractor = t.EncodecFeatureExtractor(
            config.audio_channels, config.sampling_rate, 0.0, config.chunk_length_s, config.overlap
        )
    elif kind == "audio-spectrogram-transformer":
        model = t.ASTForAudioClassification(t.ASTConfig(**SMALL, max_length=200))
        extractor = t.ASTFeatureExtractor(max_length=200)
    elif kind == "whisper":
        sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "d_model": 16}
        sizes |= {
            "decoder_attention_heads": 2,
            "encoder_ffn_dim": 16,
            "decoder_ffn_dim": 16,
            "vocab_size": 60,
        }
        tokens = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 3}
        config = t.WhisperConfig(**sizes, **tokens, max_source_positions=250)
        model, extractor = (
            t.WhisperForConditionalGeneration(config),
            t.WhisperFeatureExtractor(chunk_length=5),
        )
    elif kind.startswith("clap"):
        fused = kind == "clap fused"
        text = {**TEXT, "projection_dim": 24}
        model = t.ClapModel(
            t.ClapConfig(audio_config={**CLAP, "enable_fusion": fused}, text_config=text, projection_dim=24)
        )
        extractor = t.ClapFeatureExtractor(truncation="fusion" if fused else "rand_trunc")
    else:
        text = {**TEXT, "model_type": "modernbert", "pad_token_id": 0}
        head = t.PeAudioModel if kind == "pe_audio_video" else t.PeAudioFrameLevelModel
        model = head(t.PeAudioConfig(audio_config=PE, text_config=text))
        extractor = t.PeAudioFeatureExtractor()
    (saved or model.eval()).save_pretrained(folder)
    if kind == "pe_audio_video":  # which can't be made without another library, but holds this model
        parts = {"text_config": text, "audio_video_config": {**SMALL, "audio_config": PE}}
        (folder / "config.json").write_text(json.dumps({"model_type": kind, **parts}))
        state = {f"audio_model.{name}": value for name, value in model.state_dict().items()}
        torch.save({**state, "audio_video_head.proj.weight": torch.ones(2)}, folder / "pytorch_model.bin")
        (folder / "model.safetensors").unlink()
    extractor.save_pretrained(folder)
    return model, extractor


def seen(part, call):
    """What a part of a model was given, and gave, while the whole was called: positions, names, output."""
    found = []
    handle = part.register_forward_hook(lambda _, *about: found.append(about), with_kwargs=True)
    call()
    handle.remove()
    return found[0]


def of_the_listener(model, extractor, wave, **how):
    """What the encoder of a language model gives while that hears a sound and a word."""
    inputs = extractor(
        wave, sampling_rate=16000, return_tensors="pt", return_attention_mask=True, padding="max_length"
    )
    n_frames = (int(inputs["attention_mask"].sum()) + 1) // 2 // 2
    tokens = torch.tensor([[7] + [5] * n_frames + [9]])
    mask = {"qwen2_audio": "feature_attention_mask"}.get(model.config.model_type, "input_features_mask")
    sound = {"input_features": inputs["input_features"], mask: inputs["attention_mask"]}
    tower = model.model.audio_tower
    given, named, _ = seen(tower, lambda: model(input_ids=tokens, attention_mask=tokens > 0, **sound))
    return tower(*given, **named | how), n_frames


def expected(kind, model, extractor, wave):
    """What the library gives of a wave no longer than a window, called as its documentation says."""
    wave = np.stack([wave, wave]) if kind == "encodec 48 kHz" else wave
    inputs = extractor(wave, sampling_rate=extractor.sampling_rate, return_tensors="pt")
    with torch.inference_mode():
        if kind in (*SPEECH_MODELS, "wav2vec2-bert"):
            frames = getattr(model, model.base_model_prefix, model)(**inputs).last_hidden_state[0]
            return frames[: inputs["attention_mask"].sum() if kind == "wav2vec2-bert" else None].numpy()
        if kind.removesuffix("_encoder") in LISTENERS:
            output, n_frames = of_the_listener(model, extractor, wave)
            return output.last_hidden_state[0, :n_frames].numpy()
        if kind == "dac" or kind.startswith("encodec"):
            *_, frames = seen(model.encoder, lambda: model.encode(inputs["input_values"]))
            hop = model.config.hop_length
            return frames[0].T[: -(-len(wave.T) // hop)].numpy()
        if kind == "audio-spectrogram-transformer":
            return model.audio_spectrogram_transformer(**inputs).pooler_output.numpy()
        if kind == "whisper":
            frames = model.model.encoder(inputs["input_features"]).last_hidden_state[0]
            return frames[: -(-len(wave) // 320)].numpy()
        if kind.startswith("clap"):
            is_longer = torch.tensor([[False]])
            embedding = model.get_audio_features(inputs["input_features"], is_longer).pooler_output
            return embedding.numpy()
        return model.get_audio_embeds(**inputs).numpy().reshape(-1, 16)


ALIKE = ("data2vec-audio", "unispeech", "unispeech-sat", "wav2vec2-conformer")
"""Of one code with hubert, wav2vec2 and wavlm."""


@pytest.fixture(
    scope="module", params=[pytest.param(kind, marks=[pytest.mark.slow] * (kind in ALIKE)) for kind in KINDS]
)
def published(request, tmp_path_factory):
    """Kind, folder, and the model and extractor that were saved there."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / f"my {request.param}+1"
    return request.param, folder, *write(request.param, folder)


def load(folder):
    spec = transformers_folder.spec_of(folder)
    loader = {"pe_audio": pe_audio, "transformers_folder": transformers_folder}[spec.loader]
    return Extractor(spec, loader.load(spec, "cpu"))


def test_a_folder_gives_what_the_library_gives(published):
    kind, folder, model, extractor = published
    loaded = load(folder)
    wave = noise(int((0.9 if kind == "encodec 48 kHz" else 1.33) * loaded.spec.rate_hz))
    frames, right = loaded(wave), expected(kind, model, extractor, wave)
    assert frames.shape == right.shape
    np.testing.assert_allclose(frames, right, rtol=0, atol=1e-4 * np.abs(right).max())


def test_a_layer_is_the_librarys_hidden_state(published, tmp_path):
    kind, folder, model, extractor = published
    if kind.startswith(transformers_folder.WITHOUT_LAYERS):
        with pytest.raises(ValueError, match="whose layers can't be chosen: leave out @"):
            models.spec(f"{folder}@0")
        return
    plain, wave = load(folder), noise(8000)
    with torch.inference_mode():
        if kind.removesuffix("_encoder") in LISTENERS:
            states = of_the_listener(model, extractor, wave, output_hidden_states=True)[0].hidden_states
            pairs = [state.unflatten(1, (-1, 2)).mean(2) for state in states[:-1]]  # 25 a second, as the last
            states = [*pairs, states[-1]]
        else:
            inputs = extractor(wave, sampling_rate=16000, return_tensors="pt")
            network = {"whisper": getattr(getattr(model, "model", None), "encoder", None)}.get(
                kind
            ) or getattr(model, model.base_model_prefix, model)
            n_inputs = 2 if kind == "wav2vec2-bert" else 1
            states = network(*list(inputs.values())[:n_inputs], output_hidden_states=True).hidden_states
    assert len(transformers_folder.layers(folder)) == len(states)
    for layer, right in enumerate(states):
        row = models.spec(f"{folder}@{layer}")
        assert f"layer{layer}" in row.name
        assert row.dim == plain.spec.dim
        frames = models.load(f"{folder}@{layer}")(wave)
        right = right[:, :2].mean(1) if "spectrogram" in kind else right[0, : len(frames)]
        np.testing.assert_allclose(frames, right.numpy(), rtol=0, atol=1e-4 * np.abs(right.numpy()).max())
    if "spectrogram" not in kind:  # AST normalises what its last layer gives
        np.testing.assert_allclose(frames, plain(wave), atol=1e-5)
    (tmp_path / "layers.yaml").write_text(f"models: [logmel, '{folder}@*']")
    grid = experiment.read_grid(tmp_path / "layers.yaml")
    assert grid.models == ("logmel", *(f"{folder}@{layer}" for layer in range(len(states))))


@pytest.mark.parametrize("layer", ["3", "-1", "", "x", "1.5", "²"])
def test_a_layer_that_is_not_there_is_told_with_those_that_are(tmp_path, layer):
    write("wavlm", tmp_path / "wavlm")
    with pytest.raises(ValueError, match=r"layer .* of .*wavlm: give one from 0, its input, to 2, its last"):
        models.spec(f"{tmp_path}/wavlm@{layer}")


def test_a_folder_whose_name_ends_like_a_layer_is_that_folder(tmp_path):
    write("wavlm", tmp_path / "wavlm@1")
    assert "layer" not in models.spec(f"{tmp_path}/wavlm@1").options
    assert models.spec(f"{tmp_path}/wavlm@1@1").options["layer"] == 1


def test_a_clap_with_its_tokenizer_embeds_words_as_the_library_does(published, tmp_path):
    kind, folder, model, _ = published
    assert not models.has_text(str(folder))
    shutil.copytree(folder, tmp_path / "model")
    words = ["<s>", "<pad>", "</s>", "<unk>", "a", "dog", "barks"]
    tokenizer = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    ends = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing("<s> $A </s>", special_tokens=ends)
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named).save_pretrained(
        tmp_path / "model"
    )
    spec = models.spec(str(tmp_path / "model"))
    assert models.has_text(spec.options["folder"]) == kind.startswith("clap")
    if not kind.startswith("clap"):
        return
    embed = models.text_tower(spec)
    found = embed("a dog barks")
    with torch.inference_mode():
        right = model.get_text_features(torch.tensor([[0, 4, 5, 6, 2]])).pooler_output[0].numpy()
    np.testing.assert_allclose(found, right, rtol=0, atol=1e-5 * np.abs(right).max())
    assert found.shape == (spec.dim,)
    assert np.linalg.norm(found) == pytest.approx(1, abs=1e-6)
    assert np.abs(found - embed("a dog")).max() > 1e-3
    np.testing.assert_array_equal(embed("dog " * 600), embed("dog " * 700))  # cut to what it reads


def test_the_row_of_a_folder_says_what_it_is(published):
    kind, folder, _, extractor = published
    spec = transformers_folder.spec_of(str(folder))
    assert spec.name.startswith(f"folder-my-{kind.replace(' ', '-')}-1-")
    assert spec.display_name.startswith(f"my {kind}+1 (")
    assert spec.rate_hz == extractor.sampling_rate
    assert spec.requires == "transformers"
    hops = {"audio-spectrogram-transformer": 2.0, "clap": 10.0, "clap fused": 10.0, "pe_audio": 0.04}
    hops |= {
        "dac": 512 / 16000,
        "encodec": 320 / 24000,
        "encodec 48 kHz": 320 / 48000,
        "pe_audio_video": None,
    }
    hops |= {f"{listener}{end}": 0.04 for listener in LISTENERS for end in ("", "_encoder")}
    hop_s = hops.get(kind, 0.02)
    assert spec.hop_s == (hop_s and pytest.approx(hop_s))
    assert json.loads(json.dumps(spec.parameters())) == spec.parameters()


def test_every_length_gives_frames_that_repeat(published):
    loaded = load(published[1])
    rate_hz, hop_s = loaded.spec.rate_hz, loaded.spec.hop_s
    for seconds in (0, 0.3, 1 + (loaded.spec.window_s or 2)):
        wave = noise(max(1, round(seconds * rate_hz)))
        frames = loaded(wave)
        if hop_s is None:
            assert len(frames) == 1
            continue
        window_s = loaded.spec.window_s or seconds or hop_s
        covered_s = -(-seconds // window_s) * window_s  # windows begin anew, and the last is whole
        assert max(1, seconds / hop_s - 2) <= len(frames) <= max(1, covered_s / hop_s + 1), seconds
        np.testing.assert_array_equal(loaded(wave), frames)
    assert np.isfinite(loaded(np.zeros(rate_hz, np.float32))).all()


def test_a_feature_extractor_may_stand_in_the_processors_file(tmp_path):
    """As in facebook/pe-a-frame-small: processor_config.json and no preprocessor_config.json."""
    write("pe_audio", tmp_path)
    config = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").unlink()
    (tmp_path / "processor_config.json").write_text(json.dumps({"feature_extractor": config}))
    assert load(tmp_path)(noise(1920)).shape == (1, 16)


def test_a_device_is_chosen_for_it(tmp_path):
    """As in 01, whose device is "auto"."""
    write("wavlm", tmp_path)
    np.testing.assert_allclose(
        models.load(str(tmp_path), "auto")(noise(4000)), load(tmp_path)(noise(4000)), atol=1e-5
    )


@pytest.mark.parametrize("change", ["missing", "unknown"])
def test_weights_that_are_not_whole_or_not_its_are_refused(tmp_path, change):
    from safetensors.torch import load_file, save_file

    write("wav2vec2", tmp_path)
    state = load_file(tmp_path / "model.safetensors")
    assert any(name.startswith("lm_head.") for name in state)  # which is no stranger
    name = "encoder.layers.1.attention.k_proj.bias" if change == "missing" else "encoder.layers.0.stranger"
    if change == "missing":
        del state[f"wav2vec2.{name}"]
    else:
        state[f"wav2vec2.{name}"] = torch.ones(1)
    save_file(state, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=rf"not those of config\.json: {change} is \S*{name}"):
        load(tmp_path)


def test_weights_of_another_size_are_refused(tmp_path):
    write("wavlm", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hidden_size": 32}))
    with pytest.raises(ValueError, match=r"don't fit config\.json"):
        load(tmp_path)


def test_a_file_of_pytorch_does_as_well(published, tmp_path):
    """Whole or in parts, and with the names that speech models had before PyTorch called them otherwise."""
    kind, folder, model, _ = published
    n_parts = 1 + KINDS.index(kind) % 2
    for file in folder.glob("*.json"):
        shutil.copy(file, tmp_path)
    state = {
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in model.state_dict().items()
    }
    names = sorted(state)
    for i in range(n_parts):
        name = "pytorch_model.bin" if n_parts == 1 else f"pytorch_model-{i + 1:05d}-of-{n_parts:05d}.bin"
        torch.save({key: state[key] for key in names[i::n_parts]}, tmp_path / name)
    one, other = load(folder), load(tmp_path)
    wave = noise(int(1.3 * one.spec.rate_hz))
    np.testing.assert_allclose(other(wave), one(wave), rtol=0, atol=1e-5)
    assert one.spec.options["digests"] != other.spec.options["digests"]


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_weights_that_are_none_are_refused(tmp_path, name):
    write("wavlm", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / name).write_bytes(b"<html>not found</html>")
    with pytest.raises(ValueError, match=f"{name} is damaged, or no file of weights"):
        load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ValueError, match="has neither model"):
        load(tmp_path)


def test_a_folder_of_clap_gives_what_the_row_of_the_same_network_gives(tmp_path, monkeypatch):
    seeded.accept(tmp_path, monkeypatch)
    model = published_clap.of_transformers("tiny")
    torch.save(model.state_dict(), tmp_path / "clap-htsat-unfused.bin")
    model.save_pretrained(tmp_path / "folder")
    extractor = transformers.ClapFeatureExtractor(frequency_min=50, truncation="rand_trunc")
    extractor.save_pretrained(tmp_path / "folder")
    wave = noise(11 * 48000) * np.linspace(0.01, 1, 11 * 48000, dtype=np.float32)
    frames = load(tmp_path / "folder")(wave)
    np.testing.assert_allclose(frames, models.load("laion-clap-htsat-unfused")(wave), atol=1e-4)
    assert frames.shape == (2, 512)


def test_what_is_no_audio_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"it needs config\.json and preprocessor_config\.json"):
        transformers_folder.spec_of(tmp_path)
    with pytest.raises(FileNotFoundError, match="is not a folder: check the path"):
        transformers_folder.spec_of(tmp_path / "nowhere")
    transformers.BertConfig().save_pretrained(tmp_path)
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="a model of type 'bert': known are audio-spectrogram-transformer"):
        transformers_folder.spec_of(tmp_path)


def test_the_codec_in_pieces_equals_the_whole(monkeypatch):
    torch.manual_seed(0)
    network = pe_audio.Network(transformers.PeAudioEncoderConfig(**PE), 8)
    codec = network.audio_encoder.embedder.dac_encoder.eval()
    waves = torch.from_numpy(noise(60 * 1920))[None, None]
    with torch.inference_mode():
        whole = codec(waves)  # of one piece
        for piece in (1, 25):
            monkeypatch.setattr(pe_audio, "PIECE", piece)
            np.testing.assert_allclose(codec(waves), whole, rtol=0, atol=1e-5 * whole.abs().max())


def test_the_rows_of_pe_hold_the_sizes_of_their_networks():
    for size, n_millions in (("small", 117), ("base", 238), ("large", 1134)):
        row = models.spec(f"pe-a-frame-{size}")
        with torch.device("meta"):
            network = pe_audio.build(**row.options)
        assert round(sum(p.numel() for p in network.parameters()) / 1e6) == n_millions
        assert row.n_parameters == f"{n_millions}M"
        assert dataclasses.asdict(row)["dim"] == network.audio_head.proj.out_features
