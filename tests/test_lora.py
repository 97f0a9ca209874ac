"""LoRA: what it computes, what learns, its files beside PEFT's own, and its base."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from command_line import mistake
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError
from daedal.interop.merge import merge
from daedal.models.adapter import CONFIG, WEIGHTS, Settings, adapt, digest, loras, save_adapter, target_names
from daedal.models.checkpoint import load_model, save_model, weight_files
from daedal.models.gpt import GPT, GPTConfig
from daedal.models.identity import Base, Identity
from daedal.models.model import TokenBatch
from daedal.nn.four_bit import FourBitLinear, quantized, restored
from daedal.nn.lora import LoRA, Part

ARCHITECTURES = ("gpt2", "llama", "qwen2", "qwen3", "swift")
IDS = torch.arange(24).view(2, 12) % 64


def gpt(architecture: str, seed: int = 0, **shape: Any) -> GPT:
    """A GPT whose every weight says something; queries and keys have heads of different numbers where they may."""
    grouped = {} if architecture == "gpt2" else {"kv_heads": 2}
    values = {"vocab_size": 64, "width": 32, "depth": 2, "heads": 4, "context": 16, **grouped, **shape}
    model = GPT(GPTConfig.of(architecture, **values))  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model.eval()


def stirred(model: GPT, seed: int = 1) -> GPT:
    """The same with LoRAs that do something."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for lora in loras(model).values():
            for b in lora.b.values():
                b.copy_(torch.randn(b.shape, generator=generator) * 0.2)
    return model


def adapted(architecture: str, targets: tuple[str, ...] = (), four_bit: bool = False) -> tuple[GPT, Settings]:
    model, settings = gpt(architecture), Settings(4, 8.0, targets)
    adapt(model, settings, torch.Generator().manual_seed(0), four_bit)
    return model, settings


