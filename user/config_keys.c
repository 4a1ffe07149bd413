// SPDX-License-Identifier: GPL-2.0
/*
 * The keys of a configuration: one function for each, from a clean, non-empty value to the field
 * of struct config it sets. Single values are judged by value.c. Also what holds for repetitions:
 * the same thing is never said twice. Never knows how lines are read.
 */
#define _GNU_SOURCE /* asprintf */

#include <netinet/in.h>
#include <string.h>

#include "config_parser.h"
#include "util.h"
#include "value.h"

static int parse_scope(struct parser *p, const char *value)
{
	if (!streq(value, "system") && !streq(value, "cgroup"))
		return err_set(p->e, -EINVAL, "'%s' is no scope; write 'system' or 'cgroup'",
			       value);

	p->config->scope = streq(value, "cgroup") ? TF_SCOPE_CGROUP : TF_SCOPE_SYSTEM;
	return 0;
}

static int parse_mode(struct parser *p, const char *value)
{
	if (!streq(value, "enforce") && !streq(value, "observe"))
		return err_set(p->e, -EINVAL, "'%s' is no mode; write 'enforce' or 'observe'",
			       value);

	p->config->mode = streq(value, "observe") ? TF_MODE_OBSERVE : TF_MODE_ENFORCE;
	return 0;
}

static int parse_bootstrap(struct parser *p, const char *value)
{
	return value_name_server(value, &p->config->bootstrap, &p->config->bootstrap_port, p->e);
}

static int parse_interface(struct parser *p, const char *value)
{
	struct config_tunnel *tunnel = parser_tunnel(p);
	int r = value_interface(value, &tunnel->interface, p->e);

	if (r < 0)
		return r;
	for (const struct config_tunnel *t = p->config->tunnels; t < tunnel; t++)
		if (tf_name_equal(&t->interface, &tunnel->interface))
			return err_set(p->e, -EEXIST,
				       "'%s' has a [Tunnel] in line %u; keep one of the two", value,
				       t->line);
	return 0;
}

static int parse_kind(struct parser *p, const char *value)
{
	return value_kind(value, &parser_tunnel(p)->kind, p->e);
}

static int parse_protocol(struct parser *p, const char *value)
{
	if (!streq(value, "wireguard") && !streq(value, "any"))
		return err_set(p->e, -EINVAL,
			       "'%s' is no protocol of a tunnel; write 'wireguard' or "
			       "'any'",
			       value);

	parser_tunnel(p)->any_protocol = streq(value, "any");
	return 0;
}

static int parse_endpoint(struct parser *p, const char *value)
{
	struct config_tunnel *tunnel = parser_tunnel(p);
	size_t first = strcspn(value, VALUE_BLANKS);
	const char *host = value + first + strspn(value + first, VALUE_BLANKS);
	const struct config_endpoint *same;
	struct config_endpoint endpoint;
	bool tcp = first == 3 && !strncmp(value, "tcp", first);
	bool udp = first == 3 && !strncmp(value, "udp", first);
	int r;

	if (!tcp && !udp)
		host = value;
	if (!*host || strpbrk(host, VALUE_BLANKS))
		return err_set(p->e, -EINVAL, "'%s' is not an endpoint; write [udp|tcp] HOST:PORT",
			       value);
	r = value_endpoint(host, tcp ? IPPROTO_TCP : IPPROTO_UDP, &endpoint, p->e);
	if (r < 0)
		return r;

	same = parser_find_endpoint(tunnel, &endpoint);
	if (same)
		return err_set(p->e, -EEXIST, "'%s' is in line %u already; remove one of the two",
			       value, same->line);
	endpoint.line = p->line;
	return parser_add_endpoint(p, tunnel, &endpoint);
}

/* A bare name is one of wg-quick's: wg0 and wg0.conf are the same file. */
static int parse_wireguard_config(struct parser *p, const char *value)
{
	const char *dot = strrchr(value, '.');
	bool suffix = dot && streq(dot, ".conf");
	char **path = &parser_tunnel(p)->wireguard_config;
	int n;

	if (value[0] != '/' && strchr(value, '/'))
		return err_set(p->e, -EINVAL,
			       "'%s' is neither an absolute path nor the name of a file "
			       "in '%s'",
			       value, p->wireguard_dir);

	if (value[0] == '/')
		n = asprintf(path, "%s", value);
	else
		n = asprintf(path, "%s/%s%s", p->wireguard_dir, value, suffix ? "" : ".conf");
	if (n < 0) {
		*path = NULL;
		return parser_no_memory(p);
	}
	return 0;
}

