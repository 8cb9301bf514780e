"""Mutants of adversarial networks of pictures, of mixtures over patches, and of neural style."""

from __future__ import annotations

from tests.mutants import Mutant

GAN = "tests/families/images/test_gan.py"
PATCHES = "tests/families/images/test_patches.py"
STYLE = "tests/infer/test_style.py"
F = "families/images"

MUTANTS = [
    Mutant(f"{F}/gan/levels.py", "return numbers + off", "return (numbers + off).detach()", f"{GAN} -k rounding"),
    Mutant(f"{F}/gan/groups.py", "share.cumsum(0) - share / 2", "share.cumsum(0)", f"{GAN} -k sorts_of"),
    Mutant(f"{F}/gan/groups.py", "edges, torch.special.ndtr(", "edges, (", f"{GAN} -k sorts_of"),
    Mutant(f"{F}/gan/model.py", "norm.reset_running_stats()", "pass", f"{GAN} -k settled"),
    Mutant(
        f"{F}/gan/model.py", "torch.cat([told, made_told])", "torch.cat([told, made_told]).mul(0)", f"{GAN} -k half"
    ),
    Mutant(f"{F}/gan/model.py", "self.texture(numbers), given", "given", f"{GAN} -k fine_detail"),
    Mutant(f"{F}/gan/changes.py", "right - self.target", "self.target - right", f"{GAN} -k too_sure"),
    Mutant(f"{F}/gan/family.py", 'usual == "none" and not', "not", f"{GAN} -k judges_each"),
    Mutant(f"{F}/gan/place.py", "z - RATE", "z + RATE", f"{GAN} -k found_again"),
    Mutant("families/gan/objectives.py", ".square().flatten(1).sum(1)", ".square().sum(1)", f"{GAN} -k by_hand"),
    Mutant(f"{F}/patches/tiles.py", "self.tiles.count).sum(1)", "self.tiles.count)[:, 0]", f"{PATCHES} -k sum_to_one"),
    Mutant(f"{F}/patches/tiles.py", "+ patch.event.log_slope", "- patch.event.log_slope", f"{PATCHES} -k of_the_size"),
    Mutant(
        f"{F}/patches/restoration.py", "1 - variance / spread[k]", "variance / spread[k]", f"{PATCHES} -k posterior"
    ),
    Mutant(f"{F}/patches/restoration.py", "(held + tightness)", "(held + 1)", f"{PATCHES} -k by_hand"),
    Mutant(f"{F}/patches/restoration.py", "torch.where(known, both, free)", "free", f"{PATCHES} -k by_hand"),
    Mutant("infer/style.py", "/ flat.shape[2]", "", f"{STYLE} -k gram"),
    Mutant("infer/style.py", "keep * _apart(maps[0], kept)", "_apart(maps[0], kept)", f"{STYLE} -k style"),
]
