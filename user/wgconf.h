/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What we need of a wg(8)/wg-quick(8) configuration file: ListenPort, FwMark, every peer's Endpoint
 * and, where that is a name, whose it is. Secret keys are never kept: the buffers that held them are
 * wiped before return.
 */
#ifndef TUNFENCE_WGCONF_H
#define TUNFENCE_WGCONF_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"
#include "err.h"

struct wgconf {
	__u16 listen_port; /* host byte order; 0: not said */
	__u32 mark;        /* 0: not said, or off */
	struct config_endpoint *endpoints; /* all UDP */
	size_t endpoint_count;
};

void wgconf_free(struct wgconf *w); /* what it points to, not w itself */

/* Errors are "FILE:LINE: ...", or name the file. Unknown keys and sections are ignored: the file is
 * wg's, not ours. */
int wgconf_read(const char *path, struct wgconf *ret, struct err *e);

/* For fuzzing. The same from the file's text, which is the caller's to wipe, and is changed. */
int wgconf_parse(char *text, const char *path, struct wgconf *ret, struct err *e);

#endif
