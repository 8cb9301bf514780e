"""What turns pictures into features: the judge's own network, and published ones from files of weights."""

import pickle
import re
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from ensample.errors import FormatError, InputError
from ensample.judge.images import inception as inception_module
from ensample.judge.images.dino import Dino, dino
from ensample.judge.images.doors import as_extractor
from ensample.judge.images.efficientnet import EfficientNet, Same, efficientnet
from ensample.judge.images.extractor import Classifier, Extractor, Pixels, colours, weights_hash
from ensample.judge.images.frechet import frechet_distance
from ensample.judge.images.own import Prepare, own
from ensample.judge.images.resize import Bilinear299
from ensample.judge.images.weights import read_weights
from tests.judge.pictures import classifier, digits, noisy


def test_own_classifier_knows_digits_it_never_saw():
    x, y = digits()
    judge = classifier()
    found = np.array(judge.classes)[judge.logits(judge.features(x[900:])).argmax(1)]
    assert (found == y[900:]).mean() > 0.93
    assert isinstance(judge, Classifier) and judge.classes == tuple("0123456789")


def test_features_are_of_each_picture_alone():
    x, _ = digits()
    judge = classifier()
    whole = judge.features(x[:300])
    assert whole.dtype == np.float32 and whole.shape == (300, 128)
    assert np.allclose(judge.features(x[7:8]), whole[7:8], atol=1e-5)


def test_own_network_is_a_function_of_its_arguments():
    x, y = digits()
    state = torch.random.get_rng_state()
    first, same, other = (own(x[:200], y[:200], seen=600, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(state, torch.random.get_rng_state())
    assert first.hash == same.hash != other.hash and len(first.hash) == 12
    assert np.array_equal(first.features(x[:9]), same.features(x[:9]))
    assert own(x[:200], y[:200], seen=900).hash != first.hash
    assert own(x[:200], y[:200], seen=600, precision="bfloat16").hash != first.hash
    assert own(x[:200], y[:200], seen=600, name="digits").hash != first.hash


@pytest.mark.parametrize("shape", [(9, 14, 3), (40, 33, 4)])
def test_own_network_without_labels_orders_damage(shape):
    """Smooth coloured waves: the more pixels are noise, the further away."""
    rng = np.random.default_rng(0)
    at = np.linspace(0, 3, shape[0])[:, None, None] + np.linspace(0, 2, shape[1])[:, None]
    phase = rng.uniform(0, 6, (400, 1, 1, shape[2]))
    x = (127 + 120 * np.sin(at * rng.uniform(0.5, 2, (400, 1, 1, 1)) + phase)).astype(np.uint8)
    judge = own(x[:200], None, seen=3_000)
    assert not isinstance(judge, Classifier) and isinstance(judge, Extractor)
    real = judge.features(x[200:])
    distances = [frechet_distance(judge.features(noisy(x[:200], amount)), real) for amount in (0, 0.05, 0.2, 0.8)]
    assert distances == sorted(distances) and distances[1] > 1.2 * distances[0]


@pytest.mark.parametrize("which", ["own", "pixels"])
def test_extractors_order_damage(which):
    x, _ = digits()
    judge = classifier() if which == "own" else Pixels()
    real = judge.features(x[900:])
    distances = [frechet_distance(judge.features(noisy(x[450:900], amount)), real) for amount in (0, 0.1, 0.3, 0.9)]
    assert distances == sorted(distances) and distances[1] > 1.5 * distances[0]


def test_refusals_of_pictures():
    judge, (x, y) = classifier(), digits()
    with pytest.raises(InputError, match=r"\(9, 8, 1\) against \(8, 8, 1\)"):
        judge.features(np.zeros((2, 9, 8, 1), np.uint8))
    with pytest.raises(InputError, match="are bytes"):
        judge.features(x.astype(np.float32))
    with pytest.raises(InputError, match="at least one"):
        judge.features(x[:0])
    with pytest.raises(InputError, match="two pictures"):
        own(x[:1])
    with pytest.raises(InputError, match="9 labels"):
        own(x[:10], y[:9])
    with pytest.raises(InputError, match="of 1 classes"):
        own(x[:10], ["a"] * 10)


def test_colours():
    grey = np.full((1, 2, 2, 1), 9, np.uint8)
    assert colours(grey).shape == (1, 2, 2, 3) and (colours(grey) == 9).all()
    half = np.full((1, 1, 1, 4), 100, np.uint8)
    assert colours(half).ravel().tolist() == [194, 194, 194]  # 100 * 100/255 + 255 * 155/255


def test_hash_changes_with_everything():
    weights = {"a": torch.ones(2, 3), "b": torch.zeros(1)}
    others = [
        weights_hash({**weights, "a": torch.ones(3, 2)}, "x"),
        weights_hash({**weights, "b": torch.full((1,), 1e-30)}, "x"),
        weights_hash({"a": weights["a"], "c": weights["b"]}, "x"),
        weights_hash(weights, "y"),
    ]
    assert len({weights_hash(weights, "x"), *others}) == 5


class Trap:
    """Runs when it is unpickled."""

    sprung = False

    def __reduce__(self):
        return (_spring, ())


def _spring():
    Trap.sprung = True
    return Trap()


def test_files_that_could_run_code_are_not_opened(tmp_path):
    torch.save({"weight": Trap()}, tmp_path / "trap.pth")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Trap()))
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pth")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch has other plans than TorchScript
        torch.jit.script(nn.Linear(2, 2)).save(str(tmp_path / "program.pt"))
    (tmp_path / "text.bin").write_text("hello")
    (tmp_path / "cut.safetensors").write_bytes(b"\x09\x00")
    torch.save([1, 2], tmp_path / "list.pth")
    for name in ("trap.pth", "plain.pt", "whole.pth", "program.pt", "text.bin", "cut.safetensors", "list.pth"):
        with pytest.raises(FormatError, match="nothing that runs"):
            as_extractor(tmp_path / name)
    assert not Trap.sprung
    with pytest.raises(InputError, match="no such file"):
        as_extractor(tmp_path / "none.pth")
    with pytest.raises(InputError, match="choose one of own, pixels"):
        as_extractor("inception")


