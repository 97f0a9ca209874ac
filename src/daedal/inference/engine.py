"""The engine: requests come and go between steps, and all that run share each step.

- a row has a slot of a preallocated cache; running rows lie side by side, so that a step is one pass over them
- a long prompt is read in parts, and the others go on between them; what was read before is not read again (`prefix_cache.py`)
- a row's tokens depend on its seed, its prompt, the number of its sample and its watermark, not on what else runs
- owners take turns (`fair_queue.py`)
- where memory is full, the youngest row gives up its slot and later reads again what it had written
- where the context is full, a row stops, or slides: its last half is read again and it goes on from there
- a single row may guess some tokens ahead, and the model checks them in one pass (Leviathan et al. 2023). A guess stays
  only if it is what the model itself chooses, so the text is the model's own
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from jaxtyping import Float
from torch import Tensor

from daedal.errors import DaedalError
from daedal.inference.engine_request import Event, Fault, FinishReason, Read, Request, Row, Token, open_row
from daedal.inference.fair_queue import Waiting
from daedal.inference.logits import log_probabilities
from daedal.inference.next_token import draw, next_tokens, shape
from daedal.inference.prefix_cache import PrefixCache
from daedal.inference.prompt_lookup import AHEAD, look_up
from daedal.models.autoregression import Network
from daedal.nn.cache import KVCache

_CHUNK = 256
"""Tokens of prompts that are read in a step: bounds how long the other rows wait."""
_ECHOED = 64
"""Of those, when the logits of each are wanted: bounds the memory."""
_ROOM = 256
"""Columns that a cache starts with; it doubles when they are full."""
_WORTH = 2**15
"""Random numbers that are worth waking another thread for."""


class Engine:
    """Generates with one model: `submit` requests, then `step` while `busy`.

    Args:
        draft: a cheaper network with the same cache, whose guesses make a single row faster and change nothing else.
        rows: that run at the same time, at most.
        memory: bytes of the cache, at most, but for a single row.
        prefixes: bytes of what is kept of earlier texts.
        lookup: whether a single row without a draft guesses what followed earlier in its own text.
    """

    def __init__(
        self,
        network: Network,
        draft: Network | None = None,
        *,
        rows: int = 64,
        memory: int = 2**32,
        prefixes: int = 2**28,
        lookup: bool = True,
    ) -> None:
        self.network, self.draft, self.rows, self.memory, self.lookup = network, draft, rows, memory, lookup
        self.prefixes = PrefixCache(prefixes)
        self.running: list[Row] = []  # in slot 0, 1, ...
        self._reading: Row | None = None  # in the slot after them
        self._waiting = Waiting()
        self._cache = network.new_cache(1, min(_ROOM, network.context + AHEAD + 1))
        self._column = self._cache.bytes // self._cache.capacity  # bytes of one column of one row
        self._part: KVCache | None = None
        self._helper = ThreadPoolExecutor(1, thread_name_prefix="chance")

    def submit(self, request: Request) -> Row:
        """Take a request in.

        Raises:
            DaedalError: the prompt is empty or leaves no room in the context, or an id is not in the vocabulary.
        """
        row = open_row(request, self.network.context, self.network.vocab, self.network.device)
        self._waiting.add(row, {other.request.owner for other in self.running})
        return row

    @property
    def busy(self) -> bool:
        return bool(self.running or self._reading or self._waiting)

    @property
    def waiting(self) -> int:
        """Rows that have not begun."""
        return len(self._waiting)

    @property
    def cached(self) -> int:
        """Tokens whose keys and values are in the cache."""
        return sum(row.read for row in self.running)

    @torch.inference_mode()
    def cancel(self, row: Row, keep: bool = False) -> None:
        """End a row: no more of its tokens are wanted.

        Args:
            keep: whether its text may come up again, as one that is finished may.
        """
        if row in self.running:
            self._leave(row, keep)
        elif row is self._reading:
            self._reading = None
        else:
            self._waiting.take(row)

    @torch.inference_mode()
    def step(self) -> list[Event]:
        """Read prompts for a while, then give the next token of every running row; of a single row, maybe several."""
        ran = bool(self.running)
        events = self._read()
        return events + self._write() if ran else events

    # -- reading -----------------------------------------------------------------------------------------------------

    def _read(self) -> list[Event]:
        """Read prompts, at most `_CHUNK` tokens; the first token of those that are done."""
        events: list[Event] = []
        budget = _CHUNK
        while budget > 0 and (row := self._reading or self._admit()) is not None:
            self._reading = row
            try:
                logits, used = self._read_on(row, budget)
            except DaedalError as error:
                self._reading = None
                events.append(Fault(row, error))
                continue
            budget -= used
            if logits is None:
                continue
            self._reading = None
            if len(row.ids) == len(row.request.ids):
                self.prefixes.save(row.request.owner, row.ids, self._cache, len(self.running))
                events.append(Read(row))
                self._waiting.charge(row, len(row.ids) - row.cached)
            if not row.request.writes:
                continue
            self.running.append(row)
            self._part = None
            twins = self._twins(row)
            for twin in twins:
                self._cache.copy(self.running.index(row), len(self.running))
                twin.read, twin.cached = row.read, row.cached
                self.running.append(twin)
                events.append(Read(twin))
            events += self._choose([row, *twins], logits.repeat(1 + len(twins), 1))
        return events

    def _read_on(self, row: Row, budget: int) -> tuple[Float[Tensor, "1 vocab"] | None, int]:
        """Read some more of a row's text; the logits after it, once it has been read, and how many tokens it took."""
        seen, every = row.seen, row.request.echo is not None and len(row.echoed) < len(row.request.ids)
        if row.read == 0:
            self._reserve(len(seen))
            if not every:
                # One token at least is read, for the logits after it
                row.read = self.prefixes.load(row.request.owner, seen[:-1], self._cache, len(self.running))
            if len(row.ids) == len(row.request.ids):
                row.cached = row.read
        slot = len(self.running)
        part = self._cache.rows(slot, slot + 1)
        part.lengths = [row.read]
        new = seen[row.read : row.read + min(budget, _ECHOED if every else budget)]
        logits = self.network(torch.tensor([new], device=self.network.device), part, every)
        if every:
            self._echo(row, new, logits[0])
        row.read += len(new)
        self._cache.lengths[slot] = row.read
        return (logits[:, -1].clone() if row.read == len(seen) else None), len(new)

    def _echo(self, row: Row, new: Sequence[int], logits: Float[Tensor, "time vocab"]) -> None:
        """Note the log-probabilities of the prompt's tokens after those just read."""
        if not row.echoed:
            row.echoed.append(None)
        following = row.ids[len(row.echoed) : len(row.echoed) + len(new)]
        if following:
            chosen = torch.tensor(following, device=logits.device)
            logprobs, tops = log_probabilities(logits[: len(following)], chosen, row.request.echo or 0)
            row.echoed += zip(logprobs, map(tuple, tops), strict=True)

    def _admit(self) -> Row | None:
        """The next row to read, if there is room for it."""
        row = self._waiting.first()
        if row is None or len(self.running) >= self.rows:
            return None
        if self.running and not self._fits(len(row.seen) + min(row.room, _ROOM), len(self.running) + 1):
            return None
        self._waiting.take(row)
        row.begin()
        return row

    def _twins(self, row: Row) -> list[Row]:
        """Waiting rows that have the same text to read: one reading is enough. They take slots whose turn it is to be theirs,
        or that nobody else waits for."""
        found: list[Row] = []
        while (twin := self._waiting.twin(row)) is not None:
            others, slots = self._waiting.others(row), len(self.running) + len(found) + 1
            if twin is self._waiting.first():
                others = 0
            if slots + others > self.rows or not self._fits(row.read, slots + others):
                break
            self._waiting.take(twin)
            twin.begin()
            found.append(twin)
        self._reserve(row.read, len(found))
        return found

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write(self) -> list[Event]:
        """One pass over all running rows."""
        if len(self.running) == 1 and (guesses := self._guess(self.running[0])):
            return self._check(self.running[0], guesses)
        self._reserve(max(row.read for row in self.running) + 1)
        running = list(self.running)
        if not running:
            return []
        if self._part is None:
            self._part = self._cache.rows(0, len(running))
        self._part.lengths = [row.read for row in running]
        pending = torch.tensor([[row.ids[-1]] for row in running], device=self.network.device)
        drawn = self._draw_ahead(running)
        logits = self.network(pending, self._part)[:, -1]
        if drawn is not None:
            drawn.result()
        for slot, row in enumerate(running):
            row.read += 1
            self._cache.lengths[slot] = row.read
        return self._choose(running, logits)

    def _draw_ahead(self, rows: Sequence[Row]) -> Future[None] | None:
        """Draw what chance has in the next token of each row while the network runs, which another core has time for."""
        chance = [row for row in rows if row.needs_noise]
        if len(chance) * self.network.vocab < _WORTH:
            return None

        def make() -> None:
            for row in chance:
                row.noise_at(0, self.network.vocab)

        return self._helper.submit(make)

    def _choose(self, rows: Sequence[Row], logits: Float[Tensor, "rows vocab"]) -> list[Event]:
        """Choose a token for every row and take it into the row."""
        chosen = next_tokens(rows, logits)
        events: list[Event] = []
        for row in rows:
            try:
                if row in chosen.faults:
                    raise chosen.faults[row]
                finish = self._add(row, chosen.ids[row])
            except DaedalError as error:
                self._leave(row)
                events.append(Fault(row, error))
            else:
                logprob, top = chosen.logprobs.get(row, (None, ()))
                events.append(Token(row, chosen.ids[row], logprob, top, finish))
        return events

    def _add(self, row: Row, id: int) -> FinishReason | None:
        """Take a token into a row; why the row ends with it, if it does."""
        row.ids.append(id)
        row.visible += 1
        row.room -= 1
        self._waiting.charge(row, 1)
        if row.history is not None:
            row.history.add(id)
        constraint, finish = row.request.constraint, None
        if constraint is not None:
            constraint.add(id)
        if id in row.request.stop_ids or (constraint is not None and constraint.complete):
            finish = "stop"
        elif row.room <= 0:
            finish = row.limit
        if finish is not None:
            self._leave(row, keep=True)
        elif row.visible > self.network.context:
            self._leave(row)
            row.visible, row.read = max(1, self.network.context // 2), 0
            self._waiting.give_back(row)
        return finish  # type: ignore[return-value]

    # -- a single row that guesses ahead -------------------------------------------------------------------------------

    def _guess(self, row: Row) -> list[int]:
        """Tokens that may come next. The last token of a text needs no guess after it."""
        ahead = min(AHEAD, row.room - 1, self.network.context - row.visible)
        if ahead <= 0 or self._reading is not None:
            return []
        if row.request.constraint is not None:
            return row.request.constraint.forced()[:ahead]
        if self.draft is not None:
            return self._draft(self.draft, row, ahead)
        return look_up(row.ids, min(ahead, row.caution.limit())) if self.lookup else []

    def _draft(self, draft: Network, row: Row, ahead: int) -> list[int]:
        """What the draft would write. It reads the model's own keys and values, and the penalties of the last certain token."""
        self._reserve(row.read + ahead + 1)
        part, fed = self._cache.rows(0, 1), [row.ids[-1]]
        part.lengths = [row.read]
        for _ in range(ahead):
            logits = draft(torch.tensor([fed[-1:]], device=self.network.device), part)[:, -1]
            fed += draw([row], shape([row], logits), fed[1:])
        return fed[1:]

    def _check(self, row: Row, guesses: list[int]) -> list[Event]:
        """Let the model read its last token and the guesses, and keep them as far as it would have written them itself."""
        self._reserve(row.read + len(guesses) + 1)
        part, fed = self._cache.rows(0, 1), [row.ids[-1], *guesses]
        part.lengths = [row.read]
        checked = self.network(torch.tensor([fed], device=self.network.device), part, every=True)[0]
        events: list[Event] = []
        for place in range(len(fed)):
            row.read += 1
            self._cache.lengths[0] = row.read
            events += self._choose([row], checked[place : place + 1])
            if row not in self.running or place + 1 == len(fed) or row.ids[-1] != fed[place + 1]:
                row.caution.learn(len(guesses), place)
                break
        return events

    # -- slots -------------------------------------------------------------------------------------------------------

    def _leave(self, row: Row, keep: bool = False) -> None:
        """Give up a running row's slot; the last row, and one that is being read, move up."""
        if row not in self.running:
            return
        slot, last = self.running.index(row), len(self.running) - 1
        if keep:
            known = row.seen[: row.read]
            self.prefixes.save(row.request.owner, known, self._cache, slot)
        if slot != last:
            self._cache.copy(last, slot)
            self.running[slot] = self.running[last]
        self.running.pop()
        if self._reading is not None and self._reading.read > 0:
            self._cache.copy(last + 1, last)
        self._part = None

    def _reserve(self, columns: int, more: int = 0) -> None:
        """Make room for so many columns in all slots that are taken and `more`; where there is none, the youngest give way."""
        while (slots := len(self.running) + (self._reading is not None) + more) > 1 and not self._fits(columns, slots):
            self._give_way()
        batch, capacity = self._cache.batch, self._capacity(columns, slots)
        if capacity > self._cache.capacity:
            batch = slots  # all is moved anyway: slots that nobody is in are given up
        elif slots > batch:
            batch = max(slots, min(2 * batch, self.rows, self.memory // (capacity * self._column)))
        if (batch, capacity) != (self._cache.batch, self._cache.capacity):
            self._cache.resize(batch, capacity)
            self._part = None

    def _give_way(self) -> None:
        """Let the youngest row give up its slot."""
        row = self._reading
        if row is not None and row.read > 0:
            self._reading = None
            row.echoed.clear()  # it begins anew
        else:
            row = max(self.running, key=lambda running: running.begun)
            self._leave(row)
        row.read = 0
        self._waiting.give_back(row)

    def _fits(self, columns: int, slots: int) -> bool:
        """Whether a cache with so many columns in so many slots is within memory."""
        return slots * self._capacity(columns, slots) * self._column <= self.memory

    def _capacity(self, columns: int, slots: int) -> int:
        """Columns of a cache that has room for so many: twice what it has, where memory allows, so that it seldom moves."""
        capacity = self._cache.capacity
        if columns <= capacity:
            return capacity
        double = self._round(max(columns, 2 * capacity))
        return double if slots * double * self._column <= self.memory else self._round(columns)

    def _round(self, columns: int) -> int:
        """A cache of at least so many columns; no longer than the context and a last guess."""
        return min(-(-columns // _ROOM) * _ROOM, self.network.context + AHEAD + 1)
