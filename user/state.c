// SPDX-License-Identifier: GPL-2.0
/* RUN/NAME.json: see state.h. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "fault.h"
#include "slice.h"
#include "units.h"
#include "util.h"

#define STATE_VERSION 3
#define MAX_NAMES 1024

static void json_cleanup(json_t **j)
{
	json_decref(*j);
}
#define _cleanup_json_ _cleanup_(json_cleanup)

static void strings_free(char **strings, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(strings[i]);
	free(strings);
}

void state_free(struct state *s)
{
	size_t i;

	for (i = 0; i < s->tunnel_count; i++)
		free(s->tunnels[i].endpoints);
	free(s->tunnels);
	strings_free(s->groups, s->group_count);
	strings_free(s->exempt, s->exempt_count);
	strings_free(s->users, s->user_count);
	strings_free(s->units, s->unit_count);
	*s = (struct state){};
}

static int state_path(char out[PATH_MAX], const char *run_dir, const char *name, const char *suffix)
{
	int n = snprintf(out, PATH_MAX, "%s/%s.json%s", run_dir, name, suffix);

	return n < 0 || n >= PATH_MAX ? -ENAMETOOLONG : 0;
}

static json_t *name_of(const struct config_tunnel *t, const struct config_endpoint *end)
{
	char key[KEY_TEXT_LEN];

	return json_pack("{s:s, s:i, s:s, s:i, s:s*}", "tunnel", t->interface.text, "protocol",
			 end->protocol, "host", end->host, "port", end->port, "peer",
			 key_is_set(&end->peer) ? key_format(&end->peer, key) : NULL);
}

static json_t *names_of(const struct config *c)
{
	json_t *names = json_array();
	size_t i, j;

	for (i = 0; i < c->tunnel_count; i++) {
		const struct config_tunnel *t = &c->tunnels[i];

		for (j = 0; j < t->endpoint_count; j++) {
			if (!t->endpoints[j].literal)
				json_array_append_new(names, name_of(t, &t->endpoints[j]));
		}
	}
	return names;
}

static json_t *groups_of(const struct cgroups *groups)
{
	json_t *paths = json_array();
	size_t i;

	for (i = 0; i < groups->count; i++)
		json_array_append_new(paths, json_string(groups->list[i].path));
	return paths;
}

bool state_is_fleeting(const struct state *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t i;

	for (i = 0; slash && i < s->unit_count; i++) {
		if (streq(slash + 1, s->units[i]))
			return true;
	}
	return false;
}

/* The services, if the fence has its own slice for them. */
static json_t *units_of(const struct config *c, const struct cgroups *groups)
{
	json_t *units = json_array();
	size_t i;

	if (!groups->count || !slice_is_own(groups->list[0].path, c->name, SLICE_FENCED))
		return units;
	for (i = 0; i < c->group_count; i++) {
		if (c->groups[i].unit && unit_is_service(c->groups[i].unit))
			json_array_append_new(units, json_string(c->groups[i].unit));
	}
	return units;
}

static json_t *users_of(const struct config_exempt *x)
{
	json_t *users = json_array();
	size_t i;

	for (i = 0; i < x->user_count; i++)
		json_array_append_new(users, json_string(x->users[i]));
	return users;
}

static bool put(const json_t *j, const char *run_dir, const char *name)
{
	char path[PATH_MAX], beside[PATH_MAX];

	if (state_path(path, run_dir, name, "") || state_path(beside, run_dir, name, ".new"))
		return false;
	if (json_dump_file(j, beside, JSON_INDENT(1)) || rename(beside, path)) {
		unlink(beside);
		return false;
	}
	fault_step();
	return true;
}

int state_write(const char *run_dir, const struct config *c, const struct cgroups *groups,
		const struct cgroups *exempt, struct err *e)
{
	char path[PATH_MAX];
	_cleanup_json_ json_t *j =
		json_pack("{s:i, s:s, s:o, s:o, s:o, s:o, s:I, s:o}", "version", STATE_VERSION,
			  "config", c->path ? c->path : "", "cgroups", groups_of(groups), "units",
			  units_of(c, groups), "exempt", groups_of(exempt), "users",
			  users_of(&c->exempt), "since", (json_int_t)time(NULL), "names",
			  names_of(c));

	if (!j)
		return err_set(e, -ENOMEM, "out of memory");
	if (state_path(path, run_dir, c->name, ""))
		return err_set(e, -ENAMETOOLONG, "'%s' is too long a path", run_dir);
	if (!put(j, run_dir, c->name))
		return err_set(e, -EIO, "'%s' cannot be written; endpoint names will not be resolved "
			       "again until 'tunfence up %s'", path, c->name);
	return 0;
}

static bool names_user(const struct config_exempt *x, const char *user)
{
	size_t i;

	for (i = 0; user && i < x->user_count; i++) {
		if (streq(x->users[i], user))
			return true;
	}
	return false;
}

/* Whether there were any that are not named. */
static bool drop_users(json_t *users, const struct config_exempt *x)
{
	bool dropped = false;
	size_t i;

	for (i = json_array_size(users); i > 0; i--) {
		if (names_user(x, json_string_value(json_array_get(users, i - 1))))
			continue;
		json_array_remove(users, i - 1);
		dropped = true;
	}
	return dropped;
}

int state_narrow(const char *run_dir, const struct config *c, struct err *e)
{
	_cleanup_json_ json_t *j = NULL;
	char path[PATH_MAX];
	json_t *users;

	if (state_path(path, run_dir, c->name, ""))
		return err_set(e, -ENAMETOOLONG, "'%s' is too long a path", run_dir);
	j = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
	users = json_object_get(j, "users");
	if (json_is_array(users) &&
	    (!drop_users(users, &c->exempt) || put(j, run_dir, c->name)))
		return 0;
	if (unlink(path) < 0 && errno != ENOENT)
		return err_set(e, -errno,
			       "'%s' cannot be removed, and may let users start exempt programs who "
			       "are no longer to: %s", path, strerror(errno));
	fault_step();
	return 0;
}

