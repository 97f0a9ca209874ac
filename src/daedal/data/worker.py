"""The program of a worker process: reads jobs from standard input, one a line; ends with its parent."""

import json
import os
import queue
import signal
import sys
import threading
import traceback

from daedal.data.encode import Job
from daedal.data.sources import Unit
from daedal.data.stop import resumable
from daedal.data.workers import Bench, Doer
from daedal.errors import DaedalError


def main() -> None:
    """Do jobs until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()

    def listen() -> None:
        for line in sys.stdin:
            jobs.put(line)
        os._exit(0)  # the parent is gone or done: whatever is under way is only under a temporary name

    threading.Thread(target=listen, daemon=True).start()

    def say(**what: object) -> None:
        print(json.dumps(what), file=answers)

    doer = Doer(Bench.model_validate_json(jobs.get()))
    while True:
        ((kind, values),) = json.loads(jobs.get()).items()
        try:
            doer.do(
                Unit.model_validate(values) if kind == "Unit" else Job.model_validate(values),
                lambda size: say(bytes=size),
            )
            say(done=True)
        except DaedalError as error:
            say(what=error.what, fix=error.fix, resumable=resumable(error))
        except Exception:
            say(failure=traceback.format_exc())


if __name__ == "__main__":
    main()
