"""What every package made by ``gradc build --emit python`` rests on: a compiled model by ctypes, arrays by NumPy."""

from __future__ import annotations

import ctypes as c
import os
from typing import Any, Iterator, Mapping, Optional, Sequence, Union

import numpy as np

ABI = 3
MAX_RANK, MAX_BATCHES, MESSAGE_SIZE = 8, 4, 2048
_TYPES = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.int32), np.dtype(np.bool_))
_INPUT, _TARGET, _PARAM, _STATE = 0, 1, 2, 3
_ndarray, _byte_of, _address_of = np.ndarray, c.c_char.from_buffer, c.addressof


class GradcError(RuntimeError):
    """A call was refused; the text is the sentence of the C interface. The model is as it was before."""


class _Slot(c.Structure):
    _fields_ = [("name", c.c_char_p), ("kind", c.c_uint8), ("type", c.c_uint8), ("rank", c.c_uint8),
                ("classes", c.c_int32), ("dims", c.c_int64 * MAX_RANK)]


class _Program(c.Structure):  # its beginning
    _fields_ = [("abi", c.c_uint32), ("level", c.c_uint32), ("name", c.c_char_p), ("hash", c.c_uint64),
                ("slot_count", c.c_uint32), ("buffer_count", c.c_uint32), ("slots", c.POINTER(_Slot))]


class _Tensor(c.Structure):
    _fields_ = [("name", c.c_char_p), ("type", c.c_int), ("rank", c.c_int32), ("dims", c.c_int64 * MAX_RANK),
                ("count", c.c_int64), ("bytes", c.c_int64), ("data", c.c_void_p)]


class _Figure(c.Structure):
    _fields_ = [("name", c.c_char_p), ("kind", c.c_int), ("adds_up", c.c_int32), ("sum", c.c_double),
                ("weight", c.c_double), ("value", c.c_double), ("rank", c.c_int32), ("dims", c.c_int64 * MAX_RANK),
                ("values", c.c_void_p)]

    def get(self) -> Union[float, np.ndarray]:
        if not self.rank:
            return self.value
        shape = tuple(self.dims[: self.rank])
        size = 8 * int(np.prod(shape))
        return np.frombuffer((c.c_char * size).from_address(self.values), np.float64).reshape(shape).copy()


class Progress(c.Structure):
    """Where the training stands: ``step``, ``steps`` (of the whole run, for schedules), ``epoch``, ``seed``; all may be set."""

    _fields_ = [("step", c.c_int64), ("steps", c.c_double), ("epoch", c.c_double), ("seed", c.c_uint64)]


class _Pair(c.Structure):
    _fields_ = [("key", c.c_char_p), ("value", c.c_char_p)]