static int parse_listen_port(struct parser *p, const char *value)
{
	__u32 port;

	if (parse_u32(value, 1, UINT16_MAX, &port) < 0)
		return err_set(p->e, -EINVAL, "'%s' is not a port; write 1 to 65535", value);
	parser_tunnel(p)->listen_port = (__u16)port;
	return 0;
}

/* Not 0: sockets have it that have none. */
static int read_mark(struct parser *p, const char *value, __u32 *ret)
{
	__u32 mark;
	int r = value_mark(value, &mark, p->e);

	if (r < 0)
		return r;
	if (!mark)
		return err_set(p->e, -EINVAL,
			       "'%s' is the mark of unmarked packets; remove the line "
			       "if there is no mark",
			       value);
	*ret = mark;
	return 0;
}

static int parse_mark(struct parser *p, const char *value)
{
	return read_mark(p, value, &parser_tunnel(p)->mark);
}

static int parse_uplink(struct parser *p, const char *value)
{
	return value_interface(value, &parser_tunnel(p)->uplink, p->e);
}

/* Calls add for each word of a value. */
static int each_word(struct parser *p, const char *value,
		     int (*add)(struct parser *p, const char *word))
{
	_cleanup_free_ char *copy = strdup(value);
	char *save = NULL;
	int r = 0;

	if (!copy)
		return parser_no_memory(p);
	for (char *word = strtok_r(copy, VALUE_BLANKS, &save); word && !r;
	     word = strtok_r(NULL, VALUE_BLANKS, &save))
		r = add(p, word);
	return r;
}

static const char *without_slashes(const char *path)
{
	return path + strspn(path, "/");
}

/* word is the path of a group, or the name of a unit. NULL: it is not in the list. */
static const struct config_group *find_group(const struct config_group *groups, size_t count,
					     const char *word, bool unit)
{
	for (size_t i = 0; i < count; i++) {
		const struct config_group *g = &groups[i];

		if (unit ? g->unit && streq(g->unit, word) :
			   g->cgroup && streq(without_slashes(g->cgroup), without_slashes(word)))
			return g;
	}
	return NULL;
}

/* What is fenced is not exempt as well, and nothing is said twice. */
static int check_new_group(struct parser *p, const char *word, bool unit)
{
	const struct config *c = p->config;
	const struct config_group *same = find_group(c->groups, c->group_count, word, unit);

	if (!same)
		same = find_group(c->exempt.groups, c->exempt.group_count, word, unit);
	return same ? err_set(p->e, -EEXIST, "'%s' is in line %u already; say each once", word,
			      same->line) :
		      0;
}

static int new_group(struct parser *p, const char *word, bool unit, struct config_group *ret)
{
	struct config_group group = { .line = p->line };
	char **name = unit ? &group.unit : &group.cgroup;

	*name = strdup(word);
	if (!*name)
		return parser_no_memory(p);
	*ret = group;
	return 0;
}

static int add_group(struct parser *p, const char *word, bool unit)
{
	struct config *c = p->config;
	int r = check_new_group(p, word, unit);

	if (r < 0)
		return r;
	if (c->group_count == TF_MAX_GROUPS)
		return err_set(p->e, -E2BIG,
			       "more than %d groups; name a slice that holds several of them, or make a "
			       "second fence",
			       TF_MAX_GROUPS);
	r = PARSER_GROW(p, c->groups, c->group_count);
	if (!r)
		r = new_group(p, word, unit, &c->groups[c->group_count]);
	c->group_count += r == 0;
	return r;
}

/* The fence's own slice takes one place. */
static int add_exempt(struct parser *p, const char *word, bool unit)
{
	struct config_exempt *x = &p->config->exempt;
	int r = check_new_group(p, word, unit);

	if (r < 0)
		return r;
	if (x->group_count == TF_MAX_EXEMPT - 1)
		return err_set(p->e, -E2BIG,
			       "more than %d exempt groups; name a slice that holds several of them",
			       TF_MAX_EXEMPT - 1);
	r = PARSER_GROW(p, x->groups, x->group_count);
	if (!r)
		r = new_group(p, word, unit, &x->groups[x->group_count]);
	x->group_count += r == 0;
	return r;
}

static int add_cgroup(struct parser *p, const char *word)
{
	int r = value_cgroup(word, p->e);

	return r < 0 ? r : add_group(p, word, false);
}

static int add_unit(struct parser *p, const char *word)
{
	int r = value_unit(word, p->e);

	return r < 0 ? r : add_group(p, word, true);
}

