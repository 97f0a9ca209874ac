"""Builds, training, drawing, writing, measuring and answering give what they gave before, as near as machines agree.

The values are in golden.json, which `python tests/test_golden.py` writes. After a wanted change write it anew, look at the
difference, and say in the commit why it changed; where a sampler or a measurement gives other numbers, its definition gets
another version.

Whole numbers and hashes must be equal; floats agree to a thousandth, pixels to one level of 255 on average. What else than this
code decides some of them: tokenizers (merges of byte pairs), Pillow (what is scaled), scikit-learn (`digits`), and PyTorch.
"""

import base64
import io
import json
import math
import re
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

import daedal
from api_server import serve
from daedal.codecs.text import TextCodec
from daedal.data import open_data
from daedal.models.checkpoint import save_model
from golden_pictures import PICTURES
from golden_runs import BY_CLASS, FAMILIES, SEED, House, pixels
from golden_texts import TEXTS, Made, digest, tale
from tiny_models import tiny_gpt

GOLDEN = Path(__file__).parent / "golden.json"
SPLITS = ("train", "validation", "test")
TALK = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Who saw the king?"}]


# -- what a build gives ------------------------------------------------------------------------------------------------


def built(make: Callable[[Path], Made], place: Path) -> dict[str, Any]:
    """What a build of a source tells, and hashes of what it holds."""
    sources, options = make(place / "made")
    daedal.build_data(sources, place / "data", workers=1, **options)
    return told_of(place / "data", place)


def told_of(folder: Path, place: Path) -> dict[str, Any]:
    """What a data folder holds. How it is read stands here and in `content` alone.

    Args:
        place: a folder of chance, whose name is no part of what is told.
    """
    data = open_data(folder)
    manifest = json.loads(data.manifest.model_dump_json().replace(str(place), "PLACE"))
    kept = ("fingerprint", "split_by", "dropped", "notes", "duplicates", "mended", "encodings", "file_types", "languages",
            "lengths", "classes", "raster", "sizes", "formats")  # fmt: skip
    told = {name: manifest[name] for name in kept if name in manifest}
    told["codec"] = manifest.get("codec")
    told["splits"] = {name: manifest["splits"][name] | content(data, name, place) for name in SPLITS}
    return told


def content(data: Any, split: str, place: Path) -> dict[str, str]:
    """Hashes of what a split holds, whatever the folder makes of it."""
    part = data.split(split)
    if hasattr(part, "images"):
        said = [list(part.names), list(part.captions), list(part.truths)]
        return {"examples": digest(np.asarray(part.images), part.labels), "said": digest(said, place=place)}
    rows = parquet.read_table(data.folder / "documents.parquet").filter(pa.compute.field("split") == split)
    origin = [rows.column(name).to_pylist() for name in ("source", "row")]
    texts = [part.text(index) for index in range(part.documents)]
    return {"examples": digest(part.read(0, part.tokens), part.offsets), "said": digest([texts, origin], place=place)}


# -- what a seeded model writes, and what the server answers -----------------------------------------------------------


def tiny(folder: Path, architecture: str = "qwen3") -> Path:
    """A model of chance that was never trained, whose next token is seldom in doubt."""
    codec = TextCodec.train("bpe", [tale(number) for number in range(8)], 300)
    codec.save(folder)
    save_model(tiny_gpt(codec, architecture, context=1024), folder)
    return folder


def written(place: Path) -> dict[str, Any]:
    """What models of every architecture write."""
    found: dict[str, Any] = {}
    for architecture in ("gpt2", "llama", "mistral", "qwen2", "qwen3", "swift"):
        writer = daedal.load(tiny(place / architecture, architecture))
        (greedy,) = writer.generate("The old fox", temperature=0, max_tokens=24, logprobs=2)
        found[architecture] = {
            "greedy": list(greedy.ids),
            "logprobs": [one.logprob for one in greedy.logprobs],
            "sampled": [str(one) for one in writer.generate("The old fox", n=2, seed=SEED, max_tokens=12)],
            "chat": str(writer.chat(TALK, temperature=0, max_tokens=12)),
            "loss": writer.score(tale(5)).loss,
        }
    return found


