"""The engine gives what the model itself says, however its rows are batched, cached, slid or guessed ahead."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.errors import DaedalError
from daedal.inference.engine import Engine
from daedal.inference.engine_request import Fault, Request, Row, Token
from daedal.inference.sampling import SamplingOptions
from daedal.models.autoregression import TorchNetwork
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
DRAFTS = {name: copy.deepcopy(model) for name, model in MODELS.items()}
for draft in DRAFTS.values():
    with torch.no_grad():
        for parameter in draft.parameters():
            parameter.add_(0.03 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
every_model = pytest.mark.parametrize("name", MODELS)


def engine_of(model: GPT, draft: GPT | None = None, **limits: int) -> Engine:
    return Engine(TorchNetwork(model), None if draft is None else TorchNetwork(draft), **limits)


def submit(
    engine: Engine, prompts: list[list[int]], options: SamplingOptions, samples: tuple[int, ...] = (0,), **how: object
) -> list[Row]:
    return [engine.submit(Request(prompt, options, sample, **how)) for prompt in prompts for sample in samples]  # type: ignore[arg-type]


def finish(engine: Engine, rows: list[Row]) -> list[list[Token]]:
    said: dict[Row, list[Token]] = {row: [] for row in rows}
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Fault):
                raise event.error
            if isinstance(event, Token):
                said[event.row].append(event)
    return list(said.values())


def write(
    model: GPT,
    prompts: list[list[int]],
    options: SamplingOptions,
    samples: tuple[int, ...] = (0,),
    stop_ids: tuple[int, ...] = (),
    draft: GPT | None = None,
    **limits: int,
) -> list[list[Token]]:
    engine = engine_of(model, draft, **limits)
    return finish(engine, submit(engine, prompts, options, samples, stop_ids=frozenset(stop_ids)))


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
    rows = ids(write(model, PROMPTS, SamplingOptions(temperature=0, max_tokens=20)))
    assert rows == [greedy_without_cache(model, prompt, 20) for prompt in PROMPTS]


@every_model
def test_sampled_rows_do_not_depend_on_their_batch(name: str) -> None:
    model = MODELS[name]
    options = SamplingOptions(
        temperature=0.9, top_p=0.95, top_k=40, seed=4, max_tokens=25, repetition_penalty=1.1, frequency_penalty=0.2
    )
    together = ids(write(model, PROMPTS, options))
    alone = [ids(write(model, [prompt], options))[0] for prompt in PROMPTS]
    assert together == alone


def test_rows_that_end_early_leave_the_others_as_they_were() -> None:
    model, options = MODELS["qwen3"], SamplingOptions(seed=2, max_tokens=25)
    stops = (3, 11, 29, 41)
    together = ids(write(model, PROMPTS, options, stop_ids=stops))
    assert len({len(row) for row in together}) > 1
    assert together == [ids(write(model, [prompt], options, stop_ids=stops))[0] for prompt in PROMPTS]


def test_a_dropped_row_gives_nothing_more() -> None:
    engine = engine_of(MODELS["gpt2"])
    rows = submit(engine, PROMPTS, SamplingOptions(temperature=0, max_tokens=10))
    first = [event for event in engine.step() if isinstance(event, Token)]
    assert [token.row for token in first] == rows
    for number in (0, 2, 4):
        engine.cancel(rows[number])
    assert [len(said) for said in finish(engine, rows)] == [0, 9, 0, 9, 0]


def test_samples_of_a_prompt_differ_and_come_by_number() -> None:
    model, options = MODELS["qwen3"], SamplingOptions(seed=1, max_tokens=12)
    rows = ids(write(model, PROMPTS[:2], options, (0, 1, 2)))
    assert len({tuple(row) for row in rows[:3]}) == 3
    assert ids(write(model, PROMPTS[:1], options, (2,)))[0] == rows[2]
    assert ids(write(model, PROMPTS[1:2], options, (1,)))[0] == rows[4]


def test_the_seed_decides_the_text() -> None:
    def text(seed: int) -> list[int]:
        return ids(write(MODELS["gpt2"], [[1]], SamplingOptions(seed=seed, max_tokens=20)))[0]

    assert text(3) == text(3)
    assert text(3) != text(4)


@every_model
@settings(deadline=None, max_examples=6)
@given(st.integers(0, 1000), st.sampled_from([0.0, 0.8]), st.sampled_from(["stop", "slide"]))
def test_a_draft_changes_nothing(name: str, seed: int, temperature: float, overflow: str) -> None:
    model = MODELS[name]
    options = SamplingOptions(
        temperature=temperature, seed=seed, max_tokens=60, overflow=overflow, presence_penalty=0.3, logprobs=0
    )
    plain = write(model, [[seed % VOCAB]], options, stop_ids=(7,))
    drafted = write(model, [[seed % VOCAB]], options, stop_ids=(7,), draft=DRAFTS[name])
    assert ids(plain) == ids(drafted)
    assert [token.finish for token in plain[0]] == [token.finish for token in drafted[0]]
    assert [t.logprob for t in plain[0]] == pytest.approx([t.logprob for t in drafted[0]], abs=1e-4)


def test_a_useless_draft_changes_nothing() -> None:
    options = SamplingOptions(seed=1, max_tokens=30)
    plain = write(MODELS["qwen3"], [[1]], options)
    drafted = write(MODELS["qwen3"], [[1]], options, draft=random_model("qwen3", 9, kv_heads=2))
    assert ids(plain) == ids(drafted)


@every_model
def test_a_row_stops_where_its_context_is_full(name: str) -> None:
    rows = write(MODELS[name], PROMPTS, SamplingOptions(temperature=0))
    assert [len(row) for row in rows] == [CONTEXT - len(prompt) for prompt in PROMPTS]
    assert {row[-1].finish for row in rows} == {"context"}
    assert ids(rows)[1] == greedy_without_cache(MODELS[name], PROMPTS[1], CONTEXT - 20)


@every_model
def test_a_sliding_row_goes_on_from_its_last_half(name: str) -> None:
    model, count = MODELS[name], 70
    rows = ids(write(model, PROMPTS, SamplingOptions(temperature=0, max_tokens=count, overflow="slide")))
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
    whole = ids(write(MODELS["mistral"], PROMPTS, options))
    monkeypatch.setattr("daedal.inference.engine._CHUNK", 3)
    monkeypatch.setattr("daedal.inference.engine._ROOM", 1)
    monkeypatch.setattr("daedal.inference.engine._ECHOED", 2)
    assert ids(write(MODELS["mistral"], PROMPTS, options)) == whole


def test_log_probabilities_are_the_models_own() -> None:
    model = MODELS["gpt2"]
    options = SamplingOptions(temperature=0.5, seed=3, max_tokens=10, logprobs=3, logit_bias={4: 2.0}, top_k=5)
    (row,) = write(model, [[1, 2]], options)
    text = torch.tensor([[1, 2, *(token.id for token in row)]])
    with torch.no_grad():
        expected = model(text[:, :-1]).double().log_softmax(-1)[0, 1:]
    for token, line in zip(row, expected, strict=True):
        assert token.logprob == pytest.approx(float(line[token.id]), abs=1e-4)
        assert [id for id, _ in token.top] == line.topk(3).indices.tolist()


def test_logit_bias_forces_and_bans() -> None:
    model = MODELS["gpt2"]
    forced = write(model, [[1]], SamplingOptions(seed=1, max_tokens=5, logit_bias={9: 1000}))
    assert ids(forced) == [[9] * 5]
    banned = write(model, [[1]], SamplingOptions(seed=1, max_tokens=40, logit_bias=dict.fromkeys(range(50), -1e4)))
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
    assert ids(write(model, [prompt], options))[0] == expected


def test_mistakes_are_told() -> None:
    engine, options = engine_of(MODELS["gpt2"]), SamplingOptions(temperature=0)
    for prompt in ([1] * CONTEXT, [1] * 500, [], [VOCAB], [-1]):
        with pytest.raises(DaedalError):
            submit(engine, [prompt], options)
    with pytest.raises(DaedalError, match="logit_bias: 61"):
        submit(engine, [[1]], options.but(logit_bias={VOCAB: 1.0}))
    assert not engine.busy


def test_a_diverged_model_is_told() -> None:
    model = random_model("gpt2")
    with torch.no_grad():
        model.transformer.norm.bias.fill_(float("nan"))  # type: ignore[union-attr, operator]
    with pytest.raises(DaedalError, match="not finite"):
        write(model, [[1]], SamplingOptions(temperature=0))


def test_generation_leaves_torch_as_it_was() -> None:
    engine = engine_of(MODELS["gpt2"])
    submit(engine, [[1]], SamplingOptions(temperature=0, max_tokens=3))
    engine.step()
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


# -- many at once ------------------------------------------------------------------------------------------------------


@every_model
@settings(deadline=None, max_examples=8)
@given(st.data())
def test_rows_that_come_and_go_are_as_if_alone(name: str, data: st.DataObject) -> None:
    """Whatever else runs, however little memory there is, and whoever else asks."""
    model = MODELS[name]
    small = data.draw(st.booleans())
    column = model.new_cache(1, 1).bytes
    limits = {"rows": data.draw(st.integers(1, 4)), "memory": 60 * column if small else 2**30}
    engine = engine_of(model, prefixes=data.draw(st.sampled_from([0, 2**20])), **limits)
    rows, options = [], []
    said: dict[Row, list[int]] = {}
    for number in range(data.draw(st.integers(1, 8))):
        prompt = data.draw(st.lists(st.integers(0, VOCAB - 1), min_size=1, max_size=40))
        options.append(
            SamplingOptions(
                temperature=data.draw(st.sampled_from([0.0, 0.7])),
                top_p=data.draw(st.sampled_from([1.0, 0.8])),
                repetition_penalty=data.draw(st.sampled_from([1.0, 1.2])),
                seed=number,
                max_tokens=data.draw(st.integers(1, 30)),
                overflow=data.draw(st.sampled_from(["stop", "slide"])),
            )
        )
        rows.append(engine.submit(Request(prompt, options[-1], owner=data.draw(st.sampled_from("ab")))))
        said[rows[-1]] = []
        for _ in range(data.draw(st.integers(0, 5))):
            for event in engine.step():
                if isinstance(event, Token):
                    said[event.row].append(event.id)
    while engine.busy:
        for event in engine.step():
            assert not isinstance(event, Fault)
            if isinstance(event, Token):
                said[event.row].append(event.id)
    for row, chosen in zip(rows, options, strict=True):
        assert [said[row]] == ids(write(model, [list(row.request.ids)], chosen))


def test_a_known_prefix_is_not_read_again_and_belongs_to_its_owner() -> None:
    model = random_model("qwen3", context=200)
    engine, options = engine_of(model), SamplingOptions(temperature=0, max_tokens=4)
    prompt = [i % VOCAB for i in range(100)]

    def ask(owner: str, prompt: list[int] = prompt) -> tuple[int, list[int]]:
        row = engine.submit(Request(prompt, options, owner=owner))
        return row.cached, ids(finish(engine, [row]))[0], row.cached  # type: ignore[return-value]

    _, cold, cached = ask("a")  # type: ignore[misc]
    assert cached == 0
    _, warm, cached = ask("a")  # type: ignore[misc]
    assert (warm, cached) == (cold, 96)
    assert ask("b")[2] == 0  # type: ignore[misc]
    changed = [*prompt[:40], 60, *prompt[41:]]
    assert ask("a", changed)[2] == 32  # type: ignore[misc]
    assert ask("a", prompt[:96])[2] == 64  # type: ignore[misc]  # one token is read, for what comes after it
    engine.prefixes.limit = 0
    engine.prefixes.save("c", prompt, model.new_cache(1, 100), 0)
    assert engine.prefixes.load("c", prompt, model.new_cache(1, 100), 0) == 0


def test_the_answer_is_known_too_when_the_conversation_goes_on() -> None:
    model = random_model("qwen3", context=200)
    engine = engine_of(model)
    (row,) = submit(engine, [[1] * 50], SamplingOptions(temperature=0, max_tokens=50))
    (said,) = ids(finish(engine, [row]))
    (after,) = submit(engine, [[1] * 50 + said + [3, 4]], SamplingOptions(temperature=0, max_tokens=1))
    finish(engine, [after])
    assert after.cached == 96


def test_samples_of_a_prompt_share_its_reading() -> None:
    reads = []

    class Counting(TorchNetwork):
        def __call__(self, ids, cache, every=False):  # type: ignore[no-untyped-def]
            reads.append(ids.numel())
            return super().__call__(ids, cache, every)

    engine = Engine(Counting(MODELS["qwen3"]))
    rows = submit(engine, [[5] * 20], SamplingOptions(seed=1, max_tokens=1), tuple(range(6)))
    finish(engine, rows)
    assert reads == [20]


def test_owners_take_turns() -> None:
    engine = engine_of(MODELS["gpt2"], rows=1)
    options = SamplingOptions(temperature=0, max_tokens=5)
    many = [engine.submit(Request([1, 2], options, owner="busy")) for _ in range(5)]
    late = engine.submit(Request([1, 2], options, owner="late"))
    order: list[Row] = []
    while engine.busy:
        order += [event.row for event in engine.step() if isinstance(event, Token) and event.finish]
    assert order.index(late) == 1
    assert [row for row in order if row is not late] == many
    waited = [row.waited or 0.0 for row in order]
    assert waited == sorted(waited)


def test_samples_of_one_prompt_leave_others_their_turn() -> None:
    for prompts in ([[5] * 20] * 8, [[5] * 19 + [number] for number in range(8)]):
        engine = engine_of(MODELS["gpt2"], rows=4)
        options = SamplingOptions(temperature=0, max_tokens=20)
        for number, prompt in enumerate(prompts):
            engine.submit(Request(prompt, options, number, owner="many"))
        late = engine.submit(Request([7] * 20, options, owner="late"))
        assert late in [event.row for event in engine.step() if isinstance(event, Token)]
        assert len(engine.running) == 4


def test_memory_is_kept_and_the_youngest_gives_way() -> None:
    model = random_model("gpt2", context=4096)
    column = engine_of(model)._column
    engine = engine_of(model, memory=3 * 600 * column)
    lengths = [20, 600, 600, 900]  # the first ends early, so that the slots are no longer in order
    rows = [engine.submit(Request([row, 2], SamplingOptions(seed=1, max_tokens=lengths[row]))) for row in range(3)]
    gone: list[int] = []
    while engine.busy:
        before = list(engine.running)
        engine.step()
        assert engine._cache.bytes <= engine.memory
        if len(rows) == 3 and rows[0] not in engine.running:
            rows.append(engine.submit(Request([9, 9], SamplingOptions(seed=1, max_tokens=lengths[3]))))
        gone += [rows.index(row) for row in before if row in engine._waiting._back]
    assert gone
    assert gone[0] == 3
    assert [len(row.ids) - 2 for row in rows] == lengths


def test_a_prompt_that_is_read_anew_has_its_own_log_probabilities() -> None:
    model = random_model("gpt2", context=4096)
    prompt = [number * 7 % VOCAB for number in range(400)]
    asked = Request(prompt, SamplingOptions(seed=1, max_tokens=2), echo=0)
    alone = engine_of(model)
    expected = alone.submit(asked)
    finish(alone, [expected])
    engine = engine_of(model, memory=2 * 512 * alone._column, prefixes=0, lookup=False)
    long = engine.submit(Request([1] * 300, SamplingOptions(seed=1, max_tokens=400)))
    while long.read < 512:
        engine.step()
    row = engine.submit(asked)
    gave_way = False
    while engine.busy:
        engine.step()
        gave_way |= row in engine._waiting._back
    assert gave_way
    assert [entry and entry[0] for entry in row.echoed] == pytest.approx(
        [entry and entry[0] for entry in expected.echoed], abs=1e-4
    )


def test_a_row_that_has_ended_says_nothing_more_however_little_memory_there_is() -> None:
    """One that just read its prompt is not pushed out by the next before its token is chosen."""
    model = random_model("gpt2", context=4096)
    column, options = engine_of(model)._column, SamplingOptions(seed=1, max_tokens=1)
    for share in (2.2, 2.5, 2.9, 3.2):
        engine = engine_of(model, memory=int(share * 768 * column))
        engine.submit(Request([1] * 300, SamplingOptions(seed=1, max_tokens=60)))
        engine.step()
        engine.step()
        rows = [engine.submit(Request(prompt, options)) for prompt in ([3, 4], [5] * 520, [3, 5])]
        said = [event.row for _ in range(200) if engine.busy for event in engine.step() if isinstance(event, Token)]
        assert [said.count(row) for row in rows] == [1, 1, 1]


def test_a_long_prompt_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daedal.inference.engine._CHUNK", 4)
    engine = engine_of(MODELS["gpt2"])
    (quick,) = submit(engine, [[1]], SamplingOptions(temperature=0, max_tokens=20))
    engine.step()
    submit(engine, [[2] * 30], SamplingOptions(temperature=0, max_tokens=2))
    for _ in range(7):  # of the 8 passes that the long prompt takes
        assert [event.row for event in engine.step() if isinstance(event, Token)] == [quick]


def test_the_prompts_own_log_probabilities() -> None:
    model, prompt = MODELS["qwen3"], [3, 1, 4, 1, 5, 9]
    engine = engine_of(model)
    only_read = engine.submit(Request(prompt, SamplingOptions(temperature=0), echo=2, writes=False))
    written = engine.submit(Request(prompt, SamplingOptions(temperature=0, max_tokens=3), echo=0))
    assert [len(row) for row in finish(engine, [only_read, written])] == [0, 3]
    with torch.no_grad():
        expected = model(torch.tensor([prompt]))[0].double().log_softmax(-1)
    assert only_read.echoed[0] is None
    for row in (only_read, written):
        assert len(row.echoed) == len(prompt)
        for place, entry in enumerate(row.echoed[1:]):
            assert entry is not None
            assert entry[0] == pytest.approx(float(expected[place, prompt[place + 1]]), abs=1e-4)
    assert only_read.echoed[1] is not None
    assert [id for id, _ in only_read.echoed[1][1]] == expected[0].topk(2).indices.tolist()


def test_what_repeats_is_guessed_and_stays_the_models_own() -> None:
    """A model that says the same again and again: the engine takes fewer passes than tokens, and the same text."""
    passes = []

    class Counting(TorchNetwork):
        def __call__(self, ids, cache, every=False):  # type: ignore[no-untyped-def]
            passes.append(ids.shape[1])
            return super().__call__(ids, cache, every)

    model, options = random_model("gpt2", context=200), SamplingOptions(temperature=0, max_tokens=150)
    engine = Engine(Counting(model))
    assert ids(finish(engine, submit(engine, [[1, 2]], options)))[0] == greedy_without_cache(model, [1, 2], 150)
    assert len(passes) < 140


def test_a_fault_in_one_row_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(MODELS["gpt2"])
    options = SamplingOptions(temperature=0.5, seed=1, max_tokens=5)
    good = engine.submit(Request([1], options))
    bad = engine.submit(Request([2], options.but(logit_bias=dict.fromkeys(range(VOCAB), -float("1e39")))))
    faults, tokens = [], []
    while engine.busy:
        for event in engine.step():
            (faults if isinstance(event, Fault) else tokens).append(event.row)
    assert faults == [bad]
    assert tokens.count(good) == 6  # its prompt was read, and five tokens
