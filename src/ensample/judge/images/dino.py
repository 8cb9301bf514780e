"""DINOv2 (Oquab et al., 2023): a vision transformer as an extractor, from a file of its published weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ensample.errors import FormatError
from ensample.judge.images.extractor import Network
from ensample.judge.images.resize import IMAGENET, Bicubic
from ensample.judge.images.weights import fill, read_weights

SIDE, HEAD = 224, 64
"""Height and width of what goes in; numbers of one attention head."""

OFFSET = 0.1
"""What the published code adds to the wanted grid when it resizes the table of positions."""


class Attention(nn.Module):
    """Softmax attention over all patches."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[rows, tokens, width], the same out."""
        rows, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(rows, tokens, 3, width // HEAD, HEAD).permute(2, 0, 3, 1, 4)
        seen: Tensor = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj(seen.transpose(1, 2).reshape(rows, tokens, width))
        return out


class Scale(nn.Module):
    """A learned factor a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """[..., width], the same out."""
        return x * self.gamma


class Block(nn.Module):
    """`x + s1 attention(norm(x))`, then `x + s2 mlp(norm(x))`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.attn, self.ls1 = nn.LayerNorm(width, 1e-6), Attention(width), Scale(width)
        self.norm2, self.ls2 = nn.LayerNorm(width, 1e-6), Scale(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        """[rows, tokens, width], the same out."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        inner: Tensor = self.ls2(self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x)))))
        return x + inner


class Dino(nn.Module):
    """From pictures [rows, 3, 224, 224] to the normalised class token, [rows, width].

    Arguments:
        width: numbers of a token.
        depth: blocks.
        patch: pixels along a patch.
        grid: patches along a side that the table of positions was learned for.
        registers: tokens without a place.
    """

    def __init__(self, width: int, depth: int, patch: int, grid: int, registers: int) -> None:
        super().__init__()
        self.grid = grid
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + grid * grid, width))
        if registers:
            self.register_tokens = nn.Parameter(torch.zeros(1, registers, width))
        self.registers = registers
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width, 1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """[rows, 3, side, side] to [rows, width]."""
        patches: Tensor = self.patch_embed["proj"](x)
        tokens = torch.cat([self.cls_token.expand(len(x), -1, -1), patches.flatten(2).mT], 1)
        tokens = tokens + self._positions(patches.shape[-1])
        if self.registers:
            tokens = torch.cat([tokens[:, :1], self.register_tokens.expand(len(x), -1, -1), tokens[:, 1:]], 1)
        out: Tensor = self.norm(self.blocks(tokens)[:, 0])
        return out

    def _positions(self, wanted: int) -> Tensor:
        if wanted == self.grid:
            return self.pos_embed
        table = self.pos_embed[:, 1:].mT.reshape(1, -1, self.grid, self.grid)
        share = (wanted + OFFSET) / self.grid
        table = F.interpolate(table, scale_factor=(share, share), mode="bicubic")
        return torch.cat([self.pos_embed[:, :1], table.flatten(2).mT], 1)


def dino(path: str | Path) -> Network:
    """The extractor of any published size but the giant, with or without registers, from its file of weights.

    Raises:
        InputError, FormatError: there is no such file, or it does not hold these weights.
    """
    weights = read_weights(path)
    shape = _shape(weights, str(path))
    with torch.device("meta"):
        body = Dino(**shape)
    body = body.to_empty(device="cpu")
    fill(body, weights, str(path))
    prepare = Bicubic(SIDE, *IMAGENET)
    return Network(f"DINOv2 of width {shape['width']}", body, prepare, prepare.words, batch=25)


def _shape(weights: Mapping[str, Tensor], place: str) -> dict[str, int]:
    """What the tensors say of the network."""
    if (
        "patch_embed.proj.weight" not in weights
        or "pos_embed" not in weights
        or "blocks.0.mlp.fc1.weight" not in weights
    ):
        raise FormatError(
            "A file of DINOv2 has its published names.",
            place,
            f"{len(weights)} tensors, such as {next(iter(weights))!r}",
            "pass dinov2_vits14, vitb14 or vitl14, with or without registers",
        )
    projection, positions = weights["patch_embed.proj.weight"], weights["pos_embed"]
    registers = weights.get("register_tokens")
    return {
        "width": projection.shape[0],
        "depth": len({name.split(".")[1] for name in weights if name.startswith("blocks.")}),
        "patch": projection.shape[-1],
        "grid": round((positions.shape[1] - 1) ** 0.5),
        "registers": 0 if registers is None else registers.shape[1],
    }
