"""A head by metric learning: clips of one class are drawn together, and all others pushed apart."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sss_lib.processing.scaling import l2_normalize

if TYPE_CHECKING:
    import torch

DIM = 64
"""Of the learnt space."""
TEMPERATURE = 0.1
N_STEPS = 200
LEARNING_RATE = 0.001
BATCH = 1024
"""Most clips that a step compares with each other."""


def loss(
    directions: "torch.Tensor", is_same: "torch.Tensor", temperature: float = TEMPERATURE
) -> "torch.Tensor":
    """Supervised contrastive loss of a batch, the mean over clips that have another of their class.

    A clip loses the mean, over the others of its class, of -log of their share: exp(cosine / temperature)
    over the sum of the same over all other clips.

    Parameters
    ----------
    directions : torch.Tensor [shape=(n_clips, dim)]
        Of length 1.
    is_same : torch.Tensor [shape=(n_clips, n_clips), dtype=bool]
        Whether two clips share a class.
    temperature : float

    Examples
    --------
    To each of the first two clips the other is equal, and the third at a right angle: log(1 + 1 / e).

    >>> import torch
    >>> x = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> is_same = torch.tensor([[True, True, False], [True, True, False], [False, False, True]])
    >>> round(loss(x, is_same, 1.0).item(), 4)
    0.3133

    References
    ----------
    Khosla et al. (2020), Supervised contrastive learning, NeurIPS, eq. 2.
    """
    import torch

    itself = torch.eye(len(directions), dtype=torch.bool)
    logits = (directions @ directions.T / temperature).masked_fill(itself, -1e9)
    log_share = logits - logits.logsumexp(dim=1, keepdim=True)
    positive = is_same & ~itself
    n_positive = positive.sum(dim=1)
    of_clip = -torch.where(positive, log_share, 0).sum(dim=1) / n_positive.clamp(min=1)
    return of_clip.sum() / (n_positive > 0).sum().clamp(min=1)


def adam(
    weight: "torch.Tensor", slope: "torch.Tensor", mean: "torch.Tensor", square: "torch.Tensor", step: int
) -> None:
    """Change weights, and the moving mean and square of their gradient, as `torch.optim.Adam` does.

    It does so to the bit, and without a compiler, which takes seconds to import.

    References
    ----------
    Kingma and Ba (2015), Adam: A Method for Stochastic Optimization, ICLR, algorithm 1.
    """
    mean.lerp_(slope, 1 - 0.9)
    square.mul_(0.999).addcmul_(slope, slope, value=1 - 0.999)
    length = (square.sqrt() / (1 - 0.999**step) ** 0.5).add_(1e-8)
    weight.addcdiv_(mean, length, value=-LEARNING_RATE / (1 - 0.9**step))


def fit(x: np.ndarray, labels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Head as `learning.fit_head` gives it: shares of classes by the cosine to the mean direction of each.

    A linear map of the standardised embedding is learnt, by Adam from seeded numbers on one thread: the same
    again on one processor.

    Parameters
    ----------
    x : np.ndarray [shape=(n_clips, dim)]
    labels : np.ndarray [shape=(n_clips, n_labels), dtype=float]
        0 or 1.
    """
    from sklearn.preprocessing import StandardScaler

    try:
        import torch
    except ImportError as error:
        raise ImportError("the head supcon needs torch: install it with pip install -e .[torch]") from error
    scaler = StandardScaler().fit(x)
    clips, classes = torch.tensor(scaler.transform(x)).float(), torch.tensor(labels).float()
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seeded = torch.Generator().manual_seed(0)
        weight = torch.randn(x.shape[1], DIM, generator=seeded).div_(x.shape[1] ** 0.5).requires_grad_()
        mean, square = torch.zeros_like(weight), torch.zeros_like(weight)  # moving, of the gradient
        for step in range(1, N_STEPS + 1):
            rows = torch.randperm(len(x), generator=seeded)[:BATCH]
            directions = torch.nn.functional.normalize(clips[rows] @ weight)
            (slope,) = torch.autograd.grad(loss(directions, classes[rows] @ classes[rows].T > 0), weight)
            with torch.no_grad():
                adam(weight, slope, mean, square, step)
    finally:
        torch.set_num_threads(n_threads)
    learnt = weight.detach().numpy().astype(np.float64)

    def directions_of(asked: np.ndarray) -> np.ndarray:
        return l2_normalize(scaler.transform(asked) @ learnt)

    there = labels.any(axis=0)
    centres = l2_normalize(labels[:, there].T @ directions_of(x))

    def shares(asked: np.ndarray) -> np.ndarray:
        found = np.zeros((len(asked), labels.shape[1]))
        powers = np.exp((directions_of(asked) @ centres.T - 1) / TEMPERATURE)
        found[:, there] = powers / powers.sum(axis=1, keepdims=True)
        return found

    return shares
