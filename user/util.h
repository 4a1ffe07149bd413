/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cleanup attributes and small words used all over user/.
 *
 * Ownership: a variable marked _cleanup_x_ owns what it holds until TAKE_PTR or TAKE_FD hands it
 * on. -1 is the empty descriptor. Every x_free accepts NULL. Outputs named ret_x are written only
 * on success.
 */
#ifndef TUNFENCE_UTIL_H
#define TUNFENCE_UTIL_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <tunfence/types.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define TAKE_PTR(p)                                                                                \
	({                                                                                         \
		__typeof__(p) taken_ = (p);                                                        \
		(p) = NULL;                                                                        \
		taken_;                                                                            \
	})

#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int taken_ = (fd);                                                                 \
		(fd) = -1;                                                                         \
		taken_;                                                                            \
	})

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* FNV-1a. What is numbered by it is found again by other versions: it never changes. */
static inline __u32 hash_bytes(const void *from, size_t bytes)
{
	const __u8 *at = from, *end = at + bytes;
	__u32 hash = 2166136261U;

	for (; at < end; at++)
		hash = (hash ^ *at) * 16777619U;
	return hash;
}

static inline __u32 hash_name(const char *name)
{
	return hash_bytes(name, strlen(name));
}

/* The end of a word of which there are so many. */
static inline const char *plural(__u64 count)
{
	return count == 1 ? "" : "s";
}

#endif
