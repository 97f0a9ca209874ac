"""Which encoding of before Unicode a text is in: the one whose reading looks most like a language that is written in it.

Each candidate decodes a sample of the lines with bytes above 127, and is scored by the characters above 127 alone:

- a letter counts where the language has it, so "forêt à côté" is French in Windows-1252 and no language in Windows-1250
- quotation marks and dashes count, but not in the middle of a word; signs (`±`, `³`) not where they touch a letter
- a capital does not stand inside a word, and letters of one script do not stand among those of another
- in scripts of their own the commonest letters, syllables or ideographs make up much of a text

The best score is the likelihood of the guess; one below `LIKELY` is not worth more than no guess.
"""

import re
from collections import Counter
from typing import Literal, NamedTuple

LIKELY = 0.65
_SAMPLE = 2**14
_LINE = 2**10  # of a long line so much is looked at, from just before its first byte above 127
_QUOTES = frozenset("“”„‘’‚«»‹›–—…\xa0\xad")
_IN_WORDS = frozenset("’\xa0\xad–—…")
_SIGNS = frozenset("§°©®™€£¥½¼¾²³ªº±×÷¿¡¶µ·•†‡¢")
_FULL_WIDTH = frozenset("，。、；：？！（）《》“”‘’—…・「」『』ー々〇　％～")

Kind = Literal["letters", "script", "ideographs"]


class _Language(NamedTuple):
    """What a language looks like above 127.

    Attributes:
        kind: `letters` beside ASCII's, a `script` of its own, or `ideographs` (and syllables).
        usual: all letters, where they stand beside ASCII's; else the commonest, small.
        share: how much of a text the commonest make up, at least.
    """

    kind: Kind
    usual: frozenset[str]
    share: float = 1.0


def _beside_ascii(letters: str) -> _Language:
    return _Language("letters", frozenset(letters + letters.upper()))


def _script(letters: str, share: float) -> _Language:
    return _Language("script", frozenset(letters), share)


def _ideographs(characters: str, share: float) -> _Language:
    return _Language("ideographs", frozenset(characters.replace(" ", "")) | _FULL_WIDTH, share)


