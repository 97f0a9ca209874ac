"""What a model was trained on includes what its base was."""

import json
from pathlib import Path

from command_line import story
from daedal import api
from daedal.data.any_build import build
from daedal.data.options import BuildOptions
from daedal.evaluation.cards import write_card
from daedal.safety.marking import licences_of
from daedal.training.lineage import bases, learned_licences


def test_licences_of_what_a_run_began_from_are_its_own(tmp_path: Path) -> None:
    runs = []
    for number, licence in enumerate(("MIT", "CC0-1.0")):
        (tmp_path / f"texts{number}").mkdir()
        for part in range(8):
            (tmp_path / f"texts{number}" / f"{part}.txt").write_text(story(number * 8 + part), encoding="utf-8")
        data = tmp_path / f"data{number}"
        build(tmp_path / f"texts{number}", data, BuildOptions(licence=licence, codec="byte"))
        runs.append(tmp_path / f"run{number}")
        how = {"depth": 1, "width": 32, "heads": 2, "context": 32} if number == 0 else {"init": str(runs[0])}
        api.train("gpt", data=data, out=runs[-1], steps=1, batch=2, **how)
    assert licences_of(runs[0]) == ("MIT",)
    assert licences_of(runs[1]) == ("CC0-1.0", "MIT")
    assert list(bases(runs[1])) == [str(runs[0])]
    card = write_card(runs[1]).markdown
    assert 'license: "unknown"' in card  # there are two
    assert "| MIT | given | texts0 |" in card
    plan = runs[0] / "training" / "plan.json"
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"init": "somebody/base"}))
    assert licences_of(runs[1]) == ("CC0-1.0", "MIT", "NOASSERTION")
    assert learned_licences(runs[1]).entries[-1].source == "somebody/base"
    assert 'base_model: "somebody/base"' in write_card(runs[1]).markdown
    plan.write_text(json.dumps(json.loads(plan.read_text()) | {"init": str(runs[1])}))  # a circle ends
    assert licences_of(runs[1]) == ("CC0-1.0", "MIT")
    assert licences_of(tmp_path) == ()
