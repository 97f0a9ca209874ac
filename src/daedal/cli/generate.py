"""`daedal generate`: write on from a prompt."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from daedal.cli import console
from daedal.cli.options import Switch
from daedal.cli.sampling import LogitBias, Quantize, Sampling, sampling

if TYPE_CHECKING:
    from daedal.inference.completion import Completion
    from daedal.inference.generator import Generator


def generate(
    model: str,
    /,
    *,
    prompt: Annotated[list[str] | None, Parameter(negative=())] = None,
    n: Annotated[int, Parameter(alias="-n")] = 1,
    json: Switch = False,
    quantize: Quantize = None,
    logit_bias: LogitBias = None,
    options: Sampling = None,
) -> None:
    """Write text with a trained model.

    Parameters
    ----------
    model
        A run folder, or the id of a model on the Hugging Face Hub.
    prompt
        The text to go on from; give several for several. [default: nothing]
    n
        How many continuations of each prompt.
    json
        Print the continuations as JSON, with their provenance.
    quantize
        draft: an int8 copy guesses ahead and the model checks: the same text, sooner. int8: int8 weights alone, sooner still.
    logit_bias
        ID=BIAS, several times: added to the logit of a token; -100 bans it.
    """
    how = sampling(options, logit_bias)
    from daedal import api

    prompts = prompt or [""]
    api.use_fastest_threads()
    generator = api.load(model, quantize=quantize)
    if n == 1 and len(prompts) == 1 and not json and sys.stdout.isatty():
        _stream(generator, prompts[0], how)
        return
    completions = generator.generate(prompts, n=n, **how)
    if json:
        console.show_json([completion.model_dump(mode="json") for completion in completions])
    else:
        _show(completions)


def _stream(generator: "Generator", prompt: str, how: dict[str, Any]) -> None:
    """Print a continuation as it is written."""
    console.write(prompt)
    for chunk in generator.stream(prompt, **how):
        console.write(chunk.text)
    console.write("\n")


def _show(completions: "list[Completion]") -> None:
    for number, completion in enumerate(completions, 1):
        if len(completions) > 1:
            print(f"=== {number} of {len(completions)} ===")
        console.write(f"{completion.prompt}{completion.text}\n")
