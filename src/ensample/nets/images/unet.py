"""The U-Net: a picture at halved sizes and back, with what was seen on the way down kept for the way up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.images.blocks import Setting, channel_rms, conv, padded
from ensample.nets.transformer import rms


class UNet(nn.Module):
    """Residual convolutions at each size, attention at the smallest, skips across.

    After Ronneberger et al. (2015) and Ho et al. (2020). The picture is first folded (`fold`^2 pixels become channels),
    since convolutions of full pictures cost most and say least. Norms are over the channels of each place (Karras et
    al. 2024), scaled and shifted by times and given fields. Tensors lie channels-last. The output starts at 0. Build it
    inside `ensample.nets.random.seeded`.

    Use it for pictures with fine texture; where time is short and pictures are simple, `PatchTransformer` is as good.

    Arguments:
        channels, outputs: of the pictures that go in and come out.
        widths: channels at each size, from the largest to the smallest.
        blocks: residual blocks at each size on the way down; one more on the way up.
        fold: side of the squares of pixels that become channels.
        heads: of attention at the smallest size; 0 for none.
        times, given: what it is told besides, see `Setting`.

    Example:
        >>> net = UNet(1, 1, widths=(8, 16), blocks=1, fold=1, heads=2, given=3)
        >>> net(torch.rand(4, 1, 6, 5), torch.rand(4), torch.zeros(4, 3)).shape
        torch.Size([4, 1, 6, 5])
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        widths: Sequence[int],
        blocks: int = 1,
        fold: int = 1,
        heads: int = 4,
        times: int = 1,
        given: int = 0,
    ) -> None:
        super().__init__()
        self.fold, self.multiple = fold, fold * 2 ** (len(widths) - 1)
        told = 4 * widths[0]
        self.setting = Setting(times, given, told)
        self.first = conv(channels * fold * fold, widths[0], 3, bias=True)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        kept, width = [widths[0]], widths[0]
        for size, wide in enumerate(widths):
            if size:
                self.down.append(Shrink(width, wide))
                width = wide
                kept.append(width)
            for _ in range(blocks):
                self.down.append(Residual(width, width, told))
                kept.append(width)
        self.middle = nn.ModuleList([Residual(width, width, told)])
        if heads:
            self.middle.extend([Attention(width, heads), Residual(width, width, told)])
        for size, wide in reversed(list(enumerate(widths))):
            for _ in range(blocks + 1):
                self.up.append(Residual(width + kept.pop(), wide, told))
                width = wide
            if size:
                self.up.append(Grow(width, widths[size - 1]))
                width = widths[size - 1]
        self.last = conv(width, outputs * fold * fold, 3, bias=True)
        nn.init.zeros_(self.last.weight)

    def forward(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """[rows, channels, height, width], times [rows] or [rows, times], given [rows, given] -> [rows, outputs, ...].

        Times are in about (0, 1).
        """
        size, told = x.shape[2:], self.setting(t, cond)
        x = F.pixel_unshuffle(padded(x, self.multiple), self.fold).contiguous(memory_format=torch.channels_last)
        x = self.first(x)
        kept = [x]
        for layer in self.down:
            x = layer(x, told)
            kept.append(x)
        for layer in self.middle:
            x = layer(x, told)
        for layer in self.up:
            x = layer(torch.cat([x, kept.pop()], 1) if isinstance(layer, Residual) else x, told)
        out = F.pixel_shuffle(self.last(F.silu(channel_rms(x))), self.fold)
        return out[:, :, : size[0], : size[1]]


class Residual(nn.Module):
    """`x + conv(silu(scaled norm(conv(silu(norm(x))))))`.

    Arguments:
        inputs, outputs: channels; where they differ x goes through a 1x1 convolution.
        told: width of the setting.
    """

    def __init__(self, inputs: int, outputs: int, told: int) -> None:
        super().__init__()
        self.first, self.last = conv(inputs, outputs, 3), conv(outputs, outputs, 3, scale=0.3)
        self.scale = nn.Linear(told, 2 * outputs)
        nn.init.normal_(self.scale.weight, std=0.3 * told**-0.5)
        nn.init.zeros_(self.scale.bias)
        self.skip = conv(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """[rows, inputs, height, width] and [rows, told] -> [rows, outputs, height, width]."""
        gain, shift = self.scale(told)[:, :, None, None].chunk(2, 1)
        h = channel_rms(self.first(F.silu(channel_rms(x))))
        out: Tensor = self.skip(x) + self.last(F.silu(torch.addcmul(shift, h, 1 + gain)))
        return out


class Attention(nn.Module):
    """`x + mix(softmax(q k') v)` over all places, with normalised queries and keys.

    Arguments:
        width, heads: channels and heads.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.mix = conv(width, 3 * width, 1), conv(width, width, 1, scale=0.3)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """[rows, width, height, width] -> the same shape; the setting is not needed."""
        rows, width, down, across = x.shape
        parts = self.qkv(channel_rms(x)).permute(0, 2, 3, 1).reshape(rows, down * across, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        scores = rms(q) @ rms(k).transpose(2, 3) / k.shape[3] ** 0.5
        mixed = (scores.softmax(3).to(v.dtype) @ v).permute(0, 2, 1, 3).reshape(rows, down, across, width)
        out: Tensor = x + self.mix(mixed.permute(0, 3, 1, 2))
        return out


class Shrink(nn.Module):
    """Halves both sides: squares of four places become channels, and a 1x1 convolution.

    Arguments:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = conv(4 * inputs, outputs, 1)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """[rows, inputs, height, width] -> [rows, outputs, height / 2, width / 2]."""
        out: Tensor = self.mix(F.pixel_unshuffle(x, 2).contiguous(memory_format=torch.channels_last))
        return out


class Grow(nn.Module):
    """Doubles both sides: a 1x1 convolution, and each place repeated.

    Arguments:
        inputs, outputs: channels.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.mix = conv(inputs, outputs, 1)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """[rows, inputs, height, width] -> [rows, outputs, 2 height, 2 width]."""
        return F.interpolate(self.mix(x), scale_factor=2.0, mode="nearest")
