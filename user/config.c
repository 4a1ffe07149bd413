// SPDX-License-Identifier: GPL-2.0
/*
 * Lines and sections of a configuration: see config.h. libinih splits a line into key and value;
 * what it does in silence (cut long lines, continue indented ones, stop at a NUL, skip a bare
 * [Section]) is taken out of its hands by the reader below, which gives it one clean line at a
 * time. Keys are config_keys.c's, how they go together is config_check.c's.
 */
#include "config.h"

#include <fcntl.h>
#include <ini.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_parser.h"
#include "util.h"
#include "value.h"

#define FILE_MAX (16 * 1024 * 1024) /* bytes; as many Destination= lines as may be need half */
#define LINE_WANTED 1024	    /* characters */

/* Debian's libinih can be told its longest line; upstream's is built with one and has no such
 * variable. The reader obeys the room it is given. */
extern int ini_max_line __attribute__((weak));

const char *const config_sections[SECTIONS] = { "Fence", "Tunnel", "Allow", "Exempt" };

static void groups_free(struct config_group *groups, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free(groups[i].cgroup);
		free(groups[i].unit);
	}
	free(groups);
}

void config_free(struct config *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < c->tunnel_count; i++) {
		free(c->tunnels[i].wireguard_config);
		free(c->tunnels[i].endpoints);
	}
	free(c->tunnels);
	free(c->path);
	groups_free(c->groups, c->group_count);
	groups_free(c->exempt.groups, c->exempt.group_count);
	for (size_t i = 0; i < c->exempt.user_count; i++)
		free(c->exempt.users[i]);
	free(c->exempt.users);
	free(c->lan);
	free(c->inbound);
	free(c->inside);
	free(c->destinations);
	free(c);
}

void parser_free(struct parser *p)
{
	if (p)
		config_free(p->config);
	free(p);
}

int parser_no_memory(struct parser *p)
{
	return err_set(p->e, -ENOMEM, "out of memory");
}

int parser_grow(struct parser *p, void **array, size_t count, size_t size)
{
	void *more;

	if (count & (count - 1))
		return 0;
	more = reallocarray(*array, count ? 2 * count : 1, size);
	if (!more)
		return parser_no_memory(p);
	*array = more;
	return 0;
}

struct config_tunnel *parser_tunnel(struct parser *p)
{
	return &p->config->tunnels[p->config->tunnel_count - 1];
}

int parser_add_tunnel(struct parser *p)
{
	struct config *c = p->config;
	int r;

	if (c->tunnel_count == TF_MAX_TUNNELS)
		return err_set(p->e, -E2BIG, "more than %d tunnels; split the fence",
			       TF_MAX_TUNNELS);
	r = PARSER_GROW(p, c->tunnels, c->tunnel_count);
	if (r < 0)
		return r;

	c->tunnels[c->tunnel_count++] = (struct config_tunnel){ .line = p->line };
	return 0;
}

const struct config_endpoint *parser_find_endpoint(const struct config_tunnel *tunnel,
						   const struct config_endpoint *endpoint)
{
	for (size_t i = 0; i < tunnel->endpoint_count; i++)
		if (value_endpoint_equal(&tunnel->endpoints[i], endpoint))
			return &tunnel->endpoints[i];
	return NULL;
}

int parser_add_endpoint(struct parser *p, struct config_tunnel *tunnel,
			const struct config_endpoint *endpoint)
{
	int r;

	if (p->endpoint_count == TF_MAX_ENDPOINTS)
		return err_set(p->e, -E2BIG, "more than %d endpoints; split the fence",
			       TF_MAX_ENDPOINTS);
	r = PARSER_GROW(p, tunnel->endpoints, tunnel->endpoint_count);
	if (r < 0)
		return r;

	tunnel->endpoints[tunnel->endpoint_count++] = *endpoint;
	p->endpoint_count++;
	return 0;
}

/* The first error ends the file: p->e says what, this says where. */
static int fail(struct parser *p, int code)
{
	p->failed = code;
	if (p->at)
		err_prefix(p->e, "%s:%u", p->file, p->at);
	else
		err_prefix(p->e, "%s", p->file);
	return code;
}

static int section_end(struct parser *p)
{
	int r = p->section == SECTION_Tunnel ? config_check_tunnel(p) : 0;

	p->section = SECTION_NONE;
	return r;
}

static enum config_section section_find(const char *name, size_t length)
{
	for (size_t i = 0; i < SECTIONS; i++)
		if (strlen(config_sections[i]) == length &&
		    !strncmp(config_sections[i], name, length))
			return (enum config_section)i;
	return SECTION_NONE;
}

