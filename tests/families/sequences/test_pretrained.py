"""Networks of `transformers` over classes: which sorts are read, padding, memory, learning in windows."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

from ensample.budget import Budget, Clock
from ensample.errors import CapabilityError, InputError
from ensample.events import Discrete, Mixed, Ragged, Span
from ensample.families import Pretrained
from ensample.families.sequences.pretrained.network import PretrainedNet, network_of
from ensample.kinds.sequences import Sequences
from ensample.run import Run
from ensample.train import learn

SMALL = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 60,
    "intermediate_size": 48, "max_position_embeddings": 40, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip
READ: dict[str, dict[str, Any]] = {
    "mistral": {"sliding_window": 4},  # each token sees four
    "gemma2": {"head_dim": 8, "sliding_window": 4},  # logits are bounded
    "opt": {"ffn_dim": 48, "word_embed_proj_dim": 32},  # tells places from the padding
    "bloom": {"n_layer": 2, "n_head": 4},  # has no places, but distances
    "gpt_neox": {},
}
REFUSED = {
    "mamba": "no list of keys and values",
    "bert": "changes what came before",
    "t5": "Unrecognized",
    "nonsense": "Unrecognized",
}


def net_of(sort: str, **more: Any) -> PretrainedNet:
    generator = torch.Generator().manual_seed(0)
    network = network_of({"model_type": sort, **SMALL, **more}, generator).eval()
    for weight in network.parameters():
        if weight.dim() > 1:
            weight.data.normal_(0, 0.3, generator=generator)
    return PretrainedNet(network, 1, 2)


@pytest.mark.parametrize("sort", READ)
def test_rows_of_any_length_are_read_and_written_on_as_alone(sort):
    net = net_of(sort, **READ[sort])
    net.check()
    tokens = torch.randint(0, 59, (3, 12), generator=torch.Generator().manual_seed(1))
    lengths, rows = torch.tensor([9, 1, 5]), torch.tensor([2, 0, 1, 2])
    following, memory = net.read(tokens[:, :9], lengths)
    written = memory.take(rows).step(tokens[rows, 9])[1]
    with torch.no_grad():
        for row, length in enumerate(lengths.tolist()):
            assert torch.allclose(following[row], net(tokens[row : row + 1, :length])[0, -1], atol=1e-4)
        for place, row in enumerate(rows.tolist()):
            alone = torch.cat([tokens[row, : lengths[row]], tokens[row, 9:10]])[None]
            assert torch.allclose(written[place], net(alone)[0, -1], atol=1e-4)


@pytest.mark.parametrize("sort", REFUSED)
@pytest.mark.filterwarnings("ignore")
def test_other_sorts_are_refused_with_a_reason(sort):
    with pytest.raises(CapabilityError, match=REFUSED[sort]) as found:
        net_of(sort).check()
    assert sort in found.value.place and "causal" in found.value.rule


def test_the_end_has_the_last_column_and_the_mark_is_the_beginning():
    net = net_of("gpt_neox")
    assert net.numbers(torch.tensor([0, 1, 2, 58, 59])).tolist() == [0, 1, 3, 59, 1]
    with torch.no_grad():
        own = net.network(input_ids=torch.tensor([[1, 3]])).logits
        mine = net(torch.tensor([[59, 2]]))
    assert torch.equal(mine[..., -1], own[..., 2]) and torch.equal(mine[..., 2], own[..., 3])


LETTERS = Ragged(Mixed((Span("letter", Discrete(4)),)), 9)


def words(lengths: list[int]) -> Sequences:
    table = np.random.default_rng(0).integers(0, 4, (sum(lengths), 1))
    return Sequences(LETTERS, table, lengths=np.array(lengths))


def test_learning_sees_each_record_as_scoring_does():
    family, records = Pretrained(context=32), words([3, 0, 7, 1, 9, 5])
    module = family.build(records, 0).eval()
    for weight in module.parameters():
        weight.data.normal_(0, 0.3, generator=torch.Generator().manual_seed(weight.numel()))
    windows = family.prepared(records).batch()
    log_p, targets = module.log_p(windows)
    told = log_p.gather(2, targets.clamp(min=0)[:, :, None])[:, :, 0].where(targets >= 0, 0.0)
    assert len(windows) == 1 and float(told.detach().sum()) == pytest.approx(
        float(module.log_prob(records.batch()).sum())
    )


def test_a_configuration_is_a_json_object():
    for config in ("gpt2", "[1]"):
        with pytest.raises(InputError, match="JSON object"):
            Pretrained(config=config).build(words([2, 3]), 0)
    built = Pretrained(config=json.dumps({"model_type": "gpt2", "n_embd": 8, "n_layer": 1, "n_head": 1}), context=20)
    facts = built.build(words([2, 3]), 0).facts()
    assert facts["config"]["vocab_size"] == 5 and facts["context"] == 20 and facts["begin"] == facts["end"] == 4


def test_windows_that_the_start_cannot_see_are_refused():
    run = Run(Clock(Budget.parse("1 steps")))
    short = learn(Pretrained(context=8), words([5] * 30), 0, run)
    with pytest.raises(InputError, match="context=8"):
        learn(Pretrained(), words([5] * 30), 0, Run(Clock(Budget.parse("1 steps"))), short)
