// SPDX-License-Identifier: GPL-2.0
/* The two homes of pins and the cover: see pin.h. Mounts; touches no pin. */
#define _GNU_SOURCE /* unshare() */
#include <errno.h>
#include <linux/magic.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>

#include "fault.h"
#include "mounts.h"
#include "pin.h"
#include "util.h"

#ifndef BPF_FS_MAGIC
#define BPF_FS_MAGIC 0xcafe4a11
#endif

static bool is_bpffs(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && (unsigned long)fs.f_type == BPF_FS_MAGIC;
}

static bool is_same_fs(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev;
}

int pins_make_dir(const char *path, struct err *e)
{
	if (mkdir(path, 0700) == 0) {
		fault_step();
		return 0;
	}
	if (errno == EEXIST)
		return 0;
	return err_set(e, -errno, "'%s' cannot be made (%s); nothing can be fenced, and networks that "
		       "wait for a fence stay down, until it can%s", path, strerror(errno),
		       errno == ENOSPC ? ": make room there (df -h, df -i)" : "");
}

static int mount_own(const struct pins *p, struct err *e)
{
	int r = pins_make_dir(p->own_root, e);

	if (r || is_bpffs(p->own_root))
		return r;
	r = mount("bpf", p->own_root, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700");
	fault_step();
	if (r)
		return err_set(e, -errno, "a bpffs cannot be mounted on '%s': %s", p->own_root,
			       strerror(errno));
	return 0;
}

/* By its looks: nobody who may not mount can make the like. */
static bool has_cover(const char *path)
{
	struct statfs fs;
	struct stat st;

	return stat(path, &st) == 0 && (st.st_mode & 07777) == 0 && statfs(path, &fs) == 0 &&
	       (unsigned long)fs.f_type == TMPFS_MAGIC && fs.f_flags & ST_RDONLY;
}

static int cover(const char *path, struct err *e)
{
	int r = mount("tunfence", path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		      "size=4k,mode=0");

	fault_step();
	if (r)
		return err_set(e, -errno, "'%s' cannot be covered: %s", path, strerror(errno));
	return 0;
}

static int uncover(const char *path, struct err *e)
{
	while (has_cover(path)) {
		if (umount2(path, MNT_DETACH))
			return err_set(e, -errno, "the cover of '%s' cannot be taken off: %s", path,
				       strerror(errno));
	}
	return 0;
}

static int mount_again(const char *from, const char *to, struct err *e)
{
	int r = pins_make_dir(to, e);

	if (r || is_same_fs(from, to))
		return r;
	r = mount(from, to, NULL, MS_BIND, NULL);
	fault_step();
	if (r)
		return err_set(e, -errno, "'%s' cannot be mounted on '%s' as well: %s", from, to,
			       strerror(errno));
	return 0;
}

/* Of this process: it enters once, whatever fences it then works on. */
static bool is_covered;

bool pins_are_covered(void)
{
	return is_covered;
}

int pins_cover(const struct pins *p, struct err *e)
{
	if (is_covered || has_cover(p->run))
		return 0;
	return is_bpffs(p->own_root) || has_cover(p->held) ? cover(p->run, e) : 0;
}

/* Where somebody took RUN's mounts away, the other place has what they held. */
static int take_covers_off(const struct pins *p, struct err *e)
{
	int r = uncover(p->run, e);

	if (!r)
		r = uncover(p->held, e);
	if (!r && !is_bpffs(p->own_root) && is_bpffs(p->held) && !is_same_fs(p->held, p->shown_root))
		r = mount_again(p->held, p->own_root, e);
	return r;
}

int pins_enter(const struct pins *p, struct err *e)
{
	int r;

	if (!has_cover(p->run) && !has_cover(p->held))
		return 0;
	is_covered = has_cover(p->run);
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return err_set(e, -errno,
			       "what is below '%s' is covered for all but who has a mount namespace of "
			       "their own, and that cannot be had: %s; run this as root, in a unit "
			       "without RestrictNamespaces= and with @mount in its SystemCallFilter=",
			       p->run, strerror(errno));
	r = take_covers_off(p, e);
	if (r)
		is_covered = false;
	return r;
}

static int check_own(const struct pins *p, struct err *e)
{
	if (is_bpffs(p->own_root))
		return 0;
	return err_set(e, -ENODEV,
		       "'%s' is no BPF file system any more (somebody took it away below its cover); "
		       "run 'umount %s' and then this again",
		       p->own_root, p->run);
}

/* Says where BPFFS is. */
static int find_bpffs(const struct pins *p, char ret[PATH_MAX], struct err *e)
{
	memcpy(ret, p->shown_root, PATH_MAX);
	*strrchr(ret, '/') = '\0';
	if (is_bpffs(ret))
		return 0;
	return err_set(e, -ENODEV,
		       "'%s' is not a BPF file system; mount one with 'mount -t bpf bpf %s'", ret, ret);
}

int pins_prepare(const struct pins *p, struct err *e)
{
	char bpffs[PATH_MAX];
	int r = find_bpffs(p, bpffs, e);

	if (!r)
		r = pins_make_dir(p->shown_root, e);
	if (!r)
		r = pins_make_dir(p->run, e);
	if (r || has_cover(p->run) || has_cover(p->held))
		return r ? r : pins_cover(p, e);
	r = mount_own(p, e);
	if (!r)
		r = mount_again(p->own_root, p->held, e);
	if (!r)
		r = cover(p->held, e);
	return r ? r : pins_cover(p, e);
}

int pins_make_roots(const struct pins *p, struct err *e)
{
	int r = pins_prepare(p, e);

	if (!r)
		r = pins_enter(p, e);
	return r ? r : check_own(p, e);
}

int pins_find_roots(const struct pins *p, struct err *e)
{
	char bpffs[PATH_MAX];
	int r = find_bpffs(p, bpffs, e);

	if (!r)
		r = mounts_check_bpffs(bpffs, bpffs, e);
	if (!r)
		r = pins_make_dir(p->shown_root, e);
	if (!r)
		r = pins_enter(p, e);
	if (!r && !is_bpffs(p->own_root))
		r = err_set(e, -ENODEV, "there is no BPF file system at '%s'", p->own_root);
	if (r || mounts_check_bpffs(p->own_root, p->held, NULL) == 0)
		return r;
	return mounts_check_bpffs(p->own_root, p->own_root, e);
}
