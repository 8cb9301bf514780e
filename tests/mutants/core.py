"""Mutants of the foundations: events, data, kinds, engines, inference, and the first families."""

from __future__ import annotations

from tests.mutants import Mutant

LAWS = "tests/laws/test_laws.py tests/laws/test_lattice.py -k 'independent or lattice'"
BINS = "tests/families/test_bins.py"
INFER = "tests/infer"
KINDS = "tests/kinds"
NETS = "tests/families/test_autoregressive.py"
TRAIN = "tests/train/test_gradients.py tests/train/test_parts.py"
RESUME = "tests/train/test_resume.py -k every_stop"
SUMMARIES = "tests/train/test_summaries.py"
KERNELS = "tests/families/test_mixture_kernels.py"
MIXTURE = "tests/families/test_mixture.py"
CONDITIONS = "tests/families/test_mixture_conditionals.py"
TRUNCATED = "tests/families/test_truncated.py"
ADAPTIVE = "tests/families/test_adaptive.py"
MUTANTS = [
    Mutant("events.py", "return -0.5 * torch.log1p", "return 0.5 * torch.log1p", LAWS),
    Mutant(
        "events.py", "return (position - self.shift) / self.scale", "return (position + self.shift) / self.scale", LAWS
    ),
    Mutant("events.py", "inside |= (cells >= low) & (cells <= high)", "inside |= (cells >= low)", INFER),
    Mutant("families/bins.py", "inside = torch.log1p(-escape) + torch.log(", "inside = torch.log(", BINS),
    Mutant("families/bins.py", "torch.log(escape / sides)", "torch.log(escape)", BINS),
    Mutant("families/independent.py", "torch.log(counts / counts.sum())", "torch.log(counts / counts.max())", LAWS),
    Mutant("families/chain.py", "weight[rows] += extra", "pass", INFER),
    Mutant("families/chain.py", "known[:, j] = exists", "known[:, j] = True", INFER),
    Mutant(
        "infer/likelihood.py",
        "density + distribution.event.log_slope(batch.cells, batch.mask, shift)",
        "density",
        INFER,
    ),
    Mutant("infer/condition.py", "u < torch.exp(weight - top)", "u < 1.0", INFER),
    Mutant("infer/impute.py", "torch.softmax(weight, 1)", "torch.ones_like(weight)", INFER),
    Mutant("families/boosted/adaptive.py", "self.power - 2 * float(weights @ cross)", "self.power", ADAPTIVE),
    Mutant("families/boosted/adaptive.py", "| np.isin(b, known)", "| True", ADAPTIVE),
    Mutant("families/orders.py", "torch.maximum(key[:, j], key[:, span.exists[0]])", "key[:, j]", NETS),
    Mutant("families/autoregressive/cells.py", "torch.where(before < after,", "torch.where(before > after,", NETS),
    Mutant("nets/heads.py", "shape[:, k] = 2 * height", "shape[:, k] = -2 * height", "tests/nets"),
    Mutant("nets/heads.py", "d_h * outer", "d_h", "tests/nets"),
    Mutant("nets/heads.py", ".abs() <= RATE", ".abs() >= 0", "tests/nets"),
    Mutant("kinds/trace.py", "NOISE_ULPS = 4", "NOISE_ULPS = 0", KINDS),
    Mutant("kinds/trace.py", "self.trace.divisor *= factor", "pass", KINDS),
    Mutant("kinds/trace.py", "numerators / 10.0**digits if digits", "numerators * 0.1**digits if digits", KINDS),
    Mutant("kinds/measured.py", "distance % step >", "distance % step < 0 * ", KINDS),
    Mutant("kinds/measured.py", "return np.where(above, cells, -cells)", "return cells", KINDS),
    Mutant("kinds/measured.py", "np.where(valid, cells, 0).clip(low, high)", "np.where(valid, cells, 0)", KINDS),
    Mutant(
        "kinds/measured.py",
        "first, last = _whole(max(low, 0), up=True)",
        "first, last = _whole(max(low, 0), up=False)",
        KINDS,
    ),
    Mutant("kinds/number.py", "(distances % 10 != 0).sum()", "len(distances)", KINDS),
    Mutant(
        "kinds/number.py",
        "return np.rint((values - self.origin) / self.unit)",
        "return np.rint(values / self.unit)",
        "tests/kinds/test_number.py -k standardised",
    ),
    Mutant(
        "kinds/grid.py",
        "off <= max(AFFINE_ERROR * slope, noise)",
        "off <= slope",
        "tests/kinds/test_number.py -k steps",
    ),
    Mutant("kinds/grid.py", "off <= COARSE_LOSS * np.abs(others)", "off >= 0", "tests/kinds/test_number.py"),
    Mutant("kinds/shape.py", "counts >= SPIKE_RATIO * around", "counts > 0", "tests/kinds/test_shape.py"),
    Mutant("kinds/shape.py", "- 0.5 * math.log(2 * math.pi * math.e * variance)", "", KINDS),
    Mutant("kinds/shape.py", "abs().max() < 0.2", "abs().max() < 1e30", KINDS),
    Mutant("kinds/base.py", "(singletons + 0.5) / (profile.rows + 1)", "0.5 / (profile.rows + 1)", KINDS),
    Mutant("kinds/base.py", "np.log(unseen), np.log1p(-unseen)", "np.log(unseen), 0.0", KINDS),
    Mutant("kinds/category.py", "texts.sort(key=natural)", "texts.sort()", KINDS),
    Mutant(
        "kinds/datetime.py",
        "return int(month[0]) if part == 0 else float(month[0]) + part",
        "return int(month[0])",
        KINDS,
    ),
    Mutant("kinds/identifier.py", "start = self.high + 1 + first", "start = self.low + first", KINDS),
    Mutant("kinds/patterns.py", "if len(again) == 0:", "if True:", KINDS),
    Mutant("kinds/profile.py", "np.partition(self.ranks, SAMPLE_ROWS)[SAMPLE_ROWS]", "self.ranks[SAMPLE_ROWS]", KINDS),
    Mutant("kinds/codec.py", "cells[is_missing(column)] = ABSENT", "pass", KINDS),
    Mutant(
        "kinds/codec.py",
        "made[name] = self._kind(name).decode(table[:, place.start : place.stop], rng, first)",
        "made[name] = self._kind(name).decode(table[:, place.start : place.stop], rng)",
        KINDS,
    ),
    Mutant("kinds/records.py", "wide[wide == ABSENT_NARROW] = ABSENT", "pass", KINDS),
    Mutant("train/average.py", "1.0 - decay", "decay", TRAIN),
    Mutant("train/schedule.py", "* SCHEDULES[schedule](share)", "", TRAIN),
    Mutant(
        "train/checkpoint.py",
        "[value.clone() for value in (*self.average.values, *self.module.buffers())]",
        "[*self.average.values, *self.module.buffers()]",
        TRAIN,
    ),
    Mutant("train/gradients.py", "self.learner.set_back(self.good)", "pass", TRAIN),
    Mutant("train/gradients.py", "generator.manual_seed(_mixed(self.seed, facts.step, facts.setbacks))", "pass", TRAIN),
    Mutant("train/guards.py", "mean > self.mean + jump", "mean > 1e30", TRAIN),
    Mutant("train/checkpoint.py", "self.facts = Facts(**facts)", "self.facts = Facts(facts['step'])", RESUME),
    Mutant("nets/machine.py", "torch.set_num_threads(before)", "pass", TRAIN),
    Mutant("train/summaries.py", "abs(objective - before) < family.tolerance", "False", SUMMARIES),
    Mutant("train/summaries.py", "total += family.log_prior(current)", "pass", MIXTURE),
    Mutant("train/summaries.py", "parts[len(self.prepared) :]", "parts", SUMMARIES),
    Mutant("train/summaries.py", 'max(run.clock.seconds, facts["seconds"])', "run.clock.seconds", SUMMARIES),
    Mutant("families/mixture/forms.py", "torch.where(i == j, -0.5, -1.0)", "torch.where(i == j, -0.5, -0.5)", KERNELS),
    Mutant(
        "families/mixture/forms.py",
        "            if noise is not None:\n                out[at] += noise[i]\n",
        "",
        KERNELS,
    ),
    Mutant("families/mixture/forms.py", "return slopes, rest - half.mT @ half", "return slopes, rest", MIXTURE),
    Mutant("families/mixture/forms.py", "+= count[:, None, None] * rest", "+= 0.0 * rest", MIXTURE),
    Mutant(
        "families/mixture/forms.py",
        "count, first, second = parts\n        zeros",
        "count, second, first = parts\n        zeros",
        MIXTURE,
    ),
    Mutant("families/mixture/covariance.py", ".second / moments.observed", ".second / moments.count[:, None]", MIXTURE),
    Mutant(
        "families/mixture/kernels.py",
        "if natural.terms * torch.finfo(torch.float32).eps > TRUSTED:",
        "if False:",
        KERNELS,
    ),
    Mutant("families/mixture/kernels.py", "if not held:", "if False:", KERNELS),
    Mutant("families/mixture/kernels.py", "torch.set_float32_matmul_precision(precision)", "pass", KERNELS),
    Mutant("families/mixture/components.py", ".exp() / 12.0", ".exp() / 1200.0", MIXTURE),
    Mutant("families/mixture/components.py", "+ smoothing * share", "+ share", MIXTURE),
    Mutant("families/mixture/model.py", "return total - self.log_joint", "return total + 0 * self.log_joint", MIXTURE),
    Mutant(
        "families/mixture/evidence.py", "self.logits += torch.where(exists[:, None], chance, 0.0)", "pass", CONDITIONS
    ),
    Mutant("families/mixture/evidence.py", "+ torch.where(inside, allowed[child][:, :, None], 0.0)", "", CONDITIONS),
    Mutant(
        "families/mixture/evidence.py",
        "table, bound = torch.where(inside, table, -torch.inf), True",
        "pass",
        CONDITIONS,
    ),
    Mutant("families/mixture/evidence.py", "self.slopes = self.slopes[:, index]", "pass", CONDITIONS),
    Mutant("families/mixture/conditionals.py", "if i >= evidence.exact:", "if False:", CONDITIONS),
    Mutant("families/mixture/conditionals.py", "mean[:, i] + form.prefix(factor, inner, i)", "mean[:, i]", CONDITIONS),
    Mutant(
        "families/mixture/expectations.py",
        "evidence.logits + _log_existing(evidence, j)",
        "evidence.logits",
        CONDITIONS,
    ),
    Mutant("families/mixture/truncated.py", "0.5 * t.square() + moved", "moved", TRUNCATED),
    Mutant(
        "families/mixture/truncated.py",
        "return torch.where(upper, -z, z)",
        "return z",
        TRUNCATED,
    ),
    Mutant("data/missing.py", "if self.code and (typed or not codes):", "if self.code:", "tests/data/test_missing.py"),
    Mutant("data/split.py", "return ~below if self.rest else below", "return below", "tests/data/test_split.py"),
    Mutant("data/split.py", "place = count - 1 -", "place = count -", "tests/data/test_split.py"),
    Mutant("data/infer.py", "range(self.rung, len(chain))", "range(len(chain))", "tests/data/test_infer.py"),
    Mutant("data/infer.py", "or _any_long(cells)", "", "tests/data/test_infer.py"),
    Mutant("data/readers/feed.py", "row += batch.num_rows", "row += 0", "tests/data/test_stream.py"),
    Mutant(
        "data/wording.py", "return texts if exact is not False else None", "return texts", "tests/data/test_save.py"
    ),
    Mutant("data/readers/arrays.py", "allow_pickle=False", "allow_pickle=True", "tests/data/test_bad_input.py"),
]
