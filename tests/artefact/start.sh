# start.sh: what every test of `gradc build` begins with. $1: gradc, $2: the folder of these files. The test runs in an empty
# folder with digits.nn, digits.csv and digits.safetensors of a training without shuffling.
set -eu
export PYTHONDONTWRITEBYTECODE=1
gradc=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$2" && pwd)
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cp "$here/digits.nn" .
gzip -dc "$here/../../examples/digits/digits.csv.gz" > digits.csv
fail() { echo "failed: $*" >&2; exit 1; }
skip() { echo "skipped: $*"; exit 77; }
trained() { "$gradc" train digits.nn --no-shuffle --quiet "$@"; }
# Sets $python to one that has NumPy, or skips the test.
find_python() {
  for python in python3 /usr/bin/python3; do
    if command -v $python >/dev/null && $python -c 'import numpy' 2>/dev/null; then return; fi
  done
  skip "no Python with NumPy (scripts/setup installs python3-numpy)"
}
