"""Marked text in the engine: however it is batched, streamed, guessed or slid it is the same, it is found, and over keys it is
distributed as the unmarked."""

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from command_line import daedal, mistake
from daedal.codecs.text import TextCodec
from daedal.inference.constraint import ConstraintCompiler
from daedal.inference.engine import Engine
from daedal.inference.engine_request import Fault, Request, Token, open_row
from daedal.inference.generator import Generator
from daedal.inference.next_token import draw
from daedal.inference.sampling import SamplingOptions
from daedal.models.autoregression import TorchNetwork
from daedal.models.checkpoint import save_model
from daedal.safety.marking import Marking
from daedal.safety.text_marks.detection import find_text_mark
from daedal.safety.text_marks.green_list import GreenList
from daedal.safety.text_marks.gumbel import Gumbel
from daedal.safety.text_marks.kgw import Kgw
from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.text_mark import TextMark
from daedal.safety.text_marks.tournament import Tournament
from daedal.safety.watermark_keys import WatermarkKey, watermark_keys
from daedal.serving.settings import Settings
from daedal.serving.supervisor import Models
from daedal.serving.worker import _open
from test_engine import DRAFTS, MODELS, PROMPTS, VOCAB, engine_of, finish, random_model
from test_engine import ids as ids_of

KEY = WatermarkKey(bytes(range(32)))
FAITHFUL: list[Scheme] = [Tournament(), Tournament(rounds=3, context=1), Gumbel(context=2)]
ALL: list[Scheme] = [*FAITHFUL, GreenList(context=1), Kgw(vocab=VOCAB), Kgw(vocab=VOCAB, seeding="selfhash", context=2)]
RESTRICTED = {"top_k": 30, "top_p": 0.95, "repetition_penalty": 1.1, "temperature": 0.8}
every_scheme = pytest.mark.parametrize("scheme", ALL, ids=lambda scheme: scheme.name)
MODEL = random_model("qwen3", kv_heads=2, context=300)


def write(
    scheme: Scheme | None,
    prompts: list[list[int]],
    options: SamplingOptions,
    samples: tuple[int, ...] = (0,),
    **how: object,
) -> list[list[int]]:
    engine = how.pop("engine", None) or engine_of(MODEL)
    mark = None if scheme is None else TextMark(KEY, scheme)
    requests = [Request(prompt, options, sample, watermark=mark, **how) for prompt in prompts for sample in samples]  # type: ignore[arg-type]
    assert isinstance(engine, Engine)
    return ids_of(finish(engine, [engine.submit(request) for request in requests]))


@pytest.mark.parametrize(
    ("scheme", "how"),
    [*((scheme, RESTRICTED) for scheme in ALL), *((scheme, {}) for scheme in FAITHFUL)],
    ids=str,
)
def test_marked_rows_do_not_depend_on_their_batch(scheme: Scheme, how: dict[str, float]) -> None:
    options = SamplingOptions(seed=4, max_tokens=20, **how)
    together = write(scheme, PROMPTS, options, (0, 1))
    assert together[::2] == [write(scheme, [prompt], options)[0] for prompt in PROMPTS]
    assert len(set(map(tuple, together))) == len(together)
    assert together != write(None, PROMPTS, options, (0, 1))


@settings(deadline=None, max_examples=8)
@given(
    st.integers(0, 1000), st.sampled_from(ALL), st.sampled_from(["stop", "slide"]), st.sampled_from(["draft", "lookup"])
)
def test_guessing_ahead_changes_nothing(seed: int, scheme: Scheme, overflow: str, guesses: str) -> None:
    """A text that repeats itself is guessed by lookup, and a draft guesses always."""
    options = SamplingOptions(temperature=0.7, seed=seed, max_tokens=55, overflow=overflow, logit_bias={5: 4.0, 6: 4.0})
    model = MODELS["qwen3"]
    plain = write(scheme, [[seed % VOCAB]], options, engine=engine_of(model, lookup=False))
    draft = DRAFTS["qwen3"] if guesses == "draft" else None
    assert write(scheme, [[seed % VOCAB]], options, engine=engine_of(model, draft)) == plain


