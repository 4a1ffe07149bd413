/* SPDX-License-Identifier: GPL-2.0 */
/* A configuration as text that reads as the same one, and whether two are the same. */
#ifndef TESTS_FUZZ_CONFIG_PRINT_H
#define TESTS_FUZZ_CONFIG_PRINT_H

#include <stdio.h>

#include "config.h"

void config_print(const struct config *c, FILE *to);

/* NULL, or what differs. Lines may. */
const char *config_differ(const struct config *a, const struct config *b);

#endif
