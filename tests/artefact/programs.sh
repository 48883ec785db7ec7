# C and C++ programs that train from the shared object (at link time and by dlopen) and from the static library reach the
# bits of `gradc train`; so does what each level of --cpu gives that this processor can run.
. "$2/start.sh"
trained
"$gradc" build digits.nn --quiet
"$gradc" build digits.nn --quiet --emit static
cc="cc -O1 -Wall -Wextra -Werror -I."
$cc -std=c11 -D_GNU_SOURCE "$here/train.c" digits.so -Wl,-rpath,. -o linked && ./linked digits.csv digits.safetensors
$cc -std=gnu11 -DOPENED "$here/train.c" -ldl -o opened && ./opened digits.csv digits.safetensors ./digits.so
$cc -std=gnu11 "$here/train.c" libdigits.a -lpthread -o static && ./static digits.csv digits.safetensors
"$gradc" build digits.nn --quiet --emit obj
if command -v c++ >/dev/null; then
  c++ -x c++ -std=c++17 -O1 -Wall -Wextra -Werror -I. "$here/train.c" -x none digits.so -Wl,-rpath,. -o linked_cc
  ./linked_cc digits.csv digits.safetensors
else echo "no C++ compiler: the header is not tried with one"
fi
case $(uname -m) in
  x86_64) levels="portable x86-64-v3" ;;
  *) levels=portable ;;
esac
for level in $levels; do # v2 has no fused multiply-add: other bits
  grep -q ' fma ' /proc/cpuinfo || [ "$(uname -m)" != x86_64 ] || continue
  "$gradc" build digits.nn --quiet --cpu "$level" -o "$level.so"
  ./opened digits.csv digits.safetensors "./$level.so"
done
