// SPDX-License-Identifier: GPL-2.0
/* STATE/NAME.hosts: see hosts.h. */
#include "hosts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "compile.h"
#include "fault.h"
#include "util.h"
#include "when.h"

enum {
	MAX_BYTES = 65536,
	MAX_NAME = 64 + sizeof(".hosts.new"), /* of the file */
};

#define HEADER "# Last good addresses of fence '%s', written by tunfence. See tunfence(8).\n"

void hosts_free(struct hosts *h)
{
	free(h->names);
	*h = (struct hosts){};
}

const struct resolve_name *hosts_find(const struct hosts *h, const char *host)
{
	return resolve_find(h->names, h->count, host);
}

/* What may stand in a line, so that it is read as what was written. */
static bool is_plain(const char *host)
{
	const char *c;

	for (c = host; *c; c++) {
		if (!isascii(*c) || (!isalnum((unsigned char)*c) && *c != '-' && *c != '.'))
			return false;
	}
	return c > host && c < host + CONFIG_HOST_LEN;
}

/* ---- reading --------------------------------------------------------------------------------- */

static bool is_ours(const struct stat *st)
{
	return (st->st_uid == 0 || st->st_uid == geteuid()) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

/* A descriptor to the directory, -errno. */
static int open_dir(const char *dir, struct err *e)
{
	_cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_set(e, -errno, "'%s' cannot be opened: %s", dir, strerror(errno));
	if (!is_ours(&st))
		return err_set(e, -EPERM,
			       "'%s' can be written by others than root, so nothing in it counts; run "
			       "'chown root %s; chmod go-w %s'", dir, dir, dir);
	return TAKE_FD(fd);
}

static int refuse(const char *dir, const char *file, const char *why, struct err *e)
{
	return err_set(e, -EBADMSG,
		       "'%s/%s' %s, so no last good address counts; remove it, a new one is written when "
		       "names resolve", dir, file, why);
}

/* The file's content with a NUL behind it. *ret NULL: there is none. */
static int read_text(int dir_fd, const char *dir, const char *file, char **ret, struct stat *st,
		     struct err *e)
{
	_cleanup_close_ int fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	_cleanup_free_ char *text = NULL;
	ssize_t n;

	*ret = NULL;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, st) < 0)
		return refuse(dir, file, strerror(errno), e);
	if (!S_ISREG(st->st_mode))
		return refuse(dir, file, "is not a regular file", e);
	if (!is_ours(st))
		return refuse(dir, file, "could be written by others than root", e);
	if (st->st_size > MAX_BYTES)
		return refuse(dir, file, "is longer than 64 KiB", e);
	text = calloc(1, (size_t)st->st_size + 1);
	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	n = read(fd, text, (size_t)st->st_size);
	if (n != st->st_size || strlen(text) != (size_t)n)
		return refuse(dir, file, "cannot be read to its end", e);
	*ret = TAKE_PTR(text);
	return 0;
}

static struct resolve_name *name_of(struct hosts *h, const char *host)
{
	struct resolve_name *n = (struct resolve_name *)hosts_find(h, host);

	if (n)
		return n;
	n = reallocarray(h->names, h->count + 1, sizeof(*n));
	if (!n)
		return NULL;
	h->names = n;
	n += h->count++;
	*n = (struct resolve_name){ .source = RESOLVE_LAST_GOOD };
	strcpy(n->host, host);
	return n;
}

/* "ADDRESS NAME": what is wrong with it, or NULL. */
static const char *read_line(struct hosts *h, char *line)
{
	char *host = strchr(line, ' ');
	struct resolve_name *n;
	struct tf_addr addr;

	if (!host)
		return "has a line that is not 'ADDRESS NAME'";
	*host++ = '\0';
	if (!is_plain(host) || addr_parse(line, &addr, NULL))
		return "has a line that is not 'ADDRESS NAME'";
	if (!compile_can_be_endpoint(&addr))
		return "has an address that can never be an endpoint";
	n = name_of(h, host);
	if (!n)
		return "does not fit into memory";
	if (n->count == RESOLVE_ADDRS)
		return "has too many addresses of a name";
	resolve_add(n, &addr);
	return NULL;
}

