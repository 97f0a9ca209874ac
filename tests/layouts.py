# ruff: noqa: B023, E501 (a table; its functions are called at once)
"""Small files of the layouts in which public data sets come, and what one example of each is to be."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from kind_examples import sentence

ROWS = range(40)


class Layout(NamedTuple):
    """Files by name, the kind that they are, and what the first example has in some columns.

    Attributes:
        files: what each has: text, bytes, or rows for `.jsonl` and `.json`, and for `.parquet` too.
        first: values of the first example by column.
        splits: how many examples are in splits that the source says; none where they are drawn.
        told: words of the card.
    """

    kind: str
    files: dict[str, Any]
    first: dict[str, Any]
    splits: dict[str, int] = {}  # noqa: RUF012 (nobody writes it)
    told: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012


def lines(of: Callable[[int], str], rows: range = ROWS) -> str:
    return "".join(f"{of(row)}\n" for row in rows)


def write(folder: Path, files: dict[str, Any]) -> Path:
    """The files in a folder; an archive of a folder where a name ends so."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(path.name, content))
    return folder / next(iter(files)) if len(files) == 1 else folder


def packed(name: str, content: Any) -> bytes:
    """The bytes of a file by the end of its name."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, str):
        return content.encode()
    if name.endswith((".tar.gz", ".zip")):
        return archive(name, content)
    if name.endswith(".parquet"):
        import pyarrow as pa
        from pyarrow import parquet

        out = io.BytesIO()
        parquet.write_table(pa.Table.from_pylist(content), out)
        return out.getvalue()
    if name.endswith(".jsonl"):
        return "".join(json.dumps(row) + "\n" for row in content).encode()
    return json.dumps(content).encode()


def archive(name: str, members: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    if name.endswith(".zip"):
        with zipfile.ZipFile(out, "w") as zipped:
            for member, content in members.items():
                zipped.writestr(member, packed(member, content))
        return out.getvalue()
    with tarfile.open(fileobj=out, mode="w:gz") as tarred:
        for member, content in members.items():
            data = packed(member, content)
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tarred.addfile(info, io.BytesIO(data))
    return out.getvalue()


def turns(*said: str) -> dict[str, Any]:
    """A conversation of these, the user first."""
    roles = ("user", "assistant")
    return {"messages": [{"role": roles[place % 2], "content": text} for place, text in enumerate(said)]}


def oasst() -> list[dict[str, Any]]:
    """Trees of messages: two answers to each prompt, and one that follows on the better."""
    found = []
    for row in ROWS:
        tree = {"message_tree_id": f"m{row}", "lang": "en", "deleted": False}
        found += [
            {**tree, "message_id": f"m{row}", "parent_id": None, "text": f"Ask {sentence(row)}", "role": "prompter", "rank": None},
            {**tree, "message_id": f"w{row}", "parent_id": f"m{row}", "text": f"Worse {row}", "role": "assistant", "rank": 1},
            {**tree, "message_id": f"b{row}", "parent_id": f"m{row}", "text": f"Better {row}", "role": "assistant", "rank": 0},
            {**tree, "message_id": f"q{row}", "parent_id": f"b{row}", "text": f"Why {row}?", "role": "prompter", "rank": None},
        ]  # fmt: skip
    return found


def chatgpt(row: int) -> dict[str, Any]:
    """A conversation of ChatGPT's export: a tree, of which a branch was left."""

    def node(name: str, parent: str | None, role: str, text: str) -> dict[str, Any]:
        message = {"author": {"role": role}, "content": {"content_type": "text", "parts": [text]}}
        return {"id": name, "parent": parent, "message": message if role else None, "children": []}

    nodes = [
        node("r", None, "", ""),
        node("s", "r", "system", ""),
        node("a", "s", "user", f"Ask {sentence(row)}"),
        node("x", "a", "assistant", "A first try"),
        node("b", "a", "assistant", f"Answer {row}"),
    ]
    return {
        "title": f"T{row}",
        "create_time": 1.0,
        "mapping": {each["id"]: each for each in nodes},
        "current_node": "b",
    }


