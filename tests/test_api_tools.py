"""Tools: how a model is told of them, the grammar that its calls follow, and how calls are found in its text."""

import json
import time
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper

from daedal.inference.enforced_schema import EnforcedSchema, one_way
from daedal.serving.calls import CallReader
from daedal.serving.chat import split
from daedal.serving.errors import ApiError
from daedal.serving.grammar import constraint, left_out
from daedal.serving.tools import Function, Toolbox, conversation

CITY = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
WEATHER, TIME = Function("weather", "Tells the weather", CITY), Function("time", "", {})
CALLED = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
ASKED = '<tool_call>\n{"name": "time", "arguments": {}}\n</tool_call>'


class Bytes:
    """A vocabulary of bytes."""

    eos_token_id, bos_token_id = 256, None
    tokens = [bytes([byte]) for byte in range(256)] + [b"<end>"]
    special_token_ids = [256]  # noqa: RUF012

    def __call__(self, text: bytes | str) -> list[int]:
        return list(text.encode() if isinstance(text, str) else text)


VOCABULARY = LLTokenizer(TokenizerWrapper(Bytes()), n_vocab=257, eos_token=256)


def accepts(grammar: str, text: str) -> bool:
    """Whether a text may be written, and may end there."""
    matcher = LLMatcher(VOCABULARY, grammar, log_level=0)
    assert not matcher.is_error(), matcher.get_error()
    return all(matcher.consume_token(byte) for byte in text.encode()) and bool(matcher.is_accepting())


def grammar(*choice: Any, form: Any = None, **values: Any) -> str:
    made = constraint(Toolbox.choose([WEATHER, TIME], *choice, **values), form)
    assert made is not None
    assert made["kind"] == "lark"
    return str(made["grammar"])


# -- grammars ----------------------------------------------------------------------------------------------------------


def test_auto_lets_the_model_write_words_or_calls_or_both() -> None:
    auto = grammar("auto")
    for text in ("", "Hello!\nA < B <tool", CALLED, "Let me see.\n" + CALLED, f"{CALLED}\n{ASKED}"):
        assert accepts(auto, text), text
    for text in ("<tool_call>", CALLED + " and", CALLED.replace("Paris", '"'), CALLED.replace('"city"', '"town"')):
        assert not accepts(auto, text), text
    assert not accepts(auto, CALLED.replace("weather", "rain"))


def test_required_and_named_choices_force_a_call() -> None:
    for text, required, named in [
        (CALLED, True, True),
        (ASKED, True, False),
        ("Hello", False, False),
        ("", False, False),
    ]:
        assert accepts(grammar("required"), text) is required
        assert accepts(grammar("function", ["weather"]), text) is named
        assert accepts(grammar("required", ["weather"]), text) is named


def test_one_call_at_most_where_calls_are_not_parallel() -> None:
    twice = f"{CALLED}\n{ASKED}"
    assert accepts(grammar("required"), twice)
    assert not accepts(grammar("required", several=False), twice)
    assert not accepts(grammar("auto", several=False), twice)


def test_words_keep_the_form_that_was_asked_for() -> None:
    schema = grammar("auto", form={"kind": "json_schema", "schema": CITY})
    assert accepts(schema, '{"city": "Rome"}')
    assert accepts(schema, CALLED)
    assert not accepts(schema, "Rome")
    assert accepts(grammar("auto", form={"kind": "json_object"}), '{"any": [1, 2]}')


def test_a_schema_cannot_loosen_the_form_of_json() -> None:
    loose = Function("f", "", {"x-guidance": {"whitespace_flexible": True}})
    made = constraint(Toolbox.choose([loose], "required"), None)
    assert made is not None
    assert not accepts(made["grammar"], '<tool_call>\n{"name": "f", "arguments": {          }}\n</tool_call>')


def test_descriptions_cannot_break_out_of_a_grammar() -> None:
    tricky = Function(
        "f", 'x"\nstart: /.*/', {"description": '"\n\nstart: /.*/\n', "properties": {'a"b\\\n': {"const": "é/"}}}
    )
    made = constraint(Toolbox.choose([tricky], "required"), None)
    assert made is not None
    arguments = json.dumps({'a"b\\\n': "é/"}, ensure_ascii=False)
    assert accepts(made["grammar"], f'<tool_call>\n{{"name": "f", "arguments": {arguments}}}\n</tool_call>')
    assert not accepts(made["grammar"], "anything")


