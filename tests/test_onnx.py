"""A model in ONNX Runtime says what it says in PyTorch."""

import pytest
import torch

from daedal.errors import DaedalError
from daedal.inference.engine import Engine
from daedal.inference.network import networks
from daedal.inference.onnx import OnnxNetwork
from daedal.inference.onnx_graph import block_length, graph_of, quantized
from daedal.inference.sampling import SamplingOptions
from daedal.models.autoregression import TorchNetwork
from daedal.models.gpt import GPT, GPTConfig
from test_engine import finish, ids, submit

torch.set_num_threads(1)
VOCAB, CONTEXT = 61, 96


def random_model(architecture: str, **changes: object) -> GPT:
    values = {"vocab_size": VOCAB, "width": 64, "depth": 3, "heads": 4, "context": CONTEXT, **changes}
    model = GPT(GPTConfig.of(architecture, **values))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            deviation, mean = (0.1, 0.0) if parameter.ndim == 2 else (0.1, 1.0)
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation + mean)
    return model.eval()


YARN = {"kind": "yarn", "factor": 2.0, "original_context": 48}
MODELS = {
    "gpt2": random_model("gpt2"),
    "gpt2-gelu": random_model("gpt2", activation="gelu", width=256),
    "llama": random_model("llama", kv_heads=2, rope_scaling=YARN),
    "mistral": random_model("mistral", sliding_window=7),
    "qwen2": random_model("qwen2", sliding_window=9, window_from=1),
    "qwen3": random_model("qwen3", kv_heads=1),
    "qwen3-untied": random_model("qwen3", tied=False, activation="gelu_tanh"),
    "swift": random_model("swift", sliding_window=9),
}
every_model = pytest.mark.parametrize("name", MODELS)


