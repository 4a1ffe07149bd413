// SPDX-License-Identifier: GPL-2.0
/* Packet vectors: see vector.h. A line that is not understood is an error, never passed over. */
#include "vectors/vector.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>

#include "addr.h"
#include "reason.h"
#include "util.h"

#define MAX_BYTES 4096

static const char *const owner_names[] = {
	[TF_OWNER_UNKNOWN] = "unknown",
	[TF_OWNER_KERNEL] = "kernel",
	[TF_OWNER_INET] = "inet",
	[TF_OWNER_RAW] = "raw",
	[TF_OWNER_PACKET] = "packet",
	[TF_OWNER_FOREIGN] = "foreign",
	[TF_OWNER_WRAPPED] = "wrapped",
	[TF_OWNER_ELSEWHERE] = "elsewhere",
};

/* The index of word in list, or -1. */
static int index_of(const char *word, const char *const *list, size_t count)
{
	size_t i;

	for (i = 0; word && i < count; i++) {
		if (streq(list[i], word))
			return (int)i;
	}
	return -1;
}

/* enum tf_plane, or -1. */
static int find_plane(const char *word)
{
	int plane;

	for (plane = 0; word && plane < TF_PLANES; plane++) {
		if (streq(plane_name((enum tf_plane)plane), word))
			return plane;
	}
	return -1;
}

/* enum tf_reason, or 0, which no packet is given. */
static unsigned int find_reason(const char *word)
{
	unsigned int reason;

	for (reason = TF_REASON_COUNT - 1; reason > 0; reason--) {
		if (word && streq(reason_name((enum tf_reason)reason), word))
			break;
	}
	return reason;
}

static bool copy_word(char *to, size_t size, const char *word)
{
	return word && *word && (size_t)snprintf(to, size, "%s", word) < size;
}

static bool parse_plane(struct vector *v, const char *value)
{
	int plane = find_plane(value);

	if (plane >= 0)
		v->plane[plane] = true;
	else if (streq(value, "both"))
		v->plane[TF_PLANE_SOCKET] = v->plane[TF_PLANE_WIRE] = true;
	return plane >= 0 || streq(value, "both");
}

static bool parse_host(struct vector *v, const char *value)
{
	v->host = streq(value, "other") ? VECTOR_OTHER_HOST : VECTOR_MANY_HOSTS;
	return streq(value, "other") || streq(value, "many");
}

static const char *const questions[] = {
	[VECTOR_NO_QUESTION] = "", [VECTOR_OWN] = "own", [VECTOR_OTHER] = "other",
	[VECTOR_OVER] = "over",	   [VECTOR_FAR] = "far",
};

static bool parse_question(struct vector *v, const char *value)
{
	int question = index_of(value, questions, ARRAY_SIZE(questions));

	v->question = (enum vector_question)question;
	return question > VECTOR_NO_QUESTION;
}

static bool parse_owner(struct vector *v, const char *value)
{
	int owner = index_of(value, owner_names, ARRAY_SIZE(owner_names));

	v->owner = (enum tf_owner)owner;
	return owner >= 0;
}

static bool parse_offload(struct vector *v, const char *key, const char *value)
{
	if (streq(key, "csum")) {
		v->offload.checksum = 1;
		return parse_u32(value, 0, ~0U, &v->offload.checksum_at) == 0;
	}
	if (streq(key, "net"))
		return parse_u32(value, 0, 0xffff, &v->offload.network) == 0;
	if (streq(key, "trans"))
		return parse_u32(value, 0, 0xffff, &v->offload.transport) == 0;
	return streq(key, "type") && parse_u32(value, 0, 0xffff, &v->offload.ethertype) == 0;
}

/* One KEY=VALUE of a meta line. */
static bool parse_fact(struct vector *v, char *fact)
{
	char *value = strchr(fact, '=');

	if (!value)
		return false;
	*value++ = '\0';
	if (streq(fact, "plane"))
		return parse_plane(v, value);
	if (streq(fact, "dev"))
		return copy_word(v->device, sizeof(v->device), value);
	if (streq(fact, "mark"))
		return parse_u32(value, 0, ~0U, &v->mark) == 0;
	if (streq(fact, "gso"))
		return parse_u32(value, 0, 0xffff, &v->gso_size) == 0;
	if (streq(fact, "iif"))
		return parse_u32(value, 0, 0x7fffffff, &v->forwarded) == 0;
	if (streq(fact, "owner"))
		return parse_owner(v, value);
	if (streq(fact, "question"))
		return parse_question(v, value);
	if (streq(fact, "host"))
		return parse_host(v, value);
	if (parse_offload(v, fact, value))
		return true;
	v->outside |= streq(fact, "cgroup") && streq(value, "outside");
	v->exempt |= streq(fact, "cgroup") && streq(value, "exempt");
	v->foreign |= streq(fact, "netns") && streq(value, "other");
	v->shared |= streq(fact, "shared") && streq(value, "yes");
	v->tagged |= streq(fact, "vlan") && streq(value, "yes");
	return (streq(fact, "cgroup") && (v->outside || v->exempt)) || (streq(fact, "netns") && v->foreign) ||
	       (streq(fact, "shared") && v->shared) || (streq(fact, "vlan") && v->tagged);
}

