// SPDX-License-Identifier: GPL-2.0
/* Pins, their two homes, and the lock: see pin.h. Never attaches or loads anything. */
#include "pin.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "fault.h"
#include "util.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif

#define LOCK_WAIT_MS 10000
#define LOCK_POLL_MS 20

/* A pin on its way to its place. No fence, device or map has this in its name. */
#define NEW_PREFIX "~"

static int path_join(char out[PATH_MAX], const char *dir, const char *name, struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);

	if (n < 0 || n >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "'%s/%s' is too long a path", dir, name);
	return 0;
}

int pins_init(struct pins *p, const char *bpffs, const char *run, const char *name, struct err *e)
{
	int r = path_join(p->shown_root, bpffs, "tunfence", e);

	if (!r)
		r = path_join(p->own_root, run, "bpf", e);
	if (!r)
		r = path_join(p->shown, p->shown_root, name, e);
	if (!r)
		r = path_join(p->own, p->own_root, name, e);
	if (!r && (size_t)snprintf(p->run, sizeof(p->run), "%s", run) >= sizeof(p->run))
		r = err_set(e, -ENAMETOOLONG, "'%s' is too long a path", run);
	return r;
}

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static int make_dir(const char *path, struct err *e)
{
	if (mkdir(path, 0700) == 0) {
		fault_step();
		return 0;
	}
	if (errno == EEXIST)
		return 0;
	return err_set(e, -errno, "'%s' cannot be made: %s", path, strerror(errno));
}

static int mount_own(const struct pins *p, struct err *e)
{
	int r = make_dir(p->own_root, e);

	if (r || is_bpffs(p->own_root))
		return r;
	r = mount("bpf", p->own_root, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700");
	fault_step();
	if (r)
		return err_set(e, -errno, "a bpffs cannot be mounted on '%s': %s", p->own_root,
			       strerror(errno));
	return 0;
}

int pins_make_roots(const struct pins *p, struct err *e)
{
	char bpffs[PATH_MAX];
	int r;

	memcpy(bpffs, p->shown_root, sizeof(bpffs));
	*strrchr(bpffs, '/') = '\0';
	if (!is_bpffs(bpffs))
		return err_set(e, -ENODEV,
			       "'%s' is not a BPF file system; mount one with 'mount -t bpf bpf %s'",
			       bpffs, bpffs);
	r = make_dir(p->run, e);
	if (!r)
		r = mount_own(p, e);
	if (!r)
		r = make_dir(p->shown_root, e);
	return r;
}

static const char *const shown_kinds[] = { "links", "progs", "maps" };

/* Maps live as long as the programs that use them: pinned once, to be looked at. */
static bool is_owned(const char *kind)
{
	return !streq(kind, "maps");
}

int pins_make(const struct pins *p, struct err *e)
{
	char path[PATH_MAX];
	size_t i;
	int r = make_dir(p->own, e);

	if (!r)
		r = make_dir(p->shown, e);
	for (i = 0; !r && i < ARRAY_SIZE(shown_kinds); i++) {
		r = path_join(path, p->shown, shown_kinds[i], e);
		if (!r)
			r = make_dir(path, e);
		if (r || !is_owned(shown_kinds[i]))
			continue;
		r = path_join(path, p->own, shown_kinds[i], e);
		if (!r)
			r = make_dir(path, e);
	}
	return r;
}

static int remove_path(const char *path, bool directory, struct err *e)
{
	int r = directory ? rmdir(path) : unlink(path);

	if (r == 0) {
		fault_step();
		return 0;
	}
	if (errno == ENOENT)
		return 0;
	return err_set(e, -errno, "'%s' cannot be removed: %s", path, strerror(errno));
}

/* Removes what is directly in a directory and begins with prefix. */
static int remove_entries(const char *path, const char *prefix, struct err *e)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	char entry[PATH_MAX];
	struct dirent *d;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 :
					 err_set(e, -errno, "'%s': %s", path, strerror(errno));
	while (!r && (d = readdir(dir))) {
		if (d->d_name[0] == '.' || strncmp(d->d_name, prefix, strlen(prefix)) != 0)
			continue;
		r = path_join(entry, path, d->d_name, e);
		if (!r)
			r = remove_path(entry, d->d_type == DT_DIR, e);
	}
	return r;
}

static int remove_dir(const char *path, struct err *e)
{
	int r = remove_entries(path, "", e);

	return r ? r : remove_path(path, true, e);
}

int pins_sweep(const struct pins *p, struct err *e)
{
	const char *const homes[] = { p->own, p->shown };
	char path[PATH_MAX];
	size_t i, j;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(homes); i++) {
		for (j = 0; !r && j < ARRAY_SIZE(shown_kinds); j++) {
			r = path_join(path, homes[i], shown_kinds[j], e);
			if (!r)
				r = remove_entries(path, NEW_PREFIX, e);
		}
	}
	return r;
}

static int remove_home(const char *home, struct err *e)
{
	char path[PATH_MAX];
	size_t i;
	int r = 0;

	for (i = 0; !r && i < ARRAY_SIZE(shown_kinds); i++) {
		r = path_join(path, home, shown_kinds[i], e);
		if (!r)
			r = remove_dir(path, e);
	}
	return r ? r : remove_dir(home, e);
}

