"""Mutants of chains of pixels: networks, heads, scans, the family."""

from __future__ import annotations

from tests.mutants import Mutant

NETS = "tests/nets/test_pixels.py"
HEAD = "tests/nets/test_pixelhead.py"
FAMILY = "tests/families/images/test_autoregressive.py"

MUTANTS = [
    Mutant(
        "families/images/autoregressive/model.py",
        "return ~(known[:, 1:] & ~known[:, :-1]).any(1)",
        "return known.any(1)",
        "tests/families/images/test_autoregressive.py -k one_draw",
    ),
    Mutant("nets/images/pixelcnn.py", "F.pad(self.taps.view(-1, 5, self.width), (0, 0, 0, 1))",
           "torch.cat([t := self.taps.view(-1, 5, self.width), t[:, :1]], 1)", NETS + " -k law_15"),
    Mutant("nets/images/pixelcnn.py", "F.pad(g, (0, 0, 1, 0))[:, :height]", "F.pad(g, (0, 0, 0, 1))[:, 1:]",
           NETS + " -k law_15"),
    Mutant("nets/images/pixelcnn.py", "self.before[i], g = g,", "self.before[i], g = before,",
           NETS + " -k full_passes"),
    Mutant("nets/images/pixelnear.py", "self.row[:, :, None, self.left :]", "self.row[:, :, None, : -self.left]",
           NETS + " -k full_passes"),
    Mutant("nets/images/pixelmade.py", "Masked(degree <= write[:, None], _near",
           "Masked(degree <= write[:, None] + 1, _near", NETS + " -k law_15"),
    Mutant("nets/images/pixelmade.py", "arange(width) * pixels // width", "arange(width) * pixels // width + 1",
           NETS + " -k given"),
    Mutant("nets/images/pixelrnn.py", "F.pad(x, (0, 0, 0, 0, 1, 0))[:, :-1]", "F.pad(x, (0, 0, 0, 0, 0, 1))[:, 1:]",
           NETS + " -k law_15"),
    Mutant("nets/images/pixelrnn.py", "self.states[i][column], self.memories[i][column], self.left[i] = h, memory, x",
           "self.states[i][column], self.left[i] = h, x", NETS + " -k full_passes"),
    Mutant("nets/images/pixeltransformer.py", "+ self.places[self.at])", "+ self.places[0])", NETS + " -k full_passes"),
    Mutant("nets/images/pixels.py", "known & self.begun", "known", NETS + " -k late"),
    Mutant("nets/images/pixelhead.py", "log_p.cumsum(-2)", "log_p", HEAD + " -k chain"),
    Mutant("nets/images/pixelhead.py", "weight = (log_share + before.sum(-2)).log_softmax(-1)", "weight = log_share",
           HEAD + " -k chain"),
    Mutant("nets/images/pixelhead.py", "torch.where(codes == 0, low,", "torch.where(codes == 0, inside,", HEAD),
    Mutant("families/images/autoregressive/model.py", "(batch.cells - self.low)", "batch.cells", FAMILY + " -k zero"),
    Mutant("families/images/autoregressive/model.py", "torch.where(known[rows], log_p, 0.0)", "log_p",
           FAMILY + " -k end"),
]  # fmt: skip
