# examples/browser in headless Chromium: the page trains, its curve is drawn, and digits drawn with a pen are recognised.
. "$2/start.sh"
browser=$(command -v chromium-headless-shell || command -v chromium || command -v google-chrome) ||
  skip "no chromium: the page was not tried (scripts/setup installs chromium-headless-shell)"
command -v python3 >/dev/null || skip "no python3 to serve the page"
command -v wasm-ld-19 >/dev/null || command -v wasm-ld >/dev/null || skip "no wasm-ld (scripts/setup installs lld-19)"
sh "$here/../../examples/browser/run" --gradc "$gradc" --into site
sed 's|</html>||; $a <script type="module" src="browser.mjs"></script>' site/index.html > site/test.html
cp "$here/browser.mjs" site/
python3 "$here/serve.py" > port 2> served &
server=$! chromium=
trap 'kill $server $chromium 2>/dev/null; wait; rm -rf "$dir"' EXIT
for i in 1 2 3 4 5 6 7 8 9 10; do [ -s port ] && break; sleep 0.5; done
port=$(cat port)
"$browser" --headless --no-sandbox --disable-gpu --enable-logging=stderr --user-data-dir="$dir/profile" --window-size=1000,700 \
  --remote-debugging-port=0 "http://127.0.0.1:$port/test.html?seed=1" > said 2>&1 &
chromium=$!
i=0
while [ ! -s result.part ] && [ $((i += 1)) -lt 240 ] && kill -0 $chromium 2>/dev/null; do sleep 0.5; done
[ -s result.part ] || { grep CONSOLE said; tail -5 served; fail "the page left no result"; }
cat result.part
grep -q '"read":{"0":"0","1":"1","3":"3","4":"4","7":"7"}' result.part || fail "digits are not read as they were drawn"
sed 's/.*"blue":\([0-9]*\).*/\1/' result.part | awk '{ exit !($1 > 500) }' || fail "no curve"
sed 's/.*"accuracy":\([0-9.]*\).*/\1/' result.part | awk '{ exit !($1 > 94) }' || fail "it learnt too little"
