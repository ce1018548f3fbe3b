"""Text towers of the catalogue's CLAPs, on seeded weights, against their authors' code, step by step."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
tokenizers = pytest.importorskip("tokenizers")

import seeded  # noqa: E402

from sss_lib import models  # noqa: E402
from sss_lib.models.loaders import clap, clap_text  # noqa: E402
from sss_lib.models.weights import file as weights  # noqa: E402

WORDS = ["!", "<s>", "</s>", "<unk>", "a", "dog", "barks", "<|endoftext|>"]
SMALL = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 8, "intermediate_size": 16}
SMALL |= {"vocab_size": 8}
GPT = {"n_layer": 2, "n_head": 2, "n_embd": 8, "vocab_size": 8, "n_positions": 77}
GPT |= {"bos_token_id": 7, "eos_token_id": 7}
ROBERTA = {**SMALL, "layer_norm_eps": 1e-5, "max_position_embeddings": 514, "type_vocab_size": 1}
ROBERTA |= {"pad_token_id": 1}


def drawn(module):
    """Module whose weights are random, with a spread that lets every part count."""
    torch.manual_seed(0)
    with torch.no_grad():
        for name, values in module.named_parameters():
            values.normal_(std=0.3)
            if values.ndim == 1 and name.endswith("weight"):
                values += 1
    return module.eval()


class Authors(torch.nn.Module):
    """What the published packages compute of padded tokens, with their names of weights."""

    def __init__(self, name):
        super().__init__()
        self.name = name
        if name == "clap-2022":
            self.base = transformers.BertModel(transformers.BertConfig(**SMALL))
        elif name == "clap-2023":
            self.base = transformers.GPT2Model(transformers.GPT2Config(**GPT))
        else:
            self.base = transformers.RobertaModel(transformers.RobertaConfig(**ROBERTA))
        if name.startswith("clap-"):
            self.projection = clap.Projection(8)
        else:
            first, second = torch.nn.Linear(8, 512), torch.nn.Linear(512, 512)
            self.projection = torch.nn.Sequential(first, torch.nn.ReLU(), second)
        drawn(self)

    def content(self):
        """The published file: the text tower beside what else there is."""
        if self.name.startswith("clap-"):
            state = {f"caption_encoder.{key}": value for key, value in self.state_dict().items()}
            state["caption_encoder.base.h.0.attn.bias"] = torch.ones(1, 1, 77, 77)
            return {"model": {**state, "audio_encoder.base.fc1.weight": torch.ones(2, 2)}}
        renamed = {"base.": "text_branch.", "projection.": "text_projection."}
        state = {
            new + key.removeprefix(old): value
            for old, new in renamed.items()
            for key, value in self.state_dict().items()
            if key.startswith(old)
        }
        state["text_branch.embeddings.position_ids"] = torch.arange(514)[None]
        state = {f"module.{key}": value for key, value in state.items()}
        return {"state_dict": {**state, "module.text_transform.sequential.0.weight": torch.ones(2, 2)}}

    def forward(self, tokens, n_padded):
        padding = {"clap-2022": 0, "clap-2023": 0}.get(self.name, 1)
        ids = torch.tensor([tokens + [padding] * (n_padded - len(tokens))])
        mask = torch.tensor([[1] * len(tokens) + [0] * (n_padded - len(tokens))])
        out = self.base(input_ids=ids, attention_mask=mask)
        if self.name == "clap-2022":
            return self.projection(out[0][:, 0, :])
        if self.name == "clap-2023":
            return self.projection(out[0][torch.arange(1), torch.ne(ids, 0).sum(-1) - 1])
        return torch.nn.functional.normalize(self.projection(out["pooler_output"]), dim=-1)


@pytest.fixture(params=["clap-2022", "clap-2023", "laion-clap-630k-fusion-best"])
def laid(request, tmp_path, monkeypatch):
    """A model's name and its authors' code; weights and tokenizer lie in the cache."""
    name = request.param
    seeded.accept(tmp_path, monkeypatch)
    key, small = (
        (name, GPT if name == "clap-2023" else SMALL) if name.startswith("clap-") else ("laion", ROBERTA)
    )
    monkeypatch.setitem(clap_text.TOWERS, key, clap_text.TOWERS[key]._replace(options=small))
    model, spec = Authors(name), models.spec(name)
    torch.save(model.content(), weights.path_of(spec.weights))
    numbers = {word: i for i, word in enumerate(WORDS)}
    if key == "laion":
        numbers |= {"<s>": 0, "!": 7, "<|endoftext|>": 1}  # 1 is its padding
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, "<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    if name != "clap-2023":
        ends = [("<s>", numbers["<s>"]), ("</s>", 2)]
        made.post_processor = tokenizers.processors.TemplateProcessing("<s> $A </s>", special_tokens=ends)
    made.save(str(weights.path_of(spec.tokenizer)))
    return name, model


def test_words_are_embedded_as_by_the_authors_code(laid):
    name, model = laid
    assert models.has_text(name)
    embed = models.text_tower(models.spec(name))
    ends = {"clap-2022": ([1], [2]), "clap-2023": ([], [7])}.get(name, ([0], [2]))
    stop = 7 if name.startswith("laion") else 0  # number of "!"
    found = {}
    for words, ids in [("a dog barks", [4, 5, 6]), ("dog", [5]), ("dog cat", [5, 3]), ("dog !", [5, stop])]:
        with torch.inference_mode():
            right = model(ends[0] + ids + ends[1], 77 if name != "clap-2022" else 100)[0].numpy()
        found[words] = embed(words)
        assert found[words].shape == (models.spec(name).dim,)
        np.testing.assert_allclose(found[words], right, rtol=0, atol=1e-5 * np.abs(right).max())
    assert np.abs(found["dog"] - found["a dog barks"]).max() > 1e-3
    np.testing.assert_array_equal(embed("dog " * 200), embed("dog " * 300))  # cut to what it reads


def test_a_missing_tokenizer_is_told_with_the_way_to_get_it(laid):
    name, _ = laid
    weights.path_of(models.spec(name).tokenizer).unlink()
    with pytest.raises(FileNotFoundError, match=rf"tokenizer\.json.*make models MODELS=\"{name}\""):
        models.text_tower(models.spec(name))


def test_a_message_is_no_tokenizer(laid):
    name, _ = laid
    weights.path_of(models.spec(name).tokenizer).write_text('{"error": "not found"}')
    with pytest.raises(ValueError, match="is a message in JSON"):
        models.text_tower(models.spec(name))


def test_the_catalogue_says_which_of_its_models_embed_words():
    with_text = {name for name, row in models.catalogue().items() if row.has_text}
    assert with_text == {name for name, row in models.catalogue().items() if row.tokenizer}
    assert {"clap-2022", "clap-2023", "laion-clap-htsat-unfused"} <= with_text
    assert with_text.isdisjoint({"pengi", "logmel", "yamnet", "wav2clip"})
