"""Files and answers that a server keeps: names are data, owners are apart, and what was acknowledged is there."""

import asyncio
import hashlib
import io
import os
import signal
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from daedal.errors import DaedalError
from daedal.serving import database
from daedal.serving import store as stores
from daedal.serving.errors import ApiError
from daedal.serving.store import Store
from served import Process, Served, served

NAMES = (
    "../../etc/passwd", "/etc/passwd", "..\\..\\x", "C:x", "%2e%2e%2fx", "a\x00b", "..", ".", "", "x" * 5000, "a\r\nb: c",
    "é漢🙂", "<img>.svg", 'a"b', "state.sqlite",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("store"), models={}) as (running, _):
        yield running


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "data", 1000)
    yield made
    made.close()


def add(store: Store, data: bytes, owner: str = "me", **fields: Any) -> stores.StoredFile:
    return asyncio.run(store.files.add(owner, io.BytesIO(data), "a.txt", "user_data", **fields))


def upload(server: Served, data: bytes, name: str = "a.txt", purpose: str = "user_data") -> dict[str, Any]:
    answer = server.client.post("/v1/files", files={"file": (name, data)}, data={"purpose": purpose})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_file_comes_back_as_it_was(server: Served) -> None:
    data = os.urandom(3 * 2**20)
    told = upload(server, data, "weights.bin", "batch")
    assert told["object"] == "file"
    assert (told["bytes"], told["filename"], told["purpose"]) == (len(data), "weights.bin", "batch")
    assert told == server.client.get(f"/v1/files/{told['id']}").json()
    content = server.client.get(f"/v1/files/{told['id']}/content")
    assert content.content == data
    assert content.headers["content-type"] == "application/octet-stream"
    assert content.headers["content-disposition"].startswith("attachment")
    assert server.client.delete(f"/v1/files/{told['id']}").json() == {
        "id": told["id"],
        "object": "file",
        "deleted": True,
    }
    for path in ("", "/content"):
        assert server.client.get(f"/v1/files/{told['id']}{path}").status_code == 404


def test_a_range_of_a_file_comes_or_an_error_in_the_one_shape(server: Served) -> None:
    path = f"/v1/files/{upload(server, b'0123456789')['id']}/content"

    def ask(range: str) -> httpx.Response:
        return server.client.get(path, headers={"range": range})

    assert (ask("bytes=2-4").status_code, ask("bytes=2-4").content) == (206, b"234")
    for range, status in (
        ("bytes=20-30", 416),
        ("bytes=x", 400),
        ("lines=1-2", 400),
        ("bytes=", 400),
        ("bytes=4-2", 400),
    ):
        answer = ask(range)
        assert answer.status_code == status, range
        assert answer.json()["error"]["code"] == "invalid_range"
    assert ask("bytes=20-30").headers["content-range"] == "bytes */10"


def test_a_file_whose_bytes_are_gone_is_not_there(server: Served) -> None:
    data = os.urandom(100)
    id = upload(server, data)["id"]
    (server.folder / "data" / "files" / hashlib.sha256(data).hexdigest()).unlink()
    answer = server.client.get(f"/v1/files/{id}/content")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "file_not_found")
    assert server.client.delete(f"/v1/files/{id}").status_code == 200


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_data_and_never_a_path(server: Served, name: str) -> None:
    folder = server.folder / "data"
    body = (
        b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nuser_data\r\n--x\r\n'
        b'content-disposition: form-data; name="file"; filename="'
        + name.replace('"', "%22").replace("\r\n", "%0D%0A").encode()
        + b'"\r\n\r\nmine\r\n--x--\r\n'
    )
    answer = server.client.post("/v1/files", content=body, headers={"content-type": "multipart/form-data; boundary=x"})
    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        id = answer.json()["id"]
        content = server.client.get(f"/v1/files/{id}/content")
        assert content.content == b"mine"
        assert content.headers["content-disposition"].startswith("attachment")
        assert content.headers["content-type"] == "application/octet-stream"
        server.client.delete(f"/v1/files/{id}")
    there = {path.name for path in folder.rglob("*") if path.is_file()}
    assert all(found.startswith("state.sqlite") or len(found) == 64 for found in there)
    for path in (name, f"{name}/content"):
        quoted = "".join(f"%{byte:02x}" for byte in path[:100].encode())
        assert server.client.get(f"/v1/files/{quoted}").status_code in (200, 404)  # an empty name is the list


