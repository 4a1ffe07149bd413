// SPDX-License-Identifier: GPL-2.0
/* A fence's own cgroups: see slice.h. Makes and removes groups; moves no process and knows no fence
 * but by its name. */
#include "slice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "group.h"
#include "systemd.h"
#include "util.h"

#define BEFORE "tunfence-"

static const char *const after[] = {
	[SLICE_FENCED] = ".slice",
	[SLICE_EXEMPT] = "-exempt.slice",
};

/* Of "tunfence-", "-exempt", "-4294967295" and ".scope", and NUL. */
#define AROUND 36

int slice_escape(const char *fence, char ret[UNIT_NAME_LEN], struct err *e)
{
	char text[UNIT_NAME_LEN];
	size_t length = 0;

	for (; *fence; fence++) {
		if (length >= UNIT_NAME_LEN - AROUND - 4)
			return err_set(e, -ENAMETOOLONG,
				       "the fence's name is too long for a slice of its own, where "
				       "each '-' and '@' takes four characters; give it a shorter "
				       "one, or name a group with Cgroup=");
		if (strchr("-@", *fence))
			length += (size_t)sprintf(text + length, "\\x%02x", *fence);
		else
			text[length++] = *fence;
	}
	text[length] = '\0';
	strcpy(ret, text);
	return 0;
}

int slice_unit(const char *fence, enum slice slice, char ret[UNIT_NAME_LEN], struct err *e)
{
	char name[UNIT_NAME_LEN];
	int r = slice_escape(fence, name, e);

	if (!r)
		snprintf(ret, UNIT_NAME_LEN, BEFORE "%.*s%s", UNIT_NAME_LEN - AROUND, name,
			 after[slice]);
	return r;
}

int slice_path(const char *fence, enum slice slice, const char *base, char ret[PATH_MAX],
	       struct err *e)
{
	char unit[UNIT_NAME_LEN], exempt[UNIT_NAME_LEN];
	bool deeper = slice == SLICE_EXEMPT;
	int n, r = slice_unit(fence, SLICE_FENCED, unit, e);

	if (!r)
		r = slice_unit(fence, SLICE_EXEMPT, exempt, e);
	if (r)
		return r;
	n = snprintf(ret, PATH_MAX, "%s%s" SLICE_PARENT "/%s%s%s", base ? base : "",
		     base ? "/" : "", unit, deeper ? "/" : "", deeper ? exempt : "");
	if (n >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "the path of cgroup '%s' is too long", base);
	return 0;
}

bool slice_is_own(const char *path, const char *fence, enum slice slice)
{
	char own[PATH_MAX];
	size_t length = strlen(path);

	if (slice_path(fence, slice, "", own, NULL))
		return false;
	return length >= strlen(own) && streq(path + length - strlen(own), own);
}

static int make_directory(const char *path, struct err *e)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	return err_set(e, -errno, "cgroup '%s' cannot be made: %s", path, strerror(errno));
}

int slice_make(const char *fence, enum slice slice, const char *base, struct err *e)
{
	char path[PATH_MAX], mount[PATH_MAX], *level;
	int r = 0;

	if (!base) {
		r = cgroup_find_mount(mount, e);
		base = mount;
	}
	if (!r)
		r = slice_path(fence, slice, base, path, e);
	if (r)
		return r;
	for (level = path + strlen(base) + 1; !r && (level = strchr(level, '/')); level++) {
		*level = '\0';
		r = make_directory(path, e);
		*level = '/';
	}
	return r ? r : make_directory(path, e);
}

/* Whether it is the one of the systemd that runs here, and not one that --cgroup put elsewhere. */
static bool is_systemds(const char *fence, enum slice slice, const char *path)
{
	char mount[PATH_MAX], own[PATH_MAX];

	return systemd_is_running() && cgroup_find_mount(mount, NULL) == 0 &&
	       slice_path(fence, slice, mount, own, NULL) == 0 && streq(path, own);
}

/* systemd's is left to it: it stops what is in a slice that it stops, so it is told to only where
 * nothing is. */
static bool remove_one(const char *fence, enum slice slice, const char *path)
{
	char unit[UNIT_NAME_LEN];

	if (!slice_is_own(path, fence, slice))
		return false;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return true;
	if (group_is_populated(path))
		return false;
	group_sweep(path);
	if (is_systemds(fence, slice, path) && slice_unit(fence, slice, unit, NULL) == 0)
		return systemd_stop_unit(unit, NULL) == 0;
	return rmdir(path) == 0;
}

bool slice_remove(const char *fence, enum slice slice, const char *path)
{
	char parent[PATH_MAX];

	if (!remove_one(fence, slice, path))
		return false;
	snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = '\0';
	if (slice == SLICE_EXEMPT)
		slice_remove(fence, SLICE_FENCED, parent);
	else
		rmdir(parent); /* unless another fence's slice is in it */
	return true;
}