/* line is "[...". */
static int section_begin(struct parser *p, const char *line)
{
	size_t length = strcspn(line + 1, "]");
	enum config_section section;
	int r;

	r = section_end(p);
	if (r < 0)
		return r;

	p->at = p->line;
	if (!streq(line + 1 + length, "]"))
		return err_set(p->e, -EINVAL, "'%s' is no section; write it as [Name]", line);
	section = section_find(line + 1, length);
	if (section == SECTION_NONE)
		return config_unknown_section(line + 1, length, p->e);
	if (section != SECTION_Tunnel && p->section_line[section])
		return err_set(p->e, -EEXIST, "[%s] begins in line %u already; put its keys there",
			       config_sections[section], p->section_line[section]);

	p->section = section;
	if (!p->section_line[section])
		p->section_line[section] = p->line;
	p->config->exempt.any |= section == SECTION_Exempt;
	if (section != SECTION_Tunnel)
		return 0;
	for (size_t key = 0; key < KEY_COUNT; key++)
		if (config_key_section((enum config_key_id)key) == SECTION_Tunnel)
			p->key_line[key] = 0;
	return parser_add_tunnel(p);
}

/* The bytes up to the next newline, without it. *ret_length is -1 at the end of the file. */
static int line_read(struct parser *p, char *line, size_t room, ssize_t *ret_length)
{
	size_t length = 0;
	int c;

	while ((c = getc_unlocked(p->stream)) != EOF && c != '\n') {
		if (length == room)
			return err_set(p->e, -EINVAL,
				       "the line is longer than %zu characters; make "
				       "several of it, or a shorter comment",
				       room);
		line[length++] = (char)c;
	}
	if (c == EOF && ferror(p->stream))
		return err_set(p->e, -EIO, "cannot be read");

	p->size += length + (c == '\n');
	if (p->size > FILE_MAX)
		return err_set(p->e, -EFBIG,
			       "the file is larger than 16 MiB; use shorter prefixes");
	*ret_length = c == EOF && !length ? -1 : (ssize_t)length;
	return 0;
}

/* Takes from the line, in place: CR of a Windows file, byte order mark, blanks around, comment. */
static int line_clean(struct parser *p, char *line, size_t length)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t skip = 0;

	if (length && line[length - 1] == '\r')
		length--;
	for (size_t i = 0; i < length; i++)
		if (((unsigned char)line[i] < ' ' && line[i] != '\t') || line[i] == 0x7f)
			return err_set(p->e, -EINVAL,
				       "there is a control character (byte 0x%02x) in the "
				       "line; remove it",
				       (unsigned char)line[i]);
	line[length] = '\0';

	if (p->line == 1 && !strncmp(line, mark, strlen(mark)))
		skip = strlen(mark);
	skip += strspn(line + skip, VALUE_BLANKS);
	memmove(line, line + skip, length - skip + 1);

	for (char *c = line; *c; c++)
		if ((*c == '#' || *c == ';') && (c == line || strchr(VALUE_BLANKS, c[-1])))
			*c = '\0';
	for (length = strlen(line); length && strchr(VALUE_BLANKS, line[length - 1]); length--)
		line[length - 1] = '\0';
	return 0;
}

/* Sees to the section, and to what libinih would not complain about. */
static int line_check(struct parser *p, const char *line)
{
	if (!*line)
		return 0;
	if (*line == '[')
		return section_begin(p, line);
	if (line[strcspn(line, "=:")] != '=')
		return err_set(p->e, -EINVAL, "'%s' is not understood; write KEY=VALUE", line);
	return 0;
}

/* libinih's reader: fgets() for clean lines. NULL, the end, also after an error. */
static char *read_line(char *line, int room, void *user)
{
	struct parser *p = user;
	ssize_t length = -1;
	int r;

	if (p->failed)
		return NULL;

	p->at = ++p->line;
	r = line_read(p, line, (size_t)room - 2, &length); /* "\n" and NUL */
	if (!r && length < 0)
		return NULL;
	if (!r)
		r = line_clean(p, line, (size_t)length);
	if (!r)
		r = line_check(p, line);
	if (r < 0) {
		fail(p, r);
		return NULL;
	}
	return strcat(line, "\n");
}

static int key_read(struct parser *p, const char *name, const char *value)
{
	enum config_key_id key;

	if (p->section == SECTION_NONE)
		return err_set(p->e, -EINVAL, "'%s' stands before any section; begin with [Tunnel]",
			       name);
	key = config_key_find(p->section, name);
	if (key == KEY_COUNT)
		return config_unknown_key(p->section, name, p->e);
	if (!*value)
		return err_set(p->e, -EINVAL, "'%s' has no value; write %s=%s", name, name,
			       config_keys[key].value);
	if (p->key_line[key] && !config_keys[key].repeatable)
		return err_set(p->e, -EEXIST, "'%s' is in line %u already; keep one of the two",
			       name, p->key_line[key]);

	if (!p->key_line[key])
		p->key_line[key] = p->line;
	return config_key_parse(p, key, value);
}

/* libinih's handler: 0 is an error. The section is the reader's, as libinih cuts its name. */
static int on_key(void *user, const char *section, const char *name, const char *value)
{
	struct parser *p = user;
	int r;

	(void)section;
	if (p->failed)
		return 0;
	r = key_read(p, name, value);
	if (r < 0)
		fail(p, r);
	return r == 0;
}

