"""Check digits of numbers that people and accounts have: pure functions of digits, each after its standard.

Next: `daedal.data.personal` finds what looks like such a number in text, and keeps what passes.
"""

from collections.abc import Sequence

# ISO 7064 and the IBAN registry (SWIFT, release 98): the length of an IBAN by its country.
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "MC": 27, "MD": 24,
    "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29,
    "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28, "TL": 23, "TN": 24,
    "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
_CARDS = (  # the leading digits of issuers (ISO/IEC 7812), from and to, and the lengths of their numbers
    (4, 4, {13, 16, 19}), (51, 55, {16}), (2221, 2720, {16}), (34, 34, {15}), (37, 37, {15}), (6011, 6011, {16}),
    (644, 659, {16}), (3528, 3589, {16}), (300, 305, {14}), (36, 36, {14}), (38, 39, {14}), (62, 62, {16, 17, 18, 19}),
)  # fmt: skip
_VERHOEFF = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)
_DIHEDRAL = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678", "5987604321", "6598710432", "7659821043",
    "8765932104", "9876543210",
)  # fmt: skip
_CODICE_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def luhn(digits: str) -> bool:
    """ISO/IEC 7812: every second digit from the right is doubled, and the digits of all sum to a multiple of 10."""
    doubled = (sum(divmod(2 * int(each), 10)) for each in digits[-2::-2])
    return (sum(map(int, digits[::-2])) + sum(doubled)) % 10 == 0


def card(digits: str) -> bool:
    """Whether it is a number of a payment card: an issuer's leading digits, its length, and the check digit."""
    size = len(digits)
    issued = any(low <= int(digits[: len(str(low))]) <= high and size in sizes for low, high, sizes in _CARDS)
    return issued and luhn(digits)


def iban(text: str) -> bool:
    """ISO 13616: the number, its first four signs behind the others and letters as 10 to 35, leaves 1 by 97."""
    moved = text[4:] + text[:4]
    return IBAN_LENGTHS.get(text[:2]) == len(text) and int("".join(str(int(sign, 36)) for sign in moved)) % 97 == 1


def verhoeff(digits: str) -> bool:
    """Verhoeff 1969: products in the dihedral group of ten, each digit permuted by its place. India's Aadhaar has it."""
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_DIHEDRAL[check][int(_VERHOEFF[place % 8][int(digit)])])
    return check == 0


def _weighted(digits: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(digits, weights, strict=False))


def _date(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def social_security(digits: str) -> bool:
    """The United States': no check digit, but areas, groups and serials that are never given."""
    return digits[:3] not in ("000", "666") and digits[0] != "9" and digits[3:5] != "00" and digits[5:] != "0000"


def aadhaar(digits: str) -> bool:
    """India's."""
    return digits[0] not in "01" and verhoeff(digits)


def cpf(digits: str) -> bool:
    """Brazil's: two check digits modulo 11."""
    first = _weighted(digits, range(10, 1, -1)) * 10 % 11 % 10
    second = _weighted(digits, range(11, 1, -1)) * 10 % 11 % 10
    return len(set(digits)) > 1 and digits[9:] == f"{first}{second}"


def pesel(digits: str) -> bool:
    """Poland's: a date whose month tells the century, and a check digit modulo 10."""
    check = -_weighted(digits[:10], (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10
    return _date(str(int(digits[2:4]) % 20), digits[4:6]) and check == int(digits[10])


def german_tax(digits: str) -> bool:
    """Germany's Steuer-ID: one digit of the first ten stands twice or thrice; ISO 7064 modulo 11, 10."""
    product = 10
    for digit in digits[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    counts = sorted(digits[:10].count(each) for each in set(digits[:10]))
    return digits[0] != "0" and counts[-1] in (2, 3) and counts[-2:-1] != [2] and (11 - product) % 10 == int(digits[10])


def french_security(digits: str) -> bool:
    """France's NIR: sex, year and month of birth, and 97 less the rest by 97."""
    return digits[0] in "12" and 1 <= int(digits[3:5]) <= 12 and 97 - int(digits[:13]) % 97 == int(digits[13:])


def belgian_register(digits: str) -> bool:
    """Belgium's: a date, and 97 less the rest by 97, with a 2 before it for those born since 2000."""
    check = int(digits[9:])
    return _date(digits[2:4], digits[4:6]) and check in (97 - int(digits[:9]) % 97, 97 - int("2" + digits[:9]) % 97)


def swedish(digits: str) -> bool:
    """Sweden's personnummer: a date and Luhn's digit."""
    return _date(digits[2:4], digits[4:6]) and luhn(digits)


def chinese(text: str) -> bool:
    """China's resident number: a date of eight digits, and ISO 7064 modulo 11, 2, where X is ten."""
    check = _weighted(text[:17], [pow(2, 17 - place, 11) for place in range(17)])
    dated = text[6:8] in ("19", "20") and _date(text[10:12], text[12:14])
    return dated and "10X98765432"[check % 11] == text[17]


def spanish(text: str) -> bool:
    """Spain's DNI and NIE: a letter that the number leaves by 23; X, Y and Z stand for 0, 1 and 2."""
    number = int(str("XYZ".find(text[0])) + text[1:8] if text[0] in "XYZ" else text[:8])
    return "TRWAGMYFPDXBNJZSQVHLCKE"[number % 23] == text[8]


def codice_fiscale(text: str) -> bool:
    """Italy's: letters and digits of odd places by a table, of even ones by their values; what is left by 26 is a letter."""
    values = [int(sign) if sign.isdigit() else ord(sign) - 65 for sign in text]
    total = sum(_CODICE_ODD[value] for value in values[:15:2]) + sum(values[1:15:2])
    return total % 26 == values[15]
