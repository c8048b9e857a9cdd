"""The files that a configuration names: where they are, and whether they can be used."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass

_LARGEST_SECRET_BYTES = 4096
_OTHERS = stat.S_IROTH | stat.S_IWOTH


class UnusableFileError(Exception):
    """Says why a file cannot be used, in words for the operator."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Finds files relative to the configuration file.

    `folder` is the absolute folder of that file, `credentials_folder` the folder of systemd's
    credentials; None where there is none.
    """

    folder: str
    credentials_folder: str | None = None

    def resolve(self, path: str) -> str:
        """Return the absolute path."""
        return os.path.normpath(os.path.join(self.folder, path))  # noqa: PTH118 - Path keeps ".."

    def resolve_secret(self, path: str) -> str:
        """Return the absolute path; a relative one is a credential of systemd if there is one."""
        if self.credentials_folder is not None:
            credential = os.path.normpath(os.path.join(self.credentials_folder, path))  # noqa: PTH118 - likewise
            try:
                os.stat(credential)  # noqa: PTH116 - no Path is made for one call
            except (OSError, ValueError):
                pass
            else:
                return credential
        return self.resolve(path)

    def check(self, path: str) -> bool:
        """Return whether others than owner and group may read or change a readable file.

        Raises:
            UnusableFileError: it does not exist or cannot be read.
        """
        try:
            with open(path, "rb", opener=_open_without_waiting) as file:
                status = os.fstat(file.fileno())
        except (OSError, ValueError) as error:
            raise UnusableFileError(_reason(path, error)) from error
        return bool(status.st_mode & _OTHERS) and stat.S_ISREG(status.st_mode)

    def read_secret(self, path: str) -> str:
        """Return the text of a secret file without the one newline at its end.

        Raises:
            UnusableFileError: it cannot be read, or is no single line of UTF-8.
        """
        try:
            with open(path, "rb", opener=_open_without_waiting) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise UnusableFileError(f"{path} is not a regular file")
                content = file.read(_LARGEST_SECRET_BYTES + 1)
        except (OSError, ValueError) as error:
            raise UnusableFileError(_reason(path, error)) from error
        if len(content) > _LARGEST_SECRET_BYTES:
            raise UnusableFileError(f"{path} is larger than {_LARGEST_SECRET_BYTES} bytes")
        return _decode_secret(content, path=path)


def names_in(folder: str) -> tuple[str, ...]:
    """Return the names in a folder in order; none where there is no such folder.

    Raises:
        UnusableFileError: the folder cannot be read, or is none.
    """
    try:
        return tuple(sorted(os.listdir(folder)))  # noqa: PTH208 - likewise
    except FileNotFoundError:
        return ()
    except NotADirectoryError as error:
        raise UnusableFileError("is a file; a folder is expected") from error
    except (OSError, ValueError) as error:
        raise UnusableFileError(_reason_of_one(error)) from error


def read_whole(path: str, *, largest: int) -> bytes:
    """Return the content of a regular file, and no more than `largest` bytes of it.

    Raises:
        UnusableFileError: it cannot be read; the text does not name it.
    """
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnusableFileError("is not a regular file")
            return file.read(largest)
    except (OSError, ValueError) as error:
        raise UnusableFileError(_reason_of_one(error)) from error


def _decode_secret(content: bytes, *, path: str) -> str:
    if content.startswith(b"\xef\xbb\xbf"):
        raise UnusableFileError(f"{path} begins with a byte order mark; save it without")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise UnusableFileError(f"{path} is not UTF-8") from error
    text = text.removesuffix("\n").removesuffix("\r")
    if not text:
        raise UnusableFileError(f"{path} is empty")
    return text


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe without a writer does not block."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY)


def _reason(path: str, error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"there is no file {path}"
    if isinstance(error, IsADirectoryError):
        return f"{path} is a folder, not a file"
    if isinstance(error, PermissionError):
        return f"{path} may not be read by this user"
    if isinstance(error, OSError):
        return f"{path} cannot be read: {error.strerror}"
    return "this is not the path of a file"


def _reason_of_one(error: OSError | ValueError) -> str:
    """Return why a file cannot be read where its path stands before the message."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file; is it a link to one that is gone?"
    if isinstance(error, PermissionError):
        return "may not be read by this user"
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return "this is not the path of a file"
