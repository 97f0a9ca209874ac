"""DALL-E 1 (Ramesh et al. 2021, arXiv:2102.12092) as the DALLE-pytorch project builds it, at the scale of small pictures.

- A discrete VAE: strided convolutions and residual blocks, Gumbel-softmax over 512 codes of each of 8 x 8 places, mean square
  error, no weight on the KL term, Adam 1e-3. Temperature and rate fall as its training script lets them (1 to 0.5, and to a
  tenth), stretched over the time that there is.
- A pre-norm causal transformer over a beginning, the words of a caption and the tokens of its picture: learned positions, of
  the picture by row and column; padding of its own for each place of a caption; layer scale; GEGLU. Loss: text once, picture
  seven times, over eight. Adam 4.5e-4, the paper's rate, gradients clipped at 0.5, a fifth of the captions hidden.
- Drawing: the likelier half of the codes, then by chance; `cond_scale` sets the logits apart from those without a caption.

Batches of 4 pictures for the VAE (the smaller, the more codes it came to use; straight-through was far worse) and of 8 for the
transformer, whose width and depth are those that ours has at this scale, were the best of those tried in a minute each.

Gifts that the project does not make: words are whole tokens, the tokens of all pictures are found once and not in every step,
the rate falls to nothing over the last fifth, and drawing keeps keys and values. Time is CPU seconds of this process.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from daedal.codecs.caption import tidy
from picture_peers import Clock, Deck, to_bytes

# --- the discrete VAE


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.ReLU(),
            nn.Conv2d(width, width, 1),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class DiscreteVAE(nn.Module):
    """Pictures `[n 3 side side]` from -1 to 1 to codes `[n side/4 side/4]`, and back."""

    def __init__(self, codes: int = 512, width: int = 64, dim: int = 256, straight_through: bool = False) -> None:
        super().__init__()
        self.straight_through = straight_through
        self.codebook = nn.Embedding(codes, dim)
        self.encoder = nn.Sequential(
            nn.Conv2d(3, width, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(width, width, 4, 2, 1), nn.ReLU(),
            Residual(width), nn.Conv2d(width, codes, 1),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, width, 1), Residual(width),
            nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, 2, 1), nn.ReLU(),
            nn.Conv2d(width, 3, 1),
        )  # fmt: skip

    def loss(self, x: Tensor, temperature: float) -> Tensor:
        chosen = F.gumbel_softmax(self.encoder(x), temperature, self.straight_through, dim=1)
        z = torch.einsum("nkhw,kd->ndhw", chosen, self.codebook.weight)
        return F.mse_loss(self.decoder(z), x)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        return self.encoder(x).argmax(1)

    @torch.no_grad()
    def decode(self, codes: Tensor) -> Tensor:
        return self.decoder(self.codebook(codes).permute(0, 3, 1, 2))


# --- the transformer

Cache = list[tuple[Tensor, Tensor]]


class Block(nn.Module):
    def __init__(self, dim: int, heads: int, scale: float) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(2))
        self.scales = nn.ParameterList(nn.Parameter(torch.full((dim,), scale)) for _ in range(2))
        self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 8 * dim), nn.Linear(4 * dim, dim)

    def forward(self, x: Tensor, before: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        q, k, v = self.qkv(self.norms[0](x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        if before is not None:  # one place after all that are kept
            k, v = torch.cat((before[0], k), 2), torch.cat((before[1], v), 2)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=before is None)
        x = x + self.scales[0] * self.out(seen.transpose(1, 2).flatten(2))
        values, gates = self.up(self.norms[1](x)).chunk(2, -1)
        return x + self.scales[1] * self.down(values * F.gelu(gates)), (k, v)


class Dalle(nn.Module):
    """Words `[n window]`, 0 for none, and codes of pictures `[n places]`, in one sequence.

    Args:
        words: how many there are, with 0 for none.
        window: words of a caption.
        side: tokens of a row.
    """

    def __init__(self, words: int, window: int, codes: int, side: int, dim: int = 192, depth: int = 4) -> None:
        super().__init__()
        self.window, self.places, self.words = window, side * side, words + window
        self.text, self.image = nn.Embedding(self.words, dim), nn.Embedding(codes, dim)
        self.text_places = nn.Embedding(window + 1, dim)
        self.rows, self.columns = (nn.Parameter(torch.randn(*shape, dim)) for shape in ((side, 1), (1, side)))
        self.blocks = nn.ModuleList(Block(dim, dim // 64, 0.1) for _ in range(depth))
        self.logits = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, self.words + codes))

    def padded(self, words: Tensor) -> Tensor:
        """Words with a padding of its own for each place."""
        return torch.where(words == 0, self.words - self.window + torch.arange(self.window), words)

    def forward(self, x: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        kept: Cache = []
        for number, block in enumerate(self.blocks):
            x, pair = block(x, cache[number] if cache else None)
            kept.append(pair)
        return self.logits(x), kept

    def opening(self, words: Tensor) -> Tensor:
        """The beginning and the words, embedded."""
        return self.text(F.pad(self.padded(words), (1, 0))) + self.text_places.weight

    def pictured(self, codes: Tensor, first: int = 0) -> Tensor:
        """Tokens of a picture from a place on, embedded."""
        places = (self.rows + self.columns).flatten(0, 1)
        return self.image(codes) + places[first : first + codes.shape[1]]

    def loss(self, words: Tensor, codes: Tensor, image_weight: float = 7.0) -> Tensor:
        logits, _ = self(torch.cat((self.opening(words), self.pictured(codes[:, :-1])), 1))
        # a place of the caption knows words alone, and one of the picture its codes
        text, image = logits[:, : self.window, : self.words], logits[:, self.window :, self.words :]
        text_loss = F.cross_entropy(text.flatten(0, 1), self.padded(words).flatten())
        return (text_loss + image_weight * F.cross_entropy(image.flatten(0, 1), codes.flatten())) / (1 + image_weight)

    @torch.no_grad()
    def draw(
        self,
        words: Tensor,
        generator: torch.Generator,
        temperature: float,
        cond_scale: float,
        filter_thres: float = 0.5,
    ) -> Tensor:
        """Codes of pictures `[n places]`."""
        count, guided = len(words), cond_scale != 1
        said = self.opening(torch.cat((words, torch.zeros_like(words))) if guided else words)
        codes, cache = words.new_empty(count, 0), None
        for place in range(self.places):
            found, cache = self(said, cache)
            logits = found[:, -1, self.words :]
            if guided:
                asked, unasked = logits.chunk(2)
                logits = unasked + (asked - unasked) * cond_scale
            keep = max(1, int((1 - filter_thres) * logits.shape[1]))
            least = logits.topk(keep).values[:, -1:]
            chances = (logits.masked_fill(logits < least, -torch.inf) / temperature).softmax(-1)
            code = torch.multinomial(chances, 1, generator=generator)
            codes = torch.cat((codes, code), 1)
            said = self.pictured(code.repeat(2, 1) if guided else code, place)
        return codes


# --- both


@dataclass(frozen=True)
class DallePeer:
    """A trained peer.

    Attributes:
        vocabulary: the number of each word; a word that it has not is left out.
        facts: how it was trained.
    """

    vae: DiscreteVAE
    dalle: Dalle
    vocabulary: dict[str, int]
    facts: dict[str, Any]

    def draw(
        self, prompts: Sequence[str], seed: int, temperature: float = 1.0, guidance: float = 1.0
    ) -> list[np.ndarray]:
        """A picture uint8 [h w 3] for each prompt."""
        generator, pictures = torch.Generator().manual_seed(seed), []
        for first in range(0, len(prompts), 50):
            words = numbered(prompts[first : first + 50], self.vocabulary, self.dalle.window)
            codes = self.dalle.draw(words, generator, temperature, guidance)
            pictures += list(to_bytes(self.vae.decode(codes.unflatten(1, (math.isqrt(codes.shape[1]), -1)))))
        return pictures

    def through(self, pictures: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What the tokens keep of pictures."""
        return list(to_bytes(self.vae.decode(self.vae.encode(floats(np.stack(pictures))))))


