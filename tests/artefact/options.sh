# What `--weights`, `--dtype`, `--max-batch` and `--inference` make of a package, and what NumPy reads of what gradc writes.
. "$2/start.sh"
find_python
cp "$here/../../examples/wine/wine.nn" "$here/../../examples/wine/wine.csv" .
"$gradc" train wine.nn --quiet --epochs 3 --no-shuffle --write-trajectory trajectory.npz
"$gradc" eval wine.nn --write-outputs outputs.npz >/dev/null
package() { "$gradc" build wine.nn --quiet --emit python -o "$@"; }
package plain
package weights --weights wine.safetensors
"$python" -c 'import numpy, sys; sys.path.insert(0, sys.argv[1]); import reader; numpy.savez("wine.npz", **{
  k: v for k, v in reader.read_safetensors("wine.safetensors").items() if "/" not in k})' "$here"
package npz --weights wine.npz
package small --weights wine.safetensors --inference --max-batch 7
package double --dtype f64 --weights wine.safetensors --cpu portable
package rounded --dtype bf16 --weights wine.safetensors --cpu portable
[ "$(stat -c %s small/wine/wine.so)" -lt "$(stat -c %s weights/wine/wine.so)" ] || fail "--inference is not smaller"
"$python" -W error "$here/options.py"
