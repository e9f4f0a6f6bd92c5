#!/usr/bin/env bash
# Run the fast tests on other Pythons: scripts/test_python.sh PYTHON ... (versions such as 3.12, or paths) [-- PYTEST ARGS]
# pumice is developed on 3.11 with NumPy 1.26; above 3.11 this takes NumPy 2.
set -euo pipefail
pythons=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do pythons+=("$1"); shift; done
[ "${1:-}" = -- ] && shift
if [ ${#pythons[@]} -eq 0 ]; then
  echo "usage: scripts/test_python.sh PYTHON ... [-- PYTEST ARGS] (versions such as 3.12, or paths to interpreters)" >&2
  exit 2
fi
cd "$(dirname "$0")/.."
for python in "${pythons[@]}"; do
  environment=$(mktemp -d)
  trap 'rm -rf "$environment"' EXIT
  export UV_PROJECT_ENVIRONMENT="$environment/venv"
  uv sync --quiet --python "$python"
  uv run --python "$python" python -c "import sys, numpy; print('Python', sys.version.split()[0], 'NumPy', numpy.__version__)"
  uv run --python "$python" pytest "$@"
  rm -rf "$environment"
done
