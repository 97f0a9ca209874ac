"""Sentences per second of a translator, beside `transformers` `generate` and CTranslate2, in one process, on the same weights.

A Marian model of 6 + 6 layers of width 256 with random weights and 8,000 tokens; 32 sources of 10 to 18 tokens, beams of 4, and
15 tokens written for each: nothing ends early, so that all do the same work. The sides take turns, and each has the median and
the least of its rounds, of the clock and of the processor: on a busy machine the least processor time is what to compare. How
many write the same is told; of random weights the best beams are a hair apart, and with int8 few do.

With a trained model and its texts, translations end where they end, and a side that goes on with what is done pays for it.

CTranslate2 is no dependency of ours: `pip install ctranslate2` in an environment of its own, or it is left out.

    python benchmarks/translation_speed.py --threads 2
    python benchmarks/translation_speed.py --run RUN --text FILE    # a trained t5 or marian
"""

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from daedal.codecs.text import TextCodec
from daedal.inference.network import prepared
from daedal.models.beam import beam_search
from daedal.models.checkpoint import load_model
from daedal.models.translator import Translator

VOCAB, END, START = 8000, 0, 7999
BEAMS = 4
Rows = list[list[int]]
Side = Callable[[], Rows]


def made(folder: Path) -> None:
    """A checkpoint of random weights, with a tokenizer that CTranslate2's converter understands."""
    import transformers
    from tokenizers import Tokenizer, models

    torch.manual_seed(0)
    sizes = {f"{side}_{part}": size for side in ("encoder", "decoder")
             for part, size in (("layers", 6), ("ffn_dim", 1024), ("attention_heads", 8))}  # fmt: skip
    model = transformers.MarianMTModel(
        transformers.MarianConfig(
            vocab_size=VOCAB, d_model=256, max_position_embeddings=512, pad_token_id=START, eos_token_id=END,
            decoder_start_token_id=START, forced_eos_token_id=None, activation_function="swish", scale_embedding=True,
            init_std=0.06, **sizes,
        )
    )  # fmt: skip
    with torch.no_grad():
        model.final_logits_bias[0, END] = -30.0
    model.generation_config.forced_eos_token_id = None
    model.save_pretrained(folder)
    words = {"</s>": END, "<unk>": 1, **{f"t{id}": id for id in range(2, START)}, "<pad>": START}
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<unk>")),
        eos_token="</s>", pad_token="<pad>", unk_token="<unk>",
    ).save_pretrained(folder)  # fmt: skip


def theirs(folder: Path, sources: Rows, room: int, ours: Translator) -> Side:
    import transformers

    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    start, end = ours.config.start_id, ours.config.end_id
    longest = max(map(len, sources))
    ids = torch.tensor([[*row, *[start] * (longest - len(row))] for row in sources])
    mask = torch.arange(longest) < torch.tensor([[len(row)] for row in sources])
    never = {"bad_words_ids": [[start]], "renormalize_logits": True} if start != end else {}

    def run() -> Rows:
        out = model.generate(
            input_ids=ids, attention_mask=mask.long(), num_beams=BEAMS, max_new_tokens=room, do_sample=False,
            length_penalty=1.0, early_stopping=False, **never,
        )  # fmt: skip
        return [_text(row, start, end) for row in out.tolist()]

    return run


def ours(model: Translator, sources: Rows, room: int) -> Side:
    return lambda: [list(found[0].ids) for found in beam_search(model, sources, BEAMS, 1.0, room)]


def compiled(folder: Path, sources: Rows, room: int, kind: str, threads: int) -> Side:
    """CTranslate2's."""
    import ctranslate2
    from ctranslate2.converters import TransformersConverter

    target = folder / f"ctranslate2-{kind}"
    TransformersConverter(str(folder)).convert(str(target), quantization=kind, force=True)
    model = ctranslate2.Translator(str(target), intra_threads=threads, inter_threads=1, compute_type=kind)
    tokens = [["</s>" if id == END else f"t{id}" for id in row] for row in sources]

    def run() -> Rows:
        done = model.translate_batch(
            tokens, beam_size=BEAMS, max_decoding_length=room, length_penalty=1, max_batch_size=0
        )
        return [[int(token[1:]) for token in each.hypotheses[0]] for each in done]

    return run


def race(sides: dict[str, Side], rounds: int, count: int) -> None:
    wall: dict[str, list[float]] = {name: [] for name in sides}
    busy: dict[str, list[float]] = {name: [] for name in sides}
    said: dict[str, Rows] = {}
    for round in range(rounds + 1):
        for name, side in sides.items():
            time.sleep(0.2)  # threads of the side before go to sleep
            began, used = time.perf_counter(), time.process_time()
            said[name] = side()
            if round:  # the first warms up
                wall[name].append(time.perf_counter() - began)
                busy[name].append(time.process_time() - used)
    first = next(iter(sides))
    for name, rows in said.items():
        same = sum(one == other for one, other in zip(rows, said[first], strict=True))
        middle, least, processor = statistics.median(wall[name]), min(wall[name]), min(busy[name])
        print(
            f"{name:18} {count / middle:7.1f} sentences/s median, {count / least:7.1f} best; processor {processor:.2f} s, "
            f"{min(busy[first]) / processor:.2f}x of {first}; {same} of {count} as there"
        )


def _text(row: list[int], start: int, end: int) -> list[int]:
    ids = row[1:]
    ids = ids[: ids.index(end)] if end in ids else ids
    return [id for id in ids if id != start]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--sources", type=int, default=32)
    parser.add_argument("--run", type=Path)
    parser.add_argument("--text", type=Path, help="a source a line; the first ones are translated")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.run or Path(temporary)
        if asked.run is None:
            made(folder)
            generator = torch.Generator().manual_seed(1)
            lengths = torch.randint(9, 18, (asked.sources,), generator=generator).tolist()
            rows = [torch.randint(2, START, (length,), generator=generator).tolist() for length in lengths]
        else:
            rows = TextCodec.load(folder).encode_batch(
                asked.text.read_text(encoding="utf-8").splitlines()[: asked.sources]
            )
        model = load_model(folder)
        assert isinstance(model, Translator)
        sources, room = [[*row, model.config.end_id] for row in rows], 15 if asked.run is None else 100
        sides: dict[str, Side] = {
            "transformers": theirs(folder, sources, room, model),
            "daedal": ours(model, sources, room),
            "daedal int8": ours(prepared(model, "int8"), sources, room),
        }
        if asked.run is None and importlib.util.find_spec("ctranslate2"):
            for kind in ("float32", "int8"):
                sides[f"ctranslate2 {kind}"] = compiled(folder, sources, room, kind, asked.threads)
        race(sides, asked.rounds, len(sources))


if __name__ == "__main__":
    main()
