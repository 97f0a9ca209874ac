"""Answers of another model as training data: prompts are asked, what is whole is written beside the data folder as JSON Lines,
and the ordinary build makes the folder of conversations of it.

- every answer is remembered (`memory.py`): a run that was stopped asks only what is left
- answers that are cut by their length, or empty, are counted and left out
- the model, its licence and the hash of the prompts stand in each line, in `distilled.json` in the folder, and in its manifest
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from daedal.config import Config
from daedal.data.manifest import MANIFEST
from daedal.data.prompts import questions
from daedal.errors import DaedalError
from daedal.files import require_place, write_json, write_text
from daedal.prompting.ask import told_use
from daedal.prompting.respondent import Question, Reply, Respondent, Wording

RECORD = "distilled.json"


class Distilled(Config):
    """What was asked of whom, and what it gave.

    Attributes:
        identity: SHA-256 of the weights, or of an endpoint's address and the name of its model.
        prompts: what they are called.
        hash: SHA-256 of the prompts.
        kept: conversations.
        left_out: how many answers are not in the data, by why.
        answers: the file of conversations that the data was built of.
        used: what was sent to an endpoint.
    """

    model: str
    identity: str
    licence: str | None
    prompts: str
    hash: str
    wording: Wording
    system: str = ""
    asked: int
    kept: int
    left_out: dict[str, int]
    answers: str
    data: str
    used: str = ""


def distil(
    respondent: Respondent,
    prompts: str | Path,
    out: str | Path,
    wording: Wording,
    *,
    licence: str | None = None,
    system: str = "",
    n: int = 1,
    replace: bool = False,
    progress: Callable[[str, float, float | None], None] | None = None,
    **options: Any,
) -> Distilled:
    """Ask a model, and build a data folder of conversations of what it says.

    Args:
        prompts: a file: JSON Lines with `prompt` or `messages`, or a prompt a line.
        out: the data folder; its conversations are beside it, in `OUT.jsonl`.
        licence: of the answers, as the model's terms say.
        system: what the model is told before each prompt, and the data has too.
        n: answers to each prompt.
        replace: write over data that was built otherwise.
        progress: told a stage, what of it is done, and of how much.
        options: of the build of kind `chat`.

    Raises:
        DaedalError: there are no prompts, the model cannot be asked, no answer is whole, or the data cannot be written.
    """
    folder = Path(out).expanduser()
    file = folder.with_name(f"{folder.name}.jsonl")
    if n < 1:
        raise DaedalError(f"{n} answers to a prompt are none", "Ask for one at least")
    if Path(prompts).is_dir():
        raise DaedalError(f"{prompts} is a folder", "Name a file of prompts")
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise DaedalError(f"{folder} is there, and no data folder", "Choose another --out")
    if "\0" in str(folder):
        raise DaedalError("The name of the data folder has a zero byte", "Choose another --out")
    if file.exists() and (file.resolve() == Path(prompts).expanduser().resolve() or not _is_ours(file)):
        raise DaedalError(f"{file} is there, and would be written over", "Move it, or choose another --out")
    require_place(file)
    asked = questions(prompts)
    opening = [{"role": "system", "content": system}] if system else []
    conversations = [[*opening, *each.messages] for each in asked.asked]
    every = [Question(tuple(each), sample) for each in conversations for sample in range(n)]
    replies: dict[int, Reply] = {}
    for place, reply in respondent.answer(every, wording):
        replies[place] = reply
        if progress is not None:
            progress("asking", len(replies), len(every))
    why: Counter[str] = Counter()
    lines = []
    for place in range(len(every)):
        reason = _unfit(replies[place])
        if reason:
            why[reason] += 1
            continue
        said = [*conversations[place // n], {"role": "assistant", "content": replies[place].text.strip()}]
        lines.append(json.dumps({"messages": said, "model": respondent.name, "licence": licence}, ensure_ascii=False))
    if not lines:
        told = ", ".join(f"{count:,} {reason}" for reason, count in why.items())
        raise DaedalError(
            f"No answer of {respondent.name} is whole: {told}", "Allow more --max-tokens, or ask otherwise"
        )
    _keep(file, "\n".join(lines) + "\n")
    found = Distilled(
        model=respondent.name, identity=respondent.identity, licence=licence, prompts=asked.name, hash=asked.fingerprint,
        wording=wording, system=system, asked=len(every), kept=len(lines), left_out=dict(why), answers=str(file),
        data=str(folder), used=told_use(respondent),
    )  # fmt: skip
    _build(file, folder, licence, replace, progress, options)
    write_json(folder / RECORD, found.model_dump(mode="json", exclude={"used"}))
    return found


def _is_ours(file: Path) -> bool:
    """Whether a file is of an earlier run, perhaps one that was stopped."""
    try:
        with file.open(encoding="utf-8") as lines:
            found: Any = json.loads(lines.readline(1 << 20) or "{}")
            return set(found) >= {"messages", "model", "licence"}
    except (OSError, ValueError, TypeError, RecursionError):
        return False


def _build(
    file: Path,
    folder: Path,
    licence: str | None,
    replace: bool,
    progress: Callable[[str, float, float | None], None] | None,
    options: dict[str, Any],
) -> None:
    from daedal.data.any_build import build_any

    how: dict[str, Any] = {**options, "replace": replace}
    if licence is not None:
        how["licence"] = licence
    if progress is not None:
        how["progress"] = progress
    build_any([file], folder, "chat", how)


def _keep(file: Path, text: str) -> None:
    """Write the conversations, but not the same ones again: to the build a file that was written anew is another source."""
    if not (file.is_file() and file.read_bytes() == text.encode()):
        write_text(file, text)


def _unfit(reply: Reply) -> str:
    """Why an answer is not in the data; empty where it is."""
    if not reply.text.strip():
        return "empty"
    return "" if reply.finish_reason == "stop" else f"ended by {reply.finish_reason}"
