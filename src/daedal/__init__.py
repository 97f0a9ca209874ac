"""Daedal: from your own files to a generative model that is trained, measured and ready to use.

    import daedal

    daedal.build_data(["my-texts/"], "data")
    daedal.train("gpt", data="data", out="run", budget="3m")
    daedal.load("run").generate("Once upon a time")
    daedal.evaluate("run")
    daedal.export("run", "for-transformers")

Each name is imported when it is first used, so that `import daedal` costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.api import build_data as build_data
    from daedal.api import compare as compare
    from daedal.api import evaluate as evaluate
    from daedal.api import export as export
    from daedal.api import find_text_mark as find_text_mark
    from daedal.api import load as load
    from daedal.api import make_plan as make_plan
    from daedal.api import merge as merge
    from daedal.api import resume as resume
    from daedal.api import text_mark as text_mark
    from daedal.api import train as train

__version__ = "0.1.0"
__all__ = [
    "DaedalError",
    "build_data",
    "compare",
    "evaluate",
    "export",
    "find_text_mark",
    "load",
    "make_plan",
    "merge",
    "resume",
    "text_mark",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from daedal import api

    return getattr(api, name)
