// SPDX-License-Identifier: GPL-2.0
/*
 * Finding the cgroup2 mount in mountinfo texts, and, where this machine lets us make groups, the
 * identity of real ones. Makes and removes two empty groups of its own; moves no process.
 */
#include "cgroup.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "util.h"

#define V1 "34 31 0:31 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
#define DISK "23 1 254:0 / / rw shared:1 - ext4 /dev/vda rw\n"

static int find(const char *text, char ret_path[4096], struct err *e)
{
	_cleanup_fclose_ FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(stream);
	return cgroup_parse_mountinfo(stream, ret_path, e);
}

static void assert_found(const char *text, const char *expected)
{
	char path[4096] = "untouched";
	struct err e = { 0 };

	assert_int_equal(find(text, path, &e), 0);
	assert_string_equal(path, expected);
}

static void assert_none(const char *text, const char *said)
{
	char path[4096] = "untouched";
	struct err e = { 0 };

	assert_int_equal(find(text, path, &e), -ENOENT);
	assert_int_equal(e.code, -ENOENT);
	assert_string_equal(path, "untouched");
	if (!strstr(e.text, said))
		fail_msg("'%s' does not say '%s'", e.text, said);
}

static void test_usual_mounts(void **state)
{
	(void)state;
	assert_found(DISK "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n",
		     "/sys/fs/cgroup");
	assert_found(DISK V1 "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
		     "/sys/fs/cgroup/unified"); /* hybrid; no optional field */
	assert_found("30 23 0:26 / /cg rw shared:4 master:2 propagate_from:3 - cgroup2 none rw",
		     "/cg"); /* many optional fields, no newline */
	assert_found("30 23 0:26 / /first rw - cgroup2 none rw\n"
		     "31 23 0:26 / /second rw - cgroup2 none rw\n",
		     "/first");
}

static void test_escapes(void **state)
{
	(void)state;
	assert_found("30 23 0:26 / /a\\040b\\011c\\012d\\134040 rw - cgroup2 none rw\n",
		     "/a b\tc\nd\\040");
	assert_found("30 23 0:26 / /a\\04 rw - cgroup2 none rw\n", "/a\\04"); /* no escape */
	assert_found("30 23 0:26 / /a\\ rw - cgroup2 none rw\n", "/a\\");
}

static void test_containers(void **state)
{
	(void)state;
	assert_found("29 23 0:26 /../../x /outer rw - cgroup2 cgroup rw\n"
		     "30 23 0:26 / /own rw - cgroup2 cgroup rw\n",
		     "/own"); /* the root wins, wherever it stands */
	assert_found(DISK "30 23 0:26 /docker/0123 /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
		     "/sys/fs/cgroup"); /* the only one */
	assert_none("29 23 0:26 /a /one rw - cgroup2 cgroup rw\n"
		    "30 23 0:26 /b /two rw - cgroup2 cgroup rw\n",
		    "container");
}

static void test_no_mount(void **state)
{
	(void)state;
	assert_none(DISK, "mount -t cgroup2");
	assert_none(V1, "mount -t cgroup2");
	assert_none("\n", "mount -t cgroup2");
	/* cgroup2 in every place but the file system's type */
	assert_none("30 23 0:26 / /cgroup2 cgroup2 cgroup2 - ext4 cgroup2 cgroup2\n", "mount -t");
	assert_none("30 23 0:26 / /cg rw shared:4 cgroup2 none rw\n", "mount -t"); /* no dash */
	assert_none("30 23 0:26 / /cg rw -\n", "mount -t");
	assert_none("30 23 0:26 /\n", "mount -t");
	assert_none("30 23 0:26 /  rw - cgroup2 none rw\n", "mount -t");
	assert_none("30 23 0:26 / relative rw - cgroup2 none rw\n", "mount -t");
}

static void test_too_long_a_path(void **state)
{
	_cleanup_free_ char *text = malloc(5000);
	char path[4096];

	(void)state;
	assert_non_null(text);
	snprintf(text, 5000, "30 23 0:26 / /%04094d rw - cgroup2 none rw\n", 0);
	assert_int_equal(find(text, path, NULL), 0);
	assert_int_equal(strlen(path), 4095);
	snprintf(text, 5000, "30 23 0:26 / /%04095d rw - cgroup2 none rw\n", 0);
	assert_none(text, "mount -t");
}

/* ---- real groups ---- */

static void assert_not_opened(const char *path, int code)
{
	struct cgroup c = { .fd = 77, .id = 88 };
	struct err e = { 0 };

	assert_int_equal(cgroup_open(path, &c, &e), code);
	assert_int_equal(e.code, code);
	assert_int_equal(c.fd, 77);
	assert_int_equal(c.id, 88);
}

