"""By what the code of a part of this package is known, so that what it made before can be told to be of it."""

import hashlib
from functools import cache
from pathlib import Path

KINDS = (".py", ".js", ".css", ".html", ".toml")


@cache
def code_hash(folder: Path) -> str:
    """Hash of all code in a folder, of those below it too."""
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(folder.rglob("*")):
        if file.suffix in KINDS and file.is_file():
            digest.update(f"{file.relative_to(folder)}\x1f".encode() + file.read_bytes() + b"\x1e")
    return digest.hexdigest()
