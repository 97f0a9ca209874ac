"""Multi30k from nothing: our translator beside an encoder and decoder of Transformers of the same size, trained for the same
seconds.

    python benchmarks/multi30k.py PATH/TO/multi30k [--source en] [--seconds 1800] [--seed 0] [--out FOLDER]

Both have the same vocabulary and one thread. The peer is Marian's configuration, with the best of three learning rates by BLEU
on the validation split. Both write with four beams. BLEU and chrF are sacreBLEU's on test_2016_flickr, beside copying the
source and a lexicon of single words.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import torch

import daedal
import row_peers
from daedal.codecs.text import TextCodec
from daedal.data import open_data
from daedal.evaluation.predictors.lexicon import Lexicon


def scores(said: list[str], truth: list[str]) -> dict[str, Any]:
    import sacrebleu

    bleu, chrf = sacrebleu.metrics.BLEU(), sacrebleu.metrics.CHRF()
    found = bleu.corpus_score(said, [truth], n_bootstrap=1)
    return {
        "bleu": round(found.score, 2),
        "chrf": round(chrf.corpus_score(said, [truth]).score, 2),
        "signature": str(bleu.get_signature()),
    }


def peer(data: Any, run: Path, seconds: float, rate: float, seed: int) -> tuple[Any, Any]:
    """Transformers' Marian of the size and with the tokenizer of a run of ours; and what translates with it."""
    from transformers import MarianConfig, MarianMTModel

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    codec, shape = TextCodec.load(run), daedal.load(run).model.config
    end = codec.eos_id
    config = MarianConfig(
        vocab_size=codec.vocab_size + 1, d_model=shape.width, encoder_layers=shape.depth, decoder_layers=shape.decoder_depth,
        encoder_attention_heads=shape.heads, decoder_attention_heads=shape.heads, encoder_ffn_dim=shape.mlp_width,
        decoder_ffn_dim=shape.mlp_width, max_position_embeddings=256, pad_token_id=codec.vocab_size, eos_token_id=end,
        decoder_start_token_id=end, forced_eos_token_id=None, dropout=0.1, activation_function="relu", scale_embedding=True,
        bad_words_ids=None,
    )  # fmt: skip
    model = MarianMTModel(config)
    split = data.split("train")
    sources, targets = ([list(map(int, row)) for row in split.ragged(name)] for name in ("source", "target"))
    batches = row_peers.pair_batches(sources, targets, codec.vocab_size, end, 96, seed)
    smoothed = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    asked: dict[str, Any] = {}

    def noting() -> Any:
        for batch in batches:
            asked["labels"] = batch["labels"]
            yield batch

    row_peers.train(
        model, noting(), seconds, rate, lambda found: smoothed(found.logits.flatten(0, 1), asked["labels"].flatten())
    )

    @torch.no_grad()
    def translate(texts: list[str]) -> list[str]:
        found = [""] * len(texts)
        rows = [[*row, end] for row in codec.encode_batch(texts)]
        order = sorted(range(len(rows)), key=lambda at: len(rows[at]))
        for first in range(0, len(order), 32):
            some = order[first : first + 32]
            ids = row_peers.padded([rows[at] for at in some], codec.vocab_size)
            real = row_peers.padded([[1] * len(rows[at]) for at in some], 0)
            written = model.generate(input_ids=ids, attention_mask=real, num_beams=4, max_new_tokens=80)
            for at, row in zip(some, written.tolist(), strict=True):
                found[at] = codec.decode([id for id in row if id < codec.vocab_size])
        return found

    return model, translate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--source", default="en")
    parser.add_argument("--seconds", type=float, default=1800)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--vocab-size", type=int, default=6000)
    parser.add_argument("--out", type=Path, default=Path("multi30k"))
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], help="values of our plan, as width=256")
    asked = parser.parse_args()
    home: Path = asked.out
    home.mkdir(parents=True, exist_ok=True)
    options = {name: json.loads(value) for name, _, value in (each.partition("=") for each in asked.set)}
    place = home / f"from-{asked.source}"
    daedal.build_data([asked.data], place, codec="bpe", vocab_size=asked.vocab_size, column=[f"source={asked.source}"])
    data, run = open_data(place), home / f"ours-from-{asked.source}-{asked.seed}"
    if not (run / "evaluation.json").exists():
        daedal.train(
            "translator", data=place, out=run, budget=f"{asked.seconds:.0f}s", seed=asked.seed, threads=1, **options
        )
    split = data.split("test")
    texts, truth = split.values("source"), split.values("target")
    held, expected = (data.split("validation").values(name) for name in ("source", "target"))
    train = data.split("train")
    results = {"copying": scores(texts, truth)}
    results["lexicon"] = scores(Lexicon.fit(train.values("source"), train.values("target"))(texts), truth)
    model = daedal.load(run)
    results["daedal"] = scores([each.text for each in model.translate(texts, beams=4)], truth)
    print(json.dumps(results, indent=1), flush=True)
    if not asked.no_peer:
        tried = {}
        for rate in (5e-4, 1e-3, 2e-3):
            _, translate = peer(data, run, asked.seconds, rate, asked.seed)
            tried[rate] = (scores(translate(held), expected)["bleu"], scores(translate(texts), truth))
            print(rate, tried[rate], flush=True)
        best = max(tried, key=lambda rate: tried[rate][0])
        results[f"transformers Marian (learning rate {best:g})"] = tried[best][1]
    for name, found in results.items():
        print(f"{name:40} BLEU {found['bleu']:6.2f}  chrF {found['chrf']:6.2f}")
    print(results["daedal"]["signature"])
    (home / f"result-from-{asked.source}.json").write_text(
        json.dumps({"seconds": asked.seconds, "results": results}, indent=1)
    )


if __name__ == "__main__":
    main()
