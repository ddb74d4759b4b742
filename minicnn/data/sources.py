"""Open a file, a folder or an archive as a set of named byte streams; faults are DataErrors."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, cast

from minicnn.errors import DataError

__all__ = ["Source", "fingerprint", "open_source", "printable", "readable"]

_MOST_FILES = 1_000_000
_DEEPEST = 8
_GZIP_MAGIC = b"\x1f\x8b"
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")


@contextlib.contextmanager
def readable(label: str) -> Iterator[None]:
    """Turn whatever reading raises into a DataError that opens with ``label``."""
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError:
        raise DataError(f"{label}: no such file or folder") from None
    except OSError as error:
        if error.errno is not None:
            raise DataError(f"{label}: cannot be read ({error.strerror})") from error
        raise DataError(_damaged(label, error)) from error
    except Exception as error:  # zipfile, tarfile and gzip raise nearly anything on damaged files
        raise DataError(_damaged(label, error)) from error


def printable(text: str) -> str:
    """Return a text with question marks for line ends and all else that a message cannot hold."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _damaged(label: str, error: BaseException) -> str:
    reason = printable(str(error)) or type(error).__name__
    return f"{label}: truncated, damaged or protected ({reason}); fetch the file again"


@dataclass(frozen=True)
class Source:
    """Named byte streams of one file, folder or archive.

    Attributes
    ----------
    location : str
        The path, as it was given.
    names : tuple of str
        What can be opened, sorted; ``/`` stands between folders. Hidden files are left out.
    separator : str
        What stands between the location and a name in messages; empty for a single file.
    """

    location: str
    names: tuple[str, ...]
    separator: str
    opener: Callable[[str], IO[bytes]]

    def label(self, name: str) -> str:
        """Return how messages call a member: ``faces.zip:train.csv``, ``faces/train.csv``."""
        if not self.separator or not name:
            return self.location
        return f"{self.location.rstrip(self.separator)}{self.separator}{printable(name)}"

    @contextlib.contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """Open a member for reading; one that is compressed with gzip is read uncompressed."""
        with contextlib.ExitStack() as stack:
            with readable(self.label(name)):
                stream = stack.enter_context(self.opener(name))
                start = stream.read(2)
                stream.seek(0)
                if start == _GZIP_MAGIC:
                    stream = stack.enter_context(cast(IO[bytes], gzip.open(stream)))
            yield stream


@contextlib.contextmanager
def open_source(path: str) -> Iterator[Source]:
    """Open what a path leads to: a folder, a zip or tar archive (gzipped or not), or one file.

    Archives are known by their content, not by their names.

    Raises
    ------
    DataError
        If there is nothing at the path, or it cannot be read.
    """
    with contextlib.ExitStack() as stack:
        with readable(path):
            source = _folder(path) if _is_folder(path) else _file(path, stack)
        yield source


def fingerprint(path: str) -> list[tuple[str, int, int]]:
    """Return the name, size (bytes) and time (ns) of each file that reading ``path`` looks at.

    Raises
    ------
    DataError
        If there is nothing at the path, or it cannot be read.
    """
    with readable(path):
        if not _is_folder(path):
            status = os.stat(path)
            return [("", status.st_size, status.st_mtime_ns)]
        statuses = ((name, entry.stat()) for name, entry in _walk(path))
        return sorted((name, status.st_size, status.st_mtime_ns) for name, status in statuses)


def _is_folder(path: str) -> bool:
    mode = os.stat(path).st_mode
    if not stat.S_ISDIR(mode) and not stat.S_ISREG(mode):
        raise DataError(f"{path}: neither a file nor a folder")
    return stat.S_ISDIR(mode)


def _folder(path: str) -> Source:
    names = tuple(sorted(name for name, _ in _walk(path)))
    return Source(path, names, "/", lambda name: open(os.path.join(path, *name.split("/")), "rb"))


def _walk(path: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield every visible file below a folder; links are followed, each folder once."""
    seen = set()
    pending = [("", path)]
    count = 0
    while pending:
        prefix, folder = pending.pop()
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as entries:
            for entry in entries:
                name = prefix + entry.name
                if not _visible(name):
                    continue
                if entry.is_dir():
                    if name.count("/") < _DEEPEST:
                        pending.append((f"{name}/", entry.path))
                elif entry.is_file():
                    count += 1
                    if count > _MOST_FILES:
                        raise DataError(
                            f"{path}: more than {_MOST_FILES:,} files; give the folder of the faces"
                        )
                    yield name, entry


def _visible(name: str) -> bool:
    parts = name.split("/")
    if any(part.startswith((".", "__MACOSX")) for part in parts):
        return False
    return parts[-1].lower() not in ("thumbs.db", "desktop.ini")


def _file(path: str, stack: contextlib.ExitStack) -> Source:
    file = stack.enter_context(open(path, "rb"))
    start = file.read(512)
    file.seek(0)
    if start.startswith(_ZIP_MAGICS):
        return _zip(path, file, stack)
    if start.startswith(_GZIP_MAGIC):
        with gzip.open(file) as stream:
            inner = stream.read(512)
        file.seek(0)
        if _is_tar(inner):
            return _tar(path, _unpacked(file, stack), stack)
    elif _is_tar(start):
        return _tar(path, file, stack)
    # Opened anew each time, as the reader of the header and the reader of the rows both close it.
    return Source(path, (os.path.basename(path),), "", lambda name: open(path, "rb"))


def _zip(path: str, file: IO[bytes], stack: contextlib.ExitStack) -> Source:
    archive = stack.enter_context(zipfile.ZipFile(file))
    names = (info.filename for info in archive.infolist() if not info.is_dir())
    return Source(path, tuple(sorted(filter(_visible, names))), ":", archive.open)


def _is_tar(start: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(start, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


def _unpacked(file: IO[bytes], stack: contextlib.ExitStack) -> IO[bytes]:
    """Unpack a gzipped file into a temporary one: jumping about in gzip would take for ever."""
    unpacked = stack.enter_context(tempfile.TemporaryFile())
    with gzip.open(file) as stream:
        shutil.copyfileobj(stream, unpacked, 1 << 20)
    unpacked.seek(0)
    return unpacked


def _tar(path: str, file: IO[bytes], stack: contextlib.ExitStack) -> Source:
    archive = stack.enter_context(tarfile.open(fileobj=file, mode="r:"))
    members = {info.name.removeprefix("./"): info for info in archive.getmembers()}
    # tarfile takes an archive that was cut between two members, or whose next header is damaged,
    # for a complete one; a complete one goes on with a block of zeros.
    file.seek(archive.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise tarfile.ReadError("the end of the archive is missing")

    def opener(name: str) -> IO[bytes]:
        stream = archive.extractfile(members[name])
        if stream is None:
            raise tarfile.ReadError("not a file")
        return stream

    names = (name for name, info in members.items() if info.isfile() and _visible(name))
    return Source(path, tuple(sorted(names)), ":", opener)
