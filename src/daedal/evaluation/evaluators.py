"""The table of evaluators: those that apply to a model and its data are run in this order, and the first must succeed. What
stands later has first claim on the time, and the first, which draws, has what is left."""

from typing import Any

from daedal.evaluation.evaluator import Evaluator
from daedal.evaluation.images.copies import Copies
from daedal.evaluation.images.distances import Distances
from daedal.evaluation.images.likelihood import Likelihood, TokenLikelihood
from daedal.evaluation.images.reconstruction import Reconstruction
from daedal.evaluation.images.retrieval import Matching
from daedal.evaluation.prediction import Prediction
from daedal.evaluation.worlds.composing import Composing
from daedal.evaluation.worlds.scene_scores import SceneScores
from daedal.evaluation.writing import Writing

EVALUATORS: tuple[Evaluator[Any], ...] = (
    Prediction(), Writing(),
    Distances(), SceneScores(), Composing(), Copies(), Reconstruction(), Likelihood(), TokenLikelihood(), Matching(),
)  # fmt: skip
