/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The throw-away world of verify.h: its namespaces, its processes, its cgroup. For the engine;
 * vectors see only what verify.h offers.
 */
#ifndef TUNFENCE_VERIFY_WORLD_H
#define TUNFENCE_VERIFY_WORLD_H

#include "err.h"
#include "verify.h"

/* Written by a firing's processes, read by the engine: shared memory. */
struct verify_notes {
	bool touched; /* the world is no longer as it was built */
};

struct verify_world {
	int places[VERIFY_PLACES]; /* network namespaces */
	struct verify_notes *notes;
};

/* A descriptor to a fresh network namespace, lo up. */
int verify_make_namespace(void);

#endif
