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

/* A service is to be started in a slice of the fence's, a slice is to be kept. */
struct bound {
	char unit[UNIT_NAME_LEN];
	char slice[UNIT_NAME_LEN]; /* of a service */
	bool made;                 /* there was no drop-in before */
};

/* What a fence has to say of some units. */
struct binding {
	const char *fence;
	struct bound *units;
	size_t count;
};

struct units {
	struct binding fenced; /* services, and every slice */
	struct binding exempt; /* services that are none of those */
};

static struct units *units_new(const char *fence)
{
	struct units *u = calloc(1, sizeof(*u));

	if (u)
		u->fenced.fence = u->exempt.fence = fence;
	return u;
}

void units_free(struct units *u)
{
	if (!u)
		return;
	free(u->fenced.units);
	free(u->exempt.units);
	free(u);
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

static bool is_service(const struct config_group *g)
{
	return g->unit && unit_is_service(g->unit);
}

bool units_has_service(const struct config *c)
{
	for (size_t i = 0; i < c->group_count; i++) {
		if (is_service(&c->groups[i]))
			return true;
	}
	return false;
}

bool units_have_slice(const struct config *c, const char *base)
{
	return c->scope == TF_SCOPE_CGROUP && units_has_service(c) && units_are_bound(base);
}

bool units_are_bound(const char *base)
{
	return !base && systemd_is_running();
}

/* ---- what is to be said, and of whom ---- */

static bool has_unit(const struct binding *b, const char *unit)
{
	for (size_t i = 0; i < b->count; i++) {
		if (streq(b->units[i].unit, unit))
			return true;
	}
	return false;
}

/* One that is there stays as it is. */
static int add_unit(struct binding *b, const char *unit, const char *slice, struct err *e)
{
	struct bound *more;

	if (has_unit(b, unit))
		return 0;
	more = reallocarray(b->units, b->count + 1, sizeof(*more));
	if (!more)
		return err_set(e, -ENOMEM, "out of memory");
	b->units = more;
	more[b->count] = (struct bound){};
	snprintf(more[b->count].unit, UNIT_NAME_LEN, "%s", unit);
	snprintf(more[b->count].slice, UNIT_NAME_LEN, "%s", slice);
	b->count++;
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
		r = add_unit(b, above, "", e);
	}
	return r ? r : add_unit(b, slice, "", e);
}

static bool is_slice(const struct config_group *g)
{
	return g->unit && has_suffix(g->unit, ".slice");
}

static int list_fenced(struct units *u, const struct config *c, struct err *e)
{
	char slice[UNIT_NAME_LEN];
	int r = slice_unit(c->name, SLICE_FENCED, slice, e);

	if (!r && (!c->group_count || units_has_service(c)))
		r = add_slice(&u->fenced, slice, e);
	for (size_t i = 0; !r && i < c->group_count; i++) {
		const struct config_group *g = &c->groups[i];

		if (is_service(g))
			r = add_unit(&u->fenced, g->unit, slice, e);
		else if (is_slice(g))
			r = add_slice(&u->fenced, g->unit, e);
	}
	return r;
}

/* What is fenced, too, stays fenced. */
static int list_exempt(struct units *u, const struct config *c, struct err *e)
{
	char slice[UNIT_NAME_LEN];
	int r = slice_unit(c->name, SLICE_EXEMPT, slice, e);

	if (!r)
		r = add_slice(&u->fenced, slice, e);
	for (size_t i = 0; !r && i < c->exempt.group_count; i++) {
		const struct config_group *g = &c->exempt.groups[i];

		if (is_service(g) && !has_unit(&u->fenced, g->unit))
			r = add_unit(&u->exempt, g->unit, slice, e);
		else if (is_slice(g))
			r = add_slice(&u->fenced, g->unit, e);
	}
	return r;
}

