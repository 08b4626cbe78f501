"""Training an encoder across tasks: what it is drawn, what it is asked, and the loop."""

from medshot.training.encoders.loop import train_encoder
from medshot.training.encoders.objectives import OBJECTIVES
from medshot.training.encoders.settings import EncoderSettings

__all__ = ["OBJECTIVES", "EncoderSettings", "train_encoder"]
