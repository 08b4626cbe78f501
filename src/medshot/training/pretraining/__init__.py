"""Training an encoder across tasks: what it is drawn, what it is asked, the loop, and the folder it becomes."""

from medshot.training.pretraining.folder import averaged, train_encoder_into
from medshot.training.pretraining.loop import train_encoder
from medshot.training.pretraining.objectives import OBJECTIVES
from medshot.training.pretraining.settings import PARAMETERS, EncoderSettings

__all__ = ["OBJECTIVES", "PARAMETERS", "EncoderSettings", "averaged", "train_encoder", "train_encoder_into"]
