"""A language model and held-out text: a split of its own data, of another data folder, or any files of text."""

from pathlib import Path
from typing import Any, NamedTuple, Self

from daedal.codecs.infilling import Infilling, with_marks
from daedal.codecs.text import TextCodec
from daedal.config import Config
from daedal.data.clean import text_of
from daedal.data.conversations import ConversationDataset, ConversationSplit, stream_of
from daedal.data.document import Raw
from daedal.data.examples import ExampleDataset
from daedal.data.images.dataset import ImageDataset
from daedal.data.manifest import Manifest
from daedal.data.readers import Reading
from daedal.data.request import told
from daedal.data.shards import Dataset
from daedal.data.sources import read_item, resolve
from daedal.data.spool import Tally
from daedal.errors import DaedalError
from daedal.evaluation.documents import Documents
from daedal.evaluation.evaluator import NotMeasurable, Subject, Tell
from daedal.evaluation.report import DataFacts, ModelFacts, Presentation, origin
from daedal.evaluation.source import Source
from daedal.inference.generator import Generator
from daedal.models.gpt import GPT


class TextOptions(Config):
    """What may be asked of the evaluation of a language model.

    Attributes:
        split: of a data folder: validation, or test where that is empty, unless given.
        window: tokens that the model sees at once; its context unless given.
        stride: how far the window moves; half of it unless given.
        samples: how many texts the model writes: half from nothing, half from held-out beginnings.
        seed: of samples, prompts and held-out pieces.
    """

    split: str | None = None
    window: int | None = None
    stride: int | None = None
    samples: int = 8
    seed: int = 0


class TextSubject(Subject):
    """A language model and the documents to measure it on.

    Args:
        train: what it learned from, where that is at hand.
        manifest: of that.
        notes: how files were read.
    """

    options = TextOptions
    fixed = 0.8

    def __init__(
        self, model: GPT, documents: Documents, train: Documents | None, asked: TextOptions,
        opened: Generator | None = None, manifest: Manifest | None = None, notes: tuple[str, ...] = (),
    ) -> None:  # fmt: skip
        super().__init__(opened)
        self.model, self.documents, self.train, self.asked = model, documents, train, asked
        self.manifest, self.notes = manifest, notes

    @classmethod
    def open(cls, generator: Generator, source: Source, options: TextOptions, tell: Tell) -> Self:
        codec = generator.codec
        data, learned, notes = source.data, _read_by(source.learned, generator), tuple[str, ...]()
        if isinstance(data, ImageDataset):
            raise DaedalError(
                f"A language model is measured on text, and {data.folder} holds pictures", "Name other data"
            )
        if isinstance(data, ExampleDataset):
            data = stream_of(data)  # which says what is learned of text, and what these are
        data = _read_by(data, generator)
        if isinstance(data, Dataset):
            documents = _split(data, options.split or held_out(data), codec)
            if isinstance(data, ConversationDataset) and documents.answers is None:
                notes = ("conversations are measured whole, since they were encoded with another tokenizer",)
        else:
            texts, notes = read_texts(data)
            documents = Documents.of_texts(texts, codec, Path(data).name)
        train, manifest = None, None
        if isinstance(learned, Dataset):
            train, manifest = _split(learned, "train", codec), learned.manifest
        return cls(generator.model, documents, train, options, generator, manifest, notes)

    @classmethod
    def of(cls, model: GPT, dataset: Dataset, codec: TextCodec | None = None) -> Self:
        """A model that is being trained, and its data; with the codec that it learns by, where it is not the data's own.

        Raises:
            NotMeasurable: nothing is held out.
        """
        documents = Documents.of_split(dataset.split(held_out(dataset)), codec or dataset.codec)
        return cls(model, documents, Documents.of_split(dataset.split("train"), dataset.codec), TextOptions())

    @classmethod
    def require_held_out(cls, dataset: Dataset) -> None:
        held_out(dataset)

    @classmethod
    def of_task(cls, task: Any, seconds: float) -> Self:
        return cls.of(task.model, task.dataset, getattr(task, "codec", None))

    @property
    def can(self) -> frozenset[str]:
        found: frozenset[str] = self.model.capabilities
        return found | {"infill"} if Infilling.of(self.documents.codec) is not None else found

    @property
    def has(self) -> frozenset[str]:
        return frozenset({"text"})

    @property
    def model_facts(self) -> ModelFacts:
        config, codec = self.model.config, self.documents.codec
        return ModelFacts(
            name=self.name, parameters=self.model.parameter_count, hash=self.hash,
            says=f"{config.architecture}, {self.model.parameter_count:,} parameters, context {config.context}",
            architecture=config.architecture, depth=config.depth, width=config.width, heads=config.heads,
            context=config.context, vocab_size=config.vocab_size, codec=codec.kind,
        )  # fmt: skip

    @property
    def data_facts(self) -> DataFacts:
        documents, train, made = self.documents, self.train, self.manifest
        size, learned = _size(documents), _size(train)
        of = "" if documents.answers is None else " of answers"
        return DataFacts.parse({
            "name": documents.name, "hash": documents.fingerprint, "says": f"{documents.name}: {_says(**size)}{of}",
            "trained": _says(**learned) if train is not None else "",
            "languages": [each.name for each in made.languages] if made else (), "notes": self.notes,
            **origin(made.sources if made else ()), **size, **{f"train_{name}": count for name, count in learned.items()},
        }, "data")  # fmt: skip

    @property
    def presentation(self) -> Presentation:
        chats = self.documents.answers is not None
        return presentation(self.model.config.architecture, self.model.parameter_count, chats)


