"""Whether a text was written by a model: a likelihood-ratio score by our own models, and a p-value that human text holds."""

from daedal.evaluation.detector.detector import Detector, DetectorFinding

__all__ = ["Detector", "DetectorFinding"]
