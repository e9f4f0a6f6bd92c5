"""Train a recipe once for each fold; print each accuracy on held-back samples, and their mean and spread.

Run: uv run python scripts/cross_validate.py nmnist --data-root DIR --set data.folds=5
     uv run python scripts/cross_validate.py fsdd --data-root DIR --leave-out george --leave-out theo ...
With --json runs/exports/NAME/folds.json the next export of NAME states the result in its card.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from pumice.train import find_recipe
from pumice.train.cross_validate import FoldResult, cross_validate, spread


def show(result: FoldResult) -> None:
    deployed = "" if result.accuracy_deployed is None else f", {100 * result.accuracy_deployed:.2f} % in integers"
    print(
        f"{result.name}: {result.held_back} held back, {100 * result.accuracy_float:.2f} % in real numbers{deployed}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="a preset or a file")
    parser.add_argument("--data-root", help="folder with the dataset's files")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change the recipe")
    parser.add_argument(
        "--leave-out", action="append", default=[], metavar="GROUP", help="hold a group back, in turn"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the folds' results there, too")
    options = parser.parse_args()
    recipe = find_recipe(options.recipe).overridden(options.set)
    results = cross_validate(recipe, options.data_root, leave_out=options.leave_out, on_fold=show)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(result) for result in results], indent=1))
    print(f"real numbers: {spread([r.accuracy_float for r in results])} over {len(results)} folds")
    deployed = [r.accuracy_deployed for r in results if r.accuracy_deployed is not None]
    if deployed:
        print(f"chip's integers: {spread(deployed)} over {len(deployed)} folds")


if __name__ == "__main__":
    main()
