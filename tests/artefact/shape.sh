# What the shared object is: it needs libc alone, exports its own names alone, has no names beside, is small, and is the same
# bytes when it is made again, elsewhere and under another name's environment.
. "$2/start.sh"
"$gradc" build digits.nn --quiet
others=$(readelf -d digits.so | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v -x -e 'libc\.so\.6' -e 'libm\.so\.6') || true
[ -z "$others" ] || fail "it needs $others"
ldd digits.so | grep -q 'not found' && fail "ldd"
foreign=$(nm -D --defined-only digits.so | awk '{ print $3 }' | grep -v -e '^gradc_' -e '^digits_') || true
[ -z "$foreign" ] || fail "it exports $foreign"
nm -D --defined-only digits.so | grep -q ' T gradc_create$' || fail "no gradc_create"
nm -D --defined-only digits.so | grep -q ' T digits_program$' || fail "no digits_program"
nm digits.so 2>/dev/null | grep -q . && fail "it is not stripped"
readelf -d digits.so | grep -q TEXTREL && fail "it is not position independent"
readelf -lW digits.so | grep -q 'GNU_STACK.* RWE' && fail "its stack is executable"
mkdir other && cp digits.so first.so
for kind in shared static obj ll asm header; do
  "$gradc" build digits.nn --quiet --emit $kind -o first.$kind
  (cd other && cp ../digits.nn . && LC_ALL=C TZ=UTC-9 "$gradc" build digits.nn --quiet --emit $kind -o first.$kind)
  cmp first.$kind other/first.$kind
done
"$gradc" build digits.nn --quiet && cmp digits.so first.so
# Sizes, stripped, for this processor and for those with wide and with half as wide vectors, training included.
smaller() { [ "$(stat -c %s "$1")" -lt "$2" ] || fail "$1 has $(stat -c %s "$1") bytes: no less than $2"; }
levels=native
[ "$(uname -m)" != x86_64 ] || levels="native x86-64-v4 x86-64-v3"
for level in $levels; do
  "$gradc" build "$here/../bench/lenet.nn" --quiet --cpu $level && smaller lenet.so 150000
  "$gradc" build "$here/../bench/mlp.nn" --quiet --cpu $level && smaller mlp.so 60000
done
"$gradc" build "$here/../bench/mlp.nn" --quiet --no-gradient && smaller mlp.so 55000
nm -D --defined-only mlp.so | grep -q ' T gradc_train_step$' || fail "--no-gradient leaves out more than gradients"
"$gradc" build digits.nn --quiet --inference -o small.so
[ "$(stat -c %s small.so)" -lt "$(stat -c %s digits.so)" ] || fail "--inference is not smaller"
