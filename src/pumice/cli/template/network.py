"""The network: residual, with a recurrent layer and two outputs. Change whatever you like.

Blocks of `pumice.nn` (and lava-dl's CUBA blocks) may be called in any order, also in loops and branches that do not
depend on data. Tensors are (batch, channel, height, width, time) or (batch, neuron, time).
"""

from functools import partial

import torch

from pumice import nn
from pumice.train.losses import make_loss


class Network(torch.nn.Module):
    """Two convolutions, of which the second has a path around it, then a recurrent layer with a head behind it.

    Args:
        neuron_params: From the recipe's section [neuron].
        image_shape: (channel, height, width) of a sample.
        n_classes: Of the data.
        width: Channels; from the recipe's network.args.
    """

    def __init__(self, neuron_params, image_shape, n_classes, width=16):
        super().__init__()
        channel, height, width_in_pixels = image_shape
        plain = {**neuron_params, "norm": None}
        norm = partial(nn.TDBN, alpha=0.5**0.5)  # two paths are summed, each with half the variance
        self.first = nn.Conv(neuron_params, channel, width, 3, stride=2, padding=1)
        self.sum = nn.Merge(
            plain, nn.ConvSynapse(width, width, 3, padding=1, norm=norm), nn.IdentitySynapse(width, norm=norm)
        )
        self.flatten = nn.Flatten()
        n_features = width * ((height + 1) // 2) * ((width_in_pixels + 1) // 2)
        self.auxiliary = nn.Dense(neuron_params, n_features, n_classes)
        self.recurrent = nn.Recurrent(plain, n_features, 64)
        self.output = nn.Dense(neuron_params, 64, n_classes)

    def forward(self, x):
        """Spikes of the output, which is what accuracy is about, and of the auxiliary head."""
        h = self.first(x)
        h = self.flatten(self.sum(h, h))
        return self.output(self.recurrent(h)), self.auxiliary(h)


class TwoHeadLoss(torch.nn.Module):
    """Cross-entropy of both outputs' spike counts.

    Args:
        auxiliary: Weight of the auxiliary head; from the recipe's training.loss_args.
    """

    def __init__(self, auxiliary=0.3):
        super().__init__()
        self.auxiliary = auxiliary
        self.of_one = make_loss("spike_count_cross_entropy")

    def forward(self, outputs, labels):
        """What the network returned, and the labels (batch,)."""
        main, auxiliary = outputs
        return self.of_one(main, labels) + self.auxiliary * self.of_one(auxiliary, labels)