_KANA = "".join(map(chr, (*range(0x3041, 0x3094), *range(0x30A1, 0x30F7))))
_LANGUAGES = {
    "German": _beside_ascii("äöüßé"),
    "French": _beside_ascii("àâæçéèêëîïôœùûüÿ"),
    "Spanish": _beside_ascii("áéíñóúü"),
    "Portuguese": _beside_ascii("áâãàçéêíóôõúü"),
    "Italian": _beside_ascii("àèéìíîòóùú"),
    "Catalan": _beside_ascii("àçèéíïòóúü"),
    "Dutch": _beside_ascii("áèéêëíïóöúü"),
    "Danish": _beside_ascii("åæøéèôó"),
    "Swedish": _beside_ascii("åäöéàü"),
    "Icelandic": _beside_ascii("áæðéíóöþúý"),
    "Polish": _beside_ascii("ąćęłńóśźż"),
    "Czech": _beside_ascii("áčďéěíňóřšťúůýž"),
    "Slovak": _beside_ascii("áäčďéíĺľňóôŕšťúýž"),
    "Hungarian": _beside_ascii("áéíóöőúüű"),
    "Croatian": _beside_ascii("čćđšž"),
    "Romanian": _beside_ascii("ăâîşţșț"),
    "Turkish": _Language("letters", frozenset("çğıöşüâîûÇĞİÖŞÜÂÎÛ")),
    "Estonian": _beside_ascii("äõöüšž"),
    "Latvian": _beside_ascii("āčēģīķļņšūž"),
    "Lithuanian": _beside_ascii("ąčęėįšųūž"),
    "Vietnamese": _beside_ascii("àáâãèéêìíòóôõùúýăđơư\u0300\u0301\u0303\u0309\u0323"),
    "Russian": _script("оеаинтсрвлкмдпуя", 0.85),
    "Ukrainian": _script("оаніивретслкумдп", 0.85),
    "Bulgarian": _script("аиоентсрвлкдпмъу", 0.85),
    "Greek": _script("αοιετσνηρπκυλμςάίόέήύώ", 0.9),
    "Hebrew": _script("יוהלאתרבשמנםכעד", 0.85),
    "Arabic": _script("اليمونرتبةعدسفهحكق", 0.88),
    "Thai": _script("ารนกอเงมยลวดทสต้่ะัิีบคปแหจุ์พไใข็โ", 0.88),
    "Japanese": _ideographs(_KANA, 0.5),
    "Chinese": _ideographs(
        "的一是不了人我在有他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去"
        "法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此已工使情明性知全三又关点"
        "正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代内信表化老给世位次度门任常先海通教儿"
        "原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安少报才结反受目太量再感建务做接必场件计管期市直德",
        0.5,
    ),
    "Chinese, traditional": _ideographs(
        "的一是不了人我在有他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於著下自之年過發後作里用道行所然家種事成方多經麼去"
        "法學如都同現當沒動面起看定天分還進好小部其些主樣理心她本前開但因只從想實日軍者意無力它與長把機十民第公此已工使情明性知全三又關點"
        "正業外將兩高間由問很最重並物手應戰向頭文體政美相見被利什二等產或新己制身果加西斯月話合回特代內信表化老給世位次度門任常先海通教兒"
        "原東聲提立及比員解水名真論處走義各入幾口認條平系氣題活爾更別打女變四神總何電數安少報才結反受目太量再感建務做接必場件計管期市直德",
        0.5,
    ),
    "Korean": _ideographs(
        "이다는의에을가고하은지를한도로사기자어나리인서아그시해일대대정부보수과스들여전게장만주라으제있상오원니성와모거동비말신고공구조경"
        "유안때마우무러었요면것선까내소연위관학려각분진방되할실중당문불물화생계적였했개발간용미산야없않바속생각",
        0.55,
    ),
}  # fmt: skip
_WESTERN = (
    "German", "French", "Spanish", "Portuguese", "Italian", "Catalan", "Dutch", "Danish", "Swedish", "Icelandic", "Estonian",
)  # fmt: skip
_CENTRAL = ("Polish", "Czech", "Slovak", "Hungarian", "Croatian", "Romanian", "German")
_CYRILLIC = ("Russian", "Ukrainian", "Bulgarian")
_CANDIDATES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("cp1252", _WESTERN),  # of equal readings the first is taken
    ("cp1250", _CENTRAL),
    ("iso8859_2", _CENTRAL),
    ("cp1251", _CYRILLIC),
    ("koi8_u", _CYRILLIC),
    ("cp1254", ("Turkish",)),
    ("cp1257", ("Lithuanian", "Latvian", "Estonian")),
    ("cp1253", ("Greek",)),
    ("iso8859_7", ("Greek",)),
    ("cp1255", ("Hebrew",)),
    ("cp1256", ("Arabic",)),
    ("iso8859_6", ("Arabic",)),
    ("cp874", ("Thai",)),
    ("cp1258", ("Vietnamese",)),
    ("cp932", ("Japanese",)),
    ("euc_jp", ("Japanese",)),
    ("gb18030", ("Chinese",)),
    ("big5", ("Chinese, traditional",)),
    ("cp949", ("Korean",)),
    ("iso8859_5", _CYRILLIC),
    ("cp866", _CYRILLIC),
    ("mac_cyrillic", _CYRILLIC),
    ("mac_roman", _WESTERN),
    ("cp850", _WESTERN),
    ("cp852", _CENTRAL),
)
_HIGH = re.compile("[^\x00-\x7f]")
_MIXED = re.compile("[A-Za-z](?=[^\\W\x00-\x7f])|(?<=[^\\W\x00-\x7f])[A-Za-z]")
_PLAIN = 'a charset="x"; \n<b>\\u0041 +AGE- ~{~}'
_DECLARED = re.compile(rb"(?:charset|coding)\s*[=:]\s*[\"']?([A-Za-z][\w.:-]{1,30})")


class Guess(NamedTuple):
    """An encoding, and how much its reading looks like a language, from 0 to 1."""

    encoding: str
    likelihood: float


