"""Files of moving pictures become clips of one size and number of frames; what is none is told and counted."""

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import daedal.data.clip_files as clip_files
from daedal.api import build_data
from daedal.codecs.clip import ClipCodec
from daedal.codecs.raster import Raster
from daedal.data import open_data, render_card
from daedal.data.artifacts import Unreadable
from daedal.data.clip_files import Sampling, decode_clip
from daedal.data.clip_options import ClipOptions
from daedal.data.examples import ExampleDataset
from daedal.data.images.sheet import SHEET
from daedal.data.recognition import recognise
from daedal.data.worlds.moving_scenes import MovingScene, film
from daedal.errors import DaedalError

SAMPLING = Sampling(8, Raster(channels=3, height=16, width=16, fit="crop", background="white"), 60)


def frames(count: int = 8, side: int = 16, step: int = 25) -> list[Image.Image]:
    """Grey frames that get brighter."""
    return [Image.new("RGB", (side, side), (step * number,) * 3) for number in range(count)]


def animated(shown: Sequence[Image.Image], kind: str = "GIF", duration: int | list[int] = 100) -> bytes:
    buffer = io.BytesIO()
    options = {"lossless": True} if kind == "WEBP" else {}
    shown[0].save(buffer, kind, save_all=True, append_images=shown[1:], duration=duration, loop=0, **options)
    return buffer.getvalue()


def video(shown: Sequence[Image.Image], kind: str = "mp4", rate: int = 10) -> bytes:
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=kind) as container:
        stream = container.add_stream("mpeg4" if kind == "mp4" else "libvpx", rate=rate)
        stream.width, stream.height = shown[0].size
        stream.pix_fmt = "yuv420p"
        for frame in shown:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return buffer.getvalue()


def levels(values: np.ndarray) -> list[int]:
    return [int(frame.mean().round()) for frame in values]


# -- the codec ---------------------------------------------------------------------------------------------------------


@given(arrays(np.uint8, (3, 4, 6, 3)), st.floats(0.125, 240, width=32))
def test_every_clip_comes_back(values: np.ndarray, rate: float) -> None:
    codec = ClipCodec(frames=3, height=4, width=6)
    ids = codec.encode(values, rate)
    assert len(ids) == codec.length
    back, shown = codec.decode(ids.astype(np.int64))
    assert (back == values).all()
    assert shown == rate


def test_a_clip_of_another_size_is_refused(tmp_path: Path) -> None:
    codec = ClipCodec(frames=3, height=4, width=6)
    with pytest.raises(DaedalError, match="none of"):
        codec.encode(np.zeros((4, 4, 6, 3), np.uint8), 8)
    with pytest.raises(DaedalError, match="no clip"):
        codec.decode(np.zeros(7, np.int64))
    codec.save(tmp_path)
    assert ClipCodec.load(tmp_path) == codec


# -- files -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_frames_of_every_animated_format_are_taken_in_order(kind: str) -> None:
    values, rate = decode_clip(animated(frames(), kind), kind.lower(), SAMPLING)
    assert values.shape == (8, 16, 16, 3)
    assert levels(values) == [25 * number for number in range(8)]
    assert rate == pytest.approx(10)


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_frames_of_video_are_taken_in_order(kind: str) -> None:
    values, rate = decode_clip(video(frames(), kind), kind, SAMPLING)
    assert np.abs(np.array(levels(values)) - 25 * np.arange(8)).max() <= 8  # video is lossy
    assert rate == pytest.approx(10, rel=0.02)


def test_durations_decide_what_is_taken() -> None:
    """One frame for half of the time: equal neighbours were merged."""
    values, rate = decode_clip(animated(frames(5), duration=[400, 100, 100, 100, 100]), "gif", SAMPLING)
    assert levels(values) == [0, 0, 0, 0, 25, 50, 75, 100]
    assert rate == pytest.approx(10)


def test_long_clips_are_taken_evenly_from_all_of_their_time() -> None:
    values, _ = decode_clip(animated(frames(32, step=8)), "gif", SAMPLING)
    assert levels(values) == [8 * (4 * number + 2) for number in range(8)]


def test_another_size_is_brought_to_that_which_is_asked_for() -> None:
    values, _ = decode_clip(animated(frames(8, side=50)), "gif", SAMPLING)
    assert values.shape == (8, 16, 16, 3)


def test_transparency_is_laid_on_the_background() -> None:
    clear = [Image.new("RGBA", (16, 16), (0, 0, 0, 0)), Image.new("RGBA", (16, 16), (9, 9, 9, 255))]
    values, _ = decode_clip(animated(clear, "WEBP"), "webp", SAMPLING)
    assert levels(values[[0, -1]]) == [255, 9]


@pytest.mark.parametrize(
    ("data", "end", "reason"),
    [
        (animated(frames(1)), "gif", "one frame"),
        (animated(frames(1), "PNG"), "png", "one frame"),
        (animated(frames())[:-400], "gif", "broken file"),
        (b"GIF89a", "gif", "broken file"),
        (b"no clip at all", "webp", "broken file"),
        (b"no clip at all", "mp4", "broken file"),
        (animated(frames(), duration=60_000), "gif", "too long"),
    ],
)
def test_what_is_no_clip_is_told(data: bytes, end: str, reason: str) -> None:
    with pytest.raises(Unreadable) as refused:
        decode_clip(data, end, SAMPLING)
    assert refused.value.reason == reason


