"""Datasets of images, and the encoders that turn an image into integers over time."""

from pumice.data.dataset import ImageDataset, Split
from pumice.data.digits import load_digits
from pumice.data.encoders import AbstractEncoder, DirectEncoder, RateEncoder, make_encoder
from pumice.data.mnist import load_mnist
from pumice.data.registry import DATASET_NAMES, load_dataset

__all__ = [
    "DATASET_NAMES",
    "AbstractEncoder",
    "DirectEncoder",
    "ImageDataset",
    "RateEncoder",
    "Split",
    "load_dataset",
    "load_digits",
    "load_mnist",
    "make_encoder",
]
