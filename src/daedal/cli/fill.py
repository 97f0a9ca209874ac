"""`daedal fill`: what may stand where a text has a mask, by a BERT."""

from typing import Annotated

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.cli.texts import Quantize, open_texts


def fill(
    run: str,
    texts: Annotated[list[str], Parameter(name="TEXT", negative=())],
    /,
    *,
    top: int = 5,
    quantize: Quantize | None = None,
    json: Switch = False,
) -> None:
    """Say what may stand where a text has [MASK], with a BERT.

    Parameters
    ----------
    run
        A run folder of a bert, or the id of one on the Hugging Face Hub.
    texts
        The texts, each with [MASK] where something is to be filled in.
    top
        How many fillings to show for each mask, the likeliest first.
    quantize
        int8: weights of eight bits, sooner at a small loss of quality.
    json
        Print everything as JSON.
    """
    generator = open_texts(run, "fill", quantize)
    found = [generator.fill(text, top=top) for text in texts]
    if json:
        console.show_json([
            {"text": text, "masks": [[one.model_dump(mode="json") for one in mask] for mask in masks]}
            for text, masks in zip(texts, found, strict=True)
        ])  # fmt: skip
        return
    for masks in found:
        for number, mask in enumerate(masks, 1):
            if len(masks) > 1:
                console.show(f"mask {number}")
            console.show("\n".join(f"{one.probability:6.1%}  {one.text}" for one in mask))
