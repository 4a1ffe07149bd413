/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every fuzz target is made of: libFuzzer calls it with bytes of its own making, replay.c with
 * those of the corpus. A target is fuzz_NAME.c; its corpus is corpus/NAME, a file for each input.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* Returns 0, or does not return. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Before the first input; once. */
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* A condition that holds for every input there is: the process ends if it does not. */
#define FUZZ_EXPECT(condition, ...)                                                                \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			dprintf(2, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                 \
			dprintf(2, __VA_ARGS__);                                                   \
			dprintf(2, "\n");                                                          \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
