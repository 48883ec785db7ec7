#!/bin/sh
# A model of examples/: it passes gradcheck, and trains for some steps with losses that are finite and fall. Usage: sample.sh GRADC
# EXAMPLES NAME, NAME being a folder or samples/FILE; `settings` says with what. Skipped (77) where gradc calls something a limit.
set -eu
gradc=$1 examples=$2 name=$3
settings=$(dirname "$0")/settings
line=$(sed -n "s|^$name  *||p" "$settings")
[ "$line" ] || { echo "$settings has no line for $name"; exit 1; }
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
XDG_CACHE_HOME=$dir/cache
export XDG_CACHE_HOME
cp -r "$examples"/* "$dir"
case $name in
  samples/*) cd "$dir/samples"; name=${name#samples/} ;;
  *) cd "$dir/$name" ;;
esac
if ! "$gradc" check "$name.nn" > check 2>&1; then
  cat check
  grep -q ': limit: ' check && ! grep -q ': error: ' check && exit 77
  exit 1
fi

loss=loss data= batch=4 steps=100
set -- $line
[ "$1" = real ] || { data="--synthetic $1" batch=$1 steps=40; }
shift
for word; do
  case $word in loss:*) loss=${word#loss:} ;; first:*) first=${word#first:} ;; esac
done
while [ $# != 0 ] && [ "$1" != --set ]; do shift; done
[ -z "${first:-}" ] || "$gradc" train "$first.nn" --steps 40 --quiet

"$gradc" gradcheck "$name.nn" $data --batch "$batch" --samples 1 --quiet "$@"

# The mean loss of each epoch: a step where the data is synthetic.
[ -n "$data" ] || batch=
"$gradc" train "$name.nn" $data ${batch:+--batch $batch} --steps $steps --json --out "$dir/out.safetensors" "$@" > curve
sed -n "s/^{\"epoch\".*\"train\":{[^}]*\"$loss\":\\([^,}]*\\).*/\\1/p" curve > losses
awk -v name="$name" '{ if ($1 + 0 != $1) bad = 1; x[NR] = $1 }
  END {
    n = int(NR / 4) ? int(NR / 4) : 1
    for (i = 1; i <= n; i++) { first += x[i] / n; last += x[NR + 1 - i] / n }
    printf "%s: %d epochs, loss %g at first, %g at last\n", name, NR, first, last
    exit NR < 2 || bad || !(last < first)
  }' losses || { cat curve; exit 1; }
