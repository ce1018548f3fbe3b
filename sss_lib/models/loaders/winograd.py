"""Convolutions of 3 x 3 with a quarter of the multiplications, for inference on processors.

F(4 x 4, 3 x 3) of Lavin and Gray (Fast algorithms for convolutional neural networks, CVPR 2016, section 4.1):
tiles of 6 x 6 values and the filters are transformed, multiplied number by number (over channels a matrix
product), and transformed back to 4 x 4 results. Rounding is up to four times that of the plain sum.
"""

import torch
from torch import nn

NARROW = 128
"""Channels below which the transforms take longer than the multiplications that they spare."""
TILES = 200
"""Tiles at a time: what is made of them stays in the cache, and the products are still large."""
OF_VALUES = [
    *([4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0]),
    *([0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]),
]
OF_FILTERS = [[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]
"""Times 24."""
BACK = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


class Convolution(nn.Module):
    """Convolution, normalisation, rectifier, and the largest of `pool` x `pool` values: all in one.

    Parameters
    ----------
    convolution : nn.Conv2d
        Of 3 x 3, with a stride of one and a padding of one.
    normalisation : nn.BatchNorm2d
    pool : int
        1 or 2.
    """

    def __init__(self, convolution: nn.Conv2d, normalisation: nn.BatchNorm2d, pool: int = 1):
        super().__init__()
        fused = nn.utils.fusion.fuse_conv_bn_eval(convolution.eval(), normalisation.eval())
        self.plain, self.bias, self.pool = None, fused.bias.detach(), pool
        if len(self.bias) < NARROW:
            self.plain = fused.to(memory_format=torch.channels_last)
            return
        values, filters, back = (
            torch.tensor(of, dtype=torch.float64) for of in (OF_VALUES, OF_FILTERS, BACK)
        )
        weight = torch.einsum("ai,ocij,bj->abco", filters / 24, fused.weight.double(), filters / 24)
        self.weight = weight.detach().flatten(0, 1).float().contiguous()
        # Transforms of both axes at once: as products they take less time than as a few additions.
        self.values, self.back = torch.kron(values, values).float(), torch.kron(back, back).float()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Maps [n, height, width, n_in] to [n, height // pool, width // pool, n_out]."""
        if self.plain is not None:
            y = self.plain(x.permute(0, 3, 1, 2))
            y = nn.functional.max_pool2d(y, 2) if self.pool == 2 else y
            return torch.relu_(y).permute(0, 2, 3, 1)
        n, height, width, _ = x.shape
        n_rows, n_columns = -(-height // 4), -(-width // 4)
        x = nn.functional.pad(x, (0, 0, 1, 4 * n_columns + 1 - width, 1, 4 * n_rows + 1 - height))
        rows_at_once = max(1, min(n_rows, TILES // n_columns))
        n_at_once = max(1, TILES // (n_rows * n_columns))
        size = 4 // self.pool
        y = x.new_empty(n, size * n_rows, size * n_columns, len(self.bias))
        for some, result in zip(x.split(n_at_once), y.split(n_at_once), strict=True):
            for row in range(0, n_rows, rows_at_once):
                end = min(row + rows_at_once, n_rows)
                strip = some[:, 4 * row : 4 * end + 2]
                place = result[:, size * row : size * end].unflatten(1, (-1, size)).unflatten(3, (-1, size))
                place.copy_(self._tiles(strip).permute(2, 3, 0, 4, 1, 5))
        return y[:, : height // self.pool, : width // self.pool]

    def _tiles(self, x: torch.Tensor) -> torch.Tensor:
        """Results of tiles that begin at every fourth value: [size, size, n, n_rows, n_columns, n_out]."""
        tiles = x.unfold(1, 6, 4).unfold(2, 6, 4).permute(4, 5, 0, 1, 2, 3)
        values = (self.values @ tiles.reshape(36, -1)).view(36, -1, x.shape[3])
        products = torch.bmm(values, self.weight)
        products[7] += self.bias  # which the way back adds to all sixteen
        y = self.back @ products.view(36, -1)
        if self.pool == 2:
            y = torch.maximum(*y.view(2, 2, 2, 2, -1).unbind(3))
            y = torch.maximum(*y.unbind(1))
        return torch.relu_(y).view(4 // self.pool, 4 // self.pool, *tiles.shape[2:5], -1)
