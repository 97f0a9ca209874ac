"""Problems that programs solve: how they are asked, what of an answer is a program, what passed, and pass@k of it."""

import gzip
import json
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command_line import daedal, mistake
from daedal import api
from daedal.alignment.rewards import Asked, reward_of
from daedal.data.shards import Dataset
from daedal.data.worlds import functions
from daedal.errors import DaedalError
from daedal.evaluation.blocks import Table, Texts
from daedal.evaluation.code import sandbox as outside
from daedal.evaluation.code.evaluate import CodeOptions, evaluate_code
from daedal.evaluation.code.functions import function_task
from daedal.evaluation.code.library import find
from daedal.evaluation.code.problems import CodeTask, Problem, code_task, problem_of_tests
from daedal.evaluation.code.program import Limits, Program, Tests
from daedal.evaluation.code.sandbox import Sandbox
from daedal.evaluation.measures.pass_at_k import measured, pass_at_k
from daedal.prompting.respondent import Likelihood, Message, Question, Reply, Wording

MBPP = [
    {
        "text": f"Write a function to add {n} to a number.", "code": f"def add_{n}(x):\r\n  return x + {n}", "task_id": n,
        "test_setup_code": "", "test_list": [f"assert add_{n}({x}) == {x + n}" for x in range(3)], "challenge_test_list": [],
    }
    for n in (2, 3, 4, 11, 12, 13)
]  # fmt: skip
HUMANEVAL = [
    {
        "task_id": "HumanEval/0", "entry_point": "near",
        "prompt": 'from typing import List\n\n\ndef near(numbers: List[float], limit: float) -> bool:\n    \"Nearer?\"\n',
        "canonical_solution": "    return any(abs(a - b) < limit for i, a in enumerate(numbers) for b in numbers[:i])\n",
        "test": "METADATA = {}\n\n\ndef check(candidate):\n    assert candidate([1.0, 2.0], 1.5) == True\n"
        "    assert candidate([1.0, 2.0], 0.5) == False\n",
    },
    {
        "task_id": "HumanEval/1", "entry_point": "decode",
        "prompt": "def encode(s: str):\n    return s[::-1]\n\n\ndef decode(s: str):\n    ''' The inverse. '''\n",
        "canonical_solution": "    return s[::-1]\n",
        "test": "def check(candidate):\n    from random import choice\n    import string\n"
        "    for _ in range(9):\n        s = choice(string.ascii_letters) + 'b'\n        assert candidate(encode(s)) == s\n",
    },
]  # fmt: skip


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    try:
        opened = Sandbox(Limits(seconds=2.0), workers=1)
    except DaedalError as error:
        pytest.skip(str(error))
    with opened:
        yield opened


class Scripted:
    """Answers what it is told to: for each problem, in turns."""

    name, identity = "scripted", "0" * 64

    def __init__(self, task: CodeTask, answers: Sequence[str], chat: bool = False) -> None:
        self.by_prompt = {json.dumps(task.question(each, chat)): each for each in task.problems}
        self.answers = answers
        self.asked: list[Question] = []

    def answer(self, questions: Sequence[Question], wording: Wording) -> Iterator[tuple[int, Reply]]:
        self.asked += questions
        for place, question in reversed(list(enumerate(questions))):
            problem = self.by_prompt[json.dumps(question.prompt)]
            text = self.answers[question.sample % len(self.answers)]
            right = problem.reference.removeprefix(problem.begun)
            yield (
                place,
                Reply(
                    text=text.format(right=right),
                    finish_reason="stop",
                    prompt_tokens=1,
                    completion_tokens=1,
                    seconds=0.0,
                ),
            )

    def likelihoods(self, pairs: Sequence[tuple[Any, str]]) -> Iterator[tuple[int, Likelihood]]:
        raise NotImplementedError

    def rolling(self, texts: Sequence[str]) -> Iterator[tuple[int, Likelihood]]:
        raise NotImplementedError

    def rendered(self, messages: Sequence[Message]) -> str:
        raise NotImplementedError


