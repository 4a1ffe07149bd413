// SPDX-License-Identifier: GPL-2.0
/* The system's journal: see journal.h. */
#include "journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "fault.h"
#include "util.h"

/* Events wait meanwhile, and the lease wants to be renewed. */
enum { SEND_LONGEST_US = 100000 };

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

static void put_bytes(struct journal_entry *entry, const void *from, size_t bytes)
{
	if (bytes > sizeof(entry->data) - entry->length) {
		entry->full = true;
		return;
	}
	memcpy(entry->data + entry->length, from, bytes);
	entry->length += bytes;
}

/* Always with its length, in little-endian: so no value is taken for another field. */
void journal_put(struct journal_entry *entry, const char *name, const char *value)
{
	const size_t length = strlen(value);
	__u8 size[8];
	size_t i;

	for (i = 0; i < sizeof(size); i++)
		size[i] = (__u8)((__u64)length >> 8 * i);
	put_bytes(entry, name, strlen(name));
	put_bytes(entry, "\n", 1);
	put_bytes(entry, size, sizeof(size));
	put_bytes(entry, value, length);
	put_bytes(entry, "\n", 1);
}

void journal_put_number(struct journal_entry *entry, const char *name, unsigned long long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", value);
	journal_put(entry, name, text);
}

/* The journal may be started anew, at the same place. */
static int connect_to(int fd)
{
	static const struct sockaddr_un journal = { AF_UNIX, JOURNAL_SOCKET };

	return connect(fd, (const struct sockaddr *)&journal, sizeof(journal)) ? -errno : 0;
}

int journal_open(struct err *e)
{
	const struct timeval patience = { .tv_usec = SEND_LONGEST_US };
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : connect_to(fd);

	if (!r && setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)))
		r = -errno;
	if (r)
		return err_set(e, r,
			       "the journal ('%s') cannot be reached: %s; is systemd-journald "
			       "running?",
			       JOURNAL_SOCKET, strerror(-r));
	return TAKE_FD(fd);
}

int journal_send(int fd, const struct journal_entry *entry)
{
	int tries;

	if (entry->full)
		return -EMSGSIZE;
	for (tries = 0; tries < 2; tries++) {
		if (send(fd, entry->data, entry->length, MSG_NOSIGNAL) >= 0)
			return 0;
		if (errno != ECONNREFUSED && errno != ENOTCONN && errno != ECONNRESET)
			return -errno;
		if (connect_to(fd))
			break;
	}
	return -ECONNREFUSED;
}

/* ---- no more than so many -------------------------------------------------------------------- */

#define TEST_INTERVAL_NS 5000000000ULL

static bool has_ended(const struct journal_limit *limit, __u64 now)
{
	const __u64 interval = fault_is("short-journal") ? TEST_INTERVAL_NS : JOURNAL_INTERVAL_NS;

	return now - limit->begin >= interval;
}

static unsigned int lines_of(const struct journal_limit *limit, __u64 cgroup)
{
	unsigned int i, count = 0;

	for (i = 0; i < limit->lines; i++)
		count += limit->cgroup[i] == cgroup;
	return count;
}

bool journal_may(struct journal_limit *limit, __u64 cgroup, __u64 now)
{
	if (!limit->lines || (has_ended(limit, now) && !limit->held)) {
		limit->begin = now;
		limit->lines = 0;
	}
	if (limit->lines < JOURNAL_LINES && lines_of(limit, cgroup) < JOURNAL_OF_ONE) {
		limit->cgroup[limit->lines++] = cgroup;
		return true;
	}
	limit->held++;
	return false;
}

unsigned long long journal_held(struct journal_limit *limit, __u64 now)
{
	const unsigned long long held = limit->held;

	if (!held || !has_ended(limit, now))
		return 0;
	*limit = (struct journal_limit){};
	return held;
}