static const char *read_lines(struct hosts *h, char *text)
{
	const char *wrong = NULL;
	char *line = text, *end;

	if (text[0] != '#')
		return "does not begin as tunfence writes it";
	for (line = text; !wrong && *line; line = end + 1) {
		end = strchr(line, '\n');
		if (!end)
			return "ends in the middle of a line";
		*end = '\0';
		if (line != text)
			wrong = read_line(h, line);
	}
	return wrong;
}

static void name_file(char out[MAX_NAME], const char *fence, const char *suffix)
{
	snprintf(out, MAX_NAME, "%.63s.hosts%s", fence, suffix);
}

int hosts_read(const char *dir, const char *fence, struct hosts *ret, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int dir_fd = -1;
	struct hosts h = {};
	char file[MAX_NAME];
	const char *wrong;
	struct stat st;
	int r;

	*ret = h;
	if (access(dir, F_OK) && errno == ENOENT)
		return 0;
	dir_fd = open_dir(dir, e);
	if (dir_fd < 0)
		return dir_fd;
	name_file(file, fence, "");
	r = read_text(dir_fd, dir, file, &text, &st, e);
	if (r || !text)
		return r;
	wrong = read_lines(&h, text);
	if (wrong) {
		hosts_free(&h);
		return refuse(dir, file, wrong, e);
	}
	h.when = st.st_mtim.tv_sec;
	*ret = h;
	return 0;
}

void hosts_lend(const struct hosts *h, struct resolve_name *names, size_t count)
{
	const struct resolve_name *last;
	size_t i, j;

	for (i = 0; i < count; i++) {
		last = resolve_is_fresh(&names[i]) ? NULL : hosts_find(h, names[i].host);
		if (!last)
			continue;
		names[i].source = RESOLVE_LAST_GOOD;
		for (j = 0; j < last->count; j++)
			resolve_add(&names[i], &last->addrs[j]);
	}
}

const char *hosts_age(long long when, char out[HOSTS_AGE_LEN])
{
	const time_t then = (time_t)when;
	const long long ago = (long long)time(NULL) - when;
	char age[WHEN_TEXT_LEN];
	struct tm tm;
	size_t used;

	used = localtime_r(&then, &tm) ? strftime(out, HOSTS_AGE_LEN, "%Y-%m-%d %H:%M:%S", &tm) : 0;
	if (ago > 0) /* a clock may have been set back since */
		snprintf(out + used, HOSTS_AGE_LEN - used, ", %s ago", when_long_ago(ago, age));
	else
		out[used] = '\0';
	return out;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct tf_addr));
}

/* Appends the lines of a name, all or, where there is no room, none. Sorted: who balances load gives
 * the same addresses in another order each time. */
static void put_name(char *text, size_t *used, const struct resolve_name *n)
{
	struct tf_addr addrs[RESOLVE_ADDRS];
	char address[ADDR_TEXT_LEN];
	size_t i, at = *used;

	if (!is_plain(n->host))
		return;
	memcpy(addrs, n->addrs, sizeof(addrs));
	qsort(addrs, n->count, sizeof(addrs[0]), by_bytes);
	for (i = 0; i < n->count; i++) {
		if (!compile_can_be_endpoint(&addrs[i]))
			continue;
		at += (size_t)snprintf(text + at, MAX_BYTES + 1 - at, "%s %s\n",
				       addr_format(&addrs[i], address), n->host);
		if (at > MAX_BYTES) {
			text[*used] = '\0';
			return;
		}
	}
	*used = at;
}

static int write_all(int fd, const char *text, size_t bytes)
{
	ssize_t n;

	for (; bytes; text += n, bytes -= (size_t)n) {
		n = write(fd, text, bytes);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
	}
	return 0;
}

