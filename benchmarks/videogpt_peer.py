"""VideoGPT (Yan et al. 2021, arXiv:2104.10157) by the recipe of its own code (wilson1yan/VideoGPT), for small clips.

- A VQ-VAE: strided 3-D convolutions, residual blocks with batch norm and axial attention over width, height and time; a
  codebook of moving averages (0.99) that starts from the first batch and whose unused codes are replaced by encodings; mean
  square error over 0.06 and a commitment of 0.25; values from -0.5 to 0.5; Adam 3e-4, batches of 16.
- A causal transformer over the codes of a clip in the order time, row, column: its inputs are the codebook's own vectors, moved
  on by one; learned positions of each axis; an output layer that begins at zero; Adam 3e-4, cosine to nothing, clipped at 1,
  batches of 8. The caption's words stand before the codes, where VideoGPT has one class.

Its size is that of its clips: of two (`SIZES`), both smaller than the paper's 240 and 576 features, which a CPU could not train
in an hour. Gifts that the project does not make: no dropout, which minutes do not need; the codes of all clips are found once;
attention is fused; a tenth of the captions is hidden, so that it can be guided; drawing keeps keys and values. Time is CPU
seconds of this process, two fifths for the VQ-VAE.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dalle_peer import numbered, words_of
from picture_peers import Clock

SIZES: dict[str, dict[str, Any]] = {
    "small": {"features": 48, "blocks": 2, "codes": 512, "vectors": 64, "strides": (4, 4, 4), "dim": 192, "depth": 4},
    "middle": {
        "features": 96,
        "blocks": 4,
        "codes": 1024,
        "vectors": 128,
        "strides": (2, 4, 4),
        "dim": 256,
        "depth": 6,
    },
}
"""Widths and depths of both networks, and how many frames, rows and columns a code stands for."""
_HEADS, _WEIGHT, _COMMITMENT, _DECAY, _RATE = 4, 1 / 0.06, 0.25, 0.99, 3e-4

# --- the VQ-VAE


class SamePad(nn.Module):
    """A 3-D convolution, padded so that a stride divides; the odd one is in front."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: Sequence[int] = (1, 1, 1), bias: bool = True):
        super().__init__()
        self.pad = [side for each in reversed(stride) for side in ((kernel - each + 1) // 2, (kernel - each) // 2)]
        self.conv = nn.Conv3d(inputs, outputs, kernel, tuple(stride), bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, self.pad))


class SamePadTransposed(nn.Module):
    """Its counterpart that makes larger."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: Sequence[int]) -> None:
        super().__init__()
        self.pad = [side for each in reversed(stride) for side in ((kernel - each + 1) // 2, (kernel - each) // 2)]
        self.conv = nn.ConvTranspose3d(inputs, outputs, kernel, tuple(stride), padding=kernel - 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.pad(x, self.pad))


class Axial(nn.Module):
    """Attention along one axis of `[n t h w c]`, in which all places of the others stand alone."""

    def __init__(self, features: int, axis: int) -> None:
        super().__init__()
        self.axis, self.qkv, self.out = (
            axis,
            nn.Linear(features, 3 * features, bias=False),
            nn.Linear(features, features),
        )

    def forward(self, x: Tensor) -> Tensor:
        moved = x.transpose(self.axis, 3)
        q, k, v = self.qkv(moved.flatten(0, 2)).unflatten(-1, (3, 2, -1)).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        return self.out(seen).view_as(moved).transpose(self.axis, 3)


class Residual(nn.Module):
    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm3d(features), nn.ReLU(), SamePad(features, features // 2, 3, bias=False),
            nn.BatchNorm3d(features // 2), nn.ReLU(), SamePad(features // 2, features, 1, bias=False),
            nn.BatchNorm3d(features), nn.ReLU(),
        )  # fmt: skip
        self.axes = nn.ModuleList(Axial(features, axis) for axis in (3, 2, 1))

    def forward(self, x: Tensor) -> Tensor:
        seen = self.layers(x).permute(0, 2, 3, 4, 1)
        return x + sum(axis(seen) for axis in self.axes).permute(0, 4, 1, 2, 3)


def strides_of(total: Sequence[int]) -> list[tuple[int, ...]]:
    """Those of each layer: halvings come as early as they can."""
    halvings = [int(math.log2(each)) for each in total]
    return [tuple(2 if layer < each else 1 for each in halvings) for layer in range(max(halvings))]


class Codebook(nn.Module):
    """Vectors `[codes dim]` that follow the mean of what is nearest to them."""

    def __init__(self, codes: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.randn(codes, dim))
        self.register_buffer("counts", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, dim))
        self.begun = False

    def _some(self, flat: Tensor) -> Tensor:
        """As many of the encodings as there are codes, drawn by chance; a little apart where there are fewer."""
        if len(flat) < len(self.vectors):
            flat = flat.repeat(-(-len(self.vectors) // len(flat)), 1)
            flat = flat + torch.randn_like(flat) * 0.01 / flat.shape[1] ** 0.5
        return flat[torch.randperm(len(flat))[: len(self.vectors)]]

    def nearest(self, flat: Tensor) -> Tensor:
        return (flat.square().sum(1, keepdim=True) - 2 * flat @ self.vectors.T + self.vectors.square().sum(1)).argmin(1)

    @torch.no_grad()
    def follow(self, flat: Tensor) -> None:
        if not self.begun:
            self.begun = True
            self.vectors.copy_(self._some(flat))
            self.sums.copy_(self.vectors)
            self.counts.fill_(1)
        codes = self.nearest(flat)
        self.counts.mul_(_DECAY).add_(torch.bincount(codes, minlength=len(self.counts)).float(), alpha=1 - _DECAY)
        self.sums.mul_(_DECAY).add_(torch.zeros_like(self.sums).index_add_(0, codes, flat), alpha=1 - _DECAY)
        found = self.sums / self.counts.clamp_min(1e-7)[:, None]
        self.vectors.copy_(torch.where((self.counts >= 1)[:, None], found, self._some(flat)))


class VQVAE(nn.Module):
    """Clips `[n 3 t h w]` from -0.5 to 0.5 to codes `[n t' h' w']`, and back."""

    def __init__(self, features: int, blocks: int, codes: int, vectors: int, strides: Sequence[int]) -> None:
        super().__init__()
        layers, ends = strides_of(strides), (nn.BatchNorm3d(features), nn.ReLU())
        down: list[nn.Module] = []
        for number, stride in enumerate(layers):
            down += [SamePad(features if number else 3, features, 4, stride), nn.ReLU()]
        self.encoder = nn.Sequential(
            *down, SamePad(features, features, 3), *(Residual(features) for _ in range(blocks)), *ends,
            nn.Conv3d(features, vectors, 1),
        )  # fmt: skip
        up: list[nn.Module] = []
        for number, stride in enumerate(layers):
            last = number == len(layers) - 1
            up += [SamePadTransposed(features, 3 if last else features, 4, stride), *([] if last else [nn.ReLU()])]
        self.decoder = nn.Sequential(
            nn.Conv3d(vectors, features, 1), *(Residual(features) for _ in range(blocks)), nn.BatchNorm3d(features), nn.ReLU(),
            *up,
        )  # fmt: skip
        self.codebook = Codebook(codes, vectors)

    def loss(self, x: Tensor) -> Tensor:
        z = self.encoder(x).movedim(1, -1)
        flat = z.flatten(0, 3)
        codes = self.codebook.nearest(flat) if self.codebook.begun else None
        if codes is None:
            self.codebook.follow(flat.detach())
            codes = self.codebook.nearest(flat)
        chosen = self.codebook.vectors[codes].view_as(z)
        back = self.decoder((z + (chosen - z).detach()).movedim(-1, 1))
        self.codebook.follow(flat.detach())
        return _WEIGHT * F.mse_loss(back, x) + _COMMITMENT * F.mse_loss(z, chosen)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        z = self.encoder(x).movedim(1, -1)
        return self.codebook.nearest(z.flatten(0, 3)).view(z.shape[:-1])

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        return self.decoder(self.codebook.vectors[codes].movedim(-1, 1))


# --- the transformer

Cache = list[tuple[Tensor, Tensor]]


class Block(nn.Module):
    def __init__(self, dim: int, depth: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim)
        nn.init.normal_(self.qkv.weight, std=dim**-0.5)
        nn.init.normal_(self.out.weight, std=(dim * depth) ** -0.5)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor, before: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        if before is not None:  # one place after all that are kept
            k, v = torch.cat((before[0], k), 2), torch.cat((before[1], v), 2)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=before is None)
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.mlp(self.norms[1](x)), (k, v)


class VideoGPT(nn.Module):
    """Codes `[n places]` after words `[n window]`, 0 for none.

    Args:
        shape: of the codes of a clip in time, rows and columns.
        vectors: of the codebook, which are not learned here.
    """

    def __init__(self, words: int, window: int, shape: Sequence[int], vectors: Tensor, dim: int, depth: int) -> None:
        super().__init__()
        self.window, self.shape, self.places = window, tuple(shape), math.prod(shape)
        self.register_buffer("vectors", vectors.clone())
        self.text, self.begin = nn.Embedding(words, dim), nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.text_places = nn.Parameter(0.02 * torch.randn(window, dim))
        self.fc_in = nn.Linear(vectors.shape[1], dim, bias=False)
        nn.init.normal_(self.fc_in.weight, std=0.02)
        parts = (dim - 2 * (dim // 3), dim // 3, dim // 3)
        self.axes = nn.ParameterList(nn.Parameter(0.01 * torch.randn(*each)) for each in zip(shape, parts, strict=True))
        self.blocks = nn.ModuleList(Block(dim, depth) for _ in range(depth))
        self.norm, self.fc_out = nn.LayerNorm(dim), nn.Linear(dim, len(vectors), bias=False)
        nn.init.zeros_(self.fc_out.weight)

    def positions(self) -> Tensor:
        """Of all places of a clip: a part of the features for each axis."""
        times, rows, columns = self.axes
        sizes = (times[:, None, None], rows[None, :, None], columns[None, None])
        return torch.cat([size.expand(*self.shape, -1) for size in sizes], -1).flatten(0, 2)

    def inputs(self, words: Tensor, codes: Tensor) -> Tensor:
        """Words, and what stands before each of the codes and the next: the beginning, then the codes themselves."""
        said = self.text(words) + self.text_places
        known = torch.cat((self.begin.expand(len(codes), -1, -1), self.fc_in(self.vectors[codes])), 1)[:, : self.places]
        return torch.cat((said, known + self.positions()[: known.shape[1]]), 1)

    def forward(self, x: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        kept: Cache = []
        for number, block in enumerate(self.blocks):
            x, pair = block(x, cache[number] if cache else None)
            kept.append(pair)
        return self.fc_out(self.norm(x)), kept

    def loss(self, words: Tensor, codes: Tensor) -> Tensor:
        logits = self(self.inputs(words, codes[:, :-1]))[0][:, self.window :]
        return F.cross_entropy(logits.flatten(0, 1), codes.flatten())

    @torch.no_grad()
    def write(self, words: Tensor, generator: torch.Generator, temperature: float, guidance: float) -> Tensor:
        """Codes of clips `[n places]`."""
        guided = guidance != 1
        said = torch.cat((words, torch.zeros_like(words))) if guided else words
        codes, cache = words.new_empty(len(words), 0), None
        x, positions = self.inputs(said, codes.repeat(2, 1) if guided else codes), self.positions()
        for place in range(self.places):
            logits, cache = self(x, cache)
            found = logits[:, -1]
            if guided:
                asked, unasked = found.chunk(2)
                found = unasked + (asked - unasked) * guidance
            code = torch.multinomial((found / temperature).softmax(-1), 1, generator=generator)
            codes = torch.cat((codes, code), 1)
            if place + 1 < self.places:
                x = self.fc_in(self.vectors[code.repeat(2, 1) if guided else code]) + positions[place + 1]
        return codes


# --- both


@dataclass(frozen=True)
class VideoPeer:
    """A trained peer.

    Attributes:
        vocabulary: the number of each word; a word that it has not is left out.
        facts: how it was trained.
    """

    vqvae: VQVAE
    gpt: VideoGPT
    vocabulary: dict[str, int]
    facts: dict[str, Any]

    def film(
        self, prompts: Sequence[str], seed: int, temperature: float = 1.0, guidance: float = 1.0
    ) -> list[np.ndarray]:
        """A clip uint8 [t h w 3] for each prompt."""
        generator, clips = torch.Generator().manual_seed(seed), []
        for first in range(0, len(prompts), 32):
            words = numbered(prompts[first : first + 32], self.vocabulary, self.gpt.window)
            codes = self.gpt.write(words, generator, temperature, guidance)
            clips += list(to_bytes(self.vqvae.decode(codes.unflatten(1, self.gpt.shape))))
        return clips

    def through(self, clips: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What the tokens keep of clips."""
        parts = (floats(np.stack(clips[first : first + 32])) for first in range(0, len(clips), 32))
        return [clip for part in parts for clip in to_bytes(self.vqvae.decode(self.vqvae.encode(part)))]


def train_vqvae(clips: np.ndarray, seconds: float, batch: int = 16, **shape: Any) -> tuple[VQVAE, dict[str, Any]]:
    """A VQ-VAE of clips uint8 [n t h w 3], and how it was trained."""
    model, clock = VQVAE(**shape), Clock(seconds)
    optimizer, steps, error = torch.optim.Adam(model.parameters(), lr=_RATE), 0, 0.0
    while not clock.over:
        loss = model.loss(floats(clips[np.sort(np.random.permutation(len(clips))[:batch])]))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        steps, error = steps + 1, 0.9 * error + 0.1 * loss.item()
    return model.eval(), {"vae_steps": steps, "vae_loss": error, "vae_seconds": clock.used}


def train_gpt(
    codes: Tensor, words: Tensor, vectors: Tensor, seconds: float, batch: int = 8, hidden: float = 0.1, **shape: int
) -> tuple[VideoGPT, dict[str, Any]]:
    """A transformer of codes `[n t h w]` after words `[n window]`, and how it was trained."""
    model = VideoGPT(int(words.max()) + 1, words.shape[1], codes.shape[1:], vectors, **shape)
    clock, optimizer, steps, error = Clock(seconds), torch.optim.Adam(model.parameters(), lr=_RATE), 0, 0.0
    while not clock.over:
        optimizer.param_groups[0]["lr"] = _RATE * 0.5 * (1 + math.cos(math.pi * min(1.0, clock.fraction)))
        rows = torch.randint(len(words), (batch,))
        loss = model.loss(words[rows] * (torch.rand(batch, 1) >= hidden), codes[rows].flatten(1))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        steps, error = steps + 1, 0.98 * error + 0.02 * loss.item()
    return model.eval(), {"steps": steps, "loss": error, "seconds": clock.used}


def train(clips: np.ndarray, captions: Sequence[str], seconds: float, seed: int, size: str) -> VideoPeer:
    """Both, one after the other, in so many seconds of the CPU."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    shape = dict(SIZES[size])
    wide = {name: shape.pop(name) for name in ("dim", "depth")}
    vqvae, facts = train_vqvae(clips, 0.4 * seconds, **shape)
    clock = Clock(0.6 * seconds)
    codes = torch.cat([vqvae.encode(floats(clips[first : first + 64])) for first in range(0, len(clips), 64)])
    told = {word for caption in captions for word in words_of(caption)}
    vocabulary = {word: number for number, word in enumerate(sorted(told), 1)}
    words = numbered(captions, vocabulary, max(len(words_of(caption)) for caption in captions))
    gpt, more = train_gpt(codes, words, vqvae.codebook.vectors, clock.seconds - clock.used, **wide)
    facts |= more | {"codes_used": len(codes.unique()), "cpu_seconds": facts.pop("vae_seconds") + clock.used}
    facts["parameters"] = sum(each.numel() for model in (vqvae, gpt) for each in model.parameters())
    return VideoPeer(vqvae, gpt, vocabulary, facts)


def floats(clips: np.ndarray) -> Tensor:
    """Clips uint8 [n t h w 3] as floats `[n 3 t h w]` from -0.5 to 0.5."""
    return torch.from_numpy(np.array(clips)).permute(0, 4, 1, 2, 3).float() / 255 - 0.5


def to_bytes(clips: Tensor) -> np.ndarray:
    return ((clips.clamp(-0.5, 0.5) + 0.5) * 255).round().byte().permute(0, 2, 3, 4, 1).numpy()