static bool parse_meta(struct vector *v, char *text)
{
	char *save = NULL, *fact;

	for (fact = strtok_r(text, " ", &save); fact; fact = strtok_r(NULL, " ", &save)) {
		if (!parse_fact(v, fact))
			return false;
	}
	return v->device[0] && memchr(v->plane, true, sizeof(v->plane));
}

static int hex_digit(char c)
{
	const char digits[] = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Appended: a long packet takes several lines. "-" is no byte at all. */
static bool parse_bytes(struct vector *v, const char *text)
{
	__u8 *more = realloc(v->bytes, v->length + strlen(text) / 2 + 1);

	if (!more)
		return false;
	v->bytes = more;
	if (streq(text, "-"))
		return true;
	for (; text[0]; text += 2) {
		int high = hex_digit(text[0]), low = high < 0 ? -1 : hex_digit(text[1]);

		if (low < 0)
			return false;
		v->bytes[v->length++] = (__u8)(high << 4 | low);
	}
	return v->length <= MAX_BYTES;
}

/* [PLANE] drop|pass REASON: for all of its planes, or for one of them. */
static bool parse_expect(struct vector *v, char *text)
{
	char *save = NULL, *word = strtok_r(text, " ", &save);
	int only = find_plane(word), plane;
	struct tf_decision d = {};

	if (only >= 0)
		word = strtok_r(NULL, " ", &save);
	if (!word || (!streq(word, "pass") && !streq(word, "drop")))
		return false;
	d.verdict = streq(word, "pass") ? TF_PASS : TF_DROP;
	d.reason = (enum tf_reason)find_reason(strtok_r(NULL, " ", &save));
	if (d.reason == TF_REASON_UNKNOWN || strtok_r(NULL, " ", &save))
		return false;
	for (plane = 0; plane < TF_PLANES; plane++) {
		if (only < 0 || only == plane)
			v->expect[plane] = d;
	}
	return true;
}

static bool parse_line(struct vector *v, const char *word, char *rest)
{
	if (streq(word, "policy"))
		return copy_word(v->policy, sizeof(v->policy), rest);
	if (streq(word, "after"))
		return copy_word(v->after, sizeof(v->after), rest);
	if (streq(word, "meta"))
		return parse_meta(v, rest);
	if (streq(word, "expect"))
		return parse_expect(v, rest);
	if (streq(word, "frame"))
		v->framed = true;
	return (streq(word, "packet") || streq(word, "frame")) && parse_bytes(v, rest);
}

static bool is_complete(const struct vector *v)
{
	int plane;

	for (plane = 0; plane < TF_PLANES; plane++) {
		if (v->plane[plane] && v->expect[plane].reason == TF_REASON_UNKNOWN)
			return false;
	}
	if (v->framed && v->plane[TF_PLANE_SOCKET])
		return false;
	return v->policy[0] && v->device[0] && v->bytes;
}

/* A new vector at the end of the list, or NULL. */
static struct vector *add(struct vectors *list, const char *name)
{
	struct vector *more = reallocarray(list->items, list->count + 1, sizeof(*more)), *v;

	if (!more)
		return NULL;
	list->items = more;
	v = &more[list->count++];
	*v = (struct vector){
		.owner = TF_OWNER_INET,
		.offload = { .network = VECTOR_TRUE, .transport = VECTOR_TRUE,
			     .ethertype = VECTOR_TRUE },
	};
	return copy_word(v->name, sizeof(v->name), name) ? v : NULL;
}

static bool is_last_complete(const struct vectors *list, size_t first)
{
	return list->count == first || is_complete(&list->items[list->count - 1]);
}

/* A line without its newline. A vector begins with its name. */
static bool read_line(struct vectors *list, size_t first, char *line)
{
	size_t word = strcspn(line, " ");
	char *rest = line + word + strspn(line + word, " ");

	if (!line[0] || line[0] == '#')
		return true;
	if (!*rest)
		return false;
	line[word] = '\0';
	if (streq(line, "name"))
		return is_last_complete(list, first) && !vectors_find(list, rest) &&
		       add(list, rest);
	return list->count > first && parse_line(&list->items[list->count - 1], line, rest);
}

static int read_file(const char *path, struct vectors *list, struct err *e)
{
	_cleanup_fclose_ FILE *stream = fopen(path, "re");
	_cleanup_free_ char *line = NULL;
	size_t room = 0, first = list->count;
	unsigned int number = 0;

	if (!stream)
		return err_set(e, -errno, "'%s': %s", path, strerror(errno));
	while (getline(&line, &room, stream) >= 0) {
		number++;
		line[strcspn(line, "\n")] = '\0';
		if (!read_line(list, first, line))
			return err_set(e, -EINVAL, "%s:%u: '%s' is not understood here", path,
				       number, line);
	}
	if (!is_last_complete(list, first))
		return err_set(e, -EINVAL, "%s:%u: the last vector is not complete", path, number);
	return 0;
}

static int check_after(const struct vectors *list, struct err *e)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		const char *after = list->items[i].after;

		if (after[0] && !vectors_find(list, after))
			return err_set(e, -EINVAL, "vector '%s' comes after '%s', which is none",
				       list->items[i].name, after);
	}
	return 0;
}

