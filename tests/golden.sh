#!/bin/sh
# Runs one golden test. Usage: golden.sh GRADC FILE.case     With UPDATE=1 the expected output is rewritten.
# A case is three parts: lines `$ command`, run by sh in an empty folder with $GRADC (also as `gradc`) and $CASES, the
# folder of the case; a line `---`; the files it needs, each behind a line `=== name`. What the commands print on both
# channels, and each exit status that is not 0, must equal FILE.expected.
set -u
GRADC=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
CASES=$(cd "$(dirname "$2")" && pwd)
case=$CASES/$(basename "$2")
expected=${case%.case}.expected
export GRADC CASES
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir" 2>/dev/null; rm -rf "$dir"' EXIT
mkdir "$dir/bin" "$dir/run"
ln -s "$GRADC" "$dir/bin/gradc"
PATH=$dir/bin:$PATH
XDG_CACHE_HOME=$dir/cache
export PATH XDG_CACHE_HOME
awk -v dir="$dir/run" '/^=== / && body { file = dir "/" substr($0, 5); printf "" > file; next }
  body && file { print > file } /^---$/ { body = 1 }' "$case"
cd "$dir/run" || exit 1
sed -n '/^---$/q; s/^\$ //p' "$case" | while IFS= read -r line; do
  printf '$ %s\n' "$line"
  sh -c "$line" </dev/null 2>&1
  status=$?
  [ $status = 0 ] || printf '[exit %d]\n' "$status"
done > "$dir/got"
if [ "${UPDATE:-}" = 1 ]; then cp "$dir/got" "$expected"; exit 0; fi
[ -f "$expected" ] || { echo "no $expected: run with UPDATE=1"; cat "$dir/got"; exit 1; }
diff -u "$expected" "$dir/got"
