"""What the model card says of a model of examples with columns, by what it can do: how to use it, and what not to do."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from daedal.evaluation.report import Presentation


class _Words(NamedTuple):
    """What is said of models with a capability.

    Attributes:
        what: it is called.
        data: what it was measured on, as a sentence goes on.
        task: the Hub's.
        use: with Daedal.
        foreign: how to use it with Transformers, whose pipelines have no such task; of those that have one, the argument.
        limits: of its use.
        headlines: quantities.
    """

    what: str
    data: str
    task: str
    use: str
    foreign: str
    limits: str
    headlines: tuple[str, ...]


def _with(head: str, inputs: str, lines: Sequence[str]) -> str:
    """Code for a task that Transformers' pipelines have not."""
    name = f"AutoModel{'For' * bool(head)}{head}"
    parts = (("tokenizer", "AutoTokenizer"), ("model", name))
    opened = (f'{each} = {of}.from_pretrained("PATH/TO/THIS/FOLDER")' for each, of in parts)
    return "\n".join([f"from transformers import {name}, AutoTokenizer", "", *opened, f"inputs = {inputs}", *lines])


_DECIDE = (
    "It knows the texts that it was trained on, with their errors and prejudices, and was measured on texts like them only: of "
    "others it may be sure and wrong. Decide nothing about people by it."
)
WORDS = {
    "classify": _Words(
        "text classifier", "texts", "text-classification", 'print(model.classify(["a text", "another"]))',
        '["a text", "another"]', _DECIDE,
        ("accuracy", "micro-f1", "mean-absolute-error", "macro-f1", "spearman", "expected-calibration-error"),
    ),
    "tag": _Words(
        "tagger of words", "sentences", "token-classification", 'print(model.tag("Ada Lovelace lived in London."))',
        '"Ada Lovelace lived in London."', _DECIDE, ("entity-f1", "token-accuracy", "entity-precision", "entity-recall"),
    ),
    "answer": _Words(
        "finder of answers", "questions", "question-answering",
        'print(model.answer("Where is the tower?", "The tower is in Paris."))',
        _with("QuestionAnswering", 'tokenizer("Where is the tower?", "The tower is in Paris.", return_tensors="pt")', (
            "found = model(**inputs)",
            "first, last = found.start_logits.argmax(), found.end_logits.argmax()",
            "print(tokenizer.decode(inputs.input_ids[0, first : last + 1]))",
        )),
        "It points at a passage of the text that it is given, and knows nothing else: what the text says falsely it finds "
        "falsely, and it may find an answer where there is none.", ("answer-f1", "exact-match"),
    ),
    "translate": _Words(
        "text-to-text model", "pairs", "translation", 'print(model.translate("A man rides a horse.")[0].text)',
        _with("Seq2SeqLM", 'tokenizer("A man rides a horse.", return_tensors="pt")', (
            "print(tokenizer.decode(model.generate(**inputs, num_beams=4)[0], skip_special_tokens=True))",
        )),
        "It writes texts like those that it learned from: of other subjects and styles it invents, leaves out and mistakes, "
        "fluently. Have a person read what matters.", ("bleu", "chrf", "novel-ngram-recall"),
    ),
    "transcribe": _Words(
        "listener", "sounds", "automatic-speech-recognition", 'print(model.transcribe("recording.wav")[0].text)', "",
        "It knows the voices, words and rooms of its training recordings: of others it may be sure and wrong. Decide nothing "
        "about people by it, and least of all who somebody is.",
        ("accuracy", "word-error-rate", "speaker-accuracy", "character-error-rate", "macro-f1"),
    ),
    "compose": _Words(
        "composer of tunes", "tunes", "other", 'model.generate(seconds=20)[0].save("tune.wav")', "",
        "It writes tunes like those that it learned from, and of these it may copy some: the report tells how long its "
        "copies are. It knows notes, and nothing of sound.",
        ("nats-per-step", "nats-per-event", "longest-copy-from-training-tunes"),
    ),
    "recommend": _Words(
        "recommender", "histories", "other",
        'for each in model.recommend(["Alien (1979)"], n=5):\n    print(each.rank, each.item)', "",
        "It knows what the people of its training data took, and when: it recommends what is popular with them, tells nothing "
        "of what is new, and learned nothing of why. Of its training histories it did not learn the last two items: by the "
        "last it is measured, by the one before it was validated.",
        ("ndcg-at-10", "hit-rate-at-10", "mean-reciprocal-rank", "coverage-at-10", "popularity-lift"),
    ),
    "speak": _Words(
        "speech model", "sounds", "text-to-speech", 'model.say("seven")[0].save("said.wav")', "",
        "It speaks as the recordings that it learned from, in the voices of those who spoke in them: ask these people before "
        "you let them say anything, and say of what it made that a machine did.",
        ("recognised-right", "speaker-recognised-right", "mel-cepstral-distortion", "speaker-similarity"),
    ),
    "vocode": _Words(
        "vocoder", "sounds", "audio-to-audio", 'model.copied("recording.wav")[0].save("copy.wav")', "",
        "It makes sound of frames as those of its training recordings: of other voices and rooms it may hum or hiss.",
        ("mel-cepstral-distortion", "log-spectral-distance", "log-mel-error", "real-time-factor"),
    ),
    "film": _Words(
        "film model", "clips", "text-to-video", 'model.generate(1, seed=1)[0].save("clip.gif")', "",
        "It films what its training clips show, with their errors and prejudices, and may copy some of them: look at the "
        "nearest training clips above. It was not filtered for safety.",
        ("motion-overall", "motion-overall-held-out-pairs", "fvd", "clip-token-nats"),
    ),
    "reward": _Words(
        "reward model", "preferences", "text-classification",
        'question = {"role": "user", "content": "Where is the tower?"}\n'
        'print(model.reward([[question, {"role": "assistant", "content": said}] for said in ("In Paris.", "No idea.")]))',
        _with("SequenceClassification", "tokenizer.apply_chat_template(", (
            '    [{"role": "user", "content": "Where is the tower?"}, {"role": "assistant", "content": "In Paris."}],',
            '    return_tensors="pt", return_dict=True,',
            ")",
            "print(model(**inputs).logits)",
        )),
        "It says what the people preferred whose choices it learned from, with their prejudices, and only differences between "
        "answers to one prompt mean anything. A model that is trained to please it will find answers that please it for no "
        "good reason: look at them, and at their length.",
        ("preference-accuracy", "preference-accuracy-at-equal-length", "expected-calibration-error"),
    ),
    "fill": _Words(
        "masked language model", "text", "fill-mask", 'print(model.fill("The capital of France is [MASK].", top=5))',
        '"The capital of France is [MASK]."',
        "It knows the form of its training text better than any fact, and fills in its prejudices too. It is there to be "
        "trained further, and to be studied.", ("masked-token-accuracy", "pseudo-bits-per-byte", "pseudo-perplexity"),
    ),
    "embed": _Words(
        "encoder of sentences", "pairs", "sentence-similarity", 'print(model.similarity(["a text"], ["another", "a third"]))',
        _with("", 'tokenizer("a text", return_tensors="pt")', (
            "mean = model(**inputs).last_hidden_state.mean(1)[0]",
            "print(mean / mean.norm())",
        )),
        "That two vectors are near says that the texts are alike as those of its training pairs are, not that they mean the "
        "same: a sentence and its denial are often near.", ("mean-reciprocal-rank", "recall-at-1", "recall-at-5", "spearman"),
    ),
}  # fmt: skip
"""By capability; a model is called by the first that it has."""


def presentation(model: Any, can: frozenset[str]) -> Presentation:
    """What the card says of a model that can some of these."""
    words = next(words for capability, words in WORDS.items() if capability in can)
    architecture = getattr(model.config, "architecture", model.family)
    own = model.family == "recommender" or architecture in ("rotary", "swift", "listener", "speech", "vocoder")
    use = f'```python\nimport daedal\n\nmodel = daedal.load("PATH/TO/THIS/FOLDER")\n{words.use}\n```\n\n'
    if own:
        use += "This architecture is Daedal's own: other programs do not open it."
    elif words.foreign.startswith("from "):
        use += f"```python\n{words.foreign}\n```"
    else:
        call = f'pipeline("{words.task}", model="PATH/TO/THIS/FOLDER")'
        use += f"```python\nfrom transformers import pipeline\n\nprint({call}({words.foreign}))\n```"
    called = words.what if own else f"{architecture} {words.what}"
    return Presentation(
        what=f"{'An' if called[:1] in 'aeiou' else 'A'} {called}", data=words.data, task=words.task, tag=model.family,
        library="" if own else "transformers", use=use.rstrip(), headlines=words.headlines,
        limits=f"For learning, experiments and play. {words.limits}",
    )  # fmt: skip