TOOLS = [{"type": "function", "function": {
    "name": "weather", "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"enum": ["Rome", "Paris"]}}, "required": ["city"]},
}}]  # fmt: skip
WRITE = {"max_tokens": 12, "temperature": 0}
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("/v1/chat/completions", {"messages": TALK, "logprobs": True, "top_logprobs": 2, **WRITE}),
    "chat, by a seed": ("/v1/chat/completions", {"messages": TALK, "max_tokens": 12, "n": 2, "seed": SEED}),
    "chat, in pieces": ("/v1/chat/completions", {
        "messages": TALK, "stream": True, "stream_options": {"include_usage": True}, **WRITE,
    }),
    "chat, a tool": ("/v1/chat/completions", {
        "messages": TALK, "max_tokens": 80, "temperature": 0, "tools": TOOLS, "tool_choice": "required",
    }),
    "chat, a form": ("/v1/chat/completions", {
        "messages": TALK, "max_tokens": 60, "temperature": 0,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"enum": ["one", "two"]}}},
    }),
    "completions": ("/v1/completions", {"prompt": ["The old fox", "A"], "logprobs": 1, "echo": True, **WRITE}),
    "responses": ("/v1/responses", {"input": "The old fox", "max_output_tokens": 12, "temperature": 0}),
    "messages": ("/v1/messages", {"messages": TALK[1:], "system": "Be brief.", **WRITE}),
    "count": ("/v1/messages/count_tokens", {"messages": TALK[1:]}),
    "embeddings": ("/v1/embeddings", {"input": ["The old fox", "A sailor"], "dimensions": 4}),
    "tokens": ("/tokenize", {"prompt": "The old fox"}),
    "images": ("/v1/images/generations", {"model": "painter", "prompt": "left", "n": 2, "seed": SEED, "size": "8x8"}),
    "a mistake": ("/v1/completions", {"prompt": "The old fox", "max_tokens": -1}),
    "no such model": ("/v1/completions", {"model": "nobody", "prompt": "The old fox"}),
}  # fmt: skip
"""Questions to the server, by name."""


def answered(house: House) -> dict[str, Any]:
    """What the server answers, without what is another each time."""
    models = {"tiny": tiny(house.place / "tiny"), "painter": house.run("flow", **BY_CLASS)}
    found: dict[str, Any] = {}
    with serve(house.place / "served", models={name: str(path) for name, path in models.items()}, aliases={}) as url:
        for name, (path, body) in ASKED.items():
            answer = httpx.post(f"{url}{path}", json={"model": "tiny", **body}, timeout=60)
            told = streamed(answer.text) if "stream" in body else answer.json()
            found[name] = {"status": answer.status_code, "json": masked(told)}
        found["models"] = masked(httpx.get(f"{url}/v1/models").json())
    return found


def streamed(text: str) -> dict[str, Any]:
    """The text and the last event of an answer that comes in pieces, however many those are."""
    events = [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]
    pieces = [choice["delta"].get("content") or "" for one in events for choice in one["choices"]]
    return {"text": "".join(pieces), "last": events[-1]}


def masked(value: Any) -> Any:
    """JSON without ids, times and fingerprints of weights; pictures as their pixels."""
    if isinstance(value, list):
        return [masked(each) for each in value]
    if not isinstance(value, dict):
        return value
    hidden = ("created", "created_at", "completed_at", "system_fingerprint", "fingerprint", "root")
    chance = re.compile(r"[a-z]+[-_][0-9a-zA-Z]{16,}")  # of an answer, and not the name of a model
    shown = {
        name: "MASKED" if (each and name in hidden) or (name == "id" and chance.match(str(each))) else masked(each)
        for name, each in value.items()
    }
    if isinstance(picture := value.get("b64_json"), str):
        shown["b64_json"] = pixels([Image.open(io.BytesIO(base64.b64decode(picture)))])
    return shown


