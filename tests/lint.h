/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For clang-tidy and gcc -fanalyzer only, put in front of every file: what they cannot see.
 * err_set() returns its second argument and err_prefix() an error. As the calls are variadic they
 * look no further, take every error for a possible success, and then every output for
 * uninitialised or NULL.
 */
#include "../user/err.h"

#ifndef TUNFENCE_LINT_H
#define TUNFENCE_LINT_H

static inline int lint_code(int code, int filled)
{
	(void)filled;
	return code;
}

#define err_set(e, code, ...) lint_code(code, (err_set)(e, code, __VA_ARGS__))
#define err_prefix(e, ...) lint_code(-1, (err_prefix)(e, __VA_ARGS__))

#endif
