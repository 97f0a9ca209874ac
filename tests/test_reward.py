"""A reward model: Transformers' numbers both ways, the loss by hand, learning, use and evaluation."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from daedal.errors import DaedalError
from daedal.models.bradley_terry import bradley_terry_loss, preferred
from daedal.models.checkpoint import load_model, save_model
from daedal.models.huggingface_rewards import CLASSES
from daedal.models.reward import Reward, RewardConfig
from daedal.models.sequences import Sequences
from tiny_models import noisy

transformers = pytest.importorskip("transformers")
torch.set_num_threads(1)
PAD = 96


# -- the model ---------------------------------------------------------------------------------------------------------


def theirs(architecture: str, **changes: Any) -> Any:
    """A small random reward model of Transformers."""
    values: dict[str, Any] = {
        "vocab_size": 97, "num_labels": 1, "pad_token_id": PAD, "bos_token_id": 1, "eos_token_id": 2, **changes,
    }  # fmt: skip
    if architecture == "gpt2":
        values |= {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64}
    else:
        values |= {
            "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
            "num_key_value_heads": 2, "max_position_embeddings": 64, "head_dim": 8,
        }  # fmt: skip
    torch.manual_seed(1)
    config = transformers.AutoConfig.for_model(architecture).__class__(**values, attn_implementation="eager")
    model = getattr(transformers, CLASSES[architecture])(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model.eval()


def rows() -> list[list[int]]:
    """Of unequal length; one ends with what fills up, and one has it in its middle."""
    generator = torch.Generator().manual_seed(3)
    found = [torch.randint(0, PAD, (length,), generator=generator).tolist() for length in (9, 3, 17, 6)]
    found[1][-1] = found[2][4] = PAD
    return found


def rewards_there(model: Any, padded: list[list[int]]) -> torch.Tensor:
    """Filled up to the right and read at once."""
    longest = max(map(len, padded))
    ids = torch.tensor([row + [PAD] * (longest - len(row)) for row in padded])
    mask = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in padded])
    with torch.no_grad():
        return torch.as_tensor(model(ids, attention_mask=mask).logits[:, 0])


@pytest.mark.parametrize("architecture", CLASSES)
def test_a_reward_model_of_transformers_gives_the_same_numbers_here_and_back(architecture: str, tmp_path: Path) -> None:
    model = theirs(architecture, **({"sliding_window": 5} if architecture == "mistral" else {}))
    model.save_pretrained(tmp_path / "theirs")
    mine = load_model(tmp_path / "theirs")
    assert isinstance(mine, Reward)
    with torch.no_grad():
        found = mine(Sequences.of(rows()))
    expected = rewards_there(model, rows())
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    save_model(mine, tmp_path / "mine")
    back = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "mine").eval()
    assert back.config.num_labels == 1
    torch.testing.assert_close(rewards_there(back, rows()), expected, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("architecture", [*CLASSES, "swift"])
def test_packed_is_one_by_one(architecture: Any, tmp_path: Path) -> None:
    config = RewardConfig.of(architecture, vocab_size=97, width=32, depth=2, heads=2, context=32, pad_id=PAD)
    model = noisy(Reward(config), 1)
    with torch.no_grad():
        together = model(Sequences.of(rows()))
        alone = torch.cat([model(Sequences.of([row])) for row in rows()])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
    save_model(model, tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(load_model(tmp_path)(Sequences.of(rows())), together, atol=1e-5, rtol=1e-5)


def test_several_labels_are_no_reward(tmp_path: Path) -> None:
    theirs("llama", num_labels=3).save_pretrained(tmp_path)
    with pytest.raises(DaedalError, match="3 labels"):
        load_model(tmp_path)


# -- the loss ----------------------------------------------------------------------------------------------------------


def test_bradley_terry_by_hand() -> None:
    chosen, rejected = torch.tensor([0.0, math.log(3), 1.0]), torch.tensor([0.0, 0.0, 1.0])
    found = bradley_terry_loss(chosen, rejected)
    # odds of one to one, of three to one, and of one to one
    torch.testing.assert_close(found, torch.tensor([math.log(2), math.log(4 / 3), math.log(2)]))
    # a margin of log 3 takes the three to one back
    with_margin = bradley_terry_loss(chosen[1:2], rejected[1:2], torch.tensor([math.log(3)]))
    torch.testing.assert_close(with_margin, torch.tensor([math.log(2)]))
    assert torch.isfinite(bradley_terry_loss(torch.tensor([-1e4]), torch.tensor([1e4]))).all()


def test_ties_are_half_right() -> None:
    chosen, rejected = torch.tensor([1.0, 0.0, 2.0]), torch.tensor([0.0, 1.0, 2.0])
    assert preferred(chosen, rejected).tolist() == [1.0, 0.0, 0.5]
