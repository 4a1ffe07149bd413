/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes and the cgroups they are in: which one, who is in one, a new one below one for a
 * program that is to run there. Paths are absolute, below the cgroup2 mount.
 */
#ifndef TUNFENCE_GROUP_H
#define TUNFENCE_GROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include <tunfence/types.h>

#include "err.h"

/* The group a process is in. pid 0: this one. */
int group_of_process(pid_t pid, char ret[PATH_MAX], struct err *e);

/* For tests: from the text of /proc/PID/cgroup, the path in the hierarchy. -ENOENT: it has none, or
 * one that was removed. */
int group_parse(FILE *stream, char ret[PATH_MAX]);

/* Whether path is the group with this id or below it. What cannot be told is not. */
bool group_is_below(const char *path, __u64 id);

/* Whether there is any process in it or below. What cannot be told is. */
bool group_is_populated(const char *path);

/* Every process in it and below. Stops at the first non-zero return. -errno: the group itself
 * cannot be read. */
typedef int (*group_cb)(pid_t pid, const char *name, void *data);
int group_each_process(const char *path, group_cb cb, void *data);

/* Moves a process into a new group below path, which only root can move it out of. */
int group_join_new(const char *path, pid_t pid, struct err *e);

/* Removes the groups made by the above that are empty and whose first process has ended. */
void group_sweep(const char *path);

#endif
