"""What pixels near by say of a pixel: the first layer of networks over pixels, whole or one pixel after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.images.pixels import weights


class Near(nn.Module):
    """A convolution of the pixels before each one (mask A of van den Oord et al. 2016), and a learned map of positions.

    It reads `reach` rows above, as many columns to either side there, and the whole row to the left.

    Arguments:
        inputs: numbers of a pixel.
        width: channels that it gives.
        size: height and width of the pictures.
        reach: in pixels, at most the longer side.
    """

    def __init__(self, inputs: int, width: int, size: tuple[int, int], reach: int) -> None:
        super().__init__()
        self.inputs, self.width, self.size, self.reach = inputs, width, size, min(reach, max(size))
        self.before = max(1, size[1] - 1)  # pixels to the left
        self.above = weights(width, inputs * self.reach * (2 * self.reach + 1))
        self.left = weights(width, inputs * self.before)
        self.place = nn.Parameter(torch.zeros(size[0] * size[1] * width))  # flat: it is no matrix

    def forward(self, x: Tensor) -> Tensor:
        """Channels [rows, height, width of the picture, channels] of pictures [rows, inputs, height, width].

        By one product of all pixels' surroundings, which for few inputs is faster than a convolution.
        """
        above = self._above(F.pad(x[:, :, :-1], (0, 0, self.reach, 0)))
        left = F.pad(x[..., :-1], (self.before, 0)).unfold(3, self.before, 1).permute(0, 2, 3, 1, 4).flatten(3)
        out = F.linear(torch.cat([above, left], 3), torch.cat([self.above, self.left], 1))
        return out + self._place().to(out.dtype)

    def row(self, seen: Tensor, row: int) -> Tensor:
        """The part of one row [width of the picture, rows, channels] that the rows above and the position decide.

        `seen` is [rows, inputs, at least `reach`, width of the picture]: rows above, the nearest last, zeros outside.
        """
        out = F.linear(self._above(seen[:, :, seen.shape[2] - self.reach :])[:, 0], self.above)
        return out.transpose(0, 1) + self._place()[row, :, None]

    def pixel(self, part: Tensor, left: Tensor) -> Tensor:
        """Channels [rows, channels] of one pixel from that part and the pixels to the left [rows, inputs, before]."""
        return torch.addmm(part, left.flatten(1), self.left.t())

    def _above(self, x: Tensor) -> Tensor:
        """The windows above of [rows, inputs, reach + height - 1, width]: [rows, height, width, inputs of a window]."""
        k = self.reach
        window = F.pad(x, (k, k)).unfold(2, k, 1).unfold(3, 2 * k + 1, 1)
        return window.permute(0, 2, 3, 1, 4, 5).flatten(3)

    def _place(self) -> Tensor:
        return self.place.view(*self.size, self.width)


class Told:
    """The last rows of pictures that are told pixel by pixel.

    Arguments:
        rows: how many pictures.
        inputs: numbers of a pixel.
        wide: pixels of a row.
        above: rows above that are kept.
        left: pixels to the left that are looked at.
    """

    def __init__(self, rows: int, inputs: int, wide: int, above: int, left: int) -> None:
        self.wide, self.left, self.at = wide, left, 0
        self.above = torch.zeros(rows, inputs, above, wide)
        self.row = torch.zeros(rows, inputs, left + wide)  # zeros outside, then the row

    @property
    def place(self) -> tuple[int, int]:
        """Row and column of the next pixel."""
        return divmod(self.at, self.wide)

    def before(self) -> Tensor:
        """Pixels to the left of the next one [rows, inputs, left]."""
        column = self.at % self.wide
        return self.row[:, :, column : column + self.left]

    def tell(self, x: Tensor) -> None:
        """The next pixel, [rows, inputs]."""
        self.row[:, :, self.left + self.at % self.wide] = x
        self.at += 1
        if self.at % self.wide == 0:
            self.above = torch.cat([self.above[:, :, 1:], self.row[:, :, None, self.left :]], 2)
