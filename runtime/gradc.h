/* gradc.h: the public C interface to a compiled model, the same for code compiled in memory and for a shared object.
 *
 * A GradcProgram (abi.h) is constant: tables and code. A GradcModel is an instance of it: parameters, states, working
 * memory and a team of threads. Instances share nothing, so two threads may use two models; one model is used by one
 * thread at a time. The program must outlive its models. Threads do not survive fork(): a child process makes its own.
 *
 * Functions that can fail return a GradcStatus. The sentence that explains a failure is in gradc_message(model), or,
 * where there is no model yet, in the GradcMessage that the caller passes (NULL where it is not wanted). After a failure
 * the model is as it was before the call, unless the function says otherwise.
 *
 * A shared object that `gradc build` made holds this whole interface and its own program: gradc_default_program() gives
 * that one, and NAME_program() in the header written beside it; gradc_create(NAME_program(), ...) makes an instance. */
#ifndef GRADC_H
#define GRADC_H
#include <stdint.h>
#include "abi.h"

#ifdef __cplusplus
extern "C" {
#endif
#if defined(__GNUC__) && !defined(_WIN32)
#pragma GCC visibility push(default) /* all else in a shared object stays inside */
#endif

#define GRADC_MESSAGE_SIZE 2048
#define GRADC_MAX_THREADS 256

typedef enum {
  GRADC_OK,
  GRADC_ERROR_ARGUMENT, /* the caller gave a wrong value: a null pointer, an unknown name, a batch over the capacity */
  GRADC_ERROR_PROGRAM,  /* the program is of another ABI version, damaged, or lacks the entry that was called */
  GRADC_ERROR_MEMORY,   /* more than the machine has, or than fits an address */
  GRADC_ERROR_THREADS,  /* the system would not start a thread */
  GRADC_ERROR_FILE,     /* the system refused to read or to write; the text holds its reason */
  GRADC_ERROR_FORMAT,   /* the file is not a valid safetensors file */
  GRADC_ERROR_MISMATCH  /* the file is valid, but not for this model */
} GradcStatus;

typedef struct { char text[GRADC_MESSAGE_SIZE]; } GradcMessage;
typedef struct GradcModel GradcModel;

/* Bytes of an instance by what they are for; total is their sum with the padding, and what gradc_create allocates. */
typedef struct {
  int64_t total;
  int64_t parameters, states, optimizer, metrics; /* metrics: their states, kept three times (live, start, spare) */
  int64_t arena;                                  /* values between kernels; also stands in for absent targets */
  int64_t scratch;                                /* of all threads together */
  int64_t tables;                                 /* the instance itself, the team, tables of addresses */
  int32_t threads;                                /* those that will run: no more than the program can use */
} GradcMemory;

/* A tensor in place: C order, last axis contiguous. `data` belongs to the model. */
typedef struct {
  const char *name;
  GradcType type;
  int32_t rank;
  int64_t dims[GRADC_MAX_RANK];
  int64_t count, bytes;
  void *data;
} GradcTensor;

/* A loss or a metric of one batch. Over a data set: if adds_up, the sum of `sum` over the sum of `weight`; else the last
 * batch's value (a metric that keeps its own state). value = sum / weight, and 0 if the weight is 0. A metric's value may
 * be an array: `values` of extents `dims`, in row-major order, which live until the next step; then value is NaN. A single
 * number has rank 0, and `values` of one. */
typedef struct {
  const char *name;
  GradcOutputKind kind; /* GRADC_OUT_LOSS or GRADC_OUT_METRIC */
  int32_t adds_up;
  double sum, weight, value;
  int32_t rank;
  int64_t dims[GRADC_MAX_RANK];
  const double *values; /* where !adds_up; else NULL */
} GradcFigure;

/* Where the training stands; the caller may write to it between steps. */
typedef struct {
  int64_t step;         /* training steps done; the next one sees step + 1 */
  double steps, epoch;  /* of schedules: all steps of the run, and the epoch */
  uint64_t seed;        /* of every random draw */
} GradcProgress;

/* -- Programs -- */

/* The program that this shared object was built from; only shared objects of `gradc build` have this function. For callers
 * that open any model by dlopen. */
const GradcProgram *gradc_default_program(void);

/* GRADC_ABI_VERSION of the runtime itself: what a caller's own must equal. */
uint32_t gradc_abi_version(void);

/* The best level that this processor can run; GRADC_LEVEL_ANY on other architectures than x86-64. */
GradcLevel gradc_processor_level(void);

/* Metadata of the weights that the program carries: the value of a key, NULL if there is none. */
const char *gradc_program_value(const GradcProgram *program, const char *key);

/* The number of data blocks, each with a batch extent of its own; usually 1. At most GRADC_MAX_BATCHES. */
int gradc_batch_count(const GradcProgram *program);

/* The inputs and targets in the order of their slots: the order of the arrays that a step takes. gradc_feed gives the
 * description of number `index`, NULL if there is none. */
int gradc_feed_count(const GradcProgram *program);
const GradcSlot *gradc_feed(const GradcProgram *program, int index);

/* The slot of a name (its number), or -1. */
int64_t gradc_find_slot(const GradcProgram *program, const char *name);

/* The memory of an instance, exactly. capacity[gradc_batch_count]: the most examples in a step, at least 1 each; NULL for
 * the program's own (what the model was compiled for: its batch, or --max-batch). threads: 0 for as many as there are processors. Errors: PROGRAM, ARGUMENT, MEMORY (the size leaves 63 bits). */
GradcStatus gradc_memory(const GradcProgram *program, const int64_t *capacity, int threads, GradcMemory *memory,
                         GradcMessage *message);

/* Bytes that the machine can still give without swapping (also under a control group's limit); -1 where unknown. */
int64_t gradc_available_memory(void);

/* The processors that this process may use (its affinity, a control group's share of time), at least 1. */
int gradc_processors(void);

/* -- Instances -- */

/* Makes an instance in one allocation of gradc_memory's size and initialises its parameters and states from the seed, then
 * puts the weights that the program carries, if any, in their places.
 * *model is NULL on failure; the caller frees the instance with gradc_free. Errors: those of gradc_memory, MEMORY (more
 * than is available), THREADS. */
GradcStatus gradc_create(const GradcProgram *program, uint64_t seed, const int64_t *capacity, int threads,
                         GradcModel **model, GradcMessage *message);

/* The same in the caller's memory: `size` bytes, at least gradc_memory's total, 64-byte aligned, the caller's to free
 * after gradc_free. */
GradcStatus gradc_create_at(const GradcProgram *program, uint64_t seed, const int64_t *capacity, int threads,
                            void *memory, int64_t size, GradcModel **model, GradcMessage *message);

/* Ends the threads and frees the instance. NULL is allowed. */
void gradc_free(GradcModel *model);

/* The sentence of the last failure, "" if there was none. It lives until the next call. */
const char *gradc_message(const GradcModel *model);

const GradcProgram *gradc_program(const GradcModel *model);
GradcMemory gradc_model_memory(const GradcModel *model);
GradcProgress *gradc_progress(GradcModel *model); /* lives as long as the model */

/* Starts anew, as gradc_create does: parameters and states from this seed or the program's weights, step and epoch 0. */
GradcStatus gradc_reset(GradcModel *model, uint64_t seed);

/* -- Steps --
 * inputs[gradc_feed_count]: one array a feed, of shape [batch, dims of the slot..] in C order and of the slot's type,
 * aligned to its element. They are read in place, never copied, never written, and needed only during the call.
 * batch[gradc_batch_count]: the examples of each data block, 1 to its capacity.
 * Labels (a slot with classes) must be -1 (unknown) to classes - 1, and truth values 0 or 1: they are checked.
 * Errors: ARGUMENT, PROGRAM (the entry was not compiled). */

/* One training step. progress.step counts up before it runs. */
GradcStatus gradc_train_step(GradcModel *model, const void *const *inputs, const int64_t *batch);

/* Outputs, losses and metrics at these parameters; changes nothing but the states of metrics. A target may be NULL (all
 * that is wanted is outputs): zeros stand in for it, the states of metrics stay as they are, and there are no figures. */
GradcStatus gradc_eval(GradcModel *model, const void *const *inputs, const int64_t *batch);

/* The losses that gradc_train_step would have now (its draws included) and, among the results, the gradient of their sum
 * by each parameter and each float input, under its name and of its shape. Changes nothing. */
GradcStatus gradc_gradient(GradcModel *model, const void *const *inputs, const int64_t *batch);

/* Puts the states of metrics back to their start: at the beginning of each pass over a data set. */
void gradc_reset_metrics(GradcModel *model);

/* -- Results, of the step or evaluation that ran last; they live until the next one -- */

/* Losses and metrics, in the program's order; returns how many. */
int gradc_figures(GradcModel *model, const GradcFigure **figures);

/* Everything else that the entry left, by name or by number from 0; the batch axis has the extent of that batch.
 * Errors: ARGUMENT (no step has run, or no such output). */
int gradc_output_count(const GradcModel *model);
GradcStatus gradc_output(GradcModel *model, const char *name, GradcTensor *tensor);
GradcStatus gradc_output_at(GradcModel *model, int index, GradcTensor *tensor);

/* -- Parameters and states (of layers, optimisers and metrics) -- */

/* The tensor in place, by name or by slot number; the caller may read and write its data between steps.
 * Errors: ARGUMENT (no such slot, or an input). */
GradcStatus gradc_tensor(GradcModel *model, const char *name, GradcTensor *tensor);
GradcStatus gradc_tensor_at(GradcModel *model, int64_t slot, GradcTensor *tensor);

/* Copies out and in; `bytes` must be the tensor's. */
GradcStatus gradc_get(GradcModel *model, const char *name, void *to, int64_t bytes);
GradcStatus gradc_set(GradcModel *model, const char *name, const void *from, int64_t bytes);

/* -- Checkpoints (safetensors) -- */

/* Writes every parameter and state (not those of metrics) and the progress, with the caller's own pairs, to `path`. The
 * old file stays whole until the new one is whole and on the disk; a failure leaves nothing behind. The same contents
 * give the same bytes. Keys: UTF-8, unique, not beginning with "gradc."; values: UTF-8. Errors: ARGUMENT, FILE, MEMORY, PROGRAM. */
GradcStatus gradc_save(GradcModel *model, const char *path, const GradcPair *pairs, int count);

/* Reads what gradc_save wrote, progress included. Errors: FILE, FORMAT, MISMATCH, MEMORY; the model is then unchanged. */
GradcStatus gradc_load(GradcModel *model, const char *path);

/* Takes parameters and layers' states alone, by name, from any safetensors file that has them all in the same shapes: a
 * checkpoint of another version of the model, or of one with another optimiser. Numbers are converted to the model's
 * type. Progress and optimiser stay as they are. Errors: FILE, FORMAT, MISMATCH, MEMORY; the model is then unchanged. */
GradcStatus gradc_load_weights(GradcModel *model, const char *path);

/* A safetensors file in memory: of ours or of anyone. */
typedef struct GradcFile GradcFile;
typedef struct {
  const char *name;
  const char *type; /* as written: "F32", "BF16", "I64", .. */
  int32_t rank;
  int64_t dims[GRADC_MAX_RANK];
  int64_t count, bytes;
  const void *data; /* need not be aligned */
} GradcFileTensor;

/* Reads and checks a whole file; the caller closes it. Errors: FILE, FORMAT, MEMORY, and *file is NULL. */
GradcStatus gradc_file_open(const char *path, GradcFile **file, GradcMessage *message);
void gradc_file_close(GradcFile *file);

/* Tensors in the order of their names, and metadata in the order of its keys. What they point to lives as long as the
 * file. gradc_file_value: the value of a key of the metadata, NULL if there is none. */
int64_t gradc_file_count(const GradcFile *file);
GradcFileTensor gradc_file_tensor(const GradcFile *file, int64_t index);
int64_t gradc_file_find(const GradcFile *file, const char *name); /* -1: no such tensor */
int64_t gradc_file_pair_count(const GradcFile *file);
GradcPair gradc_file_pair(const GradcFile *file, int64_t index);
const char *gradc_file_value(const GradcFile *file, const char *key);

/* Copies tensor `index` to `to` (count elements) as `type`: numbers between F16, BF16, F32 and F64 are rounded to nearest;
 * other types only to themselves. Errors: ARGUMENT, MISMATCH (no such conversion), FORMAT (a truth value that is not 0 or 1). */
GradcStatus gradc_file_read(const GradcFile *file, int64_t index, GradcType type, void *to, GradcMessage *message);

/* gradc_load from an open file. */
GradcStatus gradc_load_file(GradcModel *model, const GradcFile *file);

#if defined(__GNUC__) && !defined(_WIN32)
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif
#endif
