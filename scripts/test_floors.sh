#!/usr/bin/env bash
# Install the lowest versions that pyproject.toml allows, and run on them the tests of what calls other packages:
#   scripts/test_floors.sh [PYTHON] [OPTIONS OF PYTEST] [TESTS]     (PYTHON: 3.10 if not given; TESTS: those below)
# Left out by default is what repeats pumice's own arithmetic at length: no version of another package changes that
# unseen by these.
set -euo pipefail
cd "$(dirname "$0")/.."
tests=(
  tests/unit/{backends,cli,data,files,netx,nir,pipeline,reporting,sweep,train}  # NumPy, SciPy, h5py, Lava, Typer, pydantic ...
  tests/unit/nn/{blocks,synapses,test_compile.py}                               # torch
  tests/unit/test_{jit,lava_compat,machine,requirements}.py
  tests/golden/test_vectors.py tests/golden/test_exports.py
)
python="${1:-3.10}"
shift || true
for word in "$@"; do
  if [ -e "${word%%::*}" ]; then tests=(); fi
done
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null --files-from=- -c | tar -x -C "$copy"  # `uv lock` writes beside pyproject.toml
cd "$copy"
uv lock --quiet --python "$python" --resolution lowest-direct
uv sync --quiet --python "$python" --frozen
uv pip list --python .venv
uv run --no-sync pytest "$@" "${tests[@]}"
