/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a packet may pass for, said a second time: from the configuration as it was written and from
 * the packet's bytes, with a parser of its own, and nothing of the core, the compiler or the maps.
 * It only says what must be so if a packet passes. That nothing else passes is the promise.
 */
#ifndef TESTS_FUZZ_REFERENCE_H
#define TESTS_FUZZ_REFERENCE_H

#include "config.h"
#include "vectors/scene.h"

/* NULL, or why a packet that passed for this reason should not have. remembers: an earlier packet
 * passed. */
const char *reference_objects(const struct scene_shot *s, const struct config *c,
			      enum tf_reason reason, bool remembers);

#endif
