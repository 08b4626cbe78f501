"""Zip archives, unpacked into a folder that vanishes: what could leave that folder or fill the disk is refused."""

import re
import stat
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from medshot.errors import InputError

SIZE_LIMIT = 4_000_000_000  # bytes of all files, unpacked
FILE_LIMIT = 20_000
RATIO_LIMIT = 200  # unpacked bytes for each packed one, of the whole archive
_SMALL = 50_000_000  # unpacked bytes that are never a bomb: one blank film packs a thousandfold
_ZIP = b"PK\x03\x04"
_CHUNK = 1 << 20


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Unpack a zip archive into a temporary folder, for as long as the context lasts.

    Args:
        path: of the archive.

    Raises:
        InputError: damaged or encrypted; names that are absolute or climb out with `..`, links, or archives inside;
            more than `FILE_LIMIT` files, `SIZE_LIMIT` bytes, or `RATIO_LIMIT` times its own size. A sentence raised
            inside the context names the archive in place of the folder.
    """
    with tempfile.TemporaryDirectory(prefix="medshot-") as name:
        folder = Path(name)
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(path, archive, folder)
        except (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            cause = str(error).replace(name, "").rstrip(".") or type(error).__name__
            raise InputError(f"{path} is not a readable zip archive ({cause}); make it again.") from error
        try:
            yield folder
        except InputError as error:
            raise InputError(str(error).replace(name, str(path))) from error


def _unpack(path: Path, archive: zipfile.ZipFile, folder: Path) -> None:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) > FILE_LIMIT:
        raise InputError(f"{path} holds {len(members):,} files, more than the limit of {FILE_LIMIT:,}; split it.")
    if not members:
        raise InputError(f"{path} is an empty zip archive; give one with images in it.")
    for member in members:
        _judge_member(path, member)
    if len({member.filename for member in members}) < len(members):
        raise InputError(f"{path} holds several files of the same name; make the archive again.")
    total, packed = 0, path.stat().st_size
    for member in members:
        target = folder / PurePosixPath(member.filename)
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(member) as source, target.open("xb") as sink:
            while chunk := source.read(_CHUNK):
                if sink.tell() == 0 and chunk.startswith(_ZIP):
                    raise InputError(f"{path} holds the archive {_shown(member)}; unpack it first.")
                total += len(chunk)
                if total > SIZE_LIMIT or (total > _SMALL and total > RATIO_LIMIT * packed):
                    raise InputError(
                        f"{path} unpacks to more than {total:,} bytes from {packed:,}, beyond what medshot takes; "
                        "unpack it yourself if you trust it."
                    )
                sink.write(chunk)


def _judge_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename
    if name.startswith(("/", "\\")) or re.match("[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        raise InputError(f"{path} holds the name {_shown(member)}, which leads out of it; do not trust this archive.")
    if member.flag_bits & 1:
        raise InputError(f"{path} is encrypted; unpack it and give the folder.")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InputError(f"{path} holds {_shown(member)}, a link or device; make the archive of files alone.")


def _shown(member: zipfile.ZipInfo) -> str:
    return repr(member.filename[:100])
