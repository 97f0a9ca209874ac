"""Pictures, with classes and captions or without. They have a build of their own, since their size is known when all were seen,
and tables speak of them: see `daedal.data.images.pipeline`."""

from daedal.data.images.options import ImageOptions
from daedal.data.kind import OwnBuild
from daedal.data.peek import Sources
from daedal.data.recognise import modality


def recognise(sources: Sources) -> float:
    """Sure where most files are pictures."""
    return 0.9 if modality(sources.given) == "images" else 0.0


KIND = OwnBuild(name="pictures", options=ImageOptions, recognise=recognise, build="daedal.data.images.pipeline:build")
