"""Watermarks of text, measured: the time to find one beside Transformers' detector, tokens a second with and without, how often
nothing is taken for a mark, how many tokens it takes to find one by entropy, what it costs in quality, and what changes of a
text leave of it.

    python benchmarks/text_marks.py RUN --text FILES...            # all of it, on an idle machine
    python benchmarks/text_marks.py RUN --text FILES... --only null --only power

RUN is a language model of Daedal; the files are texts by people, which are what null texts are made of. Measurements by chance
have a seed, and can be repeated.
"""

import argparse
import math
import platform
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from daedal.codecs.text import TextCodec
from daedal.inference.engine import Engine
from daedal.inference.engine_request import Request, Row, Token
from daedal.inference.generator import Generator
from daedal.inference.network import networks
from daedal.inference.sampling import SamplingOptions
from daedal.models.checkpoint import resolve
from daedal.safety.text_marks.detection import SCHEMES, find_text_mark
from daedal.safety.text_marks.green_list import GreenList
from daedal.safety.text_marks.gumbel import Gumbel
from daedal.safety.text_marks.scheme import Scheme
from daedal.safety.text_marks.text_mark import TextMark
from daedal.safety.text_marks.tournament import Tournament
from daedal.safety.watermark_keys import WatermarkKey

KEY = WatermarkKey(b"a key of this benchmark, 32 bytes")
LEVEL = 1e-3


# -- time to find ----------------------------------------------------------------------------------------------------------


def detection(vocab: int = 50_000, length: int = 1000, rounds: int = 200) -> None:
    """Of a text of chance, which has no repetitions that a cache could use."""
    ids = np.random.default_rng(0).integers(0, vocab, length)
    print(f"\nTo judge {length:,} tokens of a vocabulary of {vocab:,}, median of {rounds}:")
    for told, schemes in [*((scheme.label, (scheme,)) for scheme in SCHEMES), ("all three schemes", SCHEMES)]:
        times = []
        for _ in range(rounds):
            started = time.perf_counter()
            find_text_mark(ids, [KEY], schemes=schemes)
            times.append(time.perf_counter() - started)
        print(f"  {told:<40} {1000 * statistics.median(times):9.2f} ms")
    from transformers import GPT2Config, WatermarkDetector, WatermarkingConfig

    for seeding in ("lefthash", "selfhash"):
        times = []
        for _ in range(3):
            config = WatermarkingConfig(seeding_scheme=seeding)
            detector = WatermarkDetector(GPT2Config(vocab_size=vocab), "cpu", config, ignore_repeated_ngrams=True)
            started = time.perf_counter()
            detector(torch.from_numpy(ids)[None])
            times.append(time.perf_counter() - started)
        print(f"  Transformers, {seeding:<26} {1000 * statistics.median(times):9.2f} ms")


# -- speed of writing --------------------------------------------------------------------------------------------------------


def write(engine: Engine, prompts: list[list[int]], mark: TextMark | None, seed: int, new: int) -> list[list[int]]:
    options = SamplingOptions(seed=seed, max_tokens=new, overflow="slide")
    requests = [Request(prompt, options, number, watermark=mark) for number, prompt in enumerate(prompts)]
    said: dict[Row, list[int]] = {engine.submit(request): [] for request in requests}
    while engine.busy:
        for event in engine.step():
            if isinstance(event, Token):
                said[event.row].append(event.id)
    return list(said.values())


def speed(generator: Generator, prompts: list[list[int]], new: int, rounds: int) -> None:
    """The sides take turns, and each round is set beside the unmarked one next to it."""
    engine = Engine(*networks(generator.model, None), prefixes=0, lookup=False)
    marks = {"unmarked": None, **{scheme.label: TextMark(KEY, scheme) for scheme in SCHEMES}}
    config = generator.model.config
    print(f"\nTokens a second, {config.depth} layers of width {config.width}, vocabulary {config.vocab_size:,}:")
    for streams in (1, 16):
        speeds: dict[str, list[float]] = {name: [] for name in marks}
        for number in range(rounds + 1):
            for name, mark in marks.items():
                started = time.perf_counter()
                said = write(engine, prompts[:streams], mark, number, new)
                if number:
                    speeds[name].append(sum(map(len, said)) / (time.perf_counter() - started))
        for name, found in speeds.items():
            beside = statistics.median(a / b for a, b in zip(found, speeds["unmarked"], strict=True)) - 1
            print(f"  {streams:>2} streams  {name:<16} {statistics.median(found):9,.0f}  {beside:+.1%}")


