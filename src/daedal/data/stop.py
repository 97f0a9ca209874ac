"""Errors after which a build can go on from where it was."""

from daedal.errors import DaedalError


class StoppedError(DaedalError):
    """The sources are not at fault: what was done so far is kept, and the same command goes on from there."""


def resumable(error: DaedalError) -> bool:
    """Whether a build that ended so can go on: it was stopped, or the disk refused a write."""
    return isinstance(error, StoppedError) or isinstance(error.__cause__, OSError)
