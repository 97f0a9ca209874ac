"""Secrets and personal data are found by shape, check digits and what stands before them; masked, none is left."""

import time
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daedal.data import checksums
from daedal.data.sensitive import PERSONAL, find, kinds_of, mask
from daedal.data.worlds.sensitive_texts import score, sensitive_texts

ALL = ("key", "personal")


@pytest.mark.parametrize(
    ("check", "number"),
    [
        (checksums.card, "4111111111111111"),  # as the card schemes publish for tests
        (checksums.card, "378282246310005"),
        (checksums.card, "6011111111111117"),
        (checksums.iban, "GB82WEST12345698765432"),  # as the registry of IBANs has them
        (checksums.iban, "DE89370400440532013000"),
        (checksums.iban, "FR1420041010050500013M02606"),
        (checksums.iban, "NO9386011117947"),
        (checksums.verhoeff, "2363"),  # Wikipedia, Verhoeff algorithm
        (checksums.cpf, "52998224725"),
        (checksums.pesel, "44051401359"),  # Wikipedia, PESEL
        (checksums.german_tax, "86095742719"),
        (checksums.french_security, "255081416802538"),  # Wikipédia, numéro de sécurité sociale
        (checksums.swedish, "8112189876"),  # Wikipedia, personal identity number (Sweden)
        (checksums.chinese, "11010519491231002X"),  # GB 11643-1999
        (checksums.spanish, "12345678Z"),  # the ministry of the interior's example
        (checksums.spanish, "X1234567L"),
        (checksums.codice_fiscale, "RSSMRA85T10A562S"),
        (checksums.belgian_register, "85073003328"),
    ],
)
def test_published_numbers_pass_their_checks_and_no_neighbour_does(check, number: str) -> None:
    assert check(number)
    place = len(number) // 2
    others = "0123456789" if number[place].isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    changed = [f"{number[:place]}{other}{number[place + 1 :]}" for other in others if other != number[place]]
    assert sum(map(check, changed)) <= 1  # codes with two digits of an alphabet may meet once


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("IBAN DE89 3704 0044 0532 0130 00 BIC X", "IBAN <iban> BIC X"),
        ("card 4111 1111 1111 1111, or 378282246310005", "card <card>, or <card>"),
        ("order 4111 1111 1111 1112", "order 4111 1111 1111 1112"),
        ("SSN 123-45-6789, not 000-45-6789", "SSN <id>, not 000-45-6789"),
        ("postgres://app:hunter2pw@db.example.com/x", "postgres://app:<key>@db.example.com/x"),
        ("DB_PASSWORD=Tiger042!", "DB_PASSWORD=<key>"),
        ("password = os.environ['PASSWORD']", "password = os.environ['PASSWORD']"),
        ("token = tokenizer.next_token_2(text)", "token = tokenizer.next_token_2(text)"),
        ("Authorization: Bearer a1B2c3D4e5F6g7H8i9J0", "Authorization: Bearer <key>"),
        ("a class sk-estimator-html-doc-link of CSS", "a class sk-estimator-html-doc-link of CSS"),
        ("git@github.com:a/b.git, lodash@4.17.21, icon@2x.png, q@k.transpose(0)",) * 2,
        ("12:34:56 std::map<a::b> 00:1b:44:11:3a:b7 127.0.0.1 version 10.20.30.40",) * 2,
        ("742 Evergreen Terrace, Springfield, IL 62704 and Hauptstraße 12, 10115 Berlin", "<address> and <address>"),
        ("12 rue de la Paix, 75002 Paris", "<address>"),
        ("quantize(Decimal('+35236450.6'))",) * 2,
        ("06 12 34 56 78, Tel. 030 9018200", "<phone>, Tel. <phone>"),
        ("-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0B" * 2 + "\nAAA", "<key>\nAAA"),
        ("-----BEGIN PRIVATE KEY----- is how such a file begins",) * 2,
    ],
)
def test_what_is_found_and_what_only_looks_so(text: str, masked: str) -> None:
    assert mask(text, ALL, Counter()) == masked


def test_a_kind_alone_leaves_the_others() -> None:
    text = "jane@example.org, 4111 1111 1111 1111"
    assert mask(text, ("card",), Counter()) == "jane@example.org, <card>"
    assert mask(text, ("email",), Counter()) == "<email>, 4111 1111 1111 1111"
    assert kinds_of(("personal",)) == set(PERSONAL)


def test_most_of_the_made_texts_is_found_and_little_else() -> None:
    """A floor below what docs/data-safety.md tells."""
    for kind, each in score(sensitive_texts(600, seed=5)).items():
        assert each.there > 90
        assert each.covered / each.there > 0.92, kind
        assert each.right / each.found > 0.98, kind


def test_masked_texts_have_nothing_left_and_stay_as_they_are() -> None:
    for each in sensitive_texts(400, seed=6):
        found: Counter[str] = Counter()
        masked = mask(each.text, ALL, found)
        assert find(masked) == []
        assert mask(masked, ALL, Counter()) == masked
        assert sum(found.values()) == sum(masked.count(f"<{kind}>") for kind in ("key", *PERSONAL))


PIECES = st.sampled_from(
    ["@", ".", " ", "1", "+49", "://", ":", "::", "a", "B7", "password=", "token: ", '"', "-----BEGIN PRIVATE KEY-----", "-",
     "-----END PRIVATE KEY-----", "eyJ", "sk-", "DE89370400440532013000", "(555) ", "x.org", "4111111111111111", "\n", "<key>",
     "İ", "é", "straße ", "12 ", "Oak St", "jane@example.org", "AKIAIOSFODNN7EXAMPLE", "postgres://a:b1cd2@h"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30).map("".join))
@settings(max_examples=300, deadline=None)
def test_masks_are_idempotent_whatever_stands_beside_them(text: str) -> None:
    found = find(text)
    assert all(one.end <= other.begin for one, other in pairwise(found))
    assert all(0 <= each.begin < each.end <= len(text) for each in found)
    masked = mask(text, ALL, Counter())
    assert find(masked) == []


@pytest.mark.parametrize(
    "piece",
    ["a", "1", "1.", "+1 ", "1-", ":", "@", "a@", "a.", "token=", "pwd=a1", 'secret="', "-----BEGIN PRIVATE KEY-----", "eyJ",
     "eyJ-", "eyJaaaaaaaa.", "sk-a1", "://a:", "A", "DE89", "AB ", "1 Aa ", "rue 1 ", "straße ", "straße 1", "(1", "12 Oak ",
     " St ", "\\n", "=", "ghp_", "1 Aa St ", "0 "],
)  # fmt: skip
def test_a_line_of_a_megabyte_takes_no_more_than_it_should(piece: str) -> None:
    text = piece * (2**18 // len(piece))
    began = time.process_time()
    find(text)
    one = time.process_time() - began
    assert one < 4.0  # 256 KiB; quadratic time would be minutes
