#!/usr/bin/env bash
# Build the wheel and the sdist, and use them as a user would: installed into empty environments, outside the checkout.
# Usage: scripts/check_release.sh [--light] [PYTHON ...]   (versions or paths; by default 3.11; --light: without torch)
set -euo pipefail
cd "$(dirname "$0")/.."
checkout=$PWD
full=1
if [ "${1:-}" = --light ]; then full=0; shift; fi
pythons=("${@:-3.11}")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
unset PYTHONPATH

step() { printf '\n== %s\n' "$*"; }

step "build"
uv build --quiet --out-dir "$scratch/dist"
python3 scripts/check_distributions.py "$scratch"/dist/*
wheel=$(echo "$scratch"/dist/*.whl)
cp -r netx_exports/digits "$scratch/digits"

for python in "${pythons[@]}"; do
  environment="$scratch/venv"
  here="$scratch/here"
  rm -rf "$environment" "$here"
  mkdir "$here"
  cd "$here"
  pumice() { "$environment/bin/pumice" "$@"; }

  step "Python $python, light"
  uv venv --quiet --python "$python" "$environment"
  uv pip install --quiet --python "$environment/bin/python" "$wheel"
  "$environment/bin/python" -c "import numpy as np; np.save('x.npy', np.ones((8, 8, 8, 1), int))"
  pumice --version
  pumice inspect "$scratch/digits/network.net" >light.txt
  pumice run "$scratch/digits/network.net" --input x.npy -o light.npz
  pumice verify "$scratch/digits/network.net" --backend reference --backend fast
  "$environment/bin/python" -c "import importlib.util as u; assert not any(map(u.find_spec, ('torch', 'lava', 'tonic')))"
  if pumice verify "$scratch/digits/network.net" --backend lava 2>refusal.txt; then exit 1; fi
  grep -q "pumice install-lava\|pumice\[lava\]" refusal.txt

  if [ $full = 1 ]; then
    step "Python $python, everything"
    uv pip install --quiet --python "$environment/bin/python" "${wheel}[all]"
    pumice install-lava
    "$environment/bin/python" -m pumice.requirements
    pumice demo --report report
    pumice verify "$scratch/digits/network.net"
    pumice train digits --set training.epochs=1 --set training.finetune_epochs=1 --set data.max_train=200
    pumice lower runs/digits/checkpoint.pt -o own.net
    pumice run own.net --input x.npy -o own.npz
    pumice evaluate own.net --check lava --check-samples 1
    "$environment/bin/python" "$checkout/scripts/licenses.py" --check
  fi
  "$environment/bin/python" -c "import sys, numpy; print('done: Python', sys.version.split()[0], 'NumPy', numpy.__version__)"
  cd "$checkout"
done