# -- pass@k ----------------------------------------------------------------------------------------------------------------


@given(st.integers(1, 9), st.data())
@settings(max_examples=60, deadline=None)
def test_pass_at_k_is_the_share_of_sets_of_k_that_have_one_that_passed(written: int, data: st.DataObject) -> None:
    passed, k = data.draw(st.integers(0, written)), data.draw(st.integers(1, written))
    sets = list(combinations([place < passed for place in range(written)], k))
    share = sum(any(each) for each in sets) / len(sets)
    assert pass_at_k(np.array([written]), np.array([passed]), k)[0] == pytest.approx(share, abs=1e-12)


def test_pass_at_k_does_not_overflow_and_has_an_interval() -> None:
    assert pass_at_k(np.array([100_000]), np.array([1]), 50_000)[0] == pytest.approx(0.5)
    found = measured(np.array([10, 10, 10, 10]), np.array([0, 2, 5, 10]), 1)
    assert found["value"] == pytest.approx(0.425)
    assert 0 <= found["interval"][0] < 0.425 < found["interval"][1] <= 1
    nothing = measured(np.array([10] * 20), np.array([0] * 20), 10)
    assert nothing["interval"][0] == 0 < nothing["interval"][1] < 0.25
    with pytest.raises(ValueError, match="pass@11"):
        pass_at_k(np.array([10]), np.array([3]), 11)


# -- problems --------------------------------------------------------------------------------------------------------------


def test_mbpp_is_asked_as_in_its_paper() -> None:
    task = code_task("mbpp", MBPP)
    assert [each.name for each in task.problems] == ["11", "12", "13"]
    prompt = task.question(task.problems[0], chat=False)
    assert isinstance(prompt, str)
    assert prompt.startswith(
        "You are an expert Python programmer, and here is your task: Write a function to add 2 to a number. Your code should "
        "pass these tests:\n\nassert add_2(0) == 2\nassert add_2(1) == 3\nassert add_2(2) == 4\n[BEGIN]\ndef add_2(x):\n"
    )
    assert prompt.count("[DONE]") == task.shots == 3
    assert prompt.endswith("assert add_11(2) == 13\n[BEGIN]\n")
    (message,) = task.question(task.problems[0], chat=True)
    assert "expert" in message["content"]


def test_humaneval_goes_on_from_its_prompt(sandbox: Sandbox) -> None:
    task = code_task("humaneval", HUMANEVAL)
    assert task.problems[0].prompt == HUMANEVAL[0]["prompt"]
    for problem in task.problems:
        body = problem.reference.removeprefix(problem.prompt)
        answers = {
            "the rest": body + "\n\ndef other():\n    exit()",
            "a block": f"Sure:\n```python\n{problem.reference}```\nThat is it.",
            "a block of the rest": f"```\n{body}```",
            "a block that is not closed": f"```python\n{problem.reference}",
        }
        for name, answer in answers.items():
            outcome = sandbox.one(Program(problem.program(answer, task.stops), problem.tests))
            assert outcome.ending == "passed", (name, outcome)
        assert sandbox.one(Program(problem.program("    return 1", task.stops), problem.tests)).ending == "failed"


