"""Names and shapes of the published checkpoints of BEATs, CAV-MAE, ImageBind and AST."""

import json
from pathlib import Path

import numpy as np
import seeded

RECORDED = np.load(Path(__file__).parent / "data" / "beats_reference.npz")
BEATS_CFG = json.loads(str(RECORDED["cfg"]))
BEATS_SHAPES = {name: tuple(shape) for name, shape in json.loads(str(RECORDED["shapes"])).items()}
BEATS_CLASSIFIER = {"predictor.weight": (527, 768), "predictor.bias": (527,)}
CAV_MAE_DECODER = {
    "decoder_embed.weight": (2, 2),
    "mask_token": (1, 1, 2),
    "decoder_modality_a": (1, 1, 2),
    "decoder_pos_embed_v": (1, 2, 2),
    "decoder_blocks.0.norm1_v.bias": (2,),
    "decoder_norm.weight": (2,),
    "decoder_pred_a.bias": (2,),
}
CAV_MAE_CLASSIFIER = {"mlp_head.0.weight": (2,), "mlp_head.1.bias": (2,)}
IMAGEBIND_OTHERS = {
    "modality_preprocessors.vision.rgbt_stem.proj.1.weight": (2, 3, 2, 2),
    "modality_preprocessors.text.token_embedding.weight": (2, 2),
    "modality_preprocessors.depth.cls_token": (1, 1, 2),
    "modality_preprocessors.thermal.cls_token": (1, 1, 2),
    "modality_preprocessors.imu.imu_stem.proj.weight": (2, 2),
    "modality_trunks.vision.pre_transformer_layer.0.weight": (2,),
    "modality_trunks.text.blocks.0.attn.in_proj_bias": (2,),
    "modality_heads.text.proj.1.weight": (2, 2),
    "modality_postprocessors.text.1.log_logit_scale": (),
}


def beats(*, finetuned: bool) -> dict:
    """Content of a checkpoint, with seeded weights; all layers have one table of distances."""
    state = seeded.state(BEATS_SHAPES)
    table = "self_attn.relative_attention_bias.weight"
    state |= {name: state[f"encoder.layers.0.{table}"] for name in state if name.endswith(table)}
    if not finetuned:
        return {"cfg": BEATS_CFG, "model": state}
    cfg = {**BEATS_CFG, "finetuned_model": True, "predictor_class": 527}
    return {"cfg": cfg, "model": state | seeded.empty(BEATS_CLASSIFIER), "label_dict": {0: "/m/09x0r"}}


def linear(name: str, n_in: int, n_out: int) -> dict:
    """Shapes of a linear layer."""
    return {f"{name}.weight": (n_out, n_in), f"{name}.bias": (n_out,)}


def norm(name: str, n: int) -> dict:
    """Shapes of a normalisation."""
    return {f"{name}.weight": (n,), f"{name}.bias": (n,)}


def layer(name: str, dim: int) -> dict:
    """Shapes of a layer, whose norms are there for both modalities together, audio and images."""
    shapes = linear(f"{name}.attn.qkv", dim, 3 * dim) | linear(f"{name}.attn.proj", dim, dim)
    for which in ("norm1", "norm1_a", "norm1_v", "norm2", "norm2_a", "norm2_v"):
        shapes |= norm(f"{name}.{which}", dim)
    return shapes | linear(f"{name}.mlp.fc1", dim, 4 * dim) | linear(f"{name}.mlp.fc2", 4 * dim, dim)


