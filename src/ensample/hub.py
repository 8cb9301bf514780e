"""Checkpoints of Hugging Face: a folder on disk as a model, and a model as such a folder. Nothing is downloaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import torch
from torch import Generator, Tensor

from ensample.data.schema import Field, Schema
from ensample.data.texts import TEXT
from ensample.errors import FormatError, InputError
from ensample.families import Pretrained as Family
from ensample.families import PretrainedTranslation as Translation
from ensample.families.abilities import Exports
from ensample.families.sequences.pretrained.network import network_of
from ensample.families.sequences.pretrained.sourced import PretrainedTranslations
from ensample.families.sequences.pretrained.stored import Stored, computed, places_of
from ensample.hubchat import ends_of, is_pretrained, template_of, write_chat
from ensample.kinds.codecs import Codec, codec_of
from ensample.kinds.text import Text
from ensample.kinds.textcodec import TextCodec
from ensample.kinds.tokens import Marian
from ensample.kinds.tokens import Pretrained as Tokens
from ensample.kinds.tokens.marian import SOURCE as MARIAN
from ensample.kinds.tokens.marian import TARGET
from ensample.storage import read_arrays, read_json, replace_folder, write_json

if TYPE_CHECKING:
    from ensample.model import Model

CONFIG, INDEX, TOKENIZER = "config.json", "model.safetensors.index.json", "tokenizer.json"

CONTEXT = 1024
"""Most tokens that a checkpoint looks back on, unless `ensample.families.Pretrained(context=...)` says more."""

SOURCE = "source"
"""The field that the text of an encoder with a decoder is given."""

T = TypeVar("T", bound=Tokens)

UNSEEN = 1e-12
"""Probability of a missing text, of which a checkpoint knows nothing."""

PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def is_checkpoint(path: Path) -> bool:
    """Whether a path is a folder of a checkpoint, whole or not, and none of a model of ensample."""
    parts = (CONFIG, TOKENIZER, "*.safetensors", *PICKLES)
    return path.is_dir() and not (path / "model.json").exists() and any(any(path.glob(part)) for part in parts)


def opened(folder: Path) -> Model:
    """A language model of Hugging Face as a model of texts: `config.json`, `*.safetensors`, `tokenizer.json`.

    The end-of-text token is the end of a text. A causal language model is one of the field `text`, which begins behind
    the beginning-of-text token, or else that of the end; where it has a chat template it chats, too. An encoder with a
    decoder is one of `text` given `source`; see `ensample.families.PretrainedTranslation`. Weights are taken to
    float32.

    Raises:
        FormatError: a file is missing, damaged, or of another network; the weights are pickled, which is never read.
        CapabilityError: the network is none of these that `transformers` has, or needs code of its own.
        MissingPackage: `transformers` or `tokenizers` is not installed.
    """
    from ensample.model import Model

    config = _json(folder / CONFIG)
    weights = _weights(folder)
    sourced = bool(config.get("is_encoder_decoder"))
    with torch.device("meta"):  # names and shapes; the network itself is made by `restore`
        network = network_of(config, Generator(), sourced)
    made = _translating(folder, network) if sourced else _writing(folder, network)
    arrays = {f"network.{name}": weight for name, weight in _fitted(network, weights, folder).items()}
    arrays |= {"missing": torch.zeros((), dtype=torch.float64), "longest": torch.tensor(made.facts["context"])}
    restored = made.family.restore(made.codec.event, made.codec.given_event, arrays, {"config": config, **made.facts})
    restored.net.check()
    return Model(made.codec, made.family, restored, {"rows": 0, "seconds": 0.0, "seed": 0, "budget": {}})


class _Made(NamedTuple):
    """What the files around the weights tell."""

    codec: Codec
    family: Family | Translation
    facts: dict[str, Any]


def _writing(folder: Path, network: Any) -> _Made:
    """Of a causal language model."""
    words = network.config.get_text_config()
    context = min(CONTEXT, places_of(network) or CONTEXT)
    tokens = _tokens(folder, words)
    ends = (tokens.end, *ends_of(folder, network.config.get_text_config().to_dict()))
    tokens = replace(tokens, template=template_of(folder, tuple(dict.fromkeys(ends))))
    begin = tokens.end if tokens.token(words.bos_token_id) is None else int(words.bos_token_id)
    codec = codec_of(Schema((_field(TEXT, tokens, context),)), (TEXT,))
    return _Made(codec, Family(context=context), {"begin": begin, "end": tokens.end, "context": context})


def _translating(folder: Path, network: Any) -> _Made:
    """Of an encoder with a decoder."""
    words, path = network.config.get_text_config(), folder / "generation_config.json"
    said = {**_json(folder / CONFIG), **(read_json(path) if path.exists() else {})}
    paired = (folder / MARIAN).exists()
    tokens = _marian(folder, words, TARGET) if paired else _tokens(folder, words, lossy=True)
    source = _marian(folder, words, MARIAN) if paired else tokens
    start = said.get("decoder_start_token_id", getattr(words, "decoder_start_token_id", None))
    if not isinstance(start, int) or not 0 <= start < words.vocab_size:
        raise FormatError(
            "A checkpoint says which token its decoder starts with.",
            str(folder / CONFIG),
            f"decoder_start_token_id {json.dumps(start)}, of {words.vocab_size} tokens",
            'write its number into config.json: "decoder_start_token_id": ...',
        )
    before, behind = source.around()
    forced = said.get("forced_bos_token_id")
    begin = [start, *(before if forced is None else [int(forced)])]
    places = places_of(network) or CONTEXT
    context, longest = min(CONTEXT, places + 1 - len(begin)), places - len(before) - len(behind)
    fields = _field(SOURCE, source, longest), _field(TEXT, tokens, context)
    around = {"before": list(before), "behind": list(behind), "never": _never(said, words.vocab_size)}
    facts = {"begin": begin, "end": tokens.end, **around, "context": context}
    return _Made(codec_of(Schema(fields), (TEXT,), (SOURCE,)), Translation(context=context), facts)


def _tokens(folder: Path, words: Any, lossy: bool = False) -> Tokens:
    """The tokenizer; a `lossy` one may have a token for what its vocabulary lacks."""
    end = _end(folder, words)
    size, stored = int(words.vocab_size), _text(folder / TOKENIZER)
    tokens = Tokens(stored, size, end)
    if lossy and (unknown := tokens.lacking()) is not None and 0 <= unknown < size and unknown != end:
        tokens = Tokens(stored, size, end, unknown)
    return _whole(tokens, folder)


def _marian(folder: Path, words: Any, side: str) -> Marian:
    """The tokenizer of a side of a Marian checkpoint."""
    return _whole(Marian.opened(folder, side, int(words.vocab_size), _end(folder, words)), folder)


def _whole(tokens: T, folder: Path) -> T:
    if len(tokens.pieces) != tokens.size - 1 or tokens.token(tokens.end) is None:
        raise _unlike(folder / CONFIG, f"eos_token_id {tokens.end}, which is no token of the tokenizer")
    return tokens


def _never(said: dict[str, Any], size: int) -> list[int]:
    """Numbers of the tokens that a checkpoint says are never written."""
    words = [word for word in said.get("bad_words_ids") or () if isinstance(word, list) and len(word) == 1]
    return sorted({number for (number,) in words if isinstance(number, int) and 0 <= number < size})


def _field(name: str, tokens: Tokens, longest: int) -> Field:
    return Field(name, "string", Text("string", tokens.name, tokens.state, longest, False, UNSEEN))


def export(model: Model, folder: str | Path) -> None:
    """Write the model as a folder that Hugging Face's `transformers` opens: network, weights, tokenizer, template.

    Arguments:
        model: one that came from a checkpoint, tuned or not.
        folder: a new one, or one of a checkpoint, which is replaced.

    Raises:
        InputError: the folder holds something else.
    """
    folder = Path(folder)
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or (folder / CONFIG).exists())):
        raise InputError(
            "A checkpoint is written into a folder of its own.", str(folder), "other files", "choose another folder"
        )
    assert is_pretrained(model.codec)
    tokens = cast(Tokens, model.codec.kind.tokens)
    distribution = model.distribution
    assert isinstance(distribution, Exports) and isinstance(distribution, Stored)
    named = {"bos_token": tokens.token(distribution.net.begin), "eos_token": tokens.token(tokens.end)}
    if isinstance(distribution, PretrainedTranslations):
        config = distribution.net.network.config
        for mark in ("bos_token", "pad_token"):
            named[mark] = tokens.token(getattr(config, f"{mark}_id", None))

    if tokens.template is not None:
        named = dict(tokens.template.named)

    def write(target: Path) -> None:
        distribution.export(target)
        if isinstance(tokens, Marian):
            tokens.write(target, cast(Marian, cast(TextCodec, cast(TextCodec, model.codec).source).kind.tokens))
            return
        write_chat(tokens, distribution.net.network.config.get_text_config(), target)
        (target / TOKENIZER).write_text(tokens.stored, encoding="utf-8")
        write_json(target / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", **named})

    replace_folder(folder, write)


def _json(path: Path) -> dict[str, Any]:
    _check_there(path)
    return read_json(path)


def _text(path: Path) -> str:
    _check_there(path)
    try:
        return path.read_text(encoding="utf-8")
    except ValueError as error:
        raise FormatError("A tokenizer is JSON text.", str(path), str(error), "copy the checkpoint anew") from error


def _check_there(path: Path) -> None:
    if not path.exists():
        raise FormatError(
            f"A checkpoint is a folder with {CONFIG}, {TOKENIZER} and *.safetensors.",
            str(path),
            "nothing there",
            "copy the whole folder, or write it anew with `save_pretrained` of the model and of its fast tokenizer",
        )


def _weights(folder: Path) -> dict[str, Tensor]:
    names = sorted(path.name for path in folder.glob("*.safetensors"))
    if "model.safetensors" in names:
        names = ["model.safetensors"]
    elif (folder / INDEX).exists():
        names = sorted(set(map(str, read_json(folder / INDEX).get("weight_map", {}).values())))
    if not names:
        pickled = sorted(path.name for part in PICKLES for path in folder.glob(part))
        raise FormatError(
            "Weights are read from *.safetensors, which hold numbers alone.",
            str(folder),
            f"{pickled[0]}, a pickle, which may run code and is never opened" if pickled else "no *.safetensors",
            "write the checkpoint anew with `save_pretrained(folder, safe_serialization=True)`",
        )
    found: dict[str, Tensor] = {}
    for name in names:
        path = folder / Path(name).name
        _check_there(path)
        found |= read_arrays(path)
    return found


def _fitted(network: Any, weights: dict[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """The weights that the network has, by its names; those of its trunk alone may lack the prefix."""
    prefix, given = f"{network.base_model_prefix}.", {name: weight.float() for name, weight in weights.items()}
    wanted, twins = dict[str, Tensor](), dict[int, str]()
    for name, weight in network.state_dict(keep_vars=True).items():
        first = twins.setdefault(id(weight), name)
        found = given.get(name, given.get(name.removeprefix(prefix)))
        if found is not None and found.shape != weight.shape:
            raise _unlike(folder, f"{name} of shape {list(found.shape)}, and the network has {list(weight.shape)}")
        if found is not None:
            wanted.setdefault(first, found)
    own = computed(network)
    if lacking := [name for name, _ in network.named_parameters() if name not in wanted and name not in own]:
        raise _unlike(folder, f"no {', '.join(lacking[:3])}{' ...' if len(lacking) > 3 else ''}")
    return wanted


def _end(folder: Path, words: Any) -> int:
    """The number of the token that ends a text: of several the first."""
    end = words.eos_token_id
    if end is None and (folder / "generation_config.json").exists():
        end = read_json(folder / "generation_config.json").get("eos_token_id")
    end = end[0] if isinstance(end, list) and end else end
    if not isinstance(end, int) or not 0 <= end < words.vocab_size:
        raise FormatError(
            "A checkpoint says which token ends a text.",
            str(folder / CONFIG),
            f"eos_token_id {json.dumps(end)}, of {words.vocab_size} tokens",
            'write its number into config.json: "eos_token_id": ...',
        )
    return end


def _unlike(place: Path, seen: str) -> FormatError:
    return FormatError("The files of a checkpoint belong together.", str(place), seen, "copy the whole checkpoint anew")
