# Wrong arguments, wrong files (the ways of being wrong that the safetensors reader must know, and every truncation of a kind),
# no allocation after the start in the caller's buffer, two threads on two instances, a thousand loads.
. "$2/start.sh"
trained --epochs 1
"$gradc" build digits.nn --quiet
cc="cc -O1 -Wall -Wextra -std=gnu11 -I."
$cc "$here/hostile.c" digits.so -lpthread -Wl,-rpath,. -o hostile
$cc "$here/reload.c" -ldl -o reload
python=$(command -v python3) || skip "no python3 to make damaged files"
"$python" "$here/damage.py" digits.safetensors damaged
./hostile digits.safetensors damaged/*.safetensors > said
[ "$(wc -l < said)" = "$(ls damaged | wc -l)" ] || fail "a sentence a file"
./reload ./digits.so
# The code of each level that a processor may choose works in the memory that the header names. Valgrind is such a processor: it
# does not know AVX-512, so it takes another level than this machine may.
"$gradc" build digits.nn --quiet --cpu portable
$cc "$here/hostile.c" digits.so -lpthread -Wl,-rpath,. -o hostile
VALGRIND=1 ./hostile digits.safetensors damaged/short.safetensors >/dev/null # without the fuzzing, once more
if command -v valgrind >/dev/null && [ "$(uname -m)" = x86_64 ]; then
  VALGRIND=1 valgrind -q --error-exitcode=9 --leak-check=full ./hostile digits.safetensors damaged/short.safetensors >/dev/null
else echo "no valgrind: uninitialised reads are not looked for"
fi
