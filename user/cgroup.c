// SPDX-License-Identifier: GPL-2.0
/*
 * One cgroup2 group: see cgroup.h. Finds the mount, opens the directory, reads its identity.
 * Never makes a group, never moves a process, never takes a cgroup v1 directory for one of v2.
 */
#define _GNU_SOURCE /* name_to_handle_at, open_by_handle_at */

#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "util.h"

#define MOUNTINFO "/proc/self/mountinfo"

enum cgroup_limit {
	CGROUP_PATH = sizeof(((struct cgroup *)0)->path),
	CGROUP_ROOT_ID = 1,        /* of the hierarchy's root, on every kernel with cgroup2 */
	CGROUP_MAX_DEPTH = 4096,   /* longer than any path that fits */
	FILEID_KERNFS_TYPE = 0xfe, /* FILEID_KERNFS of include/linux/exportfs.h */
};

/* Undoes mountinfo's \040 and the like, in place: the text only gets shorter. */
static void unescape(char *text)
{
	char *to = text;

	for (const char *at = text; *at; to++) {
		if (at[0] == '\\' && at[1] >= '0' && at[1] <= '3' && at[2] >= '0' && at[2] <= '7' &&
		    at[3] >= '0' && at[3] <= '7') {
			*to = (char)((at[1] - '0') << 6 | (at[2] - '0') << 3 | (at[3] - '0'));
			at += 4;
		} else {
			*to = *at++;
		}
	}
	*to = '\0';
}

/* "36 35 98:0 ROOT MOUNTPOINT rw,noatime shared:1 - TYPE source options". True if TYPE is cgroup2;
 * then *root and *point are within line. */
static bool parse_line(char *line, char **root, char **point)
{
	char *fields[6], *rest = line, *field;

	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i] = strsep(&rest, " ");
		if (!fields[i] || !*fields[i])
			return false;
	}

	do
		field = strsep(&rest, " "); /* optional fields, any number, up to a "-" */
	while (field && !streq(field, "-"));

	field = strsep(&rest, " ");
	if (!field || !streq(field, "cgroup2"))
		return false;

	*root = fields[3];
	*point = fields[4];
	unescape(*root);
	unescape(*point);
	return **point == '/';
}

int cgroup_parse_mountinfo(FILE *stream, char ret_path[4096], struct err *e)
{
	_cleanup_free_ char *line = NULL, *only = NULL;
	unsigned int inner = 0; /* mounts that begin somewhere inside the hierarchy */
	size_t size = 0;
	char *root, *point;

	while (getline(&line, &size, stream) >= 0) {
		if (!parse_line(line, &root, &point) || strlen(point) >= CGROUP_PATH)
			continue;
		if (streq(root, "/")) {
			strcpy(ret_path, point);
			return 0;
		}
		if (inner++)
			continue;
		only = strdup(point);
		if (!only)
			return err_set(e, -ENOMEM, "out of memory");
	}

	if (ferror(stream))
		return err_set(e, -EIO, "cannot read '%s' to its end; try again", MOUNTINFO);
	if (inner > 1)
		return err_set(e, -ENOENT,
			       "%u cgroup2 file systems are mounted and none shows the hierarchy's "
			       "root, as in a container: cannot tell which is meant; name the "
			       "group by its absolute path", inner);
	if (!inner)
		return err_set(e, -ENOENT,
			       "no cgroup2 file system is mounted; run "
			       "'mount -t cgroup2 none /sys/fs/cgroup' or boot with cgroup v2");

	strcpy(ret_path, only);
	return 0;
}

int cgroup_find_mount(char ret_path[4096], struct err *e)
{
	_cleanup_fclose_ FILE *stream = fopen(MOUNTINFO, "re");

	if (!stream)
		return err_set(e, -errno, "cannot open '%s': %s; mount proc on /proc", MOUNTINFO,
			       strerror(errno));

	return cgroup_parse_mountinfo(stream, ret_path, e);
}

/* The kernel's own identity of the directory; its inode number, equal on 64-bit kernels, where file
 * handles are refused (seccomp). */