# -- comparing ---------------------------------------------------------------------------------------------------------


def differences(found: Any, kept: Any, where: str = "") -> list[str]:
    """Where two records differ by more than machines do."""
    if isinstance(found, dict) and isinstance(kept, dict):
        lost = [
            f"{where}/{name}: only {'now' if name in found else 'before'}"
            for name in sorted(found.keys() ^ kept.keys())
        ]
        both = sorted(found.keys() & kept.keys())
        return lost + [line for name in both for line in differences(found[name], kept[name], f"{where}/{name}")]
    if isinstance(found, list) and isinstance(kept, list) and len(found) == len(kept):
        return [
            line for n, pair in enumerate(zip(found, kept, strict=True)) for line in differences(*pair, f"{where}/{n}")
        ]
    if isinstance(found, float) and isinstance(kept, float):
        same = math.isclose(found, kept, rel_tol=1e-3, abs_tol=1e-4)
    elif where.endswith("/pixels"):
        off = levels(found, kept)
        return [] if off < 1 else [f"{where}: {off:.1f} levels off"]
    else:
        same = found == kept and type(found) is type(kept)
    return [] if same else [f"{where}: {found!r} was {kept!r}"]


def levels(one: str, other: str) -> float:
    """How far two pictures are from one another, in levels of 255 on average."""
    first, second = (np.frombuffer(base64.b64decode(data), np.uint8).astype(int) for data in (one, other))
    return float(np.abs(first - second).mean()) if first.shape == second.shape else math.inf


@cache
def golden() -> dict[str, Any]:
    values: dict[str, Any] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return values


def unchanged(part: str, name: str, found: Any) -> None:
    changed = differences(json.loads(json.dumps(found)), golden()[part][name])
    assert not changed, "\n".join(changed[:20])


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    return House(tmp_path_factory.mktemp("golden"))


def test_every_case_has_its_values_and_no_other_is_kept() -> None:
    kept = {part: set(golden()[part]) for part in ("texts", "pictures", "families")}
    assert kept == {"texts": set(TEXTS), "pictures": set(PICTURES), "families": set(FAMILIES)}
    assert set(golden()["answers"]["served"]) == {*ASKED, "models"}


@pytest.mark.parametrize("name", TEXTS)
def test_a_build_of_text_gives_what_it_gave(name: str, tmp_path: Path) -> None:
    unchanged("texts", name, built(TEXTS[name], tmp_path))


@pytest.mark.parametrize("name", PICTURES)
def test_a_build_of_pictures_gives_what_it_gave(name: str, tmp_path: Path) -> None:
    unchanged("pictures", name, built(PICTURES[name], tmp_path))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_learns_draws_and_measures_as_it_did(name: str, house: House) -> None:
    unchanged("families", name, FAMILIES[name](house))


def test_a_seeded_model_writes_what_it_wrote(tmp_path: Path) -> None:
    unchanged("answers", "written", written(tmp_path))


def test_the_server_answers_what_it_answered(house: House) -> None:
    unchanged("answers", "served", answered(house))


def main() -> None:
    """Write all values anew."""
    with tempfile.TemporaryDirectory() as root:
        count = iter(range(10**6))

        def place() -> Path:
            folder = Path(root).resolve() / str(next(count))
            folder.mkdir()
            return folder

        house = House(place())
        values = {
            "texts": {name: built(make, place()) for name, make in TEXTS.items()},
            "pictures": {name: built(make, place()) for name, make in PICTURES.items()},
            "families": {name: make(house) for name, make in FAMILIES.items()},
            "answers": {"written": written(place()), "served": answered(house)},
        }
    GOLDEN.write_text(json.dumps(values, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