def train_vae(pictures: np.ndarray, seconds: float, batch: int = 4, **shape: Any) -> tuple[DiscreteVAE, dict[str, Any]]:
    """A discrete VAE of pictures uint8 [n side side 3], and how it was trained."""
    vae, clock, deck = DiscreteVAE(**shape), Clock(seconds), Deck(pictures, batch, pictures.shape[1])
    optimizer, steps, error = torch.optim.Adam(vae.parameters(), lr=1e-3), 0, 0.0
    while not clock.over:
        optimizer.param_groups[0]["lr"] = 1e-3 * 0.1**clock.fraction
        loss = vae.loss(deck.deal(), temperature=0.5**clock.fraction)
        step(loss, optimizer)
        steps, error = steps + 1, 0.99 * error + 0.01 * loss.item()
    return vae.eval(), {"vae_steps": steps, "vae_loss": error, "vae_seconds": clock.used}


def train_dalle(
    tokens: Tensor,
    words: Tensor,
    seconds: float,
    *,
    codes: int,
    batch: int = 8,
    rate: float = 4.5e-4,
    hidden: float = 0.2,
    **shape: int,
) -> tuple[Dalle, dict[str, Any]]:
    """A transformer of tokens `[n side side]` after words `[n window]`, and how it was trained.

    Args:
        hidden: share of the captions that are.
    """
    dalle = Dalle(int(words.max()) + 1, words.shape[1], codes, tokens.shape[1], **shape)
    clock, optimizer, steps, error = Clock(seconds), torch.optim.Adam(dalle.parameters(), lr=rate), 0, 0.0
    while not clock.over:
        optimizer.param_groups[0]["lr"] = rate * min(1.0, 5 * (1 - clock.fraction))
        rows = torch.randint(len(words), (batch,))
        asked = words[rows] * (torch.rand(batch, 1) >= hidden)
        loss = dalle.loss(asked, tokens[rows].flatten(1))
        step(loss, optimizer, dalle)
        steps, error = steps + 1, 0.99 * error + 0.01 * loss.item()
    return dalle.eval(), {"steps": steps, "loss": error, "seconds": clock.used}


