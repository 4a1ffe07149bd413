// SPDX-License-Identifier: GPL-2.0
/*
 * libnss_tunfence: the names of the tunnels' endpoints, for programs that must find them while the
 * fence is up and no name can be resolved: wg, wg-quick, OpenVPN. They are read from the files that
 * tunfence keeps in /run/tunfence-hosts; for any other name the next service is asked.
 *
 * Lives in any process, set-user-ID ones too: asks no environment but one word that can only turn it
 * off, believes only files that none but root can write, reads them by a line of fixed size, keeps
 * nothing and allocates nothing but what opendir() does.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <nss.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOSTS_DIR "/run/tunfence-hosts"

enum {
	MOST_FILES = 64,
	MOST_BYTES = 65536, /* of a file */
	MOST_ADDRS = 32,    /* of a name */
	LINE = 320,         /* an address, a blank and a name */
};

struct found {
	int family[MOST_ADDRS];
	unsigned char addr[MOST_ADDRS][16];
	size_t count;
};

/* ---- the files ------------------------------------------------------------------------------- */

static bool same_name(const char *a, const char *b)
{
	size_t a_bytes = strlen(a), b_bytes = strlen(b);

	a_bytes -= a_bytes && a[a_bytes - 1] == '.';
	b_bytes -= b_bytes && b[b_bytes - 1] == '.';
	return a_bytes && a_bytes == b_bytes && strncasecmp(a, b, a_bytes) == 0;
}

/* "ADDRESS NAME", else nothing. */
static void take_line(struct found *f, char *line, const char *name, int family)
{
	char *host = strchr(line, ' ');
	int is = strchr(line, ':') ? AF_INET6 : AF_INET;
	size_t i;

	if (!host || line[0] == '#' || f->count == MOST_ADDRS)
		return;
	*host++ = '\0';
	if (!same_name(host, name) || (family != AF_UNSPEC && family != is))
		return;
	memset(f->addr[f->count], 0, sizeof(f->addr[0]));
	if (inet_pton(is, line, f->addr[f->count]) != 1)
		return;
	for (i = 0; i < f->count; i++) {
		if (f->family[i] == is && memcmp(f->addr[i], f->addr[f->count], 16) == 0)
			return;
	}
	f->family[f->count++] = is;
}

/* A line that does not fit is none of ours and is passed over. */
static void read_lines(int fd, struct found *f, const char *name, int family)
{
	char line[LINE], bytes[1024];
	size_t used = 0, total = 0;
	ssize_t n, i;

	while (total < MOST_BYTES && (n = read(fd, bytes, sizeof(bytes))) > 0) {
		total += (size_t)n;
		for (i = 0; i < n; i++) {
			if (bytes[i] != '\n') {
				if (used < sizeof(line))
					line[used++] = bytes[i];
				continue;
			}
			if (used < sizeof(line)) {
				line[used] = '\0';
				take_line(f, line, name, family);
			}
			used = 0;
		}
	}
}

static bool is_roots(int fd, mode_t kind)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == kind && st.st_uid == 0 &&
	       !(st.st_mode & (S_IWGRP | S_IWOTH));
}

