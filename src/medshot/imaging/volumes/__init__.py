"""Formats of volumes: what each header says, judged before memory is taken for what it promises."""

from medshot.imaging.volumes.volume_file import read_volume_file

__all__ = ["read_volume_file"]
