"""What pixels near by say of a pixel: the first layer of networks over pixels, whole or one pixel after the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.images.pixels import weights


class Near(nn.Module):
    """A convolution of the pixels before each one (mask A of van den Oord et al. 2016), and a learned map of positions.

    It reads `reach` rows above, as many columns to either side there, and those to the left.

    Arguments:
        inputs: numbers of a pixel.
        width: channels that it gives.
        size: height and width of the pictures.
        reach: in pixels, at most the longer side.
    """

    def __init__(self, inputs: int, width: int, size: tuple[int, int], reach: int) -> None:
        super().__init__()
        self.inputs, self.width, self.size, self.reach = inputs, width, size, min(reach, max(size))
        taps = inputs * self.reach
        self.above = weights(width, taps * (2 * self.reach + 1))
        self.left = weights(width, taps)
        self.place = nn.Parameter(torch.zeros(size[0] * size[1] * width))  # flat: it is no matrix

    def forward(self, x: Tensor) -> Tensor:
        """Channels [rows, width, height, width] of pictures [rows, inputs, height, width]."""
        k = self.reach
        left = self.left.view(self.width, self.inputs, 1, k)
        kernel = torch.cat([self._above(), F.pad(left, (0, k + 1))], 2)
        return F.conv2d(F.pad(x, (k, k, k, 0)), kernel) + self._place().permute(2, 0, 1)

    def row(self, seen: Tensor, row: int) -> Tensor:
        """The part of one row [width of the picture, rows, channels] that the rows above and the position decide.

        `seen` is [rows, inputs, at least `reach`, width of the picture]: rows above, the nearest last, zeros outside.
        """
        k = self.reach
        out = F.conv2d(F.pad(seen[:, :, seen.shape[2] - k :], (k, k)), self._above())[:, :, 0]
        return out.permute(2, 0, 1) + self._place()[row, :, None]

    def pixel(self, part: Tensor, left: Tensor) -> Tensor:
        """Channels [rows, width] of one pixel from that part and the pixels to the left [rows, inputs, reach]."""
        return torch.addmm(part, left.flatten(1), self.left.t())

    def _above(self) -> Tensor:
        return self.above.view(self.width, self.inputs, self.reach, -1)

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
            self.row.zero_()