def test_doors(tmp_path):
    assert as_extractor(None) is None and as_extractor("own") is None and isinstance(as_extractor("pixels"), Pixels)
    judge = classifier()
    assert as_extractor(judge) is judge
    save_file({"other": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(FormatError, match="a network that the judge knows"):
        as_extractor(tmp_path / "w.safetensors")
    torch.save({"state_dict": {"x": torch.ones(2)}}, tmp_path / "w.pth")
    assert list(read_weights(tmp_path / "w.pth")) == ["x"]


def random_weights(network, seed=0):
    """A network's tensors at random, with variances that are positive."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for name, tensor in network.state_dict().items():
        noise = torch.randn(tensor.shape, generator=generator) if tensor.dim() else torch.tensor(0)
        out[name] = noise.abs() + 0.5 if name.endswith("var") else 0.2 * noise
    return out


@pytest.mark.parametrize("registers", [0, 4])
def test_dino_is_a_transformer(tmp_path, registers):
    """Against torch's own encoder layers, whose output matrices take in the learned factors."""
    net = Dino(width=128, depth=2, patch=56, grid=4, registers=registers)
    weights = random_weights(net)
    path = tmp_path / "dino.pth"
    torch.save({**weights, "mask_token": torch.zeros(1, 128)}, path)
    judge = as_extractor(path)
    x, _ = digits()
    found = judge.features(x[:3])
    sized = [
        Image.fromarray(one[..., 0].astype(np.float32)).resize((224, 224), Image.Resampling.BICUBIC) for one in x[:3]
    ]
    pixels = torch.from_numpy(np.stack(sized))[:, None].expand(-1, 3, -1, -1)
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    pixels = ((pixels.clamp(0, 255) / 255).permute(0, 2, 3, 1) - mean) / deviation
    patches = pixels.unfold(1, 56, 56).unfold(2, 56, 56).reshape(3, 16, -1)
    tokens = patches @ weights["patch_embed.proj.weight"].flatten(1).T + weights["patch_embed.proj.bias"]
    tokens = torch.cat([weights["cls_token"].expand(3, 1, 128), tokens], 1) + weights["pos_embed"]
    if registers:
        tokens = torch.cat([tokens[:, :1], weights["register_tokens"].expand(3, -1, -1), tokens[:, 1:]], 1)
    for k in range(2):
        layer = nn.TransformerEncoderLayer(128, 2, 512, 0.0, F.gelu, 1e-6, batch_first=True, norm_first=True)
        old = {n.removeprefix(f"blocks.{k}."): v for n, v in weights.items() if n.startswith(f"blocks.{k}.")}
        first, second = old["ls1.gamma"], old["ls2.gamma"]
        layer.load_state_dict(
            {
                "self_attn.in_proj_weight": old["attn.qkv.weight"],
                "self_attn.in_proj_bias": old["attn.qkv.bias"],
                "self_attn.out_proj.weight": first[:, None] * old["attn.proj.weight"],
                "self_attn.out_proj.bias": first * old["attn.proj.bias"],
                "linear1.weight": old["mlp.fc1.weight"],
                "linear1.bias": old["mlp.fc1.bias"],
                "linear2.weight": second[:, None] * old["mlp.fc2.weight"],
                "linear2.bias": second * old["mlp.fc2.bias"],
                **{f"norm{j}.{part}": old[f"norm{j}.{part}"] for j in (1, 2) for part in ("weight", "bias")},
            }
        )
        tokens = layer(tokens)
    expected = F.layer_norm(tokens[:, 0], (128,), weights["norm.weight"], weights["norm.bias"], 1e-6)
    assert np.allclose(found, expected.detach().numpy(), rtol=1e-3, atol=1e-4)


def test_dino_reads_its_size_and_resizes_positions(tmp_path):
    net = Dino(width=64, depth=1, patch=14, grid=37, registers=0)
    torch.save(random_weights(net), tmp_path / "dino.pth")
    judge = dino(tmp_path / "dino.pth")
    assert judge.features(np.zeros((2, 8, 8, 3), np.uint8)).shape == (2, 64) and "64" in judge.name
    with pytest.raises(FormatError, match="published names"):
        save_file({"x": torch.zeros(2)}, tmp_path / "w.safetensors")
        dino(tmp_path / "w.safetensors")


def test_efficientnet_from_a_file(tmp_path):
    net, head = EfficientNet(), nn.Linear(1280, 1000)
    weights = {**random_weights(net), **{f"fc.{k}": v for k, v in random_weights(head).items()}}
    own_names = r"(^|\.)(?=(?:conv|bn|blocks|fc|expand|depthwise|project))"
    renamed = {re.sub(own_names, r"\1_", n): v for n, v in weights.items()}
    torch.save(renamed, tmp_path / "efficientnet.pth")
    judge = as_extractor(tmp_path / "efficientnet.pth")
    x, _ = digits()
    features = judge.features(x[:2])
    assert features.shape == (2, 1280) and judge.logits(features).shape == (2, 1000)
    assert np.allclose(judge.logits(features), features @ weights["fc.weight"].numpy().T + weights["fc.bias"].numpy())
    short = {n: v for n, v in renamed.items() if n != "_conv_head.weight"}
    torch.save(short, tmp_path / "short.pth")
    with pytest.raises(FormatError, match=r"conv_head\.weight"):
        efficientnet(tmp_path / "short.pth")


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "margins"), [(224, 3, 2, (0, 1)), (7, 5, 1, (2, 2)), (15, 3, 2, (1, 1))]
)
def test_padding_is_that_of_tensorflow(size, kernel, stride, margins):
    layer = Same(1, 1, kernel, stride)
    x = torch.randn(1, 1, size, size)
    padded = F.pad(x, (*margins, *margins))
    assert torch.allclose(layer(x), F.conv2d(padded, layer.weight, stride=stride))