int vectors_read(const char *directory, struct vectors *ret, struct err *e)
{
	struct vectors list = {};
	char pattern[256];
	glob_t found = {};
	size_t i;
	int r = 0;

	snprintf(pattern, sizeof(pattern), "%s/*.vec", directory);
	if (glob(pattern, 0, NULL, &found))
		r = err_set(e, -ENOENT, "'%s' matches no file; run this in the source directory",
			    pattern);
	for (i = 0; !r && i < found.gl_pathc; i++)
		r = read_file(found.gl_pathv[i], &list, e);
	globfree(&found);
	if (!r)
		r = check_after(&list, e);
	if (r)
		vectors_free(&list);
	else
		*ret = list;
	return r;
}

void vectors_free(struct vectors *v)
{
	size_t i;

	for (i = 0; i < v->count; i++)
		free(v->items[i].bytes);
	free(v->items);
	*v = (struct vectors){};
}

const struct vector *vectors_find(const struct vectors *v, const char *name)
{
	size_t i;

	for (i = 0; i < v->count; i++) {
		if (streq(v->items[i].name, name))
			return &v->items[i];
	}
	return NULL;
}

static const char *const hosts[] = {
	[VECTOR_THIS_HOST] = "",
	[VECTOR_OTHER_HOST] = " host=other",
	[VECTOR_MANY_HOSTS] = " host=many",
};

static void print_meta(FILE *to, const struct vector *v)
{
	const bool *first = memchr(v->plane, true, sizeof(v->plane));
	bool both = v->plane[TF_PLANE_SOCKET] && v->plane[TF_PLANE_WIRE];

	fprintf(to, "meta    plane=%s dev=%s mark=%u gso=%u iif=%u owner=%s%s%s%s%s%s%s",
		both ? "both" : plane_name((enum tf_plane)(first - v->plane)), v->device, v->mark,
		v->gso_size, v->forwarded, owner_names[v->owner],
		v->outside ? " cgroup=outside" : "", v->exempt ? " cgroup=exempt" : "",
		v->foreign ? " netns=other" : "",
		v->shared ? " shared=yes" : "", v->tagged ? " vlan=yes" : "", hosts[v->host]);
	if (v->question)
		fprintf(to, " question=%s", questions[v->question]);
	if (v->offload.checksum)
		fprintf(to, " csum=%u", v->offload.checksum_at);
	if (v->offload.network != VECTOR_TRUE)
		fprintf(to, " net=%u", v->offload.network);
	if (v->offload.transport != VECTOR_TRUE)
		fprintf(to, " trans=%u", v->offload.transport);
	if (v->offload.ethertype != VECTOR_TRUE)
		fprintf(to, " type=%u", v->offload.ethertype);
	fputc('\n', to);
}

static void print_bytes(FILE *to, const struct vector *v)
{
	__u32 i;

	for (i = 0; i < v->length; i++) {
		if (i % 32 == 0)
			fprintf(to, "%s%s  ", i ? "\n" : "", v->framed ? "frame " : "packet");
		fprintf(to, "%02x", v->bytes[i]);
	}
	fprintf(to, v->length ? "\n" : "packet  -\n");
}

void vector_print(FILE *to, const struct vector *v)
{
	int plane;

	fprintf(to, "name    %s\npolicy  %s\n", v->name, v->policy);
	print_meta(to, v);
	print_bytes(to, v);
	for (plane = 0; plane < TF_PLANES; plane++) {
		if (v->plane[plane])
			fprintf(to, "expect  %s %s %s\n", plane_name((enum tf_plane)plane),
				verdict_name(v->expect[plane].verdict),
				reason_name(v->expect[plane].reason));
	}
}
