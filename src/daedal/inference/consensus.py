"""Of several texts the one that is most like all of them: minimum Bayes risk (Kumar & Byrne 2004), where likeness is chrF2."""

from collections import Counter
from collections.abc import Sequence

_ORDERS = range(1, 7)
_BETA = 2.0

Grams = list[Counter[str]]


def consensus(texts: Sequence[str]) -> int:
    """The place of the text whose mean chrF2 with all as its references is highest; the first of equals."""
    counts = Counter(texts)
    grams = {text: _grams(text) for text in counts}
    gains = {text: sum(count * _chrf(grams[text], grams[other]) for other, count in counts.items()) for text in counts}
    return max(range(len(texts)), key=lambda place: gains[texts[place]])


def chrf(said: str, right: str) -> float:
    """The F-score of the character n-grams of a sentence, 0 to 1 (Popović 2015), as sacreBLEU's `sentence_chrf` counts it."""
    return _chrf(_grams(said), _grams(right))


def _grams(text: str) -> Grams:
    text = "".join(text.split())
    return [Counter(text[at : at + order] for at in range(len(text) - order + 1)) for order in _ORDERS]


def _chrf(said: Grams, right: Grams) -> float:
    """Precision and recall are means over the orders that both texts have."""
    orders = [(mine, theirs) for mine, theirs in zip(said, right, strict=True) if mine and theirs]
    if not orders:
        return 0.0
    shared = [(mine & theirs).total() for mine, theirs in orders]
    precision = sum(both / mine.total() for both, (mine, _) in zip(shared, orders, strict=True)) / len(orders)
    recall = sum(both / theirs.total() for both, (_, theirs) in zip(shared, orders, strict=True)) / len(orders)
    below = _BETA**2 * precision + recall
    return (1 + _BETA**2) * precision * recall / below if below else 0.0
