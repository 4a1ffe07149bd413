/* SPDX-License-Identifier: GPL-2.0 */
/* What traffic there is between a world's two ends, and where it goes. */
#ifndef TESTS_BENCH_TRAFFIC_H
#define TESTS_BENCH_TRAFFIC_H

enum {
	PORT_UDP = 51830,    /* an endpoint, as far as filters are concerned */
	PORT_STREAM = 51831, /* likewise */
	PORT_ECHO = 51832,   /* likewise */
	PORT_OTHER = 51833,  /* only a list's */
	TRAFFIC_MARK = 51820, /* a tunnel's own packets have one, and one article's rules ask for it */
};

#endif
