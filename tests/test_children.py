"""What fails in a child process arrives as if it had failed here."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from daedal.data import children
from daedal.data.images.batch import Batch
from daedal.data.images.resize import Treatment
from daedal.data.stop import StoppedError
from daedal.data.workers import Workers
from daedal.errors import DaedalError


@pytest.mark.parametrize("error", [DaedalError("It is so", "Do this"), StoppedError("It is so", "Do this")])
def test_a_mistake_in_a_child_arrives_as_it_was(error: DaedalError) -> None:
    arrived = children.failure(json.loads(json.dumps(children.told(error))))
    assert (type(arrived), str(arrived)) == (type(error), str(error))


def test_a_fault_in_a_child_arrives_with_its_traceback() -> None:
    try:
        raise KeyError("what is missing")
    except KeyError as error:
        arrived = children.failure(children.told(error))
    assert isinstance(arrived, RuntimeError)
    assert "Traceback" in str(arrived)
    assert "what is missing" in str(arrived)


def test_an_answer_that_all_is_well_is_no_failure() -> None:
    assert children.failure({"done": 3}) is None


def test_a_child_that_is_gone_is_told(tmp_path: Path) -> None:
    bench = {"treatment": Treatment().model_dump(mode="json"), "folder": str(tmp_path)}
    with Workers("daedal.data.images.batch:BatchWork", bench, 2) as workers:

        def batches() -> Iterator[Batch]:
            yield Batch(0, (), ())
            for child in workers._processes:
                child.kill()
                child.wait()
            yield Batch(1, (), ())

        with pytest.raises(StoppedError, match="A worker process ended"):
            workers.run(batches(), lambda size: None)
