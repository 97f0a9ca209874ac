"""What a family declares that it can do, it does; what it does not declare, it refuses in one line. And the table of it all.

The table of docs/families.md, after a wanted change: python tests/test_capabilities.py
"""

import json
import math
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image

from daedal.codecs.caption import CaptionCodec
from daedal.codecs.image import PixelCodec
from daedal.errors import DaedalError
from daedal.families import line, part
from daedal.families import table as families
from daedal.inference.generator import Generator
from daedal.inference.picture import Picture
from daedal.inference.skills.draw import Drawing
from daedal.inference.skills.pictures import PictureSkill
from daedal.models.checkpoint import config_of, save_model, save_own
from daedal.models.coded import Coded, LatentModel, TokenModel
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.identity import CODEC
from daedal.models.image import ImageModel, ImageSampling
from daedal.models.layout import TokenLayout
from daedal.models.model import Capability, Model
from daedal.models.vqvae import VQVAE
from daedal.nn.projection import project

torch.set_num_threads(1)
PAGE = Path(__file__).parent.parent / "docs" / "families.md"
BEGIN, END = "<!-- the table begins: python tests/test_capabilities.py -->", "<!-- the table ends -->"
IMAGE_FAMILIES = [name for name, each in families().items() if each.over == "pixels"]
CLASSES = ("bird", "cat", "dog")
CODEC_OF_PIXELS = PixelCodec(3, 8, 8)
CAPTIONS = CaptionCodec.train(["a red circle above a blue square", "two green stars"])

TINY: dict[str, dict[str, Any]] = {
    "vae": {"filters": 8, "depth": 1, "latent": 4, "couplings": 2, "halvings": 1},
    "vqvae": {"filters": 8, "depth": 1, "levels": (3, 3), "halvings": 1},
    "gan": {"latent": 4, "breadth": 8, "widest": 16},
    "flow": {"features": 8, "levels": 2, "patch": 1},
    "clip": {"breadth": 8, "widest": 8, "features": 8, "text_depth": 1, "embedding": 8},
}
"""Shapes of toys. A family that is not here is as large as it is by default."""
VALUES: dict[str, Any] = {
    "steps": 2, "solver": "euler", "churn": 1.0, "guidance": 4.0, "truncation": 0.1, "temperature": 0.2, "top_k": 1,
}  # fmt: skip
"""Of each option, a value that is nobody's default."""


# -- toys --------------------------------------------------------------------------------------------------------------