# -- what is no mark -----------------------------------------------------------------------------------------------------------


def null(texts: list[np.ndarray], count: int) -> None:
    """Passages by people, loops of a passage, and two tokens in any order. Each has a key of its own."""
    draw = np.random.default_rng(1)
    print(f"\nTexts that are not marked, {count:,}, a third of them repetitive; share with a p-value of at most")
    print(f"  {'':<20} {'1e-2':>18} {'1e-3':>18}")
    whole = np.concatenate(texts)
    for scheme in SCHEMES:
        found = np.empty(count)
        for number in range(count):
            length = int(draw.integers(60, 400))
            at = int(draw.integers(0, len(whole) - length))
            ids = whole[at : at + length]
            if number % 6 == 0:
                ids = np.resize(ids[: int(draw.integers(20, 60))], length)
            elif number % 6 == 1:
                ids = draw.choice(ids[:2], length)
            key = WatermarkKey(draw.bytes(32))
            value = find_text_mark(ids, [key], schemes=[scheme])[0].p_value
            found[number] = 1.0 if value is None else value
        shares = [(found <= level).mean() for level in (1e-2, 1e-3)]
        spread = [math.sqrt(level / count) for level in (1e-2, 1e-3)]
        told = (f"{share:.5f} ± {1.96 * each:.5f}" for share, each in zip(shares, spread, strict=True))
        print(f"  {scheme.label:<20} {'   '.join(told)}")


# -- power by entropy ----------------------------------------------------------------------------------------------------------


def distribution(entropy: float, width: int = 64) -> np.ndarray:
    """Chances whose logits are normal quantiles, sharpened to an entropy in nats."""
    logits = stats.norm.ppf((np.arange(width) + 0.5) / width)
    low, high = 1e-3, 1e3
    for _ in range(60):
        middle = math.sqrt(low * high)
        chances = np.exp((logits - logits.max()) * middle)
        chances /= chances.sum()
        found = -(chances * np.log(chances + 1e-300)).sum()
        low, high = (middle, high) if found > entropy else (low, middle)
    return chances


def evidence(scheme: Scheme, chances: np.ndarray, shape: tuple[int, int], draw: np.random.Generator) -> np.ndarray:
    """Of tokens that were chosen by the mark, all after tokens of their own."""
    found = np.empty(shape)
    for number in range(shape[0]):
        words = draw.integers(0, 2**64, (shape[1], len(chances)), dtype=np.uint64)
        alike = np.broadcast_to(chances, words.shape)
        race = draw.exponential(size=words.shape)
        if isinstance(scheme, Tournament):
            chosen = (race / np.maximum(scheme.won(alike, words), 1e-300)).argmin(-1)
        elif isinstance(scheme, GreenList):
            chosen = (race / (alike * np.exp(scheme.bias * scheme.green(words)))).argmin(-1)
        else:
            chosen = (-np.log(((words >> np.uint64(12)) + 0.5) * 2**-52) / alike).argmin(-1)
        found[number] = scheme.fit(words[np.arange(shape[1]), chosen])
    return found


def needed(scheme: Scheme, entropy: float, texts: int = 200, longest: int = 3000) -> str:
    """Tokens with which nine of ten texts are found at the level."""
    draw = np.random.default_rng(2)
    sums = evidence(scheme, distribution(entropy), (texts, longest), draw).cumsum(-1)
    for length in np.unique(np.geomspace(4, longest, 120).astype(int)).tolist():
        bounds = [scheme.tail(float(total), length) <= LEVEL for total in sums[:, length - 1]]
        if np.mean(bounds) >= 0.9:
            return f"{length:,}"
    return f"> {longest:,}"


def power() -> None:
    entropies = (0.1, 0.3, 0.6, 1.0, 2.0, 3.0)
    print(
        f"\nTokens with which 9 of 10 texts are found at a false-positive rate of {LEVEL:g}, by entropy in nats per token:"
    )
    print(f"  {'':<30}" + "".join(f"{entropy:>9}" for entropy in entropies))
    for scheme in (
        *(Tournament(rounds=rounds) for rounds in (4, 8, 12, 16, 30)),
        Gumbel(),
        GreenList(bias=1.0),
        GreenList(bias=2.0),
    ):
        told = f"{scheme.name}{f' bias={scheme.bias}' if isinstance(scheme, GreenList) else ''}"
        print(f"  {told:<30}" + "".join(f"{needed(scheme, entropy):>9}" for entropy in entropies), flush=True)


# -- quality, and what changes leave --------------------------------------------------------------------------------------