/* when: what the file's time is to be; 0: now. */
static int write_beside(int dir_fd, const char *beside, const char *text, long long when)
{
	const struct timespec times[2] = { { .tv_sec = when }, { .tv_sec = when } };
	_cleanup_close_ int fd = -1;
	int r;

	unlinkat(dir_fd, beside, 0);
	fd = openat(dir_fd, beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	fault_step();
	r = write_all(fd, text, strlen(text));
	fault_step();
	if (!r && (fchmod(fd, 0644) || (when && futimens(fd, times)) || fsync(fd)))
		r = -errno;
	return r;
}

static int replace(int dir_fd, const char *file, const char *text, long long when)
{
	char beside[MAX_NAME];
	int r;

	snprintf(beside, sizeof(beside), "%.70s.new", file);
	r = write_beside(dir_fd, beside, text, when);
	if (!r && renameat(dir_fd, beside, dir_fd, file))
		r = -errno;
	fault_step();
	if (r)
		unlinkat(dir_fd, beside, 0);
	else
		fsync(dir_fd);
	return r;
}

/* The new text, and the time it is to have: that of the oldest in it. False: there is no news. */
static bool compose(const char *fence, const struct resolve_name *names, size_t count,
		    const struct hosts *before, char *text, long long *ret_when)
{
	const struct resolve_name *last;
	size_t i, used = (size_t)snprintf(text, MAX_BYTES, HEADER, fence);
	bool fresh = false;

	*ret_when = 0;
	for (i = 0; i < count; i++) {
		fresh = fresh || resolve_is_fresh(&names[i]);
		last = hosts_find(before, names[i].host);
		if (resolve_is_fresh(&names[i])) {
			put_name(text, &used, &names[i]);
		} else if (last) {
			put_name(text, &used, last);
			*ret_when = before->when;
		}
	}
	return fresh;
}

int hosts_make_dir(const char *dir)
{
	if (mkdir(dir, 0755) == 0)
		return chmod(dir, 0755) ? -errno : 0;
	return errno == EEXIST ? 0 : -errno;
}

int hosts_write(const char *dir, const char *fence, const struct resolve_name *names, size_t count,
		const struct hosts *before, struct err *e)
{
	_cleanup_free_ char *text = malloc(MAX_BYTES + 1), *old = NULL;
	_cleanup_close_ int dir_fd = -1;
	char file[MAX_NAME];
	long long when;
	struct stat st;
	int r;

	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	if (!compose(fence, names, count, before, text, &when))
		return 0;
	name_file(file, fence, "");
	r = hosts_make_dir(dir);
	if (!r) {
		dir_fd = open_dir(dir, e);
		if (dir_fd < 0)
			return dir_fd;
		/* Most often nothing has changed but the time. */
		if (read_text(dir_fd, dir, file, &old, &st, NULL) == 0 && old && streq(old, text))
			r = when || utimensat(dir_fd, file, NULL, 0) == 0 ? 0 : -errno;
		else
			r = replace(dir_fd, file, text, when);
	}
	if (r)
		return err_set(e, r,
			       "'%s/%s' cannot be written (%s); names that do not resolve at the next "
			       "boot will have older addresses, or none", dir, file, strerror(-r));
	return 0;
}

/* Below RUN itself nobody but root sees anything. */
static int public_dir(const char *run_dir, char out[PATH_MAX], struct err *e)
{
	if (snprintf(out, PATH_MAX, "%s-hosts", run_dir) < PATH_MAX)
		return 0;
	return err_set(e, -ENAMETOOLONG, "'%s' is too long a path", run_dir);
}

int hosts_publish(const char *run_dir, const char *fence, const struct resolve_name *names,
		  size_t count, struct err *e)
{
	_cleanup_free_ char *text = malloc(MAX_BYTES + 1);
	_cleanup_close_ int dir_fd = -1;
	size_t i, used, header;
	char dir[PATH_MAX];
	int r = public_dir(run_dir, dir, e);

	if (r)
		return r;
	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	used = header = (size_t)snprintf(text, MAX_BYTES, HEADER, fence);
	for (i = 0; i < count; i++)
		put_name(text, &used, &names[i]);
	if (used == header)
		return 0;
	r = hosts_make_dir(dir);
	if (!r) {
		dir_fd = open_dir(dir, e);
		if (dir_fd < 0)
			return dir_fd;
		r = replace(dir_fd, fence, text, 0);
	}
	return r ? err_set(e, r, "'%s/%s' cannot be written (%s); other programs do not find the "
			   "endpoints by name", dir, fence, strerror(-r)) :
		   0;
}

void hosts_withdraw(const char *run_dir, const char *fence)
{
	char path[PATH_MAX + 64];
	char dir[PATH_MAX];

	if (public_dir(run_dir, dir, NULL))
		return;
	snprintf(path, sizeof(path), "%s/%.63s", dir, fence);
	unlink(path);
	rmdir(dir); /* others' may be there */
}