static int list_units(struct units *u, const struct config *c, struct err *e)
{
	int r = c->scope == TF_SCOPE_CGROUP ? list_fenced(u, c, e) : 0;

	return r || !c->exempt.any ? r : list_exempt(u, c, e);
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

static bool has_drop_in(const char *fence, const char *unit)
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

bool units_is_moved(const char *fence, const char *unit)
{
	char path[PATH_MAX], text[1024], slice[UNIT_NAME_LEN];

	if (slice_unit(fence, SLICE_FENCED, slice, NULL))
		return false;
	snprintf(text, sizeof(text), MOVE, fence, fence, slice);
	drop_in_path(path, unit, fence);
	return has_text(path, text);
}

/* In one step, and not at all if it is there: systemd need not be troubled then. */
static int write_drop_in(const struct binding *b, struct bound *bound, struct err *e)
{
	const char *unit = bound->unit;
	char path[PATH_MAX], beside[PATH_MAX + 8], text[1024];
	int r;

	if (unit_is_service(unit))
		snprintf(text, sizeof(text), MOVE, b->fence, b->fence, bound->slice);
	else
		snprintf(text, sizeof(text), KEEP, b->fence, b->fence);
	drop_in_path(path, unit, NULL);
	if (mkdir(path, 0755) == 0)
		chmod(path, 0755); /* whatever the mask of this process */
	drop_in_path(path, unit, b->fence);
	if (has_text(path, text))
		return 0;
	bound->made = access(path, F_OK) < 0;
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
static int obeys(const struct bound *bound, struct err *e)
{
	const char *unit = bound->unit;
	const bool service = unit_is_service(unit);
	char value[SYSTEMD_VALUE];
	int r = systemd_get_property(unit, &the_load_state, value, e);

	if (r)
		return r;
	if (streq(value, "masked"))
		return 1; /* nothing starts it; when something can, the drop-in is there */
	r = systemd_get_property(unit, service ? &the_slice : &refuses_stop, value, e);
	return r ? r : streq(value, service ? bound->slice : "yes");
}

static int is_current(const struct bound *bound, struct err *e)
{
	char value[SYSTEMD_VALUE];
	int r = systemd_get_property(bound->unit, &needs_reload, value, e);

	if (!r && streq(value, "no"))
		r = obeys(bound, e);
	return r;
}

/* 1: all do; 0: systemd must read its files first. */
static int all_are_current(const struct binding *b, struct err *e)
{
	int r = 1;

	for (size_t i = 0; r == 1 && i < b->count; i++)
		r = is_current(&b->units[i], e);
	return r;
}

static int check_obedience(const struct binding *b, struct err *e)
{
	int r = 1;
	size_t i;

	for (i = 0; r == 1 && i < b->count; i++)
		r = obeys(&b->units[i], e);
	if (r)
		return r < 0 ? r : 0;
	return err_set(e, -EEXIST,
		       "systemd does not do for '%s' what '" UNITS_DROP_INS "/%s.d/" BEFORE "%s" AFTER
		       "' says: another file stands against it; see 'systemctl cat %s'",
		       b->units[i - 1].unit, b->units[i - 1].unit, b->fence, b->units[i - 1].unit);
}

static int start_slices(const struct binding *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < b->count; i++) {
		if (!unit_is_service(b->units[i].unit))
			r = systemd_start_unit(b->units[i].unit, e);
	}
	return r;
}

static int check_services(const struct binding *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < b->count; i++) {
		if (!unit_is_service(b->units[i].unit))
			continue;
		r = check_name(b->units[i].unit, e);
		if (!r)
			r = check_alone(b, b->units[i].unit, e);
	}
	return r;
}

static int bind_units(struct binding *b, struct err *e)
{
	int r = 0;

	for (size_t i = 0; !r && i < b->count; i++)
		r = write_drop_in(b, &b->units[i], e);
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

/* Without systemd. */
static int make_slices(const struct config *c, const char *base, struct err *e)
{
	int r = 0;

	if (c->scope == TF_SCOPE_CGROUP && !c->group_count)
		r = slice_make(c->name, SLICE_FENCED, base, e);
	return r || !c->exempt.any ? r : slice_make(c->name, SLICE_EXEMPT, base, e);
}

int units_prepare(const struct config *c, const char *base, struct units **ret, struct err *e)
{
	_cleanup_units_ struct units *u = units_new(c->name);
	int r;

	if (!u)
		return err_set(e, -ENOMEM, "out of memory");
	if (!units_are_bound(base)) {
		r = make_slices(c, base, e);
	} else {
		r = list_units(u, c, e);
		if (!r)
			r = check_services(&u->fenced, e);
		if (!r)
			r = check_services(&u->exempt, e);
		if (!r)
			r = bind_units(&u->fenced, e);
		if (r)
			units_undo(u, NULL);
	}
	if (!r)
		*ret = TAKE_PTR(u);
	return r;
}

int units_exempt(struct units *u, struct err *e)
{
	return u->exempt.count ? bind_units(&u->exempt, e) : 0;
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

int units_undo(struct units *u, struct err *e)
{
	struct binding *b = &u->fenced;
	size_t removed = 0;
	int r = 0;

	for (size_t i = 0; !r && i < b->count; i++) {
		if (!b->units[i].made)
			continue;
		r = remove_drop_in(b->units[i].unit, b->fence, e);
		removed++;
	}
	return r || !removed ? r : systemd_reload(e);
}

int units_release(const char *fence, const struct config *c, struct err *e)
{
	_cleanup_units_ struct units *wanted = units_new(fence);
	_cleanup_closedir_ DIR *dir = opendir(UNITS_DROP_INS);
	char unit[UNIT_NAME_LEN];
	size_t removed = 0;
	struct dirent *d;
	int r = 0;

	if (!wanted)
		return err_set(e, -ENOMEM, "out of memory");
	if (c)
		r = list_units(wanted, c, e);
	while (!r && dir && (d = readdir(dir))) {
		if (!unit_of_directory(d->d_name, unit) || !has_drop_in(fence, unit) ||
		    has_unit(&wanted->fenced, unit) || has_unit(&wanted->exempt, unit))
			continue;
		r = remove_drop_in(unit, fence, e);
		removed++;
	}
	if (!r && removed && systemd_is_running())
		r = systemd_reload(e);
	return r;
}