# As zod and pydantic write them
UNENFORCEABLE: dict[str, Any] = {
    "record": {"type": "object", "propertyNames": {"type": "string", "minLength": 1}, "additionalProperties": {}},
    "email": {"type": "string", "format": "email", "pattern": r"^(?!\.)(?!.*\.\.)[a-z]+@[a-z]+$"},
    "set": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    "not": {"not": {"type": "null"}},
    "contains": {"type": "array", "contains": {"type": "string"}},
    "one": {"oneOf": [{"type": "string"}, {"type": "string", "maxLength": 3}]},
    "word": {"type": "string", "pattern": r"\bfoo"},
    "least": {"type": "object", "properties": {"b": {"type": "string"}}, "minProperties": 1},
    "names": {"type": "object", "patternProperties": {"^(?!x)": {"type": "string"}}, "additionalProperties": False},
    "when": {"if": {"type": "string"}, "then": {"minLength": 2}},
}
NOTES: dict[str, Any] = {
    "path": {"type": "string", "format": "path"},
    "secret": {"type": "string", "format": "password", "writeOnly": True},
    "bytes": {"type": "string", "format": "binary", "contentEncoding": "base64"},
    "any": {"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {"type": "string"}},
    "list": {"type": "array", "uniqueItems": False},
    "never": {"type": "object", "properties": {"b": {"not": {}}}},
    "needed": {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"], "minProperties": 1},
    "half": {"type": "string", "then": {"minLength": 2}},
    "least": {"type": "object", "minProperties": 0},
    "format": {"type": "object", "properties": {"format": {"type": "string"}, "not": {"type": "string"}}},
}


def with_field(schema: Any, strict: bool = False) -> str:
    function = Function("f", "", {"type": "object", "properties": {"a": schema}, "required": ["a"]}, strict)
    made = constraint(Toolbox.choose([function], "required"), None)
    assert made is not None
    return str(made["grammar"])


@pytest.mark.parametrize("name", UNENFORCEABLE)
def test_what_cannot_be_enforced_is_left_out_of_a_tool_unless_it_is_strict(name: str) -> None:
    assert not LLMatcher.validate_grammar(with_field(UNENFORCEABLE[name]))
    if name == "one":
        return  # whether two schemas of a oneOf can meet only the engine knows
    with pytest.raises(
        ApiError,
        match=r"The tool 'f' is strict, and this in its schema cannot be enforced: properties\.a\.\w+.*\. Leave it out",
    ) as refused:
        with_field(UNENFORCEABLE[name], strict=True)
    assert refused.value.param == "tools"


@pytest.mark.parametrize("name", NOTES)
def test_what_forbids_nothing_is_no_fault_of_a_schema(name: str) -> None:
    assert not LLMatcher.validate_grammar(with_field(NOTES[name]))
    assert not LLMatcher.validate_grammar(with_field(NOTES[name], strict=True))
    assert not LLMatcher.validate_grammar(
        LLMatcher.grammar_from_json_schema(one_way(EnforcedSchema.of(NOTES[name]).schema))
    )


def test_a_strict_tool_takes_no_properties_but_its_own() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "integer"}}}
    for strict in (False, True):
        made = with_field(inner, strict)
        call = '<tool_call>\n{"name": "f", "arguments": {"a": {%s}}}\n</tool_call>'
        assert accepts(made, call % '"b": 1')
        assert accepts(made, call % '"c": 1') is not strict


@pytest.mark.parametrize("wrong", [5, None, "x", [], [{}], {}, {"a": 1}, True])
def test_a_schema_that_is_none_is_for_the_engine_to_refuse(wrong: Any) -> None:
    keywords = (
        "properties", "required", "patternProperties", "items", "anyOf", "allOf", "format", "pattern", "type", "if",
        "minProperties", "maxProperties", "additionalProperties", "$defs", "not", "contains", "uniqueItems",
    )  # fmt: skip
    for keyword in keywords:
        EnforcedSchema.of({"properties": {"a": {keyword: wrong, "minProperties": 1}}, keyword: wrong}, closed=True)
    EnforcedSchema.of(dict.fromkeys(keywords, wrong), closed=True)


