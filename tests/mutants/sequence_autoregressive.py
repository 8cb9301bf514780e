"""Mutants of networks over sequences: parts, trunks, sliding windows, the family."""

from __future__ import annotations

from tests.mutants import Mutant

NETS = "tests/nets/test_sequences.py"
FAMILY = "tests/families/sequences/test_autoregressive.py"
MINGRU = "tests/nets/sequences/test_mingru.py"

MUTANTS = [
    Mutant("nets/attention.py", "weight.tril_()", "weight.tril_(1)", NETS + " -k 'law_15 or attention'"),
    Mutant("nets/attention.py", ".sub_(along)", "", NETS + " -k hand_written"),
    Mutant("nets/attention.py", "q.shape[1] // k.shape[1] * q.shape[2]", "q.shape[2]", NETS + " -k attention"),
    Mutant("nets/attention.py", "k.repeat_interleave(each, 1)", "k.repeat(1, each, 1, 1)", NETS + " -k attention"),
    Mutant("nets/sequences/cache.py", "both[..., self.heads :, :]", "both[..., : self.groups, :]",
           "tests/nets/sequences/test_cache.py -k says"),
    Mutant("nets/sequences/compiled/kernels.py", "(groups - g - 1) * size", "(groups - 1) * size",
           "tests/nets/sequences/test_compiled.py -k step"),
    Mutant("nets/sequences/blocks.py", "torch.mul(two, cos, out=second).addcmul_(one, sin, value=way)",
           "torch.mul(two, cos, out=second).addcmul_(one, sin, value=-way)", NETS + " -k turned"),
    Mutant("nets/sequences/blocks.py", "of_gain = along[:, :heads].sum((0, 2), keepdim=True)[0]",
           "of_gain = along[:, -heads:].sum((0, 2), keepdim=True)[0]", NETS + " -k turned"),
    Mutant("nets/sequences/blocks.py", "n[:, :-1] if stays is None else n[:, :-1] * stays[:, 1:]", "n[:, :-1]",
           NETS + " -k 'each_other'"),
    Mutant("nets/sequences/transformer.py", "record[:, None, :, None] == record[:, None, None]",
           "record[:, None, :, None] >= record[:, None, None]", NETS + " -k 'each_other'"),
    Mutant("nets/sequences/wavenet.py", "new.roll((self.time - other.time) % dilation, 0)", "new",
           NETS + " -k one_token"),
    Mutant("nets/sequences/mingru.py", "f if stays is None else f * stays.transpose(0, 1)", "f", MINGRU + " -k loop"),
    Mutant("nets/sequences/mingru.py", "(h - c).mul_(of_c)", "h.mul(of_c)", MINGRU + " -k gradient"),
    Mutant("nets/sequences/mingru.py", "decays[t + 1], rows[t + 1]", "decays[t], rows[t + 1]", MINGRU + " -k gradient"),
    Mutant("nets/sequences/mingru.py", "torch.lerp(c, kept.state,", "torch.lerp(kept.state, c,", MINGRU + " -k kept"),
    Mutant("nets/sequences/mingru.py", "h[last[1], last[0]]", "h[-1]", MINGRU + " -k kept"),
    Mutant("nets/sequences/mingru.py", "self.state.index_put((rows,), other.state)", "self.state",
           NETS + " -k one_token"),
    Mutant("nets/dropout.py", "2**16 / (2**16 - level)", "1.0", NETS + " -k dropout"),
    Mutant("families/sequences/autoregressive/sliding.py", "(target - self.context).div",
           "(target - self.context + 1).div", FAMILY + " -k 'slide or any_length'"),
    Mutant("families/sequences/autoregressive/model.py", "(self.sliding.start(place) == first[:, None]) & ", "",
           FAMILY + " -k any_length"),
    Mutant("families/sequences/autoregressive/writing.py", "self.inputs[full, self.sliding.stride :]",
           "self.inputs[full, :kept]", FAMILY + " -k conditionals"),
    Mutant("families/sequences/autoregressive/family.py", "torch.lerp(nats, -log_p.mean(2)",
           "torch.lerp(nats, log_p.mean(2)", FAMILY + " -k targets_alone"),
    Mutant("train/optimisers.py",
           "step = wide if as_matrix(weight).shape[-2] <= as_matrix(weight).shape[-1] else wide.mT",
           "step = wide", "tests/train/test_techniques.py -k of_one_size"),
]  # fmt: skip