def claude(row: int) -> dict[str, Any]:
    said = [("human", f"Ask {sentence(row)}"), ("assistant", f"Answer {row}")]
    messages = [
        {"uuid": str(place), "sender": who, "text": text, "content": [{"type": "text", "text": text}]}
        for place, (who, text) in enumerate(said)
    ]
    return {"uuid": str(row), "name": "T", "created_at": "2024-05-01T10:00:00Z", "chat_messages": messages}


def netflix(film: int) -> str:
    rated = lines(lambda row: f"{row},{1 + row % 5},2005-{1 + film % 9:02d}-{1 + row % 28:02d}", range(12))
    return f"{film}:\n{rated}"


CLASSES = "World\nSports\n"
TALK = "user_id\tartistID\tweight\n"
LAYOUTS: dict[str, Layout] = {
    # -- pairs
    "Tatoeba's pairs": Layout(
        "pairs",
        {"pairs.tsv": lines(lambda row: f"{row}\teng\ten {sentence(row)}\t{row + 900}\tdeu\tde {sentence(row)}")},
        {"source": f"en {sentence(0)}", "target": f"de {sentence(0)}"},
    ),
    "Tatoeba's download of sentence pairs": Layout(
        "pairs",
        {"Sentence pairs.tsv": "\ufeff" + lines(lambda row: f"{row}\ten {sentence(row)}\t{row + 900}\tde {sentence(row)}")},
        {"source": f"en {sentence(0)}", "target": f"de {sentence(0)}"},
    ),
    "Anki's": Layout(
        "pairs",
        {"deu.txt": lines(lambda row: f"en {sentence(row)}\tde {sentence(row)}\tCC-BY 2.0 (France) Attribution: tatoeba.org #{row} (CK) & #9{row} (Esperantostern)"),
         "_about.txt": "These are pairs of sentences.\n\nThey are free.\n"},
        {"source": f"en {sentence(0)}", "target": f"de {sentence(0)}"},
    ),
    "XLIFF 1.2": Layout(
        "pairs",
        {"app.xlf": '<?xml version="1.0" encoding="UTF-8"?><xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2"><file source-language="en" target-language="de" original="a"><body>'
         + lines(lambda row: f'<trans-unit id="{row}"><source>en <g id="1">{sentence(row)}</g></source><target>de {sentence(row)}</target><alt-trans><target>no</target></alt-trans></trans-unit>')
         + '<trans-unit id="z"><source>not yet</source></trans-unit></body></file></xliff>'},
        {"source": f"en {sentence(0)}", "target": f"de {sentence(0)}"},
        told="no target",
    ),
    "XLIFF 2.0": Layout(
        "pairs",
        {"app.xliff": '<xliff version="2.0" srcLang="en" trgLang="fr" xmlns="urn:oasis:names:tc:xliff:document:2.0"><file id="f">'
         + lines(lambda row: f'<unit id="{row}"><segment><source>en {sentence(row)}</source><target>fr {sentence(row)}</target></segment></unit>')
         + "</file></xliff>"},
        {"source": f"en {sentence(0)}", "target": f"fr {sentence(0)}"},
        told="source is en, target is fr",
    ),
    "two sentences a line": Layout(
        "pairs",
        {"a.tsv": lines(lambda row: f"en {sentence(row)}\tde {sentence(row)}")},
        {"source": f"en {sentence(0)}", "target": f"de {sentence(0)}"},
    ),
    "columns called after languages": Layout(
        "pairs",
        {"a.csv": "id,English,German\n" + lines(lambda row: f"{row},en {sentence(row)},de {sentence(row)}")},
        {"source": f"en {sentence(0)}", "target": f"de {sentence(0)}"},
    ),
    "STS-B": Layout(
        "pairs",
        {f"{split}.tsv": "index\tgenre\tsentence1\tsentence2\tscore\n" + lines(lambda row: f"{row}\tnews\t{split} {sentence(row)}\tb {row}\t{row % 5}.{row}") for split in ("train", "dev")},
        {"source": f"train {sentence(7)}", "target": "b 7", "score": 2.7},
        {"validation": 40},
        told="scores are from 0 to 4.9",
    ),
    "STS's own": Layout(
        "pairs",
        {"sts-train.csv": lines(lambda row: f"main-captions\tMSRvid\t2012test\t{row:04d}\t{row % 5}.{row:03d}\t{sentence(row)}\tb {row}")},
        {"source": sentence(7), "target": "b 7", "score": 2.007},
    ),
    # -- labelled
    "a list for each split": Layout(
        "labelled",
        {"a.json": {split: [{"text": f"{split} {sentence(row)}", "label": row % 2} for row in ROWS] for split in ("train", "test")}},
        {"text": f"test {sentence(0)}", "label": "0"},
        {"test": 40},
    ),
    "SMS Spam": Layout(
        "labelled",
        {"SMSSpamCollection": lines(lambda row: f"{('ham', 'spam')[row % 2]}\t{sentence(row)}")},
        {"text": sentence(0), "label": "ham"},
    ),
    "fastText's": Layout(
        "labelled",
        {"cooking.train": lines(lambda row: f"__label__{'tea' if row % 2 else 'bread'} {sentence(row)}") + "__label__tea __label__bread both of them\n",
         "cooking.valid": lines(lambda row: f"__label__{'tea' if row % 2 else 'bread'} valid {sentence(row)}", range(8))},
        {"text": sentence(0), "label": "bread"},
        {"validation": 8},
        told="several classes",
    ),
    "aclImdb_v1.tar.gz": Layout(
        "labelled",
        {"aclImdb_v1.tar.gz": {"aclImdb/README": "Reviews.", "aclImdb/imdb.vocab": "the\nand\n"}
         | {f"aclImdb/{split}/{label}/{row}_7.txt": f"{split} {label} {sentence(row)}" for split in ("test", "train") for label in ("neg", "pos") for row in range(12)}
         | {f"aclImdb/train/unsup/{row}_0.txt": f"unsup {sentence(row)}" for row in range(9)}},
        {"text": f"train neg {sentence(0)}", "label": "neg"},
        {"test": 24},
        told="no class",
    ),
    "20news-bydate.tar.gz": Layout(
        "labelled",
        {"20news-bydate.tar.gz": {f"20news-bydate-{split}/{label}/{5000 + row}": f"From: a{row}@b\nSubject: {split}\n\n{split} {label} {sentence(row)}" for split in ("test", "train") for label in ("alt.atheism", "sci.space") for row in range(12)}},
        {"text": f"From: a0@b\nSubject: train\n\ntrain alt.atheism {sentence(0)}", "label": "alt.atheism"},
        {"test": 24},
    ),
    "20_newsgroups": Layout(
        "labelled",
        {f"20_newsgroups/{label}/{5000 + row}": f"From: a{row}@b\n\n{label} {sentence(row)}\n" for label in ("alt.atheism", "sci.space", "rec.autos") for row in range(14)},
        {"label": "alt.atheism"},
        options={"kind": "labelled"},
    ),
    "ag_news_csv": Layout(
        "labelled",
        {f"ag_news_csv/{split}.csv": lines(lambda row: f'"{1 + row % 2}","Title {row}","{split} {sentence(row)}"') for split in ("train", "test")}
        | {"ag_news_csv/classes.txt": CLASSES, "ag_news_csv/readme.txt": "AG's corpus.\n"},
        {"text": f"Title 0\ntrain {sentence(0)}", "label": "World"},
        {"test": 40},
        told="classes.txt",
    ),
    "ag_news_csv.tar.gz": Layout(
        "labelled",
        {"ag_news_csv.tar.gz": {f"ag_news_csv/{split}.csv": lines(lambda row: f'"{1 + row % 2}","Title {row}","{split} {sentence(row)}"') for split in ("train", "test")}
         | {"ag_news_csv/classes.txt": CLASSES, "ag_news_csv/readme.txt": "AG's corpus.\n"}},
        {"text": f"Title 0\ntrain {sentence(0)}", "label": "World"},
        {"test": 40},
    ),
    "MNLI": Layout(
        "labelled",
        {f"MNLI/{name}.tsv": "index\tpromptID\tpairID\tgenre\tsentence1_parse\tsentence1\tsentence2\tlabel1\tgold_label\n"
         + lines(lambda row: f"{row}\t{row}\t{row}n\tfiction\t(S {row})\t{name} {sentence(row)}\tso {row}\tneutral\t{('neutral', 'entailment')[row % 2]}") for name in ("train", "dev_matched")},
        {"text": f"train {sentence(0)}", "text_b": "so 0", "label": "neutral"},
        {"validation": 40},
    ),
    "BoolQ": Layout(
        "labelled",
        {"train.jsonl": [{"question": f"is it {row}", "title": "T", "answer": row % 2 == 0, "passage": sentence(row)} for row in ROWS]},
        {"text": "is it 0", "text_b": sentence(0), "label": "True"},
    ),
    # -- questions
    "SQuAD in Parquet": Layout(
        "questions",
        {f"data/{split}-00000-of-00001.parquet": [{"id": str(row), "title": "T", "context": f"{split} {sentence(row)}", "question": f"What of {row}?", "answers": {"text": [split], "answer_start": [0]}} for row in ROWS] for split in ("train", "validation")},
        {"context": f"train {sentence(0)}", "answers": {"text": ["train"], "start": [0]}},
        {"validation": 40},
    ),
    "Natural Questions": Layout(
        "questions",
        {"nq.jsonl": [{"document_text": f"<P> {sentence(row)} </P>", "long_answer_candidates": [{"start_token": 0, "end_token": 9}] * 99, "question_text": f"what of {row}", "annotations": [{"yes_no_answer": "NONE", "short_answers": [{"start_token": 1, "end_token": 3}] if row % 2 else []}]} for row in ROWS]},
        {"question": "what of 1", "answers": {"text": [" ".join(sentence(1).split()[:2])], "start": [4]}},
    ),
    # -- conversations
    "TriviaQA": Layout(
        "chat",
        {"qa.jsonl": [{"question": f"Q {sentence(row)}", "question_id": str(row), "search_results": {"title": []}, "answer": {"value": f"A {row}", "aliases": ["a"], "type": "x"}} for row in ROWS]},
        {"conversation": turns(f"Q {sentence(0)}", "A 0")},
    ),
    "OpenAssistant's": Layout(
        "chat", {"oasst.jsonl": oasst()}, {"conversation": turns(f"Ask {sentence(0)}", "Better 0")}, told="best"
    ),
    "ChatGPT's export": Layout(
        "chat", {"conversations.json": [chatgpt(row) for row in ROWS]}, {"conversation": turns(f"Ask {sentence(0)}", "Answer 0")}
    ),
    "Claude's export": Layout(
        "chat", {"conversations.json": [claude(row) for row in ROWS], "projects.json": [{"uuid": "p", "name": "A", "description": "of notes"}]}, {"conversation": turns(f"Ask {sentence(0)}", "Answer 0")}
    ),
    "ShareGPT, its items": Layout(
        "chat",
        {"sg.json": [{"id": str(row), "items": [{"from": "human", "value": f"Ask {sentence(row)}"}, {"from": "gpt", "value": f"A {row}"}]} for row in ROWS]},
        {"conversation": turns(f"Ask {sentence(0)}", "A 0")},
    ),
    "ShareGPT, its human and assistant": Layout(
        "chat",
        {"sg.jsonl": [{"conversation_id": row, "conversation": [{"human": f"Ask {sentence(row)}", "assistant": f"A {row}"}, {"human": "And", "assistant": "so"}]} for row in ROWS]},
        {"conversation": turns(f"Ask {sentence(0)}", "A 0", "And", "so")},
    ),
    # -- preferences
    "OpenAssistant's, as preferences": Layout(
        "preferences", {"oasst.jsonl": oasst()},
        {"chosen": turns(f"Ask {sentence(0)}", "Better 0"), "rejected": turns(f"Ask {sentence(0)}", "Worse 0")}, options={"kind": "preferences"},
    ),
    "UltraFeedback in Parquet": Layout(
        "preferences",
        {f"{split}_prefs-00000-of-00001.parquet": [{"prompt": f"P {sentence(row)}", "prompt_id": str(row), "chosen": turns(f"P {sentence(row)}", f"good {split}")["messages"], "rejected": turns(f"P {sentence(row)}", "bad")["messages"], "score_chosen": 8.0} for row in ROWS] for split in ("train", "test")},
        {"chosen": turns(f"P {sentence(0)}", "good train"), "rejected": turns(f"P {sentence(0)}", "bad")},
        {"test": 40},
    ),
    "UltraFeedback, its completions": Layout(
        "preferences",
        {"evol.jsonl": [{"source": "evol", "instruction": f"P {sentence(row)}", "models": ["a", "b"], "completions": [{"model": "a", "response": "bad", "overall_score": 3.0}, {"model": "b", "response": "good", "overall_score": 8.5}]} for row in ROWS]},
        {"chosen": turns(f"P {sentence(0)}", "good"), "rejected": turns(f"P {sentence(0)}", "bad")},
    ),
    "PKU-SafeRLHF": Layout(
        "preferences",
        {"train.jsonl": [{"prompt": f"P {sentence(row)}", "response_0": f"zero {row}", "response_1": f"one {row}", "is_response_0_safe": True, "better_response_id": 1, "safer_response_id": 0} for row in ROWS]},
        {"chosen": turns(f"P {sentence(0)}", "one 0"), "rejected": turns(f"P {sentence(0)}", "zero 0")},
        told="better_response_id",
    ),
    "SHP": Layout(
        "preferences",
        {"train.jsonl": [{"post_id": str(row), "domain": "askx", "history": f"P {sentence(row)}", "human_ref_A": f"A {row}", "human_ref_B": f"B {row}", "labels": row % 2, "score_A": 3} for row in ROWS]},
        {"chosen": turns(f"P {sentence(0)}", "B 0"), "rejected": turns(f"P {sentence(0)}", "A 0")},
    ),
    "arena": Layout(
        "preferences",
        {"arena.jsonl": [{"question_id": str(row), "model_a": "m", "model_b": "n", "winner": ("model_a", "tie")[row % 8 == 7], "conversation_a": turns(f"P {sentence(row)}", "A")["messages"], "conversation_b": turns(f"P {sentence(row)}", "B")["messages"]} for row in ROWS]},
        {"chosen": turns(f"P {sentence(0)}", "A"), "rejected": turns(f"P {sentence(0)}", "B")},
    ),
    # -- histories
    "hetrec's Last.fm": Layout(
        "histories",
        {"user_artists.dat": "userID\tartistID\tweight\n" + lines(lambda row: f"{row // 4}\t{row % 7}\t{100 + row}"),
         "artists.dat": "id\tname\turl\tpictureURL\n" + lines(lambda row: f"{row}\tBand {row}\thttp://x\thttp://y", range(7)),
         "user_friends.dat": "userID\tfriendID\n" + lines(lambda row: f"{row}\t{row + 1}", range(9)),
         "tags.dat": "tagID\ttagValue\n1\tmetal\n2\trock\n",
         "user_taggedartists.dat": "userID\tartistID\ttagID\tday\tmonth\tyear\n" + lines(lambda row: f"{row // 4}\t{row % 7}\t1\t1\t4\t2009"),
         "readme.txt": "A data set.\n"},
        {"user": "0", "items": ["Band 0", "Band 1", "Band 2", "Band 3"], "ratings": [100.0, 101.0, 102.0, 103.0]},
    ),
    "ids as floats, NaN, and days in words": Layout(
        "histories",
        {"r.csv": "userId,movieId,rating,date\n" + lines(lambda row: f'{"nan" if row == 3 else row // 4}.0,{row % 7}.0,4,"March {28 - row % 28}, 2021"').replace("nan.0", "nan"),
         "movies.csv": "movieId,title\n" + lines(lambda row: f"{row},Film {row}", range(7))},
        {"user": "0", "items": ["Film 2", "Film 1", "Film 0"]},
        told="no user or item",
    ),
    "Amazon's ratings of things": Layout(
        "histories",
        {"r.jsonl": [{"reviewerID": f"A{row // 4}", "asin": f"B{row % 7}", "overall": 5.0, "unixReviewTime": 10**9 + row} for row in ROWS]},
        {"user": "A0", "items": ["B0", "B1", "B2", "B3"]},
    ),
    "Steam's": Layout(
        "histories",
        {"steam-200k.csv": lines(lambda row: f'{row // 4},"Game of {row % 7}",purchase,1.0,0\n{row // 4},"Game of {row % 7}",play,{row}.5,0')},
        {"user": "0", "items": ["Game of 0", "Game of 1", "Game of 2", "Game of 3"]},
    ),
    "Netflix's": Layout(
        "histories",
        {f"mv_{film:07d}.txt": netflix(film) for film in range(1, 7)}
        | {"movie_titles.csv": lines(lambda row: f"{row},19{70 + row},Film {row}", range(1, 7))},
        {"user": "0", "items": [f"Film {film}" for film in range(1, 7)]},
    ),
}  # fmt: skip
