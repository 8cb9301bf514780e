"""The two networks of unpaired translation: a picture to a picture of a sort, and a critic of its patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ensample.families.images.gan.networks import ConvolutionalFeatures
from ensample.nets.images.blocks import conv
from ensample.nets.images.coders import ConvDecoder, ConvEncoder, Shape


class Translator(nn.Module):
    """A picture and the sort that it is to be -> a picture in (-1, 1): residual convolutions over ever coarser maps.

    Build it inside `ensample.nets.random.seeded`.

    Arguments:
        shape: of the pictures.
        sorts: columns that say the sort.
        width, depth, fold, sizes: as of `nets.images.coders.ConvEncoder`.

    Example:
        >>> net = Translator((3, 9, 8), 2, width=4, depth=1, fold=2, sizes=2)
        >>> net(torch.zeros(5, 3, 9, 8), torch.eye(2)[[0, 1, 1, 0, 0]]).shape
        torch.Size([5, 3, 9, 8])
    """

    def __init__(self, shape: Shape, sorts: int, *, width: int, depth: int, fold: int, sizes: int) -> None:
        super().__init__()
        self.encoder = ConvEncoder(shape, sorts, width=width, depth=depth, fold=fold, sizes=sizes)
        self.decoder = ConvDecoder(shape, width=width, depth=depth, fold=fold, sizes=sizes)

    def forward(self, pictures: Tensor, to: Tensor) -> Tensor:
        """[rows, *shape] in [-1, 1] and [rows, sorts] -> [rows, *shape]."""
        return torch.tanh(self.decoder(self.encoder(pictures, to)[-1]))


class PatchCritic(nn.Module):
    """A number for each patch of a picture: whether it comes from one of this sort (PatchGAN: Isola et al. 2017).

    One body looks at the pictures of all sorts, and each sort has a head of its own.

    Arguments:
        body: whose maps are judged.
        sorts: columns that say the sort.
    """

    def __init__(self, body: ConvolutionalFeatures, sorts: int) -> None:
        super().__init__()
        self.body, self.heads = body, conv(body.channels, sorts, 3, bias=True)

    def forward(self, pictures: Tensor, sort: Tensor) -> Tensor:
        """[rows, *shape] and [rows, sorts] -> [rows x patches] float32, the patches of a picture side by side."""
        answers = self.heads(self.body.maps(pictures))
        chosen: Tensor = (answers.float() * sort[:, :, None, None]).sum(1)
        return chosen.flatten()