def rough(model: Model) -> None:
    """Draw weights that are nowhere zero, so that everything in the model has a say."""
    model.initialise(torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def single(family: str, classes: int, **shape: Any) -> ImageModel:
    """A toy of a family."""
    values = {"channels": 3, "height": 8, "width": 8, "classes": classes, **TINY.get(family, {}), **shape}
    model = part(line(family).model)(config_of(family).parse(values, "toy"))
    rough(model)
    return model


def latent_flow(classes: int, **shape: Any) -> ImageModel:
    codec = single("vae", 0, latent=0, grid=2, couplings=0)
    return LatentModel(single("flow", classes, channels=2, height=4, width=4, values=0, **shape), codec)


def token_gpt(classes: int) -> ImageModel:
    codec = single("vqvae", 0)
    assert isinstance(codec, VQVAE)
    vocab = codec.vocab_size + 1 + classes
    gpt = GPT(GPTConfig.of("qwen3", vocab_size=vocab, width=16, depth=1, heads=2, context=math.prod(codec.grid)))
    rough(gpt)
    return TokenModel(gpt, codec)


def captioned_gpt() -> ImageModel:
    codec = single("vqvae", 0)
    assert isinstance(codec, VQVAE)
    layout = TokenLayout(codec.vocab_size, math.prod(codec.grid), words=CAPTIONS.vocab_size, window=CAPTIONS.window)
    shape = {
        "width": 16,
        "depth": 1,
        "heads": 2,
        "context": layout.context,
        "grid": codec.grid,
        "grid_at": layout.window,
    }
    gpt = GPT(GPTConfig.of("qwen3", vocab_size=layout.vocab_size, **shape))
    rough(gpt)
    return TokenModel(gpt, codec)


WORDS = {"words": CAPTIONS.vocab_size, "window": CAPTIONS.window, "text_width": 32}
CAPTIONED: dict[str, Callable[[], ImageModel]] = {
    "gpt over vqvae": captioned_gpt,
    "flow": lambda: single("flow", 0, **WORDS),
    "flow over vae": lambda: latent_flow(0, **WORDS),
}
"""Toys that learned captions, of every family that can."""
MAKERS: dict[str, Callable[[int], ImageModel]] = {
    **{family: lambda classes, family=family: single(family, classes) for family in IMAGE_FAMILIES},  # type: ignore[misc]
    "clip": lambda classes: single("clip", 0, **WORDS),  # which knows nothing but captions
    "flow over vae": latent_flow,
    "gpt over vqvae": token_gpt,
}


@cache
def toy(name: str, classes: bool = False) -> Generator:
    model, named = MAKERS[name](3 if classes else 0), CLASSES if classes else ()
    return Generator(model, CODEC_OF_PIXELS, name, classes=named, captions=CAPTIONS if model.config.words else None)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Searches, ways back and likelihoods take few steps: how near they come is tested of each family by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daedal.models.flow._LIKELIHOOD_STEPS", 8)
        patch.setattr("daedal.models.flow.Flow.inverted", ImageSampling(steps=5, solver="rk4"))
        patch.setattr("daedal.models.gan.project", partial(project, steps=10))
        toy.cache_clear()
        yield
    toy.cache_clear()


def able(capability: Capability) -> Any:
    """Runs a test for every family that declares a capability."""
    return pytest.mark.parametrize("name", [name for name in MAKERS if capability in toy(name).model.capabilities])


every = pytest.mark.parametrize("name", MAKERS)


def photo(seed: int = 0) -> Image.Image:
    values = np.random.default_rng(seed).integers(60, 200, (2, 2, 3), dtype=np.uint8)
    return Image.fromarray(values).resize((8, 8), Image.Resampling.BICUBIC)


def close(one: Image.Image, other: Image.Image) -> bool:
    """Equal but for the last bits of a float, which are of the batch that a picture is drawn in."""
    return int(np.abs(np.asarray(one).astype(int) - np.asarray(other)).max()) <= 1


def different(one: list[Picture], other: list[Picture]) -> bool:
    return not all(close(a.image, b.image) for a, b in zip(one, other, strict=True))


def declares(name: str, capability: Capability) -> bool:
    return capability in toy(name).model.capabilities


# -- what is declared is done ------------------------------------------------------------------------------------------


@able("sample")
@pytest.mark.parametrize("classes", [False, True])
def test_it_draws_and_a_picture_of_a_seed_is_the_same_in_any_batch(name: str, classes: bool) -> None:
    generator = toy(name, classes)
    drawn = generator.generate(5, seed=1)
    assert [picture.image.size for picture in drawn] == [(8, 8)] * 5
    again = generator.generate(5, seed=1)
    assert [picture.image.tobytes() for picture in drawn] == [picture.image.tobytes() for picture in again]
    for number in (0, 3):
        (alone,) = generator.generate(1, seed=1, first=number)
        assert close(alone.image, drawn[number].image)
        assert alone.provenance == drawn[number].provenance
    assert different(drawn, generator.generate(5, seed=2))
    assert different(drawn[:1], drawn[1:2])


@able("sample")
def test_what_is_drawn_step_by_step_beside_others_is_what_is_drawn_alone(name: str) -> None:
    """Though one begins when the other is on its way."""
    generator = toy(name, classes=True)
    asked = [(2, {"seed": 1, "label": "cat"}), (1, {"seed": 2}), (3, {"seed": 3, "label": "dog"})]
    under_way: dict[int, Drawing] = {}
    found: dict[int, list[Picture]] = {}
    number = 0
    while len(found) < len(asked):
        if number < len(asked):
            n, values = asked[number]
            under_way[number] = generator.begin([generator.request(n, **values)])  # type: ignore[arg-type]
            number += 1
        for which, drawn in zip(list(under_way), generator.go_on(list(under_way.values())), strict=True):
            if drawn.done == 1:
                (found[which],) = drawn.show()
                del under_way[which]
    for which, (n, values) in enumerate(asked):
        assert not different(found[which], generator.generate(n, **values))  # type: ignore[arg-type]


@able("class")
def test_it_draws_the_class_that_it_is_asked_for(name: str) -> None:
    generator = toy(name, classes=True)
    assert "class" in generator.capabilities
    cats = generator.generate(3, seed=1, label="cat")
    assert different(cats, generator.generate(3, seed=1, label="dog"))
    mixed = generator.generate(3, seed=1, label=["cat", "dog"])
    assert not different(cats[:1], mixed[:1])
    assert [picture.provenance.label for picture in mixed] == ["cat", "dog", "cat"]
    with pytest.raises(DaedalError, match="trained without classes"):
        toy(name).generate(label="cat")


@able("prompt")
def test_it_draws_what_a_text_says(name: str) -> None:
    generator = Generator(CAPTIONED[name](), CODEC_OF_PIXELS, name, captions=CAPTIONS)
    drawn = generator.generate(4, seed=1, prompt=["two green stars", "a blue square"])
    assert [picture.provenance.label for picture in drawn] == ["two green stars", "a blue square"] * 2
    assert different(drawn[:1], generator.generate(1, seed=1, prompt="a red circle"))
    assert "class" not in generator.capabilities
    assert close(drawn[1].image, generator.generate(1, seed=1, first=1, prompt="a blue square")[0].image)


@able("caption")
def test_it_says_what_pictures_show(name: str) -> None:
    generator = Generator(CAPTIONED[name](), CODEC_OF_PIXELS, name, captions=CAPTIONS)
    told = generator.caption([photo(), photo(1)])
    assert told == [generator.caption([photo(seed)])[0] for seed in (0, 1)]


@able("match")
def test_it_tells_how_well_texts_fit_pictures(name: str) -> None:
    generator = toy(name)
    near = generator.similarity([photo(), photo(1)], ["a red circle", "two green stars"])
    assert near.shape == (2, 2)
    assert bool((near.abs() <= 1.0001).all())


@able("interpolate")
@pytest.mark.parametrize("classes", [False, True])
def test_it_goes_from_seed_to_seed(name: str, classes: bool) -> None:
    generator = toy(name, classes)
    clip = generator.interpolate([1, 2, 3], 5)
    label = generator.generate(seed=1)[0].provenance.label
    for frame, seed in ((0, 1), (2, 2), (4, 3)):
        (picture,) = generator.generate(seed=seed, label=label)
        assert close(clip.frames[frame], picture.image)
    assert len({frame.tobytes() for frame in clip.frames}) == 5


def test_frames_have_no_fresh_noise() -> None:
    with pytest.raises(DaedalError, match="fresh noise"):
        toy("flow").interpolate([1, 2], 3, churn=2.0)


@able("interpolate")
def test_it_goes_from_picture_to_picture(name: str) -> None:
    clip = toy(name).interpolate([photo(1), photo(2)], 4)
    assert len(clip.frames) == 4
    assert not close(clip.frames[0], clip.frames[-1])
    if declares(name, "reconstruct"):
        ends = toy(name).reconstruct([photo(1), photo(2)])
        assert close(clip.frames[0], ends[0].picture.image)
        assert close(clip.frames[-1], ends[1].picture.image)
    (direction,) = toy(name).directions([photo(1), photo(2)], most=1)
    assert len(toy(name).walk(1, direction, 3).frames) == 3


@able("reconstruct")
@pytest.mark.parametrize("classes", [False, True])
def test_it_reconstructs_and_tells_the_error(name: str, classes: bool) -> None:
    generator = toy(name, classes)
    found = generator.reconstruct(
        [photo(1), photo(2)], **({"label": "cat"} if declares(name, "class") and classes else {})
    )
    assert [one.picture.image.size for one in found] == [(8, 8)] * 2
    assert all(0 <= one.mse <= 1 for one in found)


@able("edit")
@pytest.mark.parametrize("classes", [False, True])
def test_it_edits_what_is_masked_and_nothing_else(name: str, classes: bool) -> None:
    generator, mask = toy(name, classes), Image.new("L", (8, 8))
    mask.paste(255, (0, 0, 4, 8))
    original = np.asarray(photo())
    drawn = generator.edit(photo(), mask, 3, seed=1)
    for picture in drawn:
        assert np.array_equal(np.asarray(picture.image)[:, 4:], original[:, 4:])
        assert not np.array_equal(np.asarray(picture.image)[:, :4], original[:, :4])
    assert close(generator.edit(photo(), mask, seed=1, first=2)[0].image, drawn[2].image)
    assert different(drawn[:1], drawn[1:2])


@able("edit")
def test_a_weak_edit_leaves_more_of_the_picture(name: str) -> None:
    generator, given = toy(name), photo()
    if isinstance(generator.model, Coded):  # whose codes do not hold the picture itself
        image = generator.codec.encode(given)[None]
        given = generator.codec.decode(generator.model.codec.decode(generator.model.codec.encode(image))[0])
    off = [
        np.mean([np.abs(np.asarray(one.image).astype(float) - np.asarray(given)).mean() for one in edited])
        for edited in (generator.edit(photo(), n=8, seed=1, strength=strength) for strength in (0.1, 0.99))
    ]
    assert off[0] < off[1]


@able("score")
@pytest.mark.parametrize("classes", [False, True])
def test_it_scores_each_picture_by_itself(name: str, classes: bool) -> None:
    generator = toy(name, classes)
    scores = generator.score([photo(1), photo(2)], samples=2)
    assert all(math.isfinite(score.log_likelihood) for score in scores)
    (alone,) = generator.score([photo(1)], samples=2)
    assert alone.log_likelihood == pytest.approx(scores[0].log_likelihood, rel=1e-3)
    assert scores[0] != scores[1]


@pytest.mark.parametrize("name", [name for name in MAKERS if "guidance" in toy(name).model.options])
def test_guidance_of_one_is_none_and_no_class_cannot_be_asked_for_more(name: str) -> None:
    generator = toy(name, classes=True)
    plain, guided = (generator.generate(4, seed=1, label="cat", guidance=strength) for strength in (None, 1.0))
    assert not different(plain, guided)
    generator = toy(name)
    assert not different(generator.generate(4, seed=1), generator.generate(4, seed=1, guidance=4.0))


@every
def test_every_option_that_it_honours_shows(name: str) -> None:
    classes = declares(name, "class")
    generator = toy(name, classes)
    label = {"label": "cat"} if classes else {}
    if not declares(name, "sample"):
        assert not generator.model.options
        return
    plain = generator.generate(4, seed=1, **label)
    assert set(ImageSampling.model_fields) == set(VALUES)
    for option, value in VALUES.items():
        if option in generator.model.options:
            assert different(plain, generator.generate(4, seed=1, **label, **{option: value})), option
        else:
            with pytest.raises(DaedalError, match=f"does not take {option}"):
                generator.generate(seed=1, **{option: value})


@every
@pytest.mark.parametrize("classes", [False, True])
def test_a_run_folder_opens_and_draws_the_same(name: str, classes: bool, tmp_path: Path) -> None:
    generator = toy(name, classes)
    save(generator, tmp_path)
    opened = Generator.open(tmp_path, device="cpu")
    assert (opened.classes, opened.capabilities) == (generator.classes, generator.capabilities)
    assert opened.fingerprint == generator.fingerprint
    if declares(name, "sample"):
        assert not different(opened.generate(3, seed=4), generator.generate(3, seed=4))
    if declares(name, "reconstruct"):
        back = [made.reconstruct([photo()])[0].picture for made in (opened, generator)]
        assert not different(back[:1], back[1:])


@pytest.mark.parametrize("names", ["cat", 3, [1, 2, 3], ["bird"], {"bird": 0}])
def test_names_of_classes_that_are_none_are_refused(names: Any, tmp_path: Path) -> None:
    save(toy("gan", classes=True), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "class_names": names}))
    with pytest.raises(DaedalError, match="class"):
        Generator.open(tmp_path, device="cpu")


