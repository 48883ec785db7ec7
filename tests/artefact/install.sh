# `cmake --install` into a prefix, and the Debian package unpacked: each time a project that finds gradc there and compiles its model
# while it is built, trains as `gradc train` does.
. "$2/start.sh"
build=$(dirname "$gradc")
command -v cmake >/dev/null || skip "no cmake"
mkdir project && cp digits.nn "$here/train.c" project/
cat > project/CMakeLists.txt <<'P'
cmake_minimum_required(VERSION 3.20)
project(embedded C)
find_package(gradc 0.1 REQUIRED)
gradc_add_model(digits_model digits.nn NAME digits)
add_executable(train train.c)
target_link_libraries(train PRIVATE digits_model ${CMAKE_DL_LIBS})
P
trained
# $1: where gradc is installed
embeds() {
  rm -rf out
  cmake -G Ninja -S project -B out -DCMAKE_PREFIX_PATH="$1" >log 2>&1 || { cat log; fail "configure with $1"; }
  grep -q "^gradc_DIR:PATH=$1/lib/cmake/gradc$" out/CMakeCache.txt || fail "another gradc than that of $1"
  cmake --build out >log 2>&1 || { cat log; fail "build with $1"; }
  out/train digits.csv digits.safetensors
  if command -v pkg-config >/dev/null; then
    path=$(PKG_CONFIG_PATH=$1/share/pkgconfig pkg-config --variable=gradc gradc)
    [ "$(readlink -f "$path")" = "$(readlink -f "$1/bin/gradc")" ] || fail "pkg-config says $path"
    "$path" --version
  fi
}
cmake --install "$build" --prefix "$dir/prefix" >/dev/null
embeds "$dir/prefix"
command -v cpack >/dev/null && command -v dpkg-shlibdeps >/dev/null || { echo "no cpack or no dpkg-dev: no package is made"; exit 0; }
cpack -G DEB --config "$build/CPackConfig.cmake" -B pack >log 2>&1 || { cat log; fail cpack; }
dpkg -x pack/gradc_*.deb root
(cd prefix && find . -type f | sort) > installed
(cd root/usr && find . -type f | sort) > packed
diff installed packed || fail "the package has other files"
grep -q -x './bin/gradc' packed || fail "no gradc"
dpkg-deb -f pack/gradc_*.deb Depends | grep -q 'libc6 .*libcsv3' || fail "it depends on $(dpkg-deb -f pack/gradc_*.deb Depends)"
[ "$(dpkg-deb -f pack/gradc_*.deb Package)" = gradc ] || fail "its name"
embeds "$dir/root/usr"