@every_scheme
def test_greedy_text_is_as_without(scheme: Scheme) -> None:
    options = SamplingOptions(temperature=0, max_tokens=20)
    assert write(scheme, PROMPTS, options) == write(None, PROMPTS, options)


@every_scheme
def test_rows_with_and_without_marks_run_together(scheme: Scheme) -> None:
    options = SamplingOptions(seed=2, max_tokens=20)
    engine = engine_of(MODEL)
    marks = [None, TextMark(KEY, scheme), TextMark(KEY, Tournament(rounds=4)), None]
    rows = [engine.submit(Request([3, 4], options, number, watermark=mark)) for number, mark in enumerate(marks)]
    found = ids_of(finish(engine, rows))
    for number, mark in enumerate(marks):
        assert [found[number]] == write(None if mark is None else mark.scheme, [[3, 4]], options, (number,))


@every_scheme
def test_a_mark_is_found_in_what_is_written(scheme: Scheme) -> None:
    options = SamplingOptions(seed=5, max_tokens=200, temperature=2.0)
    (text,) = write(scheme, [[1, 2, 3]], options)
    best = find_text_mark(text, [KEY, WatermarkKey(b"x" * 32)], schemes=[scheme])[0]
    assert best.key == KEY.id
    assert best.p_value is not None
    assert best.p_value < 1e-6
    (plain,) = write(None, [[1, 2, 3]], options)
    assert all((found.p_value or 1) > 1e-4 for found in find_text_mark(plain, [KEY], schemes=[scheme]))


