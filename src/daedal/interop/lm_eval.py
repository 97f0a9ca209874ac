"""Daedal's models in EleutherAI's lm-evaluation-harness: `lm_eval.simple_evaluate(model=DaedalLM(generator), tasks=[...])`.

- needs the `bench` extra, and neither transformers nor a network
- what a context and a continuation are in tokens is decided by lm-eval's own code, so its numbers are those of its Hugging
  Face adapter; likelihoods are float64 here
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.inference.generator import Generator
from daedal.models.gpt import GPT

try:
    from lm_eval.api.model import TemplateLM  # type: ignore[import-untyped, import-not-found, unused-ignore]
    from lm_eval.utils import (  # type: ignore[import-untyped, import-not-found, unused-ignore]
        get_rolling_token_windows,
        make_disjoint_window,
    )
except ModuleNotFoundError as error:
    if not (error.name or "").startswith("lm_eval"):
        raise
    raise DaedalError("lm-eval is not installed", "Install it with: pip install 'daedal[bench]'") from None

Request = tuple[Any, list[int], list[int]]
_BATCH_TOKENS = 8192
_MAX_TOKENS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
_PASSED_ON = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")


class DaedalLM(TemplateLM):  # type: ignore[misc]
    """A model that lm-eval can ask.

    Args:
        model: a generator, or what `Generator.open` takes: a run folder or a Hugging Face id.
        seed: of requests that are sampled and name none.
    """

    backend = "causal"

    def __init__(self, model: Generator | str | Path, seed: int = 0) -> None:
        super().__init__()
        self.generator = model if isinstance(model, Generator) else Generator.open(model)
        self._codec: TextCodec = self.generator.codec
        self._model: GPT = self.generator.model
        self._seed = seed

    @property
    def max_length(self) -> int:
        """Tokens that the model sees at once."""
        return self._model.config.context

    @property
    def max_gen_toks(self) -> int:
        return 256

    @property
    def eot_token_id(self) -> int:
        if self._codec.eos_id is None:
            raise DaedalError("The codec has no end-of-text token", "Use a tokenizer that names one")
        return self._codec.eos_id

    @property
    def prefix_token_id(self) -> int:
        return self.eot_token_id if self._codec.bos_id is None else self._codec.bos_id

    @property
    def tokenizer_name(self) -> str:
        return self._codec.fingerprint()

    def apply_chat_template(self, chat_history: Sequence[Mapping[str, Any]], add_generation_prompt: bool = True) -> str:
        return self.generator.template.render(chat_history, add_generation_prompt=add_generation_prompt)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """Tokens, with what the tokenizer puts before every text unless `add_special_tokens` is False or the text has it.

        Names of special tokens are those tokens, as in Hugging Face's tokenizers: a chat template writes them.
        """
        ids, prefix = self._codec.encode(string, special=True), list(self._codec.prefix_ids)
        return ids if add_special_tokens is False or ids[: len(prefix)] == prefix else [*prefix, *ids]

    def loglikelihood_rolling(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[float]:
        """Log-likelihood of whole texts, in windows that do not overlap but for one token."""
        windows: list[Request] = []
        owners: list[int] = []
        for number, request in enumerate(requests):
            rolling = get_rolling_token_windows(
                self.tok_encode(request.args[0]), self.prefix_token_id, max_seq_len=self.max_length, context_len=1
            )
            for context, continuation in map(make_disjoint_window, rolling):
                windows.append((None, context, continuation))
                owners.append(number)
        totals = [0.0] * len(requests)
        for owner, (likelihood, _) in zip(owners, self._loglikelihood_tokens(windows), strict=True):
            totals[owner] += likelihood
        for request, total in zip(requests, totals, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", request.args, total)
        return totals

    def _loglikelihood_tokens(
        self, requests: Sequence[Request], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        """Log-likelihood of each continuation, and whether greedy decoding would give it.

        What does not fit the model's context is cut from the left, as lm-eval does.
        """
        rows = []
        for _, context, continuation in requests:
            if len(continuation) > self.max_length:
                raise DaedalError(
                    f"A continuation of {len(continuation)} tokens exceeds the context of {self.max_length}",
                    "Use a model with a longer context",
                )
            rows.append((context + continuation)[-(self.max_length + 1) :])
        answers: list[tuple[float, bool]] = [(0.0, True)] * len(requests)
        for batch in _batches([len(row) for row in rows]):
            scored = self._score([rows[i] for i in batch], [len(requests[i][2]) for i in batch])
            for i, (likelihood, greedy) in zip(batch, scored, strict=True):
                answers[i] = (likelihood, greedy)
                if requests[i][0] is not None:
                    self.cache_hook.add_partial("loglikelihood", requests[i][0], answers[i])
        return answers

    @torch.inference_mode()
    def _score(self, rows: Sequence[list[int]], counts: Sequence[int]) -> list[tuple[float, bool]]:
        """The last `counts` tokens of each row; rows are padded on the right, which a causal model does not see."""
        device = self._model.embedding.weight.device
        widest = max(len(row) for row in rows)
        ids = torch.tensor([row + [self.eot_token_id] * (widest - len(row)) for row in rows], device=device)
        wanted = torch.zeros(len(rows), widest - 1, dtype=torch.bool, device=device)
        for place, (row, count) in enumerate(zip(rows, counts, strict=True)):
            wanted[place, len(row) - 1 - count : len(row) - 1] = True
        hidden = self._model.hidden(ids[:, :-1])[wanted]
        likelihoods, best = self._model.judge(hidden, ids[:, 1:][wanted])
        pieces = zip(torch.split(likelihoods, list(counts)), torch.split(best, list(counts)), strict=True)
        return [(float(likelihood.sum()), bool(greedy.all())) for likelihood, greedy in pieces]

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """Texts up to a stop string, greedy unless the task asks for sampling; long contexts are cut from the left."""
        answers = [""] * len(requests)
        alike: dict[str, list[int]] = defaultdict(list)
        for number, request in enumerate(requests):
            alike[repr(sorted(request.args[1].items()))].append(number)
        for numbers in alike.values():
            options = self._options(requests[numbers[0]].args[1])
            prompts = [self._cut(requests[number].args[0], options["max_tokens"]) for number in numbers]
            for number, completion in zip(numbers, self.generator.generate(prompts, **options), strict=True):
                answers[number] = completion.text
                self.cache_hook.add_partial("generate_until", requests[number].args, completion.text)
        return answers

    def _options(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """lm-eval's names and rules as ours."""
        until = asked.get("until") or []
        stops = [until] if isinstance(until, str) else list(until)
        given = [asked[name] for name in _MAX_TOKENS if asked.get(name) is not None]
        options = {name: asked[name] for name in _PASSED_ON if asked.get(name) is not None}
        sampled = asked.get("do_sample", options.get("temperature", 0) > 0)
        options["temperature"] = options.get("temperature", 1.0) if sampled else 0.0
        return {
            "seed": self._seed,
            **options,
            "max_tokens": int(given[0]) if given else self.max_gen_toks,
            "stop": tuple(stop for stop in stops if stop),
        }

    def _cut(self, context: str, answer: int) -> list[int]:
        """The tokens of a context, read as for likelihoods, of which the last are kept where an answer needs the room."""
        room = self.max_length - answer
        if room < 1:
            raise DaedalError(
                f"An answer of {answer} tokens leaves no room in the context of {self.max_length}",
                "Set max_gen_toks to less",
            )
        return (self.tok_encode(context) or [self.prefix_token_id])[-room:]


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of rows of about one length, as many as fit together."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    first = 0
    while first < len(order):
        count = max(1, _BATCH_TOKENS // max(1, lengths[order[first]]))
        yield order[first : first + count]
        first += count
