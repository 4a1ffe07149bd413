/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was dropped just now, as a line for people, as an object for scripts, and as the words that go
 * into a capture or a journal. Reads no map and writes to no file but the one it is given.
 */
#ifndef TUNFENCE_WATCH_VIEW_H
#define TUNFENCE_WATCH_VIEW_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "colour.h"
#include "sender.h"
#include "watch.h"
#include "when.h"

struct watch_style {
	struct colours colours;
	bool fences; /* of several fences: says which */
	__u32 netns; /* the current one: devices of other fences cannot be named by their number */
};

void watch_view_head(const struct watch_style *style, FILE *out);
void watch_view_drop(const struct drop *drop, const struct watch_style *style, FILE *out);

/* A line that is not of a packet: about this fence. */
void watch_view_note(const struct watched *fence, const char *text,
		     const struct watch_style *style, FILE *out);

/* One object: the names that 'blocked --json' has, and those of this packet. */
json_t *watch_view_json(const struct drop *drop, const struct watch_style *style);

/* "firefox, pid 2211, user ada: udp 9.9.9.9:53 by eth0 was stopped: it is not allowed ...". s: as
 * sender_find() says of it. Returns buf. */
#define WATCH_TEXT_LEN 2048
const char *watch_view_text(const struct drop *drop, const struct sender *s,
			    char buf[WATCH_TEXT_LEN]);

#endif
