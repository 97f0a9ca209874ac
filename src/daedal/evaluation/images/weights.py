"""The published weights of the FID Inception network: fetched once, checked, and kept as safetensors.

pytorch-fid and torch-fidelity publish the same 95,628,359 bytes under two names, as PyTorch's `torch.save` wrote them. What
is fetched must have the published SHA-256; `torch_file.py` reads the tensors in it and runs nothing.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from daedal.errors import DaedalError
from daedal.evaluation.images.inception import shapes
from daedal.evaluation.images.torch_file import read_tensors
from daedal.files import atomic_path, cache_folder, make_folder

SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
URLS = (
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
)
_KEPT = "inception-2015-12-05-6726825d.safetensors"
_TIMEOUT = 60
_MOST_BYTES = 200 * 2**20


def inception_weights(path: Path | None = None) -> tuple[dict[str, Tensor], str]:
    """The weights, and the SHA-256 of the file that they came in.

    Args:
        path: the published file, or safetensors with the same names; fetched or taken from the cache unless given.

    Raises:
        DaedalError: there are none, or they are not what they should be.
    """
    if path is None:
        kept = cache_folder() / _KEPT
        if not kept.is_file():
            _convert(_fetched(), kept)
        return _checked(_read(kept), kept), SHA256
    if not path.is_file():
        raise DaedalError(f"There are no weights at {path}", "Check the path")
    fingerprint = _sha256(path)
    if path.suffix == ".safetensors":
        return _checked(_read(path), path), fingerprint
    return _checked(read_tensors(path), path), fingerprint


def _fetched() -> Path:
    """The published file in the cache."""
    import urllib.error
    import urllib.request

    target = make_folder(cache_folder()) / Path(URLS[0]).name
    if target.is_file() and _sha256(target) == SHA256:
        return target
    faults = []
    for url in URLS:
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as reply, atomic_path(target) as temporary:
                data = reply.read(_MOST_BYTES)
                if hashlib.sha256(data).hexdigest() != SHA256:
                    raise DaedalError("what came is another file")
                temporary.write_bytes(data)
        except (OSError, DaedalError) as error:
            faults.append(str(getattr(error, "reason", error)).rstrip("."))
            continue
        return target
    raise DaedalError(
        f"The weights of the Inception network cannot be fetched ({faults[-1]})",
        f"Fetch {URLS[0]} elsewhere and name it: --extractor inception@PATH; or leave --extractor out",
    )


def _convert(published: Path, kept: Path) -> None:
    weights = read_tensors(published)
    with atomic_path(kept) as temporary:
        save_file({name: weights[name].contiguous() for name in shapes() if name in weights}, temporary)
    published.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise DaedalError(f"{path} cannot be read ({str(error)[:80]})", "Remove it, to fetch it again") from None


def _checked(weights: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    for name, shape in shapes().items():
        if name not in weights or tuple(weights[name].shape) != shape:
            raise DaedalError(f"{path} has no {name} of shape {shape}", "Give the weights of the FID Inception network")
    return {name: weights[name] for name in shapes()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
