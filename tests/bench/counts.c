// SPDX-License-Identifier: GPL-2.0
/* Another namespace's counters, read from /proc: see counts.h. */
#include "counts.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

static FILE *open_net(pid_t there, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/net/%s", (int)there, name);
	return fopen(path, "re");
}

static bool read_device(pid_t there, const char *device, struct counts *c)
{
	_cleanup_fclose_ FILE *file = open_net(there, "dev");
	unsigned long long bytes, packets;
	char line[512], name[32];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, " %31[^:]: %llu %llu", name, &bytes, &packets) == 3 &&
		    streq(name, device)) {
			c->bytes = bytes;
			c->packets = packets;
			return true;
		}
	}
	return false;
}

/* Received, and to no port. */
static bool read_datagrams(pid_t there, struct counts *c)
{
	_cleanup_fclose_ FILE *file = open_net(there, "snmp");
	unsigned long long in, to_none, errors;
	char line[1024];

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Udp: %llu %llu %llu", &in, &to_none, &errors) == 3) {
			c->datagrams = in + to_none + errors;
			c->for_nobody = to_none;
			return true;
		}
	}
	return false;
}

int counts_read(pid_t there, const char *device, struct counts *ret, struct err *e)
{
	struct counts c = {};

	if (!read_device(there, device, &c) || !read_datagrams(there, &c))
		return err_set(e, -ENOENT, "process %d has no device '%s'", (int)there, device);
	*ret = c;
	return 0;
}