int pins_remove(const struct pins *p, struct err *e)
{
	int r = remove_home(p->shown, e);

	return r ? r : remove_home(p->own, e);
}

int pins_lock(const struct pins *p, struct err *e)
{
	const struct timespec pause = { .tv_nsec = LOCK_POLL_MS * 1000000L };
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];
	int waited, r;

	r = path_join(path, p->run, "lock", e);
	if (r)
		return r;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_set(e, -errno, "'%s' cannot be opened: %s", path, strerror(errno));
	for (waited = 0; flock(fd, LOCK_EX | LOCK_NB); waited += LOCK_POLL_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_set(e, -errno, "'%s' cannot be locked: %s", path,
				       strerror(errno));
		if (waited >= LOCK_WAIT_MS)
			return err_set(e, -EBUSY,
				       "another tunfence is at work ('%s' is locked); wait for it "
				       "or see who holds it with 'fuser %s'",
				       path, path);
		nanosleep(&pause, NULL);
	}
	return TAKE_FD(fd);
}

static int pin_path(char out[PATH_MAX], const char *home, const char *kind, const char *prefix,
		    const char *name, struct err *e)
{
	int n = snprintf(out, PATH_MAX, "%s/%s/%s%s", home, kind, prefix, name);

	if (n < 0 || n >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "'%s/%s/%s' is too long a path", home, kind, name);
	return 0;
}

static int put_in(const char *home, const char *kind, const char *name, int fd, struct err *e)
{
	char place[PATH_MAX], beside[PATH_MAX];
	int r;

	r = pin_path(place, home, kind, "", name, e);
	if (!r)
		r = pin_path(beside, home, kind, NEW_PREFIX, name, e);
	if (!r)
		r = remove_path(beside, false, e); /* left by a run that was killed here */
	if (r)
		return r;
	r = bpf_obj_pin(fd, beside);
	fault_step();
	if (r)
		return err_set(e, -errno, "'%s' cannot be pinned: %s", beside, strerror(errno));
	r = rename(beside, place);
	fault_step();
	if (r)
		return err_set(e, -errno, "'%s' cannot be renamed to '%s': %s", beside, place,
			       strerror(errno));
	return 0;
}

int pin_put(const struct pins *p, const char *kind, const char *name, int fd, struct err *e)
{
	int r = is_owned(kind) ? put_in(p->own, kind, name, fd, e) : 0;

	return r ? r : put_in(p->shown, kind, name, fd, e);
}

/* A BPF object's name in /proc/self/fd ("anon_inode:bpf-link", or "bpf_link" from another call) is
 * the only way to tell its kind before asking for details, which each lays out differently. */
static bool is_of_kind(int fd, const char *kind)
{
	const size_t before = strlen("anon_inode:bpf-");
	char path[64], target[64];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n <= (ssize_t)before)
		return false;
	target[n] = '\0';
	/* "link" of "links" */
	return strlen(target + before) + 1 == strlen(kind) &&
	       strncmp(target + before, kind, strlen(kind) - 1) == 0;
}

const char *pin_home_path(const struct pins *p, enum pin_home home)
{
	return home == PIN_OWN ? p->own : p->shown;
}

int pin_open(const struct pins *p, enum pin_home home, const char *kind, const char *name)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];

	if (pin_path(path, pin_home_path(p, home), kind, "", name, NULL))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	return is_of_kind(fd, kind) ? TAKE_FD(fd) : -EBADMSG;
}

int pin_drop(const struct pins *p, const char *kind, const char *name, struct err *e)
{
	char path[PATH_MAX];
	int r = pin_path(path, p->shown, kind, "", name, e);

	if (!r)
		r = remove_path(path, false, e);
	if (!r)
		r = pin_path(path, p->own, kind, "", name, e);
	return r ? r : remove_path(path, false, e);
}

/* What a fence, or a pin of ours, may be called: bpffs has entries of its own with a '.'. */
static bool is_ours(const char *name)
{
	return !strchr(name, '.') && strncmp(name, NEW_PREFIX, strlen(NEW_PREFIX)) != 0;
}

/* Names in path, but for those that other (if given) has as well. */
static int each_in(const char *path, const char *other, pin_cb cb, void *data)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	char twin[PATH_MAX];
	struct dirent *d;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (d = readdir(dir))) {
		if (!is_ours(d->d_name))
			continue;
		if (other && path_join(twin, other, d->d_name, NULL) == 0 &&
		    access(twin, F_OK) == 0)
			continue;
		r = cb(d->d_name, data);
	}
	return r;
}

int pin_each(const struct pins *p, const char *kind, pin_cb cb, void *data)
{
	char own[PATH_MAX], shown[PATH_MAX];
	int r;

	if (path_join(own, p->own, kind, NULL) || path_join(shown, p->shown, kind, NULL))
		return -ENAMETOOLONG;
	r = each_in(own, NULL, cb, data);
	return r ? r : each_in(shown, own, cb, data);
}

int pin_each_fence(const struct pins *p, pin_cb cb, void *data)
{
	int r = each_in(p->own_root, NULL, cb, data);

	return r ? r : each_in(p->shown_root, p->own_root, cb, data);
}
