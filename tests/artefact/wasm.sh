# WebAssembly: the module trains in Node.js to the bits of x86-64-v2, which has no fused multiply-add either; it imports nothing,
# uses SIMD, and is the same bytes when it is made again. And a linker that is missing is named.
. "$2/start.sh"
command -v node >/dev/null || skip "no node (scripts/setup installs nodejs)"
command -v wasm-ld-19 >/dev/null || command -v wasm-ld >/dev/null || skip "no wasm-ld (scripts/setup installs lld-19)"
"$gradc" build digits.nn --quiet --target wasm32 || fail "gradc build (was it built where clang-19 is?)"
cp digits.wasm first.wasm
echo '{"type": "module"}' > package.json
node "$here/wasm.mjs" digits.js digits.csv wasm.safetensors
"$gradc" build digits.nn --quiet --target wasm32-unknown-unknown && cmp digits.wasm first.wasm
"$gradc" build digits.nn --quiet --target wasm32 --emit asm && grep -q 'f32x4.mul' digits.s || fail "it has no SIMD"
! grep -q relaxed digits.s || fail "it has relaxed SIMD, whose bits differ between machines"
if [ "$(uname -m)" = x86_64 ]; then
  "$gradc" build digits.nn --quiet --cpu x86-64-v2 -o digits.so
  cc -O1 -I. -std=gnu11 -DOPENED "$here/train.c" -ldl -o opened && ./opened digits.csv wasm.safetensors ./digits.so
fi
mkdir none && for kind in "--emit python" "--emit static"; do
  "$gradc" build digits.nn --target wasm32 $kind 2>said && fail "$kind"
  grep -q "for wasm32 there is no $kind" said || fail "$(cat said)"
done
PATH=$dir/none "$gradc" build digits.nn --quiet --target wasm32 2>said && fail "it linked without a linker"
grep -q 'no linker for WebAssembly was found: PATH has none of wasm-ld-19, .*, wasm-ld$' said || fail "$(cat said)"