def guess(data: bytes) -> Guess:
    """The most likely encoding of text that is not in Unicode."""
    sample = _sample(data)
    if (name := _declared(data, sample)) is not None:
        return Guess(name, 1.0)
    best = Guess("cp1252", 0.0)
    for name, languages in _CANDIDATES:
        likelihood = _likelihood(sample.decode(name, "replace"), languages)
        if likelihood > best.likelihood:
            best = Guess(name, likelihood)
    return best


def _declared(data: bytes, sample: bytes) -> str | None:
    """The encoding that a page, an XML file or source code says it is in, where that is true."""
    if (found := _DECLARED.search(data[:1024])) is None:
        return None
    name = found[1].decode()
    if name.lower() in ("iso-8859-1", "latin-1", "latin1"):
        name = "cp1252"
    try:
        if _PLAIN.encode().decode(name) != _PLAIN:  # UTF-16, or a way to write code: what declares it is in ASCII
            return None
        text = sample.decode(name, "strict")
    except (LookupError, UnicodeError):
        return None
    return None if not text or any("\x7f" <= letter <= "\x9f" for letter in text) else name


def _sample(data: bytes) -> bytes:
    """Lines with bytes above 127, the beginning and end of each at an ASCII character where it is cut."""
    pieces, size = list[bytes](), 0
    for line in data.split(b"\n"):
        if line.isascii():
            continue
        if len(line) > _LINE:
            first = len(line) - len(line.lstrip(_ASCII))
            line = line[max(0, first - 8) :][:_SAMPLE]
        pieces.append(line)
        size += len(line)
        if size >= _SAMPLE:
            break
    return b"\n".join(pieces)


_ASCII = bytes(range(128))


def _likelihood(text: str, languages: tuple[str, ...]) -> float:
    counts = Counter(_HIGH.findall(text))
    total = sum(counts.values())
    if not total or counts["\ufffd"] > 0.05 * total:
        return 0.0
    marks = sum(counts[mark] for mark in _QUOTES | _SIGNS)
    wrong = _misplaced(text)
    best = 0.0
    for name in languages:
        language = _LANGUAGES[name]
        if language.kind == "letters":
            known = sum(counts[letter] for letter in language.usual)
            if 2 * known > total and known > len(text) - total:  # letters beside ASCII's are the fewer
                known = 0
            score = (known + marks - wrong) / total
        else:
            score = _of_script(language, counts, marks) - (len(_MIXED.findall(text)) + wrong) / total
        best = max(best, score)
    return best


def _of_script(language: _Language, counts: Counter[str], marks: int) -> float:
    """Half for how many characters are of the script at all, half for how many are the commonest."""
    total = sum(counts.values())
    if language.kind == "ideographs":
        whole = sum(
            count for letter, count in counts.items() if letter in language.usual or "\u4e00" <= letter <= "\ud7a3"
        )
        common = sum(count for letter, count in counts.items() if letter in language.usual)
        return 0.5 * whole / total + 0.5 * min(1.0, common / total / language.share)
    first, last = min(language.usual), max(language.usual)
    block = range(ord(first) & ~0xFF, (ord(last) | 0xFF) + 1)
    letters = sum(count for letter, count in counts.items() if ord(letter) in block)
    common = sum(count for letter, count in counts.items() if letter.lower() in language.usual)
    capitals = sum(count for letter, count in counts.items() if letter.isupper())
    if not letters:
        return 0.0
    score = 0.5 * (letters + marks) / total + 0.5 * min(1.0, common / letters / language.share)
    return score - 0.1 * (2 * capitals > letters)


def _misplaced(text: str) -> int:
    """How many characters above 127 stand where none of their kind does."""
    wrong = 0
    for found in _HIGH.finditer(text):
        place = found.start()
        here, before, after = found[0], text[place - 1 : place], text[place + 1 : place + 2]
        if here in _QUOTES:
            wrong += here not in _IN_WORDS and before.isalpha() and after.isalpha()
        elif here in _SIGNS:
            wrong += before.isalpha() or (after.isalpha() and here not in "¿¡")
        elif here.isupper():
            wrong += before.islower() or (before.isalpha() and after.islower())
    return wrong
