"""Draw a training's loss and errors over its epochs, as in the demo's report, from its checkpoint.

Run: uv run python scripts/plot_training.py runs/NAME/checkpoint.pt -o curve.svg
"""

import argparse

from pumice.report.figures import draw_learning_curve
from pumice.report.style import save, styled
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
