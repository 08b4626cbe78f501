"""What a learner of an encoder's features declares."""

from dataclasses import dataclass, field

from medshot.imaging import FeatureShape

ENCODERS: dict[str, tuple[int, ...]] = {"lite0": (1280, 24, 24, 40, 40, 80, 80, 112, 112, 192, 192, 320, 320)}


@dataclass(frozen=True)
class EncodedShape(FeatureShape):
    """Each image comes as an encoder's features of it."""

    blocks: tuple[int, ...] = field(init=False)
    encoder: str = "lite0"

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", ENCODERS[self.encoder])

    @property
    def sha256(self) -> str:
        """The encoder's hash."""
        return "0" * 64
