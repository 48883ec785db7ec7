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
