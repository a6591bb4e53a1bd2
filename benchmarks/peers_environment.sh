#!/usr/bin/env bash
# Makes benchmarks/.peers: Demucs 4 and Open-Unmix 1.3 in an environment of their own, for peers.py. They share
# the PyTorch that stemwise runs on, so that all networks are measured on the same kernels; no weights are fetched.
#
# Usage: benchmarks/peers_environment.sh [PYTHON]     PYTHON: the one that stemwise is installed for
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
python=${1:-python3.11}
packages=$("$python" -c 'import pathlib, torch; print(pathlib.Path(torch.__file__).parents[1])')
"$python" -m venv "$here/.peers"
echo "*" > "$here/.peers/.gitignore"
own=$("$here/.peers/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$packages" > "$own/stemwise_torch.pth"
# Without their dependencies, which would bring another PyTorch.
"$here/.peers/bin/pip" install --quiet --no-deps demucs==4.1.0 openunmix==1.3.0 torchaudio==2.11.0 \
    dora-search einops julius lameenc omegaconf antlr4-python3-runtime retrying treetable submitit cloudpickle sphn tqdm pyyaml
# torchaudio's compiled part wants CUDA's libraries; none of the two networks calls it.
rm -f "$own"/torchaudio/lib/_torchaudio*.so
"$here/.peers/bin/python" -c 'import demucs.htdemucs, openunmix; print("Demucs and Open-Unmix are ready")'
