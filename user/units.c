// SPDX-License-Identifier: GPL-2.0
/*
 * Units of a fence: see units.h. Writes and removes files of its own name alone, and none that
 * lasts longer than the running system; starts slices, and starts or stops nothing else.
 *
 * A drop-in counts when systemd says so: other files may say otherwise, or it may not have read
 * them since. Then nothing is raised.
 */
#include "units.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fault.h"
#include "slice.h"
#include "systemd.h"
#include "util.h"

/* The last of a directory's files is the one that decides. */
#define BEFORE "zz-tunfence-"
#define AFTER ".conf"

#define HEAD "# Written by 'tunfence up %s', removed by 'tunfence down %s'; see tunfence.conf(5).\n"

/* Not by hand, nor because nobody is in it, nor when the system goes down: its cgroup would go, and
 * one that is made anew is another. */
#define KEEP HEAD "[Unit]\nDefaultDependencies=no\nRefuseManualStop=yes\nStopWhenUnneeded=no\n"
#define MOVE HEAD "[Service]\nSlice=%s\n"

/* What a fence has to say of units: to start services in its slice, to keep slices. */
struct binding {
	const char *fence;
	char slice[UNIT_NAME_LEN]; /* the fence's own */
	char (*units)[UNIT_NAME_LEN];
	size_t count;
};

static void binding_free(struct binding *b)
{
	free(b->units);
}

static bool has_suffix(const char *unit, const char *suffix)
{
	const char *dot = strrchr(unit, '.');

	return dot && streq(dot, suffix);
}

bool unit_is_service(const char *unit)
{
	return has_suffix(unit, ".service");
}

bool units_has_service(const struct config *c)
{
	for (size_t i = 0; i < c->group_count; i++) {
		if (c->groups[i].unit && unit_is_service(c->groups[i].unit))
			return true;
	}
	return false;
}

bool units_have_slice(const struct config *c, const char *base)
{
	return !base && c->scope == TF_SCOPE_CGROUP && units_has_service(c) && systemd_is_running();
}

/* ---- what is to be said, and of whom ---- */

static bool has_unit(const struct binding *b, const char *unit)
{
	for (size_t i = 0; i < b->count; i++) {
		if (streq(b->units[i], unit))
			return true;
	}
	return false;
}

static int add_unit(struct binding *b, const char *unit, struct err *e)
{
	char(*more)[UNIT_NAME_LEN];

	if (has_unit(b, unit))
		return 0;
	more = reallocarray(b->units, b->count + 1, sizeof(*more));
	if (!more)
		return err_set(e, -ENOMEM, "out of memory");
	b->units = more;
	snprintf(b->units[b->count++], UNIT_NAME_LEN, "%s", unit);
	return 0;
}

/* To stop a slice stops those below it: a.slice, a-b.slice, a-b-c.slice. */
static int add_slice(struct binding *b, const char *slice, struct err *e)
{
	char above[UNIT_NAME_LEN];
	int r = 0;

	for (size_t i = 1; !r && slice[i]; i++) {
		if (slice[i] != '-')
			continue;
		snprintf(above, sizeof(above), "%.*s.slice", (int)i, slice);
		r = add_unit(b, above, e);
	}
	return r ? r : add_unit(b, slice, e);
}

static int list_units(struct binding *b, const struct config *c, struct err *e)
{
	int r = 0;

	if (c->scope != TF_SCOPE_CGROUP)
		return 0;
	if (!c->group_count || units_has_service(c))
		r = add_slice(b, b->slice, e);
	for (size_t i = 0; !r && i < c->group_count; i++) {
		const char *unit = c->groups[i].unit;

		if (unit && unit_is_service(unit))
			r = add_unit(b, unit, e);
		else if (unit && has_suffix(unit, ".slice"))
			r = add_slice(b, unit, e);
	}
	return r;
}

/* ---- drop-ins ---- */

/* Of a unit's directory, or if name is NULL of the directory itself. */
static void drop_in_path(char ret[PATH_MAX], const char *unit, const char *fence)
{
	if (fence)
		snprintf(ret, PATH_MAX, UNITS_DROP_INS "/%s.d/" BEFORE "%s" AFTER, unit, fence);
	else
		snprintf(ret, PATH_MAX, UNITS_DROP_INS "/%s.d", unit);
}

bool units_has_drop_in(const char *fence, const char *unit)
{
	char path[PATH_MAX];

	drop_in_path(path, unit, fence);
	return access(path, F_OK) == 0;
}

