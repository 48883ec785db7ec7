/* cases.h: the file that make.c writes and run.c reads: what each case's entry is called with. Numbers are 64 bits wide.
 *   file:   the number of cases, then each case
 *   case:   name (32 bytes), batch[GRADC_MAX_BATCHES], bytes of the arena, of the scratch, number of buffers, then each buffer
 *   buffer: its kind, bytes; an offset in the arena (BUFFER_ARENA, BUFFER_RESULT) or its contents (BUFFER_SLOT) */
#ifndef GRADC_BITS_CASES_H
#define GRADC_BITS_CASES_H

enum { CASE_NAME = 32 };
typedef enum { BUFFER_SLOT, BUFFER_ARENA, BUFFER_RESULT /* in the arena, and compared */ } BufferKind;

#endif
