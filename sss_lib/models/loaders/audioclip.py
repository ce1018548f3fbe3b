"""AudioCLIP (Guzhov et al., ICASSP 2022): the audio branch, a ResNeXt-50 on a learned spectrogram.

Frames of 1654 samples with a hop of 561 at 44.1 kHz meet 1025 complex frequency B-spline wavelets (FBSP)
whose centres, widths and orders were learned. The power in decibels is cut into three bands, low to high,
which the residual network takes as its three channels, with an attention over frequency or time after each
stage. The embedding has length one, as the authors' forward pass gives it.

The network expects samples of 16 bits, +-32768, as the authors' ESC-50 loader feeds it. It was trained on
clips of a fixed length and takes any: their protocol of ESC-50 crops or pads with zeros to 5 s. Here that
length is the window, so that memory is bounded and nothing of a long clip is lost.
"""

import functools
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.models.frontends.batches import Batched, windowed
from sss_lib.models.spec import ModelSpec
from sss_lib.models.weights import checkpoint

if TYPE_CHECKING:
    from torch import nn

OTHER_BRANCHES = (
    "visual.",
    "transformer.",
    "token_embedding.",
    "positional_embedding",
    "ln_final.",
    "text_projection",
    "logit_scale",
)
"""Beginnings of names that belong to the image and text branches and to the logits."""


def load(spec: ModelSpec, device: str) -> Batched:
    """Network with the published weights: waveform to [n_windows, 1024].

    `options["full_scale"]` is the value that a sample of full scale has for the network.
    """
    state, path = checkpoint.published(spec, dropped=OTHER_BRANCHES)
    scaled = functools.partial(np.multiply, np.float32(spec.options["full_scale"]))
    inputs = windowed(spec, scaled) if spec.window_s else lambda wave: [scaled(wave)]
    network = checkpoint.load_into(build(), state, path)
    return Batched(inputs, network, device, batch=None if spec.window_s else 1)  # whole clips need memory


def build() -> "nn.Module":
    """FBSP spectrogram, ResNeXt-50 (32 groups of 4) with attention, and projection.

    Returns
    -------
    torch.nn.Module
        Samples [n, n_samples], +-32768, to unit vectors [n, 1024]; its state dict has the published names.
    """
    from torch import nn

    from sss_lib.models.loaders.audioclip_network import Audio

    return nn.Sequential(OrderedDict(audio=Audio()))
