/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is asked of systemd as PID 1, over its own socket, which only root may use and which needs no
 * message bus: start and stop a unit, put a process into a scope, read unit files anew, what it knows
 * of a unit. Each returns when it is done.
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

/* Reads all unit files and drop-ins anew. */
int systemd_reload(struct err *e);

/* What systemd has for a unit, which it loads if it has not yet. */
struct systemd_property {
	const char *kind; /* "Unit", "Service": the interface that has it */
	const char *name; /* of a text, or of a boolean, which is "yes" or "no" */
};

#define SYSTEMD_VALUE 4096

int systemd_get_property(const char *unit, const struct systemd_property *property,
			 char ret[SYSTEMD_VALUE], struct err *e);

/* A new scope below a slice, with this one process in it. It goes when its last process ends. */
struct systemd_scope {
	const char *unit;
	const char *slice;
	const char *description;
	pid_t pid;
};

int systemd_start_scope(const struct systemd_scope *scope, struct err *e);

#endif