def saved(model: GPT, settings: Settings, base: Path, folder: Path, bits: Any = None) -> Path:
    """The folder of a LoRA, as training writes it."""
    folder.mkdir()
    beside = Base(name=str(base), weights=digest(weight_files(base)), bits=bits)
    save_adapter(model, settings, beside, folder)
    Identity.of("gpt", "chat", {"conversation": "tokenizer.json"}, ["complete"]).but(base=beside).write(folder)
    return folder


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_fresh_lora_does_what_its_base_does(architecture: str) -> None:
    before = gpt(architecture)(IDS)
    model, _ = adapted(architecture)
    assert torch.equal(model(IDS), before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_merged_lora_does_what_the_two_did(architecture: str, tmp_path: Path) -> None:
    save_model(gpt(architecture), tmp_path / "base")
    model, settings = adapted(architecture)
    stirred(model)
    found = load_model(saved(model, settings, tmp_path / "base", tmp_path / "lora"))
    assert not loras(found)
    assert (found(IDS) - gpt(architecture)(IDS)).abs().max() > 0.1
    torch.testing.assert_close(found(IDS), model(IDS), rtol=1e-4, atol=1e-4)


def test_only_thin_matrices_learn_and_only_they_are_kept() -> None:
    model, _ = adapted("qwen3")
    assert {name.rpartition(".")[0].rpartition(".")[2] for name, _ in model.named_parameters()} == {"a", "b"}
    assert model.state_dict().keys() == dict(model.named_parameters()).keys()
    model.loss(TokenBatch(IDS, IDS)).total.backward()  # type: ignore[no-untyped-call]
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert not any(buffer.requires_grad for buffer in model.buffers())


def test_the_gradients_are_those_of_the_plain_formula() -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(6, 7)
    weight, bias = linear.weight.detach().clone(), linear.bias.detach().clone()
    lora = LoRA(linear, [Part("v", 4), Part("k", 2, adapted=False), Part("q", 1)], rank=3, alpha=6.0)
    for parameter in lora.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(5, 6, requires_grad=True)
    lora(x).square().sum().backward()
    pairs = {name: (lora.a[name].detach().requires_grad_(), lora.b[name].detach().requires_grad_()) for name in "qv"}
    change = torch.cat([pairs["v"][1] @ pairs["v"][0], torch.zeros(2, 6), pairs["q"][1] @ pairs["q"][0]])
    same = x.detach().requires_grad_()
    (same @ (weight + 2.0 * change).T + bias).square().sum().backward()
    torch.testing.assert_close(x.grad, same.grad, rtol=1e-4, atol=1e-4)
    for name, (a, b) in pairs.items():
        torch.testing.assert_close(lora.a[name].grad, a.grad, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(lora.b[name].grad, b.grad, rtol=1e-4, atol=1e-4)


def test_targets_are_chosen_by_name_and_a_name_that_is_not_there_is_refused() -> None:
    model, _ = adapted("qwen3", ("q_proj", "v_proj"))
    assert {name.rpartition(".")[2] for name in loras(model)} == {"qkv"}
    assert {name for lora in loras(model).values() for name in lora.a} == {"q_proj", "v_proj"}
    assert target_names(gpt("gpt2")) == ("c_attn", "c_proj", "c_fc")
    with pytest.raises(DaedalError, match=r"no linear layer 'c_attn'.*It has q_proj, k_proj, v_proj, o_proj"):
        adapted("llama", ("c_attn",))


# -- four bits ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", [32, 128, 200])
def test_what_is_restored_is_near_what_was_put_into_four_bits(inputs: int) -> None:
    weight = torch.randn(5, inputs, generator=torch.Generator().manual_seed(0))
    codes, scales = quantized(weight, 4)
    found = restored(codes, scales, inputs)
    steps = scales.repeat_interleave(128, 1)[:, :inputs]
    assert ((found - weight).abs() <= 0.5 * steps + 1e-6).all()


def test_a_layer_in_four_bits_multiplies_by_what_they_stand_for_forward_and_back() -> None:
    torch.manual_seed(0)
    linear = torch.nn.Linear(40, 6)
    layer = FourBitLinear(linear)
    x = torch.randn(3, 40, requires_grad=True)
    layer(x).square().sum().backward()
    same = x.detach().requires_grad_()
    torch.nn.functional.linear(same, layer.weight, linear.bias.detach()).square().sum().backward()
    torch.testing.assert_close(x.grad, same.grad, rtol=1e-4, atol=1e-4)
    assert layer.codes.nbytes * 2 < linear.weight.nbytes


def test_a_lora_beside_four_bits_is_joined_with_what_it_learned_beside(tmp_path: Path) -> None:
    save_model(gpt("qwen3"), tmp_path / "base")
    model, settings = adapted("qwen3", four_bit=True)
    stirred(model)
    found = load_model(saved(model, settings, tmp_path / "base", tmp_path / "lora", bits=4))
    torch.testing.assert_close(found(IDS), model(IDS), rtol=1e-4, atol=1e-4)


# -- merging -----------------------------------------------------------------------------------------------------------


def test_merging_writes_what_the_two_are_together(tmp_path: Path) -> None:
    codec = TextCodec.train("byte", [])
    save_model(gpt("qwen3", vocab_size=codec.vocab_size), tmp_path / "base", codec=codec)
    model = gpt("qwen3", vocab_size=codec.vocab_size)
    settings = Settings(4, 8.0)
    adapt(model, settings, torch.Generator().manual_seed(0))
    folder = saved(stirred(model), settings, tmp_path / "base", tmp_path / "lora")
    made = merge(folder, tmp_path / "merged")
    assert not (made / CONFIG).exists()
    for one, other in zip(load_model(made).parameters(), load_model(folder).parameters(), strict=True):
        assert torch.equal(one, other)


def test_merging_in_half_precision_rounds_once(tmp_path: Path) -> None:
    save_model(gpt("llama"), tmp_path / "base", dtype=torch.bfloat16)
    whole = load_model(tmp_path / "base", dtype=torch.float32)
    model, settings = adapted("llama")
    folder = saved(stirred(model), settings, tmp_path / "base", tmp_path / "lora")
    change = {name: lora.difference() for name, lora in loras(model).items()}
    found = load_model(folder)
    for name, difference in change.items():
        expected = (whole.get_parameter(f"{name}.weight") + difference).bfloat16()
        assert torch.equal(found.get_parameter(f"{name}.weight"), expected)


def test_what_has_no_lora_is_not_merged(tmp_path: Path) -> None:
    save_model(gpt("llama"), tmp_path / "base", codec=TextCodec.train("byte", []))
    assert "holds no LoRA" in mistake("merge", tmp_path / "base", "--out", tmp_path / "merged")


# -- the base, and files that are not as they should be ----------------------------------------------------------------


@pytest.fixture
def lora(tmp_path: Path) -> Path:
    save_model(gpt("llama"), tmp_path / "models" / "base")
    model, settings = adapted("llama")
    return saved(stirred(model), settings, tmp_path / "models" / "base", tmp_path / "models" / "lora")


def test_a_base_that_moved_with_its_lora_is_found(lora: Path, tmp_path: Path) -> None:
    before = load_model(lora)(IDS)
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    assert torch.equal(load_model(tmp_path / "elsewhere" / "lora")(IDS), before)


def test_a_base_that_is_gone_is_told_in_one_line(lora: Path, tmp_path: Path) -> None:
    (lora.parent / "base").rename(tmp_path / "put-away")
    with pytest.raises(DaedalError, match=r"its base is not at .*base any more"):
        load_model(lora)


def test_a_base_with_other_weights_is_refused(lora: Path) -> None:
    save_model(gpt("llama", seed=5), lora.parent / "base")
    with pytest.raises(DaedalError, match=r"are not those that .* was trained beside"):
        load_model(lora)


def test_a_lora_of_another_model_is_refused(lora: Path) -> None:
    (lora / "daedal.json").unlink()  # which knows the weights of the base
    save_model(gpt("llama", width=48, heads=4), lora.parent / "base")
    with pytest.raises(DaedalError, match="and its base has 48 x"):
        load_model(lora)
    save_model(gpt("gpt2"), lora.parent / "base")
    with pytest.raises(DaedalError, match="which its base has not"):
        load_model(lora)


def damaged(lora: Path, tensors: dict[str, torch.Tensor] | None = None, **config: Any) -> Path:
    if tensors is not None:
        save_file(tensors, lora / WEIGHTS)
    path = lora / CONFIG
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return lora


def test_damaged_files_are_told_in_one_line(lora: Path) -> None:
    good = load_file(lora / WEIGHTS)
    name = next(each for each in good if each.endswith("lora_A.weight"))
    cases: list[tuple[dict[str, torch.Tensor], str]] = [
        ({name: good[name]}, "A and B of"),
        ({**good, name: good[name] * float("nan")}, "not finite numbers"),
        ({**good, "base_model.model.lm_head.lora_embedding_A": good[name].clone()}, "no part of a LoRA"),
        ({}, "holds no weights"),
        ({each: tensor[:0] if "lora_A" in each else tensor[:, :0] for each, tensor in good.items()}, "has rank 0"),
        ({each: 1e30 * tensor for each, tensor in good.items()}, "with its LoRA holds weights that are not finite"),
    ]
    for tensors, told in cases:
        with pytest.raises(DaedalError, match=told):
            load_model(damaged(lora, tensors))
    (lora / WEIGHTS).write_bytes(b"not weights")
    with pytest.raises(DaedalError, match="truncated or not a safetensors file"):
        load_model(lora)
    (lora / WEIGHTS).unlink()
    (lora / "adapter_model.bin").write_bytes(b"")
    with pytest.raises(DaedalError, match="only as a pickle"):
        load_model(lora)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"r": 10**9}, "r cannot be so large"),
        ({"r": 7}, "has rank 4, and adapter_config.json says 7"),
        ({"r": None}, "r is missing"),
        ({"r": "4"}, "r is no number"),
        ({"lora_alpha": 10**400}, "lora_alpha cannot be so large"),
        ({"lora_alpha": float("nan")}, "lora_alpha is no number"),
        ({"lora_alpha": float("inf")}, "lora_alpha is no number"),
        ({"base_model_name_or_path": "/" + "a" * 5000}, "does not say of which base"),
    ],
)
def test_a_configuration_that_cannot_be_is_told(lora: Path, config: dict[str, Any], told: str) -> None:
    (lora / "daedal.json").unlink()
    with pytest.raises(DaedalError, match=told):
        load_model(damaged(lora, **config))