def save(generator: Generator, folder: Path) -> None:
    """Write what training writes."""
    model = generator.model
    generator.codec.save(folder)
    if generator.captions is not None:
        generator.captions.save(folder)
    if not isinstance(model, Coded):
        save_own(model, folder, generator.classes)
        return
    if isinstance(model.inner, GPT):
        save_model(model.inner, folder, notes={"class_names": list(generator.classes)})
    else:
        assert isinstance(model.inner, ImageModel)
        save_own(model.inner, folder, generator.classes)
    assert isinstance(model.codec, ImageModel)
    save_own(model.codec, folder / CODEC)


# -- what is not declared is refused -----------------------------------------------------------------------------------

VERBS = {
    each: word for skill in Generator.table if issubclass(skill, PictureSkill) for each, word in skill.words().items()
}
ASK: dict[Capability, Callable[[Generator], object]] = {
    "sample": lambda generator: generator.generate(),
    "class": lambda generator: generator.generate(label="cat"),
    "interpolate": lambda generator: generator.interpolate([photo(1), photo(2)], 3),
    "reconstruct": lambda generator: generator.reconstruct([photo()]),
    "edit": lambda generator: generator.edit(photo(), photo()),
    "prompt": lambda generator: generator.generate(1, prompt="a red circle"),
    "caption": lambda generator: generator.caption([photo()]),
    "score": lambda generator: generator.score([photo()]),
    "match": lambda generator: generator.embed_pictures([photo()]),
}


