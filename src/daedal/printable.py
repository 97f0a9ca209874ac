"""Text that a terminal prints and does not obey: names of files, labels and captions may hold escape sequences."""


def printable(text: str) -> str:
    """One line: `text` with U+FFFD for each control character, line breaks too."""
    return "".join(c if c.isprintable() else "\ufffd" for c in text)


def harmless(text: str) -> str:
    """`text` with U+FFFD for each control character but line breaks and tabs."""
    # nearly all are already, and a page with pictures has a million letters
    if text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in text)


def sentence(text: str) -> str:
    """A remark with its capital and its full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def counted(number: int, noun: str) -> str:
    """A number of things, in words: `1 shot`, `2,000 shots`."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
