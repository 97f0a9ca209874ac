"""How well secrets and personal data are found, and how fast: on made texts with exact truth, and on files where next to
nothing is.

    python benchmarks/sensitive.py PATH [--texts 4000] [--seed 11] [--mb 20]

The made texts are those of `daedal.data.worlds.sensitive_texts` with a seed that no test and no pattern was tried on. Beside
Daedal stands `detect-secrets` (Yelp; extra `bench`), which finds secrets alone, with the plugins and filters that it has by
default. Below PATH lie .py, .md, .rst and .txt files (`site-packages` stands for this interpreter's packages): what is found
there is counted in a million characters, and the speed is that of a core over them, in its own time, best of three.
"""

import argparse
import os
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from daedal.data.sensitive import find
from daedal.data.worlds.sensitive_texts import LabelledText, Scored, score, sensitive_texts
from daedal.evaluation.means import wilson

ENDS = (".py", ".md", ".rst", ".txt")


def told(hits: int, of: int) -> str:
    """A share with its interval."""
    if not of:
        return "none"
    low, high = wilson(hits, of) or (0.0, 1.0)
    return f"{hits / of:.3f} [{low:.3f}, {high:.3f}] of {of:,}"


def table(name: str, scores: dict[str, Scored]) -> None:
    print(f"\n{name}\n  {'kind':<9} {'recall (covered whole)':<32} precision")
    for kind, each in scores.items():
        print(f"  {kind:<9} {told(each.covered, each.there):<32} {told(each.right, each.found)}")


class DetectSecrets:
    """The peer, with the plugins and filters that it has by default."""

    def __init__(self) -> None:
        from detect_secrets import SecretsCollection
        from detect_secrets.settings import default_settings

        self._collection, self._settings = SecretsCollection, default_settings
        self._file = Path(tempfile.mkdtemp()) / "text.txt"

    def find(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Secrets and where they stand."""
        self._file.write_text(text, encoding="utf-8", newline="")
        found = self._collection()
        with self._settings():
            found.scan_file(str(self._file))
        lines = text.split("\n")
        for _, secret in found:
            number = secret.line_number - 1
            place = lines[number].find(secret.secret_value or "") if number < len(lines) else -1
            if place >= 0:
                begin = sum(len(line) + 1 for line in lines[:number]) + place
                yield "key", begin, begin + len(secret.secret_value or "")


def covering(texts: list[LabelledText], peer: DetectSecrets) -> None:
    """The peer on the same texts: of the labels of secrets, those that it touches, since it tells no ends of private keys."""
    there = touched = found = right = 0
    for each in texts:
        mine = [(begin, end) for kind, begin, end in each.labels if kind == "key"]
        places = {(low, high) for _, low, high in peer.find(each.text)}
        there += len(mine)
        touched += sum(any(low < end and begin < high for low, high in places) for begin, end in mine)
        found += len(places)
        right += sum(any(low < end and begin < high for begin, end in mine) for low, high in places)
    print(f"\ndetect-secrets on the same texts, secrets alone\n  recall (touched) {told(touched, there)}")
    print(f"  precision        {told(right, found)}")
    ours = [find(text.text, ("key",)) for text in texts]
    touched = sum(
        any(each.begin < end and begin < each.end for each in found)
        for text, found in zip(texts, ours, strict=True)
        for kind, begin, end in text.labels
        if kind == "key"
    )
    print(f"  Daedal's recall counted so {told(touched, there)}")


def files(source: Path, most: int) -> list[str]:
    texts, size = [], 0
    for base, folders, names in os.walk(source):
        folders.sort()
        for path in (Path(base, name) for name in sorted(names)):
            if path.suffix in ENDS and path.is_file() and path.stat().st_size < 2_000_000 and size < most:
                text = path.read_text(encoding="utf-8", errors="replace")
                texts.append(text)
                size += len(text)
    return texts


def speed(texts: list[str], look: Any) -> float:
    """Megabytes in a second, best of three."""
    best = 1e9
    for _ in range(3):
        began = time.process_time()
        for text in texts:
            look(text)
        best = min(best, time.process_time() - began)
    return sum(map(len, texts)) / best / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path")
    parser.add_argument("--texts", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--mb", type=float, default=20)
    asked = parser.parse_args()
    made = list(sensitive_texts(asked.texts, asked.seed))
    table(f"Daedal on {asked.texts:,} made texts, seed {asked.seed}", score(made))
    peer = None
    try:
        peer = DetectSecrets()
    except ImportError:
        print("\ndetect-secrets is not installed (extra `bench`)")
    if peer is not None:
        covering(made, peer)
    source = Path(sysconfig.get_paths()["purelib"] if asked.path == "site-packages" else asked.path)
    texts = files(source, int(asked.mb * 1e6))
    characters = sum(map(len, texts))
    counts = Counter((each.kind, each.what) for text in texts for each in find(text))
    print(f"\nfiles: {len(texts):,}, {characters / 1e6:.1f} million characters; findings in a million characters")
    for (kind, what), count in counts.most_common():
        print(f"  {kind:<9} {what:<28} {count:>6,} {count / characters * 1e6:>8.2f}")
    print(f"\nspeed, MB/s on one core: Daedal, all kinds {speed(texts, find):.1f}", end="")
    print(f"; secrets alone {speed(texts, lambda text: find(text, ('key',))):.1f}", end="")
    if peer is not None:
        few = texts[: max(1, len(texts) // 50)]
        print(f"; detect-secrets {speed(few, lambda text: list(peer.find(text))):.3f}", end="")
    print()


if __name__ == "__main__":
    main()
