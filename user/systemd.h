/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is asked of systemd as PID 1, over its own socket, which only root may use and which needs no
 * message bus: start and stop a unit, put a process into a scope. Each returns when the job is done.
 */
#ifndef TUNFENCE_SYSTEMD_H
#define TUNFENCE_SYSTEMD_H

#include <stdbool.h>
#include <sys/types.h>

#include "err.h"

/* As sd_booted(3). */
bool systemd_is_running(void);

int systemd_start_unit(const char *unit, struct err *e);
int systemd_stop_unit(const char *unit, struct err *e);

/* A new scope below a slice, with this one process in it. It goes when its last process ends. */
struct systemd_scope {
	const char *unit;
	const char *slice;
	const char *description;
	pid_t pid;
};

int systemd_start_scope(const struct systemd_scope *scope, struct err *e);

#endif
