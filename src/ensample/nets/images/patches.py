"""A transformer on the patches of a picture: the cheap network of a field on a processor without a graphics card."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ensample.nets.attention import LARGEST, attend
from ensample.nets.images.blocks import Setting, from_patches, padded, to_patches
from ensample.nets.transformer import rms


class PatchTransformer(nn.Module):
    """Patches as tokens, blocks that times and given fields scale, shift and gate, and patches again.

    The diffusion transformer (DiT with adaptive norms that start as the identity, Peebles and Xie 2023), with one
    projection of the setting for all blocks and an offset a block (PixArt-alpha, Chen et al. 2024), RMSNorm, normalised
    queries and keys, and squared ReLU. Attention is written out: at some dozens of tokens the fused kernel is slower
    backwards. Sides that are no multiple of the patch are padded. The output starts at 0. Build it inside
    `ensample.nets.random.seeded`.

    Use it where time is short: large patches make it several times faster than a U-Net, at some cost in fine texture.

    Arguments:
        channels, outputs: of the pictures that go in and come out.
        size: (height, width).
        patch: side of a patch.
        width, layers, heads: of the transformer.
        times, given: what it is told besides, see `Setting`.

    Example:
        >>> net = PatchTransformer(1, 1, (6, 5), patch=2, width=8, layers=1, heads=2, given=3)
        >>> net(torch.rand(4, 1, 6, 5), torch.rand(4), torch.zeros(4, 3)).shape
        torch.Size([4, 1, 6, 5])
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        size: tuple[int, int],
        *,
        patch: int,
        width: int,
        layers: int,
        heads: int,
        times: int = 1,
        given: int = 0,
    ) -> None:
        super().__init__()
        self.patch, self.size = patch, size
        tokens = math.prod(-(-side // patch) for side in size)
        self.setting = Setting(times, given, width)
        self.scale = nn.Linear(width, 6 * width, bias=False)
        nn.init.zeros_(self.scale.weight)
        self.first = _linear(channels * patch * patch, width)
        self.places = nn.Parameter(torch.randn(tokens, width) * 0.5)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.last_scale = nn.Linear(width, 2 * width)
        self.last = nn.Linear(width, outputs * patch * patch)
        for layer in (self.last_scale, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, t: Tensor, cond: Tensor) -> Tensor:
        """[rows, channels, height, width], times [rows] or [rows, times], given [rows, given] -> [rows, outputs, ...].

        Times are in about (0, 1).
        """
        setting = self.setting(t, cond)
        x = padded(x, self.patch)
        height, width = x.shape[2:]
        tokens = self.first(to_patches(x, self.patch)) + self.places.to(x.dtype)
        moves = self.scale(setting)[:, None]
        for block in self.blocks:
            tokens = block(tokens, moves)
        gain, shift = self.last_scale(setting)[:, None].chunk(2, -1)
        out = self.last(torch.addcmul(shift, rms(tokens), 1 + gain))
        whole = from_patches(out, self.patch, height, width)
        return whole[:, :, : self.size[0], : self.size[1]]


class Block(nn.Module):
    """`x = x + gate * attention(scaled norm(x)); x = x + gate * mlp(scaled norm(x))`; both gates start at 0.

    Arguments:
        width, heads: of the tokens and of attention.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.offset = nn.Parameter(torch.zeros(6 * width))
        self.query, self.key, self.value = (_linear(width, width) for _ in range(3))
        self.gain = nn.Parameter(torch.full((heads, 1, 1), math.sqrt(width // heads)))
        self.mix = _linear(width, width)
        self.up, self.down = _linear(width, 4 * width), _linear(4 * width, width)

    def forward(self, x: Tensor, moves: Tensor) -> Tensor:
        """Tokens [rows, tokens, width] and what the setting says, [rows, 1, 6 * width]."""
        moves = moves + self.offset.to(moves.dtype)
        gain_a, shift_a, gate_a, gain_b, shift_b, gate_b = moves.chunk(6, -1)
        x = torch.addcmul(x, gate_a, self.mix(self._attention(torch.addcmul(shift_a, rms(x), 1 + gain_a))))
        hidden = F.relu(self.up(torch.addcmul(shift_b, rms(x), 1 + gain_b))).square()
        return torch.addcmul(x, gate_b, self.down(hidden))

    def _attention(self, x: Tensor) -> Tensor:
        rows, tokens, width = x.shape
        weights = torch.cat([self.query.weight, self.key.weight, self.value.weight])  # one product is faster than three
        parts = F.linear(x, weights).view(rows, tokens, 3, self.heads, width // self.heads)
        (q, k), v = rms(parts[:, :, :2]).transpose(1, 3).unbind(2), parts[:, :, 2].transpose(1, 2)
        out = attend(q * (self.gain.clamp(-LARGEST, LARGEST) / k.shape[3]), k, v)
        return out.transpose(1, 2).reshape(rows, tokens, width)


def _linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(layer.weight, std=inputs**-0.5)
    return layer