@every_model
@torch.no_grad()
def test_logits_are_those_of_pytorch(name: str) -> None:
    """A prompt in parts; then rows of unequal length, token by token; then several tokens of each at once."""
    model = MODELS[name]
    network, text, lengths = (
        OnnxNetwork(model),
        torch.randint(0, VOCAB, (3, 60), generator=torch.Generator().manual_seed(1)),
        [41, 7, 20],
    )
    cache = network.new_cache(3, 64)
    for row, length in enumerate(lengths):
        part = cache.rows(row, row + 1)
        first = network(text[row : row + 1, : length // 2], part, every=True)
        last = network(text[row : row + 1, length // 2 : length], part)
        expected = model(text[row : row + 1, :length])
        torch.testing.assert_close(first, expected[:, : length // 2], atol=1e-4, rtol=0)
        torch.testing.assert_close(last, expected[:, -1:], atol=1e-4, rtol=0)
    cache.lengths = list(lengths)
    for time in (1, 1, 4, 1):
        new = torch.stack([text[row, length : length + time] for row, length in enumerate(lengths)])
        together = network(new, cache, every=True)
        lengths = [length + time for length in lengths]
        for row, length in enumerate(lengths):
            expected = model(text[row : row + 1, :length])[:, -time:]
            torch.testing.assert_close(together[row : row + 1], expected, atol=1e-4, rtol=0)
    assert cache.lengths == lengths


@every_model
@torch.no_grad()
def test_quantized_logits_are_near(name: str) -> None:
    model, text = MODELS[name], torch.randint(0, VOCAB, (1, 40), generator=torch.Generator().manual_seed(1))
    expected = model(text)
    # without VNNI long prompts have weights of seven bits (`by_output`): steps twice as wide, errors twice as large
    for bits, most in ((8, 0.05 if torch.cpu._is_vnni_supported() else 0.1), (4, 0.9)):
        network = OnnxNetwork(model, bits)  # type: ignore[arg-type]
        found = network(text, network.new_cache(1, 40), every=True)
        assert 0 < float((found - expected).std() / expected.std()) < most
        read = network(text, network.new_cache(1, 40))
        assert 0 < float((read - expected[:, -1:]).std() / expected.std()) < most


@every_model
@torch.no_grad()
def test_a_quantized_prompt_is_the_same_however_it_is_cut(name: str) -> None:
    """Or a text would depend on how busy the engine was when its prompt came."""
    network, text = (
        OnnxNetwork(MODELS[name], 8),
        torch.randint(0, VOCAB, (1, 40), generator=torch.Generator().manual_seed(1)),
    )
    whole = network(text, network.new_cache(1, 40))
    for cuts in ([20, 20], [3, 30, 7], [38, 2]):
        cache = network.new_cache(1, 40)
        parts = [network(part, cache) for part in text.split(cuts, 1)]
        torch.testing.assert_close(parts[-1], whole, atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("rows", [4, 16])
def test_what_a_quantized_row_gives_does_not_depend_on_the_others(rows: int) -> None:
    network = OnnxNetwork(MODELS["qwen3"], 8)
    some, other = network.new_cache(rows, 8), network.new_cache(rows, 8)
    for step in range(4):
        new = torch.randint(0, VOCAB, (2, rows, 1), generator=torch.Generator().manual_seed(step))
        new[1, 3] = new[0, 3]
        found = network(new[0], some)[3].clone()
        assert torch.equal(network(new[1], other)[3], found)


@torch.no_grad()
def test_a_network_follows_its_cache_wherever_it_goes() -> None:
    """Memory that was freed comes back as that of another layer: what is bound must not be the old place."""
    model = MODELS["gpt2"]
    network, text = OnnxNetwork(model), torch.randint(0, VOCAB, (1, 30), generator=torch.Generator().manual_seed(1))
    expected = model(text)
    for _ in range(20):
        cache = network.new_cache(1, 32)
        cache.keys[1], cache.values[0] = cache.values[0], cache.keys[1]
        found = network(text, cache, every=True)
        cache.resize(2, 64)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
        torch.testing.assert_close(network(text[:, :1], cache.rows(1, 2)), expected[:, :1], atol=1e-4, rtol=0)


def test_blocks_come_back_as_near_as_their_bits_allow() -> None:
    for bits, middle, inputs in ((8, 128, 200), (4, 8, 200), (8, 128, 512)):
        weight = torch.randn(5, inputs) * torch.logspace(-3, 3, 5)[:, None]
        codes, scales = quantized(weight, bits)  # type: ignore[arg-type]
        if bits == 4:
            codes = torch.stack((codes & 15, codes >> 4), -1).flatten(-2)
        back = ((codes.float() - middle) * scales[:, :, None]).flatten(1)[:, :inputs]
        step = scales.repeat_interleave(block_length(inputs, bits), 1)[:, :inputs]  # type: ignore[arg-type]
        assert bool(((back - weight).abs() <= 0.5001 * step).all())
    assert quantized(torch.zeros(1, 3), 8)[1].isfinite().all()


@every_model
def test_the_engine_writes_the_same(name: str) -> None:
    options = SamplingOptions(temperature=0.8, seed=1, max_tokens=60, overflow="slide")
    prompts = [[1, 2, 3], [5] * 40, [7, 8]]

    def write(
        network: TorchNetwork | OnnxNetwork, draft: OnnxNetwork | None = None, prompts: list[list[int]] = prompts
    ) -> list[list[int]]:
        engine = Engine(network, draft)
        return ids(finish(engine, submit(engine, prompts, options)))

    expected = write(TorchNetwork(MODELS[name]))
    network = OnnxNetwork(MODELS[name])
    assert write(network) == expected
    assert write(network, OnnxNetwork(MODELS[name], 8), prompts[:1]) == expected[:1]


def test_what_cannot_be_expressed_goes_on_in_pytorch() -> None:
    narrow, dynamic = (
        random_model("llama", heads=8),
        random_model("llama", rope_scaling={"kind": "dynamic", "factor": 2.0}),
    )
    for model in (narrow, dynamic):
        with pytest.raises(DaedalError):
            graph_of(model, 32)
        assert isinstance(networks(model)[0], TorchNetwork)
        with pytest.raises(DaedalError):
            networks(model, "int8")
    half = random_model("llama").bfloat16()
    assert isinstance(networks(half)[0], TorchNetwork)
    with pytest.raises(DaedalError, match="float32"):
        networks(half, "int8")
    assert isinstance(networks(MODELS["llama"], "draft")[1], OnnxNetwork)
