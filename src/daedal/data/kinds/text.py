"""Running text: prose, source code, rows of a table with a field of text. It has a build of its own, since a document
may be longer than memory, and a single one is cut in its order; see `daedal.data.pipeline`."""

from daedal.data.kind import OwnBuild
from daedal.data.library import BUILTINS
from daedal.data.options import BuildOptions
from daedal.data.peek import Sources
from daedal.data.recognise import modality


def recognise(sources: Sources) -> float:
    """Sure of little: what anybody can read is text, but other kinds may know better. Of what says hardly anything but numbers
    it is not sure at all."""
    if all(source in BUILTINS for source in sources.given):
        return 1.0
    if modality(sources.given) == "images":
        return 0.0
    looked = [peek for peek in sources.peeks if peek.rows or peek.whole is not None]
    return 0.3 if not looked or any(peek.says() for peek in looked) else 0.0


KIND = OwnBuild(name="text", options=BuildOptions, recognise=recognise, build="daedal.data.pipeline:build")