def cav_mae(others: dict, n_layers: int = 12) -> dict:
    """Shapes by the names of a published checkpoint; those of the image branch are small."""
    shapes = {"modality_a": (1, 1, 768), "modality_v": (1, 1, 2)}
    shapes |= {"pos_embed_a": (1, 512, 768), "pos_embed_v": (1, 2, 2)}
    shapes |= {"patch_embed_a.proj.weight": (768, 1, 16, 16), "patch_embed_a.proj.bias": (768,)}
    shapes |= {"patch_embed_v.proj.weight": (2, 3, 2, 2), "patch_embed_v.proj.bias": (2,)}
    for i in range(n_layers - 1):
        shapes |= layer(f"blocks_a.{i}", 768) | layer(f"blocks_v.{i}", 2)
    shapes |= layer("blocks_u.0", 768) | norm("norm_a", 768) | norm("norm_v", 2) | norm("norm", 768)
    return {f"module.{name}": shape for name, shape in (shapes | others).items()}


def imagebind(n_layers: int = 12) -> dict:
    """Shapes by the names of the published checkpoint; those of other modalities are small."""
    stem = "modality_preprocessors.audio"
    shapes = {
        f"{stem}.cls_token": (1, 1, 768),
        f"{stem}.rgbt_stem.proj.weight": (768, 1, 16, 16),
        f"{stem}.rgbt_stem.norm_layer.weight": (768,),
        f"{stem}.rgbt_stem.norm_layer.bias": (768,),
        f"{stem}.pos_embedding_helper.pos_embed": (1, 229, 768),
        "modality_heads.audio.0.weight": (768,),
        "modality_heads.audio.0.bias": (768,),
        "modality_heads.audio.2.weight": (1024, 768),
    }
    for i in range(n_layers):
        layer = f"modality_trunks.audio.blocks.{i}"
        shapes |= {
            f"{layer}.attn.in_proj_weight": (2304, 768),
            f"{layer}.attn.in_proj_bias": (2304,),
            f"{layer}.attn.bias_k": (1, 1, 768),
            f"{layer}.attn.bias_v": (1, 1, 768),
            f"{layer}.attn.out_proj.weight": (768, 768),
            f"{layer}.attn.out_proj.bias": (768,),
            f"{layer}.norm_1.weight": (768,),
            f"{layer}.norm_1.bias": (768,),
            f"{layer}.mlp.fc1.weight": (3072, 768),
            f"{layer}.mlp.fc1.bias": (3072,),
            f"{layer}.mlp.fc2.weight": (768, 3072),
            f"{layer}.mlp.fc2.bias": (768,),
            f"{layer}.norm_2.weight": (768,),
            f"{layer}.norm_2.bias": (768,),
        }
    return shapes | IMAGEBIND_OTHERS


def ast(n_layers: int = 12) -> dict:
    """Shapes by the names of the published checkpoint."""
    host = "audio_spectrogram_transformer"
    shapes = {
        f"{host}.embeddings.cls_token": (1, 1, 768),
        f"{host}.embeddings.distillation_token": (1, 1, 768),
        f"{host}.embeddings.position_embeddings": (1, 1214, 768),
        f"{host}.embeddings.patch_embeddings.projection.weight": (768, 1, 16, 16),
        f"{host}.embeddings.patch_embeddings.projection.bias": (768,),
        f"{host}.layernorm.weight": (768,),
        f"{host}.layernorm.bias": (768,),
        "classifier.layernorm.weight": (768,),
        "classifier.layernorm.bias": (768,),
        "classifier.dense.weight": (527, 768),
        "classifier.dense.bias": (527,),
    }
    for i in range(n_layers):
        layer = f"{host}.encoder.layer.{i}"
        for name, n_out, n_in in (
            ("attention.attention.query", 768, 768),
            ("attention.attention.key", 768, 768),
            ("attention.attention.value", 768, 768),
            ("attention.output.dense", 768, 768),
            ("intermediate.dense", 3072, 768),
            ("output.dense", 768, 3072),
        ):
            shapes |= {f"{layer}.{name}.weight": (n_out, n_in), f"{layer}.{name}.bias": (n_out,)}
        for name in ("layernorm_before", "layernorm_after"):
            shapes |= {f"{layer}.{name}.weight": (768,), f"{layer}.{name}.bias": (768,)}
    return shapes
