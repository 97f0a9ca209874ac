"""The way to an API: requests that are sent until they are answered, several at a time, counted and bounded.

- what goes wrong on the way (no connection, 408, 409, 425, 429, 5xx, an answer that is cut, no JSON or not what was asked for)
  is tried again, later each time and not before the server's Retry-After; all requests wait then, not only the refused one
- the key is in memory alone: it is replaced in whatever the server sends, since servers quote it in their errors
- redirects are refused, as they would take prompts and key elsewhere; answers are bounded in bytes and seconds
- answers are given as they come: when a request fails for good, those that are ready come first, and then the error
"""

import json
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from pydantic import Field

from daedal.config import Config
from daedal.errors import DaedalError
from daedal.printable import counted, printable
from daedal.prompting.respondent import Likelihood

if TYPE_CHECKING:
    import httpx2
    import openai

_AGAIN = frozenset([408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529])
_TRIES, _FIRST_TRIES = 6, 3
"""Of a request; and where nothing was ever answered, as an address that is wrong is wrong at once."""
_WAIT, _LONGEST_WAIT, _LONGEST_ASKED = 0.5, 30.0, 120.0
"""Seconds: after the first failure, at most of our own, and at most of those that a server asks for."""
_TOGETHER = 8
_MOST_BYTES = 64 * 2**20
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
            f"{counted(self.requests, 'request')}{again}, {self.prompt_tokens:,} tokens of prompts, "
            f"{self.completion_tokens:,} of answers{cost}"
        )


class Connection:
    """A connection to an API.

    Args:
        url: of the API.
        key: empty where there is none.
        requests_per_minute: at most.
        most_requests: that may be sent; beyond them nothing is.
        timeout: seconds for an answer.

    Attributes:
        used: what was sent so far.
        prices: of tokens.
    """

    def __init__(
        self,
        url: str,
        key: str,
        requests_per_minute: float | None,
        most_requests: int | None,
        prices: Prices | None,
        timeout: float,
    ) -> None:
        self.url, self._key, self.prices = url, key, prices
        self._host = urlsplit(url).netloc
        self._pace = _Pace(requests_per_minute)
        self._most, self._timeout = most_requests, timeout
        self._lock = threading.Lock()
        self._answered = False
        self.used = Used(cost=None if prices is None else 0.0)
        self._client = self._opened()

    def _request(
        self, send: Callable[[], Any], read: Callable[[Any], "Got"], ended: threading.Event | None = None
    ) -> "Got":
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
                    raise Garbage(f"an answer of type {printable(kind)[:60] or 'none'}, not JSON")
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
            except UnicodeEncodeError:
                raise DaedalError("The prompt has half of a character (a lone surrogate)", "Take it out") from None
            except (httpx2.HTTPError, Garbage) as error:
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
            return Missing(f"{self._host} has no such thing: {status} {said}", "Check the URL and the model's name")
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
            cost = f" and {about:.4f} dollars"
        sent = f" after {self.used.requests:,}" if self.used.requests else ""
        raise DaedalError(
            f"{counted(len(sizes), 'request')} of up to about {tokens:,} tokens{cost} would go to {self._host}{sent}, and "
            f"{self._most:,} are allowed",
            "Ask for less, or allow them with --most-requests",
        )

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


class Got(NamedTuple):
    """What an answer holds."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    likelihood: Likelihood | None = None
    listed: Sequence[Mapping[str, Any]] = ()


class Missing(DaedalError):
    """The server has no such path or model."""


class Garbage(Exception):
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
