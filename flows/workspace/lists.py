"""DVC's lists of what a folder holds (`.dir` objects), checked against their names when they are read."""

import functools
import hashlib
from collections.abc import Callable
from typing import Any


@functools.cache
def check_lists() -> None:
    """From here on a damaged list counts as absent: DVC believes it, and fails where a flipped bit hits a key."""
    from dvc_data.hashfile.tree import Tree
    from dvc_objects.errors import ObjectFormatError

    own: Callable[..., Any] = Tree.load

    def load(odb: Any, hash_info: Any, hash_name: str | None = None) -> Any:
        found = odb.get(hash_info.value)
        with found.fs.open(found.path, "rb") as opened:
            content = opened.read()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() != hash_info.value.removesuffix(".dir"):
            raise ObjectFormatError(f"{found} is corrupted")
        return own(odb, hash_info, hash_name)

    Tree.load = staticmethod(load)  # type: ignore[method-assign]