def train(pictures: np.ndarray, captions: Sequence[str], seconds: float, seed: int, codes: int = 512) -> DallePeer:
    """Both, one after the other, in so many seconds of the CPU; two fifths are the VAE's."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    vae, facts = train_vae(pictures, 0.4 * seconds, codes=codes)
    clock = Clock(0.6 * seconds)
    tokens = torch.cat([vae.encode(floats(pictures[first : first + 250])) for first in range(0, len(pictures), 250)])
    told = {word for caption in captions for word in words_of(caption)}
    vocabulary = {word: number for number, word in enumerate(sorted(told), 1)}
    words = numbered(captions, vocabulary, max(len(words_of(caption)) for caption in captions))
    dalle, more = train_dalle(tokens, words, clock.seconds - clock.used, codes=codes)
    facts |= more | {"codes_used": len(tokens.unique()), "cpu_seconds": facts.pop("vae_seconds") + clock.used}
    facts["parameters"] = sum(each.numel() for model in (vae, dalle) for each in model.parameters())
    return DallePeer(vae, dalle, vocabulary, facts)


def step(loss: Tensor, optimizer: torch.optim.Optimizer, clipped: nn.Module | None = None) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if clipped is not None:
        nn.utils.clip_grad_norm_(clipped.parameters(), 0.5)
    optimizer.step()


def floats(pictures: np.ndarray) -> Tensor:
    """Pictures uint8 [n h w 3] as floats `[n 3 h w]` from -1 to 1."""
    return torch.from_numpy(np.array(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def words_of(caption: str) -> list[str]:
    return tidy(caption).replace(",", " ,").split()


def numbered(captions: Sequence[str], vocabulary: dict[str, int], window: int) -> Tensor:
    """The numbers of words `[n window]`, 0 behind them."""
    rows = torch.zeros(len(captions), window, dtype=torch.int64)
    for row, caption in zip(rows, captions, strict=True):
        known = [vocabulary[word] for word in words_of(caption) if word in vocabulary][:window]
        row[: len(known)] = torch.tensor(known, dtype=torch.int64)
    return rows