def per_byte(generator: Generator, texts: list[list[int]], prompts: list[list[int]]) -> list[float]:
    """Bits per byte of each text under the model that wrote it."""
    found = []
    for prompt, text in zip(prompts, texts, strict=True):
        ids = torch.tensor([(prompt + text)[: generator.model.config.context]])
        with torch.inference_mode():
            nats = -generator.model(ids[:, :-1]).double().log_softmax(-1).gather(-1, ids[:, 1:, None])[0, :, 0]
        size = len(generator.codec.decode(ids[0, len(prompt) :].tolist()).encode())
        found.append(float(nats[len(prompt) - 1 :].sum()) / math.log(2) / max(1, size))
    return found


def changed(ids: list[int], codec: TextCodec, vocab: int) -> Iterator[tuple[str, list[int]]]:
    """A text, and what becomes of it."""
    draw = np.random.default_rng(len(ids))
    yield "as it is", ids
    yield "decoded and encoded anew", codec.encode(codec.decode(ids))
    for share in (0.1, 0.3, 0.5):
        other = np.array(ids)
        where = draw.random(len(ids)) < share
        other[where] = draw.integers(0, vocab, int(where.sum()))
        yield f"{share:.0%} of the tokens replaced", other.tolist()
    yield "the middle half alone", ids[len(ids) // 4 : 3 * len(ids) // 4]
    foreign = draw.integers(0, vocab, 3 * len(ids)).tolist()
    yield "within four times as much other text", [*foreign[: len(ids)], *ids, *foreign[len(ids) :]]
    yield "in small letters", codec.encode(codec.decode(ids).lower())


def quality(generator: Generator, prompts: list[list[int]], new: int) -> None:
    engine = Engine(*networks(generator.model, None), prefixes=0)
    vocab = generator.model.config.vocab_size
    print(
        f"\n{len(prompts)} texts of {new} tokens; bits per byte under the model, and the difference from unmarked ones:"
    )
    plain: list[float] = []
    rows: dict[str, dict[str, list[float]]] = {}
    for name, scheme in {"unmarked": None, **{scheme.label: scheme for scheme in SCHEMES}}.items():
        mark = None if scheme is None else TextMark(KEY, scheme)
        texts = write(engine, prompts, mark, 0, new)
        bits = per_byte(generator, texts, prompts)
        if scheme is None:
            plain = bits
            print(f"  {name:<16} {np.mean(bits):.3f}")
            continue
        error = 1.96 * math.sqrt(np.var(bits, ddof=1) / len(bits) + np.var(plain, ddof=1) / len(plain))
        print(f"  {name:<16} {np.mean(bits):.3f}  {np.mean(bits) - np.mean(plain):+.3f} ± {error:.3f}")
        for text in texts:
            for how, ids in changed(text, generator.codec, vocab):
                value = find_text_mark(ids, [KEY], schemes=[scheme])[0].p_value
                rows.setdefault(how, {}).setdefault(name, []).append(1.0 if value is None else value)
    print(f"\nShare of these that is found at {LEVEL:g}, and the median p-value:")
    print(f"  {'':<38}" + "".join(f"{scheme.label:>22}" for scheme in SCHEMES))
    for how, found in rows.items():
        told = [f"{np.mean(np.array(v) <= LEVEL):.0%} {np.median(v):.0e}" for v in found.values()]
        print(f"  {how:<38}" + "".join(f"{each:>22}" for each in told))


PARTS = ("detection", "speed", "null", "power", "quality")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--text", nargs="+", type=Path, required=True)
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--count", type=int, default=100_000, help="of null texts")
    parser.add_argument("--texts", type=int, default=64, help="that are written")
    parser.add_argument("--new", type=int, default=200, help="tokens of each")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(f"{platform.machine()}, {given.threads} threads, torch {torch.__version__}")
    parts = given.only or PARTS
    codec = TextCodec.load(resolve(given.run))
    texts = [np.array(codec.encode(path.read_text(encoding="utf-8", errors="replace"))) for path in given.text]
    if "detection" in parts:
        detection()
    if "power" in parts:
        power()
    if "null" in parts:
        null(texts, given.count)
    if "speed" in parts or "quality" in parts:
        generator = Generator.open(given.run)
        whole = np.concatenate(texts)
        begins = np.random.default_rng(3).integers(0, len(whole) - 16, given.texts)
        prompts = [whole[at : at + 16].tolist() for at in begins.tolist()]
        if "quality" in parts:
            quality(generator, prompts, given.new)
        if "speed" in parts:
            speed(generator, prompts, given.new, 7)


if __name__ == "__main__":
    main()
