"""How well a language model predicts held-out text, among simple predictors: the evaluator over `likelihood`, `baselines`."""

from daedal.evaluation.baselines import TRAIN_TOKENS, compressors, ngram
from daedal.evaluation.blocks import Ranking
from daedal.evaluation.evaluator import Evaluator, Findings, Tell
from daedal.evaluation.kinds.text import TextSubject
from daedal.evaluation.likelihood import estimate_seconds, evaluate_documents

# On one core of 2023; what they are good for is to leave room in a time budget
_SECONDS_PER_COUNTED_TOKEN = 1.5e-6
_SECONDS_PER_COMPRESSED_BYTE = 1e-6


class Prediction(Evaluator[TextSubject]):
    """Likelihood, n-grams over the same tokens, compressors over the same bytes."""

    needs, columns, weight = frozenset({"score"}), frozenset({"text"}), 8.0

    def seconds(self, subject: TextSubject, within: float) -> float:
        """The likelihood timed by a batch, the rest by its size."""
        documents = subject.documents
        counted = int(documents.tokens.sum())
        if subject.train is not None:
            counted += min(int(subject.train.offsets[-1]), TRAIN_TOKENS)
        rest = counted * _SECONDS_PER_COUNTED_TOKEN + int(documents.bytes.sum()) * _SECONDS_PER_COMPRESSED_BYTE
        return estimate_seconds(subject.model, documents) + rest

    def measure(self, subject: TextSubject, within: float, tell: Tell) -> Findings:
        documents, train = subject.documents, subject.train
        measured = evaluate_documents(
            subject.model, documents, subject.asked.window, subject.asked.stride, model_hash=subject.hash,
            progress=lambda done, total: tell(0.85 * done / total, "predicting held-out text"),
        )  # fmt: skip
        tell(0.85, "baselines")
        counted = (ngram(train, documents, 1), ngram(train, documents, 5)) if train is not None else ()
        whole = documents.answers is None
        of = f"Bits per byte of the {documents.name} {'text' if whole else 'answers'}, less is better"
        return Findings(
            measured.measurements,
            (*counted, *(compressors(documents, train) if whole else ())),
            (Ranking(quantity="bits-per-byte", of=of),),
            () if whole else ("Compressors: they cannot be told what an answer follows",),
        )