def presentation(architecture: str, parameters: int, chats: bool = False) -> Presentation:
    """What the card says of a language model; of one of conversations, how it answers."""
    asked = '[{"role": "user", "content": "Who are you?"}]'
    called = f"model.chat({asked}, " if chats else 'model.generate("Once", '
    use = (
        '```python\nimport daedal\n\nmodel = daedal.load("PATH/TO/THIS/FOLDER")\n'
        f"print({called}max_tokens=100, temperature=0.8, seed=1){'' if chats else '[0]'})\n```\n\n"
    )
    own = architecture == "swift"
    if own:
        use += "This architecture is Daedal's own: other programs do not open it."
    else:
        use += (
            "```python\nfrom transformers import AutoModelForCausalLM, AutoTokenizer\n\n"
            'tokenizer = AutoTokenizer.from_pretrained("PATH/TO/THIS/FOLDER")\n'
            'model = AutoModelForCausalLM.from_pretrained("PATH/TO/THIS/FOLDER")\n'
            + (
                f"said = {asked}\n"
                'ids = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_tensors="pt", return_dict=True)'
                '["input_ids"]\n'
                if chats
                else 'ids = tokenizer("Once", return_tensors="pt").input_ids\n'
            )
            + "print(tokenizer.decode(model.generate(ids, max_new_tokens=100, do_sample=True)[0]))\n```"
        )
    return Presentation(
        what=f"A {architecture} language model", data="text", task="text-generation", tag=architecture,
        library="" if own else "transformers", use=use, headlines=("bits-per-byte", "nats-per-token", "perplexity"),
        limits=f"For learning, experiments and play. A model of {parameters:,} parameters knows the form of its training "
        "text better than any fact: what it writes is invented, may repeat what the training text says word for word, and "
        "carries its errors and prejudices. It was not aligned or filtered for safety, and was measured on text like its "
        "training text only. Do not use it where a wrong or offensive sentence does harm.",
    )  # fmt: skip


def held_out(dataset: Dataset) -> str:
    """The split to measure on.

    Raises:
        NotMeasurable: nothing is held out.
    """
    for name in ("validation", "test"):
        if dataset.split(name).documents:
            return name
    raise NotMeasurable(
        f"{dataset.folder} holds out no text to measure on", "Build the data with a larger --split for it"
    )


class ReadTexts(NamedTuple):
    """Documents, and what is to be told of how they were read."""

    texts: list[str]
    notes: tuple[str, ...]


def read_texts(source: str | Path) -> ReadTexts:
    """The documents in files of any kind that `daedal data build` reads, as it would read them.

    Raises:
        DaedalError: there is no text to be read.
    """
    named = resolve(str(source), "test")
    texts, tally, last = list[str](), Tally(), ("", False)
    for item in named.items:
        for event in read_item(item, Reading()):
            if isinstance(event, Raw):
                text, _ = text_of(event)
                if event.part and last == (event.label, True):
                    texts[-1] += text
                else:
                    texts.append(text)
                last = (event.label, event.part)
            else:
                tally.record(event)
    if not any(texts):
        raise DaedalError(f"There is no text in {source}{told(tally)}", "Give a file with some text in it")
    left_out = tuple(f"{entry[0]:,} left out: {reason}, as {entry[2][0]}" for reason, entry in tally.dropped.items())
    return ReadTexts(texts, (*tally.coding(), *tally.omissions(), *tally.notes, *left_out))


def _size(documents: Documents | None) -> dict[str, int]:
    counts = (len(documents), documents.bytes.sum(), documents.counted.sum()) if documents is not None else (0, 0, 0)
    return dict(zip(("documents", "bytes", "tokens"), map(int, counts), strict=True))


def _says(documents: int, bytes: int, tokens: int) -> str:
    return f"{documents:,} document{'s' * (documents != 1)}, {bytes:,} bytes, {tokens:,} tokens"


def _read_by(data: Any, generator: Generator) -> Any:
    """Conversations as the model reads them, where it has a chat template of its own; other data as they are."""
    template = generator.template
    return (
        data.read_by(generator.codec, template)
        if isinstance(data, ConversationDataset) and not template.plain
        else data
    )


def _marked(codec: TextCodec) -> str:
    """The fingerprint of a codec with marks for filling in, beside which its ids stay as they are."""
    return with_marks(codec).fingerprint() if codec.byte_level else codec.fingerprint()


def _split(dataset: Dataset, name: str, codec: TextCodec) -> Documents:
    """A split in the model's own tokens: encoded anew where the dataset has others. Of held-out conversations the answers are
    counted."""
    split = dataset.split(name)
    if codec.fingerprint() in (dataset.manifest.codec.fingerprint, _marked(dataset.codec)):
        documents = Documents.of_split(split, codec)
        if isinstance(split, ConversationSplit) and name != "train":
            return documents.of_answers(split.learned)
        return documents
    return Documents.of_texts([split.text(index) for index in range(split.documents)], codec, name)