def test_an_hour_of_video_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    data = video(frames(4), rate=1)
    monkeypatch.setattr(clip_files, "_decoded", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(Unreadable, match="too long"):
        decode_clip(data, "mp4", SAMPLING._replace(longest=2))


def test_huge_frames_are_refused_before_they_are_decoded() -> None:
    gif = bytearray(animated(frames(2)))
    for side in (5_000, 60_000):
        gif[6:10] = side.to_bytes(2, "little") * 2
        with pytest.raises(Unreadable, match="too large"):
            decode_clip(bytes(gif), "gif", SAMPLING)


def test_without_pyav_a_video_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(Unreadable, match=r"daedal\[video\]"):
        decode_clip(b"", "mp4", SAMPLING)


# -- builds ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Thirty animated GIFs in a folder with a table, which speaks of half of them."""
    source = tmp_path / "films"
    source.mkdir()
    rows = ["file,caption"]
    for number in range(30):
        shown = [Image.new("RGB", (20, 20), (8 * number, 20 * each, 0)) for each in range(6)]
        (source / f"{number:02d}.gif").write_bytes(animated(shown))
        if number % 2:
            rows.append(f"{number:02d}.gif,film {number}")
    (source / "captions.csv").write_text("\n".join(rows) + "\n")
    return source


def test_a_folder_of_animations_with_captions_for_half_is_built(folder: Path, tmp_path: Path) -> None:
    assert recognise([folder], {"size": 16}) == "clips"
    (folder / "still.gif").write_bytes(animated(frames(1)))
    (folder / "broken.gif").write_bytes(b"GIF89a")
    dataset = build_data([folder], tmp_path / "out", size=16, frames=6)
    assert isinstance(dataset, ExampleDataset)
    split = dataset.split("train")
    captions, clips = split.values("caption"), split.values("clip")
    assert {clip.values.shape for clip in clips} == {(6, 16, 16, 3)}
    for caption, clip in zip(captions, clips, strict=True):
        number = round(float(clip.values[..., 0].mean()) / 8)
        assert caption == (f"film {number}" if number % 2 else None)
    card = render_card(open_data(tmp_path / "out"))
    assert "15 clips have no caption" in str(dataset.manifest.notes)
    assert {entry.reason for entry in dataset.manifest.dropped} == {"one frame", "broken file"}
    assert card is not None
    assert (tmp_path / "out" / SHEET).exists()


def test_a_folder_of_still_pictures_is_one_of_pictures(tmp_path: Path) -> None:
    for number in range(12):
        Image.new("RGB", (20, 20), (8 * number, 0, 0)).save(tmp_path / f"{number}.gif")
    (tmp_path / "one.gif").write_bytes(animated(frames()))
    assert recognise([tmp_path], {}) == "pictures"


def test_folders_of_clips_are_classes_in_archives_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "films.zip", "w") as archive:
        for number in range(40):
            shown = [Image.new("RGB", (16, 16), (6 * number, 20 * each, 0)) for each in range(4)]
            archive.writestr(f"films/{('up', 'down')[number % 2]}/{number}.webp", animated(shown, "WEBP"))
    dataset = build_data([tmp_path / "films.zip"], tmp_path / "out", frames=4)
    assert isinstance(dataset, ExampleDataset)
    assert dataset.classes("label") == ("down", "up")


def test_moving_scenes_come_with_captions_and_their_truth(tmp_path: Path) -> None:
    dataset = build_data(["moving-scenes:40,objects=1"], tmp_path / "out", frames=4, workers=1)
    assert isinstance(dataset, ExampleDataset)
    split = dataset.split("train")
    for clip, truth, caption in zip(split.values("clip"), split.values("truth"), split.values("caption"), strict=True):
        made = MovingScene.model_validate_json(truth)
        assert (film(made, 32, 4) == clip.values).all()
        assert made.things[0].shape in caption
        assert clip.rate == 2


def test_moving_scenes_too_large_to_judge_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="32 to 128"):
        build_data(["moving-scenes:40"], tmp_path / "out", size=16)


def test_frames_are_no_option_of_pictures(tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="--frames is for clips"):
        build_data(["digits"], tmp_path / "out", frames=4)
    with pytest.raises(DaedalError, match="size"):
        ClipOptions.parse({"size": 15}, "clips")


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile other.mp4\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    ],
)
def test_a_video_opens_no_other_file_and_no_address(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other.mp4").write_bytes(video(frames()))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Unreadable, match="Invalid"):
        decode_clip(text.encode(), "mp4", SAMPLING)


def test_what_two_tables_say_of_a_clip_is_joined_and_what_differs_is_told(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.gif").write_bytes(animated(frames(step=2 + number)))
    (tmp_path / "a.csv").write_text("file,caption\n" + "".join(f"{n}.gif,it is {n}\n" for n in range(12)))
    (tmp_path / "b.csv").write_text(
        "file,caption,label\n" + "".join(f"{n}.gif,{'another' if n == 3 else ''},c{n % 2}\n" for n in range(12))
    )
    dataset = build_data([tmp_path], tmp_path / "out", kind="clips", frames=4)
    assert isinstance(dataset, ExampleDataset)
    assert dataset.classes("label") == ("c0", "c1")
    names = ("train", "validation", "test")
    assert "it is 3" in {caption for name in names for caption in dataset.split(name).values("caption")}
    assert "1 files have two rows or texts that differ: the first is taken" in str(dataset.manifest.model_dump())


def test_a_pipe_is_left_out_and_counted(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.gif").write_bytes(animated(frames(step=2 + number)))
    os.mkfifo(tmp_path / "pipe.gif")
    dataset = build_data([tmp_path], tmp_path / "out", kind="clips", frames=4)
    assert "a pipe, a socket or a device" in str(dataset.manifest.model_dump())


def test_a_background_that_is_no_colour_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DaedalError, match="not a colour"):
        build_data(["moving-scenes:40"], tmp_path / "out", background="nocolour")