def test_resizing_is_that_of_tensorflow_1():
    pixels = np.random.default_rng(0).integers(0, 256, (1, 7, 5, 3)).astype(np.uint8)
    found = Bilinear299()(pixels)[0]
    for down, across, channel in ((0, 0, 0), (100, 250, 1), (298, 298, 2), (37, 121, 0)):
        y, x = down * 7 / 299, across * 5 / 299
        low, left = int(y), int(x)
        below, right = min(low + 1, 6), min(left + 1, 4)
        square = pixels[0, :, :, channel].astype(float)
        top = square[low, left] * (1 - (x - left)) + square[low, right] * (x - left)
        bottom = square[below, left] * (1 - (x - left)) + square[below, right] * (x - left)
        value = top * (1 - (y - low)) + bottom * (y - low)
        assert float(found[channel, down, across]) == pytest.approx((value - 128) / 128, abs=1e-4)


def test_inception_blocks(tmp_path):
    """The last block, written out: the mean of a place is over real places only, and the largest is of nine."""
    for pool in ("mean", "max"):
        block = inception_module._forked(8, pool).eval()
        block.load_state_dict(random_weights(block))
        x = torch.rand(2, 8, 6, 6)

        def layer(name, x, block=block):
            part = block.get_submodule(f"branch{name}")
            h = F.conv2d(x, part.conv.weight, padding=tuple(k // 2 for k in part.conv.weight.shape[2:]))
            bn = part.bn
            scale = bn.weight / torch.sqrt(bn.running_var + 1e-3)
            return torch.relu(h * scale[:, None, None] + (bn.bias - bn.running_mean * scale)[:, None, None])

        once, twice = layer("3x3_1", x), layer("3x3dbl_2", layer("3x3dbl_1", x))
        ones = F.avg_pool2d(F.pad(torch.ones_like(x), (1, 1, 1, 1)), 3, 1)
        mean = F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1) / ones
        largest = F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1)
        expected = [
            layer("1x1", x),
            layer("3x3_2a", once),
            layer("3x3_2b", once),
            layer("3x3dbl_3a", twice),
            layer("3x3dbl_3b", twice),
            layer("_pool", mean if pool == "mean" else largest),
        ]
        assert torch.allclose(block(x), torch.cat(expected, 1), atol=1e-4)


def test_inception_from_a_file(tmp_path):
    net, head = inception_module.Inception(), nn.Linear(2048, 1008)
    weights = {**random_weights(net), **{f"fc.{k}": v for k, v in random_weights(head).items()}}
    torch.save(weights, tmp_path / "inception.pth")
    judge = as_extractor(tmp_path / "inception.pth")
    features = judge.features(digits()[0][:2])
    assert features.shape == (2, 2048) and judge.name == "Inception-v3"
    assert np.allclose(judge.logits(features), features @ weights["fc.weight"].numpy().T)  # no bias


def test_prepare_says_what_it_does():
    assert Prepare((8, 6, 3)).words == "pixels of 8 x 6 x 3 to [-1, 1]"
    ends = Prepare((1, 2, 1))(np.array([[[[0], [255]]]], np.uint8))
    assert ends.shape == (1, 1, 1, 2) and ends.flatten().tolist() == [-1.0, 1.0]
