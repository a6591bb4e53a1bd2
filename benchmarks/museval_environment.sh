#!/usr/bin/env bash
# Makes benchmarks/.museval: museval 0.4 and librosa in an environment of their own, for metrics.py and for
# tools/make_museval_vectors.py.
#
# Usage: benchmarks/museval_environment.sh [python3.11]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"${1:-python3.11}" -m venv "$here/.museval"
echo "*" > "$here/.museval/.gitignore"
"$here/.museval/bin/pip" install --quiet 'museval==0.4.*' librosa
"$here/.museval/bin/python" -c 'import museval, librosa; print("museval is ready")'
