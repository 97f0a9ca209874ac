"""A GGUF file holds the same weights, settings and tokens; llama.cpp, where it is installed, finds the same logits."""

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from command_line import daedal
from daedal.codecs.sentencepiece import KINDS
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.interop import gguf_vocabulary
from daedal.interop.export import export
from daedal.interop.gguf_vocabulary import vocabulary
from daedal.models.checkpoint import save_model
from daedal.models.gpt import GPT, GPTConfig
from disks import run_on_disk

ARCHITECTURES = ("gpt2", "llama", "mistral", "qwen2", "qwen3")
PROSE = ["the cat sat on the mat, and the dog lay by the door.\n\n    It's 7 or 42.\n" * 30]
TALES = [*PROSE, "“Ça va?” “Да, 日本語 😀😃 — oui: 7 ou 42.”\n" * 30]
TEXTS = (
    "the cat sat on the mat.", "  the  cat\n\n\tsat\r\n on 1234 mats; x = 7\n\n    and 42.", "<|endoftext|> <s></s> <0x20>",
    "def f(x):\n    return {'a': [1, 2]}\n", "é ñ “日本語” 本 😀😁🤖 👩‍👩‍👧‍👦 \u00a0x ²³ ١٢", "", " ", "\n", "it's don't 'tis",
    "a\u2028b\u0085c\u3000d", "....\n\n\n   ...;\n;", "a<tool>b I'LL 12345 ABCdef iPhone x /path//x\n",
)  # fmt: skip


@cache
def codec(kind: str) -> TextCodec:
    """One of each form: SentencePiece, bytes with words, bytes alone."""
    texts, size = {"pieces": (PROSE, 320), "bytes": (TALES, 420)}.get(kind, (TALES, None))
    return TextCodec.train("bpe" if size else kind, texts, size)  # type: ignore[arg-type]


def saved(folder: Path, architecture: str, words: TextCodec, **changes: Any) -> GPT:
    """A random model in a run folder."""
    shape: dict[str, Any] = {"vocab_size": words.vocab_size, "width": 64, "depth": 2, "heads": 4, "context": 64}
    shape |= {"kv_heads": 4 if architecture == "gpt2" else 2, **changes}
    model = GPT(GPTConfig.of(architecture, **shape)).eval()  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1 + (parameter.ndim == 1))
    save_model(model, folder, codec=words)
    return model


def fields(path: Path) -> dict[str, Any]:
    return {name: field.contents() for name, field in gguf.GGUFReader(path).fields.items()}


# -- weights -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tied", [True, False])
def test_every_weight_is_there_under_the_name_that_llama_cpp_gives_it(
    architecture: str, tied: bool, tmp_path: Path
) -> None:
    saved(tmp_path / "run", architecture, codec("pieces"), tied=tied, head_width=16)
    file = gguf.GGUFReader(export(tmp_path / "run", tmp_path / "model.gguf"))
    found = {tensor.name: tensor.data.reshape(tensor.shape[::-1]) for tensor in file.tensors}
    arch = gguf.MODEL_ARCH[{"mistral": "llama"}.get(architecture, architecture).upper()]
    names = gguf.get_tensor_name_map(arch, 2)
    source = load_file(tmp_path / "run" / "model.safetensors")
    assert len(found) == len(source)
    for name, weight in source.items():
        if architecture in ("llama", "mistral") and (".q_proj" in name or ".k_proj" in name):
            # llama.cpp's converter: from channels half a head apart to neighbours
            weight = weight.reshape(-1, 2, 8, 64).swapaxes(1, 2).reshape(weight.shape)
        if architecture == "gpt2" and weight.ndim == 2 and ".h." in name:
            weight = weight.T
        translated = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert translated is not None
        np.testing.assert_array_equal(found[translated], weight, name)


@pytest.mark.parametrize(("quantize", "error"), [("f16", 2**-11), ("bf16", 2**-8), ("q8_0", 0.01), ("q4_0", 0.15)])
def test_matrices_are_quantized_and_vectors_are_not(quantize: str, error: float, tmp_path: Path) -> None:
    model = saved(tmp_path / "run", "llama", codec("pieces"))
    path = export(tmp_path / "run", tmp_path / "model.gguf", quantize)
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}
    for name, tensor in tensors.items():
        kind = "f32" if "norm" in name else "q8_0" if (quantize, name) == ("q4_0", "token_embd.weight") else quantize
        assert tensor.tensor_type.name == kind.upper(), name
    down = tensors["blk.1.ffn_down.weight"]
    wanted = model.transformer.blocks[1].mlp.down.weight.detach().numpy()  # type: ignore[union-attr, operator]
    got = gguf.dequantize(down.data, down.tensor_type).reshape(wanted.shape)
    assert np.abs(got - wanted).max() <= error * np.abs(wanted).max()


