# Threads on instances of their own, under ThreadSanitizer: a shared object of the compiled model and a runtime that is instrumented
# (the model's own code is not, it calls nothing and waits for nobody). A race that is put in on purpose is found.
. "$2/start.sh"
runtime=$here/../../runtime
"$gradc" build digits.nn --quiet --emit obj
cc="cc -std=gnu11 -O1 -g -fsanitize=thread -I. -I$runtime"
echo 'int main(void) { return 0; }' > empty.c
$cc empty.c -o empty 2>/dev/null && { ./empty 2>/dev/null || setarch -R ./empty 2>/dev/null; } || skip "no ThreadSanitizer runs here"
run() { setarch -R "$@" 2>/dev/null || "$@"; }
$cc -fPIC -shared "$runtime"/*.c digits.o -o digits.so -lm
$cc "$here/threads.c" ./digits.so -lpthread -Wl,-rpath,. -o threads
export TSAN_OPTIONS="halt_on_error=1 exitcode=9"
run ./threads
sed 's|  Course \*c = data;|  Course *c = data; digits[0] = c->number;|' "$here/threads.c" > race.c
$cc race.c ./digits.so -lpthread -Wl,-rpath,. -o race
! run ./race >/dev/null 2>said || fail "a race was not found"
grep -q 'data race' said || fail "$(head -5 said)"
