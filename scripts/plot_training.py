"""Draw a training's loss and errors over its epochs, from its checkpoint, as a figure.

Run: uv run python scripts/plot_training.py runs/NAME/checkpoint.pt -o curve.svg
"""

import argparse

from pumice.reporting.figures import draw_learning_curve
from pumice.reporting.style import save, styled
from pumice.train import load_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", metavar="CHECKPOINT")
    parser.add_argument("-o", "--output", required=True, metavar="FILE", help="the picture, .svg or .png")
    options = parser.parse_args()
    with styled():
        save(draw_learning_curve(load_checkpoint(options.checkpoint).history), options.output)


if __name__ == "__main__":
    main()
