# A linker that is missing: the error names what was looked for, for this machine and for another, and nothing is left behind. One
# that fails is named with what it said. The C compiler links where there is nothing else. What needs no linker is made without.
. "$2/start.sh"
mkdir none only
machine=$(uname -m) other=aarch64
[ "$machine" != aarch64 ] || other=x86_64
compiler=$(command -v cc) || skip "no cc"
printf '#!/bin/sh\nPATH=%s exec %s "$@"\n' "$PATH" "$compiler" > only/cc
printf '#!/bin/sh\necho "out of paper"; exit 1\n' > ld.lld
chmod +x only/cc ld.lld
without() { PATH=$dir/none "$gradc" build digits.nn --quiet "$@" > said 2>&1 && fail "it linked without a linker"; cat said; }
without
grep -q "^error: no linker for $machine was found: PATH has none of ld.lld, ld.lld-21, .*, ld, cc, gcc, clang$" said || fail "this machine's"
without --emit python
grep -q "^error: no linker for $machine was found" said || fail "the package's"
[ ! -e digits.so ] && [ ! -e digits.h ] || fail "a file was left"
for kind in static obj header asm; do PATH=$dir/none "$gradc" build digits.nn --quiet --emit $kind; done
[ "$("$dir/only/cc" -dumpmachine >/dev/null && PATH=$dir/only "$gradc" build digits.nn --quiet 2>&1)" = "" ] || fail "by cc"
nm -D --defined-only digits.so | grep -q ' T gradc_create$' || fail "by cc: no gradc_create"
PATH=$dir "$gradc" build digits.nn --quiet > said 2>&1 && fail "it linked by a linker that fails"
grep -q "^error: $dir/ld.lld failed: out of paper$" said || fail "$(cat said)"
if "$gradc" build digits.nn --quiet --target $other-linux-gnu -o other.so 2>said; then
  without --target $other-linux-gnu -o other.so
  grep -q "^error: no linker for $other was found: PATH has none of ld.lld, .*, $other-linux-gnu-ld, $other-linux-gnu-cc, .*" said || fail "$other"
elif grep -q 'does not carry the runtime' said; then echo "this gradc links for no other machine"
else fail "$(cat said)"
fi
