# The same training on AArch64, by emulation: the bits of `gradc train` on this machine, linked against an AArch64 C library.
. "$2/start.sh"
compiler=aarch64-linux-gnu-gcc
emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || skip "no qemu-aarch64 (scripts/setup installs qemu-user)"
command -v $compiler >/dev/null || skip "no $compiler (scripts/setup installs it)"
[ -d /usr/aarch64-linux-gnu/lib ] || skip "no AArch64 C library (libc6-dev-arm64-cross)"
grep -q ' fma ' /proc/cpuinfo || [ "$(uname -m)" = aarch64 ] || skip "this processor has no fused multiply-add: its bits are others"
trained
"$gradc" build digits.nn --quiet --target aarch64-linux-gnu -o digits.so || fail "gradc build (was it built where $compiler is?)"
$compiler -std=gnu11 -O1 -I. -DOPENED "$here/train.c" -ldl -o opened
"$emulator" -L /usr/aarch64-linux-gnu ./opened digits.csv digits.safetensors ./digits.so
"$gradc" build digits.nn --quiet --target aarch64-linux-gnu --emit static
$compiler -std=gnu11 -O1 -I. "$here/train.c" libdigits.a -lpthread -o static
"$emulator" -L /usr/aarch64-linux-gnu ./static digits.csv digits.safetensors
