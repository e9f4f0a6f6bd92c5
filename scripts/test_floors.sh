#!/usr/bin/env bash
# Install the lowest versions that pyproject.toml allows, and run the fast tests on them:
#   scripts/test_floors.sh [PYTHON] [what pytest is to run]     (PYTHON: 3.10 if not given)
set -euo pipefail
cd "$(dirname "$0")/.."
python="${1:-3.10}"
shift || true
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
git ls-files -z | tar --null --files-from=- -c | tar -x -C "$copy"  # `uv lock` writes beside pyproject.toml
cd "$copy"
uv lock --quiet --python "$python" --resolution lowest-direct
uv sync --quiet --python "$python" --frozen
uv pip list --python .venv
uv run --no-sync pytest "$@"
