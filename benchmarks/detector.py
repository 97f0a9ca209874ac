"""How well the detector of generated text tells a model's samples from human text, and whether human text holds its rate.

    python benchmarks/detector.py DATA RUN [--performer RUN] [--other RUN] [--samples 200] [--seed 0]

Human text is what DATA holds out, cut into passages; half of them, drawn by chance, calibrate and the other half is judged.
Beside it samples of RUN itself and of another model, from the beginnings of held-out passages (8 tokens, which are not judged)
and at temperature 1 and 0.8. Told: of each the share with p at most 0.01 and 0.05, with Wilson's intervals.
"""

import argparse
from pathlib import Path

import numpy as np

from daedal.data.shards import Dataset
from daedal.evaluation.detector.detector import Detector
from daedal.evaluation.means import share_of
from daedal.inference.generator import Generator

_GIVEN = 8


def passages(data: Dataset, tokens: int) -> list[list[int]]:
    """Passages of held-out documents, one after the other."""
    found = []
    for name in ("validation", "test"):
        if name not in data.manifest.splits:
            continue
        split = data.split(name)
        for number in range(split.documents):
            ids = split.read(int(split.offsets[number]), int(split.offsets[number + 1]) - 1).tolist()
            found += [ids[begin : begin + tokens] for begin in range(0, len(ids) - tokens + 1, tokens)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--performer", type=Path)
    parser.add_argument("--other", type=Path)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument(
        "--tokens", type=int, default=140, help="of a passage and of a sample, a few more than are judged"
    )
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    data = Dataset.open(asked.data)
    generator = np.random.default_rng(asked.seed)
    every = passages(data, asked.tokens)
    human = [every[place] for place in generator.permutation(len(every))]
    half = len(human) // 2
    decode = data.codec.decode
    model = Generator.open(asked.run)
    ways: list[tuple[str, Generator, float]] = [("itself", model, 1.0), ("itself", model, 0.8)]
    if asked.other is not None:
        other = Generator.open(asked.other)
        ways += [("another model", other, 1.0), ("another model", other, 0.8)]
    texts: dict[str, list[str]] = {"human text": [decode(each) for each in human[half:]]}
    for name, by, temperature in ways:
        prompts = [each[:_GIVEN] for each in human[half : half + asked.samples]]
        how = {"max_tokens": asked.tokens, "temperature": temperature, "seed": asked.seed, "overflow": "slide"}
        texts[f"{name} at {temperature}"] = [each.text for each in by.generate(prompts, **how)]
    detectors = {"curvature": None, **({"binoculars": asked.performer} if asked.performer else {})}
    print(f"{len(human):,} passages of {asked.tokens} tokens; {half:,} calibrate")
    for method, performer in detectors.items():
        detector = Detector.calibrate(model, [decode(each) for each in human[:half]], performer)
        for length in [each.tokens for each in detector.file.calibration]:
            for name, some in texts.items():
                cut = [decode(data.codec.encode(text)[: length + 1]) for text in some]
                judged = [each for each in detector.judge_all(cut) if each.judged == length]
                line = f"{method:10}  {length:4} tokens  {name:20}  n {len(judged):4}"
                for rate in (0.01, 0.05):
                    share = share_of(sum(each.p_value <= rate for each in judged), len(judged))
                    low, high = share["interval"]
                    line += f"   p <= {rate}: {share['value']:.3f} [{low:.3f}, {high:.3f}]"
                print(line, flush=True)


if __name__ == "__main__":
    main()
