// SPDX-License-Identifier: GPL-2.0
/* Whose mounts these are: see mounts.h. */
#include "mounts.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "util.h"

/* Anyone may read it, also where ptrace's rules keep /proc/1/ns from being read. Mounts below others
 * are in it, which no path leads to. */
#define MACHINE "/proc/1/mountinfo"

bool mounts_are_the_machines(void)
{
	struct stat ours, init;

	return stat("/proc/self/ns/mnt", &ours) == 0 && stat("/proc/1/ns/mnt", &init) == 0 &&
	       ours.st_ino == init.st_ino && ours.st_dev == init.st_dev;
}

/* "36 35 0:31 / MOUNTPOINT rw,noatime shared:1 - bpf source options": what follows the two numbers is
 * known up to the blank behind MOUNTPOINT. One with a blank is written in another way there, and so
 * never found. */
static bool is_line_of(const char *line, const char *path, dev_t device)
{
	const char *rest = strstr(line, " - "), *at = strchr(line, ' ');
	char want[PATH_MAX + 64];
	int length = snprintf(want, sizeof(want), " %u:%u / %s ", major(device), minor(device), path);

	at = at ? strchr(at + 1, ' ') : NULL;
	return at && rest && strncmp(rest, " - bpf ", 7) == 0 && length < (int)sizeof(want) &&
	       strncmp(at, want, (size_t)length) == 0;
}

bool mountinfo_has_bpffs(FILE *stream, const char *path, dev_t device)
{
	_cleanup_free_ char *line = NULL;
	bool found = false;
	size_t size = 0;

	while (!found && getline(&line, &size, stream) >= 0)
		found = is_line_of(line, path, device);
	return found;
}

int mounts_check_bpffs(const char *path, const char *where, struct err *e)
{
	_cleanup_fclose_ FILE *machine = fopen(MACHINE, "re");
	struct stat st;

	if (!machine)
		return err_set(e, -errno, "the machine's mounts cannot be read from '%s': %s", MACHINE,
			       strerror(errno));
	if (stat(path, &st))
		return err_set(e, -errno, "'%s': %s", path, strerror(errno));
	if (!mountinfo_has_bpffs(machine, where, st.st_dev))
		return err_set(e, -EINVAL, "what is mounted on '%s' here is not mounted for the machine",
			       where);
	return 0;
}