def test_a_list_is_told_in_pages(server: Served) -> None:
    ids = [upload(server, b"%d" % number, purpose="evals")["id"] for number in range(5)]

    def page(**query: Any) -> dict[str, Any]:
        told: dict[str, Any] = server.client.get("/v1/files", params={"purpose": "evals", **query}).json()
        return told

    assert [file["id"] for file in page()["data"]] == ids[::-1]
    found, after = [], {}
    while True:
        told = page(limit=2, order="asc", **after)
        found += [file["id"] for file in told["data"]]
        after = {"after": told["last_id"]}
        if not told["has_more"]:
            break
    assert found == ids
    for query in ({"limit": 0}, {"limit": "x"}, {"limit": "9" * 5000}, {"limit": -1}, {"order": "up"}, {"more": 1}):
        answer = server.client.get("/v1/files", params=query)
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == next(iter(query))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"purpose": "x"},
        {"purpose": "user_data", "more": "x"},
        {"purpose": "user_data", "expires_after[anchor]": "created_at"},
        {"purpose": "user_data", "expires_after[anchor]": "created_at", "expires_after[seconds]": "9" * 5000},
        {"purpose": "user_data", "expires_after[anchor]": "created_at", "expires_after[seconds]": "10"},
    ],
)
def test_a_form_that_is_wrong_is_refused(server: Served, fields: dict[str, str]) -> None:
    before = server.client.get("/v1/files").json()["data"]
    answer = server.client.post("/v1/files", files={"file": ("a", b"x")}, data=fields)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"]
    assert server.client.get("/v1/files").json()["data"] == before


def test_a_form_that_is_damaged_is_refused(server: Served) -> None:
    whole = b'--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nmine\r\n--x--\r\n'
    kind = "multipart/form-data; boundary=x"
    for body in (b"", b"--", whole[:40], whole[:-5], whole[:-12], b"\x00" * 100, whole.replace(b"name=", b"nome=")):
        answer = server.client.post("/v1/files", content=body, headers={"content-type": kind})
        assert answer.status_code == 400, body
    for kind in ("multipart/form-data; boundary=x; charset=unicode_escape", "multipart/form-datax", "multipart/mixed"):
        answer = server.client.post("/v1/files", content=whole, headers={"content-type": kind})
        assert answer.status_code == 415, kind