def test_strict_leaves_open_what_says_so_and_what_stands_in_allof() -> None:
    record = {"type": "object", "properties": {"b": {"type": "integer"}}, "additionalProperties": {"type": "integer"}}
    call = '<tool_call>\n{"name": "f", "arguments": {"a": {%s}}}\n</tool_call>'
    assert accepts(with_field(record, strict=True), call % '"c": 1')
    both = {
        "allOf": [{"type": "object", "properties": {name: {"type": "integer"}}, "required": [name]} for name in "bc"]
    }
    assert accepts(with_field(both, strict=True), call % '"b": 1, "c": 1')


@pytest.mark.parametrize("parameters", [{}, {"type": "object", "properties": {}}])
def test_a_function_without_parameters_takes_none(parameters: Any) -> None:
    made = constraint(Toolbox.choose([Function("f", "", parameters)], "required"), None)
    assert made is not None
    call = '<tool_call>\n{"name": "f", "arguments": {%s}}\n</tool_call>'
    assert accepts(made["grammar"], call % "")
    assert not accepts(made["grammar"], call % '"a": 1')


def test_what_a_schema_says_in_vain_is_told_with_its_place() -> None:
    schema = {"type": "object", "properties": {"to": NOTES["path"], "tags": UNENFORCEABLE["set"]}}
    tools = Toolbox.choose([Function("mail", "", schema)], "auto")
    assert left_out(tools, None) == ["tools.mail.properties.to.format", "tools.mail.properties.tags.uniqueItems"]
    form = {"kind": "json_schema", "schema": {"type": "object", "properties": {"to": NOTES["path"]}}}
    assert left_out(Toolbox(), form, ["}"]) == ["response_format.properties.to.format", "stop"]


def test_a_form_that_cannot_be_enforced_is_refused_with_the_place() -> None:
    form = {"kind": "json_schema", "schema": {"type": "object", "properties": {"tags": UNENFORCEABLE["set"]}}}
    with pytest.raises(ApiError, match=r"cannot be enforced: properties\.tags\.uniqueItems") as refused:
        constraint(Toolbox(), form, "text.format")
    assert refused.value.param == "text.format"


def test_stop_texts_cannot_cut_a_call_nor_an_answer_that_is_json() -> None:
    form = {"kind": "json_object"}
    for choice, asked, hidden in [("auto", None, "<tool_call>"), ("required", None, "<tool_call>"), ("auto", form, "")]:
        made = constraint(Toolbox.choose([WEATHER], choice), asked)
        assert made is not None
        assert made["hidden"] == hidden


def test_tools_are_bounded_together_too() -> None:
    large = [Function(f"f{number}", "", {"description": "x" * 100_000}) for number in range(5)]
    with pytest.raises(ApiError) as refused:
        constraint(Toolbox.choose(large, "auto"), None)
    assert refused.value.param == "tools"


def test_without_tools_the_form_alone_is_the_constraint() -> None:
    assert constraint(Toolbox(), None) is None
    assert constraint(Toolbox(), {"kind": "json_object"}) == {"kind": "json_object", "hidden": ""}
    assert constraint(Toolbox.choose([WEATHER], "none"), None) is None


@pytest.mark.parametrize("choice", [("required",), ("function", ["weather"]), ("auto", ["rain"])])
def test_a_choice_of_what_is_not_there_is_refused(choice: Any) -> None:
    with pytest.raises(ApiError) as refused:
        Toolbox.choose([], *choice)
    assert refused.value.param == "tool_choice"
    with pytest.raises(ApiError):
        Toolbox.choose([TIME], "function", ["weather"])


# -- what the model is shown -------------------------------------------------------------------------------------------

TALK: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Weather and time in Paris?"},
    {
        "role": "assistant",
        "content": "",
        "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Paris"}'}},
            {"id": "2", "type": "function", "function": {"name": "time", "arguments": ""}},
        ],
    },
    {"role": "tool", "tool_call_id": "1", "content": "Sun"},
    {"role": "tool", "tool_call_id": "2", "content": "Noon"},
]


def test_a_template_with_tools_gets_them_and_arguments_as_objects() -> None:
    prompt = conversation(TALK, Toolbox.choose([WEATHER], None), native=True)
    assert [tool["function"]["name"] for tool in prompt["tools"]] == ["weather"]
    assert prompt["messages"][2]["tool_calls"][0]["function"]["arguments"] == {"city": "Paris"}
    assert prompt["messages"][3] == TALK[3]


