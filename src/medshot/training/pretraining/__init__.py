"""Train an encoder across tasks: batches, objectives, the loop, and the encoder's folder."""

from medshot.training.pretraining.folder import averaged, train_encoder_into
from medshot.training.pretraining.loop import train_encoder
from medshot.training.pretraining.objectives import OBJECTIVES
from medshot.training.pretraining.settings import PARAMETERS, EncoderSettings

__all__ = ["OBJECTIVES", "PARAMETERS", "EncoderSettings", "averaged", "train_encoder", "train_encoder_into"]