def test_rows_that_do_not_fit_blocks_are_float16(tmp_path: Path) -> None:
    saved(tmp_path / "run", "llama", codec("pieces"), width=40)
    path = export(tmp_path / "run", tmp_path / "model.gguf", "q8_0")
    kinds = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}
    assert kinds["blk.0.attn_q.weight"] == "F16"
    assert kinds["blk.0.ffn_down.weight"] == "Q8_0"


# -- what the file says ------------------------------------------------------------------------------------------------


def test_the_settings_are_there(tmp_path: Path) -> None:
    words = codec("pieces")
    saved(tmp_path / "run", "qwen3", words, sliding_window=48, window_from=1, rope_theta=5000.0)
    template = "{% for message in messages %}{{ message['content'] }}<|endoftext|>{% endfor %}"
    (tmp_path / "run" / "chat_template.jinja").write_text(template)
    (tmp_path / "run" / "README.md").write_text(
        '---\nlicense: "mit"\nmodel-index:\n- name: "tales"\n  results: []\n---\n# A model\n'
    )
    said = fields(export(tmp_path / "run", tmp_path / "model.gguf", "q8_0"))
    wanted = {
        "general.architecture": "qwen3", "general.name": "tales", "general.license": "mit",
        "general.file_type": gguf.LlamaFileType.MOSTLY_Q8_0, "qwen3.context_length": 48, "qwen3.embedding_length": 64,
        "qwen3.block_count": 2, "qwen3.attention.head_count": 4, "qwen3.attention.head_count_kv": 2,
        "qwen3.attention.key_length": 16, "qwen3.rope.freq_base": 5000.0, "qwen3.vocab_size": words.vocab_size,
        "tokenizer.chat_template": template, "tokenizer.ggml.eos_token_id": words.eos_id,
        "tokenizer.ggml.add_bos_token": False, "tokenizer.ggml.add_space_prefix": False,
    }  # fmt: skip
    assert {name: said.get(name) for name in wanted} == wanted
    assert said["qwen3.attention.layer_norm_rms_epsilon"] == pytest.approx(1e-6)


def test_a_run_without_a_card_or_a_template_is_named_by_its_folder(tmp_path: Path) -> None:
    saved(tmp_path / "run", "gpt2", codec("byte"))
    said = fields(export(tmp_path / "run", tmp_path / "model.gguf"))
    assert said["general.name"] == "run"
    assert not {"general.license", "tokenizer.chat_template"} & said.keys()


# -- tokens ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["byte", "char", "bytes", "pieces"])
def test_every_id_stands_for_the_same_bytes(kind: str) -> None:
    words = codec(kind)
    size = words.vocab_size + 3
    written = vocabulary(words, size)
    assert written.model == ("llama" if kind == "pieces" else "gpt2")
    assert len(written.texts) == len(set(written.texts)) == len(written.kinds) == size
    stand_ins = alphabet()
    for id in range(words.vocab_size):
        text, number = written.texts[id], written.kinds[id]
        if number == KINDS["byte"]:
            raw = bytes([int(text[3:5], 16)])
        elif number in (KINDS["control"], KINDS["unused"]):
            raw = b""
        elif number == KINDS["user"]:
            raw = text.encode()
        elif kind == "pieces":
            raw = text.replace("▁", " ").encode()
        else:
            raw = bytes(stand_ins[character] for character in text)
        assert raw == words.token_bytes(id) or (id, raw) == (32, b" ")
    if kind == "bytes":  # what `superbpe` would part is looked for first
        marked = {written.texts[id] for id, number in enumerate(written.kinds) if number == KINDS["user"]}
        assert marked
        assert all(text[:-1].isspace() and unicodedata.category(text[-1]).startswith("N") for text in marked)


