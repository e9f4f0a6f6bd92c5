#!/usr/bin/env bash
# Run the fast tests on any Python: scripts/test_python.sh PYTHON (a version such as 3.12, or a path)
set -euo pipefail
if [ $# -ne 1 ]; then
  echo "usage: scripts/test_python.sh PYTHON (a version such as 3.12, or a path to an interpreter)" >&2
  exit 2
fi
cd "$(dirname "$0")/.."
environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
export UV_PROJECT_ENVIRONMENT="$environment/venv"
uv sync --quiet --python "$1"
uv run --python "$1" pytest
