"""New tunes; the rest of one that is begun; voices below a melody; bars that are left open. All of it is writing codes of which
some are known.

Longer than the model sees at once is written in windows, each behind the last half of the one before. Of what is to fit codes
that come after it, as a melody and the bars after a gap, several are written; the one stays under which these are likeliest.
"""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int64

from daedal.codecs.events import Event, Events
from daedal.codecs.piano_roll import bars as bars_of
from daedal.codecs.tune import USUAL_TEMPO, Tune
from daedal.codecs.tune_codec import TuneCodec, said_of
from daedal.codecs.voices import Voices
from daedal.errors import DaedalError
from daedal.inference.compose_options import ComposeOptions
from daedal.inference.provenance import TuneProvenance
from daedal.inference.skill import ModelAndCodec, Skill
from daedal.inference.tune import Composition, open_tune
from daedal.inference.tune_writing import Draft, likelihoods, write_tunes
from daedal.models.autoregression import UNKNOWN
from daedal.models.music import Music
from daedal.nn.noise import Noise

Array = np.ndarray
Given = Tune | Composition | Path | str
"""A tune that is made use of, or the path of a MIDI file."""
Progress = Callable[[float, int], None]
"""Told how many tunes are done, parts of them too, and of how many."""
LONGEST = 120.0
"""Seconds of a tune that ends where the model wants."""
_TRIES = 8  # of what is to fit what comes after it
_ROWS = 64  # written side by side
_CODES_A_SECOND = 200  # of events, at most
_SPARE = 64


@dataclass(frozen=True)
class _Task:
    """What is to be made.

    Attributes:
        draft: what of it is known.
        source: the tune that it is made of.
        tempo: microseconds of a quarter, where the layout knows none.
        bars, after: so many bars of events are written, and the codes that follow them.
        span: the ticks between which notes are taken of what was written; the others are the source's.
    """

    task: Literal["new", "continue", "harmonise", "infill"]
    draft: Draft
    source: Tune | None = None
    tempo: int | None = None
    bars: int = 0
    after: Int64[Array, " codes"] | None = None
    span: tuple[int, int] = (0, 0)