static bool is_drop_in(const char *name, const char *fence)
{
	size_t length = strlen(BEFORE), whole = length + strlen(fence) + strlen(AFTER);

	return strlen(name) == whole && strncmp(name, BEFORE, length) == 0 &&
	       strncmp(name + length, fence, strlen(fence)) == 0 &&
	       streq(name + whole - strlen(AFTER), AFTER);
}

/* A service can be started in one slice only. */
static int check_alone(const struct binding *b, const char *unit, struct err *e)
{
	_cleanup_closedir_ DIR *dir = NULL;
	char path[PATH_MAX];
	struct dirent *d;

	drop_in_path(path, unit, NULL);
	dir = opendir(path);
	while (dir && (d = readdir(dir))) {
		size_t length = strlen(d->d_name);

		if (strncmp(d->d_name, BEFORE, strlen(BEFORE)) != 0 ||
		    !has_suffix(d->d_name, AFTER) || is_drop_in(d->d_name, b->fence))
			continue;
		length -= strlen(BEFORE) + strlen(AFTER);
		return err_set(e, -EBUSY,
			       "unit '%s' is started in the slice of fence '%.*s', and can be in one "
			       "only; take it out of one of the two, or 'tunfence down %.*s'",
			       unit, (int)length, d->d_name + strlen(BEFORE), (int)length,
			       d->d_name + strlen(BEFORE));
	}
	return 0;
}

static int unwritable(const char *path, struct err *e)
{
	return err_set(e, -errno, "'%s' cannot be written: %s", path, strerror(errno));
}

static int write_text(const char *path, const char *text, struct err *e)
{
	_cleanup_fclose_ FILE *file = fopen(path, "we");

	if (!file || fputs(text, file) < 0 || fflush(file) || fchmod(fileno(file), 0644))
		return unwritable(path, e);
	return 0;
}

static bool has_text(const char *path, const char *text)
{
	_cleanup_fclose_ FILE *file = fopen(path, "re");
	char there[1024];
	size_t length;

	if (!file)
		return false;
	length = fread(there, 1, sizeof(there) - 1, file);
	there[length] = '\0';
	return streq(there, text);
}

/* In one step, and not at all if it is there: systemd need not be troubled then. */
static int write_drop_in(const struct binding *b, const char *unit, struct err *e)
{
	char path[PATH_MAX], beside[PATH_MAX + 8], text[1024];
	int r;

	if (unit_is_service(unit))
		snprintf(text, sizeof(text), MOVE, b->fence, b->fence, b->slice);
	else
		snprintf(text, sizeof(text), KEEP, b->fence, b->fence);
	drop_in_path(path, unit, NULL);
	if (mkdir(path, 0755) == 0)
		chmod(path, 0755); /* whatever the mask of this process */
	drop_in_path(path, unit, b->fence);
	if (has_text(path, text))
		return 0;
	snprintf(beside, sizeof(beside), "%s.new", path);
	r = write_text(beside, text, e);
	if (!r && rename(beside, path) < 0)
		r = unwritable(path, e);
	if (r)
		unlink(beside);
	fault_step();
	return r;
}

/* ---- what systemd makes of them ---- */

static const struct systemd_property the_id = { "Unit", "Id" };
static const struct systemd_property the_load_state = { "Unit", "LoadState" };
static const struct systemd_property needs_reload = { "Unit", "NeedDaemonReload" };
static const struct systemd_property refuses_stop = { "Unit", "RefuseManualStop" };
static const struct systemd_property the_slice = { "Service", "Slice" };

/* The name must be that which its cgroup has, and not mistyped. */
static int check_name(const char *unit, struct err *e)
{
	char id[SYSTEMD_VALUE], state[SYSTEMD_VALUE];
	int r = systemd_get_property(unit, &the_id, id, e);

	if (!r)
		r = systemd_get_property(unit, &the_load_state, state, e);
	if (r)
		return r;
	if (!streq(id, unit))
		return err_set(e, -EINVAL, "'%s' is another name of '%s'; write that one", unit, id);
	if (streq(state, "not-found"))
		return err_set(e, -ENOENT,
			       "systemd has no unit '%s'; write the name as 'systemctl status' does; the "
			       "group of a user's unit is named by Cgroup=PATH",
			       unit);
	return 0;
}

