"""The program of a worker process: reads batches of pictures from standard input and treats them; ends with its parent."""

import json
import os
import signal
import sys
import traceback
from pathlib import Path

from daedal.data.images.batch import treat_batch
from daedal.data.images.treat import Treatment
from daedal.data.images.workers import receive, receive_batch
from daedal.data.stop import resumable
from daedal.errors import DaedalError


def main() -> None:
    """Treat batches until there are no more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # what a library prints is no answer
    stream = sys.stdin.buffer
    bench = json.loads(receive(stream) or b"{}")
    if not bench:
        return
    treatment, folder = Treatment.parse(bench["treatment"], "treatment"), Path(bench["folder"])
    while (batch := receive_batch(stream)) is not None:
        try:
            treat_batch(batch, treatment, folder)
            said: dict[str, object] = {"done": batch.number}
        except DaedalError as error:
            said = {"what": error.what, "fix": error.fix, "resumable": resumable(error)}
        except Exception:
            said = {"failure": traceback.format_exc()}
        print(json.dumps(said), file=answers)


if __name__ == "__main__":
    main()
