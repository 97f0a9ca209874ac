"""Forms with files, as `/v1/files` and the routes of pictures take them."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from daedal.serving.errors import ApiError
from daedal.serving.limits import Gone, require_plain

_TEXT = 2**20
"""Bytes of a field that is no file."""


@dataclass(frozen=True)
class Form:
    """A form that a client sent.

    Attributes:
        files: those of each field; a field that ends in `[]` has the name without it.
    """

    texts: dict[str, str]
    files: dict[str, list[UploadFile]]

    def text(self, name: str) -> str:
        """
        Raises:
            ApiError: 400, it is missing.
        """
        if name not in self.texts:
            raise ApiError(400, "It is missing", param=name, code="missing_required_parameter")
        return self.texts[name]

    def file(self, name: str) -> UploadFile:
        """The one file of a field.

        Raises:
            ApiError: 400, it is missing, or there are several.
        """
        found = self.files.get(name, [])
        if len(found) != 1:
            said = "It is missing" if not found else "Only one is taken"
            raise ApiError(400, said, param=name, code="invalid_value" if found else "missing_required_parameter")
        return found[0]


@asynccontextmanager
async def read_form(request: Request, files: Collection[str], texts: Collection[str]) -> AsyncIterator[Form]:
    """The form of a request; its files are there until the end of the block.

    Args:
        files, texts: the fields that there may be.

    Raises:
        ApiError: 415, it is no form; 413, it is too large; 400, it is damaged or has other fields.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise ApiError(415, "Send a form: content-type: multipart/form-data", code="unsupported_media_type")
    require_plain(request)
    parser = MultiPartParser(request.headers, _capped(request), max_files=16, max_fields=64, max_part_size=_TEXT)
    try:
        parsed = await parser.parse()
    except MultiPartException as error:
        raise ApiError(400, f"The form is damaged ({error.message})", code="invalid_form") from None
    except (ValueError, KeyError):
        raise ApiError(400, "The form is damaged", code="invalid_form") from None
    try:
        form = Form({}, {})
        for name, value in parsed.multi_items():
            bare = name.removesuffix("[]")
            if isinstance(value, UploadFile) and bare in files:
                form.files.setdefault(bare, []).append(value)
            elif isinstance(value, str) and name in texts:
                if name in form.texts:
                    raise ApiError(400, "It is given twice", param=name[:100], code="invalid_value")
                form.texts[name] = value
            else:
                known = bare in files or name in texts
                said = (
                    "A file belongs there"
                    if bare in files
                    else "A text belongs there"
                    if known
                    else "There is no such field"
                )
                raise ApiError(400, said, param=name[:100], code="invalid_value" if known else "unknown_parameter")
        yield form
    finally:
        await parsed.close()


async def _capped(request: Request) -> AsyncGenerator[bytes]:
    """The body as it comes in, up to the limit of uploads."""
    size, most = 0, request.app.state.settings.upload
    try:
        async for part in request.stream():
            size += len(part)
            if size > most:
                raise ApiError(413, f"The upload is larger than {most:,} bytes", code="request_too_large")
            yield part
    except ClientDisconnect:
        raise Gone from None
