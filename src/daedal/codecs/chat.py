"""A conversation as the one text that a model was trained on: Jinja chat templates as Transformers writes them.

Templates come with downloaded models, so they run in Jinja's immutable sandbox, with products of numbers and strings bounded.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from daedal.codecs.jinja import Sandbox
from daedal.errors import DaedalError
from daedal.files import read_json, regular_size

PLAIN = (
    "{% for message in messages %}"
    "{{ {'user': 'User', 'assistant': 'Assistant', 'system': 'System'}.get(message['role'], message['role']) }}: "
    "{{ message['content'] | trim }}\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}Assistant:{% endif %}"
)
"""For models that bring no template: one line a turn."""

TURNS = ("<|im_start|>", "<|im_end|>")
CHATML = (
    "{%- if tools %}{{ '<|im_start|>system\\n' }}"
    "{%- if messages[0]['role'] == 'system' %}{{ messages[0]['content'] + '\\n\\n' }}{%- endif %}"
    "{{ 'You may call these functions:\\n<tools>\\n' }}"
    "{%- for tool in tools %}{{ (tool | tojson) + '\\n' }}{%- endfor %}"
    '{{ \'</tools>\\nWrite a call so:\\n<tool_call>\\n{"name": ..., "arguments": ...}\\n</tool_call><|im_end|>\\n\' }}'
    "{%- endif %}"
    "{%- for message in messages %}"
    "{%- if not (tools and loop.first and message['role'] == 'system') %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{%- if message['content'] %}{{ message['content'] }}{%- endif %}"
    "{%- for call in message['tool_calls'] or [] %}"
    "{%- set function = call['function'] or call %}"
    "{%- if message['content'] or not loop.first %}{{ '\\n' }}{%- endif %}"
    "{{ '<tool_call>\\n{\"name\": ' + (function['name'] | tojson) + ', \"arguments\": ' }}"
    "{%- if function['arguments'] is string %}{{ function['arguments'] }}"
    "{%- else %}{{ function['arguments'] | tojson }}{%- endif %}"
    "{{ '}\\n</tool_call>' }}"
    "{%- endfor %}"
    "{{ '<|im_end|>\\n' }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}"
)
"""For models that learn conversations from nothing: ChatML, with tools as Hermes and Qwen write them."""

LINES = (
    "{%- macro called(message) %}"
    "{%- for call in message['tool_calls'] or [] %}"
    "{%- set function = call['function'] or call %}"
    "{{ '\\n<tool_call>\\n{\"name\": ' + (function['name'] | tojson) + ', \"arguments\": ' }}"
    "{%- if function['arguments'] is string %}{{ function['arguments'] }}"
    "{%- else %}{{ function['arguments'] | tojson }}{%- endif %}"
    "{{ '}\\n</tool_call>' }}"
    "{%- endfor %}"
    "{%- endmacro %}"
    "{%- set names = {'user': 'User', 'system': 'System', 'tool': 'Tool'} %}"
    "{%- if tools %}{{ 'System: ' }}"
    "{%- if messages[0]['role'] == 'system' %}{{ (messages[0]['content'] | trim) + '\\n' }}{%- endif %}"
    "{{ 'You may call these functions:\\n<tools>\\n' }}"
    "{%- for tool in tools %}{{ (tool | tojson) + '\\n' }}{%- endfor %}"
    '{{ \'</tools>\\nWrite a call so:\\n<tool_call>\\n{"name": ..., "arguments": ...}\\n</tool_call>\\n\' }}'
    "{%- endif %}"
    "{%- for message in messages %}"
    "{%- if not loop.first and messages[loop.index0 - 1]['role'] == 'assistant' %}{{ '\\n' }}{%- endif %}"
    "{%- if message['role'] == 'assistant' %}"
    "{{ 'Assistant:' }}{%- if message['content'] %}{{ ' ' + (message['content'] | trim) }}{%- endif %}"
    "{{ called(message) + eos_token }}"
    "{%- elif not (tools and loop.first and message['role'] == 'system') %}"
    "{{ names.get(message['role'], message['role']) + ': ' + (message['content'] | trim) + '\\n' }}"
    "{%- endif %}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{%- if messages and messages[-1]['role'] == 'assistant' %}{{ '\\n' }}{%- endif %}{{ 'Assistant:' }}"
    "{%- endif %}"
)
"""For models that have learned texts alone and are to learn conversations: a line a turn, an answer ended by the end of a text,
and no token that is new to them."""

_MAX_TEMPLATE = 2**20
_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True)
class ChatTemplate:
    """Turns messages into a prompt.

    Attributes:
        source: the Jinja text.
        tokens: special tokens that the template may name, such as `bos_token`.
        named: other templates of the same model, such as `tool_use`.
    """

    source: str = PLAIN
    tokens: Mapping[str, str] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """The template in a folder: `chat_template.jinja`, or that of `tokenizer_config.json`, or the plain one.

        Raises:
            DaedalError: a file is damaged.
        """
        folder = Path(folder)
        settings_path, path = folder / "tokenizer_config.json", folder / "chat_template.jinja"
        settings = read_json(settings_path) if settings_path.exists() else {}
        if not isinstance(settings, dict):
            raise DaedalError(f"{settings_path} does not hold a JSON object", "Restore it from a copy")
        found = settings.get("chat_template")
        if path.exists():
            found = read_template(path)
        tokens = {name: _content(settings[name]) for name in _TOKENS if settings.get(name) is not None}
        if found is None:
            return cls(tokens=tokens)
        if isinstance(found, str):
            return cls(found, tokens)
        try:
            named = {str(entry["name"]): str(entry["template"]) for entry in found}
        except (TypeError, KeyError):
            raise DaedalError(f"{settings_path}: chat_template is neither text nor a list of named templates") from None
        if "default" not in named:
            raise DaedalError(f"{settings_path}: no chat template is named default", f"It has {', '.join(named)}")
        return cls(named["default"], tokens, named)

    @property
    def plain(self) -> bool:
        """Whether the model brought no template."""
        return self.source == PLAIN

    @property
    def renders_tools(self) -> bool:
        """Whether the template tells the model of tools."""
        return "tools" in self.source

    def render(self, messages: Sequence[Mapping[str, Any]], add_generation_prompt: bool = True, **values: Any) -> str:
        """The prompt for a conversation.

        Args:
            messages: each with `role` and `content`.
            add_generation_prompt: end with what the model's answer follows.
            values: more for the template, such as `tools`.

        Raises:
            DaedalError: the template is faulty or refuses these messages.
        """
        given = {**self.tokens, "tools": None, "documents": None, **values}
        try:
            return self._template.render(messages=messages, add_generation_prompt=add_generation_prompt, **given)
        except jinja2.TemplateError as error:
            raise DaedalError(f"The chat template refuses this conversation ({error.message or error})") from None
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
            raise DaedalError(f"The chat template fails on this conversation ({error})") from None

    @cached_property
    def stops(self) -> tuple[str, ...]:
        """What ends the model's answer: what the template writes after one, or else what begins the next question."""
        first, second = {"role": "user", "content": "Q0"}, {"role": "user", "content": "Q1"}
        answer = {"role": "assistant", "content": "A0"}
        try:
            alone = self.render([first, answer], add_generation_prompt=False)
            text = self.render([first, answer, second], add_generation_prompt=False)
        except DaedalError:
            return ()
        end = alone.partition("A0")[2].strip() or text.partition("A0")[2].partition("Q1")[0].rstrip()
        return (end,) if end else ()

    @cached_property
    def skeleton(self) -> str:
        """What the template writes around messages that say nothing of their own; empty where it refuses all of these."""
        said = [{"role": role, "content": "Q"} for role in ("system", "user", "assistant", "user")]
        for messages in (said, said[1:], said[1:2]):
            try:
                return self.render(messages, add_generation_prompt=False)
            except DaedalError:
                continue
        return ""

    @cached_property
    def _template(self) -> jinja2.Template:
        if len(self.source) > _MAX_TEMPLATE:
            raise DaedalError("The chat template is larger than 1 MiB", "It is not a template")
        environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"])
        environment.filters["tojson"] = _tojson
        environment.globals["raise_exception"] = _raise_exception
        environment.globals["strftime_now"] = _strftime_now
        try:
            return environment.from_string(self.source)
        except (jinja2.TemplateError, RecursionError) as error:
            raise DaedalError(f"The chat template is faulty ({error})", "Restore it from a copy") from None


class _Generation(Extension):
    """`{% generation %}` marks the assistant's words for training; here it only gives its body."""

    tags = {"generation"}  # noqa: RUF012

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


def _tojson(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    """As Transformers has it: Jinja's own escapes HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def read_template(path: Path) -> str:
    """A chat template, as it stands in its file.

    Raises:
        DaedalError: it cannot be read, or is too large to be one.
    """
    try:
        if regular_size(path) > _MAX_TEMPLATE:
            raise DaedalError(f"{path} is larger than 1 MiB", "It is not a template")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DaedalError(f"{path} cannot be read ({error})", "Restore it from a copy") from None


def _content(token: Any) -> str:
    return str(token.get("content", "")) if isinstance(token, dict) else str(token)
