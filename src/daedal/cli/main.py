"""The `daedal` command. Commands are imported when they are called, so that `daedal --help` answers at once."""

import io
import os
import sys
from collections.abc import Sequence

from cyclopts import App

from daedal import __version__
from daedal.cli import faults
from daedal.cli.help import WrappedHelp

_GROUPS = {
    "data": "Build data from files, folders, archives, data sets and built-in sources, and look at it.",
    "plan": "Show what a training run would do, why, and how long it would take.",
    "train": "Train a model, or go on with a run that was stopped.",
    "align": "Align a model with what people prefer: by preferences, or by a reward for its answers.",
    "prompt": "Test prompts, and search for better ones.",
    "keys": "Make and revoke the keys of a server, and those of watermarks.",
    "ledger": "Check the ledger of what was made here, and take out what a key asked for.",
    "detector": "Calibrate a detector of generated text on human text, and ask it.",
    "bench": "Measure how fast a model answers on this machine.",
    "audit": "Measure what a model gives away of its training data.",
    "tasks": "List the tasks that a model can be asked, and show what they ask.",
}
_COMMANDS = {
    "generate": "Write text, draw pictures, compose tunes, speak or make clips, with a trained model.",
    "interpolate": "Morph one picture into another, or through the pictures of seeds.",
    "edit": "Draw parts of a picture anew, or say a passage of a recording anew, to fit the rest.",
    "reconstruct": "Show how pictures, recordings or clips come back through a model, and measure the error.",
    "caption": "Say what pictures show, with a model that draws what captions say.",
    "match": "Say which text fits a picture, or which picture a text, with a CLIP.",
    "classify": "Say what texts are, with a classifier.",
    "tag": "Find names and other marked words in texts, with a tagger.",
    "answer": "Find in a text what answers a question, with an answerer.",
    "fill": "Say what may stand where a text has [MASK], with a BERT.",
    "complete": "Fill the hole at a cursor in a file, with a model that was trained with --fim.",
    "transcribe": "Say what is said in recordings, with a listener.",
    "translate": "Write texts in another language, with a translator.",
    "recommend": "Say what people may like next, with a recommender.",
    "ask": "Put a prompt with variables to a model, here or behind a URL.",
    "distil": "Make training data of another model's answers.",
    "judge": "Let a model judge which of two files of answers is better, in both orders.",
    "chat": "Talk with a model in the terminal.",
    "serve": "Serve models to whatever speaks the OpenAI API.",
    "verify": "Say who made a picture, sound, video or text, whether it is whole, and how sure that is.",
    "evaluate": "Measure a model beside its baselines or on tasks, and write the report.",
    "card": "Write the card of a model or of data: intended use, limits, measured risks, licences.",
    "bias": "Measure how a model leans: on the field's sets, on probes of our own, by groups, and in what it draws.",
    "compare": "Let two models answer the same prompts, and say which of them is preferred.",
    "moderate": "Say which texts moderation flags, or measure what it refuses that it need not.",
    "merge": "Write a LoRA and its base as one model.",
    "export": "Write a model so that others open it: Transformers and vLLM a folder, llama.cpp and Ollama a GGUF file.",
}


def command_line() -> App:
    """The whole command line, with no command imported yet."""
    app = App(
        name="daedal",
        help="From your own files to a generative model that is trained, measured and ready to use.",
        version=__version__,
        help_format="plaintext",
        help_formatter=WrappedHelp(),
        suppress_keyboard_interrupt=False,
    )
    for name, text in _GROUPS.items():
        app.command(f"daedal.cli.{name}:app", name=name, help=text)
    for name, text in _COMMANDS.items():
        app.command(f"daedal.cli.{name}:{name}", name=name, help=text)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and give its exit code: 0 done, 2 a mistake in the input, 130 stopped, 1 a bug."""
    app = command_line()
    try:
        app(arguments, print_error=False, exit_on_error=False, result_action="return_value")
        sys.stdout.flush()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BaseException as fault:
        return faults.end(fault, app)
    return 0


def forgive_bytes() -> None:
    """What is piped in and is no UTF-8, or cannot be printed in the terminal's encoding, is replaced and ends no command."""
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def main() -> None:
    """The console script."""
    _wait_briefly()
    forgive_bytes()
    sys.exit(run(sys.argv[1:]))


def _wait_briefly() -> None:
    """Have the threads of PyTorch's operations sleep soon where they wait for one another, before PyTorch is loaded.

    GNU's OpenMP waits awake for some milliseconds, and takes a busy core from the thread that is waited for: beside two busy
    processes on two cores a training step took nine times as long (docs/log.md). What the environment sets stays.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(os.environ):
        os.environ["GOMP_SPINCOUNT"] = "10000"
