"""A model behind a URL that speaks the OpenAI API, asked through the `openai` client: conversations by /chat/completions, texts
by /completions, likelihoods by /completions with `echo` and `logprobs`.

- what goes wrong on the way (no connection, 408, 409, 425, 429, 5xx, an answer that is cut, no JSON or not what was asked for)
  is tried again, later each time and not before the server's Retry-After; all requests wait then, not only the refused one
- the key is in memory alone: it is replaced in whatever the server sends, since servers quote it in their errors
- redirects are refused, as they would take prompts and key elsewhere; answers are bounded in bytes and seconds
- answers are given as they come: when a request fails for good, those that are ready come first, and then the error
"""

import hashlib
import ipaddress
import json
import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pydantic import Field

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.printable import printable
from daedal.prompting.respondent import Likelihood, Message, Prompt, Question, Reply, Wording

if TYPE_CHECKING:
    import httpx2
    import openai

_KEY = "OPENAI_API_KEY"
_AGAIN = frozenset([408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529])
_TRIES, _FIRST_TRIES = 6, 3
"""Of a request; and where nothing was ever answered, as an address that is wrong is wrong at once."""
_WAIT, _LONGEST_WAIT, _LONGEST_ASKED = 0.5, 30.0, 120.0
"""Seconds: after the first failure, at most of our own, and at most of those that a server asks for."""
_TOGETHER = 8
_MOST_BYTES = 64 * 2**20
_MOST_STOPS = 4  # of OpenAI's API; the answer is cut here in any case
_CHARACTERS = 4  # a token, about

T = TypeVar("T")


