"""Networks that others trained, as extractors: they resize by a rule that the numbers name, and their weights come from a
file."""

import hashlib
from typing import Self

from daedal.errors import DaedalError
from daedal.evaluation.images import inception, mobilenet
from daedal.evaluation.images.features import Features, Pictures, Request, as_planes, in_colour
from daedal.evaluation.images.inception import Inception
from daedal.evaluation.images.mobilenet import MobileNet
from daedal.evaluation.images.resize import RULES, Rule, resize
from daedal.evaluation.images.weights import inception_weights


class InceptionExtractor:
    """Pool3 of the FID Inception network, 2048 features, and its 1008 logits without bias."""

    name, title = "inception", "Inception"
    note = "Features of the Inception network that FID is defined on."

    def __init__(self, network: Inception, rule: Rule, weights: str) -> None:
        self._network, self._rule = network, rule
        self.conditions = {"weights": weights, "resize": rule}

    @classmethod
    def open(cls, request: Request) -> Self:
        """With the published weights, or those at the path; resized as TensorFlow 1 does unless another rule is given."""
        rule = _rule(request.resize, "tf1-bilinear")
        weights, fingerprint = inception_weights(request.path)
        return cls(Inception(weights, request.device), rule, fingerprint[:8])

    def __call__(self, pictures: Pictures) -> Features:
        planes = resize(as_planes(in_colour(pictures)), inception.SIZE, self._rule)
        # 2 v / 255 - 1 is what pytorch-fid does; the network was trained on (v - 128) / 128
        scaled = planes / 127.5 - 1 if self._rule == "torch-bilinear" else (planes - 128) / 128
        features, logits = self._network(scaled)
        return Features(features.cpu(), logits.cpu())


class MobileNetExtractor:
    """Pooled features of MobileNetV2, 1280, and its 1000 logits."""

    name, title = "mobilenet", "MobileNet"
    note = "Features of MobileNetV2 with weights of eight bits: these numbers are not Inception's."

    def __init__(self, network: MobileNet, rule: Rule, weights: str) -> None:
        self._network, self._rule = network, rule
        self.conditions = {"weights": weights, "resize": rule}

    @classmethod
    def open(cls, request: Request) -> Self:
        if request.path is None:
            raise DaedalError(
                "MobileNet's weights do not come with Daedal", f"Name the folder of {mobilenet.NUMBERS}: mobilenet@PATH"
            )
        folder = request.path if request.path.is_dir() else request.path.parent
        network = MobileNet(folder, request.device)
        fingerprint = hashlib.sha256((folder / mobilenet.NUMBERS).read_bytes()).hexdigest()
        return cls(network, _rule(request.resize, "torch-antialias"), fingerprint[:8])

    def __call__(self, pictures: Pictures) -> Features:
        planes = resize(as_planes(in_colour(pictures)), mobilenet.SIZE, self._rule)
        features, logits = self._network(planes / 255)
        return Features(features.cpu(), logits.cpu())


def _rule(given: str | None, usual: Rule) -> Rule:
    for rule in RULES:
        if rule == (given or usual):
            return rule
    raise DaedalError(f"There is no resize rule called {given!r}", f"Choose from {', '.join(RULES)}")
