"""Sound fonts for tests: a sine at 440 Hz as the only sample, and presets that play it (SoundFont 2.01)."""

import struct
from collections.abc import Sequence

import numpy as np

RATE = 22_050


def font(presets: Sequence[tuple[int, int]] = ((0, 0),)) -> bytes:
    """An SF2 file with these banks and programs."""
    wave = (np.sin(2 * np.pi * 440 * np.arange(RATE // 2) / RATE) * 16_000).astype("<i2")
    heads = [_name(f"{bank}:{program}") + struct.pack("<HHHIII", program, bank, place, 0, 0, 0)
             for place, (bank, program) in enumerate(presets)]  # fmt: skip
    parts = {
        b"phdr": b"".join(heads) + _name("EOP") + struct.pack("<HHHIII", 0, 0, len(presets), 0, 0, 0),
        b"pbag": b"".join(struct.pack("<HH", place, 0) for place in range(len(presets) + 1)),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<HH", 41, 0) * len(presets) + bytes(4),  # the one instrument
        b"inst": _name("sine") + struct.pack("<H", 0) + _name("EOI") + struct.pack("<H", 1),
        b"ibag": struct.pack("<HHHH", 0, 0, 2, 0),
        b"imod": bytes(10),
        b"igen": struct.pack("<HHHH", 54, 1, 53, 0) + bytes(4),  # looped; the one sample
        b"shdr": _name("sine") + struct.pack("<IIIIIBbHH", 0, len(wave), 0, len(wave) - 1, RATE, 69, 0, 0, 1)
        + _name("EOS") + bytes(26),
    }  # fmt: skip
    info = _chunk(b"ifil", struct.pack("<HH", 2, 1)) + _chunk(b"isng", b"EMU8000\0") + _chunk(b"INAM", b"sines\0")
    body = _chunk(b"LIST", b"INFO" + info)
    body += _chunk(b"LIST", b"sdta" + _chunk(b"smpl", wave.tobytes() + bytes(92)))
    body += _chunk(b"LIST", b"pdta" + b"".join(_chunk(name, part) for name, part in parts.items()))
    return _chunk(b"RIFF", b"sfbk" + body)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def _name(text: str) -> bytes:
    return text.encode().ljust(20, b"\0")
