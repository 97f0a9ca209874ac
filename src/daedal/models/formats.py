"""How checkpoints are laid out for other programs: which of Transformers' classes is which family here, and the module that
knows the names of its configuration and of its tensors. Nothing here needs PyTorch.

`checkpoint.py` reads and writes by these; a format of its own is a module that offers what `Format` says, and its lines here.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol, cast

from daedal.config import Config
from daedal.errors import DaedalError

if TYPE_CHECKING:
    from daedal.models.model import Model

_ENCODERS = {
    f"{name}{head}": family
    for name in ("Bert", "Roberta", "DistilBert", "ModernBert")
    for head, family in {
        "ForMaskedLM": "bert",
        "Model": "embedder",
        "ForSequenceClassification": "classifier",
        "ForTokenClassification": "tagger",
        "ForQuestionAnswering": "answerer",
    }.items()
}
_REWARDS = {f"{name}ForSequenceClassification": "reward" for name in ("GPT2", "Llama", "Mistral", "Qwen2", "Qwen3")}
CLASSES = {
    "GPT2LMHeadModel": "gpt",
    "LlamaForCausalLM": "gpt",
    "MistralForCausalLM": "gpt",
    "Qwen2ForCausalLM": "gpt",
    "Qwen3ForCausalLM": "gpt",
    **_REWARDS,
    **_ENCODERS,
    "BertForPreTraining": "bert",
    "T5ForConditionalGeneration": "translator",
    "MarianMTModel": "translator",
}
"""The families of Transformers' classes."""
_UNNAMED = {
    "gpt2": "gpt", "llama": "gpt", "mistral": "gpt", "qwen2": "gpt", "qwen3": "gpt", "daedal_swift": "gpt",
    "daedal_swift_reward": "reward",
    "bert": "bert", "roberta": "bert", "distilbert": "bert", "modernbert": "bert",
    "t5": "translator", "marian": "translator", "daedal_rotary": "translator",
}  # fmt: skip
_MODULES = {
    "gpt": "daedal.models.huggingface",
    "reward": "daedal.models.huggingface_rewards",
    "translator": "daedal.models.huggingface_translators",
    **dict.fromkeys(_ENCODERS.values(), "daedal.models.huggingface_encoders"),
}


@dataclass(frozen=True)
class TensorName:
    """Where a tensor of a checkpoint lives in the model: a parameter, or a block of its rows.

    Attributes:
        transposed: the file holds columns as rows.
        paired: the head width, where the first dimension is rotary channels: the file holds the first of all pairs,
            then the second of all; the model holds each pair together.
        turned: so many of the first rows are rotary channels; all, unless given.
    """

    file: str
    parameter: str
    rows: tuple[int, int] | None = None
    transposed: bool = False
    paired: int = 0
    turned: int | None = None


class Format(Protocol):
    """What a module knows of the checkpoints of some families."""

    def read_config(self, value: Any, where: str) -> Config:
        """The configuration in a `config.json`.

        Raises:
            DaedalError: a field is wrong, or asks for other mathematics.
        """

    def write_config(self, config: Any) -> dict[str, Any]:
        """The `config.json` of a model."""

    def generation(self, config: Any) -> dict[str, Any] | None:
        """What `generation_config.json` says, besides the special tokens, of how texts are written; nothing where none are."""

    def outline(self, config: Any) -> "Model":
        """The model of a configuration."""

    def tensor_names(self, config: Any) -> Iterator[TensorName]:
        """Every tensor of a checkpoint."""

    def tokenizer_settings(self, config: Any) -> dict[str, Any]:
        """What `tokenizer_config.json` must say of a model's tokenizer."""

    def settle(self, config: Any, tensors: dict[str, Any]) -> Config:
        """Give tensors that older programs named otherwise today's names, in place.

        Returns:
            The configuration that the weights ask for, where they know better.
        """

    def spare(self, config: Any) -> Collection[str]:
        """Names, or ends of names, of tensors that a checkpoint may have and the model needs not."""


def family_of(value: Any, where: str) -> str:
    """The family of the model that a `config.json` describes.

    Raises:
        DaedalError: it describes none, or one that is not supported.
    """
    if not isinstance(value, dict):
        raise DaedalError(f"{where} does not hold a JSON object", "Restore it from a copy")
    kind, named = str(value.get("model_type")), value.get("architectures")
    if not named and kind in _UNNAMED:
        return _UNNAMED[kind]
    if isinstance(named, list) and len(named) == 1 and isinstance(named[0], str) and named[0] in CLASSES:
        return CLASSES[named[0]]
    raise DaedalError(
        f"{where}: models of kind {named or [kind]!r:.100} are not supported", f"Choose one of {', '.join(CLASSES)}"
    )


def format_of(family: str) -> Format | None:
    """What knows the checkpoints of a family; None for one that opens in Daedal only."""
    return cast(Format, import_module(_MODULES[family])) if family in _MODULES else None


def differ(head: Any, *tables: Any) -> bool:
    """Whether a stored output layer is not the same as the embedding beside it, the first of `tables` that is stored."""
    table = next((each for each in tables if each is not None), None)
    if head is None or table is None or not head.get_shape() or head.get_shape() != table.get_shape():
        return False
    if not {head.get_dtype(), table.get_dtype()} <= {"F64", "F32", "F16", "BF16"}:
        return True
    return not bool((head[:] == table[:]).all())


ACTIVATIONS = {
    "silu": "silu", "swish": "silu", "gelu": "gelu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu", "relu2": "relu_squared",
}  # fmt: skip
ACTIVATION_NAMES = {
    "silu": "silu", "gelu": "gelu", "gelu_tanh": "gelu_new", "relu": "relu", "relu_squared": "relu2",
}  # fmt: skip


def activation(name: Any, where: str) -> str:
    """
    Raises:
        DaedalError: there is none of that name.
    """
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise DaedalError(f"{where}: the activation {name!r} is not supported", f"One of {', '.join(ACTIVATIONS)} is")
    return ACTIVATIONS[name]


def whole(where: str, **values: Any) -> None:
    """Make sure of fields that take part in arithmetic before they are validated.

    Raises:
        DaedalError: one is not a positive whole number.
    """
    for name, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise DaedalError(f"{where}: {name} = {value!r} is not a positive whole number", "Correct that value")


def refuse(value: Mapping[str, Any], allowed: Mapping[str, tuple[Any, ...]], where: str) -> None:
    """
    Raises:
        DaedalError: a field has a value that is none of those allowed.
    """
    for field, values in allowed.items():
        if field in value and value[field] not in values:
            raise DaedalError(
                f"{where}: {field} = {value[field]!r} is not supported: it changes what the model computes",
                "Load the model with Transformers",
            )
