"""The data: replace what is in `load` by samples of your own."""

import numpy as np

from pumice.data import ImageDataset, Split, load_digits


def load():
    """Images as whole numbers (sample, channel, height, width), labels (sample,), and the names of the classes.

    For recordings of an event camera give a `pumice.data.EventDataset` instead.
    """
    digits = load_digits()  # 8 x 8 pixels, 17 grey levels, bundled with scikit-learn
    train, test = digits.train, digits.test
    return ImageDataset(
        "NAME",
        Split(np.asarray(train.samples), np.asarray(train.labels)),
        Split(np.asarray(test.samples), np.asarray(test.labels)),
        digits.class_names,
        value_range=(0, 16),
        source=digits.source,
    )
