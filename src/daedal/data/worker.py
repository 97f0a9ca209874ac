"""The program of a worker process: reads jobs from standard input and does them; ends with its parent."""

import json
import os
import queue
import sys
import threading
from typing import Any

from daedal.data import children
from daedal.data.workers import Doer, receive
from daedal.families import part


def main() -> None:
    """Do jobs until there are no more."""
    answers = children.answers()
    jobs: queue.SimpleQueue[tuple[Any, bytes]] = queue.SimpleQueue()

    def listen() -> None:
        while (job := receive(sys.stdin.buffer)) is not None:
            jobs.put(job)
        os._exit(0)  # the parent is gone or done: whatever is under way is only under a temporary name

    threading.Thread(target=listen, daemon=True).start()

    def say(**what: object) -> None:
        print(json.dumps(what), file=answers)

    made, _ = jobs.get()
    doer: Doer = part(made["doer"])(**made["bench"])
    while True:
        head, body = jobs.get()
        try:
            doer.do(doer.unpack(head, body), lambda size: say(bytes=size))
            say(done=True)
        except Exception as error:
            say(**children.told(error))


if __name__ == "__main__":
    main()
