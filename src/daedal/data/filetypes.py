"""Kinds of file by the end of their name, and names as text."""

import re
from typing import Literal, NamedTuple

from daedal.data.document import Form

Reader = Literal[
    "text", "html", "jsonl", "json", "csv", "tsv", "parquet", "zip", "tar", "compressed", "document", "none"
]


class FileType(NamedTuple):
    """How a file is read, what it is called, and what its text is."""

    reader: Reader
    name: str
    form: Form = "prose"


def words(text: str) -> frozenset[str]:
    """The words of a list that is written as a text."""
    return frozenset(text.split())


_CODE = {
    "Python": "py pyi pyx pxd", "JavaScript": "js mjs cjs jsx", "TypeScript": "ts tsx mts cts", "C": "c h",
    "C++": "cc cpp cxx hpp hh hxx", "C#": "cs", "Java": "java", "Kotlin": "kt kts", "Scala": "scala", "Go": "go",
    "Rust": "rs", "Swift": "swift", "Ruby": "rb", "PHP": "php", "Perl": "pl pm", "Lua": "lua", "R": "r",
    "Julia": "jl", "Haskell": "hs", "OCaml": "ml mli", "F#": "fs fsx", "Clojure": "clj cljs", "Elixir": "ex exs",
    "Erlang": "erl hrl", "Lisp": "lisp el scm", "Dart": "dart", "Zig": "zig", "Nim": "nim", "Fortran": "f f90 f95",
    "Pascal": "pas", "Assembly": "asm s", "CUDA": "cu cuh", "Shell": "sh bash zsh fish", "PowerShell": "ps1",
    "SQL": "sql", "CSS": "css scss less", "Vue": "vue", "Svelte": "svelte", "TOML": "toml", "YAML": "yaml yml",
    "INI": "ini cfg conf", "XML": "xml xsd xsl svg", "Makefile": "mk", "CMake": "cmake", "Protocol Buffers": "proto",
    "GraphQL": "graphql", "Terraform": "tf", "Verilog": "v sv", "VHDL": "vhd",
    "Diff": "diff patch", "TeX": "tex sty cls bib", "Groovy": "groovy gradle",
}  # fmt: skip
_PROSE = {
    "text": "txt text log asc", "Markdown": "md markdown mdx", "reStructuredText": "rst",
    "AsciiDoc": "adoc asciidoc", "Org": "org",
}  # fmt: skip
_OTHER = {
    "html": FileType("html", "HTML"),
    "htm": FileType("html", "HTML"),
    "xhtml": FileType("html", "HTML"),
    "jsonl": FileType("jsonl", "JSON Lines", "row"),
    "ndjson": FileType("jsonl", "JSON Lines", "row"),
    "json": FileType("json", "JSON", "code"),
    "csv": FileType("csv", "CSV", "row"),
    "tsv": FileType("tsv", "TSV", "row"),
    "tab": FileType("tsv", "TSV", "row"),
    "parquet": FileType("parquet", "Parquet", "row"),
    "arrow": FileType("parquet", "Arrow", "row"),
    "feather": FileType("parquet", "Arrow", "row"),
    "zip": FileType("zip", "zip"),
    "tar": FileType("tar", "tar"),
    "gz": FileType("compressed", "gz"),
    "tgz": FileType("compressed", "gz"),
    "zst": FileType("compressed", "zst"),
    "zstd": FileType("compressed", "zst"),
    "tzst": FileType("compressed", "zst"),
    "bz2": FileType("compressed", "bz2"),
    "tbz2": FileType("compressed", "bz2"),
    "xz": FileType("compressed", "xz"),
    "txz": FileType("compressed", "xz"),
}
_DOCUMENTS = {
    "PDF": "pdf", "DOCX": "docx docm dotx", "ODT": "odt ott odp", "PPTX": "pptx pptm ppsx", "EPUB": "epub", "RTF": "rtf",
    "Jupyter": "ipynb", "mail": "eml", "mbox": "mbox", "subtitles": "srt vtt",
}  # fmt: skip
_BINARY = words(
    "pyc pyo so o a dll dylib exe bin dat class jar whl png jpg jpeg gif bmp ico webp avif tif tiff heic psd "
    "mid midi kar mp3 mp4 m4a wav flac ogg opus avi mkv mov webm doc xls xlsx ppt ods 7z rar ttf "
    "otf woff woff2 eot npy npz pt pth ckpt safetensors onnx gguf h5 hdf5 pkl pickle joblib msgpack "
    "orc db sqlite sqlite3 mo pack idx wasm dmg iso deb rpm tflite pb mat parquet_metadata"
)
_BY_END: dict[str, FileType] = (
    {end: FileType("text", name, "code") for name, ends in _CODE.items() for end in ends.split()}
    | {end: FileType("text", name) for name, ends in _PROSE.items() for end in ends.split()}
    | _OTHER
    | {end: FileType("document", name) for name, ends in _DOCUMENTS.items() for end in ends.split()}
    | {end: FileType("none", "binary") for end in _BINARY}
)
_BY_NAME = {"makefile": "Makefile", "dockerfile": "Dockerfile", "cmakelists.txt": "CMake", "rakefile": "Ruby"}
PACKED = frozenset(("zip", "tar", "compressed"))
_UNDECODED = re.compile("[\\udc80-\\udcff]")
_INNER = {"tgz": "tar", "tzst": "tar", "tbz2": "tar", "txz": "tar"}


def file_type(name: str) -> FileType:
    """The type of a file called `name`; text, unless its name says something else."""
    base = name.rsplit("/", 1)[-1].lower()
    if base in _BY_NAME:
        return FileType("text", _BY_NAME[base], "code")
    end = base.rsplit(".", 1)[-1] if "." in base else ""
    return _BY_END.get(end, FileType("text", "text"))


def inner_name(name: str) -> str:
    """What a compressed file holds: `a.jsonl` for `a.jsonl.gz`, `a.tar` for `a.tgz`."""
    stem, _, end = name.rpartition(".")
    inner = _INNER.get(end.lower())
    return f"{stem}.{inner}" if inner else stem


def readable_name(name: str) -> str:
    """A name of the disk as text: bytes of it that are no UTF-8, which Python reads as half a character each, as Latin-1."""
    return _UNDECODED.sub(lambda match: chr(ord(match[0]) - 0xDC00), name)
