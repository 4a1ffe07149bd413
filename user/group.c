// SPDX-License-Identifier: GPL-2.0
/* Processes and their cgroups: see group.h. Knows nothing of fences. */
#include "group.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cgroup.h"
#include "util.h"

#define RUN "run-" /* and the process that it was made for */
#define REMOVED " (deleted)"
#define MAX_DEPTH 32 /* of what is walked below a group: more than anybody nests */

/* The line of the one hierarchy that has no number. */
int group_parse(FILE *stream, char ret[PATH_MAX])
{
	_cleanup_free_ char *line = NULL;
	size_t size = 0, length;

	while (getline(&line, &size, stream) >= 0) {
		if (strncmp(line, "0::/", 4) != 0)
			continue;
		line[strcspn(line, "\n")] = '\0';
		length = strlen(line);
		if (length >= PATH_MAX || (length > strlen(REMOVED) &&
					   streq(line + length - strlen(REMOVED), REMOVED)))
			return -ENOENT;
		strcpy(ret, line + strlen("0::"));
		return 0;
	}
	return -ENOENT;
}

int group_of_process(pid_t pid, char ret[PATH_MAX], struct err *e)
{
	char file[64] = "/proc/self/cgroup", path[PATH_MAX], mount[PATH_MAX];
	_cleanup_fclose_ FILE *stream = NULL;
	int r;

	if (pid)
		snprintf(file, sizeof(file), "/proc/%d/cgroup", pid);
	stream = fopen(file, "re");
	if (!stream)
		return err_set(e, -errno, "cannot open '%s': %s", file, strerror(errno));
	r = group_parse(stream, path);
	if (r)
		return err_set(e, r, "'%s' names no group of cgroup2; boot with cgroup v2", file);
	r = cgroup_find_mount(mount, e);
	if (r)
		return r;
	if (snprintf(ret, PATH_MAX, "%s%s", mount, streq(path, "/") ? "" : path) >= PATH_MAX)
		return err_set(e, -ENAMETOOLONG, "the path of cgroup '%s' is too long", path);
	return 0;
}

bool group_is_below(const char *path, __u64 id)
{
	char at[PATH_MAX], *last;

	snprintf(at, sizeof(at), "%s", path);
	while (*at == '/') {
		struct cgroup c = { .fd = -1 };

		if (cgroup_open(at, &c, NULL))
			return false; /* above the mount, or removed */
		cgroup_close(&c);
		if (c.id == id)
			return true;
		last = strrchr(at, '/');
		*last = '\0';
	}
	return false;
}

static FILE *open_file(const char *path, const char *name)
{
	char file[PATH_MAX];

	if (snprintf(file, sizeof(file), "%s/%s", path, name) >= (int)sizeof(file))
		return NULL;
	return fopen(file, "re");
}

bool group_is_populated(const char *path)
{
	_cleanup_fclose_ FILE *stream = open_file(path, "cgroup.events");
	char line[64];

	while (stream && fgets(line, sizeof(line), stream)) {
		if (streq(line, "populated 0\n"))
			return false;
	}
	return true;
}

static void name_of(pid_t pid, char ret[32])
{
	char file[64];
	_cleanup_fclose_ FILE *stream = NULL;

	strcpy(ret, "?");
	snprintf(file, sizeof(file), "/proc/%d/comm", pid);
	stream = fopen(file, "re");
	if (stream && fgets(ret, 32, stream))
		ret[strcspn(ret, "\n")] = '\0';
	for (; *ret; ret++) {
		if (*ret < ' ' || *ret > '~')
			*ret = '?'; /* who may choose a name may not write to the terminal */
	}
}

static int each_in(const char *path, group_cb cb, void *data)
{
	_cleanup_fclose_ FILE *stream = open_file(path, "cgroup.procs");
	char line[32], name[32];
	int r = 0;

	while (!r && stream && fgets(line, sizeof(line), stream)) {
		pid_t pid = (pid_t)strtol(line, NULL, 10);

		name_of(pid, name);
		r = cb(pid, name, data);
	}
	return r;
}

static int each_below(const char *path, int depth, group_cb cb, void *data)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *entry;
	char below[PATH_MAX];
	int r = each_in(path, cb, data);

	while (!r && depth > 0 && dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) <
		    (int)sizeof(below))
			r = each_below(below, depth - 1, cb, data);
	}
	return r;
}

int group_each_process(const char *path, group_cb cb, void *data)
{
	_cleanup_fclose_ FILE *stream = open_file(path, "cgroup.procs");

	if (!stream || (fgetc(stream) == EOF && ferror(stream)))
		return -errno;
	return each_below(path, MAX_DEPTH, cb, data);
}

/* As long as its first process lives it may be about to be entered. */
void group_sweep(const char *path)
{
	_cleanup_closedir_ DIR *dir = opendir(path);
	struct dirent *entry;
	char below[PATH_MAX];

	while (dir && (entry = readdir(dir))) {
		pid_t pid;

		if (strncmp(entry->d_name, RUN, strlen(RUN)) != 0)
			continue;
		pid = (pid_t)strtol(entry->d_name + strlen(RUN), NULL, 10);
		if (pid > 0 && kill(pid, 0) < 0 && errno == ESRCH &&
		    snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) <
			    (int)sizeof(below))
			rmdir(below);
	}
}

int group_join_new(const char *path, pid_t pid, struct err *e)
{
	char below[PATH_MAX], text[16];
	_cleanup_close_ int fd = -1;
	int length;

	if (snprintf(below, sizeof(below), "%s/" RUN "%d", path, pid) >=
	    (int)sizeof(below) - (int)sizeof("/cgroup.procs"))
		return err_set(e, -ENAMETOOLONG, "the path of cgroup '%s' is too long", path);
	if (mkdir(below, 0755) < 0 && errno != EEXIST)
		return err_set(e, -errno, "cgroup '%s' cannot be made: %s", below, strerror(errno));
	strcat(below, "/cgroup.procs");
	fd = open(below, O_WRONLY | O_CLOEXEC);
	length = snprintf(text, sizeof(text), "%d", pid);
	if (fd < 0 || write(fd, text, (size_t)length) != length)
		return err_set(e, -errno, "process %d cannot be moved into '%s': %s", pid, below,
			       strerror(errno));
	return 0;
}