class Compose(Skill):
    """Tunes."""

    name = "compose"
    learned = Music
    needs = ("compose",)
    verb = "compose tunes"

    def __init__(self, subject: ModelAndCodec) -> None:
        super().__init__(subject)
        assert isinstance(subject.model, Music)
        assert isinstance(subject.codec, TuneCodec)
        self._model, self._codec = subject.model, subject.codec

    @torch.no_grad()
    def generate(
        self,
        n: int = 1,
        *,
        seed: int | None = None,
        first: int = 0,
        said: Mapping[str, str] | None = None,
        begin: Given | None = None,
        melody: Given | None = None,
        gap: tuple[Given, tuple[int, int]] | None = None,
        tries: int | None = None,
        progress: Progress | None = None,
        **options: Any,
    ) -> list[Composition]:
        """`n` tunes. Tune number i of a seed is the same whatever `n` and `first` are.

        Args:
            seed: drawn unless given, and told by the tunes.
            first: the number of the first.
            said: key, metre, instrument and style, of those that the model was told of.
            begin: a tune to go on with.
            melody: a tune whose highest notes are kept, with voices below.
            gap: a tune, and the first and last of its bars that are written anew, counted from 1.
            tries: of what is to fit given notes, how many are written for each that is kept.
            options: `seconds`, `temperature`, `top_k`, `top_p`: the fields of `ComposeOptions`.

        Raises:
            DaedalError: more than one tune is given, it cannot be read, or an option makes no sense.
        """
        how = ComposeOptions.parse(options, "compose")
        if sum(each is not None for each in (begin, melody, gap)) > 1:
            raise DaedalError("A tune is gone on with, harmonised or filled in, one at a time", "Give one of them")
        if not isinstance(n, int) or n < 1 or first < 0:
            raise DaedalError(f"There are no {n!r} tunes from number {first} on", "Ask for 1 or more")
        task = self._task(how, begin, melody, gap)
        asked = dict(said or {})
        if task.source is not None:
            asked = {name: value for name, value in said_of(task.source).items() if self._knows(name, value)} | asked
        opening = np.array([*self._codec.asked(asked), self._codec.begin], dtype=np.int64)
        seed = secrets.randbits(32) if seed is None else seed
        if not 0 <= seed < 2**63:
            raise DaedalError(f"{seed} is no seed", "Give 0 or more")
        many = 1 if task.task in ("new", "continue") else tries or _TRIES
        if many < 1:
            raise DaedalError(f"tries is {many}", "Give 1 or more")
        source = None if task.source is None else _digest(self._codec.encode(task.source))
        made: list[Composition] = []
        for number in range(first, first + n, max(1, _ROWS // many)):
            count = min(max(1, _ROWS // many), first + n - number)
            noise = Noise(seed, number * many, count * many)

            def tell(share: float, done: int = len(made), count: int = count) -> None:
                if progress is not None:
                    progress(done + share * count, n)

            written = write_tunes(self._model, self._codec, opening, task.draft, noise, how, tell)
            rows = [self._whole(task, codes) for codes in written]
            for place in range(count):
                best = self._best(task, opening, rows[place * many : (place + 1) * many])
                tune = self._tune(task, opening, best, how)
                record = self._subject.signed(
                    TuneProvenance, number=number + place, seed=seed, tries=many, options=how, task=task.task, said=asked,
                    source=source, codec=self._codec.fingerprint(),
                )  # fmt: skip
                made.append(Composition(tune, record))
        return made

    def _knows(self, name: Any, value: str) -> bool:
        return value in self._codec.conditions.get(name, ())

    # -- what is asked for ---------------------------------------------------------------------------------------------

    def _task(
        self, how: ComposeOptions, begin: Given | None, melody: Given | None, gap: tuple[Given, tuple[int, int]] | None
    ) -> _Task:
        layout = self._codec.layout
        if melody is not None:
            return self._harmonised(open_tune(melody))
        if gap is not None:
            source, (start, last) = open_tune(gap[0]), gap[1]
            if not 1 <= start <= last:
                raise DaedalError(f"There are no bars {start} to {last}", "Count them from 1")
            return (self._open_bars if isinstance(layout, Voices) else self._open_events)(source, start, last)
        begun = None if begin is None else open_tune(begin)
        known = np.zeros(0, dtype=np.int64) if begun is None else layout.encode(begun)
        tempo = None if begun is None else _tempo(begun)
        seconds = how.seconds or LONGEST
        task: Literal["continue", "new"] = "new" if begun is None else "continue"
        if isinstance(layout, Voices):
            steps = max(1, round(seconds * 1e6 * layout.steps / (tempo or layout.tempo)))
            most = len(known) + steps * layout.voices
            return _Task(task, Draft(known, most, how.seconds is None), begun, tempo)
        given = 0.0 if begun is None else begun.seconds

        def done(codes: Array) -> bool:
            tune = layout.decode(codes)
            return tune is not None and tune.seconds_at(tune.notes[-1].start) >= given + seconds

        most = len(known) + int(_CODES_A_SECOND * seconds)
        return _Task(task, Draft(known, most, how.seconds is None, done), begun)

    def _harmonised(self, melody: Tune) -> _Task:
        layout = self._codec.layout
        if not isinstance(layout, Voices):
            raise DaedalError(
                "Only a model of a grid of voices can harmonise, and this one writes events",
                "Train on data built with --set layout=voices",
            )
        pitches = [note.pitch for note in melody.notes]
        if min(pitches) < layout.lowest or max(pitches) > layout.highest:
            raise DaedalError(
                f"The melody goes from {min(pitches)} to {max(pitches)}, and the model knows the pitches {layout.lowest} to "
                f"{layout.highest}",
                "Transpose it, by an octave perhaps",
            )
        sung = layout.encode(melody).reshape(-1, layout.voices)[:, 0]
        known = np.full((len(sung), layout.voices), UNKNOWN, dtype=np.int64)
        known[:, 0] = sung
        known[sung == layout.silent] = layout.silent
        return _Task("harmonise", Draft(known.ravel(), known.size), melody, _tempo(melody))

    def _open_bars(self, tune: Tune, start: int, last: int) -> _Task:
        layout = self._codec.layout
        assert isinstance(layout, Voices)
        beats, unit = tune.metres[0][1:] if tune.metres else (4, 4)
        bar = max(1, beats * 4 * layout.steps // unit) * layout.voices
        known = layout.encode(tune)
        if (start - 1) * bar >= len(known):
            raise DaedalError(f"The tune has no bar {start}", f"It has {-(-len(known) // bar)}")
        known[(start - 1) * bar : last * bar] = UNKNOWN
        return _Task("infill", Draft(known, len(known)), tune, _tempo(tune))

    def _open_events(self, tune: Tune, start: int, last: int) -> _Task:
        layout = self._codec.layout
        assert isinstance(layout, Events)
        codes = layout.encode(tune)
        bars = np.flatnonzero(codes == layout.code(Event("bar")))
        if start > len(bars):
            raise DaedalError(f"The tune has no bar {start}", f"It has {len(bars)}")
        known, after = codes[: bars[start - 1] + 1], codes[bars[last] :] if last < len(bars) else codes[:0]
        gap = last - start + 1

        def done(written: Array) -> bool:
            return int((written[len(known) :] == layout.code(Event("bar"))).sum()) >= gap

        most = len(known) + int(_CODES_A_SECOND * tune.seconds / len(bars) * gap) + _SPARE
        on_grid = layout.decode(codes)
        assert on_grid is not None
        begins = [*bars_of(on_grid, on_grid.end), on_grid.end]
        span = begins[start - 1], begins[min(last, len(begins) - 1)]
        return _Task("infill", Draft(known, most, done=done), on_grid, bars=gap, after=after, span=span)

    # -- what was written ----------------------------------------------------------------------------------------------

    def _whole(self, task: _Task, codes: Array) -> Array:
        """The bars that were asked for, with what follows behind; of other tasks all that was written."""
        if task.after is None:
            return codes
        layout, begun = self._codec.layout, len(task.draft.known)
        assert isinstance(layout, Events)
        bars = begun + np.flatnonzero(codes[begun:] == layout.code(Event("bar")))
        return np.concatenate((codes[: bars[task.bars - 1]] if len(bars) >= task.bars else codes, task.after))

    def _given(self, task: _Task, codes: Array) -> Bool[Array, " codes"]:
        """Which codes were given that what was written is to fit."""
        if task.after is None:
            return np.resize(task.draft.known != UNKNOWN, len(codes))
        return np.arange(len(codes)) >= len(codes) - len(task.after)

    def _best(self, task: _Task, opening: Array, several: list[Array]) -> Array:
        """Of several that were written the one under which what was given is likeliest."""
        if len(several) == 1:
            return several[0]
        nats = likelihoods(self._model, self._codec, opening, several, [self._given(task, each) for each in several])
        return several[int(np.argmax(nats))]

    def _tune(self, task: _Task, opening: Array, codes: Array, how: ComposeOptions) -> Tune:
        tune = self._codec.decode([*opening, *codes])
        if tune is None:
            raise DaedalError("The model wrote silence", "Ask for more seconds, or with another seed")
        if task.after is not None and task.source is not None:
            begin, end = task.span  # what the gap says of metre, tempo or program is not to reach what follows it
            notes = [note for note in tune.notes if begin <= note.start < end]
            notes += [note for note in task.source.notes if not begin <= note.start < end]
            tune = replace(task.source, notes=Tune.of(tune.ticks, notes).notes)
        if task.tempo is not None:
            tune = replace(tune, tempos=((0, task.tempo),))
        if task.source is not None and task.source.metres and not tune.metres:
            ticks = task.source.ticks
            tune = replace(
                tune, metres=tuple(each._replace(tick=each.tick * tune.ticks // ticks) for each in task.source.metres)
            )
        if how.seconds is not None and task.task in ("new", "continue"):
            given = 0.0 if task.source is None else task.source.seconds
            tune = tune.until(tune.tick_at(given + how.seconds)) or tune
        return tune


def _tempo(tune: Tune) -> int:
    """The first tempo of a tune."""
    return tune.tempos[0][1] if tune.tempos else USUAL_TEMPO


def _digest(ids: Array) -> str:
    return hashlib.sha256(ids.astype("<i8").tobytes()).hexdigest()
