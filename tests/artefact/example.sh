# examples/embedded, built as its README says, learns its digits.
. "$2/start.sh"
"$gradc" build "$here/../../examples/digits/digits.nn" --quiet
cc -O2 -Wall -Wextra -Werror -I. "$here/../../examples/embedded/train.c" digits.so -Wl,-rpath,. -o embedded
./embedded digits.csv > said
tail -n 2 said
awk '/epoch 10/ { exit !($NF > 0.85) }' said || fail "it learnt nothing"