def test_a_form_that_finds_no_room_on_the_disk_is_told_to_come_back(
    server: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    answer = server.client.post("/v1/files", files={"file": ("a", b"x" * 2**21)}, data={"purpose": "user_data"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "disk_full")
    assert answer.headers["retry-after"] == "60"


def test_one_content_is_kept_once_and_as_long_as_anybody_has_it(store: Store) -> None:
    files = store.files
    mine, other = add(store, b"same"), add(store, b"same", "other")
    path = files.path(mine)
    assert path == files.path(other)
    assert path.read_bytes() == b"same"
    assert path.name == hashlib.sha256(b"same").hexdigest()
    assert not asyncio.run(files.delete("other", mine.id))
    assert asyncio.run(files.delete("me", mine.id))
    assert path.exists()
    assert asyncio.run(files.delete("other", other.id))
    assert not path.exists()


def test_an_owner_has_so_much_room(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(store, b"x" * 600)
    add(store, b"x" * 1000, "other")
    with pytest.raises(ApiError) as refused:
        add(store, b"y" * 401)
    assert (refused.value.status, refused.value.code) == (413, "quota_exceeded")
    assert len(list((store.files._folder).iterdir())) == 2  # nothing is left of it
    add(store, b"y" * 400)
    monkeypatch.setattr(database, "_SPARE", 2**60)
    with pytest.raises(ApiError) as refused:
        add(store, b"z", "third")
    assert (refused.value.status, refused.value.code) == (503, "disk_full")


def test_files_and_answers_have_room_together(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def put(id: str, size: int) -> None:
        asyncio.run(store.responses.put("me", id, b"x" * size))

    def refused(work: Callable[[], Any]) -> tuple[int, str | None]:
        with pytest.raises(ApiError) as raised:
            work()
        return raised.value.status, raised.value.code

    file = add(store, b"x" * 600)
    assert refused(lambda: put("resp_1", 401)) == (413, "quota_exceeded")
    put("resp_2", 400)
    assert refused(lambda: add(store, b"y")) == (413, "quota_exceeded")
    assert refused(lambda: asyncio.run(store.responses.require_room("me"))) == (413, "quota_exceeded")
    asyncio.run(store.responses.delete("me", "resp_2"))
    asyncio.run(store.files.delete("me", file.id))
    put("resp_3", 1000)
    monkeypatch.setattr(database, "_SPARE", 2**60)
    assert refused(lambda: asyncio.run(store.responses.put("other", "resp_4", b"x"))) == (503, "disk_full")
    assert refused(lambda: asyncio.run(store.responses.require_room("other"))) == (503, "disk_full")


def test_what_was_kept_before_answers_had_a_quota_counts(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        connection.executescript(f"{database._MIGRATIONS[0]} PRAGMA user_version = 1;")
        connection.execute("INSERT INTO responses VALUES ('resp_1', 'me', ?, ?)", (int(time.time()), b"x" * 600))
    store = Store(tmp_path, 1000)
    with pytest.raises(ApiError, match="1,000 bytes"):
        add(store, b"y" * 401)
    add(store, b"y" * 400)
    store.close()


def test_a_full_disk_is_told_and_leaves_nothing_behind(tmp_path: Path) -> None:
    store = Store(tmp_path, 10**6)
    works: list[Callable[[], Any]] = [
        lambda: store.files.add("me", io.BytesIO(b"x"), "n" * 50_000, "user_data"),
        lambda: store.responses.put("me", "resp_1", b"x" * 50_000),
    ]
    store.files._database._connection.execute("PRAGMA max_page_count = 1")  # as many as there are
    for work in works:
        with pytest.raises(ApiError) as refused:
            asyncio.run(work())
        assert (refused.value.status, refused.value.code, refused.value.retry_after) == (503, "disk_full", 60)
    assert list((tmp_path / "files").iterdir()) == []
    store.files._database._connection.execute("PRAGMA max_page_count = 1000000")
    for work in works:
        asyncio.run(work())
    store.close()


def test_what_has_expired_is_gone_and_takes_no_room(store: Store) -> None:
    old = add(store, b"x" * 900, seconds=-1)
    assert asyncio.run(store.files.get("me", old.id)) is None
    assert asyncio.run(store.files.page("me", None, None, 10, True)) == []
    add(store, b"y" * 900, "other")
    assert not store.files.path(old).exists()


def test_a_store_that_opens_has_nothing_that_is_over_and_no_bytes_without_a_row(tmp_path: Path) -> None:
    store = Store(tmp_path, 1000)
    add(store, b"x", seconds=-1)
    kept = add(store, b"y")
    (tmp_path / "files" / ("0" * 64)).write_bytes(b"of an insert that failed")
    (tmp_path / "files" / "notes").write_bytes(b"of somebody else")
    store.close()
    store = Store(tmp_path, 1000)
    assert {path.name for path in (tmp_path / "files").iterdir()} == {kept.sha256, "notes"}
    store.close()


def test_an_answer_is_kept_for_thirty_days(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.time()

    def at(days: float) -> None:
        monkeypatch.setattr(time, "time", lambda: began + days * 86_400)

    asyncio.run(store.responses.put("me", "resp_1", b"x" * 900))
    at(29.9)
    assert asyncio.run(store.responses.get("me", "resp_1")) == b"x" * 900
    at(30.1)
    assert asyncio.run(store.responses.get("me", "resp_1")) is None
    asyncio.run(store.responses.put("other", "resp_2", b"x"))  # whoever comes: that of all owners is gone
    assert not asyncio.run(store.responses.delete("me", "resp_1"))
    add(store, b"x" * 900)


def test_adding_and_deleting_one_content_at_once_loses_nothing(store: Store) -> None:
    async def work(number: int) -> None:
        for _ in range(10):
            file = await store.files.add(f"owner{number}", io.BytesIO(b"same"), "a", "user_data")
            assert store.files.path(file).read_bytes() == b"same"
            await store.files.delete(f"owner{number}", file.id)

    async def all_of_them() -> None:
        await asyncio.gather(*(work(number) for number in range(6)))

    asyncio.run(all_of_them())
    assert list(store.files._folder.iterdir()) == []


def test_answers_belong_to_their_owner(store: Store) -> None:
    async def work() -> None:
        await store.responses.put("me", "resp_1", b"an answer")
        assert await store.responses.get("me", "resp_1") == b"an answer"
        assert await store.responses.get("other", "resp_1") is None
        assert not await store.responses.delete("other", "resp_1")
        assert await store.responses.delete("me", "resp_1")
        assert await store.responses.get("me", "resp_1") is None

    asyncio.run(work())


def test_a_folder_is_opened_again_and_one_of_a_newer_daedal_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path, 1000)
    file = add(store, b"x")
    (tmp_path / "files" / "new.part").write_bytes(b"of another server")
    (tmp_path / "files" / "old.part").write_bytes(b"of one that was killed")
    os.utime(tmp_path / "files" / "old.part", (0, 0))
    store.close()
    store = Store(tmp_path, 1000)
    assert asyncio.run(store.files.get("me", file.id)) == file
    assert {path.name for path in (tmp_path / "files").glob("*.part")} == {"new.part"}
    store.close()
    with sqlite3.connect(tmp_path / "state.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DaedalError, match="newer Daedal"):
        Store(tmp_path, 1000)


def test_no_file_that_was_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    kept: dict[str, bytes] = {}
    for _ in range(2):
        with Process(tmp_path, models={}) as process:
            threads = [
                threading.Thread(target=_upload_until_it_ends, args=(process.served.url, kept)) for _ in range(4)
            ]
            before = len(kept)
            for thread in threads:
                thread.start()
            while len(kept) < before + 10:
                time.sleep(0.01)
            process.signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
    with Process(tmp_path, models={}) as process:
        for id, data in kept.items():
            assert process.served.client.get(f"/v1/files/{id}/content").content == data
        listed = process.served.client.get("/v1/files").json()["data"]
        assert kept.keys() <= {file["id"] for file in listed}
        for file in listed:  # what nobody was told of is whole too, or not there
            assert len(process.served.client.get(f"/v1/files/{file['id']}/content").content) == file["bytes"]


def _upload_until_it_ends(url: str, kept: dict[str, bytes]) -> None:
    with httpx.Client(base_url=url) as client:
        while True:
            data = os.urandom(5000)
            try:
                answer = client.post("/v1/files", files={"file": ("a", data)}, data={"purpose": "user_data"})
            except httpx.HTTPError:
                return
            kept[answer.json()["id"]] = data