def test_what_of_an_answer_is_a_program() -> None:
    tests = Tests.of(["assert f(1) == 2"])
    free = Problem(name="", asked="", prompt="", tests=tests, entry="f")
    assert free.program("def f(x): return 2\n[DONE]\nmore", ["[DONE]"]) == "def f(x): return 2\n"
    assert (
        free.program("```text\nno\n```\n```python\nx = 1\n```\n```py\ndef f(x): return 2\n```") == "def f(x): return 2"
    )
    assert free.program("a\r\nb") == "a\nb"
    begun = free.but(begun="import math\ndef f(x):\n")
    assert begun.program("    return 2") == "import math\ndef f(x):\n    return 2"
    assert begun.program("```python\ndef f(x):\n    return 2\n```") == "import math\ndef f(x):\n    return 2"


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_is_known_by_its_columns(tmp_path: Path, packed: bool) -> None:
    text = "".join(json.dumps(row) + "\n" for row in HUMANEVAL)
    path = tmp_path / ("problems.jsonl.gz" if packed else "problems.jsonl")
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    task = find(path)
    assert task is not None
    assert (task.name, len(task.problems)) == ("problems", 2)
    other = tmp_path / "other.jsonl"
    other.write_text('{"question": "1 + 1", "answer": "2"}\n')
    assert find(other) is None
    assert find("sums") is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"test_list": ["assert ("]}, r"row 2: its tests are no Python"),
        ({"test_list": None}, r"row 2: a column is of the wrong type"),
    ],
)
def test_a_faulty_problem_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DaedalError, match=says):
        code_task("mbpp", [MBPP[0], {**MBPP[1], **change}])


# -- measuring -------------------------------------------------------------------------------------------------------------


def test_what_a_model_writes_is_counted(sandbox: Sandbox) -> None:
    task = code_task(
        "mbpp", [*MBPP, {**MBPP[-1], "task_id": 14, "text": "Another.", "code": "def add_13(x): return 0"}]
    )
    model = Scripted(task, ["{right}", "```python\n{right}\n```", "def f(", "def add(x): return 1", "while True: pass"])
    told = []
    fast = Sandbox(Limits(seconds=0.5), workers=2)
    with fast:
        found = evaluate_code(model, task, CodeOptions(samples=5), fast, lambda done, of: told.append((done, of)))
    assert found.passed.tolist() == [2, 2, 2]
    assert told[-1] == (15, 15)
    numbers = {each.name: each for each in found.measurements}
    assert numbers["pass@1"].value == pytest.approx(0.4)
    assert numbers["pass@5"].value == 1
    assert numbers["programs that parse"].value == pytest.approx(0.8)
    assert "temperature=0.8,prompt=mbpp,shots=3" in numbers["pass@1"].definition
    assert {question.sample for question in model.asked} == set(range(5))
    table = next(each for each in found.blocks if isinstance(each, Table))
    assert [row[:2] for row in table.rows] == [
        ("passed", 6), ("raised an exception", 3), ("did not parse", 3), ("took too long", 3),
    ]  # fmt: skip
    texts = next(each for each in found.blocks if isinstance(each, Texts))
    assert texts.texts[0].text == task.problems[0].reference
    assert "1 problems are left out" in str(found.blocks[0])  # the one whose own solution is wrong


def test_a_conversation_is_asked_and_one_sample_is_greedy(sandbox: Sandbox) -> None:
    task = code_task("humaneval", HUMANEVAL)
    found = evaluate_code(Scripted(task, ["{right}"], chat=True), task, CodeOptions(chat=True), sandbox)
    assert found.passed.tolist() == [1, 1]
    assert "temperature=0,prompt=chat" in found.measurements[0].definition


def test_two_models_are_compared_problem_by_problem(sandbox: Sandbox, tmp_path: Path) -> None:
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in MBPP))
    task = code_task("mbpp", MBPP)
    one, other = Scripted(task, ["{right}"]), Scripted(task, ["{right}", "no"])
    report = api.evaluate_tasks(one, path, against=other, samples=2, out=tmp_path / "report")
    assert report.measured("pass-at-1").value == 1
    assert any("+0.500" in note for note in report.notes), report.notes
    assert (tmp_path / "report" / "tasks.html").is_file()


def test_mistakes_are_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "sums" in daedal("tasks", "list").out
    assert "assert" in daedal("tasks", "show", "functions").out
    assert "and some do not" in mistake("evaluate", "run", "--task", "functions,sums")
    assert "have their own examples" in mistake("evaluate", "run", "--task", "functions", "--shots", "1")
    assert "--samples is for tasks that ask for programs" in mistake(
        "evaluate", "run", "--task", "sums", "--samples", "2"
    )
    assert "--unsafe-sandbox is for tasks" in mistake("evaluate", "run", "--unsafe-sandbox")
    monkeypatch.setattr(outside.sys, "platform", "darwin")
    assert "--unsafe-sandbox" in mistake("evaluate", "run", "--task", "functions")


