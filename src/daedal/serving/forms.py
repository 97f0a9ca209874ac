"""Forms with files, as `/v1/files` and the routes of pictures take them."""

import base64
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from python_multipart.multipart import parse_options_header
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from daedal.serving.database import disk_full
from daedal.serving.errors import ApiError, shown
from daedal.serving.limits import incoming, require_plain

_TEXT = 2**20
"""Bytes of a field that is no file."""
LARGEST = 2**25
"""Bytes of a picture or a recording that is given to a model."""


@dataclass(frozen=True)
class Form:
    """A form that a client sent.

    Attributes:
        files: those of each field; a field that ends in `[]` has the name without it.
        lists: the texts of fields that may come several times, likewise.
    """

    texts: dict[str, str]
    files: dict[str, list[UploadFile]]
    lists: dict[str, list[str]]

    def body(self, numbers: Collection[str] = (), fractions: Collection[str] = ()) -> dict[str, Any]:
        """Its texts as JSON has them, for forms have nothing else; what is no number stays a text, and is refused as one.

        Args:
            numbers, fractions: fields of whole numbers and of others.
        """

        def plain(name: str, text: str) -> Any:
            try:
                if name in numbers:
                    return int(text)
                if name in fractions:
                    return float(text)
            except ValueError:
                return text
            return {"true": True, "false": False}.get(text, text) if name == "stream" else text

        return {name: plain(name, text) for name, text in self.texts.items()} | dict(self.lists)

    def text(self, name: str) -> str:
        """
        Raises:
            ApiError: 400, it is missing.
        """
        if name not in self.texts:
            raise ApiError(400, f"The field {name} is missing", param=name, code="missing_required_parameter")
        return self.texts[name]

    def file(self, name: str) -> UploadFile:
        """The one file of a field.

        Raises:
            ApiError: 400, it is missing, or there are several.
        """
        found = self.files.get(name, [])
        if len(found) != 1:
            said = f"The field {name} is missing" if not found else "Only one is taken"
            raise ApiError(400, said, param=name, code="invalid_value" if found else "missing_required_parameter")
        return found[0]


@asynccontextmanager
async def read_form(
    request: Request, files: Collection[str], texts: Collection[str], lists: Collection[str] = ()
) -> AsyncIterator[Form]:
    """The form of a request; its files are there until the end of the block.

    Args:
        files, texts: the fields that there may be.
        lists: fields of texts that may come several times.

    Raises:
        ApiError: 415, it is no form; 413, it is too large; 408, it comes too slowly; 400, it is damaged or has other fields;
            503, there is no room for it on the disk.
    """
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or options.get(b"charset", b"utf-8").lower() != b"utf-8":
        raise ApiError(415, "Send a form: content-type: multipart/form-data", code="unsupported_media_type")
    require_plain(request)
    pieces = incoming(request, request.app.state.settings.upload)
    parser = MultiPartParser(request.headers, pieces, max_files=16, max_fields=64, max_part_size=_TEXT)
    try:
        parsed = await parser.parse()
    except MultiPartException as error:
        raise ApiError(400, f"The form is damaged ({error.message})", code="invalid_form") from None
    except (ValueError, KeyError):
        raise ApiError(400, "The form is damaged", code="invalid_form") from None
    except OSError as error:  # its files are written to the disk as they come
        raise disk_full() from error
    try:
        form = Form({}, {}, {})
        for name, value in parsed.multi_items():
            bare = name.removesuffix("[]")
            if isinstance(value, UploadFile) and bare in files:
                form.files.setdefault(bare, []).append(value)
            elif isinstance(value, str) and bare in lists:
                form.lists.setdefault(bare, []).append(value)
            elif isinstance(value, str) and name in texts:
                if name in form.texts:
                    raise ApiError(400, "It is given twice", param=shown(name), code="invalid_value")
                form.texts[name] = value
            else:
                known = bare in files or bare in lists or name in texts
                said = (
                    "A file belongs there"
                    if bare in files
                    else "A text belongs there"
                    if known
                    else "There is no such field"
                )
                raise ApiError(400, said, param=shown(name), code="invalid_value" if known else "unknown_parameter")
        yield form
    finally:
        await parsed.close()


async def read_file(file: UploadFile, name: str, what: str, code: str) -> str:
    """A file for a model, in base64.

    Args:
        what: it is to be, as a sentence calls it.
        code: of a fault.

    Raises:
        ApiError: 413, it is too large; 400, it is empty.
    """
    data = await file.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise ApiError(413, f"A {what} has at most {LARGEST:,} bytes", param=name, code="request_too_large")
    if not data:
        raise ApiError(400, f"The {what} is empty", param=name, code=code)
    return base64.b64encode(data).decode()
