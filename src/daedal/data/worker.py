"""The program of a worker process: reads jobs from standard input, one a line; ends with its parent."""

import json
import os
import queue
import sys
import threading

from daedal.data import children
from daedal.data.encode import Job
from daedal.data.sources import Unit
from daedal.data.workers import Bench, Doer


def main() -> None:
    """Do jobs until there are no more."""
    answers = children.answers()
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
        except Exception as error:
            say(**children.told(error))


if __name__ == "__main__":
    main()
