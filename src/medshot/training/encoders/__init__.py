"""Training an encoder across tasks: what it is drawn, what it is asked, the loop, and the folder it becomes."""

from medshot.training.encoders.averaging import averaged
from medshot.training.encoders.folder import train_encoder_into
from medshot.training.encoders.loop import train_encoder
from medshot.training.encoders.objectives import OBJECTIVES
from medshot.training.encoders.parameters import PARAMETERS
from medshot.training.encoders.settings import EncoderSettings

__all__ = ["OBJECTIVES", "PARAMETERS", "EncoderSettings", "averaged", "train_encoder", "train_encoder_into"]
