/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The BPF objects of one policy, loaded and filled but attached nowhere: every program there is,
 * over one set of maps.
 */
#ifndef TUNFENCE_OBJECT_H
#define TUNFENCE_OBJECT_H

#include "compile.h"
#include "dispatcher.h"
#include "err.h"
#include "maps.h"
#include "planes.h"

struct objects;

void objects_free(struct objects *o); /* and all its descriptors */
static inline void objects_cleanup(struct objects **o)
{
	objects_free(*o);
}
#define _cleanup_objects_ _cleanup_(objects_cleanup)

/* Makes the maps, fills and freezes them, loads the programs. Goes on with what is carried of an
 * earlier policy's if that is given. dispatcher: in which the policy has a slot; NULL: in none. What
 * this kernel cannot have is left out. */
int objects_load(const struct policy *policy, const struct maps *old,
		 const struct dispatcher *dispatcher, struct objects **ret, struct err *e);

/* A descriptor that lives as long as o; -1: a program that this kernel cannot have. */
int objects_program(const struct objects *o, enum program program);

/* Whether that is because this kernel refused it, and what it said first; NULL: it is not. */
const char *objects_refusal(const struct objects *o, enum program program);
struct maps objects_maps(const struct objects *o);

#endif