def _open(path: str) -> c.CDLL:
    lib = c.CDLL(path)
    pointer, text = c.c_void_p, c.c_char_p
    signatures = {
        "gradc_abi_version": (c.c_uint32, []), "gradc_default_program": (c.POINTER(_Program), []),
        "gradc_batch_count": (c.c_int, [pointer]),
        "gradc_create": (c.c_int, [pointer, c.c_uint64, pointer, c.c_int, pointer, pointer]), "gradc_free": (None, [pointer]),
        "gradc_message": (text, [pointer]), "gradc_progress": (c.POINTER(Progress), [pointer]),
        "gradc_reset": (c.c_int, [pointer, c.c_uint64]), "gradc_reset_metrics": (None, [pointer]),
        "gradc_train_step": (c.c_int, [pointer, pointer, pointer]), "gradc_eval": (c.c_int, [pointer, pointer, pointer]),
        "gradc_gradient": (c.c_int, [pointer, pointer, pointer]), "gradc_figures": (c.c_int, [pointer, pointer]),
        "gradc_output_count": (c.c_int, [pointer]), "gradc_output_at": (c.c_int, [pointer, c.c_int, pointer]),
        "gradc_tensor": (c.c_int, [pointer, text, pointer]),
        "gradc_save": (c.c_int, [pointer, text, pointer, c.c_int]), "gradc_load": (c.c_int, [pointer, text]),
        "gradc_load_weights": (c.c_int, [pointer, text]), "gradc_program_value": (text, [pointer, text]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    if lib.gradc_abi_version() != ABI:
        raise GradcError(f"{path} has version {lib.gradc_abi_version()} of the interface, this package {ABI}: build it again")
    return lib


def _view(tensor: _Tensor) -> np.ndarray:
    dtype, shape = _TYPES[tensor.type], tuple(tensor.dims[: tensor.rank])
    if not tensor.bytes:
        return np.zeros(shape, dtype)
    return np.frombuffer((c.c_char * tensor.bytes).from_address(tensor.data), dtype).reshape(shape)


class _Feed:
    """An input or a target: how an array becomes an address."""

    __slots__ = ("number", "name", "target", "dtype", "block", "shape")

    def __init__(self, number: int, slot: _Slot) -> None:
        self.number = number
        self.name, self.target, self.dtype = slot.name.decode(), slot.kind == _TARGET, _TYPES[slot.type]
        dims = tuple(slot.dims[: slot.rank])
        self.block = -1 - dims[0] if dims and dims[0] < 0 else None
        self.shape = dims[1:] if self.block is not None else dims

    def take(self, value: Any) -> np.ndarray:
        if type(value) is not np.ndarray or value.dtype != self.dtype or not value.flags.c_contiguous:
            given = np.asarray(value)
            if given.dtype.kind not in "fiub" or (self.dtype.kind in "ib" and given.dtype.kind == "f"):
                raise TypeError(f"{self.name}: {given.dtype} cannot become {self.dtype}")
            value = np.ascontiguousarray(given, self.dtype)
            if self.dtype.kind == "i" and not np.array_equal(value, given):
                raise ValueError(f"{self.name}: a number leaves {self.dtype}")
        shape = value.shape[1:] if self.block is not None else value.shape
        if shape != self.shape or (self.block is not None and not value.ndim):
            wanted = ("batch",) * (self.block is not None) + self.shape
            raise ValueError(f"{self.name}: the shape is {value.shape}, and must be ({', '.join(map(str, wanted))})")
        return value


class CompiledModel(Mapping[str, np.ndarray]):
    """An instance of a compiled model. As a mapping: parameters and layers' states by name, as arrays that *are* the model's
    memory (``model["dense_1.W"][:] = 0`` changes it); they must not be used after the model is closed.

    :param seed: of parameters and of every random draw
    :param batch: the most examples in a call; None for the number that the model was compiled for
    :param threads: 0 for as many as there are processors
    :param copy: whether results are copies; if not, they are the model's memory, which the next call writes over
    """

    _path = ""

    def __init__(self, seed: int = 0, batch: Optional[int] = None, threads: int = 0, copy: bool = True) -> None:
        self._model: Optional[int] = None
        lib = self._lib = _open(self._path)
        self._program = lib.gradc_default_program()
        program = self._program.contents
        slots = program.slots[: program.slot_count]
        self._feeds = [_Feed(i, s) for i, s in enumerate(s for s in slots if s.kind in (_INPUT, _TARGET))]
        self._names = [s.name.decode() for s in slots if s.kind in (_PARAM, _STATE)]
        self._states = {s.name.decode() for s in slots if s.kind == _STATE}
        self._inputs = (c.c_void_p * max(1, len(self._feeds)))()
        self._batch = (c.c_int64 * MAX_BATCHES)(1, 1, 1, 1)
        self._counts = [1] * MAX_BATCHES  # what _batch holds, where reading is quick
        self._inputs_at, self._batch_at = c.addressof(self._inputs), c.addressof(self._batch)
        self._copy = copy
        self._results: dict = {}  # of these counts: by entry, what it leaves
        self._all_results = {(1,) * MAX_BATCHES: self._results}
        blocks, message, model = lib.gradc_batch_count(self._program), c.create_string_buffer(MESSAGE_SIZE), c.c_void_p()
        capacity = None if batch is None else (c.c_int64 * MAX_BATCHES)(*([batch] * blocks))
        if lib.gradc_create(self._program, seed, capacity, threads, c.byref(model), message):
            raise GradcError(message.value.decode())
        self._model = model.value

    def close(self) -> None:
        """Ends its threads and frees its memory; nothing can be done with it afterwards."""
        if self._model is not None:
            self._lib.gradc_free(self._model)
            self._model, self._results, self._all_results = None, {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_model", None) is not None:
            self.close()

    # -- steps

    def _check(self, status: int) -> None:
        if status:
            raise GradcError(self._lib.gradc_message(self._model).decode() if self._model else "the model is closed")

    def _run(self, function: Any, values: Sequence[Any]) -> None:
        kept, seen, inputs, counts = [], 0, self._inputs, self._counts
        for feed, value in zip(self._feeds, values):
            if value is None:
                inputs[feed.number] = None
                continue
            block, held = feed.block, None
            # The usual array in a few checks: from_buffer refuses those that are not contiguous, and some others.
            if type(value) is _ndarray and value.dtype is feed.dtype and value.shape[block is not None :] == feed.shape:
                try:
                    held = _byte_of(value)
                    inputs[feed.number] = _address_of(held)
                except (TypeError, ValueError, BufferError):
                    held = None
            if held is None:
                value = held = feed.take(value)
                inputs[feed.number] = value.__array_interface__["data"][0]
            kept.append(held)  # alive during the call
            if block is None:
                continue
            count = len(value)
            if counts[block] != count:
                if seen >> block & 1:
                    raise ValueError(f"{feed.name}: {count} examples beside {counts[block]}")
                self._set_count(block, count)
            seen |= 1 << block
        status = function(self._model, self._inputs_at, self._batch_at)
        if status:
            self._check(status)

    def _set_count(self, block: int, count: int) -> None:
        self._counts[block] = self._batch[block] = count
        if len(self._all_results) > 8:
            self._all_results = {}
        self._results = self._all_results.setdefault(tuple(self._counts), {})

    def _figures(self) -> dict:
        figures = c.POINTER(_Figure)()
        count = self._lib.gradc_figures(self._model, c.byref(figures))
        return {figures[i].name.decode(): figures[i].get() for i in range(count)}

    def _outputs(self, entry: str) -> dict:
        """What the entry left. Its addresses stay the same as long as the batch does."""
        views = self._results.get(entry)
        if views is None:
            views, tensor = {}, _Tensor()
            for i in range(self._lib.gradc_output_count(self._model)):
                self._check(self._lib.gradc_output_at(self._model, i, c.byref(tensor)))
                views[tensor.name.decode()] = _view(tensor)
            self._results[entry] = views
        return {name: view.copy() for name, view in views.items()} if self._copy else dict(views)

    def _step(self, values: Sequence[Any]) -> dict:
        self._run(self._lib.gradc_train_step, values)
        return self._figures()

    def _forward(self, values: Sequence[Any]) -> dict:
        self._run(self._lib.gradc_eval, values)
        return self._outputs("eval")

    def _evaluate(self, values: Sequence[Any]) -> dict:
        self._run(self._lib.gradc_eval, values)
        return self._figures()

    def _gradient(self, values: Sequence[Any]) -> dict:
        self._run(self._lib.gradc_gradient, values)
        return self._outputs("gradient")

    def reset_metrics(self) -> None:
        """Metrics with a state begin anew: before each pass over a data set."""
        self._lib.gradc_reset_metrics(self._model)

    # -- parameters

    def __getitem__(self, name: str) -> np.ndarray:
        tensor = _Tensor()
        if self._model is None or name not in self._names:
            raise KeyError(name)
        self._check(self._lib.gradc_tensor(self._model, name.encode(), c.byref(tensor)))
        return _view(tensor)

    def __setitem__(self, name: str, value: Any) -> None:
        place, value = self[name], np.asarray(value)
        if value.shape != place.shape:
            raise ValueError(f"{name}: the shape is {value.shape}, and must be {place.shape}")
        place[...] = value

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def parameters(self) -> dict:
        """What is trained, by name: arrays in place."""
        return {name: self[name] for name in self._names if name not in self._states}

    @property
    def progress(self) -> Progress:
        """Where the training stands."""
        self._check(self._model is None)
        return self._lib.gradc_progress(self._model).contents

    def reset(self, seed: int = 0) -> None:
        """Starts anew from this seed."""
        self._check(self._lib.gradc_reset(self._model, seed))

    # -- files

    def save(self, path: Union[str, os.PathLike], **metadata: str) -> None:
        """Writes a checkpoint (safetensors): parameters, states, optimiser, progress, and these texts."""
        pairs = (_Pair * max(1, len(metadata)))(*[_Pair(k.encode(), v.encode()) for k, v in metadata.items()])
        self._check(self._lib.gradc_save(self._model, os.fsencode(path), pairs, len(metadata)))

    def load(self, path: Union[str, os.PathLike]) -> None:
        """Reads what ``save`` or ``gradc train`` wrote, and goes on from there."""
        self._check(self._lib.gradc_load(self._model, os.fsencode(path)))

    def load_weights(self, path: Union[str, os.PathLike]) -> None:
        """Takes parameters and layers' states alone from a safetensors file that has them by these names."""
        self._check(self._lib.gradc_load_weights(self._model, os.fsencode(path)))

    def statistic(self, key: str) -> Optional[str]:
        """What the weights inside the model say of the data they were trained on; None if there is no such key."""
        value = self._lib.gradc_program_value(self._program, key.encode())
        return None if value is None else value.decode()
