"""A flow over the codes of clips: what is known of them, what each depends on, what its network is told."""

from typing import Any

import pytest
import torch

from daedal.errors import DaedalError
from daedal.models.coded import with_codec
from daedal.models.film_sampling import FilmSampling
from daedal.models.filmflow import FilmFlow, FilmFlowConfig, Given, LatentFilm
from daedal.models.image import ImageBatch
from daedal.nn.causal_video import groups_of
from daedal.nn.noise import Noise
from daedal.nn.quantizer import FSQ, levels_of
from test_vqvae3d import tokenizer, video

torch.set_num_threads(1)
LEVELS, GROUPS, SIDE = (3, 4), 3, 2
SHAPE: dict[str, Any] = {
    "channels": 2, "height": GROUPS * SIDE, "width": SIDE, "groups": GROUPS, "code_levels": LEVELS, "features": 16,
    "blocks": 1, "heads": 1, "patch": 1,
}  # fmt: skip


def flow(**values: Any) -> FilmFlow:
    """A flow over clips of groups of 2 x 2 codes; no layer of it is nothing."""
    model, generator = FilmFlow(FilmFlowConfig.parse(SHAPE | values, "test")), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1 and not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.eval()


def whole(**values: Any) -> LatentFilm:
    codec = tokenizer(5, 2, height=8, width=8, levels=LEVELS)
    film = with_codec(flow(**values), codec)
    assert isinstance(film, LatentFilm)
    return film


def codes(count: int = 2, groups: int = GROUPS) -> torch.Tensor:
    ids = torch.randint(12, (count, groups * SIDE, SIDE), generator=torch.Generator().manual_seed(1))
    return FSQ(LEVELS).codes(ids)


def test_codes_are_nearest_to_themselves() -> None:
    for levels in ((3, 4), (8, 6, 5), (2, 2, 7)):
        quantizer = FSQ(levels)
        ids = torch.arange(quantizer.size).view(1, -1, 1)
        exact = quantizer.codes(ids)
        near = exact + 0.4 / max(levels) * (2 * torch.rand(exact.shape, generator=torch.Generator().manual_seed(0)) - 1)
        assert torch.equal(quantizer.nearest(near), ids)
        assert torch.equal(quantizer.nearest(100 * exact.sign()), quantizer.nearest(exact.sign()))  # of what is there
        assert levels_of(exact, levels).amin() == 0


@pytest.mark.parametrize("said", [{}, {"classes": 3}, {"words": 5, "window": 2, "text_width": 32, "text_depth": 1}])
def test_what_is_known_comes_back_and_a_clip_depends_on_itself_alone(said: dict[str, int]) -> None:
    model = whole(**said)
    clips = video(5)[:, :, :, :8]
    labels = (
        torch.tensor([[-1, 0], [1, 4]]) if "words" in said else torch.tensor([0, 2]) if said else torch.tensor([-1, -1])
    )
    how = FilmSampling(steps=3, churn=1.0, guidance=2.0)
    found = []
    for known, last in ((None, None), (clips[:, :9], None), (clips[:, :3], clips[:, -3:]), (None, clips[:, -3:])):
        sketches = list(model.write(Noise(1, 0, 2), labels, how, known, last))
        assert [sketch.done for sketch in sketches] == pytest.approx([1 / 3, 2 / 3, 1])
        ids = sketches[-1].show()
        assert ids.shape == (2, GROUPS * SIDE, SIDE)
        if known is not None:
            begun = model.encode_ids(known)
            assert begun.shape[1] == SIDE * groups_of(known.shape[1] // 3, 2)
            assert torch.equal(ids[:, : begun.shape[1]], begun)
        given = [None if each is None else each[1:] for each in (known, last)]
        *_, alone = model.write(Noise(1, 1, 1), labels[1:], how, *given)
        assert torch.equal(alone.show(), ids[1:])
        found.append(ids)
    assert not torch.equal(found[0], found[3])  # to lead to a frame is something else


def test_what_is_known_matters_to_what_is_not() -> None:
    model, x, time = (
        flow(),
        torch.randn(1, 2, GROUPS * SIDE, SIDE, generator=torch.Generator().manual_seed(2)),
        torch.tensor([0.3]),
    )
    known = torch.zeros(1, 1, GROUPS * SIDE, SIDE, dtype=torch.bool)
    known[:, :, :SIDE] = True
    one, other = codes(2).split(1)
    nothing = torch.tensor([-1])
    slope = model._toward(x, time, nothing, Given(one, known))
    hidden = one.clone()
    hidden[:, :, SIDE:] = other[:, :, SIDE:]
    assert torch.equal(model._toward(x, time, nothing, Given(hidden, known))[:, :, SIDE:], slope[:, :, SIDE:])
    told = torch.where(known, other, one)
    assert not torch.allclose(model._toward(x, time, nothing, Given(told, known))[:, :, SIDE:], slope[:, :, SIDE:])
    noisy = torch.where(known, x + 1, x)  # what stands where something is known
    assert torch.allclose(model._toward(noisy, time, nothing, Given(one, known))[:, :, SIDE:], slope[:, :, SIDE:])


def silent() -> FilmFlow:
    """A flow whose network says nothing."""
    model = flow()
    with torch.no_grad():
        for parameter in model.network.head.parameters():
            parameter.zero_()
    return model


@pytest.mark.parametrize("at", [0.0, 0.4, 0.9])
def test_what_a_value_says_of_itself_need_not_be_learned(at: float) -> None:
    x = torch.randn(2, 2, GROUPS * SIDE, SIDE, generator=torch.Generator().manual_seed(4))
    given = Given(x, torch.zeros_like(x[:, :1], dtype=torch.bool))
    mean = x + (1 - at) * silent()._toward(x, torch.full((2,), at), torch.tensor([-1, -1]), given)
    for channel, count in enumerate(LEVELS):
        levels = (torch.arange(count) - count // 2) / (count // 2)
        likely = (-((x[:, channel, ..., None] - at * levels) ** 2) / (2 * (1 - at) ** 2)).softmax(-1)
        torch.testing.assert_close(mean[:, channel], (likely * levels).sum(-1), rtol=1e-4, atol=1e-5)


def test_what_is_known_costs_nothing() -> None:
    model = silent()
    noise = Noise(3, 0, 64)
    batch = ImageBatch(codes(64), torch.full((64,), -1), noise)
    unknown = (~model._known(noise, batch.images)).float().mean()
    assert 0.6 < float(unknown) < 0.9
    even = torch.tensor(LEVELS).float().log().sum()
    learned = float(model.loss(batch).total.detach()) / 64
    assert 0.1 * float(even * unknown) < learned < float(even * unknown)  # a value tells something of itself
    led = ImageBatch(codes(64, GROUPS + 1), batch.labels, noise)
    assert bool(model._known(noise, led.images)[:, :, GROUPS * SIDE :].all())


def test_a_tokenizer_of_other_codes_is_refused() -> None:
    for codec in (
        tokenizer(5, 2, height=8, width=8, levels=(4, 3)),
        tokenizer(5, 2, height=8, width=12, levels=LEVELS),
        tokenizer(5, 1, height=8, width=8, levels=LEVELS),
    ):
        with pytest.raises(DaedalError, match="and its tokenizer has"):
            with_codec(flow(), codec)
