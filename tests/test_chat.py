"""Chat templates give what Transformers gives, and hostile ones give one clear line."""

import json
from pathlib import Path
from typing import Any

import pytest

from daedal.codecs.chat import ChatTemplate
from daedal.codecs.text import TextCodec
from daedal.errors import DaedalError

transformers = pytest.importorskip("transformers")

CHATML = (
    "{%- if tools %}\n    {{- '<|im_start|>system\\n' }}\n    {%- for tool in tools %}\n        {{- tool | tojson }}\n"
    "    {%- endfor %}\n    {{- '<|im_end|>\\n' }}\n{%- endif %}\n"
    "{%- for message in messages %}\n    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' "
    "+ '\\n' }}\n{%- endfor %}\n{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}\n{%- endif %}\n"
)
INST = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
HEADERS = (
    "{{- bos_token }}\n{%- if not date_string is defined %}\n    {%- set date_string = strftime_now('%d %b %Y') %}\n"
    "{%- endif %}\n{%- for message in messages %}\n    {%- if message.role == 'skip' %}{% continue %}{% endif %}\n"
    "    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}\n"
    "    {% generation %}{{- message['content'] | trim + '<|eot_id|>' }}{% endgeneration %}\n"
    "    {%- if loop.first %}{{ 'Today: ' ~ date_string }}{% endif %}\n{%- endfor %}\n"
    "{%- if add_generation_prompt %}\n    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}\n{%- endif %}\n"
)
TALK = [
    {"role": "user", "content": ' Hello <b>&amp; "you"</b> é漢 '},
    {"role": "assistant", "content": "Good day.\n"},
    {"role": "user", "content": "And then?"},
]


def folder(path: Path, **settings: Any) -> Path:
    TextCodec.train("byte", []).save(path)
    config = path / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    return path


@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("source", [CHATML, INST, HEADERS], ids=["chatml", "inst", "headers"])
def test_rendering_agrees_with_transformers(source: str, add: bool, tmp_path: Path) -> None:
    folder(tmp_path, chat_template=source)
    other = transformers.AutoTokenizer.from_pretrained(tmp_path)
    tools = [{"name": "clock", "text": "<é>"}] if source is CHATML else None
    expected = other.apply_chat_template(TALK, tools=tools, tokenize=False, add_generation_prompt=add)
    assert ChatTemplate.load(tmp_path).render(TALK, add_generation_prompt=add, tools=tools) == expected


def test_a_jinja_file_comes_before_the_configuration(tmp_path: Path) -> None:
    folder(tmp_path, chat_template="old")
    (tmp_path / "chat_template.jinja").write_text("new", encoding="utf-8")
    assert ChatTemplate.load(tmp_path).render(TALK) == "new"


def test_named_templates_use_the_default_one(tmp_path: Path) -> None:
    named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]
    loaded = ChatTemplate.load(folder(tmp_path, chat_template=named))
    assert loaded.render(TALK) == "plain"
    assert loaded.named["tool_use"] == "tools"


def test_a_model_without_a_template_speaks_in_lines(tmp_path: Path) -> None:
    plain = ChatTemplate.load(folder(tmp_path))
    assert plain.render([{"role": "user", "content": "Hi"}]) == "User: Hi\nAssistant:"
    assert plain.stops == ("\nUser:",)


def test_the_end_of_a_turn_is_read_from_the_template() -> None:
    assert ChatTemplate(CHATML).stops == ("<|im_end|>",)
    assert ChatTemplate(HEADERS, {"bos_token": ""}).stops == ("<|eot_id|>",)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ 'a' * 10**9 }}",
        "{{ 10 ** 10 ** 10 }}",
        "{% for i in range(10**9) %}{% endfor %}",
        "{{ raise_exception('no') }}",
        "{% if %}",
        "{{ 1 / 0 }}",
        "{{ messages[0].content.undefined.more }}",
        "x" * (2**20 + 1),
    ],
)
def test_hostile_and_faulty_templates_give_one_clear_line(source: str) -> None:
    with pytest.raises(DaedalError) as caught:
        ChatTemplate(source).render(TALK)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("found", [3, ["x"], [{"name": "other", "template": ""}]])
def test_a_damaged_setting_is_named(found: Any, tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="chat"):
        ChatTemplate.load(folder(tmp_path, chat_template=found))
