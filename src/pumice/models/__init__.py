"""Networks assembled from `pumice.nn`, by name."""

from pumice.models.convnet import convnet
from pumice.models.feedforward import feedforward
from pumice.models.registry import MODEL_NAMES, build_model
from pumice.models.resnet import resnet
from pumice.models.self_normalizing import self_normalizing
from pumice.models.stmixer import STMixer, stmixer

__all__ = ["MODEL_NAMES", "STMixer", "build_model", "convnet", "feedforward", "resnet", "self_normalizing", "stmixer"]
