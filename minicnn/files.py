"""Write files so that readers, even after a crash, see the old content or the new, never a part."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from typing import IO, Any

from minicnn.errors import DataError, OptionError

__all__ = ["Keys", "atomic_write", "checked", "damaged", "hash_of", "read_json", "write_json"]

# What must be in a dict, and what may be, with the type that it has; None where nothing is.
Kinds = Mapping[str, type | tuple[type, ...]]
Keys = tuple[Kinds, Kinds]
REMEDY = "name another folder"

# What the operating system reports when the place written to is the fault, whoever called write.
_STORAGE_FAULTS = frozenset(
    {errno.ENOSPC, errno.EFBIG, errno.EIO, errno.EROFS, getattr(errno, "EDQUOT", errno.ENOSPC)}
)


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    """Open a file for writing that takes the place of ``path`` only once all of it is on disk.

    The content goes to a temporary file in the same folder, which is flushed, fsynced and renamed
    onto ``path`` when the body ends. When the body raises (Ctrl-C included), the temporary file is
    removed and ``path`` stays as it was. A symbolic link is followed; the mode of an existing file
    is kept.

    Parameters
    ----------
    path : str or os.PathLike
        The file to make or to replace. Its folder must exist.
    mode : {"w", "wb"}
        Text (UTF-8, line ends written as given) or bytes.

    Yields
    ------
    file
        The open temporary file.

    Raises
    ------
    OptionError
        If ``mode`` is neither of the two.
    DataError
        If ``path`` is no regular file, or cannot be written (no such folder, no permission, disk
        full).
    """
    if mode not in ("w", "wb"):
        raise OptionError(f'atomic_write: expected the mode "w" or "wb", got {mode!r}')
    target = os.path.realpath(path)
    if os.path.lexists(target) and not stat.S_ISREG(os.lstat(target).st_mode):
        raise DataError(f"{os.fspath(path)}: cannot be written, it is not a regular file")
    folder, name = os.path.split(target)
    # Not tempfile.mkstemp: that would leave the file readable by its owner only.
    temporary = os.path.join(folder, f".{name[:100]}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        file = _create(temporary, mode)
    except OSError as error:
        raise DataError(_complaint(path, error)) from error
    try:
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if os.path.exists(target):
                shutil.copymode(target, temporary)
            os.replace(temporary, target)
        except OSError as error:
            if error.errno in _STORAGE_FAULTS or error.filename == temporary:
                raise DataError(_complaint(path, error)) from error
            raise
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(folder)


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write a JSON file for people and programs to read, replacing an old one at once.

    Raises
    ------
    ValueError
        A number is infinite or NaN, which JSON does not have.
    DataError
        The file cannot be written.
    """
    with atomic_write(path) as file:
        json.dump(content, file, indent=2, allow_nan=False)
        file.write("\n")


def read_json(path: str | os.PathLike[str], keys: Keys, *, remedy: str = REMEDY) -> dict[str, Any]:
    """Read a JSON file that must hold a dict with these keys.

    Parameters
    ----------
    path : str or os.PathLike
    keys : (mapping of str to type, mapping of str to type)
        Those that must be there, and those that may be.
    remedy : str
        What to do about a damaged file.

    Raises
    ------
    DataError
        It cannot be read, or holds something else.
    """
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except OSError as error:
        raise DataError(f"{os.fspath(path)}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise damaged(path, remedy) from None
    return checked(path, content, keys, remedy)


def checked(
    path: str | os.PathLike[str], content: Any, keys: Keys, remedy: str = REMEDY
) -> dict[str, Any]:
    """Return what was read from a file, if it is a dict with these keys.

    Raises
    ------
    DataError
        It is something else.
    """
    required, optional = keys
    if (
        not isinstance(content, dict)
        or not all(isinstance(content.get(key), kind) for key, kind in required.items())
        or not all(
            content.get(key) is None or isinstance(content[key], kind)
            for key, kind in optional.items()
        )
    ):
        raise damaged(path, remedy)
    return content


def damaged(path: str | os.PathLike[str], remedy: str = REMEDY) -> DataError:
    """Return the error for a file that does not hold what it should."""
    return DataError(f"{os.fspath(path)}: damaged, or of another program; {remedy}")


def _create(path: str, mode: str) -> IO[Any]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o666)
    if mode == "wb":
        return open(descriptor, "wb")
    return open(descriptor, "w", encoding="utf-8", newline="")


def _complaint(path: str | os.PathLike[str], error: OSError) -> str:
    return f"{os.fspath(path)}: cannot be written ({error.strerror or error})"


def _sync_folder(folder: str) -> None:
    """Make the rename itself survive a power cut, where the system lets a folder be synced."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def hash_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
