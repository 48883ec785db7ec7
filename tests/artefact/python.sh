# The Python package: trains to the bits of `gradc train`, takes arrays of other types and layouts, refuses what is wrong with
# the C interface's sentences; and pip installs the folder, where there is a pip with setuptools.
. "$2/start.sh"
find_python
trained
"$gradc" build digits.nn --quiet --emit python -o digits_python
"$python" -W error "$here/train.py" digits_python digits.csv digits.safetensors
"$gradc" build digits.nn --quiet --emit python -o other && diff -r other digits_python -x __pycache__
if "$python" -m pip --version >/dev/null 2>&1; then # as a person would, and without any index to download from
  "$python" -m pip install --quiet --no-deps --no-index --target installed ./digits_python 2>pip.log || { cat pip.log; fail pip; }
  "$python" -c "import sys; sys.path.insert(0, 'installed'); import digits; assert 'installed' in digits.__file__; digits.Model(seed=1)"
  "$python" "$here/train.py" installed digits.csv digits.safetensors
else echo "no pip: the folder is not installed"
fi
