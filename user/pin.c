// SPDX-License-Identifier: GPL-2.0
/* Pins and the lock: see pin.h. Mounts nothing (pin_roots.c does), attaches or loads nothing. */
#include "pin.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "fault.h"
#include "util.h"

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
		r = path_join(p->held, bpffs, "tunfence-held", e);
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

int pins_of_another(const struct pins *p, const char *name, struct pins *ret)
{
	struct pins other = *p;
	int r = path_join(other.shown, p->shown_root, name, NULL);

	if (!r)
		r = path_join(other.own, p->own_root, name, NULL);
	if (!r)
		*ret = other;
	return r;
}

/* What there is of each kind where. Links are held by their pins. A program's pin leads to it, also
 * when somebody has taken it off its hook. Maps live as long as the programs that use them, but an
 * array of programs is emptied when it has no pin. */
static const struct {
	const char *name;
	bool own, shown;
} kinds[] = {
	{ "links", true, false },
	{ "progs", true, true },
	{ "maps", false, true },
	{ "arrays", true, false },
};

static int make_kind(const char *home, const char *kind, struct err *e)
{
	char path[PATH_MAX];
	int r = path_join(path, home, kind, e);

	return r ? r : pins_make_dir(path, e);
}

int pins_make(const struct pins *p, struct err *e)
{
	size_t i;
	int r = pins_make_dir(p->own, e);

	if (!r)
		r = pins_make_dir(p->shown, e);
	for (i = 0; !r && i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].own)
			r = make_kind(p->own, kinds[i].name, e);
		if (!r && kinds[i].shown)
			r = make_kind(p->shown, kinds[i].name, e);
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
		for (j = 0; !r && j < ARRAY_SIZE(kinds); j++) {
			r = path_join(path, homes[i], kinds[j].name, e);
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

	for (i = 0; !r && i < ARRAY_SIZE(kinds); i++) {
		r = path_join(path, home, kinds[i].name, e);
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
	size_t i;
	int r = 0;

	for (i = 0; !r && i < ARRAY_SIZE(kinds); i++) {
		if (!streq(kinds[i].name, kind))
			continue;
		if (kinds[i].own)
			r = put_in(p->own, kind, name, fd, e);
		if (!r && kinds[i].shown)
			r = put_in(p->shown, kind, name, fd, e);
	}
	return r;
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

static int open_in(const char *home, const char *kind, const char *name)
{
	_cleanup_close_ int fd = -1;
	char path[PATH_MAX];

	if (pin_path(path, home, kind, "", name, NULL))
		return -ENAMETOOLONG;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	return is_of_kind(fd, kind) ? TAKE_FD(fd) : -EBADMSG;
}

int pin_open(const struct pins *p, const char *kind, const char *name)
{
	return open_in(p->own, kind, name);
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

static bool is_dispatcher(const char *name)
{
	return strncmp(name, PIN_DISPATCHER, strlen(PIN_DISPATCHER)) == 0;
}

/* Names in path that are wanted, but for those that other (if given) has as well. */
static int each_in(const char *path, bool (*wanted)(const char *name), const char *other, pin_cb cb,
		   void *data)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	char twin[PATH_MAX];
	struct dirent *d;
	int r = 0;

	if (!dir)
		return errno == ENOENT ? 0 : -errno;
	while (!r && (d = readdir(dir))) {
		if (!wanted(d->d_name))
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
	char path[PATH_MAX];

	if (path_join(path, p->own, kind, NULL))
		return -ENAMETOOLONG;
	return each_in(path, is_ours, NULL, cb, data);
}

int pin_each_fence(const struct pins *p, pin_cb cb, void *data)
{
	int r = each_in(p->own_root, is_ours, NULL, cb, data);

	return r ? r : each_in(p->shown_root, is_ours, p->own_root, cb, data);
}

int pin_each_dispatcher(const struct pins *p, pin_cb cb, void *data)
{
	return each_in(p->own_root, is_dispatcher, NULL, cb, data);
}

struct adoption {
	const struct pins *pins;
	struct err *e;
};

/* First pinned where it goes, then unpinned where it was. What is no link is in the way only. */
static int adopt_link(const char *name, void *data)
{
	const struct adoption *a = data;
	_cleanup_close_ int own = open_in(a->pins->own, "links", name);
	_cleanup_close_ int shown = open_in(a->pins->shown, "links", name);
	char path[PATH_MAX];
	int r = pin_path(path, a->pins->shown, "links", "", name, a->e);

	if (!r && shown < 0 && shown != -EBADMSG)
		r = err_set(a->e, shown, "'%s' cannot be opened: %s", path, strerror(-shown));
	if (!r && own < 0 && shown >= 0)
		r = put_in(a->pins->own, "links", name, shown, a->e);
	return r ? r : remove_path(path, false, a->e);
}

static int shown_links(const struct pins *p, char ret[PATH_MAX], struct err *e)
{
	return path_join(ret, p->shown, "links", e);
}

bool pins_are_shown(const struct pins *p)
{
	char path[PATH_MAX];

	return shown_links(p, path, NULL) == 0 && access(path, F_OK) == 0;
}

int pins_adopt(const struct pins *p, struct err *e)
{
	struct adoption adoption = { .pins = p, .e = e };
	char path[PATH_MAX];
	int r;

	if (!pins_are_shown(p))
		return 0;
	r = pins_make(p, e);
	if (!r)
		r = shown_links(p, path, e);
	if (!r)
		r = each_in(path, is_ours, NULL, adopt_link, &adoption);
	return r ? r : remove_dir(path, e);
}
