#!/bin/sh
# Set up the real Spleeter 2.4.2 beside this script, in .spleeter/: a virtual environment with TensorFlow
# 2.12.1 and one model, random weights in the checkpoint of spleeter:4stems, so that nothing is downloaded
# from Spleeter's own release. About 2.7 GB on disk. Spleeter also needs the programs ffmpeg and ffprobe.
#
# Usage: benchmarks/spleeter_environment.sh [PYTHON]     PYTHON: 3.8 to 3.11, `python3.11` by default
set -eu

python=${1:-python3.11}
here=$(cd "$(dirname "$0")" && pwd)
environment=$here/.spleeter

for program in ffmpeg ffprobe; do
    command -v "$program" >/dev/null || { echo "$program is not installed: Spleeter cannot run without it" >&2; exit 1; }
done
"$python" -c 'import sys; sys.exit(not (3, 8) <= sys.version_info < (3, 12))' || {
    echo "$python is $("$python" --version 2>&1): TensorFlow 2.12.1 runs on 3.8 to 3.11" >&2; exit 1; }

"$python" -m venv "$environment"
# setuptools < 81 still brings pkg_resources, which tensorboard 2.12 imports.
"$environment/bin/pip" install --quiet "setuptools<81" "spleeter==2.4.2"
"$environment/bin/spleeter" --version
"$environment/bin/python" "$here/make_spleeter_checkpoint.py" "$environment/models/4stems"