static void read_file(int dir_fd, const char *file, struct found *f, const char *name, int family)
{
	int fd = openat(dir_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return;
	if (is_roots(fd, S_IFREG))
		read_lines(fd, f, name, family);
	close(fd);
}

static void read_files(struct found *f, const char *name, int family)
{
	DIR *dir = opendir(HOSTS_DIR);
	struct dirent *entry;
	int files = 0;

	if (!dir)
		return;
	while (is_roots(dirfd(dir), S_IFDIR) && files++ < MOST_FILES && (entry = readdir(dir))) {
		if (!strchr(entry->d_name, '.')) /* a fence's name has none */
			read_file(dirfd(dir), entry->d_name, f, name, family);
	}
	closedir(dir);
}

/* Tunfence itself wants to know what others say. */
static void look_up(struct found *f, const char *name, int family)
{
	const int before = errno;

	f->count = 0;
	if (!getenv("TUNFENCE_NO_NSS"))
		read_files(f, name, family);
	errno = before;
}

/* ---- the answers ----------------------------------------------------------------------------- */

static enum nss_status not_found(int *errnop, int *h_errnop)
{
	*errnop = ENOENT;
	*h_errnop = HOST_NOT_FOUND;
	return NSS_STATUS_NOTFOUND;
}

static enum nss_status too_small(int *errnop, int *h_errnop)
{
	*errnop = ERANGE;
	*h_errnop = NETDB_INTERNAL;
	return NSS_STATUS_TRYAGAIN;
}

/* Aligned room for so many bytes in the caller's buffer, NULL: there is none. */
static void *room(char **buffer, size_t *left, size_t bytes)
{
	size_t skip = -(uintptr_t)*buffer % sizeof(void *);
	void *at = *buffer + skip;

	if (*left < skip || *left - skip < bytes)
		return NULL;
	*buffer += skip + bytes;
	*left -= skip + bytes;
	return at;
}

static char *put_name(char **buffer, size_t *left, const char *name)
{
	char *at = room(buffer, left, strlen(name) + 1);

	return at ? strcpy(at, name) : NULL;
}

enum nss_status _nss_tunfence_gethostbyname4_r(const char *name, struct gaih_addrtuple **pat,
					       char *buffer, size_t left, int *errnop,
					       int *h_errnop, int32_t *ttlp)
{
	struct gaih_addrtuple *list;
	struct found f;
	char *said;
	size_t i;

	look_up(&f, name, AF_UNSPEC);
	if (!f.count)
		return not_found(errnop, h_errnop);
	said = put_name(&buffer, &left, name);
	list = said ? room(&buffer, &left, f.count * sizeof(*list)) : NULL;
	if (!list)
		return too_small(errnop, h_errnop);
	for (i = 0; i < f.count; i++) {
		list[i] = (struct gaih_addrtuple){ .next = i + 1 < f.count ? &list[i + 1] : NULL,
						   .name = said, .family = f.family[i] };
		memcpy(list[i].addr, f.addr[i], sizeof(list[i].addr));
	}
	if (*pat)
		**pat = *list;
	else
		*pat = list;
	if (ttlp)
		*ttlp = 0;
	*h_errnop = NETDB_SUCCESS;
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_tunfence_gethostbyname3_r(const char *name, int family, struct hostent *result,
					       char *buffer, size_t left, int *errnop,
					       int *h_errnop, int32_t *ttlp, char **canonp)
{
	size_t bytes = family == AF_INET ? 4 : 16, i;
	char **lists, *addrs, *said;
	struct found f;

	if (family != AF_INET && family != AF_INET6)
		return not_found(errnop, h_errnop);
	look_up(&f, name, family);
	if (!f.count)
		return not_found(errnop, h_errnop);
	said = put_name(&buffer, &left, name);
	addrs = said ? room(&buffer, &left, f.count * bytes) : NULL;
	lists = addrs ? room(&buffer, &left, (f.count + 2) * sizeof(*lists)) : NULL;
	if (!lists)
		return too_small(errnop, h_errnop);
	for (i = 0; i < f.count; i++)
		lists[i] = memcpy(addrs + i * bytes, f.addr[i], bytes);
	lists[f.count] = lists[f.count + 1] = NULL;
	*result = (struct hostent){ .h_name = said, .h_aliases = &lists[f.count + 1],
				    .h_addrtype = family, .h_length = (int)bytes,
				    .h_addr_list = lists };
	if (ttlp)
		*ttlp = 0;
	if (canonp)
		*canonp = said;
	*h_errnop = NETDB_SUCCESS;
	return NSS_STATUS_SUCCESS;
}

enum nss_status _nss_tunfence_gethostbyname2_r(const char *name, int family, struct hostent *result,
					       char *buffer, size_t left, int *errnop,
					       int *h_errnop)
{
	return _nss_tunfence_gethostbyname3_r(name, family, result, buffer, left, errnop, h_errnop,
					      NULL, NULL);
}

enum nss_status _nss_tunfence_gethostbyname_r(const char *name, struct hostent *result, char *buffer,
					      size_t left, int *errnop, int *h_errnop)
{
	return _nss_tunfence_gethostbyname3_r(name, AF_INET, result, buffer, left, errnop, h_errnop,
					      NULL, NULL);
}
