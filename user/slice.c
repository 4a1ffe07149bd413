// SPDX-License-Identifier: GPL-2.0
/* A fence's own cgroup: see slice.h. Makes and removes groups; moves no process and knows no fence
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
#define AFTER ".slice"

/* Of "tunfence-", "-4294967295" and ".scope", and NUL. */
#define AROUND 28

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

int slice_unit(const char *fence, char ret[UNIT_NAME_LEN], struct err *e)
{
	char name[UNIT_NAME_LEN];
	int r = slice_escape(fence, name, e);

	if (!r)
		snprintf(ret, UNIT_NAME_LEN, BEFORE "%.*s" AFTER, UNIT_NAME_LEN - AROUND, name);
	return r;
}

int slice_path(const char *fence, const char *base, char ret[PATH_MAX], struct err *e)
{
	char unit[UNIT_NAME_LEN];
	int n, r = slice_unit(fence, unit, e);

	if (r)
		return r;
	n = snprintf(ret, PATH_MAX, "%s%s" SLICE_PARENT "/%s", base ? base : "", base ? "/" : "",
		     unit);
	if (n >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "the path of cgroup '%s' is too long", base);
	return 0;
}

bool slice_is_own(const char *path, const char *fence)
{
	char own[PATH_MAX];
	size_t length = strlen(path);

	if (slice_path(fence, "", own, NULL))
		return false;
	return length >= strlen(own) && streq(path + length - strlen(own), own);
}

static int make_directory(const char *path, struct err *e)
{
	if (mkdir(path, 0755) == 0 || errno == EEXIST)
		return 0;
	return err_set(e, -errno, "cgroup '%s' cannot be made: %s", path, strerror(errno));
}

int slice_make(const char *fence, const char *base, struct err *e)
{
	char path[PATH_MAX], mount[PATH_MAX], *last;
	int r = 0;

	if (!base) {
		r = cgroup_find_mount(mount, e);
		base = mount;
	}
	if (!r)
		r = slice_path(fence, base, path, e);
	if (r)
		return r;
	last = strrchr(path, '/');
	*last = '\0';
	r = make_directory(path, e);
	*last = '/';
	return r ? r : make_directory(path, e);
}

/* Whether it is the one of the systemd that runs here, and not one that --cgroup put elsewhere. */
static bool is_systemds(const char *fence, const char *path)
{
	char mount[PATH_MAX], own[PATH_MAX];

	return systemd_is_running() && cgroup_find_mount(mount, NULL) == 0 &&
	       slice_path(fence, mount, own, NULL) == 0 && streq(path, own);
}

/* systemd's is left to it: it stops what is in a slice that it stops, so it is told to only where
 * nothing is. */
bool slice_remove(const char *fence, const char *path)
{
	char unit[UNIT_NAME_LEN];
	char parent[PATH_MAX];

	if (!slice_is_own(path, fence) || group_is_populated(path))
		return false;
	group_sweep(path);
	if (is_systemds(fence, path) && slice_unit(fence, unit, NULL) == 0)
		return systemd_stop_unit(unit, NULL) == 0;
	if (rmdir(path) < 0 && errno != ENOENT)
		return false;
	snprintf(parent, sizeof(parent), "%s", path);
	*strrchr(parent, '/') = '\0';
	rmdir(parent); /* unless another fence's slice is in it */
	return true;
}