@pytest.mark.parametrize(
    "config", [{"peft_type": "IA3"}, {"use_dora": True}, {"bias": "all"}, {"rank_pattern": {"q_proj": 2}}],
    ids=["ia3", "dora", "bias", "ranks"],
)  # fmt: skip
def test_what_only_others_can_is_refused(lora: Path, config: dict[str, Any]) -> None:
    with pytest.raises(DaedalError, match="is not supported"):
        load_model(damaged(lora, **config))


# -- PEFT --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen2", "qwen3"])
def test_what_is_written_here_opens_in_peft(architecture: str, tmp_path: Path) -> None:
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    save_model(gpt(architecture), tmp_path / "base")
    for number, targets in enumerate(((), ("c_attn",) if architecture == "gpt2" else ("q_proj", "down_proj"))):
        model, settings = adapted(architecture, targets)
        folder = saved(stirred(model), settings, tmp_path / "base", tmp_path / f"lora{number}")
        theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
        opened = peft.PeftModel.from_pretrained(theirs, folder).eval()
        torch.testing.assert_close(opened(IDS).logits, model(IDS), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("architecture", ["gpt2", "llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("rslora", [False, True])
def test_what_peft_writes_opens_here(architecture: str, rslora: bool, tmp_path: Path) -> None:
    peft, transformers = pytest.importorskip("peft"), pytest.importorskip("transformers")
    save_model(gpt(architecture), tmp_path / "base")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    config = peft.LoraConfig(
        r=3, lora_alpha=7, target_modules="all-linear", use_rslora=rslora, init_lora_weights=False,
        task_type="CAUSAL_LM", fan_in_fan_out=architecture == "gpt2",
    )  # fmt: skip
    made = peft.get_peft_model(copy.deepcopy(theirs), config).eval()
    made.save_pretrained(tmp_path / "lora")
    torch.testing.assert_close(load_model(tmp_path / "lora")(IDS), made(IDS).logits, rtol=1e-4, atol=1e-4)