/* All that runs would be in the hierarchy's root, or below it. */
static int add_exempt_cgroup(struct parser *p, const char *word)
{
	int r = value_cgroup(word, p->e);

	if (!r && !*without_slashes(word))
		r = err_set(p->e, -EINVAL,
			    "'%s' holds every cgroup there is: nothing would be fenced; name the groups "
			    "that are to be exempt",
			    word);
	return r < 0 ? r : add_exempt(p, word, false);
}

static int add_exempt_unit(struct parser *p, const char *word)
{
	int r;

	if (streq(word, "-.slice"))
		return err_set(p->e, -EINVAL,
			       "'%s' holds every unit there is: nothing would be fenced; name the units "
			       "that are to be exempt",
			       word);
	r = value_unit(word, p->e);
	return r < 0 ? r : add_exempt(p, word, true);
}

static int parse_cgroup(struct parser *p, const char *value)
{
	return each_word(p, value, add_cgroup);
}

static int parse_unit(struct parser *p, const char *value)
{
	return each_word(p, value, add_unit);
}

static int parse_exempt_cgroup(struct parser *p, const char *value)
{
	return each_word(p, value, add_exempt_cgroup);
}

static int parse_exempt_unit(struct parser *p, const char *value)
{
	return each_word(p, value, add_exempt_unit);
}

static int add_exempt_user(struct parser *p, const char *word)
{
	struct config_exempt *x = &p->config->exempt;
	int r = value_user(word, p->e);

	if (r < 0)
		return r;
	for (size_t i = 0; i < x->user_count; i++)
		if (streq(x->users[i], word))
			return err_set(p->e, -EEXIST, "'%s' is said twice; remove one of the two",
				       word);
	if (x->user_count == CONFIG_MAX_USERS)
		return err_set(p->e, -E2BIG, "more than %d users; sudo lets others in as root",
			       CONFIG_MAX_USERS);
	r = PARSER_GROW(p, x->users, x->user_count);
	if (r < 0)
		return r;
	x->users[x->user_count] = strdup(word);
	if (!x->users[x->user_count])
		return parser_no_memory(p);
	x->user_count++;
	return 0;
}

static int parse_exempt_users(struct parser *p, const char *value)
{
	return each_word(p, value, add_exempt_user);
}

static int parse_exempt_dns(struct parser *p, const char *value)
{
	if (!streq(value, "tunnel") && !streq(value, "uplink"))
		return err_set(p->e, -EINVAL,
			       "'%s' is not where names can be resolved; write 'tunnel' or 'uplink'",
			       value);

	p->config->exempt.names = streq(value, "uplink");
	return 0;
}

static int parse_exempt_mark(struct parser *p, const char *value)
{
	return read_mark(p, value, &p->config->exempt.mark);
}

static int add_lan(struct parser *p, const struct prefix *prefix)
{
	struct config *c = p->config;
	char buf[ADDR_TEXT_LEN];
	int r;

	for (size_t i = 0; i < c->lan_count; i++)
		if (c->lan[i].bits == prefix->bits && prefix_covers(&c->lan[i], prefix))
			return err_set(p->e, -EEXIST, "'%s' is said twice; remove one of the two",
				       prefix_format(prefix, buf));
	if (c->lan_count == TF_MAX_PREFIXES - TF_MAX_DESTINATIONS)
		return err_set(p->e, -E2BIG, "more than %d prefixes; use shorter ones",
			       TF_MAX_PREFIXES - TF_MAX_DESTINATIONS);
	r = PARSER_GROW(p, c->lan, c->lan_count);
	if (r < 0)
		return r;

	c->lan[c->lan_count++] = *prefix;
	return 0;
}

static int add_lan_word(struct parser *p, const char *word)
{
	struct prefix prefix;
	int r;

	if (streq(word, "yes") || streq(word, "no"))
		return err_set(p->e, -EINVAL, "'%s' stands alone; write 'no', 'yes' or prefixes",
			       word);
	r = value_lan(word, &prefix, p->e);
	return r < 0 ? r : add_lan(p, &prefix);
}

static int parse_lan(struct parser *p, const char *value)
{
	int r = 0;

	if (streq(value, "no"))
		return 0;
	if (!streq(value, "yes"))
		return each_word(p, value, add_lan_word);
	for (size_t i = 0; !r && i < value_lan_range_count; i++)
		r = add_lan(p, &value_lan_ranges[i]);
	return r;
}

static int parse_dhcp(struct parser *p, const char *value)
{
	return value_yes_no(value, &p->config->dhcp, p->e);
}

static int parse_inbound(struct parser *p, const char *value)
{
	if (!streq(value, "drop") && !streq(value, "accept"))
		return err_set(p->e, -EINVAL,
			       "'%s' is not what can be done with what comes in; write 'drop' or "
			       "'accept'",
			       value);

	p->config->inbound_accept = streq(value, "accept");
	return 0;
}

