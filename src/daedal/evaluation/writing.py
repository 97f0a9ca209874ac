"""What a language model writes, and what of it stands in the training text: the evaluator over `memorization`."""

from itertools import takewhile
from typing import Any

import numpy as np

from daedal.evaluation.blocks import Numbers, Sample, Table, Texts
from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.text import TextSubject
from daedal.evaluation.memorization import SEARCHED_BYTES, Memorization, memorization

SAMPLE_TOKENS = 200
_SECONDS_PER_SEARCHED_BYTE = 3e-7  # on one core of 2023


class Writing(Evaluator[TextSubject]):
    """Texts from nothing and from held-out beginnings, or answers in held-out conversations, with the longest run that each
    copies."""

    needs, columns, weight = frozenset({"complete"}), frozenset({"text"}), 2.0

    def seconds(self, subject: TextSubject, within: float) -> float:
        searched = 0 if subject.train is None else min(int(subject.train.bytes.sum()), SEARCHED_BYTES)
        return searched * _SECONDS_PER_SEARCHED_BYTE

    def measure(self, subject: TextSubject, within: float, tell: Tell) -> Findings:
        count, seed = subject.asked.samples, subject.asked.seed
        if count < 1:
            return Findings()
        tell(0, "writing samples")
        how = sampling(seed)
        samples = written(subject, count, seed)
        tell(0.65, "looking for copies")
        says = f"The first ones drawn, not chosen: {', '.join(f'{name} {value}' for name, value in how.items())}"
        texts = Texts(title="What it writes", says=says, texts=samples)
        if subject.train is None or not any(sample.text for sample in samples):
            return Findings(blocks=(texts,), sampling=how)
        copies = memorization(
            [sample.text for sample in samples], subject.train, subject.documents, model_hash=subject.hash, seed=seed
        )
        runs = iter(copies.samples)
        marked = tuple(each.but(copied=next(runs).text) if each.text else each for each in samples)
        return Findings(
            blocks=(Numbers(measurements=copies.measurements), texts.but(texts=marked), table(copies)), sampling=how
        )


def sampling(seed: int) -> dict[str, Any]:
    """How texts are sampled that are looked at for copies."""
    return {
        "max_tokens": SAMPLE_TOKENS, "temperature": 0.8, "top_p": 0.95, "seed": seed, "overflow": "slide",
    }  # fmt: skip


def written(subject: TextSubject, count: int, seed: int) -> tuple[Sample, ...]:
    """What a model writes: half from nothing, half from held-out beginnings; answers, of a model of conversations."""
    generator, documents, context, how = (
        subject.generator,
        subject.documents,
        subject.model.config.context,
        sampling(seed),
    )
    if documents.answers is None:
        beginnings = _beginnings(documents, count // 2, max(1, min(16, context // 4)), seed)
        texts = generator.generate([""] * (count - count // 2) + beginnings, **how)
        return tuple(Sample(prompt=each.prompt, text=each.text) for each in texts)
    ends, stops = generator.turn_ends
    answers = generator.generate(_openings(documents, count, context // 2, seed), stop=stops, **how)
    return tuple(
        Sample(prompt=each.prompt, text=generator.codec.decode(takewhile(lambda id: id not in ends, each.ids)))
        for each in answers
    )


def table(copies: Memorization) -> Table:
    """Where in the training text each copy stands."""
    longest = max(copy.characters for copy in copies.samples)
    brief = f"longest copy from the training text in {len(copies.samples)} samples: {longest} characters"
    says = "The longest run of characters that each sample shares with the training text."
    if copies.held_out:
        others = max(copy.characters for copy in copies.held_out)
        brief += f" (in held-out text as long: {others})"
        says += f" Held-out text of the same length shares up to {others} characters: people repeat each other too."
    return Table(
        title="What it copies", says=says, brief=brief,
        head=("sample", "characters", "tokens", "document", "byte", "run"),
        rows=tuple(
            (number, copy.characters, copy.tokens, copy.document, copy.offset, copy.text[:120])
            for number, copy in enumerate(copies.samples, 1)
        ),
    )  # fmt: skip


def _openings(documents: Documents, count: int, tokens: int, seed: int) -> list[list[int]]:
    """How held-out conversations stand before their first answer."""
    answered = np.flatnonzero(documents.counted)
    chosen = np.random.default_rng(seed).choice(answered, min(count, len(answered)), replace=False)
    return [[documents.prefix, *documents.opening(int(each))[-tokens:]] for each in chosen]


def _beginnings(documents: Documents, count: int, tokens: int, seed: int) -> list[str]:
    """Short passages of held-out text, from a line's or at least a word's beginning."""
    generator, last = np.random.default_rng(seed), int(documents.offsets[-1])
    found = []
    for _ in range(count):
        start = int(generator.integers(0, max(1, last - 4 * tokens)))
        text = documents.codec.decode(documents.read(start, min(last, start + 4 * tokens)).tolist())
        for border in ("\n", " "):
            _, _, after = text.partition(border)
            if len(after.strip()) >= 8:
                text = after
                break
        ids = documents.codec.encode(text.strip())[:tokens]
        found.append(documents.codec.decode(ids).rstrip("\ufffd"))
    return [text or "" for text in found]
