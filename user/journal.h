/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The system's journal, told in its own protocol (https://systemd.io/JOURNAL_NATIVE_PROTOCOL): fields
 * with a name and any bytes. No libsystemd: see dbus.h.
 */
#ifndef TUNFENCE_JOURNAL_H
#define TUNFENCE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <tunfence/types.h>

#include "err.h"

/* One entry that is being written. What does not fit is not written, and the whole is full. */
struct journal_entry {
	size_t length;
	bool full;
	char data[8192];
};

/* name: capital letters, digits and '_'. */
void journal_put(struct journal_entry *entry, const char *name, const char *value);
void journal_put_number(struct journal_entry *entry, const char *name, unsigned long long value);

/* A socket to send entries by. */
int journal_open(struct err *e);

/* 0 or -errno. An entry that was full or that the journal has no room for now is lost. */
int journal_send(int fd, const struct journal_entry *entry);

/* ---- no more than so many -------------------------------------------------------------------- */

enum {
	JOURNAL_LINES = 20,  /* within */
	JOURNAL_OF_ONE = 10, /* of one cgroup: who talks much leaves room for others */
};
#define JOURNAL_INTERVAL_NS 60000000000ULL

struct journal_limit {
	__u64 begin; /* of the interval, ns since boot */
	unsigned int lines;
	__u64 cgroup[JOURNAL_LINES]; /* whose each was */
	unsigned long long held;     /* that would have been more */
};

/* Whether there may be another line now, of this cgroup (its number; 0: none that is known); if not it is
 * counted. */
bool journal_may(struct journal_limit *limit, __u64 cgroup, __u64 now);

/* How many were held back, once their interval has ended; 0: none. */
unsigned long long journal_held(struct journal_limit *limit, __u64 now);

#endif
