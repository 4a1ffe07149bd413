// SPDX-License-Identifier: GPL-2.0
/*
 * Where a run of verify lives: private mounts, processes and network, and a cgroup of its own. The
 * machine's own namespaces are left for good before anything else is done; what a killed run leaves
 * behind is a few empty cgroups, and the next run sweeps them.
 */
#define _GNU_SOURCE /* unshare */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "verify_world.h"

#define PREFIX "tunfence-verify-"

enum { EMPTY_TRIES = 1000, EMPTY_PAUSE_NS = 2000000 };

static int mount_private(struct err *e)
{
	if (unshare(CLONE_NEWNET) < 0)
		return err_set(e, -errno, "cannot make a network namespace: %s", strerror(errno));
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_set(e, -errno, "cannot make mounts of our own: %s", strerror(errno));
	return 0;
}

/* The exit status; a signal is an error. */
static int wait_for(pid_t child, struct err *e)
{
	int status;

	while (waitpid(child, &status, 0) < 0) {
		if (errno != EINTR)
			return err_set(e, -errno, "cannot wait: %s", strerror(errno));
	}
	if (WIFSIGNALED(status))
		return err_set(e, -EIO, "the run was killed by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

int verify_isolate(int (*function)(void *data), void *data, struct err *e)
{
	pid_t child;

	/* Ctrl-C reaches the child too, which ends when it may and tidies up; then so do we. */
	signal(SIGINT, SIG_IGN);
	if (unshare(CLONE_NEWNS | CLONE_NEWPID) < 0)
		return err_set(e, -errno, "cannot make namespaces of our own: %s%s",
			       strerror(errno),
			       errno == EPERM ? "; verify needs root, in a container also "
						"CAP_SYS_ADMIN" : "");
	fflush(NULL);
	child = fork();
	if (child < 0)
		return err_set(e, -errno, "cannot fork: %s", strerror(errno));
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(function(data));
	}
	return wait_for(child, e);
}

/* Also those that left their process group, as daemons do. */
static void kill_all_in(const char *cgroup)
{
	_cleanup_fclose_ FILE *list = NULL;
	char path[4200], line[32];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	list = fopen(path, "re");
	while (list && fgets(line, sizeof(line), list)) {
		pid_t pid = (pid_t)strtol(line, NULL, 10);

		if (pid > 1) /* 0: of another process namespace, so none of ours */
			kill(pid, SIGKILL);
	}
}

void verify_remove_cgroup(const char *cgroup)
{
	const struct timespec pause = { .tv_nsec = EMPTY_PAUSE_NS };
	int tries;

	for (tries = 0; tries < EMPTY_TRIES && rmdir(cgroup) < 0 && errno == EBUSY; tries++) {
		kill_all_in(cgroup);
		nanosleep(&pause, NULL);
	}
}

/* One that an ended run left: named as ours, and locked by nobody. */
static void sweep_one(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = NULL;
	struct dirent *entry;
	char below[4096];

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
		return;
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) <
		    (int)sizeof(below))
			rmdir(below);
	}
	rmdir(path);
}

static void sweep(const char *parent)
{
	_cleanup_closedir_ DIR *dir = opendir(parent);
	struct dirent *entry;
	char path[4096];

	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", parent, entry->d_name) <
		    (int)sizeof(path))
			sweep_one(path);
	}
}

static int make_cgroup(struct verify_run *run, const char *parent, struct err *e)
{
	_cleanup_(cgroup_close) struct cgroup c = { .fd = -1 };
	int r = cgroup_open(parent, &c, e);

	if (r)
		return r;
	sweep(c.path);
	if (snprintf(run->cgroup, sizeof(run->cgroup), "%s/" PREFIX "XXXXXX", c.path) >=
	    (int)sizeof(run->cgroup))
		return err_set(e, -ENAMETOOLONG, "the path of cgroup '%s' is too long", c.path);
	if (!mkdtemp(run->cgroup))
		return err_set(e, -errno, "cannot make a cgroup below '%s': %s; name one that "
			       "you may write to with --cgroup", c.path, strerror(errno));
	run->cgroup_lock = open(run->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (run->cgroup_lock < 0 || flock(run->cgroup_lock, LOCK_SH) < 0)
		return err_set(e, -errno, "cannot lock cgroup '%s': %s", run->cgroup,
			       strerror(errno));
	return 0;
}

/* Tools may write to /run as they like, and find no daemon of the machine's to talk to. */
static int make_run_directory(struct err *e)
{
	if (mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755,size=64m") < 0)
		return err_set(e, -errno, "cannot mount a tmpfs on '/run': %s", strerror(errno));
	if (mkdir(VERIFY_RUN, 0700) < 0)
		return err_set(e, -errno, "cannot make '%s': %s", VERIFY_RUN, strerror(errno));
	return 0;
}

static void set_environment(void)
{
	unsetenv("SSH_CONNECTION"); /* no session of anybody's is at stake here */
	unsetenv("SSH_CLIENT");
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("LC_ALL", "C", 1);
}

int verify_run_begin(struct verify_run *run, const char *cgroup, struct err *e)
{
	struct stat st;
	int r;

	run->cgroup_lock = -1;
	if (stat("/proc/self/ns/net", &st) < 0)
		return err_set(e, -errno, "cannot read '/proc/self/ns/net': %s; mount proc on /proc",
			       strerror(errno));
	run->machine = st.st_ino;
	r = mount_private(e);
	if (!r)
		r = make_run_directory(e);
	if (!r)
		r = make_cgroup(run, cgroup, e);
	if (r)
		return r;
	set_environment();
	return 0;
}

void verify_run_end(struct verify_run *run)
{
	if (run->cgroup_lock < 0)
		return;
	close(run->cgroup_lock);
	run->cgroup_lock = -1;
	verify_remove_cgroup(run->cgroup);
}

int verify_join(const char *cgroup)
{
	_cleanup_close_ int fd = -1;
	char path[4200];

	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) < 0)
		return -errno;
	return 0;
}
