# `cmake --install` into a prefix, and a project that finds gradc there and compiles its model while it is built.
. "$2/start.sh"
build=$(dirname "$gradc")
command -v cmake >/dev/null || skip "no cmake"
cmake --install "$build" --prefix "$dir/prefix" >/dev/null
mkdir project && cp digits.nn "$here/train.c" project/
cat > project/CMakeLists.txt <<'P'
cmake_minimum_required(VERSION 3.20)
project(embedded C)
find_package(gradc 0.1 REQUIRED)
gradc_add_model(digits_model digits.nn NAME digits)
add_executable(train train.c)
target_link_libraries(train PRIVATE digits_model ${CMAKE_DL_LIBS})
P
cmake -G Ninja -S project -B out -DCMAKE_PREFIX_PATH="$dir/prefix" >log 2>&1 || { cat log; fail configure; }
cmake --build out >log 2>&1 || { cat log; fail build; }
trained
out/train digits.csv digits.safetensors
if command -v pkg-config >/dev/null; then
  path=$(PKG_CONFIG_PATH=$dir/prefix/share/pkgconfig pkg-config --variable=gradc gradc)
  "$path" --version
fi
