// SPDX-License-Identifier: GPL-2.0
/*
 * What a command takes: time, processor and memory of its own; and what it leaves in the kernel:
 * the memory that the kernel charges for the maps and programs pinned below a directory, each once.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "util.h"

enum {
	MAX_OBJECTS = 512,
	MAX_MAPS = 64, /* of one program */
};

static struct sample sample_of(char *argv[])
{
	return (struct sample){ .part = argv[0], .what = argv[1], .who = argv[2], .base = argv[3],
				.round = (unsigned int)atoi(argv[4]) };
}

static void print_as(struct sample *s, const char *suffix, const char *unit, double value)
{
	const char *whole = s->what;
	char what[128];

	snprintf(what, sizeof(what), "%s%s", whole, suffix);
	s->what = what;
	s->unit = unit;
	s->value = value;
	print_sample(s);
	s->what = whole;
}

int bench_run(int argc, char *argv[], struct err *e)
{
	struct rusage used;
	struct sample s;
	__u64 start = now_ns();
	int status;
	pid_t child;

	if (argc < 6)
		return err_set(e, -EINVAL, "what is to be run?");
	child = fork();
	if (child == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO); /* samples are what is printed here */
		execvp(argv[5], argv + 5);
		_exit(127);
	}
	if (child < 0 || wait4(child, &status, 0, &used) != child || status)
		return err_set(e, -EIO, "'%s' failed", argv[5]);
	s = sample_of(argv);
	print_as(&s, "", "ms", (double)(now_ns() - start) / 1e6);
	print_as(&s, ": CPU", "ms",
		 (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
			 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3);
	print_as(&s, ": peak memory", "KiB", (double)used.ru_maxrss);
	return 0;
}

/* What was counted already, by id; maps and programs have numbers of their own. */
struct seen {
	__u32 ids[MAX_OBJECTS];
	size_t count;
	double kib;
};

static __u64 charged(int fd)
{
	char path[64], line[128];
	unsigned long long bytes = 0;
	_cleanup_fclose_ FILE *info = NULL;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	info = fopen(path, "re");
	while (info && fgets(line, sizeof(line), info)) {
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	}
	return bytes;
}

static void count(struct seen *seen, __u32 id, int fd)
{
	size_t i;

	for (i = 0; i < seen->count; i++) {
		if (seen->ids[i] == id)
			return;
	}
	if (seen->count < MAX_OBJECTS)
		seen->ids[seen->count++] = id;
	seen->kib += (double)charged(fd) / 1024;
}

/* A program, and the maps that it keeps. */
static void count_program(int fd, struct seen *programs_seen, struct seen *maps_seen)
{
	__u32 ids[MAX_MAPS] = {}, i, size;
	struct bpf_prog_info info = { .nr_map_ids = MAX_MAPS, .map_ids = (__u64)(unsigned long)ids };

	size = sizeof(info);
	if (bpf_obj_get_info_by_fd(fd, &info, &size))
		return;
	count(programs_seen, info.id, fd);
	for (i = 0; i < info.nr_map_ids && i < MAX_MAPS; i++) {
		_cleanup_close_ int map = bpf_map_get_fd_by_id(ids[i]);

		if (map >= 0)
			count(maps_seen, ids[i], map);
	}
}

static int count_directory(const char *directory, struct seen *programs_seen,
			   struct seen *maps_seen, struct err *e)
{
	_cleanup_closedir_ DIR *dir = opendir(directory);
	const struct dirent *entry;
	char path[4200];

	if (!dir)
		return err_set(e, -errno, "'%s': %s", directory, strerror(errno));
	while ((entry = readdir(dir))) {
		_cleanup_close_ int fd = -1;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
		fd = bpf_obj_get(path);
		if (fd >= 0)
			count_program(fd, programs_seen, maps_seen);
	}
	return 0;
}

int bench_memory(int argc, char *argv[], struct err *e)
{
	static struct seen programs_seen, maps_seen;
	struct sample s;
	int r;

	if (argc != 6)
		return err_set(e, -EINVAL, "below which directory?");
	r = count_directory(argv[5], &programs_seen, &maps_seen, e);
	if (r)
		return r;
	s = sample_of(argv);
	print_as(&s, ": maps", "KiB", maps_seen.kib);
	print_as(&s, ": programs", "KiB", programs_seen.kib);
	print_as(&s, ": maps and programs", "KiB", maps_seen.kib + programs_seen.kib);
	return 0;
}
