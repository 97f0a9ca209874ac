"""The program of a worker process: reads batches of pictures from standard input and treats them; ends with its parent."""

import json
import sys
from pathlib import Path

from daedal.data import children
from daedal.data.images.batch import treat_batch
from daedal.data.images.resize import Treatment
from daedal.data.images.workers import receive, receive_batch


def main() -> None:
    """Treat batches until there are no more."""
    answers = children.answers()
    stream = sys.stdin.buffer
    bench = json.loads(receive(stream) or b"{}")
    if not bench:
        return
    treatment, folder = Treatment.parse(bench["treatment"], "treatment"), Path(bench["folder"])
    while (batch := receive_batch(stream)) is not None:
        try:
            treat_batch(batch, treatment, folder)
            said: dict[str, object] = {"done": batch.number}
        except Exception as error:
            said = children.told(error)
        print(json.dumps(said), file=answers)


if __name__ == "__main__":
    main()
