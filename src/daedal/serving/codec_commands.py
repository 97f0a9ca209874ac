"""What every process of a model of texts does that takes its tokenizer alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.serving.commands import Event, Refused


def codec_info(generator: Generator) -> dict[str, Any]:
    """What the server must know of a model's tokenizer and templates."""
    codec: TextCodec = generator.codec
    ids = {"bos_token": codec.bos_id, "eos_token": codec.eos_id, "pad_token": codec.pad_id}
    names = {name: None if id is None else codec.name(id) for name, id in ids.items()}
    return {
        "quantize": generator.quantize,
        "chat_template": generator.template.source,
        "tool_template": generator.template.renders_tools,
        "special_tokens": {
            **names,
            **{f"{name}_id": id for name, id in ids.items()},
        },  # as tokenizer_config.json has them
        "codec": codec.kind,
    }


def tokenized(codec: TextCodec, ids: Sequence[int], pieces: bool) -> Event:
    """The answer to `tokenize`."""
    return {"event": "result", "ids": list(ids), "pieces": [codec.name(id) for id in ids] if pieces else None}


def detokenized(codec: TextCodec, ids: Sequence[int]) -> Event:
    """The answer to `detokenize`.

    Raises:
        DaedalError: the tokenizer has no such token.
    """
    beyond = [id for id in ids if not 0 <= id < codec.vocab_size]
    if beyond:
        raise DaedalError(f"There is no token {beyond[0]}", "Give ids of this model's vocabulary")
    return {"event": "result", "text": codec.decode(ids)}


def last_said(codec: TextCodec, prompt: Mapping[str, Any]) -> str:
    """The text of a prompt; of a conversation what the user said last.

    Raises:
        Refused: the user has said nothing.
        DaedalError: the tokenizer has no such token.
    """
    if "ids" in prompt:
        return str(detokenized(codec, prompt["ids"])["text"])
    if "messages" not in prompt:
        return str(prompt["text"] if "text" in prompt else prompt["raw"])
    said = [turn for turn in prompt["messages"] if turn["role"] == "user"]
    if not said:
        raise Refused(400, "There is no message of the user's", "invalid_prompt", "prompt")
    return str(said[-1]["content"])
