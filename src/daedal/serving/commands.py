"""What the process of a model and the server say to each other: commands one way, events the other."""

from typing import Any, Protocol

Command = dict[str, Any]
Event = dict[str, Any]
LAST = ("done", "result", "error")
"""Events that end a command."""


class Refused(Exception):
    """A command asks for something wrong."""

    def __init__(self, status: int, message: str, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.param = status, message, code, param

    def event(self, id: int) -> Event:
        return {
            "id": id,
            "event": "error",
            "status": self.status,
            "message": self.message,
            "param": self.param,
            "code": self.code,
        }


class Desk(Protocol):
    """Carries out commands for one model. `prepare` may be called from any thread; all else from one."""

    @property
    def info(self) -> dict[str, Any]: ...

    @property
    def busy(self) -> bool: ...

    def prepare(self, command: Command) -> Any: ...

    def begin(self, job: Any) -> None: ...

    def cancel(self, id: int) -> None: ...

    def step(self) -> list[Event]: ...

    def stats(self) -> Event: ...
