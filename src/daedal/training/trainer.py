"""The one training loop. Training is a game whose players step in turn; most models have one player.

Accumulation, clipping, averaged weights, precision, compilation, distribution, the time budget, checkpoints and exact
resume live here and nowhere else. What is trained on, how it is validated and what a sample looks like is the task's affair.
"""

import math
import signal
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from statistics import fmean as mean
from typing import Any

import torch
from torch import Tensor, nn

from daedal.errors import DaedalError
from daedal.models.model import Model, Moment
from daedal.nn.transformer import Block, recompute
from daedal.training.best import Best
from daedal.training.machine import deterministic
from daedal.training.metrics import Journal, Listener, Silence
from daedal.training.pace import Pace
from daedal.training.plan import Plan
from daedal.training.prefetch import Prefetch
from daedal.training.private import Privacy, end, epsilon, run_key
from daedal.training.processes import Processes
from daedal.training.run import RunFolder
from daedal.training.schedule import trapezoid
from daedal.training.signals import Signals
from daedal.training.state import load_state, random_state, save_state, set_random_state
from daedal.training.task import Task


class Interrupted(Exception):
    """Training was asked to stop and did, with everything saved."""

    def __init__(self, step: int, asked: signal.Signals) -> None:
        super().__init__(f"stopped at step {step}")
        self.step, self.asked = step, asked


