// SPDX-License-Identifier: GPL-2.0
/*
 * tunfence metrics: the fences as numbers, on standard output or in a file that is replaced in one
 * step. What cannot be read is written as not fenced, then told. Exit 3 as status does.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "command.h"
#include "config.h"
#include "metrics.h"

/* Everybody may read it, whatever the umask. What is at path already is not written through: it may
 * be a link to somewhere else. */
static int write_beside(const struct metrics *m, const char *path)
{
	_cleanup_fclose_ FILE *out = NULL;
	int fd, r;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	out = fdopen(fd, "w");
	if (!out) {
		r = -errno;
		close(fd);
		return r;
	}
	if (fchmod(fd, 0644))
		return -errno;
	r = metrics_write(m, out);
	if (fclose(TAKE_PTR(out)) && !r)
		r = -errno;
	return r;
}

/* Whoever reads the file finds the old one or the new one, whole. What is left of it after a kill
 * has a name that the textfile collector does not read. */
static int write_file(const struct metrics *m, const char *path, struct err *e)
{
	char beside[PATH_MAX];
	int r, n = snprintf(beside, sizeof(beside), "%s.new", path);

	if (n < 0 || (size_t)n >= sizeof(beside))
		return err_set(e, -ENAMETOOLONG, "'%s' is too long a path", path);
	r = write_beside(m, beside);
	if (!r && rename(beside, path))
		r = -errno;
	if (!r)
		return 0;
	unlink(beside);
	return err_set(e, r, "'%s' cannot be written: %s; %s", path, strerror(-r),
		       r == -ENOENT ? "make its directory, or name another file with --output" :
				      "look at its directory, or name another file with --output");
}

int cmd_metrics(const struct options *o, int argc, char *argv[], struct err *e)
{
	const struct metrics_source from = { .bpffs = o->bpffs, .run_dir = o->run_dir,
					     .state_dir = o->state_dir,
					     .socket_dir = o->socket_dir };
	_cleanup_metrics_ struct metrics m = {};
	bool fenced = false;
	int written, r = argc ? config_check_name(argv[0], e) : 0;

	if (r)
		return r;
	r = metrics_gather(&from, argc ? argv[0] : NULL, &m, &fenced, e);
	if (m.incomplete)
		return r;
	/* What could not be gathered is the error to tell. */
	written = o->output ? write_file(&m, o->output, r ? NULL : e) : metrics_write(&m, stdout);
	if (r)
		return r;
	if (written)
		return o->output ? written :
				   err_set(e, written, "standard output cannot be written: %s",
					   strerror(-written));
	return fenced ? EXIT_DONE : EXIT_NOT_FENCED;
}