static int read_id(int fd, __u64 *ret)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(__u64)];
	} u = { .handle.handle_bytes = sizeof(__u64) };
	struct stat st;
	int mount;

	if (!name_to_handle_at(fd, "", &u.handle, &mount, AT_EMPTY_PATH) &&
	    u.handle.handle_type == FILEID_KERNFS_TYPE &&
	    u.handle.handle_bytes == sizeof(__u64)) {
		memcpy(ret, u.handle.f_handle, sizeof(*ret));
		return 0;
	}

	if (fstat(fd, &st) < 0)
		return -errno;

	*ret = st.st_ino;
	return 0;
}

/* The other way round. */
static int open_by_id(int mount, __u64 id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(__u64)];
	} u = { .handle = { .handle_bytes = sizeof(__u64), .handle_type = FILEID_KERNFS_TYPE } };
	int fd;

	memcpy(u.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(mount, &u.handle, O_PATH | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int cgroup_path_of(__u64 id, char ret_path[CGROUP_PATH])
{
	_cleanup_close_ int mount = -1, fd = -1;
	char path[CGROUP_PATH], link[64];
	ssize_t n;
	int r = cgroup_find_mount(path, NULL);

	if (r)
		return r;
	mount = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (mount < 0)
		return -errno;
	fd = open_by_id(mount, id);
	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0)
		return -errno;
	path[n] = '\0';
	if (n > 10 && streq(path + n - 10, " (deleted)"))
		return -ESTALE;
	strcpy(ret_path, path);
	return 0;
}

static bool is_cgroup2(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Climbs to the hierarchy's root and counts. A mount that begins further down, as in a container,
 * ends the climb early: then the level is unknown, for a guess would judge the wrong group. */
static int read_level(int fd, __u64 id, __u32 *ret)
{
	_cleanup_close_ int at = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	__u32 level = 0;

	if (at < 0)
		return -errno;

	while (id != CGROUP_ROOT_ID) {
		_cleanup_close_ int below = TAKE_FD(at);
		int r;

		at = openat(below, "..", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		if (at < 0)
			return -errno;
		if (!is_cgroup2(at) || ++level > CGROUP_MAX_DEPTH) {
			level = CGROUP_LEVEL_UNKNOWN;
			break;
		}

		r = read_id(at, &id);
		if (r < 0)
			return r;
	}

	*ret = level;
	return 0;
}

/* The absolute path that was meant. */
static int full_path(const char *path, char ret[CGROUP_PATH], struct err *e)
{
	char mount[CGROUP_PATH] = "";
	int r, n;

	if (path[0] != '/') {
		r = cgroup_find_mount(mount, e);
		if (r < 0)
			return r;
	}

	n = snprintf(ret, CGROUP_PATH, "%s%s%s", mount, *mount && *path ? "/" : "", path);
	if (n < 0 || n >= CGROUP_PATH)
		return err_set(e, -ENAMETOOLONG, "the path of cgroup '%s' is too long", path);
	return 0;
}

int cgroup_open(const char *path, struct cgroup *ret, struct err *e)
{
	_cleanup_(cgroup_close) struct cgroup c = { .fd = -1 };
	int r;

	r = full_path(path ? path : "", c.path, e);
	if (r < 0)
		return r;

	c.fd = open(c.path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
	if (c.fd < 0 && errno == ENOENT)
		return err_set(e, -ENOENT, "there is no cgroup '%s'; start the unit or make the "
			       "group first", c.path);
	if (c.fd < 0)
		return err_set(e, -errno, "cannot open cgroup '%s': %s", c.path, strerror(errno));
	if (!is_cgroup2(c.fd))
		return err_set(e, -EINVAL, "'%s' is not a cgroup2 directory; name a group below the "
			       "cgroup2 mount", c.path);

	r = read_id(c.fd, &c.id);
	if (!r)
		r = read_level(c.fd, c.id, &c.level);
	if (r < 0)
		return err_set(e, r, "cannot tell the identity of cgroup '%s': %s", c.path,
			       strerror(-r));

	*ret = c;
	c.fd = -1;
	return 0;
}

void cgroup_close(struct cgroup *c)
{
	if (!c)
		return;

	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

/* No id is ever used again; so it is looked for where it could be, and not at a path. */
static bool is_below(int at, __u64 id, __u32 depth)
{
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *d;
	bool found = false;

	dir = fdopendir(at);
	if (!dir)
		close(at);
	while (dir && !found && (d = readdir(dir))) {
		if (d->d_type != DT_DIR || streq(d->d_name, ".") || streq(d->d_name, ".."))
			continue;
		if (depth == 1) {
			found = d->d_ino == id;
			continue;
		}
		at = openat(dirfd(dir), d->d_name, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		found = at >= 0 && is_below(at, id, depth - 1);
	}
	return found;
}

bool cgroup_has_directory(__u64 id, __u32 level)
{
	struct cgroup root = { .fd = -1 };

	if (level > CGROUP_MAX_DEPTH || cgroup_open(NULL, &root, NULL))
		return false;
	if (level > root.level)
		return is_below(root.fd, id, level - root.level);
	cgroup_close(&root);
	return root.id == id;
}

void cgroups_free(struct cgroups *c)
{
	for (size_t i = 0; i < c->count; i++)
		cgroup_close(&c->list[i]);
	free(c->list);
	*c = (struct cgroups){};
}

bool cgroup_is_within(const struct cgroup *inner, const struct cgroup *outer)
{
	_cleanup_close_ int at = fcntl(inner->fd, F_DUPFD_CLOEXEC, 0);
	__u64 id = inner->id;

	for (__u32 level = inner->level; at >= 0 && level > outer->level; level--) {
		_cleanup_close_ int below = TAKE_FD(at);

		at = openat(below, "..", O_DIRECTORY | O_RDONLY | O_CLOEXEC);
		if (at < 0 || read_id(at, &id))
			return false;
	}
	return at >= 0 && id == outer->id;
}

static bool is_slice(const struct dirent *d)
{
	const char *dot = strrchr(d->d_name, '.');

	return d->d_type == DT_DIR && dot && streq(dot, ".slice");
}

/* Appends "/PREFIXname" to the path, if there is such a directory. */
static bool descend(char path[CGROUP_PATH], const char *prefix, const char *name)
{
	size_t end = strlen(path);
	int n = snprintf(path + end, CGROUP_PATH - end, "/%s%s", prefix, name);
	struct stat st;

	if (n > 0 && (size_t)n < CGROUP_PATH - end && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
		return true;
	path[end] = '\0';
	return false;
}

/* A name that could be one of cgroup's own files, such as cpu.service, has a '_' in front of it; so
 * does one that begins with '_' (cg_escape() of systemd). */
static bool has_unit(char path[CGROUP_PATH], const char *unit)
{
	return (unit[0] != '_' && descend(path, "", unit)) || descend(path, "_", unit);
}

static bool find_below(char path[CGROUP_PATH], const char *unit, const char *outside)
{
	_cleanup_closedir_ DIR *dir = NULL;
	size_t end = strlen(path);
	struct dirent *d;

	if (outside && streq(path, outside))
		return false;
	if (has_unit(path, unit))
		return true;
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		if (!is_slice(d) || !descend(path, "", d->d_name))
			continue;
		if (find_below(path, unit, outside))
			return true;
		path[end] = '\0';
	}
	return false;
}

int cgroup_find_unit(const char *root, const char *unit, const char *outside, char ret_path[4096],
		     struct err *e)
{
	char path[CGROUP_PATH];

	if ((size_t)snprintf(path, sizeof(path), "%s", root) >= sizeof(path))
		return err_set(e, -ENAMETOOLONG, "'%s' is too long a path", root);
	if (!find_below(path, unit, outside))
		return err_set(e, -ENOENT,
			       "unit '%s' has no cgroup below the slices of '%s'; start it first "
			       "('systemctl start %s'), or name a slice that is there, or the group of a "
			       "user's unit by Cgroup=PATH",
			       unit, root, unit);
	strcpy(ret_path, path);
	return 0;
}

int cgroup_open_unit(const char *unit, const char *outside, struct cgroup *ret, struct err *e)
{
	char mount[CGROUP_PATH], path[CGROUP_PATH];
	int r = cgroup_find_mount(mount, e);

	if (!r)
		r = cgroup_find_unit(mount, unit, outside, path, e);
	return r ? r : cgroup_open(path, ret, e);
}