static int add_inbound(struct parser *p, const char *word, __u8 protocol, unsigned int *lines)
{
	struct config *c = p->config;
	__u16 from, to;
	int r;

	r = port_range_parse(word, &from, &to, p->e);
	if (r < 0)
		return r;
	for (__u32 port = from; port <= to; port++) {
		if (lines[port])
			return err_set(p->e, -EEXIST,
				       "port %u is in line %u already; say each port "
				       "once",
				       port, lines[port]);
		lines[port] = p->line;
	}
	r = PARSER_GROW(p, c->inbound, c->inbound_count);
	if (r < 0)
		return r;

	c->inbound[c->inbound_count++] =
		(struct config_ports){ .protocol = protocol, .from = from, .to = to };
	return 0;
}

static int add_inbound_tcp(struct parser *p, const char *word)
{
	return add_inbound(p, word, IPPROTO_TCP, p->tcp_line);
}

static int add_inbound_udp(struct parser *p, const char *word)
{
	return add_inbound(p, word, IPPROTO_UDP, p->udp_line);
}

static int parse_inbound_tcp(struct parser *p, const char *value)
{
	return each_word(p, value, add_inbound_tcp);
}

static int parse_inbound_udp(struct parser *p, const char *value)
{
	return each_word(p, value, add_inbound_udp);
}

static int add_inside(struct parser *p, const char *word)
{
	static const struct tf_name lo = { .text = "lo" };
	struct config *c = p->config;
	struct tf_inside_key key;
	int r;

	r = value_inside(word, &key, p->e);
	if (r < 0)
		return r;
	if (value_inside_matches(&key, &lo))
		return err_set(p->e, -EINVAL,
			       "'%s' matches 'lo', which is always allowed; write a "
			       "pattern that does not",
			       word);
	for (size_t i = 0; i < c->inside_count; i++)
		if (!memcmp(&c->inside[i], &key, sizeof(key)))
			return err_set(p->e, -EEXIST,
				       "'%s' is in line %u already; say each pattern "
				       "once",
				       word, p->inside_line[i]);
	if (c->inside_count == TF_MAX_INSIDE)
		return err_set(p->e, -E2BIG, "more than %d patterns; use shorter ones with '*'",
			       TF_MAX_INSIDE);
	r = PARSER_GROW(p, c->inside, c->inside_count);
	if (r < 0)
		return r;

	p->inside_line[c->inside_count] = p->line;
	c->inside[c->inside_count++] = key;
	return 0;
}

static int parse_inside(struct parser *p, const char *value)
{
	return each_word(p, value, add_inside);
}

static int parse_destination(struct parser *p, const char *value)
{
	struct config *c = p->config;
	struct config_destination destination;
	int r;

	r = value_destination(value, &destination, p->e);
	if (r < 0)
		return r;
	if (c->destination_count == TF_MAX_DESTINATIONS)
		return err_set(p->e, -E2BIG, "more than %d destinations; use shorter prefixes",
			       TF_MAX_DESTINATIONS);
	r = PARSER_GROW(p, c->destinations, c->destination_count);
	if (r < 0)
		return r;

	destination.line = p->line;
	c->destinations[c->destination_count++] = destination;
	return 0;
}

const struct config_key config_keys[] = {
#define X(section_, name_, parser_, repeatable_, value_, summary_)                                 \
	{                                                                                          \
		.section = #section_,                                                              \
		.name = #name_,                                                                    \
		.value = value_,                                                                   \
		.summary = summary_,                                                               \
		.repeatable = repeatable_,                                                         \
	},
	CONFIG_KEYS(X)
#undef X
};
const size_t config_key_count = ARRAY_SIZE(config_keys);

int config_key_parse(struct parser *p, enum config_key_id key, const char *value)
{
	static int (*const parsers[])(struct parser * p, const char *value) = {
#define X(section, name, parser, repeatable, value, summary) parse_##parser,
		CONFIG_KEYS(X)
#undef X
	};

	return parsers[key](p, value);
}

enum config_section config_key_section(enum config_key_id key)
{
	static const enum config_section sections[] = {
#define X(section, name, parser, repeatable, value, summary) SECTION_##section,
		CONFIG_KEYS(X)
#undef X
	};

	return sections[key];
}

enum config_key_id config_key_find(enum config_section section, const char *name)
{
	size_t key = 0;

	while (key < KEY_COUNT && (config_key_section((enum config_key_id)key) != section ||
				   !streq(config_keys[key].name, name)))
		key++;
	return (enum config_key_id)key;
}
