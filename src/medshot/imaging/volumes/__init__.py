"""Read volume files; each header is checked before memory is allocated for what it promises."""

from medshot.imaging.volumes.volume_file import files_of_volume, read_volume_file

__all__ = ["files_of_volume", "read_volume_file"]
