"""The bodies of POST /tokenize and POST /detokenize, as vLLM has them."""

from typing import Annotated, Any

from pydantic import Field, model_validator

from daedal.serving.schema.base import ModelName, Refused, Request, fault
from daedal.serving.schema.chat import MAX_MESSAGES, Message
from daedal.serving.schema.tools import MAX_TOOLS, Tool

MAX_IDS = 1_000_000
ONLY_MODEL = "name of a model; unless given, the only one here that writes text"


class TokenizeRequest(Request):
    """A text or a conversation to turn into token ids."""

    model: ModelName | None = Field(None, description=ONLY_MODEL)
    prompt: str | None = Field(None, description="a text; either this or `messages`")
    messages: list[Message] = Field(
        default_factory=list, max_length=MAX_MESSAGES, description="a conversation, written out by the chat template"
    )
    tools: list[Tool] = Field(default_factory=list, max_length=MAX_TOOLS, description="shown as in a chat completion")
    add_generation_prompt: bool = Field(True, description="end with what the model's answer follows; with `messages`")
    return_token_strs: bool = Field(False, description="the text of each token too, as `token_strs`")
    add_special_tokens: bool = Field(
        True,
        description="with `prompt`: the tokens that `/v1/completions` reads, what the model puts before a text among them; "
        "false: those of the tokenizer alone, to which names of special tokens are these tokens, as harnesses take it",
    )
    continue_final_message: Annotated[Any, Refused("a conversation ends with a whole turn", (False,))] = None
    chat_template: Annotated[Any, Refused("the template is the model's own")] = None
    chat_template_kwargs: Annotated[Any, Refused("the template is given nothing but messages and tools")] = None
    mm_processor_kwargs: Annotated[Any, Refused("no model here reads images or hears audio")] = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "TokenizeRequest":
        if (self.prompt is None) != bool(self.messages):
            raise fault("Give either prompt or messages")
        if self.tools and not self.messages:
            raise fault("tools go with messages")
        return self


class DetokenizeRequest(Request):
    """Token ids to turn into text."""

    model: ModelName | None = Field(None, description=ONLY_MODEL)
    tokens: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field(max_length=MAX_IDS, description="token ids")


class TokenizerQuery(Request):
    """The query of GET /tokenizer_info."""

    model: ModelName | None = Field(None, description=ONLY_MODEL)