/* 1: it does as it is told; 0: it does not. */
static int obeys(const struct binding *b, const char *unit, struct err *e)
{
	const bool service = unit_is_service(unit);
	char value[SYSTEMD_VALUE];
	int r = systemd_get_property(unit, &the_load_state, value, e);

	if (r)
		return r;
	if (streq(value, "masked"))
		return 1; /* nothing starts it; when something can, the drop-in is there */
	r = systemd_get_property(unit, service ? &the_slice : &refuses_stop, value, e);
	return r ? r : streq(value, service ? b->slice : "yes");
}

static int is_current(const struct binding *b, const char *unit, struct err *e)
{
	char value[SYSTEMD_VALUE];
	int r = systemd_get_property(unit, &needs_reload, value, e);

	if (!r && streq(value, "no"))
		r = obeys(b, unit, e);
	return r;
}

/* 1: all do; 0: systemd must read its files first. */
static int all_are_current(const struct binding *b, struct err *e)
{
	int r = 1;

	for (size_t i = 0; r == 1 && i < b->count; i++)
		r = is_current(b, b->units[i], e);
	return r;
}

static int check_obedience(const struct binding *b, struct err *e)
{
	int r = 1;
	size_t i;

	for (i = 0; r == 1 && i < b->count; i++)
		r = obeys(b, b->units[i], e);
	if (r)
		return r < 0 ? r : 0;
	return err_set(e, -EEXIST,
		       "systemd does not do for '%s' what '" UNITS_DROP_INS "/%s.d/" BEFORE "%s" AFTER
		       "' says: another file stands against it; see 'systemctl cat %s'",
		       b->units[i - 1], b->units[i - 1], b->fence, b->units[i - 1]);
}

static int start_slices(const struct binding *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < b->count; i++) {
		if (has_suffix(b->units[i], ".slice"))
			r = systemd_start_unit(b->units[i], e);
	}
	return r;
}

static int bind_units(const struct binding *b, struct err *e)
{
	int r = 0;
	size_t i;

	for (i = 0; !r && i < b->count; i++) {
		if (unit_is_service(b->units[i]))
			r = check_name(b->units[i], e);
		if (!r && unit_is_service(b->units[i]))
			r = check_alone(b, b->units[i], e);
	}
	for (i = 0; !r && i < b->count; i++)
		r = write_drop_in(b, b->units[i], e);
	if (!r)
		r = all_are_current(b, e);
	if (r == 0) {
		r = systemd_reload(e);
		fault_step();
	}
	if (r >= 0)
		r = check_obedience(b, e);
	return r ? r : start_slices(b, e);
}

int units_prepare(const struct config *c, const char *base, struct err *e)
{
	_cleanup_(binding_free) struct binding b = { .fence = c->name };
	int r;

	if (c->scope != TF_SCOPE_CGROUP)
		return 0;
	if (base || !systemd_is_running())
		return c->group_count ? 0 : slice_make(c->name, base, e);
	r = slice_unit(c->name, b.slice, e);
	if (!r)
		r = list_units(&b, c, e);
	return r ? r : bind_units(&b, e);
}

/* ---- the end of it ---- */

/* "UNIT.d" */
static bool unit_of_directory(const char *name, char ret[UNIT_NAME_LEN])
{
	size_t length = strlen(name);

	if (length < 3 || length - 2 >= UNIT_NAME_LEN || !streq(name + length - 2, ".d"))
		return false;
	memcpy(ret, name, length - 2);
	ret[length - 2] = '\0';
	return true;
}

static int remove_drop_in(const char *unit, const char *fence, struct err *e)
{
	char path[PATH_MAX];

	drop_in_path(path, unit, fence);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(e, -errno, "'%s' cannot be removed: %s", path, strerror(errno));
	fault_step();
	drop_in_path(path, unit, NULL);
	rmdir(path); /* unless there are others in it */
	return 0;
}

int units_release(const char *fence, const struct config *c, struct err *e)
{
	_cleanup_(binding_free) struct binding wanted = { .fence = fence };
	_cleanup_closedir_ DIR *dir = opendir(UNITS_DROP_INS);
	char unit[UNIT_NAME_LEN];
	size_t removed = 0;
	struct dirent *d;
	int r = 0;

	if (c && slice_unit(fence, wanted.slice, NULL) == 0)
		r = list_units(&wanted, c, e);
	while (!r && dir && (d = readdir(dir))) {
		if (!unit_of_directory(d->d_name, unit) || !units_has_drop_in(fence, unit) ||
		    has_unit(&wanted, unit))
			continue;
		r = remove_drop_in(unit, fence, e);
		removed++;
	}
	if (!r && removed && systemd_is_running())
		r = systemd_reload(e);
	return r;
}
