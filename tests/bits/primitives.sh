# Every primitive and its gradient in f32 by AArch64 code under emulation, by AVX2 code here, and by AVX-512 code where there is
# such a processor: the same bits. (scripts/emulate does f64 too.) $1: bits_make, $2: the root of the sources.
set -eu
make=$1 root=$2 compiler=aarch64-linux-gnu-gcc
skip() { echo "skipped: $*"; exit 77; }
emulator=$(command -v qemu-aarch64 || command -v qemu-aarch64-static) || skip "no qemu-aarch64 (scripts/setup installs qemu-user)"
command -v $compiler >/dev/null || skip "no $compiler (scripts/setup installs it)"
grep -q ' fma ' /proc/cpuinfo || skip "this processor has no fused multiply-add: its bits are others"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
run() { # name, processor, compiler, what runs it
  mkdir "$dir/$1"
  "$make" "$2" "$dir/$1" f32
  $3 -std=gnu11 -O1 -static -I"$dir/$1" -I"$root/runtime" -I"$root/tests/bits" "$root/tests/bits/run.c" "$dir/$1"/case*.o -o "$dir/$1/bits"
  $4 "$dir/$1/bits" "$dir/$1/cases.bin" > "$dir/$1.txt"
}
run avx2 x86-64-v3 cc ""
run neon aarch64 $compiler "$emulator"
others=neon
if grep -q avx512vl /proc/cpuinfo; then
  run avx512 x86-64-v4 cc ""
  others="neon avx512"
fi
for other in $others; do
  diff "$dir/avx2.txt" "$dir/$other.txt" || { echo "failed: AVX2 code and $other code differ (< AVX2, > $other)" >&2; exit 1; }
done
cases=$(wc -l < "$dir/avx2.txt")
[ "$cases" -gt 50 ] || { echo "failed: only $cases cases" >&2; exit 1; }
echo "$cases cases: the same bits by AVX2 code and by $others"