# -- the built-in functions ------------------------------------------------------------------------------------------------


def test_a_function_is_a_pure_function_of_its_number_and_seed() -> None:
    assert functions.function(7, 1) == functions.function(7, 1)
    assert functions.function(7, 1) != functions.function(7, 2)
    assert functions.document(3) == functions.document(3)


def test_no_problem_is_in_the_training_text() -> None:
    problems = functions.problems(60)
    held = {each.function.steps for each in problems}
    pairs = {pair for each in problems if each.part == "new families" for pair in new_pairs(each.function.family)}
    assert len(held) == 120
    seen = [made for number in range(20_000) if functions.part_of(made := functions.function(number, 1)) is None]
    assert not held & {made.steps for made in seen}
    assert not pairs & {pair for made in seen for pair in pairwise(made.family)}
    kinds = {kind for made in seen for kind in made.family}
    assert {kind for each in problems for kind in each.function.family} <= kinds  # what each step does is seen
    families = {made.family for made in seen}
    assert sum(each.function.family in families for each in problems if each.part == "seen families") >= 54
    texts = "".join(functions.document(number) for number in range(200))
    assert not any(each.function.head.split('"""', 1)[1] in texts for each in problems)


def new_pairs(family: functions.Family) -> set[tuple[str, str]]:
    return {pair for pair in pairwise(family) if functions.is_new(pair)}


def test_the_solutions_pass_and_lesser_programs_fail(sandbox: Sandbox) -> None:
    task = function_task(25)
    assert [each.name in task.parts["new families"] for each in task.problems[:4]] == [False, True, False, True]
    right = [Program(each.reference, each.tests) for each in task.problems]
    nothing = [Program(f"{each.begun}    pass\n", each.tests) for each in task.problems]
    lazy = [Program(each.begun + "    return 0\n", each.tests) for each in task.problems]
    assert {outcome.ending for _, outcome in sandbox.run(right)} == {"passed"}
    assert {outcome.ending for _, outcome in sandbox.run([*nothing, *lazy])} == {"failed"}


def test_the_source_is_read_as_text(tmp_path: Path) -> None:
    dataset = api.build_data("python-functions:40", tmp_path / "data")
    assert isinstance(dataset, Dataset)
    train = dataset.split("train").text(0)
    assert "def " in train
    assert "Take" in train
    for wrong in ("python-functions:", "python-functions:0", "python-functions:x"):
        with pytest.raises(DaedalError, match=r"python-functions:N"):
            api.build_data(wrong, tmp_path / "other")


# -- rewards ---------------------------------------------------------------------------------------------------------------


def test_a_program_is_worth_the_tests_that_it_passes(sandbox: Sandbox) -> None:
    known = "assert f(1) == 2\nassert f(2) == 4"
    asked = [{"role": "user", "content": "Complete:\n```python\ndef f(x):\n    '''Twice x.'''\n```"}]
    answers = ["    return 2 * x", "```python\ndef f(x):\n    return x + 1\n```", "import sys; sys.exit(0)", "no"]
    each = [Asked(asked, text, known) for text in answers]
    assert reward_of("rule:tests")(each) == [1.0, 0.0, 0.0, 0.0]
    assert reward_of("rule:tests:share")(each) == [1.0, 0.5, 0.0, 0.0]
    with pytest.raises(DaedalError, match="rule:tests has no 'half'"):
        reward_of("rule:tests:half")
    with pytest.raises(DaedalError, match="has no tests"):
        reward_of("rule:tests")([Asked(asked, "x", None)])
    assert problem_of_tests("", "import math\nassert f(1) == math.pi").tests.setup == "import math"
