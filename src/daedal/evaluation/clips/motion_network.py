"""A small network that learns what happens in the clips of a folder: its features measure clips like those, as those of the I3D
network do the clips of the world (FVD: Unterthiner et al. 2018, arXiv:1812.01717).

- frames, each with how it differs from the one before, are seen by convolutions, then by such over time and place, down to 64
  features
- it learns which words captions and classes have, and what was done to the time of a clip: nothing, run backwards, frames in
  another order, or the first one for all of the time (Misra et al. 2016, arXiv:1603.08561); so clips without words teach it
- the recipe is fixed: the same clips give the same network, whose hash every number of it names
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from safetensors.torch import load_file, save
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.evaluation.examples.held_out import Examples
from daedal.evaluation.images.features import Features
from daedal.files import atomic_path, cache_folder

Clips = UInt8[np.ndarray, "clips frames height width 3"]
RECIPE = 1
"""A number of its own for each way of training: another recipe is another network."""
FEATURES = 64
TIMES = ("as it is", "backwards", "in another order", "frozen")
_BATCH, _RATE, _DECAY = 32, 3e-3, 0.02
_SEEN, _FRAMES = 32, 16  # pixels of a side and frames that it sees of larger and longer ones
_WORDS, _RARE = 64, 0.01  # words at most, each in so many clips at least, and in as many not


class MotionNetwork(nn.Module):
    """Clips to features, words and times."""

    def __init__(self, frames: int, height: int, width: int, words: int) -> None:
        super().__init__()
        self.shrink = max(1, -(-max(height, width) // _SEEN))
        frames, height, width = min(frames, _FRAMES), -(-height // self.shrink), -(-width // self.shrink)
        self.places = nn.Sequential(
            nn.Conv2d(6, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Conv2d(24, 48, 3, 2, 1, bias=False), nn.BatchNorm2d(48), nn.ReLU(),
        )  # fmt: skip
        self.times = nn.Sequential(
            nn.Conv3d(48, 64, 3, (1, 2, 2), 1, bias=False), nn.BatchNorm3d(64), nn.ReLU(),
            nn.Conv3d(64, 64, 3, 2, 1, bias=False), nn.BatchNorm3d(64), nn.ReLU(),
        )  # fmt: skip
        left = -(-frames // 2) * -(-height // 16) * -(-width // 16)
        self.features = nn.Linear(64 * left, FEATURES)
        self.heads = nn.Linear(FEATURES, words + len(TIMES))

    def forward(
        self, x: Float[Tensor, "batch frames 3 height width"]
    ) -> tuple[Float[Tensor, "batch 64"], Float[Tensor, "batch words"], Float[Tensor, "batch 4"]]:
        """Features and logits of clips from -1 to 1."""
        if x.shape[1] > _FRAMES:
            x = x[:, torch.arange(_FRAMES) * x.shape[1] // _FRAMES]
        frames = x.flatten(0, 1)
        if self.shrink > 1:
            frames = F.avg_pool2d(frames, self.shrink, ceil_mode=True)
        frames = frames.view(*x.shape[:2], *frames.shape[1:])
        steps = frames - torch.cat((frames[:, :1], frames[:, :-1]), 1)
        seen = self.places(torch.cat((frames, 2 * steps), 2).flatten(0, 1)).unflatten(0, x.shape[:2]).transpose(1, 2)
        features = F.relu(self.features(self.times(seen).flatten(1)))
        said = self.heads(features)
        return features, said[:, : -len(TIMES)], said[:, -len(TIMES) :]


class MotionExtractor:
    """A trained network as an extractor of the features of clips."""

    name, title = "motion-network", "motion network"

    def __init__(self, network: MotionNetwork, words: Sequence[str], views: int, clips: str) -> None:
        self._network = network.eval()
        fingerprint = hashlib.sha256(save(dict(network.state_dict()))).hexdigest()
        self.conditions = {"network": fingerprint[:8], "trained-on": clips[:8], "views": str(views)}
        told = f"the {len(words)} usual words of their captions and classes and " if words else ""
        self.note = (
            f"Features of a small network that was shown {views:,} of the training clips, and learned {told}what was done to "
            "their time: good to compare models of these clips, not FVD by I3D."
        )

    @classmethod
    def open(cls, train: Examples, views: int, progress: Callable[[float], None]) -> Self:
        """From the cache, or trained now.

        Args:
            views: training clips that it is shown.
            progress: told what share is done.
        """
        words, clips = usual_words(train), train["clip"]
        frames, height, width, _ = shape = clips[0].values.shape
        # of the data a hash that needs no reading of all of them
        first = hashlib.sha256(b"".join(clips[place].values.tobytes() for place in _some(len(clips)))).hexdigest()
        what = json.dumps([RECIPE, first, len(clips), words, shape, views])
        kept = cache_folder() / "motion-networks" / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.safetensors"
        if kept.is_file():
            network = MotionNetwork(frames, height, width, len(words))
            try:
                network.load_state_dict(load_file(kept))
            except (RuntimeError, OSError, ValueError):
                raise DaedalError(f"{kept} is damaged", "Remove it, to train it again") from None
        else:
            network = train_network(train, words, views, progress)
            with atomic_path(kept) as temporary:
                temporary.write_bytes(save(dict(network.state_dict())))
        return cls(network, words, views, first)

    @torch.inference_mode()
    def __call__(self, pictures: Clips) -> Features:
        return Features(self._network(as_planes(pictures))[0])


def train_network(
    train: Examples, words: Sequence[str], views: int, progress: Callable[[float], None]
) -> MotionNetwork:
    """A network that was shown so many training clips: AdamW, the rate up over a fifth of the views and down to nothing. The
    time of half of a batch is as it is, and they teach words; to that of the others something is done."""
    generator, draw = torch.Generator().manual_seed(RECIPE), np.random.Generator(np.random.Philox(RECIPE))
    clips, said = train["clip"], _told(train, words)
    frames, height, width, _ = clips[0].values.shape
    network = MotionNetwork(frames, height, width, len(words))
    for parameter in network.parameters():
        if parameter.ndim > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu", generator=generator)
    for layer in (network.features, network.heads):
        nn.init.zeros_(layer.bias)
    optimizer = torch.optim.AdamW(network.parameters(), lr=_RATE, weight_decay=_DECAY, betas=(0.9, 0.99))
    steps = max(1, views // _BATCH)
    order = np.concatenate([draw.permutation(len(clips)) for _ in range(-(-steps * _BATCH // len(clips)))])
    network.train()
    for step in range(steps):
        share = step / steps
        optimizer.param_groups[0]["lr"] = _RATE * min(share / 0.2 + 0.05, (1 - share) / 0.8, 1.0)
        chosen = order[step * _BATCH : (step + 1) * _BATCH]
        times = np.where(np.arange(_BATCH) % 2, draw.integers(1, len(TIMES), _BATCH), 0)
        shown = [bent(clips[place].values, TIMES[time], draw) for place, time in zip(chosen, times, strict=True)]
        _, words_of, times_of = network(as_planes(np.stack(shown)))
        loss = F.cross_entropy(times_of, torch.from_numpy(times), label_smoothing=0.05)
        if len(words):
            asked = torch.from_numpy(said[chosen[::2]])
            loss = loss + 4 * F.binary_cross_entropy_with_logits(words_of[::2], asked)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 10 == 0:
            progress(share)
    return network.eval()


def bent(
    clip: UInt8[np.ndarray, "frames height width 3"], time: str, draw: np.random.Generator
) -> UInt8[np.ndarray, "frames height width 3"]:
    """A clip with something done to its time, one of `TIMES`."""
    if time == "backwards":
        return clip[::-1]
    if time == "in another order":
        return clip[draw.permutation(len(clip))]
    return np.repeat(clip[:1], len(clip), axis=0) if time == "frozen" else clip


def as_planes(clips: Clips) -> Float[Tensor, "clips frames 3 height width"]:
    """The bytes as numbers from -1 to 1."""
    return torch.from_numpy(np.array(clips.transpose(0, 1, 4, 2, 3), order="C")).float() / 127.5 - 1


def usual_words(train: Examples) -> tuple[str, ...]:
    """The words of captions and classes that some clips have and others not, the most frequent first."""
    counts = Counter(word for words in _words(train) for word in words)
    rare = max(2, _RARE * len(train))
    kept = [word for word, count in counts.items() if rare <= count <= len(train) - rare]
    return tuple(sorted(kept, key=lambda word: (-counts[word], word))[:_WORDS])


def _words(train: Examples) -> list[set[str]]:
    none = [None] * len(train)
    said = zip(*(train.columns.get(name, none) for name in ("caption", "label")), strict=True)
    return [set(re.findall(r"\w+", f"{caption or ''} {label or ''}".lower())) for caption, label in said]


def _told(train: Examples, words: Sequence[str]) -> Float[np.ndarray, "clips words"]:
    return np.array([[word in said for word in words] for said in _words(train)], dtype=np.float32)


def _some(count: int) -> Int[np.ndarray, " some"]:
    return np.unique(np.linspace(0, count - 1, 64).astype(np.int64))
