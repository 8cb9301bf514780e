"""Tiny checkpoints with chat templates: of the forms that are met in the wild, written for the tests."""

from __future__ import annotations

import atexit
import functools
import shutil
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedTokenizerFast

from ensample.nets.random import seeded
from tests.checkpoints import byte_level, with_bytes

PLACES = 160

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

TELLING = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' }}{% if message.role == 'assistant' %}"
    "{% generation %}{{ message.content + '<|im_end|>' }}{% endgeneration %}{% else %}"
    "{{ message.content + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

STRICT = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for message in messages %}{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user/assistant/user/...') }}{% endif %}"
    "{% if message.role == 'user' %}{{ '[INST] ' + message.content | trim + ' [/INST]' }}"
    "{% else %}{{ ' ' + message.content | trim + ' ' + eos_token }}{% endif %}{% endfor %}"
)

LATE = (
    "{{ bos_token }}{% set told = messages[0].content if messages[0].role == 'system' else '' %}"
    "{% for message in messages %}{% if message.role == 'user' %}{{ '[INST]' }}"
    "{% if loop.last or (loop.index0 == messages | length - 2 and not loop.last) %}{{ told }}{% endif %}"
    "{{ message.content + '[/INST]' }}{% elif message.role == 'assistant' %}{{ message.content + eos_token }}"
    "{% endif %}{% endfor %}"
)
"""What the system says stands in the last turn of the user: no reply's prompt begins what is written."""

THINKING = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' }}"
    "{% if message.role == 'assistant' and loop.last %}{{ '<|think|>' }}{% endif %}"
    "{{ message.content + '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""The last reply is written otherwise than those before it."""

SORTS: dict[str, tuple[str, str]] = {
    "chatml": ("gpt2", CHATML),
    "telling": ("gpt2", TELLING),
    "thinking": ("gpt2", THINKING),
    "strict": ("llama", STRICT),
    "late": ("llama", LATE),
    "none": ("gpt2", ""),
}


def _gpt2() -> tuple[Any, dict[str, Any], dict[str, str]]:
    tokens = byte_level()
    tokens.add_special_tokens(["<|im_start|>", "<|im_end|>", "<|think|>"])
    size = tokens.get_vocab_size()
    sizes = {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": PLACES, "vocab_size": size}
    end = tokens.token_to_id("<|endoftext|>")
    return tokens, {"model_type": "gpt2", **sizes, "bos_token_id": end, "eos_token_id": end}, {
        "bos_token": "<|endoftext|>",
        "eos_token": "<|endoftext|>",
    }  # fmt: skip


def _llama() -> tuple[Any, dict[str, Any], dict[str, str]]:
    tokens = with_bytes()
    sizes = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4}
    more = {"num_key_value_heads": 2, "max_position_embeddings": PLACES, "bos_token_id": 1, "eos_token_id": 2}
    config = {"model_type": "llama", **sizes, **more, "vocab_size": tokens.get_vocab_size() + 3}
    return tokens, config, {"bos_token": "<s>", "eos_token": "</s>"}


@functools.cache
def checkpoint(sort: str) -> Path:
    """A folder as `save_pretrained` writes it; not to be changed."""
    folder = Path(mkdtemp()) / sort
    atexit.register(shutil.rmtree, folder.parent)
    base, template = SORTS[sort]
    tokens, config, marks = {"gpt2": _gpt2, "llama": _llama}[base]()
    with seeded(torch.Generator().manual_seed(1)):
        network = AutoModelForCausalLM.from_config(AutoConfig.for_model(config.pop("model_type"), **config))
        for weight in network.parameters():
            torch.nn.init.normal_(weight, std=0.3)
    network.save_pretrained(folder)
    more = {"chat_template": template} if template else {}
    PreTrainedTokenizerFast(tokenizer_object=tokens, **marks, **more).save_pretrained(folder)
    return folder


@functools.cache
def reference(sort: str) -> tuple[Any, Any]:
    """The network and the tokenizer as `transformers` opens them."""
    network = AutoModelForCausalLM.from_pretrained(checkpoint(sort), dtype=torch.float32)
    return network.eval(), PreTrainedTokenizerFast.from_pretrained(checkpoint(sort))
