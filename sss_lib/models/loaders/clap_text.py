"""Text towers of the CLAPs, as their authors put them together: words to the space of their sounds.

Their weights are in the same files as those for sounds. A tokenizer is a file of its own, tokenizer.json of
the language model that the tower began as.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import tokenizers
import torch
import transformers  # its models are imported when they are used, which takes seconds
from torch import nn

from sss_lib.models.loaders import clap
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint
from sss_lib.models.weights import file as weights


class Tower(NamedTuple):
    """How a tower is made up: its network, and the names in its file as `checkpoint.select` takes them."""

    network: Callable[[dict], nn.Module]
    options: dict[str, Any]
    n_tokens: int
    nested: str = ""
    renamed: Mapping[str, str] | None = None


class Microsoft(nn.Module):
    """A language model and a projection: token numbers [1, n_tokens] to [1, 1024].

    Of BERT the first token counts. Of GPT-2 the last one does, before which tokens of number 0, "!", are not
    counted, as in the authors' code.
    """

    def __init__(self, base: nn.Module) -> None:
        super().__init__()
        self.base, self.projection = base, clap.Projection(base.config.hidden_size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embedding [1, 1024]."""
        states = self.base(tokens, attention_mask=torch.ones_like(tokens)).last_hidden_state
        is_gpt = self.base.config.model_type == "gpt2"
        at = int((tokens != 0).sum()) - 1 if is_gpt else 0
        return self.projection(states[:, at])


def _laion(options: dict) -> nn.Module:
    return transformers.ClapTextModelWithProjection(transformers.ClapTextConfig(**options))


_OF_MICROSOFT = {"caption_encoder.": ""}
TOWERS = {
    "laion": Tower(
        _laion,
        {"layer_norm_eps": 1e-5},
        77,
        "state_dict",
        {
            "text_branch.": "text_model.",
            "text_projection.0.": "text_projection.linear1.",
            "text_projection.2.": "text_projection.linear2.",
        },
    ),
    "transformers": Tower(_laion, {}, 512),
    "clap-2022": Tower(
        lambda options: Microsoft(transformers.BertModel(transformers.BertConfig(**options))),
        {},
        100,
        "model",
        _OF_MICROSOFT,
    ),
    "clap-2023": Tower(
        lambda options: Microsoft(transformers.GPT2Model(transformers.GPT2Config(**options))),
        {},
        77,
        "model",
        _OF_MICROSOFT,
    ),
}
"""By publisher, of Microsoft by model."""
GPT_END = " <|endoftext|>"


def text_tower(spec: ModelSpec) -> Callable[[str], np.ndarray]:
    """Text encoder: words to [dim]. FileNotFoundError if the weights or the tokenizer are missing."""
    publisher = spec.options.get("publisher", "microsoft")
    kind = TOWERS[spec.name.partition("+")[0] if publisher == "microsoft" else publisher]
    if spec.tokenizer is None:
        raise ValueError(f"{spec.name} has no tokenizer: name one in its row of the catalogue")
    read = tokenizers.Tokenizer.from_file(str(weights.find(spec.name, spec.tokenizer)))
    return functools.partial(_embed, read, _network(spec, kind), kind.n_tokens)


def _embed(read: tokenizers.Tokenizer, network: nn.Module, n_tokens: int, words: str) -> np.ndarray:
    is_of_microsoft = isinstance(network, Microsoft)
    is_gpt = is_of_microsoft and network.base.config.model_type == "gpt2"
    tokens = read.encode(words + GPT_END if is_gpt else words).ids
    if len(tokens) > n_tokens:  # the last one ends the text
        tokens = [*tokens[: n_tokens - 1], tokens[-1]]
    ids = torch.tensor([tokens])
    with torch.inference_mode():
        if is_of_microsoft:
            return network(ids)[0].float().numpy()
        found = network(ids, torch.ones_like(ids)).text_embeds  # RoBERTa and a projection
        return nn.functional.normalize(found, dim=-1)[0].float().numpy()


def _network(spec: ModelSpec, kind: Tower) -> nn.Module:
    network = kind.network(kind.options)
    content, path = checkpoint.published(spec, nested=kind.nested, renamed=kind.renamed)
    counters = {name: value for name, value in network.state_dict().items() if name.endswith("_ids")}
    roots = tuple({f"{name.partition('.')[0]}." for name in network.state_dict()})
    unused = ("_ids", ".attn.bias", ".attn.masked_bias")  # buffers that are computed
    state = {name: value for name, value in content.items() if name.startswith(roots)}
    state = {name: value for name, value in state.items() if not name.endswith(unused)}
    return checkpoint.load_into(network, state | counters, path)