def alphabet() -> dict[str, int]:
    """The byte of each of GPT-2's printable stand-ins."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(others)}


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_what_llama_cpp_computes_differently_is_refused(tmp_path: Path) -> None:
    yarn = {"kind": "yarn", "factor": 4.0, "original_context": 16}
    llama3 = {"kind": "llama3", "factor": 8.0, "original_context": 16, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
    for place, (architecture, changes, what) in enumerate([
        ("swift", {}, "opens in Daedal only"), ("llama", {"activation": "gelu"}, "silu"),
        ("qwen3", {"attention_bias": True}, "without biases"), ("qwen2", {"head_width": 32}, "add up"),
        ("qwen3", {"rope_scaling": llama3}, "llama3"), ("llama", {"rope_scaling": {**yarn, "beta_slow": 2.0}}, "beta_slow"),
    ]):  # fmt: skip
        run, out = tmp_path / str(place), tmp_path / "out" / "model.gguf"
        saved(run, architecture, codec("pieces"), **changes)
        with pytest.raises(DaedalError, match=what):
            export(run, out)
        assert not out.parent.exists() or not list(out.parent.iterdir())


def test_a_tokenizer_that_llama_cpp_does_not_have_is_refused() -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex("[aeiou]"), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.train_from_iterator(PROSE, trainers.BpeTrainer(vocab_size=300, show_progress=False))
    with pytest.raises(DaedalError, match="cuts words"):
        vocabulary(TextCodec(tokenizer, {}), 300)
    lower = Tokenizer(models.BPE())
    lower.normalizer, lower.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.ByteLevel(False)
    for other in (lower, Tokenizer(models.WordLevel({"a": 0}, "a")), Tokenizer(models.BPE({"a": 0}, []))):
        with pytest.raises(DaedalError, match="other tokens"):
            vocabulary(TextCodec(other, {}), 300)


def test_the_command_line(tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "model.gguf"
    saved(run, "qwen3", codec("byte"))
    for arguments in (("--to", out, "--quantize", "q9"), ("--to", tmp_path / "folder", "--quantize", "q8_0")):
        ended = daedal("export", run, *arguments)
        assert ended.code == 2
        assert len(ended.err.strip().splitlines()) == 1, ended.err
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]
    ended = daedal("export", run, "--to", out, "--quantize", "q8_0")
    assert (ended.code, ended.err) == (0, "")
    assert fields(out)["general.file_type"] == gguf.LlamaFileType.MOSTLY_Q8_0
    before = out.read_bytes()
    again = daedal("export", run, "--to", out)
    assert again.code == 2
    assert "exists already" in again.err
    assert out.read_bytes() == before


def test_pictures_are_not_text(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text('{"model_type": "daedal_vae"}')
    with pytest.raises(DaedalError, match="pictures"):
        export(tmp_path / "run", tmp_path / "model.gguf")


def test_a_full_disk_keeps_no_half_of_a_file(tmp_path: Path) -> None:
    saved(tmp_path / "run", "llama", codec("byte"))
    (disk := tmp_path / "disk").mkdir()
    command = [sys.executable, "-m", "daedal", "export", str(tmp_path / "run"), "--to", str(disk / "model.gguf")]
    ended = run_on_disk(command, disk, "size=64k")
    assert ended.code == 2, ended
    assert len(ended.err.strip().splitlines()) == 1, ended.err
    assert not [name for name in ended.left if "gguf" in name]


def test_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    saved(tmp_path / "run", "llama", codec("byte"))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "run", tmp_path / "model.gguf", progress=stop)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run"]


# -- llama.cpp itself, where `npm install --prefix $NODE_LLAMA_CPP node-llama-cpp` was run -----------------------------


def opened(path: Path, ids: list[int] | None = None) -> Any:
    """What llama.cpp makes of a file: tokens of `TEXTS`, and the logits after each of `ids`."""
    peer = os.environ.get("NODE_LLAMA_CPP", "")
    if not peer or not (Path(peer) / "node_modules" / "node-llama-cpp").is_dir() or shutil.which("node") is None:
        pytest.skip("NODE_LLAMA_CPP names no folder with node-llama-cpp")
    asked = json.dumps({"model": str(path), "texts": TEXTS, "ids": ids})
    command = ["node", str(Path(__file__).with_name("llama_cpp_probe.mjs")), peer]
    return json.loads(subprocess.run(command, input=asked, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize(
    ("architecture", "kind", "changes"),
    [
        ("gpt2", "char", {}), ("mistral", "byte", {"sliding_window": 48}), ("qwen2", "pieces", {"tied": False}),
        ("llama", "bytes", {"attention_bias": True, "mlp_bias": True}), ("qwen3", "bytes", {"head_width": 32}),
        ("llama", "pieces", {"rope_scaling": {
            "kind": "llama3", "factor": 8.0, "original_context": 16, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        }}),
        ("qwen3", "pieces", {"rope_scaling": {
            "kind": "yarn", "factor": 4.0, "original_context": 16, "attention_factor": 1.3
        }}),
    ],
)  # fmt: skip
def test_llama_cpp_finds_the_same_tokens_and_logits(
    architecture: str, kind: str, changes: dict[str, Any], tmp_path: Path
) -> None:
    words = codec(kind)
    model = saved(tmp_path / "run", architecture, words, **changes)
    ids = torch.randint(words.vocab_size, (1, 48), generator=torch.Generator().manual_seed(1))
    found = opened(export(tmp_path / "run", tmp_path / "model.gguf"), ids[0].tolist())
    assert found["tokens"] == [words.encode(text) for text in TEXTS]
    assert found["back"] == list(TEXTS)
    assert found["marks"] == [words.eos_id]
    assert (found["eos"], found["addsBos"]) == (words.eos_id, False)
    with torch.no_grad():
        # llama.cpp looks GELU up in a table of float16
        tolerance = 2e-3 if architecture == "gpt2" else 1e-5
        torch.testing.assert_close(torch.tensor(found["logits"]), model(ids)[0], atol=tolerance, rtol=0)


@pytest.mark.parametrize("name", sorted(gguf_vocabulary._PATTERNS.values()))
def test_llama_cpp_cuts_words_as_tokenizers_of_others_do(name: str, tmp_path: Path) -> None:
    ((cuts, whole),) = [key for key, value in gguf_vocabulary._PATTERNS.items() if value == name]
    own = gguf_vocabulary._GPT2
    tokenizer = Tokenizer(models.BPE(ignore_merges=whole))
    steps: list[Any] = [pre_tokenizers.Digits(True)] if "digits" in cuts else []
    steps += [pre_tokenizers.Split(Regex(cut), "isolated") for cut in cuts if cut not in ("digits", own)]
    steps.append(pre_tokenizers.ByteLevel(False, use_regex=own in cuts))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(steps)
    tokenizer.decoder = decoders.ByteLevel()
    letters = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        [*TALES, *TEXTS], trainers.BpeTrainer(vocab_size=600, initial_alphabet=letters, show_progress=False)
    )
    tokenizer.add_tokens(["<tool>"])
    tokenizer.add_special_tokens([AddedToken("<|endoftext|>")])
    words = TextCodec(tokenizer, {"eos_token": "<|endoftext|>"})
    saved(tmp_path / "run", "llama", words, vocab_size=640, width=32, depth=1)
    found = opened(export(tmp_path / "run", tmp_path / "model.gguf"))
    assert found["tokens"] == [words.encode(text) for text in TEXTS]


@pytest.mark.parametrize("prefix", [True, False])
def test_llama_cpp_joins_pieces_as_tokenizers_of_others_do(prefix: bool, tmp_path: Path) -> None:
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.Metaspace()
    learner.train_from_iterator(TALES, trainers.BpeTrainer(vocab_size=400, show_progress=False))
    learned = sorted(learner.get_vocab().items(), key=lambda entry: entry[1])
    ids = {text: id for id, text in enumerate(["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))])}
    for text, _ in learned:
        ids.setdefault(text, len(ids))
    splits = [(text[:at], text[at:]) for text, _ in learned for at in range(1, len(text))]
    merges = [pair for pair in splits if pair[0] in ids and pair[1] in ids]
    model = models.BPE(ids, merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>")
    tokenizer = Tokenizer(model)
    space: list[Any] = [normalizers.Prepend("▁")] if prefix else []
    tokenizer.normalizer = normalizers.Sequence([*space, normalizers.Replace(" ", "▁")])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    words = TextCodec(tokenizer, {"bos_token": "<s>", "eos_token": "</s>"})
    saved(tmp_path / "run", "llama", words, width=32, depth=1)
    found = opened(export(tmp_path / "run", tmp_path / "model.gguf"))
    assert found["tokens"] == [words.encode(text) for text in TEXTS]
    assert (found["bos"], found["eos"], found["addsBos"]) == (1, 2, True)