@every
def test_what_it_cannot_do_is_refused_in_one_line_that_says_what_it_can(name: str) -> None:
    assert set(ASK) == set(VERBS)
    generator = toy(name)
    assert generator.model.capabilities <= set(ASK)
    assert generator.model.capabilities
    for capability in ASK.keys() - generator.model.capabilities:
        with pytest.raises(DaedalError) as error:
            ASK[capability](generator)
        line = str(error.value)
        assert "\n" not in line
        refused = (
            "draw new pictures"
            if "sample" not in generator.capabilities and capability in ("class", "prompt")
            else VERBS[capability]
        )
        assert line.startswith(f"{generator.kind} cannot {refused}: it can ")
        for able_to in generator.capabilities:
            assert VERBS[able_to] in line


# -- the table ---------------------------------------------------------------------------------------------------------


def table() -> str:
    """What every family can do, from what it declares."""
    rows = [part(each.model) for name, each in families().items() if each.over != "pixels" and name != "gpt"]
    models: dict[str, type[Model] | Model] = {"GPT over text": GPT, **{each.__name__: each for each in rows}}
    for name in MAKERS:
        single = name in IMAGE_FAMILIES
        models[part(line(name).model).__name__ if single else toy(name).kind[2:]] = toy(name).model
    declared = [name for name in get_args(Capability) if any(name in model.capabilities for model in models.values())]
    lines = [f"| family | {' | '.join(declared)} | options |", f"| --- |{' :-: |' * len(declared)} --- |"]
    for name, model in models.items():
        cells = ["yes" if capability in model.capabilities else "" for capability in declared]
        options = ", ".join(f"`{option}`" for option in sorted(getattr(model, "options", ())))
        lines.append(f"| {name} | {' | '.join(cells)} | {options} |")
    return "\n".join(lines) + "\n"


def test_the_table_in_the_documentation_is_what_the_families_declare() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text.partition(BEGIN)[2].partition(END)[0].strip() == table().strip()


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table()}\n{END}{rest.partition(END)[2]}", encoding="utf-8")