class Prices(Config):
    """What tokens cost, in dollars a million of them."""

    prompt: float = Field(ge=0)
    completion: float = Field(ge=0)

    def of(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Dollars."""
        return (self.prompt * prompt_tokens + self.completion * completion_tokens) / 1e6


class Used(NamedTuple):
    """What was sent and counted.

    Attributes:
        requests: that were answered.
        retries: requests that had to be sent again.
        cost: in dollars, where prices were given.
    """

    requests: int = 0
    retries: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None

    def __str__(self) -> str:
        cost = "" if self.cost is None else f", {self.cost:.4f} dollars"
        again = f", {self.retries:,} sent again" if self.retries else ""
        return (
            f"{self.requests:,} requests{again}, {self.prompt_tokens:,} tokens of prompts, "
            f"{self.completion_tokens:,} of answers{cost}"
        )


class Endpoint:
    """A model that is asked over a network.

    Args:
        url: of the API, as `http://127.0.0.1:8000/v1`; `/v1` is added where it names a host alone, and the model may follow
            after a `#`.
        model: its name; the only one that the API lists unless given.
        api_key_env: the environment variable that holds the key. OPENAI_API_KEY unless given, if it is set.
        requests_per_minute: at most.
        most_requests: that may be sent; beyond them nothing is.
        prices: of tokens.
        timeout: seconds for an answer.

    Attributes:
        used: what was sent so far.
        prices: of tokens.

    Raises:
        DaedalError: the URL or key is not usable, the API is not there, or it lists several models and none is named.
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        api_key_env: str | None = None,
        requests_per_minute: float | None = None,
        most_requests: int | None = None,
        prices: Prices | None = None,
        timeout: float = 300.0,
    ) -> None:
        address, named = split_url(url)
        self.url = address
        self._host = urlsplit(address).netloc
        self._key = _key_of(api_key_env, address)
        self._pace = _Pace(requests_per_minute)
        self._most, self.prices, self._timeout = most_requests, prices, timeout
        self._lock = threading.Lock()
        self._answered = False
        self._old_limit: bool | None = None
        self._echo_tokens = 0
        self.used = Used(cost=None if prices is None else 0.0)
        self._client = self._opened()
        entry = self._listed(model or named)
        self.model = str(entry["id"])
        self.name = f"{self.model} at {self._host}"
        # `created` is when it was trained, or only when it was asked: where it is ours, it tells weights apart
        kept = ("id", "root", *(("created",) if entry.get("owned_by") == "daedal" else ()))
        known = json.dumps([address, {name: entry.get(name) for name in kept}], sort_keys=True)
        self.identity = hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()

    def __repr__(self) -> str:
        return f"Endpoint({self.url!r}, model={self.model!r})"

    # -- what a respondent does ------------------------------------------------------------------------------------------

    def answer(self, questions: Sequence[Question], wording: Wording) -> Iterator[tuple[int, Reply]]:
        """As `Respondent.answer`: several requests are under way at once.

        Raises:
            DaedalError: more would be sent than may be, or a request fails for good.
        """
        self._allow([(_characters(each.prompt), wording.max_tokens) for each in questions])
        yield from self._together([partial(self._reply, each, wording) for each in questions])

    def likelihoods(self, pairs: Sequence[tuple[Prompt, str]]) -> Iterator[tuple[int, Likelihood]]:
        """As `Respondent.likelihoods`: spaces that end a context begin the continuation, as in lm-eval, and a token that reaches
        over from one to the other is of the continuation.

        Raises:
            DaedalError: as `answer`; of an answer in a conversation, which this API does not tell; the API gives none.
        """
        texts = []
        for context, text in pairs:
            if not isinstance(context, str):
                raise DaedalError(
                    f"{self.name} tells no likelihoods of answers in conversations",
                    "Leave the chat template out, or ask the model on this machine",
                )
            if not context.rstrip():
                raise DaedalError(
                    f"{self.name} tells no likelihood of a text that follows nothing",
                    "Give the task a description, or ask the model on this machine",
                )
            texts.append((context, text))
        self._allow([(len(context) + len(text), 0) for context, text in texts])
        yield from self._together([partial(self._likelihood, *each) for each in texts])

    def rolling(self, texts: Sequence[str]) -> Iterator[tuple[int, Likelihood]]:
        """Not to be had: the API tells nothing of a text's first token."""
        raise DaedalError(
            f"{self.name} tells no likelihoods of whole texts, as its API leaves out the first token",
            "Ask the model on this machine",
        )

    def rendered(self, messages: Sequence[Message]) -> str:
        raise DaedalError(f"The chat template of {self.name} is not known here", "Ask the model on this machine")

    # -- one request -----------------------------------------------------------------------------------------------------

    def _reply(self, question: Question, wording: Wording, ended: threading.Event) -> Reply:
        began = time.monotonic()
        fields: dict[str, Any] = {
            "model": self.model, "temperature": wording.temperature,
            "seed": (wording.seed + 1_000_003 * question.sample) % 2**31,
        }  # fmt: skip
        if wording.stop:
            fields["stop"] = list(wording.stop[:_MOST_STOPS])
        if isinstance(question.prompt, str):
            if wording.answer_schema is not None:
                raise DaedalError(
                    f"{self.name} keeps answers to a schema in conversations alone",
                    "Put the prompt as a user's message",
                )
            fields |= {"prompt": question.prompt, "max_tokens": wording.max_tokens}
            got = self._request(lambda: self._client.completions.with_raw_response.create(**fields), _text, ended)
        else:
            fields["messages"] = [dict(message) for message in question.prompt]
            if wording.answer_schema is not None:
                schema = {"name": "answer", "schema": wording.answer_schema}
                fields["response_format"] = {"type": "json_schema", "json_schema": schema}
            got = self._request(lambda: self._chat(fields, wording.max_tokens), _said, ended)
        cut = min((at for each in wording.stop if (at := got.text.find(each)) >= 0), default=None)
        cost = None if self.prices is None else self.prices.of(got.prompt_tokens, got.completion_tokens)
        return Reply(
            text=got.text[:cut], finish_reason=got.finish_reason if cut is None else "stop",
            prompt_tokens=got.prompt_tokens, completion_tokens=got.completion_tokens,
            seconds=time.monotonic() - began, cost=cost,
        )  # fmt: skip

    def _chat(self, fields: Mapping[str, Any], most: int) -> Any:
        """Newer models of OpenAI's know `max_completion_tokens` alone, other servers often only `max_tokens`."""
        create = self._client.chat.completions.with_raw_response.create
        if self._old_limit is not False:
            try:
                return create(**fields, max_tokens=most)
            except Exception as error:
                if getattr(error, "status_code", None) != 400 or "max_completion_tokens" not in str(error):
                    raise
                self._old_limit = False
        return create(**fields, max_completion_tokens=most)

    def _likelihood(self, context: str, text: str, ended: threading.Event) -> Likelihood:
        whole, begins = context + text, len(context.rstrip())

        def send() -> Any:
            fields = {"model": self.model, "prompt": whole, "echo": True, "logprobs": 1, "temperature": 0}
            create = self._client.completions.with_raw_response.create
            if self._echo_tokens == 0:
                try:
                    return create(**fields, max_tokens=0)
                except Exception as error:
                    if getattr(error, "status_code", None) != 400 or "max_tokens" not in str(error):
                        raise
                    self._echo_tokens = 1  # some servers write at least one token
            return create(**fields, max_tokens=1)

        def read(body: Any) -> "_Got":
            columns = body["choices"][0]["logprobs"]
            if not isinstance(columns, Mapping):
                raise DaedalError(
                    f"{self.name} gives no log-probabilities of prompts (echo with logprobs)",
                    "Ask a server that does, such as daedal serve or vLLM, or have answers generated",
                )
            likely = columns.get("top_logprobs") or [None] * len(columns["tokens"])
            tokens = list(
                zip(columns["tokens"], columns["text_offset"], columns["token_logprobs"], likely, strict=True)
            )
            ends = [*(at for _, at, _, _ in tokens[1:]), len(whole)]
            own = [
                (logprob, top)
                for (_, at, logprob, top), end in zip(tokens, ends, strict=True)
                if at < len(whole) and (at >= begins or end > begins)
            ]
            nats = [float(logprob) for logprob, _ in own]
            greedy = all(top and logprob >= max(top.values()) for logprob, top in own)
            return _Got("", "stop", *_usage(body), Likelihood(sum(nats), greedy, len(nats)))

        found = self._request(send, read, ended).likelihood
        assert found is not None
        return found

    def _request(
        self, send: Callable[[], Any], read: Callable[[Any], "_Got"], ended: threading.Event | None = None
    ) -> "_Got":
        """Send a request until it is answered.

        Args:
            ended: set when nobody waits for it any more.

        Raises:
            DaedalError: it never is.
        """
        import httpx2
        import openai

        failures, ended = 0, ended or threading.Event()
        while True:
            self._pace.wait(ended)
            if ended.is_set():
                raise _Stopped
            wait: float | None = None
            try:
                raw = send().http_response
                kind = raw.headers.get("content-type", "")
                if "json" not in kind:
                    raise _Garbage(f"an answer of type {printable(kind)[:60] or 'none'}, not JSON")
                got = read(_plain(raw.content, self._key))
            except openai.APIStatusError as error:
                if error.status_code not in _AGAIN or _is_final(error):
                    raise self._refused(error) from None
                said = f"{error.status_code} {self._quoted(error)}".strip()
                wait = _retry_after(error.response.headers)
            except openai.APITimeoutError:
                said = f"no answer within {self._timeout:g} seconds"
            except openai.APIConnectionError as error:
                said = self._scrubbed(_root(error))
            except (httpx2.HTTPError, _Garbage) as error:
                said = self._scrubbed(str(error) or type(error).__name__)
            except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError):
                said = "an answer that is not what was asked for"
            else:
                with self._lock:
                    self._answered = True
                    used = self.used
                    cost = None if self.prices is None else self.prices.of(got.prompt_tokens, got.completion_tokens)
                    self.used = Used(
                        used.requests + 1, used.retries, used.prompt_tokens + got.prompt_tokens,
                        used.completion_tokens + got.completion_tokens, None if cost is None else (used.cost or 0) + cost,
                    )  # fmt: skip
                return got
            failures += 1
            if wait is not None and wait > _LONGEST_ASKED:
                raise DaedalError(
                    f"{self._host} wants {wait:.0f} seconds of rest ({said})",
                    "Run the command again then: answers are kept",
                )
            if failures >= (_TRIES if self._answered else _FIRST_TRIES):
                raise DaedalError(
                    f"{self._host} does not answer: {said} ({failures} tries)",
                    "Check the URL and the server, and run the command again: answers so far are kept",
                )
            own = min(_WAIT * 2 ** (failures - 1), _LONGEST_WAIT) * (0.5 + random.random() / 2)
            self._pace.hold(own if wait is None else max(wait, own))
            with self._lock:
                self.used = self.used._replace(retries=self.used.retries + 1)

    def _refused(self, error: "openai.APIStatusError") -> DaedalError:
        """A refusal that another try does not change, in a line."""
        said, status = self._quoted(error), error.status_code
        if 300 <= status < 400:
            return DaedalError(
                f"{self._host} sends elsewhere ({status}), which is not followed", "Name the URL that it means"
            )
        if status in (401, 403):
            fix = "Check the key" if self._key else "Name the environment variable that holds a key with --api-key-env"
            return DaedalError(f"{self._host} refuses the key: {status} {said}", fix)
        if status == 404:
            return _Missing(f"{self._host} has no such thing: {status} {said}", "Check the URL and the model's name")
        return DaedalError(f"{self._host} refuses the request: {status} {said}", "Change the request or the model")

    def _quoted(self, error: "openai.APIStatusError") -> str:
        """What the server says, in a line, without the key."""
        body = error.body
        said = body.get("message") if isinstance(body, Mapping) else None
        return self._scrubbed(said if isinstance(said, str) else str(body or ""))

    def _scrubbed(self, text: str) -> str:
        text = text.replace(self._key, "[key]") if self._key else text
        return printable(" ".join(text.split()))[:200]

    # -- many ------------------------------------------------------------------------------------------------------------

    def _together(self, tasks: Sequence[Callable[[threading.Event], T]]) -> Iterator[tuple[int, T]]:
        """Results as they come; after a failure those that are ready, and then the error. Threads are daemons: Ctrl-C waits for
        no answer."""
        left = iter(enumerate(tasks))
        done: queue.SimpleQueue[tuple[int, T | None, BaseException | None]] = queue.SimpleQueue()
        ended = threading.Event()

        def work() -> None:
            while not ended.is_set():
                with self._lock:
                    place, task = next(left, (0, None))
                if task is None:
                    return
                try:
                    done.put((place, task(ended), None))
                except BaseException as error:
                    done.put((place, None, error))
                    ended.set()

        threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_TOGETHER, len(tasks)))]
        for thread in threads:
            thread.start()
        failed: BaseException | None = None
        came = 0
        try:
            while came < len(tasks):
                working = any(thread.is_alive() for thread in threads)
                try:
                    place, result, error = done.get(timeout=0.2)
                except queue.Empty:
                    if not working:
                        break
                    continue
                came += 1
                failed = failed or error
                if error is None:
                    yield place, result  # type: ignore[misc]
            if failed is not None:
                raise failed
        finally:
            ended.set()

    def _allow(self, sizes: Sequence[tuple[int, int]]) -> None:
        """See that so many requests may be sent.

        Raises:
            DaedalError: they may not; nothing is sent.
        """
        if self._most is None or self.used.requests + len(sizes) <= self._most:
            return
        tokens = sum(characters // _CHARACTERS + most for characters, most in sizes)
        cost = ""
        if self.prices is not None:
            about = self.prices.of(sum(size // _CHARACTERS for size, _ in sizes), sum(most for _, most in sizes))
            cost = f" and {about:.2f} dollars"
        sent = f" after {self.used.requests:,}" if self.used.requests else ""
        raise DaedalError(
            f"{len(sizes):,} requests of up to about {tokens:,} tokens{cost} would go to {self._host}{sent}, and "
            f"{self._most:,} are allowed",
            "Ask for less, or allow them with --most-requests",
        )

    # -- opening ---------------------------------------------------------------------------------------------------------

    def _opened(self) -> "openai.OpenAI":
        import httpx2
        import openai

        deadline = self._timeout
        client = httpx2.Client(
            timeout=httpx2.Timeout(deadline, connect=min(10.0, deadline)), follow_redirects=False,
            limits=httpx2.Limits(max_connections=2 * _TOGETHER), event_hooks={"response": [_bounded(deadline)]},
        )  # fmt: skip
        if not self._key:  # the openai client insists on one
            client.event_hooks["request"].append(lambda request: request.headers.pop("authorization", None))
        return openai.OpenAI(
            api_key=self._key or "none", base_url=self.url, max_retries=0, timeout=deadline, http_client=client
        )

    def _listed(self, model: str | None) -> Mapping[str, Any]:
        """What the API lists of the model; its name alone where it lists nothing.

        Raises:
            DaedalError: the API is not there, or has several models and none is named, or not this one.
        """

        def read(body: Any) -> _Got:
            data = body["data"]
            if not isinstance(data, list) or not all(isinstance(each["id"], str) for each in data):
                raise _Garbage("a list of models that is none")
            return _Got("", "stop", 0, 0, listed=data)

        try:
            listed = self._request(lambda: self._client.models.with_raw_response.list(), read).listed
        except _Missing:
            if model is None:
                raise
            return {"id": model}  # some servers list none
        finally:
            self.used = self.used._replace(requests=0)
        if model is not None:
            # aliases and fine-tuned models are not always listed
            return next((each for each in listed if each["id"] == model), {"id": model})
        if len(listed) != 1:
            names = ", ".join(printable(each["id"])[:60] for each in listed[:8])
            raise DaedalError(
                f"{self._host} has {len(listed)} models{': ' if names else ''}{names}", f"Name one: {self.url}#MODEL"
            )
        return listed[0]


def is_url(place: str) -> bool:
    """Whether a model's name is a URL."""
    return place.lower().startswith(("http://", "https://"))


def split_url(url: str) -> tuple[str, str | None]:
    """The address of an API, and the model that is named after a `#`.

    Raises:
        DaedalError: it is no address, or holds a password or a query, which would be written where the URL is.
    """
    address, _, model = url.partition("#")
    try:
        parts = urlsplit(address)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or not address.isascii() or not address.isprintable():
        raise DaedalError(f"{printable(url)[:80]} is no address of an API", "Write it as http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.password is not None or parts.query:
        raise DaedalError(
            f"The URL of {parts.hostname} has a password or a query in it", "Give a key with --api-key-env NAME"
        )
    path = parts.path.rstrip("/") or "/v1"
    for ending in ("/chat/completions", "/completions"):
        path = path.removesuffix(ending)
    return f"{parts.scheme}://{parts.netloc}{path}", model or None


def is_here(url: str) -> bool:
    """Whether an address is of this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _Got(NamedTuple):
    """What an answer holds."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    likelihood: Likelihood | None = None
    listed: Sequence[Mapping[str, Any]] = ()


class _Missing(DaedalError):
    """The server has no such path or model."""


class _Garbage(Exception):
    """An answer that is none."""


class _Stopped(Exception):
    """Nobody waits for the answer any more."""


class _Pace:
    """When the next request may be sent: not too many a minute, and none while the server wants rest."""

    def __init__(self, per_minute: float | None) -> None:
        if per_minute is not None and not 0 < per_minute < 1e6:
            raise DaedalError(f"{per_minute:g} requests a minute are none", "Give a number above 0")
        self._apart = 0.0 if per_minute is None else 60 / per_minute
        self._next = self._rest = 0.0
        self._lock = threading.Lock()

    def wait(self, stopped: threading.Event) -> None:
        with self._lock:
            at = max(self._next, time.monotonic())
            self._next = at + self._apart
        while not stopped.is_set() and (left := max(at, self._rest) - time.monotonic()) > 0:
            stopped.wait(min(left, 0.5))

    def hold(self, seconds: float) -> None:
        """Send nothing for so long."""
        with self._lock:
            self._rest = max(self._rest, time.monotonic() + seconds)


def _key_of(name: str | None, url: str) -> str:
    """The key; empty where there is none.

    Raises:
        DaedalError: the variable that is named holds none, or something that is none.
    """
    key = os.environ.get(name or _KEY, "").strip()
    if name is not None and not key:
        raise DaedalError(
            f"The environment variable {printable(name)[:60]} holds no key",
            f"Set it: export {printable(name)[:60]}=...",
        )
    if not (key.isascii() and key.isprintable()):
        raise DaedalError(f"What {name or _KEY} holds is no key", "Copy the key anew")
    if name is None and not (url.startswith("https:") or is_here(url)):
        return ""  # what is meant for OpenAI does not go unencrypted to somewhere else
    return key


def _bounded(seconds: float) -> Callable[["httpx2.Response"], None]:
    """What bounds the body of each answer: in bytes, and in seconds from its head on."""
    import httpx2

    class Bounded(httpx2.SyncByteStream):
        def __init__(self, inner: httpx2.SyncByteStream) -> None:
            self._inner = inner

        def __iter__(self) -> Iterator[bytes]:
            began, size = time.monotonic(), 0
            for piece in self._inner:
                size += len(piece)
                if size > _MOST_BYTES:
                    raise httpx2.ReadError(f"an answer of more than {_MOST_BYTES >> 20} MiB")
                if time.monotonic() - began > seconds:
                    raise httpx2.ReadTimeout(f"no whole answer within {seconds:g} seconds")
                yield piece

        def close(self) -> None:
            self._inner.close()

    def hook(response: httpx2.Response) -> None:
        assert isinstance(response.stream, httpx2.SyncByteStream)
        if response.headers.get("content-encoding", "identity") not in ("identity", "gzip", "deflate", "br", "zstd"):
            raise httpx2.ReadError("an answer in an unknown encoding")
        response.stream = Bounded(response.stream)

    return hook


def _plain(content: bytes, key: str) -> Any:
    """The JSON of an answer, without the key wherever it stands."""
    text = content.decode("utf-8")
    if key:
        text = text.replace(key, "[key]").replace(json.dumps(key)[1:-1], "[key]")
    return json.loads(text)


def _usage(body: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens of the prompt and of the answer; none where the server does not count."""
    used = body.get("usage")
    counts = [used.get(name) if isinstance(used, Mapping) else 0 for name in ("prompt_tokens", "completion_tokens")]
    prompt, completion = (each if isinstance(each, int) and 0 <= each < 2**53 else 0 for each in counts)
    return prompt, completion


def _text(body: Any) -> _Got:
    choice = body["choices"][0]
    if not isinstance(choice["text"], str):
        raise _Garbage("an answer without a text")
    return _Got(choice["text"], _reason(choice), *_usage(body))


def _said(body: Any) -> _Got:
    choice = body["choices"][0]
    message = choice["message"]
    text = message.get("content")
    if text is None:
        text = message.get("refusal") or ""
    if not isinstance(text, str):
        raise _Garbage("an answer without a text")
    return _Got(text, _reason(choice), *_usage(body))


def _reason(choice: Mapping[str, Any]) -> str:
    reason = choice.get("finish_reason")
    return printable(reason)[:40] if isinstance(reason, str) and reason else "stop"


def _is_final(error: "openai.APIStatusError") -> bool:
    """Whether waiting helps nothing, though the status says so."""
    return getattr(error, "code", None) in ("insufficient_quota", "billing_hard_limit_reached")


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server wants to wait for."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        given = headers.get(name)
        if given is None:
            continue
        try:
            seconds = float(given) * unit
        except ValueError:
            from email.utils import parsedate_to_datetime

            try:
                seconds = parsedate_to_datetime(given).timestamp() - time.time()
            except (ValueError, TypeError, OverflowError):
                continue
        if 0 <= seconds < 1e9:
            return seconds
    return None


def _root(error: BaseException) -> str:
    """What first went wrong, in words."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return str(error) or type(error).__name__


def _characters(prompt: Prompt) -> int:
    return len(prompt) if isinstance(prompt, str) else sum(len(str(each.get("content") or "")) for each in prompt)
