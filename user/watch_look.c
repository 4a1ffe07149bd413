// SPDX-License-Identifier: GPL-2.0
/* Which fences are up: see watch_look.h. */
#define _GNU_SOURCE /* struct ucred of sys/socket.h, and O_PATH */
#include "watch_look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "fence.h"
#include "pin.h"
#include "util.h"

enum { LOOK_LONGEST_S = 30 };

static const enum map handed[] = { MAP_BLOCKED, MAP_LISTENERS, MAP_LEASES };
enum { HANDED = ARRAY_SIZE(handed) };

/* Room for the descriptors of one message. */
union ancillary {
	char bytes[CMSG_SPACE(HANDED * sizeof(int))];
	struct cmsghdr align;
};

/* ---- below the cover ------------------------------------------------------------------------- */

struct looker {
	const struct look_place *place;
	const struct pins *pins;
	int channel;
};

static int hand_over(int channel, const struct sighting *s, const struct maps *m)
{
	struct iovec data = { .iov_base = (void *)s, .iov_len = sizeof(*s) };
	union ancillary room = {};
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	struct cmsghdr *head;
	int fds[HANDED];
	size_t i;

	if (m) {
		for (i = 0; i < HANDED; i++)
			fds[i] = m->fd[handed[i]];
		message.msg_control = room.bytes;
		message.msg_controllen = sizeof(room.bytes);
		head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(head), fds, sizeof(fds));
	}
	return sendmsg(channel, &message, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int complain(int channel, const char *name, const struct err *e)
{
	struct sighting s = { .code = e->code };

	snprintf(s.name, sizeof(s.name), "%s", name);
	snprintf(s.text, sizeof(s.text), "%.511s", e->text);
	return hand_over(channel, &s, NULL);
}

static int look_at(const char *name, void *data)
{
	const struct looker *l = data;
	_cleanup_fence_ struct fence *f = NULL;
	struct sighting s = {};
	struct pins pins;
	struct err e = {};
	int r = pins_init(&pins, l->place->bpffs, l->place->run_dir, name, &e);

	if (!r)
		r = fence_peek(&pins, name, &f, &e);
	if (r == -ENOENT)
		return 0;
	if (r)
		return complain(l->channel, name, &e);
	snprintf(s.name, sizeof(s.name), "%s", f->name);
	s.netns = f->policy.netns;
	s.mode = f->policy.mode;
	return hand_over(l->channel, &s, &f->maps);
}

static void look_below(const struct look_place *place, int channel)
{
	struct pins pins;
	struct looker l = { .place = place, .pins = &pins, .channel = channel };
	struct err e = {};
	int r = pins_init(&pins, place->bpffs, place->run_dir, "-", &e);

	if (!r)
		r = pins_enter(&pins, &e);
	if (r) {
		complain(channel, "", &e);
		return;
	}
	if (place->name) {
		look_at(place->name, &l);
		return;
	}
	r = pin_each_fence(&pins, look_at, &l);
	if (r) {
		err_set(&e, r, "'%s' cannot be read: %s; are you root?", pins.own_root, strerror(-r));
		complain(channel, "", &e);
	}
}

/* ---- above it -------------------------------------------------------------------------------- */

/* Of what did not fit some may be there. Returns how many. */
static size_t descriptors_of(struct msghdr *message, int ret[HANDED])
{
	const struct cmsghdr *head = CMSG_FIRSTHDR(message);
	size_t count;

	if (!head || head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
		return 0;
	count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(*ret);
	if (count > HANDED)
		count = HANDED;
	memcpy(ret, CMSG_DATA(head), count * sizeof(*ret));
	return count;
}

/* 1: there is one; 0: that was all. */
static int take_over(int channel, struct sighting *ret, struct maps *m)
{
	struct iovec data = { .iov_base = ret, .iov_len = sizeof(*ret) };
	union ancillary room = {};
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = room.bytes,
				  .msg_controllen = sizeof(room.bytes) };
	int fds[HANDED];
	ssize_t n = recvmsg(channel, &message, MSG_CMSG_CLOEXEC);
	size_t i, count;

	if (n <= 0)
		return n ? -errno : 0;
	count = descriptors_of(&message, fds);
	for (i = 0; i < count; i++)
		m->fd[handed[i]] = fds[i];
	if (count < HANDED && !ret->code)
		return -EMFILE; /* no room for another descriptor */
	return n == sizeof(*ret) ? 1 : -EBADMSG;
}

static int take_all(int channel, look_cb cb, void *data, struct err *e)
{
	struct sighting s;
	struct maps m;
	int r;

	for (;;) {
		maps_init(&m);
		r = take_over(channel, &s, &m);
		if (r < 0)
			err_set(e, r, "fences cannot be looked at: %s", strerror(-r));
		else if (r && s.code && !s.name[0])
			r = err_set(e, s.code, "%s", s.text);
		else if (r)
			r = cb(&s, &m, data) ?: 1;
		maps_close(&m);
		if (r <= 0)
			return r;
	}
}

int watch_look(const struct look_place *place, look_cb cb, void *data, struct err *e)
{
	_cleanup_close_ int here = -1;
	int both[2], r;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both))
		return err_set(e, -errno, "fences cannot be looked at: %s", strerror(errno));
	here = both[0];
	child = fork();
	if (child == 0) {
		alarm(LOOK_LONGEST_S);
		look_below(place, both[1]);
		_exit(0);
	}
	r = child < 0 ? err_set(e, -errno, "fences cannot be looked at: %s", strerror(errno)) : 0;
	close(both[1]);
	if (!r)
		r = take_all(here, cb, data, e);
	if (child > 0)
		waitpid(child, NULL, 0);
	return r;
}

static __u64 sign_of(int dir, const char *path)
{
	struct stat st;

	if (fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW))
		return 0;
	return (__u64)st.st_ino * 31 + (__u64)st.st_mtim.tv_sec * 1000000007ULL +
	       (__u64)st.st_mtim.tv_nsec;
}

__u64 watch_look_sign(const char *bpffs)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *d;
	__u64 sign = 1;

	snprintf(path, sizeof(path), "%s/tunfence", bpffs);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/progs", d->d_name);
		sign += hash_name(d->d_name) + sign_of(dirfd(dir), d->d_name) +
			sign_of(dirfd(dir), path);
	}
	return sign;
}
