/** A call was refused; the message is the sentence of the C interface. The model is as it was before. */
export class GradcError extends Error {}

/** Numbers of an input: a typed array (or a plain one) of whole examples, one after another, each in row-major order. */
export type Numbers = ArrayLike<number>;
export type Values = Float32Array | Float64Array | Int32Array | Uint8Array;

/** Where the training stands; all may be set. `steps`: of the whole run, for schedules. */
export interface Progress { step: number; steps: number; epoch: number; seed: bigint }