static int file_parse(struct parser *p)
{
	int r;

	if (&ini_max_line)
		ini_max_line = LINE_WANTED + 2;
	r = ini_parse_stream(read_line, p, on_key, p);
	if (p->failed)
		return p->failed;
	if (r) {
		err_set(p->e, -EINVAL, "cannot be parsed");
		p->at = r > 0 ? (unsigned int)r : 0;
		return fail(p, -EINVAL);
	}

	r = section_end(p);
	if (!r)
		r = config_check(p);
	return r < 0 ? fail(p, r) : 0;
}

static struct parser *parser_alloc(void)
{
	struct parser *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->config = calloc(1, sizeof(*p->config));
	if (p->config)
		return p;
	free(p);
	return NULL;
}

static int parser_new(const char *file, const char *name, const char *origin, struct parser **ret,
		      struct err *e)
{
	_cleanup_parser_ struct parser *p = NULL;
	int r;

	r = config_check_name(name, e);
	if (r < 0)
		return r;
	p = parser_alloc();
	if (!p)
		return err_set(e, -ENOMEM, "out of memory");

	p->file = file;
	p->section = SECTION_NONE;
	p->e = e;
	strcpy(p->config->name, name);
	p->config->origin = origin;
	p->config->dhcp = true;
	if (file)
		p->config->path = strdup(file);
	if (file && !p->config->path)
		return err_set(e, -ENOMEM, "out of memory");

	*ret = TAKE_PTR(p);
	return 0;
}

int config_check_name(const char *name, struct err *e)
{
	static const char chars[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@-";
	size_t length = strlen(name);

	if (!length || length >= sizeof(((struct config *)0)->name) ||
	    strspn(name, chars) != length || name[0] == '-')
		return err_set(
			e, -EINVAL,
			"'%s' is not a name for a fence; write 1 to 63 letters, digits, '_', "
			"'@' and '-', the first being no '-' (the BPF file system takes no '.')",
			name);
	return 0;
}

int config_parse(FILE *stream, const char *file, const char *name, const char *wireguard_dir,
		 struct config **ret, struct err *e)
{
	_cleanup_parser_ struct parser *p = NULL;
	int r;

	r = parser_new(file, name, "tunfence.conf", &p, e);
	if (r < 0)
		return r;
	p->stream = stream;
	p->wireguard_dir = wireguard_dir;
	r = file_parse(p);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(p->config);
	return 0;
}

/* A policy that anybody can write protects from nobody. */
static int file_check(const struct stat *st, const char *path, struct err *e)
{
	if (!S_ISREG(st->st_mode))
		return err_set(e, -EINVAL, "'%s' is not a regular file", path);
	if (st->st_size > FILE_MAX)
		return err_set(e, -EFBIG, "'%s' is larger than 16 MiB; use shorter prefixes", path);
	if (geteuid() == 0 && (st->st_mode & (S_IWGRP | S_IWOTH)))
		return err_set(e, -EPERM,
			       "'%s' can be written by others than its owner; run 'chmod "
			       "go-w %s'",
			       path, path);
	return 0;
}

int config_read(const char *path, const char *name, const char *wireguard_dir, struct config **ret,
		struct err *e)
{
	/* O_NONBLOCK: a FIFO must not hold us up before it is seen for what it is. */
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	_cleanup_fclose_ FILE *stream = NULL;
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0) {
		r = -errno;
		return err_set(e, r, "cannot read '%s': %s", path, strerror(-r));
	}
	r = file_check(&st, path, e);
	if (r < 0)
		return r;
	stream = fdopen(fd, "re");
	if (!stream)
		return err_set(e, -errno, "cannot read '%s': %s", path, strerror(errno));
	TAKE_FD(fd);

	return config_parse(stream, path, name, wireguard_dir, ret, e);
}

/* One tunnel of this name, and no key of any file. */
static int parser_for_interface(const char *path, const char *interface, const char *origin,
				struct parser **ret, struct err *e)
{
	_cleanup_parser_ struct parser *p = NULL;
	int r;

	r = parser_new(path, interface, origin, &p, e);
	if (r < 0)
		return r;
	r = parser_add_tunnel(p);
	if (r < 0)
		return r;
	r = value_interface(interface, &parser_tunnel(p)->interface, e);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(p);
	return 0;
}

int config_from_wireguard(const char *path, const char *interface, struct config **ret,
			  struct err *e)
{
	_cleanup_parser_ struct parser *p = NULL;
	int r;

	r = parser_for_interface(path, interface, "WireGuard configuration", &p, e);
	if (r < 0)
		return r;
	parser_tunnel(p)->wireguard_config = strdup(path);
	if (!parser_tunnel(p)->wireguard_config)
		return parser_no_memory(p);
	r = config_merge_wireguard(p, parser_tunnel(p));
	if (r < 0)
		return r;

	*ret = TAKE_PTR(p->config);
	return 0;
}

int config_from_interface(const char *interface, struct config **ret, struct err *e)
{
	_cleanup_parser_ struct parser *p = NULL;
	int r;

	r = parser_for_interface(NULL, interface, "live interface", &p, e);
	if (r < 0)
		return r;

	*ret = TAKE_PTR(p->config);
	return 0;
}