@pytest.mark.parametrize("scheme", FAITHFUL, ids=lambda scheme: scheme.name)
@pytest.mark.parametrize(
    "options", [{}, {"temperature": 0.7, "top_p": 0.9}, {"top_k": 12}, {"temperature": 5}], ids=str
)
def test_over_keys_a_token_is_distributed_as_the_unmarked(
    scheme: Scheme, options: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2.5 * torch.randn((1, 40), generator=generator)
    logits[0, 10:20] -= 9  # which are no candidates
    monkeypatch.setattr("daedal.inference.marked_choice._CANDIDATES", 25)
    chosen = SamplingOptions(seed=1, **options)
    probabilities = (logits / chosen.temperature).softmax(-1)
    if chosen.restricts:
        from daedal.inference.logits import restrict

        probabilities = restrict((logits / chosen.temperature), chosen).softmax(-1)
    counts = np.zeros(40)
    rows = []
    for number in range(2000):
        mark = TextMark(WatermarkKey(number.to_bytes(32, "little")), scheme)
        row = open_row(Request([1], chosen, number, watermark=mark), 50, 40, logits.device)
        row.ids += [2, 3, 4, 5]
        rows.append(row)
    for id in draw(rows, logits.expand(len(rows), -1).clone()):
        counts[id] += 1
    expected = probabilities[0].double().numpy() * len(rows)
    assert (counts[expected == 0] == 0).all()
    rare = expected < 5
    seen, wanted = (np.append(each[~rare], each[rare].sum()) for each in (counts, expected))
    seen, wanted = seen[wanted > 0], wanted[wanted > 0]
    assert stats.chisquare(seen, wanted * seen.sum() / wanted.sum()).pvalue > 1e-4


def test_what_follows_the_same_tokens_is_marked_once() -> None:
    """Or a text that comes back to where it was would go on as it did."""
    options = SamplingOptions(seed=3, max_tokens=250, logit_bias=dict.fromkeys(range(4), 60.0), temperature=3.0)
    (text,) = write(Gumbel(context=2), [[9]], options)
    after: dict[tuple[int, int], list[int]] = {}
    for one, two, three in zip(text, text[1:], text[2:], strict=False):
        after.setdefault((one, two), []).append(three)
    assert max(len(set(said)) for said in after.values()) > 1


def test_a_constraint_is_kept() -> None:
    codec = TextCodec.train("byte", ["abc"])
    model = random_model("qwen3", vocab_size=codec.vocab_size, context=200)
    compiler = ConstraintCompiler(codec, codec.vocab_size, [codec.eos_id or 0])
    options = SamplingOptions(seed=1, max_tokens=120)
    for scheme in (Tournament(), Gumbel(), GreenList()):
        texts = []
        for engine in (engine_of(model), engine_of(model, lookup=False)):
            constraint = compiler.compile("regex", "[a-h]{60,80}")
            request = Request([97], options, constraint=constraint, watermark=TextMark(KEY, scheme))
            texts += ids_of(finish(engine, [engine.submit(request)]))
        assert texts[0] == texts[1]
        assert set(codec.decode(texts[0])) <= set("abcdefgh")


@every_scheme
def test_a_diverged_model_is_told(scheme: Scheme) -> None:
    model = copy.deepcopy(MODELS["gpt2"])
    with torch.no_grad():
        model.transformer.norm.bias.fill_(float("nan"))  # type: ignore[union-attr, operator]
    engine = engine_of(model)
    rows = [engine.submit(Request([1], SamplingOptions(seed=1), watermark=TextMark(KEY, scheme))) for _ in range(2)]
    events = [event for _ in range(3) for event in engine.step()]
    assert [event.row for event in events if isinstance(event, Fault)] == rows
    assert not any(isinstance(event, Token) for event in events)


# -- as a person has it ---------------------------------------------------------------------------------------------------


def test_the_library_marks_what_it_is_told_to(tmp_path: Path) -> None:
    codec = TextCodec.train("bpe", ["the cat sat on the mat and the dog sat on the log. " * 20], 300)
    generator = Generator(random_model("qwen3", vocab_size=codec.vocab_size, context=200), codec, "tiny")
    mark = TextMark(KEY)
    how = {"seed": 3, "max_tokens": 120, "temperature": 2.0, "logit_bias": {codec.eos_id: -100.0}}
    (plain,) = generator.generate("the cat", **how)
    (marked,) = generator.generate("the cat", watermark=mark, **how)
    assert plain.provenance.watermark is None
    assert marked.provenance.watermark == mark.record
    assert find_text_mark(plain.ids, [KEY])[0].p_value == pytest.approx(1, abs=1)
    assert (find_text_mark(marked.ids, [KEY])[0].p_value or 1) < 1e-6
    assert "".join(chunk.text for chunk in generator.stream("the cat", watermark=mark, **how)) == marked.text
    (greedy,) = generator.generate("the cat", watermark=mark, temperature=0, max_tokens=5)
    assert greedy.provenance.watermark is None
    path = marked.save(tmp_path / "text.json")
    assert KEY.id in path.read_text()
    assert str(mark.seed) not in path.read_text()


def test_the_network_runs_while_noise_is_made_and_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    options = SamplingOptions(seed=4, max_tokens=25)
    for scheme in (Gumbel(), GreenList(), Tournament()):
        expected = write(scheme, PROMPTS, options)
        with monkeypatch.context() as patch:
            patch.setattr("daedal.inference.engine._WORTH", 0)
            assert write(scheme, PROMPTS, options, engine=Engine(TorchNetwork(MODEL))) == expected


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model's folder, in an installation that has no key yet."""
    monkeypatch.setenv("DAEDAL_HOME", str(tmp_path / "home"))
    codec = TextCodec.train("bpe", ["the cat sat on the mat and the dog sat on the log. " * 20], 300)
    save_model(random_model("qwen3", vocab_size=codec.vocab_size, context=200), tmp_path / "run")
    codec.save(tmp_path / "run")
    return tmp_path / "run"


def test_commands_mark_what_they_sample_and_make_the_key_once(run: Path) -> None:
    def generate(*more: str) -> tuple[dict[str, Any], str]:
        said = daedal("generate", run, "--json", "--prompt", "the cat", "--max-tokens", "40", "--seed", "3", *more)
        assert said.code == 0, said.err
        return json.loads(said.out)[0], said.err

    assert generate("--temperature", "0")[0]["provenance"]["watermark"] is None
    plain, told = generate("--no-watermark")
    assert plain["provenance"]["watermark"] is None
    assert "watermark" not in told
    assert not (run.parent / "home").exists()
    marked, told = generate()
    key = watermark_keys()[0]
    assert f"Made the watermark key {key.id}" in told
    assert marked["provenance"]["watermark"] == {"scheme": "tournament/1", "key": key.id, "payload": None}
    assert marked["text"] == daedal_text(run, TextMark(key))
    again, told = generate()
    assert again == marked
    assert "watermark" not in told
    assert key.secret.hex() not in json.dumps(marked)


def daedal_text(run: Path, mark: TextMark | None) -> str:
    (written,) = Generator.open(run).generate("the cat", watermark=mark, max_tokens=40, seed=3)
    return written.text


def test_a_command_that_can_keep_no_key_says_how_to_go_without(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.parent / "file").write_text("")
    monkeypatch.setenv("DAEDAL_HOME", str(run.parent / "file" / "home"))
    assert "give --no-watermark" in mistake("generate", run, "--max-tokens", "5")
    assert daedal("generate", run, "--max-tokens", "5", "--no-watermark").code == 0


def test_a_conversation_is_marked(run: Path) -> None:
    how = ("--max-tokens", "30", "--seed", "3")
    marked = daedal("chat", run, *how, stdin="hello\n")
    assert "Made the watermark key" in marked.err
    plain = daedal("chat", run, *how, "--no-watermark", stdin="hello\n")
    assert (plain.code, plain.err) == (0, "")
    assert marked.out != plain.out
    assert marked.out == daedal("chat", run, *how, stdin="hello\n").out


def test_sampled_answers_to_a_prompt_are_marked(run: Path) -> None:
    how = ("ask", run, "--text", "the cat", "--max-tokens", "40", "--seed", "3")
    assert daedal(*how).out == daedal(*how, "--no-watermark").out  # greedy
    marked = daedal(*how, "--temperature", "1")
    assert marked.out != daedal(*how, "--temperature", "1", "--no-watermark").out
    assert marked.out == (daedal_text(run, TextMark(watermark_keys()[0])) or "") + "\n"


def test_a_server_marks_by_a_key_that_no_command_tells(run: Path) -> None:
    options = {"seed": 3, "max_tokens": 40}
    command = {"op": "generate", "id": 1, "owner": "me", "prompt": {"text": "the cat"}, "options": options}
    for switched_on in (True, False):
        marking = Marking.of_installation(watermark=switched_on, signed=False, noted=False)
        desk = _open(str(run), "tiny", None, 4, marking)
        mark = TextMark(watermark_keys()[0]) if switched_on else None
        desk.begin(desk.prepare(command))
        events = []
        while desk.busy:
            events += desk.step()
        assert "".join(event.get("text", "") for event in events) == daedal_text(run, mark)
        settings = Settings(data=run, models={"m": str(run)}, watermark=switched_on)
        line = Models(settings)._worker("m", str(run))
        assert ("--watermark" in line) is switched_on
        assert watermark_keys()[0].secret.hex() not in " ".join(line)


def test_keys_are_made_and_listed_by_their_ids(run: Path) -> None:
    assert daedal("keys", "watermark", "list").out == ""
    first = daedal("keys", "watermark", "new").out.split()[0]
    second = daedal("keys", "watermark", "new").out.split()[0]
    assert [key.id for key in watermark_keys()] == [second, first]
    assert daedal("keys", "watermark", "list").out == f"{second}  marks\n{first}  is recognised\n"