static struct config_tunnel *tunnel_of(struct state *s, const char *interface)
{
	struct config_tunnel *t;
	size_t i;

	for (i = 0; i < s->tunnel_count; i++) {
		if (strncmp(s->tunnels[i].interface.text, interface, TF_NAME_LEN) == 0)
			return &s->tunnels[i];
	}
	t = realloc(s->tunnels, (s->tunnel_count + 1) * sizeof(*t));
	if (!t)
		return NULL;
	s->tunnels = t;
	t += s->tunnel_count++;
	*t = (struct config_tunnel){};
	strncpy(t->interface.text, interface, TF_NAME_LEN - 1);
	return t;
}

static int add_name(struct state *s, const json_t *name)
{
	const char *tunnel, *host, *peer = NULL;
	struct key key = {};
	struct config_endpoint *end;
	struct config_tunnel *t;
	int protocol, port;

	if (json_unpack((json_t *)name, "{s:s, s:i, s:s, s:i, s?s}", "tunnel", &tunnel, "protocol",
			&protocol, "host", &host, "port", &port, "peer", &peer))
		return -EBADMSG;
	if (peer && key_parse(peer, &key))
		return -EBADMSG;
	if (strlen(tunnel) >= TF_NAME_LEN || strlen(host) >= CONFIG_HOST_LEN || port < 1 ||
	    port > 65535 || protocol < 0 || protocol > 255)
		return -EBADMSG;
	t = tunnel_of(s, tunnel);
	if (!t)
		return -ENOMEM;
	end = realloc(t->endpoints, (t->endpoint_count + 1) * sizeof(*end));
	if (!end)
		return -ENOMEM;
	t->endpoints = end;
	end += t->endpoint_count++;
	*end = (struct config_endpoint){ .protocol = (__u8)protocol, .port = (__u16)port,
					 .peer = key };
	strcpy(end->host, host);
	return 0;
}

/* Up to most strings. What has been read is to be freed also after an error. */
static int read_strings(const json_t *from, size_t most, char ***ret, size_t *ret_count)
{
	json_t *text;
	size_t i;

	if (!json_is_array(from) || json_array_size(from) > most)
		return -EBADMSG;
	*ret = calloc(json_array_size(from) + 1, sizeof(**ret));
	if (!*ret)
		return -ENOMEM;
	json_array_foreach(from, i, text) {
		if (!json_is_string(text) || json_string_length(text) >= PATH_MAX)
			return -EBADMSG;
		(*ret)[i] = strdup(json_string_value(text));
		if (!(*ret)[i])
			return -ENOMEM;
		*ret_count = i + 1;
	}
	return 0;
}

static int read_fields(const json_t *j, struct state *s)
{
	const char *config;
	json_int_t since;
	json_t *groups, *units, *exempt, *users, *names, *name;
	int version, r = 0;
	size_t i;

	if (json_unpack((json_t *)j, "{s:i, s:s, s:o, s:o, s:o, s:o, s:I, s:o}", "version", &version,
			"config", &config, "cgroups", &groups, "units", &units, "exempt", &exempt,
			"users", &users, "since", &since, "names", &names))
		return -EBADMSG;
	if (version != STATE_VERSION || !json_is_array(names) || json_array_size(names) > MAX_NAMES)
		return -EBADMSG;
	if (strlen(config) >= sizeof(s->config))
		return -EBADMSG;
	strcpy(s->config, config);
	s->since = since;
	r = read_strings(groups, TF_GROUP_ROOM, &s->groups, &s->group_count);
	if (!r)
		r = read_strings(units, TF_MAX_GROUPS, &s->units, &s->unit_count);
	if (!r)
		r = read_strings(exempt, TF_MAX_EXEMPT, &s->exempt, &s->exempt_count);
	if (!r)
		r = read_strings(users, CONFIG_MAX_USERS, &s->users, &s->user_count);
	if (r)
		return r;
	json_array_foreach(names, i, name) {
		r = add_name(s, name);
		if (r)
			return r;
	}
	return 0;
}

int state_read(const char *run_dir, const char *name, struct state *ret, struct err *e)
{
	struct state s = {};
	char path[PATH_MAX];
	json_error_t why;
	struct stat st;
	_cleanup_json_ json_t *j = NULL;
	int r;

	if (state_path(path, run_dir, name, ""))
		return err_set(e, -ENAMETOOLONG, "'%s' is too long a path", run_dir);
	j = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
	if (!j)
		return err_set(e, -EBADMSG,
			       "'%s' cannot be read (%s); endpoint names are not resolved again until "
			       "'tunfence up %s'",
			       path, why.text, name);
	r = read_fields(j, &s);
	if (r) {
		state_free(&s);
		return err_set(e, r,
			       "'%s' is not what tunfence wrote; endpoint names are not resolved again "
			       "until 'tunfence up %s'",
			       path, name);
	}
	s.looked = stat(path, &st) ? s.since : st.st_mtime;
	*ret = s;
	return 0;
}

void state_touch(const char *run_dir, const char *name)
{
	char path[PATH_MAX];

	if (state_path(path, run_dir, name, "") == 0)
		(void)utimensat(AT_FDCWD, path, NULL, AT_SYMLINK_NOFOLLOW);
}

void state_remove(const char *run_dir, const char *name)
{
	char path[PATH_MAX];

	if (state_path(path, run_dir, name, "") == 0)
		unlink(path);
}
