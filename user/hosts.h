/* SPDX-License-Identifier: GPL-2.0 */
/*
 * STATE/NAME.hosts: the last good addresses of a fence's endpoint names, for when they do not
 * resolve: at boot there is no DNS but through the tunnel. hosts(5) lines below one comment line; the
 * file's time is when all of them were good.
 *
 * What is read is believed only as a whole, if none but root could have written it and every line is
 * what would be written; else it is as if it were not there, which is the stricter answer. Losing it
 * costs that a tunnel given by name waits for DNS.
 *
 * RUN-hosts/NAME: the same while the fence stands, for programs other than tunfence.
 */
#ifndef TUNFENCE_HOSTS_H
#define TUNFENCE_HOSTS_H

#include "err.h"
#include "resolve.h"

struct hosts {
	struct resolve_name *names; /* each once */
	size_t count;
	long long when; /* seconds since 1970; 0: there is no file */
};

void hosts_free(struct hosts *h); /* what it points to, not h itself */
#define _cleanup_hosts_ _cleanup_(hosts_free)

/* No file: 0, and h is empty. */
int hosts_read(const char *dir, const char *fence, struct hosts *ret, struct err *e);

const struct resolve_name *hosts_find(const struct hosts *h, const char *host);

/* "2026-11-20 10:00:00, 3 days ago". Returns out. */
#define HOSTS_AGE_LEN 64
const char *hosts_age(long long when, char out[HOSTS_AGE_LEN]);

/* Gives the names that have no fresh answer their last good addresses. */
void hosts_lend(const struct hosts *h, struct resolve_name *names, size_t count);

/* The directory of such files, if there is none yet: 0, or -errno. */
int hosts_make_dir(const char *dir);

/* Replaces the file in one step by what the names are now: fresh answers, and last good addresses
 * that still stand. Nothing fresh, or nothing at all: the file stays as it is. */
int hosts_write(const char *dir, const char *fence, const struct resolve_name *names, size_t count,
		const struct hosts *before, struct err *e);

/* RUN-hosts/FENCE: where the names are now, for whoever has to look them up while the fence stands
 * (user/nss). No address at all: the file stays as it is. */
int hosts_publish(const char *run_dir, const char *fence, const struct resolve_name *names,
		  size_t count, struct err *e);
void hosts_withdraw(const char *run_dir, const char *fence);

#endif
