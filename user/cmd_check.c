// SPDX-License-Identifier: GPL-2.0
/* tunfence check: read a configuration, compile it in an imagined world, change nothing. */
#include <errno.h>
#include <string.h>

#include "command.h"
#include "compile.h"
#include "config.h"
#include "world.h"

/* Each is there, and none inside another. */
static int imagine_groups(size_t count, struct cgroups *groups, struct err *e)
{
	size_t i;

	groups->list = calloc(count + 1, sizeof(*groups->list));
	if (!groups->list)
		return err_set(e, -ENOMEM, "out of memory");
	for (i = 0; i < count; i++)
		groups->list[i] = (struct cgroup){ .fd = -1, .level = 1 };
	groups->count = count;
	return 0;
}

/* A machine on which every tunnel is of the configured kind, or in-kernel WireGuard, and down. */
static int imagine_world(const struct config *c, struct world **ret, struct err *e)
{
	_cleanup_world_ struct world *w = calloc(1, sizeof(*w));
	size_t i;

	if (!w)
		return err_set(e, -ENOMEM, "out of memory");
	w->tunnels = calloc(c->tunnel_count + 1, sizeof(*w->tunnels));
	if (!w->tunnels)
		return err_set(e, -ENOMEM, "out of memory");
	w->tunnel_count = c->tunnel_count;
	if (imagine_groups(c->group_count ? c->group_count : 1, &w->groups, e) ||
	    imagine_groups(c->exempt.any ? c->exempt.group_count + 1 : 0, &w->exempt, e))
		return -ENOMEM;
	for (i = 0; i < c->tunnel_count; i++) {
		w->tunnels[i].kind = c->tunnels[i].kind;
		if (!w->tunnels[i].kind.text[0])
			strcpy(w->tunnels[i].kind.text, "wireguard");
	}
	*ret = TAKE_PTR(w);
	return 0;
}

int cmd_check(const struct options *o, int argc, char *argv[], struct err *e)
{
	_cleanup_config_ struct config *c = NULL;
	_cleanup_policy_ struct policy *p = NULL;
	_cleanup_world_ struct world *w = NULL;
	size_t i, endpoints = 0;
	int r;

	(void)argc;
	r = config_read(argv[0], "check", o->wireguard_dir, &c, e);
	if (!r)
		r = imagine_world(c, &w, e);
	if (!r)
		r = compile(c, w, &p, e);
	if (r)
		return r;
	for (i = 0; i < c->tunnel_count; i++)
		endpoints += c->tunnels[i].endpoint_count;
	printf("%s: fine: %zu tunnel%s, %zu endpoint%s, %zu destination rule%s\n", argv[0],
	       c->tunnel_count, c->tunnel_count == 1 ? "" : "s", endpoints,
	       endpoints == 1 ? "" : "s", c->destination_count,
	       c->destination_count == 1 ? "" : "s");
	return EXIT_DONE;
}
