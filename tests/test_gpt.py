"""What must hold of every GPT, whatever it is made of."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.errors import DaedalError
from daedal.models.autoregression import UNKNOWN, ByChance, TorchNetwork, write
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.model import IGNORE, Moment, TokenBatch
from daedal.models.sequences import Sequences, TargetBatch, line
from daedal.nn.cache import KVCache
from daedal.nn.noise import Noise
from daedal.nn.transformer import recompute

VOCAB, CONTEXT = 61, 48
MODELS: dict[str, dict[str, Any]] = {
    "gpt2": {}, "llama": {}, "qwen2": {"kv_heads": 2}, "qwen3": {"kv_heads": 2, "head_width": 16},
    "swift": {"kv_heads": 2}, "swift-grid": {"grid": (6, 8)},
    "mistral": {"kv_heads": 1, "sliding_window": 5}, "qwen3-window": {"sliding_window": 5, "window_from": 1},
}  # fmt: skip


def build(name: str, seed: int = 0, dtype: torch.dtype = torch.float32, **changes: Any) -> GPT:
    shape: dict[str, Any] = {"vocab_size": VOCAB, "width": 32, "depth": 3, "heads": 4, "context": CONTEXT}
    model = GPT(GPTConfig.of(name.partition("-")[0], **{**shape, **MODELS[name], **changes}))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.15)
    return model.to(dtype).eval()


def ids(batch: int, time: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, VOCAB, (batch, time), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("name", MODELS)
@settings(max_examples=15, deadline=None)
@given(cuts=st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_cached_logits_equal_uncached_ones_however_the_text_is_cut(name: str, cuts: list[int]) -> None:
    model, tokens = build(name), ids(2, sum(cuts[:5]))
    cache = model.new_cache(2, tokens.shape[1])
    with torch.no_grad():
        pieces = [model(piece, cache) for piece in tokens.split(cuts[:5], 1)]
        torch.testing.assert_close(torch.cat(pieces, 1), model(tokens), atol=2e-5, rtol=0)


def ragged(model: GPT, tokens: torch.Tensor, lengths: list[int], capacity: int) -> KVCache:
    """A cache whose rows have read so many tokens, each by itself."""
    cache = model.new_cache(len(lengths), capacity)
    for row, length in enumerate(lengths):
        model(tokens[row : row + 1, :length], cache.rows(row, row + 1))
    cache.lengths = lengths
    return cache


ONE_BY_ONE = [name for name in MODELS if "grid" not in name]


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_a_ragged_batch_equals_its_rows_one_by_one(name: str) -> None:
    model, tokens, lengths = build(name), ids(3, 20), [12, 3, 7]
    with torch.no_grad():
        cache = ragged(model, tokens, list(lengths), 20)
        for time in (1, 3, 1, 2):
            new = torch.stack([tokens[row, length : length + time] for row, length in enumerate(lengths)])
            together = model(new, cache)
            for row, length in enumerate(lengths):
                alone = model(tokens[row : row + 1, : length + time])[:, -time:]
                torch.testing.assert_close(together[row : row + 1], alone, atol=1e-5, rtol=0)
            lengths = [length + time for length in lengths]
    assert cache.lengths == lengths


@pytest.mark.parametrize("name", ONE_BY_ONE)
@settings(max_examples=10, deadline=None)
@given(lengths=st.lists(st.integers(1, 20), min_size=1, max_size=9))
def test_packed_rows_equal_the_same_one_by_one(name: str, lengths: list[int]) -> None:
    model = build(name, dtype=torch.float64)
    rows = [ids(1, length, place)[0].tolist() for place, length in enumerate(lengths)]
    packed = model.states(Sequences.of(rows))
    alone = torch.cat([model.hidden(torch.tensor([row]))[0] for row in rows])
    torch.testing.assert_close(packed, alone, atol=1e-10, rtol=0)
    targets = [[*row[1:], IGNORE] for row in rows]
    batch = TargetBatch(Sequences.of(rows), line(targets), moment=Moment(3.0))
    one_by_one = [
        TokenBatch(torch.tensor([row]), torch.tensor([at]), Moment(3.0)) for row, at in zip(rows, targets, strict=True)
    ]
    torch.testing.assert_close(model.loss(batch).total, sum(model.loss(each).total for each in one_by_one))


@pytest.mark.parametrize("name", ONE_BY_ONE)
def test_rows_of_a_cache_can_be_dropped_copied_and_kept(name: str) -> None:
    model, tokens, lengths = build(name), ids(3, 12), [11, 9, 6]
    with torch.no_grad():
        alone = [model(tokens[row : row + 1, : length + 1])[:, -1:] for row, length in enumerate(lengths)]

        def check(cache: KVCache, rows: list[int]) -> None:
            new = torch.stack([tokens[row, lengths[row] : lengths[row] + 1] for row in rows])
            torch.testing.assert_close(model(new, cache), torch.cat([alone[row] for row in rows]), atol=1e-5, rtol=0)

        cache = ragged(model, tokens, list(lengths), 12)
        cache.copy(0, 2)
        check(cache.resize(4, 16).rows(0, 3), [0, 1, 0])
        check(ragged(model, tokens, list(lengths), 12).resize(2, 16), [0, 1])
        cache = ragged(model, tokens, list(lengths), 12)
        kept = cache.read(1, 0, 9)
        fresh = model.new_cache(1, 10)
        fresh.write(0, 0, kept[:, :, :4])
        fresh.write(0, 4, kept[:, :, 4:])
        check(fresh, [1])


@pytest.mark.parametrize("name", MODELS)
def test_the_future_is_hidden(name: str) -> None:
    model, tokens = build(name), ids(1, 20)
    changed = tokens.clone()
    changed[:, 12:] = (changed[:, 12:] + 1) % VOCAB
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[:, :12], model(changed)[:, :12], atol=1e-6, rtol=0)


def test_a_sliding_window_forgets_what_lies_before_it() -> None:
    model, tokens = build("mistral", depth=1), ids(1, 20)
    changed = tokens.clone()
    changed[:, :15] = (changed[:, :15] + 1) % VOCAB
    with torch.no_grad():
        torch.testing.assert_close(model(tokens)[:, 19], model(changed)[:, 19], atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", MODELS)
def test_an_accumulated_step_equals_one_large_batch(name: str) -> None:
    model, tokens = build(name), ids(6, 17)
    targets = tokens[:, 1:].clone()
    targets[0, 3:9] = IGNORE
    count = int((targets != IGNORE).sum())

    def gradients(parts: int) -> tuple[float, list[torch.Tensor]]:
        model.zero_grad()
        total = 0.0
        for x, y in zip(tokens[:, :-1].chunk(parts), targets.chunk(parts), strict=True):
            loss = model.loss(TokenBatch(x, y, Moment(count)))
            loss.total.backward()
            total += loss.total.item()
        return total, [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    (one, whole), (three, parts) = gradients(1), gradients(3)
    assert one == pytest.approx(three, abs=1e-5)
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_blocks_that_are_computed_anew_have_the_same_gradients_bit_for_bit(name: str) -> None:
    model = build(name, dropout=0.2).train()
    rows = [ids(1, length)[0].tolist() for length in (9, 4, 9, 15)]
    dense = TokenBatch(ids(2, 12), ids(2, 12, 1), Moment(24))
    packed = TargetBatch(Sequences.of(rows), line([[*row[1:], IGNORE] for row in rows]), moment=Moment(33))

    def gradients(batch: TokenBatch | TargetBatch, anew: bool) -> list[torch.Tensor]:
        recompute(model, anew)
        model.zero_grad()
        torch.manual_seed(0)
        model.loss(batch).total.backward()
        return [parameter.grad.clone() for parameter in model.parameters() if parameter.grad is not None]

    for batch in (dense,) if name == "swift-grid" else (dense, packed):
        for kept, again in zip(gradients(batch, False), gradients(batch, True), strict=True):
            assert torch.equal(kept, again)


@pytest.mark.parametrize("name", MODELS)
def test_the_loss_is_minus_the_mean_log_likelihood(name: str) -> None:
    model, tokens = build(name), ids(3, 17)
    batch = TokenBatch(tokens[:, :-1], tokens[:, 1:], Moment(48))
    likelihoods = model.token_log_likelihoods(batch.inputs, batch.targets)
    assert likelihoods.dtype == torch.float64
    assert model.loss(batch).total.item() == pytest.approx(-likelihoods.mean().item(), abs=1e-5)
    torch.testing.assert_close(model.log_likelihood(batch), likelihoods.sum(1))


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    model, tokens = build(name, dtype=torch.float64), ids(2, 9)
    batch = TokenBatch(tokens[:, :-1], tokens[:, 1:], Moment(16))
    model.loss(batch).total.backward()
    generator = torch.Generator().manual_seed(2)
    for parameter in model.parameters():
        direction = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        assert parameter.grad is not None
        slope = (parameter.grad * direction).sum().item()
        with torch.no_grad():
            ends = []
            for step in (1e-5, -2e-5):
                parameter += step * direction
                ends.append(model.loss(batch).total.item())
            parameter += 1e-5 * direction
        assert slope == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("name", MODELS)
def test_a_new_model_knows_nothing_and_is_the_same_for_a_seed(name: str) -> None:
    config = build(name).config.but(width=64, head_width=16, heads=4, kv_heads=4)
    one, two = GPT(config), GPT(config)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    two.initialise(torch.Generator().manual_seed(7))
    assert not torch.equal(one.embedding.weight, two.embedding.weight)
    tokens = ids(4, 32)
    loss = one.loss(TokenBatch(tokens[:, :-1], tokens[:, 1:], Moment(124))).total.item()
    assert loss == pytest.approx(math.log(VOCAB), abs=0.15)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_learns(name: str) -> None:
    model, tokens = build(name), ids(2, 13)
    model.loss(TokenBatch(tokens[:, :-1], tokens[:, 1:], Moment(24))).total.backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())
    assert model.players == {"model": list(model.parameters())}


@pytest.mark.parametrize("name", ["gpt2", "qwen3"])
def test_dropout_works_in_training_only(name: str) -> None:
    model, tokens = build(name, dropout=0.3), ids(2, 9)
    with torch.no_grad():
        assert torch.equal(model(tokens), model(tokens))
        model.train()
        assert not torch.equal(model(tokens), model(tokens))


def test_the_places_of_the_grid_begin_where_the_picture_does() -> None:
    model, plain = build("llama", grid=(5, 8), grid_at=8), build("llama")
    assert model.before is not None
    model.before.weight.data.zero_()
    plain.load_state_dict({name: value for name, value in model.state_dict().items() if name in plain.state_dict()})
    tokens = ids(2, 20)
    with torch.no_grad():
        same = (model(tokens) == plain(tokens)).all(0).all(-1)
    assert same[:8].all()
    assert not same[8:].any()


def test_the_first_layer_knows_the_token_before_where_there_is_a_grid() -> None:
    model, tokens = build("llama", grid=(5, 8), grid_at=8), ids(1, 6)
    other, met = tokens.clone(), []
    other[0, 2] = (other[0, 2] + 1) % VOCAB
    model.transformer.register_forward_pre_hook(lambda module, given: met.append(given[0]))
    with torch.no_grad():
        model(tokens)
        model(other)
    assert (met[0] == met[1]).all(-1)[0].tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_what_is_written_follows_the_seed(device: str) -> None:
    model, codes = build("qwen3").to(device), torch.full((2, 13), UNKNOWN, device=device)
    codes[:, :4] = ids(2, 4)
    chances = [Noise(seed, 0, 2, codes.device).uniform("tokens", 9) for seed in (1, 1, 2)]
    draws = [list(write(TorchNetwork(model), codes, ByChance(each)))[-1] for each in chances]
    assert draws[0].shape == (2, 13)
    assert torch.equal(draws[0][:, :4], codes[:, :4])
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_too_much_text_is_told() -> None:
    with pytest.raises(DaedalError, match="context of 48"):
        build("gpt2")(ids(1, 49))
    model = build("qwen3")
    with pytest.raises(DaedalError, match="cache of 4"):
        model(ids(1, 5), model.new_cache(1, 4))


@pytest.mark.parametrize(
    "changes", [{"heads": 3}, {"head_width": 3}, {"width": 2**40}, {"depth": 0}, {"dropout": 1.0}, {"grid": (3, 3)}]
)
def test_impossible_shapes_are_refused(changes: dict[str, Any]) -> None:
    values = GPTConfig.of("qwen3", vocab_size=9, width=32, depth=1, heads=4, kv_heads=2, context=8).model_dump()
    with pytest.raises(DaedalError):
        GPTConfig.parse({**values, **changes}, "model")


def test_operations_are_counted_as_the_matrix_products() -> None:
    config = GPTConfig.of("gpt2", vocab_size=VOCAB, width=32, depth=3, heads=4, context=CONTEXT)
    weights = 3 * 12 * 32 * 32 + VOCAB * 32
    assert GPT(config).flops_per_token(16) == 6 * weights + 12 * 3 * 32 * 8