def test_a_template_without_tools_gets_them_in_words() -> None:
    prompt = conversation(TALK, Toolbox.choose([WEATHER, TIME], None), native=False)
    assert prompt["tools"] is None
    system, question, calls, results = prompt["messages"]
    assert system["content"].startswith("Be brief.\n\n# Tools")
    assert '"name": "weather"' in system["content"]
    assert question == TALK[1]
    assert calls["content"] == f"{CALLED}\n{ASKED}"
    answered = "<tool_response>\nSun\n</tool_response>\n<tool_response>\nNoon\n</tool_response>"
    assert results == {"role": "user", "content": answered}


def test_tools_that_may_not_be_called_are_not_shown() -> None:
    prompt = conversation(TALK[:2], Toolbox.choose([WEATHER], "none"), native=False)
    assert prompt["messages"] == TALK[:2]


def test_allowed_tools_are_called_and_the_others_only_shown() -> None:
    box = Toolbox.choose([WEATHER, TIME], "auto", ["time"])
    assert [function.name for function in box.functions] == ["weather", "time"]
    assert [function.name for function in box.called] == ["time"]


# -- calls in a text ---------------------------------------------------------------------------------------------------

TEXTS = [
    ("Hello", "Hello", []),
    ("a < b <tool> <tool_cal", "a < b <tool> <tool_cal", []),
    ("Let me see.\n" + CALLED, "Let me see.", [("weather", '{"city": "Paris"}')]),
    (f"{CALLED}\n{ASKED}", "", [("weather", '{"city": "Paris"}'), ("time", "{}")]),
    (CALLED.partition('s"}')[0], "", [("weather", '{"city": "Pari')]),
    ("Well. " + CALLED[:25], "Well.", []),
    (f"{CALLED}\n\n", "", [("weather", '{"city": "Paris"}')]),
    (f"{ASKED}\n{CALLED}\n and \n<t", " and \n<t", [("time", "{}"), ("weather", '{"city": "Paris"}')]),
    (
        '<tool_call>\n{"name": "f", "arguments": {"a": "}]\\"</tool_call>", "b": [{"c": "\\\\"}]}}\n</tool_call>',
        "",
        [("f", '{"a": "}]\\"</tool_call>", "b": [{"c": "\\\\"}]}')],
    ),
]


@pytest.mark.parametrize(("text", "words", "calls"), TEXTS)
def test_words_and_calls_are_told_apart(text: str, words: str, calls: Any) -> None:
    assert split(text) == (words, calls)


@pytest.mark.parametrize(("text", "words", "calls"), TEXTS)
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_it_does_not_matter_how_the_text_is_cut(text: str, words: str, calls: Any, size: int) -> None:
    reader = CallReader()
    said, made = "", []
    bits = [text[start : start + size] for start in range(0, len(text), size)]
    for piece in [*(piece for bit in bits for piece in reader.feed(bit)), *reader.finish()]:
        assert piece.text
        if piece.kind == "words":
            said += piece.text
        elif piece.kind == "name":
            made.append([piece.text, ""])
        else:
            made[piece.call][1] += piece.text
    assert (said, [tuple(call) for call in made]) == (words, calls)


@pytest.mark.parametrize("text", [CALLED[:length] for length in range(1, CALLED.index("{", 30))])
def test_a_call_that_is_cut_shows_none_of_its_syntax(text: str) -> None:
    assert split(f"Well. {text}", cut=True) == ("Well.", [])


def test_words_are_told_at_once() -> None:
    reader = CallReader()
    assert [piece.text for piece in reader.feed("Hello")] == ["Hello"]
    assert reader.feed(" ") == []
    assert [piece.text for piece in reader.feed("you <t")] == [" you"]
    assert [piece.text for piece in reader.feed("wo")] == [" <two"]


def test_blanks_cost_no_more_than_other_text() -> None:
    reader = CallReader()
    began = time.process_time()
    (words,) = reader.feed(" " * 1_000_000 + "x" + "\n" * 1_000_000)
    assert words.text.endswith(" x")
    assert time.process_time() - began < 1
