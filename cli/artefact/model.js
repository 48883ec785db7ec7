/* What every module made by `gradc build --target wasm32` rests on: a compiled model as WebAssembly, arrays as typed arrays. */

const ABI = @ABI@;
const MESSAGE = 2048, FIGURE = 120, TENSOR = 104, MOST_BATCHES = 4; // bytes of the C interface's records on this machine
const arrays = [Float32Array, Float64Array, Int32Array, Uint8Array];
const typeNames = ["F32", "F64", "I32", "BOOL"];

/** A call was refused; the message is the sentence of the C interface. The model is as it was before. */
export class GradcError extends Error {}

async function compile(source) {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source);
  const url = new URL(source, import.meta.url);
  if (url.protocol !== "file:") return WebAssembly.compileStreaming(fetch(url));
  return WebAssembly.compile(await (await import("node:fs/promises")).readFile(url));
}

const product = (dims) => dims.reduce((a, b) => a * b, 1);

class CompiledModel {
  #c; #model; #scratch; #places; #batch;

  /** Use `create`. */
  constructor(exports, description, seed, batch) {
    this.description = description;
    const c = (this.#c = exports);
    if (c.gradc_abi_version() !== ABI) throw new GradcError("the module and its loader are of different versions: build them again");
    this.capacity = batch ?? description.batch;
    this.#scratch = c.gradc_wasm_alloc(MESSAGE + 256);
    const out = this.#scratch + MESSAGE, capacity = out + 64;
    this.#batch = capacity + 64;
    const view = this.#view();
    for (let i = 0; i < MOST_BATCHES; i++) view.setBigInt64(capacity + 8 * i, BigInt(this.capacity), true);
    const status = c.gradc_create(c.gradc_default_program(), BigInt.asUintN(64, BigInt(seed)), capacity, 1, out, this.#scratch);
    if (status) throw new GradcError(this.#text(this.#scratch));
    this.#model = this.#view().getUint32(out, true);
    const feeds = description.feeds;
    this.#places = { table: this.#alloc(4 * feeds.length + 4), arrays: feeds.map((f) => this.#alloc(this.capacity ** f.batches * f.size * arrays[f.type].BYTES_PER_ELEMENT)) };
  }

  #view() { return new DataView(this.#c.memory.buffer); }
  #array(type, address, length) { return new arrays[type](this.#c.memory.buffer, address, length); }

  #alloc(bytes) {
    const address = this.#c.gradc_wasm_alloc(bytes);
    if (!address) throw new GradcError("the model needs more memory than a WebAssembly module may have");
    return address;
  }

  #text(address) {
    const bytes = new Uint8Array(this.#c.memory.buffer, address);
    return new TextDecoder().decode(bytes.subarray(0, bytes.indexOf(0)).slice());
  }

  #check(status) {
    if (status) throw new GradcError(this.#text(this.#c.gradc_message(this.#model)));
  }

  /* Copies an array in; returns how many examples it has. */
  #put(feed, value, address) {
    const Type = arrays[feed.type];
    if (feed.type > 1 && (value instanceof Float32Array || value instanceof Float64Array || Array.isArray(value)) && !value.every(Number.isInteger))
      throw new TypeError(`${feed.name}: whole numbers are wanted`);
    const examples = feed.batches ? value.length / feed.size : 1;
    if (!Number.isInteger(examples) || value.length === undefined || (!feed.batches && value.length !== feed.size))
      throw new TypeError(`${feed.name}: ${value.length} numbers are no whole examples of ${feed.size}`);
    if (examples > this.capacity) throw new GradcError(`a batch of ${examples} examples: this instance takes 1 to ${this.capacity}`);
    new Type(this.#c.memory.buffer, address, value.length).set(value);
    return examples;
  }

  #run(entry, values, targets) {
    let batch = null;
    for (const name of Object.keys(values))
      if (!this.description.feeds.some((f) => f.name === name)) throw new TypeError(`the model has no input "${name}"`);
    this.description.feeds.forEach((feed, i) => {
      const value = values[feed.name], given = value !== undefined && value !== null;
      if (!given && !(feed.target && !targets)) throw new TypeError(`${feed.target ? "target" : "input"} "${feed.name}" was not given`);
      const used = given && (targets || !feed.target);
      if (used) {
        const examples = this.#put(feed, value, this.#places.arrays[i]);
        if (feed.batches && batch !== null && batch !== examples) throw new TypeError(`${feed.name}: ${examples} examples beside ${batch}`);
        if (feed.batches) batch = examples;
      }
      this.#view().setUint32(this.#places.table + 4 * i, used ? this.#places.arrays[i] : 0, true);
    });
    for (let i = 0; i < MOST_BATCHES; i++) this.#view().setBigInt64(this.#batch + 8 * i, BigInt(batch ?? 1), true);
    this.#check(this.#c[entry](this.#model, this.#places.table, this.#batch));
  }

  #figures() {
    const out = this.#scratch + MESSAGE, count = this.#c.gradc_figures(this.#model, out), view = this.#view();
    const first = view.getUint32(out, true), figures = {};
    for (let i = 0; i < count; i++) {
      const at = first + FIGURE * i, rank = view.getInt32(at + 40, true), dims = [];
      for (let k = 0; k < rank; k++) dims.push(Number(view.getBigInt64(at + 48 + 8 * k, true)));
      figures[this.#text(view.getUint32(at, true))] =
        rank ? this.#array(1, view.getUint32(at + 112, true), product(dims)).slice() : view.getFloat64(at + 32, true);
    }
    return figures;
  }

  /* The tensor that `call` describes: name, type, address, count. */
  #tensor(call) {
    const at = this.#scratch + MESSAGE;
    this.#check(call(at));
    const view = this.#view();
    return [this.#text(view.getUint32(at, true)), this.#array(view.getInt32(at + 4, true), view.getUint32(at + 96, true), Number(view.getBigInt64(at + 80, true)))];
  }

  #outputs() {
    const outputs = {}, count = this.#c.gradc_output_count(this.#model);
    for (let i = 0; i < count; i++) {
      const [name, values] = this.#tensor((at) => this.#c.gradc_output_at(this.#model, i, at));
      outputs[name] = values.slice();
    }
    return outputs;
  }

