"""Encoders on rows of mixed lengths: tokens a second of the same weights here, without padding, and in Transformers, with it.

    python benchmarks/encoder_speed.py [--threads 2] [--rounds 5] [--batches 4] [--rows 32] [--shape 12x768] [--learn]

A batch is 32 rows (`--rows`; 1 for the wait for a single text) of 8 to 128 tokens, uniformly. Transformers fills each up to the
longest, by its attention of PyTorch (sdpa) and by its own (eager); `sorted` is that with the rows of all batches brought in
order of length first, as ours may be too. All are in one process and take turns, batch by batch; a figure is the median over
the rounds, and the states are checked to be the same, but for those of int8. With --learn, a step of masked language modelling
(forward, loss, backward; 15 % hidden) instead.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

SHORTEST, LONGEST = 8, 128


def batches(count: int, size: int, vocabulary: int, ordered: bool) -> list[list[torch.Tensor]]:
    """Batches of rows of ids."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(SHORTEST, LONGEST + 1, (count * size,), generator=generator).tolist()
    rows = [torch.randint(5, vocabulary, (length,), generator=generator) for length in lengths]
    if ordered:
        rows.sort(key=len)
    return [rows[first : first + size] for first in range(0, len(rows), size)]


def pad(rows: list[torch.Tensor], value: int = 0) -> torch.Tensor:
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=4)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--shape", default="12x768", help="layers x width, heads of 64")
    parser.add_argument("--vocabulary", type=int, default=30522)
    parser.add_argument("--architecture", choices=["bert", "modernbert"], default="bert")
    parser.add_argument("--learn", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    import transformers

    from daedal.inference.network import prepared
    from daedal.models.checkpoint import load_model
    from daedal.models.model import IGNORE, Moment
    from daedal.models.sequences import Sequences, TargetBatch, by_length
    from daedal.training.machine import keep_freed_memory

    keep_freed_memory()
    transformers.logging.set_verbosity_error()
    depth, width = map(int, options.shape.split("x"))
    name = {"bert": "Bert", "modernbert": "ModernBert"}[options.architecture]
    ids = {"bos_token_id": None, "eos_token_id": None, "cls_token_id": None, "sep_token_id": None}
    config = getattr(transformers, f"{name}Config")(
        vocab_size=options.vocabulary, hidden_size=width, num_hidden_layers=depth, num_attention_heads=max(1, width // 64),
        intermediate_size=4 * width if name == "Bert" else 3 * width // 2, max_position_embeddings=512, pad_token_id=0,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, **(ids if name == "ModernBert" else {}),
    )  # fmt: skip
    theirs = getattr(transformers, f"{name}ForMaskedLM" if options.learn else f"{name}Model")(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(folder)
        ours = load_model(folder)

    def hidden(rows: list[torch.Tensor]) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(1)
        return [row.masked_fill(torch.rand(row.shape, generator=generator) > 0.15, IGNORE) for row in rows]

    def states(model: Any, rows: list[torch.Tensor]) -> torch.Tensor:
        return model.encoder(Sequences.of([rows[at] for at in by_length(rows)]))

    def packed(rows: list[torch.Tensor]) -> torch.Tensor:
        if not options.learn:
            return states(ours, rows)
        order = by_length(rows)
        sequences = Sequences.of([rows[at] for at in order])
        targets = hidden(rows)
        batch = TargetBatch(sequences, torch.cat([targets[at] for at in order]))
        ours.zero_grad()
        loss = ours.loss(batch.at(Moment(batch.count))).total
        loss.backward()
        return loss

    def padded(attention: str) -> Callable[[list[torch.Tensor]], torch.Tensor]:
        def run(rows: list[torch.Tensor]) -> torch.Tensor:
            theirs.set_attn_implementation(attention)
            mask = pad([torch.ones_like(row) for row in rows])
            if not options.learn:
                return theirs(pad(rows), attention_mask=mask).last_hidden_state
            theirs.zero_grad()
            loss = theirs(pad(rows), attention_mask=mask, labels=pad(hidden(rows), IGNORE)).loss
            loss.backward()
            return loss

        return run

    mixed, ordered = (batches(options.batches, options.rows, options.vocabulary, each) for each in (False, True))
    subjects: dict[str, tuple[Callable[[list[torch.Tensor]], torch.Tensor], list[list[torch.Tensor]]]] = {
        "daedal": (packed, mixed),
        "transformers sdpa": (padded("sdpa"), mixed),
        "transformers eager": (padded("eager"), mixed),
        "daedal, sorted": (packed, ordered),
        "transformers sdpa, sorted": (padded("sdpa"), ordered),
    }
    if not options.learn:
        subjects["daedal int8"] = partial(states, prepared(ours, "int8")), mixed
    tokens = sum(len(row) for rows in mixed for row in rows)
    seconds: dict[str, list[float]] = {subject: [] for subject in subjects}
    with torch.set_grad_enabled(options.learn):
        one, other = packed(mixed[0]), padded("sdpa")(mixed[0])
        if options.learn:
            torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
        else:
            order = by_length(mixed[0])
            expected = torch.cat([other[at, : len(mixed[0][at])] for at in order])
            torch.testing.assert_close(one, expected, atol=1e-4, rtol=1e-4)
        for _ in range(options.rounds):
            spent = dict.fromkeys(subjects, 0.0)
            for number in range(options.batches):
                for subject, (run, given) in subjects.items():
                    start = time.perf_counter()
                    run(given[number])
                    spent[subject] += time.perf_counter() - start
            for subject, found in spent.items():
                seconds[subject].append(found)
    what = "masked language modelling, a step" if options.learn else "forward"
    print(f"{name} {options.shape}, {what}: {tokens / options.batches:,.0f} tokens a batch, {options.threads} threads")
    for subject, found in seconds.items():
        print(f"  {subject:28} {tokens / statistics.median(found):9,.0f} tokens/s")
    for ending in ("", ", sorted") if options.learn else ("", " int8", ", sorted"):
        peers = [
            subject
            for subject in subjects
            if subject.startswith("transformers") and ("sorted" in subject) == ("sorted" in ending)
        ]
        best = min(peers, key=lambda subject: statistics.median(seconds[subject]))
        ratios = [b / a for a, b in zip(seconds[f"daedal{ending}"], seconds[best], strict=True)]
        print(f"  daedal{ending} / {best}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