class Trainer:
    """Trains `task.model` by `plan` and keeps `run` up to date.

    Args:
        elapsed: seconds of the budget that were used before.
        reserve: seconds of the budget to leave for what comes after.
    """

    def __init__(
        self,
        task: Task,
        plan: Plan,
        run: RunFolder,
        processes: Processes,
        listener: Listener | None = None,
        elapsed: float = 0.0,
        reserve: float = 0.0,
    ) -> None:
        if plan.batch % (plan.micro_batch * processes.count):
            raise DaedalError(
                f"A batch of {plan.batch} cannot be shared by {processes.count} processes "
                f"in micro batches of {plan.micro_batch}",
                "Make --batch a multiple of --micro-batch times the number of processes",
            )
        self.task, self.plan, self.run, self.processes = task, plan, run, processes
        self.model: Model = task.model.to(processes.device)
        self.listener: Listener = listener if listener is not None and processes.main else Silence()
        recompute(self.model, getattr(plan, "recompute", False))
        self.players = self.model.players
        self.optimizers = {name: task.optimizer(name, plan) for name in self.players}
        self.pace = Pace(plan, run, processes, elapsed, reserve)
        self.step = 0
        self._privacy = self._private()
        self._average = [p.detach().clone() for p in self.model.parameters()] if plan.ema else []
        self._best = Best(plan.keep == "best")
        self._lowest = math.inf
        self._warned: str | None = None
        self._told: list[dict[str, Tensor]] = []  # the losses of the steps since the last record

    def train(self) -> None:
        """Train from where the run stands to its end.

        Raises:
            Interrupted: a signal asked to stop; the state is saved.
            DaedalError: the loss is not a number or grows without bound, or a file cannot be written.
        """
        self._resume()
        journal = Journal(self.run, self.step) if self.processes.main else None
        if self.plan.compile:
            warnings.filterwarnings("ignore", "Torchinductor does not support code generation for complex")  # turns
            for module in self.model.modules():
                if isinstance(module, Block):
                    module.compile()
        try:
            with Signals() as signals, deterministic(self.processes.device):
                self._loop(journal, signals)
        finally:
            if journal is not None:
                journal.close()

    def _loop(self, journal: Journal | None, signals: Signals) -> None:
        plan, pace = self.plan, self.pace
        if self.step == 0 and self.task.learned_before:
            with pace.clock.paused():
                pace.timed("validate", lambda: self._validate(journal))
        with Prefetch(self._micro_batches, self.step, self.task.ahead) as batches:
            while self.step < pace.steps(self.step):
                with pace.step(self.step):
                    with self._uncompiled():
                        self.task.begin_step(self.step, self.processes)
                    examples = batches.get()
                    parts, count = self._step(examples)
                self.step += 1
                self._told.append(parts)
                pace.clock.count(count)
                stop, late = self.processes.any(signals.asked is not None, pace.late)
                if pace.due(self.step, late):
                    float(parts["loss"])  # a GPU must have caught up before the clock is read
                    pace.review(self.step)
                last = self.step >= pace.steps(self.step)
                if last or self.step % plan.log_every == 0:
                    self._log(journal)
                    self._told.clear()
                with pace.clock.paused():
                    if self.step % plan.evaluate_every == 0 or (last and (plan.budget is None or plan.keep == "best")):
                        pace.timed("validate", lambda: self._validate(journal))
                    if last:
                        self._finish()
                    if last or self.step % plan.sample_every == 0:
                        pace.timed("sample", lambda: self._sample(journal))
                    if last or stop or self.step % plan.checkpoint_every == 0:
                        self._check(float(parts["loss"]))
                        pace.timed("save", self.save)
                if stop and not last:
                    raise Interrupted(self.step, signals.asked or signal.SIGTERM)

    def _step(self, micro_batches: list[Any]) -> tuple[dict[str, Tensor], int]:
        """Every player moves once. Gives the loss, with its parts, and the number of things learned, over all processes."""
        device = self.processes.device
        count = int(self.processes.sum(torch.tensor(sum(batch.count for batch in micro_batches))))
        of_one = micro_batches[0].count if self._privacy is not None and micro_batches else count
        moment = Moment(float(of_one), self.pace.horizon.fraction(self.step), self.step)
        factor = self._factor(self.step)
        parts = {"loss": torch.zeros((), device=device)}
        self.model.train()
        for player, parameters in self.players.items():
            self.model.turn(player)
            for batch in micro_batches:
                with self._autocast():
                    loss = self.model.loss(batch.to(device).at(moment), player)
                loss.total.backward()  # type: ignore[no-untyped-call]
                for name, value in {**loss.parts, "loss": loss.total}.items():
                    parts[name] = parts.get(name, 0) + value.detach()
                if self._privacy is not None:
                    self._privacy.add(parameters)
            if self._privacy is not None:
                self._privacy.finish(parameters, self.step)
            self.processes.sum_gradients(parameters)
            if self.plan.clip:
                nn.utils.clip_grad_norm_(parameters, self.plan.clip)
            self.optimizers[player].step(factor)
        self.model.after_step(self.processes.sum, moment)
        if self._average:
            # a smaller decay at first forgets the random start
            decay = min(self.plan.ema, (1 + self.step) / (10 + self.step))
            torch._foreach_lerp_(self._average, [p.detach() for p in self.model.parameters()], 1 - decay)
        if self._privacy is not None:  # whose losses are each the mean of a window
            parts = {name: part / max(1, len(micro_batches)) for name, part in parts.items()}
        whole = self.processes.sum(torch.stack([value.float() for value in parts.values()]))
        return dict(zip(parts, whole.unbind(), strict=True)), count

    def _factor(self, step: int) -> float:
        """What the learning rates are multiplied by in the step after `step` steps."""
        horizon = self.pace.horizon
        begin, end = horizon.fraction(step), horizon.fraction(step + 1)
        return trapezoid(begin, end, self.plan.warmup, self.plan.cooldown)

    def _micro_batches(self, step: int) -> list[Any]:
        """This process's share of a step's examples: a pure function of the step."""
        if self._privacy is not None:
            return [self.task.window(int(number)) for number in self._privacy.chosen(step)]  # type: ignore[attr-defined]
        share = self.plan.batch // self.processes.count
        first = step * self.plan.batch + self.processes.rank * share
        return [
            self.task.batch(first + start, self.plan.micro_batch) for start in range(0, share, self.plan.micro_batch)
        ]

    def _private(self) -> Privacy | None:
        """What makes the steps private, if they are to be."""
        plan: Any = self.plan
        if not getattr(plan, "private", False):
            return None
        if self.processes.count > 1:
            raise DaedalError("Private training runs in one process", "Start it without torchrun")
        epsilon(plan.private_noise, 0.5, 1, plan.private_delta)  # refused now, where there is no accountant
        key = run_key(self.run.training)
        return Privacy(self.task.windows, plan.batch, plan.private_clip, plan.private_noise, key)  # type: ignore[attr-defined]

    def _autocast(self) -> AbstractContextManager[Any]:
        if self.plan.precision == "bf16":
            return torch.autocast(self.processes.device.type, torch.bfloat16)
        return nullcontext()

    def _uncompiled(self) -> AbstractContextManager[Any]:
        """For writing with a cache, whose every length would be compiled anew."""
        return torch.compiler.set_stance("force_eager") if self.plan.compile else nullcontext()

    # -- telling -------------------------------------------------------------------------------------------------------

    def _log(self, journal: Journal | None) -> None:
        told = self._told
        for parts in told:
            self._check(float(parts["loss"]))
        # a part that some steps leave out, such as a lazy penalty, is the mean of those that have it
        names = dict.fromkeys(name for parts in told for name in parts)
        means = {name: mean([float(parts[name]) for parts in told if name in parts]) for name in names}
        pace, speed = self.pace, self.pace.clock.per_second()
        record = {
            "step": self.step,
            **self.task.units(means.pop("loss")),
            **means,
            **self.model.health(),
            "learning_rate_factor": self._factor(self.step - 1),
            **({} if speed is None else {f"{self.task.unit}_per_second": speed}),
            "seconds": pace.elapsed,
        }
        if journal is not None:
            journal.scalars(record)
        self._warn(journal)
        self.listener.step(record, pace.steps(self.step), pace.seconds_left(self.step))

    def _warn(self, journal: Journal | None) -> None:
        """Tell what the model finds wrong with itself, once for each thing."""
        warning = self.model.warning()
        if warning is not None and warning != self._warned:
            if journal is not None:
                journal.write("warnings", {"step": self.step, "warning": warning})
            self.listener.noted(f"step {self.step}: {warning}")
        self._warned = warning

    def _validate(self, journal: Journal | None) -> None:
        with self._averaged():
            self.model.eval()
            measured = self.task.validate(self.processes, self._autocast())
            self._best.offer(self.step, measured, self.model)
        if not measured:
            return
        record = {"step": self.step, **measured, "seconds": self.pace.elapsed}
        if journal is not None:
            journal.scalars(record)
        self.listener.validated(record)

    def _sample(self, journal: Journal | None) -> None:
        if journal is None:
            return
        with self._for_use(), self._autocast(), self._uncompiled():
            self.model.eval()
            text = self.task.sample(self.plan.seed, self.run.training / "samples" / f"step-{self.step:09d}")
        if text:
            journal.write("samples", {"step": self.step, "text": text})
            self.listener.sampled(self.step, text)

    def _finish(self) -> None:
        """Let the model fit what it fits once, with the weights for use in place; tell what validation said of the run."""
        with self._for_use(), torch.no_grad():
            self.model.eval()
            self.model.finish(self.task.examples())
            if self._best.weights:
                self._best.take(self.model)
        if self.task.learned_before and self._best.record:
            self.listener.noted(self._best.change)
        if self._privacy is not None:
            self.listener.noted(f"private: {end(self.run.training, self.plan, self._privacy, self.step).brief}")
        if self._best.verdict is not None:
            self.listener.noted(self._best.verdict)

    def _check(self, loss: float) -> None:
        """Stop at a loss from which no run comes back; the last checkpoint stays as it is."""
        self._lowest = min(self._lowest, loss)
        if math.isfinite(loss) and not self.task.diverged(loss, self._lowest):
            return
        what = f"went from {self._lowest:.2f} to {loss:.2f}" if math.isfinite(loss) else "is not a number"
        rates = "--muon-learning-rate and --learning-rate" if self.plan.optimizer == "muon" else "--learning-rate"
        state = self.run.state
        kept = f"; the checkpoint of step {int(state.name.removeprefix('step-'))} is kept" if state else ""
        raise DaedalError(
            f"Training diverged by step {self.step}: the loss {what}{kept}", f"Train again with a smaller {rates}"
        )

    # -- checkpoints ---------------------------------------------------------------------------------------------------

    def save(self) -> None:
        """Write the weights for use, and the state for resume: both atomically, the older state removed last."""
        if self.processes.main:
            path = self.run.state_path(self.step)
            tensors = {
                "weights": dict(self.model.state_dict()),
                "average": {str(index): tensor for index, tensor in enumerate(self._average)},
                "best": self._best.weights,
                "random": random_state(self.processes.device),
                "task": self.task.state(),
                "told": {f"{at} {name}": part for at, parts in enumerate(self._told) for name, part in parts.items()},
                **{f"optimizer-{name}": optimizer.state() for name, optimizer in self.optimizers.items()},
            }
            progress = {
                "step": self.step,
                "elapsed": self.pace.elapsed,
                "lowest": self._lowest,
                "best": self._best.record,
                "data": self.task.fingerprint,
            }
            save_state(path, tensors, progress)
            with self._for_use():
                self.task.save(self.run.path)
                self.task.identity.write(self.run.path)
            self.run.drop_older_states(path)
        self.processes.wait()

    def _resume(self) -> None:
        """Go on from the newest state, if there is one."""
        path = self.run.state
        self._check_data(self.plan.fingerprint)
        self.processes.wait()  # none may save before all have looked
        if path is None:
            return
        tensors, progress = load_state(path)
        self._check_data(progress.get("data"))
        try:
            self.model.load_state_dict(tensors["weights"])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state(tensors[f"optimizer-{name}"])
            for index, average in enumerate(self._average):
                average.copy_(tensors["average"][str(index)])
            self._best.load(progress.get("best", {}), tensors.get("best", {}), self.processes.device)
            self.task.load_state(tensors.get("task", {}))
            set_random_state(tensors["random"], self.processes.device)
            self.step, self._lowest = int(progress["step"]), float(progress["lowest"])
            self.pace.go_on(float(progress["elapsed"]))
            for name, part in tensors.get("told", {}).items():  # older versions have none
                at, _, what = name.partition(" ")
                self._told += [{} for _ in range(int(at) + 1 - len(self._told))]
                self._told[int(at)][what] = part
        except (LookupError, RuntimeError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
            raise DaedalError(
                f"{path} does not fit this run's plan ({error})", "Restore it from a copy, or train again"
            ) from None

    def _check_data(self, known: str | None) -> None:
        """Hold the data to the fingerprint of what the run was begun with, where that is known."""
        if known not in (None, self.task.fingerprint):
            raise DaedalError(
                f"The data in {self.plan.data} is not what this run was trained on",
                "Build it again as it was, name its place by --data, or train anew",
            )

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """The averaged weights in the model's place, where there are any."""
        if not self._average:
            yield
            return
        parameters = [p.data for p in self.model.parameters()]
        raw = [p.clone() for p in parameters]
        torch._foreach_copy_(parameters, self._average)
        try:
            yield
        finally:
            torch._foreach_copy_(parameters, raw)

    def _for_use(self) -> AbstractContextManager[None]:
        """The weights that are saved for use in the model's place: those that were best, where they are kept."""
        return self._best.in_place(self.model) if self._best.weights else self._averaged()
