#pragma once
#include <stddef.h>
int posix_memalign(void **memory, size_t align, size_t size);
void free(void *memory);
