/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who sent what was dropped, as a person wants to hear it: the program, its process if that still
 * runs, its user, its unit. Looks at /proc, /etc/passwd and cgroup2; never asks a name service.
 */
#ifndef TUNFENCE_SENDER_H
#define TUNFENCE_SENDER_H

#include <stdbool.h>

#include "blocked.h"
#include "text.h"

enum { SENDER_NAME_LEN = 256, SENDER_PATH_LEN = 4096 };

/* All text is fit to be shown. Empty: not known. */
struct sender {
	char program[TEXT_ROOM(TF_NAME_LEN)];
	char user[64];                /* its name, or else its number */
	char unit[SENDER_NAME_LEN];   /* the innermost that systemd named a cgroup after */
	char cgroup[SENDER_PATH_LEN]; /* below the hierarchy's root */
	bool cgroup_gone;
	char from[TEXT_ROOM(TF_NAME_LEN)]; /* forwarded: the device it came in by */
	bool may_run;                 /* it can be told whether the process runs: numbers are ours */
	bool runs;                    /* the process with that number is the one that sent */
};

/* here: the devices are those of this network namespace. */
void sender_find(const struct blocked_entry *b, bool here, struct sender *ret);

/* "firefox, pid 2211, user ada, app-firefox.scope". Returns buf. */
#define SENDER_TEXT_LEN 1024
const char *sender_text(const struct blocked_entry *b, const struct sender *s,
			char buf[SENDER_TEXT_LEN]);

/* Whether both were sent by the same, as far as is known. */
bool sender_is_same(const struct tf_blocked_key *a, const struct tf_blocked_key *b);

/* Whether a person means this one by a word: the program or the unit, also with '*' and '?'. */
bool sender_is_meant(const struct sender *s, const char *word);

/* For tests: the unit within a cgroup's path, and whether a process began before ns since boot. */
void sender_unit(const char *path, char ret[SENDER_NAME_LEN]);
bool sender_runs(const char *stat, __u64 last);

const char *sender_name(enum tf_sender sender);

#endif
