"""Chats that people export -> conversations: WhatsApp's text, Telegram's and Slack's JSON.

One of those who wrote is the assistant, whose messages a model learns: whom `assistant` names, else who wrote most. What one
says in a row is one turn; a silence of six hours ends a conversation.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from daedal.data.rows import Whole

_SILENCE = 6 * 3600.0
# [12.03.21, 10:15:22] Ann: text   or   12/03/21, 10:15 - Ann: text   or with AM and PM, in the words of several languages
_DATE = (
    r"^\u200e?(\[)?(\d{1,4}[./-]\d{1,2}[./-]\d{1,4}),?(?: (?:à|um|klo|kl\.?|at))? (上午|下午)?"
    r"(\d{1,2}[:.]\d{2}(?:[:.]\d{2})?)(?:\s?([AaPp])\.?\s?[Mm]\.?)?(?(1)\]| -) "
)
_LINE = re.compile(_DATE + r"([^:\n]{1,80}): (.*)$")
_STAMPED = re.compile(_DATE)
_LOG = re.compile(r"^\[\d{4}-\d{2}-\d{2} ")  # WhatsApp has a comma there
_LEFT_OUT = re.compile(
    r"^\u200e?(?:<[^>]{1,40}>|\S.{0,40} omitted|This message was deleted\.?|You deleted this message\.?)$"
)
_ABOUT = frozenset(
    f"{name}.json"
    for name in (
        *("users", "channels", "groups", "dms", "mpims", "integration_logs", "canvases"),  # Slack
        *("projects", "memories"),  # Claude
        *("user", "message_feedback", "shared_conversations", "model_comparisons", "user_settings"),  # ChatGPT
    )
)
_MENTION = re.compile(r"<[@#!][^>]*>|<(https?://[^|>]+)(?:\|[^>]*)?>")


class Said(NamedTuple):
    """A message: who wrote it, when (seconds, 0 where that is not known), and what."""

    who: str
    when: float
    text: str


def chats_in(whole: Whole) -> list[list[Said]]:
    """The messages of each chat of a file: Telegram exports one or all."""
    value = whole.value
    if value is None:
        return [_whatsapp(whole.text)]
    if not isinstance(value, Mapping):
        return []
    inner = value.get("chats")
    several = inner.get("list") if isinstance(inner, Mapping) else None
    chats = several if isinstance(several, list) else [value]
    lists = [each["messages"] for each in chats if isinstance(each, Mapping) and isinstance(each.get("messages"), list)]
    return [[said for each in messages if (said := _message(each)) is not None] for messages in lists]


def is_export(whole: Whole) -> bool:
    """Whether a file is an export, by its first lines."""
    if whole.value is not None:
        return any(chats_in(whole))
    lines = [line for line in whole.text[:20_000].split("\n") if line.strip()][:60]
    stamped = [line for line in lines if _STAMPED.match(line) and not _LOG.match(line)]
    return len(stamped) >= 2 and len(stamped) > 0.4 * len(lines) and any(map(_LINE.match, stamped))


def is_about(label: str) -> bool:
    """Whether a file of an export is about users and channels, and has no messages."""
    return label.replace("!", "/").rpartition("/")[2] in _ABOUT


def slack_message(row: Mapping[str, Any]) -> Said | None:
    """A row of Slack's export."""
    if (
        row.get("type") != "message"
        or not isinstance(row.get("text"), str)
        or row.get("subtype") not in (None, "thread_broadcast")
    ):
        return None
    who = row.get("user") or row.get("username")
    text = _MENTION.sub(lambda found: found[1] or "", row["text"]).strip()
    stamp = str(row.get("ts") or "")
    return Said(str(who), float(stamp) if re.fullmatch(r"\d+(\.\d+)?", stamp) else 0.0, text) if who and text else None


def conversations(messages: Sequence[Said], assistant: str | None) -> Iterator[dict[str, Any]]:
    """Messages as conversations with an assistant, who is one of those who wrote."""
    turns: list[dict[str, Any]] = []
    last = 0.0
    for said in messages:
        if turns and said.when and last and said.when - last > _SILENCE:
            yield {"messages": turns}
            turns = []
        role = "assistant" if said.who == assistant else "user"
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += f"\n{said.text}"
        else:
            turns.append({"role": role, "content": said.text})
        last = said.when
    if turns:
        yield {"messages": turns}


def busiest(messages: Iterable[Said]) -> str | None:
    """Who wrote most messages; of several the first by name."""
    counts = Counter(said.who for said in messages)
    return min(counts, key=lambda who: (-counts[who], who), default=None)


def _whatsapp(text: str) -> list[Said]:
    found: list[Said] = []
    for line in text.split("\n"):
        line = line.rstrip("\r")
        if (match := _LINE.match(line)) is not None:
            _, date, chinese, time, half, who, said = match.groups()
            half = {"上午": "a", "下午": "p"}.get(chinese, half)
            found.append(Said(who.strip("\u200e\u202a\u202c "), _time(date, time, half), said))
        elif _STAMPED.match(line):
            continue  # what the program says: who joined, that it is encrypted
        elif found and line.strip():
            found[-1] = found[-1]._replace(text=f"{found[-1].text}\n{line}")
    return [said for said in found if not _LEFT_OUT.match(said.text) and said.text.strip()]


def _time(date: str, time: str, half: str | None) -> float:
    """Seconds; the day may stand before the month or after, which does not matter for silences within a day."""
    first, second, third = (int(part) for part in re.split(r"[./-]", date))
    year, month, day = (first, second, third) if first > 31 else (third, second, first)
    month, day = (day, month) if month > 12 else (month, day)
    hour, minute, after = (int(part) for part in re.split("[:.]", f"{time}:0")[:3])
    hour = hour % 12 + 12 * (half.lower() == "p") if half else hour
    try:
        return datetime(year + 2000 if year < 100 else year, month, day, hour, minute, after).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def _message(each: Any) -> Said | None:
    """A message of Telegram's or Discord's."""
    if isinstance(each, Mapping) and isinstance(author := each.get("author"), Mapping):
        who, text, stamp = author.get("nickname") or author.get("name"), each.get("content"), str(each.get("timestamp"))
        if each.get("type") not in ("Default", "Reply") or not isinstance(who, str) or not isinstance(text, str):
            return None
        return Said(who, _iso(stamp), text) if text.strip() else None
    return _telegram(each)


def _iso(stamp: str) -> float:
    try:
        return datetime.fromisoformat(stamp).timestamp()
    except (ValueError, OverflowError, OSError):
        return 0.0


def _telegram(each: Any) -> Said | None:
    if (
        not isinstance(each, Mapping)
        or each.get("type", "message") != "message"
        or not isinstance(each.get("from"), str)
    ):
        return None
    parts = each.get("text")
    parts = parts if isinstance(parts, list) else [parts]
    text = "".join(
        part if isinstance(part, str) else str(part.get("text", ""))
        for part in parts
        if isinstance(part, str | Mapping)
    )
    stamp = str(each.get("date_unixtime") or "")
    when = float(stamp) if stamp.isdecimal() else _iso(str(each.get("date")))
    return Said(each["from"], when, text) if text.strip() else None