static void test_what_is_no_group(void **state)
{
	char long_path[PATH_MAX + 10];

	(void)state;
	assert_not_opened("/tmp", -EINVAL);
	assert_not_opened("/proc/self/status", -ENOTDIR);
	assert_not_opened("/nowhere/at/all", -ENOENT);
	memset(long_path, '/', sizeof(long_path)); /* cut short it would be the root */
	long_path[sizeof(long_path) - 1] = '\0';
	assert_not_opened(long_path, -ENAMETOOLONG);
}

static void need_mount(char path[4096])
{
	if (cgroup_find_mount(path, NULL) < 0) {
		print_message("there is no cgroup2 mount\n");
		skip();
	}
}

static void test_root_group(void **state)
{
	_cleanup_(cgroup_close) struct cgroup c = { .fd = -1 }, same = { .fd = -1 };
	char mount[4096];
	struct stat st;

	(void)state;
	need_mount(mount);
	assert_int_equal(cgroup_open(NULL, &c, NULL), 0);
	assert_string_equal(c.path, mount);
	assert_int_equal(fstat(c.fd, &st), 0);
	assert_int_equal(c.id, st.st_ino);
	assert_true(c.level == 0 || c.level == CGROUP_LEVEL_UNKNOWN);
	assert_int_equal(cgroup_open("", &same, NULL), 0);
	assert_int_equal(same.id, c.id);
}

static void assert_group(const char *path, const char *absolute, __u32 level)
{
	_cleanup_(cgroup_close) struct cgroup c = { .fd = -1 };
	struct stat st;

	assert_int_equal(cgroup_open(path, &c, NULL), 0);
	assert_string_equal(c.path, absolute);
	assert_int_equal(stat(absolute, &st), 0);
	assert_int_equal(c.id, st.st_ino);
	assert_int_equal(c.level, level);
}

static char outer[4200], inner[4300];

/* Also after a failure: no group stays behind. */
static int remove_groups(void **state)
{
	(void)state;
	rmdir(inner);
	rmdir(outer);
	return 0;
}

/* outer and inner, and the root above them. */
static void assert_within(void)
{
	_cleanup_(cgroup_close) struct cgroup root = { .fd = -1 }, o = { .fd = -1 }, i = { .fd = -1 };

	assert_int_equal(cgroup_open(NULL, &root, NULL), 0);
	assert_int_equal(cgroup_open(outer, &o, NULL), 0);
	assert_int_equal(cgroup_open(inner, &i, NULL), 0);
	assert_true(cgroup_is_within(&i, &o) && cgroup_is_within(&i, &root));
	assert_true(cgroup_is_within(&o, &o) && cgroup_is_within(&root, &root));
	assert_false(cgroup_is_within(&o, &i) || cgroup_is_within(&root, &o));
	i.level++; /* as if it were outer's brother's child */
	assert_false(cgroup_is_within(&i, &o));
}

/* The root and both groups have one, at their depths and at no other. Returns inner's id. */
static __u64 assert_directories(void)
{
	_cleanup_(cgroup_close) struct cgroup o = { .fd = -1 }, i = { .fd = -1 };

	assert_int_equal(cgroup_open(outer, &o, NULL), 0);
	assert_int_equal(cgroup_open(inner, &i, NULL), 0);
	assert_true(cgroup_has_directory(1, 0));
	assert_true(cgroup_has_directory(o.id, 1) && cgroup_has_directory(i.id, 2));
	assert_false(cgroup_has_directory(o.id, 0) || cgroup_has_directory(o.id, 2));
	assert_false(cgroup_has_directory(i.id, 1) || cgroup_has_directory(i.id, 3));
	assert_false(cgroup_has_directory(i.id, CGROUP_LEVEL_UNKNOWN));
	return i.id;
}

static void test_child_groups(void **state)
{
	_cleanup_(cgroup_close) struct cgroup root = { .fd = -1 };
	char mount[4096];
	__u64 id;

	(void)state;
	need_mount(mount);
	assert_int_equal(cgroup_open(NULL, &root, NULL), 0);
	snprintf(outer, sizeof(outer), "%s/tunfence-test-%d", mount, (int)getpid());
	snprintf(inner, sizeof(inner), "%s/inner", outer);
	if (mkdir(outer, 0755) < 0 || mkdir(inner, 0755) < 0 || root.level != 0) {
		print_message("cannot make groups here, or their depth is hidden\n");
		skip();
	}

	assert_group(outer, outer, 1);
	assert_group(inner, inner, 2);
	assert_group(inner + strlen(mount) + 1, inner, 2); /* relative to the mount */
	assert_within();
	id = assert_directories();
	assert_int_equal(rmdir(inner), 0);
	assert_int_equal(mkdir(inner, 0755), 0);
	assert_false(cgroup_has_directory(id, 2));
	assert_int_equal(rmdir(inner), 0);
	assert_int_equal(rmdir(outer), 0);
	assert_not_opened(inner, -ENOENT);
}