  step(values) { this.#run("gradc_train_step", values, true); return this.#figures(); }
  forward(values) { this.#run("gradc_eval", values, false); return this.#outputs(); }
  evaluate(values) { this.#run("gradc_eval", values, true); return this.#figures(); }
  gradient(values) { this.#run("gradc_gradient", values, true); return this.#outputs(); }
  resetMetrics() { this.#c.gradc_reset_metrics(this.#model); }
  reset(seed = 0) { this.#check(this.#c.gradc_reset(this.#model, BigInt.asUintN(64, BigInt(seed)))); }

  get names() { return this.description.slots.filter((s) => s.kind === 2 || s.kind === 3).map((s) => s.name); }

  shape(name) { return this.#slot(name).dims.slice(); }

  #slot(name) {
    const slot = this.description.slots.find((s) => s.name === name);
    if (!slot) throw new GradcError(`the model has no parameter or state "${name}"`);
    return slot;
  }

  #place(slot) { return this.#tensor((at) => this.#c.gradc_tensor_at(this.#model, BigInt(slot.number), at))[1]; }

  get(name) { return this.#place(this.#slot(name)).slice(); }

  set(name, values) {
    const place = this.#place(this.#slot(name));
    if (values.length !== place.length) throw new TypeError(`${name}: ${values.length} numbers, and must be ${place.length}`);
    place.set(values);
  }

  get progress() {
    const at = this.#c.gradc_progress(this.#model), view = () => this.#view();
    return {
      get step() { return Number(view().getBigInt64(at, true)); }, set step(n) { view().setBigInt64(at, BigInt(n), true); },
      get steps() { return view().getFloat64(at + 8, true); }, set steps(x) { view().setFloat64(at + 8, x, true); },
      get epoch() { return view().getFloat64(at + 16, true); }, set epoch(x) { view().setFloat64(at + 16, x, true); },
      get seed() { return view().getBigUint64(at + 24, true); }, set seed(n) { view().setBigUint64(at + 24, BigInt.asUintN(64, BigInt(n)), true); },
    };
  }

  save(metadata = {}) {
    const progress = this.progress, { name, hash, slots } = this.description;
    const own = { "gradc.epoch": String(progress.epoch), "gradc.hash": hash, "gradc.model": name, "gradc.seed": String(progress.seed), "gradc.step": String(progress.step) };
    const header = { __metadata__: { ...metadata, ...own } }, parts = [];
    const order = slots.slice().sort((a, b) => arrays[b.type].BYTES_PER_ELEMENT - arrays[a.type].BYTES_PER_ELEMENT || (a.name < b.name ? -1 : 1));
    let at = 0;
    for (const slot of order) {
      const values = this.#place(slot).slice(), bytes = new Uint8Array(values.buffer);
      header[slot.name] = { dtype: typeNames[slot.type], shape: slot.dims, data_offsets: [at, (at += bytes.length)] };
      parts.push(bytes);
    }
    const text = new TextEncoder().encode(JSON.stringify(header)), length = (text.length + 7) & ~7;
    const file = new Uint8Array(8 + length + at).fill(32, 8, 8 + length);
    new DataView(file.buffer).setBigUint64(0, BigInt(length), true);
    file.set(text, 8);
    at = 8 + length;
    for (const bytes of parts) file.set(bytes, at), (at += bytes.length);
    return file;
  }

  load(file, { weightsOnly = false } = {}) {
    const bytes = file instanceof ArrayBuffer ? new Uint8Array(file) : file;
    let header, length;
    try {
      length = Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0, true));
      header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(8, 8 + length)));
    } catch (error) { throw new GradcError(`this is not a valid safetensors file: ${error.message}`); }
    const metadata = header?.__metadata__ ?? {};
    if (!weightsOnly && metadata["gradc.hash"] !== this.description.hash) throw new GradcError("this is a checkpoint of another model or version");
    const wanted = this.description.slots.filter((s) => !weightsOnly || s.kind === 2 || s.kind === 3);
    const found = wanted.map((slot) => { // all is looked at before anything is changed
      const t = header[slot.name], size = product(slot.dims) * arrays[slot.type].BYTES_PER_ELEMENT;
      const fits = t && t.dtype === typeNames[slot.type] && JSON.stringify(t.shape) === JSON.stringify(slot.dims) && Array.isArray(t.data_offsets);
      const begin = fits ? 8 + length + t.data_offsets[0] : -1;
      if (!fits || !Number.isSafeInteger(begin) || begin < 8 + length || t.data_offsets[1] - t.data_offsets[0] !== size || begin + size > bytes.length)
        throw new GradcError(`the file's "${slot.name}" is missing, or is not ${typeNames[slot.type]} [${slot.dims.join(", ")}]`);
      return new arrays[slot.type](bytes.slice(begin, begin + size).buffer);
    });
    wanted.forEach((slot, i) => this.#place(slot).set(found[i]));
    if (weightsOnly) return;
    this.progress.step = Number(metadata["gradc.step"]), this.progress.epoch = Number(metadata["gradc.epoch"]);
    this.progress.seed = BigInt(metadata["gradc.seed"]);
  }
}
