"""What fine-tuning left out of its data: conversations of which not even the first answer fits were never learned, and an audit
that took them for members would find that nothing was remembered. Held-out ones are chosen alike, or their length would tell
them apart."""

from typing import Any

import numpy as np
from jaxtyping import Int

from daedal.data.conversations import ConversationDataset, ConversationSplit, stream_of
from daedal.data.examples import ExampleDataset
from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluator import NotMeasurable
from daedal.evaluation.kinds.text import TextSubject, held_out
from daedal.training.chat_plan import ChatPlan
from daedal.training.packs import fit
from daedal.training.run import RunFolder


def without_dropped(subject: TextSubject, learned: Any, run: RunFolder | None) -> tuple[str, ...]:
    """Leave only what fits in a subject's documents; told in a sentence where something was left out.

    Args:
        learned: the data of the run.

    Raises:
        NotMeasurable: of what is held out, nothing fits.
    """
    plan = None if run is None or not run.begun else run.plan
    if not isinstance(plan, ChatPlan) or subject.train is None or subject.generator is None:
        return ()
    data = stream_of(learned) if isinstance(learned, ExampleDataset) else learned
    if not isinstance(data, ConversationDataset):
        return ()
    data = data.read_by(subject.generator.codec, subject.generator.template)
    count = len(subject.train)
    subject.train = _fitting(subject.train, data.split("train"), plan.context)
    subject.documents = _fitting(subject.documents, data.split(held_out(data)), plan.context)
    if count == len(subject.train):
        return ()
    return (
        f"{count - len(subject.train):,} of {count:,} conversations: training left them out, since not even the first answer "
        f"fits {plan.context:,} tokens; held-out ones that do not fit are left out too",
    )


def _fitting(documents: Documents, split: ConversationSplit, context: int) -> Documents:
    if split.documents != len(documents):
        return documents
    kept: Int[np.ndarray, " kept"] = np.searchsorted(
        split.offsets, fit(split.offsets, split.learned, context).rows[:, 0]
    )
    if not len(kept):
        raise NotMeasurable(f"No answer of the {documents.name} split fits {context:,} tokens", "Audit other data")
    return documents if len(kept) == len(documents) else documents.some(kept)
