// SPDX-License-Identifier: GPL-2.0
/* Programs and hooks: see planes.h. */
#include "planes.h"

#include "util.h"

const struct program_row programs[PROGRAM_COUNT] = {
#define X(NAME, pin_, name_, optional_)                                                            \
	[PROGRAM_##NAME] = { .pin = pin_, .name = name_, .optional = optional_ },
	PROGRAMS(X)
#undef X
};

const struct hook_row hooks[HOOK_COUNT] = {
#define X(NAME, pin_, label_, plane_, program_, kind_, place_, opens_)                             \
	[HOOK_##NAME] = {                                                                          \
		.pin = pin_,                                                                       \
		.label = label_,                                                                   \
		.plane = TF_PLANE_##plane_,                                                        \
		.program = PROGRAM_##program_,                                                     \
		.kind = KIND_##kind_,                                                              \
		.place = place_,                                                                   \
		.opens = opens_,                                                                   \
	},
	HOOKS(X)
#undef X
};

enum program program_find(const char *name)
{
	size_t i;

	for (i = 0; i < PROGRAM_COUNT; i++) {
		if (streq(programs[i].name, name))
			return (enum program)i;
	}
	return PROGRAM_COUNT;
}

enum hook hook_find(enum program program, __u32 place)
{
	size_t i;

	for (i = 0; i < HOOK_COUNT; i++) {
		if (hooks[i].program == program && hooks[i].place == place)
			return (enum hook)i;
	}
	return HOOK_COUNT;
}
