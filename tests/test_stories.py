"""A real model: llama2.c's stories260K, read from its own layout by a reader that only this test has.

Set DAEDAL_STORIES260K to the folder with `stories260K.bin` and `tok512.bin` to hear its story; the reader is tested without.
"""

import io
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from daedal.models.gpt import GPT, GPTConfig

FOLDER = os.environ.get("DAEDAL_STORIES260K", "")


def read_llama2c(raw: bytes) -> GPT:
    """A Llama from llama2.c's first ("legacy") layout: seven int32, then float32 tensors one after another."""
    width, mlp_width, depth, heads, kv_heads, vocab, context = struct.unpack("<7i", raw[:28])
    head_width = width // heads
    numbers = torch.from_numpy(np.frombuffer(raw, np.float32, offset=28).copy())

    def take(*shape: int) -> torch.Tensor:
        nonlocal numbers
        count = int(np.prod(shape))
        taken, numbers = numbers[:count].view(shape), numbers[count:]
        return taken

    embedding, attention_norm = take(vocab, width), take(depth, width)
    query = take(depth, heads * head_width, width)
    key, value = take(depth, kv_heads * head_width, width), take(depth, kv_heads * head_width, width)
    out, mlp_norm = take(depth, width, heads * head_width), take(depth, width)
    gate, down, up = take(depth, mlp_width, width), take(depth, width, mlp_width), take(depth, mlp_width, width)
    norm = take(width)
    take(context, head_width // 2), take(context, head_width // 2)  # cosines and sines
    unembedding = None if vocab > 0 and not len(numbers) else take(vocab, width)
    config = GPTConfig.of(
        "llama", vocab_size=vocab, width=width, depth=depth, heads=heads, kv_heads=kv_heads, context=context,
        mlp_width=mlp_width, norm_eps=1e-5, tied=unembedding is None,
    )  # fmt: skip
    model = GPT(config).eval()
    state = {"embedding.weight": embedding, "transformer.norm.weight": norm}
    if unembedding is not None:
        state["unembedding.weight"] = unembedding
    for layer in range(depth):
        qkv = torch.cat([query[layer], key[layer], value[layer]])
        state |= {
            f"transformer.blocks.{layer}.{name}.weight": tensor
            for name, tensor in {
                "attention_norm": attention_norm[layer], "attention.qkv": qkv,
                "attention.out": out[layer], "mlp_norm": mlp_norm[layer],
                "mlp.gate_up": torch.cat([gate[layer], up[layer]]), "mlp.down": down[layer],
            }.items()
        }  # fmt: skip
    model.load_state_dict(state)
    return model


def write_llama2c(model: GPT) -> bytes:
    config = model.config
    blocks = [dict(block.named_parameters()) for block in model.transformer.blocks]
    queries, keys = config.heads * config.head_width, config.kv_heads * config.head_width
    qkv = [block["attention.qkv.weight"].split((queries, keys, keys)) for block in blocks]
    gate_up = [block["mlp.gate_up.weight"].chunk(2) for block in blocks]
    half = torch.zeros(config.context, config.head_width // 2)
    tensors = [
        model.embedding.weight,
        *(block["attention_norm.weight"] for block in blocks),
        *(rows[0] for rows in qkv),
        *(rows[1] for rows in qkv),
        *(rows[2] for rows in qkv),
        *(block["attention.out.weight"] for block in blocks),
        *(block["mlp_norm.weight"] for block in blocks),
        *(rows[0] for rows in gate_up),
        *(block["mlp.down.weight"] for block in blocks),
        *(rows[1] for rows in gate_up),
        model.transformer.norm.weight,
        half,
        half,
    ]
    head = (
        config.width,
        config.mlp_width,
        config.depth,
        config.heads,
        config.kv_heads,
        config.vocab_size,
        config.context,
    )
    return struct.pack("<7i", *head) + b"".join(tensor.detach().contiguous().numpy().tobytes() for tensor in tensors)


def read_tokens(raw: bytes, count: int) -> list[str]:
    """llama2.c's vocabulary: the longest length, then for each token a score, a length and its bytes."""
    stream = io.BytesIO(raw[4:])
    tokens = []
    for _ in range(count):
        _, length = struct.unpack("<fi", stream.read(8))
        tokens.append(stream.read(length).decode())
    return tokens


def test_a_model_written_in_llama2c_layout_is_read_back_exactly() -> None:
    config = GPTConfig.of("llama", vocab_size=53, width=24, depth=2, heads=4, kv_heads=2, context=16, norm_eps=1e-5)
    model = GPT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(generator=torch.Generator().manual_seed(4))
    back = read_llama2c(write_llama2c(model))
    for (name, mine), (other, theirs) in zip(model.named_parameters(), back.named_parameters(), strict=True):
        assert name == other
        assert torch.equal(mine, theirs), name


@pytest.mark.skipif(not FOLDER, reason="DAEDAL_STORIES260K does not name the folder of stories260K.bin and tok512.bin")
def test_stories260k_tells_its_story() -> None:
    model = read_llama2c((Path(FOLDER) / "stories260K.bin").read_bytes())
    tokens = read_tokens((Path(FOLDER) / "tok512.bin").read_bytes(), model.config.vocab_size)
    cache, ids = model.new_cache(1, 256), [1]
    with torch.no_grad():
        while len(ids) < 200:
            ids.append(int(model(torch.tensor([ids[-1:]]), cache)[0, -1].argmax()))
    story = "".join(tokens[id] for id in ids[1:]).replace("<0x0A>", "\n").strip()
    print(story)
    assert story.startswith(
        "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
        "One day, she saw a big, red ball."
    )