/* ---- units, in directories that look like a hierarchy ---- */

static const char *const tree[] = {
	"init.scope",
	"app.service",
	"system.slice",
	"system.slice/transmission-daemon.service",
	"system.slice/transmission-daemon.service/nested.service",
	"system.slice/_cpu.service",
	"system.slice/__odd.service",
	"system.slice/system-getty.slice",
	"system.slice/system-getty.slice/getty@tty1.service",
	"user.slice",
	"user.slice/user-1000.slice",
	"user.slice/user-1000.slice/user@1000.service",
	"user.slice/user-1000.slice/user@1000.service/app.slice",
	"user.slice/user-1000.slice/user@1000.service/app.slice/mine.service",
	"plain",
	"plain/lost.service",
};

static char hierarchy[sizeof("/tmp/tunfence-units-XXXXXX")];

static int make_tree(void **state)
{
	char path[PATH_MAX];

	(void)state;
	strcpy(hierarchy, "/tmp/tunfence-units-XXXXXX");
	if (!mkdtemp(hierarchy))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(tree); i++) {
		snprintf(path, sizeof(path), "%s/%s", hierarchy, tree[i]);
		if (mkdir(path, 0755))
			return -1;
	}
	return 0;
}

static int remove_tree(void **state)
{
	char path[PATH_MAX];

	(void)state;
	for (size_t i = ARRAY_SIZE(tree); i > 0; i--) {
		snprintf(path, sizeof(path), "%s/%s", hierarchy, tree[i - 1]);
		rmdir(path);
	}
	return rmdir(hierarchy);
}

static void assert_unit(const char *unit, const char *path)
{
	char found[4096] = "untouched", expected[PATH_MAX];
	struct err e = {};
	int r = cgroup_find_unit(hierarchy, unit, NULL, found, &e);

	if (!path) {
		assert_int_equal(r, -ENOENT);
		assert_string_equal(found, "untouched");
		assert_non_null(strstr(e.text, unit));
		assert_non_null(strstr(e.text, "systemctl start"));
		return;
	}
	snprintf(expected, sizeof(expected), "%s/%s", hierarchy, path);
	assert_int_equal(r, 0);
	assert_string_equal(found, expected);
}

static void test_units(void **state)
{
	(void)state;
	assert_unit("init.scope", "init.scope");
	assert_unit("app.service", "app.service");
	assert_unit("system.slice", "system.slice");
	assert_unit("transmission-daemon.service", "system.slice/transmission-daemon.service");
	assert_unit("getty@tty1.service", "system.slice/system-getty.slice/getty@tty1.service");
	assert_unit("user@1000.service", "user.slice/user-1000.slice/user@1000.service");
	assert_unit("not-running.service", NULL);
	/* What lies below a service is not the system manager's. */
	assert_unit("nested.service", NULL);
	assert_unit("app.slice", NULL);
	assert_unit("mine.service", NULL);
	assert_unit("lost.service", NULL);
	/* How systemd writes names that cgroup might want for itself. */
	assert_unit("cpu.service", "system.slice/_cpu.service");
	assert_unit("_odd.service", "system.slice/__odd.service");
	assert_unit("_cpu.service", NULL);
}

/* A slice that is not looked into, nor what is below it; others are. */
static void test_unit_elsewhere(void **state)
{
	char slice[PATH_MAX], found[4096] = "untouched";

	(void)state;
	snprintf(slice, sizeof(slice), "%s/system.slice", hierarchy);
	assert_int_equal(cgroup_find_unit(hierarchy, "transmission-daemon.service", slice, found,
					  NULL), -ENOENT);
	assert_int_equal(cgroup_find_unit(hierarchy, "getty@tty1.service", slice, found, NULL),
			 -ENOENT);
	assert_string_equal(found, "untouched");
	assert_int_equal(cgroup_find_unit(hierarchy, "user@1000.service", slice, found, NULL), 0);
	assert_int_equal(cgroup_find_unit(hierarchy, "app.service", slice, found, NULL), 0);
}

static void test_close_twice(void **state)
{
	struct cgroup c = { .fd = dup(0) };

	(void)state;
	assert_true(c.fd >= 0);
	cgroup_close(&c);
	assert_int_equal(c.fd, -1);
	cgroup_close(&c);
	cgroup_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_usual_mounts),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_containers),
		cmocka_unit_test(test_no_mount),
		cmocka_unit_test(test_too_long_a_path),
		cmocka_unit_test(test_what_is_no_group),
		cmocka_unit_test(test_root_group),
		cmocka_unit_test_teardown(test_child_groups, remove_groups),
		cmocka_unit_test_setup_teardown(test_units, make_tree, remove_tree),
		cmocka_unit_test_setup_teardown(test_unit_elsewhere, make_tree, remove_tree),
		cmocka_unit_test(test_close_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
