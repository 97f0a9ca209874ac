"""What a model films after what held-out clips say: the evaluator that makes its clips and shows them. Those that follow tell
what they are worth."""

from PIL import Image

from daedal.evaluation.blocks import Block, Sheet
from daedal.evaluation.clips.contact_sheet import contact_sheet
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.clips import ClipSubject, pixels_of
from daedal.inference.clip import side_by_side

FILM, STRIPS = "clips.webp", "clips.png"
_SHOWN, _ANIMATED = 8, 16
_REFERENCE = 50  # held-out clips that what is made stands beside, at least


class Filming(Evaluator[ClipSubject]):
    """Clips of a model, as an animation and frame by frame."""

    needs, columns, weight = frozenset({"film"}), frozenset({"clip"}), 30.0
    sizes, share = (24, 50, 100, 250, 500, 1000), 0.8

    def each(self, subject: ClipSubject) -> float:
        return subject.seconds_a_clip

    def measure(self, subject: ClipSubject, within: float, tell: Tell) -> Findings:
        count, seed = self.count(subject, within), subject.asked.seed
        made = subject.filmed(count, lambda done: tell(done / count, "filming"))
        drawn = subject.drawn = pixels_of(made)
        subject.take(max(count, _REFERENCE))
        how = {"clips": count, "seed": seed, **({"asked-for": subject.held.name} if subject.asked_for else {})}
        asked = ", each after what a held-out one says" if subject.asked_for else ""
        stated = f"of {count} clips of seed {seed}{asked}"
        said = [subject.said(number) for number in range(_SHOWN)]
        blocks: tuple[Block, ...] = (
            Sheet(title="What it films", says=f"The first ones made, not chosen, {stated}", file=FILM),
            Sheet(title="Frame by frame", says="The first of these, a row each, under what was asked for", file=STRIPS),
        )
        pictures: dict[str, Image.Image | bytes] = {
            FILM: side_by_side(made[:_ANIMATED]).encoded("webp", 1),
            STRIPS: contact_sheet(drawn[:_SHOWN], said if subject.asked_for else ()),
        }
        return Findings(blocks=blocks, sampling=how, pictures=pictures)
