"""The engine gives what the model itself says, however its rows are batched, cached, slid or guessed ahead."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.errors import DaedalError
from daedal.inference.engine import Decoding, Engine, Token
from daedal.inference.sampling import SamplingOptions
from daedal.inference.weights import Int8Linear, quantize
from daedal.models.gpt import GPT, GPTConfig

torch.set_num_threads(1)
VOCAB, CONTEXT = 61, 48
PROMPTS = [[1, 2, 3], [5] * 20, [7, 8], [9, 10, 11, 12, 13, 14, 15, 16, 17], [60]]


def random_model(architecture: str = "qwen3", seed: int = 0, **changes: object) -> GPT:
    values = {"vocab_size": VOCAB, "width": 32, "depth": 2, "heads": 4, "context": CONTEXT, **changes}
    model = GPT(GPTConfig.of(architecture, **values))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            deviation = 0.3 if parameter.ndim == 2 else 0.1
            mean = 1.0 if parameter.ndim == 1 else 0.0
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * deviation + mean)
    return model.eval()


MODELS = {
    "gpt2": random_model("gpt2"),
    "qwen3": random_model("qwen3", kv_heads=2),
    "mistral": random_model("mistral", kv_heads=2, sliding_window=7),
}
every_model = pytest.mark.parametrize("name", MODELS)


def finish(decoding: Decoding) -> list[list[Token]]:
    rows: list[list[Token]] = [[] for _ in decoding.rows]
    while not decoding.done:
        for token in decoding.advance():
            rows[token.row].append(token)
    return rows


def ids(rows: list[list[Token]]) -> list[list[int]]:
    return [[token.id for token in row] for row in rows]


def greedy_without_cache(model: GPT, prompt: list[int], count: int) -> list[int]:
    text = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            text.append(int(model(torch.tensor([text]))[0, -1].argmax()))
    return text[len(prompt) :]


@every_model
def test_greedy_is_the_argmax_loop_without_a_cache(name: str) -> None:
    model = MODELS[name]
    rows = ids(finish(Engine(model).start(PROMPTS, SamplingOptions(temperature=0, max_tokens=20))))
    assert rows == [greedy_without_cache(model, prompt, 20) for prompt in PROMPTS]


@every_model
def test_sampled_rows_do_not_depend_on_their_batch(name: str) -> None:
    engine = Engine(MODELS[name])
    options = SamplingOptions(
        temperature=0.9, top_p=0.95, top_k=40, seed=4, max_tokens=25, repetition_penalty=1.1, frequency_penalty=0.2
    )
    together = ids(finish(engine.start(PROMPTS, options)))
    alone = [ids(finish(engine.start([prompt], options)))[0] for prompt in PROMPTS]
    assert together == alone


def test_rows_that_end_early_leave_the_others_as_they_were() -> None:
    engine, options = Engine(MODELS["qwen3"]), SamplingOptions(seed=2, max_tokens=25)
    stops = (3, 11, 29, 41)
    together = ids(finish(engine.start(PROMPTS * 1, options, stop_ids=stops)))
    assert len({len(row) for row in together}) > 1
    assert together == [ids(finish(engine.start([prompt], options, stop_ids=stops)))[0] for prompt in PROMPTS]


def test_a_dropped_row_gives_nothing_more() -> None:
    decoding = Engine(MODELS["gpt2"]).start(PROMPTS, SamplingOptions(temperature=0, max_tokens=10))
    decoding.advance()
    for number in (0, 2, 4):
        decoding.drop(number)
    rows = finish(decoding)
    assert [len(row) for row in rows] == [0, 9, 0, 9, 0]


def test_samples_of_a_prompt_differ_and_come_by_number() -> None:
    engine, options = Engine(MODELS["qwen3"]), SamplingOptions(seed=1, max_tokens=12)
    rows = ids(finish(engine.start(PROMPTS[:2], options, [[0, 1, 2], [0, 1]])))
    assert len({tuple(row) for row in rows[:3]}) == 3
    assert ids(finish(engine.start(PROMPTS[:1], options, [[2]])))[0] == rows[2]
    assert ids(finish(engine.start(PROMPTS[1:2], options, [[1]])))[0] == rows[4]


def test_the_seed_decides_the_text() -> None:
    engine = Engine(MODELS["gpt2"])

    def text(seed: int) -> list[int]:
        return ids(finish(engine.start([[1]], SamplingOptions(seed=seed, max_tokens=20))))[0]

    assert text(3) == text(3)
    assert text(3) != text(4)


@every_model
@settings(deadline=None, max_examples=10)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.8]), st.sampled_from(["stop", "slide"]))
def test_a_draft_changes_nothing(name: str, seed: int, temperature: float, overflow: str) -> None:
    model = MODELS[name]
    options = SamplingOptions(
        temperature=temperature, seed=seed, max_tokens=60, overflow=overflow, presence_penalty=0.3, logprobs=0
    )
    plain = finish(Engine(model).start([[seed % VOCAB]], options, stop_ids=(7,)))
    drafted = finish(Engine(model, draft=quantize(model)).start([[seed % VOCAB]], options, stop_ids=(7,)))
    assert ids(plain) == ids(drafted)
    assert [token.finish for token in plain[0]] == [token.finish for token in drafted[0]]
    assert [t.logprob for t in plain[0]] == pytest.approx([t.logprob for t in drafted[0]], abs=1e-4)


def test_a_useless_draft_changes_nothing() -> None:
    options = SamplingOptions(seed=1, max_tokens=30)
    plain = finish(Engine(MODELS["qwen3"]).start([[1]], options))
    drafted = finish(Engine(MODELS["qwen3"], draft=random_model("qwen3", 9, kv_heads=2)).start([[1]], options))
    assert ids(plain) == ids(drafted)


@every_model
def test_a_row_stops_where_its_context_is_full(name: str) -> None:
    rows = finish(Engine(MODELS[name]).start(PROMPTS, SamplingOptions(temperature=0)))
    assert [len(row) for row in rows] == [CONTEXT - len(prompt) for prompt in PROMPTS]
    assert {row[-1].finish for row in rows} == {"context"}
    assert ids(rows)[1] == greedy_without_cache(MODELS[name], PROMPTS[1], CONTEXT - 20)


@every_model
def test_a_sliding_row_goes_on_from_its_last_half(name: str) -> None:
    model, count = MODELS[name], 70
    rows = ids(finish(Engine(model).start(PROMPTS, SamplingOptions(temperature=0, max_tokens=count, overflow="slide"))))
    for prompt, row in zip(PROMPTS, rows, strict=True):
        text, seen = list(prompt), len(prompt)
        for _ in range(count):
            if seen > CONTEXT:
                seen = CONTEXT // 2
            text += greedy_without_cache(model, text[-seen:], 1)
            seen += 1
        assert row == text[len(prompt) :]


def test_a_prompt_longer_than_a_pass_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    options = SamplingOptions(temperature=0, max_tokens=8)
    whole = ids(finish(Engine(MODELS["mistral"]).start(PROMPTS, options)))
    monkeypatch.setattr("daedal.inference.engine._CHUNK", 3)
    monkeypatch.setattr("daedal.inference.engine._ROOM", 1)
    assert ids(finish(Engine(MODELS["mistral"]).start(PROMPTS, options))) == whole


def test_log_probabilities_are_the_models_own() -> None:
    model = MODELS["gpt2"]
    options = SamplingOptions(temperature=0.5, seed=3, max_tokens=10, logprobs=3, logit_bias={4: 2.0}, top_k=5)
    (row,) = finish(Engine(model).start([[1, 2]], options))
    text = torch.tensor([[1, 2, *(token.id for token in row)]])
    with torch.no_grad():
        expected = model(text[:, :-1]).double().log_softmax(-1)[0, 1:]
    for token, line in zip(row, expected, strict=True):
        assert token.logprob == pytest.approx(float(line[token.id]), abs=1e-4)
        assert [id for id, _ in token.top] == line.topk(3).indices.tolist()


def test_logit_bias_forces_and_bans() -> None:
    engine = Engine(MODELS["gpt2"])
    forced = finish(engine.start([[1]], SamplingOptions(seed=1, max_tokens=5, logit_bias={9: 1000})))
    assert ids(forced) == [[9] * 5]
    banned = finish(
        engine.start([[1]], SamplingOptions(seed=1, max_tokens=40, logit_bias=dict.fromkeys(range(50), -1e4)))
    )
    assert min(ids(banned)[0]) >= 50


@pytest.mark.parametrize(
    ("values", "processor"),
    [({}, {}), ({"repetition_penalty": 1.7}, {"repetition_penalty": 1.7})],
)
def test_greedy_text_is_that_of_transformers(values: dict[str, float], processor: dict[str, float], tmp_path) -> None:  # type: ignore[no-untyped-def]
    transformers = pytest.importorskip("transformers")
    from daedal.models.checkpoint import load_model

    torch.manual_seed(1)
    config = transformers.Qwen3Config(
        vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=CONTEXT, bos_token_id=None, eos_token_id=None,
        initializer_range=0.3,
    )  # fmt: skip
    theirs = transformers.Qwen3ForCausalLM(config).eval()
    theirs.save_pretrained(tmp_path)
    model = load_model(tmp_path)
    assert isinstance(model, GPT)
    prompt = [3, 1, 4, 1, 5]
    expected = theirs.generate(torch.tensor([prompt]), max_new_tokens=30, do_sample=False, pad_token_id=0, **processor)[
        0, len(prompt) :
    ].tolist()
    options = SamplingOptions(temperature=0, max_tokens=30, **values)
    assert ids(finish(Engine(model).start([prompt], options)))[0] == expected


def test_int8_rows_do_not_depend_on_their_batch() -> None:
    layer = Int8Linear(torch.randn(24, 16), torch.randn(24))
    x = torch.randn(9, 16) * torch.logspace(-3, 3, 9)[:, None]
    assert torch.equal(layer(x), torch.cat([layer(row[None]) for row in x]))
    assert layer(torch.zeros(1, 16)).isfinite().all()


def test_int8_is_close_and_shares_what_it_keeps() -> None:
    model = MODELS["gpt2"]
    small = quantize(model)
    assert small.embedding.weight is model.embedding.weight
    assert not any(isinstance(module, torch.nn.Linear) for module in small.modules())
    x = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        difference = (small(x) - model(x)).std() / model(x).std()
    assert 0 < difference < 0.1
    with pytest.raises(DaedalError, match="float32"):
        quantize(random_model().bfloat16())


def test_mistakes_are_told() -> None:
    engine, options = Engine(MODELS["gpt2"]), SamplingOptions(temperature=0)
    for prompt in ([1] * CONTEXT, [1] * 500, [], [VOCAB], [-1]):
        with pytest.raises(DaedalError):
            engine.start([[1], prompt], options)
    with pytest.raises(DaedalError, match="logit_bias: 61"):
        engine.start([[1]], options.but(logit_bias={VOCAB: 1.0}))


def test_a_diverged_model_is_told() -> None:
    model = random_model("gpt2")
    with torch.no_grad():
        model.transformer.norm.bias.fill_(float("nan"))  # type: ignore[union-attr, operator]
    with pytest.raises(DaedalError, match="not finite"):
        Engine(model).start([[1]], SamplingOptions(temperature=0)).advance()


def test_generation_leaves_torch_as_it_was() -> None:
    decoding = Engine(MODELS["gpt2"]).start([[1]], SamplingOptions(temperature=0, max_tokens=3))
    decoding.advance()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()
