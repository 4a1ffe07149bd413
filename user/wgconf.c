// SPDX-License-Identifier: GPL-2.0
/*
 * Reads wg(8)'s configuration file, by the rules of wg's own reader: '#' ends a line, white space
 * counts nowhere, names know no case, the last of several values wins. The file holds private keys:
 * it is read into one buffer, never through stdio, and the buffer is wiped. No error ever repeats a
 * line, only the value of ListenPort, FwMark and Endpoint.
 */
#include "wgconf.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"
#include "value.h"

#define WGCONF_MAX (1024 * 1024) /* bytes; a thousand peers need a fifth of it */

struct secret {
	char *text;
	size_t size;
	size_t room;
};

static void secret_wipe(struct secret *s)
{
	if (s->text)
		explicit_bzero(s->text, s->room);
	free(s->text);
}
#define _cleanup_secret_ _cleanup_(secret_wipe)

enum section {
	SECTION_OTHER,
	SECTION_INTERFACE,
	SECTION_PEER,
};

struct reader {
	const char *path;
	unsigned int line;
	enum section section;
	struct wgconf found;
	struct config_endpoint peer; /* the endpoint of the current peer; port 0: none yet */
	struct key key;              /* of the current peer; none: not said, or no key */
	struct err *e;
};

static void reader_free(struct reader *r)
{
	wgconf_free(&r->found);
}
#define _cleanup_reader_ _cleanup_(reader_free)

void wgconf_free(struct wgconf *w)
{
	free(w->endpoints);
	*w = (struct wgconf){ 0 };
}

/* Text without blanks and comment, in place. Returns it. */
static char *strip(char *text)
{
	char *to = text;

	for (const char *from = text; *from && *from != '#'; from++)
		if (!strchr(" \t\r\v\f", *from))
			*to++ = *from;
	*to = '\0';
	return text;
}

static bool peer_known(const struct reader *r)
{
	for (size_t i = 0; i < r->found.endpoint_count; i++)
		if (value_endpoint_equal(&r->found.endpoints[i], &r->peer))
			return true;
	return false;
}

/* Adds what the peer that ends here said. Two peers behind one endpoint need one permission. */
static int peer_end(struct reader *r)
{
	static const struct key none;
	struct wgconf *w = &r->found;
	struct config_endpoint *more;

	r->peer.peer = r->peer.literal ? none : r->key;
	r->key = none;
	if (!r->peer.port || peer_known(r)) {
		r->peer.port = 0;
		return 0;
	}
	if (w->endpoint_count == TF_MAX_ENDPOINTS) {
		r->line = r->peer.line;
		return err_set(r->e, -E2BIG, "more than %d endpoints; split the tunnel",
			       TF_MAX_ENDPOINTS);
	}

	more = reallocarray(w->endpoints, w->endpoint_count + 1, sizeof(*more));
	if (!more)
		return err_set(r->e, -ENOMEM, "out of memory");
	w->endpoints = more;
	w->endpoints[w->endpoint_count++] = r->peer;
	r->peer.port = 0;
	return 0;
}

static int section_begin(struct reader *r, const char *line)
{
	int ret = peer_end(r);

	if (ret < 0)
		return ret;
	r->section = SECTION_OTHER;
	if (!strcasecmp(line, "[Interface]"))
		r->section = SECTION_INTERFACE;
	if (!strcasecmp(line, "[Peer]"))
		r->section = SECTION_PEER;
	return 0;
}

static int listen_port(struct reader *r, const char *value)
{
	__u32 port;

	if (parse_u32(value, 0, 65535, &port) < 0)
		return err_set(r->e, -EINVAL, "ListenPort '%s' is not a port; write 1 to 65535",
			       value);
	r->found.listen_port = (__u16)port;
	return 0;
}

static int mark(struct reader *r, const char *value)
{
	if (strcasecmp(value, "off"))
		return value_mark(value, &r->found.mark, r->e);
	r->found.mark = 0;
	return 0;
}

static int endpoint(struct reader *r, const char *value)
{
	int ret = value_endpoint(value, IPPROTO_UDP, &r->peer, r->e);

	if (ret < 0)
		return ret;
	r->peer.line = r->line;
	return 0;
}

/* What is no key is wg's to refuse, and none of our business. */
static void public_key(struct reader *r, const char *value)
{
	if (key_parse(value, &r->key) < 0)
		r->key = (struct key){ 0 };
}

static int line_read(struct reader *r, char *line)
{
	char *value;

	strip(line);
	if (!*line)
		return 0;
	if (*line == '[')
		return section_begin(r, line);

	value = strchr(line, '=');
	if (!value)
		return err_set(r->e, -EINVAL,
			       "neither a [section] nor KEY = VALUE; wg would refuse it "
			       "too");
	*value++ = '\0';

	if (r->section == SECTION_INTERFACE && !strcasecmp(line, "ListenPort"))
		return listen_port(r, value);
	if (r->section == SECTION_INTERFACE && !strcasecmp(line, "FwMark"))
		return mark(r, value);
	if (r->section == SECTION_PEER && !strcasecmp(line, "Endpoint"))
		return endpoint(r, value);
	if (r->section == SECTION_PEER && !strcasecmp(line, "PublicKey"))
		public_key(r, value);
	return 0;
}

static int text_read(struct reader *r, char *text)
{
	char *rest = text;
	char *line;
	int ret = 0;

	while (!ret && (line = strsep(&rest, "\n"))) {
		r->line++;
		ret = line_read(r, line);
	}
	if (!ret)
		ret = peer_end(r);
	if (ret < 0)
		err_prefix(r->e, "%s:%u", r->path, r->line);
	return ret;
}

static int file_open(const char *path, int *ret_fd, struct err *e)
{
	/* O_NONBLOCK: a FIFO must not hold us up before it is seen for what it is. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0) {
		int code = -errno;

		return err_set(e, code, "cannot read '%s': %s", path, strerror(-code));
	}
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "'%s' is not a regular file", path);

	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int file_read(int fd, const char *path, struct secret *s, struct err *e)
{
	s->room = WGCONF_MAX + 1;
	s->text = malloc(s->room);
	if (!s->text)
		return err_set(e, -ENOMEM, "out of memory");

	while (s->size < s->room) {
		ssize_t n = read(fd, s->text + s->size, s->room - s->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int code = -errno;

			return err_set(e, code, "cannot read '%s': %s", path, strerror(-code));
		}
		if (n == 0)
			break;
		s->size += (size_t)n;
	}
	if (s->size == s->room)
		return err_set(e, -EFBIG,
			       "'%s' is larger than 1 MiB; no WireGuard configuration is", path);

	s->text[s->size] = '\0';
	if (strlen(s->text) != s->size)
		return err_set(e, -EINVAL, "'%s' has a NUL byte in it; it is not a text file",
			       path);
	return 0;
}

int wgconf_parse(char *text, const char *path, struct wgconf *ret, struct err *e)
{
	_cleanup_reader_ struct reader reader = { .path = path, .e = e };
	int r = text_read(&reader, text);

	if (r < 0)
		return r;

	*ret = reader.found;
	reader.found = (struct wgconf){ 0 };
	return 0;
}

int wgconf_read(const char *path, struct wgconf *ret, struct err *e)
{
	_cleanup_secret_ struct secret secret = { 0 };
	_cleanup_close_ int fd = -1;
	int r;

	r = file_open(path, &fd, e);
	if (r < 0)
		return r;
	r = file_read(fd, path, &secret, e);
	if (r < 0)
		return r;
	return wgconf_parse(secret.text, path, ret, e);
}
